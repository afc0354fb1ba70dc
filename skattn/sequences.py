"""Read anything a user passes as X into one form: the steps of all samples, one after another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import check_array

from skattn._attempt import all_or_nothing
from skattn._containers import as_array, plain_container
from skattn._dates import is_date
from skattn._feature_names import match_features, named_sample, names_of, record_features, refuse_single_steps
from skattn._samples import count_axes, samples_of
from skattn._step_checks import (
    count_steps,
    refuse_empty_axes,
    refuse_entry,
    step_width,
    unmasked,
    valid_lengths,
    wrong_dtype,
)
from skattn._suspicions import warn_of_suspicions
from skattn._time_column import TimeColumn
from skattn.categories import check_codes
from skattn.held_categories import Held, known_categories, recoded, with_codes, words_of_all
from skattn.roles import Roles, check_times, resolve_roles

_ONE_AXIS = (
    "Expected 2D array, got 1D array instead: X holds one number a sample. Reshape your data: one sequence of one "
    "feature is X.reshape(1, -1, 1), and a list of sequences holds arrays of shape (n_steps, n_features)."
)


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences of one batch or data set, in one form whatever they came as.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
        Steps of all samples, float32 or float64, C-contiguous; rows between two samples may be
        padding. May be the caller's own memory, so it is never written.
    starts : int64 array of shape (n_samples,)
        First row of each sample in `values`.
    lengths : int64 array of shape (n_samples,)
        Valid steps of each sample, 1 or more.
    kind : {"rows", "array", "ragged"}
        Whether X was 2-D, 3-D or ragged.
    n_steps : int
        Steps of the padded array that came in; those of the longest sequence for ragged X.
    roles : Roles
        Which features are no numbers.
    """

    values: NDArray[Any]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    kind: str
    n_steps: int
    roles: Roles = Roles()

    @property
    def n_samples(self) -> int:
        return len(self.lengths)

    @property
    def n_features(self) -> int:
        """Features of a step."""
        return self.values.shape[1]

    @property
    def max_length(self) -> int:
        return int(self.lengths.max())

    def take(self, indices: Any) -> "Sequences":
        """Give some of the samples, chosen as NumPy indexes an array; `values` is shared, not copied."""
        return replace(self, starts=self.starts[indices], lengths=self.lengths[indices])


def read_sequences(
    X: Any,
    estimator: Any,
    *,
    reset: bool,
    longest: int | None = None,
    roles: Roles | None = None,
    lists_are_rows: bool = False,
) -> Sequences:
    """Check X and bring it into one form.

    Parameters
    ----------
    X : array, list, tuple, data frame or column of sequences
        - 3-D ``(n_samples, n_steps, n_features)``;
        - ragged: a list, tuple or 1-D object array of ``(n_steps_i, n_features)`` arrays, nested lists
          or data frames, or a pandas, polars or Arrow column (or frame of one column) that holds them;
        - 2-D ``(n_samples, n_steps * n_step_features)``: a row is a sequence, columns in time order,
          ``estimator.n_step_features`` of them a step. Ragged samples may be 1-D as well, and are read
          likewise;
        - a frame of several columns with a 1-D sequence in each cell: a feature a column.

        A list of 1-D arrays, or a column of anything, is ragged whatever the lengths are. A list of plain
        lists of numbers is the rows of a table at fit, if these are equally long, so that its columns are
        counted; afterwards it is ragged. The sequences are the same either way.

        Steps at the end of a sequence whose features are all NaN are padding. The feature that ``time_feature`` is
        may hold dates or durations, in frames and arrays of objects, which become seconds.
    estimator : estimator
        Whose ``n_step_features`` is read, and whose ``n_features_in_`` and ``feature_names_in_`` are
        set or checked: columns and their names for 2-D X, a step's features for all else, named where the
        samples are data frames. It is left as it was if X is refused.
    reset : bool
        Set these attributes (in `fit`), rather than check X against them.
    longest : int, optional
        Steps of the longest sequence in `fit`, where known, to tell one sequence from sequences of one step.
    roles : Roles, optional
        What features are, as found in fit. With `reset` the estimator's ``categorical_features`` and ``time_feature``
        tell.
    lists_are_rows : bool, default=False
        Whether equally long plain lists are the rows of a table afterwards too, for results that have the form of X.

    Returns
    -------
    sequences : Sequences
        Values in the precision of X, whatever that of the network: float32 where that holds every value of
        X's dtype, and float64 otherwise. A C-contiguous array of these is not copied, and X is never altered.

    Raises
    ------
    ValueError
        If X holds NaN other than padding, infinity, complex numbers or words; has no samples, more than
        three dimensions, an empty sequence, or sequences of different widths or names of features; does not
        divide into steps; holds dates that are no times; or differs from the X of `fit` in its features.
    TypeError
        If X is sparse, is a dict, a set or an iterator, or holds something that is no number.
    """
    X = plain_container(X)
    samples = samples_of(X, lists_are_rows=reset or lists_are_rows)
    with all_or_nothing(estimator):
        if samples is None:
            data = _read_array(X, estimator, reset, longest, roles)
        else:
            data, samples = _read_ragged(samples, X, estimator, reset, roles)
        held = words_of_all(samples) if reset and samples is not None else None
        data = _with_roles(data, samples, held, estimator, reset, roles or Roles())
    if reset:
        warn_of_suspicions(data, X, held)
    return data


