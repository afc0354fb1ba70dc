"""What is made small: the loss of one sequence, and its gradient.

The call has the target of the sequence and its weight. The forward kernels put the unweighted loss into their slot, the
backward kernels begin the gradient of the outputs with the weighted one. The loss is one row, so a part of a sequence
has all of the work or none.

Outputs have one row, or one for each step. Then each row of the target ends with the share that it has in the loss: 0
where a step has no label.
"""

import math

from .jit import Real, ints, kernel, real, reals
from .operation import LEARN, PROBABILITY_UNIT, TRANSFORM, Call, Kind, d_slot, slot
from .record import Record
from .simd import at

# `has_shares`: whether rows of the target end with a share.
_Row = Record("source", "target", "n_outputs", "has_shares")
# `smoothing`: share of a label that is spread over all of them, in PROBABILITY_UNIT parts.
_SmoothedRow = Record(*_Row.names, "smoothing")
# `levels` numbers the constant that holds the `n_levels` quantiles of each value.
_QuantileRow = Record(*_Row.names, "levels", "n_levels")
# Deviations of the target beyond which Huber's loss grows along a line: 95 % as efficient as the mean where errors are
# normal and of that deviation, as scikit-learn says of its `HuberRegressor`, which has the same default.
HUBER_BEND = 1.35


@kernel
def _smoothing(row: _SmoothedRow, call: Call) -> Real:
    """Give the share of a label that is spread; none but while learning."""
    return real(row.smoothing) / real(PROBABILITY_UNIT) if call.purpose == LEARN else real(0)


@kernel
def cross_entropy_forward(row: _SmoothedRow, call: Call):
    """Compute ``log(sum(exp(outputs))) - outputs[label]``; a share of the label is that of all classes alike."""
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, has_shares, smoothing = row.n_outputs, row.has_shares, _smoothing(row, call)
    all_outputs, all_wanted, loss = slot(call, row.source), reals(call.wanted), slot(call, row.target)
    loss[0] = real(0)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (1 + has_shares))
        share = wanted[1] if has_shares else real(1)
        largest = outputs[0]
        for k in range(n_outputs):
            largest = max(largest, outputs[k])
        total, spread = real(0), real(0)
        for k in range(n_outputs):
            total += math.exp(outputs[k] - largest)
            spread += outputs[k] - outputs[int(wanted[0])]
        loss[0] += share * (math.log(total) + largest - outputs[int(wanted[0])] - smoothing / real(n_outputs) * spread)


@kernel
def cross_entropy_backward(row: _SmoothedRow, call: Call):
    """Give ``softmax(outputs) - onehot(label)``, weighted; a share of the label is spread."""
    if call.last == 0:
        return
    n_outputs, has_shares, smoothing = row.n_outputs, row.has_shares, _smoothing(row, call)
    all_outputs, all_wanted, d_all = slot(call, row.source), reals(call.wanted), d_slot(call, row.source)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (1 + has_shares))
        d_outputs, weight = at(d_all, t * n_outputs), reals(call.weight)[0] * (wanted[1] if has_shares else real(1))
        largest = outputs[0]
        for k in range(n_outputs):
            largest = max(largest, outputs[k])
        total = real(0)
        for k in range(n_outputs):
            d_outputs[k] = math.exp(outputs[k] - largest)
            total += d_outputs[k]
        for k in range(n_outputs):
            d_outputs[k] = d_outputs[k] * (weight / total) - smoothing / real(n_outputs) * weight
        d_outputs[int(wanted[0])] -= (real(1) - smoothing) * weight


CROSS_ENTROPY = Kind("cross_entropy", cross_entropy_forward, cross_entropy_backward, _SmoothedRow)


@kernel
def squared_error_forward(row: _Row, call: Call):
    """Compute half the mean over outputs of the squared difference."""
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, has_shares = row.n_outputs, row.has_shares
    all_outputs, all_wanted, loss = slot(call, row.source), reals(call.wanted), slot(call, row.target)
    loss[0] = real(0)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (n_outputs + has_shares))
        total = real(0)
        for k in range(n_outputs):
            total += (outputs[k] - wanted[k]) * (outputs[k] - wanted[k])
        loss[0] += (wanted[n_outputs] if has_shares else real(1)) * (real(0.5) * total / real(n_outputs))


