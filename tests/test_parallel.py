"""How work is shared out: any number of threads, from any thread, after a fork, under each threading layer."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import joblib
import numba
import numpy as np
import pytest

from skattn import attention
from skattn._kernels import parallel


def sequences():
    """Arrays large enough for several items."""
    return np.random.default_rng(0).normal(size=(3, 2, 131, 7)).astype(np.float32)


def problem(n_jobs=2):
    """Some attention."""
    x = sequences()
    return attention(x, x, x, n_jobs=n_jobs)


def test_bits_are_the_same_for_any_number_of_threads():
    alone = problem(1)
    for n_jobs in (2, 3, -1, None):
        np.testing.assert_array_equal(problem(n_jobs), alone)


def test_python_threads_may_work_at_the_same_time():
    alone = problem(1)
    with ThreadPoolExecutor(7) as pool:
        for result in pool.map(problem, [2] * 23):
            np.testing.assert_array_equal(result, alone)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_child_works_after_its_parent_did():
    alone = problem(2)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for result in pool.map(problem, [2, 2, 1]):
            np.testing.assert_array_equal(result, alone)


@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_python_threads_are_safe_under_each_threading_layer(layer):
    code = (
        "import numba\n"
        "from test_parallel import *\n"
        "test_python_threads_may_work_at_the_same_time()\n"
        f"print(numba.threading_layer() == '{layer}')"
    )
    environment = os.environ | {"NUMBA_THREADING_LAYER": layer, "PYTHONPATH": os.path.dirname(__file__)}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)
    if "No threading layer could be loaded" in done.stderr:
        pytest.skip(f"numba has no {layer} here")
    assert done.stdout.strip() == "True", done.stderr[-2000:]


@pytest.mark.parametrize("chosen", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_environment_is_left_as_it_was(chosen):
    code = "import os, test_parallel as t; before = dict(os.environ); t.problem(); print(before == dict(os.environ))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
    environment |= chosen | {"PYTHONPATH": os.path.dirname(__file__)}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr[-2000:]


def test_callers_thread_count_is_left_alone():
    before = numba.get_num_threads()
    problem(1)
    problem(2)
    assert numba.get_num_threads() == before


def test_number_of_threads_is_what_scikit_learn_means():
    every = min(joblib.effective_n_jobs(-1), numba.get_num_threads())
    assert parallel.n_workers(1) == 1
    assert parallel.n_workers(-1) == parallel.n_workers(None) == every
    assert parallel.n_workers(10**6) == numba.get_num_threads()


def test_a_joblib_context_decides_where_n_jobs_does_not():
    with joblib.parallel_backend("threading", n_jobs=2):
        assert parallel.n_workers(None) == min(2, numba.get_num_threads())


def test_processes_of_joblib_give_the_same_bits():
    alone = problem(1)
    # The function must be one that another process can import: not one of this file.
    calls = (joblib.delayed(attention)(*[sequences()] * 3, n_jobs=n_jobs) for n_jobs in (1, 2, None))
    for result in joblib.Parallel(n_jobs=2)(calls):
        np.testing.assert_array_equal(result, alone)
