"""Architectures, networks and batches that the tests of the network share: prime sizes, nothing zero."""

from types import SimpleNamespace

import numpy as np

from skattn._network.architecture import Architecture
from skattn._network.losses import LOSSES
from skattn._network.network import Network
from skattn._network.stem_learning import learn_stem

BASE = {
    "n_features": 3,
    "n_outputs": 5,
    "loss": "cross_entropy",
    "d_model": 22,
    "n_heads": 2,
    "n_kv_heads": 2,
    "d_head": 11,
    "d_value": 11,
    "n_layers": 1,
    "d_feedforward": 0,
    "position": "learned",
    "max_steps": 29,
    "window": (None, None),
    "pooling": "mean",
    "dropout": 0.0,
    "hidden_fraction": 0.3,
}

# What differs from BASE, by the name under which a test reports it.
ARCHITECTURES = {
    "base": {},
    "narrow queries, wide values": {"d_head": 7, "d_value": 13},
    "wide queries, narrow values": {"d_head": 17, "d_value": 5},
    "widths of one": {"n_features": 1, "d_head": 1, "d_value": 1},
    "one wide head": {"d_model": 71, "n_heads": 1, "n_kv_heads": 1, "d_head": 71, "d_value": 67},
    "very wide heads": {"n_heads": 1, "n_kv_heads": 1, "d_head": 257, "d_value": 131},
    "grouped queries": {"n_heads": 6, "n_kv_heads": 2, "d_head": 5, "d_value": 3},
    "one key for all queries": {"n_heads": 3, "n_kv_heads": 1, "d_head": 5, "d_value": 7},
    "feed-forward": {"d_feedforward": 13},
    "wide feed-forward": {"d_feedforward": 89},
    "two layers": {"n_layers": 2},
    "two layers with feed-forward": {"n_layers": 2, "d_feedforward": 13},
    "no position": {"position": "none"},
    "sinusoidal position": {"position": "sinusoidal"},
    "rotary position": {"position": "rotary", "n_layers": 2},
    "rotary position, shared keys": {"position": "rotary", "n_heads": 4, "n_kv_heads": 2, "d_head": 6},
    "position by distance": {"position": "alibi", "n_layers": 2},
    "position by distance within a window": {"position": "alibi", "n_heads": 6, "n_kv_heads": 2, "window": (5, 3)},
    "learned distances": {"position": "relative", "n_layers": 2},
    "learned distances of patches": {"position": "relative", "patch_size": 2, "stride": 2, "window": (None, 0)},
    "waves of time": {"position": "sinusoidal", "time_feature": 1},
    "rotation by time": {"position": "rotary", "time_feature": 0, "categories": ((1, 4),)},
    "distances of time": {"position": "alibi", "time_feature": 2, "patch_size": 3, "stride": 2},
    "waves of time of patches with gaps": {
        "position": "sinusoidal",
        "time_feature": 0,
        "patch_size": 2,
        "stride": 3,
        "handles_missing": True,
    },
    "rotation by time, categories alone": {"position": "rotary", "time_feature": 1, "categories": ((0, 5), (2, 3))},
    "distances of time within a window": {
        "position": "alibi",
        "time_feature": 0,
        "n_heads": 6,
        "n_kv_heads": 2,
        "d_head": 5,
        "window": (5, 3),
        "n_layers": 2,
    },
    "learned distances, shared keys, within a window": {
        "position": "relative",
        "n_heads": 6,
        "n_kv_heads": 2,
        "window": (5, 3),
    },
    "rotation of convolved patches": {"position": "rotary", "n_taps": 3, "patch_size": 3, "stride": 2},
    "sinusoidal position, odd width": {"position": "sinusoidal", "d_model": 23},
    "maximum pooling": {"pooling": "max"},
    "mean and maximum pooling": {"pooling": "mean_max"},
    "first step": {"pooling": "first"},
    "last step": {"pooling": "last"},
    "adapters": {"adapter_rank": 3, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_head": 5},
    "attention pooling": {"pooling": "attention"},
    "pooling by several queries": {"pooling": "attention", "n_pooling_queries": 3, "d_feedforward": 13},
    "pooling by several heads": {"pooling": "attention", "n_pooling_queries": 2, "d_model": 24, "n_pooling_heads": 4},
    "causal": {"window": (None, 0)},
    "anti-causal": {"window": (0, None)},
    "sliding window": {"window": (3, 2)},
    "causal sliding window": {"window": (5, 0)},
    "own step only": {"window": (0, 0)},
    "dilated window": {"window": (9, 4), "dilation": 3, "n_layers": 2},
    "global steps": {"window": (3, 1), "n_global_steps": 2, "n_heads": 6, "n_kv_heads": 2, "d_head": 5},
    "causal global steps": {"window": (3, 0), "n_global_steps": 2, "position": "rotary"},
    "dilated window with global steps": {"window": (8, 8), "dilation": 4, "n_global_steps": 3, "position": "relative"},
    "dilated distances": {"window": (8, 8), "dilation": 3, "n_global_steps": 1, "position": "alibi", "n_heads": 4},
    "best keys": {"top_k": 3, "n_layers": 2, "n_heads": 6, "n_kv_heads": 2, "d_head": 5},
    "best keys by distance": {"top_k": 2, "window": (None, 0), "position": "relative"},
    "more keys than steps": {"top_k": 5000, "position": "alibi"},
    "linear": {"attention": "linear", "n_layers": 2, "n_heads": 6, "n_kv_heads": 2, "d_head": 5},
    "causal linear": {"attention": "linear", "window": (None, 0), "position": "sinusoidal", "pooling": "last"},
    "window wider than the sequence": {"window": (1000, 997)},
    "one output": {"n_outputs": 1, "loss": "squared_error"},
    "several values": {"loss": "squared_error"},
    "several labels": {"loss": "binary_cross_entropy"},
    "quantiles": {"loss": "quantile", "n_outputs": 6, "quantiles": (0.1, 0.5, 0.75)},
    "quantiles for every step": {"loss": "quantile", "n_outputs": 2, "quantiles": (0.2, 0.9), "is_stepwise": True},
    "reconstruction": {"loss": "reconstruction", "n_outputs": 3},
    "a label for every step": {"is_stepwise": True, "window": (None, 0), "pooling": "attention"},
    "values for every step": {"is_stepwise": True, "loss": "squared_error", "n_taps": 3, "categories": ((1, 4),)},
    "convolution": {"n_taps": 3},
    "causal convolution": {"n_taps": 5, "window": (None, 0)},
    "patches": {"patch_size": 5, "stride": 5, "d_feedforward": 13},
    "overlapping patches": {"patch_size": 5, "stride": 2, "position": "sinusoidal", "pooling": "attention"},
    "patches with gaps": {"patch_size": 2, "stride": 3, "pooling": "mean_max"},
    "patches of convolved categories": {"n_taps": 3, "patch_size": 3, "stride": 2, "categories": ((1, 4),)},
    "a category beside numbers": {"categories": ((1, 4),)},
    "categories alone": {"categories": ((0, 5), (1, 1), (2, 3))},
    "numbers that are missing": {"handles_missing": True},
    "a number that is missing beside categories": {"categories": ((0, 2), (2, 3)), "handles_missing": True},
    "reconstruction of categories and numbers": {
        "loss": "reconstruction",
        "n_outputs": 6,
        "categories": ((1, 4),),
        "handles_missing": True,
    },
    "reconstruction of categories alone": {
        "loss": "reconstruction",
        "n_outputs": 9,
        "categories": ((0, 5), (1, 1), (2, 3)),
    },
    "reconstruction at times": {
        "loss": "reconstruction",
        "n_outputs": 5,
        "position": "rotary",
        "time_feature": 2,
        "categories": ((0, 4),),
        "handles_missing": True,
    },
    "reconstruction by learned distances": {"loss": "reconstruction", "n_outputs": 3, "position": "relative"},
    "next step": {"loss": "next_step", "n_outputs": 3, "window": (None, 0)},
    "next step of convolved categories and numbers": {
        "loss": "next_step",
        "n_outputs": 6,
        "n_taps": 3,
        "window": (7, 0),
        "categories": ((1, 4),),
        "handles_missing": True,
    },
    "next step at times, categories alone": {
        "loss": "next_step",
        "n_outputs": 8,
        "position": "rotary",
        "time_feature": 1,
        "categories": ((0, 5), (2, 3)),
        "window": (None, 0),
    },
    "features of all kinds at once": {
        "n_features": 5,
        "categories": ((1, 4), (3, 2)),
        "handles_missing": True,
        "n_taps": 3,
        "patch_size": 3,
        "stride": 2,
        "time_feature": 4,
        "position": "alibi",
        "n_layers": 2,
        "d_feedforward": 13,
        "window": (None, 0),
        "pooling": "mean_max",
    },
    "all at once": {
        "n_layers": 2,
        "n_heads": 6,
        "n_kv_heads": 3,
        "d_head": 5,
        "d_value": 7,
        "d_feedforward": 13,
        "window": (7, 3),
        "pooling": "attention",
    },
}

LENGTHS = (1, 2, 3, 5, 7, 13, 16, 17, 31, 32, 33, 37)


def make_network(dtype=np.float64, seed=0, *, competes=False, **changes):
    """Network of BASE with `changes`, all of its parameters drawn: no bias is zero; kernels of its stem may compete."""
    architecture = Architecture(**(BASE | changes))
    network = Network(architecture, dtype)
    generator = np.random.default_rng(seed)
    network.initialise(generator)
    network.parameters += generator.normal(scale=0.2, size=network.parameters.shape).astype(dtype)
    network.mean[:] = generator.normal(size=architecture.n_features)
    network.scale[:] = generator.uniform(0.5, 2.0, size=architecture.n_features)
    network.time_unit[:] = 0.7
    if architecture.n_kernels:
        network.stem = make_stem(network, seed, competes=competes)
    return network


def make_stem(network, seed=0, *, competes=False):
    """A stem for the network, calibrated on a batch."""
    batch = make_batch(n_features=network.architecture.n_features, dtype=network.dtype)
    return learn_stem(
        batch, make_weight(len(batch.lengths)), network.mean, network.scale, n_kernels=network.architecture.n_kernels,
        stride=network.architecture.stride, is_causal=network.architecture.is_causal,
        seed=seed, dtype=network.dtype, competes=competes,
    )  # fmt: skip


def make_batch_for(architecture, lengths=LENGTHS, dtype=np.float64, **options):
    """Sequences with codes where the architecture has categories, some of them unknown, NaN where it may be, times."""
    batch = make_batch(lengths, architecture.n_features, dtype, **options)
    generator = np.random.default_rng(7)
    for steps in sequences(batch):
        if architecture.handles_missing:
            is_missing = generator.random(steps.shape) < 0.3
            steps[is_missing] = np.nan
        for column, n_codes in architecture.categories:
            steps[:, column] = generator.integers(n_codes + 1, size=len(steps))
        if architecture.time_feature is not None:
            # Some steps are at once.
            steps[:, architecture.time_feature] = 7 + np.cumsum(
                np.maximum(generator.exponential(size=len(steps)), 0.3) - 0.3
            )
    return batch


class Batch(SimpleNamespace):
    """Sequences as kernels take them: ``values``, ``starts``, ``lengths``."""

    def take(self, indices):
        return take(self, indices)


def make_batch(lengths=LENGTHS, n_features=3, dtype=np.float64, seed=1, gap=0, garbage=np.nan):
    """Sequences of `lengths` steps in one array, `gap` rows of `garbage` before, between and after them."""
    generator = np.random.default_rng(seed)
    lengths = np.array(lengths, dtype=np.int64)
    starts = gap + np.concatenate([[0], np.cumsum(lengths + gap)[:-1]]).astype(np.int64)
    values = np.full((starts[-1] + lengths[-1] + gap, n_features), garbage, dtype=dtype)
    for start, length in zip(starts, lengths, strict=True):
        values[start : start + length] = generator.normal(size=(length, n_features))
    return Batch(values=values, starts=starts, lengths=lengths)


def take(batch, indices):
    """Some samples of a batch, over the same values."""
    return Batch(values=batch.values, starts=batch.starts[indices], lengths=batch.lengths[indices])


def sequences(batch):
    """Each sample's own steps: a list of (n_steps, n_features)."""
    return [batch.values[start : start + length] for start, length in zip(batch.starts, batch.lengths, strict=True)]


class StepRows(SimpleNamespace):
    """What every step should give: ``values`` (n_rows, n_target + 1), ``starts`` and ``lengths``."""

    def __getitem__(self, which):
        return StepRows(values=self.values, starts=self.starts[which], lengths=self.lengths[which])

    def __iter__(self):
        return (self.values[start : start + n] for start, n in zip(self.starts, self.lengths, strict=True))


def make_target(architecture, lengths, dtype=np.float64, seed=2):
    """A target as the architecture's loss wants it: (n_samples, n_target), of every step, or None to reconstruct."""
    if LOSSES[architecture.loss].reconstructs or LOSSES[architecture.loss].contrasts:
        return None
    if not architecture.is_stepwise:
        return _draw_target(architecture, len(lengths), dtype, seed)
    lengths = np.array(lengths)
    # The last sequence's rows come first, and there are some of none.
    starts = 3 + np.cumsum(lengths[::-1])[::-1] - lengths
    values = _draw_target(architecture, 3 + lengths.sum(), dtype, seed)
    shares = np.random.default_rng(seed).uniform(size=len(values)).astype(dtype)
    shares[::3] = 0
    values[::3] = 0
    return StepRows(values=np.column_stack([values, shares]), starts=starts, lengths=lengths)


def _draw_target(architecture, n_samples, dtype, seed):
    """A row of the target for each of some samples."""
    generator = np.random.default_rng(seed)
    if architecture.loss == "poisson":
        return generator.poisson(1.5, size=(n_samples, architecture.n_outputs)).astype(dtype)
    if architecture.loss == "quantile":
        return generator.normal(size=(n_samples, architecture.n_outputs // len(architecture.quantiles))).astype(dtype)
    if architecture.loss == "cross_entropy":
        return generator.integers(architecture.n_outputs, size=(n_samples, 1)).astype(dtype)
    if architecture.loss == "binary_cross_entropy":
        return generator.integers(2, size=(n_samples, architecture.n_outputs)).astype(dtype)
    return generator.normal(size=(n_samples, architecture.n_outputs)).astype(dtype)


def make_weight(n_samples, dtype=np.float64, seed=3):
    """Uneven positive sample weights that sum to 1."""
    weight = np.random.default_rng(seed).uniform(0.5, 2.0, size=n_samples)
    return (weight / weight.sum()).astype(dtype)
