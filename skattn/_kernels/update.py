"""From the gradients of a batch's shares to moved parameters: their sum and size, an optimiser's step, transposes."""

import math

from .jit import Double, Int, Reals, doubles, ints, kernel, real, reals
from .matmul import transpose
from .record import Record
from .reduce import add_squares
from .simd import at

# Parameters that one item works on.
BLOCK = 4096

Sum = Record("gradients", "n_shares", "size", "total")
Turn = Record("weights", "transposed", "matrices")
Matrix = Record("offset", "n_rows", "n_columns")
Squares = Record("vector", "size", "sums")
Judgement = Record(
    # Sums of squares of the gradient; loss and weight of each sequence of the batch.
    *("sums", "n_sums", "losses", "weights", "n_losses"),
    # What came of it: the loss of the batch, the norm, what the gradient is multiplied by, updates so far, and the end.
    *("loss", "norm", "factor", "n_done", "stop"),
    doubles=("most",),
)
"""What `judge_item` is told."""

_MOVED = ("parameters", "gradient", "factor", "size", "n_decayed")
AdamStep = Record(
    *(*_MOVED, "mean", "mean_square"),
    doubles=("keep_mean", "keep_square", "epsilon", "rate", "shrink", "penalty"),
)
SGDStep = Record(*(*_MOVED, "velocity"), doubles=("momentum", "rate", "penalty"))
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
def square_item(squares: Squares, item: Int, worker: Int):
    """Add up the squares of a block in double precision: those of float32 overflow early."""
    first, last, sums = item * BLOCK, min((item + 1) * BLOCK, squares.size), doubles(squares.sums)
    sums[item] = add_squares(at(reals(squares.vector), first), last - first)


@kernel
def judge_item(judgement: Judgement, item: Int, worker: Int):
    """Weigh a batch's losses, and say what its gradient is to be multiplied by: so that its norm is at most `most`.

    Where either is not finite nothing is moved any more (Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, Algorithm 1).
    """
    losses, weights, sums, loss = reals(judgement.losses), doubles(judgement.weights), doubles(judgement.sums), 0.0
    for i in range(judgement.n_losses):
        loss += losses[i] * weights[i]
    # What rounding takes from the sum of squares is added up as well (Knuth, TAOCP 2, section 4.2.2, Theorem B).
    total, lost = 0.0, 0.0
    for i in range(judgement.n_sums):
        after = total + sums[i]
        added = after - total
        lost += (total - (after - added)) + (sums[i] - added)
        total = after
    norm, most = math.sqrt(total + lost if math.isfinite(total) else total), judgement.most
    doubles(judgement.loss)[0], doubles(judgement.norm)[0] = loss, norm
    if math.isfinite(loss) and math.isfinite(norm):
        doubles(judgement.factor)[0] = most / norm if norm > most else 1.0
        ints(judgement.n_done)[0] += 1
    else:
        ints(judgement.stop)[0] = 1


@kernel
def adam_item(adam: AdamStep, item: Int, worker: Int):
    """Update both averages of a block and step along their ratio, in one pass."""
    first, last = item * BLOCK, min((item + 1) * BLOCK, adam.size)
    parameters, gradient = at(reals(adam.parameters), first), at(reals(adam.gradient), first)
    mean, mean_square = at(reals(adam.mean), first), at(reals(adam.mean_square), first)
    keep_mean, keep_square, epsilon = real(adam.keep_mean), real(adam.keep_square), real(adam.epsilon)
    rest_mean, rest_square = real(1 - adam.keep_mean), real(1 - adam.keep_square)
    rate, shrink, n_decayed = real(adam.rate), real(adam.shrink), min(max(adam.n_decayed - first, 0), last - first)
    _prepare(parameters, gradient, last - first, n_decayed, doubles(adam.factor)[0], adam.penalty)
    for i in range(n_decayed):
        parameters[i] *= shrink
    for i in range(last - first):
        slope = gradient[i]
        mean[i] = keep_mean * mean[i] + rest_mean * slope
        mean_square[i] = keep_square * mean_square[i] + rest_square * slope * slope
        parameters[i] -= rate * mean[i] / (math.sqrt(mean_square[i]) + epsilon)
    if adam.penalty != 0.0:
        # Where the gradient was 0 it is 0 again.
        for i in range(n_decayed):
            gradient[i] = real(0)


@kernel
def sgd_item(sgd: SGDStep, item: Int, worker: Int):
    """Accelerate a block, then move it to where the momentum will have carried it."""
    first, last = item * BLOCK, min((item + 1) * BLOCK, sgd.size)
    parameters, gradient = at(reals(sgd.parameters), first), at(reals(sgd.gradient), first)
    velocity, momentum, rate = at(reals(sgd.velocity), first), real(sgd.momentum), real(sgd.rate)
    n_decayed = min(max(sgd.n_decayed - first, 0), last - first)
    _prepare(parameters, gradient, last - first, n_decayed, doubles(sgd.factor)[0], sgd.penalty)
    for i in range(last - first):
        slope = rate * gradient[i]
        velocity[i] = momentum * velocity[i] - slope
        parameters[i] += momentum * velocity[i] - slope
    if sgd.penalty != 0.0:
        # Where the gradient was 0 it is 0 again.
        for i in range(n_decayed):
            gradient[i] = real(0)


@kernel
def _prepare(parameters: Reals, gradient: Reals, n: Int, n_decayed: Int, factor: Double, penalty: Double):
    """Shorten a gradient, and add that of ``penalty / 2 * sum(parameters[:n_decayed] ** 2)``."""
    if factor != 1.0:
        for i in range(n):
            gradient[i] *= real(factor)
    if penalty != 0.0:
        for i in range(n_decayed):
            gradient[i] += real(penalty) * parameters[i]
