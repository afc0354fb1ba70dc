"""Arrays that attention is given, checked and laid out as kernels take them."""

import numpy as np

from ._wording import shortened


def real_array(array, name):
    """Give an array of real numbers with four axes."""
    _refuse_masked(array, name, "say what is valid by `lengths`")
    array = _as_array(array, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} holds {shortened(str(array.dtype))}; real numbers are wanted.")
    if array.ndim != 4 or 0 in array.shape:
        raise ValueError(
            f"{name} has shape {array.shape}; wanted are four axes, (n_samples, n_heads, n_steps, width), none of them "
            f"empty. A single head of a single sample is {name}[None, None]."
        )
    return array


def _refuse_masked(array, name, way_out):
    if np.ma.isMaskedArray(array):
        raise TypeError(f"{name} is a masked array, whose mask would be lost; {way_out}.")


def _precision(array):
    """Give the precision that all values of an array fit into."""
    # float32 and float16 in either byte order; whole numbers of few bits are widened all the same.
    return np.dtype(np.float32 if array.dtype.kind == "f" and array.itemsize <= 4 else np.float64)


def laid_out(array, dtype, contiguous=False):
    """Convert an array and give it with its last axis contiguous, as kernels take its address.

    Layout is judged last: a conversion keeps the order of axes, and of a broadcast array its strides of 0 as well.
    """
    with np.errstate(over="ignore"):  # extended precision has numbers that become infinite
        array = array.astype(dtype, copy=False)
    # Strides of axes of one entry may be anything, and are never gone along.
    strides = [stride for stride, size in zip(array.strides, array.shape, strict=True) if size > 1]
    is_aligned = array.flags.aligned and all(stride % array.itemsize == 0 for stride in strides)
    is_plain = array.flags.c_contiguous or not contiguous and (array.shape[3] == 1 or strides[-1] == array.itemsize)
    return array if is_aligned and is_plain else np.array(array, dtype, order="C")


def _as_array(given, name):
    try:
        return np.asarray(given)
    except ValueError as error:
        raise ValueError(f"{name} is no array: {shortened(str(error))}") from None


def laid_out_arrays(query, key, value, contiguous):
    """Give the three arrays in one precision, laid out; raises where their shapes do not fit each other."""
    query, key, value = real_array(query, "query"), real_array(key, "key"), real_array(value, "value")
    for name, array in (("key", key), ("value", value)):
        if array.shape[0] != query.shape[0]:
            raise ValueError(f"{name} has {array.shape[0]} samples and query {query.shape[0]}; they must agree.")
    if key.shape[3] != query.shape[3]:
        raise ValueError(f"key has d_head={key.shape[3]} and query d_head={query.shape[3]}; they must agree.")
    if value.shape[1:3] != key.shape[1:3]:
        raise ValueError(
            f"value has (n_kv_heads, n_keys)={value.shape[1:3]} and key {key.shape[1:3]}; they must agree."
        )
    if query.shape[1] % key.shape[1]:
        raise ValueError(
            f"query has n_heads={query.shape[1]}, no multiple of the {key.shape[1]} heads of key; each key/value head "
            "serves an equal number of query heads."
        )
    dtype = max(map(_precision, (query, key, value)), key=lambda precision: precision.itemsize)
    return tuple(laid_out(array, dtype, contiguous) for array in (query, key, value))


def both_lengths(lengths, n_samples, n_steps, n_keys):
    """Give the valid steps of queries and of keys of each sample."""
    if lengths is None:
        return tuple(np.full(n_samples, most, np.int64) for most in (n_steps, n_keys))
    if isinstance(lengths, tuple) and len(lengths) == 2 and np.ndim(lengths[0]) == 1:
        pair = lengths
    else:
        pair = (lengths, lengths)
    return tuple(
        _length(one, most, n_samples, name)
        for one, most, name in zip(pair, (n_steps, n_keys), ("queries", "keys"), strict=True)
    )


def _length(lengths, most, n_samples, name):
    _refuse_masked(lengths, "lengths", "fill in what it hides")
    given = _as_array(lengths, f"lengths of {name}")
    if given.dtype.kind not in "iu" or given.ndim > 1 or given.size not in (1, n_samples):
        raise ValueError(
            f"lengths of {name} have shape {given.shape} and hold {shortened(str(given.dtype))}; wanted is a whole "
            f"number for each of the {n_samples} samples."
        )
    if given.min() < 0 or given.max() > most:
        raise ValueError(f"lengths of {name} go from {given.min()} to {given.max()}; the array has {most} steps.")
    return np.ascontiguousarray(np.broadcast_to(given, n_samples), np.int64)


def factor_of_scores(scale, d_head, dtype):
    """Give the factor of the scores as an array of one number, finite in the precision that it is used in."""
    try:
        number = d_head**-0.5 if scale is None else float(scale) if np.ndim(scale) == 0 else np.nan
    except (TypeError, ValueError, OverflowError):
        number = np.nan
    with np.errstate(over="ignore", under="ignore"):
        result = np.array([number], dtype)
    if not np.isfinite(result[0]):
        raise ValueError(f"scale={shortened(scale)} is no finite number in {dtype}; leave it out for 1 / sqrt(d_head).")
    return result


def laid_out_bias(bias, shape, dtype):
    """Give an array of scores, and what it is among the scores of `shape`: one entry along axes that it serves wholly.

    Raises where it is none, or does not broadcast.
    """
    _refuse_masked(bias, "bias", "say what is seen by `mask`")
    given = _as_array(bias, "bias")
    if given.dtype.kind not in "fiu":
        raise TypeError(
            f"bias holds {shortened(str(given.dtype))}; real numbers are wanted. What is seen is said by mask."
        )
    with np.errstate(over="ignore"):
        given = np.array(given, dtype, order="C")
    return given, _among_scores(given, shape, "bias")


def laid_out_mask(mask, shape):
    """Give a mask of True and False, and what it is among the scores of `shape`."""
    _refuse_masked(mask, "mask", "fill in what it hides, mask.filled(False)")
    given = _as_array(mask, "mask")
    if given.dtype != bool:
        raise TypeError(
            f"mask holds {shortened(str(given.dtype))}; wanted is True where a query sees a key and False where not. "
            "Numbers to add to scores are a bias."
        )
    given = np.array(given, np.uint8, order="C")
    return given, _among_scores(given, shape, "mask")


def _among_scores(array, shape, name):
    """Give a view of an array in the shape of all scores."""
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(
            f"{name} has shape {array.shape}, which does not broadcast to the scores, "
            f"(n_samples, n_heads, n_steps, n_keys) = {shape}."
        ) from None


def steps_of(array):
    """Give how many entries lie between neighbours along each axis; 0 where one serves all."""
    return [
        stride // array.itemsize if size > 1 else 0 for stride, size in zip(array.strides, array.shape, strict=True)
    ]
