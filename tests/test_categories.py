"""Features that are categories: codes with learned vectors, unknown ones, and what is no code."""

import pickle

import numpy as np
import pytest
from problems import ESTIMATORS, SMALL, assert_same_bits, pad, results_of, target_of
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from skattn import SelfAttentionClassifier, SelfAttentionTransformer
from skattn.categories import MOST, learn_codes, resolve_categorical
from skattn.frames import sequences_from_frame
from skattn.sequences import read_sequences

CODES = {"categorical_features": "all"}


def tokens(n_samples=37, n_codes=7, seed=0, dtype=np.int64):
    """Ragged sequences of codes, each of them times 3."""
    generator = np.random.default_rng(seed)
    return [3 * generator.integers(n_codes, size=n).astype(dtype) for n in generator.integers(1, 12, n_samples)]


def mixed(n_samples=31, seed=0):
    """Sequences of a number, a code, and another number."""
    generator = np.random.default_rng(seed)
    numbers = [generator.normal(size=(n, 3)) for n in generator.integers(1, 12, n_samples)]
    for steps in numbers:
        steps[:, 1] = generator.integers(5, size=len(steps))
    return numbers


def starts_high(X):
    """Whether the first code of each is a high one."""
    return (np.array([np.ravel(steps)[0] for steps in X]) > 9).astype(int)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_tokens_are_learned_in_any_form_that_they_come_in(kind):
    X = tokens()
    y = target_of(kind(), [steps[:, np.newaxis] for steps in X])
    model = kind(**SMALL | CODES).fit(X, y)
    expected = results_of(model, X)
    padded = pad([steps[:, np.newaxis].astype(float) for steps in X])
    for other in (padded, padded[:, :, 0], [steps.astype(np.float32) for steps in X]):
        assert_same_bits(results_of(model, other), expected)
        assert_same_bits(results_of(clone(model).fit(other, y), other), expected)
    assert_same_bits(results_of(pickle.loads(pickle.dumps(model)), X), expected)


def test_a_code_is_a_name_and_no_size():
    X = tokens(200)
    model = SelfAttentionClassifier(**SMALL | CODES | {"max_iter": 40}).fit(X, starts_high(X))
    assert model.score(X, starts_high(X)) > 0.95
    # Other names for the same categories, in the same order, are the same model.
    again = clone(model).fit([steps * 5 + 1 for steps in X], starts_high(X))
    np.testing.assert_array_equal(again.weights_["head.weight"], model.weights_["head.weight"])


def test_codes_alone_are_computed_in_float32_whatever_holds_them():
    X = tokens()
    for form, dtype in ((X, "float32"), ([steps[:, np.newaxis] * [[1, 1]] for steps in X], "float32")):
        model = SelfAttentionClassifier(**SMALL | CODES).fit(form, starts_high(X))
        assert model.weights_["head.weight"].dtype == dtype
    mixed_model = SelfAttentionClassifier(**SMALL, categorical_features=[1]).fit(mixed(), np.arange(31) % 2)
    assert mixed_model.weights_["head.weight"].dtype == "float64"


@pytest.mark.parametrize("wanted", [[1], (1,), np.array([False, True, False]), [False, True, False]])
def test_categories_stand_beside_numbers(wanted):
    X = mixed()
    y = np.array([steps[0, 1] > 2 for steps in X])
    model = SelfAttentionClassifier(**SMALL | {"categorical_features": wanted}).fit(X, y)
    assert model.weights_["embedding.weight"].shape == (2, SMALL["d_model"])
    assert model.weights_["categories.0.weight"].shape == (6, SMALL["d_model"])
    # The scale of a number changes nothing, that of a code is another code.
    other = [steps * [10.0, 1.0, 0.1] for steps in X]
    np.testing.assert_allclose(clone(model).fit(other, y).predict_proba(other), model.predict_proba(X), rtol=1e-6)


