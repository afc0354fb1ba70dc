"""Forms of attention at 1k to 64k steps: time, time a pair beside full attention, error, and torch by a mask.

Run: ``python examples/bench_forms.py`` (``pip install torch`` for the other side; ``--most 16384`` for less).
A form that leaves pairs out should cost in proportion to those it keeps: a column "a pair" is the time beside it for
each of them, divided by that of full attention of the same length. The error is the largest of float32 against float64.
"""

import argparse
import tracemalloc
from functools import partial

import bench_common as bench
import numpy as np

from skattn import attention
from skattn.functional import attention_backward

N_HEADS, WIDTH = 2, 64
FORMS = {
    "full": {},
    "causal": {"causal": True},
    "window 256": {"window": (255, 0)},
    "window 1024, dilation 4": {"window": (1020, 0), "dilation": 4},
    "window 256, 16 global steps": {"window": (255, 0), "n_global_steps": 16},
    "top 32": {"top_k": 32},
    "linear": {"kind": "linear"},
    "linear, causal": {"kind": "linear", "causal": True},
}
# What torch takes as a mask of all pairs grows with the square of the length.
MOST_OF_TORCH = 4096
torch = bench.torch


def arrays(n_steps):
    """Query, key, value and gradient of the output."""
    generator = np.random.default_rng(0)
    return [generator.normal(size=(1, N_HEADS, n_steps, WIDTH)).astype(np.float32) for _ in range(4)]


def n_pairs(form, n_steps):
    """Pairs of a query and a key that a form keeps."""
    if form.get("kind") == "linear":
        return None
    query, right = np.arange(n_steps), 0 if form.get("causal") or "window" in form else None
    before = np.minimum(query, form.get("window", (n_steps, 0))[0]) // form.get("dilation", 1) + 1
    if right is None:
        return n_steps**2
    kept = int(before.sum())
    # Causal global steps are seen by those from whose window they are out.
    for step in range(form.get("n_global_steps", 0)):
        kept += int((query - step > form["window"][0]).sum())
    return kept


def mask_of(form, n_steps):
    """What a form keeps, as a mask of all pairs; None where no mask says it."""
    if "top_k" in form or form.get("kind") == "linear":
        return None
    ahead = np.arange(n_steps) - np.arange(n_steps)[:, np.newaxis]
    left = form.get("window", (n_steps, 0))[0]
    seen = (ahead % form.get("dilation", 1) == 0) & (ahead >= -left)
    seen[:, : form.get("n_global_steps", 0)] = True
    return seen & (ahead <= 0) if form else seen


def torch_side(form, query, key, value):
    """The same by torch, if it is there and a mask says it."""
    mask = None if torch is None or query.shape[2] > MOST_OF_TORCH else mask_of(form, query.shape[2])
    if mask is None:
        return None
    tensors, mask = [torch.from_numpy(array) for array in (query, key, value)], torch.from_numpy(mask)
    options = {} if not form else {"is_causal": True} if form == {"causal": True} else {"attn_mask": mask}
    return lambda: torch.nn.functional.scaled_dot_product_attention(*tensors, **options)


def error_of(form, query, key, value):
    """The largest error of float32 against float64."""
    truth = attention(*(array.astype(np.float64) for array in (query, key, value)), **form)
    return np.abs(attention(query, key, value, **form) - truth).max()


def compare(most):
    bench.head("form", "steps", "ms", "a pair", "ms with backward", "a pair", "error", "torch ms", "ratio")
    n_steps = 1024
    while n_steps <= most:
        query, key, value, d_output = arrays(n_steps)
        of_full = both_of_full = None
        for title, form in FORMS.items():
            quick = n_steps <= 4096 or "window" in form or "kind" in form
            back = partial(attention_backward, query, key, value, d_output, n_jobs=2, **form)
            sides = [
                partial(attention, query, key, value, n_jobs=2, **form),
                back if quick or n_steps <= 16384 else None,
                torch_side(form, query, key, value),
            ]
            forward, both, other = bench.in_turn(sides, 7 if quick else 1, warm_up=1 if quick else 0)
            pairs = n_pairs(form, n_steps)
            of_full = of_full or forward / pairs
            both_of_full = both_of_full or both and both / pairs
            has_error = n_steps <= 16384
            bench.row(
                title, n_steps, f"{forward * 1e3:.3g}", "" if pairs is None else f"{forward / pairs / of_full:.2f}",
                "" if both is None else f"{both * 1e3:.3g}",
                "" if None in (both, pairs, both_of_full) else f"{both / pairs / both_of_full:.2f}",
                f"{error_of(form, query, key, value):.1e}" if has_error else "",
                "" if other is None else f"{other * 1e3:.3g}", "" if other is None else f"{other / forward:.2f}",
            )  # fmt: skip
        n_steps *= 4


def memory_of_linear(n_steps=65536):
    """Memory that linear attention takes beside its input and output, in MB: all of it is NumPy's."""
    query, key, value, d_output = arrays(n_steps)
    for title, function, extra in (("forward", attention, ()), ("with backward", attention_backward, (d_output,))):
        function(*(array[:, :, :128] for array in (query, key, value, *extra)), kind="linear", causal=True)
        tracemalloc.start()
        results = function(query, key, value, *extra, kind="linear", causal=True)
        results = results if extra else [results]
        taken = tracemalloc.get_traced_memory()[1] - sum(array.nbytes for array in results)
        tracemalloc.stop()
        print(f"linear, causal, {n_steps} steps, {title}: {taken / 2**20:.1f} MB beside input and output")
    print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=65536)
    options = parser.parse_args()
    bench.describe()
    bench.use_threads(2)
    memory_of_linear()
    compare(options.most)
