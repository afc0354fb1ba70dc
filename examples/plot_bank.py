"""
A bank by a river, a bank with money
====================================

The word "bank" is the same in both, and its vector in the table of words is too. What it means comes from the words
around it: attention fetches them, and what leaves the network for "bank" is another vector in each sentence.
"""

# %%
# Sentences about both
# --------------------
# What a sentence is about is told by one or two of its words; the others are the same in both kinds.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skattn import SelfAttentionClassifier
from skattn.inspection import TokenAttentionDisplay

SIGNS = {
    "shore": "river water boat fish mud reeds flood swans".split(),
    "money": "loan cash account robber interest cheque savings clerk".split(),
}
FRAMES = [
    "the {sign} was near the bank",
    "at the bank they saw the {sign} and waited",
    "she came to the bank because of the {sign}",
    "we talked about the {sign} all day and then left the bank",
    "today the {sign} and the {other} were at the bank",
]


def make_sentence(generator, sense):
    """Draw a sentence with "bank" in a sense."""
    sign, other = generator.choice(SIGNS[sense], 2, replace=False)
    return str(generator.choice(FRAMES)).format(sign=sign, other=other).split()


generator = np.random.default_rng(0)
senses = generator.choice(list(SIGNS), 900)
sentences = [make_sentence(generator, sense) for sense in senses]
codes = {word: code for code, word in enumerate(sorted({word for words in sentences for word in words}))}
X = [np.array([codes[word] for word in words]) for words in sentences]
y = [
    np.array([sense if word == "bank" else None for word in words], dtype=object)
    for words, sense in zip(sentences, senses, strict=True)
]

# %%
# One layer of attention, nothing else
# ------------------------------------
# Only "bank" has a label. Without a feed-forward part and without positions the layer can do one thing alone: fetch.

model = SelfAttentionClassifier(
    categorical_features="all", embedding="linear", pooling=None, position="none", d_model=16, n_heads=1, n_layers=1,
    d_feedforward=None, n_estimators=1, max_iter=40, random_state=0,
)  # fmt: skip
model.fit(X[:600], y[:600])
print(f"of 300 sentences that it has never seen, {model.score(X[600:], y[600:]):.1%} are understood")

# %%
# What "bank" attends to
# ----------------------

for sentence in (
    "at the bank they saw the river and waited",
    "she came to the bank because of the loan",
    "today the river and the loan were at the bank",
):
    words = sentence.split()
    encoded = [np.array([codes[word] for word in words])]
    (maps,), answer = model.attention_weights(encoded), model.predict(encoded)[0][words.index("bank")]
    print(f"{sentence}: {answer}")
    display = TokenAttentionDisplay.from_weights(maps, words, query="bank")
    display.figure_.suptitle(f"bank = {answer}", x=0.02, ha="left")

# %%
# The last sentence holds both signs, as none of the training sentences does. Attention fetches a bit of each, and the
# answer is whichever weighs more: a map looks as sure of itself where a model was taught nothing.

# %%
# From one vector to two
# ----------------------
# On the left the word's vector as it goes in, the same in every sentence. On the right what leaves the network for
# "bank", a point for each test sentence.

going_in = model.weights_["categories.0.weight"][1 + codes["bank"]]
coming_out = np.array(
    [steps[words.index("bank")] for steps, words in zip(model.transform(X[600:]), sentences[600:], strict=True)]
)
plane = PCA(2).fit_transform(coming_out)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
left.bar(np.arange(len(going_in)), going_in, color="#6b7280")
left.set(title='"bank" as it goes in', xlabel="Entry of the vector", ylabel="Value")
for sense, colour, marker in (("shore", "#2f6690", "o"), ("money", "#d1603d", "^")):
    points = plane[senses[600:] == sense]
    right.scatter(*points.T, s=22, color=colour, marker=marker, alpha=0.7, label=sense)
right.set(title='"bank" as it comes out', xlabel="First principal component", ylabel="Second principal component")
right.legend(frameon=False)
for axis in (left, right):
    axis.spines[["top", "right"]].set_visible(False)

plt.show()
