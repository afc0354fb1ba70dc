"""Determinism: the same bits in every circumstance but on another kind of CPU, and how far apart those are.

Run: ``python examples/stress_bits.py [rounds]``.
"""

import json
import platform
import sys

import llvmlite.binding
import numpy as np
from stress_common import Table, classifier, digest, run, sequences

N_ROUNDS = 5
CIRCUMSTANCES = (
    {}, {"NUMBA_NUM_THREADS": "1"}, {"NUMBA_NUM_THREADS": "7"}, {"OPENBLAS_NUM_THREADS": "1"}, {"PYTHONHASHSEED": "7"},
    {"NUMBA_THREADING_LAYER": "omp"}, {"NUMBA_THREADING_LAYER": "workqueue"}, {"OMP_NUM_THREADS": "1"},
)  # fmt: skip
AVX2 = "+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe"
N_EPOCHS = (1, 10, 100)


def batches():
    """Give what each sequence gets alone, in batches, in another order, and padded: one name for each."""
    X, y = sequences()
    model = classifier(n_jobs=2).fit(X, y)
    padded = np.full((len(X), 50, X[0].shape[1]), np.nan, np.float32)
    for row, sequence in zip(padded, X, strict=True):
        row[: len(sequence)] = sequence
    order = np.random.default_rng(0).permutation(len(X))
    alone = np.concatenate([model.transform([sequence]) for sequence in X])
    parts = np.concatenate([model.transform(X[:5]), model.transform(X[5:])])
    shuffled = model.transform([X[i] for i in order])[np.argsort(order)]
    both = digest(classifier(n_jobs=1).fit(padded, y).transform(padded))
    return [digest(result) for result in (model.transform(X), alone, parts, shuffled, model.transform(padded))] + [both]


def fitted_numbers(dtype):
    """Give probabilities after some epochs, one row for each number of them."""
    X, y = sequences(dtype=np.dtype(dtype))
    return [classifier(max_iter=n, n_jobs=1).fit(X, y).predict_proba(X).ravel().tolist() for n in N_EPOCHS]


def stress(n_rounds=N_ROUNDS, circumstances=CIRCUMSTANCES):
    """Print a row for each circumstance; gives the table."""
    table = Table("environment, with n_jobs=1, 2, 3, -1 and None")
    code = "import stress_common as c; print(*(c.work(n_jobs=n, dropout=0.1) for n in (1, 2, 3, -1, None)))"
    expected = run(code)[0][:1]
    for environment in circumstances:
        outcomes = [run(code, **environment) for _ in range(n_rounds)]
        failures = [failure or ("" if bits == expected * 5 else "other bits") for bits, failure in outcomes]
        table.add(" ".join("=".join(pair) for pair in environment.items()) or "as it is", failures=failures)
    outcomes = [run("import stress_bits as s; print(*s.batches())") for _ in range(n_rounds)]
    failures = [failure or ("" if len(set(names)) == 1 else f"other bits: {names}") for names, failure in outcomes]
    table.add("alone, in parts, in another order, padded; padded at fit", failures=failures)
    return table


def cpus():
    """Give CPUs that this one can stand in for: how numba is told to compile for them, by name."""
    here = llvmlite.binding.get_host_cpu_features().flatten()
    if platform.machine() != "x86_64":
        return {}
    sets = {"SSE 4.2": ("x86-64-v2", "+sse4.2"), "AVX2, Intel": ("haswell", AVX2), "AVX2, AMD": ("znver3", AVX2)}
    sets |= {"as here, Intel": ("sapphirerapids", here), "as here, AMD": ("znver4", here)}
    return {name: {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features} for name, (cpu, features) in sets.items()}


def differences():
    """Print how far code for other CPUs takes a fit from what this one gives."""
    code = "import json, stress_bits as s; print(json.dumps(s.fitted_numbers('{}')), flush=True)"
    print("\n| instructions, CPU | dtype | " + " | ".join(f"{n} epochs" for n in N_EPOCHS) + " |")
    print("| --- | --- |" + " --- |" * len(N_EPOCHS))
    for dtype in ("float32", "float64"):
        here, *others = (
            json.loads(" ".join(run(code.format(dtype), **environment)[0])) for environment in ({}, *cpus().values())
        )
        for name, other in zip(cpus(), others, strict=True):
            distances = (np.abs(np.subtract(a, b)).max() for a, b in zip(here, other, strict=True))
            print(f"| {name} | {dtype} | " + " | ".join(f"{distance:.1e}" for distance in distances) + " |", flush=True)


if __name__ == "__main__":
    table = stress(int(sys.argv[1]) if len(sys.argv) > 1 else N_ROUNDS)
    differences()
    table.end()
