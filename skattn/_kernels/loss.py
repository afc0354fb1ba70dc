"""What is made small: the loss of one sequence, and its gradient. The first part of a sequence does all of it.

The slot `wanted` holds the weight of the sequence, then its target. The forward kernels put the unweighted loss into
the slot `loss`; the backward kernels begin the gradient of the outputs with the weighted one.
"""

import math

from .jit import Int, Ints, Real, Reals, kernel, real
from .simd import at
from .step import LEARN, N_STEPS, PART, PROBABILITY_UNIT, TRAINING, TRANSFORM, Kind, hides

_FIELDS = ("source", "wanted", "loss", "n_outputs")
_SMOOTHED_FIELDS = (*_FIELDS, "smoothing")
# `smoothing`: share of a label that is spread over all of them, in PROBABILITY_UNIT parts.
_RECONSTRUCTION_FIELDS = (*_FIELDS, "input", "share")
# Deviations of the target beyond which Huber's loss grows along a line: 95 % as efficient as the mean where errors are
# normal and of that deviation, as scikit-learn says of its `HuberRegressor`, which has the same default.
HUBER_BEND = 1.35


@kernel
def _smoothing(row: Ints, call: Ints) -> Real:
    """Give the share of a label that is spread; none but while learning."""
    return real(row[5]) / real(PROBABILITY_UNIT) if call[TRAINING] == LEARN else real(0)


@kernel
def cross_entropy_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Compute ``log(sum(exp(outputs))) - outputs[label]``; a share of the label is that of all classes alike."""
    if call[PART] > 0:
        return
    outputs, wanted, n_outputs = at(values, place[row[1]]), at(values, place[row[2]]), row[4]
    largest = outputs[0]
    for k in range(n_outputs):
        largest = max(largest, outputs[k])
    total, spread = real(0), real(0)
    for k in range(n_outputs):
        total += math.exp(outputs[k] - largest)
        spread += outputs[k] - outputs[int(wanted[1])]
    loss = at(values, place[row[3]])
    loss[0] = math.log(total) + largest - outputs[int(wanted[1])] - _smoothing(row, call) / real(n_outputs) * spread


@kernel
def cross_entropy_backward(
    row: Ints,
    call: Ints,
    place: Ints,
    weights: Reals,
    transposed: Reals,
    values: Reals,
    d_values: Reals,
    d_weights: Reals,
    scratch: Reals,
):
    """Give ``softmax(outputs) - onehot(label)``, weighted; a share of the label is spread."""
    if call[PART] > 0:
        return
    outputs, wanted, n_outputs = at(values, place[row[1]]), at(values, place[row[2]]), row[4]
    d_outputs = at(d_values, place[row[1]])
    largest = outputs[0]
    for k in range(n_outputs):
        largest = max(largest, outputs[k])
    total = real(0)
    for k in range(n_outputs):
        d_outputs[k] = math.exp(outputs[k] - largest)
        total += d_outputs[k]
    smoothing = _smoothing(row, call)
    for k in range(n_outputs):
        d_outputs[k] = d_outputs[k] * (wanted[0] / total) - smoothing / real(n_outputs) * wanted[0]
    d_outputs[int(wanted[1])] -= (real(1) - smoothing) * wanted[0]


CROSS_ENTROPY = Kind("cross_entropy", cross_entropy_forward, cross_entropy_backward, _SMOOTHED_FIELDS)


@kernel
def squared_error_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Compute half the mean over outputs of the squared difference."""
    if call[PART] > 0:
        return
    outputs, wanted, n_outputs = at(values, place[row[1]]), at(values, place[row[2]] + 1), row[4]
    total = real(0)
    for k in range(n_outputs):
        total += (outputs[k] - wanted[k]) * (outputs[k] - wanted[k])
    loss = at(values, place[row[3]])
    loss[0] = real(0.5) * total / real(n_outputs)


@kernel
def squared_error_backward(
    row: Ints,
    call: Ints,
    place: Ints,
    weights: Reals,
    transposed: Reals,
    values: Reals,
    d_values: Reals,
    d_weights: Reals,
    scratch: Reals,
):
    """Give the difference, weighted."""
    if call[PART] > 0:
        return
    outputs, wanted, n_outputs = at(values, place[row[1]]), at(values, place[row[2]]), row[4]
    d_outputs = at(d_values, place[row[1]])
    share = wanted[0] / real(n_outputs)
    for k in range(n_outputs):
        d_outputs[k] = share * (outputs[k] - wanted[k + 1])


SQUARED_ERROR = Kind("squared_error", squared_error_forward, squared_error_backward, _FIELDS)


@kernel
def absolute_error_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Compute the mean over outputs of the difference's size."""
    if call[PART] > 0:
        return
    outputs, wanted, n_outputs = at(values, place[row[1]]), at(values, place[row[2]] + 1), row[4]
    total = real(0)
    for k in range(n_outputs):
        total += abs(outputs[k] - wanted[k])
    loss = at(values, place[row[3]])
    loss[0] = total / real(n_outputs)


@kernel
def absolute_error_backward(
    row: Ints,
    call: Ints,
    place: Ints,
    weights: Reals,
    transposed: Reals,
    values: Reals,
    d_values: Reals,
    d_weights: Reals,
    scratch: Reals,
):
    """Give the difference's sign, weighted."""
    if call[PART] > 0:
        return
    outputs, wanted, n_outputs = at(values, place[row[1]]), at(values, place[row[2]]), row[4]
    d_outputs = at(d_values, place[row[1]])
    share = wanted[0] / real(n_outputs)
    for k in range(n_outputs):
        difference = outputs[k] - wanted[k + 1]
        # What is not a number is its own sign, lest it pass unnoticed.
        d_outputs[k] = share if difference > real(0) else -share if difference < real(0) else share * difference


