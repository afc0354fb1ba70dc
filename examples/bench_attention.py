"""Attention forward and backward against torch's ``scaled_dot_product_attention``: short and long, bounded and ragged.

Run: ``python examples/bench_attention.py`` (``pip install torch`` for the other side; without it, our side alone).
Counted is the useful work, 4 * d_head for each pair of a query and a key forward and 10 * d_head more backward.
"""

import bench_common as bench
import numpy as np

from skattn import attention
from skattn.functional import attention_backward

LONG = [(1, 8, 4096, 64), (8, 8, 1024, 64), (1, 1, 16384, 64)]
SHORT = [(64, 8, 128, 64), (256, 4, 64, 16), (1024, 4, 32, 16), (2048, 2, 16, 8), (211, 3, 23, 11)]
torch = bench.torch


def arrays(shape):
    generator = np.random.default_rng(0)
    return [generator.normal(size=shape).astype(np.float32) for _ in range(4)]


def torch_forward(query, key, value):
    if torch is None:
        return None
    tensors = [torch.from_numpy(array) for array in (query, key, value)]
    return lambda: torch.nn.functional.scaled_dot_product_attention(*tensors)


def torch_both(query, key, value, d_output):
    if torch is None:
        return None
    tensors = [torch.from_numpy(array).requires_grad_() for array in (query, key, value)]
    upstream = torch.from_numpy(d_output)

    def both():
        output = torch.nn.functional.scaled_dot_product_attention(*tensors)
        return torch.autograd.grad(output, tensors, upstream)

    return both


def compare(title, ours, theirs, flops_per_pair, peak):
    print(f"\n{title}\n")
    bench.head("shape", "skattn ms", "GFLOP/s", "of the peak", "torch ms", "ratio")
    for shape in LONG + SHORT:
        query, key, value, d_output = arrays(shape)
        sides = ours(query, key, value, d_output), theirs(query, key, value, d_output)
        mine, other = bench.in_turn(sides, bench.rounds(4 * bench.once(sides[0])))
        speed = flops_per_pair * shape[0] * shape[1] * shape[2] ** 2 * shape[3] / mine / 1e9
        ratio = "" if other is None else f"{other / mine:.2f}"
        other = "" if other is None else f"{other * 1e3:.2f}"
        bench.row(shape, f"{mine * 1e3:.2f}", f"{speed:.0f}", f"{speed / peak:.0%}", other, ratio)


def bounded():
    print("\nBounds at 8192 steps, 1 sample, 8 heads, width 64: time beside full attention\n")
    query, key, value, d_output = arrays((1, 8, 8192, 64))
    bench.head("direction", "causal", "window 256")
    for title, function, extra in (("forward", attention, ()), ("with backward", attention_backward, (d_output,))):
        sides = [
            lambda options=options, function=function, extra=extra: function(query, key, value, *extra, **options)
            for options in ({}, {"causal": True}, {"window": (255, 0)})
        ]
        full, causal, window = bench.in_turn(sides, 5, warm_up=0)
        bench.row(title, f"{causal / full:.2f}", f"{window / full:.3f}")


def threads():
    print("\nTwo threads beside one, (8, 8, 1024, 64)\n")
    query, key, value, d_output = arrays((8, 8, 1024, 64))
    bench.head("direction", "speed-up")
    for title, function, extra in (("forward", attention, ()), ("with backward", attention_backward, (d_output,))):
        sides = [
            lambda n=n, function=function, extra=extra: function(query, key, value, *extra, n_jobs=n) for n in (1, 2)
        ]
        one, two = bench.in_turn(sides, 15)
        bench.row(title, f"{one / two:.2f}")


if __name__ == "__main__":
    bench.describe()
    bench.use_threads(2)
    peak = 2 * bench.peak()
    print(f"multiply-add peak of two threads, measured: {peak:.0f} GFLOP/s")
    compare(
        "Forward", lambda q, k, v, d: lambda: attention(q, k, v, n_jobs=2), lambda q, k, v, d: torch_forward(q, k, v),
        4, peak,
    )  # fmt: skip
    compare(
        "Forward and backward",
        lambda q, k, v, d: lambda: attention_backward(q, k, v, d, n_jobs=2), torch_both, 14, peak,
    )  # fmt: skip
    bounded()
    threads()
