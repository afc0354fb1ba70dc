"""Learn to tell two views of each sequence from those of the others in a batch (Chen et al. 2020, arXiv:2002.05709)."""

from dataclasses import dataclass

import numpy as np

from .._kernels import contrast, parallel
from .._kernels.contrast import Contrast
from .._kernels.operation import JUDGE
from .._kernels.random import CROP_SITE
from .learner import Learner, Plan, in_order
from .walking import Walking

SHORTEST_CROP = 0.5
"""Share of a sequence's steps that a crop has at least."""

MOST_TOGETHER = 128
"""Sequences that are judged together."""

_UNIT = 1 << 24


@dataclass(frozen=True)
class Views:
    """Two pieces of each of some sequences, side by side, as a network takes sequences.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_features)
        Those of the sequences.
    starts, lengths, ids : int64 array of shape (2 * n_samples,)
        Where each view begins, its steps, and what its random numbers count from.
    """

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    ids: np.ndarray


def draw_views(data, ids, crops, seed=0, updates=0):
    """Draw two views of each sequence: a piece each, or all of it.

    Parameters
    ----------
    data : object with ``values``, ``starts`` and ``lengths``
    ids : int array of shape (n_samples,)
        Numbers of the sequences.
    crops : bool
        Whether a view is a piece, of `SHORTEST_CROP` of the steps or more.
    seed : int
    updates : int, or int array of shape (n_samples,)
        Numbers of the updates.

    Returns
    -------
    views : Views
    """
    starts, lengths, updates = (
        np.repeat(np.broadcast_to(part, len(ids)).astype(np.int64), 2) for part in (data.starts, data.lengths, updates)
    )
    ids = np.repeat(2 * np.asarray(ids, np.int64), 2) + np.tile([0, 1], len(ids))
    if crops:
        share, place = _draws(seed, updates, ids, CROP_SITE)
        kept = np.ceil((SHORTEST_CROP + (1 - SHORTEST_CROP) * share) * lengths).astype(np.int64)
        starts += (place * (lengths - kept + 1)).astype(np.int64)
        lengths = kept
    return Views(data.values, starts, lengths, ids)


def _draws(seed, updates, ids, site):
    """Draw two numbers below 1 for each sequence, as kernels draw: see `skattn._kernels.random.drawing_of`."""
    given = (np.asarray(part, np.int64).astype(np.uint64) for part in (seed, updates, ids, site))
    seed, updates, ids, site = np.broadcast_arrays(*given)
    state = _mix(seed * np.uint64(0x1F83D9AB) + updates)
    state = _mix(state * np.uint64(0x2545F491) + ids) + site * np.uint64(0x3C6EF372)
    return [(_mix(state + np.uint64(i)) & np.uint64(_UNIT - 1)).astype(np.float64) / _UNIT for i in range(2)]


