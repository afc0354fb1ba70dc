"""A fixed stem before the network: random convolutions turn each sequence into fewer, wider steps, its tokens."""

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from .._kernels import convolution, parallel
from .._kernels.responses import GROUP, TAPS

# Steps of the window beside the responses, and features that it has at the most, but for one step.
_WINDOW, _MOST_WINDOW = 8, 2048
# Channels that a kernel reads of all that there are, on average.
_CHANNELS_A_KERNEL = 3
# Deviation of the sum of eight bytes.
_BYTES_DEVIATION = math.sqrt(8 * (256**2 - 1) / 12)
# Bytes of features that are computed at a time where they are not kept.
_BLOCK_BYTES = 1 << 22


@dataclass(frozen=True, eq=False)
class Tokens:
    """What a stem makes of sequences: a row a token, as a network takes its steps."""

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    def take(self, indices):
        """Give some of the samples; `values` is shared."""
        return replace(self, starts=self.starts[indices], lengths=self.lengths[indices])


@dataclass(eq=False)
class Stem:
    """Random convolutions, calibrated on training sequences; plain arrays and numbers, so it can be saved.

    A sequence of c features has 3 c channels: each feature in deviations over all training steps, in deviations over
    the sequence's own steps, and its differences from step to step (causal: without the second, which looks ahead).
    A kernel reads `TAPS` steps, `dilation` apart, of a few channels. Its response y is squashed, to ``tanh(2 x)`` or
    nearly so of ``x = (y - b) / deviation`` with a random quantile b of its responses, and averaged over a token's
    steps. Where kernels compete, a feature is the share of a token's steps at which a kernel responds the most of
    `RIVALS`, whatever the scale. Beside these stands a window of 8 steps around the token's middle (causal: up to its
    end), fewer of many channels.

    Attributes
    ----------
    is_causal : bool
        Whether nothing may depend on later steps.
    stride : int
        Steps of a token.
    seed : int
        What dilations, channels and weights are drawn by; they are not in files.
    n_dilations : int
        Dilations are 1, 2, 4, and so on.
    competes : int
        1 where kernels compete, else 0.
    channel_floor, difference_scale : ndarray of shape (n_features,), float64
        Smallest deviation of a sequence's own steps, and deviation of differences, both in deviations of all steps.
    dilations, n_channels : int64 array of shape (n_groups,)
    channels : int64 array of shape (n_groups, most)
        Numbers of the channels that a group of `GROUP` kernels reads; the first `n_channels` count.
    weights : ndarray of shape (n_groups, most, TAPS, GROUP)
    slope, shift : ndarray of shape (n_groups * GROUP,)
        What is squashed is ``slope * response + shift``; of no use where kernels compete.
    feature_mean, feature_scale : ndarray of shape (width,)
        Features come out as ``(feature - mean) * scale``.

    Notes
    -----
    Dempster, Petitjean & Webb (2020), arXiv:1910.13051, whose kernels are random in the same way; they count positive
    responses over the whole sequence. Competing kernels: Dempster, Schmidt & Webb (2023), arXiv:2203.13652.
    """

    is_causal: bool
    stride: int
    seed: int
    n_dilations: int
    competes: int
    channel_floor: np.ndarray
    difference_scale: np.ndarray
    slope: np.ndarray
    shift: np.ndarray
    feature_mean: np.ndarray
    feature_scale: np.ndarray

    def __post_init__(self):
        n_groups, n_features = len(self.slope) // GROUP, len(self.channel_floor)
        drawn = _draw(self.seed, self.n_dilations, n_features, n_groups, self.is_causal, self.slope.dtype)
        vars(self).update(drawn)

    @property
    def parts(self):
        """All that is not in the architecture and cannot be drawn again, by name."""
        return {name: getattr(self, name) for name in STEM_PARTS}

    @property
    def width(self):
        """Features of a token."""
        return len(self.feature_mean)

    @property
    def dtype(self):
        return self.weights.dtype

    def count_tokens(self, lengths):
        """Give how many tokens sequences of some lengths have."""
        return (lengths - 1) // self.stride + 1

    def tokens(self, data, mean, scale, n_jobs=None):
        """Turn sequences into tokens.

        Parameters
        ----------
        data : object with ``values`` (n_rows, n_features), ``starts`` and ``lengths`` (n_samples,)
        mean, scale : ndarray of shape (n_features,), float64
            Of every feature over all training steps.
        n_jobs : int, optional

        Returns
        -------
        tokens : Tokens
            Standardised features of every token; each depends on its own sequence only.
        """
        counts = self.count_tokens(data.lengths)
        strides = np.full(len(counts), self.stride)
        return self._run(convolution.tokens_item, data, (mean, scale), counts, strides, self.width, n_jobs)

    def blocks(self, data):
        """Cut samples into runs whose features fit a few megabytes, as slices."""
        rows = np.cumsum(self.count_tokens(data.lengths)) * self.width * self.dtype.itemsize // _BLOCK_BYTES
        bounds = [0, *(np.flatnonzero(np.diff(rows)) + 1), len(rows)]
        return [slice(first, last) for first, last in zip(bounds[:-1], bounds[1:], strict=True)]

    def _run(self, kernel, data, scaling, counts, strides, width, n_jobs):
        """Compute rows of `width` numbers for `counts` tokens of each sample, `strides` steps a token."""
        lengths, starts = (np.ascontiguousarray(part, np.int64) for part in (data.lengths, data.starts))
        ends, workers = np.cumsum(counts), parallel.n_workers(n_jobs)
        result, (items, longest) = np.empty((int(ends[-1]), width), self.dtype), cut_pieces(counts, strides)
        batch = parallel.Arguments(convolution.Batch, self.dtype.name, workers)
        arrays, numbers = self.arguments(np.ascontiguousarray(data.values), starts, lengths, scaling, longest, workers)
        batch.point(items=items, out=result, out_starts=ends - counts, **arrays)
        batch.set(**numbers)
        batch.share_out(convolution.measure_item, len(lengths))
        batch.share_out(kernel, len(items))
        return Tokens(result, ends - counts, counts)

    def arguments(self, values, starts, lengths, scaling, longest, workers):
        """Give arrays and numbers that kernels are told, but for pieces of sequences and what comes out.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_features)
        starts, lengths : int array of shape (n_samples,)
        scaling : pair of ndarray of shape (n_features,)
        longest : int
            Steps of the longest piece.
        workers : int
        """
        n_features, reach = values.shape[1], (TAPS - 1) * int(self.dilations.max())
        own, size = np.zeros((2, len(lengths), n_features)), self.n_all_channels * (longest + reach)
        size += GROUP * convolution.STEPS_AT_A_TIME
        arrays = {
            **{"values": values, "starts": starts, "lengths": lengths},
            **{"channel_mean": scaling[0], "channel_scale": scaling[1], "sample_mean": own[0], "sample_scale": own[1]},
            "scratch": np.empty(size * workers, self.dtype),
            **{name: getattr(self, name) for name in _POINTED_TO},
        }
        numbers = {
            "is_double": values.dtype == np.float64,
            "n_features": n_features,
            "is_causal": self.is_causal,
            "competes": self.competes,
            "n_groups": len(self.dilations),
            "most_channels": self.channels.shape[1],
            "window": window_steps(self.n_all_channels),
            "scratch_size": size,
            "reach_left": reach if self.is_causal else reach // 2,
            "reach_right": 0 if self.is_causal else reach // 2,
        }
        return arrays, numbers

    @property
    def n_all_channels(self):
        """Channels of a sequence."""
        return n_channels(len(self.channel_floor), self.is_causal)


