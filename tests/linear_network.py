"""The smallest thing that the training loop can train: a linear model in NumPy, with a network's methods."""

from dataclasses import dataclass

import numpy as np

from skattn._kernels import parallel


@dataclass
class Rows:
    """Samples of one step each, with the three fields and the method that the loop uses."""

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    def take(self, indices):
        """Some of the samples, sharing the values."""
        return Rows(self.values, self.starts[indices], self.lengths[indices])

    @property
    def features(self):
        """One row a sample."""
        return self.values[self.starts]


@dataclass
class Samples:
    """Samples as the loop takes them."""

    data: object
    target: np.ndarray
    weight: np.ndarray = None

    def __post_init__(self):
        if self.weight is None:
            self.weight = np.ones(len(self.data.starts))

    def take(self, indices):
        """Some of the samples."""
        target = None if self.target is None else self.target[indices]
        return Samples(self.data.take(indices), target, self.weight[indices])


def make_rows(features):
    """Rows from an array of shape (n_samples, n_features)."""
    n_samples = len(features)
    return Rows(features, np.arange(n_samples), np.ones(n_samples, dtype=np.int64))


class LinearNetwork:
    """``outputs = features @ weight + bias`` under the loss that its name says."""

    def __init__(self, n_features, n_outputs, loss="cross_entropy", dtype=np.float64, seed=0):
        self.loss, self.dtype = loss, np.dtype(dtype)
        self.n_decayed = n_features * n_outputs
        generator = np.random.default_rng(seed)
        self.parameters = generator.normal(size=self.n_decayed + n_outputs).astype(dtype)
        self.n_outputs = n_outputs
        self.n_calls = 0

    @property
    def n_learned(self):
        """All parameters learn."""
        return self.parameters.size

    @property
    def weight(self):
        """A view of the first parameters."""
        return self.parameters[: self.n_decayed].reshape(-1, self.n_outputs)

    @property
    def bias(self):
        """A view of the last parameters."""
        return self.parameters[self.n_decayed :]

    def forward(self, data, name, n_jobs=None):
        return data.features @ self.weight + self.bias

    def losses(self, data, target, n_jobs=None):
        return self._losses_and_slopes(data, target)[0]

    def learner(self, data, target, seed, n_jobs=None):
        return PythonLearner(self, data, target, seed)

    def loss_and_gradient(self, data, target, weight, *, ids, seed, n_update, n_jobs=None):
        assert n_update == self.n_calls, "updates are counted from 0 without a gap"
        self.n_calls += 1
        losses, slopes = self._losses_and_slopes(data, target)
        slopes = slopes * weight[:, np.newaxis]
        gradient = np.concatenate([(data.features.T @ slopes).ravel(), slopes.sum(axis=0)])
        return float(losses @ weight), gradient.astype(self.dtype)

    def _losses_and_slopes(self, data, target):
        """Loss of each sample and its derivative by the outputs."""
        outputs = self.forward(data, "outputs")
        if self.loss == "squared_error":
            difference = outputs - target
            return 0.5 * np.mean(difference**2, axis=1), difference / outputs.shape[1]
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        chosen = np.arange(len(outputs)), target[:, 0].astype(int)
        slopes = np.exp(log_probabilities)
        slopes[chosen] -= 1
        return -log_probabilities[chosen], slopes


class PythonLearner:
    """Learns from one batch after another, in Python but for what is done after each gradient."""

    def __init__(self, network, data, target, seed):
        self.network, self.data, self.target, self.seed = network, data, target, seed

    def plan(self, order, counts, weight, n_update, descent):
        self.batches, self.weights = (np.split(part, np.cumsum(counts)[:-1]) for part in (order, weight))
        self.gradient, self.loss = np.zeros_like(self.network.parameters), np.zeros(1, self.network.dtype)
        once = np.zeros(len(counts), np.int64), np.ones(len(counts), np.int64)
        self.stages = descent.stages(self.gradient, self.loss, np.ones(1), *once, 1)
        self.n_update, self.stop = n_update, descent.stop
        return self

    def run(self, first, last):
        for number in range(first, last):
            batch, weight = self.batches[number], self.weights[number]
            target = None if self.target is None else self.target[batch]
            counters = {"ids": batch, "seed": self.seed, "n_update": self.n_update + number}
            loss, gradient = self.network.loss_and_gradient(self.data.take(batch), target, weight, **counters)
            self.loss[0], self.gradient[:] = loss, gradient
            parallel.run_stages(self.stages[number], self.stop)
            if self.stop[0]:
                return
