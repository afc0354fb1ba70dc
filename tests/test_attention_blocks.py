"""Blocks of long maps keep what there is."""

import numpy as np
import pytest

from skattn.inspection.attention_blocks import block_size, in_blocks


def test_so_many_cells_at_most():
    assert [1, 1, 2, 6] == [block_size(count, 10) for count in (1, 10, 11, 53)]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_cell_is_the_sum_over_columns_and_the_mean_over_rows(size):
    weights = np.random.default_rng(0).dirichlet(np.ones(17), size=(2, 11))
    found = in_blocks(weights, size)
    for (head, row, column), share in np.ndenumerate(found):
        part = weights[head, row * size : (row + 1) * size, column * size : (column + 1) * size]
        assert share == pytest.approx(part.sum(axis=1).mean())
    np.testing.assert_allclose(found.sum(axis=2), 1)
