"""What the benchmarks share: both sides in turn in one process, medians, and a description of the machine."""

import ctypes
import os
import platform
import statistics
import time

import numba
import numpy as np

from skattn._kernels.matmul import matmul

try:
    import torch
except ImportError:
    torch = None

# Waiting threads of one OpenMP runtime spin for some milliseconds and would take the other side's cores.
PAUSE = 0.02


def in_turn(sides, n_rounds, *, warm_up=2, clock=time.perf_counter):
    """Time functions in turn; gives the median seconds of each, None for a side that is None.

    By ``clock=time.process_time`` what else runs on the machine counts less; then both sides should have one thread.
    """
    seconds = [[] for _ in sides]
    for i in range(warm_up + n_rounds):
        for side, times in zip(sides, seconds, strict=True):
            if side is None:
                continue
            if clock is time.perf_counter:
                _wake(side)
            start = clock()
            side()
            if i >= warm_up:
                times.append(clock() - start)
    return [statistics.median(times) if times else None for times in seconds]


def _wake(side):
    """Let threads of the side before end their waiting, and wake up those of this one, before the clock starts."""
    time.sleep(PAUSE)
    awake = time.perf_counter() + PAUSE
    side()
    while time.perf_counter() < awake:
        side()


def rounds(seconds, budget=1.5):
    """Rounds that take about `budget` seconds."""
    return int(max(5, min(60, budget / max(seconds, 1e-6))))


def once(side):
    """Seconds of one call, after one to warm up."""
    side()
    start = time.perf_counter()
    side()
    return time.perf_counter() - start


def peak(dtype=np.float32, size=480, n_repeats=3000):
    """Measure the multiply-add peak of one thread in GFLOP/s: a product of matrices that stay in cache."""
    types = [ctypes.c_void_p, *[ctypes.c_int64] * 2, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p]
    types += [*[ctypes.c_int64] * 4, ctypes.c_bool]
    product = ctypes.CFUNCTYPE(None, *types)(matmul.address(np.dtype(dtype).name))
    matrices = (np.ones((size, 64), dtype), np.ones((64, 64), dtype), np.ones((size, 64), dtype))
    a, b, c = (matrix.ctypes.data for matrix in matrices)

    def best(n_rows):
        seconds = float("inf")
        for _ in range(n_repeats):
            start = time.perf_counter()
            product(a, 64, 1, b, 64, c, 64, n_rows, 64, 64, True)
            seconds = min(seconds, time.perf_counter() - start)
        return seconds

    # What the call itself takes is not the product's.
    return 2 * size * 64 * 64 / (best(size) - best(0)) / 1e9


def use_threads(n_threads):
    """Let both sides use so many threads."""
    numba.set_num_threads(min(n_threads, numba.config.NUMBA_NUM_THREADS))
    if torch is not None:
        torch.set_num_threads(n_threads)


def describe():
    """Print the machine and the versions that the figures belong to."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    versions = f"numba {numba.__version__}, NumPy {np.__version__}"
    versions += f", torch {torch.__version__}" if torch is not None else ", torch not installed"
    print(f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}\n")


def row(*cells):
    """Print a row of a Markdown table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(*cells):
    """Print the head of a Markdown table."""
    row(*cells)
    row(*["---"] * len(cells))
