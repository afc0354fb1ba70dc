"""Vectors as wide as the CPU's: loads, stores, powers of two, and a register tile of a matrix product.

These intrinsics emit LLVM vector code. Each works out its lanes from the type of the pointer that it is given, so the
same kernel source serves float32 and float64. LLVM splits vectors that are wider than a CPU's registers.
"""

import os

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import cpu_features

# Relative error 5e-9 (degree 6) and 1e-19 (degree 12) on [-1/2, 1/2]: interpolation of (2^x - 1) / x at Chebyshev's
# nodes.
_EXP2 = {
    "float": (
        1.0,
        0.693147188026228781,
        0.240226507605681269,
        0.0555035711421907782,
        0.00961808255727785149,
        0.00133908633646712344,
        0.000154531629451206902,
    ),
    "double": (
        1.0,
        0.693147180559945309,
        0.240226506959100712,
        0.055504108664821627,
        0.00961812910762847949,
        0.00133335581464064707,
        0.000154035303933707334,
        0.0000152527338415567726,
        1.32154868087055628e-6,
        1.01780570877339411e-7,
        7.05489730415549928e-9,
        4.45581790833606449e-10,
        2.57293241773623042e-11,
    ),
}
_MANTISSA = {"float": 23, "double": 52}
_SMALLEST = {"float": -126.0, "double": -1022.0}
# Stand for minus infinity among scores, below any number: the difference of two of these is 0.
LOWEST = {"float": -3.4028234663852886e38, "double": -1.7976931348623157e308}


def _machine():
    """Give of this CPU: bits of a vector, whether it multiplies and adds in one step, vector registers, has scalef."""
    features = cpu_features()
    wanted = os.environ.get("SKATTN_VECTOR_BITS", "native")
    if wanted != "native":
        return int(wanted), False, 16, False
    if "avx512f" in features:
        return 512, True, 32, True
    if "avx2" in features and "fma" in features:
        return 256, True, 16, False
    if "neon" in features:
        return 128, True, 32, False
    return 128, False, 16, False


VECTOR_BITS, _HAS_FMA, _REGISTERS, _HAS_SCALEF = _machine()
# Rows of the register tile by its width in vectors: accumulators, a row of vectors and a broadcast fit the registers.
TILE_ROWS = {1: 8, 2: 8, 3: 8, 4: 6} if _REGISTERS == 32 else {1: 8, 2: 6, 3: 4}
# Rows of a tile of one vector where there are as many: short sums are done before twice the calls would be.
HIGH_ROWS = 16 if _REGISTERS == 32 else 8


def lanes(dtype):
    """Give how many numbers of a precision a vector holds."""
    return VECTOR_BITS // (64 if dtype == "float64" else 32)