def test_what_was_never_seen_takes_the_vector_of_the_unknown():
    X = tokens()
    model = SelfAttentionClassifier(**SMALL | CODES | {"max_iter": 20}).fit(X, starts_high(X))
    one, other = model.predict_proba([[0, 1, 3]]), model.predict_proba([[0, 2**23, 3]])
    np.testing.assert_array_equal(one, other)
    assert (one != model.predict_proba([[0, 3, 3]])).any()
    assert model.weights_["categories.0.weight"][0].any(), "learning has met it"


def test_names_tell_categories_where_samples_are_frames():
    pandas = pytest.importorskip("pandas")
    X = [pandas.DataFrame(steps, columns=["speed", "gear", "load"]) for steps in mixed()]
    y = np.arange(len(X)) % 2
    named = SelfAttentionClassifier(**SMALL, categorical_features=["gear"]).fit(X, y)
    numbered = SelfAttentionClassifier(**SMALL, categorical_features=[1]).fit(X, y)
    np.testing.assert_array_equal(named.predict_proba(X), numbered.predict_proba(X))
    with pytest.raises(ValueError, match="'wheel', which is no feature of X: it has speed, gear, load"):
        SelfAttentionClassifier(**SMALL, categorical_features=["wheel"]).fit(X, y)


def test_weighting_is_repeating_and_cross_validation_works():
    X, counts = tokens(), np.arange(37) % 3
    y = starts_high(X)
    repeated = [steps for steps, n in zip(X, counts, strict=True) for _ in range(n)]
    model = SelfAttentionClassifier(**SMALL | CODES)
    weighted = clone(model).fit(X, y, sample_weight=counts).predict_proba(X)
    np.testing.assert_allclose(clone(model).fit(repeated, y.repeat(counts)).predict_proba(X), weighted, rtol=1e-6)
    assert len(cross_val_score(model, X, y, cv=3, error_score="raise")) == 3


def test_reconstruction_learns_to_tell_codes():
    """All of a sequence are the same, so a hidden one can be told by the others."""
    X = [np.full(11, code) for code in np.random.default_rng(0).integers(7, size=150)]
    model = SelfAttentionTransformer(**SMALL | CODES | {"max_iter": 100, "learning_rate_init": 0.01}).fit(X)
    assert model.weights_["head.weight"].shape[1] == 7
    assert model.loss_curve_[-1] < 0.5 * np.log(7)


def test_going_on_keeps_the_codes_of_the_first_call():
    X = tokens()
    y = starts_high(X)
    model = SelfAttentionClassifier(**SMALL | CODES).partial_fit(X[:20], y[:20], classes=[0, 1])
    n_known = len(model.weights_["categories.0.weight"])
    model.partial_fit([[1, 4, 10**6]] * 3, [0, 1, 1])
    assert len(model.weights_["categories.0.weight"]) == n_known


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([0, -1], "contains -1 at sample 1, step 1, feature 0, which is negative"),
        ([0.5], "contains 0.5 at sample 1, step 0, feature 0, which is no whole number"),
        ([1, 2, MOST], f"step 2, feature 0, which is {MOST} or more.*OrdinalEncoder"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "predict"])
def test_what_is_no_code_is_refused_with_its_place(steps, message, method):
    X, y = [[1, 2], steps, [0]], [0, 1, 1]
    model = SelfAttentionClassifier(**SMALL | CODES)
    if method == "predict":
        model.fit([[1, 2], [0]], [0, 1])
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit(X, y) if method == "fit" else model.predict(X)
    assert vars(model) == before


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([3], "has 3, and a step has the features 0 to 2"),
        ([-1], "has -1"),
        ([True, False], "mask of 2 entries, and a step has 3 features"),
        (["gear"], "has the name 'gear', and the features of X have no names"),
        ([1.5], "has 1.5; give numbers or names of features, a mask, or 'all'"),
        ("gear", "must be"),
    ],
)
def test_features_that_are_none_are_refused(wanted, message):
    with pytest.raises(ValueError, match=message):
        SelfAttentionClassifier(**SMALL, categorical_features=wanted).fit(mixed(), np.arange(31) % 2)


