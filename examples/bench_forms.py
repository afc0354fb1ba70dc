"""Forms of attention at 1k to 64k steps: time, time a pair beside full attention, error, and torch's ways to say them.

Run: ``python examples/bench_forms.py`` (``pip install torch`` for the other side; ``--most 16384`` for less;
``--threads 1`` for processor time of one thread, which a busy machine changes less).
A form that leaves pairs out should cost in proportion to those it keeps: a column "a pair" is the time beside it for
each of them, divided by that of full attention of the same length. The error is the largest of float32 against float64.
torch takes a mask of all pairs (``scaled_dot_product_attention``), or a function that says what is seen, compiled for
each form and length (``flex_attention``, forward alone on CPUs, needs a C++ compiler; ``--no-flex`` leaves it out).
"""

import argparse
import contextlib
import math
import time
import tracemalloc
from functools import partial

import bench_common as bench
import numpy as np

from skattn import attention
from skattn._attention_call import AttentionCall
from skattn.functional import attention_backward

N_HEADS, WIDTH = 2, 64
FORMS = {
    "full": {},
    "causal": {"causal": True},
    "window 256": {"window": (255, 0)},
    "window 1024, dilation 4": {"window": (1020, 0), "dilation": 4},
    "window 256, 16 global steps": {"window": (255, 0), "n_global_steps": 16},
    "causal, distances": {"causal": True, "slopes": [0.25, 0.0625]},
    "top 32": {"top_k": 32},
    "linear": {"kind": "linear"},
    "linear, causal": {"kind": "linear", "causal": True},
}
# What torch takes as a mask of all pairs grows with the square of the length.
MOST_OF_TORCH = 16384
# Rounds of what is done within a second or so, of what takes longer, and of the longest.
QUICK, SLOW, ONCE = 7, 3, 1
torch = bench.torch


def arrays_of(n_steps):
    """Query, key, value and gradient of the output."""
    generator = np.random.default_rng(0)
    return [generator.normal(size=(1, N_HEADS, n_steps, WIDTH)).astype(np.float32) for _ in range(4)]


def by_distance(query, key, value, slopes, n_jobs, **form):
    """Attention with so much off for each step of distance, by head: as networks have it (position="alibi")."""
    call = AttentionCall(query, key, value, n_jobs=n_jobs, **form)
    call.add(times=np.arange(query.shape[2]), slopes=slopes)
    call.forward()
    return call.output


def our_side(form, *arrays, n_jobs=None):
    """The form by skattn."""
    function = by_distance if "slopes" in form else attention
    return partial(function, *arrays, n_jobs=n_jobs, **form)


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


def says(form):
    """Whether torch can say a form."""
    return torch is not None and "top_k" not in form and form.get("kind") != "linear"


def rule_of(form):
    """What a form keeps, as a function of the places of a query and of a key."""
    left, n_global = form.get("window", (None, 0))[0], form.get("n_global_steps", 0)
    dilation = form.get("dilation", 1)

    def is_seen(sample, head, i, j):
        seen = j <= i
        if left is not None:
            near = i - j <= left
            near = near & ((i - j) % dilation == 0) if dilation > 1 else near
            seen = seen & (near | (j < n_global)) if n_global else seen & near
        return seen

    return is_seen


def by_mask(form, tensors):
    """The form by torch, with a mask of all pairs."""
    function = partial(torch.nn.functional.scaled_dot_product_attention, *tensors)
    if not form or form == {"causal": True}:
        return partial(function, is_causal=bool(form))
    place = torch.arange(tensors[0].shape[2])
    mask = rule_of(form)(0, 0, place[:, None], place)
    if "slopes" in form:
        distance = (place[:, None] - place).abs()
        slopes = torch.tensor(form["slopes"], dtype=tensors[0].dtype)[:, None, None]
        mask = torch.where(mask, -slopes * distance, -math.inf)[None]
    return partial(function, attn_mask=mask)


