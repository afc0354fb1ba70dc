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
# Bytes that come from memory together.
_LINE = 64
# Stand for minus infinity among scores, below any number: the difference of two of these is 0.
LOWEST = {"float": -3.4028234663852886e38, "double": -1.7976931348623157e308}


def _machine():
    """Give (bits of a vector, whether it multiplies and adds in one step, vector registers) of this CPU."""
    features = cpu_features()
    wanted = os.environ.get("SKATTN_VECTOR_BITS", "native")
    if wanted != "native":
        return int(wanted), False, 16
    if "avx512f" in features:
        return 512, True, 32
    if "avx2" in features and "fma" in features:
        return 256, True, 16
    if "neon" in features:
        return 128, True, 32
    return 128, False, 16


VECTOR_BITS, _HAS_FMA, _REGISTERS = _machine()
# Rows of the register tile by its width in vectors: accumulators, a row of vectors and a broadcast fit the registers.
TILE_ROWS = {1: 8, 2: 8, 3: 8, 4: 6} if _REGISTERS == 32 else {1: 8, 2: 6, 3: 4}


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

    def _integer(self, number):
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

    def maximum(self, a, b):
        """Give the larger of two; where `b` is not a number, `b`."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def exp2(self, x, *, exact_zero=False):
        """Give ``2 ** x`` for x below 127 (1023): not a number stays so, the smallest normal number is the floor.

        With `exact_zero` what lies below the floor gives 0.
        """
        builder = self.builder
        bounded = self.maximum(self.constant(_SMALLEST[self.kind]), x)
        whole = self._call(f"llvm.nearbyint.{self._suffix}", self.vector, bounded)
        rest = builder.fsub(bounded, whole)
        coefficients = _EXP2[self.kind]
        power = self.constant(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            power = self.multiply_add(power, rest, self.constant(coefficient))
        exponent = builder.shl(builder.fptosi(whole, self.integers), self._integer(_MANTISSA[self.kind]))
        result = builder.bitcast(builder.add(builder.bitcast(power, self.integers), exponent), self.vector)
        if exact_zero:
            below = builder.fcmp_ordered("<", x, self.constant(_SMALLEST[self.kind]))
            result = builder.select(below, self.constant(0.0), result)
        return result


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
        return Emitter(builder, arguments[0].type, width=0).exp2(arguments[0])

    return x(x), generate


@intrinsic
def lanes_of(typing_context, pointer):
    """Give how many of a pointer's numbers a vector holds."""

    def generate(context, builder, signature, arguments):
        return ir.Constant(ir.IntType(64), Emitter(builder, arguments[0].type).lanes)

    return types.int64(pointer), generate


@intrinsic
def prefetch(typing_context, pointer, count):
    """Ask for so many numbers to be brought near, without waiting for them."""

    def generate(context, builder, signature, arguments):
        pointer, count = arguments
        step = _LINE // Emitter(builder, pointer.type).itemsize
        integer = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, integer, integer, integer])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        lines = builder.sdiv(builder.add(count, ir.IntType(64)(step - 1)), ir.IntType(64)(step))
        with cgutils.for_range(builder, lines) as loop:
            place = builder.gep(pointer, [builder.mul(loop.index, ir.IntType(64)(step))])
            # For reading, into the second-level cache, as data.
            builder.call(function, [place, integer(0), integer(2), integer(1)])
        return context.get_dummy_value()

    return types.void(pointer, types.int64), generate


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
    """Write the transpose of a square of lanes, times `scale`: ``B[c, r] = scale * A[r, c]``.

    Of A the first `n_rows` rows and `n_columns` columns are read, and zeros stand for the rest; of each of the
    `n_columns` rows of B the first `n_written` numbers are written.
    """
    integer = types.int64
    signature = types.void(a, integer, integer, integer, b, integer, integer, a.dtype)

    def generate(context, builder, signature, arguments):
        a, a_row, n_rows, n_columns, b, b_row, n_written, scale = arguments
        emit = Emitter(builder, a.type)
        index, factor, zero = emit.index, emit.splat(scale), emit.index(0)
        vectors = []
        for r in range(emit.lanes):
            live = builder.select(builder.icmp_signed("<", index(r), n_rows), n_columns, zero)
            row = emit.masked_load(a, builder.mul(index(r), a_row), emit.first(live))
            vectors.append(builder.fmul(row, factor))
        distance = 1
        while distance < emit.lanes:
            vectors = _split(builder, vectors, distance)
            distance *= 2
        for c in range(emit.lanes):
            live = builder.select(builder.icmp_signed("<", index(c), n_columns), n_written, zero)
            emit.masked_store(vectors[c], b, builder.mul(index(c), b_row), emit.first(live))
        return context.get_dummy_value()

    return signature, generate


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
            _emit_tile(builder, rows, vectors, *arguments)
            return context.get_dummy_value()

        return signature, generate

    return product


def _emit_tile(builder, rows, vectors, a, a_row, a_step, b, b_row, c, c_row, n_steps, live, tail, fresh):
    emit = Emitter(builder, a.type)
    index = emit.index
    mask = emit.first(tail)
    last = builder.sub(live, index(1))
    # Rows past the live ones repeat the last live one, so nothing beyond it is read.
    places = [builder.select(builder.icmp_signed("<", index(row), last), index(row), last) for row in range(rows)]
    sums = [cgutils.alloca_once(builder, emit.vector) for _ in range(rows * vectors)]

    def load(pointer, place, vector):
        offset = builder.add(place, index(vector * emit.lanes))
        return emit.masked_load(pointer, offset, mask) if vector == vectors - 1 else emit.load(pointer, offset)

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
                if vector == vectors - 1:
                    emit.masked_store(total, c, offset, mask)
                else:
                    emit.store(total, c, offset)
