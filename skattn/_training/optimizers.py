"""Turn a gradient into a step of the parameters: AdamW, Adam, and SGD with momentum."""

import math
from dataclasses import dataclass, field

import numpy as np

from skattn._kernels import parallel, update


@dataclass
class Optimizer:
    """Contract of the entries of `OPTIMIZERS`; made as ``OPTIMIZERS[name](n_parameters, dtype, alpha)``.

    A subclass is a leaf: it names its vectors (one number a parameter), its kernel, and what that multiplies by.
    Only plain arrays and numbers are held, so an optimiser can be pickled and continued with the same bits.

    Attributes
    ----------
    n_parameters : int
    dtype : dtype
        Of the parameters; vectors have the same.
    alpha : float
        Strength of the decay or penalty on the first `n_decayed` parameters.
    n_updates : int
        Updates taken so far.
    vectors : dict of str to ndarray of shape (n_parameters,)
        Running averages of gradients.
    """

    n_parameters: int
    dtype: np.dtype
    alpha: float = 0.0
    n_updates: int = 0
    vectors: dict = field(default_factory=dict)

    vector_names = ()
    kernel, record = None, None

    def __post_init__(self):
        for name in self.vector_names:
            self.vectors[name] = np.zeros(self.n_parameters, dtype=self.dtype)

    def __setstate__(self, state):
        """Become what was pickled; version 0.1.0 counted steps."""
        vars(self).update(state)
        if "n_steps" in state:
            self.n_updates = vars(self).pop("n_steps")

    def plan(self, parameters, gradient, factor, rates, n_decayed):
        """Write what the kernel is told of the updates that follow; `n_updates` is the caller's to count.

        Parameters
        ----------
        parameters, gradient : ndarray of shape (n_parameters,)
            Parameters are moved in place, the gradient may be used as scratch, but where it is 0 it stays so.
        factor : ndarray of shape (1,), float64
            What the gradient is multiplied by.
        rates : sequence of float
            Learning rate of each update.
        n_decayed : int
            The first `n_decayed` parameters are pulled towards zero with strength `alpha`.

        Returns
        -------
        records : ndarray of int64, shape (n_updates, n_fields)
        """
        arrays = {"parameters": parameters, "gradient": gradient, "factor": factor, **self.vectors}
        addresses = {name: parallel.address(array) for name, array in arrays.items()}
        one = self.record.new(**addresses, size=self.n_parameters, n_decayed=n_decayed)
        return self.record.write(self.record.repeat(one, len(rates)), **self._numbers(np.asarray(rates, float)))

    def _numbers(self, rates):
        """Give what the kernel multiplies by, for each of the updates that follow or one for all of them."""
        raise NotImplementedError

    def update(self, parameters, gradient, learning_rate, n_decayed):
        """Move `parameters` in place; `gradient` may be used as scratch; see `plan`."""
        factor = np.ones(1)
        (record,) = self.plan(parameters, gradient, factor, [learning_rate], n_decayed)
        parallel.run(self.kernel, self.dtype.name, record, self.n_blocks, 1)
        self.n_updates += 1

    @property
    def n_blocks(self):
        """Items that the kernel works on."""
        return -(-self.n_parameters // update.BLOCK)

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


class Adam(Optimizer):
    """Steps of about the learning rate in every parameter, whatever the gradient's scale.

    Notes
    -----
    Kingma & Ba (2015), arXiv:1412.6980, Algorithm 1, with its constants; `alpha` is an L2 penalty,
    so its gradient is averaged and rescaled like any other.
    """

    vector_names = ("mean", "mean_square")
    kernel, record = update.adam_item, update.AdamStep
    beta_1 = 0.9
    beta_2 = 0.999
    epsilon = 1e-8

    def rescale(self, view, factor):
        """Averages of gradients and of their squares."""
        view(self.vectors["mean"])[...] /= factor
        view(self.vectors["mean_square"])[...] /= factor**2

    def _numbers(self, rates):
        """Both corrections of averages are moved to where they cost one number instead of a vector each."""
        counts = range(self.n_updates + 1, self.n_updates + 1 + len(rates))
        corrections = np.array([math.sqrt(1 - self.beta_2**n) for n in counts])
        return {
            "keep_mean": self.beta_1,
            "keep_square": self.beta_2,
            "epsilon": self.epsilon * corrections,
            "rate": rates * corrections / [1 - self.beta_1**n for n in counts],
            "shrink": 1.0,
            "penalty": self.alpha,
        }


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

    def _numbers(self, rates):
        return super()._numbers(rates) | {"shrink": 1 - rates * self.alpha, "penalty": 0.0}


class SGD(Optimizer):
    """Gradient descent with Nesterov's momentum, as in scikit-learn's multi-layer perceptron.

    Notes
    -----
    Sutskever, Martens, Dahl & Hinton (2013), "On the importance of initialization and momentum in deep
    learning", section 2, written for the parameters at the point where the gradient is taken.
    """

    vector_names = ("velocity",)
    kernel, record = update.sgd_item, update.SGDStep
    momentum = 0.9

    def rescale(self, view, factor):
        """The velocity is that of the parameters."""
        view(self.vectors["velocity"])[...] *= factor

    def _numbers(self, rates):
        return {"momentum": self.momentum, "rate": rates, "penalty": self.alpha}


OPTIMIZERS = {"adamw": AdamW, "adam": Adam, "sgd": SGD}
"""Optimisers by name."""
