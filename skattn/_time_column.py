"""Find the dates among what X holds, and make numbers of those that say when steps were."""

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from skattn._containers import columns_of, entries_of, is_real
from skattn._dates import WAY_OUT, is_date, seconds_of_entries
from skattn._frame_columns import TIMES, kind_of, narwhals, seconds_of_series
from skattn._step_checks import step_width
from skattn.roles import Roles, resolve_time


class TimeColumn:
    """The feature that says when steps were, in whatever X comes as.

    Parameters
    ----------
    estimator : estimator
        Whose `time_feature` and `n_step_features` are read.
    roles : Roles or None
        Those of fit; None in fit itself.
    names : tuple of str or None
        Of the features of a step.
    """

    def __init__(self, estimator: Any, roles: Roles | None, names: tuple[str, ...] | None) -> None:
        self._estimator, self._names = estimator, names
        self._is_known, self._number = roles is not None, None if roles is None else roles.time

    def number(self, n_features: int) -> int | None:
        """Give the number of the feature, None where there is none.

        Raises
        ------
        ValueError
            If `time_feature` names none of the features.
        """
        if not self._is_known:
            self._number, self._is_known = resolve_time(self._estimator, n_features, self._names), True
        return self._number

    def in_seconds(self, item: Any, sample: int | None = None) -> Any:
        """Give X, or a sample of it, with seconds instead of the dates that say when steps were.

        Parameters
        ----------
        item : object
            X as an array or a frame of rows, or one ragged sample.
        sample : int, optional
            Number of the sample.

        Returns
        -------
        item : object
            The same where it holds no dates; else a changed copy, of frames a shallow one.

        Raises
        ------
        ValueError
            If a column of a frame holds dates, and is another; or if times are of several kinds.
        """
        if hasattr(item, "columns") and not isinstance(item, np.ndarray):
            return self._in_frame(item, sample)
        array = _array_of_objects(item)
        n_axes = 3 if sample is None else 2
        if array is None or array.dtype != object or not 0 < array.ndim <= n_axes or not array.size:
            return item if array is None else array
        width = array.shape[-1] if array.ndim == n_axes else step_width(self._estimator.n_step_features)
        time = self.number(width)
        # A sample of too few features is refused as that.
        return array if time is None or time >= width else _in_columns(array, slice(time, None, width), sample)

    def _in_frame(self, frame: Any, sample: int | None) -> Any:
        """The same for a data frame: a sample, or rows that are sequences."""
        columns = columns_of(frame) or []
        dated = [i for i, column in enumerate(columns) if _holds_dates(column)]
        if not dated:
            return frame
        width = len(columns) if sample is not None else step_width(self._estimator.n_step_features)
        time = self.number(width)
        for i in dated:
            is_time = time is not None and i % width == time
            if not is_time:
                _refuse_column(frame, columns[i], i, sample, WAY_OUT)
            seconds = _seconds_of(columns[i], i // width, i % width, sample)
            if seconds is None:
                _refuse_column(frame, columns[i], i, sample, "join times of a day to their dates")
            frame = _with_column(frame, columns[i], i, seconds)
        return frame


def _in_columns(array: NDArray[Any], chosen: slice, sample: int | None) -> NDArray[Any]:
    """The same for some columns of an array of objects."""
    cells = array[..., chosen]
    entries = cells.ravel().tolist()
    if not any(map(is_date, entries)):
        return array

    def place(number: int) -> str:
        index = [int(i) for i in np.unravel_index(number, cells.shape)]
        index = index if sample is None else [sample, *index]
        return f"at sample {index[0]}, step {index[1]}, feature {chosen.start}"

    array = array.copy()
    array[..., chosen] = seconds_of_entries(entries, place).reshape(cells.shape)
    return array


def _array_of_objects(item: Any) -> NDArray[Any] | None:
    """An array of objects or of lists, the latter as NumPy reads them; None where that is left to others."""
    if isinstance(item, np.ndarray):
        is_nested = item.dtype == object and item.ndim == 1 and len(item) and isinstance(item[0], (list, np.ndarray))
        return _array_of_objects(item.tolist()) if is_nested else item if item.dtype == object else None
    if not isinstance(item, (list, tuple)):
        return None
    try:
        array = np.asarray(item)
        if array.dtype.kind not in "OmM":
            return array if array.dtype.kind in "fiub" else None
    except (TypeError, ValueError, OverflowError):
        pass  # NumPy makes nothing of dates beside words, or rows of several lengths
    if any(isinstance(row, np.ndarray) and row.dtype.kind in "mM" for row in item):
        return None  # among objects NumPy makes whole numbers of these
    try:
        array = np.asarray(item, dtype=object)
    except ValueError:
        return None
    # A list that holds no date is read as it was.
    return array if any(map(is_date, array.reshape(-1))) else None


def _holds_dates(column: Any) -> bool:
    """Whether a column of a frame is one of dates, durations or times of a day, by its type or its entries."""
    dtype = getattr(column, "dtype", None)
    if dtype is None:  # of Arrow
        return str(column.type).startswith(("timestamp", "date", "time", "duration"))
    if is_real(dtype):
        return False
    is_temporal = getattr(dtype, "is_temporal", bool)  # of polars
    return getattr(dtype, "kind", "") in ("m", "M") or is_temporal() or any(map(is_date, entries_of(column)))


def _seconds_of(column: Any, step: int, feature: int, sample: int | None) -> NDArray[np.float64] | None:
    """A column of dates or durations in seconds, None where it holds times of a day, which begin anew."""
    series = narwhals().from_native(column, series_only=True, allow_series=True)
    if kind_of(series) in TIMES:
        return seconds_of_series(series)
    if kind_of(series) == "Time":
        return None

    def place(row: int) -> str:
        whose = f"sample {row}, step {step}" if sample is None else f"sample {sample}, step {row}"
        return f"at {whose}, feature {feature}"

    return seconds_of_entries(entries_of(column), place)


def _with_column(frame: Any, column: Any, number: int, values: NDArray[Any]) -> Any:
    """A frame with another column at a place."""
    if hasattr(frame, "iloc"):
        frame = frame.copy(deep=False)
        frame.isetitem(number, values)
        return frame
    if hasattr(frame, "set_column"):  # of Arrow
        return frame.set_column(number, frame.column_names[number], [values])
    return frame.with_columns(type(column)(column.name, values))


def _refuse_column(frame: Any, column: Any, number: int, sample: int | None, way_out: str) -> NoReturn:
    """Refuse a column that is none of times."""
    name = getattr(frame, "column_names", list(frame.columns))[number]
    kind = getattr(column, "dtype", getattr(column, "type", None))
    where = f"X holds dates in column {number}"
    if sample is not None:
        where = f"Sample {sample} of X holds dates as feature {number}"
    raise ValueError(f"{where} ({name!r}, of type {kind}); {way_out}.")
