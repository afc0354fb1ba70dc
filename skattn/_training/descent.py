"""From gradients to moved parameters, several updates in a row: clipping, divergence, the optimiser's step."""

import numpy as np

from skattn._kernels import parallel, update

# Parameters from which on threads share an update; fewer are passed over by one.
_WORTH_A_REGION = 1 << 20


class Descent:
    """Moves parameters along gradients that are computed between its stages.

    Parameters
    ----------
    optimizer : Optimizer
        Its ``n_updates`` are counted by `count`.
    parameters : ndarray of shape (n_learned,)
    n_decayed : int
    clip_norm : float
        Largest Euclidean norm of a gradient over all parameters together; longer ones are shortened, keeping their
        direction. ``inf`` leaves every finite gradient alone.

    Attributes
    ----------
    losses, norms : ndarray of shape (n_updates,), float64
        Of each update since `plan`: the weighted sum of the losses of its batch, and the norm of its gradient before it
        was shortened.
    n_done : int
        Updates since `plan` that have moved the parameters.
    stop : ndarray of int64, shape (1,)
        Not 0 as soon as a loss or a norm is not finite.
    """

    def __init__(self, optimizer, parameters, n_decayed, clip_norm):
        self.optimizer, self._parameters, self._n_decayed = optimizer, parameters, n_decayed
        self._clip_norm, self._dtype = float(clip_norm), optimizer.dtype.name
        self._sums, self._factor = np.empty(optimizer.n_blocks), np.ones(1)
        self.plan([])

    def plan(self, rates):
        """Say how large the learning rate is at each of the updates that follow."""
        self._rates, self._n_counted = rates, 0
        self.losses, self.norms = np.full((2, len(rates)), np.nan)
        self._done, self.stop = np.zeros(1, np.int64), np.zeros(1, np.int64)

    @property
    def n_done(self):
        """Updates since `plan` that have moved the parameters."""
        return int(self._done[0])

    def count(self):
        """Let the optimiser know of updates that it has not counted yet, and give how many there are."""
        n_new = self.n_done - self._n_counted
        self.optimizer.n_updates += n_new
        self._n_counted += n_new
        return n_new

    def stages(self, gradient, losses, weights, firsts, counts, n_workers):
        """Give what is to run after each gradient, as records `Stage` of shape (n_updates, 3, 4).

        Parameters
        ----------
        gradient : ndarray of shape (n_learned,)
            That of every update, one after another.
        losses : ndarray of shape (n_sequences,)
            Of the sequences of all updates.
        weights : ndarray of shape (n_sequences,), float64
        firsts, counts : int array of shape (n_updates,)
            Where the sequences of each update begin, and how many they are.
        n_workers : int
        """
        n_updates, n_blocks = len(self._rates), self.optimizer.n_blocks
        squares = update.Squares.new(
            vector=parallel.address(gradient), size=gradient.size, sums=parallel.address(self._sums)
        )
        one = update.Judgement.new(
            sums=parallel.address(self._sums), n_sums=n_blocks, factor=parallel.address(self._factor),
            n_done=parallel.address(self._done), stop=parallel.address(self.stop), most=self._clip_norm,
        )  # fmt: skip
        numbers = np.arange(n_updates) * self.losses.itemsize
        judgements = update.Judgement.write(
            update.Judgement.repeat(one, n_updates),
            losses=parallel.address(losses) + firsts * losses.itemsize,
            weights=parallel.address(weights) + firsts * weights.itemsize,
            n_losses=counts,
            loss=parallel.address(self.losses) + numbers,
            norm=parallel.address(self.norms) + numbers,
        )
        arguments = self._parameters, gradient, self._factor, self._rates, self._n_decayed
        moves = self.optimizer.plan(*arguments)
        # What stages point to lives as long as the plan.
        self._alive = squares, judgements, moves, gradient, losses, weights
        workers = n_workers if gradient.size >= _WORTH_A_REGION else 1
        given = (
            (update.square_item, squares, 0, n_blocks),
            (update.judge_item, judgements, judgements.strides[0], 1),
            (self.optimizer.kernel, moves, moves.strides[0], n_blocks),
        )
        columns = [
            parallel.write_stages(kernel, self._dtype, records, step, n_updates, n_items, workers)
            for kernel, records, step, n_items in given
        ]
        return np.stack(columns, axis=1)
