"""Draw what a case is made of: sequences and the forms they come in, parameters, targets."""

import numpy as np
import pandas as pd
import polars as pl
from features import pick
from forms import FORMS
from hypothesis import strategies as st
from strides import LAYOUTS

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer


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
        "position": draw(pick("auto", "learned", "sinusoidal", "rotary", "alibi", "relative", "none")),
        "causal": draw(st.booleans()),
        "window": draw(pick(None, None, 0, 3, (2, None), [None, 1], (0, 0), (10**6, 2))),
        "pooling": draw(pick("mean", "max", "mean_max", "first", "last", "attention")),
        "embedding": draw(pick("auto", "linear", "random_convolution", "convolution")),
        "n_kernels": draw(pick(1, 16, 40)),
        "n_tokens": draw(pick(64, 64, 100)),
        "embedding_dropout": draw(pick(0.0, 0.3)),
        "token_dropout": draw(pick(0, 0.0, 0.7)),
        "n_estimators": draw(pick(1, 1, 2)),
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
    form = draw(pick("full", "full", "full", "dilated", "global", "linear"))
    if form in ("dilated", "global"):
        chosen["window"] = draw(pick(3, (7, 2), [1, None]))
        chosen |= {"dilation": draw(pick(1, 2, 5, 10**6)), "n_global_steps": draw(pick(0, 1, 30))}
    elif form == "linear":
        chosen |= {"attention": "linear", "window": None, "position": draw(pick("auto", "sinusoidal", "none"))}
    if form != "linear":
        chosen["top_k"] = draw(pick(*[None] * 6, 1, 2, 100))
    if estimator is SelfAttentionTransformer:
        chosen["pooling"] = draw(pick(chosen["pooling"], None))
    if estimator is SelfAttentionClassifier:
        chosen["class_weight"] = draw(pick(None, "balanced"))
    if estimator is SelfAttentionRegressor:
        chosen["normalise_target"] = draw(pick("global", "sequence"))
        chosen["loss"] = draw(pick("squared_error", "absolute_error", "huber", "quantile"))
    else:
        chosen["label_smoothing"] = draw(pick("auto", 0.0, 0.5))
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
def as_given(draw, samples, found, may_miss=False):
    """Sequences in one of the forms that they may come in: X, what it means, and the name of the form."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    fits = {"equal": len({len(steps) for steps in samples}) == 1, "masks": may_miss, "changes": found.are_numbers}
    names = [name for name, form in FORMS.items() if all(fits[what] or not getattr(form, what) for what in fits)]
    name = draw(st.sampled_from(sorted(names)))
    X, meant = FORMS[name].make(samples, generator)
    if isinstance(X, np.ndarray) and X.dtype != object and "stride" not in name and draw(st.booleans()):
        layout = draw(st.sampled_from(sorted(LAYOUTS)))
        X, name = LAYOUTS[layout](X), f"{name}, {layout}"
    return X, meant, name
