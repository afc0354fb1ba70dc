"""Learn a projection of records by leaving each of them out of its own lookup."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from skattn._attention_call import AttentionCall
from skattn.records import keys_of, look_up, queries_of

Array = NDArray[np.float64]

DOUBT = 0.005
"""Share of a probability that all classes have alike, whatever was read: no label is taken for quite certain."""

# What is added to the score of a record by itself: in effect minus infinity.
_OWN = -1e30


@dataclass
class Lookups:
    """Records that look their targets up in a table of all the others.

    Parameters
    ----------
    records : ndarray of shape (n_records, n_features)
    values : ndarray of shape (n_records, n_outputs)
        Indicators of classes, or numbers of mean 0 and deviation 1.
    weight : ndarray of shape (n_records,)
    is_class : bool
        What `values` are.
    n_jobs : int or None
    n_queries : int, optional
        How many records look up, the first ones; by default all.
    """

    records: Array
    values: Array
    weight: Array
    is_class: bool
    n_jobs: int | None
    n_queries: int | None = None

    share: Array = field(init=False)
    """Weights of the queries, which sum to 1."""

    def __post_init__(self) -> None:
        weight = self.weight[: self.n_queries]
        self.share, self._log_weight = weight / weight.sum(), np.log(self.weight / self.weight.mean())
        self._call: AttentionCall | None = None

    def take(self, chosen: NDArray[Any]) -> "Lookups":
        """Give some of the records."""
        parts = (self.records[chosen], self.values[chosen], self.weight[chosen])
        return Lookups(*parts, self.is_class, self.n_jobs)

    def loss(self, projection: Array) -> float:
        """Mean loss of the queries: log loss, or half the squared error, the mean over outputs."""
        return self.loss_of(self.records @ projection)

    def loss_of(self, projected: Array) -> float:
        """Give the same for records that are projected."""
        return self._judge(self._attend(projected).output[0, 0])[0]

    def loss_and_gradient(self, projection: Array) -> tuple[float, Array]:
        """Give that loss and its gradient by the projection."""
        projected = self.records @ projection
        call = self._attend(projected)
        loss, d_mixed = self._judge(call.output[0, 0])
        d_query, d_key, _ = call.backward(d_mixed[None, None])
        d_projected = d_key[0, 0, :, :-1] - d_key[0, 0, :, -1:] * projected
        d_projected[: d_query.shape[2]] += d_query[0, 0, :, :-1]
        return loss, self.records.T @ d_projected

    def loss_of_others(self, others: "Lookups", projection: Array) -> float:
        """Mean loss of other records that look up in all of these."""
        key = keys_of(self.records @ projection, self._log_weight)
        return others._judge(look_up(queries_of(others.records @ projection), key, self.values, self.n_jobs))[0]

    def _attend(self, projected: Array) -> AttentionCall:
        """Let queries attend to all keys but those of their own row."""
        query, key = queries_of(projected[: self.n_queries]), keys_of(projected, self._log_weight)
        call = self._call
        if call is None or call.key.shape[-1] != key.shape[-1]:
            arrays = (np.ascontiguousarray(array)[None, None] for array in (query, key, self.values))
            call = self._call = AttentionCall(*arrays, scale=1.0, n_jobs=self.n_jobs, contiguous=True)
            # Distances of -1 rows and fewer, of none, of 1 and more.
            call.add(table=np.array([[0.0, _OWN, 0.0]]))
        else:
            # What tells kernels about arrays takes longer than few records do, so it stays.
            call.query[0, 0], call.key[0, 0] = query, key
        call.forward()
        return call

    def _judge(self, mixed: Array) -> tuple[float, Array]:
        """Mean loss of what queries read, and its gradient."""
        share, values = self.share, self.values[: self.n_queries]
        if not self.is_class:
            error = mixed - values
            d_mixed = share[:, np.newaxis] * error / error.shape[1]
            return float((d_mixed * error).sum() / 2), d_mixed
        likely = (1 - DOUBT) * (mixed * values).sum(axis=1) + DOUBT / values.shape[1]
        return -float(share @ np.log(likely)), -(1 - DOUBT) * values * (share / likely)[:, np.newaxis]


def descend(
    lookups: Lookups, start: Array, projection: Array, alpha: float, max_iter: int, tol: float
) -> tuple[Array, int]:
    """Move a projection down the loss and a penalty on its size; gives it and the number of gradients.

    The penalty is `alpha` times its squared size, in units of that of `start`.
    """
    strength = alpha / max(np.square(start).sum(), np.finfo(float).tiny)

    def value_and_gradient(numbers: Array) -> tuple[float, Array]:
        loss, gradient = lookups.loss_and_gradient(numbers.reshape(start.shape))
        return loss + strength * np.square(numbers).sum(), gradient.ravel() + 2 * strength * numbers

    options = {"maxiter": max_iter, "ftol": tol, "gtol": 1e-8}
    found = minimize(value_and_gradient, projection.ravel(), jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(start.shape), int(found.nfev)
