"""Long maps of attention in fewer cells, so that what is seen is what is there."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def block_size(count: int, most: int) -> int:
    """Give how many steps a block must have so that there are no more than `most` of them."""
    return -(-count // most)


def average_blocks(weights: NDArray[Any], n_rows: int, n_columns: int) -> NDArray[Any]:
    """Sum what blocks of columns get, and take the mean over blocks of rows.

    A cell is then the share of attention that steps of a block of rows, on average, give to a block of columns: rows
    still sum to 1, and nothing is lost between the cells, as it would be where single steps are picked.

    Parameters
    ----------
    weights : ndarray of shape (n_queries, n_keys)
    n_rows, n_columns : int
        Steps of a block; the last one has those that are left.

    Returns
    -------
    blocks : ndarray of shape (ceil(n_queries / n_rows), ceil(n_keys / n_columns))
    """
    rows, columns = (np.arange(0, count, size) for count, size in zip(weights.shape, (n_rows, n_columns), strict=True))
    sums = np.add.reduceat(np.add.reduceat(weights, columns, axis=1), rows, axis=0)
    counts = np.diff(np.append(rows, len(weights)))
    return sums / counts[:, np.newaxis]
