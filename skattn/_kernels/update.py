"""From the gradients of a batch's shares to the next step: their sum, and the matrices' transposes."""

from .jit import Int, Ints, ints, kernel, real, reals
from .matmul import transpose
from .simd import at

# Parameters that one item works on.
BLOCK = 4096
SUM_GRADIENTS, SUM_SHARES, SUM_WEIGHTS, SUM_TOTAL, N_SUM_ARGUMENTS = range(5)
TURN_WEIGHTS, TURN_TRANSPOSED, TURN_MATRICES, N_TURN_ARGUMENTS = range(4)


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
