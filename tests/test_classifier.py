"""The classifier tells classes and how sure it is, one label a sample or several."""

import numpy as np
import pytest
from problems import SMALL, direction, make_array, make_ragged
from scipy.sparse import csr_array
from sklearn.model_selection import cross_val_score

from skattn import SelfAttentionClassifier

X = make_ragged(n_samples=41)
BINARY = direction(X)
MULTICLASS = np.array(["short", "middling", "long"])[np.digitize([len(x) for x in X], [4, 8])]
MULTILABEL = np.column_stack([direction(X) == "rises", [len(x) > 3 for x in X], [len(x) > 8 for x in X]]).astype(int)


def make(**parameters):
    return SelfAttentionClassifier(**SMALL | parameters)


def test_two_classes_have_one_decision():
    model = make().fit(X, BINARY)
    decision, probability = model.decision_function(X), model.predict_proba(X)
    assert (41,) == decision.shape and (41, 2) == probability.shape
    np.testing.assert_array_equal(model.classes_[(decision > 0).astype(int)], model.predict(X))
    np.testing.assert_allclose(np.log(probability[:, 1] / probability[:, 0]), decision, rtol=1e-9)


def test_several_classes_have_a_decision_each():
    model = make().fit(X, MULTICLASS)
    assert ["long", "middling", "short"] == model.classes_.tolist()
    decision, probability = model.decision_function(X), model.predict_proba(X)
    assert (41, 3) == decision.shape == probability.shape
    np.testing.assert_array_equal(model.classes_[decision.argmax(axis=1)], model.predict(X))
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("form", [np.array, csr_array, np.ndarray.tolist])
def test_several_labels_a_sample_are_told_one_by_one(form):
    model = make().fit(X, form(MULTILABEL))
    decision, probability, predicted = (f(X) for f in (model.decision_function, model.predict_proba, model.predict))
    assert (41, 3) == decision.shape == probability.shape == predicted.shape
    np.testing.assert_array_equal(predicted, decision > 0)
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-decision)), rtol=1e-9)
    assert predicted.dtype.kind == "i" and [0, 1, 2] == model.classes_.tolist()


@pytest.mark.parametrize("y", [BINARY, MULTICLASS, MULTILABEL])
def test_log_probabilities_are_logarithms_of_probabilities(y):
    model = make().fit(X, y)
    log_probability = model.predict_log_proba(X)
    np.testing.assert_allclose(log_probability, np.log(model.predict_proba(X)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("labels", [[3, 7], [-1.0, 1.0], [False, True], ["no", "yes"]])
def test_labels_come_back_as_they_went_in(labels):
    y = np.array(labels)[(BINARY == "rises").astype(int)]
    model = make(max_iter=60, learning_rate_init=0.01).fit(X, y)
    assert y.dtype == model.predict(X).dtype
    assert model.score(X, y) > 0.9


def test_labels_are_learned():
    model = SelfAttentionClassifier(random_state=0).fit(X, MULTICLASS)
    assert 1.0 == model.score(X, MULTICLASS)


def test_order_is_learned_where_a_bag_of_steps_knows_nothing():
    """The same steps in both classes, forwards or backwards."""
    generator = np.random.default_rng(0)
    ramps = np.sort(generator.normal(size=(61, 11, 1)), axis=1)
    y = generator.integers(2, size=61)
    ramps[y == 1] = ramps[y == 1][:, ::-1]
    parameters = {"max_iter": 60, "learning_rate_init": 0.01}
    assert 1.0 == make(**parameters).fit(ramps, y).score(ramps, y)
    blind = make(**parameters, position="none").fit(ramps, y)
    assert blind.score(ramps, y) < 0.9


@pytest.mark.parametrize("class_weight", ["balanced", {"short": 4, "middling": 0.5}])
def test_class_weights_multiply_sample_weights(class_weight):
    counts = {label: np.sum(MULTICLASS == label) for label in np.unique(MULTICLASS)}
    weights = {label: 41 / 3 / n for label, n in counts.items()} if class_weight == "balanced" else class_weight
    weight = np.array([weights.get(label, 1.0) for label in MULTICLASS])
    expected = make().fit(X, MULTICLASS, sample_weight=weight).predict_proba(X)
    model = make(class_weight=class_weight).fit(X, MULTICLASS)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-9)


def test_a_class_that_weighs_more_is_predicted_more_often():
    y = np.random.default_rng(3).choice(["a", "b"], size=41)
    share = {w: np.mean(make(class_weight={"a": w}, max_iter=30).fit(X, y).predict(X) == "a") for w in (0.01, 100)}
    assert share[0.01] < share[100]


@pytest.mark.parametrize("wrong", [{"none": 1, "short": 2}, {"short": -1}])
def test_unusable_class_weights_are_refused(wrong):
    with pytest.raises(ValueError, match="class_weight"):
        make(class_weight=wrong).fit(X, MULTICLASS)


def test_several_labels_a_sample_have_no_class_weights():
    with pytest.raises(ValueError, match="class_weight.*sample_weight"):
        make(class_weight="balanced").fit(X, MULTILABEL)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (["a"] * 41, "only one class, 'a'"),
        (np.linspace(0, 1, 41), "Unknown label type: continuous"),
        (BINARY[:-2], "inconsistent numbers of samples: 41 sequences and 39 targets"),
        (np.where(np.arange(41) == 5, np.nan, 1.5), "Input y contains NaN"),
        (np.arange(82).reshape(41, 2) % 3, "1d array"),
    ],
)
def test_an_unusable_y_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, y)


