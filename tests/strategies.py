"""Draw cases for the estimators and for attention on arrays: what users pass, well-formed or not.

A case says what it means in plain terms, so that a result can be judged, and whether it must be refused.
Numbers come from seeded generators, so that hypothesis draws few choices and a case costs little.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from forms import FORMS, LAYOUTS, NOT_SEQUENCES, NOT_TARGETS, NOT_WEIGHTS, SPOILS
from hypothesis import strategies as st
from oddities import BAD_ARRAYS, BAD_OPTIONS, BAD_PARAMETERS, CLASSES, ODD_PARAMETERS, SOUND_OPTIONS

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer

RIGHT, REFUSED, EITHER = "right", "refused", "either"
ESTIMATORS = {
    "transformer": SelfAttentionTransformer,
    "classifier": SelfAttentionClassifier,
    "regressor": SelfAttentionRegressor,
}


@dataclass
class Case:
    """Something to fit, and what should come of it.

    Attributes
    ----------
    kind : str
        A key of `STRATEGIES`.
    what : list of str
        Names of what was drawn, for the report.
    plain : list of ndarray or None
        The sequences that X means, None where it means none.
    method : {"fit", "partial_fit"}
        What is called first, with `options` besides X and y.
    expected : {"right", "refused", "either"}
    later : list
        What is called after the first fit: (method, X, y, expected).
    """

    kind: str
    estimator: type
    parameters: dict
    X: Any
    y: Any
    plain: list | None
    options: dict = field(default_factory=dict)
    method: str = "fit"
    expected: str = RIGHT
    what: list = field(default_factory=list)
    later: list = field(default_factory=list)

    def __repr__(self):
        return f"{self.kind}: {self.estimator.__name__}({self.parameters}), {', '.join(map(str, self.what))}"


@dataclass
class ArrayCase:
    """A call of `attention` and its like: well-formed arrays and options, or what must be refused."""

    arrays: list
    options: dict
    expected: str
    what: list
    kind: str = "attention"

    def __repr__(self):
        return f"{self.kind}: {', '.join(map(str, self.what))}, {self.options}"


def pick(*choices):
    """One of some values."""
    return st.sampled_from(choices)


@st.composite
def sequences(draw, equal=None):
    """Sequences as a list of (n_steps, n_features) float arrays, and what is special about them."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_samples, n_features = draw(st.integers(2, 7)), draw(st.integers(1, 4))
    equal = draw(st.booleans()) if equal is None else equal
    spread = draw(pick(1, 2, 5, 17, 70))
    lengths = generator.integers(1, spread + 1, n_samples)
    lengths = np.full(n_samples, lengths[0]) if equal else lengths
    dtype = draw(pick("float32", "float64"))
    samples = [generator.normal(size=(n, n_features)) for n in lengths]
    values = draw(pick("ordinary", "ordinary", "constant", "whole", "zero", "offset", "few", "repeated"))
    if values == "constant":
        samples = [np.ones_like(steps) * 7.3 for steps in samples]
    elif values == "whole":
        samples = [np.round(steps * 3) for steps in samples]
    elif values == "zero":
        samples = [-0.0 * steps for steps in samples]
    elif values == "offset":
        samples = [steps + 1e4 for steps in samples]
    elif values == "few":
        samples = [np.sign(steps) for steps in samples]
    elif values == "repeated":
        samples = [np.repeat(samples[0][:1], len(steps), axis=0) for steps in samples]
    return [steps.astype(dtype) for steps in samples], [f"{n_samples} of {lengths.tolist()}, {dtype}, {values}"]


