"""What the network computes, slowly and obviously in NumPy: the truth that fast kernels are tested against.

Every function takes one sequence and computes in the precision that comes in. With ``dtype=np.float32``,
`forward` is the plain float32 computation, whose error is the yardstick for the fast one. So it must round alike
on every machine: no BLAS, and no transcendental functions of short floats, which NumPy has a version of for each CPU.
"""

import math
from functools import partial

import numpy as np


def converted(array, dtype):
    """Copy in another precision, in the same shape."""
    return np.array(array, dtype=dtype)


def product(a, b):
    """Multiply matrices, one term after another: (.., n, k), (k, m) -> (.., n, m)."""
    total = np.zeros((*a.shape[:-1], b.shape[-1]), dtype=np.result_type(a, b))
    for k in range(len(b)):
        total += a[..., k, np.newaxis] * b[k]
    return total


def total(rows):
    """Add up along the last axis, one term after another: (.., n) -> (.., 1)."""
    return np.cumsum(rows, axis=-1)[..., -1:]


def widely(function, x):
    """Compute a function in a wider type and round once."""
    return function(x.astype(np.float64)).astype(x.dtype) if x.dtype == np.float32 else function(x)


def standardise(sequence, mean, scale):
    """Centre and scale each feature: (n_steps, n_features) -> (n_steps, n_features).

    By halves, in which no difference overflows; what is farther than 30 deviations counts by its logarithm.
    """
    with np.errstate(over="ignore"):
        deviations = (sequence / 2 - mean / 2) / (scale / 2)
    return reined_in(deviations)


def reined_in(deviations):
    """Let what is farther than 30 count by its logarithm, elementwise in any shape."""
    far = np.minimum(np.maximum(np.abs(deviations) - 30, 0), np.finfo(np.float64).max)
    return np.where(far > 0, np.sign(deviations) * (30 + np.log1p(far)), deviations)


def channels(sequence, mean, scale, stem):
    """Features by all steps, differences, and by the sequence's own steps: (n_steps, n_channels)."""
    of_all = standardise(sequence, mean, scale)
    changes = reined_in(np.diff(of_all, axis=0, prepend=of_all[:1]) / stem.difference_scale)
    of_own = reined_in((of_all - of_all.mean(axis=0)) / np.maximum(of_all.std(axis=0), stem.channel_floor))
    return np.concatenate([of_all, changes] if stem.is_causal else [of_all, changes, of_own], axis=1)


