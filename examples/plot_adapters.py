"""
One network, two tasks, a few kilobytes each
============================================

A network that has looked at many sequences serves more than one task. Adapters leave it as it is, and learn narrow
matrices beside it: what is kept of a task is small. Here is how small, and what is given up against training all of it.
"""

# %%
# One network
# -----------
# It looks at 7,494 digits, eight points along the path of a pen each, and at no label.

import tempfile
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.datasets import load_pen_digits

X, digit = load_pen_digits(split="train", return_X_y=True)
X_test, digit_test = load_pen_digits(split="test", return_X_y=True)
form = {"embedding": "linear", "d_model": 32, "n_layers": 2, "n_estimators": 1, "random_state": 0}
before = SelfAttentionTransformer(objective="contrastive", learning_rate_init=0.005, max_iter=8, **form).fit(X)

# %%
# Two tasks
# ---------
# Which digit it is, and how far the pen turns on its way, in whole turns to the left. Of each task 300 answers are
# known.


def turns(X):
    """How often the pen turns round to the left, less how often to the right."""
    moves = np.diff(X[..., 0] + 1j * X[..., 1], axis=1)
    return np.angle(moves[:, 1:] * moves[:, :-1].conj()).sum(axis=1) / (2 * np.pi)


tasks = {
    "digit": (SelfAttentionClassifier, digit, digit_test),
    "turns": (SelfAttentionRegressor, turns(X), turns(X_test)),
}
print(f"{np.abs(turns(X)).max():.1f} turns at most; for each digit, the mean:")
print(", ".join(f"{label} {turns(X)[digit == label].mean():+.2f}" for label in np.unique(digit)))

# %%
# Ways to learn a task
# --------------------
# With ``adapter_rank=2`` two matrices, to two numbers and back, are added to each projection of attention, and only
# they and the outputs learn. All ways have the same epochs and the same learning rate.

ways = {
    "from scratch": {},
    "all of it": {"pretrained": before},
    "adapters of rank 4": {"pretrained": before, "adapter_rank": 4},
    "adapters of rank 2": {"pretrained": before, "adapter_rank": 2},
    "outputs alone": {"pretrained": before, "freeze": "[!h]*"},
}


def kept(model):
    """Bytes of the weights that `before` does not have."""
    known = before.weights_
    own = [w for name, w in model.weights_.items() if name not in known or not np.array_equal(w, known[name])]
    return sum(weight.nbytes for weight in own)


# %%
# Each is fitted twice, with other answers known, and scored on the test digits.

scores, fitted = {}, {}
for task, (kind, answers, answers_test) in tasks.items():
    for way, options in ways.items():
        scores[task, way] = []
        for draw in range(2):
            some = np.random.default_rng(draw).choice(len(X), 300, replace=False)
            model = kind(**form, **options, max_iter=60, learning_rate_init=0.01).fit(X[some], answers[some])
            scores[task, way].append(model.score(X_test, answers_test))
        fitted[task, way] = model

print(f"{'':20}accuracy of digits          R² of turns")
for way in ways:
    print(f"{way:20}", end="")
    for task in tasks:
        print("{:.3f}, {:.3f}".format(*scores[task, way]), f"{kept(fitted[task, way]) / 1000:5.1f} kB", end="     ")
    print()

# %%
# What is given up
# ----------------
# Digits are told as well by adapters of rank 4 as by training all of the network, for a seventh of the weights. Turns
# are not: there some hundredths are given up, and more by rank 2. The outputs alone come to no more than a network from
# scratch. At this size nobody's disk is full; adapters are for large networks and many tasks. Where one task is all
# there is, train all, or let `merge_adapters` add adapters to what they are beside.
#
# Every dot is a fit. To the left is what a task costs to keep, beside the network that both share.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for axis, task, measure in zip(axes, tasks, ("Accuracy", "R²"), strict=True):
    for way, marker in zip(ways, "^oDsv", strict=True):
        style = {"color": "#2f6690"} if ways[way] else {"color": "#d1603d", "fillstyle": "none", "zorder": 3}
        sizes = 2 * [kept(fitted[task, way]) / 1000]
        axis.plot(sizes, scores[task, way], marker=marker, linestyle="", label=way, **style)
    ticks = [0.3, 1, 3, 10, 30, 100]
    axis.set(xscale="log", xlim=(0.15, 130), xticks=ticks, xticklabels=ticks, xlabel="Kilobytes kept for the task")
    axis.minorticks_off()
    axis.set(ylabel=f"{measure} on test digits", title=task)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", alpha=0.25)
axes[0].legend(frameon=False, loc="upper left")

# %%
# Files
# -----
# `save_adapters` writes what was learned beside the network, and some kilobytes of names and parameters. With the same
# network as ``pretrained``, `load_weights` gives the model back. Files need ``pip install "skattn[interchange]"``.

if find_spec("safetensors"):
    with tempfile.TemporaryDirectory() as folder:
        before.save_weights(Path(folder) / "network.safetensors")
        for task in tasks:
            fitted[task, "adapters of rank 2"].save_adapters(Path(folder) / f"{task}.safetensors")
        for path in sorted(Path(folder).iterdir()):
            print(f"{path.name:20} {path.stat().st_size / 1000:5.1f} kB")
        adapted = fitted["digit", "adapters of rank 2"]
        again = clone(adapted).set_params(pretrained=before).load_weights(Path(folder) / "digit.safetensors")
        print("read back, it tells the same:", np.array_equal(again.predict(X_test), adapted.predict(X_test)))

plt.show()
