"""
Table: how accurate is the default classifier?
==============================================

`SelfAttentionClassifier()` as it comes, on official splits: mean and standard deviation of the test
accuracy over seeds, log loss, calibration error and seconds a fit, as a Markdown table, beside what simple
models reach in the same run and what others published. All sets are learned with the same settings, and none
of these was chosen on a test part: docs/accuracy.rst tells how.

Two data sets ship with skattn. Others are read from a folder of ``.npz`` files that hold ``X`` (padded
with NaN), ``y`` and ``split`` (0 train, 1 test); ``published.csv`` in it (dataset, model, value,
protocol, source) gives what others reached::

    python examples/table_accuracy.py --data folder

``--into README.md`` also puts the table there, between its marks.
"""

import argparse
import csv
import os
import platform
import sys
import time
from pathlib import Path

import numba
import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import skattn
from skattn import SelfAttentionClassifier
from skattn.datasets import load_japanese_vowels, load_pen_digits

SHIPPED = {"JapaneseVowels": load_japanese_vowels, "PenDigits": load_pen_digits}
BEGIN, END = "<!-- accuracy table -->", "<!-- end of accuracy table -->"
NAMES = [
    *(*SHIPPED, "ERing", "Libras", "BasicMotions", "ArrowHead", "ItalyPowerDemand", "ECG200", "Lightning7"),
    *("SyntheticControl", "Plane", "Trace", "PLAID", "FSDD_mfcc13", "optdigits_rows", "mnist5k_rows"),
]

DEFAULT_SPLIT = "default split, fold 0"
RERUN = "default split, train-only validation"
EQUAL_LENGTH = "default split, train-only validation, equal-length version"
# Of each column the rows of published.csv, as (model, protocol), the first that there is. Only results whose
# settings were chosen on the training part: papers that report the best epoch on the test part are left out.
PUBLISHED = {
    "1NN-DTW": [
        ("1NN-DTW-D", DEFAULT_SPLIT),
        ("1NN-DTW", DEFAULT_SPLIT),
        ("1NN-DTW (Multiverse)", EQUAL_LENGTH),
    ],
    "ROCKET": [("ROCKET", DEFAULT_SPLIT), ("ROCKET (Multiverse)", EQUAL_LENGTH)],
    "MiniROCKET": [("MiniROCKET", DEFAULT_SPLIT)],
    "MR-Hydra": [("MR-Hydra", DEFAULT_SPLIT)],
    "H-Inception": [("H-InceptionTime", DEFAULT_SPLIT), ("h-inceptiontime (Multiverse)", EQUAL_LENGTH)],
    "HC2": [("HC2", DEFAULT_SPLIT)],
    "ConvTran": [("ConvTran (Multiverse re-run)", RERUN)],
    "PatchMTSC": [("PatchMTSC (Multiverse re-run)", RERUN)],
}
SOURCES = """\
Accuracy on the official test split (FSDD, optdigits, mnist: splits of our own). skattn: mean ± standard deviation of
{n_seeds} seeds, the default settings throughout, chosen by cross-validation on training parts (docs/accuracy.rst).
Log loss in nats; error: how far stated probabilities are from what came true, in 10 bins (expected calibration error).
Fit: median seconds, {machine}.
Bag of steps: mean, minimum, maximum and standard deviation of every feature, then ridge; ridge, trees: ridge and 500
extremely randomised trees on flattened values, where all lengths agree; all three in the same run.
1NN-DTW (dependent), ROCKET, MiniROCKET, MR-Hydra, H-InceptionTime, HC2: the default split in the results of tsml-eval,
except \\*: the Multiverse archive's, on a version padded to equal length. ConvTran, PatchMTSC (attention models): the
Multiverse archive's re-run, with model selection on the training part only."""


def main():
    parser = argparse.ArgumentParser(description="Accuracy of the default classifier, as a Markdown table.")
    parser.add_argument("--data", type=Path, help="folder with further data sets and published.csv")
    parser.add_argument("--seeds", type=int, default=5, help="fits of each data set (default: 5)")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="data sets (default: all)")
    parser.add_argument("--into", type=Path, help="page with marks that the table is put between")
    arguments = parser.parse_args()
    published = read_published(arguments.data)
    rows, is_warm = [], False
    for name in arguments.only:
        splits = load(name, arguments.data)
        if splits is None:
            report(f"{name}: skipped, as no --data folder holds {name}.npz")
            continue
        if not is_warm:
            # What is compiled, or loaded, at first is not the fit.
            SelfAttentionClassifier(max_iter=1).fit(*splits[0])
            is_warm = True
        rows.append([*measure(name, *splits, arguments.seeds), *quote(name, published)])
    text = "\n".join([*write_table(rows), "", SOURCES.format(n_seeds=arguments.seeds, machine=describe_machine())])
    print(text)
    if arguments.into is not None:
        insert(text, arguments.into)


def report(text):
    """Say how it goes, beside the table."""
    print(text, file=sys.stderr, flush=True)


