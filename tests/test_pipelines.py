"""Ragged sequences go through scikit-learn's own machinery."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from problems import SMALL, as_objects, direction, make_array, make_ragged, pad, rise
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, learning_curve, train_test_split
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer

X = make_ragged(n_samples=41)
y = direction(X)


def make_model():
    return make_pipeline(SelfAttentionTransformer(**SMALL), StandardScaler(), LogisticRegression())


@pytest.mark.parametrize("form", [list, tuple, as_objects, pad], ids=["list", "tuple", "objects", "padded"])
def test_cross_validation_scores_every_form_alike(form):
    expected = cross_val_score(make_model(), X, y, cv=2)
    np.testing.assert_array_equal(cross_val_score(make_model(), form(X), y, cv=2), expected)


def test_a_regressor_is_cross_validated():
    predicted = cross_val_predict(SelfAttentionRegressor(**SMALL), X, rise(X), cv=2)
    assert predicted.shape == (41,) and np.isfinite(predicted).all()


def test_a_grid_is_searched_in_processes():
    grid = {"selfattentiontransformer__d_model": [4, 6], "logisticregression__C": [0.1, 10.0]}
    search = GridSearchCV(make_model(), grid, cv=2, n_jobs=2).fit(X, y)
    serial = GridSearchCV(make_model(), grid, cv=2).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(search.predict_proba(X), serial.predict_proba(X))


def test_a_grid_of_the_classifier_is_searched():
    search = GridSearchCV(SelfAttentionClassifier(**SMALL), {"pooling": ["max", "last"]}, cv=2).fit(X, y)
    assert search.best_estimator_.pooling in ("max", "last")


def test_sample_weight_is_routed_to_a_step():
    """Samples of weight 0 are as if they were not there."""
    weight = np.arange(41) % 3
    kept = [sequence for sequence, w in zip(X, weight, strict=True) if w]
    model = make_model().fit(X, y, selfattentiontransformer__sample_weight=weight)
    expected = SelfAttentionTransformer(**SMALL).fit(kept, y[weight > 0], weight[weight > 0])
    np.testing.assert_array_equal(model[0].transform(X), expected.transform(X))


def test_split_lists_stay_sequences():
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    assert len(y_test) == len(make_model().fit(X_train, y_train).predict(X_test))


def test_a_learning_curve_is_drawn():
    sizes, _, scores = learning_curve(make_model(), X, y, cv=2, train_sizes=[11, 19])
    assert scores.shape == (2, 2) and np.isfinite(scores).all()


def test_features_stand_side_by_side_in_a_union():
    union = FeatureUnion(
        [("mean", SelfAttentionTransformer(**SMALL)), ("last", SelfAttentionTransformer(**SMALL | {"pooling": "last"}))]
    )
    features = union.fit(X, y).transform(X)
    assert (41, 28) == features.shape == (len(X), len(union.get_feature_names_out()))
    assert "mean__selfattentiontransformer0" == union.get_feature_names_out()[0]


def make_pandas():
    return pd.DataFrame({"age": np.arange(41.0), "series": X})


def make_polars():
    return pl.DataFrame({"age": np.arange(41.0), "series": [sequence.tolist() for sequence in X]})


@pytest.mark.parametrize("make_frame", [make_pandas, make_polars], ids=["pandas", "polars"])
@pytest.mark.parametrize("column", ["series", ["series"]], ids=["column", "frame"])
def test_a_column_of_a_data_frame_holds_sequences(make_frame, column):
    columns = ColumnTransformer(
        [("steps", SelfAttentionTransformer(**SMALL), column), ("rest", StandardScaler(), ["age"])]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(make_frame(), y)
    expected = SelfAttentionTransformer(**SMALL).fit(X, y).transform(X)
    np.testing.assert_array_equal(model[0].transform(make_frame())[:, :-1], expected)


def test_features_come_out_as_a_named_data_frame():
    model = make_pipeline(SelfAttentionTransformer(**SMALL), StandardScaler()).set_output(transform="pandas")
    frame = model.fit(X, y).transform(X)
    assert [f"selfattentiontransformer{i}" for i in range(14)] == list(frame.columns)


@pytest.mark.parametrize(
    "ensemble",
    [
        lambda model: StackingClassifier([("attention", model), ("again", model)], cv=2),
        lambda model: VotingClassifier([("attention", model), ("again", model)], voting="soft"),
        lambda model: CalibratedClassifierCV(model, cv=2),
    ],
    ids=["stacking", "voting", "calibration"],
)
@pytest.mark.parametrize("form", [list, pad], ids=["list", "padded"])
def test_ensembles_take_sequences(ensemble, form):
    model = ensemble(SelfAttentionClassifier(**SMALL)).fit(form(X), y)
    assert (41, 2) == model.predict_proba(form(X)).shape
    assert set(model.predict(form(X))) <= {"falls", "rises"}


def test_unpooled_features_are_an_array_even_where_frames_are_asked_for():
    """Three dimensions fit no data frame, and names would be misleading."""
    model = SelfAttentionTransformer(**SMALL | {"pooling": None})
    assert not hasattr(model, "set_output")
    with pytest.raises(AttributeError, match="get_feature_names_out") as caught:
        model.get_feature_names_out()
    assert "With pooling=None the output is no table; set pooling" in str(caught.value.__cause__)
    with config_context(transform_output="pandas"):
        assert isinstance(model.fit_transform(make_array()), np.ndarray)


def test_features_feed_a_regressor():
    model = make_pipeline(SelfAttentionTransformer(**SMALL), Ridge()).fit(X, rise(X))
    assert "squared_error" == model[0].objective_
