"""Bring what was learned into a network for other data: with more positions, and features standardised anew."""

from copy import copy

import numpy as np

from .losses import LOSSES
from .network import Network

MOST = 2.0**40
"""A weight is multiplied by no more than this: farther features than that were never learned from."""

NEGLIGIBLE = 1e-6
"""Changes of mean and scale, in deviations, that change nothing: the same data measured again."""


def copy_network(network, architecture, kind=Network):
    """Give a copy of a network, with a table of positions as long as `architecture` says and dropout as it says.

    Parameters
    ----------
    network : Network
    architecture : Architecture
        Of the same sizes, but for as many or more positions. New ones are as at the first fit.
    kind : type
        Network, or a kind of it.

    Returns
    -------
    network : Network
    """
    grown = kind(architecture, network.dtype)
    grown.mean[:], grown.scale[:], grown.stem = network.mean, network.scale, network.stem
    grown.codes, grown.time_unit = network.codes, network.time_unit
    grown.initialise()
    _lay_out(network, network.parameters, grown, grown.parameters)
    return grown


def copy_optimizer(optimizer, network, grown):
    """Give a copy of an optimiser of `network` for one that `copy_network` gave; averages of new positions are 0."""
    moved = copy(optimizer)
    moved.n_parameters, moved.vectors = grown.n_learned, {}
    for name, vector in optimizer.vectors.items():
        moved.vectors[name] = np.zeros(grown.n_learned, grown.dtype)
        _lay_out(network, vector, grown, moved.vectors[name])
    return moved


def standardise_anew(network, optimizer, mean, scale, is_new):
    """Let a network standardise its input by other numbers, and change the weights beside it so that it stays the same.

    Parameters
    ----------
    network : Network
        Changed in place.
    optimizer : Optimizer or None
        Its averages for the first weights are changed as far as the scales of their gradients are.
    mean, scale : ndarray of shape (n_features,)
    is_new : bool ndarray of shape (n_features,)
        Features that were constant so far: nothing was learned of their scale, so their weights stay.

    Notes
    -----
    Of features beyond `skattn._kernels.scaling.FAR` deviations only logarithms count, by the old or by the new scale.
    """
    old_mean, old_scale = network.mean.copy(), network.scale.copy()
    moves = (np.abs(scale - old_scale) > NEGLIGIBLE * old_scale) | (np.abs(mean - old_mean) > NEGLIGIBLE * old_scale)
    network.mean[moves], network.scale[moves] = mean[moves], scale[moves]
    numbers, weights = list(network.architecture.numbers), network.weights
    if not numbers:
        return
    # x = old_mean + old_scale * z = new_mean + new_scale * (shift + z / factor), for old deviations z
    with np.errstate(all="ignore"):  # scales at both ends of their range
        factor = np.clip(network.scale / old_scale, 1 / MOST, MOST)
    shift = (old_mean * 0.5 - network.mean * 0.5) / (network.scale * 0.5)
    factor, shift = factor[numbers], shift[numbers]
    of_weights = np.where(is_new[numbers], 1.0, factor)[:, np.newaxis]
    embedding = weights["embedding.weight"].astype(np.float64) * of_weights
    weights["embedding.weight"][...] = embedding
    weights["embedding.bias"][...] -= shift @ embedding
    if LOSSES[network.architecture.loss].reconstructs:
        # What tells categories stands behind.
        head_weight, head_bias = weights["head.weight"][:, : len(numbers)], weights["head.bias"][: len(numbers)]
        head_weight[...] = head_weight / factor
        head_bias[...] = head_bias / factor + shift
    if optimizer is not None and "embedding.weight" in network.views(network.parameters[: network.n_learned]):
        optimizer.rescale(lambda vector: network.views(vector)["embedding.weight"], of_weights)


def _lay_out(network, vector, grown, target):
    """Copy a vector into one of a network with more positions, by name."""
    views = grown.views(target)
    for name, view in network.views(vector).items():
        # What an optimiser keeps has no room for what learns no more.
        if name in views:
            views[name][: len(view)] = view
