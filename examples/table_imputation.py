"""
Table: what is missing, and what follows
========================================

Made sequences of six features that three waves of different speeds mix, a little noise, and one feature squared.
Values are missing at random, or whole steps, or eight steps of a feature in a row. `SelfAttentionTransformer.impute`
beside the mean, straight lines in time, and scikit-learn's imputers over the steps as rows: the root mean square error
in deviations of the features, on other sequences than those of fit. Then `forecast` of the waves, by position, beside
the last step repeated. As Markdown tables::

    python examples/table_imputation.py
"""

import argparse

import bench_common as bench
import numpy as np
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from skattn import SelfAttentionTransformer

N_STEPS, N_FEATURES, SEEN = 40, 6, 30
MOST_ROWS = 4000  # that nearest neighbours are looked for in


def make_waves(n_samples, seed):
    """Sequences of mixed waves: (n_samples, N_STEPS, N_FEATURES)."""
    generator, mixture = np.random.default_rng(seed), np.random.default_rng(99).normal(size=(3, N_FEATURES))
    speeds, starts = generator.uniform(0.1, 0.5, (n_samples, 1, 3)), generator.uniform(0, 2 * np.pi, (n_samples, 1, 3))
    waves = np.sin(speeds * np.arange(N_STEPS)[:, np.newaxis] + starts) @ mixture
    waves += 0.1 * generator.normal(size=waves.shape)
    waves[:, :, -1] **= 2
    return waves * [1, 10, 1, 0.1, 1, 1] + [0, 100, 0, 0, 0, 5]


def values(shape, generator):
    """Three values in ten."""
    return generator.random(shape) < 0.3


def steps(shape, generator):
    """One step in five."""
    return np.broadcast_to(generator.random((*shape[:2], 1)) < 0.2, shape)


def runs(shape, generator):
    """Eight steps of half of the features."""
    first = generator.integers(N_STEPS - 10, size=(shape[0], 1, shape[2]))
    ahead = np.arange(N_STEPS)[:, np.newaxis] - first
    return (ahead >= 0) & (ahead < 8) & (generator.random(first.shape) < 0.5)


HOLES = {"single values": values, "whole steps": steps, "runs of a feature": runs}


def with_holes(X, holes, seed):
    """The sequences with NaN where something is missing, never in the last step."""
    is_missing = holes(X.shape, np.random.default_rng(seed)).copy()
    is_missing[:, -1] = False
    return np.where(is_missing, np.nan, X)


def interpolated(X):
    """On straight lines in time."""
    filled, places = X.copy(), np.arange(N_STEPS)
    for sequence in filled:
        for column in sequence.T:
            there = ~np.isnan(column)
            column[~there] = np.interp(places[~there], places[there], column[there])
    return filled


def imputers(learned, epochs):
    """Ways to fill in, by name, learned from sequences with holes."""
    rows = learned.reshape(-1, N_FEATURES)

    def of_rows(imputer, rows):
        imputer.fit(rows)
        return lambda X: imputer.transform(X.reshape(-1, N_FEATURES)).reshape(X.shape)

    yield "the mean", of_rows(SimpleImputer(), rows)
    yield "straight lines", interpolated
    yield "IterativeImputer", of_rows(IterativeImputer(random_state=0), rows)
    yield "KNNImputer", of_rows(KNNImputer(), rows[:MOST_ROWS])
    for n_layers in (1, 2):
        model = SelfAttentionTransformer(**epochs, handle_missing="mask", n_layers=n_layers, random_state=0).fit(
            learned
        )
        yield f"impute, {n_layers} layer(s)", model.impute


def error(told, X, deviations):
    return np.sqrt(np.nanmean(((told - X) / deviations) ** 2))


def main():
    parser = argparse.ArgumentParser(description="Errors of what is filled in and of what follows, as Markdown tables.")
    parser.add_argument("--samples", type=int, default=400, help="sequences to learn from (default: 400)")
    parser.add_argument("--epochs", type=int, default=0, help="of each fit (default: as the constructor has it)")
    given = parser.parse_args()
    epochs = {"max_iter": given.epochs or "auto"}
    X, others = make_waves(given.samples, 0), make_waves(given.samples // 2, 1)
    deviations = X.reshape(-1, N_FEATURES).std(axis=0)
    bench.describe()
    found = {}
    for number, holes in enumerate(HOLES.values()):
        holed = with_holes(others, holes, 10 + number)
        for name, fill in imputers(with_holes(X, holes, number), epochs):
            told = np.where(np.isnan(holed), fill(holed), np.nan)
            found.setdefault(name, []).append(error(told, others, deviations))
    bench.head("filled in by", *HOLES)
    for name, errors in found.items():
        bench.row(name, *(f"{each:.2f}" for each in errors))
    print()
    bench.head("told by", "the next step", f"the next {N_STEPS - SEEN}")
    last = np.repeat(others[:, SEEN - 1 : SEEN], N_STEPS - SEEN, axis=1)
    rows = {"the last step": last}
    for position in ("rotary", "relative", "alibi", "learned", "sinusoidal"):
        options = {"objective": "next_step", "position": position, "n_layers": 2, "random_state": 0, **epochs}
        model = SelfAttentionTransformer(**options).fit(X[:, :SEEN])
        rows[f"forecast, {position}"] = model.forecast(others[:, :SEEN], N_STEPS - SEEN)
    for name, told in rows.items():
        both = (error(told[:, :n], others[:, SEEN : SEEN + n], deviations) for n in (1, N_STEPS - SEEN))
        bench.row(name, *(f"{each:.2f}" for each in both))


if __name__ == "__main__":
    main()
