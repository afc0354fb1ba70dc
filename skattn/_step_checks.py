"""Check the steps of sequences: tell padding from mistakes, and say where a mistake is."""

import reprlib
from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from skattn._dates import WAY_OUT, is_date
from skattn._network.checks import MOST
from skattn._wording import shortened

_BLOCK = 1 << 18
"""Numbers that are looked at closely at a time, so that this takes little memory beside X."""

_MASK = 'set handle_missing="mask" before fit for values that are missing, fill this one,'
"""The way out where values may be missing."""

_OF_WORDS = (
    "Encode X as numbers first: TokenSequencer makes sequences of codes of texts, sequences_from_frame of a long data "
    "frame with words; and data frames, one a sequence, may have words where categorical_features says so."
)
"""The way out where there are words."""

TIME_IS_MISSING = "The time is missing {}, and time_feature needs one for every step; drop the step."
"""Refusal of a step without a time, for its place."""


def valid_lengths(
    values: NDArray[Any],
    starts: NDArray[np.int64],
    n_steps: NDArray[np.int64],
    *,
    in_columns: bool = False,
    allows_missing: bool | None = None,
    time: Callable[[], int | None] = lambda: None,
) -> NDArray[np.int64]:
    """Count each sequence's steps up to its trailing all-NaN ones, and refuse any other NaN or infinity.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
        The steps of all samples. Never written.
    starts, n_steps : int64 array of shape (n_samples,)
        First row of each sample, and its rows with padding (at least one); one sample's rows end
        where the next one's begin.
    in_columns : bool, default=False
        Whether X had a sequence's steps side by side, so that an error can name the column.
    allows_missing : bool, optional
        Whether NaN elsewhere is a value that is missing, and no mistake; None where that cannot be asked for.
    time : callable, optional
        Gives the feature that says when steps were, which may never be missing.

    Returns
    -------
    lengths : int64 array of shape (n_samples,)
        Valid steps of each sample, 1 or more.

    Raises
    ------
    ValueError
        For NaN or infinity among the valid steps, or a sample that has none.
    """
    # A sum costs one pass and no memory, and anything not finite stays in it. Large finite values may
    # overflow it too, which only costs the closer look.
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum()):
            return n_steps
    lengths, n_odd = np.zeros_like(n_steps), 0
    for first, n_rows, odd in _odd_rows(values):
        n_odd += len(odd)
        is_padding = np.zeros(n_rows + 1, dtype=bool)
        is_padding[1:][odd] = np.isnan(values[first + odd]).all(axis=1)
        # The last step up to each row, before the first of these rows where there is none.
        last = np.maximum.accumulate(np.where(is_padding, 0, np.arange(n_rows + 1))) + first - 1
        samples = np.arange(_owners(first, starts), np.searchsorted(starts, first + n_rows))
        ends = np.minimum(starts[samples] + n_steps[samples], first + n_rows)
        counts = last[ends - first] - starts[samples] + 1
        # What later rows tell of a sample is written later.
        lengths[samples] = np.where(last[ends - first] >= first, np.maximum(counts, 0), lengths[samples])
    if not lengths.all():
        _refuse_empty(int(np.argmin(lengths)))
    if n_odd > len(values) - lengths.sum():
        _refuse_first(values, starts, lengths, in_columns, allows_missing, time)
    return lengths


def _is_not_finite(rows: NDArray[Any]) -> NDArray[np.bool_]:
    return ~np.isfinite(rows)


def _odd_rows(
    values: NDArray[Any], is_odd: Callable[[NDArray[Any]], Any] = _is_not_finite
) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Give rows some at a time: the number of the first, how many, and which of them hold NaN or infinity."""
    most = max(1, _BLOCK // values.shape[1])
    for first in range(0, len(values), most):
        rows = values[first : first + most]
        yield first, len(rows), np.flatnonzero(is_odd(rows).any(axis=1))


def _owners(rows: Any, starts: NDArray[np.int64]) -> Any:
    """Samples that rows belong to."""
    return np.searchsorted(starts, rows, side="right") - 1


def refuse_entry(entries: Any, error: Exception, *, sample: int | None = None) -> NoReturn:
    """Raise `error` again, with the place of the first entry that is not a number where there is one.

    `entries` is X itself, or what it holds at `sample`.
    """
    kind = TypeError if isinstance(error, TypeError) else ValueError
    message = shortened(error, 400)
    if isinstance(error, OverflowError):
        message += ": X holds a whole number that no float can hold; scale or clip it."
    if sample is not None and not message.startswith("Sample "):
        message = f"Sample {sample} of X: {message}"
    if getattr(getattr(entries, "dtype", None), "kind", "O") in "fiub":
        raise kind(message)
    try:
        entries = np.asarray(entries, dtype=object)
    except ValueError:
        raise kind(message) from None
    if entries.ndim > 3:
        raise ValueError(
            f"{'X' if sample is None else f'Sample {sample} of X'} is nested {entries.ndim} deep; a "
            "sequence is (n_steps, n_features), and X a list of these or an array of 2 or 3 axes."
        ) from None
    axes = ("sample", "column") if entries.ndim == 2 and sample is None else ("sample", "step", "feature")
    for number, entry in enumerate(entries.flat if entries.ndim else ()):
        if isinstance(entry, complex):
            break
        if type(entry) not in (float, int) or abs(entry) > MOST:
            index = np.unravel_index(number, entries.shape) if entries.ndim > 1 else (number,)
            index = index if sample is None else (sample, *index)
            _refuse_at(entry, ", ".join(f"{axis} {i}" for axis, i in zip(axes, index, strict=False)))
    raise kind(message) from None


def _refuse_at(entry: Any, place: str) -> None:
    """Refuse an entry that is not one number."""
    if isinstance(entry, (list, tuple)) or getattr(entry, "shape", ()):
        raise ValueError(
            f"Input X holds several values at {place}, where one number belongs. Give every step the "
            "same features, and put sequences into one list or column of (n_steps, n_features) arrays."
        )
    if is_date(entry):
        raise ValueError(f"Input X holds {shortened(repr(entry), 60)} at {place}; {WAY_OUT}.")
    try:
        float(entry)
    except (TypeError, ValueError) as reason:
        kind = TypeError if isinstance(reason, TypeError) else ValueError
        reason = shortened(reason, 100)
        way_out = _OF_WORDS if isinstance(entry, str) else "Encode X as numbers first."
        raise kind(f"Input X holds {reprlib.repr(entry)} at {place}: {reason}. {way_out}") from None
    except OverflowError as reason:
        raise ValueError(f"Input X holds {reprlib.repr(entry)} at {place}: {reason}. Scale or clip X first.") from None


def unmasked(X: Any, who: str, allows_missing: bool | None) -> Any:
    """Give NaN where an array is masked, if values may be missing; else refuse it, for its mask would be lost."""
    if _is_masked(X) and allows_missing and X.dtype.kind in "fiubO":
        return X.astype(object if X.dtype == object else np.result_type(X.dtype, np.float32)).filled(np.nan)
    refuse_masked(X, who, "" if allows_missing is None else 'set handle_missing="mask" for values that are missing, ')
    return X


def _is_masked(X: Any) -> bool:
    """Whether an array of NumPy's has a mask that hides something; those of pandas look alike to NumPy."""
    return isinstance(X, np.ma.MaskedArray) and bool(np.ma.is_masked(X))


