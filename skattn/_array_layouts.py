"""Bring arrays that are padded, or have their axes in another order, into lists and arrays of sequences."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skattn._containers import as_array
from skattn._step_checks import refuse_masked, wrong_dtype
from skattn._wording import shortened


def sequences_from_padded(
    X: ArrayLike, lengths: ArrayLike | None = None, padding_value: float = 0
) -> list[NDArray[Any]]:
    """Cut the padding off an array of sequences.

    Parameters
    ----------
    X : array of shape (n_samples, n_steps, n_features) or (n_samples, n_steps)
        A row a sequence of one feature where it has two axes.
    lengths : int array of shape (n_samples,), optional
        Steps of each sequence. By default up to the last step in which a feature is not `padding_value`.
    padding_value : float, default=0
        May be NaN.

    Returns
    -------
    sequences : list of arrays of shape (n_steps_i, n_features)
        Views of X.

    Raises
    ------
    ValueError
        If X has other axes; a sequence is nothing but padding, for it has no steps; or lengths are not one from 1 to
        n_steps for each sequence.

    Examples
    --------
    >>> from skattn import sequences_from_padded
    >>> [steps.tolist() for steps in sequences_from_padded([[3, 0, 2, 0], [1, 0, 0, 0]])]
    [[[3], [0], [2]], [[1]]]
    """
    refuse_masked(X, "X")
    try:
        array = as_array(X)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"X makes no array of numbers: {shortened(error)}. Sequences that are not padded need no cutting."
        ) from error
    if array.dtype.kind not in "fiub":
        raise ValueError(wrong_dtype(array.dtype, "X"))
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(
            f"X has shape {array.shape}; a padded array is (n_samples, n_steps, n_features), or (n_samples, n_steps) "
            "for one feature, none of them 0."
        )
    counts = _count_steps(array, padding_value) if lengths is None else _given_lengths(lengths, array.shape)
    return [steps[:n] for steps, n in zip(array, counts.tolist(), strict=True)]


def _count_steps(array: NDArray[Any], padding_value: float) -> NDArray[np.int64]:
    """Steps up to the last that is no padding."""
    if not isinstance(padding_value, Real):
        raise ValueError(
            f"padding_value={shortened(repr(padding_value), 60)} is no number; give the number, or np.nan."
        )
    is_padding = array == padding_value if padding_value == padding_value else array != array
    is_step = ~is_padding.all(axis=2)
    empty = np.flatnonzero(~is_step.any(axis=1))
    if len(empty):
        raise ValueError(
            f"{len(empty)} sequences are nothing but padding_value={padding_value}, the first of them sample "
            f"{empty[0]}; a sequence needs at least one step. Drop them (and their targets), or give lengths."
        )
    return array.shape[1] - np.argmax(is_step[:, ::-1], axis=1)


def _given_lengths(lengths: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    counts = np.asarray(lengths)
    if counts.shape != shape[:1] or counts.dtype.kind not in "iu" or counts.min() < 1 or counts.max() > shape[1]:
        raise ValueError(
            f"lengths={shortened(lengths, 100)} are not the steps of {shape[0]} sequences; give a whole number from 1 "
            f"to {shape[1]} for each."
        )
    return counts


def sequences_from_array(X: Any, *, layout: str = "ntc") -> Any:
    """Bring arrays of another layout into that of this package, steps before features.

    Parameters
    ----------
    X : array with two or three axes, or list of arrays with one or two
        Anything that NumPy reads as an array, such as an ``xarray.DataArray``. With one axis less it is one feature:
        (n_samples, n_steps), and (n_steps_i,) in a list.
    layout : {"ntc", "nct"}, default="ntc"
        Order of samples, steps (time) and features (channels) in X. "nct" is that of aeon, sktime and torch's
        convolutions.

    Returns
    -------
    X : array of shape (n_samples, n_steps, n_features), or list of arrays of shape (n_steps_i, n_features)
        Views.

    Raises
    ------
    ValueError
        If the layout is another, X has other axes, or the arrays of a list differ in features.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import sequences_from_array
    >>> sequences_from_array(np.zeros((10, 3, 50)), layout="nct").shape
    (10, 50, 3)
    """
    if layout not in ("ntc", "nct"):
        raise ValueError(f"layout={layout!r}; it is 'ntc' (samples, steps, features) or 'nct' (features before steps).")
    if not isinstance(X, (list, tuple)):
        array = np.asarray(X)
        if array.dtype.kind != "O" or array.ndim != 1:
            return _steps_first(array, layout, 3, "X")
        X = array
    samples = [_steps_first(np.asarray(sample), layout, 2, f"Sample {i} of X") for i, sample in enumerate(X)]
    for i, steps in enumerate(samples):
        if steps.shape[1] != samples[0].shape[1]:
            raise ValueError(
                f"Sample {i} of X has {steps.shape[1]} features and sample 0 {samples[0].shape[1]}, read as "
                f"layout={layout!r}; try {'nct' if layout == 'ntc' else 'ntc'!r}, or give all samples one width."
            )
    return samples


def _steps_first(array: NDArray[Any], layout: str, n_axes: int, who: str) -> NDArray[Any]:
    """View one array with its steps before its features; with an axis less, it is one feature."""
    if array.ndim == n_axes - 1:
        return array[..., np.newaxis]
    if array.ndim != n_axes:
        axes = ", ".join({"n": "n_samples", "t": "n_steps", "c": "n_features"}[axis] for axis in layout[-n_axes:])
        raise ValueError(
            f"{who} has shape {array.shape}, and layout={layout!r} wants ({axes}), or one axis less for one feature."
        )
    return array.swapaxes(-1, -2) if layout == "nct" else array
