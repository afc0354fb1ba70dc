"""A fixed stem before the network: random convolutions turn each sequence into fewer, wider steps, its tokens."""

import math
from copy import copy
from dataclasses import dataclass, fields, replace

import numpy as np

from .._kernels import columns, convolution, parallel
from .._kernels.convolution import GROUP, TAPS
from .._kernels.scaling import FAR, LARGEST

# Sequences that kernels are calibrated on at the most, and steps of each.
_MOST_SAMPLES, _MOST_STEPS = 256, 64
# Steps of each where sequences are more than so many.
_FEW_SAMPLES, _FEW_STEPS = 64, 16
# Kernels calibrated at a time.
_GROUPS_AT_A_TIME = 16
# Steps of the window beside the responses, and features that it has at the most, but for one step.
_WINDOW, _MOST_WINDOW = 8, 2048
# Channels that a kernel reads of all that there are, on average.
_CHANNELS_A_KERNEL = 3
# How far a kernel reaches, as a part of the median length.
_WIDEST = 8
# Deviation of the sum of eight bytes.
_BYTES_DEVIATION = math.sqrt(8 * (256**2 - 1) / 12)
# How steeply a response rises, in its own deviations: 4 there is a slope of 1 at its bias.
_STEEPNESS = 4 / math.log(2)
# A share of the median deviation below which a sequence counts as constant.
_FLOOR = 0.01
# Deviations of responses below which they are rounding errors, which must not be stretched to features.
_NOISE = 1e-3
# Bytes of features that are computed at a time where they are not kept.
_BLOCK_BYTES = 1 << 22


@dataclass(frozen=True, eq=False)
class Tokens:
    """What a stem makes of sequences: a row a token, as a network takes its steps."""

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    def take(self, indices):
        """Give some of the samples; `values` is shared."""
        return replace(self, starts=self.starts[indices], lengths=self.lengths[indices])


