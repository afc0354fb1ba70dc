"""Held-out samples: shares of classes and groups, and what they are scored by."""

import pickle

import numpy as np
import pytest
from problems import ESTIMATORS, SMALL, direction, make_array, make_ragged, rise, target_of
from sklearn.metrics import f1_score, get_scorer, make_scorer

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.validation import rarest_labels, read_groups, split_validation

X = make_ragged()
STOPPING = SMALL | {"early_stopping": True, "validation_fraction": 0.3}
LABELS = np.stack([direction(X) == "rises", [len(sequence) > 5 for sequence in X]], axis=1).astype(int)

# Shares


def test_every_class_gives_its_share_to_validation():
    labels = np.array([0] * 30 + [1] * 20 + [2] * 10)
    for seed in range(5):
        train, validation = split_validation(60, labels, 0.1, seed)
        assert [3, 2, 1] == np.bincount(labels[validation]).tolist()
        assert list(range(60)) == sorted([*train, *validation])


@pytest.mark.parametrize("counts", [[30, 29, 1], [1, 1, 58], [2, 2, 2], [7, 1], [1, 3, 1, 5], [1000, 2, 1]])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.8])
def test_one_sample_of_each_class_is_left_to_learn_from(counts, fraction):
    labels = np.repeat(np.arange(len(counts)), counts)
    for seed in range(7):
        train, validation = split_validation(len(labels), labels, fraction, seed)
        assert len(counts) == len(np.unique(labels[train]))
        wanted = min(np.ceil(fraction * len(labels)), len(labels) - len(counts))
        assert wanted == len(validation)


def test_a_rare_class_does_not_end_shares_of_the_others():
    labels = np.repeat([0, 1, 2], [300, 100, 1])
    _, validation = split_validation(401, labels, 0.1, 0)
    assert [31, 10] == np.bincount(labels[validation]).tolist()


def test_without_classes_the_share_is_whole():
    train, validation = split_validation(11, None, 0.3, seed=3)
    assert (7, 4) == (len(train), len(validation))


def test_the_seed_decides_the_share():
    shares = [split_validation(50, None, 0.2, seed)[1].tolist() for seed in (3, 3, 4)]
    assert shares[0] == shares[1] != shares[2]


def test_nothing_left_to_train_on_is_refused():
    with pytest.raises(ValueError, match="n_samples=1.*X_val"):
        split_validation(1, None, 0.1, seed=3)


def test_classes_of_one_sample_alone_are_refused():
    with pytest.raises(ValueError, match="can hold out none of n_samples=11, .* only samples of their class.*X_val"):
        split_validation(11, np.arange(11), 0.3, seed=3)


def test_of_several_labels_the_rarest_counts():
    indicators = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]])
    assert [1, 0, 0, 3, 2] == rarest_labels(indicators).tolist()


def test_a_class_of_one_sample_is_learned_by_a_fit_that_stops_early():
    y = np.where(np.arange(60) < 30, "a", "b")
    y[59] = "c"
    arrays = make_array(60, 2, 5)
    arrays[y == "b"] += 3
    arrays[59] -= 20
    for seed in range(3):
        stopping = SMALL | {"early_stopping": True, "max_iter": 100, "learning_rate_init": 0.01, "random_state": seed}
        assert "c" == SelfAttentionClassifier(**stopping).fit(arrays, y).predict(arrays[59:])[0]


# Groups


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("n_groups", [2, 7, 50])
def test_groups_are_held_out_whole(n_groups, labelled):
    generator = np.random.default_rng(n_groups)
    groups = generator.integers(n_groups, size=300)
    labels = generator.integers(3, size=300) if labelled else None
    for seed in range(5):
        train, validation = split_validation(300, labels, 0.2, seed, groups)
        assert not set(groups[train]) & set(groups[validation])
        assert list(range(300)) == sorted([*train, *validation])
        assert abs(len(validation) - 60) <= np.bincount(groups).max()


def test_groups_of_one_sample_are_as_no_groups_in_number():
    labels = np.repeat([0, 1, 2], [30, 20, 10])
    _, validation = split_validation(60, labels, 0.1, 3, np.arange(60))
    assert [3, 2, 1] == np.bincount(labels[validation]).tolist()


def test_a_group_that_has_all_of_a_class_is_learned_from():
    labels = np.array([0] * 40 + [1] * 10)
    groups = np.array([*np.repeat(range(4), 10), *([4] * 10)])
    for seed in range(9):
        train, _ = split_validation(50, labels, 0.4, seed, groups)
        assert 2 == len(np.unique(labels[train]))


