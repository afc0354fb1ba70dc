"""What every step of the network is told, and the few things that all of them ask.

A step is a forward/backward pair of kernels with these parameters, shapes in brackets:

row [fields of its kind]
    Its row on the tape: slots, offsets into the parameters, sizes.
call [N_CALL]
    Which sequence is at hand; the constants below number the entries.
place [n_slots]
    Where each slot begins within `values`, and its gradient within `d_values`.
weights, transposed [n_parameters]
    The flat parameters, and the same with every matrix transposed.
values, d_values
    The slots of this sequence and their gradients.
d_weights [n_parameters]
    Gradient of the parameters; steps add to it.
scratch
    Room whose content does not outlive the step.
"""

from dataclasses import dataclass

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .ahead import N_AHEAD
from .jit import Int, Ints, Kernel, kernel

# `TRAINING` is one of the next three: what is learned from is dropped and hidden, what is judged is hidden only.
TRANSFORM, LEARN, JUDGE = 0, 1, 2
N_STEPS, SAMPLE, SEED, UPDATE, TRAINING, PART, N_PARTS, POSITIONS, AHEAD = range(9)
# From `AHEAD` on, an empty list of what to fetch ahead (ahead.py): a sequence on its way is in cache.
N_CALL = AHEAD + N_AHEAD
# Sites of random numbers, so that no two draws of one update coincide.
FEATURE_SITE, HIDE_SITE, DROPOUT_SITE = 0, 1, 2
# Probabilities are kept on the tape as whole numbers of this many parts.
PROBABILITY_UNIT = 1 << 24
# Parts of a sequence begin at multiples of this many steps, as blocks of queries do.
GRANULE = 64


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of step; it stands beside its pair.

    Attributes
    ----------
    name : str
    forward, backward : Kernel
        Its pair.
    fields : tuple of str
        What its row holds, from ``row[1]`` on. "adds" is filled in by the tape: whether the gradient of what is read is
        added to (1), begun (0), or not wanted (-1).
    reads : tuple of str
        Fields that name slots whose gradients the backward kernel gives; without "adds" it begins them.
    """

    name: str
    forward: Kernel
    backward: Kernel
    fields: tuple
    reads: tuple = ("source",)


@kernel
def part_begin(call: Ints, part: Int) -> Int:
    """Give the first step of a part of the sequence."""
    blocks = (call[N_STEPS] + GRANULE - 1) // GRANULE
    return min(part * blocks // call[N_PARTS] * GRANULE, call[N_STEPS])


@kernel
def row_begin(call: Ints, per_step: Int) -> Int:
    """Give the first row that this part works on; what has one row only is the first part's."""
    return part_begin(call, call[PART]) if per_step else 0


@kernel
def row_end(call: Ints, per_step: Int) -> Int:
    """Give the end of the rows that this part works on."""
    if per_step:
        return part_begin(call, call[PART] + 1)
    return 1 if call[PART] == 0 else 0


@intrinsic
def scatter(typing_context, state):
    """Scatter 64 bits by splitmix64 (Steele, Lea & Flood 2014, OOPSLA); loops over it turn into vectors."""

    def generate(context, builder, signature, arguments):
        constant = ir.IntType(64)
        state = builder.add(arguments[0], constant(0x9E3779B97F4A7C15))
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            state = builder.mul(builder.xor(state, builder.lshr(state, constant(shift))), constant(factor))
        return builder.xor(state, builder.lshr(state, constant(31)))

    return types.int64(types.int64), generate


@kernel
def drawing(call: Ints, site: Int) -> Int:
    """Give what the draws of a site begin from; draw number i is ``scatter(drawing + i) & (PROBABILITY_UNIT - 1)``.

    Draws count from (seed, update, sample, site), so they are the same on every machine and thread.
    """
    return drawing_of(call[SEED], call[UPDATE], call[SAMPLE], site)


@kernel
def drawing_of(seed: Int, update: Int, sample: Int, site: Int) -> Int:
    """Give what the draws of a site begin from, for who has no call."""
    state = scatter(seed * 0x1F83D9AB + update)
    return scatter(state * 0x2545F491 + sample) + site * 0x3C6EF372


@kernel
def hides(call: Ints, step: Int, share: Int) -> Int:
    """Give 1 for a step that is hidden for reconstruction, 0 for others; each sequence has at least one such step."""
    if call[TRAINING] == TRANSFORM:
        return 0
    begin = drawing(call, HIDE_SITE)
    forced = (scatter(begin - 1) & (PROBABILITY_UNIT - 1)) % call[N_STEPS]
    return 1 if step == forced or (scatter(begin + step) & (PROBABILITY_UNIT - 1)) < share else 0
