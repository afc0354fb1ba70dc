"""
Table: few labels
=================

What sequences without labels are of use for: a `SelfAttentionTransformer` learns hidden steps of all training
sequences of PenDigits, or by another `--objective`. Logistic regression reads its features, and a classifier begins
with its network, with a few labels a class. Beside it networks of the same form that begin with nothing, and the
constructor's defaults, which put a stem in front. Test accuracy as a Markdown table, the mean over seeds, each with
other labels, and its standard deviation; how much learns; milliseconds an update, of one network on one thread::

    python examples/table_pretraining.py
"""

import argparse
import time

import bench_common as bench
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from table_accuracy import load

from skattn import SelfAttentionClassifier, SelfAttentionTransformer

FORM = {"embedding": "linear", "d_model": 64, "n_layers": 2}

# Rows of the table: what is set besides the form, and whether a network begins with the other one.
WAYS = {
    "from nothing": ({}, False),
    "pretrained": ({}, True),
    "adapters of rank 4": ({"adapter_rank": 4}, True),
    "outputs alone": ({"freeze": "[!h]*"}, True),
}


def few_of_each(y, n_labels, generator):
    """So many samples of each class."""
    return np.concatenate(
        [generator.choice(np.flatnonzero(y == label), n_labels, replace=False) for label in np.unique(y)]
    )


def features_alone(transformer, some, test):
    """Accuracy of logistic regression on what a transformer makes of sequences."""
    reader = make_pipeline(transformer, StandardScaler(), LogisticRegression(max_iter=2000))
    return reader.fit(*some).score(*test)


def timed(model, X, y):
    """Fit, and give the milliseconds of an update."""
    start = time.perf_counter()
    model.fit(X, y)
    return 1000 * (time.perf_counter() - start) / model._model.state.n_updates


def main():
    parser = argparse.ArgumentParser(description="Accuracy with few labels, as a Markdown table.")
    parser.add_argument("--seeds", type=int, default=5, help="fits of each (default: 5)")
    parser.add_argument("--labels", type=int, default=10, help="labels of each class (default: 10)")
    parser.add_argument("--epochs", type=int, default=60, help="over sequences without labels (default: 60)")
    choices = ("reconstruction", "next_step", "contrastive")
    parser.add_argument("--objective", choices=choices, default=choices[0], help="of these (default: reconstruction)")
    given = parser.parse_args()
    # What tells steps from those before it is causal, and so is what begins with it.
    form = FORM | ({"causal": True, "position": "rotary"} if given.objective == "next_step" else {})
    (X, y), test = load("PenDigits", None)
    bench.describe()
    scores, shares, updates = ({name: [] for name in [*WAYS, "the defaults"]} for _ in range(3))
    of_features = []
    for seed in range(given.seeds):
        options = {"objective": given.objective, "n_estimators": 1, "max_iter": given.epochs, "random_state": seed}
        before = SelfAttentionTransformer(**form, **options).fit(X)
        some = few_of_each(y, given.labels, np.random.default_rng(seed))
        ways = {name: options | {"pretrained": before if begins else None} for name, (options, begins) in WAYS.items()}
        of_features.append(features_alone(FrozenEstimator(before), (X[some], y[some]), test))
        models = {name: SelfAttentionClassifier(**form, **options) for name, options in ways.items()}
        models["the defaults"] = SelfAttentionClassifier()
        for name, model in models.items():
            model.set_params(random_state=seed, n_estimators=1, n_jobs=1)
            updates[name].append(timed(model, X[some], y[some]))
            network = model._model.network
            shares[name].append(network.n_learned / network.parameters.size)
            scores[name].append(model.score(*test))
    print(f"\nlogistic regression on its features: {np.mean(of_features):.3f} ± {np.std(of_features):.3f}\n")
    bench.head("begins", "accuracy", "of the weights learn", "ms an update")
    for name, found in scores.items():
        bench.row(
            name,
            f"{np.mean(found):.3f} ± {np.std(found):.3f}",
            f"{np.mean(shares[name]):.1%}",
            f"{np.median(updates[name]):.2f}",
        )


if __name__ == "__main__":
    main()
