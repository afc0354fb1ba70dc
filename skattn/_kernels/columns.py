"""How the columns of a table are spread: their weighted deviations and quantiles."""

import math

from .jit import Int, doubles, kernel, reals
from .record import Record
from .simd import at

Table = Record("rows", "weights", "n_rows", "n_columns", "levels", "deviations", "quantiles", "scratch")
"""What the kernel here is told."""


@kernel
def column_item(table: Table, item: Int, worker: Int):
    """Give the deviation of one column, and the smallest value that a share of the weight does not exceed.

    The quantile is found by parting values around a pivot again and again (Hoare 1961, "Algorithm 65: Find").
    """
    n, n_columns = table.n_rows, table.n_columns
    rows, given = reals(table.rows), doubles(table.weights)
    values = at(doubles(table.scratch), 2 * n * worker)
    weights = at(values, n)
    total, mean, square = 0.0, 0.0, 0.0
    for i in range(n):
        values[i], weights[i] = rows[i * n_columns + item], given[i]
        total += weights[i]
        mean += weights[i] * values[i]
    mean /= total
    for i in range(n):
        square += weights[i] * (values[i] - mean) * (values[i] - mean)
    deviations, quantiles = doubles(table.deviations), doubles(table.quantiles)
    deviations[item] = math.sqrt(square / total)
    wanted = doubles(table.levels)[item] * total
    first, last, below = 0, n, 0.0
    while last - first > 1:
        a, b, c = values[first], values[(first + last) // 2], values[last - 1]
        pivot = max(min(a, b), min(max(a, b), c))
        less, more, lighter, equal = first, last, 0.0, 0.0
        i = first
        while i < more:
            value, weight = values[i], weights[i]
            if value < pivot:
                values[i], weights[i] = values[less], weights[less]
                values[less], weights[less] = value, weight
                lighter += weight
                less += 1
                i += 1
            elif value > pivot:
                more -= 1
                values[i], weights[i] = values[more], weights[more]
                values[more], weights[more] = value, weight
            else:
                equal += weight
                i += 1
        if less > first and below + lighter >= wanted:
            last = less
        elif below + lighter + equal >= wanted or more == last:
            first, last = less, less + 1
        else:
            below += lighter + equal
            first = more
    quantiles[item] = values[first]
