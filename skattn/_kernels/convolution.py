"""Turn a sequence into tokens: averaged responses of fixed random convolutions, and a window of what they saw.

Kernels come in groups of `GROUP` that share a dilation and some channels. A sequence's channels lie one after another
in scratch, zeros beyond both its ends.
"""

import math

from .jit import Int, Reals, doubles, ints, kernel, real, reals
from .record import Record
from .responses import GROUP, TAPS, add_squashed, add_winners, convolve_rows
from .scaling import reined_in, standard
from .simd import at

STEPS_AN_ITEM = 256
"""Steps that an item works on, about."""
# Steps whose responses are made before they are squashed: they stay in the first-level cache.
STEPS_AT_A_TIME = 96

Batch = Record(
    *("values", "is_double", "starts", "lengths", "n_features"),
    # Mean and deviation of each feature, by all sequences and by each; least deviation of one; that of differences.
    *("channel_mean", "channel_scale", "sample_mean", "sample_scale", "channel_floor", "difference_scale"),
    # Kernels: of each group its dilation and its channels, of which no group has more than `most_channels`.
    *(
        "is_causal",
        "competes",
        "n_groups",
        "dilations",
        "n_channels",
        "channels",
        "most_channels",
        "weights",
        "slope",
        "shift",
    ),
    # Features: steps of the window that is copied, mean and one over the deviation of each.
    *("window", "feature_mean", "feature_scale"),
    *("items", "out", "out_starts", "scratch", "scratch_size", "reach_left", "reach_right"),
)
"""What kernels of a batch are told."""

Piece = Record("sample", "first", "end", "stride")
"""What an item works on: a sample, the first and the end of some of its tokens, and the steps of a token."""
N_ITEM = len(Piece)


@kernel
def measure_item(batch: Batch, item: Int, worker: Int):
    """Measure a sequence's own mean and deviation of every feature; the deviation no smaller than a floor."""
    width, n_steps = batch.n_features, ints(batch.lengths)[item]
    first = ints(batch.starts)[item]
    means, scales = (
        at(doubles(batch.sample_mean), item * width),
        at(doubles(batch.sample_scale), item * width),
    )
    floors, values, are_double = doubles(batch.channel_floor), batch.values, batch.is_double
    for j in range(width):
        centre, unit = doubles(batch.channel_mean)[j], doubles(batch.channel_scale)[j]
        total = 0.0
        for t in range(first, first + n_steps):
            total += standard(values, are_double, t * width + j, centre, unit)
        mean = total / n_steps
        squares = 0.0
        for t in range(first, first + n_steps):
            distance = standard(values, are_double, t * width + j, centre, unit) - mean
            squares += distance * distance
        means[j], scales[j] = mean, max(math.sqrt(squares / n_steps), floors[j])


@kernel
def responses_item(batch: Batch, item: Int, worker: Int):
    """Give every kernel's response at the first step of each token; out [rows, n_groups * GROUP]."""
    piece, x = Piece(at(ints(batch.items), item * N_ITEM)), _scratch(batch, worker)
    sample, stride = piece.sample, piece.stride
    first, n_rows = piece.first * stride, piece.end - piece.first
    length = _fill(batch, sample, first, (piece.end - 1) * stride + 1, x)
    width = batch.n_groups * GROUP
    out = at(reals(batch.out), (ints(batch.out_starts)[sample] + piece.first) * width)
    for group in range(batch.n_groups):
        _convolve(batch, group, x, length, stride, at(out, group * GROUP), width, n_rows)


@kernel
def tokens_item(batch: Batch, item: Int, worker: Int):
    """Give the features of some of a sequence's tokens; out [tokens, width]."""
    piece, x = Piece(at(ints(batch.items), item * N_ITEM)), _scratch(batch, worker)
    sample, stride = piece.sample, piece.stride
    n_steps, n_tokens = ints(batch.lengths)[sample], piece.end - piece.first
    first, last = piece.first * stride, min(piece.end * stride, n_steps)
    length = _fill(batch, sample, first, last, x)
    n_kernels, n_channels = batch.n_groups * GROUP, _n_channels(batch)
    width = n_kernels + batch.window * n_channels
    out = at(reals(batch.out), (ints(batch.out_starts)[sample] + piece.first) * width)
    y = at(x, n_channels * length)
    for group in range(batch.n_groups):
        _respond(batch, group, x, length, last - first, stride, at(out, group * GROUP), width, y)
    for token in range(n_tokens):
        begin, end = token * stride, min((token + 1) * stride, last - first)
        _look(batch, x, length, begin, end, at(out, token * width + n_kernels), n_kernels)


