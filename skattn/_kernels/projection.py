"""The first product behind a stem: all tokens of a batch at once, for its weights are many and a sequence's tokens few.

Each entry of the product and of its weights' gradient is summed in one order, however many threads there are.
"""

from .jit import Int, Ints, Reals, ints, kernel, real, reals
from .matmul import add_rows, matmul
from .simd import at
from .step import FEATURE_SITE, PROBABILITY_UNIT, drawing_of, scatter

(
    TOKENS, TOKEN_STARTS, ROW_STARTS, FIRST_SAMPLES, N_ROWS, WIDTH, N_OUT, WEIGHT, SHIFT, OUT,
    KEPT, KEPT_WIDTH, RATE, IDS, DRAW_SEED, DRAW_UPDATE, SCRATCH, D_OUT, D_WEIGHT, D_SHIFT, N_ARGUMENTS,
) = range(21)  # fmt: skip

# Tokens of an item.
ROWS_AN_ITEM = 32
# Features of an item of the gradient.
FEATURES_AN_ITEM = 96
# Terms that are summed at a time: that many rows of the weights stay in the first-level cache.
_BLOCK = 64


@kernel
def project_item(arguments: Ints, item: Int, worker: Int):
    """Compute ``out = tokens @ weight + shift`` for a run of the batch's tokens.

    While learning (`KEPT` is somewhere) a share of the features is dropped, and what is left of tokens is kept.
    """
    first = item * ROWS_AN_ITEM
    last = min(first + ROWS_AN_ITEM, arguments[N_ROWS])
    places, begins = ints(arguments[TOKEN_STARTS]), ints(arguments[ROW_STARTS])
    width, sample, row = arguments[WIDTH], ints(arguments[FIRST_SAMPLES])[item], first
    while row < last:
        tokens = at(reals(arguments[TOKENS]), (places[sample] + row - begins[sample]) * width)
        end = min(begins[sample + 1], last)
        if arguments[KEPT]:
            _drop(arguments, tokens, sample, row, end, worker)
        else:
            # Sequences that lie behind each other are multiplied together.
            while end < last and places[sample + 1] - places[sample] == begins[sample + 1] - begins[sample]:
                sample += 1
                end = min(begins[sample + 1], last)
            _multiply(arguments, tokens, width, row, end)
        row, sample = end, sample + 1
    if arguments[KEPT]:
        across = arguments[KEPT_WIDTH]
        _multiply(arguments, at(reals(arguments[KEPT]), first * across), across, first, last)


@kernel
def _drop(arguments: Ints, tokens: Reals, sample: Int, first: Int, last: Int, worker: Int):
    """Copy a sequence's tokens, a share of their features set to zero at all of them, the others stretched.

    Features of neighbouring tokens tell much the same: to drop single numbers would leave what they tell.
    """
    width, rate = arguments[WIDTH], arguments[RATE]
    factors = at(reals(arguments[SCRATCH]), worker * width)
    begin = drawing_of(arguments[DRAW_SEED], arguments[DRAW_UPDATE], ints(arguments[IDS])[sample], FEATURE_SITE)
    stretch = real(PROBABILITY_UNIT) / real(PROBABILITY_UNIT - rate)
    for j in range(width):
        factors[j] = stretch if (scatter(begin + j) & (PROBABILITY_UNIT - 1)) >= rate else real(0)
    for row in range(first, last):
        source = at(tokens, (row - first) * width)
        target = at(reals(arguments[KEPT]), row * arguments[KEPT_WIDTH])
        for j in range(width):
            target[j] = source[j] * factors[j]


@kernel
def _multiply(arguments: Ints, tokens: Reals, across: Int, first: Int, last: Int):
    """Compute rows `first` to `last` of the product, of tokens that lie `across` numbers apart."""
    width, n_out = arguments[WIDTH], arguments[N_OUT]
    weight, shift = reals(arguments[WEIGHT]), reals(arguments[SHIFT])
    out = at(reals(arguments[OUT]), first * n_out)
    for r in range(last - first):
        row = at(out, r * n_out)
        for j in range(n_out):
            row[j] = shift[j]
    for j in range(0, width, _BLOCK):
        n_terms = min(width - j, _BLOCK)
        below = at(weight, j * n_out)
        matmul(at(tokens, j), across, 1, below, n_out, out, n_out, last - first, n_terms, n_out, False)


@kernel
def project_backward_item(arguments: Ints, item: Int, worker: Int):
    """Give the gradient of a block of features' weights, and the first item that of the shift."""
    n_rows, n_out, across = arguments[N_ROWS], arguments[N_OUT], arguments[KEPT_WIDTH]
    first = item * FEATURES_AN_ITEM
    n_features = min(arguments[WIDTH] - first, FEATURES_AN_ITEM)
    d_out, d_weight = reals(arguments[D_OUT]), at(reals(arguments[D_WEIGHT]), first * n_out)
    for row in range(0, n_rows, _BLOCK):
        source, n_terms = at(reals(arguments[KEPT]), row * across + first), min(n_rows - row, _BLOCK)
        below = at(d_out, row * n_out)
        matmul(source, 1, across, below, n_out, d_weight, n_out, n_features, n_terms, n_out, row == 0)
    if item == 0:
        d_shift = reals(arguments[D_SHIFT])
        for j in range(n_out):
            d_shift[j] = real(0)
        add_rows(d_out, n_rows, n_out, d_shift, at(reals(arguments[SCRATCH]), worker * arguments[WIDTH]))
