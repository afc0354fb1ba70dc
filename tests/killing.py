"""Fits with a checkpoint, and what kills them."""

import json
from unittest import mock

import numpy as np
from problems import (
    SMALL,
    direction,
    make_ragged,
    rise,
)

import skattn
import skattn.checkpoint
from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer

X, OTHER = make_ragged(), make_ragged(n_samples=13, seed=5)
LABELS = np.stack([direction(X) == "rises", [len(sequence) > 5 for sequence in X]], axis=1).astype(int)
WEIGHT = np.arange(len(X)) % 3 / 2
# Enough epochs to divide rates and to stop early, in batches that are cut anew.
LONG = SMALL | {"max_iter": 12, "batch_size": 5}
STOPPING = {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 40, "learning_rate_init": 0.05}

# name: (class, parameters, what fit gets beside X)
FITS = {
    "dropout": (SelfAttentionClassifier, {"dropout": 0.2, "n_layers": 2}, {"y": direction(X)}),
    "float32": (SelfAttentionClassifier, {"dtype": "float32", "pooling": "attention"}, {"y": direction(X)}),
    "a share": (SelfAttentionClassifier, STOPPING | {"validation_fraction": 0.3}, {"y": direction(X)}),
    "samples": (SelfAttentionRegressor, STOPPING, {"y": rise(X), "X_val": OTHER, "y_val": rise(OTHER)}),
    "scores only": (SelfAttentionRegressor, {}, {"y": rise(X), "X_val": OTHER, "y_val": rise(OTHER)}),
    "several labels": (SelfAttentionClassifier, {}, {"y": LABELS}),
    "weights": (SelfAttentionRegressor, {}, {"y": rise(X), "sample_weight": WEIGHT}),
    "classes that weigh": (SelfAttentionClassifier, {"class_weight": {"rises": 3}}, {"y": direction(X)}),
    "balanced": (SelfAttentionClassifier, {"class_weight": "balanced"}, {"y": direction(X)}),
    "reconstruction": (SelfAttentionTransformer, {"dropout": 0.1}, {}),
    "steps": (SelfAttentionTransformer, {"pooling": None, "window": (3, 2)}, {"y": direction(X)}),
    "two networks behind stems": (
        SelfAttentionClassifier,
        {"embedding": "random_convolution", "n_kernels": 16, "n_estimators": 2, "token_dropout": 0.3},
        {"y": direction(X)},
    ),
    "one batch": (SelfAttentionRegressor, {"batch_size": "auto", "max_iter": "auto", "tol": 0.1}, {"y": rise(X)}),
}


class Killed(BaseException):
    """What ends a fit as suddenly as a signal, but can be caught here."""


def die_after(n_epochs, fit, *arguments, **options):
    """Let a fit die right after it has written its file so many times; tells whether it lived that long."""
    write, written = skattn.checkpoint.replace_file, []

    def write_and_die(path, content):
        write(path, content)
        written.append(path)
        if len(written) == n_epochs:
            raise Killed

    with mock.patch.object(skattn.checkpoint, "replace_file", write_and_die):
        try:
            fit(*arguments, **options)
        except Killed:
            return True
    return False


def all_of(model):
    """All that must have the same bits."""
    scores = getattr(model, "validation_scores_", None)
    state, optimizer = dict(vars(model._model.state)), model._model.state.optimizer
    vectors = {}
    if optimizer is not None:
        vectors, state["optimizer"] = optimizer.vectors, (type(optimizer), optimizer.n_updates, optimizer.alpha)
    seen = vars(model._model.seen)
    return {**model.weights_, **vectors, **seen, "loss": model.loss_curve_, "scores": scores, "state": state}


def header_of(path):
    """What a file says beside its arrays."""
    with np.load(path, allow_pickle=False) as file:
        return json.loads(file["header"].tobytes())
