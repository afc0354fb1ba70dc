"""How many threads run, and where a parallel region is not safe.

There is one region in the library: workers take numbered items, each the next that nobody has taken. What an item
computes depends on its number alone, so results do not depend on how many workers there are or who takes what.
"""

import os
import threading

import joblib
import numba
import numpy as np
from llvmlite import ir
from numba import prange
from numba.core import types
from numba.extending import intrinsic

from .jit import ints, invoke_item, region


@intrinsic
def _take(typing_context, counter):
    """Take the next number of a counter that several threads share."""

    def generate(context, builder, signature, arguments):
        return builder.atomic_rmw("add", arguments[0], ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(counter), generate


def _share_out(function, arguments, n_items, n_workers, counter):
    for worker in prange(n_workers):
        taken = _take(ints(counter))
        while taken < n_items:
            invoke_item(function, ints(arguments), taken, worker)
            taken = _take(ints(counter))


_SIGNATURE = types.void(*[types.int64] * 5)
_regions = {}
_lock = threading.RLock()
_turn = threading.Lock()
_forked = _launched = False


def _after_fork():
    # GNU OpenMP kills a child that opens a region after its parent did: the child works alone.
    global _forked, _lock, _turn
    _forked = True
    _lock, _turn = threading.RLock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _region(parallel):
    if parallel not in _regions:
        with _lock:
            if parallel not in _regions:
                _regions[parallel] = region(_share_out, _SIGNATURE, parallel=parallel)
    return _regions[parallel]


def compile_regions():
    """Compile the region and its serial twin."""
    _region(parallel=False), _region(parallel=True)


def _shares_threads():
    """Tell whether several Python threads may have regions at the same time."""
    try:
        return numba.threading_layer() != "workqueue"
    except ValueError:
        # The layer is chosen by the first region, which has nobody beside it.
        return False


def _launch():
    """Start numba's threads, with a short patience: those that wait spin, which takes the core from who has work.

    GNU OpenMP reads the variable once, when it is loaded; what the user has set is left alone.
    """
    global _launched
    if _launched:
        return
    _launched = True
    if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        return
    os.environ["GOMP_SPINCOUNT"] = "1000"
    try:
        numba.get_num_threads()
    finally:
        del os.environ["GOMP_SPINCOUNT"]


def n_workers(n_jobs=None):
    """Give how many threads a region may use.

    Parameters
    ----------
    n_jobs : int, optional
        As in scikit-learn; None is what the surrounding joblib context says, or every core that this process may use.
    """
    if _forked or n_jobs == 1:
        return 1
    _launch()
    if n_jobs is None:
        inside = joblib.effective_n_jobs(None)
        n_jobs = inside if inside > 1 else -1
    return max(1, min(joblib.effective_n_jobs(n_jobs), numba.get_num_threads()))


def run(kernel, dtype, arguments, n_items, workers):
    """Call ``kernel(arguments, item, worker)`` for each item below `n_items`.

    Parameters
    ----------
    kernel : Kernel
    dtype : {"float32", "float64"}
    arguments : ndarray of int64
        Numbers and addresses; what they point to must outlive the call.
    n_items, workers : int
        With one worker no thread is started.
    """
    workers = min(workers, n_items)
    # Under numba's workqueue a second region at the same time ends the process: who comes second works alone.
    waits_in_turn = workers > 1 and not _shares_threads()
    if waits_in_turn and not _turn.acquire(blocking=False):
        workers, waits_in_turn = 1, False
    counter = np.zeros(1, np.int64)
    share_out = _region(parallel=workers > 1)
    pointers = (array.__array_interface__["data"][0] for array in (arguments, counter))
    try:
        share_out(kernel.address(dtype), next(pointers), n_items, workers, next(pointers))
    finally:
        if waits_in_turn:
            _turn.release()
