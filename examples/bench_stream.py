"""A step of a stream against the same network written in NumPy, and in torch, with keys and values kept as well.

Features are compared; beside them what a step costs that gives probabilities of three classes.

Run: ``OPENBLAS_NUM_THREADS=1 python examples/bench_stream.py`` (``pip install torch`` for that side; without it, the
others alone).
d_model=64, 4 heads, feed-forward of 128, a window of 256 steps, which is full. One thread each; ours has its checks.
"""

import math

import bench_common as bench
import numpy as np
from bench_small import in_blocks

from skattn import SelfAttentionClassifier, SelfAttentionTransformer

N_FEATURES, WINDOW, N_HEADS, D_HEAD = 4, 256, 4, 16
N_STREAMS = [1, 8, 64]
torch = bench.torch


def fitted(dtype, estimator=SelfAttentionTransformer):
    model = estimator(
        causal=True, window=WINDOW - 1, embedding="linear", position="none", pooling="last", n_estimators=1,
        max_iter=1, dtype=dtype, random_state=0, n_jobs=1,
    )  # fmt: skip
    labels = None if estimator is SelfAttentionTransformer else np.arange(8) % 3
    return model.fit(np.random.default_rng(1).normal(size=(8, 50, N_FEATURES)), labels)


class PlainStep:
    """The fitted network, one step of all streams at a time: arrays of whichever library, keys and values in rings."""

    def __init__(self, model, n_streams, library, as_array):
        network = model._model.network
        self.weights = {name: as_array(np.array(weight)) for name, weight in model.weights_.items()}
        self.mean, self.scale = (as_array(part.astype(network.dtype)) for part in (network.mean, network.scale))
        zeros = np.zeros((n_streams, N_HEADS, WINDOW, D_HEAD), network.dtype)
        self.keys, self.values, self.count, self.library = as_array(zeros), as_array(zeros.copy()), 0, library

    def norm(self, x, name):
        x = x - x.mean(-1)[:, None]
        x = x / self.library.sqrt((x * x).mean(-1) + 1e-5)[:, None]
        return x * self.weights[f"{name}.scale"] + self.weights[f"{name}.bias"]

    def __call__(self, x):
        w, library, n = self.weights, self.library, len(x)
        x = (x - self.mean) / self.scale @ w["embedding.weight"] + w["embedding.bias"]
        z = self.norm(x, "layers.0.attention_norm")
        heads = (n, N_HEADS, D_HEAD)
        query = (z @ w["layers.0.query.weight"] + w["layers.0.query.bias"]).reshape(*heads, 1)
        place, live = self.count % WINDOW, min(self.count + 1, WINDOW)
        self.keys[:, :, place] = (z @ w["layers.0.key.weight"]).reshape(heads)
        self.values[:, :, place] = (z @ w["layers.0.value.weight"]).reshape(heads)
        self.count += 1
        scores = (self.keys[:, :, :live] @ query)[..., 0] / math.sqrt(D_HEAD)
        shares = library.exp(scores - (scores.amax(-1) if library is torch else scores.max(-1))[..., None])
        shares = (shares / shares.sum(-1)[..., None])[:, :, None]
        mixed = (shares @ self.values[:, :, :live]).reshape(n, -1)
        x = x + mixed @ w["layers.0.output.weight"] + w["layers.0.output.bias"]
        wide = self.norm(x, "layers.0.feedforward_norm") @ w["layers.0.expand.weight"] + w["layers.0.expand.bias"]
        wide = wide / (1 + library.exp(-2 * math.sqrt(2 / math.pi) * wide * (1 + 0.044715 * wide * wide)))
        x = x + wide @ w["layers.0.contract.weight"] + w["layers.0.contract.bias"]
        return self.norm(x, "norm")


def sides_of(model, classifier, x):
    """Steps of streams, of NumPy and of torch, after as many steps as the window holds and some more."""
    stream, plain, telling = model.stream(len(x)), PlainStep(model, len(x), np, np.asarray), classifier.stream(len(x))
    sides = [lambda: stream.step(x), lambda: telling.step(x), lambda: plain(x), None]
    steps = np.random.default_rng(2).normal(size=(300, *x.shape))
    if torch is not None:
        other, tensor = PlainStep(model, len(x), torch, torch.from_numpy), torch.from_numpy(x)

        def of_torch():
            with torch.inference_mode():
                return other(tensor)

        sides[3] = of_torch
    for step in steps.astype(x.dtype):
        found, expected, _ = stream.step(step), plain(step), telling.step(step)
        if torch is not None:
            other(torch.from_numpy(step))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    return sides


if __name__ == "__main__":
    bench.describe()
    bench.use_threads(1)
    bench.head("precision", "streams", "µs a step", "a stream", "of probabilities", "NumPy, ratio", "torch, ratio")
    for dtype in ("float32", "float64"):
        model, classifier = fitted(dtype), fitted(dtype, SelfAttentionClassifier)
        for n_streams in N_STREAMS:
            x = np.random.default_rng(0).normal(size=(n_streams, N_FEATURES)).astype(dtype)
            mine, telling, *others = in_blocks(sides_of(model, classifier, x))
            ratios = ["" if other is None else f"{other / mine:.1f}" for other in others]
            microseconds = f"{mine * 1e6:.1f}", f"{mine / n_streams * 1e6:.1f}", f"{telling * 1e6:.1f}"
            bench.row(dtype, n_streams, *microseconds, *ratios)
