"""
Quickstart: who is speaking, and which digit is written?
=========================================================

Two sets of real sequences that ship with skattn go the whole way: fit, score on the official test
split, cross-validate, search, save, load, and look at what was attended to. A bag of steps, which
knows every value of a sequence but not their order, runs beside it.

Run it from anywhere; it takes under two minutes on two cores, compilation included::

    python examples/plot_quickstart.py --output pictures
"""

# %%
# Set-up
# ------
# The pictures, and a saved model, go to the current folder or to ``--output``.

import argparse
import time
from pathlib import Path

import joblib
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skattn import SelfAttentionClassifier, SelfAttentionTransformer
from skattn.datasets import load_japanese_vowels, load_pen_digits
from skattn.inspection import AttentionDisplay, LossCurveDisplay

parser = argparse.ArgumentParser(description="skattn on two real data sets, in under two minutes.")
parser.add_argument("--output", type=Path, default=Path(), help="folder for pictures and model (default: here)")
output = parser.parse_args().output
output.mkdir(parents=True, exist_ok=True)
begin = time.perf_counter()


def say(text):
    """Print a line with the seconds since the start."""
    print(f"[{time.perf_counter() - begin:5.1f} s] {text}", flush=True)


# %%
# Sequences of different lengths
# ------------------------------
# Each of the 270 utterances to learn from is an array of its own, 7 to 26 steps long, with 12
# numbers a step. A plain list holds them; nothing is cut or padded.

X, y = load_japanese_vowels(split="train", return_X_y=True)
X_test, y_test = load_japanese_vowels(split="test", return_X_y=True)
lengths = [len(steps) for steps in X]
say(f"Japanese vowels: {len(X)} utterances of {min(lengths)} to {max(lengths)} steps, {X[0].shape[1]} features a step")

# %%
# The baseline forgets the order of the steps: mean, smallest, largest and standard deviation of each
# feature, then logistic regression.


def bag_of_steps(sequences):
    """Summarise each sequence without its order: an array of shape (n_samples, 4 * n_features)."""
    return np.array([np.concatenate([s.mean(axis=0), s.min(axis=0), s.max(axis=0), s.std(axis=0)]) for s in sequences])


bag = make_pipeline(FunctionTransformer(bag_of_steps), StandardScaler(), LogisticRegression(max_iter=1000))
vowels_bag = bag.fit(X, y).score(X_test, y_test)
say(f"bag of steps: test accuracy {vowels_bag:.3f}")

# %%
# A transformer in a pipeline
# ---------------------------
# `SelfAttentionTransformer` turns every sequence into one vector, so any scikit-learn estimator can
# follow. ``verbose=1`` shows how training goes. The first fit of all also compiles the kernels, once
# for all processes to come.

model = make_pipeline(
    SelfAttentionTransformer(random_state=0, verbose=1),
    LogisticRegression(max_iter=1000),
)
model.fit(X, y)
vowels_pipeline = model.score(X_test, y_test)
say(f"transformer + logistic regression: test accuracy {vowels_pipeline:.3f}")

# %%
# A classifier by itself
# ----------------------
# `SelfAttentionClassifier` is the same network with the class probabilities as its output.

classifier = SelfAttentionClassifier(random_state=0).fit(X, y)
vowels_classifier = classifier.score(X_test, y_test)
say(f"classifier: test accuracy {vowels_classifier:.3f}")

# %%
# Cross-validation and search on the ragged list
# ----------------------------------------------
# scikit-learn's tools take the list as it is. The search asks how steps should be pooled, and
# whether their place in the sequence matters; one network and shorter training are enough to compare.

quick = make_pipeline(
    SelfAttentionTransformer(max_iter=10, n_estimators=1, random_state=0),
    LogisticRegression(max_iter=1000),
)
scores = cross_val_score(quick, X, y, cv=3, verbose=3)
say(f"cross-validation: accuracy {scores.mean():.3f} ± {scores.std():.3f} over {len(scores)} folds")

search = GridSearchCV(
    quick,
    {
        "selfattentiontransformer__pooling": ["mean", "mean_max"],
        "selfattentiontransformer__position": ["learned", "none"],
    },
    cv=3,
    verbose=3,
)
search.fit(X, y)
chosen = ", ".join(f"{name.split('__')[1]}={value!r}" for name, value in search.best_params_.items())
say(f"search: {chosen} is best, with {search.best_score_:.3f} in cross-validation")

