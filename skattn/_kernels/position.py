"""Where steps are in their sequence, and hidden steps: operations on the sequence in place, forward and backward."""

import math

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import Double, Int, Reals, address_of, doubles, ints, kernel, real, reals
from .kept import kept_of, place_of, set_time, steps_before
from .lookup import raw
from .operation import Call, Kind, d_slot, slot
from .random import hides
from .record import Record
from .simd import Emitter, at
from .sines import FARTHEST, add_sines_and_cosines

# `table` numbers a constant of the tape, and `frequencies` that of what it is computed from, radians a step.
_FixedRow = Record("target", "width", "table", "frequencies")
_LearnedRow = Record("target", "width", "table", "n_table")
# `fraction` of the steps that are hidden, in PROBABILITY_UNIT parts.
_HiddenRow = Record("target", "width", "token", "fraction")


@kernel
def fixed_forward(row: _FixedRow, call: Call):
    """Add the fixed vector of each position; target [rows, width]."""
    first, n = call.first * row.width, (call.last - call.first) * row.width
    target, table = at(slot(call, row.target), first), at(reals(ints(call.constants)[row.table]), first)
    for i in range(n):
        target[i] += table[i]


@kernel
def fixed_backward(row: _FixedRow, call: Call):
    """Leave the gradient as it is: the table is fixed."""


@kernel
def fixed_step(row: _FixedRow, call: Call):
    """Add the vector of each stream's place, computed anew: a table for all that may come has no end."""
    width, targets, frequencies = row.width, slot(call, row.target), ints(call.constants)[row.frequencies]
    for r in range(call.first, call.last):
        _add_waves(at(targets, r * width), width, np.float64(place_of(call, r)), frequencies)


FIXED = Kind("position_fixed", fixed_forward, fixed_backward, _FixedRow, reads=(), step=fixed_step)


@kernel
def learned_forward(row: _LearnedRow, call: Call):
    """Add the learned vector of each position; rows past the table take its last vector."""
    width, end, targets, table = row.width, row.n_table - 1, slot(call, row.target), at(reals(call.weights), row.table)
    for t in range(call.first, call.last):
        target, vector = at(targets, t * width), at(table, min(place_of(call, t), end) * width)
        for j in range(width):
            target[j] += vector[j]


@kernel
def learned_backward(row: _LearnedRow, call: Call):
    """Add each row's gradient to its position's."""
    if row.table >= call.n_learned:
        return
    width, end, d_targets = row.width, row.n_table - 1, d_slot(call, row.target)
    d_table = at(reals(call.d_weights), row.table)
    for t in range(call.first, call.last):
        d_target, d_vector = at(d_targets, t * width), at(d_table, min(t, end) * width)
        for j in range(width):
            d_vector[j] += d_target[j]


LEARNED = Kind("position_learned", learned_forward, learned_backward, _LearnedRow, reads=(), step=learned_forward)


@kernel
def hidden_forward(row: _HiddenRow, call: Call):
    """Put one learned vector in the place of each hidden step."""
    width, fraction, targets = row.width, row.fraction, slot(call, row.target)
    token = at(reals(call.weights), row.token)
    for t in range(call.first, call.last):
        if hides(call, t, fraction):
            target = at(targets, t * width)
            for j in range(width):
                target[j] = token[j]


@kernel
def hidden_backward(row: _HiddenRow, call: Call):
    """Give a hidden step's gradient to the learned vector, and none to what it hides."""
    width, fraction, d_targets = row.width, row.fraction, d_slot(call, row.target)
    # What is frozen has a gradient that nobody reads.
    d_token = at(reals(call.d_weights), row.token) if row.token < call.n_learned else reals(call.scratch)
    for t in range(call.first, call.last):
        if hides(call, t, fraction):
            d_target = at(d_targets, t * width)
            for j in range(width):
                d_token[j] += d_target[j]
                d_target[j] = real(0)


HIDDEN = Kind("hidden", hidden_forward, hidden_backward, _HiddenRow, reads=(), step=hidden_forward)


# `column` among the `n_columns` of a step holds its time, -1: a row's time is its number. A row stands for the first of
# `stride` steps; `unit` numbers the constant that times are counted in.
_TimesRow = Record("target", "column", "n_columns", "stride", "unit")
# `frequencies` numbers a constant, radians a unit of time: of each pair of columns.
_WavesRow = Record(*_TimesRow.names, "width", "frequencies")
# Where rows are even, `table` numbers a constant [rows, width] of the sines and cosines of each.
_AnglesRow = Record(*_TimesRow.names, "n_pairs", "frequencies", "table", "width")
_RotateRow = Record("target", "angles", "n_heads", "d_head")


@kernel
def times_forward(row: _TimesRow, call: Call):
    """Give when each row is, from the first one on; target [rows, 1]."""
    target = slot(call, row.target)
    for r in range(call.first, call.last):
        target[r] = real(_time_of(call, row.column, row.n_columns, row.stride, row.unit, r))


@kernel
def _time_of(call: Call, column: Int, n_columns: Int, stride: Int, unit: Int, r: Int) -> Double:
    """Give when a row is, in double precision: angles are far larger than what is left of them."""
    if column < 0:
        return np.float64(place_of(call, r))
    time, origin = raw(call, (call.begin + r * stride) * n_columns + column), raw(call, call.begin * n_columns + column)
    if call.kept:
        kept = doubles(address_of(kept_of(call, r)))
        if steps_before(call, r) == 0:
            kept[0] = time
        origin = kept[0]
    return (time - origin) / doubles(ints(call.constants)[unit])[0]


def _keeps_origin(fields):
    """Say what is kept: when the first step was, in double precision."""
    return () if fields["column"] < 0 else (("once", 2),)


