"""Load the data sets that ship with the package, each with its official split."""

import reprlib
from importlib.resources import files
from typing import Any

import numpy as np
from sklearn.utils import Bunch

_SPLITS = (None, "train", "test")


def load_japanese_vowels(*, split: str | None = None, return_X_y: bool = False) -> Any:
    """Load utterances of nine speakers: ragged sequences of 12 coefficients.

    Parameters
    ----------
    split : {"train", "test"}, optional
        Which part of the official split to return; both, train first, by default.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With these attributes:

        data : list of float32 arrays of shape (n_steps_i, 12)
            640 sequences (270 train, 370 test) of 7 to 29 steps.
        target : str array of shape (n_samples,)
            The speaker, "1" to "9".
        target_names : str array of shape (9,)
            The classes.
        feature_names : list of str
            The features of a step.
        split : str array of shape (n_samples,)
            "train" or "test".
        DESCR : str
            What the data is, its source and licence.
    (data, target) : tuple if ``return_X_y`` is True
        The sequences and the speakers.

    Raises
    ------
    ValueError
        If `split` is none of the above.

    Examples
    --------
    >>> from skattn.datasets import load_japanese_vowels
    >>> X, y = load_japanese_vowels(split="train", return_X_y=True)
    >>> len(X), X[0].shape, str(y[0])
    (270, (20, 12), '1')
    """
    stored = _read("japanese_vowels")
    ends = np.cumsum(stored["lengths"], dtype=np.int64)
    # Copies, so that changing one sequence, or keeping only one, concerns that one alone.
    stored["data"] = [steps.copy() for steps in np.split(stored["values"], ends[:-1])]
    stored["feature_names"] = [f"cepstrum_{i}" for i in range(1, 13)]
    return _bunch(stored, split, return_X_y)


def load_pen_digits(*, split: str | None = None, return_X_y: bool = False) -> Any:
    """Load handwritten digits: the pen's path as 8 points of x and y.

    Parameters
    ----------
    split : {"train", "test"}, optional
        Which part of the official split to return; both, train first, by default.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With these attributes:

        data : float32 array of shape (n_samples, 8, 2)
            10992 sequences (7494 train, 3498 test).
        target : str array of shape (n_samples,)
            The digit, "0" to "9".
        target_names : str array of shape (10,)
            The classes.
        feature_names : list of str
            The features of a step.
        split : str array of shape (n_samples,)
            "train" or "test".
        DESCR : str
            What the data is, its source and licence.
    (data, target) : tuple if ``return_X_y`` is True
        The sequences and the digits.

    Raises
    ------
    ValueError
        If `split` is none of the above.

    Examples
    --------
    >>> from skattn.datasets import load_pen_digits
    >>> X, y = load_pen_digits(split="test", return_X_y=True)
    >>> X.shape
    (3498, 8, 2)
    """
    stored = _read("pen_digits")
    stored["data"] = stored["values"].astype(np.float32)
    stored["feature_names"] = ["x", "y"]
    return _bunch(stored, split, return_X_y)


def _read(name: str) -> dict[str, Any]:
    """Read what is stored of one data set, with its description."""
    folder = files("skattn.datasets") / "data"
    with (folder / f"{name}.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
        stored: dict[str, Any] = {key: archive[key] for key in archive.files}
    stored["DESCR"] = (folder / f"{name}.rst").read_text(encoding="utf-8")
    return stored


def _bunch(stored: dict[str, Any], split: str | None, return_X_y: bool) -> Any:
    """Keep the samples of one split, and hand them out the way scikit-learn's loaders do."""
    if split not in _SPLITS:
        raise ValueError(f"split={reprlib.repr(split)} is unknown; choose 'train', 'test' or None for both.")
    splits = np.where(stored["is_test"], "test", "train")
    kept = np.flatnonzero(splits == split) if split else np.arange(len(splits))
    data = stored["data"]
    data = [data[i] for i in kept] if isinstance(data, list) else data[kept]
    target = stored["target_names"][stored["target"][kept]]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=stored["target_names"],
        feature_names=stored["feature_names"],
        split=splits[kept],
        DESCR=stored["DESCR"],
    )
