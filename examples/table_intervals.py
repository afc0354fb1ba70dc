"""
Table: how often is the truth within the band?
==============================================

Two ways from a regressor to a band that holds nine values in ten: `SelfAttentionRegressor(loss="quantile")`, which
learns the ends of the band and moves them by samples that each network has not learned from, and split conformal
intervals of MAPIE around `SelfAttentionRegressor()`, which keep a quarter of the training samples to measure errors by.
Shown are the share of test samples within the band, its mean width in deviations of y, and how the widths differ: those
of MAPIE are alike everywhere. Means over seeds::

    pip install mapie
    python examples/table_intervals.py --data folder

`Covid3Month` is read from a folder of ``.npz`` files that hold ``X``, ``y`` and ``split`` (0 train, 1 test);
diabetes comes with scikit-learn, its ten numbers as ten steps, in a split of 300 and 142.
"""

import argparse
import warnings
from pathlib import Path

import bench_common as bench
import numpy as np
from mapie.regression import SplitConformalRegressor
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from skattn import SelfAttentionRegressor

LEVEL = 0.9


def covid(folder, seed):
    with np.load(Path(folder) / "Covid3Month.npz") as held:
        X, y, split = held["X"], held["y"].astype(float), held["split"]
    return X[split == 0], X[split == 1], y[split == 0], y[split == 1]


def diabetes(folder, seed):
    X, y = load_diabetes(return_X_y=True)
    return train_test_split(X[:, :, np.newaxis], y, train_size=300, random_state=seed)


def by_quantiles(X, y, X_test, seed):
    """Learn both ends of the band."""
    levels = ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)
    model = SelfAttentionRegressor(loss="quantile", quantiles=levels, random_state=seed).fit(X, y)
    found = model.predict_quantiles(X_test)
    return found[:, 0], found[:, 2]


def by_conformal(X, y, X_test, seed):
    """Measure errors on samples that were kept back; MAPIE wants a table, so each sequence is a row of its steps."""
    X, X_test = X[:, :, 0], X_test[:, :, 0]
    X_fit, X_kept, y_fit, y_kept = train_test_split(X, y, test_size=0.25, random_state=seed)
    model = SelfAttentionRegressor(random_state=seed).fit(X_fit, y_fit)
    conformal = SplitConformalRegressor(model, confidence_level=LEVEL, prefit=True).conformalize(X_kept, y_kept)
    _, ends = conformal.predict_interval(X_test)
    return ends[:, 0, 0], ends[:, 1, 0]


def main(folder, n_seeds):
    bench.describe()
    bench.head("data", "band", "within", "mean width", "spread of widths")
    for name, read in (("Covid3Month", covid), ("diabetes", diabetes)):
        for title, band in (("quantiles", by_quantiles), ("split conformal", by_conformal)):
            rows = []
            for seed in range(n_seeds):
                X, X_test, y, y_test = read(folder, seed)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    low, high = band(X, y, X_test, seed)
                widths = (high - low) / y.std()
                rows.append((((low <= y_test) & (y_test <= high)).mean(), widths.mean(), widths.std()))
            bench.row(name, title, *(f"{figure:.2f}" for figure in np.mean(rows, axis=0)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    main(options.data, options.seeds)
