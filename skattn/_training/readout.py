"""Fit the outputs of a trained network anew, in closed form: gradient descent leaves them short of their best."""

import numpy as np

SHRINKAGE = np.logspace(-5, 1, 7)
"""Penalties tried, as shares of the weight of all samples."""

MOST_STEPS = 1 << 16
"""Steps that are looked at, at the most, where each has a target: those of sequences at even distances."""

FEWEST, MOST = 3, 1024
"""Samples below which there is nothing to choose a penalty by, and those that it is chosen by at the most."""


def refit_outputs(network, samples, n_jobs=None):
    """Replace the weights of values that a network puts out by those of ridge regression on its features.

    The penalty is the one of `SHRINKAGE` by which samples that are left out, one at a time, are best told, over all
    outputs.

    Parameters
    ----------
    network : Network
        ``forward``, and ``weights`` "head.weight" (n_features, n_outputs) and "head.bias", changed in place.
    samples : Samples
        See `train`; weights are positive.
    n_jobs : int, optional

    Notes
    -----
    Hoerl & Kennard (1970), "Ridge regression"; Allen (1974) on what is left out. Sums are not BLAS's, whose order
    depends on the machine and its threads.
    """
    features, target, weight = _rows(network, samples, "features", n_jobs)
    if len(features) < FEWEST or not np.isfinite(features).all():
        return
    weight = weight / weight.sum()
    centre, level = np.einsum("n,nj->j", weight, features), np.einsum("n,nk->k", weight, target)
    features -= centre
    scale = np.sqrt(np.einsum("n,nj->j", weight, np.square(features)))
    # What is all but constant tells nothing, and would be stretched to something.
    scale = np.where(scale > 1e-9 * (np.abs(centre) + 1), scale, np.inf)
    features /= scale
    products = np.einsum("n,ni,nj->ij", weight, features, features)
    along = np.einsum("n,ni,nk->ik", weight, features, target - level)
    some = np.linspace(0, len(features) - 1, min(len(features), MOST)).astype(np.int64)
    judged = features[some], (target - level)[some], weight[some]
    found = [_solve(products, along, penalty, *judged) for penalty in SHRINKAGE]
    slopes = min(found, key=lambda pair: pair[0])[1] / scale[:, np.newaxis]
    network.weights["head.weight"][...] = slopes
    network.weights["head.bias"][...] = level - np.einsum("j,jk->k", centre, slopes)


def rows_of_outputs(network, samples, n_jobs=None):
    """Give outputs, targets and weights in float64, a row for each sequence, or for each step that has a target.

    Parameters
    ----------
    network, samples, n_jobs
        See `refit_outputs`.
    """
    return _rows(network, samples, "outputs", n_jobs)


def _rows(network, samples, name, n_jobs):
    """Give what stands in a slot, targets and weights."""
    if isinstance(samples.target, np.ndarray):
        features = network.forward(samples.data, name, n_jobs)
        return features.astype(np.float64), samples.target.astype(np.float64), samples.weight
    name = "steps" if name == "features" else name
    n_steps = int(samples.data.lengths.sum())
    samples = samples.take(np.arange(0, len(samples.weight), -(-n_steps // MOST_STEPS)))
    features, lengths = network.forward(samples.data, name, n_jobs), samples.data.lengths
    firsts = np.cumsum(lengths) - lengths
    rows = samples.target.values[np.arange(len(features)) + np.repeat(samples.target.starts - firsts, lengths)]
    weight = rows[:, -1] * np.repeat(samples.weight, lengths)
    is_there = weight > 0
    return features[is_there].astype(np.float64), rows[is_there, :-1], weight[is_there]


def _solve(products, along, penalty, features, target, weight):
    """Error of a penalty at samples that are left out, one at a time, and its slopes."""
    inverse = _inverse(products + penalty * np.eye(len(products)))
    slopes = np.einsum("ij,jk->ik", inverse, along)
    # How much of what is said of a sample it says itself.
    own = weight * (1 + np.sum(np.einsum("ni,ij->nj", features, inverse) * features, axis=1))
    error = target - np.einsum("ni,ik->nk", features, slopes)
    error /= np.maximum(1 - own, 1e-6)[:, np.newaxis]
    return float(np.einsum("n,nk,nk->", weight, error, error)), slopes


def _inverse(matrix):
    """Invert a positive definite matrix by Gauss-Jordan steps, each over whole rows: the same bits on every machine."""
    inverse = np.eye(len(matrix))
    matrix = matrix.copy()
    for i in range(len(matrix)):
        pivot = matrix[i, i]
        matrix[i] /= pivot
        inverse[i] /= pivot
        factor = matrix[:, i].copy()
        factor[i] = 0
        matrix -= factor[:, np.newaxis] * matrix[i]
        inverse -= factor[:, np.newaxis] * inverse[i]
    return inverse
