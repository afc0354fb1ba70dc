"""The loss of hidden steps, which are told from the others: numbers by their difference, codes by cross-entropy."""

import math

from .jit import Int, Real, Reals, ints, kernel, real, reals
from .lookup import code_row, raw
from .operation import TRANSFORM, Call, Kind, d_slot, slot
from .random import hides
from .record import Record
from .simd import at

# `input` has the numbers, `columns` numbers the constant that says where they stand among the `n_columns` of a step;
# `n_features` share the loss of a step.
_ReconstructionRow = Record(
    "source", "target", "n_outputs", "input", "width", "columns", "n_columns", "n_features", "fraction"
)
# The outputs of a category begin at `first`, one for each code.
_CategoryRow = Record(
    "source", "target", "n_outputs", "first", "codes", "n_codes", "column", "n_columns", "n_features", "fraction"
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
