"""Draw cases for the estimators and for attention on arrays: what users pass, well-formed or not.

A case says what it means in plain terms, so that a result can be judged, and whether it must be refused.
Numbers come from seeded generators, so that hypothesis draws few choices and a case costs little.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from array_cases import EITHER, REFUSED, RIGHT, array_cases, best_cases
from features import BROKEN_SAYINGS, BROKEN_STEPS, NUMBERS, Features, breaks, features, patches, pick, settle
from forms import FORMS, NOT_SEQUENCES, NOT_TARGETS, NOT_WEIGHTS, SPOILS
from hypothesis import strategies as st
from oddities import BAD_PARAMETERS, CLASSES, ODD_PARAMETERS
from parts import as_given, parameters, sequences, targets
from preparations import PREPARATIONS
from step_targets import BROKEN, step_targets
from strides import LAYOUTS

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.categories import MOST

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


@st.composite
def sound_cases(draw, kind, may_miss=True, always=False):
    """A case in which everything is as it should be; `always` with other features than numbers alone."""
    return draw(told_cases(kind, may_miss, always))[0]


@st.composite
def told_cases(draw, kind, may_miss, always, of_steps=False):
    """A sound case, and what its features are; `of_steps` with a y that has an entry for every step."""
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
    if of_steps:
        y, name = draw(_told_steps(estimator, chosen, meant))
        X = meant if estimator is SelfAttentionTransformer else X
    else:
        y, name = draw(targets(estimator, len(samples)))
    if isinstance(chosen.get("class_weight"), str) and name.startswith("y of indicators"):
        chosen["class_weight"] = None
    settle(chosen, found, samples[0].shape[1], y, of_steps)
    return Case(kind, estimator, chosen, X, y, meant, what=[*what, form, name]), found


@st.composite
def _told_steps(draw, estimator, chosen, meant):
    """A y of steps and its name; no pooling of a predictor says that it can be nothing else."""
    predicts = estimator is not SelfAttentionTransformer
    if predicts:
        chosen["pooling"] = None if len(set(map(len, meant))) == 1 else draw(pick(chosen["pooling"], None))
    is_told = predicts and chosen["pooling"] is None
    return draw(step_targets(estimator, [len(steps) for steps in meant], is_told))


@st.composite
def cases_of_steps(draw):
    """A label for every step, in any form, sound or not."""
    case, _ = draw(told_cases("steps", may_miss=True, always=False, of_steps=True))
    if case.estimator is SelfAttentionTransformer or draw(st.booleans()):
        case.later += [("transform", case.plain, None, RIGHT), ("pickle", None, None, RIGHT)]
        return case
    name, place = draw(st.sampled_from(sorted(BROKEN))), draw(st.integers(0, len(case.plain) - 1))
    case.says, change = BROKEN[name]
    case.parameters |= {"pooling": None, "n_tokens": 100}
    case.y = change([(np.arange(len(steps)) + i) % 2 for i, steps in enumerate(case.plain)], place)
    case.expected = REFUSED
    case.what.append(name)
    return case


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


STRATEGIES = {
    "X": sound_cases("X"),
    "spoiled X": spoiled_x(),
    "features": cases_of_features(),
    "spoiled features": spoiled_features(),
    "steps": cases_of_steps(),
    "y": cases_of_y(),
    "weights": cases_of_weights(),
    "validation": cases_of_validation(),
    "parameters": cases_of_parameters(),
    "several calls": cases_of_calls(),
    "all at once": cases_of_all(),
    "attention": array_cases(),
    "best keys": best_cases(),
    **PREPARATIONS,
}
"""A strategy for each kind of case."""
