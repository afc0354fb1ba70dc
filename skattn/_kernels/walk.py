"""The tape forwards and backwards, for the sequences of a batch."""

from .ahead import N_AHEAD, begin_list
from .invoke import invoke_operation
from .jit import Int, Ints, Reals, address_at, address_of, ints, kernel, real, reals
from .operation import LEARN, Call, part_begin, slot
from .record import Record
from .simd import at

# Slots begin at multiples of this many numbers, and are as long as if sequences were.
SLOT_GRANULE = 16

Pass = Record(
    # The tape: its rows, each an `Entry` and then the fields of its kind; the pairs of kinds; width and axis of each
    # slot; steps a row of each axis; addresses of the constants.
    *("rows", "row_width", "n_rows", "forward", "backward", "slots", "n_slots", "axes", "n_axes", "constants"),
    # Parameters, their transposes, and room for a gradient of each share: of those from `first_weight` to `n_learned`.
    *("weights", "transposed", "gradients", "first_weight", "n_learned"),
    # Room of each worker: where its gradients and its scratch begin behind its slots; its call.
    *("workspace", "workspace_size", "d_values", "scratch", "calls", "call_size"),
    # The first operation that learns: none before it is walked back.
    "first_learned",
    # The batch: steps, what they should give, what they count; shares of sequences, by their order.
    *("source", "is_double", "d_source", "starts", "lengths"),
    # Targets have a row for each sequence, or rows from `target_starts` on.
    *("targets", "target_starts", "n_targets", "sample_weights"),
    *("ids", "order", "bounds", "seed", "update", "purpose"),
    # What rows of the batch find in tables, the gradient of that, and where rows of each sequence begin.
    *("found", "d_found", "row_starts"),
    # Results: a slot of each sequence, of one row where there are no `out_starts`, or its loss.
    *("out", "out_starts", "out_slot", "out_width", "losses", "loss_slot"),
    # A sequence that all workers share, operation by operation.
    *("long_sample", "long_row", "n_parts"),
)
"""What kernels of a batch are told."""

Entry = Record("kind", "axis")
"""What each row of the tape begins with: the numbers of its kind and of its axis."""

Axis = Record("stride")
"""Steps a row of a slot; 0 where there is one row, however many steps."""

Room = Record("axis", "size")
"""Numbers that a slot takes for each of the rows that its axis has room for."""

# Whole numbers of an entry, of a room, and of a call; behind a call lie places and rows of slots, rows and room of
# axes, and a list of what to fetch ahead.
N_ENTRY, _N_ROOM, N_CALL = len(Entry), len(Room), len(Call)


def call_size(n_slots, n_axes):
    """Give how many whole numbers a worker needs for its call and what lies behind it."""
    return N_CALL + 2 * n_slots + 2 * n_axes + N_AHEAD


@kernel
def forward_item(run: Pass, item: Int, worker: Int):
    """Carry a share of the sequences forwards and copy the wanted slot out."""
    order, bounds = ints(run.order), ints(run.bounds)
    for i in range(bounds[item], bounds[item + 1]):
        call = _begin(run, order[i], worker, worker)
        _walk_forward(run, call)
        _copy_out(run, call, order[i])


@kernel
def learn_item(run: Pass, item: Int, worker: Int):
    """Carry a share of the sequences forwards and back, summing the gradient of its share."""
    order, bounds, d_weights = ints(run.order), ints(run.bounds), _gradient(run, item)
    for i in range(run.first_weight, run.n_learned):
        d_weights[i] = real(0)
    for i in range(bounds[item], bounds[item + 1]):
        call = _begin(run, order[i], worker, worker)
        call.d_weights = address_of(d_weights)
        _walk_forward(run, call)
        _copy_loss(run, call, order[i])
        _walk_backward(run, call)


@kernel
def part_forward_item(run: Pass, item: Int, worker: Int):
    """Compute one part of one operation of a sequence that all workers share."""
    call = _begin_part(run, item, worker)
    _invoke(run, call, ints(run.forward), run.long_row)


@kernel
def part_backward_item(run: Pass, item: Int, worker: Int):
    """Compute one part of one operation, backwards, of a sequence that all workers share."""
    call = _begin_part(run, item, worker)
    call.d_weights = address_of(_gradient(run, item))
    _invoke(run, call, ints(run.backward), run.long_row)


@kernel
def long_output_item(run: Pass, item: Int, worker: Int):
    """Copy the wanted slot of a sequence that all workers share out, or its loss."""
    call = _begin(run, run.long_sample, worker, 0)
    if run.purpose == LEARN:
        _copy_loss(run, call, run.long_sample)
    else:
        _copy_out(run, call, run.long_sample)


@kernel
def _gradient(run: Pass, item: Int) -> Reals:
    """Give the gradient that an item sums into; weights before the first one that the tape uses have no room in it."""
    first = run.first_weight
    return at(reals(run.gradients), item * (run.n_learned - first) - first)


