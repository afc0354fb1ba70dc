"""The product and the transpose of matrices that every step of the network uses."""

from .jit import Bool, Int, Real, Reals, kernel, real
from .simd import HIGH_ROWS, TILE_ROWS, at, lanes_of, tile, transpose_tile

# Rows that are added up at a time.
_BLOCK = 64
_WIDEST = max(TILE_ROWS)
_ROWS_1, _ROWS_2, _ROWS_3, _ROWS_4 = (TILE_ROWS.get(vectors, 1) for vectors in (1, 2, 3, 4))
_tall_1, _tall_2, _tall_3, _tall_4 = (tile(rows, v) for v, rows in enumerate((_ROWS_1, _ROWS_2, _ROWS_3, _ROWS_4), 1))
_high_1 = tile(HIGH_ROWS, 1)
_low_1, _low_2, _low_3, _low_4 = (tile(2, vectors) for vectors in (1, 2, 3, 4))
# A row alone meets each number of B once: long runs of a row of B come sooner from memory.
_ALONE = 8
_alone = tile(1, _ALONE)


@kernel
def matmul(
    a: Reals,
    a_row: Int,
    a_step: Int,
    b: Reals,
    b_row: Int,
    c: Reals,
    c_row: Int,
    n_rows: Int,
    n_steps: Int,
    n_columns: Int,
    fresh: Bool,
):
    """Compute ``C = A @ B`` (`fresh`) or ``C += A @ B``.

    ``A[r, k]`` is at ``a[r * a_row + k * a_step]``, so a transposed A costs nothing; B and C are row-major. Each
    entry is summed over k in order, so its bits depend on no other row or column.
    """
    width = lanes_of(a)
    column = 0
    if n_rows == 1:
        while column + _ALONE * width <= n_columns:
            _alone(a, a_row, a_step, at(b, column), b_row, at(c, column), c_row, n_steps, 1, width, fresh)
            column += _ALONE * width
    while column < n_columns:
        vectors = (n_columns - column + width - 1) // width
        # One vector alone would be the slowest tile of all.
        vectors = _WIDEST - 1 if vectors == _WIDEST + 1 else min(vectors, _WIDEST)
        tail = min(n_columns - column - (vectors - 1) * width, width)
        right, out = at(b, column), at(c, column)
        height = _ROWS_4 if vectors == 4 else _ROWS_3 if vectors == 3 else _ROWS_2 if vectors == 2 else _ROWS_1
        row = 0
        while row < n_rows:
            is_high = vectors == 1 and n_rows - row >= HIGH_ROWS
            live = HIGH_ROWS if is_high else min(n_rows - row, height)
            left, below = at(a, row * a_row), at(out, row * c_row)
            if live <= 2:
                if vectors == 4:
                    _low_4(left, a_row, a_step, right, b_row, below, c_row, n_steps, live, tail, fresh)
                elif vectors == 3:
                    _low_3(left, a_row, a_step, right, b_row, below, c_row, n_steps, live, tail, fresh)
                elif vectors == 2:
                    _low_2(left, a_row, a_step, right, b_row, below, c_row, n_steps, live, tail, fresh)
                else:
                    _low_1(left, a_row, a_step, right, b_row, below, c_row, n_steps, live, tail, fresh)
            elif is_high:
                _high_1(left, a_row, a_step, right, b_row, below, c_row, n_steps, live, tail, fresh)
            elif vectors == 4:
                _tall_4(left, a_row, a_step, right, b_row, below, c_row, n_steps, live, tail, fresh)
            elif vectors == 3:
                _tall_3(left, a_row, a_step, right, b_row, below, c_row, n_steps, live, tail, fresh)
            elif vectors == 2:
                _tall_2(left, a_row, a_step, right, b_row, below, c_row, n_steps, live, tail, fresh)
            else:
                _tall_1(left, a_row, a_step, right, b_row, below, c_row, n_steps, live, tail, fresh)
            row += live
        column += vectors * width


@kernel
def add_rows(rows: Reals, n_rows: Int, n_columns: Int, total: Reals, scratch: Reals):
    """Add the sum of contiguous rows to `total`, in blocks, so that long sums err little; takes a number of scratch."""
    scratch[0] = real(1)
    for first in range(0, n_rows, _BLOCK):
        n = min(n_rows - first, _BLOCK)
        matmul(scratch, 0, 0, at(rows, first * n_columns), n_columns, total, n_columns, 1, n, n_columns, False)


@kernel
def transpose(a: Reals, a_row: Int, n_rows: Int, n_columns: Int, b: Reals, b_row: Int, n_written: Int, scale: Real):
    """Compute ``B[c, r] = scale * A[r, c]``; each row of B is filled with zeros up to `n_written` numbers."""
    width = lanes_of(a)
    for row in range(0, n_written, width):
        for column in range(0, n_columns, width):
            source, target = at(a, row * a_row + column), at(b, column * b_row + row)
            # None are left where A ends a tile before what is written: a number below 0 would pass for all of them.
            live, across = max(0, min(n_rows - row, width)), min(n_columns - column, width)
            transpose_tile(source, a_row, live, across, target, b_row, min(n_written - row, width), scale)