_POINTED_TO = (
    *("channel_floor", "difference_scale", "dilations", "n_channels", "channels", "weights", "slope", "shift"),
    *("feature_mean", "feature_scale"),
)
STEM_PARTS = tuple(field.name for field in fields(Stem) if field.name not in ("is_causal", "stride"))
"""What a file holds of a stem."""


def n_channels(n_features, is_causal):
    """Give how many channels sequences of so many features have."""
    return n_features * (2 if is_causal else 3)


def stem_width(n_features, n_kernels, is_causal):
    """Give how many features a token has."""
    n_all = n_channels(n_features, is_causal)
    return n_kernels + window_steps(n_all) * n_all


def window_steps(n_all_channels):
    """Give how many steps around a token's middle are told as they are."""
    return max(1, min(_WINDOW, _MOST_WINDOW // n_all_channels))


def cut_pieces(counts, strides):
    """Cut each sample's tokens into runs of about `STEPS_AN_ITEM` steps; gives them, and the steps of the longest."""
    each = np.maximum(convolution.STEPS_AN_ITEM // strides, 1)
    n_runs = -(-counts // each)
    sample = np.repeat(np.arange(len(counts)), n_runs)
    run = np.arange(len(sample)) - np.repeat(np.cumsum(n_runs) - n_runs, n_runs)
    first = run * each[sample]
    last = np.minimum(first + each[sample], counts[sample])
    items = np.ascontiguousarray(np.stack([sample, first, last, strides[sample]], axis=1), np.int64)
    return items, int(((last - first) * strides[sample]).max())


def _draw(seed, n_dilations, n_features, n_groups, is_causal, dtype):
    """Draw dilations, channels and weights of groups of kernels: the same on every machine and in every version."""
    n_all, groups = n_channels(n_features, is_causal), np.arange(n_groups)
    places = _count(seed, 0, (n_groups, n_all))
    is_read = places < np.uint64(2**64 - 1) // np.uint64(n_all) * np.uint64(min(_CHANNELS_A_KERNEL, n_all))
    is_read[groups, (_count(seed, 1, n_groups) % np.uint64(n_all)).astype(np.int64)] |= ~is_read.any(axis=1)
    count = is_read.sum(axis=1)
    channels = np.argsort(~is_read, axis=1, kind="stable")[:, : count.max()]
    # Sums of eight bytes are all but normal, and whole numbers are the same everywhere, also their mean in nine parts.
    bytes_ = _count(seed, 2, (n_groups, int(count.max()), TAPS, GROUP)).view(np.uint8)
    sums = bytes_.reshape(n_groups, int(count.max()), TAPS, GROUP, 8).sum(axis=-1, dtype=np.int64)
    weights = (TAPS * sums - sums.sum(axis=2, keepdims=True)) / (TAPS * _BYTES_DEVIATION)
    weights[np.arange(count.max()) >= count[:, np.newaxis]] = 0
    return {
        # Dilations go round, so that each has its share, and channels are drawn.
        "dilations": (1 << (groups % n_dilations)).astype(np.int64),
        "n_channels": count.astype(np.int64),
        "channels": np.ascontiguousarray(channels, np.int64),
        "weights": np.ascontiguousarray(weights, dtype),
    }


def _count(seed, stream, shape):
    """Give 64 random bits each, counted as the kernels count theirs (splitmix64: Steele, Lea & Flood 2014, OOPSLA)."""
    n = math.prod(np.atleast_1d(shape).tolist())
    state = np.arange(n, dtype=np.uint64) + np.uint64((seed * 0x1F83D9AB + stream * 0x3C6EF372F3C6EF37) % 2**64)
    state += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return (state ^ (state >> np.uint64(31))).astype("<u8").reshape(shape)
