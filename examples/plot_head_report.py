"""
A head that is ill, and the mend
================================

A query says what a step looks for, a key what it is. Where both projections begin with the same weights, a step looks
for what it is itself, and finds itself. Such a model trains without an error, and stays poor. A head report finds it;
and of a healthy model it tells which heads nobody would miss.
"""

# %%
# A cloakroom
# -----------
# Twelve coats hang in a row, each on a peg with a number, and each of one of four colours. The last step is a ticket: a
# number as well, and a fixed list, which is not told, says to which peg it belongs. What colour is the coat?

import matplotlib.pyplot as plt
import numpy as np

from skattn import SelfAttentionClassifier
from skattn.inspection import AttentionDisplay, HeadDisplay, LossCurveDisplay, head_report, prune_heads

COLOURS = np.array(["black", "blue", "green", "red"])
N_PEGS, N_COATS, NO_COLOUR = 30, 12, 4
TICKET_OF = np.random.default_rng(0).permutation(N_PEGS)


def make_row(generator):
    """Draw pegs with coats and a ticket: (number, colour) a step; and the colour of the coat that is meant."""
    pegs, colours = generator.permutation(N_PEGS)[:N_COATS], generator.integers(4, size=N_COATS)
    meant = generator.integers(N_COATS)
    steps = np.column_stack([pegs, colours])
    return np.vstack([steps, [TICKET_OF[pegs[meant]], NO_COLOUR]]), COLOURS[colours[meant]]


generator = np.random.default_rng(0)
X, y = zip(*(make_row(generator) for _ in range(1700)), strict=True)
X, y, X_test, y_test = X[:1200], np.array(y[:1200]), X[1200:], np.array(y[1200:])

# %%
# An illness, made to order
# -------------------------
# One head, one layer. A first model learns next to nothing, so that its weights are as they were drawn; then queries
# and keys are made the same, as a slip in a program of one's own may do. (Nobody is meant to write to its arrays:
# `weights_` shows them, read-only.) Another model begins with these weights and is trained as usual.

settings = {"categorical_features": "all", "embedding": "linear", "position": "none", "pooling": "last"}
settings |= {"d_model": 32, "n_estimators": 1, "learning_rate_init": 0.001, "random_state": 0}


def with_equal_projections(n_heads):
    """A model to begin with, whose queries and keys have the same weights."""
    begun = SelfAttentionClassifier(**settings | {"learning_rate_init": 1e-9}, n_heads=n_heads, max_iter=1).fit(X, y)
    arrays = begun._model.network.weights
    arrays["layers.0.key.weight"][:] = arrays["layers.0.query.weight"]
    return begun


begun = with_equal_projections(n_heads=1)
ill = SelfAttentionClassifier(**settings, n_heads=1, max_iter=20, pretrained=begun).fit(X, y)
print(f"of 500 other tickets {ill.score(X_test, y_test):.1%} bring the right colour; guessing would be 25 %")

# %%
# What is the matter?
# -------------------
# The score says that something is wrong, the report says what.

report = head_report(ill, X_test[:100], y_test[:100])
for finding in report.findings:
    print("-", finding)
print(f"share of attention on the own step: {report['on_self'][0]:.0%}; an even share would be {1 / 13:.0%}")

# %%
# Drawn apart
# -----------
# The mend is what the estimator does by itself: both projections are drawn, each for itself.

mended = SelfAttentionClassifier(**settings, n_heads=1, max_iter=20).fit(X, y)
report = head_report(mended, X_test[:100], y_test[:100])
print(f"drawn apart: {mended.score(X_test, y_test):.1%}; on the own step {report['on_self'][0]:.0%}; {report.findings}")
LossCurveDisplay.from_estimators({"queries like keys": ill, "drawn apart": mended})

# %%
# Both maps of one row of coats. On the left every step looks at itself; the ticket, in the bottom row, has half learned
# to look elsewhere. On the right it looks at its coat; what the coats look at does not matter, for nobody asks them.

coats = X_test[0][:-1]
labels = [f"{COLOURS[colour]} {peg}" for peg, colour in coats] + [f"ticket {X_test[0][-1, 0]}"]
maps = np.concatenate([model.attention_weights(X_test[:1], layer=0)[0] for model in (ill, mended)])
AttentionDisplay.from_weights(maps, labels=labels, titles=["queries like keys", "drawn apart"])
meant = np.flatnonzero(TICKET_OF[coats[:, 0]] == X_test[0][-1, 0])[0]
shares = [f"{share:.0%}" for share in maps[:, -1, meant]]
print(f"meant is {labels[meant]}; shares of the ticket's attention: {', '.join(shares)}")

# %%
# Time heals slowly. Three times as long, and the model is still behind, and the report still tells; of projections that
# were drawn apart the cosine is about 0.

longer = SelfAttentionClassifier(**settings, n_heads=1, max_iter=60, pretrained=begun).fit(X, y)
report = head_report(longer, X_test[:100], y_test[:100])
cosine = report["query_key_similarity"][0]
print(f"60 epochs: {longer.score(X_test, y_test):.1%}, cosine {cosine:.2f}, {len(report.findings)} finding")

# %%
# Several heads hide it: four find a way out together, and the score is good. The report tells all the same.

hidden = SelfAttentionClassifier(**settings, n_heads=4, max_iter=30, pretrained=with_equal_projections(4)).fit(X, y)
print(f"four heads: {hidden.score(X_test, y_test):.1%}")
for finding in head_report(hidden, X_test[:100]).findings:
    print("-", finding)

# %%
# Heads that nobody would miss
# ----------------------------
# A healthy model of four heads. Its table has nothing remarkable to say, but for the last column: by how much the score
# falls where a head is silenced. Two could go.

healthy = SelfAttentionClassifier(**settings, n_heads=4, max_iter=30).fit(X, y)
report = head_report(healthy, X_test[:250], y_test[:250])
measures = ["entropy", "on_self", "similarity", "query_key_similarity", "importance"]
HeadDisplay.from_report(report, measures=measures)

# %%
# `prune_heads` takes rows of the report and gives a smaller model, which is scored on tickets that the report has not
# seen. Each head was silenced alone, and two that do the same would both seem idle: so score what is left.

smaller = prune_heads(healthy, report[report["importance"] < 0.01])
for name, model in (("four heads", healthy), ("those that matter", smaller)):
    n_weights = sum(weight.size for weight in model.weights_.values())
    print(f"{name}: {model.score(X_test[250:], y_test[250:]):.1%} with {n_weights} weights")

plt.show()
