"""The tape forwards and backwards, for the sequences of a batch.

Everything that these kernels need stands in one array of numbers and addresses, `arguments`; the constants below number
its entries.
"""

from .ahead import begin_list
from .jit import Int, Ints, Reals, doubles, ints, invoke_backward, invoke_forward, kernel, real, reals
from .scaling import standard
from .simd import at
from .step import AHEAD, LEARN, N_CALL, N_PARTS, N_STEPS, PART, POSITIONS, SAMPLE, SEED, TRAINING, UPDATE

# Slots that every tape begins with: the sequence, standardised or embedded; its weight and target; its loss.
INPUT, WANTED, LOSS = range(3)
# Slots begin at multiples of this many numbers, and are as long as if sequences were.
SLOT_GRANULE = 16

(
    ROWS, ROW_WIDTH, N_ROWS, FORWARD, BACKWARD, SLOTS, N_SLOTS, WEIGHTS, TRANSPOSED, GRADIENTS, N_WEIGHTS,
    WORKSPACE, WORKSPACE_SIZE, D_VALUES, SCRATCH, COUNTERS, VALUES, STARTS, LENGTHS, N_FEATURES, MEAN, SCALE,
    TARGETS, N_TARGETS, SAMPLE_WEIGHTS, IDS, ORDER, BOUNDS, DRAW_SEED, DRAW_UPDATE, PURPOSE, POSITION_TABLE,
    OUT, OUT_STARTS, OUT_SLOT, OUT_WIDTH, OUT_PER_STEP, LOSSES, SPLIT_SAMPLE, SPLIT_ROW, SPLIT_PARTS,
    ARE_DOUBLE, FIRST_WEIGHT, D_INPUT, N_ARGUMENTS,
) = range(45)  # fmt: skip


@kernel
def forward_item(arguments: Ints, item: Int, worker: Int):
    """Carry a share of the sequences forwards and copy the wanted slot out."""
    call, values = _call(arguments, worker), _values(arguments, worker)
    place, scratch = at(call, N_CALL), at(values, arguments[SCRATCH])
    bounds = ints(arguments[BOUNDS])
    for i in range(bounds[item], bounds[item + 1]):
        sample = ints(arguments[ORDER])[i]
        _begin(arguments, sample, call, place)
        _take_input(arguments, sample, place, values)
        _walk_forward(arguments, call, place, values, scratch)
        _copy_out(arguments, sample, call, place, values)


@kernel
def learn_item(arguments: Ints, item: Int, worker: Int):
    """Carry a share of the sequences forwards and back, summing the gradient of its share."""
    call, values = _call(arguments, worker), _values(arguments, worker)
    place, scratch = at(call, N_CALL), at(values, arguments[SCRATCH])
    d_weights = _gradient(arguments, item)
    for i in range(arguments[FIRST_WEIGHT], arguments[N_WEIGHTS]):
        d_weights[i] = real(0)
    bounds = ints(arguments[BOUNDS])
    for i in range(bounds[item], bounds[item + 1]):
        sample = ints(arguments[ORDER])[i]
        _begin(arguments, sample, call, place)
        _take_input(arguments, sample, place, values)
        _walk_forward(arguments, call, place, values, scratch)
        _copy_loss(arguments, sample, place, values)
        _walk_backward(arguments, call, place, values, d_weights, scratch)
        _copy_input_gradient(arguments, sample, call, place, values)


@kernel
def split_input_item(arguments: Ints, item: Int, worker: Int):
    """Take the input of a sequence that all workers share."""
    call, values = _call(arguments, worker), _values(arguments, 0)
    place = at(call, N_CALL)
    _begin(arguments, arguments[SPLIT_SAMPLE], call, place)
    _take_input(arguments, arguments[SPLIT_SAMPLE], place, values)


