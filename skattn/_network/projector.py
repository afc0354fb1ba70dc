"""The embedding behind a stem: tokens of a whole batch go in, and what the tape begins with comes out."""

import numpy as np

from .._kernels import parallel, projection
from .layers import probability
from .stem import Tokens

# Multiplications that a thread has at least.
_WORK_A_WORKER = 1 << 22
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
        self.release()

    def release(self):
        """Give back the room that learning took."""
        self._idle = []

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

    def learn(self, parameters, tokens, seed, n_update, n_jobs):
        """Give a run whose `embedded` is as by `forward` with features dropped, and which can go back."""
        run = self._begin(parameters, tokens, n_jobs)
        # An odd number of cache lines: rows that lie a power of two apart would push each other out of the cache.
        across = _LINE * (-(-self._sizes[0] // _LINE) | 1)
        try:
            # Popping is atomic, so two Python threads never get the same room.
            room = self._idle.pop()
        except IndexError:
            room = np.empty(0, self._dtype)
        run.kept = room if room.size >= run.n_rows * across else np.empty(run.n_rows * across, self._dtype)
        run.point(kept=run.kept)
        run.set(kept_width=across, rate=self._rate, seed=seed, update=n_update)
        run.share_out(projection.project_item, run.n_items)
        return run

    def backward(self, run, d_embedded, gradient):
        """Write the gradient of weight and bias into that of all parameters.

        Parameters
        ----------
        run : object that `learn` gave
        d_embedded : ndarray of shape (n_rows, n_out)
        gradient : ndarray of shape (n_parameters,)
        """
        run.point(d_out=d_embedded, d_weight=gradient[self.weight], d_shift=gradient[self.bias])
        run.share_out(projection.project_backward_item, -(-self._sizes[0] // projection.FEATURES_AN_ITEM))
        self._idle = [run.kept]

    def _begin(self, parameters, tokens, n_jobs):
        width, n_out = self._sizes
        lengths = np.ascontiguousarray(tokens.lengths, np.int64)
        begins = np.concatenate([[0], np.cumsum(lengths)])
        run = _Run(int(begins[-1]), begins, lengths, n_out, self._dtype)
        run.workers = int(min(parallel.n_workers(n_jobs), 1 + run.n_rows * width * n_out // _WORK_A_WORKER))
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


class _Run(parallel.Arguments):
    """One batch on its way."""

    def __init__(self, n_rows, begins, lengths, n_out, dtype):
        super().__init__(projection.Product, dtype)
        self.n_rows, self.n_items = n_rows, -(-n_rows // projection.ROWS_AN_ITEM)
        self.embedded = Tokens(np.empty((n_rows, n_out), dtype), begins[:-1], lengths)
        firsts = np.arange(0, n_rows, projection.ROWS_AN_ITEM)
        self.first_samples = np.searchsorted(begins, firsts, side="right") - 1
