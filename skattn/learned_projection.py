"""From records to the projection that they are looked up by: where it begins, how far it moves, how sharp it is."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn.directions import principal_directions, telling_directions
from skattn.leaving_out import Lookups, descend

Array = NDArray[np.float64]

ALPHAS = (0.1, 0.01)
"""Penalties that `alpha="auto"` tries, from strong to weak, beside not moving the projection at all."""

# Components of "auto", at most, and directions that they are made of.
_MOST_COMPONENTS, _MOST_DIRECTIONS = 32, 256
# Directions of less variance than this share of the largest are rounding errors.
_ROUNDING = 1e-10
# Fewer records than these are too few to judge each other by halves.
_FEW_RECORDS = 8
# Share of the loss that a weaker penalty must leave at most: less of a gain is chance.
_GAIN = 0.98
# What a projection is multiplied by, once or several times, to look less or more sharply.
_SHARPNESS = 1.25
# Steps for each of the penalties tried.
_TRIAL_STEPS = 6
# How far records are from their mean, by root of mean squares, and by how much these are made finer.
_SIZES: list[float] = np.exp(np.linspace(-0.5, 4.0, 7)).tolist()
_FINER: list[float] = np.exp([-0.35, 0.35]).tolist()
# What telling directions are multiplied by.
_FACTORS = (0.5, 1.0, 2.0)
# For tables of more records than were learned from: factors of the projection.
_SHARPER: list[float] = np.exp(np.linspace(-0.5, 1.0, 7)).tolist()
# Records that look up where factors are chosen, at most.
_N_JUDGES = 500


@dataclass
class Projection:
    """What was learned.

    Attributes
    ----------
    weight : ndarray of shape (n_features, n_components)
    loss : float
        Mean loss of records that are left out.
    alpha : float
        The penalty; infinite where the projection is that which it began with.
    n_iter : int
        Gradients of all descents.
    """

    weight: Array
    loss: float
    alpha: float
    n_iter: int


@dataclass
class ProjectionLearner:
    """How a projection is learned; the parameters of `SoftLookupClassifier`."""

    n_components: int | str
    alpha: float | str
    learn: bool
    max_iter: int
    tol: float
    generator: np.random.RandomState

    def fit(self, lookups: Lookups, target: NDArray[Any]) -> Projection:
        """Learn from records that are all different.

        Parameters
        ----------
        lookups : Lookups
            Of records near 0 and 1, in no order.
        target : ndarray of shape (n_records,) or (n_records, n_outputs)
            Classes as whole numbers, or other numbers.
        """
        directions = principal_directions(lookups.records, lookups.share)[:, :_MOST_DIRECTIONS]
        lookups = replace(lookups, records=lookups.records @ directions)
        telling = telling_directions(lookups.records, target, lookups.values, lookups.share)
        factors = choose_factors(lookups, telling)
        weight = start = self._start(lookups, telling, factors)
        alpha, sharpness, n_iter = self._choose_alpha(lookups, target, factors)
        if np.isfinite(alpha):
            weight, n_more = descend(lookups, start, start, alpha, self.max_iter, self.tol)
            n_iter += n_more
        weight = sharpness * weight
        return Projection(directions @ weight, lookups.loss(weight), alpha, n_iter)

    def _start(self, lookups: Lookups, telling: Array, factors: tuple[float, float]) -> Array:
        """Give the projection to begin with, along the axes on which it makes records differ most."""
        weight = joined(lookups, telling, factors)
        projected = lookups.records @ weight
        sizes, axes = np.linalg.eigh((projected.T * lookups.share) @ projected)
        # Where all records are alike they would stay so: there is no slope.
        n_components = min(int((sizes > _ROUNDING * sizes[-1]).sum()), len(weight))
        n_asked = _MOST_COMPONENTS if isinstance(self.n_components, str) else int(self.n_components)
        return weight @ axes[:, ::-1][:, : max(1, min(n_components, n_asked))]

    def _choose_alpha(
        self, lookups: Lookups, target: NDArray[Any], factors: tuple[float, float]
    ) -> tuple[float, float, int]:
        """Choose penalty and sharpness by how well each half of the records looks up in the other; counts gradients."""
        is_told, is_small = not isinstance(self.alpha, str), len(target) < _FEW_RECORDS
        if is_told or is_small or not self.learn:
            return float(self.alpha) if is_told and self.learn else np.inf, 1.0, 0
        sides, starts = [], []
        for part in _halves(target, self.generator):
            side = lookups.take(part)
            telling = telling_directions(side.records, target[part], side.values, side.share)
            sides.append(side)
            starts.append(self._start(side, telling, factors))
        weights, n_iter, best, (lowest, sharpness) = list(starts), 0, np.inf, held_out(sides, starts)
        for alpha in ALPHAS:
            for i, side in enumerate(sides):
                n_steps = min(self.max_iter, _TRIAL_STEPS)
                weights[i], n_more = descend(side, starts[i], weights[i], alpha, n_steps, self.tol)
                n_iter += n_more
            loss, factor = held_out(sides, weights)
            if loss >= _GAIN * lowest:
                break
            best, lowest, sharpness = alpha, loss, factor
        return best, sharpness, n_iter


def joined(lookups: Lookups, telling: Array, factors: tuple[float, float]) -> Array:
    """Put all directions, which count alike, beside the telling ones: (n_features, n_features + n_directions).

    The first of `factors` is how far all directions place records from their mean, by root of mean squares.
    """
    size = _size(lookups)
    of_all = factors[0] / size if size > 0 else 0.0
    return np.concatenate([of_all * np.eye(len(telling)), factors[1] * telling], axis=1)


def choose_factors(lookups: Lookups, telling: Array) -> tuple[float, float]:
    """Choose how much all directions count and how much the telling ones, by the loss of leaving out.

    Parameters
    ----------
    lookups : Lookups
    telling : ndarray of shape (n_features, n_directions)

    Returns
    -------
    of_all, of_telling : float
        For `joined`.
    """
    losses: dict[tuple[float, float], float] = {}
    all_directions, told = lookups.records / (_size(lookups) or 1.0), lookups.records @ telling
    judges = replace(lookups, n_queries=_N_JUDGES)

    def best(candidates: list[tuple[float, float]]) -> tuple[float, float]:
        for factors in candidates:
            if factors not in losses and any(factors):
                losses[factors] = judges.loss_of(np.hstack([factors[0] * all_directions, factors[1] * told]))
        return min(losses, key=lambda factors: losses[factors])

    of_all, of_telling = best([(size, 1.0) for size in (0.0, *_SIZES)])
    of_all, of_telling = best([(size, factor) for size in (0.0, of_all) for factor in _FACTORS] + [(of_all, 0.0)])
    of_all, of_telling = best([(of_all * finer, of_telling) for finer in _FINER])
    return best([(of_all, of_telling * finer) for finer in _FINER])


def sharpened(projection: Array, lookups: Lookups) -> Array:
    """Multiply a projection by what suits a table of more records than it was learned from: more are near.

    Parameters
    ----------
    projection : ndarray of shape (n_features, n_components)
    lookups : Lookups
        All records, in no order; the first ones look up.
    """
    judges = replace(lookups, n_queries=_N_JUDGES)
    projected = judges.records @ projection
    return projection * min(_SHARPER, key=lambda factor: judges.loss_of(factor * projected))


def _size(lookups: Lookups) -> float:
    """How far records are from their mean, by root of mean squares."""
    return float(np.sqrt(lookups.share @ np.square(lookups.records).sum(axis=1)))


def _halves(target: NDArray[Any], generator: np.random.RandomState) -> list[NDArray[np.intp]]:
    """Cut records into two halves whose targets are alike."""
    mixed = generator.permutation(len(target))
    order = mixed[np.argsort(target.reshape(len(target), -1)[mixed, 0], kind="stable")]
    # Of two that are neighbours in the order of targets either may be in the first half.
    swapped = np.repeat(generator.randint(2, size=(len(order) + 1) // 2), 2)[: len(order)]
    is_first = (np.arange(len(order)) + swapped) % 2 == 0
    return [order[is_first], order[~is_first]]


def held_out(sides: list[Lookups], weights: list[Array]) -> tuple[float, float]:
    """Let each of two halves look up in the other, by what the other has learned.

    What was learned fits its own records more sharply than others: it is multiplied by what suits these best.

    Returns
    -------
    loss : float
    factor : float
    """

    def loss_of(factor: float) -> float:
        first, second = sides
        weight = [factor * one for one in weights]
        return first.loss_of_others(second, weight[0]) + second.loss_of_others(first, weight[1])

    best, lowest = 1.0, loss_of(1.0)
    for step in (1 / _SHARPNESS, _SHARPNESS):
        while abs(np.log(best)) < 1.0:
            loss = loss_of(best * step)
            if loss >= lowest:
                break
            best, lowest = best * step, loss
        if best != 1.0:
            break
    return lowest, best