def test_one_group_cannot_be_held_out():
    with pytest.raises(ValueError, match="can hold out none of n_samples=9.*X_val"):
        split_validation(9, None, 0.3, 0, np.zeros(9, int))


@pytest.mark.parametrize("kind", [list, np.array, tuple])
def test_groups_may_be_words(kind):
    assert [0, 0, 1, 0] == read_groups(kind(["b", "b", "a", "b"]), 4).tolist()


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([1, 2], "has 2 entries for 23 sequences; give one"),
        ([[1, 2]] * 23, "cannot be read as one group a sample.*of shape"),
        (np.array([[], *[[1]] * 22], dtype=object), "cannot be read as one group a sample"),
        (7, "cannot be read as one group a sample"),
    ],
)
def test_groups_without_sense_are_refused(groups, message):
    with pytest.raises(ValueError, match=f"validation_groups {message}"):
        SelfAttentionRegressor(**STOPPING).fit(X, rise(X), validation_groups=groups)


@pytest.mark.parametrize("given", [{"early_stopping": False}, {}])
def test_groups_that_hold_nothing_out_are_refused(given):
    beside = {"X_val": X, "y_val": rise(X)} if not given else {}
    with pytest.raises(ValueError, match="validation_groups say .* none are held out here; set early_stopping=True"):
        SelfAttentionRegressor(**STOPPING | given).fit(X, rise(X), validation_groups=np.arange(23), **beside)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_fit_holds_groups_out(kind):
    groups, weight = np.arange(23) // 3, (np.arange(23) % 5 > 0).astype(float)
    models = [
        kind(**STOPPING).fit(X, target_of(kind(), X), sample_weight=weight, validation_groups=g)
        for g in (groups, groups.astype(str), None)
    ]
    assert models[0].validation_scores_ == models[1].validation_scores_ != models[2].validation_scores_


# Scores


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_by_default_the_weighted_loss_is_watched(kind):
    y, weight = target_of(kind(), X), np.arange(23) % 3 + 1.0
    model = kind(**STOPPING | {"max_iter": 1, "learning_rate_init": 1e-300}).fit(X, y, sample_weight=weight)
    _, validation = split_validation(
        23, None if kind is SelfAttentionRegressor else (y == "rises") * 1, 0.3, seed_of(0)
    )
    data = model._read_fitted([X[i] for i in validation])
    target = (
        (y[validation] - model._model.target.mean) / model._model.target.scale
        if kind is SelfAttentionRegressor
        else y[validation] == "rises"
    )
    losses = model._model.network.losses(data, np.reshape(target, (-1, 1)).astype(float))
    assert model.validation_scores_ == [pytest.approx(-np.average(losses, weights=weight[validation]))]


def seed_of(random_state):
    """What a fit draws first."""
    return np.random.RandomState(random_state).randint(np.iinfo(np.int32).max)


def a_scorer(estimator, sequences, y):
    """Looks at all that a scorer may look at."""
    assert len(sequences) == len(y) and estimator.get_params()["d_model"] == 14
    return float(np.mean(estimator.predict(sequences) == y))


@pytest.mark.parametrize(
    "scoring", ["accuracy", "roc_auc", "neg_log_loss", make_scorer(f1_score, pos_label="rises"), a_scorer]
)
def test_classes_are_scored_by_what_the_user_says(scoring):
    model = SelfAttentionClassifier(**STOPPING | {"scoring": scoring}).fit(X, direction(X), X_val=X, y_val=direction(X))
    assert model.n_iter_ == len(model.validation_scores_) == 3
    last = SelfAttentionClassifier(**STOPPING | {"early_stopping": False}).fit(X, direction(X))
    scorer = scoring if callable(scoring) else get_scorer(scoring)
    assert model.validation_scores_[-1] == pytest.approx(scorer(last, X, direction(X)))


@pytest.mark.parametrize("scoring", ["r2", "neg_mean_absolute_error", "neg_max_error"])
def test_values_are_scored_in_their_own_units(scoring):
    y, weight = 100 + 7 * rise(X), np.arange(23) % 3 + 1.0
    parameters = STOPPING | {"scoring": scoring, "max_iter": 2, "n_step_features": 1}
    model = SelfAttentionRegressor(**parameters).fit(X, y, weight)
    assert 2 == len(model.validation_scores_)
    if scoring == "neg_mean_absolute_error":
        assert model.validation_scores_[0] < -3