@st.composite
def parameters(draw, estimator):
    """Parameters that fit each other, of a network that costs little."""
    n_heads = draw(pick(1, 2, 4))
    chosen = {
        "d_model": draw(pick(4, 8)),
        "n_heads": n_heads,
        "n_kv_heads": draw(pick(None, 1, n_heads)),
        "d_head": draw(pick(None, None, 1, 3)),
        "d_value": draw(pick(None, None, 2)),
        "n_layers": draw(pick(1, 1, 2)),
        "d_feedforward": draw(pick("auto", None, 0, 5)),
        "position": draw(pick("learned", "sinusoidal", "none")),
        "causal": draw(st.booleans()),
        "window": draw(pick(None, None, 0, 3, (2, None), [None, 1], (0, 0), (10**6, 2))),
        "pooling": draw(pick("mean", "max", "mean_max", "first", "last", "attention")),
        "optimizer": draw(pick("adamw", "adam", "sgd")),
        "learning_rate": draw(pick("cosine", "constant", "adaptive")),
        "learning_rate_init": draw(pick(0.001, 1e-6, 0.1)),
        "alpha": draw(pick(0.0, 0.1, 1)),
        "dropout": draw(pick(0.0, 0.0, 0.5, 0.999)),
        "batch_size": draw(pick("auto", 1, 3, 1000)),
        "max_iter": draw(pick(1, 2)),
        "shuffle": draw(st.booleans()),
        "tol": draw(pick(0, 1e-4)),
        "n_iter_no_change": draw(pick(1, 10)),
        "random_state": draw(pick(0, 7)),
        "n_jobs": draw(pick(1, 1, 2, None)),
    }
    if estimator is SelfAttentionTransformer:
        chosen["pooling"] = draw(pick(chosen["pooling"], None))
    if estimator is SelfAttentionClassifier:
        chosen["class_weight"] = draw(pick(None, "balanced"))
    if draw(st.booleans()):
        chosen["dtype"] = draw(pick("auto", "float32", "float64"))
    return chosen


def labels(generator, n_samples):
    """Numbers of classes, at least two of them."""
    drawn = generator.integers(0, 3, n_samples)
    drawn[:2] = 0, 1
    return drawn


@st.composite
def targets(draw, estimator, n_samples):
    """A y that the estimator learns, and its name."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    numbers, values = labels(generator, n_samples), generator.normal(size=n_samples)
    in_words = np.array(["x", "y", "z"])[numbers]
    for_classes = {
        "numbers": lambda: numbers,
        "words": lambda: np.array(["ä", "bee", "c"])[numbers],
        "list of words": in_words.tolist,
        "objects": lambda: in_words.astype(object),
        "booleans": lambda: numbers > 0,
        "whole floats": lambda: numbers.astype(np.float32),
        "negative": lambda: numbers.astype(np.int8) - 1,
        "column": lambda: numbers[:, np.newaxis],
        "large": lambda: numbers.astype(np.uint64) + np.uint64(2**63),
        "indicators": lambda: np.stack([numbers > 0, numbers > 1], axis=1).astype(int),
        "series": lambda: pd.Series(numbers, index=range(7, 7 + n_samples)),
        "polars": lambda: pl.Series(numbers),
        "category": lambda: pd.Series(in_words, dtype="category"),
    }
    for_values = {
        "values": lambda: values,
        "float32": lambda: values.astype(np.float32),
        "whole": lambda: numbers,
        "list": values.tolist,
        "two": lambda: np.stack([values, values**2], axis=1),
        "column": lambda: values[:, np.newaxis],
        "constant": lambda: np.full(n_samples, 0.1),
        "Fortran": lambda: np.asfortranarray(np.stack([values, values + 1e5], axis=1)),
        "reversed": lambda: values[::-1],
        "series": lambda: pd.Series(values, index=range(7, 7 + n_samples)),
        "words of numbers": lambda: values.astype(object),
    }
    if estimator is SelfAttentionTransformer:
        choices = {"none": lambda: None, "words": for_classes["words"]} | {n: for_values[n] for n in ("values", "two")}
    else:
        choices = for_values if estimator is SelfAttentionRegressor else for_classes
    name = draw(st.sampled_from(sorted(choices)))
    return choices[name](), f"y of {name}"


@st.composite
def as_given(draw, samples):
    """Sequences in one of the forms that they may come in: X, what it means, and the name of the form."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    equal = len({len(steps) for steps in samples}) == 1
    name = draw(st.sampled_from(sorted(name for name, form in FORMS.items() if equal or not form.equal)))
    X, meant = FORMS[name].make(samples, generator)
    if isinstance(X, np.ndarray) and X.dtype != object and "stride" not in name and draw(st.booleans()):
        layout = draw(st.sampled_from(sorted(LAYOUTS)))
        X, name = LAYOUTS[layout](X), f"{name}, {layout}"
    return X, meant, name