def load(name, folder):
    """Give ((X, y) to train, (X, y) to test) of a data set, or None where it is not found."""
    if name in SHIPPED:
        return [SHIPPED[name](split=split, return_X_y=True) for split in ("train", "test")]
    path = None if folder is None else folder / f"{name}.npz"
    if path is None or not path.exists():
        return None
    with np.load(path, allow_pickle=False) as data:
        X, y, is_test = data["X"], data["y"], data["split"] == 1
    return [(X[kept], y[kept]) for kept in (~is_test, is_test)]


def measure(name, train, test, n_seeds):
    """Give the first cells of a row: name, size, what skattn reaches in how long, what simple models reach."""
    scores, seconds, losses, errors = [], [], [], []
    for seed in range(n_seeds):
        model = SelfAttentionClassifier(random_state=seed)
        begin = time.perf_counter()
        model.fit(*train)
        seconds.append(time.perf_counter() - begin)
        probabilities, labels = model.predict_proba(test[0]), np.asarray(test[1])
        scores.append(np.mean(model.classes_[probabilities.argmax(axis=1)] == labels))
        losses.append(log_loss(labels, probabilities, labels=model.classes_))
        errors.append(calibration_error(model.classes_, probabilities, labels))
        report(f"{name}, seed {seed}: accuracy {scores[-1]:.4f}, fit in {seconds[-1]:.1f} s, {model.n_iter_} epochs")
    ridge = RidgeClassifierCV(np.logspace(-3, 3, 13))
    bag = make_pipeline(FunctionTransformer(bag_of_steps), StandardScaler(), ridge)
    flat = [make_pipeline(StandardScaler(), ridge), ExtraTreesClassifier(500, random_state=0, n_jobs=-1)]
    return [
        name,
        describe_size(train, test),
        f"{np.mean(scores):.3f} ± {np.std(scores):.3f}",
        f"{np.mean(losses):.3f}",
        f"{np.mean(errors):.3f}",
        f"{np.median(seconds):.1f}",
        f"{bag.fit(*train).score(*test):.3f}",
        *(score_flat(model, train, test) for model in flat),
    ]


def score_flat(model, train, test):
    """Accuracy of a model of tables on flattened values; none where lengths differ."""
    if len({len(steps) for part in (train, test) for steps in part[0]}) > 1 or np.isnan(np.concatenate(train[0])).any():
        return "–"
    rows = [np.array([np.ravel(steps) for steps in part[0]]) for part in (train, test)]
    return f"{model.fit(rows[0], train[1]).score(rows[1], test[1]):.3f}"


def calibration_error(classes, probabilities, labels, n_bins=10):
    """Mean distance, over bins of the largest probability, between it and how often it is right."""
    stated, is_right = probabilities.max(axis=1), classes[probabilities.argmax(axis=1)] == labels
    bins = np.minimum((stated * n_bins).astype(int), n_bins - 1)
    return sum(abs((stated - is_right)[bins == b].sum()) for b in range(n_bins)) / len(labels)


def bag_of_steps(sequences):
    """Summarise each sequence without its order: an array of shape (n_samples, 4 * n_features)."""
    summaries = (np.nanmean, np.nanmin, np.nanmax, np.nanstd)
    return np.array([np.concatenate([summary(steps, axis=0) for summary in summaries]) for steps in sequences])


def describe_size(train, test):
    """Say how many sequences to train on and to test with there are, and how large each is."""
    lengths = [len(steps) for steps in train[0]]
    n_steps = f"{min(lengths)}–{max(lengths)}" if min(lengths) < max(lengths) else f"{lengths[0]}"
    return f"{len(lengths)} / {len(test[0])}, {n_steps} × {train[0][0].shape[1]}, {len(np.unique(train[1]))}"


def read_published(folder):
    """Read what others reached: (dataset, model, protocol) to accuracy."""
    path = None if folder is None else folder / "published.csv"
    if path is None or not path.exists():
        report("published numbers: left out, as no --data folder holds published.csv")
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {(row["dataset"], row["model"], row["protocol"]): float(row["value"]) for row in csv.DictReader(file)}


def quote(name, published):
    """Give the published cells of a row."""
    cells = []
    for choices in PUBLISHED.values():
        found = [(published[name, *choice], choice[1]) for choice in choices if (name, *choice) in published]
        value, protocol = found[0] if found else (None, None)
        cells.append("–" if value is None else f"{value:.3f}" + r"\*" * (protocol == EQUAL_LENGTH))
    return cells


def write_table(rows):
    """Give the lines of a Markdown table, numbers to the right."""
    header = ["data set", "train / test, steps × features, classes", "skattn", "log loss", "error", "fit, s"]
    header += ["bag of steps", "ridge", "trees", *PUBLISHED]
    rule = ["---", "---", *["---:"] * (len(header) - 2)]
    return ["| " + " | ".join(cells) + " |" for cells in [header, rule, *rows]]


def insert(text, page):
    """Put the table between the marks of a page, in place of the one that is there."""
    before, mark, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise SystemExit(f"{page} has no {BEGIN} with {END} after it.")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def describe_machine():
    """Say on what the seconds were measured."""
    return (
        f"{numba.config.NUMBA_NUM_THREADS} of {os.cpu_count()} cores, {platform.machine()}, "
        f"skattn {skattn.__version__}, numba {numba.__version__}"
    )


if __name__ == "__main__":
    main()
