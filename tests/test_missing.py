"""Values that are missing: told from padding and from mistakes, learned around, and filled in for a stem."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
from cases import make_batch
from problems import ESTIMATORS, SMALL, STEMS, assert_same_bits, fitted, make_ragged, pad, results_of, target_of
from sklearn.base import clone

from skattn import (
    RandomConvolutionTokens,
    SelfAttentionClassifier,
    SelfAttentionRegressor,
    SelfAttentionTransformer,
)
from skattn._network.missing import filled
from skattn._training.seen import look

MASK = {"handle_missing": "mask"}


def holes(X, share=0.3, seed=3):
    """The sequences with a share of their values missing, but for some of the last step: no end is padding."""
    generator, result = np.random.default_rng(seed), []
    for steps in X:
        result.append(np.where(generator.random(steps.shape) < share, np.nan, steps))
        result[-1][-1, 0] = steps[-1, 0]
    return result


@pytest.mark.parametrize("settings", [SMALL, STEMS], ids=["linear", "stem"])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_what_is_missing_is_missing_in_any_form(kind, settings):
    X, y = holes(make_ragged()), target_of(kind(), make_ragged())
    model = kind(**settings | MASK).fit(X, y)
    expected = results_of(model, X)
    padded = pad(X)
    masked = np.ma.masked_invalid(np.where(np.isnan(padded), 7.0, padded))
    masked.mask = np.isnan(padded)
    for other in (padded, masked, [np.ma.masked_invalid(steps) for steps in X]):
        assert_same_bits(results_of(model, other), expected)
        assert_same_bits(results_of(clone(model).fit(other, y), other), expected)
    alone = {name: np.concatenate([results_of(model, [steps])[name] for steps in X]) for name in expected}
    assert_same_bits(alone, expected)
    assert_same_bits(results_of(pickle.loads(pickle.dumps(model)), X), expected)


def test_pandas_and_polars_have_words_for_it():
    X = holes(make_ragged())
    y = target_of(SelfAttentionClassifier(), make_ragged())
    expected = SelfAttentionClassifier(**SMALL | MASK).fit(X, y).predict_proba(X)
    for name in ("pandas", "polars"):
        library = pytest.importorskip(name)
        if name == "pandas":
            frames = [library.DataFrame(steps).astype("Float64") for steps in X]
        else:
            frames = [library.DataFrame(steps).fill_nan(None) for steps in X]
        model = SelfAttentionClassifier(**SMALL | MASK).fit(frames, y)
        np.testing.assert_array_equal(model.predict_proba(frames), expected)


def test_by_default_it_is_a_mistake_and_the_error_names_the_way_out():
    with pytest.raises(ValueError, match='set handle_missing="mask"'):
        fitted(SelfAttentionClassifier(**SMALL), holes(make_ragged()))


def test_what_takes_no_gaps_does_not_speak_of_a_parameter_that_it_has_not():
    X = [np.array([[1.0, np.nan], [2.0, 3.0]])]
    with pytest.raises(ValueError, match="means padding; fill the missing value or drop the sample"):
        RandomConvolutionTokens().fit(X)


def test_infinity_is_a_mistake_in_any_case():
    X = holes(make_ragged())
    X[5][0, 1] = np.inf
    with pytest.raises(ValueError, match="infinity or a value too large for float64 at sample 5, step 0, feature 1"):
        SelfAttentionClassifier(**SMALL | MASK).fit(X, np.arange(23) % 2)


def test_a_sequence_whose_first_steps_are_missing_is_no_shorter():
    X = np.random.default_rng(0).normal(size=(9, 7, 2))
    X[:, :3] = np.nan
    X[:, 5:] = np.nan
    model = SelfAttentionTransformer(**SMALL | MASK | {"pooling": None}).fit(X, np.arange(9) % 2)
    steps = model.transform(X)
    assert np.isfinite(steps[:, :5]).all()
    assert np.isnan(steps[:, 5:]).all()


def test_a_sequence_of_nothing_is_refused():
    with pytest.raises(ValueError, match="sequence of length 0"):
        SelfAttentionClassifier(**SMALL | MASK).fit([np.full((3, 2), np.nan), np.ones((3, 2))], [0, 1])


def test_that_a_value_is_missing_can_be_learned():
    X, y = make_ragged(200), np.arange(200) % 2
    for steps, label in zip(X, y, strict=True):
        steps[0, 1] = np.nan if label else 0.0
        steps[-1, 0] = 0.5
    model = SelfAttentionClassifier(**SMALL | MASK | {"max_iter": 30}).fit(X, y)
    assert model.score(X, y) == 1.0
    assert model.weights_["missing.weight"].shape == (3, SMALL["d_model"])


def test_scaling_is_learned_from_what_is_there():
    whole, weight = make_batch((31, 17)), np.array([1.0, 2.0])
    part = make_batch((31, 17))
    part.values[::2, 1] = np.nan
    _, mean, scale = look(part, weight)
    _, all_mean, all_scale = look(whole, weight)
    np.testing.assert_allclose(mean[[0, 2]], all_mean[[0, 2]])
    steps, of_rows = whole.values[1::2, 1], np.repeat(weight, (31, 17))[1::2]
    np.testing.assert_allclose(mean[1], np.average(steps, weights=of_rows))
    np.testing.assert_allclose(scale[1], np.sqrt(np.average((steps - mean[1]) ** 2, weights=of_rows)))
    assert (scale[[0, 2]] == all_scale[[0, 2]]).all()


@pytest.mark.parametrize("settings", [SMALL, STEMS], ids=["linear", "stem"])
def test_outliers_are_left_out_where_values_are_missing(settings):
    X = make_ragged(200)
    for steps in X:
        steps[:, 0] = np.where(steps[:, 0] < -1, np.nan, steps[:, 0])
        steps[-1, 2] = 0.5
    X[7][0, 1] = 1e9
    model = SelfAttentionClassifier(**settings | MASK).fit(X, np.arange(200) % 2)
    assert model._model.network.scale[1] < 2
    assert np.isfinite(model.predict_proba(X)).all()


def test_a_feature_that_is_never_there_is_as_one_that_is_constant():
    X = make_ragged()
    for steps in X:
        steps[:, 2] = np.nan
    for settings in (SMALL, STEMS):
        model = fitted(SelfAttentionClassifier(**settings | MASK), X)
        assert np.isfinite(model.predict_proba(X)).all()
        loaded, later = pickle.loads(pickle.dumps(model)), holes(make_ragged())
        assert_same_bits(results_of(loaded, X), results_of(model, X))
        expected = deepcopy(model).partial_fit(later, target_of(model, later))
        assert_same_bits(loaded.partial_fit(later, target_of(model, later)).weights_, expected.weights_)
    assert model._model.network.mean[2] == 0.0
    assert model._model.network.scale[2] == 1.0
    model = SelfAttentionClassifier(**SMALL | MASK).partial_fit(X, np.arange(23) % 2, classes=[0, 1])
    model.partial_fit(make_ragged(), np.arange(23) % 2)
    assert np.isfinite(model.predict_proba(X)).all()
    np.testing.assert_allclose(model._model.network.mean[2], np.concatenate(make_ragged())[:, 2].mean())


def test_levels_are_those_of_what_is_there():
    X = [steps + 100 * i for i, steps in enumerate(make_ragged(60))]
    y = np.array([steps[:, 0].mean() for steps in X])
    model = SelfAttentionRegressor(**SMALL | MASK, normalise_target="sequence").fit(holes(X, 0.1), y)
    assert model.score(holes(X, 0.1), y) > 0.99


def test_reconstruction_asks_for_nothing_that_was_not_there():
    X = holes(make_ragged())
    model = SelfAttentionTransformer(**SMALL | MASK).fit(X)
    assert model.objective_ == "reconstruction"
    assert np.isfinite(model.loss_curve_).all()


def test_a_stem_sees_straight_lines_between_what_is_there():
    nan = np.nan
    values = np.array([[nan, 1], [2, nan], [nan, nan], [8, nan], [nan, nan], [7, nan], [nan, nan], [nan, 3.0]])
    data = as_data(values, [0, 5], [5, 2])
    result = filled(data, np.array([0.0, -1.0]), False).values
    np.testing.assert_array_equal(result[:7], [[2, 1], [2, 1], [5, 1], [8, 1], [8, 1], [7, -1], [7, -1]])
    assert np.isnan(result[7, 0]), "which is of no sequence"
    assert np.isnan(data.values[0, 0]), "what came in is as it was"
    whole = as_data(np.ones((7, 2)), [0, 5], [5, 2])
    assert filled(whole, np.zeros(2), False) is whole
    # Nothing that looks ahead: the value before, or the mean.
    result = filled(data, np.array([0.0, -1.0]), True).values
    np.testing.assert_array_equal(result[:7], [[0, 1], [2, 1], [2, 1], [8, 1], [8, 1], [7, -1], [7, -1]])


def test_a_causal_stem_fills_in_without_what_comes_later():
    X = holes(make_ragged(n_samples=31))
    options = SMALL | MASK | {"causal": True, "embedding": "random_convolution", "n_kernels": 16, "pooling": None}
    model = SelfAttentionTransformer(**options).fit(X, np.arange(31) % 2)
    longest = max(X, key=len)
    for t in range(2, len(longest), 3):
        if np.isnan(longest[t - 1]).all():
            continue  # whole steps of NaN at the end are padding
        np.testing.assert_allclose(model.transform([longest[:t]])[0], model.transform([longest])[0][:t], atol=1e-6)


def test_a_stem_fills_in_what_it_computes_anew_in_every_update(monkeypatch):
    X = holes(make_ragged(40))
    kept = fitted(SelfAttentionClassifier(**STEMS | MASK), X)
    monkeypatch.setattr("skattn.ensemble.KEPT_BYTES", 0)
    anew = fitted(SelfAttentionClassifier(**STEMS | MASK), X)
    np.testing.assert_array_equal(anew.predict_proba(X), kept.predict_proba(X))


def as_data(values, starts, lengths):
    """Sequences as a network takes them."""
    from skattn.sequences import Sequences

    return Sequences(values, np.array(starts), np.array(lengths), "ragged", max(lengths))


def test_what_is_missing_is_said_at_fit_and_not_afterwards():
    X = [np.random.default_rng(n).normal(size=(n, 2)) for n in range(3, 15)]
    y = np.arange(12) % 2
    gap = [steps.copy() for steps in X]
    gap[2][1, 1] = np.nan
    model = SelfAttentionClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match='Input X contains NaN at sample 2, step 1, feature 1.*handle_missing="mask"'):
        model.set_params(handle_missing="mask").predict(gap)
    with pytest.raises(ValueError, match="handle_missing is 'mask' now, but the fitted network was built with 'error'"):
        model.set_params(warm_start=True).fit(gap, y)
    model = SelfAttentionClassifier(**SMALL, handle_missing="mask").fit(gap, y)
    expected = model.predict_proba(gap)
    np.testing.assert_array_equal(model.set_params(handle_missing="error").predict_proba(gap), expected)


def test_what_pandas_calls_missing_is_missing_in_arrays_of_objects_too():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": pandas.array([1, None, 3], dtype="Int64"), "b": [1.0, 2, 3]})
    model = SelfAttentionClassifier(**SMALL, handle_missing="mask")
    expected = model.fit([frame] * 12, np.arange(12) % 2).predict_proba([frame] * 2)
    cells = frame.to_numpy()
    assert cells.dtype == object
    masked = np.ma.array(frame.to_numpy(dtype=object, na_value=0), mask=frame.isna().to_numpy())
    for same in (cells, frame.astype(object), masked):
        np.testing.assert_array_equal(model.predict_proba([same] * 2), expected)
    with pytest.raises(ValueError, match='masked entries.*set handle_missing="mask"'):
        SelfAttentionClassifier(**SMALL).fit([masked] * 12, np.arange(12) % 2)
