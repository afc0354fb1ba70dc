"""One call of attention on plain arrays: the arguments of kernels, and what they are run over."""

import numpy as np

from ._attention_arrays import (
    both_lengths,
    factor_of_scores,
    laid_out,
    laid_out_arrays,
    laid_out_bias,
    laid_out_mask,
    real_array,
    steps_of,
)
from ._bounds import bounds, check_linear, check_sparse
from ._kernels import attend, best, head, heads, linear_attention, maps, parallel
from ._kernels.ahead import N_AHEAD, dose
from ._kernels.bias import add_times, cover, look_for_seen
from ._kernels.distances import add_distances
from ._kernels.linear_blocks import most_pieces, scratch_size, sum_size
from ._wording import shortened

# Parts of the keys that a few long heads are cut into, backwards; each needs a gradient of all queries.
_MOST_KEY_PARTS, _KEYS_A_PART = 8, 1024
# Runs of heads that a thread takes one after another, about: enough that threads end together, and long enough that
# most heads are fetched while the one before is computed.
_RUNS_A_WORKER = 16
# Parts of the queries that a head is cut into, so that a few long heads use every core.
_QUERIES_A_PART = 4 * head.QUERIES
# Parts of linear attention for each thread, about: each adds up the sums of all pieces before it anew.
_LINEAR_PARTS_A_WORKER = 4
# Multiplications of a linear head that are worth more than to wake other threads.
_WORTH_PIECES = 1 << 22

# What is done to a head: forwards, backwards, for its weights, for the gradient of a bias.
_SOFTMAX = (attend.attend_forward, attend.attend_backward, maps.head_weights, maps.head_bias)
_BEST = (best.best_forward, best.best_backward, best.best_weights, best.best_bias)
_LINEAR = (linear_attention.linear_forward, linear_attention.linear_backward, linear_attention.linear_weights, None)