@kernel
def _begin(run: Pass, sample: Int, worker: Int, owner: Int) -> Call:
    """Say which sequence is at hand, in a worker's call, its slots being in the room of `owner`."""
    counters = at(ints(run.calls), worker * run.call_size)
    call, places = Call(counters), at(counters, N_CALL)
    values = at(reals(run.workspace), owner * run.workspace_size)
    call.n_steps, call.begin = ints(run.lengths)[sample], ints(run.starts)[sample]
    call.sample = ints(run.ids)[sample] if run.ids else sample
    call.purpose, call.seed, call.update, call.kept = run.purpose, run.seed, run.update, 0
    call.part, call.n_parts = 0, 1
    call.places, call.rows = address_of(places), address_of(at(places, run.n_slots))
    call.values, call.d_values = address_of(values), address_of(at(values, run.d_values))
    call.weights, call.transposed, call.n_learned = run.weights, run.transposed, run.n_learned
    call.constants, call.source, call.is_double, call.d_source = run.constants, run.source, run.is_double, run.d_source
    call.found, call.d_found = run.found, run.d_found
    call.row = ints(run.row_starts)[sample] if run.row_starts else 0
    wanted = ints(run.target_starts)[sample] if run.target_starts else sample
    call.wanted = address_at(run.targets, wanted * run.n_targets)
    call.weight = address_at(run.sample_weights, sample)
    # What does not outlive an operation is a worker's own.
    call.scratch = address_at(run.workspace, worker * run.workspace_size + run.scratch)
    call.ahead = address_of(at(counters, run.call_size - N_AHEAD))
    # Nothing to fetch ahead: a sequence on its way is in cache.
    begin_list(ints(call.ahead), 0)
    _place_slots(run, call)
    return call


@kernel
def _place_slots(run: Pass, call: Call):
    """Say how many rows each axis and slot has, and where each slot lies."""
    places, rows, n_slots, n_steps = ints(call.places), ints(call.rows), run.n_slots, call.n_steps
    of_axes, room_of_axes = at(rows, n_slots), at(rows, n_slots + run.n_axes)
    for axis in range(run.n_axes):
        stride = Axis(at(ints(run.axes), axis)).stride
        n_rows = (n_steps + stride - 1) // stride if stride else 1
        of_axes[axis] = n_rows
        room_of_axes[axis] = (n_rows + SLOT_GRANULE - 1) // SLOT_GRANULE * SLOT_GRANULE if stride else 1
    end, rooms = 0, ints(run.slots)
    for number in range(n_slots):
        room = Room(at(rooms, _N_ROOM * number))
        places[number], rows[number] = end, of_axes[room.axis]
        end += room.size * room_of_axes[room.axis]


@kernel
def _begin_part(run: Pass, part: Int, worker: Int) -> Call:
    """Say that a part of the sequence is at hand which all workers share."""
    call = _begin(run, run.long_sample, worker, 0)
    call.part, call.n_parts = part, run.n_parts
    return call


@kernel
def _walk_forward(run: Pass, call: Call):
    """Take every operation of the tape."""
    functions = ints(run.forward)
    for row in range(run.n_rows):
        _invoke(run, call, functions, row)


@kernel
def _walk_backward(run: Pass, call: Call):
    """Take every operation of the tape back, from its end."""
    functions = ints(run.backward)
    for row in range(run.n_rows - 1, run.first_learned - 1, -1):
        _invoke(run, call, functions, row)


@kernel
def _invoke(run: Pass, call: Call, functions: Ints, row: Int):
    """Call one of the pair of an operation, with the rows of its axis that this part works on."""
    begin = at(ints(run.rows), row * run.row_width)
    entry = Entry(begin)
    n_rows, part, n_parts = at(ints(call.rows), run.n_slots)[entry.axis], call.part, call.n_parts
    if Axis(at(ints(run.axes), entry.axis)).stride == 0:
        # What has one row is the first part's.
        call.first, call.last = 0, 1 if part == 0 else 0
    elif n_parts == 1:
        call.first, call.last = 0, n_rows
    else:
        call.first, call.last = part_begin(n_rows, part, n_parts), part_begin(n_rows, part + 1, n_parts)
    invoke_operation(functions[entry.kind], at(begin, N_ENTRY), call)


@kernel
def _copy_out(run: Pass, call: Call, sample: Int):
    """Copy the wanted slot to its place in the result."""
    width = run.out_width
    start = ints(run.out_starts)[sample] if run.out_starts else sample
    source, target = slot(call, run.out_slot), at(reals(run.out), start * width)
    for i in range(ints(call.rows)[run.out_slot] * width):
        target[i] = source[i]


@kernel
def _copy_loss(run: Pass, call: Call, sample: Int):
    """Copy a sequence's loss to its place in the result."""
    losses, loss = reals(run.losses), slot(call, run.loss_slot)
    losses[sample] = loss[0]
