"""
What comes next in an event log
===============================

An insurer's log has a row for each thing that happened: which claim, what, when, and how much money is at stake. What
will happen next? Often the last event tells. Where it does not, the answer stands further back, and a causal model
finds it there.
"""

# %%
# A log
# -----
# A claim is registered, letters and calls come and go, and then it is assessed. What follows upon that is ruled by
# three things: a photo that is asked for and has not come, the amount, which stands at the first event alone, and how
# long the claimant has waited. One time in twenty somebody does something else.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skattn import SelfAttentionClassifier, sequences_from_frame
from skattn.inspection import AttentionDisplay, ImportanceDisplay, TokenAttentionDisplay, feature_importance

DECISIONS = ["remind", "expert", "apologise", "pay"]


def make_claim(generator, claim):
    """Draw the rows of a claim."""
    amount, events = round(float(generator.lognormal(7, 1))), ["register"]
    asked = generator.random() < 0.5
    came = asked and generator.random() < 0.5
    between = ["call"] * generator.integers(3) + ["letter"] * generator.integers(3) + ["ask for photo"] * asked
    events += generator.permutation(between).tolist()
    if came:
        events.insert(generator.integers(events.index("ask for photo") + 1, len(events) + 1), "photo")
    hours = generator.exponential(20, size=len(events) + 1)
    # One claim in four waits long for its assessment.
    hours[-1] += 100 * (generator.random() < 0.25)
    decision = (
        "remind" if asked and not came else "expert" if amount > 1500 else "apologise" if hours[-1] > 80 else "pay"
    )
    if generator.random() < 0.05:
        decision = str(generator.choice(DECISIONS))
    events += ["assess", decision]
    hours = np.append(hours, generator.exponential(20))
    when = generator.uniform(0, 8000) + np.cumsum(hours)
    return [(claim, *row) for row in zip(when, events, [amount] + [0] * (len(events) - 1), strict=True)]


generator = np.random.default_rng(0)
rows = [row for claim in range(1200) for row in make_claim(generator, claim)]
log = pd.DataFrame(rows, columns=["claim", "when", "activity", "amount"])
log["when"] = (pd.Timestamp("2024-01-01") + pd.to_timedelta(log["when"], "h")).dt.round("min")
log = log.sort_values("when", ignore_index=True)
print(log.head(6).to_string())

# %%
# From rows to sequences
# ----------------------
# Two columns say what the rows do not: how many hours have passed since the last event of the claim, and, at the first
# event, the logarithm of the amount. `sequences_from_frame` cuts the frame by claim and sorts each by time; words
# become codes, and the sequences know which.

log["hours"] = log.groupby("claim")["when"].diff().dt.total_seconds().fillna(0) / 3600
log["log_amount"] = np.log1p(log["amount"])
X, claims = sequences_from_frame(log, id="claim", order="when", values=["activity", "log_amount", "hours"])
names = X[0].categories[0]
print(f"{len(X)} claims of {min(map(len, X))} to {max(map(len, X))} events; activities: {', '.join(names)}")

# %%
# Every event has a label, the one that follows; the last has none, which is -1. `causal` keeps events from seeing what
# is still to come.

y = [np.append(claim[1:, 0], -1).astype(int) for claim in X]
model = SelfAttentionClassifier(
    categorical_features=["activity"], causal=True, d_model=32, n_heads=2, n_layers=2, learning_rate_init=0.003,
    n_estimators=1, max_iter=40, random_state=0,
)  # fmt: skip
model.fit(X[:900], y[:900])

# %%
# Better than the last event?
# ---------------------------
# The usual baseline knows the last event and says what followed upon it most often.

is_test = [np.flatnonzero(following >= 0) for following in y[900:]]
last = np.concatenate([claim[steps, 0] for claim, steps in zip(X[900:], is_test, strict=True)]).astype(int)
right = np.concatenate([following[steps] for following, steps in zip(y[900:], is_test, strict=True)])
predicted = np.concatenate([p[steps] for p, steps in zip(model.predict(X[900:]), is_test, strict=True)])

pairs = np.zeros((len(names), len(names)))
for claim in X[:900]:
    np.add.at(pairs, (claim[:-1, 0].astype(int), claim[1:, 0].astype(int)), 1)
guess = pairs.argmax(axis=1)[last]
assess = names.tolist().index("assess")
for title, where in (("after all events", last >= 0), ("after 'assess'", last == assess)):
    print(
        f"{title}: the last event alone {(guess == right)[where].mean():.1%}, "
        f"attention {(predicted == right)[where].mean():.1%}"
    )

# %%
# Half of all events cannot be told by anybody: letters and calls come as they like. But the decision can, and the last
# event, which is "assess" each time, says nothing about it. One decision in 27 is beyond all rules.

# %%
# Which column tells
# ------------------
# Importance of a feature is by how much accuracy falls where claims exchange it. Behind "assess" alone:

decided = [np.where(claim[:, 0] == assess, following, -1) for claim, following in zip(X[900:], y[900:], strict=True)]
found = feature_importance(model, X[900:], decided, random_state=0)
ImportanceDisplay.from_importances(found, name="Fall of accuracy")

# %%
# What the model looks at
# -----------------------
# From "assess", each head looks at the events so far. Here is how its attention is shared out over kinds of events, the
# mean over all test claims with the same prediction.

EVENTS = ["register", "call", "letter", "ask for photo", "photo", "assess"]
answers = [
    decisions[claim[:, 0] == assess][0] for claim, decisions in zip(X[900:], model.predict(X[900:]), strict=True)
]
shares = np.zeros((4, len(DECISIONS), len(EVENTS)))
maps = model.attention_weights(X[900:], layer=None)
for claim, of_layers, answer in zip(X[900:], maps, answers, strict=True):
    place = int(np.flatnonzero(claim[:, 0] == assess)[0])
    rows = np.concatenate(of_layers)[:, place, : place + 1]
    for step, code in enumerate(claim[: place + 1, 0]):
        shares[:, DECISIONS.index(names[answer]), EVENTS.index(names[int(code)])] += rows[:, step]
shares /= shares.sum(axis=2, keepdims=True)

titles = [f"layer {layer}, head {head}" for layer in range(2) for head in range(2)]
display = AttentionDisplay.from_weights(
    [shares[:2], shares[2:]], labels=EVENTS, query_labels=DECISIONS, titles=titles, unit="event"
)
for axis in display.axes_[:, 0]:
    axis.set_ylabel("Predicted")

# %%
# The heads have shared out the work. In the first layer one looks more at a photo that was asked for, the other more at
# one that came. In the second one head fetches the amount from "register", and most of all where it is large; the other
# looks at "assess" itself, which knows the hours, where an apology is due. A single claim, one whose amount is large;
# what lies behind "assess" is not seen:

number = 900 + next(i for i, answer in enumerate(answers) if names[answer] == "expert" and len(X[900 + i]) > 6)
words = [str(names[int(code)]) for code in X[number][:, 0]]
(maps,) = model.attention_weights([X[number]], layer=1, head=0)
display = TokenAttentionDisplay.from_weights(maps[np.newaxis], words, query=words.index("assess"))
display.figure_.suptitle(f"next: {names[model.predict([X[number]])[0][-2]]}", x=0.02, ha="left")

# %%
# So clear a picture is luck: other random numbers share the work out otherwise, and as well. That a head looks
# somewhere is no proof that the answer rests on it; that the columns matter, the bars above have shown.

plt.show()