class Emitter:
    """Writes vector instructions for one precision.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    pointer : llvmlite.ir.PointerType
        A pointer to the precision's numbers.
    width : int, optional
        Lanes; 0 for plain numbers. By default, as many as fit a vector of this machine.
    """

    def __init__(self, builder, pointer, width=None):
        self.builder = builder
        self.scalar = pointer.pointee if isinstance(pointer, ir.PointerType) else pointer
        self.kind = str(self.scalar)
        self.itemsize = 4 if self.kind == "float" else 8
        self.lanes = VECTOR_BITS // (8 * self.itemsize) if width is None else width
        self.index = ir.IntType(64)
        integer = ir.IntType(8 * self.itemsize)
        self.vector = ir.VectorType(self.scalar, self.lanes) if self.lanes else self.scalar
        self.integers = ir.VectorType(integer, self.lanes) if self.lanes else integer

    def constant(self, number):
        return ir.Constant(self.vector, [number] * self.lanes if self.lanes else number)

    def integer(self, number):
        return ir.Constant(self.integers, [number] * self.lanes if self.lanes else number)

    def splat(self, number):
        """Copy a number to every lane."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def at(self, pointer, index):
        return self.builder.gep(pointer, [index])

    def _vector_at(self, pointer, index):
        return self.builder.bitcast(self.builder.gep(pointer, [index]), self.vector.as_pointer())

    def load(self, pointer, index):
        # numba aligns arrays to 32 bytes only, and rows start anywhere.
        return self.builder.load(self._vector_at(pointer, index), align=self.itemsize)

    def store(self, vector, pointer, index):
        self.builder.store(vector, self._vector_at(pointer, index), align=self.itemsize)

    def _call(self, name, result, *arguments):
        kinds = [argument.type for argument in arguments]
        function = cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(result, kinds), name)
        return self.builder.call(function, arguments)

    @property
    def _suffix(self):
        number = f"f{8 * self.itemsize}"
        return f"v{self.lanes}{number}" if self.lanes else number

    def masked_load(self, pointer, index, mask):
        """Load the lanes that a mask allows, and zeros elsewhere, without touching memory there."""
        name = f"llvm.masked.load.{self._suffix}.p0"
        place = self._vector_at(pointer, index)
        align = ir.Constant(ir.IntType(32), self.itemsize)
        return self._call(name, self.vector, place, align, mask, self.constant(0.0))

    def masked_store(self, vector, pointer, index, mask):
        name = f"llvm.masked.store.{self._suffix}.p0"
        place = self._vector_at(pointer, index)
        align = ir.Constant(ir.IntType(32), self.itemsize)
        self._call(name, ir.VoidType(), vector, place, align, mask)

    def first(self, count):
        """Give the mask of the first `count` lanes."""
        kind = ir.VectorType(ir.IntType(64), self.lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        counts = self.builder.insert_element(undefined, count, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        counts = self.builder.shuffle_vector(counts, undefined, zeros)
        return self.builder.icmp_signed("<", ir.Constant(kind, list(range(self.lanes))), counts)

    def multiply_add(self, a, b, c):
        """Give ``a * b + c``, rounded once where the CPU can."""
        if not _HAS_FMA:
            return self.builder.fadd(self.builder.fmul(a, b), c)
        return self._call(f"llvm.fma.{self._suffix}", self.vector, a, b, c)

    def any(self, mask):
        """Give whether any lane of a mask is set."""
        bits = self.builder.bitcast(mask, ir.IntType(self.lanes))
        return self.builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(self.lanes), 0))

    def maximum(self, a, b):
        """Give the larger of two; where `b` is not a number, `b`."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def minimum(self, a, b):
        """Give the smaller of two; where `b` is not a number, `b`."""
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), a, b)

    def swapped(self, vector, distance):
        """Swap neighbouring runs of `distance` lanes, a power of two."""
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [i ^ distance for i in range(self.lanes)])
        return self.builder.shuffle_vector(vector, vector, lanes)

    def exp2(self, xs, *, exact_zero=False):
        """Give ``2 ** x`` of each x below 127 (1023): not a number stays so, the smallest normal number is the floor.

        With `exact_zero` what lies below the floor gives 0. Each is a chain of instructions that wait for each other,
        so several at once, written side by side, keep the CPU busier than one after the other.
        """
        builder, floor = self.builder, self.constant(_SMALLEST[self.kind])
        bounded = [self.maximum(floor, x) for x in xs]
        wholes = [self._call(f"llvm.nearbyint.{self._suffix}", self.vector, x) for x in bounded]
        rests = [builder.fsub(x, whole) for x, whole in zip(bounded, wholes, strict=True)]
        coefficients = _EXP2[self.kind]
        powers = [self.constant(coefficients[-1])] * len(xs)
        for coefficient in coefficients[-2::-1]:
            addend = self.constant(coefficient)
            powers = [self.multiply_add(power, rest, addend) for power, rest in zip(powers, rests, strict=True)]
        results = [self._scale(power, whole) for power, whole in zip(powers, wholes, strict=True)]
        if exact_zero:
            below = [builder.fcmp_ordered("<", x, floor) for x in xs]
            zero = self.constant(0.0)
            results = [builder.select(low, zero, result) for low, result in zip(below, results, strict=True)]
        return results

    def _scale(self, power, whole):
        """Give ``power * 2 ** whole`` for a whole number within the range of normal exponents."""
        builder = self.builder
        if _HAS_SCALEF and self.lanes * self.itemsize == 64:
            name = "ps" if self.itemsize == 4 else "pd"
            mask, rounding = ir.Constant(ir.IntType(self.lanes), -1), ir.Constant(ir.IntType(32), 4)
            name = f"llvm.x86.avx512.mask.scalef.{name}.512"
            return self._call(name, self.vector, power, whole, self.constant(0.0), mask, rounding)
        exponent = builder.shl(builder.fptosi(whole, self.integers), self.integer(_MANTISSA[self.kind]))
        return builder.bitcast(builder.add(builder.bitcast(power, self.integers), exponent), self.vector)


