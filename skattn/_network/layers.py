"""The parts a network is made of: the parameters of each, and its rows on the tape."""

import math

import numpy as np

from .._kernels import attention as attention_kernels
from .._kernels import embedding
from .._kernels import pooling as poolings
from .._kernels.activation import DROPOUT, GELU
from .._kernels.attention import ATTENTION
from .._kernels.linear import LINEAR
from .._kernels.norm import NORM
from .._kernels.step import PROBABILITY_UNIT
from .losses import LOSSES

# Deviations of first weights behind a stem, in units of one over the root of their inputs (docs/accuracy.rst).
_INNER, _HEAD = 0.7, 0.3


def linear(
    tape,
    source,
    name,
    n_out,
    *,
    onto=None,
    per_step=True,
    bias=True,
    init=None,
    wants_gradient=True,
    slot=None,
):
    """Map `source` linearly into a new slot, or `onto` one that it is added to.

    Weights are drawn with variance ``1 / n_in``, which keeps the variance of what passes (LeCun et al. 1998, section
    4.6).
    """
    n_in = source.width
    weight, shift = linear_parameters(tape, name, n_in, n_out, bias=bias, init=init, turned=wants_gradient)
    target = onto or tape.slot(n_out, per_step=per_step, name=slot)
    tape.step(
        LINEAR, source=source, target=target, weight=weight, bias=shift, n_in=n_in, n_out=n_out,
        per_step=int(per_step), onto=int(onto is not None), adds=0 if wants_gradient else -1,
    )  # fmt: skip
    return target


def linear_parameters(tape, name, n_in, n_out, *, bias=True, init=None, turned=True):
    """Add the parameters of a linear map, and give their names; -1 for no bias."""
    init = 1 / math.sqrt(n_in) if init is None else init
    weight = tape.parameter(f"{name}.weight", (n_in, n_out), init, decayed=True, turned=turned)
    return weight, tape.parameter(f"{name}.bias", (n_out,), 0.0) if bias else -1


def norm(tape, source, name, *, slot=None):
    """Normalise each step of `source` into a new slot."""
    width = source.width
    scale = tape.parameter(f"{name}.scale", (width,), np.ones(width))
    bias = tape.parameter(f"{name}.bias", (width,), 0.0)
    target = tape.slot(width, name=slot)
    normal, spread = tape.slot(width), tape.slot(1)
    tape.want_scratch(2 * width)
    tape.step(
        NORM,
        source=source,
        target=target,
        normal=normal,
        spread=spread,
        scale=scale,
        bias=bias,
        width=width,
    )
    return target


def dropout(tape, source, rate):
    """Drop a share of `source` while learning; nothing is written where the rate is 0."""
    if rate == 0:
        return source
    target = tape.slot(source.width, per_step=source.per_step)
    # Draws of different dropouts must not coincide.
    site = sum(kind is DROPOUT for kind, _ in tape.steps)
    tape.step(
        DROPOUT, source=source, target=target, width=source.width, per_step=int(source.per_step),
        rate=probability(rate), site=site,
    )  # fmt: skip
    return target


def probability(share):
    """Write a probability as the tape keeps it."""
    return round(share * PROBABILITY_UNIT)


def position_none(tape, stream, architecture):
    """Leave steps without their place in the sequence."""


def position_sinusoidal(tape, stream, architecture):
    """Add sines and cosines of each position (Vaswani et al. 2017, arXiv:1706.03762, section 3.5)."""
    tape.step(embedding.SINUSOIDAL, target=stream, width=stream.width)


def position_learned(tape, stream, architecture):
    """Add a learned vector of each position; later positions than any at fit take the last one's.

    The vectors begin as half the sines and cosines, which learned better than random ones (docs/architecture.rst).
    """
    shape = (architecture.max_steps, stream.width)
    table = tape.parameter("position.weight", shape, 0.5 * sinusoids(*shape))
    tape.step(embedding.LEARNED, target=stream, table=table, width=stream.width, n_table=architecture.max_steps)


