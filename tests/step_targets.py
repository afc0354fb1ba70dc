"""Draw a y with an entry for every step of each sequence, in the forms that it may have, and what breaks it."""

import numpy as np
import pandas as pd
from features import pick
from hypothesis import strategies as st

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer

# Of each: what makes it of numbers of classes, which are whole, and of values.
FOR_CLASSES = {
    "numbers": lambda numbers, values: numbers,
    "words": lambda numbers, values: np.array(["ä", "bee", "c"])[numbers],
    "booleans": lambda numbers, values: numbers > 0,
    "whole floats": lambda numbers, values: numbers.astype(np.float32),
    "indicators": lambda numbers, values: np.stack([numbers > 0, numbers > 1, numbers == 0], axis=1).astype(int),
}
FOR_VALUES = {
    "values": lambda numbers, values: values,
    "float32": lambda numbers, values: values.astype(np.float32),
    "whole": lambda numbers, values: numbers,
    "two": lambda numbers, values: np.stack([values, numbers - values], axis=1),
    "a column": lambda numbers, values: values[:, np.newaxis],
}
KINDS = {
    SelfAttentionClassifier: FOR_CLASSES,
    SelfAttentionRegressor: FOR_VALUES,
    SelfAttentionTransformer: {"words": FOR_CLASSES["words"], "values": FOR_VALUES["values"]},
}


def as_objects(parts):
    """A 1-D array of arrays."""
    held = np.empty(len(parts), object)
    for i, part in enumerate(parts):
        held[i] = part
    return held


def padded(parts):
    """One array as long as the longest, and None where they have ended; NaN among floats."""
    floats = all(part.dtype.kind == "f" for part in parts)
    result = np.full((len(parts), max(map(len, parts)), *parts[0].shape[1:]), np.nan if floats else None)
    for row, part in zip(result, parts, strict=True):
        row[: len(part)] = part
    return result


FORMS = {
    "arrays": list,
    "tuple of arrays": tuple,
    "lists": lambda parts: [part.tolist() for part in parts],
    "array of arrays": as_objects,
    "series of arrays": lambda parts: pd.Series(list(parts), index=range(7, 7 + len(parts))),
    "padded": padded,
}
"""Forms that it may come in."""


def _unlabelled(part, is_none, mark, are_classes):
    """The labels of a sequence, some of which are none."""
    if not is_none.any():
        return part
    if mark == "masked":
        return np.ma.masked_array(part, np.broadcast_to(is_none.reshape(-1, *[1] * (part.ndim - 1)), part.shape))
    own = np.nan if part.dtype.kind == "f" else -1 if part.dtype.kind == "i" and are_classes else None
    blank = None if mark == "None" else own
    result = part.astype(object) if blank is None else part.copy()
    result[is_none] = blank
    return result


@st.composite
def step_targets(draw, estimator, n_steps, is_told):
    """A y for sequences of so many steps, and its name; `is_told` where it can be nothing else."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(sorted(KINDS[estimator])))
    share, mark = draw(pick(0.0, 0.0, 0.3, 0.9)), draw(pick("own", "None", "masked"))
    form = draw(st.sampled_from(sorted(FORMS) if is_told else ["arrays", "array of arrays"]))
    mark = "None" if mark == "masked" and form in ("lists", "padded") else mark
    parts = []
    for i, n in enumerate(n_steps):
        numbers = generator.integers(0, 3, n)
        numbers[0] = i % 3  # of two classes at least
        is_none = generator.random(n) < share
        # All but the third sequence have a label.
        is_none[0] = bool(share) and i == 2
        part = KINDS[estimator][kind](numbers, generator.normal(size=n))
        parts.append(_unlabelled(part, is_none, mark, estimator is not SelfAttentionRegressor))
    return FORMS[form](parts), f"y of {kind} of steps, {share} {mark}, {form}"


def _changed(change):
    return lambda parts, place: [change(part) if i == place else part for i, part in enumerate(parts)]


BROKEN = {
    "a step less": ("give one for each step", _changed(lambda part: part[:-1])),
    "a step more": ("the rest of which is padding", _changed(lambda part: np.append(part, 1))),
    "a sequence less": ("inconsistent numbers of samples", lambda parts, place: parts[1:]),
    "infinity": ("has infinity at step 0", _changed(lambda part: np.full(len(part), np.inf))),
    "three axes": ("give (n_steps,) or", _changed(lambda part: part.reshape(-1, 1, 1))),
    "another width": ("entries of the shapes", _changed(lambda part: np.stack([part, part], axis=1))),
    "no label": ("no label at any step", lambda parts, place: [np.full(len(part), np.nan) for part in parts]),
    "one a sequence": ("has one entry for each sequence", lambda parts, place: [part[0] for part in parts]),
    "a dictionary": ("", lambda parts, place: dict(enumerate(parts))),
}
"""What it must not be: what the error says, and how to make it of sound arrays, one of which may be changed."""
