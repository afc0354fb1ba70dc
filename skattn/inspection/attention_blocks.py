"""Long maps of attention in fewer cells, so that what is seen is what is there."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def block_size(n_tokens: int, most: int) -> int:
    """Tokens that share a row, so that there are no more than `most` rows."""
    return -(-n_tokens // most)


def in_blocks(weights: NDArray[Any], size: int) -> NDArray[Any]:
    """Average neighbouring rows of maps, and add up neighbouring columns, so that rows still sum to 1.

    A cell is the share of attention that tokens of a block of rows, on average, give to a block of columns. Nothing is
    lost between the cells, as it would be where single tokens are picked.

    Parameters
    ----------
    weights : ndarray of shape (n_heads, n_rows, n_columns)
    size : int
        Tokens of a block; the last may have fewer.

    Returns
    -------
    weights : ndarray of shape (n_heads, n_blocks_of_rows, n_blocks_of_columns)
    """
    if size == 1:
        return weights
    rows, columns = (np.arange(0, n, size) for n in weights.shape[1:])
    counts = np.diff(rows, append=weights.shape[1]).astype(weights.dtype)
    means = np.add.reduceat(weights, rows, axis=1) / counts[:, np.newaxis]
    return np.add.reduceat(means, columns, axis=2)
