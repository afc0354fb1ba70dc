"""Ways in which the same numbers lie in memory: a table for drawn cases."""

import tempfile

import numpy as np


def read_only(array):
    """The same numbers, not to be written."""
    array = array.copy()
    array.flags.writeable = False
    return array


def every_other(array):
    """The same numbers, with others between them."""
    return np.repeat(array, 2, axis=array.ndim - 1)[..., ::2]


def reversed_twice(array):
    """The same numbers, by negative strides along every axis."""
    backwards = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[backwards])[backwards]


def transposed(array):
    """The same numbers, first axis innermost and the others swapped."""
    order = (*range(1, array.ndim), 0)
    return np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))


def misaligned(array):
    """The same numbers, one byte off."""
    room = np.zeros(array.nbytes + 1, np.uint8)[1:]
    room[:] = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
    return room.view(array.dtype).reshape(array.shape)


def memory_mapped(array):
    """The same numbers, in a file that must not be written."""
    with tempfile.TemporaryFile() as file:
        file.write(np.ascontiguousarray(array).tobytes())
        file.flush()
        return np.memmap(file, dtype=array.dtype, mode="r", shape=array.shape)


LAYOUTS = {
    "plain": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "read-only": read_only,
    "every other": every_other,
    "negative strides": reversed_twice,
    "transposed": transposed,
    "misaligned": misaligned,
    "memory map": memory_mapped,
    "inside another": lambda a: np.pad(a, 1)[(slice(1, -1),) * a.ndim],
}
"""Ways in which the same numbers lie in memory."""
