"""What is told of steps, in the units and the form of X: those that follow, and what is missing."""

import pickle

import numpy as np
import pandas as pd
import pytest
from problems import SMALL, assert_same_bits, make_ragged, pad
from sklearn.base import clone

from skattn import SelfAttentionClassifier, SelfAttentionTransformer, frame_from_sequences, sequences_from_frame
from skattn.predicted_steps import read_steps

NEXT = SMALL | {"objective": "next_step", "position": "auto"}


def waves(n_samples=97, n_steps=23, seed=0):
    """Two features of the same wave, which begins anywhere, the second far from 0."""
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, size=(n_samples, 1))
    angles = phases + 0.5 * np.arange(n_steps)
    return np.stack([np.sin(angles), 1000 + 50 * np.cos(angles)], axis=2)


@pytest.fixture(scope="module")
def forecaster():
    """What has learned waves of 23 steps."""
    settings = {"max_iter": 150, "learning_rate_init": 0.01, "alpha": 0.0, "n_layers": 2}
    return SelfAttentionTransformer(**NEXT | settings).fit(waves())


def of_one_unit(steps):
    """The waves' features alike in size."""
    return (steps - [0, 1000]) / [1, 50]


def test_waves_go_on(forecaster):
    X = waves(31, 37, seed=1)
    told, wanted = forecaster.forecast(X[:, :19], 18), X[:, 19:]
    assert told.shape == wanted.shape
    error, last = (np.sqrt(((of_one_unit(steps) - of_one_unit(wanted)) ** 2).mean()) for steps in (told, X[:, 18:19]))
    assert error < 0.15 < 1 < last


def test_steps_are_told_one_by_one(forecaster):
    """What is told is as if it had been seen, whatever other sequences there are."""
    X = [steps[:n] for steps, n in zip(waves(5, seed=1), (19, 1, 7, 2, 11), strict=True)]
    told = forecaster.forecast(X, 3)
    assert (5, 3, 2) == told.shape
    for steps, of_one in zip(X, told, strict=True):
        np.testing.assert_array_equal(forecaster.forecast([steps], 1)[0, 0], of_one[0])
        np.testing.assert_array_equal(forecaster.forecast([np.vstack([steps, of_one[:2]])], 1)[0, 0], of_one[2])
    np.testing.assert_array_equal(forecaster.forecast(pad(X), 3), told)


def test_forecasts_have_the_precision_of_X(forecaster):
    X = waves(3, seed=1)
    assert (np.float32, np.float64) == tuple(forecaster.forecast(X.astype(t), 2).dtype for t in ("f4", "f8"))
    np.testing.assert_allclose(forecaster.forecast(X.astype("f4"), 2), forecaster.forecast(X, 2), rtol=1e-4, atol=1e-4)


def test_rows_go_on_as_rows():
    rows = waves(n_steps=7).reshape(97, 14)
    model = SelfAttentionTransformer(**NEXT, n_step_features=2).fit(rows)
    assert (97, 6) == model.forecast(rows, 3).shape
    expected = clone(model).set_params(n_step_features=1).fit(waves(n_steps=7)).forecast(waves(n_steps=7), 3)
    np.testing.assert_array_equal(model.forecast(rows, 3).reshape(97, 3, 2), expected)


def test_codes_go_on_as_the_user_has_them():
    """Codes of fit are neither 0, 1, 2 nor all there are."""
    song = np.array([70, 3, 11, 70, 40, 5])
    X = [np.tile(song, 5)[first : first + 13] for first in range(6)] * 5
    settings = {"categorical_features": "all", "learning_rate_init": 0.01, "max_iter": 40}
    model = SelfAttentionTransformer(**NEXT | settings).fit(X)
    told = model.forecast([steps[:9] for steps in X], 7)
    assert ((30, 7, 1), np.int64) == (told.shape, told.dtype)
    np.testing.assert_array_equal(told[:6, :, 0], [np.tile(song, 5)[first + 9 : first + 16] for first in range(6)])