@dataclass(eq=False)
class Stem:
    """Random convolutions, calibrated on training sequences; plain arrays and numbers, so it can be saved.

    A sequence of c features has 3 c channels: each feature in deviations over all training steps, in deviations over
    the sequence's own steps, and its differences from step to step (causal: without the second, which looks ahead).
    A kernel reads `TAPS` steps, `dilation` apart, of a few channels. Its response is squashed by
    ``sigmoid(4 (y - b) / deviation)``, with a random quantile b of its responses, and averaged over a token's steps.
    Beside these stands a window of 8 steps around the token's middle (causal: up to its end), fewer of many channels.

    Attributes
    ----------
    is_causal : bool
        Whether nothing may depend on later steps.
    stride : int
        Steps of a token.
    seed : int
        What dilations, channels and weights are drawn by; they are not in files.
    n_dilations : int
        Dilations are 1, 2, 4, and so on.
    channel_floor, difference_scale : ndarray of shape (n_features,), float64
        Smallest deviation of a sequence's own steps, and deviation of differences, both in deviations of all steps.
    dilations, n_channels : int64 array of shape (n_groups,)
    channels : int64 array of shape (n_groups, most)
        Numbers of the channels that a group of `GROUP` kernels reads; the first `n_channels` count.
    weights : ndarray of shape (n_groups, most, TAPS, GROUP)
    slope, shift : ndarray of shape (n_groups * GROUP,)
        Of the exponent of 2 in the sigmoid.
    feature_mean, feature_scale : ndarray of shape (width,)
        Features come out as ``(feature - mean) * scale``.

    Notes
    -----
    Dempster, Petitjean & Webb (2020), arXiv:1910.13051, whose kernels are random in the same way; they count positive
    responses over the whole sequence.
    """

    is_causal: bool
    stride: int
    seed: int
    n_dilations: int
    channel_floor: np.ndarray
    difference_scale: np.ndarray
    slope: np.ndarray
    shift: np.ndarray
    feature_mean: np.ndarray
    feature_scale: np.ndarray

    def __post_init__(self):
        n_groups, n_features = len(self.slope) // GROUP, len(self.channel_floor)
        drawn = _draw(self.seed, self.n_dilations, n_features, n_groups, self.is_causal, self.slope.dtype)
        vars(self).update(drawn)

    @property
    def parts(self):
        """All that is not in the architecture and cannot be drawn again, by name."""
        return {name: getattr(self, name) for name in STEM_PARTS}

    @property
    def width(self):
        """Features of a token."""
        return len(self.feature_mean)

    @property
    def dtype(self):
        return self.weights.dtype

    def count_tokens(self, lengths):
        """Give how many tokens sequences of some lengths have."""
        return (lengths - 1) // self.stride + 1

    def tokens(self, data, mean, scale, n_jobs=None):
        """Turn sequences into tokens.

        Parameters
        ----------
        data : object with ``values`` (n_rows, n_features), ``starts`` and ``lengths`` (n_samples,)
        mean, scale : ndarray of shape (n_features,), float64
            Of every feature over all training steps.
        n_jobs : int, optional

        Returns
        -------
        tokens : Tokens
            Standardised features of every token; each depends on its own sequence only.
        """
        counts = self.count_tokens(data.lengths)
        strides = np.full(len(counts), self.stride)
        return self._run(convolution.tokens_item, data, (mean, scale), counts, strides, self.width, n_jobs)

    def blocks(self, data):
        """Cut samples into runs whose features fit a few megabytes, as slices."""
        rows = np.cumsum(self.count_tokens(data.lengths)) * self.width * self.dtype.itemsize // _BLOCK_BYTES
        bounds = [0, *(np.flatnonzero(np.diff(rows)) + 1), len(rows)]
        return [slice(first, last) for first, last in zip(bounds[:-1], bounds[1:], strict=True)]

    def _run(self, kernel, data, scaling, counts, strides, width, n_jobs):
        """Compute rows of `width` numbers for `counts` tokens of each sample, `strides` steps a token."""
        lengths, starts = (np.ascontiguousarray(part, np.int64) for part in (data.lengths, data.starts))
        ends, workers = np.cumsum(counts), parallel.n_workers(n_jobs)
        result, (items, longest) = np.empty((int(ends[-1]), width), self.dtype), cut_pieces(counts, strides)
        batch = parallel.Arguments(convolution.Batch, self.dtype.name, workers)
        arrays, numbers = self.arguments(np.ascontiguousarray(data.values), starts, lengths, scaling, longest, workers)
        batch.point(items=items, out=result, out_starts=ends - counts, **arrays)
        batch.set(**numbers)
        batch.share_out(convolution.measure_item, len(lengths))
        batch.share_out(kernel, len(items))
        return Tokens(result, ends - counts, counts)

    def arguments(self, values, starts, lengths, scaling, longest, workers):
        """Give arrays and numbers that kernels are told, but for pieces of sequences and what comes out.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_features)
        starts, lengths : int array of shape (n_samples,)
        scaling : pair of ndarray of shape (n_features,)
        longest : int
            Steps of the longest piece.
        workers : int
        """
        n_features, reach = values.shape[1], (TAPS - 1) * int(self.dilations.max())
        size, own = self.n_all_channels * (longest + reach) + GROUP * 64, np.zeros((2, len(lengths), n_features))
        arrays = {
            **{"values": values, "starts": starts, "lengths": lengths},
            **{"channel_mean": scaling[0], "channel_scale": scaling[1], "sample_mean": own[0], "sample_scale": own[1]},
            "scratch": np.empty(size * workers, self.dtype),
            **{name: getattr(self, name) for name in _POINTED_TO},
        }
        numbers = {
            "is_double": values.dtype == np.float64,
            "n_features": n_features,
            "is_causal": self.is_causal,
            "n_groups": len(self.dilations),
            "most_channels": self.channels.shape[1],
            "window": window_steps(self.n_all_channels),
            "scratch_size": size,
            "reach_left": reach if self.is_causal else reach // 2,
            "reach_right": 0 if self.is_causal else reach // 2,
        }
        return arrays, numbers

    @property
    def n_all_channels(self):
        """Channels of a sequence."""
        return n_channels(len(self.channel_floor), self.is_causal)


_POINTED_TO = (
    *("channel_floor", "difference_scale", "dilations", "n_channels", "channels", "weights", "slope", "shift"),
    *("feature_mean", "feature_scale"),
)
STEM_PARTS = tuple(field.name for field in fields(Stem) if field.name not in ("is_causal", "stride"))
"""What a file holds of a stem."""


def n_channels(n_features, is_causal):
    """Give how many channels sequences of so many features have."""
    return n_features * (2 if is_causal else 3)


def stem_width(n_features, n_kernels, is_causal):
    """Give how many features a token has."""
    n_all = n_channels(n_features, is_causal)
    return n_kernels + window_steps(n_all) * n_all


