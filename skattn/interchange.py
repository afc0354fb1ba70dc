"""Weights in a safetensors file: tensors by name and a description, for other programs and for wary readers.

The file holds numbers and words only, so reading one runs no code, whoever wrote it. A digest finds damage; it is no
signature, for whoever alters a file on purpose can compute it as well.
"""

import math
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn import __version__
from skattn._network.architecture import Architecture
from skattn._network.checks import check_architecture, check_choice, check_fields, damaged
from skattn._network.network import Network
from skattn._network.stem import STEM_PARTS
from skattn._training.objectives import OBJECTIVES, Target
from skattn._training.settings import TrainingState
from skattn._weights_file import (
    digest_of_tensors,
    heads_of,
    read_file,
    read_labels,
    safetensors_library,
    write_file,
    write_labels,
)
from skattn._wording import shortened
from skattn.checkpoint import FREE
from skattn.defaults import chosen
from skattn.held_categories import check_held
from skattn.levels import counted_from
from skattn.model import Member, Model, named_weights, prefix_of
from skattn.parameters import name_of
from skattn.persistence import VERSION, read_state
from skattn.roles import Roles, resolve_roles
from skattn.sizes import resolve_architecture

_INPUT, _TARGET = ("input.mean", "input.scale"), ("target.mean", "target.scale")
_LEVELS = {"features": np.int64, "floors": np.float64}
# How far training has come. Averages of gradients and the schedule are left out: going on starts them anew.
_TRAINING = ("seed", "n_epochs", "n_updates", "loss_curve", "validation_scores")
# May differ between the estimator and the file: neither is part of what is computed from weights.
_FREE = set("dropout hidden_fraction embedding_dropout token_dropout label_smoothing frozen heads".split())
_FREE |= {"augmentations", "temperature"}


def save_weights(estimator: Any, model: Model, path: str | os.PathLike[str], before: Model | None = None) -> None:
    """Write a fitted model's tensors and what they mean.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
    model : Model
        What its last fit left behind.
    path : str or path-like
    before : Model, optional
        What it began with: tensors that are the same there are left out, and a digest of them stands for them.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    ValueError
        If a class label, or what a code stands for, is neither a word nor a number nor a boolean.
    OSError
        If the file cannot be written; what stood there before is then as it was.
    """
    safetensors_library()
    network, target, tensors = model.network, model.target, _tensors_of(model)
    if target.mean is not None:
        tensors |= dict(zip(_TARGET, (target.mean, target.scale), strict=True))
    same = {} if before is None else _in_both(tensors, _tensors_of(before, len(model.members)))
    if before is not None and not set(same) & set(named_weights(model)):
        raise ValueError(
            "No weight is that of pretrained any more: all have learned, or it is another network than fit began with; "
            "set adapter_rank or freeze before fit, or take save_weights, which keeps all."
        )
    tensors = {name: tensor for name, tensor in tensors.items() if name not in same}
    names, parameters = getattr(estimator, "feature_names_in_", None), estimator.get_params(deep=False)
    training = [{name: getattr(member.state, name) for name in _TRAINING} for member in model.members]
    description = {
        "version": __version__,
        "estimator": _name(type(estimator)),
        "parameters": {name: _plain(value) for name, value in parameters.items() if name not in FREE},
        "architecture": asdict(network.architecture),
        "dtype": network.dtype.name,
        "objective": model.objective,
        "target": _write_target(target),
        "classes": None if model.classes is None else write_labels(model.classes),
        "steps_in": [bool(estimator._steps_in[0]), int(estimator._steps_in[1])],
        "n_features_in": int(estimator.n_features_in_),
        "feature_names_in": None if names is None else names.tolist(),
        "training": training if len(training) > 1 else training[0],
        **_write_held(estimator),
    }
    heads = [member.network.architecture.heads for member in model.members]
    if any(each != heads[0] for each in heads):
        description["heads"] = heads
    if same:
        description["pretrained"] = {"names": sorted(same), "sha256": digest_of_tensors(same)}
    write_file(path, tensors, description)


