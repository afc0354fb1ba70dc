"""
Stress: a fit is killed, and goes on
====================================

Fits in processes of their own, with a `checkpoint`, are killed by SIGKILL at random moments. After each kill
the file, if there is one, must load, and a fit that goes on from it must end with the same bits as one that
was never killed. The next process goes on from the killed one's file, unless little was left to do, so fits are
killed several times. Then the same fits run on a full disk. Prints what was tried, how often, and what failed::

    python examples/stress_kill.py --rounds 100

The full disk is a limit on the size of files, so that part needs a POSIX system.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numba
import numpy as np

import skattn
from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer

N_SAMPLES, N_STEPS, N_FEATURES = 60, 20, 3
COMMON = {"batch_size": 10, "max_iter": 30, "random_state": 0, "embedding": "linear", "n_estimators": 1}
# Name: (class, parameters, what it learns from).
FITS = {
    "adamw, cosine, dropout": (SelfAttentionClassifier, {"dropout": 0.2}, ("y",)),
    "sgd, adaptive": (
        SelfAttentionRegressor,
        {"optimizer": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 3},
        ("values",),
    ),
    "adam, early stopping, a share": (
        SelfAttentionClassifier,
        {"optimizer": "adam", "learning_rate": "constant", "early_stopping": True, "learning_rate_init": 0.01},
        ("y",),
    ),
    "early stopping, X_val, weights": (
        SelfAttentionRegressor,
        {"early_stopping": True, "dtype": "float32"},
        ("values", "weight", "validation"),
    ),
    "two networks behind stems": (
        SelfAttentionClassifier,
        {"embedding": "random_convolution", "n_kernels": 32, "n_estimators": 2, "max_iter": 15},
        ("y",),
    ),
    "reconstruction": (SelfAttentionTransformer, {"n_layers": 2, "d_model": 32}, ()),
}


def main():
    parser = argparse.ArgumentParser(description="Kill fits at random moments, and go on.")
    parser.add_argument("--rounds", type=int, default=100, help="processes to kill (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--child", nargs=2, metavar=("FIT", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        be_killed(*arguments.child)
        return
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        outcomes = kill_and_resume(arguments.rounds, folder, seed=arguments.seed, report=True)
        print("\n".join(write_table(outcomes)))
        full = fill_disk(folder)
        wrong = [name for name, is_good in full.items() if not is_good]
        print(
            f"\nFull disk: {len(full)} fits, {len(full) - len(wrong)} with a clear error, the file as it was, and the"
        )
        print(f"same bits once there was room; failed: {wrong or 0}.")
        print(measure_cost(Path(folder) / "cost.ckpt"))
    if any(outcome["failed"] for outcome in outcomes) or not all(full.values()):
        raise SystemExit("FAILED")


def make_model(name, **options):
    """The estimator of a fit, not fitted."""
    kind, parameters, _ = FITS[name]
    return kind(**COMMON | parameters | options)


def fit(name, **options):
    """Fit an estimator to data that are always the same."""
    generator = np.random.default_rng(0)
    X, X_val = (generator.normal(size=(n, N_STEPS, N_FEATURES)) for n in (N_SAMPLES, 20))
    offered = {
        "y": {"y": X[:, 0, 0] > X[:, -1, 0]},
        "values": {"y": X[:, 0, 0]},
        "weight": {"sample_weight": generator.uniform(size=N_SAMPLES)},
        "validation": {"X_val": X_val, "y_val": X_val[:, 0, 0]},
    }
    beside = [offered[part] for part in FITS[name][2]]
    return make_model(name, **options).fit(X, **{key: value for part in beside for key, value in part.items()})


def be_killed(name, path):
    """What the process does that is to be killed."""
    fit(name, n_jobs=1, max_iter=1)  # what is compiled or loaded at first is not the fit
    print("ready", flush=True)
    fit(name, n_jobs=1, checkpoint=path)


def kill_and_resume(n_rounds, folder, *, seed=0, report=False):
    """Kill a process in each round; gives a dict for each, whose "failed" says what was wrong, or is empty.

    Parameters
    ----------
    n_rounds : int
    folder : str or path-like
        Where the files are put.
    seed : int
        Of the moments.
    report : bool
        Whether to say how it goes.
    """
    generator, outcomes, whole = np.random.default_rng(seed), [], {}
    for i in range(n_rounds):
        name = list(FITS)[i % len(FITS)]
        path = Path(folder) / f"{i % len(FITS)}.ckpt"
        if name not in whole:
            whole[name] = fit(name)
        try:
            outcomes.append(kill_once(name, path, whole[name], generator))
        except (EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            outcomes.append({"fit": name, "killed": True, "epochs": 0, "drafts": 0, "failed": f"damaged: {error}"})
            path.unlink(missing_ok=True)
        if report:
            print(f"{i + 1}/{n_rounds} {outcomes[-1]}", file=sys.stderr, flush=True)
    return outcomes


def kill_once(name, path, whole, generator):
    """Kill one fit at a random moment, between where its file is and its end, and look at what it left."""
    if count_epochs(path) > 0.7 * whole.n_iter_:
        path.unlink()  # so that early epochs are met as often as late ones
    moment = generator.integers(count_epochs(path), whole.n_iter_), generator.uniform(0, 0.02)
    command = [sys.executable, __file__, "--child", name, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.readline()
        # No file that can be seen, or is left, may ever be less than whole.
        try:
            while process.poll() is None and count_epochs(path) < moment[0]:
                time.sleep(0.001)
            time.sleep(moment[1])
        finally:
            process.kill()
    drafts = list(path.parent.glob(f".{path.name}.*.part"))
    for draft in drafts:
        draft.unlink()
    outcome = {"fit": name, "killed": process.returncode != 0, "epochs": count_epochs(path), "drafts": len(drafts)}
    failed = "" if said == "ready\n" and process.returncode in (0, -9) else f"it ended with {process.returncode}"
    return {**outcome, "failed": failed or go_on(name, path, whole)}


def count_epochs(path):
    """Epochs in a file, which is whole at any moment; 0 where there is none."""
    if not path.exists():
        return 0
    with np.load(path, allow_pickle=False) as file:
        training = json.loads(file["header"].tobytes())["training"]
    return sum(network["n_epochs"] for network in training) if isinstance(training, list) else training["n_epochs"]


def go_on(name, path, whole):
    """Go on from a copy of a file, in this process; what is wrong with the end, if anything."""
    copy = path.with_suffix(".copy")
    copy.unlink(missing_ok=True)
    if path.exists():
        shutil.copy(path, copy)
    try:
        model = fit(name, checkpoint=copy)
    except (OSError, ValueError) as error:
        return str(error)
    return "" if has_same_bits(model, whole) else "other bits"


def has_same_bits(model, whole):
    """Whether weights, losses and scores are equal."""
    weights = all(np.array_equal(model.weights_[name], weight) for name, weight in whole.weights_.items())
    scores = [getattr(fitted, "validation_scores_", None) for fitted in (model, whole)]
    return weights and model.loss_curve_ == whole.loss_curve_ and scores[0] == scores[1]


def fill_disk(folder):
    """Let each fit run where its file cannot be written; whether it failed as it should, by the fit's name."""
    outcomes = {}
    for i, name in enumerate(FITS):
        path, whole = Path(folder) / f"full_{i}.ckpt", fit(name)
        generator = np.random.default_rng(i)
        while not 0 < count_epochs(path) < whole.n_iter_:
            kill_once(name, path, whole, generator)
        before, message = path.read_bytes(), ""
        with full_disk():
            try:
                fit(name, checkpoint=path)
            except OSError as error:
                message = str(error)
        is_clear = f"{path.name} was not written and is as it was" in message and "free space" in message
        is_whole = before == path.read_bytes() and not list(path.parent.glob(f".{path.name}.*.part"))
        outcomes[name] = is_clear and is_whole and has_same_bits(fit(name, checkpoint=path), whole)
    return outcomes


