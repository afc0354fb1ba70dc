"""Dates and durations that say when steps were: read as seconds in every form of X, and refused elsewhere."""

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from problems import SMALL, as_objects
from reading import assert_same_samples, samples_in

from skattn import SelfAttentionClassifier, SequenceScaler, sequences_from_frame
from skattn._dates import seconds_of, seconds_of_entries
from skattn._steps import Steps
from skattn.sequences import read_sequences

pa = pytest.importorskip("pyarrow")

LENGTHS = [3, 1, 7, 2, 5]
TIMED = SMALL | {"time_feature": 1, "position": "auto"}
DAY, ZONE = datetime.date(1970, 1, 2), datetime.timezone(datetime.timedelta(hours=2))


def long_frame():
    """A row a step: a float32, a moment in nanoseconds, and a whole number."""
    generator = np.random.default_rng(0)
    n_rows = sum(LENGTHS)
    apart = generator.exponential(1e10, n_rows).astype(np.int64)
    return pd.DataFrame(
        {
            "id": np.repeat(np.arange(len(LENGTHS)), LENGTHS),
            "speed": generator.normal(size=n_rows).astype(np.float32),
            "when": pd.Timestamp("2024-05-01T10:00:00.123456789") + pd.to_timedelta(np.cumsum(apart), "ns"),
            "gear": generator.integers(5, size=n_rows),
        }
    )


def cut(frame=None):
    """A frame a sequence."""
    return [steps.drop(columns="id") for _, steps in (long_frame() if frame is None else frame).groupby("id")]


def timed_read(X, **parameters):
    return read_sequences(X, SelfAttentionClassifier(**{"time_feature": 1} | parameters), reset=True)


def with_zone(steps):
    return steps.assign(when=steps["when"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))


