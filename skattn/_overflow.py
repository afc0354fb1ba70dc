"""Notice numbers that left the range of floats on their way through the network."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def refuse_overflow(result: NDArray[Any], network: Any) -> NDArray[Any]:
    """Give `result` back if all of it is finite, with room for what is computed from it.

    Parameters
    ----------
    result : ndarray
        What `network` made of sequences.
    network : Network

    Raises
    ------
    ValueError
        If a number is NaN, infinite or within a factor of 4 of the largest float. No X leads to that, for the
        network reins its input in; so the message tells the size of the weights.
    """
    # By both ends, for a copy could be as large as X, and compared so that NaN fails.
    if max(result.max(), -result.min()) <= np.finfo(result.dtype).max / 4:
        return result
    raise ValueError(
        f"What the network makes of X exceeds {network.dtype}: its weights are as large as "
        f"{np.abs(network.parameters).max():.2g}, which is training that diverged; fit again with a lower "
        "learning_rate_init or alpha."
    )
