"""
Table: the default classifier by cross-validation on training parts
===================================================================

What a user could know before any test part is opened: accuracy and log loss of `SelfAttentionClassifier()` in three
stratified folds of each official training part, beside simple models, and beside MiniROCKET and MultiROCKET as aeon has
them (``pip install aeon``; without it, these are left out), on the same folds. Small parts are cut several times.
The defaults were chosen by such figures, those of `examples/table_accuracy.py` are of the test parts::

    python examples/table_cross_validation.py --data folder
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import log_loss
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from table_accuracy import NAMES, load, report, score_flat

from skattn import SelfAttentionClassifier

SMALL = 400
"""Samples up to which a training part is cut several times."""

# Steps that a kernel of MiniROCKET reads.
SHORTEST = 9


def main():
    parser = argparse.ArgumentParser(description="The default classifier by cross-validation, as a Markdown table.")
    parser.add_argument("--data", type=Path, help="folder with further data sets")
    parser.add_argument("--cuts", type=int, default=4, help="cuts of small training parts (default: 4)")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="data sets (default: all)")
    arguments = parser.parse_args()
    others = {**flat_models(), **rockets()}
    print("| data set | samples, fits | skattn | log loss | " + " | ".join(others) + " |")
    print("| --- | --- |" + " ---: |" * (2 + len(others)))
    rows = []
    for name in arguments.only:
        splits = load(name, arguments.data)
        if splits is None:
            report(f"{name}: skipped, as no --data folder holds {name}.npz")
            continue
        head, figures = measure(name, *splits[0], arguments.cuts, others)
        rows.append(figures)
        show(head, figures)
    whole = [figures for figures in rows if not np.isnan(figures).any()]
    if whole:
        show([f"mean of the {len(whole)} that all take", ""], np.mean(whole, axis=0))


def show(head, figures):
    """Print a row."""
    cells = ["–" if np.isnan(figure) else f"{figure:.3f}" for figure in figures]
    print("| " + " | ".join([*head, *cells]) + " |", flush=True)


def flat_models():
    """Give what takes flattened values."""
    return {
        "ridge": lambda: make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 13))),
        "trees": lambda: ExtraTreesClassifier(500, random_state=0, n_jobs=-1),
    }


def rockets():
    """Give aeon's two transforms with their ridge regression, where aeon is installed."""
    try:
        from aeon.classification.convolution_based import MiniRocketClassifier, MultiRocketClassifier
    except ImportError:
        return {}
    return {
        "MiniROCKET": lambda: OnChannels(MiniRocketClassifier(random_state=0)),
        "MultiROCKET": lambda: OnChannels(MultiRocketClassifier(random_state=0)),
    }


class OnChannels:
    """Gives aeon's models flattened sequences as they want them: channels first."""

    def __init__(self, model):
        self.model, self.n_features = model, 1

    def fit(self, rows, y):
        self.model.fit(self._channels_first(rows), y)
        return self

    def score(self, rows, y):
        return np.mean(self.model.predict(self._channels_first(rows)) == y)

    def _channels_first(self, rows):
        steps = rows.reshape(len(rows), -1, self.n_features)
        return np.ascontiguousarray(steps.transpose(0, 2, 1), np.float64)


def measure(name, X, y, n_cuts, others):
    """Give what a data set is, and of every model the mean over all fits; NaN where it takes no such sequences."""
    y, n_cuts = np.asarray(y), n_cuts if len(y) <= SMALL else 1
    folds = RepeatedStratifiedKFold(n_splits=3, n_repeats=n_cuts, random_state=0)
    figures = []
    for train, test in folds.split(y, y):
        parts = [([X[i] for i in part], y[part]) for part in (train, test)]
        model = SelfAttentionClassifier(random_state=0).fit(*parts[0])
        probabilities = model.predict_proba(parts[1][0])
        accuracy = np.mean(model.classes_[probabilities.argmax(axis=1)] == y[test])
        loss = log_loss(y[test], probabilities, labels=model.classes_)
        figures.append([accuracy, loss, *(score_other(make(), *parts) for make in others.values())])
        report(f"{name}, fit {len(figures)}: " + ", ".join(f"{figure:.3f}" for figure in figures[-1]))
    return [name, f"{len(y)}, {len(figures)}"], np.mean(figures, axis=0)


def score_other(model, train, test):
    """Accuracy of another model; NaN where it does not take such sequences."""
    if isinstance(model, OnChannels):
        model.n_features = train[0][0].shape[1]
        if len(train[0][0]) < SHORTEST:
            return np.nan
    found = score_flat(model, train, test)
    return np.nan if found == "–" else float(found)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
