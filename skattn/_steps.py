"""A sequence's steps as an array that knows what its columns are."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Steps(np.ndarray):
    """Array of shape (n_steps, n_features) with the names of its features, and the categories behind codes.

    It is an array like any other: ``np.asarray`` gives the plain one, of the same memory. What is known of the columns
    goes with steps that are picked (``steps[3:7]``), columns that are picked (``steps[:, [2, 0]]``), copies and
    pickles. It is dropped where axes or widths change, and the categories also where numbers are computed with.
    `take`, `roll` and the like along the columns are not followed.

    Parameters
    ----------
    values : array-like of shape (n_steps, n_features)
        Not copied.
    columns : iterable of str, optional
        Names of the features.
    categories : iterable of (ndarray or None), optional
        For each feature the values that its codes 0, 1, ... stand for, or None if it holds numbers.

    Attributes
    ----------
    columns : tuple of str or None
    categories : tuple of (ndarray or None), or None

    Raises
    ------
    ValueError
        If names or categories are not one a feature.
    """

    columns: tuple[str, ...] | None = None
    categories: tuple[NDArray[Any] | None, ...] | None = None

    def __new__(
        cls,
        values: ArrayLike,
        columns: Iterable[str] | None = None,
        categories: Iterable[NDArray[Any] | None] | None = None,
    ) -> "Steps":
        steps = np.asarray(values).view(cls)
        for what, given in (("names", columns), ("categories", categories)):
            entries = None if given is None else tuple(given)
            if entries is not None and (steps.ndim < 2 or len(entries) != steps.shape[-1]):
                raise ValueError(
                    f"There are {what} for {len(entries)} features, and the steps have shape {steps.shape}; give one "
                    "for each feature of an array of shape (n_steps, n_features)."
                )
            setattr(steps, "columns" if what == "names" else what, entries)
        return steps

    def __array_finalize__(self, source: Any) -> None:
        columns, categories = getattr(source, "columns", None), getattr(source, "categories", None)
        # A single step, or one feature of all steps, could have as many entries as there are names by chance.
        if isinstance(source, Steps) and self.ndim > 1 and source.shape[-1] == self.shape[-1]:
            self.columns, self.categories = columns, categories

    def __array_wrap__(self, array: NDArray[Any], *context: Any) -> Any:
        wrapped = super().__array_wrap__(array, *context)
        if isinstance(wrapped, Steps):
            wrapped.categories = None
        return wrapped

    def __getitem__(self, index: Any) -> Any:
        taken = super().__getitem__(index)
        if isinstance(index, tuple) and isinstance(taken, Steps) and taken.ndim > 1:
            chosen = _chosen_columns(index, self.ndim)
            taken.columns = _pick(self.columns, chosen, taken.shape[-1])
            taken.categories = _pick(self.categories, chosen, taken.shape[-1])
        return taken

    def __reduce__(self) -> Any:
        reduced: Any = super().__reduce__()
        make, arguments, state = reduced
        return make, arguments, (state, self.columns, self.categories)

    def __setstate__(self, state: Any) -> None:
        state, self.columns, self.categories = state
        super().__setstate__(state)

    @property
    def T(self) -> Any:  # noqa: N802
        return self.transpose()

    def transpose(self, *axes: Any) -> Any:
        """Give the plain array with other axes, for its columns are no features."""
        return np.asarray(self).transpose(*axes)

    def swapaxes(self, first: Any, second: Any) -> Any:
        """Give the plain array with other axes, for its columns are no features."""
        return np.asarray(self).swapaxes(first, second)


def _chosen_columns(index: tuple[Any, ...], n_axes: int) -> Any:
    """What an index takes of the last axis, None where that is not plain to see."""
    if any(entry is None or entry is Ellipsis for entry in index):
        return slice(None) if index[-1] is Ellipsis else None
    if len(index) < n_axes:
        return slice(None)
    # Two lists of numbers are taken in pairs.
    return index[-1] if sum(not isinstance(entry, slice) for entry in index) <= 1 else None


def _pick(known: tuple[Any, ...] | None, chosen: Any, width: int) -> tuple[Any, ...] | None:
    """What is known of the chosen columns."""
    if known is None or chosen is None:
        return None
    picked = tuple(known[i] for i in np.arange(len(known))[chosen].reshape(-1))
    return picked if len(picked) == width else None
