"""The same results whatever Python, NumPy and numba were told by those who run the program."""

import os
import pickle
import subprocess
import sys
import warnings

import numba
import numpy as np
import pytest
from problems import ESTIMATORS, SMALL, assert_same_bits, fitted, make_ragged, results_of, rise

import skattn
from skattn import SelfAttentionClassifier, SelfAttentionRegressor, attention, attention_weights
from skattn._kernels import jit
from skattn.functional import attention_backward

X = make_ragged(dtype=np.float32)
PROGRAM = """
import hashlib, pickle
import numpy as np
from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer, attention
X = np.random.default_rng(0).normal(size=(12, 5, 2)).astype(np.float32)
found = [attention(X[None], X[None], X[None]).tobytes()]
for kind in (SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer):
    model = pickle.loads(pickle.dumps(kind(d_model=8, max_iter=2, random_state=0).fit(X, [0, 1] * 6)))
    found.append(getattr(model, "predict", model.transform)(X).tobytes())
print(hashlib.sha256(b"".join(found)).hexdigest())
"""


def run(*options, program=PROGRAM, **environment):
    """What a process of its own prints, and its last word of complaint."""
    command = [sys.executable, *options, "-c", program]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=600)
    return done.stdout, done.stderr.strip().rpartition("\n")[2]


@pytest.fixture(scope="module")
def expected():
    """What the program prints where nothing is special."""
    return run()


@pytest.mark.parametrize("options", [["-O"], ["-OO"], ["-W", "error"], ["-I"], ["-X", "dev"]], ids=" ".join)
def test_python_may_be_run_otherwise(options, expected):
    assert expected[0] and expected == run(*options)


@pytest.mark.parametrize(
    "environment", [{"NUMBA_NUM_THREADS": "1"}, {"PYTHONHASHSEED": "7"}, {"OPENBLAS_CORETYPE": "Nehalem"}], ids=str
)
def test_bits_depend_on_nothing_in_the_environment(environment, expected):
    assert expected == run(**environment)


def test_docstrings_that_are_not_there_are_not_missed():
    program = "import skattn; print(skattn.SelfAttentionClassifier().fit.__doc__)"
    assert ("None\n", "") == run("-OO", program=program)


def test_numba_without_its_compiler_is_refused_in_one_sentence():
    printed, complaint = run(NUMBA_DISABLE_JIT="1")
    assert not printed
    assert "ImportError: skattn computes in compiled code only, and numba is told not to compile: unset" in complaint


def test_who_imports_the_kernels_is_told_why_not(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(ImportError, match="unset NUMBA_DISABLE_JIT"):
        jit.refuse_interpretation()


@pytest.fixture
def strict():
    """A caller who has NumPy raise, and Python take warnings for errors."""
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_caller_who_has_numpy_raise_gets_the_same(kind, optimizer, strict):
    def all_of(model):
        model = pickle.loads(pickle.dumps(fitted(model, X)))
        return results_of(model, X) | {"weights": np.concatenate([*map(np.ravel, model.attention_weights(X))])}

    parameters = SMALL | {"optimizer": optimizer, "dropout": 0.1, "batch_size": 7}
    got = all_of(kind(**parameters, early_stopping=True, validation_fraction=0.3))
    with np.errstate(all="ignore"):
        assert_same_bits(got, all_of(kind(**parameters, early_stopping=True, validation_fraction=0.3)))


def test_probabilities_too_small_for_a_float_are_0(strict):
    model = fitted(SelfAttentionClassifier(**SMALL), X)
    model._model.network.weights["head.weight"][...] *= 1e6
    assert 0 == model.predict_proba(X).min()
    assert np.isfinite(model.predict_log_proba(X)).all()


def test_values_near_the_smallest_float_are_learned(strict):
    tiny = rise(X) * 1e-310
    assert np.isfinite(SelfAttentionRegressor(**SMALL).fit(X, tiny).predict(X)).all()
    with np.errstate(under="ignore"):
        small = [sequence.astype(np.float64) * 1e-42 for sequence in X]
    model = fitted(SelfAttentionClassifier(**SMALL, dtype="float32"), small)
    assert np.isfinite(model.transform(small)).all()


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e18])
def test_attention_leaves_small_and_large_numbers_to_arithmetic(size, strict):
    query, key, value, d_output = np.float32(size) * np.random.default_rng(0).normal(size=(4, 1, 2, 37, 3)).astype("f4")
    output, log_sum_exp = attention(query, key, value, window=(0, 3), return_log_sum_exp=True)
    assert np.isfinite(output).all() and np.isfinite(log_sum_exp).all()
    assert np.isfinite(attention_weights(query, key, causal=True)).all()
    attention_backward(query, key, value, d_output)


def test_saving_and_loading_warns_of_nothing(strict, tmp_path):
    pytest.importorskip("safetensors")
    model = fitted(SelfAttentionClassifier(**SMALL, checkpoint=tmp_path / "fit.ckpt"), X)
    model.save_weights(tmp_path / "model.safetensors")
    loaded = SelfAttentionClassifier(**SMALL).load_weights(tmp_path / "model.safetensors")
    assert_same_bits(results_of(loaded, X), results_of(model, X))
    assert skattn.warm_up(()).n_compiled == 0
