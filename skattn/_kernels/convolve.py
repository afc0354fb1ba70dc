"""A learned convolution over the rows of a slot, by one row or several: forward and backward.

All that is read for some rows of the target is laid out, a row each, in scratch, so that a convolution is a product of
matrices. What lies beyond the sequence is zeros.
"""

from .jit import Int, Reals, ints, kernel, real, reals
from .kept import kept_of, steps_before
from .matmul import add_rows, matmul
from .operation import Call, Kind, d_slot, slot
from .record import Record
from .simd import at

# `stride` rows of the source a row of the target, and `left` of the `taps` before the first of these. The weight is
# [taps * n_in, n_out].
_Row = Record("source", "target", "weight", "bias", "n_in", "n_out", "taps", "stride", "left", "adds")

# Rows that are laid out at a time.
_BLOCK = 32


def scratch_size(n_in, n_out, taps):
    """Give how many numbers the kernels need in `scratch`."""
    return _BLOCK * (taps * n_in + n_out)


@kernel
def _lay_out(row: _Row, call: Call, first: Int, n: Int, laid: Reals):
    """Write what is read for some rows of the target; laid [n, taps * n_in]."""
    source, n_in, taps, n_rows = slot(call, row.source), row.n_in, row.taps, ints(call.rows)[row.source]
    stride, left = row.stride, row.left
    for r in range(n):
        for tap in range(taps):
            t, into = (first + r) * stride + tap - left, at(laid, (r * taps + tap) * n_in)
            if 0 <= t < n_rows:
                read = at(source, t * n_in)
                for i in range(n_in):
                    into[i] = read[i]
            else:
                for i in range(n_in):
                    into[i] = real(0)


@kernel
def _lay_out_kept(row: _Row, call: Call, first: Int, n: Int, laid: Reals):
    """Write what is read for new steps of streams, and keep these: a ring of as many as there are taps.

    No tap reads later steps, see `keeps`.
    """
    source, n_in, taps = slot(call, row.source), row.n_in, row.taps
    for r in range(n):
        kept, count = kept_of(call, first + r), steps_before(call, first + r)
        new, read = at(kept, count % taps * n_in), at(source, (first + r) * n_in)
        for i in range(n_in):
            new[i] = read[i]
        for tap in range(taps):
            t, into = count + tap - (taps - 1), at(laid, (r * taps + tap) * n_in)
            then = at(kept, max(t, 0) % taps * n_in)
            for i in range(n_in):
                into[i] = then[i] if t >= 0 else real(0)


def _keeps(fields):
    """Say what is kept of the last steps."""
    return (("once", fields["taps"] * fields["n_in"]),)


@kernel
def convolve_forward(row: _Row, call: Call):
    """Compute ``target[t] = bias + sum over taps of source[t * stride + tap - left] @ weight[tap]``."""
    n_out, deep, last, laid = row.n_out, row.taps * row.n_in, call.last, reals(call.scratch)
    target, weights = slot(call, row.target), reals(call.weights)
    weight, bias = at(weights, row.weight), at(weights, row.bias)
    for first in range(call.first, last, _BLOCK):
        n, block = min(_BLOCK, last - first), at(target, first * n_out)
        if call.kept:
            _lay_out_kept(row, call, first, n, laid)
        else:
            _lay_out(row, call, first, n, laid)
        for r in range(n):
            for k in range(n_out):
                block[r * n_out + k] = bias[k]
        matmul(laid, deep, 1, weight, n_out, block, n_out, n, deep, n_out, False)


@kernel
def convolve_backward(row: _Row, call: Call):
    """Add to the gradients of weight and bias, and give the source's."""
    n_out, deep, last, laid = row.n_out, row.taps * row.n_in, call.last, reals(call.scratch)
    d_target, d_weights = d_slot(call, row.target), reals(call.d_weights)
    for first in range(call.first, last, _BLOCK):
        n, d_block = min(_BLOCK, last - first), at(d_target, first * n_out)
        if row.bias < call.n_learned:
            add_rows(d_block, n, n_out, at(d_weights, row.bias), laid)
        if row.weight < call.n_learned:
            _lay_out(row, call, first, n, laid)
            matmul(laid, 1, deep, d_block, n_out, at(d_weights, row.weight), n_out, deep, n, n_out, False)
    if row.adds >= 0:
        _give_back(row, call)


@kernel
def _give_back(row: _Row, call: Call):
    """Give the source's gradient, of the rows that this part's rows of the target stand for.

    Rows of other parts have read these too, so each row collects what it is due.
    """
    n_in, n_out, taps, stride, left = row.n_in, row.n_out, row.taps, row.stride, row.left
    n_rows, n_targets = ints(call.rows)[row.source], ints(call.rows)[row.target]
    begin, end = call.first * stride, min(call.last * stride, n_rows)
    d_source, d_target = d_slot(call, row.source), d_slot(call, row.target)
    transposed = at(reals(call.transposed), row.weight)
    if row.adds == 0:
        for i in range(begin * n_in, end * n_in):
            d_source[i] = real(0)
    for tap in range(taps):
        shift = tap - left
        # Rows of the target that read one of these rows by this tap.
        first = max(0, (begin - shift + stride - 1) // stride)
        last = min(n_targets, (end - shift + stride - 1) // stride)
        if first < last:
            into = at(d_source, (first * stride + shift) * n_in)
            weight = at(transposed, tap * n_in)
            matmul(
                at(d_target, first * n_out), n_out, 1, weight, taps * n_in, into, stride * n_in,
                last - first, n_out, n_in, False,
            )  # fmt: skip


CONVOLVE = Kind("convolve", convolve_forward, convolve_backward, _Row, step=convolve_forward, keeps=_keeps)
