"""Attention gives what it gives of plain copies, however its arrays lie in memory and whatever numbers they hold."""

import numpy as np
import pytest

from skattn import attention, attention_weights
from skattn.functional import attention_backward

SHAPE = {"query": (2, 4, 19, 5), "key": (2, 2, 23, 5), "value": (2, 2, 23, 3), "d_output": (2, 4, 19, 3)}
DTYPES = ("f2", "f4", "f8", "longdouble", "i1", "u2", "i4", "i8", "u8", "bool", ">f4", ">f8", ">i8")


def shared_by_samples(array):
    return np.broadcast_to(array[:1], array.shape)


def shared_by_heads(array):
    return np.broadcast_to(array[:, :1], array.shape)


def shared_by_steps(array):
    return np.broadcast_to(array[:, :, :1], array.shape)


def shared_along_the_width(array):
    return np.broadcast_to(array[..., :1], array.shape)


def one_number(array):
    return np.broadcast_to(array[:1, :1, :1, :1], array.shape)


def spread(array):
    wide = np.zeros((*array.shape[:3], 2 * array.shape[3]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def unaligned(array):
    room = np.zeros(array.nbytes + 1, np.uint8)
    view = room[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def field_of_records(array):
    records = np.zeros(array.shape, [("flag", "u1"), ("number", array.dtype)])
    records["number"] = array
    return records["number"]


def heads_inside_steps(array):
    return array.swapaxes(1, 2).copy().swapaxes(1, 2)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = (
    shared_by_samples, shared_by_heads, shared_by_steps, shared_along_the_width, one_number, spread, unaligned,
    field_of_records, heads_inside_steps, read_only, np.asfortranarray, np.ndarray.tolist,
    lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: a[:, :, ::-1], lambda a: a[..., ::-1],
    lambda a: np.flip(shared_by_samples(a)),
)  # fmt: skip
LAYOUT_NAMES = [getattr(layout, "__name__", "") for layout in LAYOUTS]


def draw(dtypes):
    """Arrays of the dtypes, by their names; whole numbers of a few units."""
    generator = np.random.default_rng(0)
    numbers = {name: 2 * generator.normal(size=shape) for name, shape in SHAPE.items()}
    return {name: np.abs(number).astype(dtype) for (name, number), dtype in zip(numbers.items(), dtypes, strict=True)}


def plain(arrays):
    """The same numbers in float32 if all have few bits, else in float64, one after another."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    few = all(array.dtype.kind == "f" and array.itemsize <= 4 for name, array in arrays.items() if name != "d_output")
    return {name: np.array(array.tolist(), "f4" if few else "f8") for name, array in arrays.items()}


def all_results(query, key, value, d_output):
    """What each function makes of the arrays."""
    output, log_sum_exp = attention(query, key, value, window=(9, 3), return_log_sum_exp=True)
    gradients = attention_backward(query, key, value, d_output, window=(9, 3))
    return output, log_sum_exp, *gradients


def assert_as_plain(arrays):
    """Of what comes and of plain copies each function makes the same bits, in the same precision."""
    for result, expected in zip(all_results(**arrays), all_results(**plain(arrays)), strict=True):
        assert result.dtype == expected.dtype and result.flags.c_contiguous
        np.testing.assert_array_equal(result, expected)
    pairs = ((given["query"], given["key"]) for given in (arrays, plain({n: arrays[n] for n in ("query", "key")})))
    weights, expected = (attention_weights(*pair, window=(9, 3)) for pair in pairs)
    np.testing.assert_array_equal(weights, expected)


@pytest.mark.parametrize("name", SHAPE)
@pytest.mark.parametrize("layout", LAYOUTS, ids=LAYOUT_NAMES)
@pytest.mark.parametrize("dtypes", [("f4",) * 4, ("f8",) * 4, ("f8", "f4", "f4", "f4"), ("f4", "f2", "f2", "f2")])
def test_one_array_may_lie_as_it_likes(name, layout, dtypes):
    arrays = draw(dtypes)
    assert_as_plain(arrays | {name: layout(arrays[name])})


@pytest.mark.parametrize("layout", [*LAYOUTS[:7], np.asfortranarray], ids=[*LAYOUT_NAMES[:7], "asfortranarray"])
@pytest.mark.parametrize("narrow", DTYPES)
@pytest.mark.parametrize("wide", ["f4", "f8"])
def test_arrays_that_are_widened_may_lie_as_they_like(narrow, wide, layout):
    """A conversion keeps the strides of an array, also those of 0."""
    arrays = draw((wide, narrow, narrow, narrow))
    assert_as_plain({name: array if name == "query" else layout(array) for name, array in arrays.items()})


@pytest.mark.parametrize("dtypes", [("f4", "f8", "f4", "f4"), ("f4", "f4", "f8", "f8"), (">f4", "f4", "f2", "i8")])
def test_the_widest_array_decides_the_precision(dtypes):
    assert_as_plain(draw(dtypes))


@pytest.mark.parametrize("axis", range(4))
def test_axes_of_one_entry_may_have_any_stride(axis):
    """NumPy calls such an array contiguous whatever they are."""
    arrays = draw(("f4",) * 4)
    arrays = {name: array[tuple(slice(0, 1) if i == axis else slice(None) for i in range(4))].copy()
              for name, array in arrays.items()}  # fmt: skip
    strided = {}
    for name, array in arrays.items():
        strides = tuple(7 if i == axis else stride for i, stride in enumerate(array.strides))
        strided[name] = np.lib.stride_tricks.as_strided(array, array.shape, strides)
    if axis != 2:
        return assert_as_plain(strided)
    np.testing.assert_array_equal(attention(*list(strided.values())[:3]), attention(*list(arrays.values())[:3]))


def test_numbers_beyond_float64_become_infinite_without_a_warning(recwarn):
    arrays = draw(("f8",) * 4)
    huge = arrays["value"].astype(np.longdouble)
    huge[0, 0, 0, 0] = np.finfo(np.longdouble).max
    with np.errstate(all="raise"):
        output = attention(arrays["query"], arrays["key"], huge)
    assert np.isfinite(output[1]).all() and not np.isfinite(output[0, 0, :, 0]).any()
    assert not recwarn.list


def test_a_scale_must_be_finite_in_the_precision_of_the_arrays():
    arrays = list(draw(("f4",) * 4).values())[:3]
    with pytest.raises(ValueError, match="scale=1e[+]300 is no finite number in float32"):
        attention(*arrays, scale=1e300)
