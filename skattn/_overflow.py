"""Notice numbers that left the range of floats on their way through the network, and say where they came from."""

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from skattn._training.standardise import standardised, valid_rows
from skattn.sequences import Sequences

FAR = 1e6
"""Standard deviations from the mean from which on a value, not the network, is to blame."""


def refuse_overflow(result: NDArray[Any], network: Any, data: Sequences) -> NDArray[Any]:
    """Give `result` back if all of it is finite, with room for what is computed from it.

    Parameters
    ----------
    result : ndarray
        What `network` made of `data`.
    network : Network
    data : Sequences

    Raises
    ------
    ValueError
        If a number is NaN, infinite or within a factor of 4 of the largest float: with the value of X that is
        farthest from the mean of fit, or with the size of the weights.
    """
    # Compared so that NaN fails.
    if np.abs(result).max() <= np.finfo(result.dtype).max / 4:
        return result
    _blame(network, data)


def _blame(network: Any, data: Sequences) -> NoReturn:
    """Say whether X or the weights are to blame."""
    rows = valid_rows(data)
    values = data.values[rows].astype(np.float64)
    with np.errstate(over="ignore"):
        distance = np.abs(standardised(values, network.mean, network.scale))
    is_extreme = (distance >= FAR) | (np.abs(values) >= np.finfo(network.dtype).max / 4)
    row, feature = np.unravel_index(np.argmax(np.where(is_extreme, distance, -1)), distance.shape)
    if is_extreme[row, feature]:
        ends = np.cumsum(data.lengths)
        sample = int(np.searchsorted(ends, row, side="right"))
        step = int(row - ends[sample] + data.lengths[sample])
        raise ValueError(
            f"X holds {values[row, feature]:g} at sample {sample}, step {step}, feature {feature}, which is "
            f"{distance[row, feature]:.2g} standard deviations from the mean {network.mean[feature]:g} of fit, and "
            f"what the network makes of it exceeds {network.dtype}; scale or clip X, or fit with such values."
        )
    raise ValueError(
        f"What the network makes of X exceeds {network.dtype}: its weights are as large as "
        f"{np.abs(network.parameters).max():.2g}, which is training that diverged; fit again with a lower "
        "learning_rate_init or alpha."
    )
