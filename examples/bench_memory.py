"""Memory beside input and output: attention forward and backward, and a fit, on sequences that are long.

Run: ``python examples/bench_memory.py``, or with the numbers of steps, ``python examples/bench_memory.py 8192``.
Each figure is the peak of a process of its own, beyond what it held with its inputs in memory and beyond its outputs:
backward those are the three gradients, so the forward's own output counts as work memory.
"""

import json
import subprocess
import sys
import time

import numpy as np

N_HEADS, WIDTH = 8, 64
FIT_HEADS, N_SEQUENCES, N_FEATURES = 4, 2, 4
N_STEPS = [8192, 32768]
N_JOBS = 2


def attention_forward(n_steps):
    """Give attention on arrays that are in memory, as a function that gives its outputs."""
    from skattn import attention

    inputs = _arrays(3, n_steps)
    return lambda: attention(*inputs, n_jobs=N_JOBS)


def attention_backward(n_steps):
    """Give attention's gradients on arrays that are in memory, as a function that gives its outputs."""
    from skattn.functional import attention_backward

    inputs = _arrays(4, n_steps)
    return lambda: attention_backward(*inputs, n_jobs=N_JOBS)


def fit(n_steps):
    """Give one epoch on sequences that are in memory, as a function that gives the weights."""
    from skattn import SelfAttentionClassifier

    X = _normal((N_SEQUENCES, n_steps, N_FEATURES))
    # Without a table of positions, whose size is the longest sequence's.
    plain = {"embedding": "linear", "n_estimators": 1, "position": "none"}
    model = SelfAttentionClassifier(n_heads=FIT_HEADS, **plain, max_iter=1, random_state=0, n_jobs=N_JOBS)
    return lambda: tuple(model.fit(X, np.arange(N_SEQUENCES)).weights_.values())


CASES = {
    "attention forward": attention_forward,
    "attention backward": attention_backward,
    "fit": fit,
}


def _normal(shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _arrays(count, n_steps):
    return [_normal((1, N_HEADS, n_steps, WIDTH)) for _ in range(count)]


def _held():
    """Bytes that this process holds now, and the most that it ever did."""
    try:
        with open("/proc/self/status") as lines:
            sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        return int(sizes["VmRSS"]) * 1024, int(sizes["VmHWM"]) * 1024
    except OSError:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return most, most


def measure(case, n_steps):
    """Print what one case takes, in this process."""
    # Kernels are compiled or loaded before, and their threads started.
    CASES[case](64)()
    run = CASES[case](n_steps)
    _, before = _held()
    start = time.perf_counter()
    outputs = run()
    seconds = time.perf_counter() - start
    after, peak = _held()
    size = sum(array.nbytes for array in (outputs if isinstance(outputs, tuple) else [outputs]))
    print(json.dumps({"work": peak - before - size, "kept": after - before - size, "seconds": seconds}))


def in_process(case, n_steps):
    """Measure one case in a process of its own."""
    command = [sys.executable, __file__, "--measure", case, str(n_steps)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


def table(all_n_steps):
    """Measure every case and print the figures."""
    import bench_common as bench

    bench.describe()
    print(f"Attention: 1 sample, {N_HEADS} heads, width {WIDTH}. Fit: {N_SEQUENCES} sequences, an epoch. float32.\n")
    bench.head("steps", "what", "work memory MB", "kept after it MB", "score matrices would take MB", "seconds")
    for n_steps in all_n_steps:
        for case in CASES:
            done = in_process(case, n_steps)
            scores = (FIT_HEADS if case == "fit" else N_HEADS) * n_steps**2 * 4
            sizes = [f"{size / 1e6:.0f}" for size in (done["work"], done["kept"], scores)]
            bench.row(n_steps, case, *sizes, f"{done['seconds']:.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        table([int(argument) for argument in sys.argv[1:]] or N_STEPS)
