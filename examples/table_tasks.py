"""
Table: what attention is for
============================

Problems that need one step to be looked at beside another, each with the default estimator and with the parameters
that suit it; scores on sequences that were not learned from, as a Markdown table::

    python examples/table_tasks.py

- *bursts*: two bursts of 20 steps in 200 steps of noise, one slow and one fast; the class is which comes first.
- *recall*: one-hot pairs of a key and a value, then a key; its value is the class (Ba et al. 2016, arXiv:1610.06258).
- *adding*: two of 50 steps are marked; the sum of their values is wanted (Hochreiter & Schmidhuber 1997); in
  *long adding* of 200. The score is R²; the mean squared error is a sixth of what is left to 1.
- *induction*: one-hot words, of which the last stood there before; the class is the word that followed it then (Olsson
  et al. 2022, arXiv:2209.11895).
- *recall of codes*, *induction of codes*: longer ones of 20 symbols, each told by its number, which is said to name a
  category. A symbol may be a key in one pair and a value in another; what is asked for in induction is what followed a
  marker, which stands there twice.
- *waves at times*: noisy sine waves, of which 40 to 60 values are known, at uneven times; the class is one of four
  frequencies. All classes show as many periods, from 2 to 8, so that values tell nothing without their times (*waves
  without times*), and times nothing without values.
"""

import argparse
import time

import bench_common as bench
import numpy as np

from skattn import SelfAttentionClassifier, SelfAttentionRegressor

N_HELD_OUT = 500


def make_bursts(seed, n_samples=140 + N_HELD_OUT, n_steps=200, n_burst=20):
    generator = np.random.default_rng(seed)
    X = generator.normal(scale=0.2, size=(n_samples, n_steps, 1))
    y = generator.integers(2, size=n_samples)
    time_steps = np.arange(n_burst)
    for steps, is_slow_first in zip(X[:, :, 0], y, strict=True):
        first = generator.integers(n_steps - 2 * n_burst)
        second = generator.integers(first + n_burst, n_steps - n_burst + 1)
        for place, is_slow in ((first, is_slow_first), (second, not is_slow_first)):
            steps[place : place + n_burst] += np.sin(2 * np.pi * time_steps / (10 if is_slow else 4))
    return X, y


def one_hot(indices, n):
    return np.eye(n, dtype=np.float32)[indices]


def make_recall(seed, n_samples=4000 + N_HELD_OUT, n_pairs=8):
    generator = np.random.default_rng(seed)
    keys, values = (generator.permuted(np.tile(np.arange(n_pairs), (n_samples, 1)), axis=1) for _ in range(2))
    samples, asked = np.arange(n_samples), generator.integers(n_pairs, size=n_samples)
    key, value = one_hot(keys, 2 * n_pairs), one_hot(n_pairs + values, 2 * n_pairs)
    return np.concatenate([key + value, key[samples, asked][:, np.newaxis]], axis=1), values[samples, asked]


def make_adding(seed, n_samples=4000 + N_HELD_OUT, n_steps=50):
    generator = np.random.default_rng(seed)
    values = generator.uniform(size=(n_samples, n_steps))
    marked = generator.permuted(np.tile(np.arange(n_steps) < 2, (n_samples, 1)), axis=1)
    return np.stack([values, marked], axis=2, dtype=np.float32), (values * marked).sum(axis=1)


def make_long_adding(seed):
    return make_adding(seed, n_samples=5000 + N_HELD_OUT, n_steps=200)


def make_induction(seed, n_samples=4000 + N_HELD_OUT, n_steps=20, n_words=8):
    generator = np.random.default_rng(seed)
    words = generator.integers(n_words - 1, size=(n_samples, n_steps))
    asked = generator.integers(n_steps - 2, size=n_samples)
    samples = np.arange(n_samples)
    # A word of its own is asked for, so that there is one answer.
    words[samples, asked] = words[:, -1] = n_words - 1
    return one_hot(words, n_words), words[samples, asked + 1]


