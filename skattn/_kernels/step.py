"""One step of many streams: the operations of a tape, for a block of streams at a time."""

import math

from .invoke import invoke_operation
from .jit import Int, address_of, doubles, ints, kernel, real, reals
from .kept import Kept
from .operation import TRANSFORM, Call, slot
from .record import Record
from .scaling import LARGEST
from .simd import at
from .walk import N_ENTRY, Entry

# Streams that take a step side by side, a row of every slot each.
BLOCK = 32

Step = Record(
    # The tape: rows of the operations that are wanted, each an `Entry` and then the fields of its kind; what each of
    # them keeps, a `Part`; of each kind what computes a step.
    *("rows", "row_width", "n_rows", "parts", "functions"),
    # Where slots begin in a workspace, and their widths.
    *("places", "widths"),
    # Of each network its parameters, and the addresses of its constants.
    *("weights", "constants"),
    # Room of each worker, where its scratch begins, and its call.
    *("workspace", "workspace_size", "scratch", "calls", "call_size"),
    # The new steps in double precision, the stream of each, and blocks of them.
    *("source", "n_columns", "n_steps", "streams", "n_blocks"),
    # Whether values may be missing, and what becomes 1 where a number is not finite all the same.
    *("allows_missing", "refused"),
    # What streams keep: the address of each, of network after network; steps that each has taken, and has room for.
    *("states", "counts", "rooms", "n_streams", "n_networks"),
    # Results [n_networks, n_steps, out_width], and the number of a network, from 1, one of whose results is no number
    # up to `limit`.
    *("out", "out_slot", "out_width", "beyond"),
    # Where the mean over networks of the softmax of results goes [n_steps, out_width], if it is wanted.
    "shares",
    doubles=("limit",),
)
"""What the kernel of a step is told."""

Part = Record("begin", "begin_each")
"""Where what an operation keeps begins: so many numbers on, and so many more for each step of room."""

_N_PART, _N_CALL, _N_KEPT = len(Part), len(Call), len(Kept)


def call_size():
    """Give how many whole numbers a worker needs for its call and what lies behind it."""
    return _N_CALL + _N_KEPT + 4 * BLOCK


@kernel
def check_item(run: Step, item: Int, worker: Int):
    """Look for infinity, and for what is not a number where nothing may be missing: no step is taken then."""
    source, allows_missing, is_odd = doubles(run.source), run.allows_missing, False
    for i in range(run.n_steps * run.n_columns):
        is_finite = abs(source[i]) <= LARGEST
        is_odd = is_odd or not (is_finite or (allows_missing and source[i] != source[i]))
    if is_odd:
        ints(run.refused)[0] = 1


@kernel
def count_item(run: Step, item: Int, worker: Int):
    """Count the steps that were taken."""
    counts, streams = ints(run.counts), ints(run.streams)
    for i in range(run.n_steps):
        counts[streams[i]] += 1


@kernel
def share_item(run: Step, item: Int, worker: Int):
    """Give the shares that all networks say together: the softmax of the mean of their results."""
    width, n_networks = run.out_width, run.n_networks
    for r in range(run.n_steps):
        target = at(reals(run.shares), r * width)
        for k in range(width):
            target[k] = real(0)
        for network in range(n_networks):
            source = at(reals(run.out), (network * run.n_steps + r) * width)
            for k in range(width):
                target[k] += source[k] / real(n_networks)
        largest, total = target[0], real(0)
        for k in range(1, width):
            largest = max(largest, target[k])
        for k in range(width):
            target[k] = math.exp(target[k] - largest)
            total += target[k]
        for k in range(width):
            target[k] /= total


@kernel
def step_item(run: Step, item: Int, worker: Int):
    """Carry a block of streams one step on through one of the networks."""
    network, first = item // run.n_blocks, item % run.n_blocks * BLOCK
    call = _begin(run, network, first, min(run.n_steps - first, BLOCK), worker)
    kept, functions = Kept(call.kept), ints(run.functions)
    for number in range(run.n_rows):
        row, part = at(ints(run.rows), number * run.row_width), Part(at(ints(run.parts), number * _N_PART))
        kept.begin, kept.begin_each = part.begin, part.begin_each
        invoke_operation(functions[Entry(row).kind], at(row, N_ENTRY), call)
    _copy_out(run, call, network, first)


@kernel
def _begin(run: Step, network: Int, first: Int, n: Int, worker: Int) -> Call:
    """Say which steps are at hand, in a worker's call."""
    numbers, workspace = at(ints(run.calls), worker * run.call_size), reals(run.workspace)
    call, kept = Call(numbers), Kept(at(numbers, _N_CALL))
    values = at(workspace, worker * run.workspace_size)
    call.n_steps, call.begin, call.first, call.last = n, first, 0, n
    call.sample, call.purpose, call.seed, call.update = 0, TRANSFORM, 0, 0
    call.part, call.n_parts, call.places, call.values = 0, 1, run.places, address_of(values)
    call.weights, call.constants = ints(run.weights)[network], ints(run.constants)[network]
    call.source, call.is_double, call.row, call.found = run.source, 1, 0, 0
    call.scratch, call.kept = address_of(at(values, run.scratch)), address_of(at(numbers, _N_CALL))
    lists = at(numbers, _N_CALL + _N_KEPT)
    states, counts, rooms, streams = lists, at(lists, BLOCK), at(lists, 2 * BLOCK), at(ints(run.streams), first)
    for r in range(n):
        stream = streams[r]
        states[r] = ints(run.states)[network * run.n_streams + stream]
        counts[r], rooms[r] = ints(run.counts)[stream], ints(run.rooms)[stream]
    kept.states, kept.counts, kept.rooms = address_of(states), address_of(counts), address_of(rooms)
    kept.widths, kept.times = run.widths, address_of(at(lists, 3 * BLOCK))
    return call


@kernel
def _copy_out(run: Step, call: Call, network: Int, first: Int):
    """Copy the wanted slot to its place in the result, and say where it has left the range of floats."""
    width, limit, is_beyond = run.out_width, run.limit, False
    source, target = slot(call, run.out_slot), at(reals(run.out), (network * run.n_steps + first) * width)
    for i in range(call.n_steps * width):
        target[i] = source[i]
        # What is not a number fails too.
        is_beyond = is_beyond or not abs(source[i]) <= limit
    if is_beyond:
        ints(run.beyond)[0] = network + 1
