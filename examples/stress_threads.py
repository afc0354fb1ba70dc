"""Threads and forks: fits and transforms in every company, each in a process of its own that must not die or hang.

Run: ``python examples/stress_threads.py [rounds] [layer ...]``. Every scenario runs under each of numba's threading
layers, as far as installed, or those named, and must give the bits that one thread gives. torch takes part if there.
"""

import importlib.util
import itertools
import multiprocessing
import pickle
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
from stress_common import Table, classifier, digest, in_child, run, sequences, status, work

N_ROUNDS = 3
LAYERS = ("omp", "workqueue", "tbb")
N_JOBS = (None, 1, 2, -1)
# Stands before and after what a scenario gave.
RESULTS = "results:"


def own_models(expected):
    """Fit models of their own in eight Python threads."""
    with ThreadPoolExecutor(8) as pool:
        return [bits == expected for bits in pool.map(work, N_JOBS * 4)]


def one_model(expected):
    """Let eight Python threads make the first calls of one loaded model at once, of batches of all sizes."""
    X, y = sequences()
    fitted = classifier(position="sinusoidal", n_jobs=2).fit(X, y)
    batches = [slice(i, i + size) for i, size in enumerate((1, 2, 7, 17, 40))]
    alone = [digest(fitted.transform(X[batch])) for batch in batches]
    loaded, start = pickle.dumps(fitted), threading.Barrier(8)

    def apply(number, model):
        start.wait()
        order = np.roll(np.arange(len(batches)), number)
        return [digest(model.transform(X[batches[i]])) == alone[i] for i in order]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            models = [pickle.loads(loaded) for _ in range(20)]
            return [all(ok) for model in models for ok in pool.map(apply, range(8), [model] * 8)]
    finally:
        sys.setswitchinterval(before)


def same(expected, n_jobs):
    """Tell whether a fit gives the expected bits."""
    return work(n_jobs) == expected


def fork_before(expected):
    """Fork before the parent used the kernels, then use them in both."""
    return [*(in_child(same, expected, n_jobs) for n_jobs in N_JOBS), same(expected, 2)]


def fork_after(expected):
    """Fork after the parent used the kernels, children of children too."""
    first = same(expected, 2)
    children = [in_child(same, expected, n_jobs) for n_jobs in N_JOBS]
    return [first, *children, in_child(in_child, same, expected, 2), same(expected, 2)]


def fork_during(expected):
    """Fork while other Python threads are inside kernels."""
    done, results = threading.Event(), [same(expected, 2)]

    def fit():
        while not done.is_set():
            results.append(same(expected, 2))

    threads = [threading.Thread(target=fit) for _ in range(3)]
    for thread in threads:
        thread.start()
    results.extend([in_child(same, expected, n_jobs) for n_jobs in N_JOBS * 2])
    done.set()
    for thread in threads:
        thread.join()
    return results


def fork_compiling(expected):
    """Fork while another Python thread compiles; run with an empty cache."""
    # A child that is forked while another thread imports a module waits for that module, whatever package it is of.
    classifier()
    thread = threading.Thread(target=work, args=(2,))
    thread.start()
    results = [in_child(same, expected, 2)]
    thread.join()
    return [*results, same(expected, 2)]


def processes(expected):
    """Fit in processes that multiprocessing forks, spawns, or takes from its server; before and after the parent."""
    results = []
    for _, method in itertools.product("12", ("fork", "forkserver", "spawn")):
        with multiprocessing.get_context(method).Pool(2) as pool:
            results += [bits == expected for bits in pool.map(work, N_JOBS)]
        results.append(same(expected, 2))
    return results


def pool_of(backend, function, arguments):
    """Call a function in two workers of joblib."""
    return joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(function)(*a) for a in arguments)


BACKENDS = ("loky", "threading", "multiprocessing")


def in_joblib(expected):
    """Fit in workers of each kind that joblib has."""
    calls = [(n_jobs,) for n_jobs in N_JOBS]
    return [bits == expected for backend in BACKENDS for bits in pool_of(backend, work, calls)]


def joblib_in_joblib(expected):
    """Fit in workers of workers."""
    calls = [(inner, work, [(n_jobs,) for n_jobs in (None, 2)]) for inner in BACKENDS]
    nested = [pool_of(backend, pool_of, calls) for backend in BACKENDS]
    return [bits == expected for one in nested for two in one for bits in two]


def grid_search(expected):
    """Search parameters in two workers, with one and several threads each."""
    from sklearn.model_selection import GridSearchCV

    def scores(n_jobs, inner):
        search = GridSearchCV(classifier(n_jobs=inner), {"d_model": [16, 32]}, n_jobs=n_jobs, cv=2)
        search.fit(*sequences())
        return digest(search.cv_results_["mean_test_score"], *search.best_estimator_.weights_.values())

    alone = scores(1, 1)
    return [scores(n_jobs, inner) == alone for n_jobs, inner in ((2, None), (2, 2), (1, 2), (None, None))]


