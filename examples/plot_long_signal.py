"""
A long signal, through a window
===============================

The beats of a heart, and now and then one that comes too early. Each beat looks like all others: what is
wrong with an early one is its distance to the one before. That is found within a hundred steps, so a step need not see
all 4000: with a window the cost grows with the length of the signal, and not with its square.
"""

# %%
# What a window saves
# -------------------
# Attention alone, on arrays: seconds for signals that grow longer, with all pairs of steps, and with 96 steps to each
# side.

import time

import matplotlib.pyplot as plt
import numpy as np

from skattn import SelfAttentionClassifier, attention
from skattn.inspection import AttentionDisplay

generator = np.random.default_rng(0)
LENGTHS = [1000, 2000, 4000, 8000]
seconds = {"all steps": [], "a window of 96 steps": []}
for n_steps in LENGTHS:
    query, key, value = generator.normal(size=(3, 1, 2, n_steps, 16)).astype(np.float32)
    for title, window in (("all steps", None), ("a window of 96 steps", (96, 96))):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            attention(query, key, value, window=window, n_jobs=1)
            times.append(time.perf_counter() - start)
        seconds[title].append(min(times))
        print(f"{n_steps} steps, {title}: {1e3 * seconds[title][-1]:.1f} ms")

figure, axis = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
for (title, measured), style in zip(seconds.items(), ("--s", "-o"), strict=True):
    axis.loglog(LENGTHS, 1e3 * np.array(measured), style, label=title)
axis.set(xlabel="Length of the signal (steps)", ylabel="Time (ms)", xticks=LENGTHS, xticklabels=LENGTHS)
axis.minorticks_off()
axis.legend(frameon=False)
axis.spines[["top", "right"]].set_visible(False)

# %%
# Recordings
# ----------
# A beat every 80 steps or so, in noise. Six in a hundred come by a third too early, and its steps have the label 1.

BEAT = np.exp(-0.5 * (np.arange(-12, 13) / 3) ** 2) - 0.35 * np.exp(-0.5 * (np.arange(-18, 7) / 3) ** 2)


def make_recording(generator, n_steps=4000):
    """Draw a signal of shape (n_steps, 1), and a label for each of its steps."""
    signal, labels = generator.normal(scale=0.1, size=n_steps), np.zeros(n_steps, dtype=int)
    place, is_early = int(generator.integers(20, 60)), False
    while place < n_steps - 20:
        signal[place - 12 : place + 13] += BEAT * generator.uniform(0.9, 1.1)
        labels[place - 8 : place + 9] = is_early
        is_early = generator.random() < 0.06
        place += int((52 if is_early else 80) + generator.normal(scale=3))
    return signal[:, np.newaxis].astype(np.float32), labels


recordings = [make_recording(generator) for _ in range(28)]
X, y = [signal for signal, _ in recordings], [labels for _, labels in recordings]

# %%
# A label for every step
# ----------------------
# Two layers, each with a window, and rotary positions: what counts is how far two steps are apart, not where they are.
# The convolution in front lets a step know its neighbours.

settings = {"embedding": "convolution", "position": "rotary", "n_layers": 2, "d_model": 16, "n_heads": 2}
settings |= {"batch_size": 1, "learning_rate_init": 0.003, "max_iter": 16, "n_estimators": 1, "random_state": 0}
model = SelfAttentionClassifier(window=96, **settings).fit(X[:20], y[:20])


def find_beats(labels):
    """First steps of stretches that are labelled 1; what follows within a beat belongs to it."""
    starts = np.flatnonzero(np.diff(np.append(0, labels)) == 1)
    return starts[np.diff(starts, prepend=-100) > 17]


def count_beats(model, X, y):
    """Count early beats that are there, that are found, and alarms for none."""
    there = found = false = 0
    for labels, predicted in zip(y, model.predict(X), strict=True):
        starts, alarms = find_beats(labels), find_beats(predicted)
        there += len(starts)
        found += sum(predicted[start : start + 17].any() for start in starts)
        false += sum(not labels[max(alarm - 17, 0) : alarm + 17].any() for alarm in alarms)
    return there, found, false


there, found, false = count_beats(model, X[20:], y[20:])
print(f"in 8 recordings there are {there} early beats; {found} are found, and {false} false alarms given")

# %%
# A window has to be as wide as what matters. With 16 steps to each side, twice over for two layers, the beat before is
# out of sight, and there is nothing to be found:

narrow = SelfAttentionClassifier(window=16, **settings).fit(X[:20], y[:20])
there, found, false = count_beats(narrow, X[20:], y[20:])
print(f"with a window of 16 steps {found} of {there} are found, and {false} false alarms given")

# %%
# An event found
# --------------
# A recording that was not learned from: the signal, how probable it is at each step that a beat is early, and in orange
# where one is.

probability = model.predict_proba(X[20:])[0][:, 1]
steps = np.arange(len(X[20]))
figure, (above, below) = plt.subplots(2, 1, figsize=(9, 3.8), layout="constrained", sharex=True, height_ratios=(2, 1))
above.plot(steps, X[20][:, 0], color="#1f2933", linewidth=0.7)
above.set_ylabel("Signal")
below.fill_between(steps, probability, color="#1f5a8c", step="mid")
below.fill_between(steps, -0.4, -0.15, where=y[20] == 1, color="#d55e00", linewidth=1.5)
below.set(
    xlabel="Step", ylabel="Early?", yticks=[0, 1], yticklabels=["no", "yes"], ylim=(-0.45, 1.05), xlim=(0, len(steps))
)
for axis in (above, below):
    axis.spines[["top", "right"]].set_visible(False)

# %%
# A map of 4000 steps
# -------------------
# It has 16 million cells a head, too many for any picture: `AttentionDisplay` averages them in blocks. What is not near
# the diagonal is outside of the window. A piece around the first early beat shows single steps: rows are steps that
# look, within the beat, and columns those that they look at.

display = AttentionDisplay.from_estimator(model, X[20:21], layer=1, head=0)
display.ax_.set_title("One head, whole signal", fontsize=10, loc="left")

early = int(find_beats(y[20])[0])
rows, columns = np.arange(early - 4, early + 21), np.arange(early - 110, early + 90)
(weights,) = model.attention_weights(X[20:21], layer=1, steps=rows)
figure, axes = plt.subplots(3, 1, figsize=(8, 5), layout="constrained", sharex=True)
axes[0].plot(columns, X[20][columns, 0], color="#1f2933", linewidth=1)
axes[0].axvspan(rows[0], rows[-1], color="#f3d9c9", zorder=0)
axes[0].set(ylabel="Signal", xlim=(columns[0], columns[-1]))
for head, axis in enumerate(axes[1:]):
    extent = (columns[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5, rows[0] - 0.5)
    image = axis.imshow(weights[head][:, columns], cmap="Blues", vmin=0, aspect="auto", extent=extent)
    axis.set_ylabel(f"Head {head}:\nfrom step")
    figure.colorbar(image, ax=axis, label="Share")
axes[-1].set_xlabel("To step")

# %%
# From the early beat a head looks at the beat before, and at hardly anything else. Nobody has told it what a beat is,
# nor that the distance counts.

plt.show()
