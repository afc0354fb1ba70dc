"""What the stress scripts share: the same work everywhere, processes of its own for what may die, and a table."""

import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
# A process that takes this long hangs; machines that are busy or paused are slower than any of these.
PATIENCE = 900


def sequences(n_samples=48, n_features=3, dtype=np.float32, seed=0):
    """Make sequences of 1 to 41 steps, and a class for each."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 42, size=n_samples)
    X = [generator.normal(size=(n_steps, n_features)).astype(dtype) for n_steps in lengths]
    return X, np.arange(n_samples) % 3


def classifier(**parameters):
    """Make a classifier whose batches are worth several threads."""
    from skattn import SelfAttentionClassifier

    shared = {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_iter": 2, "batch_size": 24, "random_state": 0}
    return SelfAttentionClassifier(**({"n_kernels": 64, "n_estimators": 2} | shared | parameters))


def digest(*arrays):
    """Give a short name of the bits of arrays."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]


def work(n_jobs=None, **parameters):
    """Fit and apply; gives the name of all bits that came out."""
    X, y = sequences()
    model = classifier(n_jobs=n_jobs, **parameters).fit(X, y)
    return digest(*model.weights_.values(), model.transform(X), model.predict_proba(X))


def start(code, *, before=None, **environment):
    """Start Python code in a process of its own.

    Parameters
    ----------
    code : str
        May import the stress scripts.
    before : callable, optional
        Called in the process before Python starts.
    **environment : str or None
        What differs from this process's environment; None for what is not to be set there.
    """
    environment = {"OMP_WAIT_POLICY": "passive"} | os.environ | environment
    environment["PYTHONPATH"] = os.pathsep.join([str(FOLDER), *filter(None, [environment.get("PYTHONPATH")])])
    environment = {name: value for name, value in environment.items() if value is not None}
    command = [sys.executable, "-X", "faulthandler", "-P", "-c", code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, preexec_fn=before, **pipes)


def outcome(process, patience=PATIENCE):
    """Wait for a process.

    Parameters
    ----------
    process : subprocess.Popen
    patience : float
        Seconds until it counts as hanging.

    Returns
    -------
    printed : list of str
        Words that it printed; empty where it failed.
    failure : str
        What went wrong, or nothing.
    """
    try:
        printed, complaint = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return [], f"hung for {patience} s"
    if process.returncode:
        return [], f"ended with {process.returncode}: {complaint[-300:]}"
    return printed.split(), ""


def run(code, **options):
    """Run Python code in a process of its own, as `start` does; gives its `outcome`."""
    return outcome(start(code, **options))


def in_child(function, *arguments):
    """Tell whether a forked child gets through a check."""
    child = os.fork()
    if not child:
        signal.alarm(PATIENCE)
        os._exit(not function(*arguments))
    return os.waitpid(child, 0)[1] == 0


def status(name):
    """Give a number that Linux keeps of this process, such as ``Threads``, or ``VmRSS`` in kB."""
    with open("/proc/self/status") as lines:
        return int(re.search(rf"{name}:\s+(\d+)", lines.read())[1])


class Table:
    """Prints a row for each thing that was tried, and counts what failed."""

    def __init__(self, *columns):
        self.n_failed = 0
        self._row(*columns, "times", "failed")
        self._row(*["---"] * (len(columns) + 2))

    def add(self, *cells, failures):
        """Print a row; `failures` has a text for each time, empty where all was well."""
        failed = [failure for failure in failures if failure]
        self.n_failed += len(failed)
        self._row(*cells, len(failures), len(failed))
        for failure in failed[:3]:
            print(failure, file=sys.stderr)

    def end(self):
        """Leave the process, with an error if anything failed."""
        print(f"\n{self.n_failed} failed")
        sys.exit(self.n_failed > 0)

    def _row(self, *cells):
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