@kernel
def split_forward_item(arguments: Ints, item: Int, worker: Int):
    """Compute one part of one step of a sequence that all workers share."""
    call, values = _call(arguments, worker), _values(arguments, 0)
    place, scratch = at(call, N_CALL), at(_values(arguments, worker), arguments[SCRATCH])
    _begin(arguments, arguments[SPLIT_SAMPLE], call, place)
    call[PART], call[N_PARTS] = item, arguments[SPLIT_PARTS]
    row = at(ints(arguments[ROWS]), arguments[SPLIT_ROW] * arguments[ROW_WIDTH])
    invoke_forward(ints(arguments[FORWARD])[row[0]], row, call, place, reals(arguments[WEIGHTS]), values, scratch)


@kernel
def split_backward_item(arguments: Ints, item: Int, worker: Int):
    """Compute one part of one step, backwards, of a sequence that all workers share."""
    call, values = _call(arguments, worker), _values(arguments, 0)
    place, scratch = at(call, N_CALL), at(_values(arguments, worker), arguments[SCRATCH])
    _begin(arguments, arguments[SPLIT_SAMPLE], call, place)
    call[PART], call[N_PARTS] = item, arguments[SPLIT_PARTS]
    row = at(ints(arguments[ROWS]), arguments[SPLIT_ROW] * arguments[ROW_WIDTH])
    invoke_backward(
        ints(arguments[BACKWARD])[row[0]], row, call, place, reals(arguments[WEIGHTS]),
        reals(arguments[TRANSPOSED]), values, at(values, arguments[D_VALUES]), _gradient(arguments, item), scratch,
    )  # fmt: skip


@kernel
def split_output_item(arguments: Ints, item: Int, worker: Int):
    """Copy the wanted slot of a sequence that all workers share out, or its loss."""
    call, values = _call(arguments, worker), _values(arguments, 0)
    place = at(call, N_CALL)
    _begin(arguments, arguments[SPLIT_SAMPLE], call, place)
    if arguments[PURPOSE] == LEARN:
        _copy_loss(arguments, arguments[SPLIT_SAMPLE], place, values)
    else:
        _copy_out(arguments, arguments[SPLIT_SAMPLE], call, place, values)


@kernel
def split_input_gradient_item(arguments: Ints, item: Int, worker: Int):
    """Copy the gradient of the input of a sequence that all workers share out."""
    call, values = _call(arguments, worker), _values(arguments, 0)
    place = at(call, N_CALL)
    _begin(arguments, arguments[SPLIT_SAMPLE], call, place)
    _copy_input_gradient(arguments, arguments[SPLIT_SAMPLE], call, place, values)


@kernel
def _call(arguments: Ints, worker: Int) -> Ints:
    """Give a worker's numbers: the call, then the places of the slots."""
    return at(ints(arguments[COUNTERS]), worker * (N_CALL + arguments[N_SLOTS]))


@kernel
def _values(arguments: Ints, worker: Int) -> Reals:
    """Give a worker's slots; their gradients and its scratch follow."""
    return at(reals(arguments[WORKSPACE]), worker * arguments[WORKSPACE_SIZE])


@kernel
def _gradient(arguments: Ints, item: Int) -> Reals:
    """Give the gradient that an item sums into; weights before the first one that the tape uses have no room in it."""
    first = arguments[FIRST_WEIGHT]
    return at(reals(arguments[GRADIENTS]), item * (arguments[N_WEIGHTS] - first) - first)


@kernel
def _begin(arguments: Ints, sample: Int, call: Ints, place: Ints):
    """Say which sequence is at hand, and where its slots lie."""
    n_steps = ints(arguments[LENGTHS])[sample]
    call[N_STEPS] = n_steps
    call[SAMPLE] = ints(arguments[IDS])[sample] if arguments[IDS] else sample
    call[SEED], call[UPDATE], call[TRAINING] = (
        arguments[DRAW_SEED],
        arguments[DRAW_UPDATE],
        arguments[PURPOSE],
    )
    call[PART], call[N_PARTS], call[POSITIONS] = 0, 1, arguments[POSITION_TABLE]
    begin_list(at(call, AHEAD), 0)
    slots = ints(arguments[SLOTS])
    rounded = (n_steps + SLOT_GRANULE - 1) // SLOT_GRANULE * SLOT_GRANULE
    for slot in range(arguments[N_SLOTS]):
        place[slot] = slots[2 * slot] * rounded + slots[2 * slot + 1]


