"""The network of every estimator: flat parameters, forward passes, and the loss and gradient of a batch."""

from dataclasses import asdict, dataclass

import numpy as np

from . import layers
from .carrier import Carrier
from .checks import check_network, damaged
from .losses import LOSSES
from .projector import Projector
from .stem import Stem, Tokens, stem_width
from .tape import Tape


@dataclass(frozen=True)
class Architecture:
    """All that decides a network's shape, resolved to plain values.

    ``loss`` is a key of `losses.LOSSES`; `window` is a pair of steps that a query sees to its left and right, None for
    all; `d_feedforward` 0 leaves the feed-forward part out; `max_steps` is the length of the learned table of
    positions; `hidden_fraction` the share of steps hidden for reconstruction; `label_smoothing` that of a label which
    is spread over all of them.
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
    label_smoothing: float = 0.0

    @property
    def is_causal(self):
        """Whether no step may see later ones."""
        return self.window[1] == 0

    @property
    def d_input(self):
        """Numbers of a step, or of a token where there is a stem."""
        return stem_width(self.n_features, self.n_kernels, self.is_causal) if self.n_kernels else self.n_features

    @property
    def n_targets(self):
        """Columns of a target: the label's index, or a number for each output; none for reconstruction."""
        n_targets = LOSSES[self.loss].n_targets
        return self.n_outputs if n_targets is None else n_targets


def write_tape(architecture):
    """Write the steps of a network in order: embedding, layers, pooling, outputs, loss."""
    a, tape = architecture, Tape()
    source = tape.slot(a.d_model if a.n_kernels else a.d_input, name="input")
    wanted = tape.slot(1 + a.n_targets, per_step=False)
    loss = tape.slot(1, per_step=False, name="loss")
    if a.n_kernels:
        # Tokens are embedded before the tape, a batch at a time (projector.py).
        layers.linear_parameters(tape, "embedding", a.d_input, a.d_model, turned=False)
        stream = source
    else:
        stream = layers.linear(tape, source, "embedding", a.d_model, wants_gradient=False)
    reconstructs = LOSSES[a.loss].reconstructs
    if reconstructs:
        layers.hidden_steps(tape, stream, a.hidden_fraction)
    layers.POSITIONS[a.position](tape, stream, a)
    for i in range(a.n_layers):
        layers.attention(tape, stream, f"layers.{i}", a)
        layers.feedforward(tape, stream, f"layers.{i}", a)
    steps = layers.norm(tape, stream, "norm", slot="steps")
    if reconstructs:
        outputs = layers.linear(tape, steps, "head", a.n_features, slot="outputs")
    else:
        features = layers.pooling(tape, steps, a.pooling or "mean")
        features = layers.dropout(tape, features, a.dropout)
        outputs = layers.linear(
            tape, features, "head", a.n_outputs, per_step=False, init=layers.head_init(features, a), slot="outputs"
        )
    layers.loss(tape, a, outputs, wanted, loss, source)
    if reconstructs and a.pooling is not None:
        # Features are not learned from: what comes after the loss has no gradient.
        layers.pooling(tape, steps, a.pooling)
    return tape