def test_one_class_left_by_the_weights_is_refused():
    with pytest.raises(ValueError, match="only one class, 'rises'"):
        make().fit(X, BINARY, sample_weight=BINARY == "rises")


def test_a_class_left_out_by_the_weights_is_not_known():
    model = make().fit(X, MULTICLASS, sample_weight=(MULTICLASS != "long").astype(float))
    assert ["middling", "short"] == model.classes_.tolist()
    assert (41,) == model.decision_function(X).shape


def test_partial_fit_needs_all_classes_at_first():
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        make().partial_fit(X, BINARY)


def test_one_announced_class_is_refused():
    with pytest.raises(ValueError, match="only one class, 'rises'"):
        make().partial_fit(X[:1], ["rises"], classes=["rises"])


def test_partial_fit_learns_from_parts_that_hold_one_class_each():
    model = make(learning_rate_init=0.01)
    for _ in range(10):
        for label in np.unique(MULTICLASS):
            part = np.flatnonzero(MULTICLASS == label)
            model.partial_fit([X[i] for i in part], MULTICLASS[part], classes=["short", "middling", "long"])
    assert ["long", "middling", "short"] == model.classes_.tolist()
    assert 30 == model.n_iter_


def test_partial_fit_refuses_a_class_that_was_not_announced():
    model = make().partial_fit(X, BINARY, classes=["falls", "rises"])
    with pytest.raises(ValueError, match=r"y\[1\] is .*'stays'.* none of the classes \['falls', 'rises'\]"):
        model.partial_fit(X[:2], ["rises", "stays"])


def test_partial_fit_of_several_labels_needs_no_classes():
    assert 2 == make().partial_fit(X, MULTILABEL).partial_fit(X, MULTILABEL).n_iter_


def test_one_label_a_sample_cannot_follow_several():
    model = make().partial_fit(X, MULTILABEL)
    with pytest.raises(ValueError, match="y of shape .* must be a matrix of 0 and 1"):
        model.partial_fit(X, BINARY == "rises")
    model = make().partial_fit(X, BINARY, classes=["falls", "rises"])
    with pytest.raises(ValueError, match="1d array"):
        model.partial_fit(X, MULTILABEL)


def test_partial_fit_cannot_balance_what_it_has_not_seen():
    with pytest.raises(ValueError, match='class_weight="balanced" needs all samples at once'):
        make(class_weight="balanced").partial_fit(X, BINARY, classes=["falls", "rises"])


def test_a_warm_start_keeps_its_classes():
    model = make(warm_start=True).fit(X, MULTICLASS)
    part = np.flatnonzero(MULTICLASS != "long")
    model.fit([X[i] for i in part], MULTICLASS[part])
    assert ["long", "middling", "short"] == model.classes_.tolist()


def test_validation_samples_are_of_every_class():
    y = np.repeat(["a", "b", "c"], [20, 14, 7])
    model = make(early_stopping=True, validation_fraction=0.2, scoring="accuracy").fit(X, y)
    scores = np.array(model.validation_scores_)
    np.testing.assert_allclose(9 * scores, np.round(9 * scores), atol=1e-9)


def test_unknown_labels_of_validation_samples_are_refused():
    with pytest.raises(ValueError, match=r"y_val\[1\] is .*'c'"):
        make().fit(X, BINARY, X_val=X[:2], y_val=["rises", "c"])


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "none"])
@pytest.mark.parametrize("pooling", ["mean", "max", "mean_max", "first", "last", "attention"])
def test_every_position_and_pooling_fits(position, pooling):
    model = make(position=position, pooling=pooling).fit(make_array(), np.arange(23) % 3)
    assert (23, 28 if pooling == "mean_max" else 14) == model.transform(make_array()).shape


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("learning_rate", ["cosine", "constant", "adaptive"])
def test_every_optimiser_and_schedule_learns(optimizer, learning_rate):
    rate = 0.1 if optimizer == "sgd" else 0.003
    model = make(max_iter=60, optimizer=optimizer, learning_rate=learning_rate, learning_rate_init=rate)
    model.fit(X, MULTICLASS)
    assert model.best_loss_ < 0.8 * model.loss_curve_[0]


@pytest.mark.parametrize("labels", [[False, True, False], [0, 1, 2], ["a", "b", "c"]])
def test_labels_among_objects_are_scored_as_they_are_learned(labels):
    y = np.array([labels[i % 3] for i in range(len(X))], dtype=object)
    model = SelfAttentionClassifier(**SMALL).fit(X, y)
    assert model.score(X, y) == model.score(X, np.array(y.tolist())) == np.mean(model.predict(X) == y)
    assert np.isfinite(cross_val_score(SelfAttentionClassifier(**SMALL), X, y, cv=2)).all()
