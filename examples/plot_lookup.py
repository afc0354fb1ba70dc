"""
Attention as a soft lookup in a table
=====================================

Strip attention of all else, and a lookup is left: a query is compared with the key of every record, and reads the mean
of their values, weighted by how well they match. `SoftLookupClassifier` and `SoftLookupRegressor` are that, with the
training records as the table. So every answer says which records it was read from.
"""

# %%
# Digits, looked up
# -----------------
# Images of 8 by 8 pixels, a row of 64 numbers each. What is learned is one projection, by which records that look each
# other up find the right label.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skattn import SoftLookupClassifier, SoftLookupRegressor, attention

images, labels = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(images, labels, test_size=0.3, stratify=labels, random_state=0)
lookup = SoftLookupClassifier(random_state=0).fit(X, y)
nearest = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3, 5]}).fit(X, y)
print(f"of {len(X_test)} digits {lookup.score(X_test, y_test):.1%} are told rightly")
print(f"by nearest neighbours, of a number found by cross-validation, {nearest.score(X_test, y_test):.1%}")

# %%
# What an answer is read from
# ---------------------------
# `neighbors` gives the records that weigh most, and how much. Three digits: one that is told rightly from many records,
# the one that is told rightly and least surely, and the one that is told wrongly and most surely.

records, weights = lookup.neighbors(X_test, k=6)
sure, told = lookup.predict_proba(X_test).max(axis=1), lookup.predict(X_test)
is_right = told == y_test
shown = {
    "many records": np.where(is_right & (sure > 0.99), weights[:, 0], 2).argmin(),
    "least sure": np.where(is_right, sure, 2).argmin(),
    "wrong": np.where(is_right, -1, sure).argmax(),
}
figure, axes = plt.subplots(3, 7, figsize=(9.5, 4.8), layout="constrained")
for row, (name, query) in zip(axes, shown.items(), strict=True):
    row[0].imshow(X_test[query].reshape(8, 8), cmap="Blues")
    row[0].set_title(f"told: {told[query]} ({sure[query]:.1%})", size=10)
    row[0].set_ylabel(f"{name}:\na {y_test[query]}", rotation=0, ha="right", va="center")
    for axis, record, weight in zip(row[1:], records[query], weights[query], strict=True):
        axis.imshow(X[record].reshape(8, 8), cmap="Greys")
        axis.set_title(f"{y[record]}: {weight:.1%}", size=10)
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)

# %%
# The last one teaches a lesson. Shares sum to 1 however far all records are, so a digit that is like none of them is
# told for sure by the one that is least unlike it. How far that is, `transform` tells, which gives queries and keys.

query, key = lookup.transform(X_test), lookup.transform(X)
distance = np.sqrt(((query[:, np.newaxis] - key) ** 2).sum(axis=-1))
nearest_key = distance.min(axis=1)
for name, number in shown.items():
    further = (nearest_key < nearest_key[number]).mean()
    print(f"{name:13}{nearest_key[number]:4.1f} from the nearest record, further than {further:.1%} of the others")

# %%
# It is attention
# ---------------
# A record is read in proportion to ``exp(-distance ** 2 / 2)``. That is the product of query and key, less half the
# square of each; and softmax takes no notice of the query's, which is the same for all keys. So `attention` fetches the
# same, with a bias for each key.

scores = -(distance**2) / 2
shares = np.exp(scores - scores.max(axis=1, keepdims=True))
shares /= shares.sum(axis=1, keepdims=True)
value = np.eye(10)[y]

scaled = query * np.sqrt(query.shape[1])  # attention divides scores by this
fetched = attention(scaled[None, None], key[None, None], value[None, None], bias=-(key**2).sum(axis=1) / 2)[0, 0]
print(f"by hand and by attention: {np.abs(shares @ value - fetched).max():.0e} apart")
apart = np.abs(fetched - lookup.predict_proba(X_test)).max()
print(f"and {apart:.4f} from the probabilities, in which all classes share half a percent, whatever was read")

# %%
# More records
# ------------
# What was learned is the projection. Records can be added without learning anew, and are read at once. (To learn from
# all of them, as above, is worth more.)

grown = SoftLookupClassifier(random_state=0).fit(X[:300], y[:300])
print(f"{grown.n_records_:4} records: {grown.score(X_test, y_test):.3f}")
for start in (300, 600, 900):
    grown.partial_fit(X[start : start + 300], y[start : start + 300])
    print(f"{grown.n_records_:4} records: {grown.score(X_test, y_test):.3f}")

# %%
# Numbers
# -------
# `SoftLookupRegressor` reads the records' numbers. A mean of records does not go beyond them: where records end, the
# curve goes on level, whatever the trend was. Dots are as large as what an answer at the dashed line reads of them.

generator = np.random.default_rng(0)
hours = np.sort(generator.uniform(0, 10, 80))[:, np.newaxis]
values = np.sin(hours[:, 0]) + 0.4 * hours[:, 0] + 0.2 * generator.normal(size=80)
regressor = SoftLookupRegressor(random_state=0).fit(hours, values)
grid = np.linspace(-2, 13, 300)[:, np.newaxis]
records, weights = regressor.neighbors([[4.0]], k=80)
areas = np.zeros(80)
areas[records[0]] = 900 * weights[0]

figure, axis = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
axis.plot(grid, np.sin(grid) + 0.4 * grid, color="#6b7280", linestyle=":", label="truth")
axis.plot(grid, regressor.predict(grid), color="#d1603d", linewidth=2, label="read from the table")
axis.scatter(hours, values, s=8 + areas, color="#2f6690", alpha=0.6, edgecolor="white", label="records")
axis.axvline(4, color="black", linestyle="--", linewidth=1)
axis.axvspan(-2, hours.min(), color="#6b7280", alpha=0.12, linewidth=0)
axis.axvspan(hours.max(), 13, color="#6b7280", alpha=0.12, linewidth=0)
axis.set(xlabel="x", ylabel="y", xlim=(-2, 13))
axis.spines[["top", "right"]].set_visible(False)
axis.legend(frameon=False, markerscale=0.6)

plt.show()
