"""Attention of the new step of a stream to what the stream keeps of the steps before: one query, in blocks of keys.

Keys are kept with a column a step, so that the scores of several fill a vector, and values with a row a step. Under a
window they lie in a ring: softmax does not ask in which order keys come, and how long ago each was follows from its
place. The softmax is that of softmax.py, its largest score and its sum brought up to each block.
"""

import math

from .jit import Bool, Int, Reals, address_of, doubles, kernel, real, reals
from .kept import kept_of, room_of, steps_before, time_of
from .matmul import matmul
from .one_query import WIDE, mix, powers, powers_at_once, wide_scores
from .operation import Call
from .record import Record
from .reduce import largest
from .simd import at, exp2, lanes_of

KNOWN = (
    *("query", "key", "value", "target", "kept", "n_heads", "n_kv_heads", "d_head", "d_value", "left", "right"),
    *("times", "slopes", "table", "reach"),
)
"""Fields of an operation of attention that a step takes into account."""

NewSteps = Record(
    # Projections of the new steps, a row a stream, and how many heads they have, of which widths.
    *("query", "key", "value", "target", "n_heads", "n_kv_heads", "d_head", "d_value"),
    # Steps that are seen before this one.
    "left",
    # What is added to scores: addresses, 0 where there is nothing, of the slopes of all heads, or of their tables.
    *("slopes", "table", "reach"),
    # Of the stream at hand: what it keeps, for how many steps there is room, and how many came before this one.
    *("kept", "room", "count"),
    # Room for a block of scores.
    "scratch",
    doubles=("scale", "time"),
)
"""New steps of some streams."""

# Keys of a block, and heads that meet them together: no more than `attention.scratch_size` has room for.
_KEYS, _HEADS = 128, 64
_LOG2_E = math.log2(math.e)
# A score whose power is nothing beside any other.
_LOW = -1e30


def keeps(fields):
    """Say what is kept of each step, see `Kind`: keys across, values of each head along, and times, of two numbers."""
    n_kv_heads, has_times = fields["n_kv_heads"], fields["times"] != -1
    kept = (("across", n_kv_heads * fields["d_head"]), *n_kv_heads * (("along", fields["d_value"]),))
    return (*kept, ("along", 2)) if has_times else kept


@kernel
def attend_steps(step: NewSteps, call: Call):
    """Keep the key and the value of each new step, and attend from its query to all that are kept within the window."""
    n_kv_heads, group, scratch = step.n_kv_heads, step.n_heads // step.n_kv_heads, call.scratch
    n_queries, n_mixed = step.n_heads * step.d_head, step.n_heads * step.d_value
    n_keys, n_values = n_kv_heads * step.d_head, n_kv_heads * step.d_value
    query, key, value, target = reals(step.query), reals(step.key), reals(step.value), reals(step.target)
    for r in range(call.first, call.last):
        step.kept, step.room, step.count = address_of(kept_of(call, r)), room_of(call, r), steps_before(call, r)
        step.time, step.scratch = time_of(call, r), scratch
        _keep(step, at(key, r * n_keys), at(value, r * n_values))
        for shared in range(n_kv_heads):
            for first in range(shared * group, (shared + 1) * group, _HEADS):
                n = min((shared + 1) * group - first, _HEADS)
                own, mixed = (
                    at(query, r * n_queries + first * step.d_head),
                    at(target, r * n_mixed + first * step.d_value),
                )
                _attend(step, shared, first, n, own, mixed)


@kernel
def _keep(step: NewSteps, key: Reals, value: Reals):
    """Write the new key, value and time in the place of those that have left the window, or behind all others."""
    room, place, d_value = step.room, step.count % (step.left + 1), step.d_value
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
def _attend(step: NewSteps, shared: Int, first: Int, n_heads: Int, query: Reals, target: Reals):
    """Attend with some heads that share their keys and values."""
    d_head, d_value, room, n = step.d_head, step.d_value, step.room, min(step.count, step.left) + 1
    keys = at(reals(step.kept), shared * d_head * room)
    values = at(reals(step.kept), (step.n_kv_heads * d_head + shared * d_value) * room)
    scaled, factor = reals(step.scratch), real(step.scale) * real(_LOG2_E)
    scores = at(scaled, n_heads * d_head)
    highest = at(scores, n_heads * _KEYS)
    totals = at(highest, n_heads)
    for i in range(n_heads * d_head):
        scaled[i] = query[i] * factor
    for k in range(0, n, _KEYS):
        live = min(n - k, _KEYS)
        _score(at(keys, k), room, room - k, scaled, d_head, n_heads, scores, live)
        for h in range(n_heads):
            row, mixed = at(scores, h * _KEYS), at(target, h * d_value)
            _add_bias(step, first + h, k, live, row)
            _absorb(row, live, at(highest, h), at(totals, h), mixed, d_value, k == 0)
            mix(row, live, at(values, k * d_value), d_value, mixed, k == 0)
    for h in range(n_heads):
        mixed, inverse = at(target, h * d_value), real(1) / totals[h]
        for j in range(d_value):
            mixed[j] *= inverse


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
        reach, ring, place = step.reach, step.left + 1, step.count % (step.left + 1)
        table = at(reals(step.table), head * (2 * reach + 1) + reach)
        for i in range(n):
            ago = place - k - i
            ago += ring if ago < 0 else 0
            scores[i] += table[min(ago, reach)] * real(_LOG2_E)


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