@kernel
def times_backward(row: _TimesRow, call: Call):
    """Give no gradient: times are given."""


@kernel
def times_step(row: _TimesRow, call: Call):
    """Give when each stream's step is; in double precision as well, for streams may go on for long."""
    target = slot(call, row.target)
    for r in range(call.first, call.last):
        time = _time_of(call, row.column, row.n_columns, row.stride, row.unit, r)
        target[r] = real(time)
        set_time(call, r, time)


TIMES = Kind("times", times_forward, times_backward, _TimesRow, reads=(), step=times_step, keeps=_keeps_origin)


@kernel
def waves_forward(row: _WavesRow, call: Call):
    """Add sines and cosines of each row's time; target [rows, width]."""
    width, targets, frequencies = row.width, slot(call, row.target), ints(call.constants)[row.frequencies]
    for r in range(call.first, call.last):
        time = _time_of(call, row.column, row.n_columns, row.stride, row.unit, r)
        _add_waves(at(targets, r * width), width, time, frequencies)


@kernel
def _add_waves(target: Reals, width: Int, time: Double, frequencies: Int):
    """Add the sines and cosines of a time, the first of whose frequencies is 1 and the highest."""
    n_pairs = width // 2 if abs(time) <= FARTHEST else 0
    add_sines_and_cosines(target, doubles(frequencies), time, n_pairs)
    for j in range(2 * n_pairs, width):
        angle = time * doubles(frequencies)[j // 2]
        target[j] += real(math.sin(angle) if j % 2 == 0 else math.cos(angle))


@kernel
def waves_backward(row: _WavesRow, call: Call):
    """Leave the gradient as it is: waves are fixed."""


WAVES = Kind("waves", waves_forward, waves_backward, _WavesRow, reads=(), step=waves_forward, keeps=_keeps_origin)


@kernel
def angles_forward(row: _AnglesRow, call: Call):
    """Give the sine and cosine of what each pair of columns is turned by; target [rows, 2 * n_pairs]."""
    if row.column >= 0:
        angles_step(row, call)
        return
    n, width = 2 * row.n_pairs, row.width
    targets, table = slot(call, row.target), reals(ints(call.constants)[row.table])
    for r in range(call.first, call.last):
        target, waves = at(targets, r * n), at(table, r * width)
        for i in range(n):
            target[i] = waves[i]


@kernel
def angles_step(row: _AnglesRow, call: Call):
    """Give the same, computed anew: of times, or of each stream's place."""
    width, targets, frequencies = 2 * row.n_pairs, slot(call, row.target), ints(call.constants)[row.frequencies]
    for r in range(call.first, call.last):
        target = at(targets, r * width)
        for i in range(width):
            target[i] = real(0)
        _add_waves(target, width, _time_of(call, row.column, row.n_columns, row.stride, row.unit, r), frequencies)


@kernel
def angles_backward(row: _AnglesRow, call: Call):
    """Give no gradient: angles are fixed."""


ANGLES = Kind("angles", angles_forward, angles_backward, _AnglesRow, reads=(), step=angles_step, keeps=_keeps_origin)


def _turning(signs):
    @intrinsic
    def turn(typing_context, target, angles, n):
        def generate(context, builder, signature, arguments):
            target, angles, n = arguments
            wide, pair = Emitter(builder, target.type), Emitter(builder, target.type, width=2)
            index = wide.index
            whole = builder.and_(n, index(-wide.lanes))
            for emit, first, last in ((wide, index(0), whole), (pair, whole, n)):
                with cgutils.for_range_slice(builder, first, last, index(emit.lanes)) as (place, _):
                    emit.store(_turned(emit, emit.load(target, place), emit.load(angles, place), signs), target, place)
            return context.get_dummy_value()

        return types.void(target, angles, types.int64), generate

    return turn


def _turned(emit, numbers, waves, signs):
    """Turn pairs of lanes by angles whose sine and cosine are a pair each."""
    lanes, builder = range(emit.lanes), emit.builder

    def shuffle(vector, chosen):
        return builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), emit.lanes), chosen))

    cosines, sines = shuffle(waves, [lane | 1 for lane in lanes]), shuffle(waves, [lane & ~1 for lane in lanes])
    sines = builder.fmul(sines, ir.Constant(emit.vector, [signs[lane % 2] for lane in lanes]))
    return emit.multiply_add(shuffle(numbers, [lane ^ 1 for lane in lanes]), sines, builder.fmul(numbers, cosines))


# Turn pairs of neighbours among the first `n` numbers.
_turn = _turning((-1.0, 1.0))
_turn_back = _turning((1.0, -1.0))


@kernel
def rotate_forward(row: _RotateRow, call: Call):
    """Turn each pair of neighbouring columns of each head by the angle of its row; target [rows, n_heads * d_head]."""
    n_heads, d_head, n = row.n_heads, row.d_head, row.d_head // 2 * 2
    angles, targets = slot(call, row.angles), slot(call, row.target)
    for r in range(call.first, call.last):
        for head in range(n_heads):
            _turn(at(targets, (r * n_heads + head) * d_head), at(angles, r * n), n)


@kernel
def rotate_backward(row: _RotateRow, call: Call):
    """Turn the gradient back."""
    n_heads, d_head, n = row.n_heads, row.d_head, row.d_head // 2 * 2
    angles, d_targets = slot(call, row.angles), d_slot(call, row.target)
    for r in range(call.first, call.last):
        for head in range(n_heads):
            _turn_back(at(d_targets, (r * n_heads + head) * d_head), at(angles, r * n), n)


ROTATE = Kind("rotate", rotate_forward, rotate_backward, _RotateRow, reads=(), step=rotate_forward)
