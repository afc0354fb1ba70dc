"""Turn a gradient into a step of the parameters: AdamW, Adam, and SGD with momentum."""

import math
from dataclasses import dataclass, field

import numpy as np

from skattn._kernels import update


@dataclass
class Optimizer:
    """Contract of the entries of `OPTIMIZERS`; made as ``OPTIMIZERS[name](n_parameters, dtype, alpha)``.

    A subclass is a leaf: it names its vectors (one number a parameter) and writes `step`. Only plain
    arrays and numbers are held, so an optimiser can be pickled and continued with the same bits.

    Attributes
    ----------
    n_parameters : int
    dtype : dtype
        Of the parameters; vectors have the same.
    alpha : float
        Strength of the decay or penalty on the first `n_decayed` parameters.
    n_steps : int
        Steps taken so far.
    vectors : dict of str to ndarray of shape (n_parameters,)
        Running averages of gradients.
    """

    n_parameters: int
    dtype: np.dtype
    alpha: float = 0.0
    n_steps: int = 0
    vectors: dict = field(default_factory=dict)

    vector_names = ()

    def __post_init__(self):
        for name in self.vector_names:
            self.vectors[name] = np.zeros(self.n_parameters, dtype=self.dtype)

    def step(self, parameters, gradient, learning_rate, n_decayed):
        """Move `parameters` in place; `gradient` may be used as scratch.

        Parameters
        ----------
        parameters, gradient : ndarray of shape (n_parameters,)
        learning_rate : float
        n_decayed : int
            The first `n_decayed` parameters are pulled towards zero with strength `alpha`.
        """
        raise NotImplementedError

    def fits(self, parameters):
        """Whether the state belongs to parameters of this size and dtype."""
        return self.n_parameters == parameters.size and self.dtype == parameters.dtype

    def is_finite(self):
        """Whether the averages are finite: a penalty is added after a gradient was clipped, and may be large."""
        return all(np.isfinite(vector).all() for vector in self.vectors.values())

    def ensure_writeable(self):
        """Copy vectors that came from a read-only memory map."""
        for name, vector in self.vectors.items():
            if not vector.flags.writeable:
                self.vectors[name] = np.array(vector)

    def rescale(self, view, factor):
        """Take note that some parameters were multiplied, so their gradients are divided, by a factor.

        Parameters
        ----------
        view : callable (vector) -> ndarray
            Picks those parameters out of a vector.
        factor : ndarray
            That can be multiplied with them.
        """
        raise NotImplementedError

    def _add_penalty(self, parameters, gradient, n_decayed):
        """Gradient of ``alpha / 2 * sum(parameters[:n_decayed] ** 2)``."""
        gradient[:n_decayed] += self.alpha * parameters[:n_decayed]


class Adam(Optimizer):
    """Steps of about the learning rate in every parameter, whatever the gradient's scale.

    Notes
    -----
    Kingma & Ba (2015), arXiv:1412.6980, Algorithm 1, with its constants; `alpha` is an L2 penalty,
    so its gradient is averaged and rescaled like any other.
    """

    vector_names = ("mean", "mean_square")
    beta_1 = 0.9
    beta_2 = 0.999
    epsilon = 1e-8

    def step(self, parameters, gradient, learning_rate, n_decayed):
        """Add the penalty's gradient, then move."""
        self._add_penalty(parameters, gradient, n_decayed)
        self._move(parameters, gradient, learning_rate, 1.0, 0)

    def rescale(self, view, factor):
        """Averages of gradients and of their squares."""
        view(self.vectors["mean"])[...] /= factor
        view(self.vectors["mean_square"])[...] /= factor**2

    def _move(self, parameters, gradient, learning_rate, shrink, n_decayed):
        """Shrink, update both averages and step along their bias-corrected ratio."""
        self.n_steps += 1
        # Both corrections are moved to where they cost one number instead of a vector each.
        correction = math.sqrt(1 - self.beta_2**self.n_steps)
        update.adam(
            parameters,
            gradient,
            self.vectors["mean"],
            self.vectors["mean_square"],
            keep_mean=self.beta_1,
            keep_square=self.beta_2,
            epsilon=self.epsilon * correction,
            rate=learning_rate * correction / (1 - self.beta_1**self.n_steps),
            shrink=shrink,
            n_decayed=n_decayed,
        )


class AdamW(Adam):
    """Adam whose weight decay stays out of the averages.

    Notes
    -----
    Loshchilov & Hutter (2019), arXiv:1711.05101, Algorithm 2: a step shrinks the decayed parameters by
    ``learning_rate * alpha``, so the decay fades with the schedule.
    """

    def is_finite(self):
        """Whether the averages are finite: always, for nothing is added to a gradient that was clipped."""
        return True

    def step(self, parameters, gradient, learning_rate, n_decayed):
        """Shrink, then move."""
        self._move(parameters, gradient, learning_rate, 1 - learning_rate * self.alpha, n_decayed)


class SGD(Optimizer):
    """Gradient descent with Nesterov's momentum, as in scikit-learn's multi-layer perceptron.

    Notes
    -----
    Sutskever, Martens, Dahl & Hinton (2013), "On the importance of initialization and momentum in deep
    learning", section 2, written for the parameters at the point where the gradient is taken.
    """

    vector_names = ("velocity",)
    momentum = 0.9

    def rescale(self, view, factor):
        """The velocity is that of the parameters."""
        view(self.vectors["velocity"])[...] *= factor

    def step(self, parameters, gradient, learning_rate, n_decayed):
        """Accelerate, then move to where the momentum will have carried the parameters."""
        velocity = self.vectors["velocity"]
        self.n_steps += 1
        self._add_penalty(parameters, gradient, n_decayed)
        gradient *= learning_rate
        velocity *= self.momentum
        velocity -= gradient
        parameters += self.momentum * velocity
        parameters -= gradient


def clip_gradient(gradient, clip_norm):
    """Shorten `gradient` in place to at most `clip_norm`, keeping its direction.

    Parameters
    ----------
    gradient : ndarray of shape (n_parameters,)
    clip_norm : float
        Largest Euclidean norm over all parameters together; ``inf`` leaves every finite gradient alone.

    Returns
    -------
    norm : float
        Before clipping, in float64; not finite where the gradient is not.

    Notes
    -----
    Pascanu, Mikolov & Bengio (2013), arXiv:1211.5063, Algorithm 1.
    """
    norm = update.norm(gradient)
    if np.isfinite(norm) and norm > clip_norm:
        gradient *= clip_norm / norm
    return norm


OPTIMIZERS = {"adamw": AdamW, "adam": Adam, "sgd": SGD}
"""Optimisers by name."""
