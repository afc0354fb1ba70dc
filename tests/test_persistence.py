"""A saved model comes back as it was, holds no code, goes on learning, and says which version wrote it."""

import io
import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from files.write import RESULTS, describe, name_columns, write
from problems import ESTIMATORS, SMALL, assert_same_bits, make_ragged, results_of, target_of

import skattn

X = make_ragged()
FILES = sorted((Path(__file__).parent / "files").glob("*/*.joblib"))


@pytest.fixture(params=ESTIMATORS, ids=lambda estimator: estimator.__name__)
def model(request):
    """A fitted model whose training state is as rich as it gets."""
    estimator = request.param(**SMALL | {"batch_size": 7, "dropout": 0.1})
    y = target_of(estimator, X)
    return estimator.fit(X, y, X_val=X, y_val=y)


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


def test_a_file_holds_arrays_and_no_compiled_code(model):
    """Every class in it belongs to NumPy or is a plain class of this package."""
    modules = set()

    class Recorder(pickle.Unpickler):
        def find_class(self, module, name):
            modules.add(module)
            return super().find_class(module, name)

    Recorder(io.BytesIO(pickle.dumps(model))).load()
    assert {module.split(".")[0] for module in modules} == {"numpy", "skattn"}
    assert not any("_kernels" in module for module in modules)


def test_a_file_is_little_larger_than_its_numbers(model):
    """Weights and two averages of their gradients; no workspace, no tape."""
    n_bytes = sum(weight.nbytes for weight in model.weights_.values())
    assert len(pickle.dumps(model)) < 3 * n_bytes + 20_000


def test_a_file_says_which_version_wrote_it(model):
    assert skattn.__version__ == model.__getstate__()["_skattn_version"]
    assert "_skattn_version" not in vars(model)


def test_a_file_of_a_newer_version_warns(model):
    state = model.__getstate__() | {"_skattn_version": "99.1.0"}
    stranger = type(model).__new__(type(model))
    with pytest.warns(UserWarning, match=rf"{type(model).__name__} was saved by skattn 99.1.0.*upgrade skattn"):
        stranger.__setstate__(state)
    assert_same_bits(results_of(stranger, X), results_of(model, X))


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


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_files_of_earlier_versions_are_read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = joblib.load(path)
    assert_as_written(model, dict(np.load(path.with_suffix(".npz"))))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_models_of_earlier_versions_go_on_learning(path):
    model = joblib.load(path)
    X = name_columns(model, np.load(path.with_suffix(".npz"))["X"])
    y, n_iter = model.predict(X) if hasattr(model, "predict") else None, model.n_iter_
    model.set_params(early_stopping=False)
    assert n_iter + 1 == model.partial_fit(X, y).n_iter_
    assert n_iter + 1 < model.set_params(warm_start=True).fit(X, y).n_iter_


def test_each_release_has_its_files():
    folders = {path.parent.name for path in FILES}
    assert "0.1.0" in folders
    assert {3} == {sum(path.parent.name == folder for path in FILES) for folder in folders}


def test_what_this_version_writes_is_read(tmp_path):
    write(tmp_path)
    for path in sorted(tmp_path.glob("*.joblib")):
        assert_as_written(joblib.load(path), dict(np.load(path.with_suffix(".npz"))))
