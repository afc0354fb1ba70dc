"""The first product behind a stem: all tokens of a batch at once, for its weights are many and a sequence's tokens few.

While learning, features are dropped in blocks, for a whole batch alike, so that what is dropped is not multiplied.
Each entry of the product and of its weights' gradient is summed in one order, however many threads there are.
"""

from .jit import Int, Ints, Real, Reals, ints, kernel, real, reals
from .matmul import add_rows, matmul
from .simd import at
from .step import FEATURE_SITE, PROBABILITY_UNIT, drawing_of, scatter

(
    TOKENS, TOKEN_STARTS, ROW_STARTS, FIRST_SAMPLES, N_SAMPLES, WIDTH, N_OUT, WEIGHT, SHIFT, OUT, KEPT, KEPT_WIDTH,
    RATE, DRAW_SEED, DRAW_UPDATE, D_OUT, D_WEIGHT, D_SHIFT, RUNS, SCRATCH, N_ARGUMENTS,
) = range(21)  # fmt: skip

# Features that are dropped together: kernels of a group, which read the same channels at the same dilation.
DROPPED = 16
# Tokens of an item.
ROWS_AN_ITEM = 32
# Features of an item of the gradient.
FEATURES_AN_ITEM = 96
# Terms that are summed at a time: that many rows of the weights stay in the first-level cache.
_BLOCK = 64


@kernel
def project_item(arguments: Ints, item: Int, worker: Int):
    """Compute ``out = tokens @ weight + shift`` for a run of the batch's tokens.

    While learning (`KEPT` is somewhere) a share of the features is dropped, and what is left of tokens is kept: read
    once from far away in order, and from close by afterwards.
    """
    first, n_out, runs = item * ROWS_AN_ITEM, arguments[N_OUT], _runs(arguments, worker)
    last = min(first + ROWS_AN_ITEM, ints(arguments[ROW_STARTS])[arguments[N_SAMPLES]])
    sample = ints(arguments[FIRST_SAMPLES])[item]
    out, shift, stretch = at(reals(arguments[OUT]), first * n_out), reals(arguments[SHIFT]), _stretch(arguments)
    for i in range((last - first) * n_out):
        out[i] = real(0)
    if arguments[KEPT]:
        _gather(arguments, runs, sample, first, last)
    n_before = 0
    for run in range(runs[0]):
        for j in range(runs[2 * run + 1], runs[2 * run + 2], _BLOCK):
            n_terms = min(runs[2 * run + 2] - j, _BLOCK)
            _multiply(arguments, sample, first, last, j, n_before, n_terms)
            n_before += n_terms
    for row in range(last - first):
        for k in range(n_out):
            out[row * n_out + k] = out[row * n_out + k] * stretch + shift[k]


@kernel
def _gather(arguments: Ints, runs: Ints, sample: Int, first: Int, last: Int):
    """Copy what is left of rows `first` to `last`, of which `sample` is the first."""
    begins = ints(arguments[ROW_STARTS])
    for row in range(first, last):
        while begins[sample + 1] <= row:
            sample += 1
        source, target = _token(arguments, sample, row), _kept(arguments, row)
        for run in range(runs[0]):
            j, end = runs[2 * run + 1], runs[2 * run + 2]
            while j + DROPPED <= end:
                # So many, known to the compiler, are a few vectors.
                for i in range(DROPPED):
                    target[i] = source[j + i]
                j, target = j + DROPPED, at(target, DROPPED)
            for i in range(end - j):
                target[i] = source[j + i]


@kernel
def _multiply(arguments: Ints, sample: Int, first: Int, last: Int, j: Int, n_before: Int, n_terms: Int):
    """Add to rows `first` to `last` what `n_terms` features from `j` on give; `n_before` kept ones precede them."""
    n_out, row = arguments[N_OUT], first
    right = at(reals(arguments[WEIGHT]), j * n_out)
    while row < last:
        out, n_rows, following = at(reals(arguments[OUT]), row * n_out), last - row, sample
        left, across = at(_kept(arguments, row), n_before), arguments[KEPT_WIDTH]
        if not arguments[KEPT]:
            # Sequences that lie behind each other are multiplied together.
            following = _following(arguments, sample)
            n_rows = min(ints(arguments[ROW_STARTS])[following] - row, n_rows)
            left, across = at(_token(arguments, sample, row), j), arguments[WIDTH]
        matmul(left, across, 1, right, n_out, out, n_out, n_rows, n_terms, n_out, False)
        row, sample = row + n_rows, following


