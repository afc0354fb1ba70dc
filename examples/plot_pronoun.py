"""
What "it" refers to
===================

"The dog chased the ball because it was excited": who was excited? And "... because it was round"? A reader looks from
"it" to the last word, and back to the noun that this word can be said of. Here a small model learns to do the same
from generated sentences; its maps of attention show where it looks, and why that must be read with care.
"""

# %%
# Sentences with an answer
# ------------------------
# Nouns and adjectives come in four kinds. Each sentence names two nouns of different kinds, and its adjective fits one
# of them: that is what "it" refers to. Which noun comes first, and how many words stand before, is left to chance, so
# no place in the sentence tells the answer.

import matplotlib.pyplot as plt
import numpy as np

from skattn import SelfAttentionClassifier, attention
from skattn.inspection import AttentionDisplay, TokenAttentionDisplay

KINDS = [
    ("dog cat fox horse bear wolf goat pony".split(), "excited hungry tired playful".split()),
    ("ball kite cart wheel box drum rope log".split(), "round wooden broken hollow".split()),
    ("cake bread soup apple cheese pear tart melon".split(), "sweet fresh ripe salty".split()),
    ("river hill lake road bridge field tower wall".split(), "wide steep muddy frozen".split()),
]


def make_sentence(generator):
    """Draw a sentence: its words, and the noun that "it" refers to."""
    kinds = [KINDS[number] for number in generator.choice(len(KINDS), 2, replace=False)]
    first, second = (str(generator.choice(nouns)) for nouns, _ in kinds)
    meant = int(generator.integers(2))
    words = generator.choice(["today", "often", "once"], size=generator.integers(2)).tolist()
    words += ["the", first, str(generator.choice("chased found liked passed saw".split())), "the", second]
    words += ["because", "it", "was", *generator.choice(["very", "quite"], size=generator.integers(2)).tolist()]
    return [*words, str(generator.choice(kinds[meant][1]))], (first, second)[meant]


generator = np.random.default_rng(0)
sentences = [make_sentence(generator) for _ in range(2000)]
for words, noun in sentences[:3]:
    print(" ".join(words), "->", noun)

# %%
# A label for one word
# --------------------
# A word is a whole number, a category. Only "it" has a label, the noun that is meant; ``None`` says that there is none.
# The noun itself has to be fetched from where it stands: attention decides *where* to look by queries and keys, and
# *what* comes back are values.

codes = {word: code for code, word in enumerate(sorted({word for words, _ in sentences for word in words}))}
X = [np.array([codes[word] for word in words]) for words, _ in sentences]
y = [np.array([noun if word == "it" else None for word in words], dtype=object) for words, noun in sentences]

settings = {"categorical_features": "all", "embedding": "linear", "pooling": None, "d_model": 32, "n_heads": 1}
settings |= {"n_layers": 2, "max_iter": 60}
model = SelfAttentionClassifier(**settings, n_estimators=1, random_state=1).fit(X[:1500], y[:1500])
print(f"of 500 sentences that it has never seen, {model.score(X[1500:], y[1500:]):.1%} are understood")

# %%
# Where "it" looks
# ----------------
# In the first layer it looks at the end of the sentence, where the adjective says which kind of noun is meant. In the
# second it knows, and looks at the noun.


def read(sentence):
    """The maps of a sentence, a list of layers, and what "it" is taken for."""
    words = sentence.split()
    encoded = [np.array([codes[word] for word in words])]
    return words, model.attention_weights(encoded, layer=None)[0], model.predict(encoded)[0][words.index("it")]


for ending in ("excited", "round"):
    words, maps, answer = read(f"the dog chased the ball because it was {ending}")
    share = maps[1][0, words.index("it"), words.index(answer)]
    print(f'... because it was {ending}: "it" is the {answer}, which gets {share:.0%} of its attention in layer 1')
    display = TokenAttentionDisplay.from_weights(maps[1], words, query="it")
    display.figure_.suptitle(f"it = {answer}", x=0.02, ha="left")

# %%
# The whole map of both layers, each row a word that looks and each column a word that is looked at:

words, maps, _ = read("the dog chased the ball because it was excited")
AttentionDisplay.from_weights(maps, labels=words, unit="word")

# %%
# By hand
# -------
# The mathematics in small: a query meets three keys, and the better it matches one the more of that one's value comes
# back. "it" asks for something alive; the dog says that it is, the ball that it is not, "the" says nothing.

query = np.array([[2.0, 0.0]])  # "it": is it alive?
keys = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 0.0]])  # dog, ball, the
values = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])  # what each has to tell: dog, ball, nothing
scores = query @ keys.T / np.sqrt(2)
weights = np.exp(scores) / np.exp(scores).sum()
print("scores ", scores.round(2)[0])
print("weights", weights.round(3)[0])
print("fetched", (weights @ values).round(3)[0])
np.testing.assert_allclose(attention(query[None, None], keys[None, None], values[None, None])[0, 0], weights @ values)

# %%
# With care
# ---------
# Another model, which differs in its random numbers alone, understands as well. But there the last word has fetched
# the noun in the first layer, and "it" finds it at that word. What is looked at is not always what is found there: maps
# show where a model looks, not why it answers so.

other = SelfAttentionClassifier(**settings, n_estimators=1, random_state=0).fit(X[:1500], y[:1500])
print(f"the other one understands {other.score(X[1500:], y[1500:]):.1%}")
words, noun = sentences[0]
row = other.attention_weights([X[0]], layer=1, head=0, steps=words.index("it"))[0]
print(" ".join(f"{word} {share:.2f}" for word, share in zip(words, row, strict=True)), "->", noun)

plt.show()
