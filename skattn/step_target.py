"""What every step should give, a row for each; and rows given back in the form in which y came."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn.sequences import Sequences

FORMS = ("list", "objects", "array")
"""How y of steps comes, and predictions go: a list of arrays, an array of them, or one padded array."""


@dataclass(frozen=True, eq=False)
class StepTarget:
    """What every step of some sequences should give.

    Attributes
    ----------
    values : ndarray of shape (n_rows,) or (n_rows, n_columns)
        What `read_target` gives, a row for each step; 0 where a step has no label.
    weight : ndarray of shape (n_rows,), float64
        How much each step counts; 0 where it has no label.
    starts, lengths : int64 ndarray of shape (n_samples,)
        Where the rows of each sequence begin, and how many they are.
    form : str
        One of `FORMS`.
    """

    values: NDArray[Any]
    weight: NDArray[np.float64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    form: str

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, which: Any) -> Any:
        """Give some of the sequences; of one, its rows as numbers."""
        if isinstance(which, Integral):
            rows = slice(self.starts[which], self.starts[which] + self.lengths[which])
            return np.column_stack([self.values[rows], self.weight[rows]])
        return replace(self, starts=self.starts[which], lengths=self.lengths[which])

    def tobytes(self) -> bytes:
        """Give all that the sequences should give as bytes, to tell whether two are the same."""
        return b"".join(self[i].tobytes() for i in range(len(self)))

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the steps of these sequences that have a label, a sequence behind the other."""
        rows = self._all_rows
        return rows[self.weight[rows] > 0]

    @property
    def _all_rows(self) -> NDArray[np.int64]:
        ends = np.cumsum(self.lengths)
        return np.arange(ends[-1]) + np.repeat(self.starts - (ends - self.lengths), self.lengths)

    @property
    def labelled(self) -> NDArray[Any]:
        """What the steps that have a label should give."""
        return self.values[self.rows]

    @property
    def totals(self) -> NDArray[np.float64]:
        """Weight of all steps of each sequence."""
        pairs = zip(self.starts.tolist(), self.lengths.tolist(), strict=True)
        return np.array([self.weight[start : start + length].sum() for start, length in pairs])

    def of_labelled(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the weight of a sequence to each of its steps that has a label."""
        return np.repeat(weight, self.lengths)[self.weight[self._all_rows] > 0]

    def relabelled(self, labels: NDArray[Any]) -> "StepTarget":
        """Put others in the place of `labelled`."""
        values = np.zeros((len(self.values), *labels.shape[1:]), labels.dtype)
        values[self.rows] = labels
        return replace(self, values=values)

    def weighed(self, factors: NDArray[np.float64]) -> "StepTarget":
        """Multiply the weight of each step that has a label."""
        weight = self.weight.copy()
        weight[self.rows] *= factors
        return replace(self, weight=weight)

    def as_given(self, classes: NDArray[Any] | None) -> list[NDArray[Any]]:
        """Give the labels of each sequence's steps as a user would, whose `classes` they are."""
        given = self.values if classes is None or self.values.ndim > 1 else classes[self.values.astype(np.int64)]
        blank, dtype = _blank(given.dtype)
        marked = given.astype(dtype)
        marked[self.weight == 0] = blank
        return [marked[start : start + n] for start, n in zip(self.starts, self.lengths, strict=True)]

    def encoded(self, encode: Callable[[NDArray[Any]], NDArray[Any]]) -> "StepTarget":
        """Put what the loss is computed against in the place of values, with the share of each step behind it."""
        values, shares = encode(self.values), np.zeros(len(self.weight))
        for start, length, total in zip(self.starts.tolist(), self.lengths.tolist(), self.totals.tolist(), strict=True):
            shares[start : start + length] = self.weight[start : start + length] / (total or 1.0)
        values = np.where(shares[:, np.newaxis] > 0, values, 0.0)
        return replace(self, values=np.column_stack([values, shares]))


def _blank(dtype: np.dtype[Any]) -> tuple[Any, np.dtype[Any]]:
    """What stands where there is nothing, and a type that holds it."""
    if dtype.kind == "f":
        return np.nan, dtype
    return (-1, np.result_type(dtype, np.int8)) if dtype.kind in "iu" else (None, np.dtype(object))


def give_steps(rows: NDArray[Any], data: Sequences, form: str) -> Any:
    """Give what was found for every step in the form in which y came.

    Parameters
    ----------
    rows : ndarray of shape (sum of lengths, ...)
    data : Sequences
    form : str
        One of `FORMS`. A padded array only where X is one.

    Returns
    -------
    steps : list of ndarray of shape (n_steps_i, ...), 1-D array of them, or ndarray of shape (n_samples, n_steps, ...)
        Where padded: NaN in floats, -1 in whole numbers, None in anything else.
    """
    if form == "array" and data.kind != "ragged":
        blank, dtype = _blank(rows.dtype)
        padded = np.full((data.n_samples, data.n_steps, *rows.shape[1:]), blank, dtype)
        padded[np.arange(data.n_steps) < data.lengths[:, np.newaxis]] = rows
        return padded
    parts = np.split(rows, np.cumsum(data.lengths)[:-1])
    if form != "objects":
        return parts
    held = np.empty(len(parts), object)
    for i, part in enumerate(parts):
        held[i] = part
    return held
