"""Importance as it was given, and where its steps lie: read, and checked against each other."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def entry(importances: Any, name: str) -> Any:
    """An entry of a Bunch or a dict, or None."""
    return importances.get(name) if hasattr(importances, "get") else getattr(importances, name, None)


def read_importances(importances: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Mean and spread of importance."""
    mean = entry(importances, "importances_mean")
    if mean is None and hasattr(importances, "keys"):
        raise ValueError(
            f"importances have {list(importances)} and no importances_mean; pass what step_importance gives."
        )
    mean = np.asarray(importances if mean is None else mean, dtype=np.float64)
    if mean.ndim not in (1, 2) or not mean.size:
        raise ValueError(
            f"importances have shape {mean.shape}; pass (n_steps,), (n_features,) or (n_steps, n_features), a mean of "
            "repeats."
        )
    spread = entry(importances, "importances_std")
    if spread is not None and np.shape(spread) != mean.shape:
        raise ValueError(f"importances_mean has shape {mean.shape} and importances_std {np.shape(spread)}; they agree.")
    return mean, None if spread is None else np.asarray(spread, dtype=np.float64)


def read_signal(signal: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(signal, dtype=np.float64)
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"signal has shape {values.shape}; pass one sequence, (n_steps,) or (n_steps, n_channels).")
    return values.reshape(len(values), -1)


def read_blocks(steps: Any, count: int) -> NDArray[np.int64]:
    """First step of each block and the one after its last; a step each where nobody says."""
    if steps is None:
        return np.arange(count)[:, np.newaxis] + [0, 1]
    blocks = np.asarray(steps)
    if blocks.shape != (count, 2) or (blocks[1:, 0] != blocks[:-1, 1]).any():
        raise ValueError(f"steps have shape {blocks.shape} for {count} importances; pass (n_blocks, 2), end to end.")
    return blocks


def read_places(times: ArrayLike | None, blocks: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any] | None, bool]:
    """Give the edges of blocks in the units of an axis, the times of the steps, and whether these are dates.

    Parameters
    ----------
    times : array-like of shape (n_steps,), or None
        Numbers or dates, rising.
    blocks : ndarray of shape (n_blocks, 2)

    Returns
    -------
    edges : ndarray of shape (n_blocks + 1,)
        Halfway between the steps around them.
    times : ndarray of shape (n_steps,) or None
    is_dates : bool

    Raises
    ------
    ValueError
        If times are not one for each step, or do not rise.
    """
    n_steps = int(blocks[-1, 1])
    bounds = np.append(blocks[:, 0], n_steps)
    if times is None:
        return bounds - 0.5, None, False
    moments = np.asarray(times)
    if moments.shape != (n_steps,):
        raise ValueError(f"There are times of shape {moments.shape} for {n_steps} steps; pass one for each step.")
    is_dates = moments.dtype.kind in "MO"
    if is_dates:
        from matplotlib.dates import date2num

        moments = date2num(moments)
    moments = np.asarray(moments, dtype=np.float64)
    if not (np.diff(moments) > 0).all():
        raise ValueError("times do not rise from step to step; sort the steps, or leave times out to count them.")
    halves = (moments[1:] + moments[:-1]) / 2
    first, last = (halves[0] - moments[0], moments[-1] - halves[-1]) if n_steps > 1 else (0.5, 0.5)
    return np.concatenate([[moments[0] - first], halves, [moments[-1] + last]])[bounds], moments, is_dates
