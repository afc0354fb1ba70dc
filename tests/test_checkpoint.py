"""A fit that was killed goes on from its file and ends with the same bits; another fit is refused with words."""

import pickle
import re
import shutil
import warnings

import numpy as np
import pytest
from killing import FITS, LONG, OTHER, WEIGHT, X, all_of, die_after, header_of
from problems import (
    ESTIMATORS,
    SMALL,
    TOLD,
    assert_same_bits,
    direction,
    fitted,
    make_array,
    make_told,
    pad,
    results_of,
    rise,
)
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import skattn
import skattn.checkpoint
from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn._training.optimizers import OPTIMIZERS
from skattn._training.schedules import SCHEDULES


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.ckpt"


def assert_goes_on_alike(model, expected, beside):
    """What `partial_fit` makes of both is the same, too."""
    if not model.early_stopping:
        y, weight = beside.get("y"), beside.get("sample_weight")
        for estimator in (model, expected):
            estimator.set_params(class_weight=None) if hasattr(estimator, "class_weight") else None
            estimator.partial_fit(X, y, sample_weight=weight)
    assert_same_bits(all_of(model), all_of(expected))


def check_resumed(model, beside, path, moments=(1, 4)):
    """Kill a fit at some moments, one after the other, and go on; a warm start keeps the optimiser to look at."""
    model.set_params(warm_start=True)
    expected = clone(model).fit(X, **beside)
    model.set_params(checkpoint=path)
    for n_epochs in moments:
        assert die_after(n_epochs, clone(model).fit, X, **beside)
    resumed = clone(model).fit(X, **beside)
    assert_same_bits(all_of(resumed), all_of(expected))
    assert_same_bits(results_of(resumed, X), results_of(expected, X))
    assert_goes_on_alike(resumed, expected, beside)


@pytest.mark.parametrize("name", FITS)
def test_a_killed_fit_goes_on_and_ends_with_the_same_bits(name, path):
    kind, parameters, beside = FITS[name]
    check_resumed(kind(**LONG | parameters), beside, path)


@pytest.mark.parametrize("name", TOLD)
def test_features_of_every_kind_go_on(name, path):
    told = make_told(TOLD[name])
    model = SelfAttentionClassifier(**LONG | TOLD[name])
    expected = fitted(clone(model), told)
    assert die_after(4, fitted, clone(model).set_params(checkpoint=path), told)
    resumed = fitted(clone(model).set_params(checkpoint=path), told)
    assert_same_bits(all_of(resumed), all_of(expected))
    assert_same_bits(results_of(resumed, told), results_of(expected, told))


