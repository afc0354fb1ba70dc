"""What the features of a step are: numbers, categories, and when the step was."""

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skattn._step_checks import TIME_IS_MISSING
from skattn._wording import shortened
from skattn.categories import resolve_categorical


class Roles(NamedTuple):
    """Columns of a step that are no numbers.

    Attributes
    ----------
    categorical : tuple of int
        Whose numbers name a category.
    time : int or None
        That says when the step was.
    """

    categorical: tuple[int, ...] = ()
    time: int | None = None

    @property
    def no_numbers(self) -> list[int]:
        """All these columns: they are not standardised, and have no level."""
        return [*self.categorical, *([] if self.time is None else [self.time])]


def resolve_roles(estimator: Any, n_features: int, names: Any, held: Any = None) -> Roles:
    """Tell what an estimator says of the features of a step.

    Parameters
    ----------
    estimator : estimator
        Whose `categorical_features` and `time_feature` are read, where it has them.
    n_features : int
    names : array-like of str, or None
        Of the features.
    held : sequence of (ndarray or None), optional
        What sequences say themselves: for each feature the categories behind its codes, None for numbers.

    Raises
    ------
    ValueError
        If a feature is none of those that there are, is two things, or nothing is left but times.
    """
    asked = getattr(estimator, "categorical_features", None)
    if isinstance(asked, str) and asked == "from_dtype":
        asked = [column for column, known in enumerate(held or ()) if known is not None]
    categorical = resolve_categorical(asked, n_features, names)
    time = resolve_time(estimator, n_features, names)
    if time is None:
        return Roles(categorical)
    if getattr(estimator, "categorical_features", None) is not None and time in categorical:
        if not isinstance(estimator.categorical_features, str):
            raise ValueError(
                f"Feature {time} is both the time_feature and one of categorical_features; leave it out of one of them."
            )
        categorical = tuple(column for column in categorical if column != time)
    if n_features == 1:
        raise ValueError(
            "time_feature is the only feature of a step, so there is nothing to learn from but when steps were; add "
            "what was measured or happened then, or a feature that is always 1."
        )
    return Roles(categorical, time)


def resolve_time(estimator: Any, n_features: int, names: Any) -> int | None:
    """Tell which feature says when steps were, None where none does.

    Parameters
    ----------
    estimator : estimator
        Whose `time_feature` is read, where it has one.
    n_features : int
    names : array-like of str, or None
        Of the features.

    Raises
    ------
    ValueError
        If it is none of the features.
    """
    wanted = getattr(estimator, "time_feature", None)
    if wanted is None:
        return None
    if not isinstance(wanted, (Integral, str)) or isinstance(wanted, bool):
        raise ValueError(f"time_feature is {shortened(wanted, 60)}; give the number or the name of a feature.")
    (time,) = resolve_categorical([wanted], n_features, names, parameter="time_feature")
    return time


def check_times(data: Any) -> None:
    """Refuse times that are missing, or go backwards within a sequence.

    Parameters
    ----------
    data : Sequences
        With its `roles`.

    Raises
    ------
    ValueError
        With the place.
    """
    if data.roles.time is None:
        return
    times = data.values[:, data.roles.time]
    for sample, (start, length) in enumerate(zip(data.starts.tolist(), data.lengths.tolist(), strict=True)):
        own = times[start : start + length]
        with np.errstate(all="ignore"):
            is_fine = np.isfinite(own) & np.append(True, own[1:] >= own[:-1])
        if not is_fine.all():
            step = int(np.argmin(is_fine))
            _refuse_time(own, sample, step, data.roles.time)


def _refuse_time(own: NDArray[Any], sample: int, step: int, column: int) -> None:
    place = f"at sample {sample}, step {step}, feature {column}"
    if np.isnan(own[step]):
        raise ValueError(TIME_IS_MISSING.format(place))
    raise ValueError(
        f"The time goes backwards {place}: {own[step]:.16g} comes after {own[step - 1]:.16g}. Sort the steps of each "
        "sequence by time."
    )


def usual_interval(data: Any) -> float:
    """Give the median of the intervals between steps, of those that are not 0; 1 where there are none."""
    times = data.values[:, data.roles.time].astype(np.float64)
    intervals = [
        np.diff(times[start : start + length])
        for start, length in zip(data.starts.tolist(), data.lengths.tolist(), strict=True)
    ]
    rising = np.concatenate(intervals)
    rising = rising[rising > 0]
    return float(np.median(rising)) if len(rising) else 1.0
