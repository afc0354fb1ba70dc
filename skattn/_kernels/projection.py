"""The first product behind a stem: all tokens of a batch at once, for its weights are many and a sequence's tokens few.

While learning, features are dropped in blocks, for a whole batch alike, so that what is dropped is not multiplied.
Each entry of the product and of its weights' gradient is summed in one order, however many threads there are.
"""

from .jit import Int, Ints, Real, Reals, ints, kernel, real, reals
from .matmul import add_rows, matmul
from .operation import PROBABILITY_UNIT
from .random import FEATURE_SITE, drawing_of, mix
from .record import Record
from .simd import at

Product = Record(
    *("tokens", "token_starts", "row_starts", "first_samples", "n_samples", "width", "n_out", "weight", "shift", "out"),
    # What is left of tokens while learning, and the share that is dropped; what random numbers count from.
    *("kept", "kept_width", "rate", "seed", "update", "runs"),
    *("d_out", "d_weight", "d_shift", "scratch"),
)
"""What the kernels here are told."""

# Features that are dropped together: kernels of a group, which read the same channels at the same dilation.
DROPPED = 16
# Tokens of an item.
ROWS_AN_ITEM = 32
# Features of an item of the gradient.
FEATURES_AN_ITEM = 96
# Terms that are summed at a time: that many rows of the weights stay in the first-level cache.
_BLOCK = 64


@kernel
def project_item(product: Product, item: Int, worker: Int):
    """Compute ``out = tokens @ weight + shift`` for a run of the batch's tokens.

    While learning (`kept` is somewhere) a share of the features is dropped, and what is left of tokens is kept: read
    once from far away in order, and from close by afterwards.
    """
    first, n_out, runs = item * ROWS_AN_ITEM, product.n_out, _runs(product, worker)
    last = min(first + ROWS_AN_ITEM, ints(product.row_starts)[product.n_samples])
    sample = ints(product.first_samples)[item]
    out, shift, stretch = at(reals(product.out), first * n_out), reals(product.shift), _stretch(product)
    for i in range((last - first) * n_out):
        out[i] = real(0)
    if product.kept:
        _gather(product, runs, sample, first, last)
    n_before = 0
    for run in range(runs[0]):
        for j in range(runs[2 * run + 1], runs[2 * run + 2], _BLOCK):
            n_terms = min(runs[2 * run + 2] - j, _BLOCK)
            _multiply(product, sample, first, last, j, n_before, n_terms)
            n_before += n_terms
    for row in range(last - first):
        for k in range(n_out):
            out[row * n_out + k] = out[row * n_out + k] * stretch + shift[k]


@kernel
def _gather(product: Product, runs: Ints, sample: Int, first: Int, last: Int):
    """Copy what is left of rows `first` to `last`, of which `sample` is the first."""
    begins = ints(product.row_starts)
    for row in range(first, last):
        while begins[sample + 1] <= row:
            sample += 1
        source, target = _token(product, sample, row), _kept(product, row)
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
def _multiply(product: Product, sample: Int, first: Int, last: Int, j: Int, n_before: Int, n_terms: Int):
    """Add to rows `first` to `last` what `n_terms` features from `j` on give; `n_before` kept ones precede them."""
    n_out, row = product.n_out, first
    right = at(reals(product.weight), j * n_out)
    while row < last:
        out, n_rows, following = at(reals(product.out), row * n_out), last - row, sample
        left, across = at(_kept(product, row), n_before), product.kept_width
        if not product.kept:
            # Sequences that lie behind each other are multiplied together.
            following = _following(product, sample)
            n_rows = min(ints(product.row_starts)[following] - row, n_rows)
            left, across = at(_token(product, sample, row), j), product.width
        matmul(left, across, 1, right, n_out, out, n_out, n_rows, n_terms, n_out, False)
        row, sample = row + n_rows, following


@kernel
def project_backward_item(product: Product, item: Int, worker: Int):
    """Give the gradient of a block of features' weights, and the first item that of the shift."""
    n_out, runs, n_before = product.n_out, _runs(product, worker), 0
    first = item * FEATURES_AN_ITEM
    last = min(first + FEATURES_AN_ITEM, product.width)
    n_rows, d_weight = ints(product.row_starts)[product.n_samples], reals(product.d_weight)
    for i in range(first * n_out, last * n_out):
        d_weight[i] = real(0)
    for run in range(runs[0]):
        begin, end = runs[2 * run + 1], runs[2 * run + 2]
        j = max(begin, first)
        if j < min(end, last):
            _multiply_backward(product, j, min(end, last) - j, n_before + j - begin)
        n_before += end - begin
    if item == 0:
        d_out, d_shift = reals(product.d_out), reals(product.d_shift)
        for k in range(n_out):
            d_shift[k] = real(0)
        add_rows(d_out, n_rows, n_out, d_shift, at(reals(product.scratch), worker))


@kernel
def _multiply_backward(product: Product, j: Int, n_features: Int, n_before: Int):
    """Compute the gradient of the weights of features from `j` on, which `n_before` kept ones precede."""
    n_out, stretch = product.n_out, _stretch(product)
    n_rows = ints(product.row_starts)[product.n_samples]
    d_weight = at(reals(product.d_weight), j * n_out)
    for row in range(0, n_rows, _BLOCK):
        left, below = at(_kept(product, row), n_before), at(reals(product.d_out), row * n_out)
        n_terms = min(n_rows - row, _BLOCK)
        matmul(left, 1, product.kept_width, below, n_out, d_weight, n_out, n_features, n_terms, n_out, row == 0)
    for i in range(n_features * n_out):
        d_weight[i] *= stretch


@kernel
def _token(product: Product, sample: Int, row: Int) -> Reals:
    """Give the features of a row of the batch, which is of this sample or lies behind it."""
    place = ints(product.token_starts)[sample] + row - ints(product.row_starts)[sample]
    return at(reals(product.tokens), place * product.width)


@kernel
def _kept(product: Product, row: Int) -> Reals:
    """Give what is kept of a row of the batch."""
    return at(reals(product.kept), row * product.kept_width)


@kernel
def _following(product: Product, sample: Int) -> Int:
    """Give the next sample whose tokens do not lie right behind those of the one before it, or how many there are."""
    places, begins = ints(product.token_starts), ints(product.row_starts)
    apart, sample = places[sample] - begins[sample], sample + 1
    while sample < product.n_samples and places[sample] - begins[sample] == apart:
        sample += 1
    return sample


@kernel
def _stretch(product: Product) -> Real:
    """Give what features that are left are multiplied by, in place of those that are dropped."""
    return real(PROBABILITY_UNIT) / real(PROBABILITY_UNIT - product.rate)


@kernel
def _runs(product: Product, worker: Int) -> Ints:
    """Give how many runs of features are left, and where each begins and ends."""
    width, rate, was_kept = product.width, product.rate, False
    runs = at(ints(product.runs), worker * (width // DROPPED + 4))
    begin = drawing_of(product.seed, product.update, 0, FEATURE_SITE)
    runs[0] = 0
    for j in range(0, width, DROPPED):
        is_kept = (mix(begin + j // DROPPED) & (PROBABILITY_UNIT - 1)) >= rate
        if is_kept:
            if not was_kept:
                runs[2 * runs[0] + 1] = j
                runs[0] += 1
            runs[2 * runs[0]] = min(j + DROPPED, width)
        was_kept = is_kept
    return runs