def sinusoids(n_steps, width):
    """Give sines (even columns) and cosines (odd) of each position, shape (n_steps, width)."""
    angle = np.arange(n_steps)[:, None] / 10000.0 ** (np.arange(0, width, 2) / width)
    table = np.empty((n_steps, width))
    table[:, 0::2] = np.sin(angle)
    table[:, 1::2] = np.cos(angle)[:, : width // 2]
    return table


POSITIONS = {"none": position_none, "sinusoidal": position_sinusoidal, "learned": position_learned}


def hidden_steps(tape, stream, share):
    """Put a learned vector in the place of a share of the steps, while learning to reconstruct them."""
    token = tape.parameter("hidden_step", (stream.width,), 0.0)
    tape.step(embedding.HIDDEN, target=stream, token=token, width=stream.width, share=probability(share))


def attention(tape, stream, name, architecture):
    """Add to each step what it fetches from those within its window, by several heads.

    Queries and keys are drawn apart, with unit variance for normalised steps, so that ``query @ key / sqrt(d_head)``
    has unit
    variance too (Vaswani et al. 2017, section 3.2.1, footnote 4): softmax begins neither uniform nor saturated. Keys
    have no
    bias: softmax does not see it. What a branch adds at first is scaled by ``1 / sqrt(2 n_layers)`` (Radford et al.
    2019, section 2.3).
    """
    a = architecture
    z = norm(tape, stream, f"{name}.attention_norm")
    wide = None if a.n_kernels == 0 else _INNER / math.sqrt(a.d_model)
    query = linear(tape, z, f"{name}.query", a.n_heads * a.d_head, init=wide, slot=f"{name}.query")
    key = linear(tape, z, f"{name}.key", a.n_kv_heads * a.d_head, init=wide, bias=False, slot=f"{name}.key")
    value = linear(tape, z, f"{name}.value", a.n_kv_heads * a.d_value, init=wide, bias=False, slot=f"{name}.value")
    mixed, kept = tape.slot(a.n_heads * a.d_value), tape.slot(2 * a.n_heads)
    left, right = (attention_kernels.bound(steps) for steps in a.window)
    tape.want_scratch(attention_kernels.scratch_size(a.d_head, a.d_value))
    tape.step(
        ATTENTION, query=query, key=key, value=value, target=mixed, kept=kept, n_heads=a.n_heads,
        n_kv_heads=a.n_kv_heads, d_head=a.d_head, d_value=a.d_value, left=left, right=right,
    )  # fmt: skip
    mixed = dropout(tape, mixed, a.dropout)
    linear(tape, mixed, f"{name}.output", a.d_model, onto=stream, init=_branch(mixed.width, a))


def feedforward(tape, stream, name, architecture):
    """Add to each step a function of that step alone: a linear map, GELU, and a linear map back."""
    a = architecture
    if not a.d_feedforward:
        return
    z = norm(tape, stream, f"{name}.feedforward_norm")
    init = None if a.n_kernels == 0 else _INNER / math.sqrt(a.d_model)
    wide = linear(tape, z, f"{name}.expand", a.d_feedforward, init=init)
    bent = tape.slot(a.d_feedforward)
    tape.step(GELU, source=wide, target=bent, width=a.d_feedforward)
    bent = dropout(tape, bent, a.dropout)
    linear(tape, bent, f"{name}.contract", a.d_model, onto=stream, init=_branch(a.d_feedforward, a))


def _branch(n_in, architecture):
    a = architecture
    return 1 / math.sqrt(n_in * 2 * a.n_layers) if a.n_kernels == 0 else 0.5 / math.sqrt(n_in)


def _pool(kind, **fields):
    def write(tape, source, target, column):
        tape.step(kind, source=source, target=target, column=column, width=source.width, **fields)

    return write


def _pool_attention(tape, source, target, column):
    query = tape.parameter("pooling.query", (source.width,), 0.0)
    tape.step(
        poolings.ATTENTION, source=source, target=target, column=column, width=source.width, query=query,
        shares=tape.slot(1),
    )  # fmt: skip


_mean, _max = _pool(poolings.MEAN), _pool(poolings.MAX)
# Each pooling: what fills its columns, a width of the sequence each.
POOLINGS = {
    "mean": (_mean,),
    "max": (_max,),
    "mean_max": (_mean, _max),
    "first": (_pool(poolings.SELECT, last=0),),
    "last": (_pool(poolings.SELECT, last=1),),
    "attention": (_pool_attention,),
}


def head_init(features, architecture):
    """Deviation of the first weights of the outputs: none, but for the features of a stem (docs/accuracy.rst)."""
    return _HEAD / math.sqrt(features.width) if architecture.n_kernels else 0.0


def pooling(tape, source, kind):
    """Pool the steps of `source` into one vector."""
    parts = POOLINGS[kind]
    target = tape.slot(len(parts) * source.width, per_step=False, name="features")
    tape.want_scratch(source.width)
    for i, part in enumerate(parts):
        part(tape, source, target, i * source.width)
    return target


def loss(tape, architecture, outputs, wanted, loss, source):
    """Compare `outputs` with what is `wanted`, or with the hidden steps of `source`."""
    kind, fields = LOSSES[architecture.loss], {}
    if kind.reconstructs:
        fields = {"input": source, "share": probability(architecture.hidden_fraction)}
    elif kind.n_spread != 0:
        fields = {"smoothing": probability(architecture.label_smoothing)}
    tape.step(kind.step, source=outputs, wanted=wanted, loss=loss, n_outputs=outputs.width, **fields)
