"""What is fetched ahead: every line of the list, once, in small doses, and nothing of what is too large."""

import ctypes

import numpy as np
import pytest

from skattn._kernels.ahead import N_AHEAD, begin_list, dose, enlist, fetch_some


def call(kernel, *arguments):
    kinds = [ctypes.c_void_p if isinstance(a, np.ndarray) else ctypes.c_int64 for a in arguments]
    values = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
    ctypes.CFUNCTYPE(None, *kinds)(kernel.address("float32"))(*values)


@pytest.fixture
def ahead():
    """An empty list in memory that held something else before."""
    numbers = np.full(N_AHEAD, 7)
    call(begin_list, numbers, 10)
    return numbers


def test_an_empty_list_asks_for_nothing(ahead):
    before = ahead.copy()
    call(fetch_some, ahead)
    np.testing.assert_array_equal(ahead, before)


def test_every_line_is_asked_for_once_in_small_doses(ahead):
    memory = np.zeros(6400, np.uint8)
    for start, n_bytes in ((0, 6400), (3000, 1), (3200, 640)):
        call(enlist, ahead, memory.ctypes.data + start, n_bytes)
    asked = []
    while ahead[0] < ahead[1]:
        before = ahead[4:9:2].sum()
        call(fetch_some, ahead)
        asked.append(before - ahead[4:9:2].sum())
    assert asked == [10] * 11 + [1]
    # Each entry ends where its last line does.
    np.testing.assert_array_equal(ahead[3:9:2] - memory.ctypes.data, [6400, 3000 + 64, 3200 + 640])


def test_a_dose_is_gone_through_while_blocks_meet():
    assert dose(4096, 1) == 0
    assert dose(1 << 20, 4) * 4 * 8 >= (1 << 20) // 64 > dose(1 << 20, 4) * 4


def test_what_would_push_out_the_rest_is_left_out(ahead):
    call(enlist, ahead, 0, 1 << 20)
    assert ahead[1] == 0
