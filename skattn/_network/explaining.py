"""The gradient of what a network makes of sequences with respect to what goes in."""

from dataclasses import replace

import numpy as np

from .going_on import copy_network
from .network import Network


class ExplainedNetwork(Network):
    """A network that gives out the gradient of its embedded steps, and drops nothing."""

    marks_input = True


def explained(network):
    """Give a copy of a network with an output a sequence that can be explained.

    Parameters
    ----------
    network : Network
    """
    # By half the square of outputs less what is wanted, any gradient of outputs can be asked for.
    plain = {"loss": "squared_error", "quantiles": (), "label_smoothing": 0.0}
    plain |= {"dropout": 0.0, "embedding_dropout": 0.0, "token_dropout": 0.0}
    return copy_network(network, replace(network.architecture, frozen=(), **plain), ExplainedNetwork)


def gradients(network, data, direction, n_jobs=None):
    """Give the gradient of a weighted sum of outputs with respect to embedded steps, or tokens.

    Parameters
    ----------
    network : ExplainedNetwork
    data : object with ``values``, ``starts``, ``lengths``, or Tokens where there is a stem
    direction : ndarray of shape (n_samples, n_outputs)
        What each output counts.
    n_jobs : int, optional

    Returns
    -------
    gradient : ndarray of shape (sum of rows of sequences, d_model)
    """
    n_samples, n_outputs = direction.shape
    outputs = network.forward(data, "outputs", n_jobs)
    wanted = outputs - n_outputs * direction.astype(network.dtype)
    # Embedded tokens lie behind each other, steps where they were.
    is_stem, ends = network.stem is not None, np.cumsum(data.lengths)
    n_rows = int(ends[-1]) if is_stem else len(data.values)
    gradient = np.zeros((n_rows, network.architecture.d_model), network.dtype)
    learner = network.learner(data, wanted, 0, n_jobs)
    plan = learner.plan(np.arange(n_samples), np.array([n_samples]), np.ones(n_samples), 0, None, d_source=gradient)
    plan.run(0, 1)
    if is_stem:
        return gradient
    begins = ends - data.lengths
    return gradient[np.arange(ends[-1]) + np.repeat(data.starts - begins, data.lengths)]
