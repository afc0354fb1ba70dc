"""The parts a network is made of: the parameters of each, and its rows on the tape."""

import math

import numpy as np

from .._kernels import convolve
from .._kernels import pooling as poolings
from .._kernels.activation import GELU
from .._kernels.contrast import AUGMENT
from .._kernels.convolve import CONVOLVE
from .._kernels.dropout import DROP_ROWS, DROPOUT
from .._kernels.input import HIDE, MARK, STANDARDISE, TAKE
from .._kernels.linear import LINEAR
from .._kernels.lookup import LOOKUP, MISSING
from .._kernels.norm import NORM
from .._kernels.operation import PROBABILITY_UNIT
from .._kernels.position import HIDDEN
from .._kernels.reconstruction import CATEGORY
from .losses import LOSSES
from .rules import Filled, Normal
from .tape import APART, DECAYED

# Deviations of first weights behind a stem, in units of one over the root of their inputs (docs/accuracy.rst).
_INNER, _HEAD = 0.7, 0.3
# Deviation of the first vectors that are looked up: from small ones they are learned sooner (docs/accuracy.rst).
_TABLE = 0.1
UNKNOWN = 0.05
"""Share of the codes that are taken for unknown while learning, so that what stands for these is learned too."""
HIDDEN_VALUES = 0.2
"""Share of the values of a step that are hidden while others of it are there, where values may be missing."""

JITTER, SCALING, MASK = 0.1, 0.2, 0.15
"""How views of a sequence are changed: deviation of the noise that is added to numbers, in theirs, and of the factors
of features; share of the steps that are masked, and of the codes that are taken for unknown."""


def standardised(tape, columns, n_columns):
    """Begin with the numbers of the sequence's steps, in deviations from the mean of each feature."""
    width = len(columns)
    source = tape.slot(width, name="input")
    mean, scale = (tape.constant(give) for give in (lambda network, _: network.mean, lambda network, _: network.scale))
    tape.operation(
        STANDARDISE, target=source, width=width, mean=mean, scale=scale, columns=_numbers(tape, columns),
        n_columns=n_columns,
    )  # fmt: skip
    return source


def convolution(tape, source, name, n_out, taps, *, stride=1, left=0, deviation=None):
    """Convolve `source` into a new slot, with a row for so many of its own."""
    weight, bias = linear_parameters(tape, name, taps * source.width, n_out, deviation=deviation)
    target = tape.slot(n_out, axis=tape.axis(stride))
    tape.want_scratch(convolve.scratch_size(source.width, n_out, taps))
    tape.operation(
        CONVOLVE, source=source, target=target, weight=weight, bias=bias, n_in=source.width, n_out=n_out, taps=taps,
        stride=stride, left=left,
    )  # fmt: skip
    return target


def _numbers(tape, columns):
    """Name where numbers stand among the columns of a step."""
    table = np.array(columns, np.int64)
    return tape.constant(lambda network, _: table)


def steps(tape, architecture, marks_input=False):
    """Begin with the sequence's steps, embedded: the numbers as they are told, if any, and what is embedded of them.

    Each feature that is a category adds a vector of its own, and so does each number that is missing.
    """
    a, source, stream = architecture, None, None
    hiding = _hiding(a)
    if a.numbers:
        source = shown = standardised(tape, a.numbers, a.n_features)
        if a.augmentations:
            augmented(tape, source, a.augmentations)
        if hiding["fraction"] >= 0:
            shown = tape.slot(source.width)
            columns = {"columns": _numbers(tape, a.numbers), "n_columns": a.n_features}
            tape.operation(HIDE, source=source, target=shown, width=source.width, **columns, **hiding)
        stream = linear(tape, shown, "embedding", a.d_model, wants_gradient=False)
        if a.handles_missing:
            table = tape.parameter("missing.weight", (len(a.numbers), a.d_model), Normal(0), group=DECAYED)
            tape.operation(
                MISSING, target=stream, width=a.d_model, columns=_numbers(tape, a.numbers), n_columns=a.n_features,
                n_numbers=len(a.numbers), table=table, **hiding,
            )  # fmt: skip
    for number, (column, n_codes) in enumerate(a.categories):
        rate = 0.0 if marks_input else MASK if "mask" in a.augmentations else UNKNOWN
        stream = _lookup(tape, stream, number, column, n_codes, a, rate)
    if marks_input:
        tape.operation(MARK, target=stream, width=a.d_model)
    if a.n_taps:
        left = a.n_taps - 1 if a.is_causal else a.n_taps // 2
        deviation = 1 / math.sqrt(a.n_taps * a.d_model)
        # Vectors that were looked up begin small; what they are turned into does not.
        deviation /= 1 if a.numbers else _TABLE
        options = {"left": left, "deviation": deviation}
        stream = gelu(tape, convolution(tape, stream, "convolution", a.d_model, a.n_taps, **options))
    if a.patch_size:
        stream = convolution(tape, stream, "patch", a.d_model, a.patch_size, stride=a.stride)
    return source, stream


