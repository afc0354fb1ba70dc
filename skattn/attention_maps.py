"""Maps of what attends to what: which are asked for, what room they take, and those of one sequence after another."""

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from skattn._network.architecture import Architecture
from skattn._network.network import Network
from skattn._overflow import refuse_overflow
from skattn._wording import shortened
from skattn.functional import biased_weights
from skattn.sequences import Sequences
from skattn.sizes import memory

# Queries that kernels take together: rows that are cut as these are have the bits of a whole map.
_ROWS = 64
# Steps that are carried through the network together: many short sequences at once, a long one alone.
_STEPS_A_BLOCK = 8192


@dataclass(frozen=True)
class Asked:
    """What somebody wants to see of a network, checked; see `FittedAttributes.attention_weights`."""

    network: Network
    layers: tuple[int, ...]
    is_one_layer: bool
    head: int | None
    average: bool
    steps: Any
    over: str

    @property
    def spreads(self) -> bool:
        """Whether maps of tokens are spread over steps."""
        architecture = self.network.architecture
        return self.over == "steps" and (architecture.stride > 1 or architecture.patch_size > 1)

    def heads(self, layer: int) -> NDArray[np.int64]:
        """The heads of a layer that are looked at."""
        all_of_them = np.arange(len(self.network.architecture.heads_of(layer)))
        return all_of_them if self.head is None else all_of_them[[self.head]]

    def n_rows(self, length: int) -> int:
        """Rows of the whole map of a sequence of some length."""
        return length if self.spreads else int(self.network.count_rows(length))

    def rows(self, length: int, sequence: int) -> Any:
        """The rows that are asked for of a sequence: numbers of them, or one number."""
        n_rows, steps = self.n_rows(length), self.steps
        if steps is None or isinstance(steps, slice):
            return np.arange(n_rows)[slice(None) if steps is None else steps]
        beyond = steps[(steps < -n_rows) | (steps >= n_rows)]
        if beyond.size:
            raise ValueError(
                f"steps holds {beyond.flat[0]}, and the map of sequence {sequence} has {n_rows} rows, "
                f"0 to {n_rows - 1}."
            )
        return steps % n_rows


def ask(network: Network, layer: Any, head: Any, average: bool, steps: Any, over: str) -> Asked:
    """Check what is asked for.

    Raises
    ------
    ValueError
        If there is no such layer or head, both `head` and `average` are given, or `over` or `steps` is something else.
    """
    n_layers = network.architecture.n_layers
    if over not in ("tokens", "steps"):
        raise ValueError(f"over={shortened(repr(over), 60)}; maps are over 'tokens' or 'steps'.")
    layers = range(n_layers) if layer is None else [number_of("layer", layer, n_layers)]
    if head is not None and average:
        raise ValueError(f"head={head} asks for one head, and average=True for the mean of all; give one of both.")
    if head is not None:
        for number in layers:
            number_of("head", head, len(network.architecture.heads_of(number)), f" of layer {number}")
    return Asked(network, tuple(layers), layer is not None, head, bool(average), _whole(steps), over)


def number_of(name: str, number: Any, count: int, of: str = "") -> int:
    """The number of one of several, from 0 on; negative ones count from the last."""
    try:
        is_one = not isinstance(number, bool | np.bool_) and -count <= operator.index(number) < count
    except TypeError:
        is_one = False
    if is_one:
        return operator.index(number) % count
    found = shortened(repr(number), 60)
    raise ValueError(f"{name}={found} is none of the {count} {name}s{of}; try {name}=-1, the last.")


def _whole(steps: Any) -> Any:
    """Rows that are asked for: all, a slice, a number or an array of numbers."""
    if steps is None or isinstance(steps, slice):
        return steps
    numbers = np.asarray(steps)
    if numbers.ndim > 1 or numbers.dtype.kind not in "iu" or numbers.size == 0:
        raise ValueError(
            f"steps={shortened(repr(steps), 60)} names no rows; give a whole number, a slice, or an array of numbers."
        )
    return numbers.astype(np.int64)


def refuse_too_large(asked: Asked, lengths: NDArray[np.int64], *, is_one_by_one: bool) -> None:
    """Refuse rows that there are not, and maps that this machine cannot hold: of all sequences, or of one at a time."""
    sizes = [_bytes_of(asked, length, number) for number, length in enumerate(lengths.tolist())]
    needed = max(sizes) if is_one_by_one else sum(sizes)
    if needed <= memory():
        return
    what = "The maps of one sequence" if is_one_by_one else f"The maps of {len(lengths)} sequences"
    way_out = "" if is_one_by_one else "take them one after another from iter_attention_weights, or "
    raise ValueError(
        f"{what} of up to {lengths.max()} steps need {needed / 2**30:.3g} GiB, and this machine has "
        f"{memory() / 2**30:.3g}; {way_out}ask for less: one layer=, one head=, some steps=."
    )


def _bytes_of(asked: Asked, length: int, number: int) -> int:
    n_heads = sum(len(asked.heads(layer)) for layer in asked.layers)
    return n_heads * np.size(asked.rows(length, number)) * asked.n_rows(length) * asked.network.dtype.itemsize


