"""
The strokes of a pen
====================

A digit is the path of a pen, eight points from where it touched the tablet to where it left. Which of them tell a 2
from a 3? There are two ways to ask. One takes a point away and looks at what becomes of the answer. The other looks at
the maps of attention. They do not agree, and this example shows where.
"""

# %%
# Paths, and a model that reads them
# ----------------------------------
# A part of the data is enough here. With ``embedding="linear"`` a token is one point, so that importance and maps are
# of the same eight points.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr

from skattn import SelfAttentionClassifier
from skattn.datasets import load_pen_digits
from skattn.inspection import ImportanceDisplay, step_importance

X, y = load_pen_digits(split="train", return_X_y=True)
X_test, y_test = load_pen_digits(split="test", return_X_y=True)
X, y, X_test, y_test = X[:2000], y[:2000], X_test[:500], y_test[:500]

model = SelfAttentionClassifier(embedding="linear", n_layers=2, d_model=32, n_estimators=1, max_iter=20, random_state=0)
model.fit(X, y)
print(f"of {len(X_test)} digits by other writers, {model.score(X_test, y_test):.1%} are read")

# %%
# Which points matter in general
# ------------------------------
# `step_importance` gives each digit a point of another one, by turns at every place along the path, and tells by how
# much accuracy falls.

found = step_importance(model, X_test, y_test, random_state=0)
display = ImportanceDisplay.from_importances(found, name="Fall of accuracy", time_name="Point along the path, from 0")
print("the point that matters most, of 0 to 7:", found.importances_mean.argmax())

# %%
# The end of the path tells most, and the first two points least.

# %%
# Which points matter in one digit
# --------------------------------
# By occlusion the same question has an answer for every digit: a point is moved to the mean of all points, near the
# middle of the tablet, and ``local`` tells by how much the probability of the right digit falls. Below it stands the
# attention that a point receives in the last layer, the mean over heads and over the points that look. Points are as
# large as they count, by the largest of their own picture; a cross marks where the pen touched down.

occluded = step_importance(model, X_test, y_test, method="occlusion")
falls = np.array(occluded.local)
received = np.array(model.attention_weights(X_test, average=True)).mean(axis=1)


def draw_path(axis, pen, sizes, colour):
    """Draw a path, each point as large as it counts."""
    axis.plot(*pen.T, color="#9aa3ad", linewidth=1.5, zorder=1)
    axis.scatter(*pen.T, s=12 + 430 * np.maximum(sizes, 0) / sizes.max(), color=colour, edgecolor="white", zorder=2)
    axis.scatter(*pen[0], s=90, marker="+", color="black", zorder=3)
    axis.set(xlim=(-18, 118), ylim=(-18, 118), xticks=[], yticks=[], aspect="equal")
    axis.spines[:].set_color("#d5dbe3")


figure, axes = plt.subplots(2, 5, figsize=(10, 4.6), layout="constrained")
for (above, below), digit in zip(axes.T, "23569", strict=True):
    of_digit = np.flatnonzero(y_test == digit)
    # The path that lies nearest to all others of its digit.
    typical = of_digit[np.abs(X_test[of_digit] - np.median(X_test[of_digit], axis=0)).sum(axis=(1, 2)).argmin()]
    draw_path(above, X_test[typical], falls[typical], "#1f5a8c")
    draw_path(below, X_test[typical], received[typical], "#d55e00")
    above.set_title(digit)
axes[0, 0].set_ylabel("What it loses\nwithout the point")
axes[1, 0].set_ylabel("Attention that\nthe point receives")

# %%
# Where both differ
# -----------------
# Averages over all test digits of a kind, and how well the two orders of the points agree within a digit: 1 would be
# the same order, 0 is chance.

agreement = [spearmanr(*pair).statistic for pair in zip(falls, received, strict=True)]
print(f"rank agreement of attention and occlusion, mean of {len(agreement)} digits: {np.mean(agreement):.2f}")
for digit in "23":
    print(f"{digit}, what it loses  ", *(f"{share:6.2f}" for share in falls[y_test == digit].mean(axis=0)))
    print(f"{digit}, attention      ", *(f"{share:6.2f}" for share in received[y_test == digit].mean(axis=0)))

# %%
# A 2 and a 3 end in other corners of the tablet, and without its last points a 2 is lost. Of these the last gets much
# attention, but the one before it hardly any. It need not be attended to: what a point says of itself goes past
# attention, straight to the mean over all points that the answer is read from. And points in the middle are looked at
# though nothing hangs on them. A map shows where information is fetched; what an answer rests on is asked by taking it
# away.
#
# Nor is taking away without fault. A point in the middle of the tablet makes a path that nobody has ever written. Put
# on the line between its neighbours it leaves a path that could be one, and then hardly a point is missed, for its
# neighbours tell the same. Only the last one has no line to lie on.

along_lines = step_importance(model, X_test, y_test, method="occlusion", replacement="interpolation")
for title, result in (("moved to the mean     ", occluded), ("put between two others", along_lines)):
    print(title, "accuracy falls by", *(f"{fall:5.2f}" for fall in result.importances_mean))

plt.show()
