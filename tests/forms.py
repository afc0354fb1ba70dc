"""The forms in which sequences may come, and what is no sequence, no target, no weight: tables for drawn cases."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
from problems import as_objects, pad
from scipy import sparse
from strides import every_other

from skattn import frame_from_sequences, sequences_from_frame

HUGE = 10**400  # no float holds it


@dataclass(frozen=True)
class Form:
    """One way to pass sequences.

    `make` takes the samples and a generator, and gives X and the sequences that it means, in the precision that
    "auto" chooses. `equal` is for equally long samples only, `rows` for a row a sequence, `masks` for what may be
    missing; where a form `changes` the numbers, they are no codes and no times any more.
    """

    make: Callable
    equal: bool = False
    rows: bool = False
    masks: bool = False
    changes: bool = False


def _same(make):
    return lambda samples, generator: (make(samples), samples)


def _doubles(make):
    """What goes through Python's numbers is float64."""
    return lambda samples, generator: (make(samples), [steps.astype(np.float64) for steps in samples])


def _of_dtype(dtype):
    def make(samples, generator):
        X = np.round(np.stack(samples) * 3)
        X = (np.abs(X) if np.dtype(dtype).kind in "ub" else X).astype(dtype)
        small = np.dtype(dtype).itemsize <= 2 or np.dtype(dtype) in (np.float32, np.dtype(">f4"))
        return X, list(X.astype(np.float32 if small else np.float64))

    return Form(make, equal=True, changes=True)


def _padded(samples, generator):
    return pad(samples, max(map(len, samples)) + int(generator.integers(0, 4))), samples


def _with_padding(samples, generator):
    extra = generator.integers(0, 4, len(samples))
    return [np.pad(s, ((0, n), (0, 0)), constant_values=np.nan) for s, n in zip(samples, extra, strict=True)], samples


def _rows(samples):
    return pad(samples).reshape(len(samples), -1)


def _mixed(samples):
    as_one = (np.asfortranarray, np.ndarray.tolist, pd.DataFrame, every_other)
    return [samples[0].astype(np.float64), *(as_one[i % 4](steps) for i, steps in enumerate(samples[1:]))]


def _repeated(samples, generator):
    return np.broadcast_to(samples[0], (len(samples), *samples[0].shape)), [samples[0]] * len(samples)


def _large_whole(samples, generator):
    X = generator.integers(2**60, 2**62, (len(samples), *samples[0].shape))
    return X, list(X.astype(np.float64))


def _nullable(table):
    """A frame in which what is missing is pandas' NA."""
    return pd.DataFrame(table).astype("Float32" if table.dtype == np.float32 else "Float64")


def _with_none(samples):
    return [[[None if np.isnan(value) else value for value in step] for step in steps.tolist()] for steps in samples]


def _cells(samples):
    return pd.DataFrame({f"x{i}": [steps[:, i] for steps in samples] for i in range(samples[0].shape[1])})


def _long_frame(kind):
    """Through a long frame of some library, and back."""

    def make(samples):
        return sequences_from_frame(frame_from_sequences(samples, kind=kind), id="id", order="step")[0]

    return Form(_same(make))


def _frame(samples, container=pd.DataFrame):
    rows = _rows(samples)
    return container({f"at {i}": rows[:, i] for i in range(rows.shape[1])})


