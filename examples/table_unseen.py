"""
Table: a data set that no choice was made by
============================================

A smartwatch on the wrist of ten people who do seven exercises of the shoulder (Burns et al. 2018, arXiv:1802.01489; the
data comes with ``pip install --no-deps seglearn``). Some people are learned from, all others are to be told:
accuracy of `SelfAttentionClassifier()` beside a bag of steps, extremely randomised trees, and, where aeon is
installed, MiniROCKET and MultiROCKET, mean over draws of the people. No setting of skattn was chosen by these::

    python examples/table_unseen.py
"""

import argparse
import importlib.util
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from table_accuracy import bag_of_steps, report
from table_cross_validation import flat_models, rockets, score_other, show

from skattn import SelfAttentionClassifier

# What is cut out of each of the 140 recordings, at 50 readings of six values a second: how many pieces of how many
# steps, every so many readings; and how many people are learned from.
PIECES = {
    "3 s, three of each": (3, 150, 1, 3),
    "2.6 s, three of each, every other reading": (3, 64, 2, 2),
    "10 s": (1, 500, 1, 3),
    "18 s, every eighth reading": (1, 110, 8, 3),
}


def main():
    parser = argparse.ArgumentParser(description="Accuracy on exercises of people that were not seen.")
    parser.add_argument("--draws", type=int, default=5, help="draws of the people (default: 5)")
    parser.add_argument("--only", nargs="+", choices=PIECES, default=list(PIECES), help="pieces (default: all)")
    arguments = parser.parse_args()
    recordings = read_watch()
    if recordings is None:
        raise SystemExit("There is no seglearn, which brings the data: pip install --no-deps seglearn")
    models = {
        "skattn": lambda: SelfAttentionClassifier(random_state=0),
        "bag of steps": make_bag,
        **{name: make for name, make in {**flat_models(), **rockets()}.items() if name != "ridge"},
    }
    print("| pieces | people, sequences to learn from | " + " | ".join(models) + " |")
    print("| --- | --- |" + " ---: |" * len(models))
    for name in arguments.only:
        *cut, n_people = PIECES[name]
        X, y, people = cut_out(recordings, *cut)
        known = [np.isin(people, draw_people(people, n_people, draw)) for draw in range(arguments.draws)]
        figures = [score(models, X, y, is_known) for is_known in known]
        size = f"{n_people}, {known[0].sum()}"
        show([f"{name}: {cut[1]} × 6", size], np.mean(figures, axis=0))


def read_watch():
    """Give the recordings, or None where seglearn is not installed."""
    found = importlib.util.find_spec("seglearn")
    if found is None:
        return None
    path = Path(found.submodule_search_locations[0], "data", "watch_dataset.npy")
    return np.load(path, allow_pickle=True).item()


def make_bag():
    ridge = RidgeClassifierCV(np.logspace(-3, 3, 13))
    return make_pipeline(FunctionTransformer(bag_of_steps), StandardScaler(), ridge)


def cut_out(recordings, n_pieces, n_steps, every):
    """Give evenly spaced pieces of each recording, what exercise each is, and whose."""
    X, y, people = [], [], []
    for steps, exercise, person in zip(recordings["X"], recordings["y"], recordings["subject"], strict=True):
        steps = np.asarray(steps, np.float32)[::every]
        for first in np.linspace(0, len(steps) - n_steps, n_pieces).astype(int):
            X.append(steps[first : first + n_steps])
            y.append(exercise)
            people.append(person)
    return np.array(X), np.array(y), np.array(people)


def draw_people(people, n_people, seed):
    """Give whom to learn from."""
    return np.random.default_rng(seed).permutation(np.unique(people))[:n_people]


def score(models, X, y, is_known):
    """Accuracy of every model on those who are not known."""
    parts = [(X[part], y[part]) for part in (is_known, ~is_known)]
    found = []
    for name, make in models.items():
        model = make()
        is_of_steps = name in ("skattn", "bag of steps")
        found.append(model.fit(*parts[0]).score(*parts[1]) if is_of_steps else score_other(model, *parts))
    report(", ".join(f"{name} {figure:.3f}" for name, figure in zip(models, found, strict=True)))
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
