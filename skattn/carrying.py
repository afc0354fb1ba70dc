"""Carry sequences through fitted networks, and say how far that is where it takes long."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._network.network import Network
from skattn._overflow import refuse_overflow
from skattn._training.bar import Bar
from skattn._training.progress import WITH_BAR
from skattn.sequences import Sequences

PATIENCE = 2.0
"""Seconds in which nothing is said."""

FIRST, PIECE = 64, 0.2
"""Sequences of the first piece, and seconds that the others take, about."""


_TITLES = {"outputs": "predict", "features": "transform", "steps": "transform"}


def carry(network: Network, data: Sequences, name: str, n_jobs: int | None) -> NDArray[Any]:
    """What stands in a slot of a network, all of it finite.

    Parameters
    ----------
    network : Network
    data : Sequences
    name : str
        See `Network.forward`.
    n_jobs : int or None

    Returns
    -------
    found : ndarray of shape (n_samples, width), or (sum of lengths, width) where the slot has a row a step

    Raises
    ------
    ValueError
        If numbers leave the range of floats.
    """
    with np.errstate(under="ignore"):
        return refuse_overflow(network.forward(data, name, n_jobs=n_jobs), network)


def carry_all(
    networks: list[Network], data: Sequences, name: str, n_jobs: int | None, verbose: int
) -> list[NDArray[Any]]:
    """What stands in a slot of each network; from ``verbose=2`` on with a bar, once `PATIENCE` has gone by.

    What is found of a sequence does not depend on those beside it, so it has the same bits in pieces.

    Parameters
    ----------
    networks : list of Network
    data, name, n_jobs
        As for `carry`.
    verbose : int

    Returns
    -------
    found : list of ndarray
    """
    if verbose < WITH_BAR:
        return [carry(network, data, name, n_jobs) for network in networks]
    bar, n_all, found = Bar(_TITLES[name], patience=PATIENCE), len(networks) * data.n_samples, []
    try:
        for number, network in enumerate(networks):
            pieces, done, size = [], 0, FIRST
            while done < data.n_samples:
                start = time.perf_counter()
                pieces.append(carry(network, data.take(slice(done, done + size)), name, n_jobs))
                done = min(done + size, data.n_samples)
                n_done = number * data.n_samples + done
                bar.show(n_done / n_all, f"{n_done // len(networks):,} of {data.n_samples:,} sequences")
                size = int(min(max(1, size * PIECE / (time.perf_counter() - start)), 2 * size))
            found.append(np.concatenate(pieces))
    finally:
        bar.end()
    return found


def as_precise(found: list[NDArray[Any]], data: Sequences) -> list[NDArray[Any]]:
    """Give what was found room for as many digits as X has, where weights have fewer that nobody asked for.

    Values to predict may lie on a level beside which these would not show, and what comes after may mix no precisions.

    Parameters
    ----------
    found : list of ndarray
    data : Sequences

    Returns
    -------
    found : list of ndarray
    """
    return [each.astype(np.result_type(each, data.values), copy=False) for each in found]
