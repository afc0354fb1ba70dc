"""From the gradients of a batch's shares to moved parameters: their sum and size, Adam's step, transposed matrices."""

import math

import numpy as np

from . import parallel
from .jit import Int, doubles, ints, kernel, real, reals
from .matmul import transpose
from .record import Record
from .reduce import add_squares
from .simd import at

# Parameters that one item works on.
BLOCK = 4096
# Its `name` takes NumPy longer than all of Adam's step takes a small network.
_PRECISIONS = {"f": "float32", "d": "float64"}

Sum = Record("gradients", "n_shares", "size", "total")
Turn = Record("weights", "transposed", "matrices")
Matrix = Record("offset", "n_rows", "n_columns")
_Squares = Record("vector", "size", "sums")
_Adam = Record(
    *("parameters", "gradient", "mean", "mean_square", "size", "n_decayed"),
    doubles=("keep_mean", "keep_square", "epsilon", "rate", "shrink"),
)
_N_MATRIX = len(Matrix)


@kernel
def sum_item(add: Sum, item: Int, worker: Int):
    """Add up a block of the gradients of all shares, in their order."""
    size, n_shares = add.size, add.n_shares
    first, n = item * BLOCK, min((item + 1) * BLOCK, size) - item * BLOCK
    gradients, total = at(reals(add.gradients), first), at(reals(add.total), first)
    for i in range(n):
        total[i] = real(0)
    for share in range(n_shares):
        gradient = at(gradients, share * size)
        for i in range(n):
            total[i] += gradient[i]


@kernel
def turn_item(turn: Turn, item: Int, worker: Int):
    """Transpose one matrix."""
    matrix = Matrix(at(ints(turn.matrices), _N_MATRIX * item))
    n_rows, n_columns = matrix.n_rows, matrix.n_columns
    source, target = at(reals(turn.weights), matrix.offset), at(reals(turn.transposed), matrix.offset)
    transpose(source, n_columns, n_rows, n_columns, target, n_rows, n_rows, real(1))


@kernel
def _square_item(squares: _Squares, item: Int, worker: Int):
    """Add up the squares of a block in double precision: those of float32 overflow early."""
    first, last, sums = item * BLOCK, min((item + 1) * BLOCK, squares.size), doubles(squares.sums)
    sums[item] = add_squares(at(reals(squares.vector), first), last - first)


@kernel
def _adam_item(adam: _Adam, item: Int, worker: Int):
    """Update both averages of a block and step along their ratio, in one pass."""
    first, last = item * BLOCK, min((item + 1) * BLOCK, adam.size)
    parameters, gradient = at(reals(adam.parameters), first), at(reals(adam.gradient), first)
    mean, mean_square = at(reals(adam.mean), first), at(reals(adam.mean_square), first)
    keep_mean, keep_square, epsilon = real(adam.keep_mean), real(adam.keep_square), real(adam.epsilon)
    rest_mean, rest_square = real(1 - adam.keep_mean), real(1 - adam.keep_square)
    rate, shrink = real(adam.rate), real(adam.shrink)
    n_shrunk = min(max(adam.n_decayed - first, 0), last - first)
    for i in range(n_shrunk):
        parameters[i] *= shrink
    for i in range(last - first):
        slope = gradient[i]
        mean[i] = keep_mean * mean[i] + rest_mean * slope
        mean_square[i] = keep_square * mean_square[i] + rest_square * slope * slope
        parameters[i] -= rate * mean[i] / (math.sqrt(mean_square[i]) + epsilon)


def norm(vector):
    """Give the Euclidean norm of a vector, added up in one order whatever the threads, in float64."""
    n_items = -(-vector.size // BLOCK)
    sums = np.empty(n_items)
    arguments = _Squares.new(vector=parallel.address(vector), size=vector.size, sums=parallel.address(sums))
    parallel.run(_square_item, _PRECISIONS[vector.dtype.char], arguments, n_items, 1)
    return math.sqrt(math.fsum(sums)) if np.isfinite(sums).all() else float(sums.sum())


def adam(parameters, gradient, mean, mean_square, *, keep_mean, keep_square, epsilon, rate, shrink, n_decayed):
    """Take Adam's step: every vector of shape (n_parameters,), all but `gradient` changed in place.

    Parameters
    ----------
    parameters, gradient, mean, mean_square : ndarray of shape (n_parameters,)
    keep_mean, keep_square : float
        Shares of the averages that stay.
    epsilon, rate : float
        ``parameters -= rate * mean / (sqrt(mean_square) + epsilon)``; bias corrections are the caller's.
    shrink : float
        What the first `n_decayed` parameters are multiplied by before.
    n_decayed : int
    """
    arguments = _Adam.new(
        parameters=parallel.address(parameters),
        gradient=parallel.address(gradient),
        mean=parallel.address(mean),
        mean_square=parallel.address(mean_square),
        size=parameters.size,
        n_decayed=n_decayed,
        keep_mean=keep_mean,
        keep_square=keep_square,
        epsilon=epsilon,
        rate=rate,
        shrink=shrink,
    )
    parallel.run(_adam_item, _PRECISIONS[parameters.dtype.char], arguments, -(-parameters.size // BLOCK), 1)