def _with_roles(
    data: Sequences, samples: Any, held: Held | None, estimator: Any, reset: bool, roles: Roles
) -> Sequences:
    """Say what features are: all numbers of a category must be codes, and times must not go backwards.

    In fit `held` is what samples say that codes stand for.
    """
    if reset:
        names = None if data.kind == "rows" else getattr(estimator, "feature_names_in_", None)
        roles = resolve_roles(estimator, data.n_features, names, held)
        vars(estimator).pop("_held_categories", None)
        known = known_categories(held, roles)
        if known is not None:
            estimator._held_categories = known
    data = recoded(replace(data, roles=roles), samples, getattr(estimator, "_held_categories", None))
    check_codes(data, allows_missing=bool(takes_missing(estimator, reset)))
    check_times(data)
    if len(roles.categorical) == data.n_features:
        # Names have no precision of their own, so what holds them must not matter.
        data = replace(data, values=data.values.astype(np.float32, copy=False))
    return data


def takes_missing(estimator: Any, reset: bool) -> bool | None:
    """Whether an estimator takes values that are missing, after `fit` as was set then; None where it never does."""
    asked, model = getattr(estimator, "handle_missing", None), getattr(estimator, "_model", None)
    if asked is None or reset or model is None:
        return None if asked is None else bool(asked == "mask")
    return bool(model.network.architecture.handles_missing)


def _allowed(estimator: Any, time: TimeColumn, width: int, reset: bool) -> dict[str, Any]:
    """What may be missing, as `valid_lengths` is told."""
    return {"allows_missing": takes_missing(estimator, reset), "time": partial(time.number, width)}


def _read_array(X: Any, estimator: Any, reset: bool, longest: int | None, roles: Roles | None) -> Sequences:
    """Read a 2-D or 3-D array, or whatever scikit-learn reads as one."""
    names = names_of(X) if getattr(X, "ndim", 2) == 3 else None
    time = TimeColumn(estimator, None if reset else roles or Roles(), names)
    array = _check_array(time.in_seconds(X), estimator, reset)
    is_rows = array.ndim == 2
    width = step_width(estimator.n_step_features) if is_rows else array.shape[2]
    # An array of three axes has names where it is `Steps`.
    named = X if is_rows or hasattr(X, "columns") else None
    if not reset:
        match_features(estimator, named, width, is_rows)
    n_samples = len(array)
    n_steps = count_steps(array.shape[1], width, "X") if is_rows else array.shape[1]
    if not reset and is_rows and n_steps == 1:
        refuse_single_steps(estimator, array.shape, longest)
    target = _real_dtype([array.dtype])
    with np.errstate(over="ignore"):  # what overflows is refused below, with its place
        values = np.require(array, target, ["C_CONTIGUOUS", "ALIGNED"]).reshape(n_samples * n_steps, width)
    starts = np.arange(n_samples, dtype=np.int64) * n_steps
    n_each = np.full(n_samples, n_steps, dtype=np.int64)
    lengths = valid_lengths(values, starts, n_each, in_columns=is_rows, **_allowed(estimator, time, width, reset))
    data = Sequences(values, starts, lengths, "rows" if is_rows else "array", n_steps)
    if reset:
        record_features(estimator, named, width, is_rows)
    return data


def _check_array(X: Any, estimator: Any, reset: bool) -> NDArray[Any]:
    """Make X a real array of two or three axes, none of them empty."""
    if type(X) is np.ndarray and X.ndim == 3 and X.dtype in (np.float32, np.float64) and 0 not in X.shape:
        # Nothing is left to check, and one sequence at a time should cost little more than its arithmetic.
        return X
    X = unmasked(X, "X", takes_missing(estimator, reset))
    if hasattr(X, "columns") and len(X.columns) == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={X.shape}) while a minimum of 1 is required: X.")
    if count_axes(X) == 1 and not issparse(X):
        refuse_entry(X, ValueError(_ONE_AXIS))
    try:
        array = check_array(
            _in_own_precision(X), allow_nd=True, ensure_all_finite=False, estimator=estimator, input_name="X"
        )
    except (TypeError, ValueError, OverflowError) as error:
        refuse_entry(X, error)
    if array.ndim > 3:
        raise ValueError(
            f"Found array with dim {array.ndim} (shape={array.shape}), while dim <= 3 is required: "
            "(n_samples, n_steps, n_features). Flatten each step's features into one axis."
        )
    if array.dtype.kind not in "fiub":
        refuse_entry(X, ValueError(wrong_dtype(array.dtype, "X")))
    refuse_empty_axes(array.shape, "X")
    return array