def beside_others(expected):
    """Fit beside threads that keep BLAS and torch busy."""
    matrix, done = np.random.default_rng(0).normal(size=(300, 300)), threading.Event()

    def multiply():
        while not done.is_set():
            matrix @ matrix

    def multiply_in_torch():
        import torch

        tensor = torch.from_numpy(matrix).requires_grad_()
        while not done.is_set():
            (tensor @ tensor).sum().backward()

    others = [multiply, multiply_in_torch][: 1 + (importlib.util.find_spec("torch") is not None)]
    threads = [threading.Thread(target=other) for other in others]
    for thread in threads:
        thread.start()
    try:
        with ThreadPoolExecutor(3) as pool:
            return [bits == expected for bits in pool.map(work, N_JOBS * 2)]
    finally:
        done.set()
        for thread in threads:
            thread.join()


def share(n_jobs=None):
    """Give how many threads a fit here may use, and how many it does."""
    from skattn._kernels import parallel

    # One thread starts no others, but imports do.
    work(1)
    before = status("Threads")
    work(n_jobs)
    return parallel.n_workers(n_jobs), 1 + status("Threads") - before


def shares(expected):
    """Count threads: two workers have their share of the cores each, and no process starts more than it was told."""
    import numba

    cores, results = joblib.effective_n_jobs(-1), []
    # Workqueue starts all threads that it may ever need, and lets the one that opens a region sleep.
    is_workqueue = numba.config.THREADING_LAYER == "workqueue"
    for backend in BACKENDS:
        allowed, used = zip(*pool_of(backend, share, [()] * 2), strict=True)
        # Threads of one process see each other's.
        counted = 0 if backend == "threading" else sum(used) - 2 * is_workqueue
        results += [sum(allowed) <= max(2, cores), counted <= sum(allowed)]
    allowed, used = share(2)
    return [*results, allowed <= 2, used <= (1 + cores if is_workqueue else 2)]


def in_contexts(expected):
    """Fit where joblib's contexts say what `n_jobs=None` means."""
    from skattn._kernels import parallel

    results, cores = [], parallel.n_workers(-1)
    for backend, n_jobs in itertools.product(BACKENDS, (1, 2, -1, -2)):
        with joblib.parallel_config(backend, n_jobs=n_jobs):
            meant = min(cores, joblib.effective_n_jobs(n_jobs))
            results += [parallel.n_workers() == meant, same(expected, None), parallel.n_workers(1) == 1]
    return results


def callers_number(expected):
    """Leave numba's number of threads as the caller set it, after a fit and after an error."""
    import numba

    results = []
    for number in (1, 2, numba.get_num_threads()):
        numba.set_num_threads(number)
        results += [same(expected, None), numba.get_num_threads() == number]
        try:
            classifier(n_jobs=2, learning_rate_init=1e30, optimizer="sgd").fit(*sequences())
        except ValueError:
            results.append(numba.get_num_threads() == number)
        else:
            results.append(False)
    return results


SCENARIOS = (
    own_models, one_model, fork_before, fork_after, fork_during, fork_compiling, processes, in_joblib,
    joblib_in_joblib, in_contexts, grid_search, beside_others, shares, callers_number,
)  # fmt: skip


def attempt(scenario, layer, expected):
    """Run a scenario in a process of its own; gives what was right, and what went wrong with all of it."""
    code = (
        f"import stress_threads as s\nprint('{RESULTS}', *map(bool, s.{scenario.__name__}('{expected}')), '{RESULTS}')"
    )
    with tempfile.TemporaryDirectory() as folder:
        # More threads than cores, except where they are counted: what is set here would be each worker's share.
        options = {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": None if scenario is shares else "4"}
        if scenario is fork_compiling:
            options["NUMBA_CACHE_DIR"] = folder
        printed, failure = run(as_main(code), **options)
    return results_in(printed), failure


def results_in(printed):
    """Find what a scenario gave among words, for numba prints some of its own where a process forks under TBB."""
    if RESULTS not in printed:
        return []
    first = printed.index(RESULTS) + 1
    return [word == "True" for word in printed[first : printed.index(RESULTS, first)]]


def as_main(code):
    """Give code that processes which are spawned do not run again."""
    return f"if __name__ == '__main__':\n    {code.replace(chr(10), chr(10) + '    ')}"


def is_installed(layer):
    """Tell whether numba has a threading layer here."""
    return not run("import numba; numba.get_num_threads()", NUMBA_THREADING_LAYER=layer)[1]


def stress(n_rounds=N_ROUNDS, scenarios=SCENARIOS, layers=LAYERS):
    """Print a row for each scenario and layer; gives the table."""
    [expected], failure = run("import stress_common as c; print(c.work(n_jobs=1))")
    table = Table("scenario", "layer", "processes")
    for layer in filter(is_installed, layers):
        for scenario in scenarios:
            outcomes = [attempt(scenario, layer, expected) for _ in range(n_rounds)]
            failures = [failure for _, failure in outcomes if failure]
            wrong = f"{scenario.__name__} under {layer}: other bits or counts"
            failures += ["" if ok else wrong for oks, _ in outcomes for ok in oks]
            table.add(scenario.__doc__.split("\n")[0].rstrip("."), layer, n_rounds, failures=failures)
    return table


if __name__ == "__main__":
    stress(int(sys.argv[1]) if len(sys.argv) > 1 else N_ROUNDS, layers=sys.argv[2:] or LAYERS).end()
