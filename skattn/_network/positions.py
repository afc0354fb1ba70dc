"""How a step's place in its sequence, or its time, is told: on the stream, by turning heads, or by a bias of scores."""

from dataclasses import dataclass

import numpy as np

from .._kernels import position
from .rules import Waves, sinusoids

REACH = 64
"""Distances, in steps, that are told apart by a learned bias."""


@dataclass(frozen=True)
class Places:
    """What attention is told of where steps are.

    Attributes
    ----------
    angles : Slot or None
        What queries and keys are turned by.
    times : Slot or -1
        Between which distances are taken off scores, in each head at a rate of its own: see `slopes_of`.
    reach : int
        Steps that a learned bias tells apart; 0 without one.
    """

    angles: object = None
    times: object = -1
    reach: int = 0


def position_none(tape, stream, architecture):
    """Leave steps without their place in the sequence."""


def position_sinusoidal(tape, stream, architecture):
    """Add sines and cosines of each position (Vaswani et al. 2017, arXiv:1706.03762, section 3.5)."""
    frequencies = _frequencies(tape, -(-stream.width // 2), stream.width)
    if architecture.time_feature is not None:
        when = _when(tape, stream, architecture)
        tape.operation(position.WAVES, target=stream, width=stream.width, frequencies=frequencies, **when)
        return
    table = tape.constant(GrowingWaves(stream.width))
    tape.operation(position.FIXED, target=stream, table=table, width=stream.width, frequencies=frequencies)


class GrowingWaves:
    """A constant of sines and cosines, kept from batch to batch and made longer where a longer sequence comes."""

    def __init__(self, width):
        self.width, self._table = width, np.zeros((0, width))

    def __call__(self, network, n_rows):
        """Give at least so many rows."""
        table = self._table
        if len(table) < n_rows or table.dtype != network.dtype:
            # Another Python thread may keep a shorter table meanwhile, so what is kept is not read again.
            table = self._table = sinusoids(n_rows, self.width).astype(network.dtype)
        return table


def position_learned(tape, stream, architecture):
    """Add a learned vector of each position; later positions than any at fit take the last one's.

    The vectors begin as half the sines and cosines, which learned better than random ones (docs/architecture.rst).
    """
    table = tape.parameter("position.weight", (architecture.max_steps, stream.width), Waves(0.5))
    tape.operation(position.LEARNED, target=stream, table=table, width=stream.width, n_table=architecture.max_steps)


def position_rotary(tape, stream, architecture):
    """Turn queries and keys by angles that grow with the position, so that only distances count.

    Su et al. 2021, arXiv:2104.09864.
    """
    d_head = architecture.d_head
    angles = tape.slot(d_head // 2 * 2, axis=stream.axis)
    frequencies = _frequencies(tape, d_head // 2, d_head)
    when = _when(tape, stream, architecture)
    table = tape.constant(GrowingWaves(d_head)) if architecture.time_feature is None else -1
    turns = {"n_pairs": d_head // 2, "frequencies": frequencies, "table": table, "width": d_head}
    tape.operation(position.ANGLES, target=angles, **turns, **when)
    return Places(angles=angles)


def position_alibi(tape, stream, architecture):
    """Take off scores what grows with the distance, in each head at a rate of its own.

    Press et al. 2022, arXiv:2108.12409, for both sides of a step.
    """
    times = tape.slot(1, axis=stream.axis, name="times")
    tape.operation(position.TIMES, target=times, **_when(tape, stream, architecture))
    return Places(times=times)


def position_relative(tape, stream, architecture):
    """Add a learned number to scores for each distance up to `REACH`, in each head and layer.

    Shaw et al. 2018, arXiv:1803.02155, in the form of Raffel et al. 2020, arXiv:1910.10683: on scores alone.
    """
    return Places(reach=REACH)


def _when(tape, stream, architecture):
    """Say how it is told when each row is: by its number, or its time in units of the usual interval."""
    column = -1 if architecture.time_feature is None else architecture.time_feature
    unit = tape.constant(lambda network, _: network.time_unit)
    return {"column": column, "n_columns": architecture.n_features, "stride": stream.axis.stride, "unit": unit}


def _frequencies(tape, n_pairs, width):
    """Name the frequencies of pairs of columns, radians a unit of time."""
    table = 10000.0 ** (-2.0 * np.arange(n_pairs) / width)
    return tape.constant(lambda network, _: table)


def slopes_of(architecture, layer):
    """Give what each head of a layer takes off for a unit of distance: powers of two, from steep to flat."""
    return 2.0 ** (-8.0 * (np.array(architecture.heads_of(layer)) + 1.0) / architecture.n_heads)


POSITIONS = {
    "none": position_none,
    "sinusoidal": position_sinusoidal,
    "learned": position_learned,
    "rotary": position_rotary,
    "alibi": position_alibi,
    "relative": position_relative,
}
OF_TIME = ("sinusoidal", "rotary", "alibi")
"""Positions that times can be told by."""
OF_STEPS = ("learned", "sinusoidal", "none")
"""Positions that are told to steps themselves, not between two of them."""
