"""How many threads run, and where a parallel region is not safe.

There is one region in the library: stage by stage, workers take numbered items, each the next that nobody has taken.
What an item computes depends on its number alone, so results do not depend on how many workers there are or who takes
what.
"""

import multiprocessing
import operator
import os
import reprlib
import threading

import joblib
import numba
import numpy as np
from joblib.parallel import get_active_backend
from llvmlite import ir
from numba import prange
from numba.core import types
from numba.extending import intrinsic

from .invoke import invoke_item
from .jit import ints, region
from .record import Record

# Numbers of a cache line, or of two.
_LINE = 16


@intrinsic
def _take(typing_context, counter):
    """Take the next number of a counter that several threads share."""

    def generate(context, builder, signature, arguments):
        return builder.atomic_rmw("add", arguments[0], ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(counter), generate


Stage = Record("function", "arguments", "n_items", "n_workers")
"""A kernel of items, what it is told, how many items there are, and the threads that may share them."""

_STAGE_SIZE, _N_ITEMS, _N_WORKERS = len(Stage), Stage.index["n_items"], Stage.index["n_workers"]
_stage = Stage.cast


def _share_out(stages, n_stages, n_workers, counter, stop):
    """Run stages one after another, until there are no more or one of them has set `stop`."""
    for number in range(n_stages):
        stage = _stage(stages + number * 8 * _STAGE_SIZE)
        function, arguments, n_items = stage.function, stage.arguments, stage.n_items
        workers = min(n_workers, stage.n_workers, n_items)
        if ints(stop)[0]:
            return
        if workers <= 1:
            for item in range(n_items):
                invoke_item(function, ints(arguments), item, 0)
            continue
        ints(counter)[0] = 0
        for worker in prange(workers):
            taken = _take(ints(counter))
            while taken < n_items:
                invoke_item(function, ints(arguments), taken, worker)
                taken = _take(ints(counter))


class _Team(threading.local):
    """What `n_workers` last gave in this Python thread."""

    size = 1


_SIGNATURE = types.void(*[types.int64] * 5)
_regions = {}
_team = _Team()
_lock = threading.RLock()
_turn = threading.Lock()
# Threads of the regions that are open now, by the Python thread that opened each.
_at_work = {}
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
    """Give how many threads the regions that follow in this Python thread may use.

    Parameters
    ----------
    n_jobs : int, optional
        As in scikit-learn; None is what the surrounding joblib context says, the share of a worker inside one, or else
        every core that this process may use.
    """
    # A small integer of NumPy's overflows in joblib's arithmetic.
    n_jobs = _share() if n_jobs is None else _whole(n_jobs)
    if _forked or n_jobs == 1:
        return 1
    wanted = min(joblib.effective_n_jobs(n_jobs), numba.config.NUMBA_NUM_THREADS)
    if wanted <= 1:
        # To ask numba for its number would start it: TBB has a thread more than it is told.
        return 1
    _launch()
    _team.size = max(1, min(wanted, numba.get_num_threads()))
    return _team.size


def _share():
    """Give the `n_jobs` that None stands for."""
    backend, n_jobs = get_active_backend()
    # Before joblib 1.3 no context and one that says 1 look the same.
    if n_jobs is not None and (n_jobs != 1 or hasattr(joblib, "parallel_config")):
        return n_jobs
    # Each of a pool's threads has the others beside it. A process of a pool was told its share when it was started
    # (loky sets NUMBA_NUM_THREADS), or else is known by being a daemon.
    in_pool = backend.nesting_level and threading.current_thread() is not threading.main_thread()
    return 1 if in_pool or multiprocessing.current_process().daemon else -1


def _take_threads(wanted):
    """Give how many threads a region gets: what other Python threads leave of the cores, or its own alone."""
    if wanted <= 1:
        return 1
    me = threading.get_ident()
    with _turn:
        others = sum(count for thread, count in _at_work.items() if thread != me)
        # Under numba's workqueue a second region at the same time ends the process.
        free = numba.config.NUMBA_NUM_THREADS - others if not others or _shares_threads() else 1
        granted = max(1, min(wanted, free))
        if granted > 1:
            _at_work[me] = granted
    return granted


def _whole(n_jobs):
    try:
        return operator.index(n_jobs)
    except TypeError:
        found = reprlib.repr(n_jobs)
        raise TypeError(f"n_jobs={found} is no whole number; give a number of threads, -1 or None.") from None


def address(array):
    """Give where the first number of an array is, in half the time of ``array.ctypes.data``."""
    return array.__array_interface__["data"][0]


def room(size, dtype, make=np.empty):
    """Give room for so many numbers, made by NumPy's `empty` or `zeros`, that begins where a cache line does.

    NumPy's begins 16 bytes behind one, as a rule, and every other vector would be of two lines.
    """
    numbers = make(size + _LINE, dtype)
    begin = -address(numbers) % (_LINE * numbers.itemsize) // numbers.itemsize
    return numbers[begin : begin + size]


class Arguments:
    """A record for a kernel of items; the arrays that it points to live as long as this.

    Parameters
    ----------
    record : Record
    dtype : {"float32", "float64"}
        Precision of the kernel.
    workers : int
        Threads that share the items out.
    array : ndarray of int64, optional
        The record to begin with; changed in place.
    """

    def __init__(self, record, dtype, workers=1, array=None):
        self.record, self.dtype, self.workers, self._kept = record, dtype, workers, []
        self.array = record.new() if array is None else array

    def point(self, **arrays):
        """Let fields point to arrays."""
        for name, array in arrays.items():
            self._kept.append(array)
            self.array[self.record.index[name]] = address(array)

    def set(self, **numbers):
        """Set fields to numbers."""
        self.record.write(self.array, **numbers)

    def share_out(self, kernel, n_items):
        """Call a kernel for each item."""
        run(kernel, self.dtype, self.array, int(n_items), self.workers)


def write_stages(kernel, dtype, records, step, n, n_items, n_workers):
    """Write `n` stages of a kernel whose records lie `step` bytes apart."""
    return Stage.write(
        np.empty((n, len(Stage)), np.int64),
        function=kernel.address(dtype),
        arguments=address(records) + step * np.arange(n),
        n_items=n_items,
        n_workers=n_workers,
    )


def run(kernel, dtype, arguments, n_items, workers):
    """Call ``kernel(arguments, item, worker)`` for each item below `n_items`.

    Parameters
    ----------
    kernel : Kernel
    dtype : {"float32", "float64"}
    arguments : ndarray of int64
        Numbers and addresses; what they point to must outlive the call.
    n_items, workers : int
        With one worker no thread is started. There may be fewer, where other Python threads have regions open.
    """
    numbers = kernel.address(dtype), address(arguments), n_items, min(workers, n_items)
    run_stages(np.array(numbers, np.int64), np.zeros(1, np.int64))


def run_stages(stages, stop):
    """Run stages one after another, without the interpreter.

    Parameters
    ----------
    stages : ndarray of int64
        Records `Stage`.
    stop : ndarray of int64, shape (1,)
        Stages run while this is 0; one of them may change it.
    """
    Listed(stages, stop).run(0, stages.size // _STAGE_SIZE)


class Listed:
    """Stages that lie behind each other, to run some at a time: what is the same for all is worked out once.

    Parameters
    ----------
    stages, stop : ndarray of int64
        See `run_stages`; both are kept, what stages point to must be kept by the caller.
    """

    def __init__(self, stages, stop):
        counter = np.zeros(1, np.int64)
        self.stages, self._alive = stages, (counter, stop)
        self._begin, self._given = address(stages), (address(counter), address(stop))
        self._wanted = int(stages.reshape(-1, _STAGE_SIZE)[:, _N_WORKERS].max(initial=1))

    def run(self, first, last):
        """Run the stages from the one numbered `first` to that before `last`."""
        workers = _take_threads(self._wanted)
        given = self._begin + first * 8 * _STAGE_SIZE, last - first, workers, *self._given
        if workers == 1:
            _region(parallel=False)(*given)
            return
        before = numba.get_num_threads()
        # A region wakes all of numba's threads, also those that it has no work for. Their number stays the same from
        # region to region where it can: GNU OpenMP ends threads that are left out, and starts them again.
        team = min(before, max(workers, _team.size))
        try:
            if team < before:
                numba.set_num_threads(team)
            _region(parallel=True)(*given)
        finally:
            if team < before:
                numba.set_num_threads(before)
            # Another Python thread may be counting just now.
            with _turn:
                _at_work.pop(threading.get_ident(), None)


class Prepared:
    """Stages that are run again and again: what does not change is worked out once.

    Parameters
    ----------
    kernels : list of Kernel
    dtype : {"float32", "float64"}
    arguments : ndarray of int64
        Numbers and addresses for all of them; it is kept, what they point to must be kept by the caller.

    Attributes
    ----------
    stop : ndarray of int64, shape (1,)
        No stage is begun where one before it has made this another number than 0.
    """

    def __init__(self, kernels, dtype, arguments):
        self.stop, self._arguments, self._counter = np.zeros(1, np.int64), arguments, np.zeros(1, np.int64)
        self._stages = np.concatenate([write_stages(kernel, dtype, arguments, 0, 1, 1, 1) for kernel in kernels])
        self._given = address(self._stages), len(kernels), 1, address(self._counter), address(self.stop)
        self._alone, self._written = _region(parallel=False), None

    def run(self, number, n_items, workers):
        """Run all stages, that of a number for so many items, the others for one."""
        if self._written != (number, n_items, workers):
            self._stages[:, _N_ITEMS] = self._stages[:, _N_WORKERS] = 1
            self._stages[number, _N_ITEMS], self._stages[number, _N_WORKERS] = n_items, workers
            self._written = number, n_items, workers
        self.stop[0] = 0
        if workers == 1:
            self._alone(*self._given)
        else:
            run_stages(self._stages, self.stop)
