"""Compiling ahead."""

import os
import subprocess
import sys

import pytest

import skattn.compilation
from skattn import warm_up


def test_nothing_is_left_to_compile_after_warming_up():
    warm_up(("float32",))
    again = warm_up(("float32",))
    assert (again.n_compiled, again.n_loaded) == (0, 0)
    assert again.n_ready > 30


def test_warming_up_says_how_far_it_is_where_asked(capsys):
    warm_up(("float32",))
    assert "" == capsys.readouterr().out
    warm_up(("float32",), verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("warm_up    0%  0/") and lines[-1].startswith("warm_up  100%")


def test_a_failing_compiler_ends_the_line(capsys, monkeypatch):
    def fail():
        raise RuntimeError("no compiler")

    monkeypatch.setattr(skattn.compilation.parallel, "compile_regions", fail)
    with pytest.raises(RuntimeError, match="no compiler"):
        warm_up(("float32",), verbose=1)
    assert capsys.readouterr().out.endswith("\n")


def test_nothing_is_left_for_a_first_fit(tmp_path):
    """In a process of its own, where no other test has compiled anything."""
    code = """if True:
        import numpy as np
        import skattn
        from skattn._kernels import jit

        skattn.warm_up(("float32",))
        before = jit.counts()
        X = np.random.default_rng(0).normal(size=(20, 30, 2)).astype(np.float32)
        for estimator in (skattn.SelfAttentionClassifier, skattn.SelfAttentionRegressor):
            estimator(max_iter=1, n_kernels=16).fit(X, np.arange(20) % 2).predict(X)
        codes, y = [np.arange(5) % 3 for _ in range(20)], np.arange(20) % 2
        skattn.SelfAttentionClassifier(max_iter=1, categorical_features="all").fit(codes, y)
        skattn.SelfAttentionClassifier(max_iter=1, patch_size=2, position="relative").fit(X, y)
        causal = skattn.SelfAttentionClassifier(max_iter=1, causal=True, embedding="linear", pooling="attention")
        causal.fit(X, y).stream().step(X[0, 0])
        skattn.attention(X[None], X[None], X[None])
        print(before == jit.counts())
    """
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


def test_another_process_loads_what_was_compiled_ahead(tmp_path):
    code = "import skattn; done = skattn.warm_up(('float32',)); print(done.n_compiled, done.n_loaded, done.cache)"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    run = [
        subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)
        for _ in "12"
    ]
    first, second = (done.stdout.split() for done in run)
    assert int(first[0]) > 30 and first[1] == "0"
    assert second[0] == "0" and int(second[1]) == int(first[0])
    assert first[2].startswith(str(tmp_path))


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="'float16'; known are 'float32' and 'float64'"):
        warm_up(("float16",))
