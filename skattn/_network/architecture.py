"""What decides a network's shape, and the tape that follows from it."""

from dataclasses import dataclass, replace

from . import layers
from .attending import attention
from .losses import LOSSES
from .positions import POSITIONS
from .stem import stem_width
from .tape import Tape

AUGMENTATIONS = ("jitter", "scaling", "crop", "mask")
"""Ways in which two views of a sequence may differ: noise, features stretched, a piece of it, steps without what they
hold."""


@dataclass(frozen=True)
class Architecture:
    """All that decides a network's shape, resolved to plain values.

    ``loss`` is a key of `losses.LOSSES`; `window` is a pair of steps that a query sees to its left and right, None for
    all; `d_feedforward` 0 leaves the feed-forward part out; `max_steps` is the length of the learned table of
    positions; `hidden_fraction` the share of steps hidden for reconstruction; `token_dropout` that of embedded steps,
    or tokens, which an update does not see; `label_smoothing` that of a label which is spread over all of them;
    `categories` has a pair for each feature that is one, its column and how many codes are known of it;
    `handles_missing` says whether numbers may be missing; `n_taps` is how many steps a convolution reads that follows
    the embedding, 0 without one; `patch_size` how many steps a token is made of, one every `stride`, 0 where a step is
    a token, or a stem makes them; `time_feature` is the column that tells when a step was, None where steps are even;
    `is_stepwise` says whether there is an output for each step, rather than for the sequence; `quantiles` are those
    that the outputs of each value stand for, in (0, 1);
    `n_pooling_queries` says how many learned queries pool by attention, each by `n_pooling_heads` heads; `frozen` are
    names of parameters that do not learn; `adapter_rank` is the rank of what is added to the projections of
    attention, 0 for nothing; `attention` is one of `attending.FORMS`; of its window a step sees one place in
    `dilation`, and the first `n_global_steps` see and are seen by all; `top_k` says how many of what it sees a step
    reads, 0 for all; `augmentations` are words of `AUGMENTATIONS`, ways in which two views of a sequence differ
    that are told from those of others, at a `temperature`; `heads` says which heads are left where some were taken
    out: of every layer the numbers of those that share keys and values, a group for each of these, all groups alike in
    size.
    """

    n_features: int
    n_outputs: int
    loss: str
    d_model: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_value: int
    n_layers: int
    d_feedforward: int
    position: str
    max_steps: int
    window: tuple
    pooling: str | None
    dropout: float = 0.0
    hidden_fraction: float = 0.15
    n_kernels: int = 0
    stride: int = 1
    embedding_dropout: float = 0.0
    token_dropout: float = 0.0
    label_smoothing: float = 0.0
    categories: tuple = ()
    handles_missing: bool = False
    n_taps: int = 0
    patch_size: int = 0
    time_feature: int | None = None
    is_stepwise: bool = False
    quantiles: tuple = ()
    n_pooling_queries: int = 1
    n_pooling_heads: int = 1
    frozen: tuple = ()
    adapter_rank: int = 0
    attention: str = "softmax"
    dilation: int = 1
    n_global_steps: int = 0
    top_k: int = 0
    augmentations: tuple = ()
    temperature: float = 0.0
    heads: tuple = ()

    def groups_of(self, layer):
        """Give the heads of a layer: the numbers of those that share keys and values, a group for each of these."""
        size = self.n_heads // self.n_kv_heads
        all_of_them = tuple(tuple(range(size * i, size * (i + 1))) for i in range(self.n_kv_heads))
        return self.heads[layer] if self.heads else all_of_them

    def heads_of(self, layer):
        """Give the numbers of the heads of a layer."""
        return sum(self.groups_of(layer), ())

    @property
    def is_causal(self):
        """Whether no step may see later ones."""
        return self.window[1] == 0

    @property
    def hides_values(self):
        """Whether steps and values are hidden as if they were missing."""
        return self.handles_missing and LOSSES[self.loss].hides

    @property
    def numbers(self):
        """Columns of the features that are numbers."""
        categories = {column for column, _ in self.categories}
        categories.add(self.time_feature)
        return tuple(column for column in range(self.n_features) if column not in categories)

    @property
    def n_reconstructed(self):
        """Outputs that tell a step: one for each number, one for each code of a category."""
        return len(self.numbers) + sum(n_codes for _, n_codes in self.categories)

    @property
    def d_input(self):
        """Numbers of a step, or of a token where there is a stem."""
        return stem_width(self.n_features, self.n_kernels, self.is_causal) if self.n_kernels else self.n_features


def write_tape(architecture, *, marks_input=False):
    """Write the operations of a network in order: input, embedding, layers, pooling, outputs, loss.

    With `marks_input` the gradient of embedded steps is given to who wants it, as that of embedded tokens always is.
    """
    a, tape = architecture, Tape(architecture.frozen)
    reconstructs = LOSSES[a.loss].reconstructs
    if a.n_kernels:
        source = stream = layers.embedded(tape, a.d_input, a.d_model)
    else:
        source, stream = layers.steps(tape, a, marks_input)
    if LOSSES[a.loss].hides and not a.hides_values:
        layers.hidden_steps(tape, stream, a.hidden_fraction)
    layers.dropped_rows(tape, stream, a.token_dropout)
    places = POSITIONS[a.position](tape, stream, a)
    for i in range(a.n_layers):
        attention(tape, stream, i, a, places)
        layers.feedforward(tape, stream, f"layers.{i}", a)
    steps = layers.norm(tape, stream, "norm", slot="steps")
    if reconstructs:
        outputs = layers.linear(tape, steps, "head", a.n_reconstructed, slot="outputs")
    elif a.is_stepwise:
        features = layers.dropout(tape, steps, a.dropout)
        deviation = layers.head_deviation(features, a)
        outputs = layers.linear(tape, features, "head", a.n_outputs, deviation=deviation, slot="outputs")
    else:
        features = layers.pooling(tape, steps, a.pooling or "mean", a.n_pooling_queries, a.n_pooling_heads)
        features = layers.dropout(tape, features, a.dropout)
        if LOSSES[a.loss].contrasts:
            features = layers.projection(tape, features, a)
        deviation = layers.head_deviation(features, a)
        outputs = layers.linear(tape, features, "head", a.n_outputs, deviation=deviation, slot="outputs")
    layers.loss(tape, a, outputs, source)
    if (reconstructs or a.is_stepwise) and a.pooling is not None:
        # Features are not learned from: what comes after the loss has no gradient.
        layers.pooling(tape, steps, a.pooling, a.n_pooling_queries, a.n_pooling_heads)
    return tape


def count_parameters(architecture):
    """Give how many parameters a network has, before any is there."""
    return _for_all_layers(architecture, lambda tape: tape.layout().size)


def count_workspace(architecture, n_steps):
    """Give how many numbers a sequence takes on its way forwards and back."""
    return _for_all_layers(architecture, lambda tape: tape.workspace(n_steps, backward=True)[0])


def _for_all_layers(architecture, measure):
    """Measure the tape. Layers are alike, so a second one tells what each more would add, however many there are.

    Not where heads were taken out; but then there is a list of them, which has been there before.
    """
    if architecture.heads:
        return measure(write_tape(architecture))
    one, two = (measure(write_tape(replace(architecture, n_layers=n))) for n in (1, 2))
    return one + (architecture.n_layers - 1) * (two - one)
