"""Turn a fitted model into plain values and arrays, and back, refusing what does not fit together.

Every way to save an estimator whole (pickle, joblib, skops) goes through here, so a file holds no object of this
package but the estimator itself, and what comes out of a file is checked before a kernel sees it.
"""

from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from skattn import __version__
from skattn._network.checks import (
    check_choice,
    check_fields,
    check_number,
    check_stem,
    check_vector,
    check_whole,
    damaged,
)
from skattn._network.network import Network
from skattn._network.stem import GROUP, STEM_PARTS, Stem
from skattn._storage import refuse_newer
from skattn._target_state import read_classes, read_target, write_target
from skattn._training.objectives import OBJECTIVES
from skattn._training.optimizers import OPTIMIZERS, Optimizer
from skattn._training.seen import N_BITS, Seen
from skattn._training.settings import TrainingState
from skattn.held_categories import check_held
from skattn.model import Member, Model

TRUSTED_TYPES = [
    "skattn.classifier.SelfAttentionClassifier",
    "skattn.regressor.SelfAttentionRegressor",
    "skattn.scaler.SequenceScaler",
    "skattn.soft_lookup.SoftLookupClassifier",
    "skattn.soft_lookup.SoftLookupRegressor",
    "skattn.text.TokenSequencer",
    "skattn.tokens.RandomConvolutionTokens",
    "skattn.transformer.SelfAttentionTransformer",
]
"""What ``skops.io.load(path, trusted=TRUSTED_TYPES)`` needs to be told; the rest is plain values and arrays."""

_BEFORE = {"embedding": "linear", "n_estimators": 1, "label_smoothing": 0.0}

VERSION = "_skattn_version"
"""Name under which a state says which version wrote it."""


def parameters_before(kind: Any) -> dict[str, Any]:
    """What version 0.1.0, which had no such parameters of a class, did."""
    return {name: value for name, value in _BEFORE.items() if hasattr(kind, name)}


def write_state(attributes: dict[str, Any]) -> dict[str, Any]:
    """Turn the attributes of an estimator into what is saved.

    Parameters
    ----------
    attributes : dict
        As in ``vars(estimator)``.

    Returns
    -------
    state : dict
        The same, its model and a path as plain values and arrays, and the version. Arrays are not copied.
    """
    state = {**attributes, VERSION: __version__}
    if isinstance(state.get("checkpoint"), Path):
        # skops asks for trust in the class of a path, which differs by system.
        state["checkpoint"] = {"path": str(state["checkpoint"])}
    if "_model" in state:
        state["_model"] = _write_model(state["_model"])
    return state


def read_state(state: Any, kind: Any) -> dict[str, Any]:
    """Turn what was saved, by this or an earlier version, into the attributes of an estimator.

    Parameters
    ----------
    state : dict
        As `write_state` gives it, or as version 0.1.0 pickled it. What is missing because it came later
        keeps its default.
    kind : type
        Class of the estimator.

    Returns
    -------
    attributes : dict
        Arrays are not copied where they can be used as they are.

    Raises
    ------
    ValueError
        If a later version wrote it, or something is missing, unknown, of the wrong kind, out of range,
        or does not fit the rest.
    """
    attributes = _read_attributes(state, kind)
    if "d_model" in attributes and "n_estimators" not in attributes:
        attributes = {**parameters_before(kind), **attributes}
    if isinstance(attributes.get("checkpoint"), dict):
        attributes["checkpoint"] = _read_path(attributes["checkpoint"])
    if "_model" in attributes:
        attributes["_model"] = model = _read_model(attributes["_model"])
        check_choice("objective", model.objective, sorted(kind._learns))
        _check_features(attributes, model.network.architecture.n_features)
        check_held(attributes.get("_held_categories"), len(model.network.architecture.categories))
    return attributes


def _read_attributes(state: Any, kind: Any) -> dict[str, Any]:
    """The attributes that this or an earlier version wrote."""
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise damaged(f"This {kind.__name__}", state, "attributes by name")
    attributes = dict(state)
    written_by = attributes.pop(VERSION, "0")
    if not isinstance(written_by, str) or not written_by[:1].isdecimal():
        raise damaged(VERSION, written_by, "a version")
    refuse_newer(written_by, f"This {kind.__name__}")
    return attributes


def write_stem(attributes: dict[str, Any]) -> dict[str, Any]:
    """Turn the attributes of a `RandomConvolutionTokens` into plain values and arrays, and the version."""
    state = {**attributes, VERSION: __version__}
    if "_stem" in state:
        stem = state["_stem"]
        state["_stem"] = {**stem.parts, "is_causal": stem.is_causal, "stride": stem.stride}
    return state


