"""Warn in fit of X that can be read, but hardly means what it is read as."""

import re
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._containers import as_array
from skattn._wording import shortened

MOST_NUMBERS, MOST_SAMPLES, MOST_ROWS = 2**18, 1000, 4096
"""How much of X is looked at, so that it is not felt beside a fit."""

LEAST_SAMPLES, LEAST_CODES = 8, 100
"""Fewer sequences, or whole numbers, are no evidence of anything."""

_BY_CHANCE = 1.85
"""Mean square of the difference of successive codes, in variances: 2 by chance, less where values are smooth."""

_GRAINS = 16
"""Intervals of fewer units in the last place are told by a few values only."""

_KEY = re.compile(r"(^|_)(id|key|case|group|sample|sequence|series|subject|user|patient|trial)(_|$)|id$", re.IGNORECASE)


def warn_of_suspicions(data: Any, X: Any, held: Any = None) -> None:
    """Warn once of each thing that `data`, as `read_sequences` made it of X, is suspected to be.

    Parameters
    ----------
    data : Sequences
    X : object
    held : sequence of (ndarray or None), optional
        For each feature what its codes stand for, where X says so.

    Warns
    -----
    UserWarning
        If X looks like channels first, codes of tokens, a long frame, or padded by zeros, or its times are rounded, or
        codes of words are read as numbers; with the line that mends it.
    """
    for column, known in enumerate(held or ()):
        # Truth values are numbers as well.
        if known is not None and known.dtype != bool and column not in data.roles.no_numbers:
            warnings.warn(_word_words(column, known), UserWarning, stacklevel=6)
            break
    sequences = _some_of(data)
    for suspect in (_channels_first, _codes, _long_frame, _padded_by_zeros, _coarse_times):
        message = suspect(data, X, sequences)
        if message is not None:
            # As seen from `fit`'s caller: there are the lines that read and fit between.
            warnings.warn(message, UserWarning, stacklevel=6)


def _word_words(column: int, known: NDArray[Any]) -> str:
    return (
        f"Feature {column} of X is codes of {shortened(known.tolist(), 60)}, and their size is read as a value. Set "
        'categorical_features="from_dtype" where there is that parameter, or leave the feature out.'
    )


