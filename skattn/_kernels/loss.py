"""What is made small: the loss of one sequence, and its gradient.

The call has the target of the sequence and its weight. The forward kernels put the unweighted loss into their slot, the
backward kernels begin the gradient of the outputs with the weighted one. The loss is one row, so a part of a sequence
has all of the work or none.

Outputs have one row, or one for each step. Then each row of the target ends with the share that it has in the loss: 0
where a step has no label.
"""

import math

from .jit import Int, Real, Reals, ints, kernel, real, reals
from .lookup import code_row, raw
from .operation import LEARN, PROBABILITY_UNIT, TRANSFORM, Call, Kind, d_slot, slot
from .random import hides
from .record import Record
from .simd import at

_SlotRow = Record("source", "target", "n_outputs")
# `has_shares`: whether rows of the target end with a share.
_Row = Record(*_SlotRow.names, "has_shares")
# `smoothing`: share of a label that is spread over all of them, in PROBABILITY_UNIT parts.
_SmoothedRow = Record(*_Row.names, "smoothing")
# `input` has the numbers, `columns` numbers the constant that says where they stand among the `n_columns` of a step;
# `n_features` share the loss of a step.
_ReconstructionRow = Record(*_SlotRow.names, "input", "width", "columns", "n_columns", "n_features", "fraction")
# The outputs of a category begin at `first`, one for each code.
_CategoryRow = Record(*_SlotRow.names, "first", "codes", "n_codes", "column", "n_columns", "n_features", "fraction")
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
def reconstruction_forward(row: _ReconstructionRow, call: Call):
    """Compute half the squared difference from the numbers that were hidden: the mean over hidden steps and features.

    What is missing has no difference. Features that are categories add theirs.
    """
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, width, fraction, n_steps = row.n_outputs, row.width, row.fraction, ints(call.rows)[row.source]
    all_outputs, all_wanted = slot(call, row.source), slot(call, row.input)
    columns = ints(ints(call.constants)[row.columns])
    total = real(0)
    for t in range(n_steps):
        if hides(call, t, fraction):
            outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, t * width)
            begin = (call.begin + t) * row.n_columns
            for j in range(width):
                if not math.isnan(raw(call, begin + columns[j])):
                    total += (outputs[j] - wanted[j]) * (outputs[j] - wanted[j])
    loss = slot(call, row.target)
    loss[0] = real(0.5) * total / real(_n_hidden(row.source, fraction, call) * row.n_features)


@kernel
def reconstruction_backward(row: _ReconstructionRow, call: Call):
    """Give the difference at hidden steps, weighted, and 0 elsewhere."""
    if call.last == 0:
        return
    n_outputs, width, fraction, n_steps = row.n_outputs, row.width, row.fraction, ints(call.rows)[row.source]
    all_outputs, all_wanted, d_all = slot(call, row.source), slot(call, row.input), d_slot(call, row.source)
    columns = ints(ints(call.constants)[row.columns])
    factor = reals(call.weight)[0] / real(_n_hidden(row.source, fraction, call) * row.n_features)
    for t in range(n_steps):
        outputs, wanted, d_outputs = at(all_outputs, t * n_outputs), at(all_wanted, t * width), at(d_all, t * n_outputs)
        is_hidden, begin = hides(call, t, fraction), (call.begin + t) * row.n_columns
        for j in range(width):
            is_there = is_hidden != 0 and not math.isnan(raw(call, begin + columns[j]))
            d_outputs[j] = factor * (outputs[j] - wanted[j]) if is_there else real(0)


RECONSTRUCTION = Kind("reconstruction", reconstruction_forward, reconstruction_backward, _ReconstructionRow)


@kernel
def category_forward(row: _CategoryRow, call: Call):
    """Add the cross-entropy of the codes that were hidden: the mean over hidden steps, the share of one feature."""
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, n_codes, fraction, n_steps = row.n_outputs, row.n_codes, row.fraction, ints(call.rows)[row.source]
    all_outputs, codes = at(slot(call, row.source), row.first), ints(call.constants)[row.codes]
    total = real(0)
    for t in range(n_steps):
        place = code_row(codes, n_codes, raw(call, (call.begin + t) * row.n_columns + row.column))
        if place and hides(call, t, fraction):
            outputs = at(all_outputs, t * n_outputs)
            total += _log_sum(outputs, n_codes) - outputs[place - 1]
    loss = slot(call, row.target)
    loss[0] += total / real(_n_hidden(row.source, fraction, call) * row.n_features)


@kernel
def category_backward(row: _CategoryRow, call: Call):
    """Give ``softmax(outputs) - onehot(code)`` at hidden steps, weighted, and 0 elsewhere."""
    if call.last == 0:
        return
    n_outputs, n_codes, fraction, n_steps = row.n_outputs, row.n_codes, row.fraction, ints(call.rows)[row.source]
    codes = ints(call.constants)[row.codes]
    all_outputs, d_all = at(slot(call, row.source), row.first), at(d_slot(call, row.source), row.first)
    factor = reals(call.weight)[0] / real(_n_hidden(row.source, fraction, call) * row.n_features)
    for t in range(n_steps):
        outputs, d_outputs = at(all_outputs, t * n_outputs), at(d_all, t * n_outputs)
        place = code_row(codes, n_codes, raw(call, (call.begin + t) * row.n_columns + row.column))
        if place and hides(call, t, fraction):
            level = _log_sum(outputs, n_codes)
            for k in range(n_codes):
                d_outputs[k] = factor * math.exp(outputs[k] - level)
            d_outputs[place - 1] -= factor
        else:
            for k in range(n_codes):
                d_outputs[k] = real(0)


# It begins the gradient of outputs that no other operation reads.
CATEGORY = Kind("category", category_forward, category_backward, _CategoryRow, reads=())


@kernel
def _log_sum(outputs: Reals, n: Int) -> Real:
    """Give the logarithm of the sum of exponentials."""
    largest, total = outputs[0], real(0)
    for k in range(n):
        largest = max(largest, outputs[k])
    for k in range(n):
        total += math.exp(outputs[k] - largest)
    return math.log(total) + largest


@kernel
def _n_hidden(source: Int, fraction: Int, call: Call) -> Int:
    """Count the hidden steps of a sequence; 1 for none, which happens only where the loss is of no interest."""
    count = 0
    for t in range(ints(call.rows)[source]):
        if hides(call, t, fraction):
            count += 1
    return max(count, 1)
