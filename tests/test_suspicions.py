"""X that hardly means what it is read as is warned about in fit, once, with the line that mends it."""

import warnings
from collections import UserList
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from problems import FORMS, SMALL, make_array, pad
from reading import Reader, read

from skattn import SelfAttentionClassifier
from skattn import _suspicions as suspicions

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def warnings_of(X, call=read, **options):
    """Words of the warnings that a call gives, by default that of reading X to fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(X, **options)
    assert all(warning.category is UserWarning for warning in caught)
    return [str(warning.message) for warning in caught]


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def waves(n_samples=23, n_channels=3, n_steps=60):
    phases = np.random.default_rng(1).uniform(0, 6, size=(n_samples, n_channels, 1))
    return np.sin(phases + np.linspace(0, 9, n_steps)) * np.arange(1, n_channels + 1)[:, np.newaxis]


# Channels first


@pytest.mark.parametrize("n_channels", [1, 2, 3, 7])
def test_channels_first_is_suspected_and_its_transpose_is_not(n_channels):
    [word] = warnings_of(waves(n_channels=n_channels))
    assert "looks like channels first" in word and "X.transpose(0, 2, 1)" in word
    assert [] == warnings_of(waves(n_channels=n_channels).transpose(0, 2, 1))


def test_few_channels_of_noise_are_suspected(generator):
    assert 1 == len(warnings_of(generator.normal(size=(29, 3, 100))))


def test_few_steps_of_many_features_are_not_suspected(generator):
    own_scales = generator.normal(size=(29, 3, 100)) * generator.uniform(0.5, 2, 100)
    own_means = generator.normal(size=(29, 3, 100)) + generator.normal(size=100)
    smooth_spectra = np.cumsum(generator.normal(size=(29, 1, 100)), axis=2) + generator.normal(size=(29, 7, 1)) * 0.01
    for X in (own_scales, own_means, smooth_spectra.cumsum(axis=1), generator.normal(size=(29, 11, 60))):
        assert [] == warnings_of(X)


def test_sequences_of_several_lengths_are_not_channels():
    X = waves()
    X[::2, -1] = np.nan
    assert [] == warnings_of(X)
    assert [] == warnings_of(list(waves()))


def test_constant_channels_are_looked_at_without_a_complaint():
    X = waves()
    X[:, 1] = 3.0
    assert 1 == len(warnings_of(X))
    assert all("channels" in word for word in warnings_of(np.ones((23, 2, 50))))


# Codes of tokens


CODES = {
    "array": lambda codes: codes,
    "polars frame": pl.DataFrame,
    "column": lambda codes: pd.Series(list(codes)),
    "nested lists": lambda codes: codes.tolist(),
    "one feature a step": lambda codes: codes[:, :, np.newaxis],
    "frame": pd.DataFrame,
}


@pytest.mark.parametrize("form", CODES)
def test_codes_are_suspected(generator, form):
    [word] = warnings_of(CODES[form](generator.integers(0, 20, size=(31, 17))))
    assert "whole numbers from 0 to 19" in word and 'Set categorical_features="all" if they are.' in word


def test_codes_that_are_said_to_be_are_not_suspected(generator):
    codes, options = generator.integers(0, 20, size=(31, 17)), SMALL | {"categorical_features": "all"}
    assert [] == warnings_of(codes, call=SelfAttentionClassifier(**options).fit, y=np.arange(31) % 2)


def test_codes_may_come_as_floats_and_so_may_counts(generator):
    """Codes that were padded leave 0 to the padding."""
    assert 1 == len(warnings_of(generator.integers(1, 20, size=(31, 17)).astype(float)))
    assert [] == warnings_of(generator.poisson(3, size=(31, 17)).astype(float))
    assert [] == warnings_of(pd.DataFrame(generator.poisson(3, size=(31, 17)).astype(float)))


def test_codes_in_sequences_of_their_own_lengths_are_suspected(generator):
    X = [generator.integers(1, 9, size=n) for n in generator.integers(5, 30, size=31)]
    [word] = warnings_of(X)
    assert "whole numbers from 1 to 8" in word
    assert [] == warnings_of([np.eye(9, dtype="float32")[x] for x in X])


def test_where_the_type_cannot_be_told_0_is_taken_for_a_count(generator):
    counts = generator.integers(0, 20, size=(31, 17)).tolist()
    assert [] == warnings_of(Ragged(counts))


class Ragged(UserList):
    """Lists that say nothing of types, and are no array."""

    def to_list(self):
        return self.data

    def __array__(self, dtype=None, copy=None):
        raise ValueError("not regular")


def test_whole_numbers_that_are_values_are_not_suspected(generator):
    walks = np.cumsum(generator.integers(-1, 2, size=(31, 40)), axis=1) + 100
    different = np.arange(31 * 17).reshape(31, 17)[:, generator.permutation(17)]
    for X in (walks, different, generator.integers(-9, 9, size=(31, 17)), generator.integers(0, 2, size=(31, 17))):
        assert [] == warnings_of(X)
    assert [] == warnings_of(generator.integers(0, 20, size=(31, 18)), estimator=Reader(n_step_features=3))


def test_few_whole_numbers_are_no_evidence(generator):
    for shape in ((7, 50), (12, 2)):
        assert [] == warnings_of(generator.integers(1, 5, size=shape))


# Long frames


def long_frame(generator, n_sequences=5, n_steps=7):
    owners = np.repeat(np.arange(n_sequences), n_steps)
    return pd.DataFrame(
        {
            "patient_id": owners * 10,
            "hour": np.tile(np.arange(n_steps), n_sequences),
            "pulse": generator.normal(size=len(owners)),
        }
    )


def test_the_line_that_mends_a_long_frame_is_told(generator):
    frame = long_frame(generator)
    [word] = warnings_of(frame)
    assert "its column 'patient_id'" in word
    assert "[steps.drop(columns='patient_id') for _, steps in X.groupby('patient_id', sort=False)]" in word
    assert [] == warnings_of([steps.drop(columns="patient_id") for _, steps in frame.groupby("patient_id")])
    [word] = warnings_of(pl.DataFrame(dict(frame)))
    assert "X.partition_by('patient_id', include_key=False)" in word
    assert [] == warnings_of(pl.DataFrame(dict(frame)).partition_by("patient_id", include_key=False))


def test_a_key_is_known_by_its_name_or_by_the_clock_beside_it(generator):
    frame = long_frame(generator)
    for suspected in (frame.drop(columns="hour"), frame.rename(columns={"patient_id": "a", "hour": "b"})):
        assert 1 == len(warnings_of(suspected))
    assert [] == warnings_of(frame.rename(columns={"patient_id": "a"}).drop(columns="hour"))


def test_an_index_may_be_the_key(generator):
    frame = long_frame(generator)
    for index in (["patient_id", "hour"], ["patient_id"]):
        [word] = warnings_of(frame.set_index(index))
        assert "its index" in word and "X.groupby(level=0, sort=False)" in word
    by_name = frame.set_index(frame.pop("patient_id").map(lambda owner: f"patient {owner}"))
    assert 1 == len(warnings_of(by_name))


def test_wide_frames_are_not_suspected(generator):
    wide = pd.DataFrame(generator.normal(size=(35, 9)))
    wide[0] = np.repeat(np.arange(5), 7)
    numbered = wide.set_axis([f"at {i}" for i in range(9)], axis=1)
    for frame in (wide, numbered, numbered.assign(id=np.arange(35)), numbered.assign(id=1), numbered.sample(frac=1)):
        assert [] == warnings_of(frame)
    for frame in (numbered.assign(id=0.5), numbered.set_index(generator.permutation(35))):
        assert [] == warnings_of(frame)


def test_an_array_has_no_column_that_could_be_a_key(generator):
    assert [] == warnings_of(long_frame(generator).to_numpy())


# Padding by zeros


def sequences(generator, n_samples=19, n_features=2):
    return [generator.normal(size=(n, n_features)) for n in generator.integers(3, 12, size=n_samples)]


@pytest.mark.parametrize("form", [np.asarray, list, lambda X: X.reshape(len(X), -1)], ids=["array", "list", "rows"])
def test_padding_by_zeros_is_suspected_and_by_nan_is_not(generator, form):
    padded = pad(sequences(generator), 13)
    zeros = np.nan_to_num(padded)
    [word] = warnings_of(form(zeros), estimator=Reader(n_step_features=2))
    assert "zeros" in word and "X[np.arange(X.shape[1]) >= lengths[:, np.newaxis]] = np.nan" in word
    assert [] == warnings_of(form(padded), estimator=Reader(n_step_features=2))


def test_zeros_that_are_values_are_not_suspected(generator):
    zeros = np.nan_to_num(pad(sequences(generator), 13))
    centred = np.concatenate([zeros[:, ::-1], zeros], axis=1)
    for X in (centred, np.zeros((19, 5, 2)), zeros[:7], generator.integers(0, 2, size=(19, 9, 1)) * 0.5):
        assert [] == warnings_of(X)
    few = pad(sequences(generator), 13)
    few[0] = np.nan_to_num(few[0])
    assert [] == warnings_of(few)


# When and how much


def test_each_thing_is_said_once_and_in_fit_only(generator):
    X, y = np.nan_to_num(pad(sequences(generator, 30, 1), 13)).round(1), np.arange(30) % 2
    codes = generator.integers(1, 9, size=(30, 20))
    codes[:, 15:] = 0
    assert 2 == len(warnings_of(codes, call=SelfAttentionClassifier(**SMALL).fit, y=y))
    model = SelfAttentionClassifier(**SMALL)
    assert 1 == len(warnings_of(X, call=model.fit, y=y, X_val=X, y_val=y))
    assert [] == warnings_of(X, call=model.predict)
    model = SelfAttentionClassifier(**SMALL)
    assert 1 == len(warnings_of(X, call=model.partial_fit, y=y, classes=[0, 1]))
    assert [] == warnings_of(X, call=model.partial_fit, y=y)


def test_a_warning_made_an_error_leaves_nothing_behind():
    model = SelfAttentionClassifier(**SMALL)
    with warnings.catch_warnings(), pytest.raises(UserWarning, match="channels first"):
        warnings.simplefilter("error")
        model.fit(waves(), np.arange(23) % 2)
    assert not hasattr(model, "n_features_in_")


def test_a_part_of_large_data_is_looked_at(monkeypatch):
    monkeypatch.setattr(suspicions, "MOST_NUMBERS", 2000)
    monkeypatch.setattr(suspicions, "MOST_SAMPLES", 9)
    data = read(waves(n_samples=200).transpose(0, 2, 1))
    some = suspicions._some_of(data)
    assert 9 == len(some) and all(steps.base is not None for steps in some)
    assert [] == suspicions._some_of(read(np.ones((200, 60, 60))))


def test_a_long_sequence_among_short_ones_is_left_out(monkeypatch):
    monkeypatch.setattr(suspicions, "MOST_NUMBERS", 1000)
    some = suspicions._some_of(read([np.ones((10_000, 1)), *[np.ones((3, 1))] * 20]))
    assert 20 == len(some) and {3} == {len(steps) for steps in some}


@pytest.mark.parametrize("form", FORMS)
def test_no_form_is_suspected(form):
    assert [] == warnings_of(FORMS[form]())
    assert [] == warnings_of(make_array(n_samples=200))


@pytest.mark.skipif(not DATA.is_dir(), reason="these data sets are not part of the project")
@pytest.mark.parametrize("path", sorted(DATA.glob("*.npz")), ids=lambda path: path.stem)
def test_real_sequences_are_not_suspected(path):
    with np.load(path) as archive:
        stored = {name: archive[name] for name in ("X", "lengths") if name in archive}
    if "X" not in stored:
        pytest.skip("tokens, not values")
    X = stored["X"]
    assert [] == warnings_of(X)
    lengths = stored.get("lengths", np.full(len(X), X.shape[1]))
    assert [] == warnings_of([steps[:n] for steps, n in zip(X, lengths, strict=True)])
    assert [] == warnings_of(X.reshape(len(X), -1), estimator=Reader(n_step_features=X.shape[2]))


@pytest.mark.parametrize("first, dtype, is_lost", [(1.7e9, "f4", True), (1.7e9, "f8", False), (1e3, "f4", False)])
def test_times_that_single_precision_rounds_away_are_told(first, dtype, is_lost):
    """Seconds since 1970 are 128 apart there."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(23, 11, 2))
    X[:, :, 1] = first + 60 * np.arange(11)
    model = SelfAttentionClassifier(time_feature=1, max_iter=1, n_estimators=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X.astype(dtype), np.arange(23) % 2)
    told = [str(warning.message) for warning in caught]
    assert len(told) == is_lost
    assert all("feature 1, are float32, where numbers near 1.7e+09 are 128 apart" in message for message in told)
