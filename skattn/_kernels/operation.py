"""What every operation of a network is told, and the few things that all of them ask.

An operation is a forward/backward pair of kernels with two parameters: its row on the tape, a record of its own fields,
and the call, which says what sequence is at hand and where everything is. A slot has rows, all of one width; how many
follows from the sequence's length, by the slot's axis. An operation works on the rows ``call.first`` to ``call.last``
of the slot that it writes, its field `target`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import ByPrecision, Int, Kernel, kernel
from .record import Record

# `Call.purpose` is one of these: what is learned from is dropped and hidden, what is judged is hidden only.
TRANSFORM, LEARN, JUDGE = 0, 1, 2
# Probabilities are kept on the tape as whole numbers of this many parts.
PROBABILITY_UNIT = 1 << 24
# Parts of a sequence begin at multiples of this many rows, as blocks of queries do.
GRANULE = 64

Call = Record(
    # The sequence: its steps, its number, where its first step lies among those of the batch.
    *("n_steps", "sample", "begin"),
    # What it is for, and what random numbers count from.
    *("purpose", "seed", "update"),
    # The part of it that is at hand, and the rows of the operation's axis that this part works on.
    *("part", "n_parts", "first", "last"),
    # Of each slot: where it begins within `values`, and its gradient within `d_values`; how many rows it has.
    *("places", "rows", "values", "d_values"),
    # The flat parameters, the same with every matrix transposed, and their gradient, which operations add to; only the
    # first `n_learned` have one.
    *("weights", "transposed", "d_weights", "n_learned"),
    # Addresses of the constants that the tape names.
    "constants",
    # The steps of the batch as they came, float64 or float32, and where the gradient of them goes, if it is wanted.
    *("source", "is_double", "d_source"),
    # The first row of the sequence among those of the batch, what each row finds in tables, and the gradient of that.
    *("row", "found", "d_found"),
    # The target of this sequence, and how much it counts.
    *("wanted", "weight"),
    # Room whose content does not outlive the operation, and a list of what to fetch ahead (ahead.py).
    *("scratch", "ahead"),
    # What streams keep (kept.py), where the rows are new steps of streams; 0 where they are a sequence's.
    "kept",
)
"""What an operation is told of the sequence at hand."""


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of operation; it stands beside its pair.

    Attributes
    ----------
    name : str
    forward, backward : Kernel
        Its pair.
    row : Record
        Its fields on the tape. "target" is the slot that it writes. "adds" is filled in by the tape: whether the
        gradient of what is read is added to (1), begun (0), or not wanted (-1).
    reads : tuple of str
        Fields that name slots whose gradients the backward kernel gives; without "adds" it begins them.
    step : Kernel or None
        What computes rows that are the new steps of streams: `forward` itself, where that works on each row alone.
        None: no stream can be made of a tape with such an operation.
    keeps : callable (fields) -> tuple of (str, int), or None
        What a step finds again in the next one (kept.py), one array after another: so many numbers "once", or for each
        step that there is room for, "along" a row or "across" columns. A double takes two numbers.
    steps_know : tuple of str or None
        Fields that `step` takes into account, where these are not all.
    """

    name: str
    forward: Kernel
    backward: Kernel
    row: Record
    reads: tuple = ("source",)
    step: Kernel | None = None
    keeps: Callable | None = None
    steps_know: tuple | None = None


def _slot_within(room, scalar):
    """Write what gives the address of a slot's first number."""

    @intrinsic
    def place(typing_context, call, number):
        def generate(context, builder, signature, arguments):
            call, number = arguments
            integer = ir.IntType(64)

            def array(name, kind):
                field = cgutils.get_record_member(builder, call, Call.type.offset(name), integer)
                return builder.inttoptr(builder.load(field), context.get_value_type(types.CPointer(kind)))

            begin = builder.load(builder.gep(array("places", types.int64), [number]))
            return builder.gep(array(room, scalar), [begin])

        return types.CPointer(scalar)(call, types.int64), generate

    return place


slot = ByPrecision("slot", lambda scalar: _slot_within("values", scalar))
"""Inside kernels, ``slot(call, number)`` gives a pointer to a slot."""

d_slot = ByPrecision("d_slot", lambda scalar: _slot_within("d_values", scalar))
"""Inside kernels, ``d_slot(call, number)`` gives a pointer to the gradient of a slot."""


@kernel
def part_begin(n_rows: Int, part: Int, n_parts: Int) -> Int:
    """Give the first of so many rows that a part works on."""
    blocks = (n_rows + GRANULE - 1) // GRANULE
    return min(part * blocks // n_parts * GRANULE, n_rows)
