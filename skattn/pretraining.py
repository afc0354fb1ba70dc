"""Begin with what another fit has learned, and say which weights stay."""

from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from itertools import zip_longest
from os import PathLike
from typing import Any

import numpy as np

from skattn._network.architecture import Architecture, write_tape
from skattn._network.attending import ADAPTED, name_of_adapter
from skattn._network.network import Network
from skattn._wording import shortened
from skattn.interchange import read_fitted
from skattn.model import Model
from skattn.sequences import Sequences

HEAD = "head."
"""What the names of weights begin with that tell the target: they are never taken over."""

ADAPTER = ".adapter."
"""What the names of the factors of adapters have in them."""

FIELD_WORDS = {
    "n_taps": "the number of steps that embedding convolves",
    "n_kernels": "the number of kernels of embedding",
    "stride": "the number of steps of a token (n_tokens, patch_size, patch_stride)",
    "handles_missing": "that handle_missing masks",
    "categories": "categorical_features",
    "window": "the window (with causal)",
}
"""What people call fields that are no parameters, or follow from two."""

_OWN = (
    *(
        "loss",
        "n_outputs",
        "pooling",
        "n_pooling_queries",
        "n_pooling_heads",
        "max_steps",
        "dropout",
        "embedding_dropout",
        "token_dropout",
        "quantiles",
    ),
    *("label_smoothing", "hidden_fraction", "is_stepwise", "frozen", "adapter_rank"),
    *("augmentations", "temperature", "heads"),
)
"""Fields of an architecture in which a network may differ from the one that it begins with."""


def pretrained_estimator(estimator: Any) -> Any:
    """Give the fitted estimator whose network another is to begin with; None for none.

    Raises
    ------
    ValueError
        If `pretrained` is no fitted estimator of sequences, and no file of one.
    """
    # Scikit-learn's FrozenEstimator holds one, and stays fitted where estimators are cloned.
    given = getattr(estimator.pretrained, "estimator", estimator.pretrained)
    if given is None:
        return None
    if isinstance(given, str | PathLike):
        try:
            return read_fitted(given, {kind.__name__: kind for kind in _kinds(type(estimator))})
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"pretrained={shortened(repr(given), 120)} is no file that is there; give one that save_weights wrote, "
                "or a fitted estimator."
            ) from error
    if not isinstance(getattr(given, "_model", None), Model):
        raise ValueError(
            f"pretrained is {shortened(repr(given), 80)}, which is no fitted estimator of skattn. A search or a "
            "pipeline clones what it is given, and a clone is not fitted: wrap it, pretrained=FrozenEstimator(fitted), "
            "from sklearn.frozen."
        )
    return given


def pretrained_model(estimator: Any) -> Model | None:
    """Give the model that an estimator is to begin with; None for none."""
    given = pretrained_estimator(estimator)
    return None if given is None else given._model


def _kinds(kind: type) -> list[type]:
    """The estimators of this package, found from one of them."""
    base = next(base for base in kind.__mro__ if base.__name__ == "SelfAttentionEstimator")
    return [found for found in base.__subclasses__() if found.__module__.startswith("skattn.")]


def refuse_others(architecture: Architecture, given: Any, estimator: Any, data: Sequences) -> None:
    """Refuse a network that cannot begin with another one.

    Parameters
    ----------
    architecture : Architecture
        What the parameters ask for.
    given : SelfAttentionEstimator
        Fitted, to begin with.
    estimator : SelfAttentionEstimator
    data : Sequences

    Raises
    ------
    ValueError
        If they differ below their outputs, in their precision, in the names of features, or in what codes of
        categories stand for.
    """
    before = given._model.network
    asked, there = asdict(architecture), asdict(before.architecture)
    asked["categories"], there["categories"] = data.roles.categorical, tuple(c for c, _ in there["categories"])
    asked["n_features"], asked["time_feature"] = data.n_features, data.roles.time
    there["dtype"] = before.dtype.name
    asked["dtype"] = there["dtype"] if estimator.dtype == "auto" else estimator.dtype
    differing = [name for name in asked if name not in _OWN and asked[name] != there[name]]
    if differing:
        found, wanted = (
            ", ".join(f"{FIELD_WORDS.get(name, name)}={values[name]!r}" for name in differing)
            for values in (there, asked)
        )
        raise ValueError(
            f"The network of pretrained has {shortened(found)}, and this one is to have {shortened(wanted)}; set the "
            "parameters as they were there, and give sequences with the same features."
        )
    _refuse_other_features(given, estimator)