@st.composite
def sound_cases(draw, kind):
    """A case in which everything is as it should be."""
    estimator = ESTIMATORS[draw(st.sampled_from(sorted(ESTIMATORS)))]
    samples, what = draw(sequences())
    X, meant, form = draw(as_given(samples))
    chosen = draw(parameters(estimator))
    if FORMS[form.split(",")[0]].rows:
        chosen["n_step_features"] = samples[0].shape[1]
    y, name = draw(targets(estimator, len(samples)))
    if isinstance(chosen.get("class_weight"), str) and name == "y of indicators":
        chosen["class_weight"] = None
    return Case(kind, estimator, chosen, X, y, meant, what=[*what, form, name])


@st.composite
def spoiled_x(draw):
    """X that holds no sequences, at fit or afterwards."""
    case = draw(sound_cases("spoiled X"))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    plain = [np.array(steps, dtype=np.float64) for steps in case.plain]
    if draw(st.booleans()):
        name = draw(st.sampled_from(sorted(SPOILS)))
        spoiled = SPOILS[name](plain, generator)
    else:
        name = draw(st.sampled_from(sorted(NOT_SEQUENCES)))
        spoiled = NOT_SEQUENCES[name]()
    case.what.append(name)
    if draw(st.booleans()):
        case.X, case.expected = spoiled, REFUSED
    else:
        method = draw(pick("transform", "attention_weights", "fit", "partial_fit"))
        if method == "partial_fit" and case.parameters.get("class_weight"):
            case.parameters["class_weight"] = None
        case.later.append((method, spoiled, case.y, REFUSED))
    return case


@st.composite
def cases_of_y(draw):
    """Any y."""
    case = draw(sound_cases("y"))
    if draw(st.booleans()):
        name = draw(st.sampled_from(sorted(NOT_TARGETS)))
        refused_by, make = NOT_TARGETS[name]
        case.y, case.expected = make(len(case.plain)), EITHER
        short = {SelfAttentionTransformer: "t", SelfAttentionClassifier: "c", SelfAttentionRegressor: "r"}
        if short[case.estimator] in refused_by:
            case.expected = REFUSED
        case.what.append(f"y of {name}")
    return case


@st.composite
def cases_of_weights(draw):
    """Sample weights and class weights, sound or not."""
    case = draw(sound_cases("weights"))
    n_samples = len(case.plain)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        sound = {
            "positive": generator.uniform(0.1, 2, n_samples),
            "whole": generator.integers(1, 5, n_samples),
            "list": generator.uniform(0.1, 2, n_samples).tolist(),
            "read-only": LAYOUTS["read-only"](generator.uniform(0.1, 2, n_samples)),
            "reversed": generator.uniform(0.1, 2, n_samples)[::-1],
            "one number": 3,
            "huge": generator.uniform(0.5, 1, n_samples) * 1.7e308,
            "tiny": generator.uniform(1, 2, n_samples) * 1e-308,
            "mixed": 10.0 ** generator.integers(-30, 30, n_samples),
            "true": True,
        }
        name = draw(st.sampled_from(sorted(sound)))
        case.options["sample_weight"] = sound[name]
        # Some weigh next to nothing beside others, and with them a class may vanish.
        case.expected = EITHER if name == "mixed" and case.estimator is not SelfAttentionRegressor else RIGHT
    else:
        name = draw(st.sampled_from(sorted(NOT_WEIGHTS)))
        case.options["sample_weight"], case.expected = NOT_WEIGHTS[name](n_samples), REFUSED
    case.what.append(f"weights: {name}")
    return case


