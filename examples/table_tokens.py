"""
Table: tokens and categories
============================

`SelfAttentionClassifier` on sequences of codes, each of which names a category and gets a learned vector: words of
sentences, residues of peptides, bases of DNA, activities of an event log. Test accuracy and seconds a fit as a Markdown
table, beside simple models in the same run. The constructor's defaults learn all sets, but for what the table names,
and nothing is chosen by it.

Data sets are read from a folder of ``.npz`` files that hold ``tokens`` (0 where a sequence has ended), ``lengths``,
``y``, ``split`` (0 train, 1 test) and ``vocab``; the event log holds ``activity``, ``dt_seconds``, and ``lengths`` and
``split`` of its cases::

    python examples/table_tokens.py --data folder

- *TREC6*, *SUBJ*, *MR*: kinds of questions; subjective sentences; favourable reviews. Words; an unknown one is 1.
- *ACPvsRandom*: peptides against cancer, and random ones. *splice*: borders of introns in DNA, by 5-fold
  cross-validation.
- *helpdesk*: which activity comes next in a case, or its end, after each of its events: a label for every step.
"""

import argparse
import time
from pathlib import Path

import bench_common as bench
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from skattn import SelfAttentionClassifier

TOKENS = {"categorical_features": "all"}
# What comes next depends on nothing that is still to come.
EVENTS = {"categorical_features": [0], "causal": True}
END = 0
"""What comes after the last event of a case."""


def split_by(is_test, X, y):
    """Give [((X, y) to train, (X, y) to test)], where X and y are lists."""
    parts = [np.flatnonzero(kept) for kept in (~is_test, is_test)]
    return [tuple(([X[i] for i in part], [y[i] for i in part]) for part in parts)]


def read_tokens(data):
    """Give sequences of codes, how they are split, and the words that they stand for."""
    X = [row[:length].astype(np.int32) for row, length in zip(data["tokens"], data["lengths"], strict=True)]
    if "split" in data:
        folds = split_by(data["split"] == 1, X, data["y"])
    else:
        folds = []
        for _, tested in StratifiedKFold(5, shuffle=True, random_state=0).split(X, data["y"]):
            folds += split_by(np.isin(np.arange(len(X)), tested), X, data["y"])
    return folds, data["vocab"]


def read_events(data):
    """Make a sequence of each case, the next activity being the label of each step.

    The features of an event are its activity and the logarithm of the seconds since the one before.
    """
    events = np.column_stack([data["activity"], np.log1p(data["dt_seconds"])]).astype(np.float32)
    cuts = np.cumsum(data["lengths"])[:-1]
    X = np.split(events, cuts)
    y = [np.append(activities[1:], END) for activities in np.split(data["activity"], cuts)]
    return split_by(data["split"] == 1, X, y), np.unique(data["activity"])


