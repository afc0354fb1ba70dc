"""
Beside the usual baselines
==========================

Before one takes a network, one should see what simple models do. Here are four of them, and a small skattn, on two
small problems with five-fold cross-validation: who is speaking, and which digit a pen writes. Attention does not win
the first, and wins the second by a little.
"""

# %%
# Two problems
# ------------
# Vowels are of different lengths, in a list. Of the digits we take 600, for much data would make all of them good.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skattn import SelfAttentionClassifier
from skattn.datasets import load_japanese_vowels, load_pen_digits

problems = {
    "vowels, 9 speakers": load_japanese_vowels(split="train", return_X_y=True),
    "pen digits": [part[:600] for part in load_pen_digits(split="train", return_X_y=True)],
}

# %%
# Five models
# -----------
# A *bag of steps* knows mean, smallest, largest and standard deviation of each feature, and nothing of order. The next
# three read a table, in which each sequence has been stretched to 16 steps: ridge regression, trees, and the nearest
# neighbour. The last takes sequences as they are; one network and few epochs keep this page quick.


def bag_of_steps(sequences):
    """Summarise each sequence without its order."""
    return np.array([np.concatenate([s.mean(axis=0), s.min(axis=0), s.max(axis=0), s.std(axis=0)]) for s in sequences])


def flatten(sequences, n_steps=16):
    """Stretch each sequence to as many steps, and lay them side by side."""
    places = np.linspace(0, 1, n_steps)
    return np.array(
        [[np.interp(places, np.linspace(0, 1, len(s)), feature) for feature in s.T] for s in sequences]
    ).reshape(len(sequences), -1)


bag, flat = FunctionTransformer(bag_of_steps), FunctionTransformer(flatten)
models = {
    "bag of steps": make_pipeline(bag, StandardScaler(), LogisticRegression(max_iter=1000)),
    "ridge": make_pipeline(flat, StandardScaler(), RidgeClassifierCV(np.logspace(-2, 4, 13))),
    "trees": make_pipeline(flat, ExtraTreesClassifier(200, random_state=0)),
    "1 nearest neighbour": make_pipeline(flat, StandardScaler(), KNeighborsClassifier(1)),
    "skattn": SelfAttentionClassifier(n_estimators=1, max_iter=15, random_state=0),
}

# %%
# The same folds for all
# ----------------------

folds = StratifiedKFold(5, shuffle=True, random_state=0)
found = {}
for problem, (X, y) in problems.items():
    for name, model in models.items():
        result = cross_validate(model, X, y, cv=folds)
        found[problem, name] = result["test_score"]
        print(
            f"{problem:20} {name:20} {result['test_score'].mean():.3f} ± {result['test_score'].std():.3f}, "
            f"{result['fit_time'].mean():.2f} s a fit"
        )

# %%
# A picture with the spread
# -------------------------
# Bars are means, dots the five folds, whiskers their standard deviation.

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), sharey=True, layout="constrained")
for axis, problem in zip(axes, problems, strict=True):
    scores = np.array([found[problem, name] for name in models])
    rows = np.arange(len(models))
    colours = ["#1f5a8c" if name == "skattn" else "#b6c2cf" for name in models]
    axis.barh(rows, scores.mean(axis=1), xerr=scores.std(axis=1), color=colours, ecolor="#1f2933", capsize=3)
    axis.scatter(scores, np.broadcast_to(rows[:, np.newaxis], scores.shape) - 0.24, s=9, color="#d55e00", zorder=3)
    for row, of_folds in enumerate(scores):
        axis.annotate(f"{of_folds.mean():.3f}", (0.02, row), xycoords=("axes fraction", "data"), va="center",
                      color="white" if row == len(models) - 1 else "#1f2933")  # fmt: skip
    # Bars from guessing on, so that their lengths say by how much a model is better than that.
    axis.set(title=problem, xlabel="Accuracy", xlim=(1 / len(np.unique(problems[problem][1])), 1.02))
    axis.set(yticks=rows, yticklabels=list(models))
    axis.spines[["top", "right"]].set_visible(False)
axes[0].invert_yaxis()

# %%
# What follows
# ------------
# - For the vowels ridge regression is a little ahead, and says which coefficient speaks for whom. Trained for as long
#   as its defaults say, skattn draws about level and no more. Who is speaking is heard in every step, and even a bag of
#   steps gets 95 %. Differences of a point are within the spread: five utterances of 270 are two points.
# - For the digits order is everything: the bag fails. Trees and the nearest neighbour do well, since all paths have the
#   same eight points, and laid side by side they compare point by point. Attention is ahead by about a point.
# - A fit of skattn takes about a second, and most of the others a fraction of that. It is worth it where what matters
#   stands now here, now there, where it hangs on something far off
#   (:ref:`sphx_glr_auto_examples_plot_event_log.py`), or where one wants to see what was looked at.

plt.show()