FORMS = {
    "list": Form(_same(list)),
    "tuple": Form(_same(tuple)),
    "object array": Form(_same(as_objects)),
    "object column": Form(_same(lambda samples: as_objects(samples).reshape(-1, 1))),
    "nested lists": Form(_doubles(lambda samples: [steps.tolist() for steps in samples])),
    "pandas frames": Form(_same(lambda samples: [pd.DataFrame(steps) for steps in samples])),
    "polars frames": Form(_same(lambda samples: [pl.DataFrame(steps) for steps in samples])),
    "arrays of arrays": Form(_same(lambda samples: [as_objects(list(steps)) for steps in samples])),
    "mixed": Form(_doubles(_mixed)),
    "trailing NaN": Form(_with_padding),
    "padded": Form(_padded),
    "padded objects": Form(_doubles(lambda samples: pad(samples).astype(object))),
    "pandas column": Form(_same(pd.Series)),
    "pandas frame of a column": Form(_same(lambda samples: pd.DataFrame({"X": pd.Series(samples)}))),
    "polars column": Form(_doubles(lambda samples: pl.Series([steps.tolist() for steps in samples]))),
    "array": Form(_same(np.stack), equal=True),
    "repeated by a stride of 0": Form(_repeated, equal=True),
    "large int64": Form(_large_whole, equal=True, changes=True),
    "rows": Form(_same(_rows), rows=True),
    "rows of a pandas frame": Form(_same(_frame), rows=True),
    "rows of a polars frame": Form(_same(lambda samples: _frame(samples, pl.DataFrame)), rows=True),
    "lists of rows": Form(_doubles(lambda samples: _rows(samples).tolist()), rows=True),
    "cells of a pandas frame": Form(_same(_cells)),
    "nullable frames": Form(_same(lambda samples: [_nullable(steps) for steps in samples])),
    "polars frames with null": Form(_same(lambda samples: [pl.DataFrame(steps).fill_nan(None) for steps in samples])),
    "masked samples": Form(_same(lambda samples: [np.ma.masked_invalid(steps) for steps in samples]), masks=True),
    "masked and padded": Form(_same(lambda samples: np.ma.masked_invalid(pad(samples))), masks=True),
    "lists with None": Form(_doubles(_with_none), masks=True),
    "rows of a nullable frame": Form(_same(lambda samples: _nullable(_rows(samples))), rows=True),
    "flat samples": Form(_same(lambda samples: [steps.reshape(-1) for steps in samples]), rows=True),
    **{f"long frame of {kind}": _long_frame(kind) for kind in ("pandas", "polars", "pyarrow")},
} | {
    f"array of {dtype}": _of_dtype(dtype)
    for dtype in ("f2", ">f4", ">f8", "g", "?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
}
"""Forms that sequences may come in."""


def _replace(value):
    """Put a value anywhere, and a sound step behind it, so that it is no padding."""

    def make(samples, generator):
        samples = [np.vstack([steps, steps[:1]]) for steps in samples]
        steps = samples[generator.integers(len(samples))]
        steps[generator.integers(len(steps) - 1), generator.integers(steps.shape[1])] = value
        return samples

    return make


def _swap(make_sample):
    """Put something else in the place of one of the samples."""

    def make(samples, generator):
        samples = list(samples)
        place = generator.integers(len(samples))
        samples[place] = make_sample(samples[place])
        return samples

    return make


SPOILS = {
    "NaN": _replace(np.nan),
    "infinity": _replace(np.inf),
    "minus infinity": _replace(-np.inf),
    "NaN in a padded array": lambda samples, g: pad(_replace(np.nan)(samples, g)),
    "infinity in padding": lambda samples, g: np.pad(pad(samples), ((0, 0), (0, 1), (0, 0)), constant_values=np.inf),
    "NaN among objects": lambda samples, g: pad(_replace(np.nan)(samples, g)).astype(object),
    "no steps": _swap(lambda steps: steps[:0]),
    "no features": _swap(lambda steps: steps[:, :0]),
    "padding alone": _swap(lambda steps: steps * np.nan),
    "another width": _swap(lambda steps: np.hstack([steps, steps])),
    "an axis more": _swap(lambda steps: steps[np.newaxis]),
    "a number": _swap(lambda steps: 3.0),
    "none": _swap(lambda steps: None),
    "a word": _swap(lambda steps: "word"),
    "words": _swap(lambda steps: np.full(steps.shape, "w")),
    "complex": _swap(lambda steps: steps * 1j),
    "dates": _swap(lambda steps: np.zeros(steps.shape, "M8[s]")),
    "masked": _swap(lambda steps: np.ma.masked_invalid(np.vstack([steps * np.nan, steps]))),
    "sparse": _swap(sparse.csr_array),
    "a huge number": _swap(lambda steps: [[HUGE] * steps.shape[1]]),
    "a dictionary": _swap(lambda steps: {"steps": steps}),
    "a set": _swap(lambda steps: {1, 2}),
    "unequal steps": _swap(lambda steps: [[1.0] * steps.shape[1], [1.0] * (steps.shape[1] + 1)]),
    "four axes": lambda samples, g: pad(samples)[np.newaxis],
}
"""What makes a set of sequences unusable."""


def _endless():
    endless = []
    endless.append(endless)
    return endless


def _deep(n_levels=3000):
    deep = [1.0]
    for _ in range(n_levels):
        deep = [deep]
    return deep


NOT_SEQUENCES = {
    "None": lambda: None,
    "a number": lambda: 3.5,
    "a word": lambda: "sequence",
    "bytes": lambda: b"sequence",
    "a set": lambda: {1.0, 2.0},
    "a dictionary": lambda: {"a": [1.0]},
    "a generator": lambda: (np.ones((3, 2)) for _ in range(2)),
    "an object": object,
    "a class": lambda: np.ndarray,
    "a range": lambda: range(5),
    "0 axes": lambda: np.array(1.0),
    "0 axes of objects": lambda: np.array(None, dtype=object),
    "1 axis": lambda: np.ones(5),
    "4 axes": lambda: np.ones((2, 3, 2, 2)),
    "4 axes of objects": lambda: np.ones((2, 3, 2, 2), dtype=object),
    "no samples": lambda: np.empty((0, 3)),
    "no samples of 3 axes": lambda: np.empty((0, 3, 2)),
    "no steps": lambda: np.empty((3, 0, 2)),
    "no features": lambda: np.empty((3, 2, 0)),
    "no columns": lambda: np.empty((3, 0)),
    "an empty list": list,
    "an empty tuple": tuple,
    "an empty frame": pd.DataFrame,
    "an empty polars frame": pl.DataFrame,
    "an empty column": lambda: pd.Series([], dtype=object),
    "an empty column of objects": lambda: np.empty((0, 1), dtype=object),
    "lists of nothing": lambda: [[], []],
    "lists of lists of nothing": lambda: [[[]], [[]]],
    "sparse rows": lambda: sparse.csr_array(np.eye(3)),
    "sparse columns": lambda: sparse.csc_matrix(np.eye(3)),
    "sparse samples": lambda: [sparse.coo_array(np.eye(3)), sparse.coo_array(np.eye(3))],
    "flat sparse samples": lambda: [sparse.coo_array(np.ones(3)), sparse.coo_array(np.ones(3))],
    "masked": lambda: np.ma.masked_greater(np.arange(12.0).reshape(3, 4), 5),
    "masked, 3 axes": lambda: np.ma.masked_greater(np.arange(12.0).reshape(3, 2, 2), 5),
    "complex": lambda: np.ones((3, 2, 2)) * 1j,
    "words": lambda: np.array([["a", "b"], ["c", "d"]]),
    "words of 3 axes": lambda: np.full((2, 3, 2), "a"),
    "objects": lambda: np.full((2, 3), object()),
    "dates": lambda: np.zeros((3, 2), "M8[D]"),
    "durations": lambda: np.zeros((3, 2, 2), "m8[s]"),
    "records": lambda: np.zeros(3, dtype=[("a", "f8"), ("b", "i4")]),
    "records of 3 axes": lambda: np.zeros((3, 2, 2), dtype=[("a", "f8")]),
    "a matrix with NaN": lambda: np.array([[1.0, np.nan, 2.0]] * 3),
    "huge numbers": lambda: [[HUGE, 1], [2, 3]],
    "huge numbers in an array": lambda: np.array([[HUGE, 1], [2, 3]], dtype=object),
    "huge numbers of 3 axes": lambda: np.full((2, 3, 2), HUGE, dtype=object),
    "numbers beside lists": lambda: [1.0, [2.0, 3.0]],
    "lists beside numbers": lambda: [[2.0, 3.0], 1.0],
    "unequal depths": lambda: [[[1.0, 2.0]], [1.0, 2.0, 3.0]],
    "dictionaries": lambda: [{"a": 1}, {"a": 2}],
    "no values": lambda: [None, None],
    "no values in lists": lambda: [[None, None], [None]],
    "itself": _endless,
    "very deep": _deep,
    "a frame of words": lambda: pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}),
    "a frame of dates": lambda: pd.DataFrame({"a": pd.to_datetime(["2020", "2021"]), "b": [1, 2]}),
    "a frame of categories": lambda: pd.DataFrame({"a": pd.Categorical(["x", "y"]), "b": [1, 2]}),
    "a frame with NA": lambda: pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [1, 2]}),
    "a frame of intervals": lambda: pd.DataFrame({"a": pd.interval_range(0, 2), "b": [1, 2]}),
    "a frame of lists": lambda: pd.DataFrame({"a": [[1, 2], [3]], "b": [[1], [2]]}),
    "a column of words": lambda: pd.Series(["x", "y"]),
    "a column of numbers": lambda: pd.Series([1.0, 2.0]),
    "a column with None": lambda: pd.Series([np.ones((2, 1)), None]),
    "a polars frame of words": lambda: pl.DataFrame({"a": ["x", "y"], "b": [1, 2]}),
    "a polars frame with null": lambda: pl.DataFrame({"a": [None, 2.0], "b": [1.0, 2.0]}),
    "a polars frame of lists": lambda: pl.DataFrame({"a": [[1, 2], [3]], "b": [[1], [2]]}),
    "a polars column of words": lambda: pl.Series([["x"], ["y", "z"]]),
    "a polars column with null": lambda: pl.Series([[1.0, 2.0], None]),
    "a lazy frame": lambda: pl.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}).lazy(),
}
"""What is no set of sequences at all."""


