"""Build a long data frame of one of several libraries from sequences."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._containers import as_array, plain_container
from skattn._feature_names import named_sample
from skattn._frame_columns import array_of, library
from skattn._wording import shortened
from skattn.held_categories import with_codes


def build_frame(sequences: Any, index: Any, columns: Any, id: list[Any], order: Any, kind: str) -> Any:
    """Put sequences into one frame; see `frame_from_sequences`, whose `id` is a list of names here."""
    if kind not in _MAKERS:
        raise ValueError(f"kind={kind!r}; frames are made by {', '.join(map(repr, _MAKERS))}.")
    samples = [with_codes(sample) for sample in plain_container(sequences)]
    arrays = _arrays_of(samples)
    names = _names_of(samples, columns, arrays[0].shape[1])
    lengths = np.array([len(steps) for steps in arrays])
    adds_order = order is not None and order not in names
    _refuse_repeated([*id, *([order] if adds_order else []), *names])
    data: dict[str, Any] = dict(zip(id, _ids_of(index, id, lengths), strict=True))
    if adds_order:
        data[order] = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    values = np.concatenate(arrays)
    categories = _categories_of(samples, names)
    data |= {
        name: column if known is None else _decoded(column, known, name, lengths)
        for name, column, known in zip(names, values.T, categories, strict=True)
    }
    return _MAKERS[kind](library(kind, f"A frame of kind={kind!r}"), data)


def _refuse_repeated(names: list[str]) -> None:
    repeated = [str(name) for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"The frame would have several columns of the name {shortened(', '.join(repeated))}; give each a name of "
            "its own by id, order or columns."
        )


def _arrays_of(samples: Sequence[Any]) -> list[NDArray[Any]]:
    """Samples as arrays of two axes and one width."""
    if not samples:
        raise ValueError("There are no sequences to make a frame of; pass at least one.")
    arrays = [np.asarray(as_array(sample)) for sample in samples]
    for i, steps in enumerate(arrays):
        if steps.ndim == 1:
            raise ValueError(
                f"Sample {i} has shape {steps.shape}, and sequences are arrays of shape (n_steps_i, n_features); where "
                "there is one feature, pass each as steps[:, np.newaxis]."
            )
        if steps.ndim != 2 or steps.shape[1] != arrays[0].shape[1]:
            raise ValueError(
                f"Sample {i} has shape {steps.shape}, and sample 0 {arrays[0].shape}; sequences are arrays of shape "
                "(n_steps_i, n_features), with the same features."
            )
    return arrays


def _names_of(samples: Sequence[Any], columns: Any, width: int) -> list[str]:
    """Names of the features: those given, those the samples have, or x0, x1, ..."""
    if columns is None:
        named = named_sample(samples)
        # Arrow tables have their columns there, and the names elsewhere.
        columns = getattr(named, "column_names", None) or getattr(named, "columns", None)
    names = [f"x{i}" for i in range(width)] if columns is None else list(map(str, columns))
    if len(names) != width:
        raise ValueError(f"columns has {len(names)} names, and a step has {width} features; give one for each.")
    return names


def _ids_of(index: Any, id: list[Any], lengths: NDArray[np.int64]) -> list[NDArray[Any]]:
    """The columns of ids, each repeated on all steps."""
    entries = list(range(len(lengths)) if index is None else index if np.iterable(index) else [index])
    if len(entries) != len(lengths):
        raise ValueError(f"index has {len(entries)} ids, and there are {len(lengths)} sequences; give one for each.")
    repeated = [entry for entry, count in Counter(entries).items() if count > 1]
    if repeated:
        raise ValueError(f"index has {repeated[0]} twice, so two sequences could not be told apart; give each its own.")
    tuples = [entry if isinstance(entry, tuple) else (entry,) for entry in entries]
    wrong = [entry for entry in tuples if len(entry) != len(id)]
    if wrong:
        raise ValueError(
            f"id has {len(id)} names, and index holds {shortened(wrong[0], 60)}; give a list of names for an index "
            "of tuples, one for each entry, and one name otherwise."
        )
    typed = len(id) == 1 and hasattr(index, "dtype")
    parts = [np.asarray(index)] if typed else [array_of(list(part)) for part in zip(*tuples, strict=True)]
    return [np.repeat(part, lengths) for part in parts]


def _categories_of(samples: Sequence[Any], names: list[str]) -> tuple[Any, ...]:
    """The values behind codes, which must be the same in all samples."""
    first = getattr(samples[0], "categories", None) or (None,) * len(names)
    for i, sample in enumerate(samples):
        found = getattr(sample, "categories", None) or (None,) * len(names)
        for name, one, other in zip(names, first, found, strict=True):
            if one is not other and not (one is not None and other is not None and np.array_equal(one, other)):
                raise ValueError(
                    f"Sample {i} has other categories of {name!r} than sample 0, so codes mean different things; read "
                    "the frames of both at once, or pass np.asarray(steps) for the codes themselves."
                )
    return tuple(first)


def _decoded(codes: NDArray[Any], categories: NDArray[Any], name: str, lengths: NDArray[np.int64]) -> Any:
    """Codes with their categories, -1 where missing."""
    missing = np.isnan(codes)
    places = np.where(missing, -1, codes).astype(np.int64)
    wrong = np.flatnonzero(~missing & ((places != codes) | (places < 0) | (places >= len(categories))))
    if len(wrong):
        sample = int(np.searchsorted(np.cumsum(lengths), wrong[0], side="right"))
        raise ValueError(
            f"Sample {sample} holds {codes[wrong[0]]} as {name!r}, which is no code of its {len(categories)} "
            "categories; pass np.asarray(steps) for the numbers themselves."
        )
    return _Codes(places, categories)


class _Codes:
    """A column of codes, with what they stand for."""

    def __init__(self, places: NDArray[np.int64], categories: NDArray[Any]) -> None:
        self.places, self.categories = places, categories
        self.are_words = categories.dtype.kind == "U"

    def plain(self) -> list[Any]:
        """The values, None where missing."""
        known = [*self.categories.tolist(), None]
        return [known[place] for place in self.places.tolist()]


def _make_pandas(pandas: Any, data: dict[str, Any]) -> Any:
    def column(codes: _Codes) -> Any:
        if codes.categories.dtype.kind == "b":
            return np.array(codes.plain()) if codes.places.min() >= 0 else pandas.array(codes.plain(), dtype="boolean")
        return pandas.Categorical.from_codes(codes.places, categories=codes.categories)

    return pandas.DataFrame(_convert(data, column))


def _make_polars(polars: Any, data: dict[str, Any]) -> Any:
    def column(codes: _Codes) -> Any:
        return polars.Series(codes.plain(), dtype=polars.Enum(codes.categories) if codes.are_words else None)

    return polars.DataFrame(_convert(data, column))


def _make_pyarrow(pyarrow: Any, data: dict[str, Any]) -> Any:
    def column(codes: _Codes) -> Any:
        if not codes.are_words:
            return codes.plain()
        places = pyarrow.array(codes.places, mask=codes.places < 0)
        return pyarrow.DictionaryArray.from_arrays(places, pyarrow.array(codes.categories.tolist()))

    return pyarrow.table(_convert(data, column))


def _convert(data: dict[str, Any], column: Callable[[_Codes], Any]) -> dict[str, Any]:
    """All columns, codes among them as one library has them."""
    return {name: column(entry) if isinstance(entry, _Codes) else entry for name, entry in data.items()}


_MAKERS = {"pandas": _make_pandas, "polars": _make_polars, "pyarrow": _make_pyarrow}
