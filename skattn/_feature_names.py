"""Record the features of X in fit, with their names, and compare those of later X with them."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from skattn._steps import Steps
from skattn._wording import shortened


def named_sample(samples: Sequence[Any]) -> Any:
    """Give the first sample that names its features, None where none does; all that do must name them alike.

    Raises
    ------
    ValueError
        If a sample has other names than one before it, or the same in another order.
    """
    first, names, unnamed = None, None, None
    for i, sample in enumerate(samples):
        found = names_of(sample)
        if found is None:
            unnamed = i if unnamed is None else unnamed
        elif names is None:
            first, names = i, found
        elif found != names:
            raise ValueError(
                f"Sample {i} of X has the features {_listed(found)}, and sample {first} {_listed(names)}; the feature "
                "names should match, in the same order. Pick the columns of every sample by one list of names."
            )
    if names is not None and unnamed is not None:
        warnings.warn(
            f"Sample {unnamed} of X does not have valid feature names, and others have; its columns are taken in their "
            "order. Make all samples data frames with the same columns, or all arrays.",
            UserWarning,
            stacklevel=2,
        )
    return None if first is None else samples[first]


def names_of(sample: Any) -> tuple[str, ...] | None:
    """Names of a data frame's columns, None where they are numbers or there are none."""
    columns = getattr(sample, "columns", None)
    if columns is None:
        return None
    # Arrow tables have their columns there, and the names elsewhere.
    columns = list(columns)
    names = columns if all(np.isscalar(name) for name in columns) else getattr(sample, "column_names", ())
    return tuple(map(str, names)) if any(isinstance(name, str) for name in names) else None


def record_features(estimator: Any, named: Any, width: int, is_rows: bool) -> None:
    """Note the features of `fit`: columns and their names for 2-D X, a step's features for all else.

    `named` is X itself for rows, what names the features of a step for all else, or None.
    """
    _validate(estimator, named, width, reset=True)
    # A model fitted on rows reads ragged X too, and the other way round, as long as the steps are alike.
    estimator._steps_in = (is_rows, width)


def match_features(estimator: Any, named: Any, width: int, is_rows: bool) -> None:
    """Refuse X whose features are not those of `fit`; `named` as for `record_features`."""
    rows_in_fit, expected = estimator._steps_in
    if is_rows and rows_in_fit:
        _validate(estimator, named, width, reset=False)
    if width != expected:
        hint = ""
        if is_rows:
            hint = (
                f" 2-D X is a row a sequence, and n_step_features={width} of its columns a step; "
                "pass one sequence alone as X[np.newaxis]."
            )
        raise ValueError(
            f"X has {width} features, but {type(estimator).__name__} is expecting {expected} features "
            f"as input at each step, as in fit.{hint}"
        )
    if not rows_in_fit:
        # The columns of a table are named for places in time, which are not the names of a step's features.
        _match_names(estimator, None if is_rows else named, width)


def _match_names(estimator: Any, named: Any, width: int) -> None:
    """Refuse other names of a step's features than those of `fit`, and warn where one side has none."""
    names, known = names_of(named), getattr(estimator, "feature_names_in_", None)
    if names is not None and known is not None and list(names) != list(known):
        raise ValueError(
            f"The feature names should match those that were passed during fit: X has {_listed(names)}, and fit had "
            f"{_listed(known)}. Pick the columns of every sample by frame[list(model.feature_names_in_)]."
        )
    if (names is None) != (known is None):
        _validate(estimator, named, width, reset=False)


def _listed(names: Iterable[str]) -> str:
    return shortened(", ".join(names), 100)


def _validate(estimator: Any, named: Any, width: int, reset: bool) -> None:
    """Let scikit-learn set or compare the number of features and their names, in its words."""
    if isinstance(named, Steps):
        _validate_steps(estimator, named, width, reset)
        return
    X = np.empty((1, width)) if named is None else named
    try:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    except (TypeError, ValueError) as error:
        if len(str(error)) < 400:
            raise
        raise type(error)(shortened(error, 400)) from None


def _validate_steps(estimator: Any, named: Steps, width: int, reset: bool) -> None:
    """Do the same for arrays with names, in which scikit-learn sees none."""
    if reset:
        _validate(estimator, None, width, reset=True)
        estimator.feature_names_in_ = np.array(named.columns, dtype=object)
    else:
        warnings.warn(
            f"X has feature names, but {type(estimator).__name__} was fitted without feature names",
            UserWarning,
            stacklevel=2,
        )


def refuse_single_steps(estimator: Any, shape: tuple[int, ...], longest: int | None) -> None:
    """Refuse rows of one step each where sequences were longer: they are one sequence, more likely than not."""
    if longest is None or longest == 1 or estimator._steps_in[0]:
        return
    raise ValueError(
        f"X has shape {shape}, so it would be {shape[0]} sequences of one step each, and those of fit had up to "
        f"{longest} steps. Pass one sequence alone as X[np.newaxis], and sequences of one step as "
        f"X.reshape(-1, 1, {shape[1]})."
    )
