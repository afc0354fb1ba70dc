"""What streams keep from one step to the next, and where an operation finds its part of it.

While streams take a step, a row of a slot is the new step of one stream. What works on each row alone runs as it does
over a sequence; what looks back, at other rows or at the number of its own, keeps what it needs of them here.
"""

from .jit import Double, Int, Reals, doubles, ints, kernel, reals
from .operation import Call
from .record import Record
from .simd import at

Kept = Record(
    # Of each row: where that begins which its stream keeps, steps that the stream has taken before, and how many steps
    # it has room for.
    *("states", "counts", "rooms"),
    # Where the part of the operation at hand begins: so many numbers on, and so many more for each step of room.
    *("begin", "begin_each"),
    # Width of each slot, and in double precision when each row's step is, where an operation says so.
    *("widths", "times"),
)
"""What operations are told of streams, as `Call.kept`; 0 there where a sequence is at hand."""


@kernel
def kept_of(call: Call, r: Int) -> Reals:
    """Give what the operation at hand keeps of the stream of a row."""
    kept = Kept(call.kept)
    return at(reals(ints(kept.states)[r]), kept.begin + kept.begin_each * ints(kept.rooms)[r])


@kernel
def room_of(call: Call, r: Int) -> Int:
    """Give how many steps the stream of a row has room for."""
    return ints(Kept(call.kept).rooms)[r]


@kernel
def steps_before(call: Call, r: Int) -> Int:
    """Give how many steps the stream of a row has taken before this one."""
    return ints(Kept(call.kept).counts)[r]


@kernel
def place_of(call: Call, r: Int) -> Int:
    """Give which step of its sequence a row is, or of its stream."""
    return ints(Kept(call.kept).counts)[r] if call.kept else r


@kernel
def width_of(call: Call, number: Int) -> Int:
    """Give the width of a slot, in a step of streams."""
    return ints(Kept(call.kept).widths)[number]


@kernel
def time_of(call: Call, r: Int) -> Double:
    """Give when the new step of a row is, as `set_time` was told."""
    return doubles(Kept(call.kept).times)[r]


@kernel
def set_time(call: Call, r: Int, time: Double):
    """Say when the new step of a row is, for operations that follow."""
    times = doubles(Kept(call.kept).times)
    times[r] = time
