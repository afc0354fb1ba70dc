"""Replace a block of steps, or a feature, by values of other sequences or by what tells nothing."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._wording import shortened
from skattn.categories import MOST
from skattn.roles import usual_interval
from skattn.sequences import Sequences

UNKNOWN = MOST - 1
"""A code that no fit has seen, but by chance."""

WAYS = ("auto", "mean", "interpolation", "missing")
"""Words for what takes the place of values."""


class Permutation:
    """Values of other sequences in the place of a sequence's own.

    All sequences stand in a ring, in an order that is drawn, and each is given the values of the next one: none keeps
    its own. The order is the same for all blocks and features, so that chance makes little difference between them.

    Parameters
    ----------
    data : Sequences
        Two at least.
    seed : sequence of int
        Of the order.
    """

    def __init__(self, data: Sequences, seed: list[int]) -> None:
        self._data = data
        self._order = np.random.default_rng(seed).permutation(data.n_samples)

    def steps(self, first: int, last: int) -> NDArray[Any]:
        """Give all values, those of steps `first` to `last` exchanged with those that others have there.

        Sequences that are so long exchange among each other. Where one ends within the block, its steps there are
        spread over those that are wanted; where only one is so long, it is given the last steps of another. Times stay.
        """
        lengths = self._data.lengths
        order = self._order[lengths[self._order] > first]
        givers = np.roll(order, -1) if len(order) > 1 else self._order[self._order != order[0]][:1]
        wanted = np.minimum(lengths[order], last) - first
        begins = np.where(lengths[givers] > first, first, np.maximum(lengths[givers] - wanted, 0))
        sizes = np.minimum(lengths[givers] - begins, wanted)
        columns = [column for column in range(self._data.n_features) if column != self._data.roles.time]
        return self._exchanged(order, first, wanted, givers, begins, sizes, columns)

    def feature(self, column: int) -> NDArray[Any]:
        """Give all values, those of a feature exchanged as a whole, drawn out or together where lengths differ."""
        lengths, givers = self._data.lengths, np.roll(self._order, -1)
        return self._exchanged(self._order, 0, lengths[self._order], givers, 0, lengths[givers], [column])

    def _exchanged(
        self, takers: Any, first: int, wanted: Any, givers: Any, begins: Any, sizes: Any, columns: list[int]
    ) -> NDArray[Any]:
        """Values, of which each taker has `wanted` rows of a giver, spread over `sizes` rows of it."""
        starts, changed = self._data.starts, self._data.values.copy()
        rows = spread_rows(starts[takers] + first, wanted, wanted)
        given = spread_rows(starts[givers] + begins, sizes, wanted)
        changed[rows[:, np.newaxis], columns] = self._data.values[given[:, np.newaxis], columns]
        return changed


class Occlusion:
    """What tells nothing in the place of values.

    Parameters
    ----------
    data : Sequences
    replacement : {"auto", "mean", "interpolation", "missing"}, number or array of shape (n_features,)
        Checked by `check_replacement`.
    """

    def __init__(self, data: Sequences, replacement: Any) -> None:
        self._data, self._interpolates = data, isinstance(replacement, str) and replacement == "interpolation"
        self._means = _means(data)
        self._fill = self._means.copy()
        if isinstance(replacement, str):
            self._fill[:] = np.nan if replacement == "missing" else self._means
        elif np.ndim(replacement):
            self._fill[:] = replacement
        else:
            self._fill[_number_columns(data)] = replacement

    def steps(self, first: int, last: int) -> NDArray[Any]:
        """Give all values, those of steps `first` to `last` replaced. Times stay."""
        data, changed = self._data, self._data.values.copy()
        samples = np.flatnonzero(data.lengths > first)
        sizes = np.minimum(data.lengths[samples], last) - first
        rows = spread_rows(data.starts[samples] + first, sizes, sizes)
        columns = [column for column in range(data.n_features) if column != data.roles.time]
        changed[rows[:, np.newaxis], columns] = self._fill[columns]
        if self._interpolates:
            numbers = _number_columns(data)
            lines = self._lines(samples, first, last, sizes)[:, numbers]
            changed[rows[:, np.newaxis], numbers] = np.where(np.isnan(lines), self._means[numbers], lines)
        return self._without_padding(changed)

    def feature(self, column: int) -> NDArray[Any]:
        """Give all values, those of a feature replaced; times are then the usual interval apart."""
        data, changed = self._data, self._data.values.copy()
        rows = spread_rows(data.starts, data.lengths, data.lengths)
        if column == data.roles.time:
            within = rows - np.repeat(data.starts, data.lengths)
            begins = np.repeat(data.values[data.starts, column].astype(np.float64), data.lengths)
            changed[rows, column] = begins + within * usual_interval(data)
        else:
            changed[rows, column] = self._fill[column]
        return self._without_padding(changed)

    def _lines(self, samples: NDArray[Any], first: int, last: int, sizes: NDArray[Any]) -> NDArray[np.float64]:
        """Values on the lines between the steps beside the block; level where there is one only, NaN where none."""
        data, values = self._data, self._data.values.astype(np.float64)
        starts, is_open = data.starts[samples], last < data.lengths[samples]
        left = values[starts + max(first - 1, 0)]
        right = np.where(is_open[:, np.newaxis], values[starts + np.where(is_open, last, 0)], left)
        if first == 0:
            left = np.where(is_open[:, np.newaxis], right, np.nan)
        owners = np.repeat(np.arange(len(samples)), sizes)
        within = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + 1
        share = (within / (sizes[owners] + 1))[:, np.newaxis]
        return (1 - share) * left[owners] + share * right[owners]

    def _without_padding(self, changed: NDArray[Any]) -> NDArray[Any]:
        """Give the last step of a sequence something to hold where nothing would make it padding."""
        ends = self._data.starts + self._data.lengths - 1
        empty = ends[np.isnan(changed[ends]).all(axis=1)]
        changed[empty] = self._means
        return changed


def check_replacement(replacement: Any, n_features: int, model_parts: list[Any], *, of_steps: bool) -> Any:
    """Give what takes the place of values, "auto" resolved.

    Parameters
    ----------
    replacement : object
        As `step_importance` has it.
    n_features : int
        Of a step.
    model_parts : list of estimator
        The model, and those that it is made of.
    of_steps : bool
        Whether steps are replaced, and not features.

    Raises
    ------
    ValueError
        If it is something else, or the model takes no missing values.
    """
    if isinstance(replacement, str):
        ways = WAYS if of_steps else tuple(way for way in WAYS if way != "interpolation")
        if replacement not in ways:
            raise ValueError(
                f"replacement={shortened(repr(replacement), 60)} is none of {', '.join(map(repr, ways))}; give one of "
                "these, a number, or a number for each feature."
            )
        refusing = [part for part in model_parts if getattr(part, "handle_missing", "mask") != "mask"]
        if replacement == "missing" and refusing:
            raise ValueError(
                f'replacement="missing", and {type(refusing[0]).__name__} takes no missing values; fit it with '
                'handle_missing="mask", or use replacement="mean".'
            )
        return "mean" if replacement == "auto" else replacement
    if isinstance(replacement, Real) and np.isfinite(replacement):
        return float(replacement)
    try:
        fill = np.asarray(replacement, dtype=np.float64)
    except (TypeError, ValueError):
        fill = np.empty(0)
    if fill.shape != (n_features,) or not np.isfinite(fill).all():
        raise ValueError(
            f"replacement={shortened(repr(replacement), 60)} is no finite number, and no {n_features} of them; give "
            f"one number, one for each of the {n_features} features of a step, or one of {', '.join(map(repr, WAYS))}."
        )
    return fill


def spread_rows(firsts: NDArray[Any], sizes: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.int64]:
    """Give `wanted` rows of each span of `sizes` rows, evenly spread over it and in its order."""
    within = np.arange(wanted.sum()) - np.repeat(np.cumsum(wanted) - wanted, wanted)
    return np.repeat(firsts, wanted) + within * np.repeat(sizes, wanted) // np.repeat(wanted, wanted)


def _number_columns(data: Sequences) -> list[int]:
    return [column for column in range(data.n_features) if column not in data.roles.no_numbers]


def _means(data: Sequences) -> NDArray[np.float64]:
    """Mean of each number over the valid steps that have it, 0 where none has; the unknown code of categories."""
    rows = spread_rows(data.starts, data.lengths, data.lengths)
    values = data.values[rows].astype(np.float64)
    counts = np.maximum((~np.isnan(values)).sum(axis=0), 1)
    means = np.nansum(values, axis=0) / counts
    means[list(data.roles.categorical)] = UNKNOWN
    return means
