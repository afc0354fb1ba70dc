"""The loss of steps that are told from others: numbers by their difference, codes by cross-entropy.

They were hidden, and are told from those around them; or they are some `ahead`, and are told from those before.
"""

import math

from .jit import Int, Real, Reals, ints, kernel, real, reals
from .lookup import code_row, raw
from .operation import TRANSFORM, Call, Kind, d_slot, slot
from .random import hides
from .record import Record
from .simd import at

# `input` has the numbers, `columns` numbers the constant that says where they stand among the `n_columns` of a step;
# `n_features` share the loss of a step. An output tells the step that is so many `ahead`; its own, if hidden, for 0.
_AllRow = Record("source", "target", "n_outputs", "n_columns", "n_features", "fraction", "ahead")
_ReconstructionRow = Record(*_AllRow.names, "input", "width", "columns")
# The outputs of a category begin at `first`, one for each code.
_CategoryRow = Record(*_AllRow.names, "first", "codes", "n_codes", "column")


@kernel
def reconstruction_forward(row: _ReconstructionRow, call: Call):
    """Compute half the squared difference from the numbers that are told: the mean over told steps and features.

    What is missing has no difference. Features that are categories add theirs.
    """
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, width, fraction, ahead = row.n_outputs, row.width, row.fraction, row.ahead
    all_outputs, all_wanted = slot(call, row.source), slot(call, row.input)
    columns = ints(ints(call.constants)[row.columns])
    total = real(0)
    for t in range(call.n_steps):
        if _tells(call, t, fraction, ahead):
            outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, (t + ahead) * width)
            begin = (call.begin + t + ahead) * row.n_columns
            for j in range(width):
                if not math.isnan(raw(call, begin + columns[j])):
                    total += (outputs[j] - wanted[j]) * (outputs[j] - wanted[j])
    loss = slot(call, row.target)
    loss[0] = real(0.5) * total / real(_n_told(call, fraction, ahead) * row.n_features)


@kernel
def reconstruction_backward(row: _ReconstructionRow, call: Call):
    """Give the difference where a step is told, weighted, and 0 elsewhere."""
    if call.last == 0:
        return
    n_outputs, width, fraction, ahead = row.n_outputs, row.width, row.fraction, row.ahead
    all_outputs, all_wanted, d_all = slot(call, row.source), slot(call, row.input), d_slot(call, row.source)
    columns = ints(ints(call.constants)[row.columns])
    factor = reals(call.weight)[0] / real(_n_told(call, fraction, ahead) * row.n_features)
    for t in range(call.n_steps):
        outputs, d_outputs = at(all_outputs, t * n_outputs), at(d_all, t * n_outputs)
        wanted, begin = at(all_wanted, (t + ahead) * width), (call.begin + t + ahead) * row.n_columns
        is_told = _tells(call, t, fraction, ahead)
        for j in range(width):
            is_there = is_told != 0 and not math.isnan(raw(call, begin + columns[j]))
            d_outputs[j] = factor * (outputs[j] - wanted[j]) if is_there else real(0)


RECONSTRUCTION = Kind("reconstruction", reconstruction_forward, reconstruction_backward, _ReconstructionRow)


@kernel
def _place(row: _CategoryRow, call: Call, t: Int) -> Int:
    """Give the place of the code that the outputs of a step tell, from 1 on; 0 for none and for unknown ones."""
    if _tells(call, t, row.fraction, row.ahead) == 0:
        return 0
    code = raw(call, (call.begin + t + row.ahead) * row.n_columns + row.column)
    return code_row(ints(call.constants)[row.codes], row.n_codes, code)


@kernel
def category_forward(row: _CategoryRow, call: Call):
    """Add the cross-entropy of the codes that are told: the mean over told steps, the share of one feature."""
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, n_codes, fraction, ahead = row.n_outputs, row.n_codes, row.fraction, row.ahead
    all_outputs = at(slot(call, row.source), row.first)
    total = real(0)
    for t in range(call.n_steps):
        place = _place(row, call, t)
        if place:
            outputs = at(all_outputs, t * n_outputs)
            total += _log_sum(outputs, n_codes) - outputs[place - 1]
    loss = slot(call, row.target)
    loss[0] += total / real(_n_told(call, fraction, ahead) * row.n_features)


@kernel
def category_backward(row: _CategoryRow, call: Call):
    """Give ``softmax(outputs) - onehot(code)`` where a code is told, weighted, and 0 elsewhere."""
    if call.last == 0:
        return
    n_outputs, n_codes, fraction, ahead = row.n_outputs, row.n_codes, row.fraction, row.ahead
    all_outputs, d_all = at(slot(call, row.source), row.first), at(d_slot(call, row.source), row.first)
    factor = reals(call.weight)[0] / real(_n_told(call, fraction, ahead) * row.n_features)
    for t in range(call.n_steps):
        outputs, d_outputs = at(all_outputs, t * n_outputs), at(d_all, t * n_outputs)
        place = _place(row, call, t)
        if place:
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
def _tells(call: Call, t: Int, fraction: Int, ahead: Int) -> Int:
    """Give 1 where the outputs of a step are compared with what they should tell, 0 elsewhere."""
    if ahead:
        return 1 if t + ahead < call.n_steps else 0
    return hides(call, t, fraction)


@kernel
def _n_told(call: Call, fraction: Int, ahead: Int) -> Int:
    """Count the steps of a sequence that are told; 1 for none, which happens only where the loss is 0."""
    count = 0
    for t in range(call.n_steps):
        count += _tells(call, t, fraction, ahead)
    return max(count, 1)