class AttentionCall:
    """One call: checked arrays, and the arguments of the kernels that point to them.

    Parameters
    ----------
    query, key, value, lengths, causal, window, dilation, n_global_steps, top_k, bias, mask, scale, kind, n_jobs :
        As in :func:`skattn.attention`.
    contiguous : bool
        Whether arrays must be, which gradients lie as.
    """

    def __init__(
        self, query, key, value, *, lengths=None, causal=False, window=None, dilation=1, n_global_steps=0, top_k=None,
        bias=None, mask=None, scale=None, kind="softmax", n_jobs=None, contiguous=False,
    ):  # fmt: skip
        self.query, self.key, self.value = laid_out_arrays(query, key, value, contiguous)
        self.dtype = self.query.dtype.name
        self.n_samples, self.n_heads, self.n_steps, d_head = self.query.shape
        self.workers = parallel.n_workers(n_jobs)
        _check_names(causal, kind)
        self._is_linear, sides = kind == "linear", bounds(causal, window)
        check_sparse(sides, dilation, n_global_steps, top_k)
        if self._is_linear:
            check_linear(sides, top_k=top_k, bias=bias, mask=mask, scale=scale)
        lengths_of_both = both_lengths(lengths, self.n_samples, self.n_steps, self.key.shape[2])
        self._begin(lengths is not None, *lengths_of_both, top_k, dilation)
        self._run.set(
            d_head=d_head, width=self.value.shape[3], itemsize=self.query.itemsize, dilation=head.bound(dilation),
            n_global=head.bound(n_global_steps), at_end=isinstance(causal, str), left=head.bound(sides[0]),
            right=head.bound(sides[1]), scale=factor_of_scores(scale, d_head, self.query.dtype)[0],
        )  # fmt: skip
        if dilation > 1:
            self._run.set(gathers=head.gather.address(self.dtype))
        self._add_arrays(bias, mask)

    def _begin(self, has_lengths, query_lengths, key_lengths, top_k, dilation):
        """Make room for results, and say how much there is of everything."""
        n_keys, d_head, d_value = self.key.shape[2], self.key.shape[3], self.value.shape[3]
        if self._is_linear:
            kernels, scratch = _LINEAR, scratch_size(d_head, d_value)
        else:
            # More than there are keys are all.
            top_k = min(int(top_k or 0), n_keys)
            kernels, scratch = _BEST if top_k else _SOFTMAX, head.scratch_size(d_head, d_value, top_k, dilation)
        self._forward, self._backward, self._weights, self._d_bias = kernels
        full = not has_lengths or query_lengths.min() == self.n_steps and key_lengths.min() == n_keys
        # Beyond a sample's length nothing is written.
        self._new = np.empty if full else np.zeros
        self.output = self._new((*self.query.shape[:3], d_value), self.dtype)
        self._top, self._inverse = (self._new(self.query.shape[:3], self.dtype) for _ in range(2))
        self._arrays = np.zeros((heads.N_ARRAYS, heads.N_ARRAY), np.int64)
        self._run = parallel.Arguments(heads.Heads, self.dtype, self.workers)
        self._run.point(
            arrays=self._arrays, query_lengths=query_lengths, key_lengths=key_lengths, top=self._top,
            inverse=self._inverse, scratch=parallel.room(scratch * self.workers, self.dtype),
            ahead=np.zeros((self.workers, N_AHEAD), np.int64),
        )  # fmt: skip
        if top_k and not self._is_linear:
            self._run.point(best=self._new((*self.query.shape[:3], 2 * top_k), self.dtype))
            self._run.set(top_k=top_k)
        self._run.set(
            n_samples=self.n_samples, n_heads=self.n_heads, n_kv_heads=self.key.shape[1], n_queries=self.n_steps,
            n_keys=n_keys, scratch_size=scratch,
        )  # fmt: skip
        self._describe(query=self.query, key=self.key, value=self.value, output=self.output)

    def _add_arrays(self, bias, mask):
        """Tell the kernels what is added to scores, and what is seen."""
        scores = (self.n_samples, self.n_heads, self.n_steps, self.key.shape[2])
        self._bias = self._mask = None
        if bias is not None or mask is not None:
            self._run.set(covers=cover.address(self.dtype))
        if bias is not None:
            self._bias, among = laid_out_bias(bias, scores, self.query.dtype)
            self._run.set(bias_step=self._describe_steps("BIAS", self._bias, among))
        if mask is not None:
            self._mask, among = laid_out_mask(mask, scores)
            self._run.set(mask_step=self._describe_steps("MASK", self._mask, among))
            self._run.set(hides=look_for_seen.address(self.dtype))

    def _describe(self, **arrays):
        """Tell the kernels where arrays are; these must outlive their calls."""
        for name, array in arrays.items():
            strides = [stride // array.itemsize for stride in array.strides[:3]]
            self._arrays[getattr(heads, name.upper())] = parallel.address(array), *strides

    def _describe_steps(self, name, array, among):
        """Tell the kernels where an array of all pairs is; gives the entries between its keys."""
        *steps, step = steps_of(among)
        self._arrays[getattr(heads, name)] = parallel.address(array), *steps
        return step

    def _share_out(self, function, kernel, n_items):
        self._run.set(attend=kernel.address(self.dtype))
        self._run.share_out(function, n_items)

    def begin_at(self, place):
        """Let the first query stand at a place among the keys, which decides what each of them sees."""
        self._run.set(offset=place)

    def add(self, times=None, slopes=None, table=None):
        """Say what distances count."""
        if times is not None:
            self._run.point(times=np.ascontiguousarray(times, self.dtype), slopes=np.array(slopes, np.float64))
            self._run.set(adds=add_times.address(self.dtype))
        if table is not None:
            self._run.point(table=np.ascontiguousarray(table, self.dtype))
            self._run.set(reach=table.shape[1] // 2, adds=add_distances.address(self.dtype))

    def forward(self):
        n_heads = self.n_samples * self.n_heads
        # Parts of linear attention, forwards and backwards.
        self._n_parts = self._cut_into_pieces() if self._is_linear else 1
        if self._n_parts > 1:
            self._forward_in_pieces()
            return
        # Whole heads where there are enough: parts on different cores would each bring the keys and values near.
        n_parts = min(-(-_RUNS_A_WORKER * self.workers // n_heads), self.n_steps // _QUERIES_A_PART)
        n_parts = 1 if self._is_linear else max(1, n_parts)
        self._run.set(n_parts=n_parts)
        n_items = self._runs(n_heads) * n_parts
        self._dose(heads.QUERY, heads.KEY, heads.VALUE, heads.OUTPUT)
        self._share_out(heads.heads_forward_item, self._forward, n_items)

    def _cut_into_pieces(self):
        """Give how many parts the pieces of each linear head are cut into, and make room for the sums of pieces.

        Whole heads where there are enough for all threads: in parts, sums of keys are made once more.
        """
        n_steps, n_keys, n_heads = self.n_steps, self.key.shape[2], self.n_samples * self.key.shape[1]
        n_parts = min(-(-_LINEAR_PARTS_A_WORKER * self.workers // n_heads), most_pieces(max(n_steps, n_keys)))
        size = sum_size(self.key.shape[3], self.value.shape[3])
        has_enough_heads = 3 * -(-n_heads // self.workers) * self.workers <= 4 * n_heads
        if n_parts == 1 or has_enough_heads or max(n_steps, n_keys) * size < _WORTH_PIECES:
            return 1
        n_of_keys, n_of_queries = most_pieces(n_keys, is_moved=True), most_pieces(n_steps)
        self._run.point(sums=np.empty((n_heads, n_of_keys, size), self.dtype))
        self._run.set(n_parts=n_parts, sums_size=n_of_keys * size, d_sums_size=n_of_queries * size)
        return n_parts

    def _forward_in_pieces(self):
        """Sum up all pieces of keys, then attend from all pieces of queries."""
        self._run.share_out(heads.sums_item, self.n_samples * self.key.shape[1] * self._n_parts)
        self._run.share_out(heads.reads_item, self.n_samples * self.n_heads * self._n_parts)

    def _backward_in_pieces(self):
        """Give the gradients of queries and what pieces of them come to, then those of keys and values."""
        n_heads, size = self.n_samples * self.n_heads, sum_size(self.key.shape[3], self.value.shape[3])
        self._run.point(d_sums=np.empty((n_heads, most_pieces(self.n_steps), size), self.dtype))
        self._run.share_out(heads.queries_backward_item, n_heads * self._n_parts)
        self._run.share_out(heads.keys_backward_item, self.n_samples * self.key.shape[1] * self._n_parts)

    def _dose(self, *entries):
        """Say how many lines of the next head are fetched at a time."""
        n_blocks = -(-self.n_steps // head.QUERIES) * -(-self.key.shape[2] // head.KEYS)
        of_steps = int(self._arrays[list(entries), heads.Array.index["row"]].sum())
        n_numbers = of_steps * max(self.n_steps, self.key.shape[2])
        self._run.set(dose=dose(n_numbers * self.query.itemsize, n_blocks))

    def _runs(self, n_heads):
        """Cut all heads into runs; gives how many there are."""
        run = max(1, n_heads // (_RUNS_A_WORKER * self.workers))
        self._run.set(run=run)
        return -(-n_heads // run)

    def backward(self, d_output):
        """Give the gradients of query, key, value, and of a bias where there is one."""
        self._d_output = laid_out(real_array(d_output, "d_output"), self.query.dtype, contiguous=True)
        if self._d_output.shape != self.output.shape:
            raise ValueError(f"d_output has shape {self._d_output.shape}; the output has shape {self.output.shape}.")
        n_kv_heads = self.n_samples * self.key.shape[1]
        n_parts = max(1, min(_MOST_KEY_PARTS // n_kv_heads, self.key.shape[2] // _KEYS_A_PART))
        n_parts = 1 if self._is_linear else n_parts
        self._run.set(n_parts=max(n_parts, self._n_parts), part_size=self.query.size)
        d_queries = self._new((n_parts, *self.query.shape), self.dtype)
        gradients = d_queries[0], *(self._new(array.shape, self.dtype) for array in (self.key, self.value))
        self._describe(d_output=self._d_output, **dict(zip(("d_query", "d_key", "d_value"), gradients, strict=True)))
        if self._n_parts > 1:
            self._backward_in_pieces()
            return gradients
        n_items = self._runs(n_kv_heads) * n_parts
        self._dose(*range(heads.QUERY, heads.PAIRS))
        self._share_out(heads.heads_backward_item, self._backward, n_items)
        with np.errstate(all="ignore"):
            for part in d_queries[1:]:
                gradients[0][...] += part
        return gradients if self._bias is None else (*gradients, self._backward_bias())

    def _backward_bias(self):
        """Give the gradient of the bias: added up over all scores that an entry serves."""
        d_bias = np.zeros_like(self._bias)
        among = np.broadcast_to(d_bias, (self.n_samples, self.n_heads, self.n_steps, self.key.shape[2]))
        of_samples, of_heads, of_rows, _ = steps_of(among)
        n_matrices = (self.n_samples if of_samples else 1) * (self.n_heads if of_heads else 1)
        # Rows can be shared out where each is of one query.
        n_parts = max(1, self.n_steps // _QUERIES_A_PART) if of_rows and self._d_bias is maps.head_bias else 1
        self._run.set(n_parts=n_parts, pairs_step=self._describe_steps("PAIRS", d_bias, among))
        self._share_out(heads.heads_bias_item, self._d_bias, n_matrices * n_parts)
        return d_bias

    def weights(self):
        weights = np.zeros((*self.query.shape[:3], self.key.shape[2]), self.dtype)
        self._describe(pairs=weights)
        self._run.set(pairs_step=1)
        self._share_out(heads.heads_weights_item, self._weights, self.n_samples * self.n_heads)
        return weights

    def log_sum_exp(self):
        with np.errstate(all="ignore"):
            result = self._top * np.log(2).astype(self.dtype) - np.log(self._inverse)
        return np.where(self._inverse > 0, result, -np.inf).astype(self.dtype, copy=False)


def _check_names(causal, kind):
    """Refuse words that stand for nothing."""
    if np.ndim(causal) or (isinstance(causal, str) and causal != "end"):
        raise ValueError(f"causal={shortened(causal)} is unknown; known are False, True and 'end'.")
    if not isinstance(kind, str) or kind not in ("softmax", "linear"):
        raise ValueError(f"kind={shortened(kind)} is unknown; known are 'softmax' and 'linear'.")