@intrinsic
def at(typing_context, pointer, index):
    """Give the address `index` numbers further on."""

    def generate(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), generate


@intrinsic
def exp2(typing_context, x):
    """Give ``2 ** x`` of a number, by straight-line code that loops over it turn into vectors."""

    def generate(context, builder, signature, arguments):
        return Emitter(builder, arguments[0].type, width=0).exp2(arguments)[0]

    return x(x), generate


@intrinsic
def lanes_of(typing_context, pointer):
    """Give how many of a pointer's numbers a vector holds."""

    def generate(context, builder, signature, arguments):
        return ir.Constant(ir.IntType(64), Emitter(builder, arguments[0].type).lanes)

    return types.int64(pointer), generate


def _split(builder, vectors, distance):
    """Swap blocks of `distance` lanes between vectors that lie `distance` apart: one stage of a transposition."""
    width = len(vectors)
    low = [lane if not lane & distance else width + lane - distance for lane in range(width)]
    high = [lane + distance if not lane & distance else width + lane for lane in range(width)]
    masks = [ir.Constant(ir.VectorType(ir.IntType(32), width), lanes) for lanes in (low, high)]
    result = list(vectors)
    for first in range(width):
        if not first & distance:
            pair = vectors[first], vectors[first + distance]
            result[first] = builder.shuffle_vector(*pair, masks[0])
            result[first + distance] = builder.shuffle_vector(*pair, masks[1])
    return result


@intrinsic
def transpose_tile(typing_context, a, a_row, n_rows, n_columns, b, b_row, n_written, scale):
    """Write the transpose of a square of lanes times `scale`, a number or a pointer to one for each column of A.

    Of A the first `n_rows` rows and `n_columns` columns are read, and zeros stand for the rest; of each of the
    `n_columns` rows of B the first `n_written` numbers are written.
    """
    integer = types.int64
    kind = a if isinstance(scale, types.CPointer) else a.dtype
    signature = types.void(a, integer, integer, integer, b, integer, integer, kind)

    def generate(context, builder, signature, arguments):
        a, _, n_rows, n_columns, _, _, n_written, _ = arguments
        # No count is larger than the lanes, a power of two.
        whole = ir.IntType(64)(Emitter(builder, a.type).lanes)
        is_whole = builder.icmp_signed("==", builder.and_(builder.and_(n_rows, n_columns), n_written), whole)
        with builder.if_else(is_whole) as (then, otherwise):
            with then:
                _emit_transposed(builder, *arguments, whole=True)
            with otherwise:
                _emit_transposed(builder, *arguments, whole=False)
        return context.get_dummy_value()

    return signature, generate


def _emit_transposed(builder, a, a_row, n_rows, n_columns, b, b_row, n_written, scale, *, whole):
    emit = Emitter(builder, a.type)
    index, zero = emit.index, emit.index(0)
    read, written = emit.first(n_columns), emit.first(n_written)
    none = ir.Constant(read.type, [0] * emit.lanes)
    if not isinstance(scale.type, ir.PointerType):
        factor = emit.splat(scale)
    else:
        factor = emit.load(scale, zero) if whole else emit.masked_load(scale, zero, read)
    vectors = []
    for r in range(emit.lanes):
        place = builder.mul(index(r), a_row)
        if whole:
            row = emit.load(a, place)
        else:
            row = emit.masked_load(a, place, builder.select(builder.icmp_signed("<", index(r), n_rows), read, none))
        vectors.append(builder.fmul(row, factor))
    distance = 1
    while distance < emit.lanes:
        vectors = _split(builder, vectors, distance)
        distance *= 2
    for c, vector in enumerate(vectors):
        place = builder.mul(index(c), b_row)
        if whole:
            emit.store(vector, b, place)
        else:
            mask = builder.select(builder.icmp_signed("<", index(c), n_columns), written, none)
            emit.masked_store(vector, b, place, mask)


