"""A saved model comes back as it was, holds no code, goes on learning, and says which version wrote it."""

import copy
import io
import json
import pickle
import subprocess
import sys
import warnings
from dataclasses import fields
from pathlib import Path

import joblib
import numpy as np
import pytest
from files.write import RESULTS, describe, name_columns, read, write
from problems import (
    ESTIMATORS,
    SMALL,
    TOLD,
    assert_same_bits,
    make_ragged,
    make_told,
    results_of,
    richly_fitted,
    target_of,
)

import skattn
from skattn import SelfAttentionClassifier
from skattn._network.architecture import Architecture
from skattn._network.network import Network
from skattn._training.settings import TrainingState
from skattn.fitting import Model
from skattn.persistence import _TRAINING_CHECKS, TRUSTED_TYPES

X = make_ragged()
FORMS = (".joblib", ".skops", ".safetensors")
FILES = sorted(path for path in (Path(__file__).parent / "files").glob("*/*.*") if path.suffix in FORMS)


@pytest.fixture(params=ESTIMATORS, ids=lambda estimator: estimator.__name__)
def model(request):
    return richly_fitted(request.param, X)


def by_pickle(model, path):
    return pickle.loads(pickle.dumps(model))


def by_joblib(model, path):
    joblib.dump(model, path / "model.joblib")
    return joblib.load(path / "model.joblib")


def compressed(model, path):
    joblib.dump(model, path / "model.joblib.gz", compress=3)
    return joblib.load(path / "model.joblib.gz")


def memory_mapped(model, path):
    joblib.dump(model, path / "model.joblib")
    return joblib.load(path / "model.joblib", mmap_mode="r")


@pytest.fixture(params=[by_pickle, by_joblib, compressed, memory_mapped], ids=lambda save: save.__name__)
def loaded(request, model, tmp_path):
    """The model after a journey to a file and back."""
    return request.param(model, tmp_path)


def test_a_loaded_model_gives_the_same_bits(model, loaded):
    assert_same_bits(results_of(loaded, X), results_of(model, X))
    assert_same_bits(loaded.weights_, model.weights_)
    assert (model.loss_curve_, model.validation_scores_) == (loaded.loss_curve_, loaded.validation_scores_)
    for expected, actual in zip(model.attention_weights(X), loaded.attention_weights(X), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_a_loaded_model_goes_on_with_partial_fit(model, loaded):
    y = target_of(model, X)
    assert_same_bits(loaded.partial_fit(X, y).weights_, model.partial_fit(X, y).weights_)


@pytest.mark.parametrize("name", TOLD)
def test_features_of_every_kind_come_back_and_go_on(name, tmp_path):
    told = make_told(TOLD[name])
    model = richly_fitted(SelfAttentionClassifier, told, **TOLD[name])
    loaded, later = memory_mapped(model, tmp_path), make_told(TOLD[name], seed=1)
    assert_same_bits(results_of(loaded, later), results_of(model, later))
    y = target_of(model, later)
    assert_same_bits(loaded.partial_fit(later, y).weights_, model.partial_fit(later, y).weights_)


def test_a_loaded_model_goes_on_with_a_warm_start(model, loaded):
    y = target_of(model, X)
    for estimator in (model, loaded):
        estimator.set_params(warm_start=True).fit(X, y)
    assert_same_bits(loaded.weights_, model.weights_)


def test_going_on_leaves_the_file_alone(model, tmp_path):
    loaded = memory_mapped(model, tmp_path)
    before = (tmp_path / "model.joblib").read_bytes()
    loaded.partial_fit(X, target_of(model, X))
    assert before == (tmp_path / "model.joblib").read_bytes()


def test_an_unfitted_estimator_is_saved_too(model, tmp_path):
    estimator = type(model)(d_model=6)
    assert estimator.get_params() == by_pickle(estimator, tmp_path).get_params()


@pytest.mark.parametrize("path", ["fit.checkpoint", Path("fit.checkpoint"), None])
def test_a_checkpoint_is_the_path_it_was(path, tmp_path):
    estimator = skattn.SelfAttentionRegressor(checkpoint=path)
    for again in (by_pickle(estimator, tmp_path), copy.copy(estimator)):
        assert path == again.checkpoint


def test_a_file_holds_arrays_and_no_compiled_code(model):
    """Every class in it belongs to NumPy, but for that of the estimator."""
    classes = set()

    class Recorder(pickle.Unpickler):
        def find_class(self, module, name):
            classes.add((module, name))
            return super().find_class(module, name)

    Recorder(io.BytesIO(pickle.dumps(model))).load()
    assert {"numpy", "skattn"} == {module.split(".")[0] for module, _ in classes}
    own = {".".join(place) for place in classes if place[0].startswith("skattn")}
    assert len(own) == 1 and own < set(TRUSTED_TYPES)


def test_a_file_is_little_larger_than_its_numbers(model):
    """Weights and two averages of their gradients; no workspace, no tape."""
    n_bytes = sum(weight.nbytes for weight in model.weights_.values())
    assert len(pickle.dumps(model)) < 3 * n_bytes + 20_000


def test_a_file_says_which_version_wrote_it(model):
    assert skattn.__version__ == model.__getstate__()["_skattn_version"]
    assert "_skattn_version" not in vars(model)


def test_a_file_of_a_newer_version_is_refused(model):
    message = rf"This {type(model).__name__} was written by skattn 99.1.0, and this is skattn {skattn.__version__}"
    for estimator in (model, type(model)()):
        state = estimator.__getstate__() | {"_skattn_version": "99.1.0"}
        with pytest.raises(ValueError, match=f"{message}.*upgrade skattn"):
            type(model).__new__(type(model)).__setstate__(state)


@pytest.mark.parametrize("version", ["0.0.9", skattn.__version__, None])
def test_a_file_of_an_older_or_unknown_version_is_silent(model, version):
    state = model.__getstate__() | {"_skattn_version": version}
    if version is None:
        del state["_skattn_version"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        type(model).__new__(type(model)).__setstate__(state)


def test_a_model_is_read_by_another_process(model, tmp_path):
    joblib.dump((model, X), tmp_path / "model.joblib")
    code = (
        "import joblib, sys; model, X = joblib.load(sys.argv[1]); sys.stdout.buffer.write(model.transform(X).tobytes())"
    )
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "model.joblib"], capture_output=True, check=True)
    assert model.transform(X).tobytes() == run.stdout


