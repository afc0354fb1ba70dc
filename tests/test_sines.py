"""Sines and cosines of times at many frequencies, beside exact ones, for any number of them."""

import ctypes
import functools
from decimal import Decimal, localcontext

import numpy as np
import pytest

from skattn._kernels.position import _add_waves
from skattn._kernels.sines import FARTHEST

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
# Units in the last place of each precision.
BOUNDS = {"float64": 0.9, "float32": 0.5 + 1e-6}


def waves(time, frequencies, dtype, width=None, before=0.0):
    """What the kernel makes of numbers that were there before."""
    width = 2 * len(frequencies) if width is None else width
    target = np.full(width + 3, before, dtype)
    types = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
    kernel = ctypes.CFUNCTYPE(None, *types)(_add_waves.address(dtype))
    kernel(target.ctypes.data, width, time, frequencies.ctypes.data)
    np.testing.assert_array_equal(target[width:], before)  # nothing is written beyond
    return target[:width]


@functools.cache
def exact(angle):
    """Sine and cosine of a number, to 40 digits: Taylor's series of what is left of whole turns."""
    with localcontext() as context:
        context.prec = 60
        left = Decimal(angle) - 2 * PI * (Decimal(angle) / (2 * PI)).to_integral_value()
        sums, term = [Decimal(0), Decimal(0)], Decimal(1)
        for i in range(1, 60):
            sums[i % 2] += term * (1 if i % 4 in (1, 2) else -1)
            term *= left / i
        return sums[0], sums[1]


def assert_near(found, angles):
    """Sines and cosines in turn err by no more than the precision's bound."""
    for place, number in enumerate(found):
        true = exact(float(angles[place // 2]))[place % 2]
        unit = np.spacing(abs(found.dtype.type(true)))
        assert abs(Decimal(float(number)) - true) <= Decimal(BOUNDS[found.dtype.name]) * Decimal(float(unit))


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("far", [1.0, 30.0, 5e3, FARTHEST])
def test_waves_are_right_to_the_last_place(dtype, far):
    generator = np.random.default_rng(3)
    frequencies = 10000.0 ** (-np.arange(13) / 13)
    for time in [*generator.uniform(-far, far, 23), far, -far]:
        assert_near(waves(time, frequencies, dtype), time * frequencies)


@pytest.mark.parametrize("eighths", [1, 2, 3, 4, 6, 8, 355, 8 * 113, 1_000_003, 1_273_238])
def test_waves_are_right_beside_every_border_of_a_quarter(dtype, eighths):
    """There little is left of an angle, or a sine gives way to a cosine."""
    border = eighths * np.pi / 4
    for time in (np.nextafter(border, 0), border, np.nextafter(border, FARTHEST), -border):
        assert_near(waves(time, np.ones(5), dtype), np.full(5, time))


@pytest.mark.parametrize("angle", [62.01591920592473, -0.8094955683679, -1235.4037686013176, 188150.74080626633])
def test_angles_that_are_hard_to_round_are_right_as_well(angle):
    """Found among millions: they err by more than a unit where a term that seems to be nothing is left out."""
    assert_near(waves(angle, np.ones(5), "float64"), np.full(5, angle))


def test_lanes_and_plain_numbers_give_the_same_bits(dtype):
    frequencies = 10000.0 ** (-np.arange(37) / 37)
    many = waves(1234.5, frequencies, dtype)
    for i, frequency in enumerate(frequencies):
        np.testing.assert_array_equal(waves(1234.5, np.array([frequency]), dtype), many[2 * i : 2 * i + 2])


@pytest.mark.parametrize("width", [1, 2, 3, 7, 8, 9, 15, 17, 33])
def test_any_width_gets_what_the_widest_begins_with(dtype, width):
    frequencies = 10000.0 ** (-np.arange(17) / 17)
    np.testing.assert_allclose(
        waves(77.7, frequencies, dtype, width), waves(77.7, frequencies, dtype)[:width], rtol=1e-15
    )


def test_waves_are_added_to_what_was_there():
    frequencies = 10000.0 ** (-np.arange(5) / 5)
    found, alone = waves(3.25, frequencies, "float64", before=2.0), waves(3.25, frequencies, "float64")
    np.testing.assert_array_equal(found, 2.0 + alone)


def test_no_time_has_passed(dtype):
    np.testing.assert_array_equal(waves(0.0, np.ones(7), dtype), np.tile([0.0, 1.0], 7))


@pytest.mark.parametrize("time", [1.5 * FARTHEST, -1e9, 1e15])
def test_what_is_farther_is_right_as_well(time):
    """The system's own functions, which bound no angle, are called there."""
    frequencies = 10000.0 ** (-np.arange(7) / 7)
    expected = np.stack([np.sin(time * frequencies), np.cos(time * frequencies)], axis=1)
    np.testing.assert_allclose(waves(time, frequencies, "float64"), expected.ravel(), rtol=1e-15, atol=1e-15)


def test_what_is_no_number_stays_so(dtype):
    assert np.isnan(waves(np.nan, np.ones(9), dtype)).all()
