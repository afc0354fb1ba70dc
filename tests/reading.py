"""Sequences in every form that X may have, and the least estimator that reads them."""

import numpy as np
import pandas as pd
import polars as pl
from problems import as_objects, pad
from sklearn.base import BaseEstimator

from skattn.sequences import read_sequences

LENGTHS = [5, 2, 7, 3]
N_FEATURES = 3


class Reader(BaseEstimator):
    """The least estimator that reads sequences, and hands out their first step."""

    def __init__(self, n_step_features=1):
        self.n_step_features = n_step_features

    def fit(self, X, y=None):
        read_sequences(X, self, reset=True)
        return self

    def transform(self, X):
        read = read_sequences(X, self, reset=False)
        return read.values[read.starts]


def read(X, estimator=None, reset=True, longest=None):
    return read_sequences(X, estimator or Reader(), reset=reset, longest=longest)


def samples_in(read):
    """Give the valid steps of each sample."""
    return [read.values[s : s + n] for s, n in zip(read.starts, read.lengths, strict=True)]


def assert_same_samples(expected, read):
    assert len(expected) == read.n_samples
    assert read.values.flags.c_contiguous, "compiled code reads one row after another"
    for steps, got in zip(expected, samples_in(read), strict=True):
        np.testing.assert_array_equal(steps, got)


def make_samples():
    """Sequences of `LENGTHS` steps."""
    generator = np.random.default_rng(0)
    return [generator.normal(size=(n, N_FEATURES)) for n in LENGTHS]


def padded(ragged, n_steps=11):
    return pad(ragged, n_steps)


SAME_SEQUENCES = {
    "list": lambda r: r,
    "tuple": tuple,
    "object array": as_objects,
    "object array of one column": lambda r: as_objects(r).reshape(-1, 1),
    "nested lists": lambda r: [steps.tolist() for steps in r],
    "data frames": lambda r: [pd.DataFrame(steps) for steps in r],
    "polars frames": lambda r: [pl.DataFrame(steps) for steps in r],
    "Fortran order": lambda r: [np.asfortranarray(steps) for steps in r],
    "all in Fortran order, of several features": lambda r: tuple(np.array(steps, order="F") for steps in r),
    "strided": lambda r: [np.repeat(steps, 2, axis=0)[::2] for steps in r],
    "big-endian": lambda r: [steps.astype(">f8") for steps in r],
    "trailing NaN steps": lambda r: [np.vstack([s, np.full((2, N_FEATURES), np.nan)]) for s in r],
    "trailing None steps": lambda r: [[*s.tolist(), [None] * N_FEATURES] for s in r],
    "arrays of arrays": lambda r: [as_objects(list(steps)) for steps in r],
    "column of a pandas frame": lambda r: pd.DataFrame({"path": pd.Series(r)}),
    "pandas column": pd.Series,
    "column of a polars frame": lambda r: pl.DataFrame({"path": [s.tolist() for s in r]}),
    "polars column": lambda r: pl.Series([s.tolist() for s in r]),
    "padded": padded,
    "padded, Fortran order": lambda r: np.asfortranarray(padded(r)),
    "padded, strided": lambda r: np.repeat(padded(r), 2, axis=2)[:, :, ::2],
    "padded, objects": lambda r: padded(r).astype(object),
    "padded, nested lists": lambda r: padded(r).tolist(),
}