def by_rule(form, tensors):
    """The form by torch's compiled function of places; the compiler's own words where it fails."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    n_steps, score, seen = tensors[0].shape[2], None, None
    if "slopes" in form:
        slopes = torch.tensor(form["slopes"], dtype=tensors[0].dtype)

        def score(of_pair, sample, head, i, j):
            return of_pair - slopes[head] * (i - j)

    if form:
        seen = create_block_mask(rule_of(form), 1, 1, n_steps, n_steps, device="cpu")
    # What was compiled before counts, and behind eight torch would give up without an error.
    torch._dynamo.reset()
    compiled = torch.compile(flex_attention, dynamic=False)
    side = partial(compiled, *tensors, score_mod=score, block_mask=seen)
    try:
        side()
    except Exception as error:
        print(f"flex_attention: {type(error).__name__}: {str(error)[:300]}")
        return None
    return side


def torch_sides(form, arrays, has_rules):
    """The same by torch in both ways, if it is there and can say it."""
    n_steps = arrays[0].shape[2]
    if not says(form):
        return [None, None]
    tensors = [torch.from_numpy(array) for array in arrays]
    has_mask, has_rule = n_steps <= MOST_OF_TORCH, has_rules and 4096 <= n_steps <= 16384
    return [by_mask(form, tensors) if has_mask else None, by_rule(form, tensors) if has_rule else None]


def refuse_unlike(sides, title):
    """Stop where torch's sides give something else than ours."""
    for side in sides[2:]:
        if side is not None:
            np.testing.assert_allclose(side().numpy(), sides[0](), rtol=1e-3, atol=1e-4, err_msg=title)


def error_of(form, *arrays):
    """The largest error of float32 against float64."""
    truth = our_side(form, *(array.astype(np.float64) for array in arrays))()
    return np.abs(our_side(form, *arrays)() - truth).max()


def sides_of(form, arrays, options, is_quick):
    """Forwards, forwards and backwards, and what torch has."""
    *forward, _ = arrays
    back = partial(attention_backward, *arrays, n_jobs=options.threads, **form)
    has_back = "slopes" not in form and (is_quick or arrays[0].shape[2] <= 16384)
    mine = our_side(form, *forward, n_jobs=options.threads)
    return [mine, back if has_back else None, *torch_sides(form, forward, not options.no_flex)]


def compare(options):
    ratios = ("mask ms", "ratio", "flex ms", "ratio")
    bench.head("form", "steps", "ms", "a pair", "ms with backward", "a pair", "error", *ratios)
    clock, n_steps = time.process_time if options.threads == 1 else time.perf_counter, options.least
    while n_steps <= options.most:
        arrays = arrays_of(n_steps)
        of_full = both_of_full = None
        for title, form in FORMS.items():
            is_quick = n_steps <= 4096 or "window" in form or "kind" in form
            sides = sides_of(form, arrays, options, is_quick)
            refuse_unlike(sides, title)
            n_rounds = QUICK if is_quick else SLOW if n_steps <= 16384 else ONCE
            seconds = bench.in_turn(sides, n_rounds, warm_up=int(is_quick), clock=clock)
            (forward, both, *others), pairs = seconds, n_pairs(form, n_steps)
            if not form:
                of_full, both_of_full = forward / pairs, both and both / pairs
            cells = ["" if pairs is None else f"{forward / pairs / of_full:.2f}"]
            cells += ["" if both is None else f"{both * 1e3:.3g}"]
            cells += ["" if None in (both, pairs, both_of_full) else f"{both / pairs / both_of_full:.2f}"]
            cells += [f"{error_of(form, *arrays[:3]):.1e}" if n_steps <= 4096 else ""]
            for other in others:
                cells += ["", ""] if other is None else [f"{other * 1e3:.3g}", f"{other / forward:.2f}"]
            bench.row(title, n_steps, f"{forward * 1e3:.3g}", *cells)
        n_steps *= 4


def memory_of_linear(n_steps=65536):
    """Memory that linear attention takes beside its input and output, in MB: all of it is NumPy's."""
    query, key, value, d_output = arrays_of(n_steps)
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
    parser.add_argument("--least", type=int, default=1024)
    parser.add_argument("--most", type=int, default=65536)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-flex", action="store_true")
    options = parser.parse_args()
    bench.describe()
    bench.use_threads(options.threads)
    memory_of_linear()
    with torch.inference_mode() if torch is not None else contextlib.nullcontext():
        compare(options)