def assert_as_written(model, record):
    """A loaded model is and does what `record`, the .npz file written with it, says."""
    actual = describe(model)
    for name in set(record) - {*RESULTS, "X", "parameters"}:
        np.testing.assert_array_equal(actual[name], record[name], err_msg=name)
    parameters = json.loads(str(record["parameters"]))
    assert parameters == {name: json.loads(str(actual["parameters"]))[name] for name in parameters}
    X = name_columns(model, record["X"])
    for name in set(record) & set(RESULTS):
        result, expected = getattr(model, name)(X), record[name]
        if expected.dtype.kind != "f":
            np.testing.assert_array_equal(result, expected, err_msg=name)
            continue
        # The same bits come of the same compiler and instructions only; other ones add up in another order.
        tolerance = 100 * np.finfo(expected.dtype).eps
        np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_files_of_earlier_versions_are_read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = read(path)
    assert_as_written(model, dict(np.load(path.with_suffix(".npz"))))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_models_of_earlier_versions_go_on_learning(path):
    model = read(path)
    X = name_columns(model, np.load(path.with_suffix(".npz"))["X"])
    y, n_iter = model.predict(X) if hasattr(model, "predict") else None, model.n_iter_
    model.set_params(early_stopping=False)
    assert n_iter + 1 == model.partial_fit(X, y).n_iter_
    assert n_iter + 1 < model.set_params(warm_start=True).fit(X, y).n_iter_


def test_each_release_has_its_files():
    folders = {path.parent.name for path in FILES}
    assert "0.1.0" in folders
    for folder in folders:
        names = {path.name for path in FILES if path.parent.name == folder}
        forms = FORMS[:1] if folder == "0.1.0" else FORMS
        assert names == {name + form for name in ("classifier", "regressor", "transformer") for form in forms}


def test_what_this_version_writes_is_read(tmp_path):
    write(tmp_path)
    for path in sorted(path for path in tmp_path.iterdir() if path.suffix in FORMS):
        assert_as_written(read(path), dict(np.load(path.with_suffix(".npz"))))


