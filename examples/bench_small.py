"""One sequence at a time: ``transform`` against the forward pass of a torch module.

Run: ``python examples/bench_small.py`` (``pip install torch`` for the other side; without it, our side alone).
Ours has scikit-learn's checks in it; torch's module gets a tensor that is ready, in inference mode. One thread each.
"""

import statistics
import time

import bench_common as bench
import numpy as np

from skattn import SelfAttentionTransformer

N_FEATURES, D_MODEL, N_HEADS = 64, 64, 4
N_STEPS = [29, 100]
# A call is shorter than a pause would disturb it, so blocks of calls take turns instead.
N_BLOCKS, N_CALLS = 20, 200
torch = bench.torch


def our_call(x):
    model = SelfAttentionTransformer(
        d_model=D_MODEL, n_heads=N_HEADS, d_feedforward=None, position="none", pooling="mean",
        embedding="linear", n_estimators=1, max_iter=1, random_state=0, n_jobs=1,
    )  # fmt: skip
    model.fit(np.random.default_rng(1).normal(size=(8, x.shape[1], N_FEATURES)).astype(np.float32))
    return lambda: model.transform(x)


def torch_call(x):
    if torch is None:
        return None

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Linear(N_FEATURES, D_MODEL)
            self.attention = torch.nn.MultiheadAttention(D_MODEL, N_HEADS, batch_first=True)

        def forward(self, x):
            h = self.embedding(x)
            return (h + self.attention(h, h, h, need_weights=False)[0]).mean(1)

    model, tensor = Model().eval(), torch.from_numpy(x)

    def call():
        with torch.inference_mode():
            return model(tensor)

    return call


def in_blocks(sides):
    """Time blocks of calls in turn; gives the median seconds of a call of each, None for a side that is None."""
    seconds = [[] for _ in sides]
    for block in range(1 + N_BLOCKS):
        for side, times in zip(sides, seconds, strict=True):
            for _ in range(N_CALLS if side is not None else 0):
                start = time.perf_counter()
                side()
                if block:
                    times.append(time.perf_counter() - start)
    return [statistics.median(times) if times else None for times in seconds]


if __name__ == "__main__":
    bench.describe()
    bench.use_threads(1)
    bench.head("(sequences, steps, features)", "skattn µs", "torch µs", "ratio")
    for n_steps in N_STEPS:
        x = np.random.default_rng(0).normal(size=(1, n_steps, N_FEATURES)).astype(np.float32)
        mine, other = in_blocks((our_call(x), torch_call(x)))
        ratio = "" if other is None else f"{other / mine:.2f}"
        bench.row(x.shape, f"{mine * 1e6:.0f}", "" if other is None else f"{other * 1e6:.0f}", ratio)
