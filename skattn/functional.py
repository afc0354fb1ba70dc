"""Attention on plain arrays, without parameters: outputs, weights and gradients."""

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
    call = AttentionCall(query, key, value, lengths, causal, window, scale, n_jobs)
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
    call = AttentionCall(query, key, key, lengths, causal, window, scale, n_jobs)
    call.forward()
    return call.weights()


def biased_weights(query, key, window, bias, n_jobs=None):
    """Give attention weights where distances count too.

    Parameters
    ----------
    query, key, window, n_jobs :
        As in :func:`attention_weights`.
    bias : dict
        ``times`` (n_steps,) and ``slopes`` (n_heads,), or ``table`` (n_heads, 2 * reach + 1).
    """
    call = AttentionCall(query, key, key, None, False, window, None, n_jobs)
    call.add(**bias)
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
    call = AttentionCall(query, key, value, lengths, causal, window, scale, n_jobs, contiguous=True)
    call.forward()
    return call.backward(d_output)


def bounds(causal, window):
    """Give how many steps a query sees to its left and right, None for all; checks what the caller said."""
    left, right = (None, None) if window is None else _pair(window)
    for side, steps in (("left", left), ("right", right)):
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 0):
            raise ValueError(
                f"window={shortened(window)} has {shortened(steps)} on its {side}; each side is a number of steps, "
                "0 or more, or None for all."
            )
    return left, 0 if causal else right


def _pair(window):
    try:
        left, right = window
    except (TypeError, ValueError):
        raise ValueError(f"window={shortened(window)} is no pair; try window=(8, 0) or None.") from None
    return left, right


def _array(array, name):
    """Give an array of real numbers with four axes."""
    if np.ma.isMaskedArray(array):
        raise TypeError(f"{name} is a masked array, whose mask would be lost; say what is valid by `lengths`.")
    array = _as_array(array, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} holds {shortened(str(array.dtype))}; real numbers are wanted.")
    if array.ndim != 4 or 0 in array.shape:
        raise ValueError(
            f"{name} has shape {array.shape}; wanted are four axes, (n_samples, n_heads, n_steps, width), none of them "
            f"empty. A single head of a single sample is {name}[None, None]."
        )
    return array


def _precision(array):
    """Give the precision that all values of an array fit into."""
    # float32 and float16 in either byte order; whole numbers of few bits are widened all the same.
    return np.dtype(np.float32 if array.dtype.kind == "f" and array.itemsize <= 4 else np.float64)


def _laid_out(array, dtype, contiguous=False):
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


def _arrays(query, key, value, contiguous):
    """Give the three arrays in one precision, laid out; raises where their shapes do not fit each other."""
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
    dtype = max(map(_precision, (query, key, value)), key=lambda precision: precision.itemsize)
    return tuple(_laid_out(array, dtype, contiguous) for array in (query, key, value))


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
            f"lengths of {name} have shape {given.shape} and hold {shortened(str(given.dtype))}; wanted is a whole "
            f"number for each of the {n_samples} samples."
        )
    if given.min() < 0 or given.max() > most:
        raise ValueError(f"lengths of {name} go from {given.min()} to {given.max()}; the array has {most} steps.")
    return np.ascontiguousarray(np.broadcast_to(given, n_samples), np.int64)


def _scale(scale, d_head, dtype):
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


