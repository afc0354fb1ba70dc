"""Sines and cosines of one time at many frequencies, a vector of them at a time, in double precision.

What is left of an angle once quarters of a turn are taken away is kept in two parts (Cody & Waite 1980, *Software
Manual for the Elementary Functions*), and both functions of it are polynomials. Results err by less than a unit in the
last place, whatever the angle up to `FARTHEST`, and plain numbers give the same bits as lanes of a vector.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .simd import Emitter

FARTHEST = 1e6
"""Radians up to which quarters of a turn, times 33 bits, are exact."""

_OVER_QUARTER = 0.6366197723675814
# A quarter of a turn: two parts of 33 bits, so that products with 20 bits are exact, and the rest of it.
_QUARTER = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)
# A number that is added rounds to a whole one, whose last bits are those of the sum.
_WHOLE = 6755399441055744.0
# Of (sin(r) - r) / r^3 and (cos(r) - 1 + r^2 / 2) / r^4 by powers of r^2, for r up to an eighth of a turn, interpolated
# at Chebyshev's nodes: sines err by 1.4e-17, cosines by 9e-19.
_SINE = (
    -1.666666666666666462e-1,
    8.333333333330948486e-3,
    -1.984126983675857432e-4,
    2.755731610255244012e-6,
    -2.505113184500362442e-8,
    1.591812929486660867e-10,
)
_COSINE = (
    4.166666666666666539e-2,
    -1.388888888888739724e-3,
    2.480158729876568793e-5,
    -2.755731727172979288e-7,
    2.087614626840319789e-9,
    -1.138263242552171801e-11,
)


@intrinsic
def add_sines_and_cosines(typing_context, target, frequencies, time, n):
    """Add sine and cosine of `time` times each of `n` frequencies to pairs of neighbours of the target.

    No angle may be beyond `FARTHEST`.
    """

    def generate(context, builder, signature, arguments):
        target, frequencies, time, n = arguments
        wide, single = Emitter(builder, frequencies.type), Emitter(builder, frequencies.type, width=0)
        whole = builder.and_(n, wide.index(-wide.lanes))
        with cgutils.for_range_slice(builder, wide.index(0), whole, wide.index(wide.lanes)) as (place, _):
            _add_vector(wide, target, frequencies, wide.splat(time), place)
        with cgutils.for_range_slice(builder, whole, n, wide.index(1)) as (place, _):
            _add_pair(single, target, frequencies, time, place)
        return context.get_dummy_value()

    return types.void(target, types.CPointer(types.float64), types.float64, types.int64), generate


def _add_vector(emit, target, frequencies, time, place):
    builder, pairs = emit.builder, Emitter(emit.builder, target.type, width=2 * emit.lanes)
    waves = _sines_and_cosines(emit, builder.fmul(time, emit.load(frequencies, place)))
    lanes = [lane // 2 + emit.lanes * (lane % 2) for lane in range(pairs.lanes)]
    both = builder.shuffle_vector(*waves, ir.Constant(ir.VectorType(ir.IntType(32), pairs.lanes), lanes))
    begin = builder.mul(place, emit.index(2))
    rounded = both if pairs.vector == both.type else builder.fptrunc(both, pairs.vector)
    pairs.store(builder.fadd(pairs.load(target, begin), rounded), target, begin)


def _add_pair(emit, target, frequencies, time, place):
    builder, kind = emit.builder, target.type.pointee
    waves = _sines_and_cosines(emit, builder.fmul(time, builder.load(emit.at(frequencies, place))))
    for i, wave in enumerate(waves):
        number = emit.at(target, builder.add(builder.mul(place, emit.index(2)), emit.index(i)))
        rounded = wave if kind == wave.type else builder.fptrunc(wave, kind)
        builder.store(builder.fadd(builder.load(number), rounded), number)


def _sines_and_cosines(emit, angles):
    """Write sine and cosine of angles: those of what is left, exchanged and negated by the quarter that it lies in."""
    builder, one, two = emit.builder, emit.integer(1), emit.integer(2)
    quarters, rest, more = _reduced(emit, angles)
    sine, cosine = _near_zero(emit, rest, more)
    is_odd = builder.icmp_unsigned("!=", builder.and_(quarters, one), emit.integer(0))
    sine, cosine = builder.select(is_odd, cosine, sine), builder.select(is_odd, sine, cosine)
    return [
        _negated(emit, sine, builder.and_(quarters, two)),
        _negated(emit, cosine, builder.and_(builder.add(quarters, one), two)),
    ]


def _negated(emit, numbers, bit):
    """Change signs where the second bit is set."""
    sign = emit.builder.shl(bit, emit.integer(62))
    return emit.builder.bitcast(emit.builder.xor(emit.builder.bitcast(numbers, emit.integers), sign), emit.vector)


def _reduced(emit, angles):
    """Give how many quarters of a turn there are, in the last bits of whole numbers, and what is left, in two parts."""
    builder, (first, second, third) = emit.builder, (emit.constant(part) for part in _QUARTER)
    shifted = builder.fadd(builder.fmul(angles, emit.constant(_OVER_QUARTER)), emit.constant(_WHOLE))
    n = builder.fsub(shifted, emit.constant(_WHOLE))
    near = builder.fsub(angles, builder.fmul(n, first))
    rest, lost = _difference(builder, near, builder.fmul(n, second))
    lost = emit.multiply_add(builder.fneg(n), third, lost)
    whole = builder.fadd(rest, lost)
    return builder.bitcast(shifted, emit.integers), whole, builder.fadd(builder.fsub(rest, whole), lost)


def _difference(builder, a, b):
    """Give ``a - b``, and what rounding takes of it (Knuth, *The Art of Computer Programming*, volume 2, 4.2.2)."""
    result = builder.fsub(a, b)
    taken = builder.fsub(a, result)
    return result, builder.fsub(
        builder.fsub(a, builder.fadd(result, taken)),
        builder.fsub(b, taken),
    )


def _near_zero(emit, rest, more):
    """Give sine and cosine of ``rest + more``, within an eighth of a turn; `more` is below the last place of `rest`."""
    builder, one = emit.builder, emit.constant(1.0)
    square = builder.fmul(rest, rest)
    half = builder.fmul(square, emit.constant(0.5))
    slope = builder.fsub(one, half)
    cubic = builder.fmul(builder.fmul(rest, square), _polynomial(emit, _SINE, square))
    sine = builder.fadd(rest, emit.multiply_add(more, slope, cubic))
    quartic = builder.fmul(builder.fmul(square, square), _polynomial(emit, _COSINE, square))
    lost = builder.fsub(builder.fsub(one, slope), half)
    lost = builder.fadd(lost, builder.fsub(quartic, builder.fmul(rest, more)))
    return sine, builder.fadd(slope, lost)


def _polynomial(emit, coefficients, x):
    result = emit.constant(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        result = emit.multiply_add(result, x, emit.constant(coefficient))
    return result
