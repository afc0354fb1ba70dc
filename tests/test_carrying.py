"""Predictions that take long say how far they are, and are the same."""

import numpy as np
import pytest
from problems import SMALL, STEMS, assert_same_bits, fitted, make_ragged, results_of, target_of
from test_bar import Clock

import skattn.carrying
from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer

X = make_ragged()
MANY = make_ragged(157, seed=1)


@pytest.fixture
def slow(monkeypatch):
    """A clock by which every piece takes three seconds."""

    class Ticking(Clock):
        def __call__(self):
            self.wait(1e-6)
            return self.now

    clock, carry = Ticking(), skattn.carrying.carry

    def carry_slowly(*arguments):
        clock.wait(3)
        return carry(*arguments)

    monkeypatch.setattr(skattn.carrying, "carry", carry_slowly)
    monkeypatch.setattr(skattn.carrying.time, "perf_counter", clock)


@pytest.mark.parametrize(
    ("model", "title"),
    [
        (SelfAttentionClassifier(**STEMS), "predict"),
        (SelfAttentionTransformer(**SMALL), "transform"),
        (SelfAttentionTransformer(**SMALL | {"pooling": None}), "transform"),
    ],
)
def test_long_predictions_say_how_far_they_are_and_change_no_bit(model, title, slow, capsys):
    fitted(model, X)
    expected = results_of(model, MANY)
    assert "" == capsys.readouterr().out
    assert_same_bits(results_of(model.set_params(verbose=2), MANY), expected)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(title)]
    assert "64 of 157 sequences" in lines[0] or "32 of 157 sequences" in lines[0]
    assert any("100%  157 of 157 sequences" in line for line in lines)


def test_short_predictions_say_nothing(capsys):
    model = fitted(SelfAttentionRegressor(**SMALL), X).set_params(verbose=2)
    model.predict(X)
    assert "" == capsys.readouterr().out


def test_scores_of_a_fit_do_not_write_into_its_bar(slow, capsys):
    model = SelfAttentionRegressor(**SMALL, verbose=2, scoring="r2")
    model.fit(X, target_of(model, X), X_val=MANY, y_val=target_of(model, MANY))
    lines = capsys.readouterr().out.splitlines()
    assert "predict" not in "".join(lines) and lines[-1].startswith("fit  100%")


def test_a_failing_prediction_ends_its_line(slow, capsys, monkeypatch):
    model = fitted(SelfAttentionRegressor(**SMALL), X).set_params(verbose=2)
    model._model.network.parameters[:] = np.nan
    with pytest.raises(ValueError, match="training that diverged"):
        model.predict(MANY)
    assert "" == capsys.readouterr().out
