"""
Table: attention over the records of a table
============================================

`SoftLookupClassifier()` and `SoftLookupRegressor()` as they come, on scikit-learn's toy sets, beside nearest
neighbours, neighbourhood components analysis with nearest neighbours, and kernel methods, as a Markdown table: means
over repeated 5-fold cross-validation. What others have to choose (neighbours, weights, penalties) is chosen within the
training folds, by 5-fold cross-validation there, and all of them standardise first. Seconds are those that one thread
computes for a fit, without that choice of others, which waiting for busy cores does not add to::

    python examples/table_lookup.py
"""

import argparse
import time
import warnings

import bench_common as bench
import numpy as np
from sklearn import datasets
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import GridSearchCV, RepeatedKFold, RepeatedStratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NeighborhoodComponentsAnalysis
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from skattn import SoftLookupClassifier, SoftLookupRegressor

NEIGHBOURS = {"last__n_neighbors": [1, 3, 5, 7, 11, 15, 21, 31], "last__weights": ["uniform", "distance"]}
SETS = ["wine", "breast_cancer", "digits", "diabetes"]


def chosen(grid, *steps):
    """A pipeline behind `StandardScaler`, its last step's parameters chosen by cross-validation."""
    return GridSearchCV(Pipeline([("scale", StandardScaler()), *steps]), grid)


class LearnedThenNeighbours:
    """Components are learned once, and neighbours chosen behind them; `best_estimator_` as in a search of both."""

    def fit(self, X, y):
        components = Pipeline([("scale", StandardScaler()), ("learn", NeighborhoodComponentsAnalysis(random_state=0))])
        neighbours = GridSearchCV(Pipeline([("last", KNeighborsClassifier())]), NEIGHBOURS)
        neighbours.fit(components.fit_transform(X, y), y)
        self.best_estimator_ = Pipeline([*components.steps, *neighbours.best_estimator_.steps])
        self.classes_ = neighbours.classes_
        return self

    def predict_proba(self, X):
        return self.best_estimator_.predict_proba(X)


CLASSIFIERS = {
    "SoftLookupClassifier": lambda: SoftLookupClassifier(random_state=0, n_jobs=1),
    "nearest neighbours": lambda: chosen(NEIGHBOURS, ("last", KNeighborsClassifier())),
    "NCA, then neighbours": LearnedThenNeighbours,
    "SVC": lambda: chosen(
        {"last__C": [0.1, 1, 10, 100], "last__gamma": ["scale", 0.001, 0.01]},
        ("last", SVC(probability=True, random_state=0)),
    ),
}
REGRESSORS = {
    "SoftLookupRegressor": lambda: SoftLookupRegressor(random_state=0, n_jobs=1),
    "nearest neighbours": lambda: chosen(NEIGHBOURS, ("last", KNeighborsRegressor())),
    "kernel ridge": lambda: chosen(
        {"last__alpha": np.logspace(-2, 2, 9), "last__gamma": np.logspace(-3, 0, 7)},
        ("last", KernelRidge(kernel="rbf")),
    ),
}


def measure(make, X, y, splits):
    """Give accuracy (or R2), log loss (or None) and median seconds of a fit over splits."""
    scores, losses, seconds = [], [], []
    for train, test in splits:
        model = make().fit(X[train], y[train])
        settled = getattr(model, "best_estimator_", model)
        start = time.process_time()
        clone(settled).fit(X[train], y[train])
        seconds.append(time.process_time() - start)
        if not hasattr(model, "predict_proba"):
            scores.append(r2_score(y[test], model.predict(X[test])))
            continue
        probabilities = model.predict_proba(X[test])
        scores.append(np.mean(model.classes_[probabilities.argmax(axis=1)] == y[test]))
        losses.append(log_loss(y[test], probabilities, labels=model.classes_))
    return np.mean(scores), np.mean(losses) if losses else None, np.median(seconds)


def load(name):
    """Give X, y and the models of their kind; y of a regression in deviations from its mean."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return (X, (y - y.mean()) / y.std(), REGRESSORS) if name == "diabetes" else (X, y, CLASSIFIERS)


def main():
    parser = argparse.ArgumentParser(description="Accuracy of attention over records, as a Markdown table.")
    parser.add_argument("--repeats", type=int, default=3, help="times that 5 folds are cut (default: 3)")
    parser.add_argument("--only", nargs="+", choices=SETS, default=SETS, help="data sets (default: all)")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    bench.describe()
    bench.head("data set", "model", "accuracy, or R2", "log loss", "fit, s")
    for name in given.only:
        X, y, models = load(name)
        folds = RepeatedKFold if models is REGRESSORS else RepeatedStratifiedKFold
        splits = list(folds(n_splits=5, n_repeats=given.repeats, random_state=0).split(X, y))
        next(iter(models.values()))().fit(X[::9], y[::9])  # what is compiled, or loaded, at first is not the fit
        for model, make in models.items():
            with threadpool_limits(1):
                score, loss, seconds = measure(make, X, y, splits)
            bench.row(name, model, f"{score:.4f}", "–" if loss is None else f"{loss:.3f}", f"{seconds:.3f}")


if __name__ == "__main__":
    main()