FORMS = {
    "pandas frames": lambda frames: frames,
    "nullable frames": lambda frames: [steps.convert_dtypes() for steps in frames],
    "frames of Arrow's types": lambda frames: [steps.convert_dtypes(dtype_backend="pyarrow") for steps in frames],
    "frames of a time zone": lambda frames: [with_zone(steps) for steps in frames],
    "frames of objects": lambda frames: [steps.astype(object) for steps in frames],
    "polars frames": lambda frames: [pl.from_pandas(steps) for steps in frames],
    "polars frames of a time zone": lambda frames: [pl.from_pandas(with_zone(steps)) for steps in frames],
    "Arrow tables": lambda frames: [pa.Table.from_pandas(steps, preserve_index=False) for steps in frames],
    "arrays of objects": lambda frames: [steps.to_numpy() for steps in frames],
    "arrays of objects of a time zone": lambda frames: [with_zone(steps).to_numpy() for steps in frames],
    "arrays of NumPy's moments": lambda frames: [
        np.array([[a, np.datetime64(b.to_datetime64()), c] for a, b, c in steps.to_numpy()], object) for steps in frames
    ],
    "nested lists": lambda frames: [steps.to_numpy().tolist() for steps in frames],
    "lists of arrays": lambda frames: [list(steps.to_numpy()) for steps in frames],
    "arrays of arrays": lambda frames: [as_objects(list(steps.to_numpy())) for steps in frames],
    "a column of arrays": lambda frames: pd.Series([steps.to_numpy() for steps in frames]),
    "a feature a column": lambda frames: pd.DataFrame({name: [f[name] for f in frames] for name in frames[0]}),
    "a feature a column of arrays": lambda frames: pd.DataFrame(
        {name: [f[name].to_numpy() for f in frames] for name in frames[0]}
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_dates_given_directly_are_those_of_a_long_frame(form):
    expected = timed_read(sequences_from_frame(long_frame(), id="id")[0])
    X = FORMS[form](cut())
    before = pickle.dumps(X)
    for again in (X, pickle.loads(before)):
        read = timed_read(again)
        assert_same_samples(samples_in(expected), read)
        assert (read.values.dtype, read.roles) == (np.float64, expected.roles)
    for alone, steps in zip([X[i : i + 1] for i in range(len(X))], samples_in(expected), strict=True):
        assert_same_samples([steps], timed_read(alone))
    assert pickle.dumps(X) == before, "what was passed stays as it was"


def test_an_array_of_objects_is_read_with_its_padding():
    expected = samples_in(timed_read(cut()))
    X = np.full((len(LENGTHS), 9, 3), np.nan, object)
    for padded, steps in zip(X, cut(), strict=True):
        padded[: len(steps)] = steps
        padded[len(steps) :, 1] = pd.NaT
    assert_same_samples(expected, timed_read(X))
    assert_same_samples(expected, timed_read(Steps(X, ["speed", "when", "gear"]), time_feature="when"))


def test_a_long_frame_may_hold_dates_as_objects():
    frame = long_frame()
    expected = sequences_from_frame(frame, id="id")[0]
    for again in (frame.astype({"when": object}), frame.assign(when=[*map(pd.Timestamp.to_datetime64, frame["when"])])):
        for steps, found in zip(expected, sequences_from_frame(again, id="id")[0], strict=True):
            np.testing.assert_array_equal(found, steps)


def test_a_cell_of_dates_may_begin_with_one_that_is_missing():
    X = pd.DataFrame({"when": [np.array([None, DAY, DAY], object)], "x": [[1.0, 2.0, 3.0]]})
    with pytest.raises(ValueError, match="^The time is missing at sample 0, step 0, feature 0"):
        timed_read(X, time_feature="when")


@pytest.mark.parametrize("form", ["frame", "objects", "lists", "ragged"])
def test_rows_hold_a_time_every_so_many_columns(form):
    seconds = np.array([[1.5, 2.5, 7.0], [0.0, 0.0, 1.0]])
    table = pd.DataFrame({"t0": pd.to_datetime(seconds[:, 0], unit="s"), "x0": [1.0, 2], "t1": pd.NaT, "x1": [3.0, 4]})
    table["t1"] = pd.to_datetime(seconds[:, 1], unit="s")
    objects = table.to_numpy()
    X = {"frame": table, "objects": objects, "lists": objects.tolist(), "ragged": list(objects)}[form]
    expected = [[[1.5, 1], [2.5, 3]], [[0, 2], [0, 4]]]
    assert_same_samples(expected, timed_read(X, time_feature=0, n_step_features=2))


@pytest.mark.parametrize("form", ["pandas frames", "polars frames", "Arrow tables", "arrays of objects"])
def test_models_of_dates_predict_the_same_in_every_form(form):
    X, y = cut(), np.arange(len(LENGTHS)) % 2
    model = SelfAttentionClassifier(**TIMED | {"time_feature": "when"}).fit(X, y)
    expected = model.predict_proba(sequences_from_frame(long_frame(), id="id")[0])
    other = FORMS[form](X)
    loaded = pickle.loads(pickle.dumps(model))
    if form == "arrays of objects":
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            found = loaded.predict_proba(other)
    else:
        found = loaded.predict_proba(other)
        np.testing.assert_array_equal(SelfAttentionClassifier(**TIMED).fit(other, y).predict_proba(other), expected)
    np.testing.assert_array_equal(found, expected)


# Seconds


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([DAY, None, datetime.datetime(1970, 1, 1, 0, 0, 3, 250000)], [86400, np.nan, 3.25]),
        ([datetime.datetime(1970, 1, 1, 2, 0, 7, tzinfo=ZONE)], [7]),
        ([pd.Timestamp("1970-01-01T02:00:00.5", tz=ZONE), pd.NaT, pd.NA], [0.5, np.nan, np.nan]),
        ([datetime.timedelta(days=1, microseconds=500000), pd.Timedelta("1s"), np.nan], [86400.5, 1, np.nan]),
        ([np.timedelta64(3, "m"), np.timedelta64(1500, "ms"), np.timedelta64("NaT")], [180, 1.5, np.nan]),
        (
            [np.datetime64("1971"), np.datetime64("1969-12-31T23:59:59.75"), np.datetime64("NaT")],
            [31536000, -0.25, np.nan],
        ),
        ([np.datetime64(2000, "Y"), np.datetime64(1, "ns")], [63113904000, 1e-9]),
        ([], []),
    ],
)
def test_single_dates_and_durations_are_seconds(entries, expected):
    np.testing.assert_array_equal(seconds_of_entries(entries, "in row {}".format), np.array(expected, np.float64))


def test_a_moment_has_the_same_bits_in_every_unit():
    ticks = np.datetime64("2024-05-01T10:00:00", "us") + np.random.default_rng(0).integers(10**12, size=997)
    expected = np.array([tick.astype(np.int64).item() / 10**6 for tick in ticks])
    for unit in ("us", "ns"):
        np.testing.assert_array_equal(seconds_of(ticks.astype(f"M8[{unit}]")), expected)
    in_steps = ticks.astype("M8[25us]")
    np.testing.assert_array_equal(seconds_of(in_steps), seconds_of(in_steps.astype("M8[us]")))
    for unit in ("s", "m", "h", "D", "M"):
        coarse = ticks.astype(f"M8[{unit}]")
        np.testing.assert_array_equal(seconds_of(coarse), coarse.astype("M8[s]").astype(np.float64))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            [DAY, datetime.timedelta(1)],
            "holds datetime.timedelta.* in row 1, which is a duration, among a date without",
        ),
        (
            [DAY, datetime.datetime(1970, 1, 1, tzinfo=ZONE)],
            "row 1, which is a date of a time zone, among a date without",
        ),
        ([None, np.datetime64("1970"), 5.0], "holds 5.0 in row 2, which is no date, among a date without time zone"),
        (["noon", DAY], "holds 'noon' in row 0, which is no date"),
        ([[DAY], DAY], "in row 0, which is no date"),
        ([np.ones(2), DAY], "in row 0, which is no date"),
    ],
)
def test_times_of_several_kinds_are_refused(entries, message):
    with pytest.raises(ValueError, match=message):
        seconds_of_entries(entries, "in row {}".format)


