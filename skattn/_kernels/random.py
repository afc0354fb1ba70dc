"""Random numbers that are counted, not kept: the same on every machine and thread, and for a sequence in any batch."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .jit import Int, kernel
from .operation import PROBABILITY_UNIT, TRANSFORM, Call

# Sites of random numbers, so that no two draws of one update coincide; operations that draw are numbered behind.
CROP_SITE, VIEW_SITE, VALUE_SITE, FEATURE_SITE, HIDE_SITE, OPERATION_SITE = -3, -2, -1, 0, 1, 2


@intrinsic
def mix(typing_context, state):
    """Mix 64 bits by splitmix64 (Steele, Lea & Flood 2014, OOPSLA); loops over it turn into vectors."""

    def generate(context, builder, signature, arguments):
        constant = ir.IntType(64)
        state = builder.add(arguments[0], constant(0x9E3779B97F4A7C15))
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            state = builder.mul(builder.xor(state, builder.lshr(state, constant(shift))), constant(factor))
        return builder.xor(state, builder.lshr(state, constant(31)))

    return types.int64(types.int64), generate


@kernel
def drawing(call: Call, site: Int) -> Int:
    """Give what the draws of a site begin from; draw number i is ``mix(drawing + i) & (PROBABILITY_UNIT - 1)``.

    Draws count from (seed, update, sample, site), so they are the same on every machine and thread.
    """
    return drawing_of(call.seed, call.update, call.sample, site)


@kernel
def drawing_of(seed: Int, update: Int, sample: Int, site: Int) -> Int:
    """Give what the draws of a site begin from, for who has no call."""
    state = mix(seed * 0x1F83D9AB + update)
    return mix(state * 0x2545F491 + sample) + site * 0x3C6EF372


@kernel
def hides(call: Call, step: Int, fraction: Int) -> Int:
    """Give 1 for a step that is hidden for reconstruction, 0 for others; each sequence has at least one such step."""
    if call.purpose == TRANSFORM:
        return 0
    begin = drawing(call, HIDE_SITE)
    forced = (mix(begin - 1) & (PROBABILITY_UNIT - 1)) % call.n_steps
    return 1 if step == forced or (mix(begin + step) & (PROBABILITY_UNIT - 1)) < fraction else 0


@kernel
def hides_value(call: Call, step: Int, column: Int, n_columns: Int, fraction: Int, share: Int) -> Int:
    """Give 1 for a value that is hidden: those of hidden steps, and a share of the others; none if `fraction` is -1."""
    if fraction < 0 or call.purpose == TRANSFORM:
        return 0
    if hides(call, step, fraction):
        return 1
    return 1 if (mix(drawing(call, VALUE_SITE) + step * n_columns + column) & (PROBABILITY_UNIT - 1)) < share else 0
