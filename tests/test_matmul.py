"""The product and transpose that every step uses: against NumPy, for sizes beside every tile's."""

import ctypes

import numpy as np
import pytest

from skattn._kernels.matmul import add_rows, matmul, transpose

POINTER, INT, BOOL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_bool
REAL = {"float32": ctypes.c_float, "float64": ctypes.c_double}
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}


def call(kernel, dtype, types, *arguments):
    """Call a kernel by its address, as compiled code does; arrays are given by their data."""
    values = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
    ctypes.CFUNCTYPE(None, *types)(kernel.address(dtype))(*values)


def product(a, b, c, *, fresh):
    types = [POINTER, INT, INT, POINTER, INT, POINTER, *[INT] * 4, BOOL]
    (a_row, a_step), (b_row, _), (c_row, _) = ([s // x.itemsize for s in x.strides] for x in (a, b, c))
    sizes = (len(a), a.shape[1], b.shape[1])
    call(matmul, c.dtype.name, types, a, a_row, a_step, b, b_row, c, c_row, *sizes, fresh)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("n_rows", [1, 2, 3, 6, 7, 13, 17])
@pytest.mark.parametrize("n_columns", [1, 7, 8, 9, 16, 17, 33, 48, 64, 65, 131])
@pytest.mark.parametrize("turned", [False, True])
def test_product_agrees_with_numpy(dtype, n_rows, n_columns, turned):
    generator = np.random.default_rng(3)
    a = generator.normal(size=(n_rows, 11)).astype(dtype, order="F" if turned else "C")
    b = generator.normal(size=(11, n_columns)).astype(dtype)
    c = np.full((n_rows, n_columns), np.nan, dtype)
    product(a, b, c, fresh=True)
    np.testing.assert_allclose(c, a @ b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_product_adds_to_what_was_there(dtype):
    a, b, c = np.ones((5, 3), dtype), np.ones((3, 19), dtype), np.full((5, 19), 2, dtype)
    product(a, b, c, fresh=False)
    np.testing.assert_array_equal(c, np.full((5, 19), 5))


def test_product_writes_nothing_beside_its_columns(dtype):
    c = np.zeros((7, 23), dtype)
    product(np.ones((7, 2), dtype), np.ones((2, 19), dtype), c[:, 2:21], fresh=True)
    assert not c[:, :2].any() and not c[:, 21:].any() and (c[:, 2:21] == 2).all()


def test_bits_of_an_entry_depend_on_no_other_row(dtype):
    generator = np.random.default_rng(5)
    a, b = generator.normal(size=(29, 31)).astype(dtype), generator.normal(size=(31, 37)).astype(dtype)
    together, alone = np.empty((29, 37), dtype), np.empty((29, 37), dtype)
    product(a, b, together, fresh=True)
    for r in range(29):
        product(a[r : r + 1], b, alone[r : r + 1], fresh=True)
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(("n_rows", "n_columns"), [(1, 1), (3, 17), (16, 16), (19, 5), (37, 41)])
def test_transpose_scales_and_fills_up_with_zeros(dtype, n_rows, n_columns):
    a = np.random.default_rng(7).normal(size=(n_rows, n_columns)).astype(dtype)
    n_written = n_rows + 3
    b = np.full((n_columns, n_written + 2), 9, dtype)
    types = [POINTER, INT, INT, INT, POINTER, INT, INT, REAL[dtype]]
    call(transpose, dtype, types, a, n_columns, n_rows, n_columns, b, n_written + 2, n_written, 2.0)
    np.testing.assert_array_equal(b[:, :n_rows], 2 * a.T)
    assert not b[:, n_rows:n_written].any() and (b[:, n_written:] == 9).all()


def test_rows_are_added_up_in_blocks(dtype):
    rows = np.random.default_rng(11).normal(size=(1009, 5)).astype(dtype)
    total, scratch = np.ones(5, dtype), np.zeros(1, dtype)
    call(add_rows, dtype, [POINTER, INT, INT, POINTER, POINTER], rows, 1009, 5, total, scratch)
    expected = 1 + rows.astype(np.float64).sum(0)
    np.testing.assert_allclose(total, expected, rtol=0, atol=100 * TOLERANCE[dtype])
