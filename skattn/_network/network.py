"""The network of every estimator: flat parameters, forward passes, and the loss and gradient of a batch."""

from dataclasses import asdict

import numpy as np

from . import contrasting
from .architecture import Architecture, write_tape
from .checks import check_network, damaged
from .contrasting import ContrastiveLearner
from .learner import Learner
from .losses import LOSSES
from .missing import filled
from .positions import slopes_of
from .projector import Projector
from .runner import Runner
from .stem import Stem, Tokens


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
        The network standardises its input: ``(x - mean) / scale``, in double precision whatever its own. What is a
        category is not looked at there.
    codes : list of float64 arrays
        Of each category the codes that are known, in rising order.
    time_unit : ndarray of shape (1,), float64
        What times are counted in.
    """

    marks_input = False

    def __init__(self, architecture, dtype):
        self.architecture = architecture
        self.dtype = np.dtype(dtype)
        self.mean = np.zeros(architecture.n_features)
        self.scale = np.ones(architecture.n_features)
        self.codes = [np.arange(n_codes, dtype=np.float64) for _, n_codes in architecture.categories]
        self.time_unit = np.ones(1)
        self.stem = None
        self._write()
        self.parameters = np.zeros(self._layout.size, self.dtype)

    def _write(self):
        self._tape = write_tape(self.architecture, marks_input=self.marks_input)
        self._layout = self._tape.layout()
        a, sizes, offsets = self.architecture, {p.name: p.size for p in self._tape.parameters}, self._layout.offsets
        self.projector = None
        if a.n_kernels:
            weight, bias = (
                slice(offsets[name], offsets[name] + sizes[name]) for name in ("embedding.weight", "embedding.bias")
            )
            self.projector = Projector(weight, bias, a.d_input, a.d_model, a.embedding_dropout, self.dtype.name)
        self.runner = Runner(self._tape, self.dtype.name)

    @property
    def n_decayed(self):
        """How many of the first parameters weight decay pulls at."""
        return self._layout.n_decayed

    @property
    def n_learned(self):
        """How many of the first parameters learn."""
        return self._layout.n_learned

    def __getstate__(self):
        """Give all that the network is made of, as plain values and arrays."""
        arrays = {name: getattr(self, name) for name in ("mean", "scale", "parameters")}
        state = {"architecture": asdict(self.architecture), "dtype": self.dtype.name, **arrays}
        if self.codes:
            state["codes"] = self.codes
        if self.architecture.time_feature is not None:
            state["time_unit"] = self.time_unit
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
        if self.parameters.size != self._layout.size:
            found, wanted = f"{self.parameters.size} numbers", f"{self._layout.size}, as the architecture says"
            raise damaged("parameters", found, wanted)

    def initialise(self, generator=None):
        """Draw the parameters; without a generator set only those that are not drawn."""
        weights = self.weights
        for p in self._tape.parameters:
            p.rule.write(weights[p.name], generator)

    @property
    def weights(self):
        """Views of the parameters by name; matrices are (n_in, n_out)."""
        return self.views(self.parameters)

    def views(self, vector):
        """Give views of a vector that is laid out as the parameters are, by name."""
        views = {}
        for p in self._tape.parameters:
            offset = self._layout.offsets[p.name]
            # What an optimiser keeps has no room for what is frozen.
            if offset + p.size <= len(vector):
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
            [self.runner.forward(self, block, name, n_jobs) for block, _ in self._embedded(data, n_jobs)]
        )

    def bias(self, data, layer, n_jobs=None):
        """Give what distances between steps count in a layer, for one sequence: see `functional.biased_weights`."""
        if self.architecture.position == "alibi":
            return {"times": self.forward(data, "times", n_jobs)[:, 0], "slopes": slopes_of(self.architecture, layer)}
        if self.architecture.position == "relative":
            return {"table": self.weights[f"layers.{layer}.distance"]}
        return {}

    def release(self):
        """Give back the room that learning took; what comes next takes it anew."""
        self.runner.release()

    def losses(self, data, target, n_jobs=None):
        """Give the loss of each sequence, shape (n_samples,), without weights and dropout."""
        if LOSSES[self.architecture.loss].contrasts:
            return contrasting.losses(self, data, n_jobs)
        parts = [
            self.runner.forward(self, block, "loss", n_jobs, target=None if target is None else target[samples])
            for block, samples in self._embedded(data, n_jobs)
        ]
        return np.concatenate(parts)[:, 0].astype(np.float64)

    def tokens(self, data, n_jobs=None):
        """Give what the stem makes of sequences; without a stem, and where it is made already, `data` itself."""
        if self.stem is None or isinstance(data, Tokens):
            return data
        return self.stem.tokens(self.whole(data), self.mean, self.scale, n_jobs)

    def whole(self, data):
        """Give sequences as a stem takes them: what is missing is filled in; without a stem as they are."""
        if self.stem is None or not self.architecture.handles_missing:
            return data
        return filled(data, self.mean, self.architecture.is_causal)

    def count_rows(self, lengths):
        """Give how many steps, or tokens, the network sees of sequences of some lengths."""
        return (lengths - 1) // self.architecture.stride + 1

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
        return ((self.projector.forward(self.parameters, some, n_jobs), block) for some, block in tokens)

    def loss_and_gradient(self, data, target, weight, *, ids, seed, n_update, n_jobs=None):
        """Give the weighted sum of the losses of a batch and its gradient.

        Parameters
        ----------
        data : object with ``values``, ``starts``, ``lengths``
        target : ndarray of shape (n_samples, n_targets), a target of steps, or None for reconstruction
            See `split_target`.
        weight : ndarray of shape (n_samples,)
        ids : int array of shape (n_samples,)
            Numbers of the samples within the data set; with `seed` and `n_update` they decide every random number.
        seed, n_update : int
        n_jobs : int, optional

        Returns
        -------
        loss : float
        gradient : ndarray of shape (n_learned,)
            Overwritten by the next call.
        """
        learner = self.learner(data, target, seed, n_jobs)
        weight = np.asarray(weight, np.float64)
        batch = np.arange(len(weight)), np.array([len(weight)])
        plan = learner.plan(*batch, weight, n_update, None, ids=np.asarray(ids, np.int64))
        plan.run(0, 1)
        return float(np.sum(plan.losses.astype(np.float64) * weight)), learner.gradient

    def learner(self, data, target, seed, n_jobs=None):
        """Give what learns from many batches at once; see `Learner`."""
        kind = ContrastiveLearner if LOSSES[self.architecture.loss].contrasts else Learner
        return kind(self, data, target, seed, n_jobs)
