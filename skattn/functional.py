"""Attention on plain arrays, without parameters: outputs, weights and gradients."""

import reprlib
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._kernels import attention as attention_kernels
from ._kernels import heads, parallel
from ._kernels.ahead import N_AHEAD, dose
from ._wording import shortened

# Parts of the queries that a head is cut into, so that a few long heads use every core.
# Parts of the keys that a few long heads are cut into, backwards; each needs a gradient of all queries.
_MOST_KEY_PARTS, _KEYS_A_PART = 8, 1024
# Runs of heads that a thread takes one after another, about: enough that threads end together, and long enough that
# most heads are fetched while the one before is computed.
_RUNS_A_WORKER = 16
_QUERIES_A_PART = 4 * attention_kernels.QUERIES

Window = tuple[int | None, int | None] | None


def attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    *,
    lengths: Any = None,
    causal: bool = False,
    window: Window = None,
    scale: float | None = None,
    return_log_sum_exp: bool = False,
    n_jobs: int | None = None,
) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]:
    """Mix values by how well each query matches each key: ``softmax(query @ key.T * scale) @ value``.

    Parameters
    ----------
    query : array of shape (n_samples, n_heads, n_steps, d_head)
        float32 or float64. Strided views whose last axis is contiguous are not copied.
    key : array of shape (n_samples, n_kv_heads, n_keys, d_head)
        Each key/value head serves ``n_heads // n_kv_heads`` consecutive query heads (grouped-query attention; one head:
        multi-query attention). `n_keys` may differ from `n_steps` (cross-attention).
    value : array of shape (n_samples, n_kv_heads, n_keys, d_value)
    lengths : int array of shape (n_samples,), or a pair of these, optional
        Valid steps of each sample, of queries and keys alike, or of queries and of keys. What lies beyond is not
        read; the output there is 0. By default all steps are valid.
    causal : bool, default=False
        Query t sees keys 0 to t only.
    window : tuple (left, right), optional
        Query t sees keys ``t - left`` to ``t + right``; None stands for no bound. With `causal`, right is 0.
    scale : float, optional
        By default ``1 / sqrt(d_head)``.
    return_log_sum_exp : bool, default=False
        Also give the logarithm of the sum of the exponentials of each query's scores.
    n_jobs : int, optional
        Threads, as in scikit-learn; by default every core that this process may use. Results do not depend on it.

    Returns
    -------
    output : ndarray of shape (n_samples, n_heads, n_steps, d_value)
        A query that sees no key gets 0.
    log_sum_exp : ndarray of shape (n_samples, n_heads, n_steps)
        Only if `return_log_sum_exp`; minus infinity for a query that sees no key.

    Raises
    ------
    ValueError
        If shapes do not fit each other, ``n_heads`` is no multiple of the heads of `key`, or an option is out of range.
    TypeError
        If an array holds no real numbers, or is masked.

    Notes
    -----
    Online softmax: Dao (2023), arXiv:2307.08691, Algorithm 1. Memory beside input and output does not grow with length.
    Numbers that are not finite pass through as NumPy's arithmetic has them: they are not looked for.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import attention
    >>> x = np.ones((1, 2, 3, 4))
    >>> attention(x, x, x, causal=True).shape
    (1, 2, 3, 4)
    """
    call = _Call(query, key, value, lengths, causal, window, scale, n_jobs)
    call.forward()
    return (call.output, call.log_sum_exp()) if return_log_sum_exp else call.output


def attention_weights(
    query: ArrayLike,
    key: ArrayLike,
    *,
    lengths: Any = None,
    causal: bool = False,
    window: Window = None,
    scale: float | None = None,
    n_jobs: int | None = None,
) -> NDArray[Any]:
    """Give how much each query takes of each key: ``softmax(query @ key.T * scale)``.

    Parameters
    ----------
    query : array of shape (n_samples, n_heads, n_steps, d_head)
    key : array of shape (n_samples, n_kv_heads, n_keys, d_head)
    lengths, causal, window, scale, n_jobs :
        As in :func:`attention`.

    Returns
    -------
    weights : ndarray of shape (n_samples, n_heads, n_steps, n_keys)
        Rows sum to 1; a query that sees no key, and steps beyond a sample's length, have 0. This array grows with the
        square of the length: ask for few samples at a time.

    Raises
    ------
    ValueError, TypeError
        As :func:`attention`.
    """
    call = _Call(query, key, key, lengths, causal, window, scale, n_jobs)
    call.forward()
    return call.weights()