@contextmanager
def full_disk():
    """Let no file grow beyond 5000 bytes, as on a disk where so much is left."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def measure_cost(path, n_rounds=7):
    """Say what a checkpoint adds to an epoch of a small set with the default network."""
    generator = np.random.default_rng(0)
    X, seconds = generator.normal(size=(N_SAMPLES, N_STEPS, N_FEATURES)), {None: [], path: []}
    for _ in range(n_rounds):
        for checkpoint, times in seconds.items():
            path.unlink(missing_ok=True)
            model = SelfAttentionRegressor(max_iter=50, random_state=0, checkpoint=checkpoint)
            begin = time.perf_counter()
            model.fit(X, X[:, 0, 0])
            times.append((time.perf_counter() - begin) / model.n_iter_)
    without, with_file = (1000 * statistics.median(times) for times in seconds.values())
    size = path.stat().st_size / 1e6
    text = f"An epoch of {N_SAMPLES} sequences takes {without:.1f} ms"
    return f"\n{text}, with a checkpoint of {size:.2f} MB {with_file:.1f} ms."


def write_table(outcomes):
    """Give the lines of a table with a row for each fit, and one for all."""
    head = ("fit", "rounds", "killed", "ended first", "no file yet", "files", "moments", "drafts left", "failed")
    groups = {name: [outcome for outcome in outcomes if outcome["fit"] == name] for name in FITS}
    rows = [head, *(summarise(name, group) for name, group in groups.items()), summarise("all", outcomes)]
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(head))]
    return ["  ".join(f"{cell!s:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def summarise(name, outcomes):
    """Count what came of some rounds; moments are different epochs at which a file was left."""
    counts = Counter(outcome["killed"] for outcome in outcomes)
    n_files = sum(outcome["epochs"] > 0 for outcome in outcomes)
    moments = {(outcome["fit"], outcome["epochs"]) for outcome in outcomes if outcome["epochs"]}
    n_drafts, failed = (sum(map(bool, (outcome[key] for outcome in outcomes))) for key in ("drafts", "failed"))
    return (
        name,
        len(outcomes),
        counts[True],
        counts[False],
        len(outcomes) - n_files,
        n_files,
        len(moments),
        n_drafts,
        failed,
    )


def describe():
    """Say on what this ran."""
    versions = f"skattn {skattn.__version__}, numba {numba.__version__}, NumPy {np.__version__}"
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{machine}; Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    main()