def test_several_labels_are_scored_too():
    model = SelfAttentionClassifier(**STOPPING | {"scoring": "f1_macro"}).fit(X, LABELS)
    assert all(0 <= score <= 1 for score in model.validation_scores_)


def test_weights_reach_the_metrics_that_take_them():
    """A sample that weighs nearly all decides."""
    y, weight = direction(X), np.where(np.arange(23) == 4, 1e6, 1.0)
    parameters = STOPPING | {"scoring": "accuracy", "random_state": 0}
    scores = {}
    for seed in range(20):
        _, validation = split_validation(23, (y == "rises") * 1, 0.3, seed_of(seed))
        model = SelfAttentionClassifier(**parameters | {"random_state": seed}).fit(X, y, weight)
        scores[4 in validation] = model.validation_scores_[0]
    assert min(abs(scores[True]), abs(1 - scores[True])) < 1e-4


def test_scoring_leaves_the_estimator_alone():
    model = SelfAttentionClassifier(**STOPPING | {"scoring": "accuracy"}).fit(X, direction(X))
    loaded = pickle.loads(pickle.dumps(model))
    assert "accuracy" == loaded.scoring and model.validation_scores_ == loaded.validation_scores_


@pytest.mark.parametrize("kind", [SelfAttentionClassifier, SelfAttentionRegressor])
def test_an_unknown_scorer_is_refused_with_near_ones(kind):
    with pytest.raises(ValueError, match="scoring='acuracy' is no scorer of scikit-learn; try 'accuracy'") as caught:
        kind(**SMALL, scoring="acuracy").fit(X, target_of(kind(), X))
    assert len(str(caught.value)) < 500
    with pytest.raises(ValueError, match="try 'accuracy', 'r2'"):
        kind(**SMALL, scoring="~" * 10_000).fit(X, target_of(kind(), X))


@pytest.mark.parametrize("result", [float("nan"), None, "high", {"a": 1}, [1, 2], 10**400])
def test_a_scorer_that_gives_no_number_is_named(result):
    def broken(estimator, X, y):
        return result

    with pytest.raises(ValueError, match="scoring=.*broken.* gave no finite number on .* validation samples"):
        SelfAttentionClassifier(**STOPPING | {"scoring": broken}).fit(X, direction(X))


def test_a_metric_that_hides_what_it_takes_gets_no_weights():
    class Opaque:
        """As scorers of other libraries: a signature that cannot be read."""

        _score_func = max

        def __call__(self, estimator, X, y):
            return 0.5

    weight = np.arange(23) % 3 + 1.0
    model = SelfAttentionClassifier(**STOPPING | {"scoring": Opaque()}).fit(X, direction(X), weight)
    assert {0.5} == set(model.validation_scores_)


def test_a_transformer_has_nothing_to_score():
    with pytest.raises(ValueError, match="scoring=accuracy needs predictions, .*leave scoring=None"):
        SelfAttentionTransformer(**SMALL, scoring="accuracy").fit(X)


# Files


def test_a_fit_by_groups_and_a_function_goes_on_from_its_checkpoint(tmp_path):
    """A function is called by its name, for its address is another in every process."""
    path, groups = tmp_path / "fit.ckpt", np.arange(23) // 3
    parameters = STOPPING | {"scoring": a_scorer, "checkpoint": path}
    first = SelfAttentionClassifier(**parameters).fit(X, direction(X), validation_groups=groups)
    again = SelfAttentionClassifier(**parameters).fit(X, direction(X), validation_groups=groups)
    assert first.validation_scores_ == again.validation_scores_
    assert b"test_validation.a_scorer" in path.read_bytes() and b" at 0x" not in path.read_bytes()
    with pytest.raises(ValueError, match="validation_groups is not what it was"):
        SelfAttentionClassifier(**parameters).fit(X, direction(X), validation_groups=np.arange(23) // 2)


def test_a_scorer_that_fails_is_named_with_a_way_out():
    X = make_ragged(n_samples=30)
    model = SelfAttentionClassifier(**SMALL, early_stopping=True, scoring="roc_auc_ovr")
    with pytest.raises(ValueError, match="scoring=roc_auc_ovr cannot score the 3 validation samples: .*scoring=None"):
        model.fit(X, np.arange(30) % 6)
