"""Start-up: what a process pays for its first fit and predict, beyond importing scikit-learn and numba.

Run: ``python examples/bench_start.py``. Every figure is of a process of its own; kernels are kept in a folder that is
empty at first and removed at the end. A fit is hundreds of updates; with ``max_iter=1`` start-up is seen alone.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile

import bench_common as bench

N_CACHED = 5
MAX_ITER = ["auto", 1]
# `kernels` is what the first fit and predict take beyond the second: kernels compiled, or read from disk and linked.
PROCESS = """
import sklearn.base, numba
import gc, json, sys, time
import numpy as np

X = np.random.default_rng(0).normal(size=(64, 20, 3)).astype(np.float32)
y = np.arange(64) % 2
max_iter = int(sys.argv[1]) if sys.argv[1].isdigit() else sys.argv[1]
# The garbage of those imports is theirs: a pass over all that they made (some 60 ms) is about to fall due.
gc.collect()
marks = [time.perf_counter()]
from skattn import SelfAttentionClassifier
marks.append(time.perf_counter())
for _ in range(2):
    # One network without a stem: how long more of them take to train is not the start's affair.
    model = SelfAttentionClassifier(embedding="linear", n_estimators=1, max_iter=max_iter, random_state=0).fit(X, y)
    marks.append(time.perf_counter())
    model.predict(X)
    marks.append(time.perf_counter())

from skattn._kernels import jit
importing, first_fit, first_predict, fit, predict = np.diff(marks).tolist()
compiled, loaded = jit.counts()
first, later = first_fit + first_predict, fit + predict
print(json.dumps({
    "total": importing + first, "import": importing, "kernels": first - later, "fit": fit, "predict": predict,
    "compiled": compiled, "loaded": loaded,
}))
"""


def start(folder, max_iter):
    """Seconds of the parts of one process that keeps its kernels in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, str(max_iter)], env={**os.environ, "NUMBA_CACHE_DIR": folder},
        stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def rows(max_iter):
    """Measure a process that compiles and some that load, and print a row of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        cold = start(folder, max_iter)
        runs = [start(folder, max_iter) for _ in range(N_CACHED)]
    cached = {name: statistics.median(run[name] for run in runs) for name in cold}
    for title, parts in (("empty", cold), (f"filled, median of {N_CACHED}", cached)):
        times = [f"{parts[name]:.3f}" for name in ("total", "import", "kernels", "fit", "predict")]
        if max_iter != 1:
            # The difference of two long fits says nothing of what is short.
            times[2] = ""
        bench.row(max_iter, title, *times, parts["compiled"], parts["loaded"])


if __name__ == "__main__":
    bench.describe()
    print("First fit and predict of 64 sequences of 20 steps and 3 features, float32: seconds\n")
    bench.head("max_iter", "cache", "all", "import", "kernels", "fit", "predict", "compiled", "loaded")
    for max_iter in MAX_ITER:
        rows(max_iter)