def _in_own_precision(X: Any) -> Any:
    """Give an array of numbers where X's entries or columns have a precision that scikit-learn would not keep."""
    if not hasattr(X, "columns") and not (isinstance(X, np.ndarray) and X.dtype == object):
        return X
    try:
        array = as_array(X)
    except (TypeError, ValueError, OverflowError) as error:
        if not hasattr(X, "columns") and any(map(is_date, X.reshape(-1))):
            refuse_entry(X, error)  # scikit-learn would make numbers of some
        return X
    return array if array.dtype.kind in "fiub" and array.shape == X.shape else X


def _read_ragged(
    samples: Sequence[Any], X: Any, estimator: Any, reset: bool, roles: Roles | None
) -> tuple[Sequences, list[Any]]:
    """Read sequences of their own lengths, and lay them one after another; and give them as they were read, each."""
    if not len(samples):
        raise ValueError("Found array with 0 sample(s) (an empty list) while a minimum of 1 is required.")
    # Where each of several columns holds a feature, X itself has the names.
    named = X if len(getattr(X, "columns", ())) > 1 else named_sample(samples)
    time = TimeColumn(estimator, None if reset else roles or Roles(), names_of(named))
    samples = [_prepare_sample(sample, i, estimator, time, reset) for i, sample in enumerate(samples)]
    arrays = [_read_sample(sample, i, estimator) for i, sample in enumerate(samples)]
    width = arrays[0].shape[1]
    for i, steps in enumerate(arrays):
        if steps.shape[1] != width:
            raise ValueError(
                f"Sample {i} of X has {steps.shape[1]} features a step (shape {np.shape(samples[i])}), but "
                f"sample 0 has {width} (shape {np.shape(samples[0])}); give every step the same features."
            )
    if not reset:
        match_features(estimator, named, width, False)
    n_steps = np.array([len(steps) for steps in arrays], dtype=np.int64)
    starts = np.cumsum(n_steps) - n_steps
    target = _real_dtype({steps.dtype for steps in arrays})
    # Left to itself NumPy lays Fortran-ordered samples, such as frames hold, in Fortran order.
    values = np.empty((n_steps.sum(), width), target)
    with np.errstate(over="ignore"):  # what overflows is refused below, with its place
        np.concatenate(arrays, out=values)
    lengths = valid_lengths(values, starts, n_steps, **_allowed(estimator, time, width, reset))
    if reset:
        record_features(estimator, named, width, False)
    return Sequences(values, starts, lengths, "ragged", int(lengths.max())), samples


def _prepare_sample(sample: Any, number: int, estimator: Any, time: TimeColumn, reset: bool) -> Any:
    """Give one ragged sample with seconds for dates that are times, NaN for what a mask hides, codes for words."""
    who = f"Sample {number} of X"
    sample = unmasked(sample, who, takes_missing(estimator, reset))
    if issparse(sample):
        raise TypeError(f"{who} is sparse, and dense data is required; pass sample.toarray().")
    sample = time.in_seconds(sample, number)
    try:
        return sample if getattr(estimator, "categorical_features", None) is None else with_codes(sample)
    except ValueError as error:
        raise ValueError(f"{who}: {error}") from error


def _read_sample(sample: Any, number: int, estimator: Any) -> NDArray[Any]:
    """Make one ragged sample, as it was prepared, an array of shape (n_steps, n_features)."""
    who = f"Sample {number} of X"
    try:
        steps = as_array(sample)
    except (TypeError, ValueError, OverflowError) as error:
        refuse_entry(sample, error, sample=number)
    if steps.dtype.kind not in "fiub":
        refuse_entry(steps, ValueError(wrong_dtype(steps.dtype, who)), sample=number)
    if steps.ndim not in (1, 2):
        raise ValueError(
            f"{who} has shape {steps.shape}; a sequence is an array of shape (n_steps, n_features). "
            "Drop the sample, or flatten each step's features into one axis."
        )
    refuse_empty_axes(steps.shape, who)
    if steps.ndim == 1:
        width = step_width(estimator.n_step_features)
        steps = steps.reshape(count_steps(len(steps), width, who), width)
    return steps


def _real_dtype(given: Iterable[np.dtype[Any]]) -> np.dtype[Any]:
    """Choose the precision of the values."""
    # NumPy promotes with float32 to float32 exactly those types whose every value float32 holds.
    return np.dtype(np.float32 if np.result_type(*given, np.float32) == np.float32 else np.float64)
