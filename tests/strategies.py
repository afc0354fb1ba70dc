"""Draw cases for the estimators and for attention on arrays: what users pass, well-formed or not.

A case says what it means in plain terms, so that a result can be judged, and whether it must be refused.
Numbers come from seeded generators, so that hypothesis draws few choices and a case costs little.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from features import BROKEN_SAYINGS, BROKEN_STEPS, NUMBERS, Features, breaks, features, patches, pick, settle
from forms import FORMS, NOT_SEQUENCES, NOT_TARGETS, NOT_WEIGHTS, SPOILS
from hypothesis import strategies as st
from oddities import BAD_ARRAYS, BAD_OPTIONS, BAD_PARAMETERS, CLASSES, ODD_PARAMETERS, SOUND_OPTIONS
from parts import as_given, parameters, sequences, targets
from preparations import PREPARATIONS
from strides import LAYOUTS

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.categories import MOST

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
    says : str
        What the error says, besides other words.
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
    says: str = ""

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


@st.composite
def sound_cases(draw, kind, may_miss=True, always=False):
    """A case in which everything is as it should be; `always` with other features than numbers alone."""
    return draw(told_cases(kind, may_miss, always))[0]


@st.composite
def told_cases(draw, kind, may_miss, always):
    """A sound case, and what its features are."""
    estimator = ESTIMATORS[draw(st.sampled_from(sorted(ESTIMATORS)))]
    samples, what = draw(sequences())
    said, found = NUMBERS, Features()
    if always or draw(st.booleans()):
        samples, said, found = draw(features(samples, may_miss))
        what.append(f"{found}, {said}")
    X, meant, form = draw(as_given(samples, found, said["handle_missing"] == "mask"))
    chosen = draw(parameters(estimator)) | draw(patches()) | said
    if FORMS[form.split(",")[0]].rows:
        chosen["n_step_features"] = samples[0].shape[1]
    y, name = draw(targets(estimator, len(samples)))
    if isinstance(chosen.get("class_weight"), str) and name == "y of indicators":
        chosen["class_weight"] = None
    settle(chosen, found, samples[0].shape[1], y)
    return Case(kind, estimator, chosen, X, y, meant, what=[*what, form, name]), found


@st.composite
def cases_of_features(draw):
    """Categories, times and what is missing, then codes that fit has not seen, and a pickle."""
    case, found = draw(told_cases("features", may_miss=True, always=True))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    later = [np.array(steps, np.float64) for steps in case.plain]
    for steps in later:
        for column in found.categories:
            is_new = generator.random(len(steps)) < 0.5
            steps[is_new, column] = generator.choice([3, 11, 2**23 + 1, MOST - 1], is_new.sum())
    case.later += [("transform", later, None, RIGHT), ("pickle", None, None, RIGHT)]
    return case


@st.composite
def spoiled_features(draw):
    """Codes that are none, times that go backwards, what is missing and must not be, and what must not be said."""
    case, found = draw(told_cases("spoiled features", may_miss=False, always=True))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        n_features = case.plain[0].shape[1]
        are_codes = n_features == len(found.categories) + (found.time is not None)
        are_levels = are_codes and case.estimator is SelfAttentionRegressor
        name = draw(st.sampled_from(breaks(BROKEN_SAYINGS, found, are_levels)))
        _, case.says, change = BROKEN_SAYINGS[name]
        case.parameters |= change(n_features, found)
        case.X, case.expected = case.plain, REFUSED  # whose features have no names
    else:
        name = draw(st.sampled_from(breaks(BROKEN_STEPS, found)))
        _, case.says, change = BROKEN_STEPS[name]
        spoiled = change([np.array(steps, np.float64) for steps in case.plain], found, generator)
        if name == "a time that is missing":
            case.parameters["handle_missing"] = draw(pick("error", "mask"))
        method = draw(pick("first fit", "transform", "attention_weights", "fit", "partial_fit"))
        if method == "first fit":
            case.X, case.expected = spoiled, REFUSED
        else:
            if method == "partial_fit" and case.parameters.get("class_weight"):
                case.parameters["class_weight"] = None
            case.later.append((method, spoiled, case.y, REFUSED))
    case.what.append(name)
    return case


@st.composite
def spoiled_x(draw):
    """X that holds no sequences, at fit or afterwards."""
    case = draw(sound_cases("spoiled X", may_miss=False))
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
    case = draw(sound_cases("validation", may_miss=False))
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
                # What fit refused, transform may need.
                before = {"n_jobs": case.parameters["n_jobs"], "n_step_features": 1} | case.parameters
                for name in [name for name in ("n_jobs", "n_step_features") if name in changes]:
                    case.later.append(("transform", case.X, None, EITHER))
                    case.later.append(("set_params", {name: before[name]}, None, EITHER))
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
    "features": cases_of_features(),
    "spoiled features": spoiled_features(),
    "y": cases_of_y(),
    "weights": cases_of_weights(),
    "validation": cases_of_validation(),
    "parameters": cases_of_parameters(),
    "several calls": cases_of_calls(),
    "all at once": cases_of_all(),
    "attention": array_cases(),
    **PREPARATIONS,
}
"""A strategy for each kind of case."""