def augmented(tape, source, augmentations):
    """Change the numbers of a view while learning."""
    sizes = {
        name: probability(size if name in augmentations else 0)
        for name, size in (("jitter", JITTER), ("scaling", SCALING), ("mask", MASK))
    }
    tape.operation(AUGMENT, target=source, width=source.width, **sizes)


def _hiding(architecture):
    """Say what of steps is hidden as if it were missing: nothing, or some steps and some values of the others."""
    if not architecture.hides_values:
        return {"fraction": -1, "share": 0}
    return {"fraction": probability(architecture.hidden_fraction), "share": probability(HIDDEN_VALUES)}


def _lookup(tape, stream, number, column, n_codes, architecture, rate):
    """Give, or add, the vectors of a category; a share of the codes is taken for unknown while learning."""
    a, target = architecture, stream or tape.slot(architecture.d_model)
    rule = Normal(_TABLE / math.sqrt(a.n_features))
    table = tape.parameter(f"categories.{number}.weight", (n_codes + 1, a.d_model), rule, group=APART)
    tape.operation(
        LOOKUP, target=target, width=a.d_model, column=column, n_columns=a.n_features, codes=_codes(tape, number),
        n_codes=n_codes, table=table, onto=int(stream is not None), rate=probability(rate), site=_site(tape),
        number=number, n_tables=len(a.categories), **_hiding(a),
    )  # fmt: skip
    return target


def _codes(tape, number):
    """Name the codes that are known of a category."""
    return tape.constant(lambda network, _: network.codes[number])


def _site(tape):
    """Give the number of an operation that draws: draws of two must not coincide."""
    return sum(kind in (DROPOUT, LOOKUP) for kind, _ in tape.operations)


def embedded(tape, width, d_model):
    """Begin with tokens that were embedded before, a batch at a time (projector.py); the parameters of that."""
    source = tape.slot(d_model, name="input")
    linear_parameters(tape, "embedding", width, d_model, turned=False, group=APART)
    tape.operation(TAKE, target=source, width=d_model)
    return source


def linear(tape, source, name, n_out, *, onto=None, bias=True, deviation=None, wants_gradient=True, slot=None):
    """Map `source` linearly into a new slot, or `onto` one that it is added to.

    Weights are drawn with variance ``1 / n_in``, which keeps the variance of what passes (LeCun et al. 1998, section
    4.6).
    """
    n_in = source.width
    weight, shift = linear_parameters(tape, name, n_in, n_out, bias=bias, deviation=deviation, turned=wants_gradient)
    target = onto or tape.slot(n_out, axis=source.axis, name=slot)
    tape.operation(
        LINEAR, source=source, target=target, weight=weight, bias=shift, n_in=n_in, n_out=n_out,
        onto=int(onto is not None), adds=0 if wants_gradient else -1,
    )  # fmt: skip
    return target


def linear_parameters(tape, name, n_in, n_out, *, bias=True, deviation=None, turned=True, group=DECAYED):
    """Add the parameters of a linear map, and give their names; -1 for no bias."""
    rule = Normal(1 / math.sqrt(n_in) if deviation is None else deviation)
    weight = tape.parameter(f"{name}.weight", (n_in, n_out), rule, group=group, turned=turned)
    return weight, tape.parameter(f"{name}.bias", (n_out,), Normal(0)) if bias else -1