def tile(rows, vectors):
    """Make the product of a register tile: ``C[r, :] (+)= sum_k A[r, k] * B[k, :]``.

    The accumulators stay in registers over all of k. Only the first `live` rows are written, and only the first `tail`
    lanes of the last vector are touched, so that one tile serves every remainder.

    Parameters
    ----------
    rows, vectors : int
        Height, and width in vectors, of the tile.
    """

    @intrinsic
    def product(typing_context, a, a_row, a_step, b, b_row, c, c_row, n_steps, live, tail, fresh):
        integer = types.int64
        signature = types.void(a, integer, integer, b, integer, c, integer, integer, integer, integer, types.boolean)

        def generate(context, builder, signature, arguments):
            emit = Emitter(builder, arguments[0].type)
            # Masked loads and stores are slow without AVX-512, and a mask takes a register from the accumulators.
            is_whole = builder.icmp_signed("==", arguments[9], emit.index(emit.lanes))
            with builder.if_else(is_whole) as (then, otherwise):
                with then:
                    _emit_tile(builder, rows, vectors, *arguments, whole=True)
                with otherwise:
                    _emit_tile(builder, rows, vectors, *arguments, whole=False)
            return context.get_dummy_value()

        return signature, generate

    return product


def _emit_tile(builder, rows, vectors, a, a_row, a_step, b, b_row, c, c_row, n_steps, live, tail, fresh, *, whole):
    emit = Emitter(builder, a.type)
    index = emit.index
    mask = emit.first(tail)
    cut = None if whole else vectors - 1
    last = builder.sub(live, index(1))
    # Rows past the live ones repeat the last live one, so nothing beyond it is read.
    places = [builder.select(builder.icmp_signed("<", index(row), last), index(row), last) for row in range(rows)]
    sums = [cgutils.alloca_once(builder, emit.vector) for _ in range(rows * vectors)]

    def load(pointer, place, vector):
        offset = builder.add(place, index(vector * emit.lanes))
        return emit.masked_load(pointer, offset, mask) if vector == cut else emit.load(pointer, offset)

    for total in sums:
        builder.store(emit.constant(0.0), total)
    starts = [emit.at(a, builder.mul(place, a_row)) for place in places]
    with cgutils.for_range(builder, n_steps) as loop:
        step = loop.index
        across = [load(b, builder.mul(step, b_row), vector) for vector in range(vectors)]
        along = builder.mul(step, a_step)
        for row in range(rows):
            factor = emit.splat(builder.load(emit.at(starts[row], along)))
            for vector in range(vectors):
                total = sums[row * vectors + vector]
                builder.store(emit.multiply_add(factor, across[vector], builder.load(total)), total)
    # What C held is added last: sums over blocks of k err less than one long sum, and less beside a large residual.
    with builder.if_then(builder.not_(fresh)):
        for row in range(rows):
            for vector in range(vectors):
                total = sums[row * vectors + vector]
                before = load(c, builder.mul(places[row], c_row), vector)
                builder.store(builder.fadd(before, builder.load(total)), total)
    for row in range(rows):
        with builder.if_then(builder.icmp_signed("<", index(row), live)):
            for vector in range(vectors):
                offset = builder.add(builder.mul(index(row), c_row), index(vector * emit.lanes))
                total = builder.load(sums[row * vectors + vector])
                if vector == cut:
                    emit.masked_store(total, c, offset, mask)
                else:
                    emit.store(total, c, offset)
