"""Soak: fits and transforms of all sizes, one after another, while memory, threads and file handles are watched.

Run: ``python examples/stress_soak.py [calls]`` (Linux with glibc: it asks ``/proc/self`` and ``mallinfo2``). After a
tenth of the calls, to warm up, threads, handles and what is allocated may not grow: `BYTES_A_CALL` are less than any
array, and `BLOCKS_A_CALL` less than one object. Resident memory has room for fragments of calls of all sizes.
"""

import ctypes
import gc
import os
import sys
import threading
import time

import numpy as np
from stress_common import status

import skattn

N_CALLS, N_SAMPLES = 10_000, 100
BYTES_A_CALL, BLOCKS_A_CALL, RESIDENT_A_CALL = 50, 0.5, 1000
COLUMNS = ("calls", "resident, MB", "allocated, MB", "Python's blocks", "threads", "file handles")
ESTIMATORS = (skattn.SelfAttentionTransformer, skattn.SelfAttentionClassifier, skattn.SelfAttentionRegressor)


def make_call(generator):
    """Fit a small model of random size, precision and number of threads, and apply it."""
    n_samples, n_features = generator.integers(6, 40), generator.integers(1, 6)
    dtype = generator.choice(["float32", "float64"])
    lengths = generator.integers(1, generator.choice([5, 20, 60]), size=n_samples)
    X = [generator.normal(size=(n_steps, n_features)).astype(dtype) for n_steps in lengths]
    model = generator.choice(ESTIMATORS)(
        d_model=int(generator.choice([8, 16, 32])), n_heads=2, n_layers=int(generator.integers(1, 3)),
        position=str(generator.choice(["learned", "sinusoidal", "none"])), dropout=float(generator.choice([0, 0.1])),
        batch_size=int(generator.choice([5, 100])), max_iter=1, n_jobs=generator.choice([None, 1, 2, -1]),
        random_state=0,
    )  # fmt: skip
    y = np.arange(n_samples) % 3
    model.fit(X, y)
    model.transform(X)
    if hasattr(model, "predict"):
        model.predict(X)


def in_thread(call):
    """Make a call in a Python thread that ends with it."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


class _Mallinfo(ctypes.Structure):
    """What glibc says of its memory, in bytes."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keep",
        )
    ]


def allocated():
    """Give bytes that are allocated and not freed, all but Python's small objects."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = _Mallinfo
    answer = ask()
    return answer.uordblks + answer.hblkhd


def look():
    """Give what this process has: bytes of memory, bytes and Python's blocks in use, threads and file handles."""
    gc.collect()
    # What was freed goes back, so that what is left is in use.
    ctypes.CDLL(None).malloc_trim(0)
    # Threads of a team end shortly after the thread that had it.
    time.sleep(0.01)
    memory = status("VmRSS") * 1024, allocated(), sys.getallocatedblocks()
    return *memory, status("Threads"), len(os.listdir("/proc/self/fd"))


def soak(n_calls=N_CALLS, call=make_call, n_samples=N_SAMPLES):
    """Make calls, every seventh in a thread of its own; gives what was seen at times, (n_calls, memory, ...) a row."""
    generator, seen = np.random.default_rng(0), []
    for i in range(1, n_calls + 1):
        if i % 7:
            call(generator)
        else:
            in_thread(lambda: call(generator))
        if i % max(1, n_calls // n_samples) == 0:
            seen.append((i, *look()))
    return np.array(seen)


def growth(seen):
    """Give by how much the last third of the time is above the first, warmed up.

    Returns
    -------
    a_call : ndarray
        Resident bytes, allocated bytes and Python's blocks, for each call in between.
    total : ndarray
        Threads and file handles.
    """
    warm = seen[len(seen) // 10 :]
    third = len(warm) // 3
    first, last = (np.median(part, axis=0) for part in (warm[:third], warm[-third:]))
    calls, *grown = last - first
    return np.array(grown[:3]) / calls, np.array(grown[3:])


def main():
    start = time.perf_counter()
    seen = soak(int(sys.argv[1]) if len(sys.argv) > 1 else N_CALLS)
    print("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS))
    for calls, resident, used, *others in seen[[0, *range(9, len(seen), 10)]]:
        print("| " + " | ".join(map(str, (calls, f"{resident / 1e6:.1f}", f"{used / 1e6:.2f}", *others))) + " |")
    a_call, total = growth(seen)
    print("\nA call: {:.0f} bytes resident, {:.0f} bytes and {:.2f} blocks allocated more.".format(*a_call))
    print(f"In all: {total[0]:.0f} threads and {total[1]:.0f} handles more; {time.perf_counter() - start:.0f} s.")
    has_grown = a_call > (RESIDENT_A_CALL, BYTES_A_CALL, BLOCKS_A_CALL)
    sys.exit(int(has_grown.any() or (total > 0).any()))


if __name__ == "__main__":
    main()
