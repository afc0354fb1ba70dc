"""Learn from batches without the interpreter: what updates do is written down as stages, many updates at once."""

from dataclasses import dataclass, replace

import numpy as np

from .._kernels import parallel
from .._kernels.parallel import Stage
from .runner import split_target
from .stem import Tokens
from .tokenising import token_stages
from .walking import Walking


class Learner:
    """Gives losses and gradients of batches, and lets somebody move the parameters after each.

    Parameters
    ----------
    network : Network
    data : object with ``values``, ``starts``, ``lengths`` and ``take``
        All that is learned from: sequences, or their tokens where there is a stem. Where sequences are given to one
        with a stem, tokens are made anew for every batch.
    target : ndarray of shape (n_samples, n_targets), object with ``values`` and ``starts``, or None for reconstruction
        See `split_target`.
    seed : int
        With the number of an update and that of a sample it decides every random number.
    n_jobs : int, optional

    Attributes
    ----------
    gradient : ndarray of shape (n_learned,)
        Of the last update.
    """

    def __init__(self, network, data, target, seed, n_jobs=None):
        self._network, self._data, self._seed = network, data, seed
        self._target, self._target_starts = (None, None) if target is None else split_target(target, network.dtype)
        self._runner, self._projector = network.runner, network.projector
        self._n_workers = parallel.n_workers(n_jobs)
        self.gradient = self._runner.room("gradient", self._runner.n_learned)

    def plan(self, order, counts, weight, n_update, descent, ids=None, d_source=None):
        """Write down some updates.

        Parameters
        ----------
        order : int array of shape (n_sequences,)
            Samples of all batches, one batch behind another.
        counts : int array of shape (n_updates,)
            Sequences of each batch.
        weight : ndarray of shape (n_sequences,), float64
            What the loss of each sequence counts.
        n_update : int
            Number of the first update.
        descent : object with ``stages`` and ``stop``, or None
            What is done after each gradient; it leaves 0 where the gradient is 0.
        ids : int array of shape (n_sequences,), optional
            What random numbers count from; by default the number of the sample.
        d_source : ndarray of shape (n_rows, d_model), optional
            Where the gradient of embedded steps or tokens goes, if somebody wants to see that and learns nothing.

        Returns
        -------
        plan : Plan
        """
        firsts = np.cumsum(counts) - counts
        data = self._data
        lengths, starts = (np.ascontiguousarray(part[order], np.int64) for part in (data.lengths, data.starts))
        source, before, after, embedding = data.values, [], [], None
        if self._projector is not None:
            before, lengths, embedding = self._embed(starts, lengths, firsts, counts, n_update)
            source, starts = embedding.out, embedding.starts
            learns = d_source is None and self._projector.weight.stop <= self._network.n_learned
            after = [embedding.backward] if learns else []
        walking = Walking(self._runner, self._network, self._n_workers, firsts, counts, lengths)
        losses, stop = np.empty(len(order), self._network.dtype), np.zeros(1, np.int64)
        walking.point(
            source=source, starts=starts, losses=losses, sample_weights=weight.astype(self._network.dtype),
            ids=np.ascontiguousarray(order if ids is None else ids),
        )  # fmt: skip
        walking.set(seed=self._seed, update=n_update + np.arange(len(counts)), is_double=source.dtype.char == "d")
        self._want(walking, order)
        if d_source is not None:
            walking.point(d_source=d_source)
        elif embedding is not None:
            walking.point(d_source=embedding.d_out)
        before = [walking.turns(), *before, walking.shares()]
        after = [walking.sums(self.gradient), *walking.tables(self.gradient), *after]
        if descent is not None:
            moves, stop = descent.stages(self.gradient, losses, weight, firsts, counts, self._n_workers), descent.stop
            after += [moves[:, column] for column in range(moves.shape[1])]
        stages, ends = in_order(before, walking.long_stages(), after)
        return Plan(losses, parallel.Listed(stages, stop), ends, (self, descent, weight, embedding, walking))

    def _want(self, walking, order):
        """Say what the sequences of all batches should give."""
        if self._target is None:
            return
        walking.set(n_targets=self._target.shape[1])
        if self._target_starts is None:
            walking.point(targets=self._target[order])
        else:
            walking.point(targets=self._target, target_starts=self._target_starts[order])

    def _embed(self, starts, lengths, firsts, counts, n_update):
        """Give the stages before the tape where there is a stem, the tokens of each sequence, and their embedding."""
        tokens, before, kept, is_made = self._data.values, [], (), not isinstance(self._data, Tokens)
        if is_made:
            scaling = self._network.mean, self._network.scale
            before, tokens, starts, lengths, kept = token_stages(
                self._network.stem, np.ascontiguousarray(tokens), starts, lengths, firsts, counts, scaling,
                self._runner.room, self._n_workers,
            )  # fmt: skip
        embedding = self._projector.stages(
            self._network.parameters, tokens, starts, lengths, firsts, counts, gradient=self.gradient,
            seed=self._seed, n_update=n_update, room=self._runner.room, n_workers=self._n_workers,
            is_spent=is_made,
        )  # fmt: skip
        return [*before, embedding.forward], lengths, replace(embedding, alive=(embedding.alive, kept))


@dataclass(frozen=True)
class Plan:
    """Updates that are written down.

    Attributes
    ----------
    losses : ndarray of shape (n_sequences,)
        Of each sequence, without weights, as far as updates have run.
    """

    losses: np.ndarray
    _stages: parallel.Listed
    _ends: list
    _alive: tuple

    def run(self, first, last):
        """Take the updates from the one numbered `first` to that before `last`, in compiled code."""
        self._stages.run(self._ends[first], self._ends[last])


def in_order(before, long, after):
    """Bring stages into the order in which they run; and say where those of each update begin, and the end."""
    n_plain = len(before) + len(after)
    if all(stages is None for stages in long):
        stages = np.stack([*before, *after], axis=1)
        return stages.reshape(-1, len(Stage)), [number * n_plain for number in range(len(long) + 1)]
    parts = []
    for number, stages in enumerate(long):
        parts += [column[number : number + 1] for column in before]
        parts += [] if stages is None else [stages]
        parts += [column[number : number + 1] for column in after]
    counts = [n_plain + (0 if stages is None else len(stages)) for stages in long]
    return np.concatenate(parts), [0, *np.cumsum(counts).tolist()]
