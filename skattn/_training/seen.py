"""Keep count of all that a network has learned from, over calls: how features lie, and how long sequences are."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from skattn._training.spread import BLOCK, FAR, Spread, measure, measure_without_far, step_blocks

SUPPORT = 0.05
"""Share of the sequences that must be about as long as a position is late for it to be learned."""

STRETCH = 4
"""How many times as long a sequence may be as those; a few that are longer are longer than the table of positions."""

N_BITS = 64
"""Kinds of lengths that are told apart: those of one bit, two bits, and so on."""


@dataclass(frozen=True)
class Seen:
    """What all samples so far were like; plain arrays.

    Attributes
    ----------
    weight : ndarray of shape (n_features,), float64
        What the steps that were measured weigh, each as much as its sample.
    mean, deviation : ndarray of shape (n_features,), float64
        Weighted, over these.
    left_out : ndarray of shape (n_features,), float64
        Weight of the values that were left out, for they were rare and far.
    lengths : ndarray of shape (64,), float64
        Weight of the sequences whose length has so many bits.
    """

    weight: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    left_out: np.ndarray
    lengths: np.ndarray


def look(data, weight, before=None):
    """Measure samples, together with those before.

    Parameters
    ----------
    data : Sequences
        Read a few megabytes at a time, several times.
    weight : ndarray of shape (n_samples,)
        Non-negative, not all zero.
    before : Seen, optional

    Returns
    -------
    seen : Seen
    mean, scale : ndarray of shape (n_features,), float64
        To standardise features by.
    """
    blocks = _blocks_of(data, weight)
    spread, left_out = measure_without_far(blocks, before and _spread_of(before))
    lengths = np.bincount(_bits(data.lengths), weights=weight, minlength=N_BITS)
    if before is not None:
        left_out, lengths = before.left_out + left_out, before.lengths + lengths
        # What keeps coming is not rare, however little of it a call brings.
        often = np.flatnonzero(left_out * FAR**2 > spread.weight)
        if len(often):
            with np.errstate(all="ignore"):
                spread = spread.replace(often, measure(blocks, _spread_of(before)).take(often))
            left_out[often] = 0
    with np.errstate(all="ignore"):
        scale = spread.scale
    return Seen(spread.weight, spread.mean, spread.deviation, left_out, lengths), spread.mean, scale


def assume_seen(data, weight, network):
    """Give what is taken for seen by a network whose file does not tell: as much as the samples at hand.

    Parameters
    ----------
    data, weight : as in `look`
    network : Network
        Whose mean, scale and longest position are taken for those of what it saw.
    """
    n_features = data.values.shape[1]
    lengths = np.zeros(N_BITS)
    lengths[_bits(network.architecture.max_steps * network.architecture.stride)] = weight.sum()
    steps = np.full(n_features, weight @ data.lengths)
    return Seen(steps, network.mean, network.scale, np.zeros(n_features), lengths)


def supported_length(seen, longest):
    """Give the length of the table of positions that samples can teach: `longest`, unless that is an exception.

    Parameters
    ----------
    seen : Seen
    longest : int
        Steps of the longest sequence.
    """
    reaching = np.cumsum(seen.lengths[::-1])[::-1]
    # Rounding must not tell a weighted sample from a repeated one.
    is_supported = reaching >= SUPPORT * (1 - 1e-9) * reaching[0]
    return min(int(longest), STRETCH << int(np.flatnonzero(is_supported)[-1]))


def _bits(lengths):
    """Bits of whole numbers, 1 for 1, 2 for 2 and 3, 3 for 4 to 7."""
    return np.frexp(np.asarray(lengths, np.float64))[1]


def _blocks_of(data, weight):
    """What `measure` takes; steps that fit into one block are looked up once."""
    if data.lengths.sum() * data.values.shape[1] > BLOCK:
        return partial(step_blocks, data, weight)
    kept = list(step_blocks(data, weight))
    return lambda: kept


def _spread_of(seen):
    """What was measured before; numbers are no longer at hand, so the ends are the mean."""
    return Spread(seen.weight, seen.mean, seen.deviation, seen.mean, seen.mean, 0.0)