@st.composite
def cases_of_validation(draw):
    """Validation samples of one's own, or a share of X."""
    case = draw(sound_cases("validation"))
    case.parameters["early_stopping"] = draw(st.booleans())
    case.expected = EITHER
    name = draw(pick("share", "same", "spoiled", "no y", "no X", "short y", "alien y", "wider"))
    case.parameters["validation_fraction"] = draw(pick(0.1, 0.5, 0.999, 1e-9))
    options = {"X_val": case.X, "y_val": case.y}
    if name == "share":
        options = {}
    elif name == "spoiled":
        options["X_val"] = NOT_SEQUENCES[draw(st.sampled_from(sorted(NOT_SEQUENCES)))]()
    elif name == "no y":
        options["y_val"] = None
    elif name == "no X":
        options["X_val"] = None
    elif name == "short y":
        options["y_val"] = None if case.y is None else case.y[:1]
    elif name == "alien y":
        options["y_val"] = NOT_TARGETS[draw(st.sampled_from(sorted(NOT_TARGETS)))][1](len(case.plain))
    elif name == "wider":
        options["X_val"] = [np.ones((3, 9))]
    if name in ("spoiled", "wider") or (name in ("no y", "no X", "short y") and case.y is not None):
        case.expected = REFUSED
    if name == "same":
        case.expected = RIGHT
    if options.get("X_val", 0) is None and case.y is None:
        case.expected = EITHER
    case.options |= options
    case.what.append(f"validation: {name}")
    return case


@st.composite
def cases_of_parameters(draw):
    """One parameter, or some that belong together, that are wrong or merely odd."""
    case = draw(sound_cases("parameters"))
    known = set(case.estimator().get_params())
    bad = draw(st.booleans())
    choices = [changes for changes in (BAD_PARAMETERS if bad else ODD_PARAMETERS) if set(changes) <= known]
    changes = draw(st.sampled_from(choices))
    case.parameters |= changes
    if changes.get("d_model") and "d_head" not in changes:
        case.parameters["n_kv_heads"] = None
    case.expected = REFUSED if bad else EITHER
    case.what.append(f"{changes}")
    return case


@st.composite
def cases_of_calls(draw):
    """Calls one after another: warm starts, further parts, other parameters, other X."""
    case = draw(sound_cases("several calls"))
    case.parameters["warm_start"] = draw(st.booleans())
    if draw(st.booleans()):
        case.method, case.expected = "partial_fit", EITHER
        if case.estimator is not SelfAttentionRegressor:
            known = st.sampled_from([*CLASSES, "those of y"])
            name = draw(known)
            case.options["classes"] = CLASSES[name] if name in CLASSES else case.y
            case.what.append(f"classes: {name}")
    for _ in range(draw(st.integers(1, 3))):
        name = draw(pick("fit", "partial_fit", "transform", "set", "longer", "wider", "other y", "pickle"))
        case.what.append(name)
        if name in ("fit", "partial_fit", "transform"):
            case.later.append((name, case.X, case.y, EITHER))
        elif name == "set":
            changes = draw(st.sampled_from(ODD_PARAMETERS + BAD_PARAMETERS + [{"d_model": 12}, {"n_layers": 3}]))
            if set(changes) <= set(case.estimator().get_params()):
                case.later.append(("set_params", changes, None, EITHER))
                case.later.append(("fit", case.X, case.y, EITHER))
                case.what.append(f"{changes}")
        elif name == "longer":
            width = case.plain[0].shape[1]
            case.later.append(("transform", [np.ones((97, width)), np.zeros((1, width))], None, RIGHT))
        elif name == "wider":
            case.later.append(("transform", [np.ones((3, case.plain[0].shape[1] + 1))], None, REFUSED))
        elif name == "other y":
            y, what = draw(targets(case.estimator, len(case.plain)))
            case.later.append((draw(pick("fit", "partial_fit")), case.X, y, EITHER))
            case.what.append(what)
        else:
            case.later.append(("pickle", None, None, RIGHT))
    return case


