"""Attention of the new step of a stream to what the stream keeps of the steps before: one query, in blocks of keys.

Keys are kept with a column a step, so that the scores of several fill a vector, and values with a row a step. Under a
window they lie in a ring: softmax does not ask in which order keys come, and how long ago each was follows from its
place. The softmax is that of softmax.py, its largest score and its sum brought up to each block.
"""

import math

from .best import note, weigh
from .jit import Bool, Int, Reals, address_of, doubles, kernel, real, reals
from .kept import kept_of, room_of, steps_before, time_of
from .matmul import matmul
from .one_query import WIDE, mix, powers, powers_at_once, wide_scores
from .operation import Call
from .record import Record
from .reduce import largest
from .simd import at, exp2, lanes_of
from .softmax import lowest

KNOWN = (
    *("query", "key", "value", "target", "kept", "n_heads", "n_kv_heads", "d_head", "d_value", "left", "right"),
    *("dilation", "n_global", "times", "slopes", "table", "reach", "kernels"),
)
"""Fields of an operation of attention that a step takes into account."""

NewSteps = Record(
    # Projections of the new steps, a row a stream, and how many heads they have, of which widths.
    *("query", "key", "value", "target", "n_heads", "n_kv_heads", "d_head", "d_value"),
    # Steps that are seen before this one, one of them in so many; the first ones, which are always seen, kept apart;
    # how many of these are read at the most, if not all.
    *("left", "dilation", "n_global", "top_k"),
    # What is added to scores: addresses, 0 where there is nothing, of the slopes of all heads, or of their tables.
    *("slopes", "table", "reach"),
    # Of the stream at hand: how many steps came before this one.
    "count",
    # Of the first steps, or of those in the ring: what is kept of them, for how many there is room, how many there are,
    # where the new step is or would be, and after how many places the ring begins again; of those in the ring, which
    # are seen.
    *("kept", "room", "n_kept", "place", "ring", "every", "least"),
    # Room for a block of scores.
    "scratch",
    doubles=("scale", "time"),
)
"""New steps of some streams."""

# Keys of a block, and heads that meet them together: no more than `attention.scratch_size` has room for.
_KEYS, _HEADS = 128, 64
# The room of the first steps is a multiple of so many.
_RUN = 16
# Places after which a ring never begins again.
_ENDLESS = 1 << 40
_LOG2_E = math.log2(math.e)
# A score whose power is nothing beside any other.
_LOW = -1e30


def keeps(fields):
    """Say what is kept of each step, see `Kind`: keys across, values of each head along, and times, of two numbers."""
    n_kv_heads, n_times = fields["n_kv_heads"], 2 * (fields["times"] != -1)
    kept = (("across", n_kv_heads * fields["d_head"]), *n_kv_heads * (("along", fields["d_value"]),))
    kept = (*kept, ("along", 2)) if n_times else kept
    a_step = n_kv_heads * (fields["d_head"] + fields["d_value"]) + n_times
    return (("once", _room_of_first(fields["n_global"]) * a_step), *kept) if fields["n_global"] else kept