def test_what_came_later_has_its_default(model):
    state = model.__getstate__()
    del state["verbose"], state["class_weight" if "class_weight" in state else "n_jobs"]
    for name in {field.name for field in fields(TrainingState)} - {"seed", "optimizer"}:
        del state["_model"]["training"][name]
    del state["_model"]["network"]["architecture"]["dropout"]
    loaded = restore(model, state)
    assert loaded.get_params() == model.get_params()
    assert (loaded.n_iter_, loaded.loss_curve_) == (0, [])
    assert_same_bits(results_of(loaded, X), results_of(model, X))
    loaded.set_params(dropout=0.0).partial_fit(X, target_of(model, X))


def test_each_thing_that_training_goes_on_from_is_checked():
    assert {field.name for field in fields(TrainingState)} == {*_TRAINING_CHECKS, "optimizer", "kept_parameters"}


def test_copies_are_independent(model):
    before = results_of(model, X)
    for make in (copy.copy, copy.deepcopy):
        make(model).partial_fit(X, target_of(model, X))
        assert_same_bits(results_of(model, X), before)


def restore(model, state):
    """Become what a state says."""
    estimator = type(model).__new__(type(model))
    estimator.__setstate__(state)
    return estimator


def state_of(model):
    """A state that may be altered."""
    return copy.deepcopy(model.__getstate__())


NO_SIZES = [0, -1, 2**31, 2**62, 2**64 + 1, 1.5, "7", None, True, [7]]
NO_COUNTS = [-1, 2**64, 0.5, "0", True, None]
NO_NUMBERS = ["0", None, float("nan"), True, 10**400]
NO_WORDS = ["", "learnt", None, 7, ["mean"]]
ARCHITECTURE = [field.name for field in fields(Architecture)]


def no_vectors(vector):
    """What may stand where a vector should, none of which fits."""
    yield from (None, 7, "words", vector.tolist(), vector[:-1], np.append(vector, 1), vector[:0], vector[np.newaxis])
    yield from (vector.astype(np.float16), vector.astype(object), vector.astype(">f8"), vector.astype("U8"))
    yield from (np.where(np.arange(len(vector)) == 0, bad, vector).astype(vector.dtype) for bad in (np.nan, np.inf))


def no_codes(codes):
    """What may stand where codes should, none of which fits."""
    yield from (None, [], codes[0], [codes[0], codes[0]], [codes[0][::-1]], [codes[0] - 1], [codes[0] + 0.5])
    yield from ([vector] for vector in no_vectors(codes[0]))


def test_codes_that_do_not_fit_are_refused():
    X = [[0, 3], [3], [7, 0, 0]]
    model = SelfAttentionClassifier(**SMALL, categorical_features="all").fit(X, [0, 1, 1])
    codes = model.__getstate__()["_model"]["network"]["codes"]
    for wrong in no_codes(codes):
        state = model.__getstate__()
        state["_model"]["network"] = state["_model"]["network"] | {"codes": wrong}
        with pytest.raises(ValueError, match="codes.*the file is damaged"):
            SelfAttentionClassifier().__setstate__(state)