@st.composite
def cases_of_all(draw):
    """Anything in the place of anything."""
    case = draw(sound_cases("all at once"))
    case.expected, n_samples = EITHER, len(case.plain)
    for part in draw(st.lists(pick("X", "y", "weight", "parameters", "val"), min_size=2, max_size=5, unique=True)):
        if part == "X":
            name = draw(st.sampled_from(sorted(NOT_SEQUENCES)))
            case.X, case.plain = NOT_SEQUENCES[name](), None
        elif part == "y":
            name = draw(st.sampled_from(sorted(NOT_TARGETS)))
            case.y = NOT_TARGETS[name][1](n_samples)
        elif part == "weight":
            name = draw(st.sampled_from(sorted(NOT_WEIGHTS)))
            case.options["sample_weight"] = NOT_WEIGHTS[name](n_samples)
        elif part == "val":
            name = draw(st.sampled_from(sorted(NOT_SEQUENCES)))
            case.options |= {"X_val": NOT_SEQUENCES[name](), "y_val": case.y}
        else:
            changes = draw(st.sampled_from(ODD_PARAMETERS + BAD_PARAMETERS))
            name = str(changes)
            if set(changes) <= set(case.estimator().get_params()):
                case.parameters |= changes
        case.what.append(f"{part}: {name}")
    return case


@st.composite
def array_cases(draw):
    """Attention on arrays."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_samples, n_kv_heads, share = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    n_steps, n_keys = draw(pick(1, 2, 7, 33, 70)), draw(pick(1, 3, 17, 65))
    d_head, d_value = draw(pick(1, 2, 5, 17)), draw(pick(1, 3, 16))
    shapes = [
        (n_samples, n_kv_heads * share, n_steps, d_head),
        (n_samples, n_kv_heads, n_keys, d_head),
        (n_samples, n_kv_heads, n_keys, d_value),
    ]
    what, arrays = [str(shapes)], []
    same = draw(pick("float32", "float64", None))
    for shape in shapes:
        dtype = same or draw(pick("f4", "f8", "f2", ">f4", ">f8", "i4", "u1", "?", "i8", "g"))
        layout = draw(st.sampled_from(sorted(LAYOUTS)))
        array = (generator.normal(size=shape) * 3).astype(dtype)
        arrays.append(LAYOUTS[layout](array))
        what.append(f"{dtype} {layout}")
    options, expected = dict(draw(st.sampled_from(SOUND_OPTIONS))), RIGHT
    if isinstance(options.get("lengths"), int) or draw(st.booleans()):
        lengths = generator.integers(0, n_steps + 1, n_samples), generator.integers(0, n_keys + 1, n_samples)
        options["lengths"] = draw(pick(lengths, tuple(one.tolist() for one in lengths), options.get("lengths")))
    spoil = draw(pick("nothing", "nothing", "option", "array"))
    if spoil == "option":
        options |= draw(st.sampled_from(BAD_OPTIONS))
        expected = REFUSED
    elif spoil == "array":
        name, which = draw(st.sampled_from(sorted(BAD_ARRAYS))), draw(st.integers(0, 2))
        arrays[which] = BAD_ARRAYS[name](np.asarray(arrays[which], dtype=np.float64))
        what.append(f"{name} at {which}")
        expected = EITHER if name.startswith("one more") else REFUSED
    return ArrayCase(arrays, options, expected, what)


STRATEGIES = {
    "X": sound_cases("X"),
    "spoiled X": spoiled_x(),
    "y": cases_of_y(),
    "weights": cases_of_weights(),
    "validation": cases_of_validation(),
    "parameters": cases_of_parameters(),
    "several calls": cases_of_calls(),
    "all at once": cases_of_all(),
    "attention": array_cases(),
}
"""A strategy for each kind of case."""