@kernel
def project_backward_item(arguments: Ints, item: Int, worker: Int):
    """Give the gradient of a block of features' weights, and the first item that of the shift."""
    n_out, runs, n_before = arguments[N_OUT], _runs(arguments, worker), 0
    first = item * FEATURES_AN_ITEM
    last = min(first + FEATURES_AN_ITEM, arguments[WIDTH])
    n_rows, d_weight = ints(arguments[ROW_STARTS])[arguments[N_SAMPLES]], reals(arguments[D_WEIGHT])
    for i in range(first * n_out, last * n_out):
        d_weight[i] = real(0)
    for run in range(runs[0]):
        begin, end = runs[2 * run + 1], runs[2 * run + 2]
        j = max(begin, first)
        if j < min(end, last):
            _multiply_backward(arguments, j, min(end, last) - j, n_before + j - begin)
        n_before += end - begin
    if item == 0:
        d_out, d_shift = reals(arguments[D_OUT]), reals(arguments[D_SHIFT])
        for k in range(n_out):
            d_shift[k] = real(0)
        add_rows(d_out, n_rows, n_out, d_shift, at(reals(arguments[SCRATCH]), worker))


@kernel
def _multiply_backward(arguments: Ints, j: Int, n_features: Int, n_before: Int):
    """Compute the gradient of the weights of features from `j` on, which `n_before` kept ones precede."""
    n_out, stretch = arguments[N_OUT], _stretch(arguments)
    n_rows = ints(arguments[ROW_STARTS])[arguments[N_SAMPLES]]
    d_weight = at(reals(arguments[D_WEIGHT]), j * n_out)
    for row in range(0, n_rows, _BLOCK):
        left, below = at(_kept(arguments, row), n_before), at(reals(arguments[D_OUT]), row * n_out)
        n_terms = min(n_rows - row, _BLOCK)
        matmul(left, 1, arguments[KEPT_WIDTH], below, n_out, d_weight, n_out, n_features, n_terms, n_out, row == 0)
    for i in range(n_features * n_out):
        d_weight[i] *= stretch


@kernel
def _token(arguments: Ints, sample: Int, row: Int) -> Reals:
    """Give the features of a row of the batch, which is of this sample or lies behind it."""
    place = ints(arguments[TOKEN_STARTS])[sample] + row - ints(arguments[ROW_STARTS])[sample]
    return at(reals(arguments[TOKENS]), place * arguments[WIDTH])


@kernel
def _kept(arguments: Ints, row: Int) -> Reals:
    """Give what is kept of a row of the batch."""
    return at(reals(arguments[KEPT]), row * arguments[KEPT_WIDTH])


@kernel
def _following(arguments: Ints, sample: Int) -> Int:
    """Give the next sample whose tokens do not lie right behind those of the one before it, or how many there are."""
    places, begins = ints(arguments[TOKEN_STARTS]), ints(arguments[ROW_STARTS])
    apart, sample = places[sample] - begins[sample], sample + 1
    while sample < arguments[N_SAMPLES] and places[sample] - begins[sample] == apart:
        sample += 1
    return sample


@kernel
def _stretch(arguments: Ints) -> Real:
    """Give what features that are left are multiplied by, in place of those that are dropped."""
    return real(PROBABILITY_UNIT) / real(PROBABILITY_UNIT - arguments[RATE])


@kernel
def _runs(arguments: Ints, worker: Int) -> Ints:
    """Give how many runs of features are left, and where each begins and ends."""
    width, rate, was_kept = arguments[WIDTH], arguments[RATE], False
    runs = at(ints(arguments[RUNS]), worker * (width // DROPPED + 4))
    begin = drawing_of(arguments[DRAW_SEED], arguments[DRAW_UPDATE], 0, FEATURE_SITE)
    runs[0] = 0
    for j in range(0, width, DROPPED):
        is_kept = (scatter(begin + j // DROPPED) & (PROBABILITY_UNIT - 1)) >= rate
        if is_kept:
            if not was_kept:
                runs[2 * runs[0] + 1] = j
                runs[0] += 1
            runs[2 * runs[0]] = min(j + DROPPED, width)
        was_kept = is_kept
    return runs
