"""`SoftLookupClassifier` and `SoftLookupRegressor`: what is read, how tables grow, weights, and what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
from problems import SMALL, direction, make_ragged
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skattn import SelfAttentionTransformer, SoftLookupClassifier, SoftLookupRegressor, __version__

IRIS = load_iris(return_X_y=True)
GENERATOR = np.random.default_rng(0)
NUMBERS = GENERATOR.normal(size=(67, 3))
CURVE = np.sin(NUMBERS[:, 0]) + 0.1 * GENERATOR.normal(size=67)
CASES = [(SoftLookupClassifier(random_state=0), *IRIS), (SoftLookupRegressor(random_state=0), NUMBERS, CURVE)]


@pytest.fixture(params=CASES, ids=["class", "number"])
def case(request):
    """An unfitted model, and what it learns from."""
    model, X, y = request.param
    return clone(model), X, y


@pytest.fixture
def model(case):
    return case[0]


@pytest.fixture
def X(case):
    return case[1]


@pytest.fixture
def y(case):
    return case[2]


def results_of(model, X):
    """What a model makes of queries."""
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


@pytest.mark.parametrize(
    "lookup, nearest, load, scoring",
    [
        (SoftLookupClassifier(random_state=0), KNeighborsClassifier(15), load_wine, "neg_log_loss"),
        (SoftLookupRegressor(random_state=0), KNeighborsRegressor(15), load_diabetes, "r2"),
    ],
)
def test_it_is_more_accurate_than_nearest_neighbours(lookup, nearest, load, scoring):
    X, y = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    expected = cross_val_score(make_pipeline(StandardScaler(), nearest), X[order], y[order], scoring=scoring).mean()
    assert cross_val_score(lookup, X[order], y[order], scoring=scoring).mean() > expected + 0.01


def test_predictions_are_the_mean_of_what_neighbours_tell(model, X, y):
    records, weights = model.fit(X, y).neighbors(X[:7], k=len(X))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-12)
    values = np.eye(3)[y] if hasattr(model, "classes_") else y
    expected = np.einsum("ij,ij...->i...", weights, values[records])
    if hasattr(model, "classes_"):
        expected = 0.995 * expected + 0.005 / 3
        np.testing.assert_allclose(np.exp(model.predict_log_proba(X[:7])), expected, rtol=1e-9)
        np.testing.assert_array_equal(model.predict(X[:7]), expected.argmax(axis=1))
    np.testing.assert_allclose(results_of(model, X[:7]), expected, rtol=1e-9)


def test_a_record_that_was_seen_is_its_own_nearest_neighbour(model, X, y):
    X, first = np.unique(X, axis=0, return_index=True)
    records, weights = model.fit(X, y[first]).neighbors(X, k=2)
    np.testing.assert_array_equal(records[:, 0], np.arange(len(X)))
    assert (weights[:, 0] > weights[:, 1]).all()


def test_the_nearer_a_record_is_when_projected_the_more_is_read_of_it(model, X, y):
    records, weights = model.fit(X, y).neighbors(X[:5], k=11)
    distances = np.linalg.norm(model.transform(X[:5])[:, None] - model.transform(X)[records], axis=2)
    np.testing.assert_allclose(weights / weights[:, :1], np.exp((distances[:, :1] ** 2 - distances**2) / 2), rtol=1e-7)


def test_a_weight_is_the_same_as_repeating_to_the_last_bit(model, X, y):
    counts = np.random.default_rng(1).integers(0, 4, size=len(X))
    rows = np.random.default_rng(2).permutation(np.repeat(np.arange(len(X)), counts))
    weighted, repeated = clone(model).fit(X, y, sample_weight=counts), clone(model).fit(X[rows], y[rows])
    np.testing.assert_array_equal(weighted.components_, repeated.components_)
    np.testing.assert_allclose(results_of(weighted, X), results_of(repeated, X), rtol=1e-9)


def test_only_ratios_of_weights_count_and_0_leaves_a_record_out(model, X, y):
    weight = np.random.default_rng(3).integers(0, 3, size=len(X)).astype(float)
    model.fit(X, y, sample_weight=weight)
    again = clone(model).fit(X, y, sample_weight=8 * weight)
    np.testing.assert_allclose(results_of(again, X), results_of(model, X), rtol=1e-9)
    records, _ = model.neighbors(X, k=model.n_records_)
    assert set(np.flatnonzero(weight)) == set(records.ravel())


def test_what_a_class_weighs_is_what_its_records_weigh():
    X, y = IRIS
    by_class = SoftLookupClassifier(class_weight={0: 3, 2: 0.5}, random_state=0).fit(X, y)
    by_record = SoftLookupClassifier(random_state=0).fit(X, y, sample_weight=np.array([3, 1, 0.5])[y])
    np.testing.assert_array_equal(by_class.predict_proba(X), by_record.predict_proba(X))
    rare = np.r_[50:100, 100:110]
    plain, balanced = (SoftLookupClassifier(class_weight=w, random_state=0) for w in (None, "balanced"))
    likely = [model.fit(X[rare], y[rare]).predict_proba(X)[50:, 1].mean() for model in (plain, balanced)]
    assert likely[1] > likely[0]


def test_partial_fit_adds_records_without_learning(model, X, y):
    some = np.arange(0, len(X), 2)
    rest = np.setdiff1d(np.arange(len(X)), some)
    options = {"classes": [0, 1, 2]} if hasattr(model, "class_weight") else {}
    model.partial_fit(X[some], y[some], **options)
    before = model.components_, model.mean_
    model.partial_fit(X[rest], y[rest], sample_weight=np.full(len(rest), 2.0))
    assert before[0] is model.components_ and before[1] is model.mean_ and len(X) == model.n_records_
    records, weights = model.neighbors(X[rest], k=len(X))
    # Rows are counted on: those of the second call come behind those of the first.
    np.testing.assert_array_equal(np.sort(records, axis=1), np.tile(np.arange(len(X)), (len(rest), 1)))
    values = np.concatenate([y[some], y[rest]])
    if hasattr(model, "classes_"):
        expected = 0.995 * np.einsum("ij,ijc->ic", weights, np.eye(3)[values[records]]) + 0.005 / 3
    else:
        expected = (weights * values[records]).sum(axis=1)
    np.testing.assert_allclose(results_of(model, X[rest]), expected, rtol=1e-9)


def test_an_added_record_weighs_as_it_would_in_fit(model, X, y):
    options = {"classes": [0, 1, 2]} if hasattr(model, "class_weight") else {}
    at_once = clone(model).partial_fit(X, y, **options)
    at_once.partial_fit(X[:9], y[:9], sample_weight=np.full(9, 3))
    repeated = clone(model).partial_fit(X, y, **options)
    repeated.partial_fit(np.repeat(X[:9], 3, axis=0), np.repeat(y[:9], 3))
    np.testing.assert_allclose(results_of(at_once, X), results_of(repeated, X), rtol=1e-9)


def test_classes_that_come_later_are_known_from_the_first_call():
    X, y = IRIS
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    model = SoftLookupClassifier(random_state=0).partial_fit(X[:100], words[:100], classes=np.unique(words))
    assert "virginica" not in model.predict(X)
    assert "virginica" == model.partial_fit(X[100:], words[100:]).predict(X[-1:])[0]


def test_several_numbers_are_looked_up_at_once():
    y = np.column_stack([CURVE, 1000 + 50 * NUMBERS[:, 1]])
    model = SoftLookupRegressor(random_state=0).fit(NUMBERS, y)
    assert (67, 2) == model.predict(NUMBERS).shape and model.score(NUMBERS, y) > 0.7
    assert (67, 1) == model.fit(NUMBERS, y[:, :1]).predict(NUMBERS).shape


def test_a_constant_is_predicted_as_it_is():
    assert [7.0] == SoftLookupRegressor().fit(NUMBERS, np.full(67, 7.0)).predict(NUMBERS[:1]).tolist()


def test_more_records_than_are_learned_from_are_in_the_table(monkeypatch):
    X = np.random.default_rng(0).normal(size=(700, 2))
    y = np.sin(3 * X[:, 0])
    model = SoftLookupRegressor(subsample=100, random_state=0).fit(X, y)
    few = SoftLookupRegressor(random_state=0).fit(X[:100], y[:100])
    assert 700 == model.n_records_ and model.score(X, y) > few.score(X, y)


def test_queries_that_are_far_from_everything_are_answered():
    far = np.full((1, 3), 1e300)
    assert np.isfinite(SoftLookupRegressor().fit(NUMBERS, CURVE).predict(far)).all()
    assert CURVE.min() <= SoftLookupRegressor().fit(NUMBERS, CURVE).predict(far)[0] <= CURVE.max()


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_units_do_not_count(factor):
    expected = SoftLookupRegressor(random_state=0).fit(NUMBERS, CURVE).predict(NUMBERS)
    found = SoftLookupRegressor(random_state=0).fit(NUMBERS * factor, CURVE * factor).predict(NUMBERS * factor)
    np.testing.assert_allclose(found / factor, expected, rtol=1e-5)


def test_features_that_are_constant_or_repeat_others_do_no_harm():
    more = np.column_stack([NUMBERS, NUMBERS[:, 0], np.full(67, 3.0)])
    assert SoftLookupRegressor(random_state=0).fit(more, CURVE).score(more, CURVE) > 0.8
    alike = np.ones((6, 2))
    np.testing.assert_allclose(SoftLookupRegressor().fit(alike, np.arange(6.0)).predict(alike), 2.5)


def test_bits_do_not_depend_on_the_number_of_threads(model, X, y):
    one, two = (clone(model).set_params(n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.components_, two.components_)
    np.testing.assert_array_equal(results_of(one, X), results_of(two, X))


def test_sequences_are_looked_up_by_what_a_transformer_makes_of_them():
    X = make_ragged(n_samples=60)
    model = make_pipeline(SelfAttentionTransformer(**SMALL | {"max_iter": 20}), SoftLookupClassifier(random_state=0))
    assert model.fit(X, direction(X)).score(X, direction(X)) > 0.7
    records, _ = model[-1].neighbors(model[:-1].transform(X[:2]), k=1)
    np.testing.assert_array_equal(records[:, 0], [0, 1])


def test_columns_have_names():
    frame = pd.DataFrame(NUMBERS, columns=["a", "b", "c"])
    y = np.column_stack([CURVE, NUMBERS[:, 1]])
    model = SoftLookupRegressor(n_components=2).set_output(transform="pandas").fit(frame, y)
    assert ["softlookupregressor0", "softlookupregressor1"] == model.transform(frame).columns.tolist()
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c"]])


def test_it_comes_back_from_a_pickle(model, X, y):
    loaded = pickle.loads(pickle.dumps(model.fit(X, y)))
    np.testing.assert_array_equal(results_of(loaded, X), results_of(model, X))
    newer = {**model.__getstate__(), "_skattn_version": "99.1.0"}
    with pytest.raises(ValueError, match=f"written by skattn 99.1.0, and this is skattn {__version__}"):
        clone(model).__setstate__(newer)


def test_it_says_what_it_is():
    assert "SoftLookupClassifier(alpha=0.1)" == repr(SoftLookupClassifier(alpha=0.1))
    for name in ("n_components", "alpha", "components_", "neighbors"):
        assert name in (SoftLookupClassifier.__doc__ or name) + str(dir(SoftLookupClassifier))
    with pytest.raises(NotFittedError):
        SoftLookupClassifier().neighbors(NUMBERS)


@pytest.mark.parametrize("k", [0, 151, 2.0, True, "five"])
def test_neighbours_that_are_not_there_are_refused(k):
    with pytest.raises(ValueError, match="150 records in the table; give a whole number from 1 to 150"):
        SoftLookupClassifier().fit(*IRIS).neighbors(IRIS[0], k=k)


@pytest.mark.parametrize(
    "change, match",
    [
        ({"y": np.zeros(150)}, "y holds one class, .*; give records of another class too"),
        ({"y": None}, "requires y to be passed, but the target y is None; give what each record tells"),
        ({"y": IRIS[1][:7]}, "inconsistent numbers of samples"),
        ({"y": np.eye(3)[IRIS[1]]}, "y should be a 1d array"),
        ({"X": np.where(np.arange(4) == 2, np.nan, IRIS[0])}, "contains NaN"),
        ({"sample_weight": np.full(150, np.nan)}, "sample_weight contains NaN"),
        ({"sample_weight": np.arange(150) == 3}, "different records"),
        ({"X": np.ones((150, 4)), "sample_weight": np.arange(150) < 50}, "different records"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(change, match):
    model = SoftLookupClassifier()
    arguments = {"X": IRIS[0], "y": IRIS[1], "sample_weight": None} | change
    with pytest.raises(ValueError, match=match):
        model.fit(**arguments)
    assert vars(clone(model)) == vars(model)


def test_adding_is_refused_where_it_cannot_be_done_and_changes_nothing():
    X, y = IRIS
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        SoftLookupClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match='class_weight="balanced" needs all records at once'):
        SoftLookupClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    model = SoftLookupClassifier().fit(X, y)
    before = dict(vars(model))
    for wrong in ((X[:, :3], y), (X, y + 1)):
        with pytest.raises(ValueError):
            model.partial_fit(*wrong)
        assert before == vars(model)
    with pytest.raises(ValueError, match="y has 2 columns, but the estimator was built for 1"):
        SoftLookupRegressor().fit(NUMBERS, CURVE).partial_fit(NUMBERS, NUMBERS[:, :2])


@pytest.mark.parametrize("n_features", [3, 10, 39])
def test_a_record_alone_gets_the_same_bits_as_among_others(n_features):
    generator = np.random.default_rng(n_features)
    X, queries = generator.normal(size=(120, n_features)), generator.normal(size=(70, n_features))
    model = SoftLookupClassifier(random_state=0).fit(X, X[:, 0] > 0)
    expected, (records, weights) = model.predict_proba(queries), model.neighbors(queries, 5)
    for i in range(70):
        np.testing.assert_array_equal(model.predict_proba(queries[i : i + 1])[0], expected[i])
        found = model.neighbors(queries[i : i + 1], 5)
        np.testing.assert_array_equal(found[0][0], records[i])
        np.testing.assert_array_equal(found[1][0], weights[i])
