"""Refuse what a file says of a network where it does not fit together: kernels go wherever sizes send them."""

import math
import reprlib
import sys
from numbers import Integral, Real

import numpy as np

from .architecture import AUGMENTATIONS, Architecture, count_parameters, write_tape
from .attending import FORMS, MOST_KEYS
from .layers import POOLINGS
from .losses import LOSSES
from .positions import OF_STEPS, OF_TIME, POSITIONS
from .stem import GROUP, STEM_PARTS, stem_width

MOST = 2**53
"""Largest whole number that a file may hold: room to count on, in integers and in floats."""

_SIZES = (
    "n_features",
    "n_outputs",
    "d_model",
    "n_heads",
    "n_kv_heads",
    "d_head",
    "d_value",
    "n_layers",
    "max_steps",
)
_SHARES = {"dropout", "hidden_fraction", "embedding_dropout", "token_dropout", "label_smoothing"}
# What versions before this one had not.
_OPTIONAL = (
    *("dropout", "hidden_fraction", "n_kernels", "stride", "embedding_dropout", "token_dropout", "label_smoothing"),
    *("categories", "handles_missing", "n_taps", "patch_size", "time_feature"),
    *("is_stepwise", "quantiles", "n_pooling_queries", "n_pooling_heads", "frozen", "adapter_rank"),
    *("attention", "dilation", "n_global_steps", "top_k"),
    *("augmentations", "temperature", "heads"),
)
# Room for the reach of the widest kernel is taken before and behind each piece of a sequence.
_MOST_DILATIONS = 20
_DTYPES = ("float32", "float64")


def check_fields(name, values, required, optional=()):
    """Give values by name as a new dict, none missing and none unknown."""
    if not isinstance(values, dict):
        raise damaged(name, values, "a dict")
    values = dict(values)
    missing, unknown = set(required) - set(values), set(values) - {*required, *optional}
    if missing or unknown:
        raise damaged(
            f"{name}, of which {reprlib.repr(sorted(map(str, missing | unknown)))} are missing or unknown,",
            values,
            "all",
        )
    return values


def check_whole(name, value, least=0, most=MOST):
    """Give a whole number in a range as an int."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= value <= most:
        raise damaged(name, value, f"a whole number from {least} to {most}")
    return int(value)


def check_number(name, value, least=-math.inf, most=math.inf):
    """Give a number in a range, not NaN, as a float."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    # A whole number may be too large for a float.
    if not is_number or not least <= value <= most or (isinstance(value, Integral) and abs(value) > MOST):
        raise damaged(name, value, f"a number from {least} to {most}")
    return float(value)


def check_choice(name, value, choices):
    """Give a word, or None, that is one of some."""
    if not (value is None or isinstance(value, str)) or value not in choices:
        raise damaged(name, value, f"one of {', '.join(map(repr, choices))}")
    return value


def check_vector(name, value, size, dtype):
    """Give a vector as kernels take it: finite numbers, contiguous and aligned; not copied unless it has to be."""
    if not isinstance(value, np.ndarray) or value.dtype != np.dtype(dtype) or value.shape != (size,):
        raise damaged(name, value, f"an array of {size} numbers in {np.dtype(dtype).name}")
    vector = np.require(np.asarray(value), requirements=["C", "A"])
    if not np.isfinite(vector).all():
        raise damaged(name, "not finite", "finite numbers")
    return vector


def check_network(state):
    """Check what a network is made of, but for the number of its parameters, which the tape tells exactly.

    Parameters
    ----------
    state : dict
        ``architecture`` as a dict, ``dtype`` by name, and the arrays ``mean``, ``scale`` and ``parameters``.

    Returns
    -------
    state : dict
        The same in plain values, and arrays as kernels take them.

    Raises
    ------
    ValueError
        If something is missing, unknown, of the wrong kind, out of range, or does not fit the rest.
    """
    state = check_fields(
        "network", state, ("architecture", "dtype", "mean", "scale", "parameters"), ("stem", "codes", "time_unit")
    )
    dtype = check_choice("dtype", state["dtype"], _DTYPES)
    size = np.size(state["parameters"])
    parameters = check_vector("parameters", state["parameters"], size, dtype)
    architecture = check_architecture(state["architecture"], size)
    mean, scale = (_check_scaling(name, state[name], architecture["n_features"], dtype) for name in ("mean", "scale"))
    if (scale < 0).any():
        raise damaged("scale", float(scale.min()), "no negative numbers")
    stem = state.get("stem")
    if (stem is not None) != (architecture["n_kernels"] > 0):
        raise damaged("stem", stem, f"one for n_kernels={architecture['n_kernels']}")
    return {
        **{"architecture": architecture, "dtype": dtype, "mean": mean, "scale": scale, "parameters": parameters},
        "stem": None if stem is None else _check_stem_of(architecture, stem, dtype),
        "time_unit": _check_unit(state.get("time_unit"), architecture["time_feature"]),
        "codes": _check_codes(state.get("codes", []), architecture["categories"]),
    }