def _room_of_first(n_global):
    """Give for how many of the first steps there is room: whole vectors of them."""
    return -(-n_global // _RUN) * _RUN


@kernel
def attend_steps(step: NewSteps, call: Call):
    """Keep the key and the value of each new step, and attend from its query to all that are kept within the window."""
    n_kv_heads, group, scratch = step.n_kv_heads, step.n_heads // step.n_kv_heads, call.scratch
    n_queries, n_mixed = step.n_heads * step.d_head, step.n_heads * step.d_value
    n_keys, n_values = n_kv_heads * step.d_head, n_kv_heads * step.d_value
    query, key, value, target = reals(step.query), reals(step.key), reals(step.value), reals(step.target)
    for r in range(call.first, call.last):
        kept, room = kept_of(call, r), room_of(call, r)
        step.time, step.scratch, step.count = time_of(call, r), scratch, steps_before(call, r)
        if step.count < step.n_global:
            _choose_first(step, kept)
            _keep(step, at(key, r * n_keys), at(value, r * n_values))
        _choose_ring(step, kept, room)
        _keep(step, at(key, r * n_keys), at(value, r * n_values))
        for shared in range(n_kv_heads):
            for first in range(shared * group, (shared + 1) * group, _HEADS):
                n = min((shared + 1) * group - first, _HEADS)
                own, mixed = (
                    at(query, r * n_queries + first * step.d_head),
                    at(target, r * n_mixed + first * step.d_value),
                )
                if step.top_k:
                    _attend_best(step, shared, first, n, own, mixed, kept, room)
                else:
                    _attend(step, shared, first, n, own, mixed, kept, room)


@kernel
def _choose_first(step: NewSteps, kept: Reals):
    """Say that the first steps are at hand, which every later one sees."""
    step.kept, step.room = address_of(kept), (step.n_global + _RUN - 1) // _RUN * _RUN
    step.n_kept, step.place, step.ring = min(step.count + 1, step.n_global), step.count, _ENDLESS
    step.every, step.least = 1, 0


@kernel
def _choose_ring(step: NewSteps, kept: Reals, room: Int):
    """Say that the steps in the ring are at hand."""
    n_times = 2 if step.slopes else 0
    a_step = step.n_kv_heads * (step.d_head + step.d_value) + n_times
    step.kept = address_of(at(kept, (step.n_global + _RUN - 1) // _RUN * _RUN * a_step))
    step.room, step.n_kept, step.ring = room, min(step.count, step.left) + 1, step.left + 1
    step.place, step.every, step.least = step.count % step.ring, step.dilation, step.n_global


@kernel
def _keep(step: NewSteps, key: Reals, value: Reals):
    """Write the new key, value and time in the place of those that have left the window, or behind all others."""
    room, place, d_value = step.room, step.place, step.d_value
    n_keys, n_kv_heads, keys = step.n_kv_heads * step.d_head, step.n_kv_heads, reals(step.kept)
    values = at(keys, n_keys * room)
    for j in range(n_keys):
        keys[j * room + place] = key[j]
    for shared in range(n_kv_heads):
        row = at(values, (shared * room + place) * d_value)
        for j in range(d_value):
            row[j] = value[shared * d_value + j]
    if step.slopes:
        times = doubles(address_of(at(values, n_kv_heads * d_value * room)))
        times[place] = step.time


@kernel
def _attend(step: NewSteps, shared: Int, first: Int, n_heads: Int, query: Reals, target: Reals, kept: Reals, room: Int):
    """Attend with some heads that share their keys and values: to the first steps, then to those in the ring."""
    d_head, d_value = step.d_head, step.d_value
    scaled, factor = reals(step.scratch), real(step.scale) * real(_LOG2_E)
    totals = at(scaled, n_heads * (d_head + _KEYS + 1))
    for i in range(n_heads * d_head):
        scaled[i] = query[i] * factor
    for h in range(n_heads):
        totals[h] = real(0)
    if step.n_global:
        _choose_first(step, kept)
        _meet(step, shared, first, n_heads, target, True)
        _choose_ring(step, kept, room)
    _meet(step, shared, first, n_heads, target, step.n_global == 0)
    for h in range(n_heads):
        mixed, inverse = at(target, h * d_value), real(1) / totals[h]
        for j in range(d_value):
            mixed[j] *= inverse


@kernel
def _meet(step: NewSteps, shared: Int, first: Int, n_heads: Int, target: Reals, fresh: Bool):
    """Meet the steps at hand; nothing was met before where that is `fresh`."""
    d_head, d_value, room, n = step.d_head, step.d_value, step.room, step.n_kept
    keys = at(reals(step.kept), shared * d_head * room)
    values = at(reals(step.kept), (step.n_kv_heads * d_head + shared * d_value) * room)
    scaled = reals(step.scratch)
    scores = at(scaled, n_heads * d_head)
    highest = at(scores, n_heads * _KEYS)
    totals = at(highest, n_heads)
    for k in range(0, n, _KEYS):
        live, is_first = min(n - k, _KEYS), fresh and k == 0
        _score(at(keys, k), room, room - k, scaled, d_head, n_heads, scores, live)
        for h in range(n_heads):
            row, mixed = at(scores, h * _KEYS), at(target, h * d_value)
            _add_bias(step, first + h, k, live, row)
            _absorb(row, live, at(highest, h), at(totals, h), mixed, d_value, is_first)
            mix(row, live, at(values, k * d_value), d_value, mixed, is_first)


@kernel
def _attend_best(
    step: NewSteps, shared: Int, first: Int, n_heads: Int, query: Reals, target: Reals, kept: Reals, room: Int
):
    """Attend with some heads that share their keys and values to the best keys of each (best.py)."""
    d_head, d_value, top_k = step.d_head, step.d_value, step.top_k
    scaled, factor = reals(step.scratch), real(step.scale) * real(_LOG2_E)
    least = at(scaled, n_heads * (d_head + _KEYS))
    counts = at(least, n_heads)
    noted = at(counts, n_heads)
    for i in range(n_heads * d_head):
        scaled[i] = query[i] * factor
    for h in range(n_heads):
        least[h], counts[h] = lowest(least), real(0)
    if step.n_global:
        _choose_first(step, kept)
        _note_steps(step, shared, first, n_heads)
        _choose_ring(step, kept, room)
    _note_steps(step, shared, first, n_heads)
    for h in range(n_heads):
        scores, mixed = at(noted, 4 * top_k * h), at(target, h * d_value)
        n = weigh(scores, int(counts[h]), top_k, at(least, h), at(counts, h))
        for j in range(d_value):
            mixed[j] = real(0)
        for i in range(n):
            value, weight = _value(step, shared, kept, room, int(scores[2 * top_k + i])), scores[i] * counts[h]
            for j in range(d_value):
                mixed[j] += weight * value[j]


@kernel
def _note_steps(step: NewSteps, shared: Int, first: Int, n_heads: Int):
    """Note the best of the steps at hand, by how long ago they were; of equals what came first, wherever it is kept."""
    d_head, room, n, top_k = step.d_head, step.room, step.n_kept, step.top_k
    keys, scaled = at(reals(step.kept), shared * d_head * room), reals(step.scratch)
    scores = at(scaled, n_heads * d_head)
    least = at(scores, n_heads * _KEYS)
    counts = at(least, n_heads)
    noted = at(counts, n_heads)
    for k in range(0, n, _KEYS):
        live = min(n - k, _KEYS)
        _score(at(keys, k), room, room - k, scaled, d_head, n_heads, scores, live)
        for h in range(n_heads):
            row, own = at(scores, h * _KEYS), at(noted, 4 * top_k * h)
            _add_bias(step, first + h, k, live, row)
            for i in range(live):
                if row[i] < least[h] or row[i] <= real(_LOW):
                    continue
                counts[h] = real(note(own, top_k, int(counts[h]), row[i], -_ago(step, k + i), at(least, h)))


@kernel
def _value(step: NewSteps, shared: Int, kept: Reals, room: Int, ago: Int) -> Reals:
    """Give the value of the step that was so many steps ago, told as a number below 0."""
    place = step.count + ago
    if place < step.n_global:
        _choose_first(step, kept)
    else:
        _choose_ring(step, kept, room)
        place %= step.ring
    values = at(reals(step.kept), (step.n_kv_heads * step.d_head + shared * step.d_value) * step.room)
    return at(values, place * step.d_value)


@kernel
def _score(keys: Reals, room: Int, n_held: Int, query: Reals, d_head: Int, n_heads: Int, scores: Reals, n: Int):
    """Meet `n` keys, in wide tiles as long as what there is room for holds one: what lies past `n` is not looked at."""
    lanes, k = lanes_of(keys), 0
    while k < n and k + WIDE * lanes <= min(n_held, _KEYS):
        for h in range(n_heads):
            block = at(scores, h * _KEYS + k)
            wide_scores(at(query, h * d_head), d_head, 1, at(keys, k), room, block, _KEYS, d_head, 1, lanes, True)
        k += WIDE * lanes
    if k < n:
        matmul(query, d_head, 1, at(keys, k), room, at(scores, k), _KEYS, n_heads, d_head, n - k, True)


@kernel
def _add_bias(step: NewSteps, head: Int, k: Int, n: Int, scores: Reals):
    """Add what distances count to the scores of a block, in units of log2."""
    if step.slopes:
        slope, now = doubles(step.slopes)[head] * _LOG2_E, step.time
        n_kept = step.n_kv_heads * (step.d_head + step.d_value) * step.room
        times = at(doubles(address_of(at(reals(step.kept), n_kept))), k)
        for i in range(n):
            scores[i] -= real(slope * abs(now - times[i]))
    if step.table:
        reach = step.reach
        table = at(reals(step.table), head * (2 * reach + 1) + reach)
        for i in range(n):
            scores[i] += table[min(_ago(step, k + i), reach)] * real(_LOG2_E)
    if step.every > 1 or step.least:
        for i in range(n):
            ago = _ago(step, k + i)
            if ago % step.every or step.count - ago < step.least:
                scores[i] = real(_LOW)


@kernel
def _ago(step: NewSteps, place: Int) -> Int:
    """Give how many steps ago that was which is kept at a place."""
    ago = step.place - place
    return ago + step.ring if ago < 0 else ago


@kernel
def _absorb(scores: Reals, n: Int, highest: Reals, total: Reals, mixed: Reals, d_value: Int, fresh: Bool):
    """Turn scores into powers of two relative to the largest so far, and bring what was mixed before up to it."""
    top = largest(scores, n)
    if fresh:
        highest[0], total[0] = top, real(0)
    elif top > highest[0]:
        shrink = exp2(highest[0] - top)
        highest[0] = top
        total[0] *= shrink
        for j in range(d_value):
            mixed[j] *= shrink
    at_once = powers_at_once(scores)
    end = (n + at_once - 1) // at_once * at_once
    for i in range(n, end):
        scores[i] = real(_LOW)
    total[0] += powers(scores, end, highest[0])
