"""How work is shared out: any number of threads, from any thread, after a fork, under each threading layer."""

import multiprocessing
import os
import subprocess
import sys
import threading
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [np.empty, np.zeros])
def test_room_begins_where_a_cache_line_does(dtype, make):
    assert parallel.room(0, dtype, make).shape == (0,)
    for size in (1, 17, 100_003):
        numbers = parallel.room(size, dtype, make)
        assert numbers.dtype == dtype and numbers.shape == (size,) and parallel.address(numbers) % 64 == 0
        assert make is np.empty or not numbers.any()


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_child_that_is_forked_while_a_thread_compiles_can_compile(tmp_path):
    code = (
        "import os, signal, threading, time\n"
        "from skattn._kernels import jit, matmul, norm\n"
        "compiling = threading.Thread(target=norm.norm_backward.address, args=('float32',))\n"
        "compiling.start()\n"
        "while jit._lock.acquire(blocking=False): jit._lock.release()\n"
        "child = os.fork()\n"
        "if not child: signal.alarm(60), matmul.matmul.address('float32'), os._exit(0)\n"
        "print(os.waitpid(child, 0)[1])"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "0", done.stderr[-2000:]


@pytest.mark.parametrize("layer", ["workqueue", "omp", "tbb"])
def test_python_threads_are_safe_under_each_threading_layer(layer):
    code = (
        "import numba\n"
        "from test_parallel import *\n"
        "test_python_threads_may_work_at_the_same_time()\n"
        f"print(numba.threading_layer() == '{layer}')"
    )
    # A layer is started by several threads only, which a machine of one core has if told.
    environment = os.environ | {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    environment["PYTHONPATH"] = os.path.dirname(__file__)
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)
    if "No threading layer could be loaded" in done.stderr:
        pytest.skip(f"numba has no {layer} here")
    assert done.stdout.strip() == "True", done.stderr[-2000:]


def test_who_has_one_thread_starts_no_others():
    code = (
        "import test_parallel as t; from numba.np.ufunc import parallel\n"
        "t.parallel.n_workers(), t.problem(None), t.problem(-1); print(parallel._is_initialized)"
    )
    environment = os.environ | {"NUMBA_NUM_THREADS": "1", "PYTHONPATH": os.path.dirname(__file__)}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr[-2000:]


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


@pytest.fixture
def cores():
    """Threads that this process may use."""
    return min(joblib.effective_n_jobs(-1), numba.get_num_threads())


@pytest.mark.parametrize("kind", [int, np.int32, np.int64])
def test_number_of_threads_is_what_scikit_learn_means(cores, kind):
    assert parallel.n_workers(kind(1)) == 1
    assert parallel.n_workers(kind(-1)) == parallel.n_workers(None) == cores
    assert parallel.n_workers(kind(-2)) == max(1, cores - 1)
    assert parallel.n_workers(kind(-(10**6))) == 1
    assert parallel.n_workers(kind(10**6)) == numba.get_num_threads()


@pytest.mark.skipif(not hasattr(joblib, "parallel_config"), reason="joblib is older than 1.3")
@pytest.mark.parametrize("n_jobs", [1, 2, 10**6, -1, -2])
@pytest.mark.parametrize("backend", [None, "threading", "loky"])
def test_a_joblib_context_decides_where_n_jobs_does_not(cores, backend, n_jobs):
    with joblib.parallel_config(*[backend] * (backend is not None), n_jobs=n_jobs):
        assert parallel.n_workers(None) == min(cores, joblib.effective_n_jobs(n_jobs))
        assert parallel.n_workers(1) == 1
    with joblib.parallel_config("threading"):
        assert parallel.n_workers(None) == cores


def test_a_worker_thread_of_joblib_works_alone(cores):
    for n_workers in joblib.Parallel(n_jobs=2, prefer="threads")([joblib.delayed(parallel.n_workers)()] * 3):
        assert n_workers == 1
    assert parallel.n_workers() == cores


def test_regions_at_the_same_time_share_the_threads(monkeypatch):
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 8)
    monkeypatch.setattr(parallel, "_shares_threads", lambda: True)
    monkeypatch.setattr(parallel, "_at_work", {})
    with ThreadPoolExecutor(5) as pool:
        wait = threading.Barrier(5)
        wanted = (3, 1, 4, 8, 8)
        granted = list(pool.map(lambda n: (wait.wait(), parallel._take_threads(n), wait.wait())[1], wanted))
    assert granted[1] == 1 and sum(count for count in granted if count > 1) <= 8
    assert sum(parallel._at_work.values()) == sum(count for count in granted if count > 1)


def test_a_region_wakes_no_more_threads_than_it_was_given(monkeypatch):
    """Numba's number of threads is set for the region, and set back, whatever happens in it."""
    seen = []

    def region(*arguments):
        seen.append(numba.get_num_threads())
        raise KeyboardInterrupt

    before = numba.get_num_threads()
    monkeypatch.setattr(parallel, "_region", lambda parallel: region)
    monkeypatch.setattr(parallel._team, "size", 2)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 8 if not seen else before)
    monkeypatch.setattr(numba, "set_num_threads", seen.append)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 8)
    from skattn._kernels.heads import heads_forward_item

    with pytest.raises(KeyboardInterrupt):
        parallel.run(heads_forward_item, "float32", np.zeros(1, np.int64), 5, 2)
    assert seen == [2, before, 8] and parallel._at_work == {}


def test_processes_of_joblib_give_the_same_bits():
    alone = problem(1)
    # The function must be one that another process can import: not one of this file.
    calls = (joblib.delayed(attention)(*[sequences()] * 3, n_jobs=n_jobs) for n_jobs in (1, 2, None))
    for result in joblib.Parallel(n_jobs=2)(calls):
        np.testing.assert_array_equal(result, alone)