def _check_unit(unit, time_feature):
    """Give what times are counted in: a positive number, where there are times."""
    if (unit is None) != (time_feature is None):
        raise damaged("time_unit", unit, f"a number for time_feature={time_feature}")
    unit = np.ones(1) if unit is None else check_vector("time_unit", unit, 1, np.float64)
    if unit[0] <= 0:
        raise damaged("time_unit", float(unit[0]), "a positive number")
    return unit


def _check_codes(codes, categories):
    """Give the codes of each category: whole numbers in rising order."""
    if not isinstance(codes, list) or len(codes) != len(categories):
        raise damaged("codes", codes, f"a list of {len(categories)} arrays, one for each category")
    codes = [
        check_vector("codes", known, n_codes, np.float64) for known, (_, n_codes) in zip(codes, categories, strict=True)
    ]
    for known in codes:
        if known.min() < 0 or (np.diff(known) <= 0).any() or (known != np.rint(known)).any():
            raise damaged("codes", known.tolist(), "whole numbers in rising order")
    return codes


def _check_stem_of(architecture, arrays, dtype):
    """Check the stem of a network."""
    n_features, n_kernels = architecture["n_features"], architecture["n_kernels"]
    return check_stem(arrays, n_features, n_kernels, architecture["window"][1] == 0, dtype)


def _check_scaling(name, value, size, dtype):
    """Give a number a feature in float64; up to version 0.1.0 they had the precision of the network."""
    dtype = dtype if getattr(value, "dtype", None) == dtype else np.float64
    return check_vector(name, value, size, dtype).astype(np.float64, copy=False)


def check_stem(parts, n_features, n_kernels, is_causal, dtype):
    """Check what a file holds of a stem, all numbers finite; the rest is drawn by its seed."""
    parts, width = check_fields("stem", parts, STEM_PARTS), stem_width(n_features, n_kernels, is_causal)
    parts["seed"] = check_whole("stem.seed", parts["seed"])
    parts["n_dilations"] = check_whole("stem.n_dilations", parts["n_dilations"], 1, _MOST_DILATIONS)
    parts["competes"] = check_whole("stem.competes", parts["competes"], 0, 1)
    for names, size, kind in (
        (("channel_floor", "difference_scale"), n_features, np.float64),
        (("slope", "shift"), n_kernels, dtype),
        (("feature_mean", "feature_scale"), width, dtype),
    ):
        for name in names:
            parts[name] = check_vector(f"stem.{name}", parts[name], size, kind)
    for name in ("channel_floor", "difference_scale"):
        if parts[name].min() <= 0:
            raise damaged(f"stem.{name}", parts[name].tolist(), "positive numbers")
    return parts


