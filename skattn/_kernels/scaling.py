"""Bring what a user passed near 0 and 1, in double precision whatever it came in."""

import math

import numpy as np

from .jit import Double, Int, doubles, kernel, singles

# Standard deviations from the mean from which on the input is reined in; no float64 is farther than LARGEST.
FAR, LARGEST = 30.0, float(np.finfo(np.float64).max)


@kernel
def standard(values: Int, are_double: Int, place: Int, mean: Double, scale: Double) -> Double:
    """Give a number, at an address of float64 or float32, in deviations from its mean.

    It is centred by halves: the difference of two numbers near the largest overflows.
    """
    value = doubles(values)[place] if are_double else np.float64(singles(values)[place])
    deviations = (value * 0.5 - mean * 0.5) / (scale * 0.5)
    return reined_in(deviations) if abs(deviations) > FAR else deviations


@kernel
def reined_in(deviations: Double) -> Double:
    """Let what is farther than FAR count by its logarithm: smoothly, in order, and never by more than a thousand."""
    if abs(deviations) <= FAR:
        return deviations
    farther = FAR + math.log1p(min(abs(deviations), LARGEST) - FAR)
    return farther if deviations > 0 else -farther