def norm(tape, source, name, *, slot=None):
    """Normalise each row of `source` into a new slot."""
    width = source.width
    scale = tape.parameter(f"{name}.scale", (width,), Filled(1))
    bias = tape.parameter(f"{name}.bias", (width,), Normal(0))
    target = tape.slot(width, axis=source.axis, name=slot)
    normal, spread = tape.slot(width, axis=source.axis), tape.slot(1, axis=source.axis)
    tape.want_scratch(2 * width)
    tape.operation(
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
    target = tape.slot(source.width, axis=source.axis)
    tape.operation(DROPOUT, source=source, target=target, width=source.width, rate=probability(rate), site=_site(tape))
    return target


def dropped_rows(tape, stream, rate):
    """Zero a share of the rows of `stream` while learning; nothing is written where the rate is 0."""
    if rate:
        tape.operation(DROP_ROWS, target=stream, width=stream.width, rate=probability(rate), site=_site(tape))


def probability(fraction):
    """Write a probability as the tape keeps it."""
    return round(fraction * PROBABILITY_UNIT)


def projection(tape, features, architecture):
    """Map features into a hidden layer of what makes embeddings of them (Chen et al. 2020, section 2.1)."""
    return gelu(tape, linear(tape, features, "head.hidden", architecture.d_model))


def hidden_steps(tape, stream, fraction):
    """Put a learned vector in the place of a share of the steps, while learning to reconstruct them."""
    token = tape.parameter("hidden_step", (stream.width,), Normal(0))
    tape.operation(HIDDEN, target=stream, token=token, width=stream.width, fraction=probability(fraction))


def feedforward(tape, stream, name, architecture):
    """Add to each step a function of that step alone: a linear map, GELU, and a linear map back."""
    a = architecture
    if not a.d_feedforward:
        return
    z = norm(tape, stream, f"{name}.feedforward_norm")
    wide = linear(tape, z, f"{name}.expand", a.d_feedforward, deviation=inner_deviation(a))
    bent = dropout(tape, gelu(tape, wide), a.dropout)
    linear(tape, bent, f"{name}.contract", a.d_model, onto=stream, deviation=branch_deviation(a.d_feedforward, a))


def gelu(tape, source):
    """Bend each number of `source` into a new slot."""
    bent = tape.slot(source.width, axis=source.axis)
    tape.operation(GELU, source=source, target=bent, width=source.width)
    return bent


def inner_deviation(architecture):
    """Deviation of the first weights within a branch behind a stem; None for that of any linear map."""
    return _INNER / math.sqrt(architecture.d_model) if architecture.n_kernels else None


def branch_deviation(n_in, architecture):
    """Deviation of the first weights of what a branch adds: less of many layers, or of a stem's."""
    a = architecture
    return 1 / math.sqrt(n_in * 2 * a.n_layers) if a.n_kernels == 0 else 0.5 / math.sqrt(n_in)


def _pool(kind, **fields):
    def write(tape, source, target, column):
        tape.operation(kind, source=source, target=target, column=column, width=source.width, **fields)

    return write


def _pool_attention(tape, source, target, column, n_heads):
    number = column // source.width
    # One alone begins with the mean; of several that began alike all would stay alike.
    rule = Normal(float(target.width > source.width))
    query = tape.parameter(f"{name_of_pooling(number)}.query", (source.width,), rule)
    tape.operation(
        poolings.ATTENTION, source=source, target=target, column=column, width=source.width, query=query,
        n_heads=n_heads, weights=tape.slot(n_heads, axis=source.axis, name=f"{name_of_pooling(number)}.weights"),
    )  # fmt: skip


def name_of_pooling(number):
    """Give what the names of a query that pools begin with; that of the first has no number, as one alone had none."""
    return f"pooling.{number}" if number else "pooling"


_mean, _max = _pool(poolings.MEAN), _pool(poolings.MAX)
# Each pooling: what fills its columns, a width of the sequence each.
POOLINGS = {
    "mean": (_mean,),
    "max": (_max,),
    "mean_max": (_mean, _max),
    "first": (_pool(poolings.SELECT, is_last=0),),
    "last": (_pool(poolings.SELECT, is_last=1),),
    "attention": (_pool_attention,),
}


def head_deviation(features, architecture):
    """Deviation of the first weights of the outputs: none, but for the features of a stem (docs/accuracy.rst)."""
    if LOSSES[architecture.loss].contrasts:
        # Embeddings of 0 have no direction.
        return None
    return _HEAD / math.sqrt(features.width) if architecture.n_kernels else 0.0


def pooling_parts(kind, n_queries):
    """Give what fills the columns of a pooling, a width of the sequence each."""
    return POOLINGS[kind] * (n_queries if kind == "attention" else 1)


def pooling(tape, source, kind, n_queries=1, n_heads=1):
    """Pool the rows of `source` into one vector."""
    parts, options = pooling_parts(kind, n_queries), {"n_heads": n_heads} if kind == "attention" else {}
    target = tape.slot(len(parts) * source.width, axis=tape.once, name="features")
    tape.want_scratch(source.width)
    for i, part in enumerate(parts):
        part(tape, source, target, i * source.width, **options)
    return target


def loss(tape, architecture, outputs, source):
    """Compare `outputs` with what is wanted of them, or with steps of `source`."""
    entry = LOSSES[architecture.loss]
    fields = {} if entry.contrasts else {"has_shares": int(architecture.is_stepwise)}
    if entry.reconstructs:
        return _reconstruction(tape, architecture, outputs, source, entry)
    if entry.n_spread != 0:
        fields["smoothing"] = probability(architecture.label_smoothing)
    if architecture.quantiles:
        levels = tape.constant(lambda network, _: np.array(network.architecture.quantiles, network.dtype))
        fields |= {"levels": levels, "n_levels": len(architecture.quantiles)}
    target = tape.slot(1, axis=tape.once, name="loss")
    return tape.operation(entry.kind, source=outputs, target=target, n_outputs=outputs.width, **fields)


def _reconstruction(tape, architecture, outputs, source, entry):
    """Compare what is told of steps with what they are: numbers by their difference, categories by cross-entropy."""
    a, target = architecture, tape.slot(1, axis=tape.once, name="loss")
    alike = {
        **{"source": outputs, "target": target, "n_outputs": outputs.width, "n_columns": a.n_features},
        **{"fraction": probability(a.hidden_fraction), "share": _hiding(a)["share"], "ahead": entry.n_ahead},
    }
    tape.operation(
        entry.kind, input=source or outputs, width=len(a.numbers), columns=_numbers(tape, a.numbers), **alike
    )
    first = len(a.numbers)
    for number, (column, n_codes) in enumerate(a.categories):
        tape.operation(CATEGORY, first=first, column=column, codes=_codes(tape, number), n_codes=n_codes, **alike)
        first += n_codes
