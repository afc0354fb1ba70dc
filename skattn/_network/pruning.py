"""Take heads out of a network, or let them fetch nothing."""

from dataclasses import replace

import numpy as np

from .attending import name_of_adapter
from .network import Network


def silenced(network, layer, head):
    """Give a copy of a network in which what a head has fetched goes nowhere.

    Parameters
    ----------
    network : Network
    layer, head : int
    """
    quiet = _like(network, network.architecture)
    quiet.parameters[:] = network.parameters
    d_value = network.architecture.d_value
    for name in _of_fetched(layer):
        if name in quiet.weights:
            quiet.weights[name][head * d_value : (head + 1) * d_value] = 0
    return quiet


def pruned(network, taken):
    """Give a smaller network without some of its heads; what is left computes as before.

    Heads that shared keys and values go on to do so where as many are left of each group; otherwise each gets a copy of
    its own.

    Parameters
    ----------
    network : Network
    taken : dict of int to set of int
        Heads to take out of each layer, by their places there; at least one must be left in every layer.
    """
    a = network.architecture
    left = [_places_left(a.groups_of(layer), taken.get(layer, ())) for layer in range(a.n_layers)]
    heads = [
        tuple(tuple(a.heads_of(layer)[place] for place in group) for group in groups)
        for layer, groups in enumerate(left)
    ]
    smaller = _like(network, replace(a, heads=tuple(heads)))
    weights = network.weights
    for name, weight in smaller.weights.items():
        if weight.shape == weights[name].shape:
            weight[...] = weights[name]
    for layer, groups in enumerate(left):
        size = len(a.groups_of(layer)[0])
        _keep_heads(smaller, weights, layer, sum(groups, ()), [group[0] // size for group in groups])
    return smaller


def _like(network, architecture):
    """Give a network with the input of another, and no weights yet."""
    new = Network(architecture, network.dtype)
    new.mean[:], new.scale[:], new.stem = network.mean, network.scale, network.stem
    new.codes, new.time_unit = network.codes, network.time_unit
    return new


def _places_left(groups, taken):
    """Give the places of the heads that are left, those that go on to share keys and values together."""
    size = len(groups[0])
    left = [[place for place in range(size * i, size * (i + 1)) if place not in taken] for i in range(len(groups))]
    left = [tuple(group) for group in left if group]
    if len({len(group) for group in left}) == 1:
        return tuple(left)
    return tuple((place,) for group in left for place in group)


def _keep_heads(network, weights, layer, places, shared):
    """Copy what heads have of their own into a smaller network: those at some places, and the keys that they share."""
    a, begin = network.architecture, f"layers.{layer}"
    for projection, kept, width in (
        ("query", places, a.d_head),
        ("key", shared, a.d_head),
        ("value", shared, a.d_value),
    ):
        name = f"{begin}.{projection}"
        for part in (f"{name}.weight", f"{name}.bias", f"{name_of_adapter(name)[1]}.weight"):
            if part in weights:
                network.weights[part][...] = weights[part][..., _columns(kept, width)]
    for part in _of_fetched(layer):
        if part in weights:
            network.weights[part][...] = weights[part][_columns(places, a.d_value)]
    if f"{begin}.distance" in weights:
        network.weights[f"{begin}.distance"][...] = weights[f"{begin}.distance"][list(places)]


def _of_fetched(layer):
    """Name the weights that have a row for each number that heads have fetched."""
    name = f"layers.{layer}.output"
    return f"{name}.weight", f"{name_of_adapter(name)[0]}.weight"


def _columns(places, width):
    """Give the columns of some heads of a width."""
    return (np.array(places)[:, np.newaxis] * width + np.arange(width)).ravel()