@pytest.mark.parametrize("learning_rate", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_and_schedule_goes_on(optimizer, learning_rate, path):
    model = SelfAttentionRegressor(**LONG).set_params(optimizer=optimizer, learning_rate=learning_rate)
    check_resumed(model, {"y": rise(X)}, path, moments=(3, 4, 1))


def test_a_rate_that_is_divided_before_and_after_the_kill(path):
    parameters = {"learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 1.0, "batch_size": 1, "max_iter": 40}
    model = SelfAttentionRegressor(**LONG | parameters)
    expected = fitted(clone(model), X)
    model.set_params(checkpoint=path)
    assert die_after(9, fitted, clone(model), X)
    assert 1 > header_of(path)["training"]["rate_scale"] > expected._model.state.rate_scale
    assert_same_bits(all_of(fitted(model, X)), all_of(expected))
    assert expected.n_iter_ < 40, "and stops when none is left"


@pytest.mark.parametrize("learning_rate", SCHEDULES)
def test_it_may_be_killed_after_any_epoch(learning_rate, path):
    kind, parameters, beside = FITS["a share"]
    model = kind(**LONG | parameters | {"learning_rate": learning_rate, "batch_size": 1, "checkpoint": path})
    expected = clone(model).set_params(checkpoint=None).fit(X, **beside)
    assert 3 < expected.n_iter_ < 40, "stops early"
    last = expected.n_iter_
    for n_epochs in {*range(1, last, 1 + last // 6), last - 1, last}:
        assert die_after(n_epochs, clone(model).fit, X, **beside)
        assert_same_bits(all_of(clone(model).fit(X, **beside)), all_of(expected))
        path.unlink()


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_finished_fit_gives_its_model_at_once(kind, path):
    model = kind(**LONG, checkpoint=path)
    expected = fitted(clone(model), X)
    before = path.read_bytes()
    assert not die_after(1, fitted, model, X), "no epoch was run"
    assert before == path.read_bytes()
    assert_same_bits(all_of(model), all_of(expected))


def test_a_checkpoint_changes_no_bit_and_neither_do_threads_or_words(path, capsys):
    expected = fitted(SelfAttentionRegressor(**LONG), X)
    assert die_after(2, fitted, SelfAttentionRegressor(**LONG, checkpoint=path, n_jobs=1), X)
    moved = path.with_name("moved")
    path.rename(moved)
    resumed = fitted(SelfAttentionRegressor(**LONG, checkpoint=str(moved), n_jobs=2, verbose=3), X)
    assert_same_bits(all_of(resumed), all_of(expected))
    assert "epoch 3/12" in capsys.readouterr().out.splitlines()[2]


@pytest.mark.parametrize("form", [pad, tuple, lambda X: [sequence.tolist() for sequence in X]])
def test_the_same_data_may_come_in_another_form(form, path):
    expected = fitted(SelfAttentionRegressor(**LONG), X)
    assert die_after(2, SelfAttentionRegressor(**LONG, checkpoint=path).fit, X, rise(X))
    resumed = SelfAttentionRegressor(**LONG, checkpoint=path).fit(form(X), rise(X).tolist())
    assert_same_bits(all_of(resumed), all_of(expected))


def test_a_warm_start_is_gone_on_with(path):
    model = fitted(SelfAttentionClassifier(**LONG), X).set_params(warm_start=True)
    saved = pickle.dumps(model.set_params(checkpoint=path))
    expected = fitted(pickle.loads(saved).set_params(checkpoint=None), X)
    assert die_after(3, fitted, model, X)
    assert 12 == model.n_iter_, "it is as it was before it died"
    for start in (model, pickle.loads(saved)):
        assert_same_bits(all_of(fitted(start, X)), all_of(expected))
    assert 24 == expected.n_iter_


def test_another_starting_model_is_refused(path):
    model = fitted(SelfAttentionClassifier(**LONG | {"warm_start": True}), X).set_params(checkpoint=path)
    assert die_after(3, fitted, model, X)
    message = (
        "the model that warm_start or pretrained begins with is not what it was.*give another path or delete the file"
    )
    with pytest.raises(ValueError, match=message):
        fitted(model.partial_fit(X, direction(X)), X)
    with pytest.raises(ValueError, match="the model that warm_start or pretrained begins with is.* was"):
        fitted(clone(model), X)


def test_without_a_random_state_the_file_keeps_the_seed(path):
    model = SelfAttentionClassifier(**LONG | {"random_state": None, "dropout": 0.2, "checkpoint": path})
    assert die_after(3, fitted, clone(model), X)
    seed = header_of(path)["training"]["seed"]
    with_copy = clone(model).set_params(checkpoint=shutil.copy(path, path.with_name("copy")))
    assert_same_bits(all_of(fitted(model, X)), all_of(fitted(with_copy, X)))
    assert seed == model._model.state.seed


def test_a_random_state_instance_must_be_in_the_state_that_it_was_in(path):
    model = SelfAttentionClassifier(**LONG | {"random_state": np.random.RandomState(3), "dropout": 0.2})
    expected = fitted(clone(model), X)
    model.set_params(checkpoint=path)
    assert die_after(3, fitted, clone(model), X)
    assert_same_bits(all_of(fitted(model, X)), all_of(expected))
    with pytest.raises(ValueError, match="random_state is in another state than it was, and draws another seed"):
        fitted(model, X)


def test_as_much_is_drawn_with_a_file_as_without(path):
    """Whoever draws from the same generator next gets the same numbers."""
    drawn = []
    for _ in range(2):
        generator = np.random.RandomState(3)
        fitted(SelfAttentionRegressor(**SMALL | {"random_state": generator, "checkpoint": path}), X)
        drawn.append(generator.randint(10**9))
    assert drawn[0] == drawn[1]


def test_an_interrupted_fit_can_be_gone_on_with(path, monkeypatch):
    expected = fitted(SelfAttentionRegressor(**LONG), X)
    model, write, written = SelfAttentionRegressor(**LONG, checkpoint=path), skattn.checkpoint.replace_file, []

    def interrupt(path, content):
        written.append(write(path, content))
        if len(written) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(skattn.checkpoint, "replace_file", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fitted(model, X)
    assert 4 == model.n_iter_
    assert_same_bits(all_of(fitted(model, X)), all_of(expected))


def test_partial_fit_neither_reads_nor_writes_it(path):
    model = fitted(SelfAttentionRegressor(**LONG, checkpoint=path), X)
    before = path.read_bytes()
    assert 13 == model.partial_fit(X, rise(X)).n_iter_
    assert before == path.read_bytes()
    assert 1 == clone(model).partial_fit(OTHER, rise(OTHER)).n_iter_


OTHER_PARAMETERS = {
    "d_model": 16,
    "window": (3, None),
    "optimizer": "sgd",
    "learning_rate_init": 0.004,
    "max_iter": 13,
    "batch_size": 6,
    "random_state": 1,
    "early_stopping": True,
    "warm_start": True,
    "dtype": "float32",
    "class_weight": {"rises": 2.0},
}


@pytest.mark.parametrize("name", OTHER_PARAMETERS)
def test_other_parameters_are_refused_with_both_values(name, path):
    model = fitted(SelfAttentionClassifier(**LONG, checkpoint=path), X)
    weights, before, content = all_of(model), model.get_params()[name], path.read_bytes()
    value = OTHER_PARAMETERS[name]
    shown = {"window": [3, None], "class_weight": {"'rises'": 2.0}}.get(name, value)
    message = f"began otherwise: {name} is {shown!r} and was {before!r}. To go on with it, fit as then; to begin anew"
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} {re.escape(message)}"):
        fitted(model.set_params(**{name: value}), X)
    assert_same_bits(all_of(model), weights)
    assert content == path.read_bytes()


def test_parameters_are_the_same_whatever_type_they_have(path):
    model = SelfAttentionClassifier(**LONG | {"window": (3, 2), "class_weight": {"rises": 2}}, checkpoint=path)
    expected = fitted(model, X).loss_curve_
    alike = {"window": [np.int64(3), 2], "alpha": np.float64(LONG["alpha"]), "d_model": np.int32(LONG["d_model"])}
    alike |= {"class_weight": {np.str_("rises"): np.float32(2)}}
    assert expected == fitted(clone(model).set_params(**alike), X).loss_curve_


def test_all_parameters_that_differ_are_named(path):
    model = fitted(SelfAttentionClassifier(**LONG, checkpoint=path), X)
    with pytest.raises(ValueError, match=r"otherwise: alpha is 0.5 and was 0.01, d_model is 16 and was 14\. To"):
        fitted(model.set_params(d_model=16, alpha=0.5), X)


def test_another_estimator_is_refused(path):
    fitted(SelfAttentionClassifier(**LONG, checkpoint=path), X)
    message = "the estimator is 'SelfAttentionRegressor' and was 'SelfAttentionClassifier'\\. To"
    with pytest.raises(ValueError, match=message):
        fitted(SelfAttentionRegressor(**LONG, checkpoint=path), X)


def replaced(sequences, sample, steps):
    return [steps if i == sample else sequence for i, sequence in enumerate(sequences)]


Y, Y_VAL = rise(X), rise(OTHER)
VALIDATED = {"X_val": OTHER, "y_val": Y_VAL}
WIDER = [np.column_stack([sequence, sequence]) for sequence in X]
OTHER_DATA = {
    "a sample less": ({}, {"X": X[1:], "y": Y[1:]}, "the number of samples of X is 22 and was 23"),
    "a step less": ({}, {"X": replaced(X, 0, X[0][1:])}, "the number of steps of X is {less} and was {steps}"),
    "a feature more": ({}, {"X": WIDER}, "the number of features of X is 6 and was 3"),
    "another precision": (
        {},
        {"X": [sequence.astype(np.float32) for sequence in X]},
        "the dtype of X is 'float32' and was 'float64'",
    ),
    "another bit": ({}, {"X": replaced(X, 7, np.nextafter(X[7], 9))}, "the values of X is not what it was"),
    "another order": ({}, {"X": X[::-1], "y": Y[::-1]}, "the lengths of the sequences of X"),
    "another y": ({}, {"y": np.nextafter(Y, 9)}, "the values of y"),
    "a column of y": ({}, {"y": Y[:, np.newaxis]}, "the values of y"),
    "weights": ({}, {"sample_weight": WEIGHT + 0.5}, "sample_weight"),
    "other weights": ({"sample_weight": WEIGHT + 1}, {"sample_weight": WEIGHT + 0.5}, "sample_weight"),
    "weights left out": ({"sample_weight": WEIGHT + 1}, {"sample_weight": None}, "sample_weight"),
    "validation": ({}, VALIDATED, "the number of samples of X_val is 13 and was None"),
    "no validation": (VALIDATED, {"X_val": None, "y_val": None}, "the number of samples of X_val is None and was 13"),
    "other validation": (VALIDATED, {"X_val": replaced(OTHER, 1, OTHER[1] + 1)}, "the values of X_val"),
    "other scores": (VALIDATED, {"y_val": Y_VAL + 1}, "the values of y_val"),
}


@pytest.mark.parametrize("name", OTHER_DATA)
def test_other_data_are_refused_with_the_difference_named(name, path):
    first, then, message = OTHER_DATA[name]
    model = SelfAttentionRegressor(**LONG, checkpoint=path).fit(**{"X": X, "y": Y, **first})
    content = path.read_bytes()
    steps = sum(map(len, X))
    message = re.escape(message.format(steps=steps, less=steps - 1))
    with pytest.raises(ValueError, match=f"began otherwise: {message}.*to begin anew, give another path or delete"):
        clone(model).fit(**{"X": X, "y": Y, **first, **then})
    assert content == path.read_bytes()


def test_other_classes_are_named(path):
    model = fitted(SelfAttentionClassifier(**LONG, checkpoint=path), X)
    y = np.where(direction(X) == "rises", "up", "down")
    with pytest.raises(ValueError, match=r"the classes of y is \[.'down'., .'up'.\] and was \[.'falls'., .'rises'.\]"):
        model.fit(X, y)


def test_another_objective_is_refused(path):
    SelfAttentionTransformer(**LONG, checkpoint=path).fit(X)
    with pytest.raises(ValueError, match="the objective is 'squared_error' and was 'reconstruction'"):
        SelfAttentionTransformer(**LONG, checkpoint=path).fit(X, Y)


def test_a_path_shared_by_the_fits_of_a_search_is_an_error_that_says_so(path):
    search = GridSearchCV(SelfAttentionRegressor(**SMALL, checkpoint=path), {"alpha": [0.1]}, cv=2)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="Every fit needs a file of its own, also each of"):
        warnings.simplefilter("ignore")
        search.fit(make_array(), rise(make_array()))


def test_a_pretrained_estimator_is_known_by_its_weights(tmp_path):
    def score(estimator, X, y=None):
        return 0.0

    def model(seed):
        options = SMALL | {"random_state": np.random.RandomState(seed)}
        return SelfAttentionTransformer(**options).fit(X).set_params(scoring=score)

    def fine_tuned(before):
        path = tmp_path / "file"
        return SelfAttentionClassifier(**SMALL, pretrained=before, checkpoint=path).fit(X, np.arange(len(X)) % 2)

    expected = fine_tuned(model(0)).predict_proba(X)
    np.testing.assert_array_equal(fine_tuned(model(0)).predict_proba(X), expected)
    with pytest.raises(ValueError, match="begins with is not what it was|begins with is"):
        fine_tuned(model(1))