# Refusals


@pytest.mark.parametrize("time_feature", [None, 0])
@pytest.mark.parametrize("form", FORMS)
def test_dates_that_are_no_times_are_refused_with_their_place(form, time_feature):
    message = r"at sample 0, step 0, feature 1; |^Sample 0 of X holds dates as feature 1 \('when', of type .*\); "
    with pytest.raises(ValueError, match=f"({message})dates and durations are read only as times.* set time_feature"):
        timed_read(FORMS[form](cut()), time_feature=time_feature)


def test_an_estimator_without_times_refuses_dates():
    with pytest.raises(ValueError, match="feature 1 .*sequences_from_frame"):
        SequenceScaler().fit(cut())


@pytest.mark.parametrize("unit", ["s", "ns"])
@pytest.mark.parametrize(
    "make",
    [
        lambda cells: np.array([[[cells, 1.0]]], object),
        lambda cells: [np.array([[cells, 1.0]], object)],
        lambda cells: [[[cells, 1]]],
        lambda cells: [[[cells, cells]]],
        lambda cells: [np.array([[cells, cells]])],
        lambda cells: [[np.array([cells, cells])]],
        lambda cells: np.array([[[cells, cells]]]),
        lambda cells: pl.DataFrame({"a": np.array([cells]).astype("m8[ns]"), "b": [1.0]}),
        lambda cells: [pl.DataFrame({"a": np.array([cells]).astype("m8[ns]"), "b": [1.0]})],
        lambda cells: pd.DataFrame({"a": [cells], "b": [1.0]}),
    ],
)
def test_durations_are_no_numbers_by_chance(make, unit):
    """NumPy and polars make numbers of some of them, in units of their own."""
    X = make(np.timedelta64(5, unit))
    with pytest.raises(ValueError, match="dates and durations are read only as times"):
        timed_read(X, time_feature=None)


@pytest.mark.parametrize("form", ["pandas frames", "polars frames", "arrays of objects"])
@pytest.mark.parametrize("method", ["fit", "predict"])
@pytest.mark.parametrize("handle_missing", ["error", "mask"])
def test_a_time_that_is_missing_is_refused_with_its_place(form, method, handle_missing):
    X, y = cut(), np.arange(len(LENGTHS)) % 2
    parameters = TIMED | {"handle_missing": handle_missing}
    model = SelfAttentionClassifier(**parameters).fit(FORMS[form](X), y)
    X[2].iloc[4, 1] = pd.NaT
    with pytest.raises(ValueError, match="^The time is missing at sample 2, step 4, feature 1, .*drop the step"):
        getattr(model, method)(FORMS[form](X), *([y] if method == "fit" else []))


def test_dates_that_go_backwards_are_refused():
    X = cut()
    X[2] = X[2][::-1]
    with pytest.raises(ValueError, match="goes backwards at sample 2, step 1, feature 1: 17145"):
        timed_read(X)


def test_times_of_a_day_are_refused():
    noon = datetime.time(12)
    for steps in (pl.DataFrame({"x": [1.0], "when": [noon]}), pa.table({"x": [1.0], "when": [noon]})):
        with pytest.raises(ValueError, match="as feature 1 .* join times of a day to their dates"):
            timed_read([steps])


@pytest.mark.parametrize("make", [lambda steps: steps, pl.DataFrame, lambda steps: steps.to_numpy()])
def test_kinds_that_differ_are_refused_with_their_place(make):
    steps = pd.DataFrame({"x": [1.0, 2.0], "when": np.array([DAY, datetime.timedelta(1)], object)})
    if make is pl.DataFrame:
        steps = {"x": [1.0, 2.0], "when": pl.Series([DAY, datetime.timedelta(1)], dtype=pl.Object)}
    with pytest.raises(ValueError, match="at sample 1, step 1, feature 1, which is a duration"):
        timed_read([cut()[0].to_numpy()[:, :2], make(steps)])
    with pytest.raises(ValueError, match="at sample 1, step 0, feature 1, which is a duration"):
        timed_read(make(steps), n_step_features=2)


def test_a_wide_frame_names_its_column():
    table = pd.DataFrame({"x": [1.0, 2.0], "when": [DAY, DAY]})
    with pytest.raises(ValueError, match=r"^X holds dates in column 1 \('when', of type object\)"):
        timed_read(table, time_feature=None)


def test_a_sample_of_too_few_features_is_refused_as_that():
    X = [np.array([[1.0, 2.0, DAY]], object), np.array([[1.0, 2.0]], object)]
    with pytest.raises(ValueError, match="^Sample 1 of X has 2 features a step"):
        timed_read(X, time_feature=2)


def test_a_name_that_is_none_is_told_before_dates_are():
    with pytest.raises(ValueError, match="time_feature has 'wen', which is no feature of X: it has speed, when, gear"):
        SelfAttentionClassifier(**TIMED | {"time_feature": "wen"}).fit(cut(), np.arange(len(LENGTHS)) % 2)
