"""The transformer learns what y asks for, and without y from the sequences alone."""

import numpy as np
import pytest
from problems import SMALL, direction, make_array, make_ragged, pad, rise

from skattn import SelfAttentionTransformer

X = make_ragged()
LABELS = np.column_stack([direction(X) == "rises", [len(sequence) > 5 for sequence in X]]).astype(int)


def make(**parameters):
    return SelfAttentionTransformer(**SMALL | parameters)


@pytest.mark.parametrize(
    ("y", "objective"),
    [
        (None, "reconstruction"),
        (direction(X), "cross_entropy"),
        (rise(X), "squared_error"),
        (np.column_stack([rise(X), rise(X) ** 2]), "squared_error"),
        (LABELS, "binary_cross_entropy"),
    ],
)
def test_y_decides_what_is_learned(y, objective):
    model = make().fit(X, y)
    assert objective == model.objective_
    assert (len(X), 14) == model.transform(X).shape
    assert (objective in ("cross_entropy", "binary_cross_entropy")) == hasattr(model, "classes_")


def test_an_objective_is_asked_for_by_name():
    assert "squared_error" == make(objective="squared_error").fit(X, np.arange(len(X)) % 3).objective_
    assert "binary_cross_entropy" == make(objective="binary_cross_entropy").fit(X, LABELS).objective_


def test_reconstruction_ignores_the_labels_of_a_pipeline():
    expected = make().fit(X).transform(X)
    model = make(objective="reconstruction").fit(X, direction(X))
    np.testing.assert_array_equal(model.transform(X), expected)
    assert not hasattr(model, "classes_")


@pytest.mark.filterwarnings("error")
def test_features_of_reconstruction_come_without_warnings():
    """Nothing is hidden then, so there is no loss to take a mean of."""
    assert np.isfinite(make().fit(X).transform(X)).all()


def test_an_objective_without_its_target_is_refused():
    with pytest.raises(ValueError, match='"cross_entropy" requires y to be passed, but the target y is None'):
        make(objective="cross_entropy").fit(X)


def test_an_unknown_objective_is_refused():
    with pytest.raises(ValueError, match="The 'objective' parameter of SelfAttentionTransformer must be a str among"):
        make(objective="hinge").fit(X)


def test_reconstruction_learns_to_tell_hidden_steps():
    """Every sequence is a wave, so that hidden steps follow from the others."""
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, size=(53, 1))
    waves = np.sin(phases + np.arange(13))[:, :, np.newaxis]
    model = make(max_iter=400).fit(waves)
    assert model.best_loss_ < 0.25 * model.loss_curve_[0]


@pytest.mark.parametrize("y", [None, direction(X), rise(X)], ids=["no y", "labels", "values"])
def test_unpooled_steps_are_nan_where_padded(y):
    model = make(pooling=None).fit(X, y)
    steps = model.transform(pad(X, n_steps=13))
    assert (len(X), 13, 14) == steps.shape
    valid = np.arange(13) < np.array([len(sequence) for sequence in X])[:, np.newaxis]
    assert np.isfinite(steps[valid]).all() and np.isnan(steps[~valid]).all()


def test_unpooled_steps_do_not_depend_on_the_batch():
    model = make(pooling=None).fit(X)
    together = model.transform(X)
    for sequence, steps in zip(X, together, strict=True):
        np.testing.assert_array_equal(model.transform([sequence])[0], steps[: len(sequence)])


def test_unpooled_features_are_trained_as_their_mean():
    steps = make(pooling=None).fit(X, direction(X)).transform(X)
    features = make(pooling="mean").fit(X, direction(X)).transform(X)
    np.testing.assert_allclose(np.nanmean(steps, axis=1), features, rtol=1e-10, atol=1e-12)


def test_unpooled_steps_of_rows_keep_their_order():
    rows = make_array(n_features=1)[:, :, 0]
    assert (23, 7, 14) == make(pooling=None).fit(rows).transform(rows).shape


def test_partial_fit_may_be_told_all_classes():
    rising = [sequence for sequence, label in zip(X, direction(X), strict=True) if label == "rises"]
    model = make().partial_fit(rising, ["rises"] * len(rising), ["rises", "falls"])
    assert ["falls", "rises"] == model.classes_.tolist()
    model.partial_fit(X, direction(X))


def test_announced_classes_are_classes_however_many():
    """A first batch that holds many of them, and few samples of each, looks like values."""
    model = make().partial_fit(X, np.arange(len(X)) * 7, np.arange(500))
    assert "cross_entropy" == model.objective_ and 500 == model.classes_.size
    assert "binary_cross_entropy" == make().partial_fit(X, LABELS, [0, 1]).objective_


def test_prices_are_learned_as_values_without_a_word(recwarn):
    model = make().fit(X, np.round(1000 * rise(X)) + 5000)
    assert "squared_error" == model.objective_ and not recwarn.list


def test_partial_fit_takes_the_classes_of_the_first_call():
    model = make().partial_fit(X, direction(X))
    with pytest.raises(ValueError, match=r"y\[0\] is .*'stays'"):
        model.partial_fit(X[:1], ["stays"])


def test_partial_fit_on_nothing_but_sequences():
    assert 2 == make().partial_fit(X).partial_fit(X).n_iter_


def test_a_part_of_the_values_may_look_like_labels():
    model = make().partial_fit(X, rise(X))
    assert "squared_error" == model.partial_fit(X[:2], [1.0, 2.0]).objective_


@pytest.mark.parametrize(("first", "then"), [(None, direction(X)), (direction(X), None)])
def test_what_is_learned_cannot_change_midway(first, then):
    model = make().partial_fit(X, first)
    with pytest.raises(ValueError, match="asks for the objective .* built for"):
        model.partial_fit(X, then)


def test_another_objective_in_a_new_fit_leaves_nothing_behind():
    model = make(early_stopping=True, validation_fraction=0.3).fit(X, direction(X))
    model.set_params(early_stopping=False).fit(X, rise(X))
    assert not hasattr(model, "classes_") and not hasattr(model, "validation_scores_")


def test_validation_without_labels_needs_none():
    assert 3 == len(make().fit(X, X_val=make_ragged(n_samples=7, seed=3)).validation_scores_)