def test_several_networks_tell_the_mean_and_the_code_that_all_together_find_most_probable():
    X = [np.column_stack([steps[:, 0], np.arange(len(steps)) % 3]) for steps in make_ragged()]
    model = SelfAttentionTransformer(**NEXT | {"n_estimators": 2, "categorical_features": [1]}).fit(X)
    outputs = [member.network.forward(model._read_fitted(X), "outputs") for member in model._model.members]
    last = np.cumsum([len(steps) for steps in X]) - 1
    probabilities = np.mean([np.exp(part[:, 1:]) / np.exp(part[:, 1:]).sum(1, keepdims=True) for part in outputs], 0)
    network, told = model._model.network, model.forecast(X, 1)[:, 0]
    np.testing.assert_array_equal(told[:, 1], probabilities[last].argmax(axis=1))
    numbers = np.mean(outputs, axis=0)[last, 0] * network.scale[0] + network.mean[0]
    np.testing.assert_allclose(told[:, 0], numbers, rtol=1e-12)


def test_far_numbers_are_let_out_as_they_were_reined_in(forecaster):
    network = forecaster._model.network
    deviations = np.array([[-47.0, 29.0], [1e4, 0.0]])
    from reference import reined_in

    read = read_steps([reined_in(deviations)], network)
    np.testing.assert_allclose(read, deviations * network.scale + network.mean)


def test_times_go_on_by_the_median_interval():
    X = [np.column_stack([steps, 100 + 7.0 * np.arange(len(steps))]) for steps in make_ragged()]
    X[0][-1, 3] += 1
    model = SelfAttentionTransformer(**NEXT, time_feature=3).fit(X)
    told = model.forecast(X, 3)
    np.testing.assert_array_equal(told[0, :, 3], X[0][-1, 3] + 7.0 * np.arange(1, 4))
    assert np.isfinite(told).all()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_words_go_on_as_words(library):
    frames = pytest.importorskip(library)
    song = ["do", "re", "mi"] * 4
    frame = frames.DataFrame({"id": np.repeat(np.arange(9), 12), "note": song * 9})
    X, _ = sequences_from_frame(frame, id="id")
    settings = {"categorical_features": "from_dtype", "max_iter": 60, "learning_rate_init": 0.01}
    model = SelfAttentionTransformer(**NEXT | settings).fit(X)
    read = frame_from_sequences(model.forecast(X, 4), kind=library)
    assert ["do", "re", "mi", "do"] * 9 == list(read["note"])


def test_what_is_missing_is_no_target_and_does_not_stop_a_forecast():
    X = waves()
    X[:, 1::2, 0] = np.nan
    model = SelfAttentionTransformer(**NEXT | {"handle_missing": "mask"}).fit(X)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.forecast(X, 3)).all()


@pytest.mark.parametrize("options", [{}, {"n_estimators": 2, "embedding": "convolution", "categorical_features": [2]}])
def test_forecasts_survive_files_and_go_on_learning(options, tmp_path):
    pytest.importorskip("safetensors")
    X = [np.abs(np.rint(steps)) for steps in make_ragged()]
    model = SelfAttentionTransformer(**NEXT | options).fit(X)
    model.save_weights(tmp_path / "file")
    expected = model.forecast(X, 2)
    for loaded in (pickle.loads(pickle.dumps(model)), clone(model).load_weights(tmp_path / "file")):
        np.testing.assert_array_equal(loaded.forecast(X, 2), expected)
        assert loaded.partial_fit(X).n_iter_ == model.n_iter_ + 1
    again = clone(model).set_params(n_jobs=1).fit(X)
    assert_same_bits(again.weights_, model.weights_)
    again.set_params(warm_start=True).fit(X)
    assert again.n_iter_ == 2 * model.n_iter_


def test_no_step_sees_what_it_is_to_tell():
    X = waves(7, 11)
    model = SelfAttentionTransformer(**NEXT | {"pooling": None, "window": 3}).fit(X)
    assert (3, 0) == model._model.network.architecture.window
    other = X.copy()
    other[:, 6:] += 1
    np.testing.assert_array_equal(model.transform(other)[:, :6], model.transform(X)[:, :6])
    for window in ((3, 0), (None, None), None):
        assert clone(model).set_params(window=window).fit(X)._model.network.architecture.is_causal
    with pytest.raises(ValueError, match=r"window=\(3, 2\) lets a step see 2 after it; set window=\(3, 0\)"):
        clone(model).set_params(window=(3, 2)).fit(X)