@kernel
def _respond(
    batch: Batch, group: Int, x: Reals, length: Int, n_steps: Int, stride: Int, out: Reals, width: Int, y: Reals
):
    """Give a group's features of each token: the mean of its squashed responses, or how often its kernels win.

    Each is written once, and not looked at again: the features of a few hundred tokens are more than caches hold.
    """
    k = group * GROUP
    slope, shift, mean, scale = (
        at(reals(batch.slope), k),
        at(reals(batch.shift), k),
        at(reals(batch.feature_mean), k),
        at(reals(batch.feature_scale), k),
    )
    for block in range(0, n_steps, STEPS_AT_A_TIME):
        last = min(block + STEPS_AT_A_TIME, n_steps)
        _convolve(batch, group, at(x, block), length, 1, y, GROUP, last - block)
        step = block
        while step < last:
            token = step // stride
            begin, end = token * stride, min((token + 1) * stride, n_steps)
            n_rows, factor = min(end, last) - step, real(1) / real(end - begin)
            responses, target = at(y, (step - block) * GROUP), at(out, token * width)
            is_first, is_last = step == begin, end <= last
            if batch.competes:
                add_winners(responses, n_rows, target, mean, scale, factor, is_first, is_last)
            else:
                add_squashed(responses, n_rows, slope, shift, target, mean, scale, factor, is_first, is_last)
            step += n_rows


@kernel
def _convolve(batch: Batch, group: Int, x: Reals, length: Int, stride: Int, y: Reals, y_row: Int, n_rows: Int):
    """Compute ``y[r, k] = sum over channels c and taps j of x[c, r * stride + j * dilation] * weights[c, j, k]``."""
    most, dilation = batch.most_channels, ints(batch.dilations)[group]
    weights = at(reals(batch.weights), group * most * TAPS * GROUP)
    channels, n_channels = at(ints(batch.channels), group * most), ints(batch.n_channels)[group]
    left = (TAPS - 1) * dilation if batch.is_causal else TAPS // 2 * dilation
    convolve_rows(
        at(x, batch.reach_left - left), length, channels, n_channels, dilation, stride, weights, y, y_row, n_rows
    )


@kernel
def _look(batch: Batch, x: Reals, length: Int, begin: Int, end: Int, target: Reals, n_before: Int):
    """Copy the channels of the steps around a token's middle, in causal models of those up to its last step.

    In deviations of these features, which `n_before` others precede.
    """
    n_channels, window = _n_channels(batch), batch.window
    mean, scale = at(reals(batch.feature_mean), n_before), at(reals(batch.feature_scale), n_before)
    first = end - window if batch.is_causal else begin + (end - begin) // 2 - window // 2
    for t in range(window):
        for c in range(n_channels):
            k = t * n_channels + c
            target[k] = (x[c * length + batch.reach_left + first + t] - mean[k]) * scale[k]


@kernel
def _n_channels(batch: Batch) -> Int:
    """Give how many channels a sequence has: each feature by all steps, by its own steps, and its differences."""
    return batch.n_features * (2 if batch.is_causal else 3)


@kernel
def _scratch(batch: Batch, worker: Int) -> Reals:
    """Give a worker's room for channels, and behind them for the responses of a tile."""
    return at(reals(batch.scratch), worker * batch.scratch_size)


@kernel
def _fill(batch: Batch, sample: Int, first: Int, last: Int, x: Reals) -> Int:
    """Fill the channels from `reach_left` steps before `first` to `reach_right` behind `last`; gives their length."""
    begin, end = first - batch.reach_left, last + batch.reach_right
    length, n_steps, n_features = end - begin, ints(batch.lengths)[sample], batch.n_features
    start, is_causal = ints(batch.starts)[sample], batch.is_causal
    values, are_double = batch.values, batch.is_double
    means = at(doubles(batch.sample_mean), sample * n_features)
    scales = at(doubles(batch.sample_scale), sample * n_features)
    changes = doubles(batch.difference_scale)
    low, high = max(begin, 0), min(end, n_steps)
    for j in range(n_features):
        of_all, change = at(x, j * length), at(x, (n_features + j) * length)
        of_own = at(x, (2 * n_features + j) * length) if not is_causal else change
        for i in range(low - begin):
            of_all[i] = of_own[i] = change[i] = real(0)
        for i in range(high - begin, length):
            of_all[i] = of_own[i] = change[i] = real(0)
        centre, unit = doubles(batch.channel_mean)[j], doubles(batch.channel_scale)[j]
        before = standard(values, are_double, (start + max(low - 1, 0)) * n_features + j, centre, unit)
        for t in range(low, high):
            now = standard(values, are_double, (start + t) * n_features + j, centre, unit)
            of_all[t - begin] = real(now)
            if not is_causal:
                of_own[t - begin] = real(reined_in((now - means[j]) / scales[j]))
            change[t - begin] = real(reined_in((now - before) / changes[j]))
            before = now
    return length
