"""From the gradients of a batch's shares to moved parameters: their sum and size, Adam's step, transposed matrices."""

import math

import numpy as np

from . import parallel
from .jit import Int, Ints, doubles, ints, kernel, real, reals
from .matmul import transpose
from .reduce import add_squares
from .simd import at

# Parameters that one item works on.
BLOCK = 4096
SUM_GRADIENTS, SUM_SHARES, SUM_WEIGHTS, SUM_TOTAL, N_SUM_ARGUMENTS = range(5)
TURN_WEIGHTS, TURN_TRANSPOSED, TURN_MATRICES, N_TURN_ARGUMENTS = range(4)
_SQUARE_VECTOR, _SQUARE_SIZE, _SQUARE_SUMS, _N_SQUARE_ARGUMENTS = range(4)
# Its `name` takes NumPy longer than all of Adam's step takes a small network.
_PRECISIONS = {"f": "float32", "d": "float64"}
_PARAMETERS, _GRADIENT, _MEAN, _MEAN_SQUARE, _SIZE, _N_DECAYED, _NUMBERS, _N_ADAM_ARGUMENTS = range(8)


@kernel
def sum_item(arguments: Ints, item: Int, worker: Int):
    """Add up a block of the gradients of all shares, in their order."""
    n_weights = arguments[SUM_WEIGHTS]
    first, last = item * BLOCK, min((item + 1) * BLOCK, n_weights)
    gradients, total = reals(arguments[SUM_GRADIENTS]), at(reals(arguments[SUM_TOTAL]), first)
    for i in range(last - first):
        total[i] = real(0)
    for share in range(arguments[SUM_SHARES]):
        gradient = at(gradients, share * n_weights + first)
        for i in range(last - first):
            total[i] += gradient[i]


@kernel
def turn_item(arguments: Ints, item: Int, worker: Int):
    """Transpose one matrix; `matrices` [n_matrices, 3] are (offset, rows, columns)."""
    matrix = at(ints(arguments[TURN_MATRICES]), 3 * item)
    offset, n_rows, n_columns = matrix[0], matrix[1], matrix[2]
    source, target = at(reals(arguments[TURN_WEIGHTS]), offset), at(reals(arguments[TURN_TRANSPOSED]), offset)
    transpose(source, n_columns, n_rows, n_columns, target, n_rows, n_rows, real(1))


@kernel
def _square_item(arguments: Ints, item: Int, worker: Int):
    """Add up the squares of a block in double precision: those of float32 overflow early."""
    first, last = item * BLOCK, min((item + 1) * BLOCK, arguments[_SQUARE_SIZE])
    sums = doubles(arguments[_SQUARE_SUMS])
    sums[item] = add_squares(at(reals(arguments[_SQUARE_VECTOR]), first), last - first)


@kernel
def _adam_item(arguments: Ints, item: Int, worker: Int):
    """Update both averages of a block and step along their ratio, in one pass."""
    first, last = item * BLOCK, min((item + 1) * BLOCK, arguments[_SIZE])
    parameters, gradient = at(reals(arguments[_PARAMETERS]), first), at(reals(arguments[_GRADIENT]), first)
    mean, mean_square = at(reals(arguments[_MEAN]), first), at(reals(arguments[_MEAN_SQUARE]), first)
    numbers = doubles(arguments[_NUMBERS])
    keep_mean, keep_square, epsilon = real(numbers[0]), real(numbers[1]), real(numbers[2])
    rest_mean, rest_square = real(1 - numbers[0]), real(1 - numbers[1])
    rate, shrink = real(numbers[3]), real(numbers[4])
    n_shrunk = min(max(arguments[_N_DECAYED] - first, 0), last - first)
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
    arguments = np.zeros(_N_SQUARE_ARGUMENTS, np.int64)
    arguments[:] = parallel.address(vector), vector.size, parallel.address(sums)
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
    numbers = np.array([keep_mean, keep_square, epsilon, rate, shrink])
    vectors = (parameters, gradient, mean, mean_square)
    arguments = np.array(
        [*map(parallel.address, vectors), parameters.size, n_decayed, parallel.address(numbers)], np.int64
    )
    parallel.run(_adam_item, _PRECISIONS[parameters.dtype.char], arguments, -(-parameters.size // BLOCK), 1)
