"""
Thousands of sequences, thirty labels
=====================================

Pens write more digits than anybody labels. Here a network first looks at 7,494 of them without their labels, and learns
which pieces belong to the same one; then it is told a few labels a class. Beside it begins a network that knows
nothing, and beside both stand plainer ways, for pre-training is not always the first thing to try.
"""

# %%
# Many sequences, few labels
# --------------------------
# Each digit is eight points along the path of the pen.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skattn import SelfAttentionClassifier, SelfAttentionTransformer
from skattn.datasets import load_pen_digits

X, y = load_pen_digits(split="train", return_X_y=True)
X_test, y_test = (part[:2000] for part in load_pen_digits(split="test", return_X_y=True))
print(f"{len(X)} digits to learn from, of {X.shape[1]} points each, and {len(X_test)} to be tested with")

# %%
# First without labels
# --------------------
# ``objective="contrastive"`` makes two views of every sequence, pieces of it with some noise, and learns to tell which
# two belong together among those of all others in the batch. No label is seen.

form = {"embedding": "linear", "d_model": 32, "n_layers": 2, "n_estimators": 1, "random_state": 0}
before = SelfAttentionTransformer(objective="contrastive", learning_rate_init=0.005, max_iter=8, **form).fit(X)
print(f"loss {before.loss_curve_[0]:.2f} in the first epoch, {before.loss_curve_[-1]:.2f} in the last")

# %%
# What it has found: test digits as its features lie, two dimensions for the eye. Digits of one kind stand together in
# one place or several, for a 1 or a 5 is written in more than one way. The network has never heard of kinds.

few = slice(300)
plane = TSNE(perplexity=20, max_iter=400, method="exact", random_state=0).fit_transform(before.transform(X_test[few]))
figure, axis = plt.subplots(figsize=(6.5, 5.2), layout="constrained")
for label, place in zip(y_test[few], plane, strict=True):
    axis.text(*place, label, ha="center", va="center", color=plt.cm.tab10(int(label)), size=8, weight="bold")
axis.set(xlim=(plane[:, 0].min() - 3, plane[:, 0].max() + 3), ylim=(plane[:, 1].min() - 3, plane[:, 1].max() + 3))
axis.set(xticks=[], yticks=[], title="Test digits, placed by features learned without labels (t-SNE)")

# %%
# Then with few
# -------------
# ``pretrained=before`` begins with that network; all else is as from scratch. A pipeline can also read its features as
# they are: ``FrozenEstimator`` keeps it from being fitted anew. And two ways do without pre-training: logistic
# regression on the sixteen coordinates, and the classifier as it comes, with a stem of random convolutions in front.


def flatten(X):
    """The coordinates of each digit in one row."""
    return X.reshape(len(X), -1)


def read_off(features):
    """Logistic regression on what a transformer makes of sequences."""
    return make_pipeline(features, StandardScaler(), LogisticRegression(max_iter=1000))


ways = {
    "the defaults, with a stem": SelfAttentionClassifier(n_estimators=1, random_state=0),
    "logistic regression on pre-trained features": read_off(FrozenEstimator(before)),
    "pre-trained": SelfAttentionClassifier(pretrained=before, **form),
    "logistic regression on coordinates": read_off(FunctionTransformer(flatten)),
    "from scratch": SelfAttentionClassifier(**form),
}

# %%
# Which digits happen to be labelled matters much where they are few, so each number is the mean of four draws.

numbers, n_draws = (1, 3, 6), 4
scores = {name: np.zeros((len(numbers), n_draws)) for name in ways}
for draw in range(n_draws):
    order = np.random.default_rng(draw).permutation(len(X))
    for place, n_labels in enumerate(numbers):
        some = np.concatenate([order[y[order] == label][:n_labels] for label in np.unique(y)])
        for name, model in ways.items():
            scores[name][place, draw] = model.fit(X[some], y[some]).score(X_test, y_test)

print(f"{'labels a class':45}" + "".join(f"{number:>14}" for number in numbers))
for name, of_way in scores.items():
    print(f"{name:45}" + "".join(f"{each.mean():8.3f} ± {each.std():.3f}" for each in of_way))

# %%
# Every dot is a draw, every line goes through their means.

figure, axis = plt.subplots(figsize=(8, 4.4), layout="constrained")
styles = ["#6b7280 D :", "#2f6690 s --", "#2f6690 o -", "#d1603d v --", "#d1603d ^ -"]
for number, (name, style) in enumerate(zip(ways, styles, strict=True)):
    colour, marker, line = style.split()
    at = np.array(numbers) * (0.92 + 0.04 * number)  # beside each other
    axis.plot(at, scores[name].mean(axis=1), color=colour, marker=marker, linestyle=line, linewidth=2, label=name)
    axis.plot(at, scores[name], color=colour, marker=".", linestyle="", alpha=0.5)
axis.set(xscale="log", xticks=numbers, xticklabels=numbers, xlabel="Labels a class", ylabel="Accuracy on test digits")
axis.minorticks_off()
axis.grid(axis="y", alpha=0.25)
axis.spines[["top", "right"]].set_visible(False)
axis.legend(frameon=False)

# %%
# What to make of it
# ------------------
# The same network gains much by having looked first, at every number of labels. Yet the plainer ways stand close by.
# Logistic regression on sixteen coordinates beats the network from scratch, and where labels are fewest it also gets
# more out of the pre-trained features than training on does. From three labels a class on the defaults are best, which
# have seen nothing but these. So try them first; pre-train where a stem will not do: where every step has a label of
# its own, where steps are categories, or where they come one at a time.

plt.show()
