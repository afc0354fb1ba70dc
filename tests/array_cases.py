"""Draw calls of attention on arrays: well-formed arrays and options, or what must be refused."""

from dataclasses import dataclass

import numpy as np
from features import pick
from hypothesis import strategies as st
from oddities import BAD_ARRAYS, BAD_OPTIONS, SOUND_OPTIONS
from strides import LAYOUTS

RIGHT, REFUSED, EITHER = "right", "refused", "either"


@dataclass
class ArrayCase:
    """A call of `attention` and its like: well-formed arrays and options, or what must be refused."""

    arrays: list
    options: dict
    expected: str
    what: list
    kind: str = "attention"

    def __repr__(self):
        return f"{self.kind}: {', '.join(map(str, self.what))}, {self.options}"


@st.composite
def shapes_of_arrays(draw):
    """Shapes of query, key and value."""
    n_samples, n_kv_heads, share = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    n_steps, n_keys = draw(pick(1, 2, 7, 33, 70)), draw(pick(1, 3, 17, 65))
    d_head, d_value = draw(pick(1, 2, 5, 17)), draw(pick(1, 3, 16))
    return [
        (n_samples, n_kv_heads * share, n_steps, d_head),
        (n_samples, n_kv_heads, n_keys, d_head),
        (n_samples, n_kv_heads, n_keys, d_value),
    ]


@st.composite
def sound_options(draw, shapes, generator):
    """Options that are as they should be, lengths among them."""
    options, (n_samples, _, n_steps, _), n_keys = dict(draw(st.sampled_from(SOUND_OPTIONS))), shapes[0], shapes[1][2]
    if isinstance(options.get("lengths"), int) or draw(st.booleans()):
        lengths = generator.integers(0, n_steps + 1, n_samples), generator.integers(0, n_keys + 1, n_samples)
        options["lengths"] = draw(pick(lengths, tuple(one.tolist() for one in lengths), options.get("lengths")))
    return options


@st.composite
def array_cases(draw):
    """Attention on arrays."""
    generator, shapes = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(shapes_of_arrays())
    what, arrays = [str(shapes)], []
    same = draw(pick("float32", "float64", None))
    for shape in shapes:
        dtype = same or draw(pick("f4", "f8", "f2", ">f4", ">f8", "i4", "u1", "?", "i8", "g"))
        layout = draw(st.sampled_from(sorted(LAYOUTS)))
        array = (generator.normal(size=shape) * 3).astype(dtype)
        arrays.append(LAYOUTS[layout](array))
        what.append(f"{dtype} {layout}")
    options, expected = draw(sound_options(shapes, generator)), RIGHT
    spoil = draw(pick("nothing", "nothing", "option", "array"))
    if spoil == "option":
        options |= draw(st.sampled_from(BAD_OPTIONS))
        expected = REFUSED
    elif spoil == "array":
        name, which = draw(st.sampled_from(sorted(BAD_ARRAYS))), draw(st.integers(0, 2))
        arrays[which] = BAD_ARRAYS[name](np.asarray(arrays[which], dtype=np.float64))
        what.append(f"{name} at {which}")
        expected = EITHER if name.startswith("one more") else REFUSED
    return ArrayCase(arrays, options, expected, what)


@st.composite
def best_cases(draw):
    """Attention to the best keys alone, by whole scores that lie far apart: rounding chooses none of them."""
    generator, shapes = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(shapes_of_arrays())
    dtype = draw(pick("float32", "float64"))
    query, key = (generator.integers(-1, 2, shape).astype(dtype) for shape in shapes[:2])
    query[..., 0] = generator.choice([-2, -1, 1, 2], query.shape[:3])
    key[..., 0] = 64 * generator.permuted(np.broadcast_to(np.arange(key.shape[2]), key.shape[:3]), axis=2)
    options = draw(sound_options(shapes, generator))
    options |= {"scale": draw(pick(2.0**-9, -(2.0**-7))), "top_k": draw(pick(1, 2, np.int8(5), 64, 10**6))}
    arrays = [query, key, generator.normal(size=shapes[2]).astype(dtype)]
    return ArrayCase(arrays, options, RIGHT, [str(shapes), dtype], "best keys")
