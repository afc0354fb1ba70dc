"""Turn dates and durations into seconds, whichever library they are of."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._wording import shortened

_PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9, "ps": 10**12, "fs": 10**15, "as": 10**18}
"""Units that are finer than a second."""

WAY_OUT = (
    "dates and durations are read only as times, beside numbers: set time_feature to theirs, or turn them into numbers "
    "first, as sequences_from_frame does"
)
"""What may be done with dates where numbers are wanted."""


def is_date(entry: Any) -> bool:
    """Whether an entry is a date or a duration of Python, NumPy or pandas; NaT is one as well."""
    return isinstance(entry, (date, timedelta, np.datetime64, np.timedelta64))


def seconds_of(ticks: NDArray[Any]) -> NDArray[np.float64]:
    """Give dates as seconds since 1970-01-01, and durations as seconds, NaN for NaT.

    Parameters
    ----------
    ticks : datetime64 or timedelta64 array

    Returns
    -------
    seconds : float64 array
        Those of today are a quarter of a microsecond apart. The same moment has the same bits in every unit.
    """
    unit = np.datetime_data(ticks.dtype)[0]
    per_second = _PER_SECOND.get(unit, 1)
    whole_ticks = ticks.astype(f"{ticks.dtype.kind}8[{unit if unit in _PER_SECOND else 's'}]").astype(np.int64)
    # Ticks of a nanosecond are more than float64 tells apart, so they must not be rounded before they are divided.
    seconds, rest = np.divmod(whole_ticks, per_second)
    return np.where(np.isnat(ticks), np.nan, seconds + rest / per_second)


def seconds_of_entries(entries: Sequence[Any], place: Callable[[int], str]) -> NDArray[np.float64]:
    """Give single dates or durations as seconds, NaN for what is missing.

    Parameters
    ----------
    entries : sequence
        Dates, moments with a time zone or without, or durations.
    place : callable
        Words where an entry stands, given its number.

    Returns
    -------
    seconds : float64 array
        As `seconds_of` gives them; moments of a zone are those of UTC.

    Raises
    ------
    ValueError
        If one is something else, or of another kind than those before it.
    """
    seconds, kind, by_unit = np.full(len(entries), np.nan), None, {}
    for i, entry in enumerate(entries):
        if _is_missing(entry):
            continue
        found = _kind_of(entry)
        kind = kind or found
        if found != kind or not is_date(entry):
            raise ValueError(
                f"Input X holds {shortened(repr(entry), 60)} {place(i)}, which is {found}, among {kind}; make all "
                "times of a sequence of one kind."
            )
        tick = _tick(entry)
        # Units apart: the finest cannot count all years that the coarsest can.
        by_unit.setdefault(tick.dtype, ([], []))
        for part, value in zip(by_unit[tick.dtype], (i, tick), strict=True):
            part.append(value)
    for places, ticks in by_unit.values():
        seconds[places] = seconds_of(np.array(ticks))
    return seconds


def _is_missing(entry: Any) -> bool:
    """Whether an entry is None, NaN, NaT or what pandas calls NA."""
    if entry is None or isinstance(entry, (str, bytes)) or getattr(entry, "shape", ()):
        return entry is None
    try:
        return bool(entry != entry)
    except TypeError:  # NA is neither equal to itself nor different
        return True


def _kind_of(entry: Any) -> str:
    if isinstance(entry, (timedelta, np.timedelta64)):
        return "a duration"
    if not is_date(entry):
        return "no date"
    is_of_zone = isinstance(entry, datetime) and entry.utcoffset() is not None
    return "a date of a time zone" if is_of_zone else "a date without time zone"


def _tick(entry: Any) -> Any:
    """A date or duration as NumPy's, in a unit that holds it."""
    if isinstance(entry, (np.datetime64, np.timedelta64)):
        return entry
    # Those of pandas know more than microseconds.
    for method in ("to_datetime64", "to_timedelta64"):
        if hasattr(entry, method):
            return getattr(entry, method)()
    if isinstance(entry, timedelta):
        return np.timedelta64(entry, "us")
    offset = entry.utcoffset() if isinstance(entry, datetime) else None
    if offset is None:
        return np.datetime64(entry)
    return np.datetime64(entry.replace(tzinfo=None), "us") - np.timedelta64(offset, "us")