def _some_of(data: Any) -> list[NDArray[Any]]:
    """Whole sequences from all over the data, few enough to be looked at."""
    usual = max(1, int(np.median(data.lengths))) * data.n_features
    n_samples = min(data.n_samples, MOST_SAMPLES, MOST_NUMBERS // usual)
    if n_samples < LEAST_SAMPLES:
        return []
    spread = np.linspace(0, data.n_samples - 1, n_samples).astype(np.int64)
    spread = spread[data.lengths[spread] * data.n_features <= 4 * max(usual, MOST_NUMBERS // n_samples)]
    return [data.values[s : s + n] for s, n in zip(data.starts[spread], data.lengths[spread], strict=True)]


def _roughness(block: NDArray[Any]) -> float:
    """How much values beside each other on the last axis differ: near 0 for a smooth curve, 1 for chance."""
    variance = float(block.var())
    return float(np.mean(np.diff(block) ** 2)) / (2 * variance) if variance > 0 and block.shape[-1] > 1 else 1.0


def _channels_first(data: Any, X: Any, sequences: list[NDArray[Any]]) -> str | None:
    """(n_samples, n_channels, n_steps): few steps of many features, the features following one another smoothly."""
    n_steps, n_features = data.n_steps, data.n_features
    is_wide = data.kind == "array" and n_steps < 16 and n_features >= max(20, 4 * n_steps)
    if not is_wide or not sequences or (data.lengths < n_steps).any():
        return None
    block = np.stack(sequences).astype(np.float64)
    block -= block.mean(axis=(0, 2), keepdims=True)
    block /= np.maximum(block.std(axis=(0, 2), keepdims=True), np.finfo(np.float64).tiny)
    along_steps, along_features = _roughness(block.swapaxes(1, 2)), _roughness(block)
    is_smooth = along_features < 0.5 * min(1.0, along_steps)
    if not is_smooth and not (n_steps <= 8 and n_features >= 16 * n_steps and _are_alike(block)):
        return None
    return (
        f"X has shape {(data.n_samples, n_steps, n_features)} and looks like channels first, with time along the last "
        "axis; X is (n_samples, n_steps, n_features). Pass X.transpose(0, 2, 1) if so."
    )


def _are_alike(block: NDArray[Any]) -> bool:
    """Whether all places on the last axis have one mean and one scale, as points in time have, and features seldom."""
    n_values = block.shape[0] * block.shape[1]
    scales = block.std(axis=(0, 1))
    spread_of_means, spread_of_scales = block.mean(axis=(0, 1)).std(), scales.std() / max(scales.mean(), 1e-300)
    return bool(spread_of_means < 1.5 / np.sqrt(n_values) and spread_of_scales < 1.5 / np.sqrt(2 * n_values))


def _codes(data: Any, X: Any, sequences: list[NDArray[Any]]) -> str | None:
    """Whole numbers from 0 on, one a step, few of them different, in no smooth order."""
    if data.n_features > 1 or data.roles.categorical:
        return None
    rows = [np.trim_zeros(steps[:, 0], "b") for steps in sequences]
    rows = [row for row in rows if len(row) > 1]
    values = np.concatenate(rows) if len(rows) >= LEAST_SAMPLES else np.empty(0)
    if len(values) < LEAST_CODES or values.min() < 0 or (values != np.rint(values)).any():
        return None
    if values.min() == 0 and not _is_of_integers(X):
        return None  # counts: codes that come as floats were padded, and leave 0 to the padding
    n_different = len(np.unique(values))
    steps = np.concatenate([np.diff(row) for row in rows]).astype(np.float64)
    variance = float(values.var(dtype=np.float64))
    if n_different < 4 or 2 * n_different > len(values) or np.mean(steps**2) < _BY_CHANCE * variance:
        return None
    return (
        f"X holds whole numbers from {int(values.min())} to {int(values.max())}, many of them repeated, which look "
        'like codes of tokens or categories; their size is read as a value. Set categorical_features="all" if they are.'
    )


def _is_of_integers(X: Any) -> bool:
    """Whether X came as whole numbers, whatever it was made of them since."""
    try:
        return as_array(X[:1]).dtype.kind in "iu"
    except (TypeError, ValueError, OverflowError):
        return False


def _long_frame(data: Any, X: Any, sequences: list[NDArray[Any]]) -> str | None:
    """A frame of steps, in which a column or the index says which sequence each row is of."""
    if data.kind != "rows" or not hasattr(X, "columns"):
        return None
    n_rows = min(data.n_samples, MOST_ROWS)
    index = getattr(X, "index", None)
    if hasattr(index, "factorize"):
        owners = index[:n_rows].get_level_values(0).factorize()[0]
        if _are_runs(owners):
            return _word_long_frame("index", "[steps for _, steps in X.groupby(level=0, sort=False)]")
    table = data.values[: n_rows * data.n_steps].reshape(n_rows, -1)
    names = [str(name) for name in getattr(X, "column_names", X.columns)]
    for name, owners in zip(names, table.T[:20], strict=False):
        # Besides a key, and a clock that has no name of its own, there must be something that is measured.
        if _are_runs(owners) and (_KEY.search(name) or (table.shape[1] > 2 and _has_clock(table, owners))):
            by = f"X.groupby({name!r}, sort=False)" if index is not None else f"X.partition_by({name!r})"
            line = f"[steps.drop(columns={name!r}) for _, steps in {by}]"
            return _word_long_frame(f"column {name!r}", line if index is not None else f"{by[:-1]}, include_key=False)")
    return None


def _word_long_frame(where: str, line: str) -> str:
    return (
        f"X looks like a long frame, whose rows are steps: its {where} holds the same value in one row after another. "
        f"A row is read as a whole sequence. Pass a list of sequences, X = {line}, with one label each, if so."
    )


def _are_runs(owners: NDArray[Any]) -> bool:
    """Whether whole numbers come in runs of two and more, each number in one run, as an id does in a long frame."""
    if not np.isfinite(owners).all() or (owners != np.rint(owners)).any():
        return False
    firsts = np.flatnonzero(np.diff(owners, prepend=owners[:1] - 1))
    lengths = np.diff(firsts, append=len(owners))
    return len(firsts) >= 3 and len(np.unique(owners)) == len(firsts) and bool(np.median(lengths) >= 2)


def _has_clock(table: NDArray[Any], owners: NDArray[Any]) -> bool:
    """Whether a column rises within every run of owners and begins anew with each, as time does."""
    is_within = np.diff(owners) == 0
    rises = np.diff(table, axis=0) > 0
    return bool((rises[is_within].all(axis=0) & ~rises[~is_within].any(axis=0)).any())


def _padded_by_zeros(data: Any, X: Any, sequences: list[NDArray[Any]]) -> str | None:
    """Steps of nothing but zeros, at the ends of most sequences and hardly anywhere else."""
    n_padded, n_last, n_elsewhere = 0, 0, 0
    for steps in sequences:
        is_zero = ~steps.any(axis=1)
        if is_zero.all():
            continue
        n_zeros = int(np.argmin(is_zero[::-1]))
        n_padded += n_zeros > 0
        n_last += n_zeros
        n_elsewhere += int(is_zero.sum()) - n_zeros
    if 2 * n_padded <= len(sequences) or n_padded < LEAST_SAMPLES or 20 * n_elsewhere > n_last:
        return None
    return (
        f"The last steps of {n_padded} of {len(sequences)} sequences looked at are zeros, which look like padding and "
        "are read as values. Pass NaN there, X[np.arange(X.shape[1]) >= lengths[:, np.newaxis]] = np.nan with the "
        "number of steps of each as lengths, or a list of sequences without them, if they are."
    )


def _coarse_times(data: Any, X: Any, sequences: list[NDArray[Any]]) -> str | None:
    """Times in single precision whose neighbours there lie about as far apart as steps do."""
    column = data.roles.time
    if column is None or data.values.dtype != np.float32 or not sequences:
        return None
    times = [steps[:, column].astype(np.float64) for steps in sequences if len(steps) > 1]
    intervals = [(own[-1] - own[0]) / (len(own) - 1) for own in times]
    interval = float(np.median(intervals)) if intervals else 0.0
    farthest = max((float(np.abs(own).max()) for own in times), default=0.0)
    apart = float(np.spacing(np.float32(farthest)))
    if not 0 < interval < _GRAINS * apart:
        return None
    return (
        f"The times of X, feature {column}, are float32, where numbers near {farthest:.3g} are {apart:.3g} apart, and "
        f"steps are about {interval:.3g} apart: intervals are lost. Pass X as float64, or take the time of its first "
        "step off each sequence before it becomes float32."
    )
