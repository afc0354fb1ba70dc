"""Bring the next head near while one is computed, a few cache lines between two pieces of work.

All lines at once would wait in the CPU's few fill buffers, and the computation behind them. A list of what to fetch is
[N_AHEAD] numbers: which entry is next, how many entries there are, lines a time; then for each entry its address and
its lines.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import Int, Ints, kernel

# Room for eight entries, and so much that the lists of two workers share no cache line.
N_AHEAD = 32
# Bytes that come from memory together.
LINE = 64
# Bytes of one entry that are worth it: more would push out what is in use.
_MOST = 1 << 17
# Bytes of a head below which the CPU's own guesses are as good, and cost nothing.
_LEAST = 1 << 13
# Times that a block of queries asks while it meets a block of keys, about.
_ASKS = 8


def dose(n_bytes, n_blocks):
    """Give the lines to ask for at a time, for so many bytes while blocks of queries meet blocks of keys so often."""
    return 0 if n_bytes < _LEAST else n_bytes // LINE // (_ASKS * n_blocks) + 8


@intrinsic
def prefetch(typing_context, address, n_lines):
    """Ask for so many lines, without waiting for them."""

    def generate(context, builder, signature, arguments):
        address, n_lines = arguments
        integer, kind = ir.IntType(32), ir.IntType(8).as_pointer()
        call = ir.FunctionType(ir.VoidType(), [kind, integer, integer, integer])
        function = cgutils.get_or_insert_function(builder.module, call, "llvm.prefetch.p0")
        with cgutils.for_range(builder, n_lines) as loop:
            place = builder.add(address, builder.mul(loop.index, ir.IntType(64)(LINE)))
            # For reading, into the second-level cache, as data.
            builder.call(function, [builder.inttoptr(place, kind), integer(0), integer(2), integer(1)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@kernel
def begin_list(ahead: Ints, dose: Int):
    """Make the list empty; of what comes onto it, so many lines are fetched at a time."""
    ahead[0] = 0
    ahead[1] = 0
    ahead[2] = dose


@kernel
def enlist(ahead: Ints, address: Int, n_bytes: Int):
    """Add an entry, unless it is too large."""
    if n_bytes <= _MOST:
        entry = 3 + 2 * ahead[1]
        ahead[entry] = address
        ahead[entry + 1] = (n_bytes + LINE - 1) // LINE
        ahead[1] += 1


@kernel
def fetch_some(ahead: Ints):
    """Ask for the next few lines of the list, if any are left."""
    left = ahead[2]
    while left > 0 and ahead[0] < ahead[1]:
        entry = 3 + 2 * ahead[0]
        n_lines = min(left, ahead[entry + 1])
        prefetch(ahead[entry], n_lines)
        left -= n_lines
        ahead[entry] += n_lines * LINE
        ahead[entry + 1] -= n_lines
        if ahead[entry + 1] == 0:
            ahead[0] += 1