def damages(model):
    """Where in the state, and what instead; each makes a state that does not fit together."""
    network, training = ("_model", "network"), ("_model", "training")
    architecture = {name: NO_WORDS for name in ("loss", "position")} | {"pooling": ["", "sum", 7, ["mean"]]}
    architecture |= {"window": [None, (1,), (-1, 0), (0.5, 0), ("a", "b"), 7]}
    architecture |= {name: [-0.5, 1.0, *NO_NUMBERS] for name in ("dropout", "hidden_fraction")}
    architecture |= {
        "d_feedforward": NO_SIZES[1:],
        "attention": ["", "relu", None, 7],
        "dilation": [0, *NO_SIZES[3:]],
        "n_global_steps": NO_SIZES[3:],
        "top_k": [1 << 17, *NO_SIZES[1:]],
        "n_pooling_queries": [2, *NO_SIZES],
        "n_pooling_heads": [1 << 20, *NO_SIZES],
        **dict.fromkeys(["n_kernels", "n_taps", "patch_size", "adapter_rank"], NO_SIZES[1:]),
        "categories": [None, 7, "all", [1], [(0, 1, 2)], [(-1, 2)], [(97, 2)], [(0, 0)], [(0, 2), (0, 2)], [(0, 0.5)]],
        "n_heads": [3, *NO_SIZES],
        "heads": [
            None,
            7,
            [[]],
            [7],
            [[7]],
            [[[7]]],
            [[[1], [0]]],
            [[[0, 0]]],
            [[[0], [1, 1]]],
            [[[0.5]]],
            [[[0]]] * 3,
        ],
        "augmentations": [None, 7, "crop", ["crop"], [7], {}],
        "temperature": [-1.0, 0.5, *NO_NUMBERS],
        "time_feature": [1, -1, 97, 1.5, "7", True, [1]],
        **dict.fromkeys(["handles_missing", "is_stepwise"], [None, 0, 1, "yes", True]),
        **dict.fromkeys(["embedding_dropout", "token_dropout", "label_smoothing"], [-0.5, 1.0, *NO_NUMBERS]),
    }
    for name in ARCHITECTURE:
        yield from (((*network, "architecture", name), value) for value in architecture.get(name, NO_SIZES))
    arrays = model.__getstate__()["_model"]["network"]
    for name in ("parameters", "mean", "scale"):
        yield from (((*network, name), value) for value in no_vectors(arrays[name]))
    yield (*network, "scale"), -arrays["scale"]
    yield from (
        ((*network, "dtype"), value) for value in ("float16", "f4", np.dtype("float32"), None, ["float32"], "O")
    )
    yield from (((*network, "architecture"), value) for value in (None, {}, [], 7))
    for name in ("seed", "n_epochs", "n_updates", "plan_start", "n_flat_epochs"):
        yield from (((*training, name), value) for value in NO_COUNTS)
    yield (*training, "plan_start"), model.__getstate__()["_model"]["training"]["n_updates"] + 1
    yield from (((*training, "plan_updates"), value) for value in (0, -1, 1.5, "7"))
    yield from (((*training, "rate_scale"), value) for value in (-1, 2, *NO_NUMBERS))
    yield from (((*training, "rate"), value) for value in (-1, float("inf"), *NO_NUMBERS))
    for name in ("reference", "kept_score"):
        yield from (((*training, name), value) for value in (float("inf"), *NO_NUMBERS))
    yield from (((*training, "is_finished"), value) for value in (None, 0, 1.0, "yes"))
    yield from (((*training, "kept_parameters"), value) for value in (0, "all", np.ones(3), np.ones((1, 3))))
    yield from (((*training, "loss_curve"), value) for value in (None, 7, (1.0,), ["a"], [None], np.ones(3)))
    yield from (((*training, "optimizer"), value) for value in (7, {}, {"name": "adamw"}, []))
    optimizer = (*training, "optimizer")
    yield from (((*optimizer, "name"), value) for value in ("sgd", "lbfgs", None, 7, ["adamw"]))
    yield from (((*optimizer, "alpha"), value) for value in (-1, *NO_NUMBERS))
    yield from (((*optimizer, "n_steps"), value) for value in NO_COUNTS)
    yield from (((*optimizer, "vectors", "mean"), value) for value in no_vectors(arrays["parameters"]))
    yield (*optimizer, "vectors"), {}
    yield from ((("_model", "objective"), value) for value in [*NO_WORDS, "binary_cross_entropy"])
    yield from ((("_model", "target", "n_outputs"), value) for value in NO_SIZES)
    yield from ((("_model", "target", "is_column"), value) for value in (None, 1, "yes"))
    yield from ((("_model", "target", "mean"), value) for value in (7, "a", np.ones(97)))
    yield from ((("_model", "target"), value) for value in (None, {}, {"n_outputs": 2, "surplus": 1}))
    yield from ((("_model", "classes"), value) for value in (7, ["a", "b"], np.array(["b", "a"]), np.arange(97)))
    yield ("_model", "classes"), np.array([None, "a"], dtype=object)
    seen = model.__getstate__()["_model"]["seen"]
    for name, vector in seen.items():
        yield from ((("_model", "seen", name), value) for value in no_vectors(vector))
    for name in ("weight", "deviation", "left_out", "lengths"):
        yield ("_model", "seen", name), np.full_like(seen[name], -1.0)
    for name in ("weight", "lengths"):
        yield ("_model", "seen", name), np.zeros_like(seen[name])
    yield from ((("_model", "seen"), value) for value in ({}, 7, []))
    yield from ((("_model",), value) for value in (None, {}, 7, []))
    yield from ((("_steps_in",), value) for value in (None, (False,), (False, 4), (0, 3), [False, 3], (False, "3")))
    yield from ((("n_features_in_",), value) for value in (None, 2, 6, 0, "3"))
    yield from ((("feature_names_in_",), value) for value in (["a"], np.array(["a"]), np.arange(3), "abc"))
    yield from ((("_held_categories",), value) for value in (7, [], [np.array(["a"])], np.array(["a"])))
    yield from ((("checkpoint",), value) for value in ({}, {"path": 7}, {"path": None}, {"path": "a", "mode": "w"}))
    yield from ((("_skattn_version",), value) for value in (None, 7, ["0.1.0"], "", "new"))