def test_nothing_is_a_category_unless_it_is_said():
    assert resolve_categorical(None, 3) == resolve_categorical([], 3) == resolve_categorical([False] * 3, 3) == ()
    assert resolve_categorical("all", 3) == resolve_categorical([2, 0, 1, 1], 3) == (0, 1, 2)


def test_padding_and_what_is_missing_are_no_codes():
    X = np.array([[[4.0], [np.nan], [9.0], [np.nan]]])
    estimator = SelfAttentionClassifier(categorical_features="all", handle_missing="mask")
    np.testing.assert_array_equal(learn_codes(read_sequences(X, estimator, reset=True))[0], [4.0, 9.0])


def test_a_stem_of_convolutions_takes_no_categories():
    with pytest.raises(ValueError, match='1 of 3 features are categories.*set embedding="auto"'):
        SelfAttentionClassifier(categorical_features=[1], embedding="random_convolution").fit(
            mixed(), np.arange(31) % 2
        )
    assert SelfAttentionClassifier(categorical_features=[1], max_iter=1).fit(mixed(), np.arange(31) % 2)


def test_a_category_of_one_code_is_fine():
    X = [np.zeros(n, np.int64) for n in (3, 1, 4, 2)]
    assert SelfAttentionClassifier(**SMALL | CODES).fit(X, [0, 1, 0, 1]).predict(X).shape == (4,)


def wards(names, seed=0):
    """Sequences of a long frame with a column of words, read alone."""
    pandas = pytest.importorskip("pandas")
    generator = np.random.default_rng(seed)
    rows = [
        (i, generator.normal(), generator.choice(names)) for i in range(30) for _ in range(generator.integers(2, 6))
    ]
    frame = pandas.DataFrame(rows, columns=["id", "pulse", "ward"])
    return sequences_from_frame(frame, id="id")[0]


def test_words_of_a_frame_are_categories_by_themselves():
    X = wards(["east", "north", "west"])
    y = np.arange(30) % 2
    model = SelfAttentionClassifier(**SMALL, categorical_features="from_dtype").fit(X, y)
    assert model._model.network.architecture.categories == ((1, 3),)
    plain = SelfAttentionClassifier(**SMALL, categorical_features=[1]).fit([np.asarray(steps) for steps in X], y)
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba([np.asarray(steps) for steps in X]))
    # Numbers have no categories.
    none = SelfAttentionClassifier(**SMALL, categorical_features="from_dtype").fit(mixed(), np.arange(31) % 2)
    assert none._model.network.architecture.categories == ()


def test_words_mean_the_same_in_a_frame_that_numbers_them_otherwise():
    X, y = wards(["east", "north", "west"]), np.arange(30) % 2
    model = pickle.loads(pickle.dumps(SelfAttentionClassifier(**SMALL, categorical_features="from_dtype").fit(X, y)))
    later = wards(["north", "south", "west"], seed=1)
    by_hand = [np.asarray(steps).copy() for steps in later]
    for steps in by_hand:
        steps[:, 1] = np.array([1, 99, 2])[steps[:, 1].astype(int)]
    before = [np.asarray(steps).copy() for steps in later]
    np.testing.assert_array_equal(model.predict_proba(later), model.predict_proba(by_hand))
    for steps, was in zip(later, before, strict=True):
        np.testing.assert_array_equal(steps, was)


@pytest.mark.parametrize(
    "held", [7, [], [["a", "b"]], [np.array(["a"])] * 2, [np.array([["a"]])], [np.array([{"a": 1}], object)]], ids=str
)
def test_damaged_categories_of_a_pickle_are_refused(held):
    model = SelfAttentionClassifier(**SMALL, categorical_features="from_dtype")
    state = model.fit(wards(["east", "west"]), np.arange(30) % 2).__getstate__()
    with pytest.raises(ValueError, match="categories is .*the file is damaged"):
        SelfAttentionClassifier().__setstate__(state | {"_held_categories": held})