def test_sequences_of_one_step_count_nothing():
    X = waves(7, 11)
    model = SelfAttentionTransformer(**NEXT | {"early_stopping": True}).fit(list(X))
    ones = [steps[:1] + 1e6 for steps in X]
    assert_same_bits(clone(model).fit([*X, *ones]).weights_, model.weights_)
    kept = clone(model).fit(X, X_val=[*X[:2], *ones]).validation_scores_
    assert kept == clone(model).fit(X, X_val=X[:2]).validation_scores_
    with pytest.raises(ValueError, match="no sequence of X has more than 1 step; give longer ones"):
        clone(model).fit(ones)
    with pytest.raises(ValueError, match="no sequence of X_val has more than 1 step"):
        clone(model).fit(X, X_val=ones)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_size": 3}, "tells each step from those before it, and patches mix them"),
        ({"embedding": "random_convolution"}, "next_step tells each step from those before it, and embedding="),
    ],
)
def test_what_mixes_steps_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SelfAttentionTransformer(**NEXT | options).fit(waves(7))


def test_a_classifier_begins_with_what_tells_next_steps(forecaster):
    X, y = waves(20), np.arange(20) % 2
    options = {"position": "rotary", "n_layers": 2, "pretrained": forecaster}
    assert SelfAttentionClassifier(**SMALL | options | {"causal": True}).fit(X, y).predict(X).shape == (20,)
    with pytest.raises(ValueError, match=r"window \(with causal\)=.*set the parameters as they were there"):
        SelfAttentionClassifier(**SMALL | options).fit(X, y)


@pytest.mark.parametrize("n_steps", [0, -3, 1.5, True, "7", None])
def test_what_is_no_number_of_steps_is_refused(n_steps, forecaster):
    with pytest.raises(ValueError, match="is no number of steps to forecast; give 1 or more"):
        forecaster.forecast(waves(3), n_steps)


def test_other_objectives_forecast_nothing():
    model = SelfAttentionTransformer(**SMALL).fit(waves(7))
    with pytest.raises(ValueError, match='has learned "reconstruction"; set objective="next_step" and fit again'):
        model.forecast(waves(3), 2)


def test_a_forecast_beyond_all_floats_is_refused(forecaster):
    model = pickle.loads(pickle.dumps(forecaster))
    model._model.network.weights["head.bias"][:] = 200.0
    with pytest.raises(ValueError, match="told of sample 0 of X exceeds float32, in feature 0; scale X before fit"):
        model.forecast(waves(3).astype(np.float32), 2)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [("window", (None, None), "no step behind"), ("patch_size", 3, "0, for single steps"), ("n_outputs", 1, "2")],
)
def test_a_damaged_file_of_next_steps_is_refused(name, value, wanted, forecaster):
    state = forecaster.__getstate__()
    network = state["_model"]["network"]
    state["_model"] = state["_model"] | {"network": network | {"architecture": network["architecture"] | {name: value}}}
    with pytest.raises(ValueError, match=f"{name} is .*expected {wanted}.*the file is damaged"):
        SelfAttentionTransformer.__new__(SelfAttentionTransformer).__setstate__(state)


# What is missing

MASK = SMALL | {"handle_missing": "mask"}


def related(n_samples=97, n_steps=13, seed=0):
    """Three features, of which any two tell the third, and each its neighbours in time."""
    first, second = waves(2 * n_samples, n_steps, seed)[:, :, 0].reshape(2, n_samples, n_steps)
    return np.stack([first, 100 + 10 * second, first - second], axis=2)


def with_holes(X, share=0.3, seed=1):
    """The array with some values missing, and a whole step of every third sequence."""
    X, generator = X.copy(), np.random.default_rng(seed)
    is_missing = generator.random(X.shape) < share
    is_missing[::3, 5], is_missing[:, -1] = True, False
    X[is_missing] = np.nan
    return X


@pytest.fixture(scope="module")
def imputer():
    settings = {"max_iter": 150, "learning_rate_init": 0.01, "alpha": 0.0}
    return SelfAttentionTransformer(**MASK | settings).fit(with_holes(related()))


