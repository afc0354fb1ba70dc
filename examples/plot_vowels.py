"""
Who is speaking
===============

Nine speakers say the same two vowels, 640 times in all, in utterances of 7 to 29 steps. One pipeline tells who it was.
Here we look at which speakers it mixes up, where its heads look while a vowel turns into the other, and which
utterances that it has learned from it finds most alike.
"""

# %%
# A pipeline
# ----------
# A list of arrays, each as long as it is, goes in. The transformer makes a vector of each, and logistic regression
# tells the speaker.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.pipeline import make_pipeline

from skattn import SelfAttentionTransformer
from skattn.datasets import load_japanese_vowels
from skattn.inspection import AttentionDisplay, head_report, nearest_examples

X, y = load_japanese_vowels(split="train", return_X_y=True)
X_test, y_test = load_japanese_vowels(split="test", return_X_y=True)

model = make_pipeline(
    SelfAttentionTransformer(n_estimators=1, max_iter=10, random_state=0), LogisticRegression(max_iter=1000)
)
model.fit(X, y)
predicted = model.predict(X_test)
print(f"of {len(y_test)} test utterances {np.mean(predicted == y_test):.1%} are told, from {len(y)} to learn from")

# %%
# Whom it mixes up
# ----------------
# Rows are speakers, columns whom they were taken for.

figure, axis = plt.subplots(figsize=(5.2, 4.6), layout="constrained")
ConfusionMatrixDisplay.from_predictions(y_test, predicted, ax=axis, cmap="Blues", colorbar=False)
axis.set(xlabel="Taken for speaker", ylabel="Speaker")
for who, taken_for in zip(y_test[predicted != y_test], predicted[predicted != y_test], strict=True):
    print(f"speaker {who} was taken for {taken_for}")

# %%
# Where the heads look
# --------------------
# An utterance begins as /a/ and ends as /e/. A step is 6.4 milliseconds, and here a token is a step, for no utterance
# has more than 64. Each row is a time that looks, each column one that is looked at.

transformer = model[0]
longest = int(np.argmax([len(steps) for steps in X_test]))
times = [f"{6.4 * step:.0f}" for step in range(len(X_test[longest]))]
AttentionDisplay.from_estimator(transformer, X_test, sequence=longest, labels=times, unit="millisecond")

report = head_report(transformer, X_test)
print(report[["head", "entropy", "distance", "similarity", "similar_to"]].round(2).to_string(index=False))
print("findings:", *(report.findings or ["none"]))

# %%
# The stripes say that all times look at much the same ones, and an entropy near 1, its largest, that every head looks
# almost everywhere. Nothing is ill about that: who is speaking is heard all along. A vector here is not far from a mean
# over the utterance, and a plain mean goes a long way too (:ref:`sphx_glr_auto_examples_plot_comparison.py`).

# %%
# Examples that say why
# ---------------------
# The features of a test utterance lie near those of utterances of the training part. If these are by the same speaker,
# and near, the answer has something to rest on.

examples = nearest_examples(model, X, X_test, k=5, y_train=y)
same = (examples.labels == predicted[:, np.newaxis]).mean(axis=1)
for title, where in (("rightly", predicted == y_test), ("wrongly", predicted != y_test)):
    print(
        f"{where.sum()} told {title}: {same[where].mean():.0%} of the five nearest are by the speaker that was told, "
        f"and the nearest is {np.median(examples.distances[where, 0]):.1f} away (median)"
    )

# %%
# Neighbours agree with the model even where it is wrong, for they are found by the very features that it decides by.
# That even the nearest one is far away is the better warning.
#
# An utterance that was taken for somebody else's, the training utterance nearest to it, and the nearest one by the
# speaker who it was. Shades are the 12 numbers of a step, in deviations of the training part.

wrong = int(np.argmax(np.where(predicted != y_test, same, -1)))
right = [steps for steps, speaker in zip(X, y, strict=True) if speaker == y_test[wrong]]
nearest = nearest_examples(model, right, [X_test[wrong]], k=1)
shown = [
    (f"Speaker {y_test[wrong]}, taken for {predicted[wrong]}", X_test[wrong]),
    (f"Speaker {examples.labels[wrong, 0]}, {examples.distances[wrong, 0]:.1f} away", X[examples.indices[wrong, 0]]),
    (f"Speaker {y_test[wrong]}, {nearest.distances[0, 0]:.1f} away", right[nearest.indices[0, 0]]),
]
mean, deviation = np.concatenate(X).mean(axis=0), np.concatenate(X).std(axis=0)
figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained", sharey=True)
for axis, (title, steps) in zip(axes, shown, strict=True):
    extent = (0, 6.4 * len(steps), 12.5, 0.5)
    image = axis.imshow(((steps - mean) / deviation).T, cmap="Blues", vmin=-3, vmax=3, aspect="auto", extent=extent)
    axis.set(title=title, xlabel="Time (ms)")
axes[0].set_ylabel("Cepstrum coefficient")
figure.colorbar(image, ax=axes, label="Deviations from the mean")

plt.show()
