"""Calibrate a stem on training sequences: biases, deviations, and what makes its features standard."""

import math
from copy import copy

import numpy as np

from .._kernels import columns, convolution, parallel
from .._kernels.responses import GROUP
from .._kernels.scaling import FAR, LARGEST
from .stem import Stem, stem_width

# Sequences that kernels are calibrated on at the most, and steps of each.
_MOST_SAMPLES, _MOST_STEPS = 256, 64
# Steps of each where sequences are more than so many.
_FEW_SAMPLES, _FEW_STEPS = 64, 16
# Kernels calibrated at a time.
_GROUPS_AT_A_TIME = 16
# How far a kernel reaches, as a part of the median length.
_WIDEST = 8
# How steeply a response rises, in its own deviations: within a twentieth of ``tanh(2 x)``.
_STEEPNESS = 0.95
# A share of the median deviation below which a sequence counts as constant.
_FLOOR = 0.01
# Deviations of responses below which they are rounding errors, which must not be stretched to features.
_NOISE = 1e-3


def learn_stem(data, weight, mean, scale, *, n_kernels, stride, is_causal, seed, dtype, competes=False, n_jobs=None):
    """Draw kernels and calibrate them on training sequences.

    Weighting a sample is the same as repeating it for up to `_MOST_SAMPLES` samples; of more, as many are drawn.

    Parameters
    ----------
    data : object with ``values`` (n_rows, n_features), ``starts``, ``lengths`` and ``take``
    weight : ndarray of shape (n_samples,)
        Positive.
    mean, scale : ndarray of shape (n_features,), float64
        Mean and deviation of every feature over all training steps.
    n_kernels : int
        Rounded up to groups.
    stride : int
        Steps of a token.
    is_causal : bool
    seed : int
    dtype : {"float32", "float64"}
    competes : bool
        Whether kernels compete.
    n_jobs : int, optional

    Returns
    -------
    stem : Stem
    """
    generator = np.random.default_rng([seed, 1])
    if len(weight) > _MOST_SAMPLES:
        drawn = np.sort(generator.permutation(len(weight))[:_MOST_SAMPLES])
        data, weight = data.take(drawn), weight[drawn]
    floor, change = _measure_channels(data, weight, mean, scale, n_jobs)
    longest = measure_columns(data.lengths.astype(np.float64)[:, np.newaxis], weight, [0.5], n_jobs)[1][0]
    n_dilations = 1 + int(math.log2(max(1.0, (longest - 1) / _WIDEST)))
    n_kernels = -(-n_kernels // GROUP) * GROUP
    width = stem_width(len(mean), n_kernels, is_causal)
    blank = {"slope": np.ones(n_kernels, dtype), "shift": np.zeros(n_kernels, dtype)}
    plain = {"feature_mean": np.zeros(width, dtype), "feature_scale": np.ones(width, dtype)}
    stem = Stem(bool(is_causal), int(stride), int(seed), n_dilations, int(competes), floor, change, **blank, **plain)
    if not competes:
        quantiles = generator.uniform(0.1, 0.9, n_kernels)
        stem.slope, stem.shift = _calibrate(stem, data, weight, (mean, scale), quantiles, n_jobs)
    stem.feature_mean, stem.feature_scale = _measure_features(stem, data, weight, (mean, scale), n_jobs)
    return stem


def _measure_channels(data, weight, mean, scale, n_jobs):
    """Give the deviation below which a sequence counts as constant, and the deviation of differences."""
    deviations, squares, n_changes = np.empty((len(weight), len(mean))), np.zeros(len(mean)), 0.0
    for i, (start, length) in enumerate(zip(data.starts.tolist(), data.lengths.tolist(), strict=True)):
        steps = _standard(np.asarray(data.values[start : start + length], np.float64), mean, scale)
        deviations[i] = steps.std(axis=0)
        squares += weight[i] * np.square(np.diff(steps, axis=0)).sum(axis=0)
        n_changes += weight[i] * (length - 1)
    _, typical = measure_columns(deviations, weight, np.full(len(mean), 0.5), n_jobs)
    change = np.sqrt(squares / max(n_changes, np.finfo(np.float64).tiny))
    return np.maximum(_FLOOR * typical, 1e-8), np.where(change > 1e-12, change, 1.0)


def _standard(steps, mean, scale):
    """Give steps in deviations, far ones reined in, as the kernels take them."""
    deviations = (steps * 0.5 - mean * 0.5) / (scale * 0.5)
    size = np.minimum(np.abs(deviations), LARGEST)
    return np.where(size > FAR, np.sign(deviations) * (FAR + np.log1p(np.maximum(size - FAR, 0))), deviations)


def _calibrate(stem, data, weight, scaling, quantiles, n_jobs):
    """Give slope and shift of each kernel: its bias is a quantile of its responses."""
    strides = -(-data.lengths // (_MOST_STEPS if len(weight) <= _FEW_SAMPLES else _FEW_STEPS))
    counts = -(-data.lengths // strides)
    weights = np.repeat(weight * strides, counts)
    deviation, bias = np.empty((2, len(quantiles)))
    for first in range(0, len(stem.dilations), _GROUPS_AT_A_TIME):
        some, k = slice(first, first + _GROUPS_AT_A_TIME), first * GROUP
        part = copy(stem)
        for name in ("dilations", "n_channels", "channels", "weights"):
            setattr(part, name, getattr(stem, name)[some])
        rows = part._run(
            convolution.responses_item, data, scaling, counts, strides, len(part.dilations) * GROUP, n_jobs
        )
        last = k + rows.values.shape[1]
        deviation[k:last], bias[k:last] = measure_columns(rows.values, weights, quantiles[k:last], n_jobs)
    slope = _STEEPNESS / np.maximum(deviation, _NOISE)
    return slope.astype(stem.dtype), (-slope * bias).astype(stem.dtype)


def _measure_features(stem, data, weight, scaling, n_jobs):
    """Give the mean of each feature over all tokens, and one over its deviation."""
    total, squares, count = np.zeros(stem.width), np.zeros(stem.width), 0.0
    for block in stem.blocks(data):
        tokens = stem.tokens(data.take(block), *scaling, n_jobs)
        weights = np.repeat(weight[block], tokens.lengths)
        features = tokens.values.astype(np.float64)
        # Features are between -1 and 1, so that their squares' sum loses little to the square of their mean.
        # Not by BLAS, whose order of sums depends on its threads.
        total += np.einsum("i,ij->j", weights, features)
        squares += np.einsum("i,ij,ij->j", weights, features, features)
        count += weights.sum()
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - np.square(mean), 0))
    scale = 1 / np.where(deviation > _NOISE / 10, deviation, 1.0)
    return mean.astype(stem.dtype), scale.astype(stem.dtype)


def measure_columns(table, weight, levels, n_jobs=None):
    """Give the deviation of every column, and its smallest value that a share of the weight does not exceed.

    Repeating a row is weighting it.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
    weight : ndarray of shape (n_rows,), float64
    levels : ndarray of shape (n_columns,)
        From 0 to 1.
    n_jobs : int, optional

    Returns
    -------
    deviations, quantiles : ndarray of shape (n_columns,), float64
    """
    (n_rows, n_columns), workers = table.shape, parallel.n_workers(n_jobs)
    deviations, quantiles = np.empty((2, n_columns))
    arguments = parallel.Arguments(columns.Table, table.dtype.name, workers)
    arguments.point(
        rows=table,
        weights=np.ascontiguousarray(weight, np.float64),
        levels=np.ascontiguousarray(levels, np.float64),
        deviations=deviations,
        quantiles=quantiles,
        scratch=np.empty(2 * n_rows * workers),
    )
    arguments.set(n_rows=n_rows, n_columns=n_columns)
    arguments.share_out(columns.column_item, n_columns)
    return deviations, quantiles
