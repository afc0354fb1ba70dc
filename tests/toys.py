"""New parts as their authors would write them: a pair, its kind, and what puts it on a tape."""

from skattn._kernels.jit import ints, kernel, real, reals
from skattn._kernels.operation import Call, Kind, d_slot, slot
from skattn._kernels.record import Record
from skattn._kernels.simd import at
from skattn._network.losses import Loss
from skattn._network.rules import Filled
from skattn._network.tape import FREE, FROZEN

_ScaleRow = Record("target", "kept", "width", "factor")
_SumRow = Record("source", "target", "column", "width", "adds")
_PowerRow = Record("source", "target", "n_outputs", "has_shares")


@kernel
def scale_forward(row: _ScaleRow, call: Call):
    """Multiply each row with a vector, and keep what it was."""
    width, kept, target = row.width, slot(call, row.kept), slot(call, row.target)
    factor = at(reals(call.weights), row.factor)
    for t in range(call.first, call.last):
        for j in range(width):
            kept[t * width + j] = target[t * width + j]
            target[t * width + j] *= factor[j]


@kernel
def scale_backward(row: _ScaleRow, call: Call):
    """Give the gradients of rows, and of the vector where it learns."""
    width, kept, learns, d_target = (
        row.width,
        slot(call, row.kept),
        row.factor < call.n_learned,
        d_slot(call, row.target),
    )
    factor = at(reals(call.weights), row.factor)
    for t in range(call.first, call.last):
        for j in range(width):
            if learns:
                d_factor = at(reals(call.d_weights), row.factor)
                d_factor[j] += d_target[t * width + j] * kept[t * width + j]
            d_target[t * width + j] *= factor[j]


SCALE = Kind("scale", scale_forward, scale_backward, _ScaleRow, reads=())


@kernel
def sum_forward(row: _SumRow, call: Call):
    """Add up the rows."""
    if call.last == 0:
        return
    width, source, target = row.width, slot(call, row.source), at(slot(call, row.target), row.column)
    for j in range(width):
        target[j] = real(0)
    for t in range(ints(call.rows)[row.source]):
        for j in range(width):
            target[j] += source[t * width + j]


@kernel
def sum_backward(row: _SumRow, call: Call):
    """Give each row the gradient."""
    if call.last == 0:
        return
    width, d_target, d_source = row.width, at(d_slot(call, row.target), row.column), d_slot(call, row.source)
    adds = row.adds
    for t in range(ints(call.rows)[row.source]):
        for j in range(width):
            d_source[t * width + j] = d_source[t * width + j] + d_target[j] if adds else d_target[j]


SUM = Kind("sum", sum_forward, sum_backward, _SumRow)


@kernel
def fourth_power_forward(row: _PowerRow, call: Call):
    """Add up fourth powers of the differences."""
    if call.last == 0:
        return
    outputs, wanted, loss = slot(call, row.source), reals(call.wanted), slot(call, row.target)
    total = real(0)
    for k in range(row.n_outputs):
        total += (outputs[k] - wanted[k]) ** 4
    loss[0] = total


@kernel
def fourth_power_backward(row: _PowerRow, call: Call):
    """Give the gradient of the outputs, weighted."""
    if call.last == 0:
        return
    outputs, wanted, d_outputs = slot(call, row.source), reals(call.wanted), d_slot(call, row.source)
    weight = reals(call.weight)[0]
    for k in range(row.n_outputs):
        d_outputs[k] = real(4) * weight * (outputs[k] - wanted[k]) ** 3


FOURTH_POWER = Kind("fourth_power", fourth_power_forward, fourth_power_backward, _PowerRow)


def pool_sum(tape, source, target, column):
    """A pooling for `POOLINGS`."""
    tape.operation(SUM, source=source, target=target, column=column, width=source.width)


def position_scaled(group):
    """A part for `POSITIONS`: the stream times a vector."""

    def write(tape, stream, architecture):
        factor = tape.parameter("scale.factor", (stream.width,), Filled(2), group=group)
        kept = tape.slot(stream.width, axis=stream.axis)
        tape.operation(SCALE, target=stream, kept=kept, width=stream.width, factor=factor)

    return write


LOSS = Loss(FOURTH_POWER)
GROUPS = (FREE, FROZEN)