class OfPrefixes(BaseEstimator):
    """A model of whole sequences, of which each prefix of a case is one."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):
        self.model.fit(prefixes(X), np.concatenate(y))
        return self

    def score(self, X, y):
        return self.model.score(prefixes(X), np.concatenate(y))


def prefixes(X):
    return [steps[:end] for steps in X for end in range(1, len(steps) + 1)]


class MostFrequentFollower(ClassifierMixin, BaseEstimator):
    """A first-order Markov model: what came most often after the last activity."""

    def fit(self, X, y):
        last = last_activity(X)
        self.classes_, self.overall_ = np.unique(y), most_frequent(y)
        self.followers_ = {activity: most_frequent(y[last == activity]) for activity in np.unique(last).tolist()}
        return self

    def predict(self, X):
        return np.array([self.followers_.get(activity, self.overall_) for activity in last_activity(X).tolist()])


def last_activity(X):
    return np.array([steps[-1, 0] for steps in X]).astype(int)


def most_frequent(y):
    values, counts = np.unique(y, return_counts=True)
    return values[counts.argmax()]


def count_events(X, activities):
    """How often each activity was there so far, and which was the last."""
    counts = [[np.count_nonzero(steps[:, 0] == activity) for activity in activities] for steps in X]
    return np.hstack([counts, last_activity(X)[:, np.newaxis] == activities])


def models_of_words(vocabulary):
    terms = TfidfVectorizer(analyzer="word", token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True)
    return {"TF-IDF of 1- and 2-grams": with_words(vocabulary, " ", terms)}


def models_of_letters(vocabulary):
    terms = TfidfVectorizer(analyzer="char", ngram_range=(3, 6), sublinear_tf=True)
    place = make_pipeline(FunctionTransformer(np.stack), OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    return {"TF-IDF of 3- to 6-grams": with_words(vocabulary, "", terms), "one-hot bases by place": place}


def with_words(vocabulary, space, terms):
    """Logistic regression on weighted counts of terms, codes having been made text."""
    write = FunctionTransformer(lambda X: [space.join(vocabulary[codes]) for codes in X])
    return make_pipeline(write, terms, LogisticRegression(max_iter=1000))


def models_of_events(activities):
    counts = FunctionTransformer(count_events, kw_args={"activities": activities})
    return {
        "Markov": OfPrefixes(MostFrequentFollower()),
        "counts and last": OfPrefixes(make_pipeline(counts, LogisticRegression(max_iter=1000))),
    }


# Of each: how its file is read, what is set, and what it is compared with.
SETS = {
    "TREC6": (read_tokens, TOKENS, models_of_words),
    "SUBJ": (read_tokens, TOKENS, models_of_words),
    "MR": (read_tokens, TOKENS, models_of_words),
    "ACPvsRandom": (read_tokens, TOKENS, models_of_words),
    "splice": (read_tokens, TOKENS, models_of_letters),
    "helpdesk": (read_events, EVENTS, models_of_events),
}


def measure(models, folds):
    """Give the accuracy of each model, the mean over folds, and the median seconds of a fit."""
    scores, seconds = [], []
    for model in models:
        for train, test in folds:
            start = time.perf_counter()
            model.fit(*train)
            seconds.append(time.perf_counter() - start)
            scores.append(model.score(*test))
    return np.reshape(scores, (len(models), len(folds))).mean(axis=1), np.median(seconds)


def main():
    parser = argparse.ArgumentParser(description="Accuracy on sequences of categories, as a Markdown table.")
    parser.add_argument("sets", nargs="*", default=list(SETS), help=f"some of {', '.join(SETS)} (default: all)")
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--seeds", type=int, default=1, help="fits of each data set (default: 1)")
    given = parser.parse_args()
    # What is compiled, or loaded, at first is not the fit.
    SelfAttentionClassifier(max_iter=1, **TOKENS).fit(np.arange(40).reshape(8, 5) % 7, np.arange(8) % 2)
    bench.describe()
    bench.head("data set", "train / test", "skattn", "seconds", "simple models", "seconds", "with")
    for name in given.sets:
        read, options, simple_models = SETS[name]
        with np.load(given.data / f"{name}.npz", allow_pickle=False) as file:
            folds, vocabulary = read(dict(file))
        models = [SelfAttentionClassifier(random_state=seed, **options) for seed in range(given.seeds)]
        scores, seconds = measure(models, folds)
        simple = {title: measure([model], folds) for title, model in simple_models(vocabulary).items()}
        bench.row(
            name,
            f"{len(folds[0][0][0])} / {len(folds[0][1][0])}" + (f", {len(folds)} folds" if len(folds) > 1 else ""),
            " ".join(f"{score:.3f}" for score in scores),
            f"{seconds:.0f}",
            ", ".join(f"{title} {found[0][0]:.3f}" for title, found in simple.items()),
            ", ".join(f"{found[1]:.1f}" for found in simple.values()),
            ", ".join(f"{key}={value!r}" for key, value in options.items()),
        )


if __name__ == "__main__":
    main()
