"""What takes the place of a block of steps, or of a feature."""

from functools import partial

import numpy as np
import pytest
from problems import make_ragged, make_told, pad

from skattn.categories import MOST
from skattn.inspection.given import read_given
from skattn.inspection.replacing import Occlusion, Permutation, check_replacement

UNKNOWN = MOST - 1


class Reader:
    """Reads X with a number, a code, a time and another code in each step."""

    n_step_features, categorical_features, time_feature = 4, [1, 3], 2


def opened(X, model=None):
    """Sequences of X, as they are replaced in."""
    return read_given(model, X).data


def sequences(data, values):
    return [values[start : start + length] for start, length in zip(data.starts, data.lengths, strict=True)]


def givers_of(before, after):
    """For each changed sequence, all others that have just these values at the same steps."""
    return [
        [j for j, other in enumerate(before) if i != j and len(other) >= len(own) and (other[: len(own)] == own).all()]
        for i, own in enumerate(after)
    ]


@pytest.mark.parametrize("form", [list, pad])
def test_each_sequence_has_the_steps_of_another_in_its_block(form):
    data = opened(form(make_ragged()))
    before = sequences(data, data.values)
    after = sequences(data, Permutation(data, [0]).steps(2, 5))
    seen = [steps[2:5] for steps in before]
    for number, (own, changed) in enumerate(zip(before, after, strict=True)):
        np.testing.assert_array_equal(changed[:2], own[:2])
        np.testing.assert_array_equal(changed[5:], own[5:])
        block = changed[2:5]
        assert len(block) == len(own[2:5])
        rows = {row.tobytes() for other, of_other in enumerate(seen) if other != number for row in of_other}
        assert {row.tobytes() for row in block} <= rows
    whole = [number for number, steps in enumerate(before) if len(steps) >= 5]
    givers = givers_of([seen[number] for number in whole], [after[number][2:5] for number in whole])
    # Those that were given all their steps by one sequence are given them by different ones.
    given = [places[0] for places in givers if places]
    assert len(given) > len(whole) // 2 and len(set(given)) == len(given)


def test_where_one_sequence_is_so_long_it_is_given_the_last_steps_of_another():
    X = [np.arange(7.0)[:, np.newaxis], np.arange(100.0, 103.0)[:, np.newaxis]]
    data = opened(X)
    long, short = sequences(data, Permutation(data, [0]).steps(5, 7))
    assert [0, 1, 2, 3, 4, 101, 102] == long.ravel().tolist()
    assert X[1].ravel().tolist() == short.ravel().tolist()
    # A block longer than the other sequence is filled by repeating its steps.
    (long, _) = sequences(data, Permutation(data, [0]).steps(3, 7))
    assert [0, 1, 2, 100, 100, 101, 102] == long.ravel().tolist()


def test_a_feature_comes_as_a_whole_and_is_drawn_out_or_together():
    X = [np.array([[1.0, 10], [2, 20], [3, 30], [4, 40]]), np.array([[5.0, 50], [6, 60]])]
    data = opened(X)
    long, short = sequences(data, Permutation(data, [0]).feature(1))
    np.testing.assert_array_equal(long, [[1, 50], [2, 50], [3, 60], [4, 60]])
    np.testing.assert_array_equal(short, [[5, 10], [6, 30]])


@pytest.mark.parametrize("kind", ["steps", "feature"])
def test_an_order_is_that_of_its_seed(kind):
    data = opened(make_ragged())
    where = (1, 4) if kind == "steps" else (1,)
    first, again, other = (getattr(Permutation(data, seed), kind)(*where) for seed in ([3, 1], [3, 1], [3, 2]))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("form", [list, partial(pad, n_steps=13)])
def test_what_is_occluded_is_the_mean_of_valid_steps(form):
    X = make_ragged()
    data = opened(form(X))
    means = np.concatenate(X).mean(axis=0)
    for own, changed in zip(X, sequences(data, Occlusion(data, "mean").steps(2, 5)), strict=True):
        expected = own.copy()
        expected[2:5] = means
        np.testing.assert_allclose(changed, expected, rtol=1e-12)
    for own, changed in zip(X, sequences(data, Occlusion(data, "mean").feature(1)), strict=True):
        np.testing.assert_allclose(changed, np.where(np.arange(3) == 1, means, own), rtol=1e-12)


