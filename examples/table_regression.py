"""
Table: how accurate is the default regressor?
=============================================

`SelfAttentionRegressor()` as it comes, and a linear model of `SelfAttentionTransformer`'s features, on official splits:
root mean squared error on the test part, mean and standard deviation over seeds, beside ridge regression and extremely
randomised trees on flattened values, and ROCKET with ridge regression where aeon is installed, as a Markdown table.

Data sets are read from a folder of ``.npz`` files that hold ``X``, ``y`` and ``split`` (0 train, 1 test)::

    python examples/table_regression.py --data folder
"""

import argparse
import time
import warnings
from pathlib import Path

import bench_common as bench
import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skattn import SelfAttentionRegressor, SelfAttentionTransformer

NAMES = ["Covid3Month", "Tecator"]
ALPHAS = np.logspace(-3, 3, 10)


def flatten(X):
    return X.reshape(len(X), -1)


def ridge():
    return make_pipeline(FunctionTransformer(flatten), StandardScaler(), RidgeCV(ALPHAS))


def trees(seed):
    return make_pipeline(FunctionTransformer(flatten), ExtraTreesRegressor(500, random_state=seed, n_jobs=-1))


def rocket(seed):
    from aeon.transformations.collection.convolution_based import Rocket

    channels_first = FunctionTransformer(lambda X: np.ascontiguousarray(X.transpose(0, 2, 1)))
    return make_pipeline(channels_first, Rocket(random_state=seed), StandardScaler(), RidgeCV(ALPHAS))


def features(seed):
    learned = SelfAttentionTransformer(objective="squared_error", random_state=seed)
    return make_pipeline(learned, StandardScaler(), RidgeCV(ALPHAS))


MODELS = {
    "skattn": lambda seed: SelfAttentionRegressor(random_state=seed),
    "its features + ridge": features,
    "ridge": lambda seed: ridge(),
    "extra trees": trees,
    "ROCKET + ridge": rocket,
}


def score(make, seeds, X, y, split):
    errors, start = [], time.perf_counter()
    for seed in range(seeds):
        try:
            model = make(seed).fit(X[split == 0], y[split == 0])
        except ImportError:
            return "not installed"
        errors.append(root_mean_squared_error(y[split == 1], model.predict(X[split == 1])))
    return f"{np.mean(errors):.4g} ± {np.std(errors):.2g} ({(time.perf_counter() - start) / seeds:.1f} s)"


def main():
    parser = argparse.ArgumentParser(description="Errors of the default regressor, as a Markdown table.")
    parser.add_argument("--data", type=Path, required=True, help="folder with data sets")
    parser.add_argument("--seeds", type=int, default=5, help="fits of each data set (default: 5)")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    bench.describe()
    bench.head("data set", *MODELS)
    for name in NAMES:
        with np.load(given.data / f"{name}.npz", allow_pickle=True) as data:
            X, y, split = data["X"], data["y"].astype(float), data["split"]
        bench.row(name, *(score(make, given.seeds, X, y, split) for make in MODELS.values()))


if __name__ == "__main__":
    main()
