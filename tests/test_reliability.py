"""What must never die, hang or differ: the stress scripts of `examples/`, with few rounds."""

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import make_network
from joblib.externals.loky import get_reusable_executor

from skattn._network.positions import GrowingWaves

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = [
    pytest.mark.skipif(not EXAMPLES.exists(), reason="the examples are not here"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the scripts fork, and read /proc"),
]


@pytest.fixture(autouse=True)
def path(monkeypatch):
    """Let scripts import each other."""
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture
def threads():
    return importlib.import_module("stress_threads")


@pytest.fixture
def caches():
    return importlib.import_module("stress_caches")


@pytest.fixture
def expected():
    """The bits that one thread gives."""
    return importlib.import_module("stress_common").work(n_jobs=1)


def test_threads_fit_models_of_their_own(threads, expected):
    assert all(threads.own_models(expected))


def test_threads_share_a_model_that_was_just_loaded(threads, expected):
    """The first calls prepare what later calls use: none may take it from under another."""
    assert all(threads.one_model(expected))


def test_a_table_of_positions_is_as_long_as_was_asked_for(monkeypatch):
    """Another thread may keep a shorter table in between."""
    network = make_network(position="sinusoidal", d_model=8)
    waves = GrowingWaves(8)
    short = waves(network, 2)
    monkeypatch.setattr(GrowingWaves, "_table", property(lambda self: short, lambda self, table: None), raising=False)
    assert len(waves(network, 41)) >= 41


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_children_fit_beside_busy_threads(threads, expected):
    assert all(threads.fork_during(expected))


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_of_joblib_give_the_same_bits(threads, expected, backend, monkeypatch):
    # Workers import the scripts by themselves; those that another test left behind do not know where.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLES), os.environ.get("PYTHONPATH", "")]))
    get_reusable_executor().shutdown(wait=True)
    assert all(bits == expected for bits in threads.pool_of(backend, threads.work, [(None,), (2,)]))


def test_what_a_scenario_gave_is_found_among_words_of_numbas(threads):
    words = f"Unable to join threads {threads.RESULTS} True False {threads.RESULTS} before fork()"
    assert [True, False] == threads.results_in(words.split())
    assert [] == threads.results_in("Unable to join threads".split())


@pytest.mark.parametrize("name", ["callers_number", "shares"])
def test_scenario(threads, expected, name):
    oks, failure = threads.attempt(getattr(threads, name), "omp", expected)
    if "No threading layer could be loaded" in failure:
        pytest.skip("numba has no OpenMP here")
    assert not failure and oks and all(oks)


@pytest.mark.parametrize("name, arguments", [("unreadable", ()), ("full", ([1000],))])
def test_caches_in_a_bad_situation(caches, name, arguments):
    assert [] == [failure for failure in getattr(caches, name)(*arguments) if failure]


def test_soak_sees_what_grows():
    soak = importlib.import_module("stress_soak")
    kept = []

    def leak(generator):
        kept.append((np.ones(50_000), open(os.devnull)))

    (resident, allocated, blocks), (_, handles) = soak.growth(soak.soak(60, call=leak, n_samples=12))
    assert min(resident, allocated) > 300_000 and blocks > soak.BLOCKS_A_CALL and handles > 30
    for _, file in kept:
        file.close()


def test_a_fit_leaves_no_thread_and_no_file_open():
    soak = importlib.import_module("stress_soak")
    _, (threads, handles) = soak.growth(soak.soak(36, n_samples=12))
    assert threads <= 0 and handles <= 0


def test_bits_do_not_depend_on_the_batch():
    assert len(set(importlib.import_module("stress_bits").batches())) == 1
