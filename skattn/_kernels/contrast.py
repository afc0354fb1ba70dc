"""Two views of each sequence, told from those of the others: how views are made, and the loss of a batch of them.

The loss couples the sequences of a batch, and each of them is carried through the network alone. So a batch is
carried forwards first, for its embeddings alone; stages of items make the loss and its gradient by these; and then it
is carried forwards again, and back with this gradient (Gao et al. 2021, arXiv:2101.06983, section 3.2). Draws are
counted, so that both times the same is drawn.
"""

import math

from .jit import Int, Real, Reals, doubles, kernel, real, reals
from .operation import PROBABILITY_UNIT, TRANSFORM, Call, Kind, d_slot, slot
from .random import VIEW_SITE, drawing, mix
from .record import Record
from .reduce import dot
from .simd import at

# `jitter`, `scaling` and `mask` in PROBABILITY_UNIT parts: deviations of what is added and multiplied, share of steps.
_AugmentRow = Record("target", "width", "jitter", "scaling", "mask")
_GivenRow = Record("source", "target", "n_outputs")

Contrast = Record(
    # Embeddings of the views of a batch, two of each sequence side by side, and the weight of each sequence.
    *("embeddings", "width", "n_views", "weights"),
    # Room: each view at length one, how long it was, what it has in common with each, and the logarithm of its sum.
    *("units", "norms", "scores", "levels"),
    # What comes of it: the loss of each sequence, and the gradient of the embeddings.
    *("losses", "gradients"),
    doubles=("temperature",),
)
"""What is told to those who make the loss of a batch of views."""

# Draws of a sequence: one a step, then a few that are one a feature, then one a number.
_OF_FEATURES, _OF_NUMBERS = 1 << 28, 1 << 29
# A vector shorter than this is as long as this.
_SHORTEST = 1e-12


@kernel
def _near_normal(state: Int) -> Real:
    """Draw a number that is near enough to normal: the sum of four even ones, the same bits on every machine."""
    bits = mix(state)
    total = (bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) + ((bits >> 48) & 0xFFFF)
    return real((total - 131070) * (1.7320508075688772 / 65536))


@kernel
def augment_forward(row: _AugmentRow, call: Call):
    """Stretch each feature of a sequence and add noise to its numbers, and put the mean in the place of some steps."""
    if call.purpose == TRANSFORM:
        return
    width, mask, begin, targets = row.width, row.mask, drawing(call, VIEW_SITE), slot(call, row.target)
    jitter, scaling = real(row.jitter) / real(PROBABILITY_UNIT), real(row.scaling) / real(PROBABILITY_UNIT)
    for t in range(call.first, call.last):
        target, is_masked = at(targets, t * width), (mix(begin + t) & (PROBABILITY_UNIT - 1)) < mask
        for j in range(width):
            factor = real(1) + scaling * _near_normal(begin + _OF_FEATURES + j)
            noise = jitter * _near_normal(begin + _OF_NUMBERS + t * width + j)
            target[j] = real(0) if is_masked else target[j] * factor + noise


@kernel
def augment_backward(row: _AugmentRow, call: Call):
    """Give no gradient: nothing before this learns."""


AUGMENT = Kind("augment", augment_forward, augment_backward, _AugmentRow, reads=(), step=augment_forward)


@kernel
def given_forward(row: _GivenRow, call: Call):
    """Multiply the outputs with the gradient that was given: what is learned from was computed before."""
    if call.last == 0 or call.purpose == TRANSFORM:
        return
    slot(call, row.target)[0] = dot(slot(call, row.source), reals(call.wanted), row.n_outputs)


@kernel
def given_backward(row: _GivenRow, call: Call):
    """Give the gradient that was given."""
    if call.last == 0:
        return
    d_outputs, wanted, weight = d_slot(call, row.source), reals(call.wanted), reals(call.weight)[0]
    for k in range(row.n_outputs):
        d_outputs[k] = weight * wanted[k]


GIVEN = Kind("given", given_forward, given_backward, _GivenRow)


@kernel
def unit_item(run: Contrast, item: Int, worker: Int):
    """Bring a view to length one."""
    width = run.width
    source, target = at(reals(run.embeddings), item * width), at(reals(run.units), item * width)
    norm = max(math.sqrt(dot(source, source, width)), real(_SHORTEST))
    reals(run.norms)[item] = norm
    for k in range(width):
        target[k] = source[k] / norm


@kernel
def score_item(run: Contrast, item: Int, worker: Int):
    """Compute the loss of a sequence: minus the mean logarithm of what a view has in the softmax of the other.

    Chen et al. (2020), arXiv:2002.05709, equation 1; the softmax is over all views but the one that asks.
    """
    n_views, width, units = run.n_views, run.width, reals(run.units)
    inverse, loss = real(1.0 / run.temperature), real(0)
    for view in range(2 * item, 2 * item + 2):
        scores, unit = at(reals(run.scores), view * n_views), at(units, view * width)
        for other in range(n_views):
            scores[other] = inverse * dot(unit, at(units, other * width), width)
        level = _log_sum_but(scores, n_views, view)
        reals(run.levels)[view] = level
        loss += level - scores[_partner(view)]
    reals(run.losses)[item] = real(0.5) * loss


@kernel
def gradient_item(run: Contrast, item: Int, worker: Int):
    """Compute the gradient of the weighted sum of the losses by the two views of a sequence."""
    n_views, width, weights, levels = run.n_views, run.width, doubles(run.weights), reals(run.levels)
    units, inverse = reals(run.units), real(1.0 / run.temperature)
    for view in range(2 * item, 2 * item + 2):
        scores, unit = at(reals(run.scores), view * n_views), at(units, view * width)
        target, own = at(reals(run.gradients), view * width), real(0.5 * weights[item])
        for k in range(width):
            target[k] = real(0)
        for other in range(n_views):
            if other == view:
                continue
            # What both losses gain by a larger score of the two.
            its, score = real(0.5 * weights[other // 2]), scores[other]
            gain = own * math.exp(score - levels[view]) + its * math.exp(score - levels[other])
            gain -= own + its if other == _partner(view) else real(0)
            asked = at(units, other * width)
            for k in range(width):
                target[k] += inverse * gain * asked[k]
        along, norm = dot(target, unit, width), reals(run.norms)[view]
        for k in range(width):
            target[k] = (target[k] - along * unit[k]) / norm


@kernel
def _partner(view: Int) -> Int:
    """Give the other view of a sequence."""
    return view + 1 if view % 2 == 0 else view - 1


@kernel
def _log_sum_but(scores: Reals, n: Int, left_out: Int) -> Real:
    """Give the logarithm of the sum of exponentials of all scores but one."""
    largest, total = scores[0 if left_out else 1], real(0)
    for k in range(n):
        largest = max(largest, scores[k]) if k != left_out else largest
    for k in range(n):
        total += math.exp(scores[k] - largest) if k != left_out else real(0)
    return math.log(total) + largest
