"""
An alarm while the signal comes in
==================================

A valve is told to open, and a moment later the pressure falls. One day it sticks: commands come, and nothing follows.
No single reading tells, for pressure also falls by itself at times, and mostly it is level. A causal model learns it
from labelled recordings, and then reads live ones step by step, in microseconds, and says after each what it thinks.
"""

# %%
# Recordings
# ----------
# Two numbers a step: whether a command was given, and the pressure. In two of three recordings the valve sticks at some
# command. From eight steps after it on, when an answer would have come, the label is 1.

import time

import matplotlib.pyplot as plt
import numpy as np

from skattn import SelfAttentionClassifier

DIP = np.array([0.6, 1.0, 1.0, 0.8, 0.5, 0.3])


def make_recording(generator, sticks, n_steps=150):
    """Draw a recording and its labels, both of n_steps steps."""
    commands = np.cumsum(generator.integers(12, 25, n_steps))
    commands = commands[commands < n_steps - 20]
    stuck = generator.choice(commands[2:]) if sticks else n_steps
    answers = commands[commands < stuck]
    dips = np.concatenate(
        [answers + generator.integers(2, 6, len(answers)), np.flatnonzero(generator.random(n_steps) < 0.03)]
    )
    pressure = 0.25 * generator.normal(size=n_steps + len(DIP))
    for start in dips:
        pressure[start : start + len(DIP)] -= DIP * generator.uniform(0.9, 1.3)
    return np.column_stack([np.isin(np.arange(n_steps), commands), pressure[:n_steps]]), np.arange(n_steps) >= stuck + 8


generator = np.random.default_rng(0)
recordings = [make_recording(generator, sticks=number % 3 > 0) for number in range(300)]
X, y = [steps for steps, _ in recordings], [labels.astype(int) for _, labels in recordings]

# %%
# A causal model
# --------------
# With ``causal=True`` a step sees no later one, for a stream has none. In each layer it sees the 31 before it, so what
# a stream keeps ends growing; and ``position="rotary"`` counts distances alone, so it may go on for ever.

model = SelfAttentionClassifier(
    causal=True, window=(31, 0), position="rotary", embedding="convolution", d_model=16, n_heads=2, n_layers=2,
    n_estimators=1, max_iter=60, learning_rate_init=0.005, random_state=0,
)  # fmt: skip
model.fit(X[:100], y[:100])
print(f"of all steps of other recordings, {model.score(X[100:], y[100:]):.1%} are labelled rightly")

# %%
# From where on is it an alarm? In another hundred recordings, see how high the probability rises while the valve works,
# and take what three of them exceed. Fewer false alarms would cost more steps of delay.

tuning = slice(100, 200)
highest = [told[labels == 0, 1].max() for told, labels in zip(model.predict_proba(X[tuning]), y[tuning], strict=True)]
sure = np.quantile(highest, 0.97)
print(f"alarm above {sure:.3f}")

# %%
# Step by step
# ------------
# `stream` begins, `step` takes what has come and gives probabilities. Here a hundred valves are watched at once, each a
# stream of its own, with a row of readings at every step.

live, truth = np.stack(X[200:]), np.stack(y[200:])
stream = model.stream(n_streams=len(live))
told = np.stack([stream.step(live[:, step])[:, 1] for step in range(live.shape[1])], axis=1)

steps = np.arange(live.shape[1])
stuck = np.where(truth.any(axis=1), truth.argmax(axis=1) - 8, len(steps))
alarms, is_after = told > sure, steps > stuck[:, np.newaxis]
is_noticed, is_false = (alarms & is_after).any(axis=1), (alarms & ~is_after).any(axis=1)
delays = (alarms & is_after).argmax(axis=1)[is_noticed] - stuck[is_noticed]
print(f"{is_noticed.sum()} of {truth.any(axis=1).sum()} valves that stick raise an alarm, by the median")
print(f"{np.median(delays):.0f} steps after the first command without an answer; {is_false.sum()} raise a false one")

# %%
# Two valves that stick. An answer begins two to five steps after its command, so no alarm can come much sooner than on
# the left. On the right the pressure happens to fall by itself just after the command: nobody could tell, and the
# alarm comes with the next one.

figure, axes = plt.subplots(2, 2, figsize=(9.5, 4.6), sharex="col", sharey="row", layout="constrained")
for (top, bottom), valve in zip(axes.T, (8, 20), strict=True):
    shown = slice(stuck[valve] - 45, stuck[valve] + 40)
    raised = np.flatnonzero(alarms[valve])[0]
    top.plot(steps[shown], live[valve, shown, 1], color="#6b7280", label="pressure")
    commands = np.flatnonzero(live[valve, :, 0])
    commands = commands[(commands >= shown.start) & (commands < shown.stop)]
    top.plot(commands, np.full(len(commands), 1.1), "v", color="black", label="command")
    bottom.plot(steps[shown], told[valve, shown], color="#2f6690", linewidth=2)
    bottom.axhline(sure, color="#6b7280", linestyle=":")
    bottom.annotate("alarm", (raised, told[valve, raised]), (-42, -24), textcoords="offset points",
                    arrowprops={"arrowstyle": "->"})  # fmt: skip
    for axis in (top, bottom):
        axis.axvspan(stuck[valve], shown.stop, color="#d1603d", alpha=0.15, linewidth=0, label="stuck")
        axis.spines[["top", "right"]].set_visible(False)
    bottom.set(xlabel="Step", ylim=(-0.03, 1.05), xlim=(shown.start, shown.stop))
axes[0, 0].set(ylabel="Pressure", ylim=(-3, 1.5))
axes[1, 0].set(ylabel='Probability of\n"stuck"')
axes[0, 0].legend(loc="lower left", ncols=3, frameon=False)

# %%
# What a step costs
# -----------------
# A stream keeps keys and values of earlier steps, no more of them than the window asks for, and computes nothing twice.
# Without it one would give the model the whole sequence anew at every step. Both say the same, to the last digits.

stream = model.stream()
begin = time.perf_counter()
one_by_one = np.array([stream.step(reading) for reading in live[0]])
streamed = (time.perf_counter() - begin) / len(steps)
begin = time.perf_counter()
anew = np.array([model.predict_proba(live[:1, : step + 1])[0][-1] for step in steps])
whole = (time.perf_counter() - begin) / len(steps)
print(f"a step of the stream takes {1e6 * streamed:.0f} µs, the whole sequence anew {1e6 * whole:.0f} µs")
print(f"they differ by {np.abs(one_by_one - anew).max():.0e} at most; the stream keeps {stream.nbytes / 1000:.0f} kB")

# %%
# What it keeps ends growing: after a thousand steps more it is as much, and a step takes as long.

for reading in np.tile(live[1], (7, 1)):
    stream.step(reading)
print(f"after {stream.n_steps[0]} steps the stream keeps {stream.nbytes / 1000:.0f} kB")

# %%
# A rule by hand, "a command, and no fall within eight steps", would do here as well. The model was told no rule, only
# where recordings went wrong.

plt.show()
