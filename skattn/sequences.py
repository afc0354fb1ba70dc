"""Read anything a user passes as X into one form: the steps of all samples, one after another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, validate_data

from skattn._samples import samples_of
from skattn._step_checks import (
    count_steps,
    refuse_empty_axes,
    refuse_entry,
    refuse_masked,
    step_width,
    valid_lengths,
    wrong_dtype,
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
    """

    values: NDArray[Any]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    kind: str
    n_steps: int

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


def read_sequences(X: Any, estimator: Any, *, reset: bool) -> Sequences:
    """Check X and bring it into one form.

    Parameters
    ----------
    X : array, list, tuple, data frame or column of sequences
        - 3-D ``(n_samples, n_steps, n_features)``;
        - ragged: a list, tuple or 1-D object array of ``(n_steps_i, n_features)`` arrays, nested lists
          or data frames, or a pandas / polars column (or frame of one column) that holds them;
        - 2-D ``(n_samples, n_steps * n_step_features)``: a row is a sequence, columns in time order,
          ``estimator.n_step_features`` of them a step. A ragged list of 1-D samples is read likewise.

        Steps at the end of a sequence whose features are all NaN are padding.
    estimator : estimator
        Whose ``n_step_features`` is read, and whose ``n_features_in_`` and ``feature_names_in_`` are
        set or checked. It is left as it was if X is refused.
    reset : bool
        Set these attributes (in `fit`), rather than check X against them.

    Returns
    -------
    sequences : Sequences
        Values in the precision of X, whatever that of the network: float32 where that holds every value of
        X's dtype, and float64 otherwise. A C-contiguous array of these is not copied, and X is never altered.

    Raises
    ------
    ValueError
        If X holds NaN other than padding, infinity, complex numbers or words; has no samples, more than
        three dimensions, an empty sequence, or sequences of different widths; does not divide into
        steps; or differs from the X of `fit` in its features.
    TypeError
        If X is sparse or holds something that is no number.
    """
    samples = samples_of(X)
    if samples is None:
        return _read_array(X, estimator, reset)
    return _read_ragged(samples, estimator, reset)


def _read_array(X: Any, estimator: Any, reset: bool) -> Sequences:
    """Read a 2-D or 3-D array, or whatever scikit-learn reads as one."""
    array = _check_array(X, estimator)
    is_rows = array.ndim == 2
    width = step_width(estimator.n_step_features) if is_rows else array.shape[2]
    if not reset:
        _match(estimator, X, width, is_rows)
    n_samples = len(array)
    n_steps = count_steps(array.shape[1], width, "X") if is_rows else array.shape[1]
    target = _real_dtype([array.dtype])
    with np.errstate(over="ignore"):  # what overflows is refused below, with its place
        values = np.require(array, target, ["C_CONTIGUOUS", "ALIGNED"]).reshape(n_samples * n_steps, width)
    starts = np.arange(n_samples, dtype=np.int64) * n_steps
    lengths = valid_lengths(values, starts, np.full(n_samples, n_steps, dtype=np.int64), in_columns=is_rows)
    if reset:
        _record(estimator, X, width, is_rows)
    return Sequences(values, starts, lengths, "rows" if is_rows else "array", n_steps)


def _check_array(X: Any, estimator: Any) -> NDArray[Any]:
    """Make X a real array of two or three axes, none of them empty."""
    if type(X) is np.ndarray and X.ndim == 3 and X.dtype in (np.float32, np.float64) and 0 not in X.shape:
        # Nothing is left to check, and one sequence at a time should cost little more than its arithmetic.
        return X
    refuse_masked(X, "X")
    if hasattr(X, "columns") and len(X.columns) == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={X.shape}) while a minimum of 1 is required: X.")
    try:
        array = check_array(X, allow_nd=True, ensure_all_finite=False, estimator=estimator, input_name="X")
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


def _read_ragged(samples: Sequence[Any], estimator: Any, reset: bool) -> Sequences:
    """Read sequences of their own lengths, and lay them one after another."""
    if not samples:
        raise ValueError("Found array with 0 sample(s) (an empty list) while a minimum of 1 is required.")
    arrays = [_read_sample(sample, i, estimator.n_step_features) for i, sample in enumerate(samples)]
    width = arrays[0].shape[1]
    for i, steps in enumerate(arrays):
        if steps.shape[1] != width:
            raise ValueError(
                f"Sample {i} of X has {steps.shape[1]} features a step (shape {np.shape(samples[i])}), but "
                f"sample 0 has {width} (shape {np.shape(samples[0])}); give every step the same features."
            )
    if not reset:
        _match(estimator, None, width, False)
    n_steps = np.array([len(steps) for steps in arrays], dtype=np.int64)
    starts = np.cumsum(n_steps) - n_steps
    target = _real_dtype({steps.dtype for steps in arrays})
    # Left to itself NumPy lays Fortran-ordered samples, such as frames hold, in Fortran order.
    values = np.empty((n_steps.sum(), width), target)
    with np.errstate(over="ignore"):  # what overflows is refused below, with its place
        np.concatenate(arrays, out=values)
    lengths = valid_lengths(values, starts, n_steps)
    if reset:
        _record(estimator, None, width, False)
    return Sequences(values, starts, lengths, "ragged", int(lengths.max()))


def _read_sample(sample: Any, number: int, n_step_features: Any) -> NDArray[Any]:
    """Make one ragged sample an array of shape (n_steps, n_features)."""
    who = f"Sample {number} of X"
    refuse_masked(sample, who)
    if issparse(sample):
        raise TypeError(f"{who} is sparse, and dense data is required; pass sample.toarray().")
    try:
        steps = np.asarray(sample)
        if steps.dtype == object:
            # A nested list with missing entries, or an array of arrays as read back from Parquet.
            steps = np.array(steps.tolist(), dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        refuse_entry(sample, type(error)(f"{who}: {error}"), sample=number)
    if steps.dtype.kind not in "fiub":
        refuse_entry(steps, ValueError(wrong_dtype(steps.dtype, who)), sample=number)
    if steps.ndim not in (1, 2):
        raise ValueError(
            f"{who} has shape {steps.shape}; a sequence is an array of shape (n_steps, n_features). "
            "Drop the sample, or flatten each step's features into one axis."
        )
    refuse_empty_axes(steps.shape, who)
    if steps.ndim == 1:
        width = step_width(n_step_features)
        steps = steps.reshape(count_steps(len(steps), width, who), width)
    return steps


def _real_dtype(given: Iterable[np.dtype[Any]]) -> np.dtype[Any]:
    """Choose the precision of the values."""
    # NumPy promotes with float32 to float32 exactly those types whose every value float32 holds.
    return np.dtype(np.float32 if np.result_type(*given, np.float32) == np.float32 else np.float64)


def _match(estimator: Any, X: Any, width: int, is_rows: bool) -> None:
    """Refuse X whose features are not those of `fit`."""
    rows_in_fit, expected = estimator._steps_in
    if is_rows and rows_in_fit:
        validate_data(estimator, X, reset=False, skip_check_array=True)
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


def _record(estimator: Any, X: Any, width: int, is_rows: bool) -> None:
    """Note the features of `fit`: columns and their names for 2-D X, a step's features for all else."""
    validate_data(estimator, X if is_rows else np.empty((1, width)), reset=True, skip_check_array=True)
    # A model fitted on rows reads ragged X too, and the other way round, as long as the steps are alike.
    estimator._steps_in = (is_rows, width)