def refuse_masked(X: Any, who: str, way_out: str = "") -> None:
    """Refuse a masked array, whose mask would be lost; `way_out` is one more."""
    if _is_masked(X):
        raise ValueError(
            f"{who} has masked entries, which would be read as values; {way_out}fill them in, leave them out, or use "
            ".filled(np.nan) where they are steps of padding."
        )


def step_width(n_step_features: Any) -> int:
    """Give the columns of a step; `fit` has checked them, but what was set since then is read here first."""
    if not isinstance(n_step_features, Integral) or n_step_features < 1:
        raise ValueError(
            f"n_step_features={reprlib.repr(n_step_features)} is no number of columns, by which rows could be cut into "
            "steps; set it to a whole number from 1 on, as at fit."
        )
    return int(n_step_features)


def count_steps(n_columns: int, width: int, who: str) -> int:
    """Divide a row's columns into steps."""
    if n_columns % width:
        raise ValueError(
            f"{who} has {n_columns} columns, which do not divide into steps of n_step_features={width}; "
            f"set n_step_features to a divisor of {n_columns}, or leave out what is not part of the sequence."
        )
    return n_columns // width


def refuse_empty_axes(shape: tuple[int, ...], who: str) -> None:
    """Refuse sequences without steps or features."""
    if len(shape) > 1 and shape[-1] == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required: {who}.")
    if 0 in shape:
        raise ValueError(
            f"{who} is a sequence of length 0 (shape {shape}). A sequence needs at least one step; drop the "
            "sample (and its target)."
        )


def wrong_dtype(dtype: np.dtype[Any], who: str) -> str:
    """Word the refusal of a dtype that holds no real numbers."""
    if dtype.kind == "c":
        return f"Complex data not supported: {who} has dtype {dtype}. Pass real and imaginary parts as features."
    if dtype.kind in "mM":
        return f"{who} has dtype {dtype}, which holds no real numbers; {WAY_OUT}."
    return f"{who} has dtype {dtype}, which holds no real numbers; convert it to integers or floats."


def _refuse_empty(sample: int) -> NoReturn:
    """Refuse a sequence that is padding from its first step."""
    raise ValueError(
        f"Input X has a sequence of length 0: every step of sample {sample} is NaN, which means padding. "
        "A sequence needs at least one step; drop this sample (and its target)."
    )


def _refuse_first(
    values: NDArray[Any],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    in_columns: bool,
    allows_missing: bool | None,
    time: Callable[[], int | None],
) -> None:
    """Name the first valid step that holds an odd value, if there is one."""
    is_odd = np.isinf if allows_missing else _is_not_finite
    way_out = "fill the missing value" if allows_missing is None else _MASK
    for first, _, odd in _odd_rows(values, is_odd):
        owners = _owners(first + odd, starts)
        wrong = first + odd[first + odd - starts[owners] < lengths[owners]]
        if len(wrong):
            owner = int(_owners(wrong, starts)[0])
            row, feature = values[wrong[0]], int(np.argmax(is_odd(values[wrong[0]])))
            _refuse_value(row, feature, owner, int(wrong[0] - starts[owner]), in_columns, way_out, time)


def _refuse_value(
    step: NDArray[Any],
    feature: int,
    sample: int,
    number: int,
    in_columns: bool,
    way_out: str,
    time: Callable[[], int | None],
) -> NoReturn:
    """Refuse a step that holds NaN or infinity, and is not padding."""
    place = f"at sample {sample}, step {number}, feature {feature}"
    if in_columns:
        place += f" (column {number * len(step) + feature})"
    if np.isnan(step[feature]):
        if feature == time():
            raise ValueError(TIME_IS_MISSING.format(place))
        raise ValueError(
            f"Input X contains NaN {place}. Only whole steps at the end of a sequence may be NaN, which "
            f"means padding; {way_out} or drop the sample."
        )
    raise ValueError(
        f"Input X contains infinity or a value too large for {step.dtype} {place}. Values must be finite; "
        "clip or scale X, or drop the sample."
    )