def test_interpolation_draws_lines_between_the_steps_beside_a_block():
    X = [np.array([[0.0], [2], [90], [91], [92], [10]]), np.array([[3.0], [5], [7]]), np.array([[1.0]])]
    data = opened(X)
    replaced = Occlusion(data, "interpolation")
    middle = sequences(data, replaced.steps(2, 5))
    assert [[0, 2, 4, 6, 8, 10], [3, 5, 5], [1]] == [steps.ravel().tolist() for steps in middle]
    begin = sequences(data, replaced.steps(0, 2))
    assert [[90, 90, 90, 91, 92, 10], [7, 7, 7]] == [steps.ravel().tolist() for steps in begin[:2]]
    # Beside a whole sequence there is nothing.
    assert np.concatenate(X).mean() == begin[2].item()


def test_numbers_and_values_for_each_feature_take_their_place():
    X = make_ragged()
    data = opened(X)
    assert (sequences(data, Occlusion(data, -7.0).steps(0, 1))[0][0] == -7).all()
    np.testing.assert_array_equal(sequences(data, Occlusion(data, np.arange(3.0)).steps(0, 1))[4][0], [0, 1, 2])


def test_categories_become_unknown_and_times_stay():
    X = make_told({})
    data = opened(X, Reader())
    numbers = np.concatenate(X)[:, 0]
    for replacement, number in (("mean", numbers.mean()), (5.0, 5.0)):
        changed = sequences(data, Occlusion(data, replacement).steps(1, 3))[0]
        np.testing.assert_array_equal(changed[1:3, [1, 3]], UNKNOWN)
        np.testing.assert_allclose(changed[1:3, 0], number)
        np.testing.assert_array_equal(changed[:, 2], X[0][:, 2])
    exchanged = sequences(data, Permutation(data, [0]).steps(1, 3))[0]
    np.testing.assert_array_equal(exchanged[:, 2], X[0][:, 2])
    assert not np.array_equal(exchanged[:, 0], X[0][:, 0])
    np.testing.assert_array_equal(sequences(data, Occlusion(data, "mean").feature(3))[2][:, 3], UNKNOWN)
    np.testing.assert_array_equal(
        sequences(data, Occlusion(data, [4, 9, 0, 1]).steps(0, 1))[2][0, [0, 1, 3]], [4, 9, 1]
    )


def test_a_time_that_tells_nothing_goes_on_evenly():
    X = make_told({})
    data = opened(X, Reader())
    usual = np.median(np.concatenate([np.diff(steps[:, 2]) for steps in X]))
    for own, changed in zip(X, sequences(data, Occlusion(data, "mean").feature(2)), strict=True):
        np.testing.assert_allclose(changed[:, 2], own[0, 2] + usual * np.arange(len(own)), rtol=1e-12)
        np.testing.assert_array_equal(changed[:, [0, 1, 3]], own[:, [0, 1, 3]])


def test_what_is_missing_at_the_end_is_no_padding():
    X = make_ragged()
    data = opened(X)
    for own, changed in zip(X, sequences(data, Occlusion(data, "missing").steps(2, 11)), strict=True):
        np.testing.assert_array_equal(np.isnan(changed[2:-1]), True)
        np.testing.assert_array_equal(changed[:2], own[:2])
        np.testing.assert_allclose(changed[-1], own[-1] if len(own) <= 2 else np.concatenate(X).mean(axis=0))


def test_values_that_were_missing_are_left_out_of_means_and_lines():
    X = [np.array([[1.0], [np.nan], [5], [7], [9]])]
    data = opened(X)
    assert 22 / 4 == Occlusion(data, "mean").steps(2, 3)[2, 0]
    assert 22 / 4 == Occlusion(data, "interpolation").steps(2, 3)[2, 0]


def test_x_is_never_altered():
    X = make_ragged()
    data = opened(pad(X))
    before = data.values.copy()
    for way in (Permutation(data, [0]), Occlusion(data, "missing"), Occlusion(data, "interpolation")):
        way.steps(0, 3)
        way.feature(1)
    np.testing.assert_array_equal(data.values, before)


@pytest.mark.parametrize("wrong", ["median", "Mean", "interpolation "])
def test_other_words_are_refused(wrong):
    with pytest.raises(ValueError, match="is none of 'auto', 'mean', 'interpolation', 'missing'; give one of these"):
        check_replacement(wrong, 3, [], of_steps=True)


@pytest.mark.parametrize("wrong", [np.nan, [1.0, 2.0], [1.0, np.inf, 2.0], None, {"a": 1}, [["x"], ["y"], ["z"]]])
def test_what_is_no_number_for_each_feature_is_refused(wrong):
    with pytest.raises(
        ValueError, match="is no finite number, and no 3 of them; give one number, one for each of the 3"
    ):
        check_replacement(wrong, 3, [], of_steps=True)


def test_lines_lie_between_steps_only():
    with pytest.raises(ValueError, match="is none of 'auto', 'mean', 'missing'; give one of these"):
        check_replacement("interpolation", 3, [], of_steps=False)