def test_what_is_missing_is_told_by_what_is_there(imputer):
    """Of steps in part from what else there is, and of whole steps from those around them."""
    X, unit = related(53, seed=7), np.array([1, 10, 1])
    holed = with_holes(X)
    told, is_missing = imputer.impute(holed), np.isnan(holed)
    np.testing.assert_array_equal(told[~is_missing], X[~is_missing])
    whole = is_missing.all(axis=2, keepdims=True) & is_missing
    for asked in (is_missing & ~whole, whole):
        means = np.broadcast_to(np.nanmean(holed, axis=(0, 1)), X.shape)
        error, of_mean = (np.sqrt((((filled - X) / unit)[asked] ** 2).mean()) for filled in (told, means))
        assert asked.sum() > 30 and error < 0.5 * of_mean


def test_what_is_filled_in_has_the_form_of_X(imputer):
    whole = with_holes(related(5))
    X = [steps[-n:] for steps, n in zip(whole, (13, 2, 1, 7, 5), strict=True)]
    before = [steps.copy() for steps in X]
    filled = imputer.impute(X)
    assert [steps.shape for steps in X] == [steps.shape for steps in filled]
    for steps, of_one, kept in zip(X, filled, before, strict=True):
        np.testing.assert_array_equal(imputer.impute([steps])[0], of_one)
        np.testing.assert_array_equal(steps, kept)
    padded = imputer.impute(pad(X))
    assert padded.shape == (5, 13, 3)
    np.testing.assert_array_equal(padded, pad(filled))
    single = imputer.impute(whole.astype(np.float32))
    assert np.float32 == single.dtype
    np.testing.assert_allclose(single, imputer.impute(whole), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(imputer.impute(related(5)), related(5))


@pytest.mark.parametrize("n_step_features", [1, 3])
def test_rows_are_filled_in_as_rows(n_step_features):
    rows = with_holes(related()).reshape(97, 39)
    model = SelfAttentionTransformer(**MASK, n_step_features=n_step_features).fit(rows)
    filled = model.impute(rows)
    assert filled.shape == rows.shape and np.isfinite(filled).all()
    np.testing.assert_array_equal(model.impute(rows.tolist()), filled)


def test_codes_are_filled_in_by_those_that_fit_the_rest():
    """Each note goes with a chord, so one tells the other."""
    X = np.stack([np.random.default_rng(0).integers(4, size=(97, 11))] * 2, axis=2) * [[[7.0, 3.0]]]
    holed, is_missing = X.copy(), np.zeros(X.shape, bool)
    is_missing[::2, 1:5, 0] = is_missing[1::2, 3:7, 1] = True
    holed[is_missing] = np.nan
    settings = {"categorical_features": "all", "max_iter": 100, "learning_rate_init": 0.01}
    model = SelfAttentionTransformer(**MASK | settings).fit(holed)
    filled = model.impute(holed)
    np.testing.assert_array_equal(filled[~is_missing], X[~is_missing])
    assert (filled == X)[is_missing].mean() > 0.95


TONES = {"do": 0.0, "re": 1.0, "mi": 4.0}


def notes(words, codes):
    """Sequences of notes drawn from some words, beside what tells them, whose codes stand for others; some missing."""
    frames = pytest.importorskip("pandas")
    note = np.random.default_rng(0).choice(words, 9 * 12).astype(object)
    tones = [TONES.get(word, 2.0) for word in note]
    note[3::4] = None
    frame = frames.DataFrame({"id": np.repeat(np.arange(9), 12), "note": frames.Categorical(note, categories=codes)})
    return sequences_from_frame(frame.assign(tone=tones), id="id")[0]


def fitted_to_notes(max_iter=1):
    """A transformer that has seen three notes, and what it has seen."""
    X = notes([*TONES], [*TONES])
    settings = {"categorical_features": "from_dtype", "max_iter": max_iter, "learning_rate_init": 0.01}
    return SelfAttentionTransformer(**MASK | settings).fit(X), X


@pytest.mark.parametrize("codes", [["mi", "do", "re"], ["sol", "mi", "do", "la", "re"]], ids=str)
def test_words_are_filled_in_by_the_codes_of_the_sequence(codes):
    model, X = fitted_to_notes(max_iter=30)
    expected, other = model.impute(X), notes([*TONES], codes)
    assert len(set(np.concatenate(expected)[3::4, 0])) > 1
    for steps, filled, wanted in zip(other, model.impute(other), expected, strict=True):
        words = np.array(codes)[filled[:, 0].astype(int)]
        np.testing.assert_array_equal(words, np.array([*TONES])[wanted[:, 0].astype(int)])
        np.testing.assert_array_equal(filled[:, 1], steps[:, 1])


def test_only_words_of_the_sequence_are_filled_in():
    """Others may be more probable, and have no code there; what nobody knows is never told, and stays where it is."""
    model, _ = fitted_to_notes()
    other = notes(["mi", "sol"], ["mi", "sol"])
    for steps, filled in zip(other, model.impute(other), strict=True):
        assert (filled[3::4, 0] == 0).all()
        is_there = ~np.isnan(np.asarray(steps)[:, 0])
        np.testing.assert_array_equal(filled[is_there], np.asarray(steps)[is_there])


def test_words_that_nobody_knows_are_refused_where_some_are_missing():
    model, X = fitted_to_notes()
    other = notes(["sol", "la"], ["sol", "la"])
    with pytest.raises(ValueError, match=r"feature 0 in sample 1 of X are missing, .* fit has seen, of \['do', 're'"):
        model.impute([X[0], other[1]])
    whole = [steps[:3] for steps in other]
    for steps, filled in zip(whole, model.impute(whole), strict=True):
        np.testing.assert_array_equal(filled, steps)


@pytest.mark.parametrize("options", [{}, {"n_estimators": 2, "time_feature": 0, "position": "rotary"}])
def test_what_is_filled_in_survives_files_and_threads(options, tmp_path):
    pytest.importorskip("safetensors")
    X = with_holes(related())
    X[:, :, 0] = np.arange(13) if "time_feature" in options else X[:, :, 0]
    model = SelfAttentionTransformer(**MASK | options).fit(X)
    model.save_weights(tmp_path / "file")
    expected = model.impute(X)
    assert np.isfinite(expected).all()
    for loaded in (pickle.loads(pickle.dumps(model)), clone(model).load_weights(tmp_path / "file")):
        np.testing.assert_array_equal(loaded.impute(X), expected)
        assert loaded.partial_fit(X).n_iter_ == model.n_iter_ + 1
    np.testing.assert_array_equal(clone(model).set_params(n_jobs=1).fit(X).impute(X), expected)


@pytest.mark.parametrize(
    ("options", "learned"),
    [
        ({"handle_missing": "error"}, 'objective "reconstruction", handle_missing="error"'),
        ({"objective": "next_step"}, 'objective "next_step", handle_missing="mask"'),
    ],
)
def test_what_has_not_learned_to_fill_in_says_so(options, learned):
    model = SelfAttentionTransformer(**MASK | options).fit(related(7))
    with pytest.raises(ValueError, match=f"impute fills in what objective=.*was fitted with {learned}; set these"):
        model.impute(with_holes(related(7)))


def test_what_is_filled_in_beyond_all_floats_is_refused(imputer):
    model = pickle.loads(pickle.dumps(imputer))
    model._model.network.weights["head.bias"][:] = 200.0
    with pytest.raises(ValueError, match=r"What becomes of sample \d of X exceeds float32"):
        model.impute(with_holes(related(3)).astype(np.float32))


def test_what_is_filled_in_knows_its_words():
    frame = pd.DataFrame({"id": np.repeat(np.arange(20), 4), "w": list("abca") * 20, "x": np.arange(80.0)})
    frame.loc[5, "w"] = None
    X, _ = sequences_from_frame(frame, id="id")
    model = SelfAttentionTransformer(**SMALL, handle_missing="mask", categorical_features="from_dtype").fit(X)
    filled = model.impute(X)
    assert filled[0].columns == ("w", "x") and filled[0].categories[0].tolist() == ["a", "b", "c"]
    back = frame_from_sequences(filled)
    assert back["w"].notna().all() and (back["w"] == frame["w"])[frame["w"].notna()].all()
