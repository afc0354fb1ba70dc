"""How y is encoded, and its classes, as plain values in files, and back, checked."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._network.architecture import Architecture
from skattn._network.checks import check_choice, check_fields, check_vector, check_whole, damaged
from skattn._training.objectives import OBJECTIVES, Target
from skattn.step_target import FORMS


def write_target(target: Target) -> dict[str, Any]:
    """How y is encoded; levels only where it is counted from them, as before there were such."""
    without = () if target.features is not None else ("features", "floors")
    without += () if target.form is not None else ("form",)
    without += () if target.quantiles else ("quantiles",)
    return {name: part for name, part in vars(target).items() if name not in without}


def read_target(values: Any, objective: str, architecture: Architecture) -> Target:
    """How y was encoded must be how the outputs are read."""
    n_outputs = architecture.n_outputs
    optional = ("mean", "scale", "is_column", "features", "floors", "form", "quantiles")
    target = Target(**check_fields("target", values, ("n_outputs",), optional))
    check_choice("target.form", target.form, FORMS if architecture.is_stepwise else (None,))
    check_whole("target.n_outputs", target.n_outputs, n_outputs, n_outputs)
    if target.quantiles != architecture.quantiles:
        raise damaged("target.quantiles", target.quantiles, f"{architecture.quantiles}, as the architecture says")
    are_values, n_values = OBJECTIVES[objective].target_type == "values", target.n_values
    if not isinstance(target.is_column, bool) or (target.is_column and are_values and n_values > 1):
        raise damaged("target.is_column", target.is_column, f"whether y was a column, for n_outputs={n_values}")
    if are_values:
        for name in ("mean", "scale"):
            check_vector(f"target.{name}", getattr(target, name), n_values, np.float64)
    elif any(part is not None for part in (target.mean, target.scale, target.features, target.floors)):
        raise damaged("target.mean or another part", "there", f"none for the objective {objective!r}")
    if target.features is not None or target.floors is not None:
        _check_levels(target, n_values, architecture.n_features)
    return target


def _check_levels(target: Target, n_outputs: int, n_features: int) -> None:
    """Each output is counted from a feature that there is, in deviations that are no less than something."""
    features = target.features
    if not isinstance(features, np.ndarray) or features.dtype != np.int64 or features.shape != (n_outputs,):
        raise damaged("target.features", features, f"{n_outputs} numbers of features")
    if features.min() < 0 or features.max() >= n_features:
        raise damaged("target.features", features, f"numbers from 0 to {n_features - 1}")
    if check_vector("target.floors", target.floors, n_outputs, np.float64).min() <= 0:
        raise damaged("target.floors", target.floors, "positive numbers")


def read_classes(classes: Any, objective: str, n_outputs: int) -> NDArray[Any] | None:
    """A sorted label for each output, where outputs stand for labels."""
    if OBJECTIVES[objective].probabilities is None:
        if classes is not None:
            raise damaged("classes", classes, f"none for the objective {objective!r}")
        return None
    if not isinstance(classes, np.ndarray) or classes.shape != (n_outputs,):
        raise damaged("classes", classes, f"an array of {n_outputs} labels")
    classes = np.asarray(classes)
    try:
        is_sorted = bool(np.all(classes[:-1] < classes[1:]))
    except (TypeError, ValueError):
        is_sorted = False
    if not is_sorted:
        raise damaged("classes", classes.tolist(), "different labels in rising order")
    return classes
