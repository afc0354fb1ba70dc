"""Change the steps of sequences, some sequences at a time, and give them back in the form that X had."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._training.spread import BLOCK
from skattn.sequences import Sequences


def whole_samples(data: Sequences) -> Iterator[tuple[slice, NDArray[np.int64], NDArray[np.float64]]]:
    """Give whole sequences some at a time, so that float64 copies take little memory beside X.

    Parameters
    ----------
    data : Sequences

    Yields
    ------
    samples : slice
        Which they are.
    lengths : ndarray of shape (n,)
        Valid steps of each.
    steps : ndarray of shape (n_rows, n_features), float64
        Those steps, one sequence after another, in memory of their own; NaN where a value is missing.
    """
    most = max(1, BLOCK // data.n_features)
    cuts = np.flatnonzero(np.diff((np.cumsum(data.lengths) - 1) // most)) + 1
    for first, last in pairwise([0, *cuts.tolist(), data.n_samples]):
        part = data.take(slice(first, last))
        ends = np.cumsum(part.lengths)
        rows = np.arange(ends[-1]) + np.repeat(part.starts - (ends - part.lengths), part.lengths)
        yield slice(first, last), part.lengths, part.values[rows].astype(np.float64, copy=False)


def map_steps(
    data: Sequences,
    change: Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]],
    n_features: int,
    dtype: np.dtype[Any],
    *,
    keeps_missing: bool = False,
) -> Any:
    """Change steps, and give them in the form that X had.

    Parameters
    ----------
    data : Sequences
    change : callable (steps, lengths) -> steps of shape (n_rows, n_features)
        What is given to it is as from `whole_samples`; overflow in it does not warn.
    n_features : int
        Features of a step that come out.
    dtype : dtype
        Precision that these are rounded to.
    keeps_missing : bool, default=False
        Whether what is missing may come out as NaN, and the change from it to the next step as well.

    Returns
    -------
    result : ndarray or list of ndarray
        Of shape (n_samples, n_steps * n_features) or (n_samples, n_steps, n_features) where X was 2-D or 3-D, NaN
        where padded; (n_steps_i, n_features) for the valid steps of each sequence of ragged X.

    Raises
    ------
    ValueError
        If a number that comes out exceeds `dtype`.
    """
    if data.kind == "ragged":
        parts = [(lengths, steps) for _, lengths, steps in _changed(data, change, dtype, keeps_missing)]
        return [steps for lengths, part in parts for steps in np.split(part, np.cumsum(lengths)[:-1])]
    result = np.full((data.n_samples, data.n_steps, n_features), np.nan, dtype)
    for samples, lengths, steps in _changed(data, change, dtype, keeps_missing):
        result[samples][np.arange(data.n_steps) < lengths[:, np.newaxis]] = steps
    return result.reshape(data.n_samples, -1) if data.kind == "rows" else result


def _changed(
    data: Sequences, change: Any, dtype: np.dtype[Any], keeps_missing: bool
) -> Iterator[tuple[slice, Any, NDArray[Any]]]:
    """What `whole_samples` gives, changed and rounded."""
    for samples, lengths, steps in whole_samples(data):
        is_missing = np.isnan(steps) if keeps_missing else None
        with np.errstate(all="ignore"):  # what overflows is refused
            changed = change(steps, lengths).astype(dtype, copy=False)
        is_odd = ~np.isfinite(changed)
        if is_odd.any() and is_missing is not None:
            is_odd &= ~_may_be_missing(is_missing, changed.shape[1])
        if is_odd.any():
            row, feature = np.argwhere(is_odd)[0]
            sample = samples.start + int(np.searchsorted(np.cumsum(lengths), row, side="right"))
            raise ValueError(
                f"What becomes of sample {sample} of X exceeds {dtype}, in feature {feature} of the result: X is too "
                'large, or too far from what fit has seen. Scale or clip X first, or ask for dtype="float64".'
            )
        yield samples, lengths, changed


def _may_be_missing(is_missing: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Where NaN may come out: where a value is missing, and behind all features where its change would be."""
    is_unchanged = is_missing.copy()
    is_unchanged[1:] |= is_missing[:-1]
    return np.hstack([is_missing, is_unchanged])[:, :width]