@kernel
def squared_error_backward(row: _Row, call: Call):
    """Give the difference, weighted."""
    if call.last == 0:
        return
    n_outputs, has_shares = row.n_outputs, row.has_shares
    all_outputs, all_wanted, d_all = slot(call, row.source), reals(call.wanted), d_slot(call, row.source)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (n_outputs + has_shares))
        d_outputs, share = at(d_all, t * n_outputs), wanted[n_outputs] if has_shares else real(1)
        factor = reals(call.weight)[0] * share / real(n_outputs)
        for k in range(n_outputs):
            d_outputs[k] = factor * (outputs[k] - wanted[k])


SQUARED_ERROR = Kind("squared_error", squared_error_forward, squared_error_backward, _Row)


@kernel
def absolute_error_forward(row: _Row, call: Call):
    """Compute the mean over outputs of the difference's size."""
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, has_shares = row.n_outputs, row.has_shares
    all_outputs, all_wanted, loss = slot(call, row.source), reals(call.wanted), slot(call, row.target)
    loss[0] = real(0)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (n_outputs + has_shares))
        total = real(0)
        for k in range(n_outputs):
            total += abs(outputs[k] - wanted[k])
        loss[0] += (wanted[n_outputs] if has_shares else real(1)) * (total / real(n_outputs))


@kernel
def absolute_error_backward(row: _Row, call: Call):
    """Give the difference's sign, weighted."""
    if call.last == 0:
        return
    n_outputs, has_shares = row.n_outputs, row.has_shares
    all_outputs, all_wanted, d_all = slot(call, row.source), reals(call.wanted), d_slot(call, row.source)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (n_outputs + has_shares))
        d_outputs, share = at(d_all, t * n_outputs), wanted[n_outputs] if has_shares else real(1)
        factor = reals(call.weight)[0] * share / real(n_outputs)
        for k in range(n_outputs):
            difference = outputs[k] - wanted[k]
            # What is not a number is its own sign, lest it pass unnoticed.
            d_outputs[k] = factor if difference > real(0) else -factor if difference < real(0) else factor * difference


ABSOLUTE_ERROR = Kind("absolute_error", absolute_error_forward, absolute_error_backward, _Row)


@kernel
def huber_forward(row: _Row, call: Call):
    """Compute the mean over outputs of half the squared difference, which grows along a line beyond `HUBER_BEND`."""
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, has_shares, bend = row.n_outputs, row.has_shares, real(HUBER_BEND)
    all_outputs, all_wanted, loss = slot(call, row.source), reals(call.wanted), slot(call, row.target)
    loss[0] = real(0)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (n_outputs + has_shares))
        total = real(0)
        for k in range(n_outputs):
            size = abs(outputs[k] - wanted[k])
            total += bend * (size - real(0.5) * bend) if size > bend else real(0.5) * size * size
        loss[0] += (wanted[n_outputs] if has_shares else real(1)) * (total / real(n_outputs))


@kernel
def huber_backward(row: _Row, call: Call):
    """Give the difference, no further than `HUBER_BEND`, weighted."""
    if call.last == 0:
        return
    n_outputs, has_shares, bend = row.n_outputs, row.has_shares, real(HUBER_BEND)
    all_outputs, all_wanted, d_all = slot(call, row.source), reals(call.wanted), d_slot(call, row.source)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (n_outputs + has_shares))
        d_outputs, share = at(d_all, t * n_outputs), wanted[n_outputs] if has_shares else real(1)
        factor = reals(call.weight)[0] * share / real(n_outputs)
        for k in range(n_outputs):
            difference = outputs[k] - wanted[k]
            difference = bend if difference > bend else -bend if difference < -bend else difference
            d_outputs[k] = factor * difference


HUBER = Kind("huber", huber_forward, huber_backward, _Row)


@kernel
def binary_cross_entropy_forward(row: _SmoothedRow, call: Call):
    """Compute the mean over outputs of ``log(1 + exp(output)) - label * output``."""
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, has_shares, smoothing = row.n_outputs, row.has_shares, _smoothing(row, call)
    all_outputs, all_wanted, loss = slot(call, row.source), reals(call.wanted), slot(call, row.target)
    loss[0] = real(0)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (n_outputs + has_shares))
        total = real(0)
        for k in range(n_outputs):
            output = outputs[k]
            label = (real(1) - smoothing) * wanted[k] + real(0.5) * smoothing
            # exp of what is not positive cannot overflow.
            total += max(output, real(0)) - output * label + math.log1p(math.exp(-abs(output)))
        loss[0] += (wanted[n_outputs] if has_shares else real(1)) * (total / real(n_outputs))