def _with_entry(entry):
    return lambda n: [entry, *[0.5, 1.5] * n][:n]


NOT_TARGETS = {
    "none": ("cr", lambda n: None),
    "too few": ("tcr", lambda n: np.arange(n - 1) % 2),
    "too many": ("tcr", lambda n: np.arange(n + 1) % 2),
    "too many values": ("tr", lambda n: np.linspace(0, 1, n + 1)),
    "NaN": ("tcr", _with_entry(np.nan)),
    "infinity": ("tcr", _with_entry(np.inf)),
    "NaN in one of two columns": ("tcr", lambda n: np.array([[0.5, np.nan]] * n)),
    "infinity, sparse": ("tcr", lambda n: sparse.csr_array(np.full((n, 2), np.inf))),
    "0 axes": ("tcr", lambda n: np.array(1)),
    "0 axes of NaN": ("tcr", lambda n: np.array(np.nan)),
    "a number": ("tcr", lambda n: 1),
    "nothing": ("tcr", lambda n: []),
    "no columns": ("tcr", lambda n: np.empty((n, 0))),
    "one class": ("tc", lambda n: ["a"] * n),
    "one number": ("tc", lambda n: [3] * n),
    "complex": ("tcr", lambda n: np.ones(n) * 1j),
    "three axes": ("tcr", lambda n: np.ones((n, 2, 2))),
    "four axes of values": ("tcr", lambda n: np.full((n, 2, 2, 2), 0.5)),
    "words and numbers": ("r", lambda n: ["a", 1, 2.5, "b", 3, "c", 4][:n]),
    "words and numbers as objects": ("tcr", lambda n: np.array(["a", 1, 2.5, "b", 3, "c", 4][:n], dtype=object)),
    "words": ("r", lambda n: ["a", "b"] * n),
    "None among words": ("tcr", lambda n: np.array([None, *["a", "b"] * n][:n], dtype=object)),
    "NaN among words": ("tcr", lambda n: np.array([np.nan, *["a", "b"] * n][:n], dtype=object)),
    "NA": ("tcr", lambda n: pd.Series(pd.array([None, *[1, 2] * n][:n], dtype="Int64"))),
    "NA among strings": ("tcr", lambda n: pd.Series(pd.array([None, *["a", "b"] * n][:n], dtype="string"))),
    "polars null": ("tcr", lambda n: pl.Series([None, *[1, 2] * n][:n])),
    "text": ("tcr", lambda n: "a" * n),
    "a dictionary": ("tcr", lambda n: {i: i for i in range(n)}),
    "a set": ("tcr", lambda n: set(range(n))),
    "a generator": ("tcr", lambda n: (i for i in range(n))),
    "an object": ("tcr", lambda n: object()),
    "objects": ("tcr", lambda n: [object() for _ in range(n)]),
    "dictionaries": ("tcr", lambda n: [{"a": i} for i in range(n)]),
    "unequal lists": ("tcr", lambda n: [[1], [1, 2]] * n),
    "nested": ("tcr", lambda n: [[[0.5]], [[1.5]]] * n),
    "dates": ("r", lambda n: np.arange(n).astype("M8[D]")),
    "records": ("tcr", lambda n: np.zeros(n, dtype=[("a", "f8")])),
    "huge numbers": ("r", lambda n: [HUGE, *[1, 2] * n][:n]),
    "huge numbers in two columns": ("tcr", lambda n: [[HUGE, 1.5]] * n),
    "whole numbers in two columns": ("tc", lambda n: [[1, 2], [3, 4], [5, 6], *[[1, 1]] * n][:n]),
    "fractions": ("c", lambda n: np.linspace(0, 1, n) + 0.25),
    "words, sparse": ("tcr", lambda n: sparse.csr_array(np.eye(n, 2) * 3.5 + 0.5).astype(complex)),
    "a frame of words": ("r", lambda n: pd.DataFrame({"a": ["x", "y"] * n})[:n]),
    "masked": ("tcr", lambda n: np.ma.masked_equal(np.arange(n), 1)),
}
"""What y must not be: by which estimators it is refused (t, c, r), and how to make it for so many samples."""

