"""Read sample_weight, and weigh classes."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._wording import shortened
from skattn.targets import as_numbers


def read_sample_weight(sample_weight: Any, n_samples: int) -> NDArray[np.float64]:
    """Check weights, one for each sample; None and a single number weigh all alike.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None
    n_samples : int

    Returns
    -------
    weight : ndarray of shape (n_samples,), float64
        Only their ratios count: extreme ones are brought near 1 together.

    Raises
    ------
    ValueError
        If their number is not `n_samples`, or one is negative, NaN or infinite, or all are zero.
    """
    if sample_weight is None:
        return np.ones(n_samples)
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_samples, sample_weight)
    weight = as_numbers(sample_weight, "sample_weight")
    if weight.shape != (n_samples,):
        raise ValueError(f"sample_weight has shape {weight.shape}, expected ({n_samples},); give one weight a sample.")
    if (weight < 0).any():
        sample = int(np.argmax(weight < 0))
        raise ValueError(
            f"sample_weight[{sample}] is {weight[sample]}, and weights must not be negative; "
            "give a sample 0 to leave it out."
        )
    if not weight.any():
        raise ValueError("All sample weights are zero: nothing to learn from; leave sample_weight out.")
    return near_one(weight)


def near_one(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring weights that sums and products could carry out of range near 1, by a power of 2 that rounds nothing."""
    if 1e-100 < weight.max() < 1e100:
        return weight
    return np.ldexp(weight, -np.frexp(weight.max())[1])


def weigh_classes(
    class_weight: Mapping[Any, float] | str | None,
    indices: NDArray[np.int64],
    classes: NDArray[Any],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Multiply each sample's weight by that of its class.

    Parameters
    ----------
    class_weight : mapping from class to weight, "balanced" or None
        "balanced": every class that occurs has the same total weight. Classes that a mapping does not
        name weigh 1.
    indices : int array of shape (n_samples,)
        Class of each sample, as an index into `classes`.
    classes : ndarray of shape (n_classes,)
    weight : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If a class weight is negative or not finite, or belongs to no class, or all are zero, or a sample
        has several labels.
    """
    if class_weight is None:
        return weight
    if indices.ndim > 1:
        raise ValueError(
            f"class_weight={shortened(repr(class_weight))} needs one class a sample, and y has several a sample; "
            "weigh samples by sample_weight instead."
        )
    if isinstance(class_weight, str):
        # Counted in weights, so that weighting a sample stays the same as repeating it.
        total = np.bincount(indices, weights=weight, minlength=len(classes))
        factors = weight.sum() / (np.count_nonzero(total) * np.where(total > 0, total, 1))
    else:
        factors = _named_weights(class_weight, classes.tolist())
    # What a few samples of little weight stand against may be beyond all floats.
    with np.errstate(over="ignore"):
        weight = weight * near_one(np.minimum(factors, np.finfo(np.float64).max))[indices]
    if not weight.any():
        raise ValueError(f"class_weight={shortened(class_weight)} gives all samples zero weight; name another class.")
    return near_one(weight)


def _named_weights(class_weight: Mapping[Any, float], classes: list[Any]) -> NDArray[np.float64]:
    """Each class's weight, 1 where it has none; scikit-learn's own takes no labels but words and whole numbers."""
    known = set(classes)
    strangers = [name for name in class_weight if name not in known]
    # Where all classes have a weight, others may be those of a part of y that is not here.
    if strangers and len(class_weight) - len(strangers) < len(classes):
        found, wanted = shortened(strangers), shortened(classes)
        raise ValueError(f"class_weight names {found}, and the classes of y are {wanted}; name these.")
    factors = [class_weight.get(name, 1.0) for name in classes]
    if not all(isinstance(factor, Real) and 0 <= factor < np.inf for factor in factors):
        raise ValueError(
            f'class_weight={shortened(class_weight)} must hold finite numbers >= 0; try class_weight="balanced".'
        )
    return np.array(factors, np.float64)
