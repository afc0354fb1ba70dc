"""Speed-up of training to be expected on more threads, from the measured times of an update's stages on one.

Run: ``python examples/table_scaling.py``. A stage's items are taken by whoever is free, so on `n` threads it lasts as
long as ``ceil(n_items / n)`` of its items do, and waking threads adds `WAKE` to each stage that they share. Cores are
assumed to be as fast together as one is alone, and none to be busy otherwise.
"""

import time

import bench_common as bench
import numpy as np
from bench_step import N_CLASSES, data_of

from skattn._kernels import parallel
from skattn._kernels.parallel import Stage
from skattn._network.architecture import Architecture
from skattn._network.network import Network
from skattn._training.descent import Descent
from skattn._training.optimizers import OPTIMIZERS

THREADS = (2, 8, 32, 64)
WAKE = 28e-6
"""Seconds that waking a team of threads takes, as measured in docs/kernels.rst."""
OUTSIDE = 0.03e-3
"""Seconds of an update outside compiled code, as ``bench_step.py`` prints them."""


def stages_of(n_samples):
    """The stages of one update with as many threads as there could be, what they point to, and the end of the plan."""
    shape = n_samples, 50, 3, 64, 4
    data, labels = data_of(shape)
    architecture = Architecture(
        n_features=3, n_outputs=N_CLASSES, loss="cross_entropy", d_model=64, n_heads=4, n_kv_heads=4, d_head=16,
        d_value=16, n_layers=1, d_feedforward=0, position="none", max_steps=1, window=(None, None), pooling="mean",
    )  # fmt: skip
    network = Network(architecture, np.float32)
    network.initialise(np.random.default_rng(0))
    optimizer = OPTIMIZERS["adamw"](network.parameters.size, network.dtype, 0.01)
    descent = Descent(optimizer, network.parameters, network.n_decayed, 1.0)
    descent.plan([1e-3])
    learner = network.learner(data, labels[:, None], seed=0, n_jobs=1)
    batch = np.arange(n_samples), np.array([n_samples]), np.full(n_samples, 1 / n_samples)
    plan = learner.plan(*batch, 0, descent)
    return plan._stages.stages, descent.stop, (plan, descent, network)


def seconds_of(stage, stop, n=30):
    """Median time of a stage on one thread."""
    times = []
    for _ in range(n):
        start = time.perf_counter()
        parallel.run_stages(stage, stop)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main():
    bench.describe()
    bench.head("sequences of 50 steps a batch", "shares", "update ms", "serial %", *(f"{n} threads" for n in THREADS))
    for n_samples in (16, 64, 256):
        stages, stop, _alive = stages_of(n_samples)
        counts = stages[:, Stage.index["n_items"]]
        times = np.array([seconds_of(stages[i : i + 1], stop) for i in range(len(stages))])
        # Only the walk is shared: the rest is so little that one thread does it.
        walk = int(np.argmax(times))
        serial = times.sum() - times[walk] + OUTSIDE
        total = times.sum() + OUTSIDE
        expected = [total / (serial + WAKE + times[walk] * -(-counts[walk] // n) / counts[walk]) for n in THREADS]
        share = f"{100 * serial / total:.1f}"
        bench.row(n_samples, counts[walk], f"{1e3 * total:.2f}", share, *(f"{ratio:.1f}" for ratio in expected))


if __name__ == "__main__":
    main()