def window_steps(n_all_channels):
    """Give how many steps around a token's middle are told as they are."""
    return max(1, min(_WINDOW, _MOST_WINDOW // n_all_channels))


def cut_pieces(counts, strides):
    """Cut each sample's tokens into runs of about `STEPS_AN_ITEM` steps; gives them, and the steps of the longest."""
    each = np.maximum(convolution.STEPS_AN_ITEM // strides, 1)
    n_runs = -(-counts // each)
    sample = np.repeat(np.arange(len(counts)), n_runs)
    run = np.arange(len(sample)) - np.repeat(np.cumsum(n_runs) - n_runs, n_runs)
    first = run * each[sample]
    last = np.minimum(first + each[sample], counts[sample])
    items = np.ascontiguousarray(np.stack([sample, first, last, strides[sample]], axis=1), np.int64)
    return items, int(((last - first) * strides[sample]).max())


def learn_stem(data, weight, mean, scale, *, n_kernels, stride, is_causal, seed, dtype, n_jobs=None):
    """Draw kernels and calibrate them on training sequences.

    Weighting a sample is the same as repeating it for up to `_MOST_SAMPLES` samples; of more, as many are drawn.

    Parameters
    ----------
    data : object with ``values`` (n_rows, n_features), ``starts``, ``lengths`` and ``take``
    weight : ndarray of shape (n_samples,)
        Positive.
    mean, scale : ndarray of shape (n_features,), float64
        Mean and deviation of every feature over all training steps.
    n_kernels : int
        Rounded up to groups.
    stride : int
        Steps of a token.
    is_causal : bool
    seed : int
    dtype : {"float32", "float64"}
    n_jobs : int, optional

    Returns
    -------
    stem : Stem
    """
    generator = np.random.default_rng([seed, 1])
    if len(weight) > _MOST_SAMPLES:
        drawn = np.sort(generator.permutation(len(weight))[:_MOST_SAMPLES])
        data, weight = data.take(drawn), weight[drawn]
    floor, change = _measure_channels(data, weight, mean, scale, n_jobs)
    longest = measure_columns(data.lengths.astype(np.float64)[:, np.newaxis], weight, [0.5], n_jobs)[1][0]
    n_dilations = 1 + int(math.log2(max(1.0, (longest - 1) / _WIDEST)))
    n_kernels = -(-n_kernels // GROUP) * GROUP
    width = stem_width(len(mean), n_kernels, is_causal)
    blank = {"slope": np.ones(n_kernels, dtype), "shift": np.zeros(n_kernels, dtype)}
    plain = {"feature_mean": np.zeros(width, dtype), "feature_scale": np.ones(width, dtype)}
    stem = Stem(bool(is_causal), int(stride), int(seed), n_dilations, floor, change, **blank, **plain)
    quantiles = generator.uniform(0.1, 0.9, n_kernels)
    stem.slope, stem.shift = _calibrate(stem, data, weight, (mean, scale), quantiles, n_jobs)
    stem.feature_mean, stem.feature_scale = _measure_features(stem, data, weight, (mean, scale), n_jobs)
    return stem


def _draw(seed, n_dilations, n_features, n_groups, is_causal, dtype):
    """Draw dilations, channels and weights of groups of kernels: the same on every machine and in every version."""
    n_all, groups = n_channels(n_features, is_causal), np.arange(n_groups)
    places = _count(seed, 0, (n_groups, n_all))
    is_read = places < np.uint64(2**64 - 1) // np.uint64(n_all) * np.uint64(min(_CHANNELS_A_KERNEL, n_all))
    is_read[groups, (_count(seed, 1, n_groups) % np.uint64(n_all)).astype(np.int64)] |= ~is_read.any(axis=1)
    count = is_read.sum(axis=1)
    channels = np.argsort(~is_read, axis=1, kind="stable")[:, : count.max()]
    # Sums of eight bytes are all but normal, and whole numbers are the same everywhere, also their mean in nine parts.
    bytes_ = _count(seed, 2, (n_groups, int(count.max()), TAPS, GROUP)).view(np.uint8)
    sums = bytes_.reshape(n_groups, int(count.max()), TAPS, GROUP, 8).sum(axis=-1, dtype=np.int64)
    weights = (TAPS * sums - sums.sum(axis=2, keepdims=True)) / (TAPS * _BYTES_DEVIATION)
    weights[np.arange(count.max()) >= count[:, np.newaxis]] = 0
    return {
        # Dilations go round, so that each has its share, and channels are drawn.
        "dilations": (1 << (groups % n_dilations)).astype(np.int64),
        "n_channels": count.astype(np.int64),
        "channels": np.ascontiguousarray(channels, np.int64),
        "weights": np.ascontiguousarray(weights, dtype),
    }


def _count(seed, stream, shape):
    """Give 64 random bits each, counted as the kernels count theirs (splitmix64: Steele, Lea & Flood 2014, OOPSLA)."""
    n = math.prod(np.atleast_1d(shape).tolist())
    state = np.arange(n, dtype=np.uint64) + np.uint64((seed * 0x1F83D9AB + stream * 0x3C6EF372F3C6EF37) % 2**64)
    state += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return (state ^ (state >> np.uint64(31))).astype("<u8").reshape(shape)


def _measure_channels(data, weight, mean, scale, n_jobs):
    """Give the deviation below which a sequence counts as constant, and the deviation of differences."""
    deviations, squares, n_changes = np.empty((len(weight), len(mean))), np.zeros(len(mean)), 0.0
    for i, (start, length) in enumerate(zip(data.starts.tolist(), data.lengths.tolist(), strict=True)):
        steps = _standard(np.asarray(data.values[start : start + length], np.float64), mean, scale)
        deviations[i] = steps.std(axis=0)
        squares += weight[i] * np.square(np.diff(steps, axis=0)).sum(axis=0)
        n_changes += weight[i] * (length - 1)
    _, typical = measure_columns(deviations, weight, np.full(len(mean), 0.5), n_jobs)
    change = np.sqrt(squares / max(n_changes, np.finfo(np.float64).tiny))
    return np.maximum(_FLOOR * typical, 1e-8), np.where(change > 1e-12, change, 1.0)


def _standard(steps, mean, scale):
    """Give steps in deviations, far ones reined in, as the kernels take them."""
    deviations = (steps * 0.5 - mean * 0.5) / (scale * 0.5)
    size = np.minimum(np.abs(deviations), LARGEST)
    return np.where(size > FAR, np.sign(deviations) * (FAR + np.log1p(np.maximum(size - FAR, 0))), deviations)


def _calibrate(stem, data, weight, scaling, quantiles, n_jobs):
    """Give slope and shift of each kernel's exponent: its bias is a quantile of its responses."""
    strides = -(-data.lengths // (_MOST_STEPS if len(weight) <= _FEW_SAMPLES else _FEW_STEPS))
    counts = -(-data.lengths // strides)
    weights = np.repeat(weight * strides, counts)
    deviation, bias = np.empty((2, len(quantiles)))
    for first in range(0, len(stem.dilations), _GROUPS_AT_A_TIME):
        some, k = slice(first, first + _GROUPS_AT_A_TIME), first * GROUP
        part = copy(stem)
        for name in ("dilations", "n_channels", "channels", "weights"):
            setattr(part, name, getattr(stem, name)[some])
        rows = part._run(
            convolution.responses_item, data, scaling, counts, strides, len(part.dilations) * GROUP, n_jobs
        )
        last = k + rows.values.shape[1]
        deviation[k:last], bias[k:last] = measure_columns(rows.values, weights, quantiles[k:last], n_jobs)
    slope = -_STEEPNESS / np.maximum(deviation, _NOISE)
    return slope.astype(stem.dtype), (-slope * bias).astype(stem.dtype)


def _measure_features(stem, data, weight, scaling, n_jobs):
    """Give the mean of each feature over all tokens, and one over its deviation."""
    total, squares, count = np.zeros(stem.width), np.zeros(stem.width), 0.0
    for block in stem.blocks(data):
        tokens = stem.tokens(data.take(block), *scaling, n_jobs)
        weights = np.repeat(weight[block], tokens.lengths)
        features = tokens.values.astype(np.float64)
        # Features are near 0 and 1, so that their squares' sum loses little to the square of their mean.
        # Not by BLAS, whose order of sums depends on its threads.
        total += np.einsum("i,ij->j", weights, features)
        squares += np.einsum("i,ij,ij->j", weights, features, features)
        count += weights.sum()
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - np.square(mean), 0))
    scale = 1 / np.where(deviation > _NOISE / 10, deviation, 1.0)
    return mean.astype(stem.dtype), scale.astype(stem.dtype)


def measure_columns(table, weight, levels, n_jobs=None):
    """Give the deviation of every column, and its smallest value that a share of the weight does not exceed.

    Repeating a row is weighting it.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
    weight : ndarray of shape (n_rows,), float64
    levels : ndarray of shape (n_columns,)
        From 0 to 1.
    n_jobs : int, optional

    Returns
    -------
    deviations, quantiles : ndarray of shape (n_columns,), float64
    """
    (n_rows, n_columns), workers = table.shape, parallel.n_workers(n_jobs)
    deviations, quantiles = np.empty((2, n_columns))
    arguments = parallel.Arguments(columns.Table, table.dtype.name, workers)
    arguments.point(
        rows=table,
        weights=np.ascontiguousarray(weight, np.float64),
        levels=np.ascontiguousarray(levels, np.float64),
        deviations=deviations,
        quantiles=quantiles,
        scratch=np.empty(2 * n_rows * workers),
    )
    arguments.set(n_rows=n_rows, n_columns=n_columns)
    arguments.share_out(columns.column_item, n_columns)
    return deviations, quantiles