class Network:
    """A network with its parameters.

    Parameters
    ----------
    architecture : Architecture
    dtype : {"float32", "float64"}

    Attributes
    ----------
    parameters : ndarray of shape (n_parameters,)
        All parameters, those that decay first; `weights` are views of it.
    mean, scale : ndarray of shape (n_features,), float64
        The network standardises its input: ``(x - mean) / scale``, in double precision whatever its own.
    """

    def __init__(self, architecture, dtype):
        self.architecture = architecture
        self.dtype = np.dtype(dtype)
        self.mean = np.zeros(architecture.n_features)
        self.scale = np.ones(architecture.n_features)
        self.stem = None
        self._write()
        self.parameters = np.zeros(sum(p.size for p in self._tape.parameters), self.dtype)

    def _write(self):
        self._tape = write_tape(self.architecture)
        self._offsets, self.n_decayed = self._tape.offsets()
        a, sizes = self.architecture, {p.name: p.size for p in self._tape.parameters}
        self._projector, n_before = None, 0
        if a.n_kernels:
            weight, bias = (
                slice(self._offsets[name], self._offsets[name] + sizes[name])
                for name in ("embedding.weight", "embedding.bias")
            )
            self._projector = Projector(weight, bias, a.d_input, a.d_model, a.embedding_dropout, self.dtype.name)
            n_before = weight.stop
        self._carrier = Carrier(self._tape, self.dtype.name, n_before)

    def __getstate__(self):
        """Give all that the network is made of, as plain values and arrays."""
        arrays = {name: getattr(self, name) for name in ("mean", "scale", "parameters")}
        state = {"architecture": asdict(self.architecture), "dtype": self.dtype.name, **arrays}
        return state if self.stem is None else {**state, "stem": self.stem.parts}

    def __setstate__(self, state):
        """Become what `__getstate__` gave; ValueError where that does not fit together."""
        if isinstance(state, dict) and isinstance(state.get("architecture"), Architecture):
            # As version 0.1.0 pickled it.
            state = {
                **state,
                "architecture": vars(state["architecture"]),
                "dtype": getattr(state["dtype"], "name", None),
            }
        state = check_network(state)
        self.architecture, self.dtype = Architecture(**state.pop("architecture")), np.dtype(state.pop("dtype"))
        vars(self).update(state)
        if self.stem is not None:
            self.stem = Stem(self.architecture.is_causal, self.architecture.stride, **self.stem)
        self._write()
        size = sum(p.size for p in self._tape.parameters)
        if self.parameters.size != size:
            raise damaged("parameters", f"{self.parameters.size} numbers", f"{size}, as the architecture says")

    def initialise(self, generator=None):
        """Draw the parameters; without a generator set only those that are not drawn."""
        weights = self.weights
        for p in self._tape.parameters:
            view = weights[p.name]
            if np.ndim(p.init):
                view[...] = p.init
            elif generator is not None:
                view[...] = generator.normal(scale=p.init, size=p.shape) if p.init else 0.0

    @property
    def weights(self):
        """Views of the parameters by name; matrices are (n_in, n_out)."""
        return self.views(self.parameters)

    def views(self, vector):
        """Give views of a vector that is laid out as the parameters are, by name."""
        views = {}
        for p in self._tape.parameters:
            offset = self._offsets[p.name]
            views[p.name] = vector[offset : offset + p.size].reshape(p.shape)
        return views

    def forward(self, data, name, n_jobs=None):
        """Carry sequences forwards and give what stands in a named slot.

        Parameters
        ----------
        data : object with ``values`` (n_rows, n_features), ``starts`` and ``lengths`` (n_samples,)
        name : str
            "features", "outputs", "steps", or a projection such as "layers.0.query".
        n_jobs : int, optional

        Returns
        -------
        result : ndarray of shape (n_samples, width), or (sum of lengths, width) where the slot has a row a step
        """
        return np.concatenate(
            [self._carrier.forward(self, block, name, n_jobs) for block, _ in self._embedded(data, n_jobs)]
        )

    def release(self):
        """Give back the room that learning took; what comes next takes it anew."""
        self._carrier.release()
        if self._projector:
            self._projector.release()

    def losses(self, data, target, n_jobs=None):
        """Give the loss of each sequence, shape (n_samples,), without weights and dropout."""
        parts = [
            self._carrier.forward(self, block, "loss", n_jobs, target=None if target is None else target[samples])
            for block, samples in self._embedded(data, n_jobs)
        ]
        return np.concatenate(parts)[:, 0].astype(np.float64)

    def tokens(self, data, n_jobs=None):
        """Give what the stem makes of sequences; without a stem, and where it is made already, `data` itself."""
        if self.stem is None or isinstance(data, Tokens):
            return data
        return self.stem.tokens(data, self.mean, self.scale, n_jobs)

    def count_rows(self, lengths):
        """Give how many steps, or tokens, the network sees of sequences of some lengths."""
        return lengths if self.stem is None else self.stem.count_tokens(lengths)

    def bytes_of_tokens(self, data):
        """Give how much room `tokens` would take; none without a stem."""
        if self.stem is None:
            return 0
        return int(self.stem.count_tokens(data.lengths).sum()) * self.stem.width * self.dtype.itemsize

    def _embedded(self, data, n_jobs):
        """Give what the tape begins with, in blocks whose tokens take a few megabytes: pairs of it and of samples."""
        if self.stem is None:
            return [(data, slice(None))]
        blocks = [slice(None)] if isinstance(data, Tokens) else self.stem.blocks(data)
        tokens = ((self.tokens(data if len(blocks) == 1 else data.take(block), n_jobs), block) for block in blocks)
        return ((self._projector.forward(self.parameters, some, n_jobs), block) for some, block in tokens)

    def loss_and_gradient(self, data, target, weight, *, ids, seed, n_update, n_jobs=None):
        """Give the weighted sum of the losses of a batch and its gradient.

        Parameters
        ----------
        data : object with ``values``, ``starts``, ``lengths``
        target : ndarray of shape (n_samples, n_targets), or None for reconstruction
        weight : ndarray of shape (n_samples,)
        ids : int array of shape (n_samples,)
            Numbers of the samples within the data set; with `seed` and `n_update` they decide every random number.
        seed, n_update : int
        n_jobs : int, optional

        Returns
        -------
        loss : float
        gradient : ndarray of shape (n_parameters,)
            Overwritten by the next call.
        """
        draws = ids, seed, n_update
        if self.stem is None:
            losses, gradient = self._carrier.learn(self, data, target, weight, *draws, n_jobs)
        else:
            run = self._projector.learn(self.parameters, self.tokens(data, n_jobs), seed, n_update, n_jobs)
            d_embedded = np.empty_like(run.embedded.values)
            given = run.embedded, target, weight
            losses, gradient = self._carrier.learn(self, *given, *draws, n_jobs, d_input=d_embedded)
            self._projector.backward(run, d_embedded, gradient)
        return float(np.sum(losses.astype(np.float64) * weight)), gradient