def _tensors_of(model: Model, n_members: int | None = None) -> dict[str, NDArray[Any]]:
    """Arrays of a model's networks by name, or of so many that begin with them in turn."""
    members = [model.members[i % len(model.members)] for i in range(n_members or len(model.members))]
    network, tensors = model.network, named_weights(replace(model, members=members))
    tensors |= dict(zip(_INPUT, (network.mean, network.scale), strict=True))
    tensors |= dict(zip(_code_names(network.architecture), network.codes, strict=True))
    tensors |= dict(zip(_time_names(network.architecture), [network.time_unit], strict=False))
    for i, member in enumerate(members):
        if member.network.stem is not None:
            tensors |= {prefix_of(i) + f"stem.{name}": part for name, part in member.network.stem.parts.items()}
    # A number becomes a vector of one.
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def _in_both(tensors: dict[str, NDArray[Any]], others: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Those that are the same in both, to the bit."""
    return {
        name: tensor
        for name, tensor in tensors.items()
        if name in others and tensor.dtype == others[name].dtype and tensor.shape == others[name].shape
        if tensor.tobytes() == others[name].tobytes()
    }


def _with_left_out(
    path: Any, tensors: dict[str, NDArray[Any]], description: dict[str, Any], before: Callable[[], Model | None]
) -> dict[str, NDArray[Any]]:
    """Add the tensors that a file leaves to the pretrained network."""
    if "pretrained" not in description:
        return tensors
    left_out = check_fields("pretrained", description["pretrained"], ("names", "sha256"))
    model = before()
    if model is None:
        raise ValueError(
            f"{path} holds what was learned beside a pretrained network, and not that one; set pretrained to what it "
            "was fitted with."
        )
    n_members = len(description["training"]) if isinstance(description["training"], list) else 1
    known = _tensors_of(model, n_members)
    names = left_out["names"]
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    same = {name: known[name] for name in names if name in known} if is_list else {}
    if not is_list or len(same) != len(names) or digest_of_tensors(same) != left_out["sha256"]:
        raise ValueError(
            f"{path} holds what was learned beside another network than that of pretrained; set pretrained to the one "
            "that it was fitted with, as it was then."
        )
    return same | tensors


def _write_target(target: Target) -> dict[str, Any]:
    """What a file says of the target in words; JSON keeps every bit of a number."""
    written: dict[str, Any] = {"n_outputs": target.n_outputs, "is_column": target.is_column}
    if target.features is not None:
        written |= {name: getattr(target, name).tolist() for name in _LEVELS}
    written |= {} if target.form is None else {"form": target.form}
    return {**written, "quantiles": list(target.quantiles)} if target.quantiles else written


def _read_target(written: Any) -> dict[str, Any]:
    """The same back; what it says is checked with the rest."""
    fields = check_fields("target", written, ("n_outputs", "is_column"), (*_LEVELS, "form", "quantiles"))
    try:
        fields["quantiles"] = tuple(fields.get("quantiles", ()))
        return fields | {name: np.array(fields[name], kind) for name, kind in _LEVELS.items() if name in fields}
    except (TypeError, ValueError, OverflowError):
        raise damaged("target", written, "lists of numbers") from None


def load_weights(
    estimator: Any, path: str | os.PathLike[str], before: Callable[[], Model | None] = lambda: None
) -> dict[str, Any]:
    """Read tensors for an estimator whose parameters ask for the network that they are of.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
        It is left as it is.
    path : str or path-like
    before : callable () -> Model or None
        Gives what the estimator is to begin with, for files that leave that out.

    Returns
    -------
    attributes : dict
        What a fit would have set on the estimator.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    ValueError
        If the file is damaged, is no such file, was written by a later version, or is of another network than
        the estimator's parameters ask for.
    OSError
        If the file cannot be read.
    """
    tensors, description = read_file(path)
    kind = _name(type(estimator))
    if description["estimator"] != kind:
        raise ValueError(
            f"{path} holds the weights of a {description['estimator']}, and this is a {kind}; load it into the former."
        )
    tensors = _with_left_out(path, tensors, description, before)
    n_numbers, training = _count(tensors), _training_of(description)
    # Version 0.1.0 had one network, and no parameter to say so.
    n_members = len(training) if "n_estimators" in description["parameters"] else estimator.n_estimators
    architecture = _match(estimator, description, n_numbers, n_members)
    return _read_state(tensors, description, architecture, type(estimator))


def read_fitted(path: str | os.PathLike[str], kinds: dict[str, type]) -> Any:
    """Read a file for what begins with its network: a fitted estimator, its parameters the defaults.

    Parameters
    ----------
    path : str or path-like
    kinds : dict
        The estimators that a file may be of, by their names.

    Raises
    ------
    ImportError, ValueError, OSError
        As `load_weights`; also if the file leaves out what a pretrained network had.
    """
    tensors, description = read_file(path)
    tensors = _with_left_out(path, tensors, description, lambda: None)
    kind = kinds[check_choice("estimator", description["estimator"], tuple(kinds))]
    architecture = Architecture(**check_architecture(description["architecture"], _count(tensors)))
    estimator = kind()
    estimator.__dict__.update(_read_state(tensors, description, architecture, kind))
    return estimator


def _count(tensors: dict[str, NDArray[Any]]) -> int:
    """Numbers that there are: no size in a file may ask for more."""
    return sum(tensor.size for tensor in tensors.values())


def _training_of(description: dict[str, Any]) -> list[Any]:
    """How far training of each network has come."""
    training = description["training"]
    training = [training] if isinstance(training, dict) else training
    if not isinstance(training, list) or not training:
        raise damaged("training", training, "a list, an entry a network")
    return training


def _read_state(
    tensors: dict[str, NDArray[Any]], description: dict[str, Any], architecture: Architecture, kind: type
) -> dict[str, Any]:
    """What a fit would have set on an estimator, checked."""
    dtype = check_choice("dtype", description["dtype"], ("float32", "float64"))
    objective = check_choice("objective", description["objective"], tuple(OBJECTIVES))
    training = _training_of(description)
    with_target = _TARGET if OBJECTIVES[objective].target_type == "values" else ()
    architectures = [replace(architecture, heads=heads) for heads in heads_of(description, len(training))]
    members = _read_members(tensors, architectures, dtype, training, (*_INPUT, *with_target))
    classes, names = description["classes"], description["feature_names_in"]
    state = {
        VERSION: description["version"],
        "_steps_in": tuple(description["steps_in"]) if isinstance(description["steps_in"], list) else None,
        "n_features_in_": description["n_features_in"],
        "_model": {
            "members": members,
            "objective": objective,
            "target": _read_target(description["target"]) | {name[7:]: tensors[name] for name in with_target},
            "classes": None if classes is None else read_labels("classes", classes),
        },
    }
    if names is not None:
        state["feature_names_in_"] = read_labels("feature_names_in", {"dtype": "object", "values": names})
    if "categories" in description:
        state["_held_categories"] = _read_held(description)
    return read_state(state, kind)


def _code_names(architecture: Architecture) -> list[str]:
    """Names of the tensors that hold the codes of each category."""
    return [f"input.codes.{number}" for number in range(len(architecture.categories))]


def _time_names(architecture: Architecture) -> list[str]:
    """Name of the tensor that holds what times are counted in, where there are times."""
    return [] if architecture.time_feature is None else ["input.time_unit"]


def _stem_part(tensor: NDArray[Any]) -> Any:
    """A part of a stem as it was before it was written: a vector, or a whole number."""
    return int(tensor[0]) if tensor.dtype == np.int64 and tensor.shape == (1,) else tensor


def _read_members(
    tensors: dict[str, NDArray[Any]],
    architectures: list[Architecture],
    dtype: Any,
    training: list[Any],
    others: tuple[str, ...],
) -> list[dict[str, Any]]:
    """Each network, as `read_state` takes it; no tensor may be missing or left over."""
    architecture = architectures[0]
    members = [Member(Network(each, dtype), TrainingState(0)) for each in architectures]
    weights = named_weights(Model(members, "", Target(architecture.n_outputs), None))
    stems = [
        {name: prefix_of(i) + f"stem.{name}" for name in STEM_PARTS} if architecture.n_kernels else {}
        for i in range(len(members))
    ]
    codes, times = _code_names(architecture), _time_names(architecture)
    others = (*others, *codes, *times)
    check_fields("tensors", tensors, (*weights, *others, *(name for stem in stems for name in stem.values())))
    for name, weight in weights.items():
        if tensors[name].dtype != weight.dtype or tensors[name].shape != weight.shape:
            raise damaged(name, tensors[name], f"numbers in {weight.dtype} of shape {weight.shape}")
        weight[...] = tensors[name]
    scaling = {name[6:]: tensors[name] for name in _INPUT}
    return [
        {
            "network": member.network.__getstate__()
            | scaling
            | ({"codes": [tensors[name] for name in codes]} if codes else {})
            | ({"time_unit": tensors[times[0]]} if times else {})
            | ({"stem": {name: _stem_part(tensors[full]) for name, full in stem.items()}} if stem else {}),
            "training": check_fields("training", state, _TRAINING),
        }
        for member, stem, state in zip(members, stems, training, strict=True)
    ]


def _match(estimator: Any, description: dict[str, Any], n_numbers: int, n_members: int) -> Architecture:
    """The network that the estimator asks for, where the file is of the same; else an error names what differs."""
    values = check_architecture(description["architecture"], n_numbers)
    sizes = {name: values[name] for name in ("loss", "n_features", "n_outputs")}
    asked = resolve_architecture(estimator, **sizes, choice=chosen(estimator, Architecture(**values)))
    there, wanted = ({k: v for k, v in a.items() if k not in _FREE} for a in (values, asdict(asked)))
    there["n_estimators"], wanted["n_estimators"] = n_members, estimator.n_estimators
    # How many codes there are is learned, which features are categories is asked for.
    columns = [column for column, _ in values["categories"]]
    roles = _roles_asked(estimator, description, columns, values["n_features"])
    wanted["categories"], wanted["time_feature"] = roles.categorical, roles.time
    there["categories"] = tuple(columns)
    for name, found in (("dtype", description["dtype"]), ("objective", description["objective"])):
        if getattr(estimator, name, "auto") != "auto":
            there[name], wanted[name] = found, getattr(estimator, name)
    if hasattr(estimator, "normalise_target"):
        origin = counted_from(Target(**_read_target(description["target"])))
        there["normalise_target"], wanted["normalise_target"] = origin, estimator.normalise_target
    steps_in = description["steps_in"]
    if isinstance(steps_in, list) and steps_in[:1] == [True]:
        there["n_step_features"], wanted["n_step_features"] = steps_in[-1], estimator.n_step_features
    differing = [name for name in wanted if wanted[name] != there[name]]
    if differing:
        found, asks = (shortened(", ".join(f"{name}={d[name]!r}" for name in differing)) for d in (there, wanted))
        kind = type(estimator).__name__
        raise ValueError(f"The weights are of {kind}({found}), and this one has {asks}; set what differs as it was.")
    return asked


def _roles_asked(estimator: Any, description: dict[str, Any], columns: list[int], n_features: int) -> Roles:
    """What the estimator says of features, where the file tells which of them hold codes that stand for something."""
    held = check_held(_read_held(description), len(columns))
    known = {} if held is None else dict(zip(columns, held, strict=True))
    names = description["feature_names_in"]
    return resolve_roles(estimator, n_features, names, [known.get(column) for column in range(n_features)])


def _name(kind: type) -> str:
    """The class of this package that an estimator is of, or derived from."""
    return next(base.__name__ for base in kind.__mro__ if base.__module__.startswith("skattn."))


def _plain(value: Any) -> Any:
    """A parameter for people to read."""
    is_plain = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return value if is_plain else name_of(value)


def _write_held(estimator: Any) -> dict[str, Any]:
    """What the codes of each category stand for, where that is known."""
    held = getattr(estimator, "_held_categories", None)
    if held is None:
        return {}
    return {"categories": [None if k is None else write_labels(k, "The categories of a feature") for k in held]}


def _read_held(description: dict[str, Any]) -> list[NDArray[Any] | None] | None:
    """What the codes of each category stand for, None where the file does not say."""
    if "categories" not in description:
        return None
    held = description["categories"]
    if not isinstance(held, list):
        raise damaged("categories", held, "a list, an entry a feature that is a category")
    return [None if known is None else read_labels("categories", known) for known in held]