def check_architecture(values, n_parameters):
    """Check the fields of an `Architecture`, none of which may ask for more than `n_parameters`.

    Nothing is allocated by sizes before they are known to fit the numbers that are there.
    """
    values = check_fields(
        "architecture",
        values,
        (*_SIZES, "d_feedforward", "loss", "position", "window", "pooling"),
        _OPTIONAL,
    )
    for name in _SIZES:
        # There is a parameter at least for each of anything, but for positions that are not learned and for times.
        values[name] = check_whole(name, values[name], 1, MOST if name == "max_steps" else n_parameters + 1)
    values["d_feedforward"] = check_whole("d_feedforward", values["d_feedforward"])
    check_choice("loss", values["loss"], tuple(LOSSES))
    check_choice("position", values["position"], tuple(POSITIONS))
    check_choice("pooling", values["pooling"], (*POOLINGS, None))
    most = max(1, n_parameters // values["d_model"]) if values["pooling"] == "attention" else 1
    values["n_pooling_queries"] = check_whole("n_pooling_queries", values.get("n_pooling_queries", 1), 1, most)
    values["n_pooling_heads"] = check_whole("n_pooling_heads", values.get("n_pooling_heads", 1), 1, values["d_model"])
    if values["d_model"] % values["n_pooling_heads"]:
        raise damaged("n_pooling_heads", values["n_pooling_heads"], f"what divides d_model={values['d_model']}")
    values["n_kernels"] = check_whole("n_kernels", values.get("n_kernels", 0))
    if values["n_kernels"] % GROUP:
        raise damaged("n_kernels", values["n_kernels"], f"a multiple of {GROUP}")
    values["adapter_rank"] = check_whole("adapter_rank", values.get("adapter_rank", 0), most=n_parameters)
    for name in ("n_taps", "patch_size"):
        values[name] = check_whole(name, values.get(name, 0), most=n_parameters)
        if values[name] and values["n_kernels"]:
            raise damaged(name, values[name], "0, for the tokens of a stem are not convolved again")
    # Without a stem or patches a token is a step.
    has_tokens = values["n_kernels"] or values["patch_size"]
    values["stride"] = check_whole("stride", values.get("stride", 1), 1, MOST if has_tokens else 1)
    for name in _SHARES & set(values):
        values[name] = check_number(name, values[name], 0, math.nextafter(1, 0))
    values["window"] = _check_window(values["window"])
    _check_attention(values)
    values["heads"] = check_heads(values.get("heads", ()), values)
    values["categories"] = _check_categories(values.get("categories", ()), values["n_features"])
    if values.setdefault("time_feature", None) is not None:
        values["time_feature"] = check_whole("time_feature", values["time_feature"], 0, values["n_features"] - 1)
        if values["time_feature"] in dict(values["categories"]) or values["n_features"] == 1:
            raise damaged("time_feature", values["time_feature"], "a feature of its own, beside others")
        check_choice("position", values["position"], OF_TIME)
    for name in ("handles_missing", "is_stepwise"):
        if not isinstance(values.setdefault(name, False), bool):
            raise damaged(name, values[name], "True or False")
    if values["is_stepwise"] and (values["stride"] > 1 or LOSSES[values["loss"]].reconstructs):
        raise damaged("is_stepwise", True, "False, for outputs are of tokens or of sequences")
    values["quantiles"] = _check_quantiles(values.get("quantiles", ()), values["loss"], values["n_outputs"])
    values |= _check_views(values)
    _check_sizes(values, n_parameters)
    return values


def _check_views(values):
    """What views are told by: words that are known, and a positive temperature, where there are views."""
    contrasts, augmentations = LOSSES[values["loss"]].contrasts, values.get("augmentations", ())
    is_list = isinstance(augmentations, tuple | list) and all(isinstance(word, str) for word in augmentations)
    known = AUGMENTATIONS if contrasts else ()
    if not is_list or [word for word in known if word in augmentations] != list(augmentations):
        raise damaged("augmentations", augmentations, f"some of {known}, in their order")
    temperature = check_number("temperature", values.get("temperature", 0.0), 0, sys.float_info.max)
    if (temperature > 0) != contrasts:
        raise damaged("temperature", temperature, f"that of the loss {values['loss']!r}")
    for name, wanted in (("n_kernels", 0), ("is_stepwise", False)):
        if contrasts and values[name] != wanted:
            raise damaged(name, values[name], f"{wanted}, for views of sequences are drawn anew")
    return {"augmentations": tuple(augmentations), "temperature": temperature}


def _check_quantiles(quantiles, loss, n_outputs):
    """Levels in rising order, of which every value has all."""
    if not isinstance(quantiles, tuple | list) or bool(quantiles) != (loss == "quantile"):
        raise damaged("quantiles", quantiles, f"those of the loss {loss!r}")
    levels = tuple(check_number("quantiles", level, 0, 1) for level in quantiles)
    if levels != tuple(sorted(set(levels))) or {0.0, 1.0} & set(levels) or (levels and n_outputs % len(levels)):
        raise damaged(
            "quantiles", levels, f"levels between 0 and 1 in rising order, of which {n_outputs} is a multiple"
        )
    return levels


def _check_window(window):
    """Steps to each side, None for no limit."""
    if not isinstance(window, tuple | list) or len(window) != 2:
        raise damaged("window", window, "a pair")
    return tuple(None if side is None else check_whole("window", side, most=math.inf) for side in window)


def _check_attention(values):
    """What steps see of each other, and how they read it; what versions before had not is full softmax attention."""
    check_choice("attention", values.setdefault("attention", "softmax"), FORMS)
    for name, usual, least, most in (
        ("dilation", 1, 1, MOST),
        ("n_global_steps", 0, 0, MOST),
        ("top_k", 0, 0, MOST_KEYS),
    ):
        values[name] = check_whole(name, values.get(name, usual), least, most)
    if values["attention"] == "linear" and values["position"] not in OF_STEPS:
        raise damaged("position", values["position"], f"one of {OF_STEPS}, for linear attention has no scores")


def check_heads(heads, values):
    """Groups of the heads that are left, of each layer; () where all are."""
    if not isinstance(heads, tuple | list) or len(heads) not in (0, values["n_layers"]):
        raise damaged("heads", heads, f"a list for each of {values['n_layers']} layers")
    for layer in heads:
        is_list = isinstance(layer, tuple | list) and all(isinstance(group, tuple | list) for group in layer)
        if not is_list or len({len(group) for group in layer}) != 1:
            raise damaged("heads", layer, "groups of heads, one at least and all alike in size")
    layers = tuple(
        tuple(tuple(check_whole("heads", head, 0, values["n_heads"] - 1) for head in group) for group in layer)
        for layer in heads
    )
    for layer in layers:
        left = sum(layer, ())
        if not left or list(left) != sorted(set(left)):
            raise damaged("heads", left, "different heads in rising order, one at least")
    return layers


def _check_categories(categories, n_features):
    """Pairs of a column and a number of codes, in the order of the columns."""
    if not isinstance(categories, tuple | list) or not all(
        isinstance(pair, tuple | list) and len(pair) == 2 for pair in categories
    ):
        raise damaged("categories", categories, "pairs of a column and how many codes it has")
    pairs = tuple(
        (check_whole("categories", column, 0, n_features - 1), check_whole("categories", n_codes, 1))
        for column, n_codes in categories
    )
    columns = [column for column, _ in pairs]
    if columns != sorted(set(columns)):
        raise damaged("categories", columns, "different columns in rising order")
    return pairs


def _check_sizes(values, n_parameters):
    """Heads and outputs fit each other, and the parameters that sizes ask for are there."""
    if values["n_heads"] % values["n_kv_heads"]:
        raise damaged("n_heads", values["n_heads"], f"a multiple of n_kv_heads={values['n_kv_heads']}")
    reconstructs = LOSSES[values["loss"]].reconstructs
    if reconstructs and values["n_outputs"] != (n_wanted := Architecture(**values).n_reconstructed):
        raise damaged("n_outputs", values["n_outputs"], f"{n_wanted}, what tells the features to reconstruct")
    if values["categories"] and values["n_kernels"]:
        raise damaged("n_kernels", values["n_kernels"], "0, for convolutions take numbers only")
    for name in ("n_kernels", "n_taps", "patch_size"):
        # A causal convolution may stand before steps that are told from those before them.
        if reconstructs and values[name] and (LOSSES[values["loss"]].hides or name != "n_taps"):
            raise damaged(name, values[name], "0, for single steps are told")
    if LOSSES[values["loss"]].n_ahead and values["window"][1] != 0:
        raise damaged("window", values["window"], "no step behind, for these are told")
    frozen = values.pop("frozen", ())
    n_wanted = count_parameters(Architecture(**values))
    if n_wanted > n_parameters:
        raise damaged("architecture", f"for {n_wanted} parameters", f"one for {n_parameters}")
    values["frozen"] = _check_frozen(frozen, [p.name for p in write_tape(Architecture(**values)).parameters])


def _check_frozen(frozen, names):
    """Names of some of the parameters, in their order; behind a stem the embedding learns as a whole or not at all."""
    is_list = isinstance(frozen, tuple | list) and all(isinstance(name, str) for name in frozen)
    if not is_list or list(frozen) != [name for name in names if name in set(frozen)]:
        raise damaged("frozen", frozen, "names of parameters")
    return tuple(frozen)


def damaged(name, found, wanted):
    """Give the error for what cannot have been written."""
    return ValueError(
        f"{name} is {reprlib.repr(found)}, expected {wanted}: the file is damaged, or was not written by skattn; "
        "take another copy of it, or fit again."
    )
