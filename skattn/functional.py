"""Attention on plain arrays, without parameters: outputs, weights and gradients."""

from typing import Any

from numpy.typing import ArrayLike, NDArray

from ._attention_call import AttentionCall

Window = int | tuple[int | None, int | None] | None


def attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    *,
    lengths: Any = None,
    causal: bool | str = False,
    window: Window = None,
    dilation: int = 1,
    n_global_steps: int = 0,
    top_k: int | None = None,
    bias: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    scale: float | None = None,
    kind: str = "softmax",
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
    causal : bool or "end", default=False
        True: query t sees keys 0 to t only. "end": the last query stands where the last key does, as where the keys of
        earlier steps were kept, so query t sees keys 0 to ``t + n_keys - n_steps``, each by the sample's lengths.
        Where a query stands counts for `window`, `dilation` and `n_global_steps` as well.
    window : int or tuple (left, right), optional
        Query t sees keys ``t - left`` to ``t + right``; None stands for no bound, and one number for both sides. With
        `causal`, right is 0.
    dilation : int, default=1
        Of its window a query sees the keys a multiple of so many steps away (Longformer: Beltagy et al. 2020,
        arXiv:2004.05150, section 3.1). Needs a window. What is not seen is not computed.
    n_global_steps : int, default=0
        The first so many steps see all keys and are seen by all queries, beyond the window; with `causal`, or a window
        whose right side is 0, of what comes before (Beltagy et al. 2020). Needs a window.
    top_k : int, optional
        A query reads only its so many keys of highest score among those that it sees, of equals the first ones.
        Gradients go through these alone.
    bias : array that broadcasts to (n_samples, n_heads, n_steps, n_keys), optional
        Added to the scores, after they were scaled; minus infinity hides a key.
    mask : bool array that broadcasts to (n_samples, n_heads, n_steps, n_keys), optional
        True where a query may see a key. Blocks of 64 queries and 128 keys of which none is seen are skipped.
    scale : float, optional
        By default ``1 / sqrt(d_head)``.
    kind : {"softmax", "linear"}, default="softmax"
        "linear" puts ``elu(x) + 1`` of queries and keys in the place of the exponential of their product, so that keys
        and values are summed up once and time grows with the length alone (Katharopoulos et al. 2020,
        arXiv:2006.16236). It can be causal, and takes no other option but `lengths`, `n_jobs` and
        `return_log_sum_exp`.
    return_log_sum_exp : bool, default=False
        Also give the logarithm of what each query's weights were divided by: the sum of the exponentials of scores,
        or where they are linear of the products of features.
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
        If shapes do not fit each other, ``n_heads`` is no multiple of the heads of `key`, an option is out of range, or
        options do not go together.
    TypeError
        If an array holds no real numbers, or is masked; if `mask` is not boolean.

    Notes
    -----
    Online softmax: Dao (2023), arXiv:2307.08691, Algorithm 1. Memory beside input and output does not grow with length,
    but for `top_k`, which keeps two numbers for each key that is read.
    Numbers that are not finite pass through as NumPy's arithmetic has them: they are not looked for.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import attention
    >>> x = np.ones((1, 2, 3, 4))
    >>> attention(x, x, x, causal=True).shape
    (1, 2, 3, 4)
    """
    call = AttentionCall(
        query, key, value, lengths=lengths, causal=causal, window=window, dilation=dilation,
        n_global_steps=n_global_steps, top_k=top_k, bias=bias, mask=mask, scale=scale, kind=kind, n_jobs=n_jobs,
    )  # fmt: skip
    call.forward()
    return (call.output, call.log_sum_exp()) if return_log_sum_exp else call.output


def attention_weights(
    query: ArrayLike,
    key: ArrayLike,
    *,
    lengths: Any = None,
    causal: bool | str = False,
    window: Window = None,
    dilation: int = 1,
    n_global_steps: int = 0,
    top_k: int | None = None,
    bias: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    scale: float | None = None,
    kind: str = "softmax",
    n_jobs: int | None = None,
) -> NDArray[Any]:
    """Give how much each query takes of each key: ``softmax(query @ key.T * scale)``.

    Parameters
    ----------
    query : array of shape (n_samples, n_heads, n_steps, d_head)
    key : array of shape (n_samples, n_kv_heads, n_keys, d_head)
    lengths, causal, window, dilation, n_global_steps, top_k, bias, mask, scale, kind, n_jobs :
        As in :func:`~skattn.attention`.

    Returns
    -------
    weights : ndarray of shape (n_samples, n_heads, n_steps, n_keys)
        Rows sum to 1; a query that sees no key, and steps beyond a sample's length, have 0. This array grows with the
        square of the length: ask for few samples at a time.

    Raises
    ------
    ValueError, TypeError
        As :func:`~skattn.attention`.
    """
    call = AttentionCall(
        query, key, key, lengths=lengths, causal=causal, window=window, dilation=dilation,
        n_global_steps=n_global_steps, top_k=top_k, bias=bias, mask=mask, scale=scale, kind=kind, n_jobs=n_jobs,
    )  # fmt: skip
    call.forward()
    return call.weights()


def biased_weights(query, key, bias, n_jobs=None, *, first=0, **options):
    """Give attention weights where distances count too.

    Parameters
    ----------
    query, key, n_jobs, **options :
        As in :func:`~skattn.attention_weights`.
    bias : dict
        ``times`` (n_steps,) and ``slopes`` (n_heads,), or ``table`` (n_heads, 2 * reach + 1).
    first : int
        The place of the first query among the keys.
    """
    call = AttentionCall(query, key, key, n_jobs=n_jobs, **options)
    call.begin_at(first)
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
    causal: bool | str = False,
    window: Window = None,
    dilation: int = 1,
    n_global_steps: int = 0,
    top_k: int | None = None,
    bias: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    scale: float | None = None,
    kind: str = "softmax",
    n_jobs: int | None = None,
) -> tuple[NDArray[Any], ...]:
    """Give the gradients of :func:`~skattn.attention` for layers of one's own.

    Parameters
    ----------
    query, key, value :
        As in :func:`~skattn.attention`.
    d_output : array of shape (n_samples, n_heads, n_steps, d_value)
        Gradient of what follows with respect to the output.
    lengths, causal, window, dilation, n_global_steps, top_k, bias, mask, scale, kind, n_jobs :
        As in :func:`~skattn.attention`.

    Returns
    -------
    d_query, d_key, d_value : ndarrays of the shapes of `query`, `key` and `value`
    d_bias : ndarray of the shape of `bias`
        Only with a bias: summed up over all scores that an entry is added to.

    Raises
    ------
    ValueError, TypeError
        As :func:`~skattn.attention`.
    """
    call = AttentionCall(
        query, key, value, lengths=lengths, causal=causal, window=window, dilation=dilation,
        n_global_steps=n_global_steps, top_k=top_k, bias=bias, mask=mask, scale=scale, kind=kind, n_jobs=n_jobs,
        contiguous=True,
    )  # fmt: skip
    call.forward()
    return call.backward(d_output)