def read_stem(state: Any, kind: Any) -> dict[str, Any]:
    """Turn what `write_stem` gave back into attributes.

    Parameters
    ----------
    state : dict
    kind : type
        Class of the transformer.

    Raises
    ------
    ValueError
        If a later version wrote it, or something is missing, unknown, of the wrong kind, out of range,
        or does not fit the rest.
    """
    attributes = _read_attributes(state, kind)
    if "_stem" not in attributes:
        return attributes
    plain = check_fields("_stem", attributes["_stem"], (*STEM_PARTS, "is_causal", "stride"))
    is_causal, stride = _read_switch("is_causal", plain.pop("is_causal")), check_whole("stride", plain.pop("stride"), 1)
    n_features, n_kernels = np.size(plain["channel_floor"]), np.size(plain["slope"])
    dtype = check_choice("dtype", getattr(getattr(plain["slope"], "dtype", None), "name", None), ("float32", "float64"))
    if n_kernels == 0 or n_kernels % GROUP:
        raise damaged("n_kernels", n_kernels, f"a multiple of {GROUP}")
    for name in ("_mean", "_scale"):
        check_vector(name, attributes.get(name), n_features, np.float64)
    attributes["_stem"] = Stem(is_causal, stride, **check_stem(plain, n_features, n_kernels, is_causal, dtype))
    _check_features(attributes, n_features)
    return attributes


def _read_path(plain: dict[str, Any]) -> Path:
    """A path as it was before `write_state`."""
    path = check_fields("checkpoint", plain, ("path",))["path"]
    if not isinstance(path, str):
        raise damaged("checkpoint", path, "a path")
    return Path(path)


def _write_model(model: Model) -> dict[str, Any]:
    """All that a fit left behind, as plain values and arrays."""
    members = [
        {"network": member.network.__getstate__(), "training": write_training(member.state)} for member in model.members
    ]
    return {
        **(members[0] if len(members) == 1 else {"members": members}),
        "objective": model.objective,
        "target": write_target(model.target),
        "classes": model.classes,
        "seen": None if model.seen is None else dict(vars(model.seen)),
    }


def write_training(state: TrainingState) -> dict[str, Any]:
    """Turn what training goes on from into plain values and arrays, which are not copied."""
    training = dict(vars(state))
    training["optimizer"] = None if state.optimizer is None else _write_optimizer(state.optimizer)
    return training


def _write_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    """An optimiser by its name, with its averages."""
    names = {kind: name for name, kind in OPTIMIZERS.items()}
    numbers = {"alpha": optimizer.alpha, "n_steps": optimizer.n_updates}
    return {"name": names[type(optimizer)], **numbers, "vectors": dict(optimizer.vectors)}


def _read_model(state: Any) -> Model:
    """Check and build a model."""
    if isinstance(state, Model):
        # As version 0.1.0 pickled it.
        try:
            before = {"seen": None, "members": [Member(vars(state)["network"], vars(state)["state"])], **vars(state)}
            state = _write_model(SimpleNamespace(**before))
        except (AttributeError, KeyError, TypeError) as error:
            raise damaged("_model", str(error), "a whole model") from error
    if isinstance(state, dict) and "network" in state:
        # One network stands without a list, as before there were several.
        member = {name: state[name] for name in ("network", "training") if name in state}
        state = {"members": [member], **{name: value for name, value in state.items() if name not in member}}
    state = check_fields("_model", state, ("members", "objective", "target", "classes"), ("seen",))
    members = _read_members(state["members"])
    architecture = members[0].network.architecture
    objective = check_choice("objective", state["objective"], tuple(OBJECTIVES))
    if OBJECTIVES[objective].loss != architecture.loss:
        raise damaged("loss", architecture.loss, f"that of the objective {objective!r}")
    target = read_target(state["target"], objective, architecture)
    classes = read_classes(state["classes"], objective, target.n_outputs)
    return Model(members, objective, target, classes, _read_seen(state.get("seen"), architecture.n_features))


def _read_members(states: Any) -> list[Member]:
    """Networks of one architecture, but for heads that were taken out, and precision; one at least."""
    if not isinstance(states, list) or not states:
        raise damaged("members", states, "a list of networks")
    members = []
    for state in states:
        state = check_fields("member", state, ("network", "training"))
        network = Network.__new__(Network)
        network.__setstate__(state["network"])
        members.append(Member(network, read_training(state["training"], network)))
    first = members[0].network
    for member in members[1:]:
        alike = replace(member.network.architecture, heads=first.architecture.heads)
        if (alike, member.network.dtype) != (first.architecture, first.dtype):
            raise damaged("members", member.network.architecture, "networks that are alike")
    return members