ABSOLUTE_ERROR = Kind("absolute_error", absolute_error_forward, absolute_error_backward, _FIELDS)


@kernel
def huber_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Compute the mean over outputs of half the squared difference, which grows along a line beyond `HUBER_BEND`."""
    if call[PART] > 0:
        return
    outputs, wanted, n_outputs = at(values, place[row[1]]), at(values, place[row[2]] + 1), row[4]
    total, bend = real(0), real(HUBER_BEND)
    for k in range(n_outputs):
        size = abs(outputs[k] - wanted[k])
        total += bend * (size - real(0.5) * bend) if size > bend else real(0.5) * size * size
    loss = at(values, place[row[3]])
    loss[0] = total / real(n_outputs)


@kernel
def huber_backward(
    row: Ints,
    call: Ints,
    place: Ints,
    weights: Reals,
    transposed: Reals,
    values: Reals,
    d_values: Reals,
    d_weights: Reals,
    scratch: Reals,
):
    """Give the difference, no further than `HUBER_BEND`, weighted."""
    if call[PART] > 0:
        return
    outputs, wanted, n_outputs = at(values, place[row[1]]), at(values, place[row[2]]), row[4]
    d_outputs = at(d_values, place[row[1]])
    share, bend = wanted[0] / real(n_outputs), real(HUBER_BEND)
    for k in range(n_outputs):
        difference = outputs[k] - wanted[k + 1]
        difference = bend if difference > bend else -bend if difference < -bend else difference
        d_outputs[k] = share * difference


HUBER = Kind("huber", huber_forward, huber_backward, _FIELDS)


@kernel
def binary_cross_entropy_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Compute the mean over outputs of ``log(1 + exp(output)) - label * output``."""
    if call[PART] > 0:
        return
    outputs, wanted, n_outputs = at(values, place[row[1]]), at(values, place[row[2]] + 1), row[4]
    total, smoothing = real(0), _smoothing(row, call)
    for k in range(n_outputs):
        output = outputs[k]
        label = (real(1) - smoothing) * wanted[k] + real(0.5) * smoothing
        # exp of what is not positive cannot overflow.
        total += max(output, real(0)) - output * label + math.log1p(math.exp(-abs(output)))
    loss = at(values, place[row[3]])
    loss[0] = total / real(n_outputs)


@kernel
def binary_cross_entropy_backward(
    row: Ints,
    call: Ints,
    place: Ints,
    weights: Reals,
    transposed: Reals,
    values: Reals,
    d_values: Reals,
    d_weights: Reals,
    scratch: Reals,
):
    """Give ``sigmoid(outputs) - labels``, weighted."""
    if call[PART] > 0:
        return
    outputs, wanted, n_outputs = at(values, place[row[1]]), at(values, place[row[2]]), row[4]
    d_outputs = at(d_values, place[row[1]])
    share, smoothing = wanted[0] / real(n_outputs), _smoothing(row, call)
    for k in range(n_outputs):
        label = (real(1) - smoothing) * wanted[k + 1] + real(0.5) * smoothing
        small = math.exp(-abs(outputs[k]))
        sigmoid = real(1) / (real(1) + small) if outputs[k] >= real(0) else small / (real(1) + small)
        d_outputs[k] = share * (sigmoid - label)


BINARY_CROSS_ENTROPY = Kind(
    "binary_cross_entropy", binary_cross_entropy_forward, binary_cross_entropy_backward, _SMOOTHED_FIELDS
)


@kernel
def reconstruction_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Compute half the mean, over hidden steps and features, of the squared difference from what was hidden."""
    if call[PART] > 0 or call[TRAINING] == TRANSFORM:
        return
    width = row[4]
    total = real(0)
    for t in range(call[N_STEPS]):
        if hides(call, t, row[6]):
            outputs, wanted = at(values, place[row[1]] + t * width), at(values, place[row[5]] + t * width)
            for j in range(width):
                total += (outputs[j] - wanted[j]) * (outputs[j] - wanted[j])
    loss = at(values, place[row[3]])
    loss[0] = real(0.5) * total / real(_n_hidden(row, call) * width)


@kernel
def reconstruction_backward(
    row: Ints,
    call: Ints,
    place: Ints,
    weights: Reals,
    transposed: Reals,
    values: Reals,
    d_values: Reals,
    d_weights: Reals,
    scratch: Reals,
):
    """Give the difference at hidden steps, weighted, and 0 elsewhere."""
    if call[PART] > 0:
        return
    width, weight = row[4], at(values, place[row[2]])
    share = weight[0] / real(_n_hidden(row, call) * width)
    for t in range(call[N_STEPS]):
        outputs, wanted = at(values, place[row[1]] + t * width), at(values, place[row[5]] + t * width)
        d_outputs = at(d_values, place[row[1]] + t * width)
        if hides(call, t, row[6]):
            for j in range(width):
                d_outputs[j] = share * (outputs[j] - wanted[j])
        else:
            for j in range(width):
                d_outputs[j] = real(0)


RECONSTRUCTION = Kind("reconstruction", reconstruction_forward, reconstruction_backward, _RECONSTRUCTION_FIELDS)


@kernel
def _n_hidden(row: Ints, call: Ints) -> Int:
    """Count the hidden steps of a sequence; 1 for none, which happens only where the loss is of no interest."""
    count = 0
    for t in range(call[N_STEPS]):
        if hides(call, t, row[6]):
            count += 1
    return max(count, 1)
