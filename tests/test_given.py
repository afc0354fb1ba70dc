"""X is given back in the form in which it came, with other values in it."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from problems import FORMS, SMALL, fitted, make_array, make_ragged, pad
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skattn import SelfAttentionClassifier, SequenceScaler, TokenSequencer, sequences_from_frame
from skattn._steps import Steps
from skattn.inspection.given import parts_of, read_given

X = make_ragged()
NAMES = ["pulse", "heat", "flow"]


def doubled(given):
    return given.with_values(2 * given.data.values)


@pytest.mark.parametrize("name", FORMS)
def test_arrays_and_lists_come_back_as_such(name):
    came = FORMS[name]()
    back = doubled(read_given(Ridge(), came))
    assert isinstance(back, np.ndarray if isinstance(came, np.ndarray) and came.dtype != object else list)
    for own, changed in zip(came, back, strict=True):
        np.testing.assert_array_equal(changed, 2 * own)


def test_a_frame_of_rows_keeps_its_names_and_index():
    frame = pd.DataFrame(make_array(n_features=1)[:, :, 0], columns=list("abcdefg"), index=range(100, 123))
    pd.testing.assert_frame_equal(2 * frame, doubled(read_given(Ridge(), frame)))
    assert pl.from_pandas(2 * frame).equals(doubled(read_given(Ridge(), pl.from_pandas(frame))))


def test_sequences_that_are_frames_stay_frames():
    frames = [pd.DataFrame(steps, columns=NAMES) for steps in X]
    given = read_given(Ridge(), frames)
    for frame, back in zip(frames, doubled(given), strict=True):
        pd.testing.assert_frame_equal(2 * frame, back)
    assert tuple(NAMES) == given.names
    back = doubled(read_given(Ridge(), [pl.from_pandas(frame) for frame in frames]))
    assert pl.from_pandas(2 * frames[3]).equals(back[3])


def test_cells_of_a_frame_stay_cells():
    frame = pd.DataFrame({name: [steps[:, i] for steps in X] for i, name in enumerate(NAMES)}, index=range(7, 30))
    given = read_given(Ridge(), frame)
    back = doubled(given)
    assert (NAMES, tuple(NAMES)) == (list(back.columns), given.names) and back.index.equals(frame.index)
    for i, steps in enumerate(X):
        np.testing.assert_array_equal(np.column_stack(list(back.iloc[i])), 2 * steps)
    np.testing.assert_array_equal(frame.iloc[0, 0], X[0][:, 0])


@pytest.mark.parametrize("is_frame", [True, False])
def test_a_column_of_sequences_stays_one(is_frame):
    column = pd.Series(list(X), name="signal", index=range(7, 30))
    back = doubled(read_given(Ridge(), column.to_frame() if is_frame else column))
    assert isinstance(back, pd.DataFrame if is_frame else pd.Series) and back.index.equals(column.index)
    back = back["signal"] if is_frame else back
    for own, changed in zip(X, back, strict=True):
        np.testing.assert_array_equal(changed, 2 * own)


def test_cells_of_other_frames_come_back_as_arrays_with_names():
    frame = pl.DataFrame({name: [steps[:, i].tolist() for steps in X] for i, name in enumerate(NAMES)})
    back = doubled(read_given(Ridge(), frame))
    assert tuple(NAMES) == back[4].columns
    np.testing.assert_array_equal(back[4], 2 * X[4])


def test_arrays_that_know_their_names_keep_them_and_codes_what_they_stand_for():
    frame = pd.DataFrame({"id": [0, 0, 1], "kind": ["b", "a", "b"], "heat": [1.0, 2.0, 3.0]})
    steps, _ = sequences_from_frame(frame, id="id")
    given = read_given(Ridge(), steps)
    back = given.with_values(given.data.values.copy())
    assert (("kind", "heat"), ("kind", "heat")) == (given.names, back[1].columns)
    assert ["a", "b"] == back[1].categories[0].tolist()
    array = Steps(make_array(), NAMES)
    assert tuple(NAMES) == doubled(read_given(Ridge(), array)).columns


def test_codes_of_a_model_are_those_of_its_fit():
    frame = pd.DataFrame({"id": np.arange(24) // 3, "kind": ["a", "b", "c"] * 8})
    steps, _ = sequences_from_frame(frame, id="id")
    options = SMALL | {"categorical_features": "from_dtype", "position": "none"}
    model = SelfAttentionClassifier(**options).fit(steps, np.arange(8) % 2)
    later, _ = sequences_from_frame(pd.DataFrame({"id": [0, 0], "kind": ["c", "b"]}), id="id")
    given = read_given(model, later)
    assert [2, 1] == given.data.values.ravel().tolist()
    back = given.with_values(given.data.values.copy())
    np.testing.assert_array_equal(model.predict_proba(back), model.predict_proba(later))


def test_a_sequence_of_one_axis_keeps_it():
    flat = [steps[:, 0] for steps in X]
    back = doubled(read_given(Ridge(), flat))
    assert [(2 * steps).tolist() for steps in flat] == [steps.tolist() for steps in back]


def test_columns_of_a_step_are_told_by_the_step_of_a_pipeline_that_knows():
    rows = make_array(n_features=1, n_steps=6)[:, :, 0]
    model = make_pipeline(SequenceScaler(n_step_features=2), SelfAttentionClassifier(n_step_features=3))
    search = GridSearchCV(Ridge(), {})
    search.best_estimator_ = model
    for wrapped in (model, search, FrozenEstimator(model)):
        assert (23, 3, 2) == (len(read_given(wrapped, rows).data.lengths), *_shape(read_given(wrapped, rows)))
    assert (6, 1) == _shape(read_given(Ridge(), rows))


def _shape(given):
    return given.data.n_steps, given.data.n_features


def test_a_pipeline_gives_its_parts_in_order():
    scaler, ridge = SequenceScaler(), Ridge()
    model = make_pipeline(scaler, "passthrough", ridge)
    assert [model, scaler, "passthrough", ridge] == list(parts_of(model))
    assert (2 * X[0]).tolist() == doubled(read_given(make_pipeline("passthrough", ridge), X))[0].tolist()


def test_a_model_of_this_package_refuses_what_it_would_refuse():
    model = fitted(SelfAttentionClassifier(**SMALL), X)
    with pytest.raises(ValueError, match="X has 2 features, but SelfAttentionClassifier is expecting 3"):
        read_given(model, [steps[:, :2] for steps in X])
    broken = pad(X)
    broken[0, 2, 1] = np.nan
    with pytest.raises(ValueError, match="NaN at sample 0, step 2, feature 1"):
        read_given(model, broken)


def test_what_other_models_may_take_is_left_to_them():
    gappy = pad(X)
    gappy[0, 2, 1] = np.nan
    assert 11 == read_given(Ridge(), gappy).data.lengths[0]


def test_text_is_refused_with_a_way_out():
    with pytest.raises(
        TypeError, match="X holds text .'a dog'., whose steps .* pass model.1:. and model.:1..transform"
    ):
        read_given(make_pipeline(TokenSequencer(), Ridge()), ["a dog", "a ball"])
