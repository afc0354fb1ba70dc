"""GELU in its tanh form, number by number: forward and backward.

0.5 x (1 + tanh(u)) = x / (1 + 2 ** t) with t = -2 u log2(e) and u = sqrt(2 / pi) (x + 0.044715 x^3) (Hendrycks & Gimpel
2016, arXiv:1606.08415).
"""

from .jit import kernel, real
from .operation import Call, Kind, d_slot, slot
from .record import Record
from .simd import at, exp2

_Row = Record("source", "target", "width")

_SLOPE = -2.0 * 0.7978845608028654 * 1.4426950408889634
_CUBIC = 0.044715
# 2 ** t of anything larger overflows nothing and changes no result.
_LARGEST = 100.0
_FLAT = 20.0
_LN2 = 0.6931471805599453


@kernel
def gelu_forward(row: _Row, call: Call):
    """Compute ``target = gelu(source)``; both [rows, width]."""
    first, n = call.first * row.width, (call.last - call.first) * row.width
    source, target = at(slot(call, row.source), first), at(slot(call, row.target), first)
    for i in range(n):
        x = source[i]
        t = x * (real(1) + real(_CUBIC) * x * x) * real(_SLOPE)
        t = real(_LARGEST) if t > real(_LARGEST) else t
        target[i] = x / (real(1) + exp2(t))


@kernel
def gelu_backward(row: _Row, call: Call):
    """Give the source's gradient."""
    first, n = call.first * row.width, (call.last - call.first) * row.width
    source = at(slot(call, row.source), first)
    d_source, d_target = at(d_slot(call, row.source), first), at(d_slot(call, row.target), first)
    for i in range(n):
        # Beyond this the slope is 0 or 1 to the last bit, and powers of x would overflow.
        x = min(max(source[i], real(-_FLAT)), real(_FLAT))
        t = x * (real(1) + real(_CUBIC) * x * x) * real(_SLOPE)
        t = real(_LARGEST) if t > real(_LARGEST) else t
        power = exp2(t)
        sigmoid = real(1) / (real(1) + power)
        # d/dx 1 / (1 + 2^t) = -ln 2 * 2^t / (1 + 2^t)^2 * dt/dx
        slope = (real(1) + real(3 * _CUBIC) * x * x) * real(_SLOPE * _LN2)
        d_source[i] = d_target[i] * sigmoid * (real(1) - x * slope * power * sigmoid)


GELU = Kind("gelu", gelu_forward, gelu_backward, _Row, step=gelu_forward)