def _read_seen(values: Any, n_features: int) -> Seen | None:
    """What all samples were like; None in files of versions that kept no count."""
    if values is None:
        return None
    names = tuple(field.name for field in fields(Seen))
    values = check_fields("seen", values, names)
    sizes = {**dict.fromkeys(names, n_features), "lengths": N_BITS}
    seen = Seen(**{name: check_vector(f"seen.{name}", values[name], sizes[name], np.float64) for name in names})
    for name in ("weight", "deviation", "left_out", "lengths"):
        least = float(getattr(seen, name).min())
        if least < 0:
            raise damaged(f"seen.{name}", least, "no negative number")
    # A feature of which every value is missing weighs nothing.
    for name in ("weight", "lengths"):
        if not getattr(seen, name).any():
            raise damaged(f"seen.{name}", "all 0", "the weights of sequences")
    return seen


def _read_numbers(name: str, values: Any) -> list[float]:
    """One number an epoch."""
    if not isinstance(values, list):
        raise damaged(name, values, "a list of numbers")
    return [check_number(name, value) for value in values]


def _read_plan(name: str, value: Any) -> int | None:
    """Updates that are planned, None where no end is known."""
    return None if value is None else check_whole(name, value, least=1)


def _read_switch(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise damaged(name, value, "True or False")
    return value


# What each attribute of a `TrainingState` must be; its arrays have checks of their own.
_TRAINING_CHECKS: dict[str, Any] = {
    **dict.fromkeys(("seed", "n_epochs", "n_updates", "plan_start", "n_flat_epochs"), check_whole),
    "plan_updates": _read_plan,
    "rate": partial(check_number, least=0, most=float(np.finfo(np.float64).max)),
    "rate_scale": partial(check_number, least=0, most=1),
    **dict.fromkeys(("reference", "kept_score"), partial(check_number, most=float(np.finfo(np.float64).max))),
    "is_finished": _read_switch,
    **dict.fromkeys(("loss_curve", "validation_scores"), _read_numbers),
}


def read_training(values: Any, network: Network) -> TrainingState:
    """Turn what `write_training` gave back into what training goes on from.

    Parameters
    ----------
    values : dict
        What is missing, besides the seed, keeps its default.
    network : Network
        Whose parameters it must belong to.

    Raises
    ------
    ValueError
        If something is unknown, of the wrong kind, out of range, or does not fit the network.
    """
    values = check_fields("training", values, ("seed",), (*_TRAINING_CHECKS, "optimizer", "kept_parameters"))
    optimizer, kept = values.pop("optimizer", None), values.pop("kept_parameters", None)
    state = TrainingState(**{name: _TRAINING_CHECKS[name](name, value) for name, value in values.items()})
    if state.plan_start > state.n_updates:
        raise damaged("plan_start", state.plan_start, f"at most n_updates={state.n_updates}")
    if optimizer is not None:
        state.optimizer = _read_optimizer(optimizer, network)
    if kept is not None:
        state.kept_parameters = check_vector("kept_parameters", kept, network.parameters.size, network.dtype)
    return state


def _read_optimizer(values: Any, network: Network) -> Optimizer:
    """An optimiser with a vector of each of its names, as long as what learns."""
    values = check_fields("optimizer", values, ("name", "alpha", "n_steps", "vectors"))
    kind = OPTIMIZERS[check_choice("optimizer", values["name"], tuple(OPTIMIZERS))]
    names: tuple[str, ...] = kind.vector_names
    vectors = check_fields("vectors", values["vectors"], names)
    size, dtype = network.n_learned, network.dtype
    optimizer = kind(size, dtype, check_number("alpha", values["alpha"], 0))
    optimizer.n_updates = check_whole("n_steps", values["n_steps"])
    optimizer.vectors = {name: check_vector(name, vectors[name], size, dtype) for name in names}
    return optimizer


def _check_features(attributes: dict[str, Any], n_features: int) -> None:
    """X is read by these, and must then have the features that the network takes."""
    steps_in = attributes.get("_steps_in")
    if not isinstance(steps_in, tuple) or len(steps_in) != 2 or not isinstance(steps_in[0], bool):
        raise damaged("_steps_in", steps_in, "whether X was 2-D, and the features of a step")
    check_whole("_steps_in", steps_in[1], n_features, n_features)
    n_columns = check_whole("n_features_in_", attributes.get("n_features_in_"), 1)
    if n_columns % n_features or (n_columns > n_features and not steps_in[0]):
        raise damaged("n_features_in_", n_columns, f"steps of {n_features} features")
    names = attributes.get("feature_names_in_")
    if names is None:
        return
    if not isinstance(names, np.ndarray) or names.shape != (n_columns,) or not all(isinstance(n, str) for n in names):
        raise damaged("feature_names_in_", names, f"{n_columns} names")