def attention_backward(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    d_output: ArrayLike,
    *,
    lengths: Any = None,
    causal: bool = False,
    window: Window = None,
    scale: float | None = None,
    n_jobs: int | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Give the gradients of :func:`attention` for layers of one's own.

    Parameters
    ----------
    query, key, value :
        As in :func:`attention`.
    d_output : array of shape (n_samples, n_heads, n_steps, d_value)
        Gradient of what follows with respect to the output.
    lengths, causal, window, scale, n_jobs :
        As in :func:`attention`.

    Returns
    -------
    d_query, d_key, d_value : ndarrays of the shapes of `query`, `key` and `value`

    Raises
    ------
    ValueError, TypeError
        As :func:`attention`.
    """
    query, key, value = (
        np.ascontiguousarray(_array(array, name)) for array, name in ((query, "query"), (key, "key"), (value, "value"))
    )
    call = _Call(query, key, value, lengths, causal, window, scale, n_jobs)
    call.forward()
    return call.backward(d_output)


def bounds(causal, window):
    """Give how many steps a query sees to its left and right, None for all; checks what the caller said."""
    left, right = (None, None) if window is None else _pair(window)
    for side, steps in (("left", left), ("right", right)):
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 0):
            raise ValueError(
                f"window={reprlib.repr(window)} has {reprlib.repr(steps)} on its {side}; each side is a number of "
                "steps, 0 or more, or None for all."
            )
    return left, 0 if causal else right


def _pair(window):
    try:
        left, right = window
    except (TypeError, ValueError):
        window = reprlib.repr(window)
        raise ValueError(f"window={window} is no pair; try window=({window}, 0) or None.") from None
    return left, right


def _array(array, name):
    """Give an array of real numbers with four axes, the last contiguous."""
    if np.ma.isMaskedArray(array):
        raise TypeError(f"{name} is a masked array, whose mask would be lost; say what is valid by `lengths`.")
    array = _as_array(array, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} holds {array.dtype}; real numbers are wanted.")
    if array.ndim != 4 or 0 in array.shape:
        raise ValueError(
            f"{name} has shape {array.shape}; wanted are four axes, (n_samples, n_heads, n_steps, width), none of them "
            f"empty. A single head of a single sample is {name}[None, None]."
        )
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32 if array.dtype == np.float16 else np.float64)
    aligned = all(stride % array.itemsize == 0 for stride in array.strides) and array.dtype.isnative
    plain = array.shape[3] == 1 or array.strides[3] == array.itemsize
    return array if aligned and plain else np.array(array, array.dtype.newbyteorder("="), order="C")


def _as_array(given, name):
    try:
        return np.asarray(given)
    except ValueError as error:
        raise ValueError(f"{name} is no array: {shortened(error)}") from None


def _arrays(query, key, value):
    """Give the three arrays in one precision; raises where their shapes do not fit each other."""
    query, key, value = _array(query, "query"), _array(key, "key"), _array(value, "value")
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
    dtype = np.result_type(query, key, value)
    return tuple(array.astype(dtype, copy=False) for array in (query, key, value))


def _lengths(lengths, n_samples, n_steps, n_keys):
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
    given = _as_array(lengths, f"lengths of {name}")
    if given.dtype.kind not in "iu" or given.ndim > 1 or given.size not in (1, n_samples):
        raise ValueError(
            f"lengths of {name} have shape {given.shape} and hold {given.dtype}; wanted is a whole number for "
            f"each of the {n_samples} samples."
        )
    if given.min() < 0 or given.max() > most:
        raise ValueError(f"lengths of {name} go from {given.min()} to {given.max()}; the array has {most} steps.")
    return np.ascontiguousarray(np.broadcast_to(given, n_samples), np.int64)


def _finite(scale):
    try:
        number = float(scale) if np.ndim(scale) == 0 else np.nan
    except (TypeError, ValueError, OverflowError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(f"scale={reprlib.repr(scale)} is no finite number; leave it out for 1 / sqrt(d_head).")
    return number


class _Call:
    """One call: checked arrays, and the arguments of the kernels that point to them."""

    def __init__(self, query, key, value, lengths, causal, window, scale, n_jobs):
        self.query, self.key, self.value = _arrays(query, key, value)
        self.dtype = self.query.dtype.name
        self.n_samples, self.n_heads, self.n_steps, d_head = self.query.shape
        self.workers = parallel.n_workers(n_jobs)
        left, right = bounds(causal, window)
        self._arguments, self._kept = np.zeros(heads.N_ARGUMENTS, np.int64), []
        query_lengths, key_lengths = _lengths(lengths, self.n_samples, self.n_steps, self.key.shape[2])
        self._point(heads.QUERY_LENGTHS, query_lengths)
        self._point(heads.KEY_LENGTHS, key_lengths)
        self._point(heads.SCALE, np.array([d_head**-0.5 if scale is None else _finite(scale)], self.dtype))
        scratch = attention_kernels.scratch_size(d_head, self.value.shape[3])
        self._point(heads.SCRATCH, np.empty(scratch * self.workers, self.dtype))
        self._arguments[heads.SCRATCH_SIZE] = scratch
        self._point(heads.AHEAD, np.zeros((self.workers, N_AHEAD), np.int64))
        self._arguments[heads.ITEMSIZE] = self.query.itemsize
        self._arguments[heads.N_HEADS], self._arguments[heads.N_KV_HEADS] = self.n_heads, self.key.shape[1]
        self._arguments[heads.N_QUERIES], self._arguments[heads.D_HEAD] = self.n_steps, d_head
        self._arguments[heads.N_SAMPLES], self._arguments[heads.N_KEYS] = self.n_samples, self.key.shape[2]
        self._arguments[heads.WIDTH] = self.value.shape[3]
        self._arguments[heads.LEFT] = attention_kernels.bound(left)
        self._arguments[heads.RIGHT] = attention_kernels.bound(right)
        full = lengths is None or query_lengths.min() == self.n_steps and key_lengths.min() == self.key.shape[2]
        # Beyond a sample's length nothing is written.
        self._new = np.empty if full else np.zeros
        self.output = self._new((self.n_samples, self.n_heads, self.n_steps, self.value.shape[3]), self.dtype)
        self._top, self._inverse = (self._new(self.query.shape[:3], self.dtype) for _ in range(2))
        for entry, array in (
            (heads.QUERY, self.query), (heads.KEY, self.key), (heads.VALUE, self.value), (heads.OUTPUT, self.output),
        ):  # fmt: skip
            self._array(entry, array)
        self._point(heads.TOP, self._top)
        self._point(heads.INVERSE, self._inverse)

    def _point(self, entry, array):
        self._kept.append(array)
        self._arguments[entry] = array.__array_interface__["data"][0]

    def _array(self, entry, array):
        self._point(entry, array)
        self._arguments[entry + 1 : entry + 4] = [stride // array.itemsize for stride in array.strides[:3]]

    def forward(self):
        n_heads = self.n_samples * self.n_heads
        # Whole heads where there are enough: parts on different cores would each bring the keys and values near.
        n_parts = min(-(-_RUNS_A_WORKER * self.workers // n_heads), self.n_steps // _QUERIES_A_PART)
        self._arguments[heads.N_PARTS] = n_parts = max(1, n_parts)
        n_items = self._runs(n_heads) * n_parts
        self._dose(heads.QUERY, heads.KEY, heads.VALUE, heads.OUTPUT)
        parallel.run(heads.heads_forward_item, self.dtype, self._arguments, n_items, self.workers)

    def _dose(self, *entries):
        """Say how many lines of the next head are fetched at a time."""
        n_blocks = -(-self.n_steps // attention_kernels.QUERIES) * -(-self.key.shape[2] // attention_kernels.KEYS)
        n_numbers = sum(int(self._arguments[entry + 3]) for entry in entries) * max(self.n_steps, self.key.shape[2])
        self._arguments[heads.DOSE] = dose(n_numbers * self.query.itemsize, n_blocks)

    def _runs(self, n_heads):
        """Cut all heads into runs; gives how many there are."""
        run = max(1, n_heads // (_RUNS_A_WORKER * self.workers))
        self._arguments[heads.RUN] = run
        return -(-n_heads // run)

    def backward(self, d_output):
        d_output = np.ascontiguousarray(_array(d_output, "d_output"), self.dtype)
        if d_output.shape != self.output.shape:
            raise ValueError(f"d_output has shape {d_output.shape}; the output has shape {self.output.shape}.")
        n_kv_heads = self.n_samples * self.key.shape[1]
        n_parts = max(1, min(_MOST_KEY_PARTS // n_kv_heads, self.key.shape[2] // _KEYS_A_PART))
        self._arguments[heads.N_PARTS], self._arguments[heads.PART_SIZE] = n_parts, self.query.size
        d_queries = self._new((n_parts, *self.query.shape), self.dtype)
        gradients = d_queries[0], *(self._new(array.shape, self.dtype) for array in (self.key, self.value))
        self._array(heads.D_OUTPUT, d_output)
        for entry, gradient in zip((heads.D_QUERY, heads.D_KEY, heads.D_VALUE), gradients, strict=True):
            self._array(entry, gradient)
        n_items = self._runs(n_kv_heads) * n_parts
        self._dose(*range(heads.QUERY, heads.WEIGHTS, 4))
        parallel.run(heads.heads_backward_item, self.dtype, self._arguments, n_items, self.workers)
        for part in d_queries[1:]:
            gradients[0][...] += part
        return gradients

    def weights(self):
        weights = np.zeros((*self.query.shape[:3], self.key.shape[2]), self.dtype)
        self._array(heads.WEIGHTS, weights)
        n_items = self.n_samples * self.n_heads
        parallel.run(heads.heads_weights_item, self.dtype, self._arguments, n_items, self.workers)
        return weights

    def log_sum_exp(self):
        with np.errstate(divide="ignore"):
            result = self._top * np.log(2).astype(self.dtype) - np.log(self._inverse)
        return np.where(self._inverse > 0, result, -np.inf).astype(self.dtype, copy=False)
