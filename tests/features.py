"""Draw what the features of steps are: numbers, some of them missing, categories, times; and what breaks them."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from skattn._network.positions import OF_TIME
from skattn.categories import MOST

NUMBERS = {"categorical_features": None, "time_feature": None, "handle_missing": "error"}


@dataclass(frozen=True)
class Features:
    """What the features of a step are: columns of categories, that of the time, and whether values are missing."""

    categories: tuple = ()
    time: int | None = None
    misses: bool = False

    @property
    def are_numbers(self):
        """Whether there is nothing but numbers, all of them there."""
        return not self.categories and self.time is None and not self.misses


def pick(*choices):
    """One of some values."""
    return st.sampled_from(choices)


@st.composite
def features(draw, samples, may_miss=True):
    """Sequences of the same shapes, parameters that say what their features are, and these features."""
    n_features = samples[0].shape[1]
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns = generator.permutation(n_features).tolist()
    time = columns.pop() if n_features > 1 and draw(st.booleans()) else None
    categories = tuple(sorted(columns[: draw(pick(0, 1, 1, len(columns)))]))
    samples, n_codes, factor = [steps.copy() for steps in samples], draw(pick(1, 2, 7, 40)), draw(pick(1, 5, 2**17))
    kind = draw(pick("uneven", "some at once", "all at once", "tiny", "huge", "even"))
    for steps in samples:
        for column in categories:
            steps[:, column] = factor * generator.integers(n_codes, size=len(steps))
        if time is not None:
            steps[:, time] = times(kind, len(steps), generator)
    share = draw(pick(0.0, 0.1, 0.6, 1.0)) if may_miss else 0.0
    if share:
        take_away(samples, share, [column for column in range(n_features) if column != time], generator)
    misses = any(np.isnan(steps).any() for steps in samples)
    chosen = {"categorical_features": draw(said(categories, n_features, time)), "time_feature": time}
    chosen["handle_missing"] = "mask" if misses or may_miss and draw(st.booleans()) else "error"
    return samples, chosen, Features(categories, time, misses)


@st.composite
def said(draw, categories, n_features, time):
    """One of the ways to say which features are categories."""
    ways = [list(categories), categories, np.array(categories, np.int16), np.isin(np.arange(n_features), categories)]
    ways += [None] if not categories else []
    ways += ["all"] if len(categories) == n_features - (time is not None) else []
    return draw(st.sampled_from(ways))


def times(kind, n_steps, generator):
    """When steps were, none of them before another: (n_steps,)."""
    intervals = {
        "uneven": generator.exponential(size=n_steps),
        "some at once": np.floor(generator.exponential(size=n_steps) * 2),
        "all at once": np.zeros(n_steps),
        "tiny": generator.exponential(size=n_steps) * 1e-9,
        "huge": generator.exponential(size=n_steps) * 1e9,
        "even": np.full(n_steps, 0.25),
    }
    return np.cumsum(intervals[kind]) + generator.choice([0.0, -1e5, 1.7e9])


def take_away(samples, share, columns, generator):
    """Let values of some columns be missing, in place; with a share of 1, all of one column, and a few others.

    The last step of each sequence keeps a value, for it would be padding.
    """
    whole = generator.choice(columns) if share == 1 else None
    for steps in samples:
        is_missing = generator.random((len(steps), len(columns))) < (0.2 if share == 1 else share)
        kept = steps[-1].copy()
        steps[:, columns] = np.where(is_missing, np.nan, steps[:, columns])
        if whole is not None:
            steps[:, whole] = np.nan
        if np.isnan(steps[-1]).all():
            column = columns[0] if columns[0] != whole or len(columns) == 1 else columns[1]
            steps[-1, column] = kept[column]


@st.composite
def patches(draw):
    """Steps of a patch, and from one to the next."""
    return {"patch_size": draw(pick(1, 1, 1, 2, 5, 100)), "patch_stride": draw(pick(None, None, None, 1, 3, 7))}


def settle(chosen, found, n_features, y, of_steps=False):
    """Let parameters that were drawn each for itself fit each other, the features, and a y of steps, in place."""
    has_no_level = n_features == len(found.categories) + (found.time is not None)  # codes have none
    if "normalise_target" in chosen and (has_no_level or of_steps):
        chosen["normalise_target"] = "global"
    takes_steps = (chosen["patch_size"], chosen["patch_stride"]) in ((1, None), (1, 1))
    if y is None:
        takes_steps = True  # hidden steps are told from the others
        chosen["embedding"] = "linear" if "convolution" in chosen["embedding"] else chosen["embedding"]
    takes_steps |= of_steps
    if takes_steps:
        chosen |= {"patch_size": 1, "patch_stride": None}
    elif chosen["pooling"] is None:
        chosen["pooling"] = "mean"
    if chosen["pooling"] is None or of_steps:
        chosen["n_tokens"] = 100  # as many as there are steps
    if chosen["embedding"] == "random_convolution" and (found.categories or found.time is not None or not takes_steps):
        chosen["embedding"] = "auto"
    if found.time is not None and chosen["position"] not in OF_TIME:
        chosen["position"] = "auto"


def _at(which, value):
    """Put a value into a column of any step, and a sound step behind it, so that it is no padding."""

    def make(samples, found, generator):
        samples = [np.vstack([steps, steps[-1:]]) for steps in samples]
        steps = samples[generator.integers(len(samples))]
        columns = found.categories if which == "category" else [found.time]
        steps[generator.integers(len(steps) - 1), generator.choice(columns)] = value
        return samples

    return make


def _backwards(samples, found, generator):
    samples = [np.vstack([steps, steps[-1:]]) for steps in samples]
    steps = samples[generator.integers(len(samples))]
    # By more than float32 rounds away.
    steps[-1, found.time] -= 1 + np.abs(steps[-1, found.time])
    return samples


def _missing(samples, found, generator):
    samples = [np.vstack([steps, steps[-1:]]) for steps in samples]
    steps = samples[generator.integers(len(samples))]
    columns = [column for column in range(steps.shape[1]) if column != found.time]
    steps[generator.integers(len(steps) - 1), generator.choice(columns)] = np.nan
    return samples


BROKEN_STEPS = {
    "a negative code": ("category", "is negative, and categorical_features says", _at("category", -1)),
    "a fraction as a code": ("category", "encode it, for example", _at("category", 0.5)),
    "a code too large": ("category", f"from 0 to {MOST - 1}", _at("category", MOST)),
    "an infinite code": ("category", "infinity", _at("category", np.inf)),
    "a time that goes backwards": ("time", "Sort the steps", _backwards),
    "a time that is missing": ("time", "drop the s", _at("time", np.nan)),
    "an infinite time": ("time", "infinity", _at("time", np.inf)),
    "a value that is missing": ("any", 'set handle_missing="mask"', _missing),
}
"""What sequences must not hold: what features it takes, what the error says, and how to make it."""

NO_STEM = 'set embedding="auto", or leave that out'
BROKEN_SAYINGS = {
    "a position that counts steps": ("time", "'auto', or leave time_feature out", lambda n, f: {"position": "learned"}),
    "distances that count steps": ("time", "'auto', or leave time_feature out", lambda n, f: {"position": "relative"}),
    "no position": ("time", "'auto', or leave time_feature out", lambda n, f: {"position": "none"}),
    "a stem of times": ("time", NO_STEM, lambda n, f: {"embedding": "random_convolution"}),
    "a stem of categories": ("category", NO_STEM, lambda n, f: {"embedding": "random_convolution"}),
    "a time that is none": ("any", "give numbers of these", lambda n, f: {"time_feature": n}),
    "a time that is true": ("any", "give the number or the name", lambda n, f: {"time_feature": True}),
    "a time without a name": ("any", "give numbers of features", lambda n, f: {"time_feature": "when"}),
    "a time that is a category": ("time", "leave it out of one", lambda n, f: {"categorical_features": [f.time]}),
    "a category that is none": ("any", "give numbers of these", lambda n, f: {"categorical_features": [0, n]}),
    "a level of codes": ("codes", 'set normalise_target="global"', lambda n, f: {"normalise_target": "sequence"}),
    "a mask too long": ("any", "give one for each", lambda n, f: {"categorical_features": [True] * (n + 1)}),
}
"""What must not be said of features: what features it takes, what the error says, and the parameters."""


def breaks(table, found, are_levels=False):
    """Names of a table's entries that these features can be broken by; `are_levels` where y is counted from codes."""
    there = {"any", *(["category"] if found.categories else []), *(["time"] if found.time is not None else [])}
    there |= {"codes"} if are_levels else set()
    return sorted(name for name, entry in table.items() if entry[0] in there)
