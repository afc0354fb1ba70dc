"""Numbers that say how heads attend, from maps of what they attend to."""

import numpy as np
from numpy.typing import NDArray

SINK = 5.0
"""A step is a sink if it gets more than so many times an even share, on average of all rows."""

COLUMNS = ("entropy", "distance", "on_self", "on_previous", "on_next", "on_first", "on_sinks")


class HeadStatistics:
    """Sums over the maps of many sequences, from which means over rows follow.

    Parameters
    ----------
    n_heads : int
        Heads of all layers together.
    """

    def __init__(self, n_heads: int) -> None:
        self._sums = {name: np.zeros(n_heads) for name in COLUMNS}
        self._counts = dict.fromkeys(COLUMNS, 0)
        self._likeness, self._n_rows = np.zeros((n_heads, n_heads)), 0

    def add(self, maps: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
        """Take account of a sequence.

        Parameters
        ----------
        maps : ndarray of shape (n_heads, n_rows, n_columns), float64
        rows : int array of shape (n_rows,)
            Which rows of the whole maps these are.
        """
        n_columns = maps.shape[2]
        everywhere, places = np.arange(len(rows)), np.arange(n_columns)
        self._add_entropy(maps)
        self._add("distance", np.einsum("hrc,rc->hr", maps, np.abs(rows[:, np.newaxis] - places)))
        self._add("on_self", maps[:, everywhere, rows])
        for name, shift in (("on_previous", -1), ("on_next", 1)):
            there = everywhere[(rows + shift >= 0) & (rows + shift < n_columns)]
            self._add(name, maps[:, there, rows[there] + shift])
        self._add("on_first", maps[:, rows > 0, 0])
        received = maps.mean(axis=1)
        self._add("on_sinks", np.where(received > SINK / n_columns, received, 0.0).sum(axis=1)[:, np.newaxis])
        self._add_likeness(maps)

    def _add(self, name: str, found: NDArray[np.float64]) -> None:
        self._sums[name] += found.sum(axis=1)
        self._counts[name] += found.shape[1]

    def _add_entropy(self, maps: NDArray[np.float64]) -> None:
        """Entropy of each row as a share of that of an even one over what it sees; none where that is one step."""
        n_seen = (maps > 0).any(axis=0).sum(axis=1)
        rows = n_seen > 1
        self._add("entropy", _entropy(maps[:, rows]) / np.log(n_seen[rows]))

    def _add_likeness(self, maps: NDArray[np.float64]) -> None:
        """One minus the Jensen–Shannon divergence in bits, of each pair of heads, summed over rows."""
        entropies = _entropy(maps)
        for head, (of_head, own) in enumerate(zip(maps, entropies, strict=True)):
            mixed = _entropy((maps[head:] + of_head) / 2)
            divergence = (mixed - (entropies[head:] + own) / 2) / np.log(2)
            found = (1 - np.clip(divergence, 0, 1)).sum(axis=1)
            self._likeness[head, head:] += found
            self._likeness[head:, head] = self._likeness[head, head:]
        self._n_rows += maps.shape[1]

    def means(self) -> dict[str, NDArray[np.float64]]:
        """Give the mean of each number over all rows, by name; NaN where no row has it."""
        with np.errstate(invalid="ignore"):
            return {name: self._sums[name] / self._counts[name] for name in COLUMNS}

    def most_alike(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Give how like each head is to the most similar other one, 0 to 1, and which that is; -1 for one alone."""
        if len(self._likeness) == 1:
            return np.full(1, np.nan), np.full(1, -1)
        likeness = self._likeness / max(self._n_rows, 1)
        np.fill_diagonal(likeness, -1)
        return likeness.max(axis=1), likeness.argmax(axis=1)


def _entropy(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy along the last axis, in nats."""
    logarithms = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    return -np.einsum("...c,...c->...", weights, logarithms)


def query_key_likeness(query: NDArray[np.float64], key: NDArray[np.float64]) -> float:
    """Give the cosine of the angle between the query and key projections of a head, both of shape (d_model, d_head)."""
    size = np.linalg.norm(query) * np.linalg.norm(key)
    return float(np.sum(query * key) / size) if size else 0.0
