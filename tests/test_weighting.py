"""Weights are one a sample, and classes weigh what they are told."""

from datetime import date

import numpy as np
import pytest

from skattn.weighting import read_sample_weight, weigh_classes


@pytest.mark.parametrize("given", [None, 2.5, [2.5] * 3, np.full(3, 2.5, np.float32)])
def test_weights_are_one_a_sample(given):
    weight = read_sample_weight(given, 3)
    assert (3,) == weight.shape and 1 == len(set(weight))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0, 2.0], r"shape \(2,\), expected \(3,\)"),
        (np.ones((3, 1)), r"shape \(3, 1\)"),
        ([1.0, -0.5, 2.0], r"sample_weight\[1\] is -0.5"),
        ([1.0, np.nan, 2.0], "sample_weight contains NaN at sample 1"),
        ([1.0, np.inf, 2.0], "sample_weight contains infinity"),
        ([0, 0, 0], "weights are zero"),
        (["much", "little", "none"], "could not convert string"),
    ],
)
def test_unusable_weights_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        read_sample_weight(weight, 3)


INDICES, CLASSES = np.array([0, 0, 0, 2]), np.array(["a", "b", "c"])


def test_balanced_classes_weigh_the_same_in_all():
    weight = weigh_classes("balanced", INDICES, CLASSES, np.array([1.0, 2.0, 3.0, 5.0]))
    assert weight[:3].sum() == pytest.approx(weight[3])
    assert weight.sum() == pytest.approx(11.0)


def test_balance_counts_a_weight_as_repetitions():
    repeated = weigh_classes("balanced", np.array([0, 0, 0, 2, 2]), CLASSES, np.ones(5))
    weighted = weigh_classes("balanced", np.array([0, 2]), CLASSES, np.array([3.0, 2.0]))
    np.testing.assert_allclose(weighted, [repeated[:3].sum(), repeated[3:].sum()])


def test_classes_without_a_weight_of_their_own_weigh_1():
    weight = weigh_classes({"a": 3}, INDICES, CLASSES, np.array([1.0, 2.0, 3.0, 5.0]))
    assert [3, 6, 9, 5] == weight.tolist()


@pytest.mark.parametrize(
    "classes", [["1", "2"], [1, 2], [1.25, 1.5], [False, True], [date(2025, 1, 1), date(2026, 1, 1)]], ids=repr
)
def test_classes_of_every_kind_are_named_as_they_are(classes):
    labels = np.array(classes, dtype=object if isinstance(classes[0], date) else None)
    assert weigh_classes({classes[1]: 3}, np.array([0, 1]), labels, np.ones(2)).tolist() == [1, 3]
    with pytest.raises(ValueError, match=r"class_weight names \['alien'\], and the classes of y are .*; name these"):
        weigh_classes({"alien": 2}, np.array([0, 1]), labels, np.ones(2))


def test_classes_that_are_not_here_may_have_weights_where_all_others_have():
    """As in a fold that lacks a rare class."""
    weight = weigh_classes({"a": 2, "b": 3, "rare": 9}, np.array([0, 1]), np.array(["a", "b"]), np.ones(2))
    assert [2, 3] == weight.tolist()


@pytest.mark.parametrize(
    "class_weight",
    [{"a": -1}, {"a": None}, {"a": "3"}, {"a": np.nan}, {"a": np.inf}, {"a": 1, "d": 2}, dict.fromkeys("abc", 0)],
)
def test_unusable_class_weights_are_refused(class_weight):
    with pytest.raises(ValueError, match="class_weight"):
        weigh_classes(class_weight, INDICES, CLASSES, np.ones(4))


@pytest.mark.parametrize("largest", [1.7e308, 1e-300])
def test_only_ratios_of_extreme_weights_are_kept(largest):
    weight = read_sample_weight(np.array([1.0, 0.25, 0.5]) * largest, 3)
    assert 0.5 <= weight.max() <= 1
    np.testing.assert_allclose(weight / weight[0], [1, 0.25, 0.5], rtol=1e-15)


def test_extreme_classes_of_extreme_samples_neither_overflow_nor_vanish():
    indices, classes = np.array([0, 1, 1]), np.array(["a", "b"])
    for extreme, unit in ((1e300, 1e90), (1e-300, 1e-90)):
        weight = weigh_classes({"a": extreme, "b": 2 * extreme}, indices, classes, unit * np.array([1.0, 1.0, 0.5]))
        np.testing.assert_allclose(weight / weight[0], [1, 2, 1], rtol=1e-15)


def test_classes_have_no_weight_where_samples_have_several():
    with pytest.raises(ValueError, match=r"class_weight='balanced' needs one class a sample.* sample_weight instead"):
        weigh_classes("balanced", np.eye(3), np.array(list("abc")), np.ones(3))


def test_masked_weights_are_refused():
    with pytest.raises(ValueError, match="sample_weight has masked entries"):
        read_sample_weight(np.ma.masked_equal([1, 2, 3], 2), 3)
