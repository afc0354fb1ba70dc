"""The first product behind a stem: all tokens of a batch at once, for its weights are many and a sequence's tokens few.

While learning, features are dropped in blocks, for a whole batch alike, so that what is dropped is not multiplied.
Each entry of the product and of its weights' gradient is summed in one order, however many threads there are.
"""

from .jit import Bool, Int, Ints, Real, Reals, ints, kernel, real, reals
from .matmul import add_rows, matmul
from .simd import at
from .step import FEATURE_SITE, PROBABILITY_UNIT, drawing_of, scatter

(
    TOKENS, TOKEN_STARTS, ROW_STARTS, FIRST_SAMPLES, N_SAMPLES, WIDTH, N_OUT, WEIGHT, SHIFT, OUT,
    RATE, DRAW_SEED, DRAW_UPDATE, D_OUT, D_WEIGHT, D_SHIFT, SCRATCH, N_ARGUMENTS,
) = range(18)  # fmt: skip

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
    """Compute ``out = tokens @ weight + shift`` for a run of the batch's tokens."""
    first, width, n_out = item * ROWS_AN_ITEM, arguments[WIDTH], arguments[N_OUT]
    last = min(first + ROWS_AN_ITEM, ints(arguments[ROW_STARTS])[arguments[N_SAMPLES]])
    is_fresh, begin = True, _draws(arguments)
    out, shift, stretch = at(reals(arguments[OUT]), first * n_out), reals(arguments[SHIFT]), _stretch(arguments)
    for i in range((last - first) * n_out):
        out[i] = real(0)
    j = _kept_from(arguments, begin, 0, width)
    while j < width:
        end = _kept_until(arguments, begin, j, min(j + _BLOCK, width))
        _multiply(arguments, ints(arguments[FIRST_SAMPLES])[item], first, last, j, end, is_fresh)
        j, is_fresh = _kept_from(arguments, begin, end, width), False
    for row in range(last - first):
        for k in range(n_out):
            out[row * n_out + k] = out[row * n_out + k] * stretch + shift[k]


@kernel
def _multiply(arguments: Ints, sample: Int, first: Int, last: Int, j: Int, end: Int, is_fresh: Bool):
    """Add to rows `first` to `last`, of which `sample` is the first, what features `j` to `end` contribute."""
    width, n_out, row = arguments[WIDTH], arguments[N_OUT], first
    right = at(reals(arguments[WEIGHT]), j * n_out)
    while row < last:
        following = _following(arguments, sample)
        n_rows = min(ints(arguments[ROW_STARTS])[following], last) - row
        left, out = at(_token(arguments, sample, row), j), at(reals(arguments[OUT]), row * n_out)
        matmul(left, width, 1, right, n_out, out, n_out, n_rows, end - j, n_out, is_fresh)
        row, sample = row + n_rows, following


@kernel
def project_backward_item(arguments: Ints, item: Int, worker: Int):
    """Give the gradient of a block of features' weights, and the first item that of the shift."""
    n_out, begin = arguments[N_OUT], _draws(arguments)
    first = item * FEATURES_AN_ITEM
    last = min(first + FEATURES_AN_ITEM, arguments[WIDTH])
    n_rows, d_weight = ints(arguments[ROW_STARTS])[arguments[N_SAMPLES]], reals(arguments[D_WEIGHT])
    for i in range(first * n_out, last * n_out):
        d_weight[i] = real(0)
    j = _kept_from(arguments, begin, first, last)
    while j < last:
        end = _kept_until(arguments, begin, j, last)
        _multiply_backward(arguments, j, end)
        j = _kept_from(arguments, begin, end, last)
    if item == 0:
        d_out, d_shift = reals(arguments[D_OUT]), reals(arguments[D_SHIFT])
        for k in range(n_out):
            d_shift[k] = real(0)
        add_rows(d_out, n_rows, n_out, d_shift, at(reals(arguments[SCRATCH]), worker))


@kernel
def _multiply_backward(arguments: Ints, first: Int, last: Int):
    """Compute the gradient of the weights of features `first` to `last`, a sequence after the other.

    Sums are cut between sequences, wherever these lie: tokens that were kept, and those of one batch, give the same bits.
    """
    width, n_out, stretch = arguments[WIDTH], arguments[N_OUT], _stretch(arguments)
    d_weight, begins = at(reals(arguments[D_WEIGHT]), first * n_out), ints(arguments[ROW_STARTS])
    for sample in range(arguments[N_SAMPLES]):
        for row in range(begins[sample], begins[sample + 1], _BLOCK):
            n_terms = min(begins[sample + 1] - row, _BLOCK)
            left, below = at(_token(arguments, sample, row), first), at(reals(arguments[D_OUT]), row * n_out)
            matmul(left, 1, width, below, n_out, d_weight, n_out, last - first, n_terms, n_out, row == 0)
    for i in range((last - first) * n_out):
        d_weight[i] *= stretch


@kernel
def _token(arguments: Ints, sample: Int, row: Int) -> Reals:
    """Give the features of a row of the batch, which is of this sample or lies behind it."""
    place = ints(arguments[TOKEN_STARTS])[sample] + row - ints(arguments[ROW_STARTS])[sample]
    return at(reals(arguments[TOKENS]), place * arguments[WIDTH])


@kernel
def _following(arguments: Ints, sample: Int) -> Int:
    """Give the next sample whose tokens do not lie right behind those of the one before it, or how many there are."""
    places, begins = ints(arguments[TOKEN_STARTS]), ints(arguments[ROW_STARTS])
    apart, sample = places[sample] - begins[sample], sample + 1
    while sample < arguments[N_SAMPLES] and places[sample] - begins[sample] == apart:
        sample += 1
    return sample


@kernel
def _draws(arguments: Ints) -> Int:
    """Give what the draws of this update begin from."""
    return drawing_of(arguments[DRAW_SEED], arguments[DRAW_UPDATE], 0, FEATURE_SITE)


@kernel
def _stretch(arguments: Ints) -> Real:
    """Give what features that are left are multiplied by, in place of those that are dropped."""
    return real(PROBABILITY_UNIT) / real(PROBABILITY_UNIT - arguments[RATE])


@kernel
def _kept_from(arguments: Ints, begin: Int, j: Int, last: Int) -> Int:
    """Give the first feature from `j` on that is not dropped, or `last`; both are where a block begins."""
    while j < last and (scatter(begin + j // DROPPED) & (PROBABILITY_UNIT - 1)) < arguments[RATE]:
        j = min(j + DROPPED, last)
    return j


@kernel
def _kept_until(arguments: Ints, begin: Int, j: Int, last: Int) -> Int:
    """Give the first feature from `j` on that is dropped, or `last`."""
    while j < last and (scatter(begin + j // DROPPED) & (PROBABILITY_UNIT - 1)) >= arguments[RATE]:
        j = min(j + DROPPED, last)
    return j
