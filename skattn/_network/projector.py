"""The embedding behind a stem: tokens of a whole batch go in, and what the tape begins with comes out."""

from dataclasses import dataclass

import numpy as np

from .._kernels import parallel, projection
from .layers import probability
from .runner import WORK_A_WORKER
from .stem import Tokens

# Numbers of a cache line, of whichever precision.
_LINE = 16


class Projector:
    """Multiplies the tokens of a batch with the embedding's weights, which the tape declares and does not use.

    Parameters
    ----------
    weight, bias : slice
        Where they are in the flat parameters.
    width, n_out : int
        Features of a token, and what they become.
    dropout : float
        Share of the features dropped while learning: in blocks, for a batch alike, so that they cost nothing.
    dtype : {"float32", "float64"}
    """

    def __init__(self, weight, bias, width, n_out, dropout, dtype):
        self.weight, self.bias = weight, bias
        self._sizes = width, n_out
        self._rate, self._dtype = probability(dropout), dtype

    def forward(self, parameters, tokens, n_jobs):
        """Give the embedded tokens of sequences.

        Parameters
        ----------
        parameters : ndarray
            All of the network's.
        tokens : Tokens
        n_jobs : int or None

        Returns
        -------
        embedded : Tokens
            Of `n_out` numbers, all behind each other.
        """
        run = self._begin(parameters, tokens, n_jobs)
        run.share_out(projection.project_item, run.n_items)
        return run.embedded

    def stages(
        self, parameters, values, starts, lengths, firsts, counts, *, gradient, seed, n_update, room, n_workers,
        is_spent,
    ):  # fmt: skip
        """Write down what some updates do: embed tokens with features dropped, and, on the way back, write the gradient
        of weight and bias into that of all parameters.

        Parameters
        ----------
        parameters, gradient : ndarray
        values : ndarray of shape (n_rows, width)
            Tokens.
        starts, lengths : int array of shape (n_sequences,)
            Of the sequences of all batches, one batch behind another.
        firsts, counts : int array of shape (n_updates,)
            Where each batch's sequences begin, and how many they are.
        seed, n_update : int
        room : callable (name, size) -> ndarray
        n_workers : int
        is_spent : bool
            Whether nobody reads the tokens of an update after it, which lie behind each other from the first row on:
            what is left of them is then kept in their place.

        Returns
        -------
        stages : Stages
        """
        (width, n_out), n_updates = self._sizes, len(counts)
        ends = np.cumsum(lengths)
        begins = ends - lengths
        n_rows = ends[firsts + counts - 1] - begins[firsts]
        local = begins - np.repeat(begins[firsts], counts)
        # Each batch's rows begin at 0 and end with how many they are, so one number more than sequences a batch.
        row_starts, places = np.empty(len(lengths) + n_updates, np.int64), firsts + np.arange(n_updates)
        row_starts[np.arange(len(lengths)) + np.repeat(np.arange(n_updates), counts)] = local
        row_starts[places + counts] = n_rows
        n_items = -(-n_rows // projection.ROWS_AN_ITEM)
        item_places = np.cumsum(n_items) - n_items
        of_item = np.repeat(np.arange(n_updates), n_items)
        rows = (np.arange(len(of_item)) - item_places[of_item]) * projection.ROWS_AN_ITEM + begins[firsts][of_item]
        first_samples = np.searchsorted(begins, rows, side="right") - 1 - firsts[of_item]
        workers = np.minimum(n_workers, 1 + n_rows * width * n_out // WORK_A_WORKER)
        # An odd number of cache lines: rows that lie a power of two apart would push each other out of the cache.
        across, most = width if is_spent else _LINE * (-(-width // _LINE) | 1), int(n_rows.max())
        arrays = {
            "tokens": values, "weight": parameters[self.weight], "shift": parameters[self.bias],
            "out": room("embedded", most * n_out), "d_out": room("d_embedded", most * n_out),
            "kept": values if is_spent else room("kept", most * across),
            "d_weight": gradient[self.weight], "d_shift": gradient[self.bias],
            "runs": np.empty(int(workers.max()) * (width // projection.DROPPED + 4), np.int64),
            "scratch": np.empty(int(workers.max()), self._dtype),
        }  # fmt: skip
        one = projection.Product.new(
            **{name: parallel.address(array) for name, array in arrays.items()},
            **{"width": width, "n_out": n_out, "kept_width": across, "rate": self._rate, "seed": seed},
        )
        records = projection.Product.write(
            projection.Product.repeat(one, n_updates),
            token_starts=parallel.address(starts) + firsts * starts.itemsize,
            row_starts=parallel.address(row_starts) + places * row_starts.itemsize,
            first_samples=parallel.address(first_samples) + item_places * first_samples.itemsize,
            n_samples=counts,
            update=n_update + np.arange(n_updates),
        )

        def stages(kernel, n_items):
            return parallel.write_stages(kernel, self._dtype, records, records.strides[0], n_updates, n_items, workers)

        n_blocks = -(-width // projection.FEATURES_AN_ITEM)
        return Stages(
            stages(projection.project_item, n_items), stages(projection.project_backward_item, n_blocks),
            arrays["out"], arrays["d_out"], local, (records, arrays, starts, row_starts, first_samples),
        )  # fmt: skip

    def _begin(self, parameters, tokens, n_jobs):
        width, n_out = self._sizes
        lengths = np.ascontiguousarray(tokens.lengths, np.int64)
        begins = np.concatenate([[0], np.cumsum(lengths)])
        run = _Run(int(begins[-1]), begins, lengths, n_out, self._dtype)
        run.workers = int(min(parallel.n_workers(n_jobs), 1 + run.n_rows * width * n_out // WORK_A_WORKER))
        run.point(
            tokens=tokens.values,
            token_starts=np.ascontiguousarray(tokens.starts, np.int64),
            row_starts=begins,
            first_samples=run.first_samples,
            weight=parameters[self.weight],
            shift=parameters[self.bias],
            out=run.embedded.values,
            runs=np.empty(run.workers * (width // projection.DROPPED + 4), np.int64),
            scratch=np.empty(run.workers, self._dtype),
        )
        run.set(n_samples=len(lengths), width=width, n_out=n_out)
        return run


@dataclass(frozen=True)
class Stages:
    """The embedding of some updates: stages there and back, the rows between, and where sequences begin there."""

    forward: np.ndarray
    backward: np.ndarray
    out: np.ndarray
    d_out: np.ndarray
    starts: np.ndarray
    alive: tuple


class _Run(parallel.Arguments):
    """One batch on its way."""

    def __init__(self, n_rows, begins, lengths, n_out, dtype):
        super().__init__(projection.Product, dtype)
        self.n_rows, self.n_items = n_rows, -(-n_rows // projection.ROWS_AN_ITEM)
        self.embedded = Tokens(np.empty((n_rows, n_out), dtype), begins[:-1], lengths)
        firsts = np.arange(0, n_rows, projection.ROWS_AN_ITEM)
        self.first_samples = np.searchsorted(begins, firsts, side="right") - 1