def _mix(state):
    """Mix 64 bits as `skattn._kernels.random.mix` does."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return state ^ (state >> np.uint64(31))


def _contrasts(network, n_views, embeddings, gradients, room):
    """Give the record that stages of a batch are told, of so many views at most."""
    width = network.architecture.n_outputs
    arrays = {
        "embeddings": embeddings, "gradients": gradients, "units": room("units", n_views * width),
        "norms": room("norms", n_views), "scores": room("scores", n_views * n_views), "levels": room("levels", n_views),
    }  # fmt: skip
    pointers = {name: parallel.address(array) for name, array in arrays.items()}
    return Contrast.new(**pointers, width=width, temperature=network.architecture.temperature), arrays


def losses(network, data, n_jobs=None):
    """Give the loss of each sequence among up to `MOST_TOGETHER` that follow each other: without dropout, in views that
    are the same every time; shape (n_samples,).
    """
    n_samples, runner, found = len(data.lengths), network.runner, []
    for samples in np.array_split(np.arange(n_samples), -(-n_samples // MOST_TOGETHER)):
        part = data.take(samples)
        views = draw_views(part, samples, "crop" in network.architecture.augmentations)
        embeddings = runner.forward(network, views, "outputs", n_jobs, purpose=JUDGE)

        def room(name, size):
            return np.empty(size, network.dtype)

        record, _alive = _contrasts(network, len(embeddings), embeddings, embeddings, room)
        of_part = np.empty(len(samples), network.dtype)
        Contrast.write(record, n_views=len(embeddings), losses=parallel.address(of_part))
        for kernel, n_items in ((contrast.unit_item, len(embeddings)), (contrast.score_item, len(samples))):
            parallel.run(kernel, network.dtype.name, record, n_items, parallel.n_workers(n_jobs))
        found.append(of_part)
    return np.concatenate(found).astype(np.float64)


class ContrastiveLearner(Learner):
    """Gives losses and gradients of batches whose sequences are told from each other; see `Learner`."""

    def plan(self, order, counts, weight, n_update, descent, ids=None):
        """Write down some updates; see `Learner.plan`."""
        network, data, firsts = self._network, self._data.take(order), np.cumsum(counts) - counts
        updates = np.repeat(n_update + np.arange(len(counts)), counts)
        crops = "crop" in network.architecture.augmentations
        views = draw_views(data, order if ids is None else ids, crops, self._seed, updates)
        given = self._runner, network, self._n_workers, 2 * firsts, 2 * counts, views.lengths
        walking = Walking(*given, cuts_within=False)
        numbers = np.arange(len(views.ids)) - np.repeat(2 * firsts, 2 * counts)
        width, most = network.architecture.n_outputs, 2 * int(counts.max())
        gradients, embeddings = (self._runner.room(name, most * width) for name in ("d_embeddings", "embeddings"))
        walking.point(
            source=views.values, starts=views.starts, ids=views.ids, targets=gradients, target_starts=numbers,
            losses=np.empty(len(views.ids), network.dtype), sample_weights=np.ones(len(views.ids), network.dtype),
        )  # fmt: skip
        walking.set(seed=self._seed, is_double=views.values.dtype.char == "d", n_targets=width)
        walking.set(update=n_update + np.arange(len(counts)))
        losses, stop, weight = np.empty(len(order), network.dtype), np.zeros(1, np.int64), np.ascontiguousarray(weight)
        stages, alive = self._contrast(embeddings, gradients, losses, weight, firsts, counts)
        after = [walking.sums(self.gradient), *walking.tables(self.gradient)]
        # Where tables note what was found is known only now, and both walks must be told.
        before = [walking.turns(), walking.forward("outputs", embeddings, numbers), *stages, walking.shares()]
        if descent is not None:
            moves, stop = descent.stages(self.gradient, losses, weight, firsts, counts, self._n_workers), descent.stop
            after += [moves[:, column] for column in range(moves.shape[1])]
        written, ends = in_order(before, [None] * len(counts), after)
        return Plan(losses, parallel.Listed(written, stop), ends, (self, descent, weight, walking, alive))

    def _contrast(self, embeddings, gradients, losses, weight, firsts, counts):
        """Give the stages that make the losses of batches, and the gradients of their embeddings."""
        room, n_views = self._runner.room, 2 * counts
        one, arrays = _contrasts(self._network, int(n_views.max()), embeddings, gradients, room)
        records = Contrast.write(
            Contrast.repeat(one, len(counts)),
            n_views=n_views,
            weights=parallel.address(weight) + firsts * weight.itemsize,
            losses=parallel.address(losses) + firsts * losses.itemsize,
        )
        given = (contrast.unit_item, n_views), (contrast.score_item, counts), (contrast.gradient_item, counts)
        dtype, step = self._network.dtype.name, records.strides[0]
        # A score is a product of two embeddings.
        workers = np.where(n_views**2 * self._network.architecture.n_outputs >= 1 << 20, self._n_workers, 1)
        stages = [
            parallel.write_stages(kernel, dtype, records, step, len(counts), n_items, workers)
            for kernel, n_items in given
        ]
        return stages, (records, arrays)