def tokens(sequence, mean, scale, stem, n_taps=9):
    """What a stem makes of a sequence: (n_tokens, width)."""
    n_steps, rows = len(sequence), channels(sequence, mean, scale, stem)
    n_window = max(1, min(8, 2048 // rows.shape[1]))
    reach = n_taps * int(stem.dilations.max())
    padded = np.pad(rows, ((reach, reach), (0, 0)))
    responses = []
    for group, dilation in enumerate(stem.dilations):
        read = padded[:, stem.channels[group, : stem.n_channels[group]]]
        first = reach - dilation * (n_taps - 1 if stem.is_causal else n_taps // 2)
        taps = np.array([read[first + tap * dilation :][:n_steps] for tap in range(n_taps)])
        responses.append(np.einsum("jtc,cjk->tk", taps, stem.weights[group, : stem.n_channels[group]]))
    told = _winners(np.array(responses)) if stem.competes else np.concatenate(responses, axis=1)
    if not stem.competes:
        u = np.clip(told * stem.slope + stem.shift, -1, 1)
        told = u * (15 - 10 * u**2 + 3 * u**4) / 8
    result = []
    for begin in range(0, n_steps, stem.stride):
        end = min(begin + stem.stride, n_steps)
        first = end - n_window if stem.is_causal else begin + (end - begin) // 2 - n_window // 2
        window = padded[reach + first : reach + first + n_window]
        result.append(np.concatenate([told[begin:end].mean(axis=0), window.ravel()]))
    return (np.array(result) - stem.feature_mean) * stem.feature_scale


def _winners(responses, n_rivals=8):
    """Whether each response is the largest of its rivals, and no rounding: (n_groups, n_steps, n) -> (n_steps, all)."""
    among = responses.reshape(*responses.shape[:2], -1, n_rivals)
    is_largest = among == np.maximum(among.max(axis=-1, keepdims=True), 1e-3)
    return np.concatenate(is_largest.reshape(responses.shape), axis=1).astype(float)


def sinusoidal_table(n_steps, d_model):
    """Sines in even columns, cosines in odd ones (Vaswani et al. 2017, 3.5): (n_steps, d_model)."""
    table = np.zeros((n_steps, d_model))
    for step in range(n_steps):
        for column in range(d_model):
            angle = step / 10000 ** (2 * (column // 2) / d_model)
            table[step, column] = math.sin(angle) if column % 2 == 0 else math.cos(angle)
    return table


def times(sequence, n_rows, architecture, unit):
    """When each row of the stream is: its number, or its time since the first step in units: (n_rows,)."""
    if architecture.time_feature is None:
        return np.arange(n_rows, dtype=float)
    told = sequence[:: max(architecture.stride, 1), architecture.time_feature].astype(np.float64)
    return (told - told[0]) / unit


def rotated(heads, when):
    """Turn neighbouring pairs of columns by when / 10000^(2 i / d_head) radians: (n_heads, n_steps, d_head)."""
    result, d_head = heads.copy(), heads.shape[2]
    for i in range(d_head // 2):
        angle = when * 10000.0 ** (-2 * i / d_head)
        cosine, sine = (part.astype(heads.dtype) for part in (np.cos(angle), np.sin(angle)))
        x, y = heads[:, :, 2 * i], heads[:, :, 2 * i + 1]
        result[:, :, 2 * i], result[:, :, 2 * i + 1] = x * cosine - y * sine, x * sine + y * cosine
    return result


def bias_of_scores(architecture, when, table=None):
    """What is added to the scores of each head, or nothing: (n_heads, n_steps, n_steps)."""
    if architecture.position == "alibi":
        slopes = 2.0 ** (-8 * (1 + np.arange(architecture.n_heads)) / architecture.n_heads)
        return -slopes[:, np.newaxis, np.newaxis] * np.abs(when[:, np.newaxis] - when)
    if architecture.position == "relative":
        reach = table.shape[1] // 2
        steps = np.arange(len(when))
        return table[:, np.clip(steps[:, np.newaxis] - steps, -reach, reach) + reach]
    return 0.0


def waves(when, d_model):
    """Sines in even columns, cosines in odd ones, of times: (n_steps, d_model)."""
    angles = [when / 10000 ** (2 * (column // 2) / d_model) for column in range(d_model)]
    return np.stack([np.sin(a) if i % 2 == 0 else np.cos(a) for i, a in enumerate(angles)], axis=1)


def position(kind, n_steps, d_model, learned=None, when=None):
    """What is added to each step: (n_steps, d_model); past its end, learned (max_steps, d_model) repeats."""
    if kind in ("none", "rotary", "alibi", "relative"):
        return np.zeros((n_steps, d_model))
    if kind == "sinusoidal":
        return sinusoidal_table(n_steps, d_model) if when is None else waves(when, d_model)
    return np.array([learned[min(step, len(learned) - 1)] for step in range(n_steps)])


def layer_norm(steps, scale, bias, epsilon=1e-5):
    """Bring every step to mean 0 and variance 1, then scale and shift: (n_steps, d_model) -> the same."""
    width = steps.shape[1]
    centred = steps - total(steps) / width
    variance = total(centred**2) / width
    return centred / np.sqrt(variance + epsilon) * scale + bias


def gelu(x):
    """Gaussian error linear unit in its tanh form (Hendrycks and Gimpel 2016), elementwise in any shape."""
    return 0.5 * x * (1 + widely(np.tanh, math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def attends(n_steps, n_keys, window, dilation=1, n_global=0, offset=0):
    """Whether each step may attend to each key, both counted from the start: bool (n_steps, n_keys)."""
    left, right = window
    place = np.arange(n_steps)[:, np.newaxis] + offset
    ahead = np.arange(n_keys)[np.newaxis, :] - place
    allowed = ahead % dilation == 0
    if left is not None:
        allowed &= ahead >= -left
    if right is not None:
        allowed &= ahead <= right
    is_global = (place < n_global) | (np.arange(n_keys) < n_global)
    return allowed | is_global & ((ahead <= 0) | (right != 0))


def scaled_scores(query, key, scale=None):
    """Score every query against every key of its head: (n_heads, n_steps, n_keys).

    query is (n_heads, n_steps, d_head), key (n_kv_heads, n_keys, d_head); neighbours share a key head.
    """
    n_heads, _, d_head = query.shape
    share = n_heads // len(key)
    scale = 1 / math.sqrt(d_head) if scale is None else scale
    return np.array([scale * product(query[head], key[head // share].T) for head in range(n_heads)])


def log_sum_exp(query, key, window=(None, None), scale=None):
    """Natural log of each row's sum of exponentials, -inf where it attends to nothing: (n_heads, n_steps)."""
    scores = scaled_scores(query, key, scale)
    allowed = attends(*scores.shape[1:], window)
    result = np.full(scores.shape[:2], -np.inf, dtype=scores.dtype)
    for head, row in np.ndindex(result.shape):
        seen = scores[head, row, allowed[row]]
        if seen.size:
            result[head, row] = seen.max() + np.log(total(widely(np.exp, seen - seen.max())))[0]
    return result


def attention_weights(query, key, window=(None, None), scale=None, bias=0.0, allowed=None, top_k=None):
    """Softmax of the scores that are `allowed`, by default within the window, rows of 0 where none is.

    (n_heads, n_steps, n_keys); of the `top_k` highest scores alone, if there are more, of equals the first.
    """
    scores = scaled_scores(query, key, scale)
    scores = (scores + bias).astype(scores.dtype)
    allowed = np.broadcast_to(attends(*scores.shape[1:], window) if allowed is None else allowed, scores.shape)
    weights = np.zeros_like(scores)
    for head, row in np.ndindex(scores.shape[:2]):
        places = np.flatnonzero(allowed[head, row] & (scores[head, row] > -np.inf))
        places = places[np.argsort(-scores[head, row, places], kind="stable")[:top_k]] if top_k else places
        seen = scores[head, row, places]
        if seen.size:
            exponentials = widely(np.exp, seen - seen.max())
            weights[head, row, places] = exponentials / total(exponentials)
    return weights


def attention(query, key, value, window=(None, None), scale=None, bias=0.0, **seen):
    """Mix the values of each head by its weights: (n_heads, n_steps, d_value).

    query is (n_heads, n_steps, d_head), key and value (n_kv_heads, n_keys, d_head) and (.., d_value).
    """
    return mixed_values(attention_weights(query, key, window, scale, bias, **seen), value)


def mixed_values(weights, value):
    """Mix the values of each head by its weights: (n_heads, n_steps, n_keys) -> (n_heads, n_steps, d_value)."""
    share = len(weights) // len(value)
    return np.array([product(weights[head], value[head // share]) for head in range(len(weights))])


def attention_gradient(query, key, value, d_mixed, window=(None, None), scale=None, bias=0.0, **seen):
    """Gradients of sum(attention * d_mixed) by query, key and value, each in the shape of its array."""
    n_heads, _, d_head = query.shape
    share = n_heads // len(key)
    weights = attention_weights(query, key, window, scale, bias, **seen)
    d_scores = gradient_of_scores(weights, value, d_mixed)
    scale = 1 / math.sqrt(d_head) if scale is None else scale
    d_query, d_key, d_value = np.zeros_like(query), np.zeros_like(key), np.zeros_like(value)
    for head in range(n_heads):
        shared = head // share
        d_query[head] = product(scale * d_scores[head], key[shared])
        d_key[shared] += product((scale * d_scores[head]).T, query[head])
        d_value[shared] += product(weights[head].T, d_mixed[head])
    return d_query, d_key, d_value


def gradient_of_scores(weights, value, d_mixed):
    """Gradient of sum(attention * d_mixed) by scores, after they were scaled: (n_heads, n_steps, n_keys)."""
    share, result = len(weights) // len(value), np.zeros_like(weights)
    for head, shares in enumerate(weights):
        d_weights = product(d_mixed[head], value[head // share].T)
        result[head] = shares * (d_weights - total(shares * d_weights))
    return result


def linear_features(x):
    """Map queries and keys to positive numbers, elu(x) + 1, elementwise in any shape."""
    return np.where(x > 0, x + 1, widely(np.exp, np.minimum(x, 0)))


def linear_weights(query, key, causal=False, offset=0):
    """Weights of linear attention: (n_heads, n_steps, n_keys)."""
    products = scaled_scores(linear_features(query), linear_features(key), 1.0)
    right = 0 if causal else None
    products = np.where(attends(*products.shape[1:], (None, right), offset=offset), products, 0)
    sums = total(products)
    return np.divide(products, sums, out=np.zeros_like(products), where=sums > 0)


def split_heads(rows, n_heads):
    """Consecutive blocks of columns are heads: (n_steps, n_heads * width) -> (n_heads, n_steps, width)."""
    return np.array(np.split(rows, n_heads, axis=1))


def join_heads(heads):
    """Put the heads side by side: (n_heads, n_steps, width) -> (n_steps, n_heads * width)."""
    return np.concatenate(list(heads), axis=1)


def pooling(kind, steps, query=None, n_heads=1):
    """Make one vector of all steps: (n_steps, d_model) -> (d_model,), or (2 * d_model,) for "mean_max"."""
    if kind == "attention" and n_heads > 1:
        parts = zip(np.split(steps, n_heads, axis=1), np.split(query, n_heads), strict=True)
        return np.concatenate([pooling(kind, *part) for part in parts])
    if kind == "mean":
        return total(steps.T)[:, 0] / len(steps)
    if kind == "max":
        return steps.max(axis=0)
    if kind == "mean_max":
        return np.concatenate([pooling("mean", steps), steps.max(axis=0)])
    if kind == "first":
        return steps[0]
    if kind == "last":
        return steps[-1]
    scores = product(steps, query[:, np.newaxis])[:, 0] / math.sqrt(len(query))
    weights = widely(np.exp, scores - scores.max())
    return product(weights / total(weights), steps)


def cross_entropy(outputs, target):
    """Minus the natural log of the softmax probability of class target[0]: (n_outputs,), (1,) -> number."""
    largest = outputs.max()
    return largest + np.log(np.exp(outputs - largest).sum()) - outputs[int(target[0])]


def squared_error(outputs, target):
    """Half the mean squared difference over outputs: (n_outputs,), (n_outputs,) -> number."""
    return 0.5 * ((outputs - target) ** 2).mean()


def absolute_error(outputs, target):
    """Mean size of the difference over outputs: (n_outputs,), (n_outputs,) -> number."""
    return np.abs(outputs - target).mean()


def huber(outputs, target, bend=1.35):
    """Half the squared difference up to `bend`, its tangent there beyond, the mean over outputs."""
    size = np.abs(outputs - target)
    return np.where(size > bend, bend * (size - bend / 2), size**2 / 2).mean()


def binary_cross_entropy(outputs, target):
    """Log loss of sigmoid(outputs), the mean over outputs: (n_outputs,), (n_outputs,) -> number."""
    # log(1 + exp(x)) without overflow: max(x, 0) + log(1 + exp(-|x|)).
    return (np.maximum(outputs, 0) + np.log1p(np.exp(-np.abs(outputs))) - outputs * target).mean()


def poisson(outputs, target):
    """Minus the log-likelihood of counts whose rates' logarithms are `outputs`, without what only the counts decide."""
    return (np.exp(outputs) - target * outputs).mean()


def quantile(outputs, target, levels):
    """Pinball loss, the mean over the levels of every value: (n_values * n_levels,), (n_values,) -> number."""
    missing = target[:, np.newaxis] - outputs.reshape(len(target), len(levels))
    return np.maximum(levels * missing, (np.array(levels) - 1) * missing).mean()


def contrastive(embeddings, temperature):
    """Loss of each sequence: how badly its two views, side by side, are told from all others: (2 * n, width) -> (n,).

    Minus the logarithm of the other view's share of the softmax of cosines, the mean of both.
    """
    units = embeddings / np.sqrt((embeddings**2).sum(axis=1, keepdims=True))
    losses = []
    for view, unit in enumerate(units):
        partner = view + 1 - 2 * (view % 2)
        cosines = units @ unit / temperature
        others = np.delete(cosines, view)
        losses.append(np.log(np.exp(others - others.max()).sum()) + others.max() - cosines[partner])
    return np.reshape(losses, (-1, 2)).mean(axis=1)


LOSSES = {
    "cross_entropy": cross_entropy,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "binary_cross_entropy": binary_cross_entropy,
    "poisson": poisson,
}


def attention_block(result, h, weights, architecture, layer, when):
    """Add pre-norm attention to h, noting projections in `result`: (n_steps, d_model) -> the same."""
    at = f"layers.{layer}."
    z = layer_norm(h, weights[at + "attention_norm.scale"], weights[at + "attention_norm.bias"])
    query = adapted(z, weights, at + "query") + weights[at + "query.bias"]
    # Softmax does not see a bias of the keys; that of the output does what a bias of the values would.
    key, value = (adapted(z, weights, at + name) for name in ("key", "value"))
    value_rows = value
    query = split_heads(query, architecture.n_heads)
    key, value = (split_heads(rows, architecture.n_kv_heads) for rows in (key, value))
    if architecture.position == "rotary":
        query, key = rotated(query, when), rotated(key, when)
    result |= {at + "query": join_heads(query), at + "key": join_heads(key), at + "value": value_rows}
    mixed = join_heads(mixed_values(architecture_weights(query, key, weights, architecture, layer, when), value))
    return h + (adapted(mixed, weights, at + "output") + weights[at + "output.bias"])


def architecture_weights(query, key, weights, architecture, layer, when):
    """How much each step takes of each other: (n_heads, n_steps, n_steps)."""
    a = architecture
    if a.attention == "linear":
        return linear_weights(query, key, causal=a.window[1] == 0)
    bias = bias_of_scores(a, when, weights.get(f"layers.{layer}.distance"))
    allowed = attends(query.shape[1], key.shape[1], a.window, a.dilation, a.n_global_steps)
    return attention_weights(query, key, bias=bias, allowed=allowed, top_k=a.top_k)


def adapted(rows, weights, name):
    """Rows times the weight of a projection, and times the factors of its adapter, if it has one."""
    result = product(rows, weights[f"{name}.weight"])
    if f"{name}.adapter.down.weight" in weights:
        narrow = product(rows, weights[f"{name}.adapter.down.weight"])
        result = result + product(narrow, weights[f"{name}.adapter.up.weight"])
    return result


def feedforward_block(h, weights, layer):
    """Add a pre-norm feed-forward network to h: (n_steps, d_model) -> (n_steps, d_model)."""
    at = f"layers.{layer}."
    z = layer_norm(h, weights[at + "feedforward_norm.scale"], weights[at + "feedforward_norm.bias"])
    expanded = gelu(product(z, weights[at + "expand.weight"]) + weights[at + "expand.bias"])
    return h + (product(expanded, weights[at + "contract.weight"]) + weights[at + "contract.bias"])


def embedding(result, sequence, weights, architecture):
    """What steps begin with: (n_steps, d_model); numbers are (n_steps, n_numbers) of `result` from here on.

    Codes are 0, 1, 2, ..., and those past the known ones are unknown, which is row 0 of a table.
    """
    columns = {column for column, _ in architecture.categories} | {architecture.time_feature}
    numbers = [column for column in range(architecture.n_features) if column not in columns]
    h = 0.0
    if architecture.n_kernels or numbers:
        told = result["standardised"] if architecture.n_kernels else result["standardised"][:, numbers]
        result["standardised"] = np.where(np.isnan(told), converted(0.0, told.dtype), told)
        h = product(result["standardised"], weights["embedding.weight"]) + weights["embedding.bias"]
    if architecture.handles_missing and numbers:
        for row, step in zip(h, sequence[:, numbers], strict=True):
            for number in np.flatnonzero(np.isnan(step)):
                row += weights["missing.weight"][number]
    for i, (column, n_codes) in enumerate(architecture.categories):
        codes = sequence[:, column].astype(np.int64)
        h = h + weights[f"categories.{i}.weight"][np.where(codes < n_codes, codes + 1, 0)]
    if architecture.n_taps:
        left = architecture.n_taps - 1 if architecture.window[1] == 0 else architecture.n_taps // 2
        h = gelu(convolution(h, weights["convolution.weight"], weights["convolution.bias"], left=left))
    if architecture.patch_size:
        h = convolution(h, weights["patch.weight"], weights["patch.bias"], stride=architecture.stride)
    return h


def convolution(rows, weight, bias, stride=1, left=0):
    """Every `stride` rows, those from `left` before on side by side, times the weight; zeros beyond both ends."""
    n_taps = len(weight) // rows.shape[1]
    padded = np.concatenate([np.zeros((left, rows.shape[1])), rows, np.zeros((n_taps + stride, rows.shape[1]))])
    read = [padded[begin : begin + n_taps].ravel() for begin in range(0, len(rows), stride)]
    return product(np.array(read, rows.dtype), weight) + bias


def reconstruction(outputs, standardised, sequence, told, architecture):
    """Mean over the values that are told: half the squared difference of numbers, cross-entropy of known codes."""
    columns = {column for column, _ in architecture.categories} | {architecture.time_feature}
    numbers = [column for column in range(architecture.n_features) if column not in columns]
    total = 0.0
    for step in range(len(sequence)):
        for i, column in enumerate(numbers):
            if told[step, column] and not np.isnan(sequence[step, column]):
                total += 0.5 * (outputs[step, i] - standardised[step, i]) ** 2
        first = len(numbers)
        for column, n_codes in architecture.categories:
            if told[step, column] and sequence[step, column] < n_codes:
                total += cross_entropy(outputs[step, first : first + n_codes], [sequence[step, column]])
            first += n_codes
    return total / max(1, told.sum())


def blanked(sequence, hidden, architecture):
    """The sequence without what is hidden of it: numbers are missing, codes are unknown."""
    result = np.where(hidden, np.nan, sequence)
    for column, n_codes in architecture.categories:
        result[hidden[:, column], column] = n_codes
    if architecture.time_feature is not None:
        result[:, architecture.time_feature] = sequence[:, architecture.time_feature]
    return result


def forward(weights, architecture, sequence, mean=0.0, scale=1.0, *, hidden=(), dtype=np.float64, unit=1.0):
    """Carry one sequence (n_steps, n_features) through the network; every result by its name.

    "standardised" (n_steps, n_features), "layers.i.query" (n_steps, n_heads * d_head), ".key", ".value",
    "steps" (n_steps, d_model), "features" (n_features_out,), "outputs" (n_outputs,) or of every step.
    What is a stem's is taken as it is, far numbers too: `mean` is None. `hidden` are steps, or a mask of values where
    these may be missing.
    """
    if np.ndim(hidden) == 2:
        sequence, hidden = blanked(sequence, hidden, architecture), ()
    weights = {name: converted(weight, dtype) for name, weight in weights.items()}
    taken = sequence if mean is None else standardise(*map(np.float64, (sequence, mean, scale)))
    result = {"standardised": converted(taken, dtype)}
    h = embedding(result, sequence, weights, architecture)
    for step in hidden:
        h[step] = weights["hidden_step"]
    when = times(sequence, len(h), architecture, unit)
    told = None if architecture.time_feature is None else when
    h = h + converted(position(architecture.position, *h.shape, weights.get("position.weight"), told), dtype)
    for layer in range(architecture.n_layers):
        h = attention_block(result, h, weights, architecture, layer, when)
        if architecture.d_feedforward:
            h = feedforward_block(h, weights, layer)
    steps = result["steps"] = layer_norm(h, weights["norm.scale"], weights["norm.bias"])
    per_step = architecture.loss in ("reconstruction", "next_step") or architecture.is_stepwise
    if architecture.pooling is not None or not per_step:
        numbers = ["", *(f".{i}" for i in range(1, architecture.n_pooling_queries))]
        queries = [weights.get(f"pooling{number}.query") for number in numbers]
        kind, n_heads = architecture.pooling or "mean", architecture.n_pooling_heads
        pooled = [pooling(kind, steps, query, n_heads) for query in queries]
        result["features"] = np.concatenate(pooled)
    head_input = steps if per_step else result["features"]
    if architecture.loss == "contrastive":
        hidden_layer = product(head_input, weights["head.hidden.weight"]) + weights["head.hidden.bias"]
        head_input = gelu(hidden_layer)
    result["outputs"] = product(head_input, weights["head.weight"]) + weights["head.bias"]
    return result


def loss(weights, architecture, sequence, target, mean=0.0, scale=1.0, *, hidden=(), dtype=np.float64, unit=1.0):
    """Loss of one sequence (n_steps, n_features) with its target, a number."""
    result = forward(weights, architecture, sequence, mean, scale, hidden=hidden, dtype=dtype, unit=unit)
    if architecture.loss in ("reconstruction", "next_step"):
        told = np.array(hidden) if np.ndim(hidden) == 2 else np.zeros(sequence.shape, bool)
        if np.ndim(hidden) == 1:
            told[list(hidden)] = True
        no_numbers = [column for column, _ in architecture.categories]
        no_numbers += [] if architecture.time_feature is None else [architecture.time_feature]
        wanted = np.delete(converted(standardise(sequence, mean, scale), dtype), no_numbers, axis=1)
        if architecture.loss == "next_step":
            told = np.ones_like(told[1:])
            return reconstruction(result["outputs"][:-1], wanted[1:], sequence[1:], told, architecture)
        return reconstruction(result["outputs"], wanted, sequence, told, architecture)
    measure, target = LOSSES.get(architecture.loss), converted(target, dtype)
    if architecture.loss == "quantile":
        measure = partial(quantile, levels=architecture.quantiles)
    if architecture.is_stepwise:
        # Each row of the target ends with its share.
        return sum(row[-1] * measure(outputs, row[:-1]) for outputs, row in zip(result["outputs"], target, strict=True))
    return measure(result["outputs"], target)
