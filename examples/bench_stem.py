"""The stem alone: seconds to turn sequences into tokens, beside the multiply-add peak and beside aeon's transforms.

Run: ``python examples/bench_stem.py`` (``pip install aeon`` for the other side; without it, our side alone).
MiniROCKET and MultiROCKET give each sequence one row of features, the stem one for each of its tokens. Work is what
kernels cost by counting: a multiplication and an addition for each tap of each channel that one reads; what squashing
a response costs is not in it, so the share of the peak understates. One thread, float32, both sides in turn.
"""

import warnings

import bench_common as bench
import numpy as np

from skattn import RandomConvolutionTokens

# Sequences, steps, features.
SHAPES = [(200, 50, 3), (200, 200, 1), (100, 500, 6), (20, 5000, 1)]
N_KERNELS = 1920


def our_transform(x):
    tokens = RandomConvolutionTokens(n_kernels=N_KERNELS, n_jobs=1, random_state=0).fit(x)
    return lambda: tokens.transform(x), tokens._stem


def their_transform(name, x):
    try:
        from aeon.transformations.collection import convolution_based
    except ImportError:
        return None
    transform = getattr(convolution_based, name)(random_state=0, n_jobs=1)
    channels_first = np.ascontiguousarray(x.transpose(0, 2, 1))
    transform.fit(channels_first)
    return lambda: transform.transform(channels_first)


def work_of(stem, n_steps):
    """Give the multiplications and additions of the kernels for so many steps."""
    taps, group = stem.weights.shape[2:]
    return 2.0 * n_steps * int(stem.n_channels.sum()) * taps * group


def main():
    warnings.simplefilter("ignore")
    bench.describe()
    bench.use_threads(1)
    names = ["MiniRocket", "MultiRocket"]
    head = ["sequences × steps × features", "ms", "ns a step", "GFLOP/s", "of the peak", "MB of tokens"]
    bench.head(*head, *(f"{name}, ratio" for name in names))
    for shape in SHAPES:
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        ours, stem = our_transform(x)
        theirs = [their_transform(name, x) for name in names]
        seconds, *others = bench.in_turn([ours, *theirs], bench.rounds(bench.once(ours), budget=4))
        n_steps, speed = shape[0] * shape[1], work_of(stem, shape[0] * shape[1]) / seconds / 1e9
        size = sum(tokens.nbytes for tokens in ours()) / 1e6
        bench.row(
            " × ".join(map(str, shape)), f"{seconds * 1e3:.1f}", f"{seconds / n_steps * 1e9:.0f}", f"{speed:.0f}",
            f"{speed / bench.peak():.0%}", f"{size:.0f}",
            *("not installed" if other is None else f"{other / seconds:.2f}" for other in others),
        )  # fmt: skip


if __name__ == "__main__":
    main()
