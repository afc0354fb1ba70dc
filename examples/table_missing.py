"""
Table: values that are missing
==============================

`SelfAttentionClassifier` where 30 % of the values were taken away, in training as in test sequences: single ones at
random, or blocks of neighbouring steps of one feature. Test accuracy as a Markdown table, with
``handle_missing="mask"`` behind a stem, which takes straight lines, and with ``embedding="linear"``, where a learned
vector says what is missing; beside the default fit of sequences filled by interpolation beforehand, and what each
reaches where nothing is missing.

JapaneseVowels ships with skattn. Others are read from a folder of ``.npz`` files, as ``table_accuracy.py`` does it::

    python examples/table_missing.py --data folder
"""

import argparse
from pathlib import Path

import bench_common as bench
import numpy as np
import pandas as pd
from table_accuracy import load

from skattn import SelfAttentionClassifier

SHARE = 0.3
"""Of all values are taken away."""

BLOCK = 0.1
"""Of a sequence's length is a block."""

NAMES = ["JapaneseVowels", "ERing", "BasicMotions"]


def remove_cells(steps, generator):
    """Take single values away, each as likely as any other."""
    return np.where(generator.random(steps.shape) < SHARE, np.nan, steps)


def remove_blocks(steps, generator):
    """Take neighbouring steps of one feature away, block after block."""
    steps, n_block = steps.copy(), max(1, round(BLOCK * len(steps)))
    while np.isnan(steps).mean() < SHARE:
        start = generator.integers(len(steps) - n_block + 1)
        steps[start : start + n_block, generator.integers(steps.shape[1])] = np.nan
    return steps


KINDS = {"nothing": lambda steps, _: steps, "at random": remove_cells, "in blocks": remove_blocks}


def interpolate(steps):
    """Fill gaps by straight lines in time and ends by the value beside them; 0 where a feature has none."""
    return pd.DataFrame(steps).interpolate(limit_direction="both").fillna(0).to_numpy()


def unpadded(sequences):
    return [np.asarray(steps)[~np.isnan(steps).all(axis=1)] for steps in sequences]


def score(train, test, seed, **options):
    model = SelfAttentionClassifier(random_state=seed, **options)
    return model.fit(*train).score(*test)


def measure(train, test, removed, seed):
    """Give the accuracies of one row and one seed."""
    generator = np.random.default_rng(seed)
    gappy = [([removed(steps, generator) for steps in unpadded(X)], y) for X, y in (train, test)]
    filled = [([interpolate(steps) for steps in X], y) for X, y in gappy]
    return (
        score(*gappy, seed, handle_missing="mask"),
        score(*gappy, seed, handle_missing="mask", embedding="linear"),
        score(*filled, seed),
    )


def main():
    parser = argparse.ArgumentParser(description="Accuracy where values are missing, as a Markdown table.")
    parser.add_argument("sets", nargs="*", default=NAMES, help=f"some of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--data", type=Path, help="folder with further data sets")
    parser.add_argument("--seeds", type=int, default=2, help="fits of each, with gaps of their own (default: 2)")
    given = parser.parse_args()
    bench.describe()
    bench.head("data set", "missing", "mask", "mask, embedding='linear'", "interpolated before")
    for name in given.sets:
        splits = load(name, given.data)
        if splits is None:
            raise SystemExit(f"{name} does not ship with skattn: name a folder with {name}.npz by --data.")
        for kind, removed in KINDS.items():
            found = [measure(*splits, removed, seed) for seed in range(given.seeds)]
            bench.row(name, kind, *(" ".join(f"{s:.3f}" for s in cell) for cell in zip(*found, strict=True)))


if __name__ == "__main__":
    main()