@kernel
def _take_input(arguments: Ints, sample: Int, place: Ints, values: Reals):
    """Standardise a sequence into its slot, what is embedded being taken as it is, and take its weight and target.

    Values have the precision that they came in. They are centred and scaled in double precision, and rounded after
    that: a large offset, such as the time of day in seconds, would take all digits of float32.
    """
    width, n_steps = arguments[N_FEATURES], ints(arguments[LENGTHS])[sample]
    first = ints(arguments[STARTS])[sample] * width
    are_double, values_at = arguments[ARE_DOUBLE], arguments[VALUES]
    mean, scale = doubles(arguments[MEAN]), doubles(arguments[SCALE])
    target = at(values, place[INPUT])
    if arguments[MEAN]:
        for t in range(n_steps):
            for j in range(width):
                i = t * width + j
                target[i] = real(standard(values_at, are_double, first + i, mean[j], scale[j]))
    else:
        embedded = at(reals(values_at), first)
        for i in range(n_steps * width):
            target[i] = embedded[i]
    wanted = at(values, place[WANTED])
    if arguments[SAMPLE_WEIGHTS]:
        wanted[0] = reals(arguments[SAMPLE_WEIGHTS])[sample]
    n_targets = arguments[N_TARGETS]
    for k in range(n_targets):
        wanted[k + 1] = reals(arguments[TARGETS])[sample * n_targets + k]


@kernel
def _walk_forward(arguments: Ints, call: Ints, place: Ints, values: Reals, scratch: Reals):
    """Take every step of the tape."""
    functions, weights = ints(arguments[FORWARD]), reals(arguments[WEIGHTS])
    for r in range(arguments[N_ROWS]):
        row = at(ints(arguments[ROWS]), r * arguments[ROW_WIDTH])
        invoke_forward(functions[row[0]], row, call, place, weights, values, scratch)


@kernel
def _walk_backward(arguments: Ints, call: Ints, place: Ints, values: Reals, d_weights: Reals, scratch: Reals):
    """Take every step of the tape back, from its end."""
    functions, weights = ints(arguments[BACKWARD]), reals(arguments[WEIGHTS])
    transposed, d_values = reals(arguments[TRANSPOSED]), at(values, arguments[D_VALUES])
    for r in range(arguments[N_ROWS] - 1, -1, -1):
        row = at(ints(arguments[ROWS]), r * arguments[ROW_WIDTH])
        invoke_backward(functions[row[0]], row, call, place, weights, transposed, values, d_values, d_weights, scratch)


@kernel
def _copy_out(arguments: Ints, sample: Int, call: Ints, place: Ints, values: Reals):
    """Copy the wanted slot to its place in the result."""
    width = arguments[OUT_WIDTH]
    source = at(values, place[arguments[OUT_SLOT]])
    start, count = sample, 1
    if arguments[OUT_PER_STEP]:
        start, count = ints(arguments[OUT_STARTS])[sample], call[N_STEPS]
    target = at(reals(arguments[OUT]), start * width)
    for i in range(count * width):
        target[i] = source[i]


@kernel
def _copy_input_gradient(arguments: Ints, sample: Int, call: Ints, place: Ints, values: Reals):
    """Copy the gradient of the input to its place in the result, where it is wanted."""
    if arguments[D_INPUT]:
        width = arguments[N_FEATURES]
        source = at(values, arguments[D_VALUES] + place[INPUT])
        target = at(reals(arguments[D_INPUT]), ints(arguments[STARTS])[sample] * width)
        for i in range(call[N_STEPS] * width):
            target[i] = source[i]


@kernel
def _copy_loss(arguments: Ints, sample: Int, place: Ints, values: Reals):
    """Copy a sequence's loss to its place in the result."""
    losses, loss = reals(arguments[LOSSES]), at(values, place[LOSS])
    losses[sample] = loss[0]
