"""What features and differences are divided by: learned at once and call by call, applied and taken back."""

import numpy as np
import pytest

from skattn._training.standardise import mean_and_scale, median_and_spread
from skattn.scales import METHODS, Scales, learn_scales, scale_steps, take_back
from skattn.sequences import Sequences

GENERATOR = np.random.default_rng(0)
ARRAYS = [GENERATOR.normal(3, 2, size=(n, 2)) for n in (1, 5, 2, 11, 1, 7, 3)]
WEIGHT = np.array([1.0, 2, 3, 1, 2, 1, 1])
LARGEST = np.finfo(np.float64).max


def sequences_of(arrays):
    lengths = np.array([len(steps) for steps in arrays])
    return Sequences(np.concatenate(arrays), np.cumsum(lengths) - lengths, lengths, "ragged", int(lengths.max()))


def repeated(arrays):
    return np.concatenate([arrays[i] for i in np.repeat(np.arange(7), WEIGHT.astype(int))])


def learn(arrays, method="standard", *, weight=None, is_within=False, differences=False, seen=None):
    weight = np.ones(len(arrays)) if weight is None else weight
    options = {"is_within": is_within, "differences": differences, "seen": seen or {}}
    return learn_scales(sequences_of(arrays), weight, method, **options)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("standard", mean_and_scale(repeated(ARRAYS))),
        ("robust", median_and_spread(repeated(ARRAYS))),
        ("min_max", (repeated(ARRAYS).min(axis=0), np.ptp(repeated(ARRAYS), axis=0))),
        ("none", (np.zeros(2), np.ones(2))),
    ],
)
def test_a_method_measures_all_steps_each_by_its_weight(method, expected):
    scales, _ = learn(ARRAYS, method, weight=WEIGHT)
    np.testing.assert_allclose([scales.center, scales.scale], expected, rtol=1e-12)
    assert scales.difference_scale is None


@pytest.mark.parametrize("is_within", [False, True])
def test_differences_are_those_of_values_or_of_scaled_values(is_within):
    scales, _ = learn(ARRAYS, weight=WEIGHT, is_within=is_within, differences=True)
    scaled = [(a - a.mean(axis=0)) / np.where(len(a) > 1, a.std(axis=0), 1) for a in ARRAYS] if is_within else ARRAYS
    differences = repeated([np.diff(steps, axis=0) for steps in scaled])
    np.testing.assert_allclose(scales.difference_scale, differences.std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("method", ["standard", "min_max"])
@pytest.mark.parametrize("is_within", [False, True])
def test_learning_call_by_call_is_learning_at_once(method, is_within):
    expected, _ = learn(ARRAYS, method, weight=WEIGHT, is_within=is_within, differences=True)
    seen = {}
    for i in range(7):
        one, weight = ARRAYS[i : i + 1], WEIGHT[i : i + 1]
        scales, seen = learn(one, method, weight=weight, is_within=is_within, differences=True, seen=seen)
    for found, wanted in zip(scales, expected, strict=True):
        assert (found is None) == (wanted is None)
        if found is not None:
            np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_without_a_second_step_differences_are_divided_by_one():
    scales, _ = learn([np.array([[3.0]]), np.array([[5.0]])], differences=True)
    np.testing.assert_array_equal([1], scales.difference_scale)


def test_a_steady_rise_is_divided_by_one():
    scales, _ = learn([np.arange(5.0)[:, np.newaxis]], differences=True)
    np.testing.assert_array_equal([1], scales.difference_scale)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("differences", [False, True])
def test_what_is_taken_back_is_what_there_was(method, differences):
    data = sequences_of(ARRAYS)
    scales, _ = learn(ARRAYS, method, differences=differences)
    scaled = scale_steps(scales, method, data.values, data.lengths)
    assert scaled.shape == (30, 4 if differences else 2)
    np.testing.assert_allclose(take_back(scales, scaled, data.lengths), data.values, rtol=1e-14)


def test_each_sequence_has_its_own_scale():
    data = sequences_of([np.array([[1.0], [3.0]]), np.array([[10.0], [20.0], [30.0]])])
    scaled = scale_steps(Scales(None, None, np.array([0.5])), "min_max", data.values, data.lengths)
    np.testing.assert_array_equal(scaled, [[0, 0], [1, 2], [0, 0], [0.5, 1], [1, 1]])


@pytest.mark.parametrize("method", ["standard", "none"])
def test_the_largest_numbers_are_scaled(method):
    steps = np.array([[LARGEST], [-LARGEST], [LARGEST], [LARGEST]])
    scales, _ = learn([steps], method)
    scaled = scale_steps(scales, method, steps, np.array([4]))
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(take_back(scales, scaled, np.array([4])), steps, rtol=1e-15)


@pytest.mark.parametrize(
    ("method", "differences", "found"),
    [("min_max", False, "range"), ("robust", False, "range"), ("none", True, "difference between steps")],
)
def test_a_divisor_beyond_float64_is_refused(method, differences, found):
    steps = np.array([[0.0, LARGEST], [1.0, -LARGEST]])
    with pytest.raises(ValueError, match=f"The {found} of feature 1 of a step exceeds float64; multiply X by 0.1"):
        learn([steps], method, differences=differences)


@pytest.mark.parametrize("method", ["robust", "min_max"])
def test_a_sequence_whose_range_is_beyond_float64_does_not_vanish(method):
    data = sequences_of([np.array([[LARGEST], [-LARGEST]]), np.array([[1.0], [2.0]])])
    with np.errstate(all="ignore"):
        scaled = scale_steps(Scales(None, None, None), method, data.values, data.lengths)
    np.testing.assert_array_equal([False, False, True, True], np.isfinite(scaled[:, 0]))