def alter(state, path, value):
    """Put a value where a path leads."""
    *folders, name = path
    for folder in folders:
        state = state[folder]
    state[name] = value


def test_a_state_that_does_not_fit_together_is_refused(model):
    n_altered = 0
    for path, value in damages(model):
        state = state_of(model)
        alter(state, path, value)
        with pytest.raises(ValueError) as caught:
            restore(model, state)
            pytest.fail(f"{path} = {value!r} was taken")
        assert "damaged" in str(caught.value), path
        n_altered += 1
    assert n_altered > 300


@pytest.mark.parametrize("n_more", [-1, 1])
def test_parameters_are_as_many_as_the_architecture_says(model, n_more):
    state = state_of(model)
    parameters = state["_model"]["network"]["parameters"]
    state["_model"]["network"]["parameters"] = np.resize(parameters, parameters.size + n_more)
    state["_model"]["training"]["optimizer"] = None
    fewer = f"architecture is 'for {parameters.size} parameters', expected one for {parameters.size - 1}"
    more = f"parameters is .*expected '?{parameters.size}, as the architecture says"
    with pytest.raises(ValueError, match=fewer if n_more < 0 else more):
        restore(model, state)


def test_a_reconstruction_has_as_many_outputs_as_features():
    state = state_of(skattn.SelfAttentionTransformer(**SMALL, objective="reconstruction").fit(X))
    state["_model"]["network"]["architecture"]["n_outputs"] = 2
    with pytest.raises(ValueError, match="n_outputs is 2, expected 3, what tells the features to reconstruct"):
        restore(skattn.SelfAttentionTransformer(), state)


def test_a_state_that_lacks_something_or_has_too_much_is_refused(model):
    whole = state_of(model)
    places = [("_model",), ("_model", "network"), ("_model", "target"), ("_model", "training", "optimizer")]
    places.append(("_model", "seen"))
    for place in places:
        for name in [*at(whole, place), "surplus"]:
            state = state_of(model)
            at(state, place)[name] = 1
            if name != "surplus":
                del at(state, place)[name]
                if (name in ("mean", "scale", "is_column") and place[-1] == "target") or name == "seen":
                    continue
            with pytest.raises(ValueError, match="damaged"):
                restore(model, state)


def at(state, path):
    """What stands where a path leads."""
    for name in path:
        state = state[name]
    return state


@pytest.mark.parametrize("state", [None, [], 7, "words", {7: 7}, {"_model": 7}])
def test_what_is_no_state_is_refused(state):
    with pytest.raises(ValueError, match="damaged"):
        skattn.SelfAttentionRegressor.__new__(skattn.SelfAttentionRegressor).__setstate__(state)


def test_an_estimator_takes_no_model_of_another_kind(model):
    kinds = {skattn.SelfAttentionClassifier, skattn.SelfAttentionRegressor} - {type(model)}
    for kind in kinds if model.objective_ == "reconstruction" else kinds - {skattn.SelfAttentionTransformer}:
        if model.objective_ not in kind._learns:
            with pytest.raises(ValueError, match="objective.*damaged"):
                restore(kind(), model.__getstate__())


def test_a_damaged_file_of_version_010_is_refused():
    state = joblib.load(FILES[0].parents[1] / "0.1.0" / "classifier.joblib").__getstate__()
    network = state["_model"]["network"]
    old = {**network, "architecture": Architecture(**network["architecture"] | {"d_model": 2**40})}
    with pytest.raises(ValueError, match="d_model is 1099511627776, expected .* damaged"):
        Network.__new__(Network).__setstate__(old | {"dtype": np.dtype(network["dtype"])})
    with pytest.raises(ValueError, match="_model is .* damaged"):
        restore(skattn.SelfAttentionClassifier(), state | {"_model": Model.__new__(Model)})
