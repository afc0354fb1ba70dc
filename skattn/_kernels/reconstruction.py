"""The loss of steps that are told from others: numbers by their difference, codes by cross-entropy.

They were hidden, or single values of them, and are told from what is around them; or they are some `ahead`, and are
told from those before.
"""

import math

from .jit import Int, Real, Reals, ints, kernel, real, reals
from .lookup import code_row, raw
from .operation import TRANSFORM, Call, Kind, d_slot, slot
from .random import hides, hides_value
from .record import Record
from .simd import at

# `input` has the numbers, `columns` numbers the constant that says where they stand among the `n_columns` of a step,
# which share its loss. Outputs tell the step that is so many `ahead`; for 0 what is hidden of their own, by `fraction`
# and `share` (see `hides_value`).
_AllRow = Record("source", "target", "n_outputs", "n_columns", "fraction", "share", "ahead")
_ReconstructionRow = Record(*_AllRow.names, "input", "width", "columns")
# The outputs of a category begin at `first`, one for each code.
_CategoryRow = Record(*_AllRow.names, "first", "codes", "n_codes", "column")


@kernel
def reconstruction_forward(row: _ReconstructionRow, call: Call):
    """Compute half the squared difference from the numbers that are told: the mean over all that is told.

    What is missing has no difference. Features that are categories add theirs.
    """
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, n_columns, width, ahead = row.n_outputs, row.n_columns, row.width, row.ahead
    fraction, share = row.fraction, row.share
    all_outputs, all_wanted = slot(call, row.source), slot(call, row.input)
    columns = ints(ints(call.constants)[row.columns])
    total = real(0)
    for t in range(call.n_steps):
        outputs, wanted = at(all_outputs, t * n_outputs), at(all_wanted, (t + ahead) * width)
        for j in range(width):
            if _tells(call, t, columns[j], n_columns, fraction, share, ahead):
                total += (outputs[j] - wanted[j]) * (outputs[j] - wanted[j])
    loss = slot(call, row.target)
    loss[0] = real(0.5) * total / real(_n_told(call, n_columns, fraction, share, ahead))


@kernel
def reconstruction_backward(row: _ReconstructionRow, call: Call):
    """Give the difference where a number is told, weighted, and 0 elsewhere."""
    if call.last == 0:
        return
    n_outputs, n_columns, width, ahead = row.n_outputs, row.n_columns, row.width, row.ahead
    fraction, share = row.fraction, row.share
    all_outputs, all_wanted, d_all = slot(call, row.source), slot(call, row.input), d_slot(call, row.source)
    columns = ints(ints(call.constants)[row.columns])
    factor = reals(call.weight)[0] / real(_n_told(call, n_columns, fraction, share, ahead))
    for t in range(call.n_steps):
        outputs, d_outputs = at(all_outputs, t * n_outputs), at(d_all, t * n_outputs)
        wanted = at(all_wanted, (t + ahead) * width)
        for j in range(width):
            is_told = _tells(call, t, columns[j], n_columns, fraction, share, ahead)
            d_outputs[j] = factor * (outputs[j] - wanted[j]) if is_told else real(0)


RECONSTRUCTION = Kind("reconstruction", reconstruction_forward, reconstruction_backward, _ReconstructionRow)


@kernel
def _place(row: _CategoryRow, call: Call, t: Int) -> Int:
    """Give the place of the code that the outputs of a step tell, from 1 on; 0 for none and for unknown ones."""
    if _tells(call, t, row.column, row.n_columns, row.fraction, row.share, row.ahead) == 0:
        return 0
    code = raw(call, (call.begin + t + row.ahead) * row.n_columns + row.column)
    return code_row(ints(call.constants)[row.codes], row.n_codes, code)


@kernel
def category_forward(row: _CategoryRow, call: Call):
    """Add the cross-entropy of the codes that are told: the mean over all that is told."""
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    n_outputs, n_codes = row.n_outputs, row.n_codes
    n_told = _n_told(call, row.n_columns, row.fraction, row.share, row.ahead)
    all_outputs = at(slot(call, row.source), row.first)
    total = real(0)
    for t in range(call.n_steps):
        place = _place(row, call, t)
        if place:
            outputs = at(all_outputs, t * n_outputs)
            total += _log_sum(outputs, n_codes) - outputs[place - 1]
    loss = slot(call, row.target)
    loss[0] += total / real(n_told)


@kernel
def category_backward(row: _CategoryRow, call: Call):
    """Give ``softmax(outputs) - onehot(code)`` where a code is told, weighted, and 0 elsewhere."""
    if call.last == 0:
        return
    n_outputs, n_codes = row.n_outputs, row.n_codes
    n_told = _n_told(call, row.n_columns, row.fraction, row.share, row.ahead)
    all_outputs, d_all = at(slot(call, row.source), row.first), at(d_slot(call, row.source), row.first)
    factor = reals(call.weight)[0] / real(n_told)
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
def _tells(call: Call, t: Int, column: Int, n_columns: Int, fraction: Int, share: Int, ahead: Int) -> Int:
    """Give 1 where the outputs of a step are compared with a value; 0 elsewhere, and where there is none."""
    if ahead:
        if t + ahead >= call.n_steps:
            return 0
    elif hides_value(call, t, column, n_columns, fraction, share) == 0:
        return 0
    return 0 if math.isnan(raw(call, (call.begin + t + ahead) * n_columns + column)) else 1


@kernel
def _n_told(call: Call, n_columns: Int, fraction: Int, share: Int, ahead: Int) -> Int:
    """Count the values of a sequence that are told, or would be; not 0, which they are only where the loss is 0."""
    if ahead:
        return max(call.n_steps - ahead, 1) * n_columns
    count = 0
    for t in range(call.n_steps):
        if share == 0:
            count += n_columns * hides(call, t, fraction)
        else:
            for column in range(n_columns):
                count += hides_value(call, t, column, n_columns, fraction, share)
    return max(count, 1)
