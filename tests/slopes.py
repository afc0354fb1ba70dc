"""Gradients beside differences of the loss."""

import numpy as np
from cases import make_batch_for, make_network, make_target, make_weight, take

LENGTHS = (1, 2, 5, 17, 37)
COUNTERS = {"seed": 11, "n_update": 3}


class Problem:
    """A network, a batch, its target and weights, with the numbers that dropout and hiding count from."""

    def __init__(self, lengths=LENGTHS, dtype=np.float64, **changes):
        self.network = make_network(dtype, **changes)
        architecture = self.network.architecture
        self.batch = make_batch_for(architecture, lengths, dtype)
        self.target = make_target(architecture, lengths, dtype)
        self.weight = make_weight(len(lengths), dtype)
        self.ids = np.arange(len(lengths), dtype=np.int64) * 7 + 101

    def take(self, indices):
        """The same problem on some of its samples."""
        part = Problem.__new__(Problem)
        part.network, part.batch = self.network, take(self.batch, indices)
        part.target = None if self.target is None else self.target[indices]
        part.weight, part.ids = self.weight[indices], self.ids[indices]
        return part

    def with_target(self, target):
        """The same problem with another target."""
        other = self.take(np.arange(len(self.weight)))
        other.target = target
        return other

    def loss_and_gradient(self, n_jobs=1, **counters):
        """Weighted loss of the batch and a copy of its gradient."""
        loss, gradient = self.network.loss_and_gradient(
            self.batch, self.target, self.weight, ids=self.ids, n_jobs=n_jobs, **(COUNTERS | counters)
        )
        return loss, gradient.copy()

    def loss(self, **counters):
        """Weighted loss of the batch."""
        return self.loss_and_gradient(**counters)[0]


def slices(network):
    """Where each weight lies in the flat vector, by name."""
    start = network.parameters.__array_interface__["data"][0]
    where = {}
    for name, weight in network.weights.items():
        first = (weight.__array_interface__["data"][0] - start) // weight.itemsize
        where[name] = slice(first, first + weight.size)
    return where


def slope(problem, part, direction, h=1e-4):
    """Derivative of the loss along a direction of some parameters, by five points (error of order h^4)."""
    parameters = problem.network.parameters[part]
    centre = parameters.copy()
    losses = []
    for steps in (-2, -1, 1, 2):
        parameters[:] = centre + steps * h * direction
        losses.append(problem.loss())
    parameters[:] = centre
    return (losses[0] - 8 * losses[1] + 8 * losses[2] - losses[3]) / (12 * h)


def assert_gradient_is_the_slope(problem, n_directions=2, h=1e-4):
    """Along random directions of every weight, and along single entries, finite differences agree to 1e-6."""
    _, gradient = problem.loss_and_gradient()
    assert np.isfinite(gradient).all()
    generator = np.random.default_rng(5)
    for name, part in slices(problem.network).items():
        size = part.stop - part.start
        directions = [generator.normal(size=size) for _ in range(n_directions)]
        directions = [direction / np.linalg.norm(direction) for direction in directions]
        directions.append(np.eye(1, size, generator.integers(size))[0])
        for direction in directions:
            expected = slope(problem, part, direction, h)
            # The floor is what rounding of the losses leaves of a slope that is 0.
            np.testing.assert_allclose(gradient[part] @ direction, expected, rtol=1e-6, atol=3e-11, err_msg=name)
