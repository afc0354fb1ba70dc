"""A fit that was killed goes on from its file and ends with the same bits; any other file is refused with words."""

import hashlib
import importlib.util
import io
import json
import os
import pickle
import re
import shutil
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from problems import (
    ESTIMATORS,
    SMALL,
    assert_same_bits,
    direction,
    fitted,
    make_array,
    make_ragged,
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

X, OTHER = make_ragged(), make_ragged(n_samples=13, seed=5)
LABELS = np.stack([direction(X) == "rises", [len(sequence) > 5 for sequence in X]], axis=1).astype(int)
WEIGHT = np.arange(len(X)) % 3 / 2
# Enough epochs to divide rates and to stop early, in batches that are cut anew.
LONG = SMALL | {"max_iter": 12, "batch_size": 5}
STOPPING = {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 40, "learning_rate_init": 0.05}

# name: (class, parameters, what fit gets beside X)
FITS = {
    "dropout": (SelfAttentionClassifier, {"dropout": 0.2, "n_layers": 2}, {"y": direction(X)}),
    "float32": (SelfAttentionClassifier, {"dtype": "float32", "pooling": "attention"}, {"y": direction(X)}),
    "a share": (SelfAttentionClassifier, STOPPING | {"validation_fraction": 0.3}, {"y": direction(X)}),
    "samples": (SelfAttentionRegressor, STOPPING, {"y": rise(X), "X_val": OTHER, "y_val": rise(OTHER)}),
    "scores only": (SelfAttentionRegressor, {}, {"y": rise(X), "X_val": OTHER, "y_val": rise(OTHER)}),
    "several labels": (SelfAttentionClassifier, {}, {"y": LABELS}),
    "weights": (SelfAttentionRegressor, {}, {"y": rise(X), "sample_weight": WEIGHT}),
    "classes that weigh": (SelfAttentionClassifier, {"class_weight": {"rises": 3}}, {"y": direction(X)}),
    "balanced": (SelfAttentionClassifier, {"class_weight": "balanced"}, {"y": direction(X)}),
    "reconstruction": (SelfAttentionTransformer, {"dropout": 0.1}, {}),
    "steps": (SelfAttentionTransformer, {"pooling": None, "window": (3, 2)}, {"y": direction(X)}),
    "one batch": (SelfAttentionRegressor, {"batch_size": "auto", "max_iter": "auto", "tol": 0.1}, {"y": rise(X)}),
}


class Killed(BaseException):
    """What ends a fit as suddenly as a signal, but can be caught here."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.ckpt"


@pytest.fixture
def die_after(monkeypatch):
    """Lets a fit die right after it has written its file so many times; returns whether it lived that long."""

    def die_after(n_epochs, fit, *arguments, **options):
        write, written = skattn.checkpoint.replace_file, []

        def write_and_die(path, content):
            write(path, content)
            written.append(path)
            if len(written) == n_epochs:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(skattn.checkpoint, "replace_file", write_and_die)
            try:
                fit(*arguments, **options)
            except Killed:
                return True
        return False

    return die_after


def all_of(model):
    """All that must have the same bits."""
    scores = getattr(model, "validation_scores_", None)
    state, optimizer = dict(vars(model._model.state)), model._model.state.optimizer
    state["optimizer"] = (type(optimizer), optimizer.n_steps, optimizer.alpha)
    return {**model.weights_, **optimizer.vectors, "loss": model.loss_curve_, "scores": scores, "state": state}


def assert_goes_on_alike(model, expected, beside):
    """What `partial_fit` makes of both is the same, too."""
    if not model.early_stopping:
        y, weight = beside.get("y"), beside.get("sample_weight")
        for estimator in (model, expected):
            estimator.set_params(class_weight=None) if hasattr(estimator, "class_weight") else None
            estimator.partial_fit(X, y, sample_weight=weight)
    assert_same_bits(all_of(model), all_of(expected))


def check_resumed(model, beside, path, die_after, moments=(1, 4)):
    """Kill a fit at some moments, one after the other, and go on."""
    expected = clone(model).fit(X, **beside)
    model.set_params(checkpoint=path)
    for n_epochs in moments:
        assert die_after(n_epochs, clone(model).fit, X, **beside)
    resumed = clone(model).fit(X, **beside)
    assert_same_bits(all_of(resumed), all_of(expected))
    assert_same_bits(results_of(resumed, X), results_of(expected, X))
    assert_goes_on_alike(resumed, expected, beside)


@pytest.mark.parametrize("name", FITS)
def test_a_killed_fit_goes_on_and_ends_with_the_same_bits(name, path, die_after):
    kind, parameters, beside = FITS[name]
    check_resumed(kind(**LONG | parameters), beside, path, die_after)


@pytest.mark.parametrize("learning_rate", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_and_schedule_goes_on(optimizer, learning_rate, path, die_after):
    model = SelfAttentionRegressor(**LONG).set_params(optimizer=optimizer, learning_rate=learning_rate)
    check_resumed(model, {"y": rise(X)}, path, die_after, moments=(3, 4, 1))


def test_a_rate_that_is_divided_before_and_after_the_kill(path, die_after):
    parameters = {"learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 1.0, "batch_size": 1, "max_iter": 40}
    model = SelfAttentionRegressor(**LONG | parameters)
    expected = fitted(clone(model), X)
    model.set_params(checkpoint=path)
    assert die_after(9, fitted, clone(model), X)
    assert 1 > header_of(path)["training"]["rate_scale"] > expected._model.state.rate_scale
    assert_same_bits(all_of(fitted(model, X)), all_of(expected))
    assert expected.n_iter_ < 40, "and stops when none is left"


@pytest.mark.parametrize("learning_rate", SCHEDULES)
def test_it_may_be_killed_after_any_epoch(learning_rate, path, die_after):
    kind, parameters, beside = FITS["a share"]
    model = kind(**LONG | parameters | {"learning_rate": learning_rate, "batch_size": 1, "checkpoint": path})
    expected = clone(model).set_params(checkpoint=None).fit(X, **beside)
    assert 3 < expected.n_iter_ < 40, "stops early"
    last = expected.n_iter_
    for n_epochs in {*range(1, last, last // 6), last - 1, last}:
        assert die_after(n_epochs, clone(model).fit, X, **beside)
        assert_same_bits(all_of(clone(model).fit(X, **beside)), all_of(expected))
        path.unlink()


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_finished_fit_gives_its_model_at_once(kind, path, die_after):
    model = kind(**LONG, checkpoint=path)
    expected = fitted(clone(model), X)
    before = path.read_bytes()
    assert not die_after(1, fitted, model, X), "no epoch was run"
    assert before == path.read_bytes()
    assert_same_bits(all_of(model), all_of(expected))


def test_a_checkpoint_changes_no_bit_and_neither_do_threads_or_words(path, die_after, capsys):
    expected = fitted(SelfAttentionRegressor(**LONG), X)
    assert die_after(2, fitted, SelfAttentionRegressor(**LONG, checkpoint=path, n_jobs=1), X)
    moved = path.with_name("moved")
    path.rename(moved)
    resumed = fitted(SelfAttentionRegressor(**LONG, checkpoint=str(moved), n_jobs=2, verbose=2), X)
    assert_same_bits(all_of(resumed), all_of(expected))
    assert "epoch 3/12" == capsys.readouterr().out.split("  ")[0]


@pytest.mark.parametrize("form", [pad, tuple, lambda X: [sequence.tolist() for sequence in X]])
def test_the_same_data_may_come_in_another_form(form, path, die_after):
    expected = fitted(SelfAttentionRegressor(**LONG), X)
    assert die_after(2, SelfAttentionRegressor(**LONG, checkpoint=path).fit, X, rise(X))
    resumed = SelfAttentionRegressor(**LONG, checkpoint=path).fit(form(X), rise(X).tolist())
    assert_same_bits(all_of(resumed), all_of(expected))


def test_a_warm_start_is_gone_on_with(path, die_after):
    model = fitted(SelfAttentionClassifier(**LONG), X).set_params(warm_start=True)
    saved = pickle.dumps(model.set_params(checkpoint=path))
    expected = fitted(pickle.loads(saved).set_params(checkpoint=None), X)
    assert die_after(3, fitted, model, X)
    assert 12 == model.n_iter_, "it is as it was before it died"
    for start in (model, pickle.loads(saved)):
        assert_same_bits(all_of(fitted(start, X)), all_of(expected))
    assert 24 == expected.n_iter_


def test_another_starting_model_is_refused(path, die_after):
    model = fitted(SelfAttentionClassifier(**LONG | {"warm_start": True}), X).set_params(checkpoint=path)
    assert die_after(3, fitted, model, X)
    message = "the model that warm_start goes on from is not what it was.*give another path or delete the file"
    with pytest.raises(ValueError, match=message):
        fitted(model.partial_fit(X, direction(X)), X)
    with pytest.raises(ValueError, match="the model that warm_start goes on from is.* was"):
        fitted(clone(model), X)


def test_without_a_random_state_the_file_keeps_the_seed(path, die_after):
    model = SelfAttentionClassifier(**LONG | {"random_state": None, "dropout": 0.2, "checkpoint": path})
    assert die_after(3, fitted, clone(model), X)
    seed = header_of(path)["training"]["seed"]
    with_copy = clone(model).set_params(checkpoint=shutil.copy(path, path.with_name("copy")))
    assert_same_bits(all_of(fitted(model, X)), all_of(fitted(with_copy, X)))
    assert seed == model._model.state.seed


def test_a_random_state_instance_must_be_in_the_state_that_it_was_in(path, die_after):
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


@pytest.mark.filterwarnings("ignore:Training was interrupted")
def test_an_interrupted_fit_can_be_gone_on_with(path, monkeypatch):
    expected = fitted(SelfAttentionRegressor(**LONG), X)
    model, write, written = SelfAttentionRegressor(**LONG, checkpoint=path), skattn.checkpoint.replace_file, []

    def interrupt(path, content):
        written.append(write(path, content))
        if len(written) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(skattn.checkpoint, "replace_file", interrupt)
        assert 4 == fitted(model, X).n_iter_
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


def header_of(path):
    with np.load(path, allow_pickle=False) as file:
        return json.loads(file["header"].tobytes())


def forge(path, change):
    """Write the file anew as someone would who knows the form: `change` gets the header and the arrays."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays.pop("header").tobytes())
    change(header, arrays)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.write_bytes(seal(buffer.getvalue()))


def seal(content):
    return content + hashlib.sha256(content).digest()


@pytest.fixture
def killed(path, die_after):
    """The path of a fit that was killed, and an estimator that would go on with it."""
    model = SelfAttentionRegressor(**LONG | STOPPING, checkpoint=path)
    assert die_after(2, fitted, clone(model), X)
    return path, model


def refused(model, path, message):
    """The fit is refused for this reason before any work, names the path and leaves the file alone."""
    content = path.read_bytes()
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{message}") as caught:
        fitted(model, X)
    assert not hasattr(model, "n_features_in_") and content == path.read_bytes()
    return caught.value


DAMAGED = "is no whole checkpoint of skattn: .*; give another path, or delete the file to begin anew"


def test_a_file_cut_short_is_refused(killed):
    path, model = killed
    content = path.read_bytes()
    for n_bytes in (0, 1, 31, 32, 33, 1000, len(content) // 2, len(content) - 32, len(content) - 1):
        path.write_bytes(content[:n_bytes])
        refused(model, path, DAMAGED)


def test_a_file_with_any_bit_flipped_is_refused(killed):
    path, model = killed
    content = path.read_bytes()
    for bit in np.random.default_rng(0).integers(8 * len(content), size=200).tolist():
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        refused(model, path, DAMAGED)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def saved(save, *arguments, **arrays):
    buffer = io.BytesIO()
    save(buffer, *arguments, **arrays)
    return buffer.getvalue()


STRANGERS = {
    "text": lambda bomb: b"This is a letter.",
    "pickle": lambda bomb: pickle.dumps(bomb),
    "array": lambda bomb: saved(np.save, np.ones(7)),
    "array of objects": lambda bomb: saved(np.save, np.array([bomb])),
    "archive of objects": lambda bomb: saved(np.savez, header=np.array([bomb]), parameters=np.array([bomb])),
    "archive without header": lambda bomb: saved(np.savez, parameters=np.ones(7)),
    "header that is no JSON": lambda bomb: saved(np.savez, header=np.ones(7)),
    "header that is a list": lambda bomb: saved(np.savez, header=np.frombuffer(b"[1, 2]", np.uint8)),
    "header as deep as a well": lambda bomb: saved(np.savez, header=np.frombuffer(b"[" * 10**6, np.uint8)),
    "empty header": lambda bomb: saved(np.savez, header=np.frombuffer(b"{}", np.uint8)),
}


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize("name", STRANGERS)
def test_a_file_that_is_no_checkpoint_is_refused_and_never_run(name, is_sealed, path):
    trace = path.with_name("trace")
    content = STRANGERS[name](Bomb(trace))
    path.write_bytes(seal(content) if is_sealed else content)
    refused(SelfAttentionRegressor(**LONG, checkpoint=path), path, DAMAGED)
    assert not trace.exists()


FORGED_HEADERS = {
    "a negative counter": lambda header: header["training"].update(n_updates=-1),
    "a counter beyond all bounds": lambda header: header["training"].update(n_updates=2**70, plan_updates=2**71),
    "a counter with a fraction": lambda header: header["training"].update(n_epochs=2.0),
    "a counter in words": lambda header: header["training"].update(n_flat_epochs="many"),
    "a seed beyond all bounds": lambda header: header["training"].update(seed=2**31),
    "no seed": lambda header: header["training"].pop("seed"),
    "more updates than planned": lambda header: header["training"].update(plan_updates=1),
    "no plan": lambda header: header["training"].update(plan_updates=None),
    "more epochs than losses": lambda header: header["training"]["loss_curve"].pop(),
    "a loss in words": lambda header: header["training"]["loss_curve"].__setitem__(0, "low"),
    "a counter too many": lambda header: header["training"].update(network=1),
    "another optimizer": lambda header: header["training"]["optimizer"].update(name="adam"),
    "steps that are no number": lambda header: header["training"]["optimizer"].update(n_steps=None),
    "no optimizer": lambda header: header["training"].pop("optimizer"),
    "an optimizer in words": lambda header: header["training"].update(optimizer="adamw"),
    "no training": lambda header: header.pop("training"),
    "training in a list": lambda header: header.update(training=[]),
    "training in words": lambda header: header.update(training="much"),
    "no beginning": lambda header: header.pop("begun_with"),
    "no data": lambda header: header["begun_with"].pop("data"),
    "data in words": lambda header: header["begun_with"].update(data="some"),
    "more than there is": lambda header: header.update(more=1),
}


@pytest.mark.parametrize("name", FORGED_HEADERS)
def test_a_forged_header_is_refused(name, killed):
    path, model = killed
    forge(path, lambda header, arrays: FORGED_HEADERS[name](header))
    refused(model, path, DAMAGED)


def test_an_optimizer_of_another_kind_is_named(killed):
    path, model = killed
    forge(path, lambda header, arrays: FORGED_HEADERS["another optimizer"](header))
    refused(model, path, "optimizer is Adam.*, expected adamw")


FORGED_ARRAYS = {
    "too short": lambda arrays: arrays.update(parameters=arrays["parameters"][:-1]),
    "too long": lambda arrays: arrays.update(kept_parameters=np.append(arrays["kept_parameters"], 0)),
    "another shape": lambda arrays: arrays.update(parameters=arrays["parameters"][np.newaxis]),
    "another precision": lambda arrays: arrays.update({"mean": np.float32(arrays["mean"])}),
    "another byte order": lambda arrays: arrays.update(parameters=arrays["parameters"].astype(">f8")),
    "words": lambda arrays: arrays.update(parameters=arrays["parameters"].astype(str)),
    "not finite": lambda arrays: arrays["parameters"].__setitem__(3, np.nan),
    "missing": lambda arrays: arrays.pop("mean_square"),
    "no parameters": lambda arrays: arrays.pop("parameters"),
    "too many": lambda arrays: arrays.update(more=arrays["parameters"]),
}


@pytest.mark.parametrize("name", FORGED_ARRAYS)
def test_forged_arrays_never_reach_a_kernel(name, killed, die_after):
    path, model = killed
    forge(path, lambda header, arrays: FORGED_ARRAYS[name](arrays))
    with pytest.raises(ValueError, match=DAMAGED):
        fitted(model, X)
    assert not hasattr(model, "n_features_in_"), "the estimator is as it was"


def test_a_file_forged_with_nothing_changed_is_gone_on_with(killed):
    """So the forged ones were refused for what was changed."""
    path, model = killed
    forge(path, lambda header, arrays: None)
    expected = fitted(clone(model).set_params(checkpoint=None), X)
    assert_same_bits(all_of(fitted(model, X)), all_of(expected))


@pytest.mark.parametrize("version", ["99.1.0", f"{skattn.__version__.split('.dev')[0]}.1"])
def test_a_file_of_a_newer_version_is_refused_with_both_named(version, killed):
    path, model = killed
    forge(path, lambda header, arrays: (header.clear(), header.update(skattn=version)))
    refused(model, path, f"was written by skattn {version}, and this is skattn {skattn.__version__}.*another path")


def test_a_file_of_an_older_version_has_the_defaults_of_what_came_later(killed):
    path, model = killed
    expected = fitted(clone(model).set_params(checkpoint=None), X)

    def grow_old(header, arrays):
        header["skattn"] = "0.1.0"
        del header["begun_with"]["parameters"]["causal"]
        del header["training"]["n_flat_epochs"]

    forge(path, grow_old)
    with pytest.raises(ValueError, match="began otherwise: causal is True and was False"):
        fitted(clone(model).set_params(causal=True), X)
    assert_same_bits(results_of(fitted(model, X), X), results_of(expected, X))


def test_a_file_says_which_version_wrote_it(killed):
    assert skattn.__version__ == header_of(killed[0])["skattn"]


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize(
    ("name", "error", "message"),
    [("missing/fit", FileNotFoundError, "choose another path, or make its folder"), (".", IsADirectoryError, "folder")],
)
def test_a_path_that_cannot_be_written_is_an_error_before_any_work(kind, name, error, message, tmp_path):
    """X, which could not be used, is not even looked at."""
    with pytest.raises(error, match=f"{re.escape(str(tmp_path))}.*cannot be written.*{message}"):
        kind(checkpoint=tmp_path / name).fit(None, None)


def test_a_path_must_be_a_path():
    with pytest.raises(ValueError, match="The 'checkpoint' parameter of SelfAttentionRegressor must be"):
        SelfAttentionRegressor(checkpoint=3).fit(X, Y)


@pytest.fixture
def full_disk():
    """Makes the system refuse to write larger files, as a full disk does, until it is closed."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def full_disk():
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return full_disk


def test_a_full_disk_is_a_clear_error_and_costs_nothing(full_disk, path, die_after):
    model = fitted(SelfAttentionRegressor(**LONG), OTHER)
    before = all_of(model)
    assert die_after(3, fitted, clone(model).set_params(checkpoint=path), X)
    content = path.read_bytes()
    message = f"{re.escape(str(path))} was not written and is as it was: .*; free space, or choose another path"
    with full_disk(), pytest.raises(OSError, match=message):
        fitted(model.set_params(checkpoint=path), X)
    assert content == path.read_bytes() and [path] == list(path.parent.iterdir())
    assert_same_bits(all_of(model), before)
    assert_same_bits(all_of(fitted(model, X)), all_of(fitted(clone(model).set_params(checkpoint=None), X)))


def test_what_killed_processes_left_long_ago_is_removed(path):
    draft = path.with_name(f".{path.name}.0123abcd.part")
    draft.touch()
    os.utime(draft, (0, 0))
    fitted(SelfAttentionRegressor(**SMALL, checkpoint=path), X)
    assert [path] == list(path.parent.iterdir())


STRESS = Path(__file__).parent.parent / "examples" / "stress_kill.py"


@pytest.mark.skipif(not STRESS.exists(), reason="the examples are not here")
def test_a_process_killed_at_a_random_moment_leaves_a_file_that_is_gone_on_with(tmp_path):
    specification = importlib.util.spec_from_file_location("stress_kill", STRESS)
    stress = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(stress)
    outcomes = stress.kill_and_resume(3, tmp_path, seed=1)
    assert ["", "", ""] == [outcome["failed"] for outcome in outcomes]
    assert any(outcome["epochs"] for outcome in outcomes)