class AttentionCall:
    """One call: checked arrays, and the arguments of the kernels that point to them."""

    def __init__(self, query, key, value, lengths, causal, window, scale, n_jobs, contiguous=False):
        self.query, self.key, self.value = _arrays(query, key, value, contiguous)
        self.dtype = self.query.dtype.name
        self.n_samples, self.n_heads, self.n_steps, d_head = self.query.shape
        self.workers = parallel.n_workers(n_jobs)
        left, right = bounds(causal, window)
        query_lengths, key_lengths = _lengths(lengths, self.n_samples, self.n_steps, self.key.shape[2])
        scratch = attention_kernels.scratch_size(d_head, self.value.shape[3])
        full = lengths is None or query_lengths.min() == self.n_steps and key_lengths.min() == self.key.shape[2]
        # Beyond a sample's length nothing is written.
        self._new = np.empty if full else np.zeros
        self.output = self._new((self.n_samples, self.n_heads, self.n_steps, self.value.shape[3]), self.dtype)
        self._top, self._inverse = (self._new(self.query.shape[:3], self.dtype) for _ in range(2))
        self._arrays = np.zeros((heads.N_ARRAYS, heads.N_ARRAY), np.int64)
        self._run = parallel.Arguments(heads.Heads, self.dtype, self.workers)
        self._run.point(
            arrays=self._arrays, query_lengths=query_lengths, key_lengths=key_lengths, top=self._top,
            inverse=self._inverse, scratch=np.empty(scratch * self.workers, self.dtype),
            ahead=np.zeros((self.workers, N_AHEAD), np.int64),
        )  # fmt: skip
        self._run.set(
            n_samples=self.n_samples, n_heads=self.n_heads, n_kv_heads=self.key.shape[1], n_queries=self.n_steps,
            n_keys=self.key.shape[2], d_head=d_head, width=self.value.shape[3], scratch_size=scratch,
            left=attention_kernels.bound(left), right=attention_kernels.bound(right), itemsize=self.query.itemsize,
            scale=_scale(scale, d_head, self.query.dtype)[0],
        )  # fmt: skip
        self._describe(query=self.query, key=self.key, value=self.value, output=self.output)

    def _describe(self, **arrays):
        """Tell the kernels where arrays are; these must outlive their calls."""
        for name, array in arrays.items():
            strides = [stride // array.itemsize for stride in array.strides[:3]]
            self._arrays[getattr(heads, name.upper())] = parallel.address(array), *strides

    def add(self, times=None, slopes=None, table=None):
        """Say what distances count."""
        if times is not None:
            # Read a vector of queries at a time, beyond the last one as well.
            padded = np.append(times, np.zeros(attention_kernels.QUERIES)).astype(self.dtype)
            self._run.point(times=padded, slopes=np.ascontiguousarray(slopes, np.float64))
        if table is not None:
            self._run.point(table=np.ascontiguousarray(table, self.dtype))
            self._run.set(reach=table.shape[1] // 2)

    def forward(self):
        n_heads = self.n_samples * self.n_heads
        # Whole heads where there are enough: parts on different cores would each bring the keys and values near.
        n_parts = min(-(-_RUNS_A_WORKER * self.workers // n_heads), self.n_steps // _QUERIES_A_PART)
        n_parts = max(1, n_parts)
        self._run.set(n_parts=n_parts)
        n_items = self._runs(n_heads) * n_parts
        self._dose(heads.QUERY, heads.KEY, heads.VALUE, heads.OUTPUT)
        self._run.share_out(heads.heads_forward_item, n_items)

    def _dose(self, *entries):
        """Say how many lines of the next head are fetched at a time."""
        n_blocks = -(-self.n_steps // attention_kernels.QUERIES) * -(-self.key.shape[2] // attention_kernels.KEYS)
        of_steps = int(self._arrays[list(entries), heads.Array.index["row"]].sum())
        n_numbers = of_steps * max(self.n_steps, self.key.shape[2])
        self._run.set(dose=dose(n_numbers * self.query.itemsize, n_blocks))

    def _runs(self, n_heads):
        """Cut all heads into runs; gives how many there are."""
        run = max(1, n_heads // (_RUNS_A_WORKER * self.workers))
        self._run.set(run=run)
        return -(-n_heads // run)

    def backward(self, d_output):
        d_output = _laid_out(_array(d_output, "d_output"), self.query.dtype, contiguous=True)
        if d_output.shape != self.output.shape:
            raise ValueError(f"d_output has shape {d_output.shape}; the output has shape {self.output.shape}.")
        n_kv_heads = self.n_samples * self.key.shape[1]
        n_parts = max(1, min(_MOST_KEY_PARTS // n_kv_heads, self.key.shape[2] // _KEYS_A_PART))
        self._run.set(n_parts=n_parts, part_size=self.query.size)
        d_queries = self._new((n_parts, *self.query.shape), self.dtype)
        gradients = d_queries[0], *(self._new(array.shape, self.dtype) for array in (self.key, self.value))
        self._describe(d_output=d_output, **dict(zip(("d_query", "d_key", "d_value"), gradients, strict=True)))
        n_items = self._runs(n_kv_heads) * n_parts
        self._dose(*range(heads.QUERY, heads.WEIGHTS))
        self._run.share_out(heads.heads_backward_item, n_items)
        with np.errstate(all="ignore"):
            for part in d_queries[1:]:
                gradients[0][...] += part
        return gradients

    def weights(self):
        weights = np.zeros((*self.query.shape[:3], self.key.shape[2]), self.dtype)
        self._describe(weights=weights)
        self._run.share_out(heads.heads_weights_item, self.n_samples * self.n_heads)
        return weights

    def log_sum_exp(self):
        with np.errstate(all="ignore"):
            result = self._top * np.log(2).astype(self.dtype) - np.log(self._inverse)
        return np.where(self._inverse > 0, result, -np.inf).astype(self.dtype, copy=False)
