"""A fit that will take hours says so once, and what would be quicker; hours pass by a clock of the test."""

import warnings

import numpy as np
import pytest
from problems import SMALL, STEMS, make_ragged
from test_bar import Clock

import skattn._training.progress
from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn._long_fits import in_words

X = make_ragged()
Y = np.arange(len(X)) % 2
LONG = SMALL | {"max_iter": 60, "batch_size": 7}


@pytest.fixture
def hours(monkeypatch):
    """A clock by which every call of updates takes some minutes."""

    class Slow(Clock):
        def __call__(self):
            self.wait(120)
            return self.now

    monkeypatch.setattr(skattn._training.progress, "time", type("Time", (), {"perf_counter": Slow()}))


def warned_of(model, X, y, method="fit"):
    """The one warning of a fit."""
    with pytest.warns(UserWarning, match="This fit will take") as caught:
        getattr(model, method)(X, y)
    assert 1 == len(caught)
    return str(caught[0].message)


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_a_fit_of_hours_says_so_once(hours, n_estimators):
    """Whether its networks are trained one after another or side by side."""
    told = warned_of(SelfAttentionClassifier(**LONG | {"n_estimators": n_estimators, "n_jobs": 2}), X, Y)
    assert "about" in told and "hours more, judged by its first updates" in told
    assert "23 sequences of up to 11 steps" in told and "instead of 60 (" in told and "Ctrl-C ends it" in told
    assert (n_estimators == 2) == ("2 networks, 23 sequences" in told) == ("n_estimators=1 (about" in told)
    assert 'dtype="float32" (about' in told


def test_what_is_told_adds_up(hours, monkeypatch):
    told = []
    monkeypatch.setattr("skattn.ensemble.warn_of_hours", lambda *arguments: told.append(arguments))
    model = SelfAttentionClassifier(**LONG | {"n_jobs": 1}).fit(X, Y)
    *given, _ = told[0]
    with pytest.warns(UserWarning) as caught:
        skattn._long_fits.warn_of_hours(*given, 36_000.0)
    assert "take about 10 hours more" in str(caught[0].message)
    assert "max_iter=1 instead of 60 (about 10 minutes)" in str(caught[0].message)
    assert 'dtype="float32" (about 5 hours)' in str(caught[0].message)
    assert model.n_iter_ == 60


def given_to_warn(model, X, y, monkeypatch, method="fit"):
    """What the warning of a fit is made of, besides its time."""
    told = []
    for name in ("JUDGED_AFTER", "TOLD_AFTER", "LONG"):
        monkeypatch.setattr(skattn._training.progress, name, 0.0)
    monkeypatch.setattr("skattn.ensemble.warn_of_hours", lambda *arguments: told.append(arguments[:-1]))
    getattr(model, method)(X, y)
    monkeypatch.undo()
    return told[0]


def advice(model, X, y, monkeypatch, seconds=36_000.0):
    """What is advised for a fit, whatever its time."""
    arguments = given_to_warn(model, X, y, monkeypatch)
    with pytest.warns(UserWarning) as caught:
        skattn._long_fits.warn_of_hours(*arguments, seconds)
    return str(caught[0].message)


def long_sequences(n_samples=5, n_steps=521):
    return np.random.default_rng(0).normal(size=(n_samples, n_steps, 3))


TINY = SMALL | {"max_iter": 4, "n_jobs": 1, "dtype": "float32"}
WAYS = {
    "patches and a window for long sequences": (TINY, ["patch_size=8", "window=64", "every second step"], []),
    "a window is there": (TINY | {"window": 5}, ["patch_size=8"], ["window="]),
    "sums in place of scores": (TINY | {"attention": "linear", "position": "none"}, ["patch_size=8"], ["window="]),
    "patches are there": (TINY | {"patch_size": 3}, [], ["patch_size", "window="]),
    "one network of float32": (TINY, [], ["n_estimators", "float32"]),
    "a causal one has a window to its left": (TINY | {"causal": True}, ["window=64"], []),
    "a stem has fewer tokens": (STEMS | {"n_jobs": 1, "max_iter": 4}, ["n_tokens=16"], ["patch_size", "window="]),
    "a stem of few tokens": (STEMS | {"n_jobs": 1, "max_iter": 4, "n_tokens": 7}, [], ["n_tokens"]),
}


@pytest.mark.parametrize("case", WAYS)
def test_what_is_advised_can_be_done(case, monkeypatch):
    parameters, there, missing = WAYS[case]
    told = advice(SelfAttentionRegressor(**parameters), long_sequences(), np.arange(5.0), monkeypatch)
    assert all(f"{way}" in told for way in there) and not any(way in told for way in missing)


def test_where_steps_are_told_each_stays_a_token(monkeypatch):
    told = advice(SelfAttentionTransformer(**TINY | {"pooling": None}), long_sequences(), None, monkeypatch)
    assert "window=64" in told and "patch_size" not in told and "every second" not in told


def test_many_sequences_may_be_fewer(monkeypatch):
    told = advice(SelfAttentionClassifier(**SMALL), make_ragged(307), np.arange(307) % 2, monkeypatch, 1200.0)
    assert "153 of the 307 sequences (about 10 minutes)" in told


def test_all_cores_are_advised_where_they_are_not_used(monkeypatch):
    arguments = given_to_warn(SelfAttentionClassifier(**TINY), X, Y, monkeypatch)
    monkeypatch.setattr("skattn._long_fits.n_workers", lambda n_jobs: 2 if n_jobs == 1 else 8)
    with pytest.warns(UserWarning, match=r"n_jobs=-1, for 8 cores instead of 2 \(about 2 hours\)"):
        skattn._long_fits.warn_of_hours(*arguments, 36_000.0)


def test_a_pass_has_no_fewer_epochs_and_may_have_no_advice(monkeypatch):
    """One of `partial_fit`."""
    model = SelfAttentionRegressor(**TINY | {"batch_size": 3})
    arguments = given_to_warn(model, X, Y * 1.0, monkeypatch, "partial_fit")
    monkeypatch.setattr("skattn._long_fits.n_workers", lambda n_jobs: 1)
    with pytest.warns(UserWarning) as caught:
        skattn._long_fits.warn_of_hours(*arguments, 36_000.0)
    told = str(caught[0].message)
    assert "max_iter" not in told and "Quicker" not in told and "11 steps. Ctrl-C" in told


def test_short_fits_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SelfAttentionClassifier(**SMALL).fit(X, Y)


def test_a_warning_that_is_an_error_leaves_the_estimator_as_it_was(hours):
    model = SelfAttentionClassifier(**LONG)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="This fit will take"):
            model.fit(X, Y)
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(59, "less than a minute"), (60, "about 1 minute"), (3600, "about 60 minutes"), (10_000, "about 3 hours")]
    + [(130_000, "about 36 hours"), (300_000, "about 3 days")],
)
def test_times_are_told_as_people_round_them(seconds, told):
    assert told == in_words(seconds)