def _refuse_other_features(given: Any, estimator: Any) -> None:
    """Refuse sequences whose features have other names, or another order, than those that were learned from."""
    words, known_words = (_words_of(of) for of in (estimator, given))
    for place, (found, wanted) in enumerate(zip_longest(words, known_words)):
        if found != wanted:
            raise ValueError(
                f"Codes of category {place} stand for {shortened(found or 'numbers')}, and where pretrained was fitted "
                f"for {shortened(wanted or 'numbers')}; make the column a category of these, in this order, in the "
                "frame that sequences are cut from."
            )
    names, known = (getattr(of, "feature_names_in_", None) for of in (estimator, given))
    is_of_steps = not (estimator._steps_in[0] or given._steps_in[0])
    if is_of_steps and names is not None and known is not None and list(names) != list(known):
        raise ValueError(
            f"The network of pretrained has learned from the features {shortened(', '.join(map(str, known)))}, and X "
            f"has {shortened(', '.join(map(str, names)))}; give them by the same names, in the same order."
        )


def _words_of(estimator: Any) -> list[Any]:
    """What codes of each category stand for; None for numbers."""
    held = getattr(estimator, "_held_categories", None) or ()
    return [None if words is None else words.tolist() for words in held]


def with_frozen(architecture: Architecture, estimator: Any) -> Architecture:
    """Say which weights of a network do not learn.

    Parameters
    ----------
    architecture : Architecture
    estimator : SelfAttentionEstimator
        Its `freeze` has names of weights, as `weights_` has them, or patterns of them with ``*``.

    Raises
    ------
    ValueError
        If a pattern is the name of no weight, or nothing is left to learn.
    """
    patterns = estimator.freeze
    names = [parameter.name for parameter in write_tape(replace(architecture, frozen=())).parameters]
    if patterns is None:
        is_adapted = estimator.pretrained is not None and architecture.adapter_rank > 0
        patterns = [name for name in names if not (name.startswith(HEAD) or ADAPTER in name)] if is_adapted else []
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in patterns:
        if not isinstance(pattern, str) or not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f"freeze names {shortened(repr(pattern), 60)}, and no weight is called so; there are "
                f"{shortened(', '.join(names), 300)}."
            )
    frozen = tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))
    if len(frozen) == len(names):
        raise ValueError(
            f"freeze={shortened(patterns)} leaves no weight to learn; leave some out, such as the outputs, head.*."
        )
    if architecture.n_kernels and ("embedding.weight" in frozen) != ("embedding.bias" in frozen):
        raise ValueError(
            "freeze names one of embedding.weight and embedding.bias, which behind a stem learn together; name both, "
            '"embedding.*", or none.'
        )
    return replace(architecture, frozen=frozen)


def refuse_still_outputs(network: Network) -> None:
    """Refuse a new network whose outputs begin at 0 and stay there: nothing before them would learn.

    Raises
    ------
    ValueError
    """
    name = f"{HEAD}weight"
    if name in network.architecture.frozen and not network.weights[name].any():
        raise ValueError(
            f"freeze names {name}, which begins at 0 and would stay there, so that nothing before it learns; leave it "
            "out of a first fit, or freeze it with warm_start=True once it has learned."
        )


def without_adapters(network: Network) -> Network:
    """Give a copy of a network whose adapters are added to the weights that they are beside; all of it learns."""
    a = network.architecture
    merged, weights = Network(replace(a, adapter_rank=0, frozen=()), network.dtype), network.weights
    take_over(merged, network)
    for name, weight in merged.weights.items():
        weight[...] = weights[name]
    for layer in range(a.n_layers):
        for projection in ADAPTED:
            name = f"layers.{layer}.{projection}"
            down, up = (weights[f"{factor}.weight"].astype(np.float64) for factor in name_of_adapter(name))
            merged.weights[f"{name}.weight"][...] += (down @ up).astype(network.dtype)
    return merged


def take_over(network: Network, before: Network) -> None:
    """Let a new network begin with the weights of another, but for its outputs.

    Parameters
    ----------
    network : Network
        Changed in place: standardisation, codes and the stem as well.
    before : Network
        Stays as it is.
    """
    network.mean[:], network.scale[:], network.stem = before.mean, before.scale, before.stem
    network.codes, network.time_unit[:] = before.codes, before.time_unit
    weights = network.weights
    for name, weight in before.weights.items():
        if name in weights and not name.startswith(HEAD):
            # There may be more positions than there were.
            weights[name][: len(weight)] = weight
