"""
Table: what tells which steps matter?
=====================================

First, whether `step_importance` and `feature_importance` find the one step and the one feature that decide the class,
in made data sets, by permutation and by occlusion, in arrays of three axes and ragged lists.

Then how well other ways to rank a sequence's steps agree with occlusion, which replaces each step by the mean and looks
at the prediction: rank correlation (Spearman) with how much the probability of the predicted class changes, the mean
over test sequences; and in how many of them the same step comes first. And whether what is told of single steps adds
up: rank correlation, over test sequences, of its sum with how far that probability falls where all steps are replaced.
As Markdown tables::

    python examples/table_importance.py
"""

import argparse

import bench_common as bench
import numpy as np
from scipy.stats import spearmanr
from table_accuracy import load

from skattn import SelfAttentionClassifier
from skattn.inspection import attention_rollout, feature_importance, gradient_times_input, step_importance

N_STEPS, N_FEATURES = 17, 3
METHODS = ("permutation", "occlusion")
SETTINGS = {
    "a token a step": {"embedding": "linear", "n_layers": 2, "n_estimators": 1},
    "a stem, as by default": {"n_layers": 2, "n_estimators": 1},
}


def make_planted(seed, n_samples=400):
    """Noise, in which one step of one feature lies high or low and so decides; the rest of it tells nothing."""
    generator = np.random.default_rng(seed)
    step, feature = generator.integers(11), generator.integers(N_FEATURES)
    X = generator.normal(size=(n_samples, N_STEPS, N_FEATURES)).astype(np.float32)
    y = generator.integers(2, size=n_samples)
    X[:, step, feature] = generator.normal(np.where(y == 1, 2, -2), 0.5)
    return X, y, int(step), int(feature)


def cut(X, seed):
    """Sequences of 11 to 17 steps."""
    lengths = np.random.default_rng(seed).integers(11, N_STEPS + 1, size=len(X))
    return [steps[:length] for steps, length in zip(X, lengths, strict=True)]


def find(seed, is_ragged):
    """Tell for each method whether the planted step, and the planted feature, come out first."""
    X, y, step, feature = make_planted(seed)
    X = cut(X, seed) if is_ragged else X
    model, found = SelfAttentionClassifier(random_state=seed).fit(X[:300], y[:300]), {}
    for method in METHODS:
        options = {"method": method, "random_state": 0, "n_repeats": 3}
        steps = step_importance(model, X[300:], y[300:], **options).importances_mean
        features = feature_importance(model, X[300:], y[300:], **options).importances_mean
        found[method] = int(np.argmax(steps)) == step, int(np.argmax(features)) == feature
    return found


def make_marked(seed=0, n_samples=1200):
    """Sequences of 9 to 17 steps, whose class is whether a number lies above 0 at the step that is marked."""
    generator = np.random.default_rng(seed)
    X, y = [], []
    for n_steps in generator.integers(9, N_STEPS + 1, size=n_samples):
        steps = generator.normal(size=(n_steps, 2)).astype(np.float32)
        marked = generator.integers(n_steps)
        steps[:, 1] = np.arange(n_steps) == marked
        X.append(steps)
        y.append(int(steps[marked, 0] > 0))
    return (X[:1000], np.array(y[:1000])), (X[1000:], np.array(y[1000:]))


def attention_received(model, X):
    """Mean of what each step is attended to in the last layer, over heads and the steps that look."""
    return [weights.mean(axis=(0, 1)) for weights in model.attention_weights(X, over="steps")]


def rolled_out(model, X):
    """Mean of what goes back to each step, over the steps that come out."""
    return [rollout.mean(axis=0) for rollout in attention_rollout(model, X, over="steps")]


def permuted(model, X):
    """How much predictions move where a step is exchanged with those of others: one ranking for all sequences."""
    means = step_importance(model, X, window=1, random_state=0).importances_mean
    return [means[: len(steps)] for steps in X]


def occluded(replacement):
    def fall(model, X):
        return step_importance(model, X, method="occlusion", window=1, replacement=replacement).local

    return fall


# What ranks steps, and whether it has a sign and a sum.
WAYS = {
    "attention received, last layer": (attention_received, False),
    "attention rollout": (rolled_out, False),
    "gradient times input": (gradient_times_input, True),
    "permutation (one ranking for all)": (permuted, False),
    "occlusion by interpolation": (occluded("interpolation"), True),
    "occlusion by the mean": (occluded("mean"), True),
}


def rank_agreement(found, falls):
    """Mean over sequences of the rank correlation of sizes, and the share of them in which the same step is first.

    A sequence in which all steps are alike has no ranks.
    """
    pairs = [(np.abs(one), np.abs(other)) for one, other in zip(found, falls, strict=True)]
    pairs = [(one, other) for one, other in pairs if np.ptp(one) and np.ptp(other)]
    firsts = [np.argmax(one) == np.argmax(other) for one, other in pairs]
    return float(np.mean([spearmanr(one, other).statistic for one, other in pairs])), float(np.mean(firsts))


def measure(train, test, settings, n_samples):
    """Give accuracy, and for each way its rank agreement with occlusion and how well it adds up."""
    model = SelfAttentionClassifier(random_state=0, **settings).fit(*train)
    X = [steps[~np.isnan(steps).all(axis=1)] for steps in map(np.asarray, test[0][:n_samples])]
    falls = occluded("mean")(model, X)
    whole = step_importance(model, X, method="occlusion", window=max(map(len, X))).local
    wholes = [of_sequence[0] for of_sequence in whole]
    agreements, sums = {}, {}
    for name, (way, is_signed) in WAYS.items():
        found = way(model, X)
        agreements[name] = rank_agreement(found, falls)
        if is_signed:
            sums[name] = float(spearmanr([np.sum(of_steps) for of_steps in found], wholes).statistic)
    return model.score(*test), agreements, sums


def print_found(n_sets):
    """Print in how many made data sets what was planted comes out first."""
    bench.head("X", "method", "step found", "feature found")
    for is_ragged in (False, True):
        found, form = [find(seed, is_ragged) for seed in range(n_sets)], "ragged" if is_ragged else "three axes"
        for method in METHODS:
            counts = np.sum([of_set[method] for of_set in found], axis=0)
            bench.row(form, method, *(f"{count} of {n_sets}" for count in counts))
    print()


def main():
    parser = argparse.ArgumentParser(description="What tells which steps matter, as Markdown tables.")
    parser.add_argument("--sets", type=int, default=20, help="made data sets, or 0 for none (default: 20)")
    parser.add_argument("--samples", type=int, default=300, help="test sequences to rank steps of (default: 300)")
    given = parser.parse_args()
    bench.describe()
    if given.sets:
        print_found(given.sets)
    tasks = {name: load(name, None) for name in ("PenDigits", "JapaneseVowels")} | {"a marked step": make_marked()}
    for form, settings in SETTINGS.items():
        found = [measure(*splits, settings, given.samples) for splits in tasks.values()]
        bench.head(form, *(f"{name} (accuracy {score:.3f})" for name, (score, *_) in zip(tasks, found, strict=True)))
        for name in WAYS:
            agreed = [agreements[name] for _, agreements, _ in found]
            bench.row(name, *(f"{ranks:.2f}, first {firsts:.0%}" for ranks, firsts in agreed))
        print()
        bench.head(f"sums, {form}", *tasks)
        for name in found[0][2]:
            bench.row(name, *(f"{sums[name]:.2f}" for *_, sums in found))
        print()


if __name__ == "__main__":
    main()
