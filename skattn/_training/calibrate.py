"""Bring quantiles to where they belong, by samples that a network has not learned from."""

import numpy as np

from skattn._training.readout import rows_of_outputs
from skattn._training.standardise import weighted_quantiles

SHARE, FEWEST = 5, 20
"""One in so many samples is held out from a network, another one from each; of fewer samples none is."""


def held_out(n_samples, number):
    """Give the samples that a network does not learn from.

    Parameters
    ----------
    n_samples : int
    number : int
        Of the network: `SHARE` of them in a row leave out each sample once.

    Returns
    -------
    indices : int array
    """
    return np.arange(number % SHARE, n_samples if n_samples >= FEWEST else 0, SHARE)


def calibrate_quantiles(networks, parts, levels, n_jobs=None):
    """Move each quantile of all networks by as much as it lies off where nothing was learned from.

    Networks know what they have learned from too well, so that their quantiles lie too close together.

    Parameters
    ----------
    networks : list of Network
        ``forward``, and ``weights`` "head.bias", changed in place.
    parts : list of Samples
        What was held out from each; see `train`.
    levels : tuple of float
        Those of the outputs of each value.
    n_jobs : int, optional

    Notes
    -----
    Romano, Patterson & Candès (2019), "Conformalized quantile regression", for each quantile by itself.
    """
    distances, weights = [], []
    for network, samples in zip(networks, parts, strict=True):
        outputs, wanted, weight = rows_of_outputs(network, samples, n_jobs)
        outputs = np.sort(outputs.reshape(len(outputs), -1, len(levels)), axis=2)
        distances.append(wanted[:, :, np.newaxis] - outputs)
        weights.append(weight)
    distances, weight = np.concatenate(distances), np.concatenate(weights)
    columns = distances.reshape(len(distances), -1)
    found = weighted_quantiles(columns, weight, levels)
    n_values, n_levels = distances.shape[1:]
    own = np.tile(np.arange(n_levels), n_values)
    for network in networks:
        network.weights["head.bias"][...] += found[own, np.arange(len(own))]