NOT_WEIGHTS = {
    "negative": lambda n: [-1, *[1] * (n - 1)],
    "NaN": lambda n: [np.nan, *[1] * (n - 1)],
    "infinity": lambda n: [np.inf, *[1] * (n - 1)],
    "zeros": np.zeros,
    "too few": lambda n: np.ones(n - 1),
    "too many": lambda n: np.ones(n + 1),
    "two axes": lambda n: np.ones((n, 1)),
    "words": lambda n: ["heavy"] * n,
    "complex": lambda n: np.ones(n) * 1j,
    "None": lambda n: [None, *[1] * (n - 1)],
    "a dictionary": lambda n: {"a": 1},
    "a word": lambda n: "balanced",
    "nothing": lambda n: [],
    "a huge number": lambda n: [HUGE, *[1] * (n - 1)],
    "one huge number": lambda n: HUGE,
    "one NaN": lambda n: np.nan,
    "one negative number": lambda n: -1.0,
    "one 0": lambda n: 0,
    "false": lambda n: False,
    "dates": lambda n: np.zeros(n, "M8[D]"),
    "0 axes": lambda n: np.array(1.0),
    "unequal lists": lambda n: [[1], [1, 2]],
    "objects": lambda n: [object()] * n,
    "sparse": lambda n: sparse.csr_array(np.ones((1, n))),
    "masked": lambda n: np.ma.masked_equal(np.arange(n), 1),
}
"""What sample weights must not be, for so many samples."""