def iterate(
    asked: Asked,
    data: Sequences,
    spans: Callable[[int], NDArray[np.int64]],
    carry: Callable[[Network, Sequences, str], NDArray[Any]],
    n_jobs: int | None,
) -> Iterator[Any]:
    """Give what is asked for, one sequence after another.

    Parameters
    ----------
    asked : Asked
    data : Sequences
    spans : callable (length) -> int array of shape (n_tokens, 2)
        The steps that each token of a sequence stands for.
    carry : callable (network, data, name) -> ndarray
        What stands in a slot.
    n_jobs : int or None
    """
    network = asked.network
    for block in _blocks(data.lengths):
        some = data.take(block)
        ends = np.cumsum(network.count_rows(some.lengths))[:-1]
        layers = [
            [np.split(carry(network, some, f"layers.{layer}.{name}"), ends) for name in ("query", "key")]
            for layer in asked.layers
        ]
        for place, number in enumerate(block.tolist()):
            length, one, maps = int(data.lengths[number]), data.take([number]), []
            rows = asked.rows(length, number)
            for layer, (queries, keys) in zip(asked.layers, layers, strict=True):
                attending = _Attending(network, layer, queries[place], keys[place], one, n_jobs)
                maps.append(_maps_of(asked, attending, rows, length, spans))
            yield maps[0] if asked.is_one_layer else maps


def over_steps(
    weights: NDArray[Any], spans: NDArray[np.int64], n_steps: int, rows: NDArray[np.int64] | None = None
) -> NDArray[Any]:
    """Spread maps of tokens over the steps that these stand for.

    Parameters
    ----------
    weights : ndarray of shape (n_heads, n_tokens, n_tokens)
    spans : int array of shape (n_tokens, 2)
        The first step of each token, and the one after its last.
    n_steps : int
        Of the sequence.
    rows : int array of shape (n_rows,), optional
        Steps that are looked at; all by default.

    Returns
    -------
    weights : ndarray of shape (n_heads, n_rows, n_steps)
        Rows sum to 1.
    """
    sizes = spans[:, 1] - spans[:, 0]
    tokens = np.repeat(np.arange(len(spans)), sizes)
    steps = np.arange(len(tokens)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + spans[tokens, 0]
    shape = (n_steps, len(spans))
    shares = csr_array((weights.dtype.type(1) / sizes[tokens].astype(weights.dtype), (steps, tokens)), shape)
    unread = np.setdiff1d(np.arange(n_steps), steps)
    steps, tokens = np.append(steps, unread), np.append(tokens, _nearest(unread, spans))
    counts = np.bincount(steps).astype(weights.dtype)
    means = csr_array((weights.dtype.type(1) / counts[steps], (steps, tokens)), shape)
    means = means if rows is None else means[rows]
    return np.stack([means @ (shares @ of_head.T).T for of_head in weights])


def _blocks(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cut sequences into runs of so many steps, or one that is longer."""
    ends = np.cumsum(lengths)
    return np.split(np.arange(len(lengths)), np.flatnonzero(np.diff(ends // _STEPS_A_BLOCK)) + 1)


def _maps_of(asked: Asked, attending: "_Attending", rows: Any, length: int, spans: Any) -> NDArray[Any]:
    """What is asked for of one layer and one sequence."""
    heads, wanted = asked.heads(attending.layer), np.atleast_1d(rows)
    if asked.spreads:
        maps = over_steps(attending.weights(heads), spans(length), length, wanted)
    else:
        is_whole = np.array_equal(wanted, np.arange(attending.n_rows))
        maps = attending.weights(heads, None if is_whole else wanted)
    if asked.average:
        maps = maps.mean(axis=0)
    elif asked.head is not None:
        maps = maps[0]
    return maps if np.ndim(rows) else maps[..., 0, :]


class _Attending:
    """Queries and keys of one sequence in one layer."""

    def __init__(
        self, network: Network, layer: int, query: NDArray[Any], key: NDArray[Any], one: Sequences, n_jobs: int | None
    ) -> None:
        self.network, self.layer, self.n_rows, self._n_jobs = network, layer, len(query), n_jobs
        self._query, self._key = (_split_heads(rows, network.architecture.d_head) for rows in (query, key))
        self._bias = network.bias(one, layer, n_jobs)

    def weights(self, heads: NDArray[np.int64], rows: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """Give the maps of some heads, of shape (n_heads, n_rows, n_keys), or some rows of them."""
        group = self._query.shape[1] // self._key.shape[1]
        query, key = self._query[:, heads], self._key[:, heads // group]
        bias = {name: value if name == "times" else value[heads] for name, value in self._bias.items()}
        if rows is None:
            return self._weights(query, key, bias, 0)
        maps = np.empty((len(heads), len(rows), key.shape[2]), query.dtype)
        for block in np.unique(rows // _ROWS):
            of_block, first = rows // _ROWS == block, int(block) * _ROWS
            some = self._weights(query[:, :, first : first + _ROWS], key, bias, first)
            maps[:, of_block] = some[:, rows[of_block] - first]
        return maps

    def _weights(self, query: NDArray[Any], key: NDArray[Any], bias: dict[str, Any], first: int) -> NDArray[Any]:
        seen = _seen(self.network.architecture)
        weights = biased_weights(query, key, bias, self._n_jobs, first=first, **seen)
        return refuse_overflow(weights[0], self.network)


def _seen(architecture: Architecture) -> dict[str, Any]:
    """Give what each step sees, as `functional.attention_weights` takes it."""
    a = architecture
    return {
        **{"window": a.window, "dilation": a.dilation, "n_global_steps": a.n_global_steps},
        **{"top_k": a.top_k or None, "kind": a.attention},
    }


def _split_heads(rows: NDArray[Any], d_head: int) -> NDArray[Any]:
    """Steps with their heads side by side to (1, n_heads, n_steps, d_head)."""
    return rows.reshape(1, len(rows), -1, d_head).swapaxes(1, 2)


def _nearest(steps: NDArray[np.int64], spans: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tokens nearest to steps that none stands for; of two the earlier."""
    before = np.searchsorted(spans[:, 1], steps, side="right") - 1
    after = np.minimum(before + 1, len(spans) - 1)
    return np.where(spans[after, 0] - steps < steps - spans[before, 1] + 1, after, before)