# %%
# Save and load
# -------------
# The file holds plain arrays. Load pickles from people you trust only, as always.

path = output / "quickstart_model.joblib"
joblib.dump(model, path, compress=True)
loaded = joblib.load(path)
if not np.array_equal(loaded.predict_proba(X_test), model.predict_proba(X_test)):
    raise SystemExit("The loaded model predicts something else.")
say(f"saved to {path} ({path.stat().st_size / 1000:.0f} kB), loaded, and the same predictions to the last bit")

# %%
# Where order matters
# -------------------
# Eight points along the path of a pen tell which digit it writes, and they do so in their order: a 6
# and a 0 visit much the same places. The sequences are equally long, so a 3-D array holds them.

X, y = load_pen_digits(split="train", return_X_y=True)
X_test, y_test = load_pen_digits(split="test", return_X_y=True)
say(f"pen digits: {X.shape[0]} paths of {X.shape[1]} points, {X.shape[2]} features a step")

digits_bag = bag.fit(X, y).score(X_test, y_test)
say(f"bag of steps: test accuracy {digits_bag:.3f}")

digits = SelfAttentionClassifier(random_state=0, verbose=1).fit(X, y)
digits_classifier = digits.score(X_test, y_test)
say(f"classifier: test accuracy {digits_classifier:.3f}")

# %%
# How training went
# -----------------
# The dotted line is the loss of guessing, every class being as likely as any other.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for axis, name, fitted in ((axes[0], "Japanese vowels", classifier), (axes[1], "Pen digits", digits)):
    LossCurveDisplay.from_estimator(fitted, name=f"{name}, {len(fitted.classes_)} classes", log=True, ax=axis)
axes[1].set_ylabel("")
path = output / "quickstart_loss.png"
figure.savefig(path, dpi=150)
say(f"loss curves drawn to {path}")

# %%
# What it attends to
# ------------------
# `attention_weights` gives a map for every sequence and head: how much each step (row) takes from each
# step (column), and `AttentionDisplay` draws it. On the left the digit itself, every point as large as the
# attention it gets.

sample = int(np.flatnonzero(y_test == "8")[0])
maps = digits.attention_weights(X_test[[sample]])[0]
# The head whose rows differ most from each other says most.
head = int(maps.std(axis=1).mean(axis=1).argmax())
received, pen = maps[head].mean(axis=0), X_test[sample]
points = np.arange(1, len(pen) + 1)
blue, grey = "#1f5a8c", "#5f6b7a"

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained", width_ratios=(0.85, 1))
areas = 200 + 2500 * received
for start, end, area in zip(pen[:-1], pen[1:], areas[1:], strict=True):
    arrow = {"arrowstyle": "-|>", "color": grey, "linewidth": 1.4, "shrinkB": area**0.5 / 2 + 2}
    left.annotate("", end, start, arrowprops=arrow)
left.scatter(*pen.T, s=areas, color=blue, edgecolor="white", linewidth=1.5, zorder=3)
for point, place in zip(points, pen, strict=True):
    left.annotate(point, place, ha="center", va="center", color="white", weight="bold", zorder=4)
left.set_title(f"An {y_test[sample]} as the pen went; larger: more attention", loc="left", fontsize=11)
left.spines[["top", "right"]].set_visible(False)
left.set(xlabel="x (tablet units)", ylabel="y (tablet units)", aspect="equal", xlim=(-14, 114), ylim=(-14, 114))

AttentionDisplay.from_estimator(digits, X_test, sequence=sample, head=head, labels=points, unit="point", ax=right)
path = output / "quickstart_attention.png"
figure.savefig(path, dpi=150)
say(f"attention map drawn to {path}")

# %%
# What came out
# -------------

print()
print("test accuracy      bag of steps   transformer + logistic regression   classifier")
print(f"Japanese vowels    {vowels_bag:12.3f}   {vowels_pipeline:33.3f}   {vowels_classifier:10.3f}")
print(f"pen digits         {digits_bag:12.3f}   {'':33}   {digits_classifier:10.3f}")
print()
say("done")

# sphinx_gallery_thumbnail_number = 2
