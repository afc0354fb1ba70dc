"""How parameters begin: rules, so that what a network needs is known before anything is allocated."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Normal:
    """Draws from a normal distribution around 0; a deviation of 0 draws nothing."""

    deviation: float

    def write(self, view, generator):
        """Fill an array; without a generator it is left alone."""
        if generator is not None:
            view[...] = generator.normal(scale=self.deviation, size=view.shape) if self.deviation else 0.0


@dataclass(frozen=True)
class Filled:
    """One number everywhere."""

    number: float

    def write(self, view, generator):
        """Fill an array."""
        view[...] = self.number


@dataclass(frozen=True)
class Waves:
    """Sines and cosines of each position, times a factor."""

    factor: float

    def write(self, view, generator):
        """Fill an array of shape (n_positions, width)."""
        view[...] = self.factor * sinusoids(*view.shape)


def sinusoids(n_steps, width):
    """Give sines (even columns) and cosines (odd) of each position, shape (n_steps, width)."""
    angle = np.arange(n_steps)[:, None] / 10000.0 ** (np.arange(0, width, 2) / width)
    table = np.empty((n_steps, width))
    table[:, 0::2] = np.sin(angle)
    table[:, 1::2] = np.cos(angle)[:, : width // 2]
    return table
