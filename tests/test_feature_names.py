"""The features of a step have names where samples are frames, and the names are kept and compared."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from problems import SMALL, make_ragged
from reading import Reader, assert_same_samples, read
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import StandardScaler

from skattn import SelfAttentionClassifier, SelfAttentionTransformer

NAMES = ["force", "speed", "angle"]
X = make_ragged()
Y = np.arange(len(X)) % 2
CONTAINERS = [
    pytest.param(lambda steps, names: pd.DataFrame(steps, columns=names), id="pandas"),
    pytest.param(lambda steps, names: pl.DataFrame(steps, schema=names), id="polars"),
]


def frames(container, names=NAMES):
    return [container(steps, names) for steps in X]


@pytest.mark.parametrize("collect", [list, tuple, pd.Series])
@pytest.mark.parametrize("container", CONTAINERS)
def test_names_of_a_steps_features_are_kept(container, collect):
    estimator = Reader()
    assert_same_samples(X, read(collect(frames(container)), estimator))
    assert NAMES == estimator.feature_names_in_.tolist() and 3 == estimator.n_features_in_


OTHERS = {"swapped": ["speed", "force", "angle"], "renamed": ["force", "speed", "slope"]}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_other_names_than_at_fit_are_refused(container, other):
    estimator = Reader().fit(frames(container))
    before = pickle.dumps(estimator)
    message = f"feature names should match .*: X has {', '.join(OTHERS[other])}, and fit had {', '.join(NAMES)}. Pick"
    with pytest.raises(ValueError, match=message):
        read(frames(container, OTHERS[other]), estimator, reset=False)
    assert before == pickle.dumps(estimator)


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_other_names_than_those_beside_them_are_refused(container, other):
    mixed = frames(container)
    mixed[3] = container(X[3], OTHERS[other])
    with pytest.raises(ValueError, match=f"^Sample 3 of X has the features {', '.join(OTHERS[other])}, and sample 0 "):
        read(mixed)


def test_names_come_from_any_library():
    estimator = Reader().fit(frames(CONTAINERS[0].values[0]))
    assert_same_samples(X, read(frames(CONTAINERS[1].values[0]), estimator, reset=False))


def warnings_of(call, *arguments, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*arguments, **options)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("container", CONTAINERS)
def test_names_on_one_side_only_are_warned_about_once(container):
    named = Reader().fit(frames(container))
    for unnamed in (X, np.ones((5, 7, 3)), [pd.DataFrame(steps) for steps in X]):
        [word] = warnings_of(read, unnamed, named, reset=False)
        assert word == "X does not have valid feature names, but Reader was fitted with feature names"
    [word] = warnings_of(read, frames(container), Reader().fit(X), reset=False)
    assert word == "X has feature names, but Reader was fitted without feature names"
    assert [] == warnings_of(read, X, Reader().fit(X), reset=False)


@pytest.mark.parametrize("container", CONTAINERS)
def test_samples_without_names_among_others_are_warned_about_once(container):
    mixed = frames(container)
    mixed[0], mixed[2] = X[0], X[2]
    estimator = Reader()
    [word] = warnings_of(read, mixed, estimator)
    assert word.startswith("Sample 0 of X does not have valid feature names, and others have")
    assert NAMES == estimator.feature_names_in_.tolist()


def test_columns_of_a_table_are_not_compared_with_a_steps_features():
    table = pd.DataFrame(np.ones((5, 6)), columns=list("abcdef"))
    estimator = Reader(n_step_features=3).fit(table)
    assert [] == warnings_of(read, frames(CONTAINERS[0].values[0]), estimator, reset=False)
    assert list("abcdef") == estimator.feature_names_in_.tolist()


def test_names_of_validation_samples_are_compared():
    make = CONTAINERS[0].values[0]
    model = SelfAttentionClassifier(**SMALL)
    with pytest.raises(ValueError, match="^X_val: The feature names should match"):
        model.fit(frames(make), Y, X_val=frames(make, OTHERS["swapped"]), y_val=Y)
    assert not hasattr(model, "feature_names_in_")


def test_names_survive_every_file(tmp_path):
    model = SelfAttentionClassifier(**SMALL).fit(frames(CONTAINERS[0].values[0]), Y)
    model.save_weights(tmp_path / "weights")
    loaded = [
        pickle.loads(pickle.dumps(model)),
        SelfAttentionClassifier(**SMALL).load_weights(tmp_path / "weights"),
    ]
    for other in loaded:
        assert NAMES == other.feature_names_in_.tolist()
        with pytest.raises(ValueError, match="feature names should match"):
            other.predict(frames(CONTAINERS[0].values[0], OTHERS["swapped"]))


# Names out of a column of sequences


def pandas_table(sequences):
    return pd.DataFrame({"age": np.arange(float(len(X))), "path": pd.Series(sequences)})


def polars_table(sequences):
    return pl.DataFrame({"age": np.arange(float(len(X))), "path": [np.asarray(steps).tolist() for steps in sequences]})


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("column", ["path", ["path"]], ids=["column", "frame"])
@pytest.mark.parametrize("table", [pandas_table, polars_table])
def test_features_of_a_column_of_sequences_have_names(table, column, output):
    columns = ColumnTransformer(
        [("attention", SelfAttentionTransformer(**SMALL), column), ("age", "passthrough", ["age"])]
    )
    columns.set_output(transform=output)
    frame = columns.fit(table(X), Y).transform(table(X))
    names = [*(f"attention__selfattentiontransformer{i}" for i in range(14)), "age__age"]
    assert output in type(frame).__module__ and names == list(frame.columns)
    assert names == columns.get_feature_names_out().tolist()


def test_a_column_of_frames_has_a_name_and_so_have_their_features():
    table = pandas_table(frames(CONTAINERS[0].values[0]))
    columns = ColumnTransformer(
        [("attention", SelfAttentionTransformer(**SMALL), "path"), ("age", StandardScaler(), ["age"])]
    )
    assert (len(X), 15) == columns.set_output(transform="pandas").fit_transform(table, Y).shape
    assert NAMES == columns.named_transformers_["attention"].feature_names_in_.tolist()


def test_names_that_fit_saw_are_taken_and_others_are_not():
    model = SelfAttentionTransformer(**SMALL).fit(frames(CONTAINERS[0].values[0]), Y)
    for names in (None, NAMES, ["path"]):
        assert 14 == len(model.get_feature_names_out(names))
    with pytest.raises(ValueError, match="input_features"):
        model.get_feature_names_out(OTHERS["swapped"])
    table = SelfAttentionTransformer(**SMALL).fit(np.ones((5, 3)) + np.arange(5)[:, None], np.arange(5) % 2)
    with pytest.raises(ValueError, match="input_features should have length"):
        table.get_feature_names_out(["path"])