@kernel
def binary_cross_entropy_backward(row: _SmoothedRow, call: Call):
    """Give ``sigmoid(outputs) - labels``, weighted."""
    if call.last == 0:
        return
    n_outputs, has_shares, smoothing = row.n_outputs, row.has_shares, _smoothing(row, call)
    all_outputs, all_wanted, d_all = slot(call, row.source), reals(call.wanted), d_slot(call, row.source)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (n_outputs + has_shares))
        d_outputs, share = at(d_all, t * n_outputs), wanted[n_outputs] if has_shares else real(1)
        factor = reals(call.weight)[0] * share / real(n_outputs)
        for k in range(n_outputs):
            label = (real(1) - smoothing) * wanted[k] + real(0.5) * smoothing
            small = math.exp(-abs(outputs[k]))
            sigmoid = real(1) / (real(1) + small) if outputs[k] >= real(0) else small / (real(1) + small)
            d_outputs[k] = factor * (sigmoid - label)


BINARY_CROSS_ENTROPY = Kind(
    "binary_cross_entropy", binary_cross_entropy_forward, binary_cross_entropy_backward, _SmoothedRow
)


@kernel
def poisson_forward(row: _Row, call: Call):
    """Compute the mean over outputs of ``exp(output) - count * output``, outputs being logarithms of rates."""
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, has_shares = row.n_outputs, row.has_shares
    all_outputs, all_wanted, loss = slot(call, row.source), reals(call.wanted), slot(call, row.target)
    loss[0] = real(0)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (n_outputs + has_shares))
        total = real(0)
        for k in range(n_outputs):
            total += math.exp(outputs[k]) - wanted[k] * outputs[k]
        loss[0] += (wanted[n_outputs] if has_shares else real(1)) * (total / real(n_outputs))


@kernel
def poisson_backward(row: _Row, call: Call):
    """Give the rate less the count, weighted."""
    if call.last == 0:
        return
    n_outputs, has_shares = row.n_outputs, row.has_shares
    all_outputs, all_wanted, d_all = slot(call, row.source), reals(call.wanted), d_slot(call, row.source)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (n_outputs + has_shares))
        d_outputs, share = at(d_all, t * n_outputs), wanted[n_outputs] if has_shares else real(1)
        factor = reals(call.weight)[0] * share / real(n_outputs)
        for k in range(n_outputs):
            d_outputs[k] = factor * (math.exp(outputs[k]) - wanted[k])


POISSON = Kind("poisson", poisson_forward, poisson_backward, _Row)


@kernel
def quantile_forward(row: _QuantileRow, call: Call):
    """Compute the mean over outputs of the distance to the value: times the level below it, times the rest above."""
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, has_shares, n_levels = row.n_outputs, row.has_shares, row.n_levels
    all_outputs, all_wanted, loss = slot(call, row.source), reals(call.wanted), slot(call, row.target)
    levels, n_values = reals(ints(call.constants)[row.levels]), n_outputs // n_levels
    loss[0] = real(0)
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (n_values + has_shares))
        total = real(0)
        for k in range(n_outputs):
            missing, level = wanted[k // n_levels] - outputs[k], levels[k % n_levels]
            total += level * missing if missing > real(0) else (level - real(1)) * missing
        loss[0] += (wanted[n_values] if has_shares else real(1)) * (total / real(n_outputs))


@kernel
def quantile_backward(row: _QuantileRow, call: Call):
    """Give the level, taken off where an output is below the value, and the rest of it above, weighted."""
    if call.last == 0:
        return
    n_outputs, has_shares, n_levels = row.n_outputs, row.has_shares, row.n_levels
    all_outputs, all_wanted, d_all = slot(call, row.source), reals(call.wanted), d_slot(call, row.source)
    levels, n_values = reals(ints(call.constants)[row.levels]), n_outputs // n_levels
    for t in range(ints(call.rows)[row.source]):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * (n_values + has_shares))
        d_outputs, share = at(d_all, t * n_outputs), wanted[n_values] if has_shares else real(1)
        factor = reals(call.weight)[0] * share / real(n_outputs)
        for k in range(n_outputs):
            missing, level = wanted[k // n_levels] - outputs[k], levels[k % n_levels]
            slope = -level if missing > real(0) else real(1) - level if missing < real(0) else missing
            d_outputs[k] = factor * slope


# What each output is a quantile at: those of a value stand together.
QUANTILE = Kind("quantile", quantile_forward, quantile_backward, _QuantileRow)
