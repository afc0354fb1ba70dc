"""Sums in the order that is written down, whatever the length; right, and the same for other CPUs."""

import ctypes
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding
import numpy as np
import pytest

from skattn._kernels.jit import Int, Reals, doubles, ints, kernel
from skattn._kernels.reduce import add_squares, add_up, dot
from skattn._kernels.simd import at

EXAMPLES = Path(__file__).parent.parent / "examples"
LENGTHS = [0, 1, 7, 8, 9, 15, 16, 17, 64, 100, 4097]
# What a CPU of the last ten years has, and AVX-512 as this machine may have it.
AVX2 = "+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe"


@kernel
def _sums(a: Reals, b: Reals, n: Int, address: Int):
    total, product = at(a, n), at(b, n)
    total[0] = add_up(a, n)
    product[0] = dot(a, b, n)
    squares = doubles(ints(address)[0])
    squares[0] = add_squares(a, n)


def sums(a, b):
    """What the kernels make of two vectors: their sum, product and squares."""
    # One number more for each result.
    a, b, squares = np.append(a, a.dtype.type(0)), np.append(b, b.dtype.type(0)), np.zeros(1)
    addresses = np.array([squares.ctypes.data], np.int64)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
    call(_sums.address(a.dtype.name))(a.ctypes.data, b.ctypes.data, len(a) - 1, addresses.ctypes.data)
    return a[-1], b[-1], squares[0]


def in_lanes(terms, n_lanes):
    """The sum of terms, blocks first to last, then lanes by halves."""
    total = np.zeros(n_lanes, terms.dtype)
    for first in range(0, len(terms), n_lanes):
        block = terms[first : first + n_lanes]
        total[: len(block)] += block
    while len(total) > 1:
        total = total[: len(total) // 2] + total[len(total) // 2 :]
    return total[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", LENGTHS)
def test_sums_are_taken_in_lanes_of_64_bytes(n, dtype):
    a = np.random.default_rng(n).normal(size=n).astype(dtype)
    total, product, _ = sums(a, np.ones(n, dtype))
    assert total == product == in_lanes(a, 64 // a.itemsize)


@pytest.mark.parametrize("n", LENGTHS)
def test_squares_are_summed_in_double_precision(n):
    a = (np.random.default_rng(n).normal(size=n) * 1e30).astype("float32")
    # Squares of float32 are exact in float64, so a fused product and one that is rounded agree.
    assert sums(a, a)[2] == in_lanes(a.astype(np.float64) ** 2, 8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", LENGTHS)
def test_products_err_little(n, dtype):
    a, b = np.random.default_rng(n).normal(size=(2, n)).astype(dtype)
    wanted = math.fsum(a.astype(np.float64) * b.astype(np.float64))
    size = math.fsum(abs(a.astype(np.float64) * b.astype(np.float64)))
    assert abs(sums(a, b)[1] - wanted) <= (n / (64 // a.itemsize) + 6) * np.finfo(dtype).eps * size


def test_what_lies_past_the_end_is_not_read():
    a, b = np.ones(33, "float32"), np.ones(33, "float32")
    a[20:], b[20:] = np.nan, np.nan
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
    squares = np.zeros(1)
    addresses = np.array([squares.ctypes.data], np.int64)
    call(_sums.address("float32"))(a.ctypes.data, b.ctypes.data, 20, addresses.ctypes.data)
    assert a[20] == b[20] == squares[0] == 20


def cpus():
    """CPUs with fused multiply-add that code can be compiled for here, as what tells numba to."""
    features = llvmlite.binding.get_host_cpu_features()
    if platform.machine() != "x86_64" or not features.get("fma"):
        return {}
    # LLVM prefers half as wide vectors on this one as others with the same instructions have.
    return {"haswell": AVX2} | ({"sapphirerapids": features.flatten()} if features.get("avx512f") else {})


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the examples are not here")
@pytest.mark.parametrize("cpu", cpus())
def test_code_for_other_cpus_gives_the_same_bits(cpu, tmp_path):
    sys.path.insert(0, str(EXAMPLES))
    try:
        from stress_common import work
    finally:
        sys.path.remove(str(EXAMPLES))
    told = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": cpus()[cpu], "NUMBA_CACHE_DIR": str(tmp_path)}
    code = "import stress_common; print(stress_common.work(n_jobs=1))"
    paths = os.pathsep.join([str(EXAMPLES), *sys.path])
    finished = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | told | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert finished.stdout.strip() == work(n_jobs=1), finished.stderr
