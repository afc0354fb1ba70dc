"""The data sets that ship with the package load offline and are what they say they are."""

from importlib.resources import files

import numpy as np
import pytest

from skattn.datasets import load_japanese_vowels, load_pen_digits

LOADERS = [load_japanese_vowels, load_pen_digits]


def test_japanese_vowels_are_ragged_sequences_of_twelve_features():
    data = load_japanese_vowels()
    lengths = [len(steps) for steps in data.data]
    assert isinstance(data.data, list) and len(data.data) == 640
    assert (min(lengths), max(lengths)) == (7, 29)
    assert {steps.shape[1] for steps in data.data} == {12} and len(data.feature_names) == 12


def test_japanese_vowels_begin_with_the_source_file_s_first_numbers():
    first = load_japanese_vowels().data[0]
    np.testing.assert_array_equal(np.float32([1.860936, -0.207383, 0.261557]), first[0, :3])


def test_japanese_vowels_classes_are_counted_as_the_source_counts_them():
    _, train = load_japanese_vowels(split="train", return_X_y=True)
    _, test = load_japanese_vowels(split="test", return_X_y=True)
    assert [30] * 9 == np.unique(train, return_counts=True)[1].tolist()
    assert [31, 35, 88, 44, 29, 24, 40, 50, 29] == np.unique(test, return_counts=True)[1].tolist()


def test_pen_digits_are_eight_points_of_a_pen():
    data = load_pen_digits()
    assert data.data.shape == (10992, 8, 2)
    assert (data.data.min(), data.data.max()) == (0, 100)
    assert data.feature_names == ["x", "y"]
    assert (np.sum(data.split == "train"), np.sum(data.split == "test")) == (7494, 3498)


@pytest.mark.parametrize("load", LOADERS)
def test_train_and_test_together_are_the_whole(load):
    whole, train, test = load(), load(split="train"), load(split="test")
    assert len(whole.data) == len(train.data) + len(test.data)
    assert set(train.split) == {"train"} and set(test.split) == {"test"}
    np.testing.assert_array_equal(whole.target, np.concatenate([train.target, test.target]))
    np.testing.assert_array_equal(whole.data[0], train.data[0])
    np.testing.assert_array_equal(whole.data[-1], test.data[-1])


@pytest.mark.parametrize("load", LOADERS)
def test_targets_are_the_labels_of_the_source(load):
    data = load()
    assert data.target.shape == (len(data.data),)
    np.testing.assert_array_equal(data.target_names, np.unique(data.target))


@pytest.mark.parametrize("load", LOADERS)
def test_sequences_are_finite_float32_that_the_caller_may_change(load):
    data = load().data
    data[0][:] = 0
    assert data[0].dtype == np.float32
    assert np.all([np.isfinite(steps).all() for steps in data])
    assert np.any(load().data[0] != 0)


@pytest.mark.parametrize("load", LOADERS)
def test_only_data_and_target_come_when_asked_for(load):
    X, y = load(split="test", return_X_y=True)
    assert len(X) == len(y) == len(load(split="test").data)


@pytest.mark.parametrize("load", LOADERS)
def test_description_names_source_and_licence(load):
    description = load().DESCR
    assert "UCI Machine Learning" in description.replace("\n", " ") and "CC BY 4.0" in description


@pytest.mark.parametrize("load", LOADERS)
def test_unknown_split_is_refused(load):
    with pytest.raises(ValueError, match="split='dev' is unknown; choose 'train', 'test' or None"):
        load(split="dev")


def test_stored_files_are_small_and_hold_no_pickles():
    for path in (files("skattn.datasets") / "data").iterdir():
        if path.name.endswith(".npz"):
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                assert all(archive[key].dtype != object for key in archive.files)
            assert len(path.read_bytes()) < 500_000