def make_recall_of_codes(seed, n_samples=5000 + N_HELD_OUT, n_symbols=20):
    generator = np.random.default_rng(seed)
    keys = generator.permuted(np.tile(np.arange(n_symbols), (n_samples, 1)), axis=1)
    values = generator.integers(n_symbols, size=(n_samples, n_symbols))
    samples, asked = np.arange(n_samples), generator.integers(n_symbols, size=n_samples)
    pairs = np.stack([keys, values], axis=2).reshape(n_samples, 2 * n_symbols)
    return np.column_stack([pairs, keys[samples, asked]]), values[samples, asked]


def make_induction_of_codes(seed, n_samples=5000 + N_HELD_OUT, n_steps=30, n_symbols=20):
    generator = np.random.default_rng(seed)
    symbols = generator.integers(n_symbols, size=(n_samples, n_steps))
    samples, marked = np.arange(n_samples), generator.integers(n_steps - 2, size=n_samples)
    symbols[samples, marked] = symbols[:, -1] = n_symbols
    return symbols, symbols[samples, marked + 1]


def make_waves(seed, n_samples=400 + N_HELD_OUT, frequencies=(1.0, 1.5, 2.25, 3.375)):
    generator = np.random.default_rng(seed)
    y = generator.integers(len(frequencies), size=n_samples)
    X = []
    for frequency in np.take(frequencies, y):
        n_steps, n_periods = generator.integers(40, 61), np.exp(generator.uniform(np.log(2), np.log(8)))
        times = np.sort(generator.uniform(0, n_periods / frequency, n_steps))
        values = np.sin(2 * np.pi * (frequency * times + generator.random()))
        X.append(np.stack([times, values + generator.normal(scale=0.1, size=n_steps)], axis=1))
    return X, y


def make_waves_without_times(seed):
    X, y = make_waves(seed)
    return [steps[:, 1:] for steps in X], y


# Of each: what makes it, the estimator, what is always set, and what suits it.
CODES = {"categorical_features": "all"}
LAYERS = {"n_layers": 2, "d_model": 32, "pooling": "last", "n_estimators": 1}
TASKS = {
    "bursts": (make_bursts, SelfAttentionClassifier, {}, {}),
    "recall": (make_recall, SelfAttentionClassifier, {}, {"pooling": "last"}),
    "adding": (make_adding, SelfAttentionRegressor, {}, {"embedding": "linear"}),
    "long adding": (make_long_adding, SelfAttentionRegressor, {}, {"embedding": "linear"}),
    "induction": (make_induction, SelfAttentionClassifier, {}, {"embedding": "random_convolution"}),
    "recall of codes": (make_recall_of_codes, SelfAttentionClassifier, CODES, LAYERS),
    "induction of codes": (make_induction_of_codes, SelfAttentionClassifier, CODES, LAYERS),
    "waves without times": (make_waves_without_times, SelfAttentionClassifier, {}, {}),
    "waves at times": (make_waves, SelfAttentionClassifier, {"time_feature": 0}, {}),
}


def score(estimator, X, y):
    start = time.perf_counter()
    estimator.fit(X[:-N_HELD_OUT], y[:-N_HELD_OUT])
    return estimator.score(X[-N_HELD_OUT:], y[-N_HELD_OUT:]), time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description="Scores on problems that need attention, as a Markdown table.")
    parser.add_argument("tasks", nargs="*", default=list(TASKS), help=f"some of {', '.join(TASKS)} (default: all)")
    parser.add_argument("--seeds", type=int, default=2, help="fits of each problem (default: 2)")
    given = parser.parse_args()
    bench.describe()
    bench.head("problem", "score by default", "seconds", "with", "score", "seconds")
    for name in given.tasks:
        make, kind, always, parameters = TASKS[name]
        rows, digits = [], 5 if kind is SelfAttentionRegressor else 3
        for options in ({}, parameters) if parameters else ({},):
            settings = always | options
            found = [score(kind(random_state=seed, **settings), *make(seed)) for seed in range(given.seeds)]
            scores, seconds = zip(*found, strict=True)
            rows += [" ".join(f"{s:.{digits}f}" for s in scores), f"{np.median(seconds):.0f}"]
        words = ", ".join(f"{key}={value!r}" for key, value in (always | parameters).items() if parameters)
        bench.row(name, *rows[:2], words or "–", *(rows[2:] or ("–", "–")))


if __name__ == "__main__":
    main()
