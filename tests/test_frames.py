"""Long frames of any library become sequences, and these become frames again."""

import datetime
import decimal
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from problems import SMALL, as_objects
from reading import Reader, assert_same_samples, read
from sklearn.model_selection import cross_val_score
from sklearn.utils import _safe_indexing

from skattn import SelfAttentionClassifier, _frame_columns
from skattn._steps import Steps
from skattn.frames import frame_from_sequences, sequences_from_array, sequences_from_frame, sequences_from_padded

pytest.importorskip("narwhals")
pa = pytest.importorskip("pyarrow")

# Ids apart from each other, and their steps out of order.
DATA = {
    "key": ["b", "a", "b", "c", "a", "b"],
    "time": [5, 2, 3, 1, 1, 4],
    "x": [0.5, 1.5, 2.5, 3.5, 4.5, 5.5],
    "n": [7, 6, 5, 4, 3, 2],
    "age": [30, 41, 30, 52, 41, 30],
    "label": ["yes", "no", "yes", "no", "no", "yes"],
}
MAKERS = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "pandas of Arrow": lambda data: pa.table(data).to_pandas(types_mapper=pd.ArrowDtype),
    "nullable pandas": lambda data: pd.DataFrame(data).convert_dtypes(),
}
LIBRARIES = {name: MAKERS[name] for name in ("pandas", "polars", "pyarrow")}


def every_library(test):
    return pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in MAKERS.items()])(test)


def three_libraries(test):
    return pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in LIBRARIES.items()])(test)


def steps_of(frame, **roles):
    """Steps of each id as nested lists."""
    sequences, _ = sequences_from_frame(frame, **roles)
    return [steps.tolist() for steps in sequences]


def naive(data, values, order=None):
    """The same, a row after the other."""
    rows = range(len(data["key"]))
    rows = sorted(rows, key=lambda i: data[order][i]) if order else rows
    ids = list(dict.fromkeys(data["key"]))
    return [[[float(data[v][i]) for v in values] for i in rows if data["key"][i] == key] for key in ids]


def column(make, entries):
    """What one column becomes, a row a sequence."""
    sequences, _ = sequences_from_frame(make({"key": list(range(len(entries))), "v": entries}), id="key")
    return np.array([steps[0, 0] for steps in sequences]), sequences[0]


# Rows to sequences


@every_library
@pytest.mark.parametrize("order", [None, "time", "x"])
def test_rows_are_cut_by_id_and_sorted_by_order(make, order):
    roles = {"id": "key", "order": order, "values": ["n", "x"]}
    assert naive(DATA, ["n", "x"], order) == steps_of(make(DATA), **roles)


@every_library
def test_ids_come_in_order_of_first_appearance(make):
    _, index = sequences_from_frame(make(DATA), id="key", values="x")
    assert ["b", "a", "c"] == index.tolist() and "U" == index.dtype.kind


@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("n_ids", [101, 70001])
def test_many_rows_are_sorted_stably(n_ids, is_sorted):
    generator = np.random.default_rng(0)
    ids = generator.integers(0, n_ids, 3 * n_ids)
    ids = np.sort(ids) if is_sorted else ids
    frame = pd.DataFrame({"key": ids, "place": np.arange(len(ids))})
    sequences, index = sequences_from_frame(frame, id="key")
    assert pd.unique(ids).tolist() == index.tolist()
    for key, steps in list(zip(index, sequences, strict=True))[::97]:
        assert np.flatnonzero(ids == key).tolist() == steps[:, 0].tolist()


@every_library
def test_sequences_share_one_block_and_the_frame_stays_as_it_was(make):
    frame, before = make(DATA), make(DATA)
    sequences, *_ = sequences_from_frame(frame, id="key", order="time", values=["x", "age"], target="label")
    assert sequences[0].base is sequences[1].base and sequences[0].flags.c_contiguous
    for steps in sequences:
        steps[:] = -1
    assert before.equals(frame)


def test_several_columns_of_ids_give_tuples():
    frame = pd.DataFrame({"ward": ["n", "s", "n"], "bed": [1, 1, 1], "x": [1.0, 2.0, 3.0]})
    sequences, index = sequences_from_frame(frame, id=["ward", "bed"])
    assert [("n", 1), ("s", 1)] == index
    assert [[1.0], [3.0]] == sequences[0].tolist() and ("x",) == sequences[0].columns


def test_levels_of_an_index_are_columns_where_they_are_named():
    frame = pd.DataFrame(DATA).set_index(["key", "time", "n"])[["x"]]
    assert naive(DATA, ["x"], "time") == steps_of(frame, id="key", order="time")
    assert naive(DATA, ["n", "x"], "time") == steps_of(frame, id="key", order="time", values=["n", "x"])


def test_an_index_with_equal_labels_confuses_nothing():
    frame = pd.DataFrame(DATA, index=[0, 0, 1, 1, 0, 0])
    assert naive(DATA, ["x"], "time") == steps_of(frame, id="key", order="time", values="x")


def test_a_column_may_have_any_name():
    frame = pd.DataFrame({"row": [1, 2], 0: [1.0, 2.0], ("a", 1): [3.0, 4.0]})
    assert [[[1.0]], [[2.0]]] == steps_of(frame.rename(columns={"row": 7}), id=7, order=0, values=[0], static=[])
    sequences, _ = sequences_from_frame(frame, id="row")
    assert ("0", "('a', 1)") == sequences[0].columns and [[1.0, 3.0]] == sequences[0].tolist()


@pytest.mark.parametrize("order", ["time", None])
def test_order_is_a_feature_only_where_it_is_named(order):
    frame = pd.DataFrame({"key": [1, 1], "time": [2.0, 1.0], "x": [3.0, 4.0]})
    names = ("x",) if order else ("time", "x")
    assert names == sequences_from_frame(frame, id="key", order=order)[0][0].columns
    assert [[[1.0, 4.0], [2.0, 3.0]]] == steps_of(frame, id="key", order="time", values=["time", "x"])


@every_library
def test_static_columns_are_repeated_after_the_values(make):
    sequences, _ = sequences_from_frame(make(DATA), id="key", order="time", values="x", static=["age"])
    assert ("x", "age") == sequences[0].columns and [[2.5, 30.0], [5.5, 30.0], [0.5, 30.0]] == sequences[0].tolist()


def test_what_is_missing_throughout_is_constant():
    frame = pd.DataFrame({"key": [1, 1, 2], "x": [1.0, 2.0, 3.0], "age": [np.nan, np.nan, 7]})
    assert np.isnan(sequences_from_frame(frame, id="key", static="age")[0][0][:, 1]).all()


# Labels


@every_library
def test_each_id_has_its_label(make):
    _, index, y = sequences_from_frame(make(DATA), id="key", values="x", target="label")
    assert ["b", "a", "c"] == index.tolist() and ["yes", "no", "no"] == y.tolist() and "U" == y.dtype.kind


@pytest.mark.parametrize(
    "labels, kind",
    [([3, 4], "i"), ([0.5, 1.5], "f"), ([True, False], "b"), (np.array(["2020-01-01", "2021-01-01"], "M8[s]"), "M")],
)
def test_labels_keep_their_type(labels, kind):
    y = sequences_from_frame(pd.DataFrame({"key": [1, 2], "x": [1.0, 2.0], "y": labels}), id="key", target="y")[2]
    assert kind == y.dtype.kind and list(np.asarray(labels)) == list(y)


@three_libraries
def test_labels_that_are_categories_are_their_values(make):
    frame = pd.DataFrame(DATA).astype({"label": "category"})
    frame = {"polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}.get(make.__module__.split(".")[0], make)(frame)
    assert ["yes", "no", "no"] == sequences_from_frame(frame, id="key", values="x", target="label")[2].tolist()


@every_library
def test_a_label_on_one_row_is_enough(make):
    data = {"key": [1, 2, 1, 2], "x": [1.0, 2.0, 3.0, 4.0], "y": [None, "no", "yes", None]}
    assert ["yes", "no"] == sequences_from_frame(make(data), id="key", target="y")[2].tolist()


@every_library
def test_ids_without_label_are_named(make):
    data = {"key": [*range(5), 0], "x": [1.0] * 6, "y": ["u", None, None, None, None, "u"]}
    with pytest.raises(ValueError, match="^4 of 5 ids without label: key = 1; key = 2; key = 3; .* Column 'y' has no"):
        sequences_from_frame(make(data), id="key", target="y")


@every_library
def test_an_id_with_two_labels_is_refused(make):
    data = {"key": [1, 2, 2], "x": [1.0, 2.0, 3.0], "y": ["u", "v", "w"]}
    with pytest.raises(ValueError, match="'y' is the target, and has both v and w within key = 2; a sequence has one"):
        sequences_from_frame(make(data), id="key", target="y")


# Columns to numbers


@every_library
def test_words_become_codes_in_the_order_of_the_alphabet(make):
    codes, sample = column(make, ["south", "east", None, "west", "east"])
    np.testing.assert_array_equal([1, 0, np.nan, 2, 0], codes)
    assert ["east", "south", "west"] == sample.categories[0].tolist() and np.float32 == codes.dtype


CATEGORIES = {
    "pandas": lambda entries: pd.DataFrame({"v": pd.Categorical(entries, categories=["w", "s", "e", "n"])}),
    "polars": lambda entries: pl.DataFrame({"v": pl.Series(entries, dtype=pl.Enum(["w", "s", "e", "n"]))}),
    "pyarrow": lambda entries: pa.table(
        {"v": pa.DictionaryArray.from_arrays(pa.array([2, 0, None, 2], pa.int8()), ["w", "s", "e", "n"])}
    ),
}


@pytest.mark.parametrize("library", CATEGORIES)
def test_categories_become_codes_in_their_own_order(library):
    frame = CATEGORIES[library](["e", "w", None, "e"])
    keys = list(range(4))
    frame = {
        "pandas": lambda: frame.assign(key=keys),
        "polars": lambda: frame.with_columns(key=pl.Series(keys)),
        "pyarrow": lambda: frame.append_column("key", [keys]),
    }[library]()
    sequences, _ = sequences_from_frame(frame, id="key")
    np.testing.assert_array_equal([2, 0, np.nan, 2], np.concatenate(sequences)[:, 0])
    assert ["w", "s", "e", "n"] == sequences[0].categories[0].tolist()


def test_categories_of_polars_without_an_order_become_codes():
    frame = pl.DataFrame({"key": [1, 1, 2], "v": pl.Series(["z", None, "a"], dtype=pl.Categorical)})
    sequences, _ = sequences_from_frame(frame, id="key")
    known = sequences[0].categories[0].tolist()
    assert "z" == known[int(sequences[0][0, 0])] and "a" == known[int(sequences[1][0, 0])]
    assert np.isnan(sequences[0][1, 0])


def test_categories_may_be_of_any_type():
    numbers = pd.DataFrame({"key": [1, 2], "v": pd.Categorical([30, 10], categories=[30, 20, 10])})
    sequences, _ = sequences_from_frame(numbers, id="key")
    assert [30, 20, 10] == sequences[0].categories[0].tolist() and 2 == sequences[1][0, 0]
    mixed = pd.DataFrame({"key": [1, 2], "v": pd.Categorical(["a", (1, 2)], categories=["a", (1, 2)])})
    assert ["a", (1, 2)] == sequences_from_frame(mixed, id="key")[0][0].categories[0].tolist()


@every_library
def test_truth_values_become_codes(make):
    for entries in ([True, False, True], [True, None, False]):
        codes, sample = column(make, entries)
        np.testing.assert_array_equal([np.nan if entry is None else entry for entry in entries], codes)
        assert [False, True] == sample.categories[0].tolist() and np.float32 == codes.dtype


@every_library
def test_missing_numbers_become_nan(make):
    np.testing.assert_array_equal([1, np.nan, 3], column(make, [1, None, 3])[0])
    np.testing.assert_array_equal([1.5, np.nan, 3], column(make, [1.5, None, 3])[0])


@every_library
def test_dates_become_seconds_since_1970(make):
    day = datetime.datetime(1970, 1, 2, 0, 0, 3, 250000)
    codes, sample = column(make, [day, None, datetime.datetime(1969, 12, 31, 23, 59, 59)])
    np.testing.assert_array_equal([86403.25, np.nan, -1], codes)
    assert np.float64 == sample.dtype and sample.categories == (None,)


@three_libraries
def test_times_of_a_zone_are_seconds_of_utc(make):
    zone = datetime.timezone(datetime.timedelta(hours=2))
    moments = [datetime.datetime(1970, 1, 1, 2, 0, 7, tzinfo=zone), None]
    np.testing.assert_array_equal([7, np.nan], column(make, moments)[0])


@every_library
def test_durations_become_seconds(make):
    spans = [datetime.timedelta(days=1, microseconds=500000), None]
    np.testing.assert_array_equal([86400.5, np.nan], column(make, spans)[0])


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table, MAKERS["pandas of Arrow"]])
def test_days_and_decimals_are_numbers(make):
    np.testing.assert_array_equal([86400, np.nan], column(make, [datetime.date(1970, 1, 2), None])[0])
    np.testing.assert_array_equal([1.5, np.nan], column(make, [decimal.Decimal("1.5"), None])[0])


def test_objects_that_are_numbers_are_read():
    entries = np.array([1, None, 2.5, decimal.Decimal("0.5"), np.int8(3)], dtype=object)
    np.testing.assert_array_equal([1, np.nan, 2.5, 0.5, 3], column(pd.DataFrame, entries)[0])
    assert 2 == column(pd.DataFrame, pd.arrays.SparseArray([0, 2]))[0][1]
    assert np.isnan(column(pl.DataFrame, [None, None])[0]).all()


@pytest.mark.parametrize(
    "entries, message",
    [
        (np.array([1j, 2]), r"'v' is of type Unknown \(in NumPy complex128\), which holds no real numbers"),
        (np.array([1, "a"], dtype=object), "'v' holds 'a', of type str, which is no number"),
        (np.array([1j, None], dtype=object), "'v' holds 1j, of type complex"),
        ([datetime.date(2020, 1, 1), 7], "holds 7 in row 1 of column 'v', which is no date, among a date without time"),
        ([{"a": 1}, {"b": 2}], "'v' holds .*, of type dict"),
    ],
)
def test_columns_without_numbers_are_refused(entries, message):
    with pytest.raises(ValueError, match=message):
        column(pd.DataFrame, entries)


def test_structures_are_refused():
    with pytest.raises(ValueError, match="'v' is of type Struct.*, which holds no real numbers"):
        column(pl.DataFrame, [{"a": 1}, {"a": 2}])


@pytest.mark.parametrize(
    "types, wanted",
    [
        (["int8", "float32"], np.float32),
        (["uint16", "bool", "float16"], np.float32),
        (["int32", "float32"], np.float64),
        (["float64", "int8"], np.float64),
        (["int16", "category", "str"], np.float32),
    ],
)
def test_precision_is_that_which_holds_every_value(types, wanted):
    frame = pd.DataFrame({name: np.ones(3) for name in types}).astype(dict(zip(types, types, strict=True)))
    assert wanted == sequences_from_frame(frame.assign(key=1), id="key")[0][0].dtype


def test_codes_that_float32_does_not_hold_are_float64(monkeypatch):
    monkeypatch.setattr(_frame_columns, "_MOST_CODES", 2)
    assert np.float64 == column(pd.DataFrame, ["a", "b", "c"])[0].dtype


# A row a sequence

LISTS = {"key": ["b", "a"], "x": [[1.5, 2.5, 3.5], [4.5]], "n": [[1, 2, 3], [4]], "age": [30, 40], "y": [1, 0]}
LIST_MAKERS = {
    "pandas": pd.DataFrame,
    "pandas of arrays": lambda data: pd.DataFrame(data).assign(x=[np.array(cell) for cell in data["x"]]),
    "pandas of Arrow": MAKERS["pandas of Arrow"],
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
}


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in LIST_MAKERS.items()])
def test_lists_in_cells_are_the_steps_of_a_sequence(make):
    sequences, index, y = sequences_from_frame(make(LISTS), id="key", static="age", target="y")
    assert ["b", "a"] == index.tolist() and [1, 0] == y.tolist() and ("x", "n", "age") == sequences[0].columns
    assert [[1.5, 1, 30], [2.5, 2, 30], [3.5, 3, 30]] == sequences[0].tolist() and [[4.5, 4, 40]] == sequences[
        1
    ].tolist()


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in LIST_MAKERS.items()])
def test_lists_may_be_sorted_by_a_list_of_times(make):
    data = {"key": [1, 2], "t": [[3, 1], [5, 6]], "x": [[1.0, 2.0], [3.0, 4.0]]}
    assert [[[2.0], [1.0]], [[3.0], [4.0]]] == steps_of(make(data), id="key", order="t")


def test_arrays_of_polars_are_lists():
    frame = pl.DataFrame({"key": [1, 2], "x": pl.Series([[1.0, 2.0], [3.0, 4.0]], dtype=pl.Array(pl.Float32, 2))})
    assert [[[1.0], [2.0]], [[3.0], [4.0]]] == steps_of(frame, id="key")


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in LIST_MAKERS.items()])
def test_lists_that_do_not_fit_are_refused(make):
    for data, message in [
        (LISTS | {"n": [[1, 2, 3], [4, 5]]}, "Row 1 has lists of 1 entries in column 'x' and 2 in 'n'"),
        (LISTS | {"x": [[1.5, 2.5, 3.5], []]}, "'x' has no list, or an empty one, in row 1"),
        (LISTS | {"n": [[1, 2, 3], None]}, "'n' has no list, or an empty one, in row 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            sequences_from_frame(make(data), id="key")


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_lists_of_lists_are_refused(make):
    with pytest.raises(ValueError, match="'x' holds lists of lists; a cell holds one feature"):
        sequences_from_frame(make({"key": [1, 2], "x": [[[1.0], [2.0]], [[3.0]]]}), id="key")


# What is refused


@three_libraries
@pytest.mark.parametrize(
    "roles, message",
    [
        ({"id": "kye"}, "no column 'kye'; the nearest are key"),
        ({"id": "key", "order": "tme"}, "no column 'tme'; the nearest are time"),
        ({"id": "key", "values": ["x", "zzzz"]}, "no column 'zzzz'; it has key, time, x, n, age, label"),
        ({"id": "key", "static": "agee"}, "no column 'agee'; the nearest are age"),
        ({"id": "key", "target": "labels"}, "no column 'labels'; the nearest are label"),
        ({"id": []}, "id names no column, so rows cannot be told apart"),
        ({"id": "key", "static": "key"}, "'key' is named for id and for static; a column has one role"),
        ({"id": "key", "order": "key"}, "'key' is named for id and for order"),
        ({"id": "key", "values": "label", "target": "label"}, "'label' is named for target and for values"),
        ({"id": "key", "values": ["x", "x"]}, "'x' is named for values and for values"),
        ({"id": "key", "values": []}, "No column is left for features: the frame has key, time"),
        ({"id": "key", "values": "x", "static": "n"}, r"'n' is static, and changes within key = b \(row 2\)"),
        ({"id": "label", "order": "age"}, "3 rows repeat the order of another .*: label = yes has age = 30 twice"),
        ({"id": "key", "order": "label"}, "'label' is the order and of type String; steps are sorted by numbers or"),
    ],
)
def test_roles_that_do_not_fit_are_refused(make, roles, message):
    with pytest.raises(ValueError, match=message):
        sequences_from_frame(make(DATA), **roles)


@every_library
def test_missing_ids_and_orders_are_refused_with_their_row(make):
    for name, role, entries in (
        ("key", "id", ["b", "a", None, None, "a", "b"]),
        ("time", "order", [1, 2, None, 4, 5, None]),
    ):
        with pytest.raises(ValueError, match=f"'{name}' is the {role} and has no value in 2 of 6 rows, .* row 2; fill"):
            sequences_from_frame(make(DATA | {name: entries}), id="key", order="time", values="x")


def test_an_id_that_is_nan_is_missing():
    with pytest.raises(ValueError, match="'key' is the id and has no value in 1 of 2 rows"):
        sequences_from_frame(pl.DataFrame({"key": [1.0, np.nan], "x": [1.0, 2.0]}), id="key")


@every_library
def test_orders_may_be_dates_and_fractions_and_large_numbers(make):
    for times in (
        [datetime.datetime(2020, 1, day) for day in (3, 1, 2)],
        [datetime.timedelta(seconds=n) for n in (3, 1, 2)],
        [2**60 + 2, 2**60, 2**60 + 1],
        [0.3, 0.1, 0.2],
    ):
        frame = make({"key": [1, 1, 1], "t": times, "x": [3.0, 1.0, 2.0]})
        assert [[[1.0], [2.0], [3.0]]] == steps_of(frame, id="key", order="t")


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table])
def test_orders_may_be_decimals_and_days(make):
    for times in (
        [decimal.Decimal("2.5"), decimal.Decimal("1.5")],
        [datetime.date(2020, 1, 2), datetime.date(2020, 1, 1)],
    ):
        frame = make({"key": [1, 1], "t": times, "x": [2.0, 1.0]})
        assert [[[1.0], [2.0]]] == steps_of(frame, id="key", order="t")


@every_library
def test_frames_without_rows_are_refused(make):
    with pytest.raises(ValueError, match=r"The frame has no rows \(shape \(0, 2\)\)"):
        sequences_from_frame(make({"key": [], "x": []}), id="key")


def test_names_that_occur_twice_are_refused():
    twice = pd.DataFrame(np.ones((2, 3)), columns=["key", "x", "x"])
    for frame in (twice, pa.Table.from_arrays([pa.array([1.0])] * 3, names=["key", "x", "x"])):
        with pytest.raises(ValueError, match="several columns of the name x; give each a name of its own"):
            sequences_from_frame(frame, id="key")


@pytest.mark.parametrize(
    "frame, message",
    [
        (pl.DataFrame(DATA).lazy(), r"a LazyFrame, which is not computed yet; pass frame.collect\(\)"),
        (DATA, "of type dict, and no data frame; pass one of pandas, polars or pyarrow"),
        (np.ones((2, 2)), "of type ndarray, and no data frame"),
        (pd.Series([1.0]), "of type Series, and no data frame"),
    ],
)
def test_what_is_no_frame_is_refused(frame, message):
    with pytest.raises(TypeError, match=message):
        sequences_from_frame(frame, id="key")


@pytest.mark.parametrize(
    "missing, call, message",
    [
        ("narwhals", lambda: sequences_from_frame(pd.DataFrame(DATA), id="key"), "Reading a data frame needs narwhals"),
        ("polars", lambda: frame_from_sequences([np.ones((2, 1))], kind="polars"), "kind='polars' needs polars"),
    ],
)
def test_a_library_that_is_not_there_is_named_with_the_command(missing, call, message, monkeypatch):
    def refuse(name):
        raise ImportError(name) if name.split(".")[0] == missing else AssertionError(name)

    monkeypatch.setattr(_frame_columns, "import_module", refuse)
    with pytest.raises(ImportError, match=f"{message}, which is not installed: pip install {missing}"):
        call()


# Steps that know their columns


def named_steps(n_steps=3):
    return Steps(np.arange(n_steps * 3.0).reshape(n_steps, 3), "abc", [None, None, np.array(["u", "v"])])


KEEPING = {
    "rows": lambda s: s[1:],
    "every other row": lambda s: s[::2],
    "chosen rows": lambda s: s[[2, 0]],
    "rows by a mask": lambda s: s[np.array([True, False, True])],
    "rows, and all columns": lambda s: s[1:, :],
    "rows, and whatever follows": lambda s: s[1:, ...],
    "a row as a tuple": lambda s: s[(slice(1),)],
    "an axis before": lambda s: s[np.newaxis],
    "a sample of several": lambda s: s[np.newaxis][0],
    "a copy": lambda s: s.copy(),
    "a pickle": lambda s: pickle.loads(pickle.dumps(s)),
    "other precision": lambda s: s.astype(np.float32),
}
DROPPING = {
    "one step": lambda s: s[0],
    "one feature": lambda s: s[:, 0],
    "flat": lambda s: s.reshape(-1),
    "pairs": lambda s: s[[0, 1], [0, 1]],
    "a grid": lambda s: s[np.ix_([0, 1, 2], [2, 1, 0])],
    "an axis between": lambda s: s[:, None, :],
    "transposed": lambda s: s.T,
    "axes swapped": lambda s: s.swapaxes(0, 1),
    "axes moved": lambda s: np.moveaxis(s, 0, 1),
    "plain": np.asarray,
    "side by side": lambda s: np.hstack([s, s]),
}


@pytest.mark.parametrize("how", KEEPING)
def test_steps_keep_what_is_known_of_their_columns(how):
    kept = KEEPING[how](named_steps())
    assert ("a", "b", "c") == kept.columns and ["u", "v"] == kept.categories[2].tolist()


@pytest.mark.parametrize("how", DROPPING)
def test_steps_drop_what_does_not_fit(how):
    dropped = DROPPING[how](named_steps())
    assert getattr(dropped, "columns", None) is None and getattr(dropped, "categories", None) is None


@pytest.mark.parametrize("columns, names", [([2, 0], "ca"), (slice(None, None, -1), "cba"), (slice(2), "ab")])
def test_names_follow_columns_that_are_picked(columns, names):
    picked = named_steps(2)[:, columns]
    assert tuple(names) == picked.columns
    assert [name == "c" for name in names] == [known is not None for known in picked.categories]


def test_steps_without_names_are_arrays():
    assert Steps(np.ones((2, 3)))[:, :2].columns is None
    steps = named_steps()
    assert np.ndarray is type(np.asarray(steps)) and np.shares_memory(np.asarray(steps), steps)


def test_numbers_that_are_computed_are_no_codes():
    steps = named_steps()
    assert ("a", "b", "c") == (steps / 2).columns and (steps / 2).categories is None and 36 == steps.sum()
    steps += 1
    assert steps.categories is None and 1 == abs(Steps(-1.0))


@pytest.mark.parametrize("options", [{"columns": "ab"}, {"categories": [None] * 4}])
def test_names_that_are_not_one_a_feature_are_refused(options):
    with pytest.raises(ValueError, match=r"for . features, and the steps have shape \(2, 3\); give one for each"):
        Steps(np.ones((2, 3)), **options)


def test_steps_survive_what_scikit_learn_does_to_lists():
    sequences = [named_steps(n) for n in (2, 3, 5)]
    for chosen in (
        _safe_indexing(sequences, np.array([2, 0])),
        pickle.loads(pickle.dumps(sequences))[::2],
        sequences[1:],
    ):
        assert {("a", "b", "c")} == {steps.columns for steps in chosen}


# Names in estimators


def long_frame(n_ids=12):
    generator = np.random.default_rng(0)
    ids = np.repeat(np.arange(n_ids), 5)
    data = {"key": ids, "force": generator.normal(size=60), "speed": generator.normal(size=60), "y": ids % 2}
    return pd.DataFrame(data)


def test_estimators_see_the_names():
    X, _, y = sequences_from_frame(long_frame(), id="key", target="y")
    model = SelfAttentionClassifier(**SMALL).fit(X, y)
    assert ["force", "speed"] == model.feature_names_in_.tolist() and 2 == model.n_features_in_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_by_one = np.concatenate([model.predict_proba(steps[np.newaxis]) for steps in X])
        np.testing.assert_allclose(model.predict_proba(X), one_by_one, rtol=1e-5)
    with pytest.raises(ValueError, match="X has speed, force, and fit had force, speed"):
        model.predict([steps[:, ::-1] for steps in X])
    with pytest.raises(ValueError, match="X has speed, force, and fit had force, speed"):
        model.predict(X[0][:, ::-1][np.newaxis])
    assert (3,) == cross_val_score(SelfAttentionClassifier(**SMALL), X, y, cv=3).shape


def test_names_are_compared_with_those_of_frames():
    X, _ = sequences_from_frame(long_frame(), id="key", values=["force", "speed"])
    frames = [pd.DataFrame(np.asarray(steps), columns=steps.columns) for steps in X]
    assert_same_samples(X, read(frames, Reader().fit(X), reset=False))
    assert_same_samples(X, read(X, Reader().fit(frames), reset=False))


def test_names_on_one_side_only_are_warned_about():
    X, _ = sequences_from_frame(long_frame(), id="key", values=["force", "speed"])
    plain = [np.asarray(steps) for steps in X]
    with pytest.warns(UserWarning, match="^X has feature names, but Reader was fitted without feature names"):
        read(X, Reader().fit(plain), reset=False)
    with pytest.warns(UserWarning, match="^X does not have valid feature names, but Reader was fitted with"):
        read(plain, Reader().fit(X), reset=False)


def test_one_sequence_as_a_table_has_no_names():
    estimator = Reader(n_step_features=3).fit(named_steps(5))
    assert not hasattr(estimator, "feature_names_in_") and 3 == estimator.n_features_in_
    estimator = Reader().fit(named_steps(5)[np.newaxis])
    assert ["a", "b", "c"] == estimator.feature_names_in_.tolist()
    estimator = Reader().fit(named_steps(5)[:, np.newaxis])
    assert not hasattr(estimator, "feature_names_in_")


# Sequences to rows


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_there_and_back_again_is_the_same(kind):
    data = {
        "key": ["b", "b", "a", "c"],
        "day": [1, 2, 1, 1],
        "x": [0.5, np.nan, 2.5, 3.5],
        "ward": ["south", None, "north", "south"],
        "ill": [True, False, True, True],
        "old": [None, True, False, False],
    }
    sequences, index = sequences_from_frame(LIBRARIES[kind](data), id="key", order="day")
    frame = frame_from_sequences(sequences, index=index, id="key", order="day", kind=kind)
    assert kind == type(frame).__module__.split(".")[0].replace("_", "") or kind == "pyarrow"
    again, index_again = sequences_from_frame(frame, id="key", order="day")
    assert index.tolist() == index_again.tolist() and sequences[0].columns == again[0].columns
    for steps, others in zip(sequences, again, strict=True):
        np.testing.assert_array_equal(steps, others)
        for one, other in zip(steps.categories, others.categories, strict=True):
            np.testing.assert_array_equal(one, other)
    rows = (
        frame.to_pylist() if kind == "pyarrow" else frame.to_dict("records") if kind == "pandas" else frame.to_dicts()
    )
    assert ["south", "north"] == [rows[0]["ward"], rows[2]["ward"]] and [True, False] == [r["ill"] for r in rows[:2]]


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_categories_that_are_no_words_come_back(kind):
    sequences = [Steps([[1.0], [np.nan]], "v", [np.array([30, 10])])]
    frame = frame_from_sequences(sequences, kind=kind)
    first, second = frame["v"].to_pylist() if kind == "pyarrow" else frame["v"].to_list()
    assert 10 == first and (second is None or np.isnan(second))


def test_arrays_get_names_and_numbers():
    frame = frame_from_sequences([np.array([[1, 2], [3, 4]]), np.array([[5, 6]])])
    assert ["id", "step", "x0", "x1"] == list(frame.columns)
    assert [[0, 0, 1, 2], [0, 1, 3, 4], [1, 0, 5, 6]] == frame.to_numpy().tolist()
    assert (6, 4) == frame_from_sequences(np.ones((2, 3, 2))).shape
    assert ["id", "x0"] == list(frame_from_sequences([np.ones((2, 1))], order=None).columns)


def test_names_come_from_the_samples_or_the_caller():
    arrays = [np.ones((2, 1))]
    for samples in ([pd.DataFrame({"a": [1.0]})], [pl.DataFrame({"a": [1.0]})], [pa.table({"a": [1.0]})]):
        assert ["id", "step", "a"] == list(frame_from_sequences(samples).columns)
    assert ["k", "t", "a"] == list(frame_from_sequences(arrays, columns=["a"], id="k", order="t").columns)
    assert ["id", "a"] == list(frame_from_sequences(arrays, columns=["a"], order="a").columns)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_ids_of_several_columns_come_back(kind):
    index = [("n", 1), ("s", 1)]
    frame = frame_from_sequences([np.ones((2, 1)), np.ones((1, 1))], index=index, id=["ward", "bed"], kind=kind)
    assert index == sequences_from_frame(frame, id=["ward", "bed"], order="step")[1]


def test_an_index_may_be_a_column():
    frame = frame_from_sequences([np.ones((2, 1)), np.ones((1, 1))], index=pd.Index(["u", "v"]))
    assert ["u", "u", "v"] == frame["id"].tolist()


ONES = [np.ones((2, 2)), np.ones((1, 2))]


@pytest.mark.parametrize(
    "sequences, options, message",
    [
        (ONES, {"kind": "csv"}, "kind='csv'; frames are made by 'pandas', 'polars', 'pyarrow'"),
        ([], {}, "There are no sequences"),
        ([np.ones((2, 2)), np.ones((1, 3))], {}, r"Sample 1 has shape \(1, 3\), and sample 0 \(2, 2\)"),
        ([np.ones(3)], {}, r"Sample 0 has shape \(3,\)"),
        (ONES, {"columns": ["a"]}, "columns has 1 names, and a step has 2 features"),
        (ONES, {"index": 3}, "index has 1 ids, and there are 2 sequences"),
        (ONES, {"index": ["u"]}, "index has 1 ids, and there are 2 sequences"),
        (ONES, {"index": ["u", "u"]}, "index has u twice, so two sequences could not be told apart"),
        (ONES, {"index": [("u", 1), ("v", 2)]}, r"id has 1 names, and index holds \('u', 1\); give a list of names"),
        (ONES, {"id": ["a", "b"]}, "id has 2 names, and index holds"),
        (ONES, {"columns": ["id", "b"]}, "several columns of the name id; give each a name of its own"),
        ([named_steps() * 0, named_steps()], {}, "Sample 1 has other categories of 'c' than sample 0"),
        ([named_steps()], {}, "Sample 0 holds 2.0 as 'c', which is no code of its 2 categories"),
    ],
)
def test_sequences_that_make_no_frame_are_refused(sequences, options, message):
    with pytest.raises(ValueError, match=message):
        frame_from_sequences(sequences, **options)


# Padding


@pytest.mark.parametrize("padding_value", [0, -1.5, np.nan])
def test_padding_is_cut_off_and_zeros_within_stay(padding_value):
    samples = [np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]]), np.array([[0.0, 3.0]]), np.ones((5, 2))]
    X = np.full((3, 5, 2), padding_value, dtype=np.float64)
    for row, steps in zip(X, samples, strict=True):
        row[: len(steps)] = steps
    before = X.copy()
    for cut in (
        sequences_from_padded(X, padding_value=padding_value),
        sequences_from_padded(X, lengths=[3, 1, 5]),
    ):
        for steps, got in zip(samples, cut, strict=True):
            np.testing.assert_array_equal(steps, got)
            assert np.shares_memory(X, got)
    np.testing.assert_array_equal(before, X)


def test_rows_are_sequences_of_one_feature():
    assert [[[3], [0], [2]], [[1]]] == [s.tolist() for s in sequences_from_padded([[3, 0, 2, 0], [1, 0, 0, 0]])]
    assert [(4, 1), (4, 1)] == [s.shape for s in sequences_from_padded(np.ones((2, 4), int), padding_value=np.nan)]


@pytest.mark.parametrize(
    "X, options, message",
    [
        (np.zeros((3, 2, 1)), {}, "3 sequences are nothing but padding_value=0, the first of them sample 0; .* Drop"),
        ([[1, 2], [3]], {}, "X makes no array of numbers: .*not padded need no cutting"),
        ([[1, "a"]], {}, "X has dtype <U21, which holds no real numbers"),
        (np.zeros(3), {}, r"X has shape \(3,\); a padded array is"),
        (np.zeros((3, 0, 2)), {}, r"X has shape \(3, 0, 2\)"),
        (np.ma.masked_equal(np.ones((2, 2)), 1), {}, "X has masked entries"),
        (np.ones((2, 3)), {"padding_value": "0"}, "padding_value='0' is no number"),
        (np.ones((2, 3)), {"lengths": [1]}, r"lengths=\[1\] are not the steps of 2 sequences; .* from 1 to 3 for each"),
        (np.ones((2, 3)), {"lengths": [0, 1]}, "are not the steps"),
        (np.ones((2, 3)), {"lengths": [1, 4]}, "are not the steps"),
        (np.ones((2, 3)), {"lengths": [1.0, 2.0]}, "are not the steps"),
    ],
)
def test_padding_that_cannot_be_cut_is_refused(X, options, message):
    with pytest.raises(ValueError, match=message):
        sequences_from_padded(X, **options)


# Layouts


def test_channels_first_become_steps_first_without_a_copy():
    X = np.arange(2 * 3 * 5.0).reshape(2, 3, 5)
    got = sequences_from_array(X, layout="nct")
    np.testing.assert_array_equal(X.transpose(0, 2, 1), got)
    assert np.shares_memory(X, got) and X is sequences_from_array(X)


@pytest.mark.parametrize("collect", [list, tuple, as_objects, pd.Series])
def test_ragged_channels_become_ragged_steps(collect):
    X = [np.arange(6.0).reshape(2, 3), np.arange(10.0).reshape(2, 5)]
    for steps, got in zip(X, sequences_from_array(collect(X), layout="nct"), strict=True):
        np.testing.assert_array_equal(steps.T, got)


@pytest.mark.parametrize("layout", ["ntc", "nct"])
def test_an_axis_less_is_one_feature(layout):
    assert (2, 5, 1) == sequences_from_array(np.ones((2, 5)), layout=layout).shape
    assert [(5, 1), (3, 1)] == [s.shape for s in sequences_from_array([np.ones(5), np.ones(3)], layout=layout)]


def test_arrays_of_other_libraries_are_arrays():
    class Labelled:
        dims = ("n", "c", "t")

        def __array__(self, dtype=None, copy=None):
            return np.ones((2, 3, 5))

    assert (2, 5, 3) == sequences_from_array(Labelled(), layout="nct").shape


@pytest.mark.parametrize(
    "X, layout, message",
    [
        (np.ones((2, 3, 5)), "tnc", "layout='tnc'; it is 'ntc' .* or 'nct'"),
        (np.ones(3), "nct", r"X has shape \(3,\), and layout='nct' wants \(n_samples, n_features, n_steps\)"),
        ([np.ones((2, 3, 5))], "ntc", r"Sample 0 of X has shape \(2, 3, 5\), and layout='ntc' wants \(n_steps, n_feat"),
        ([np.ones((2, 3)), np.ones((2, 5))], "ntc", "Sample 1 of X has 5 features and sample 0 3, .* try 'nct'"),
        ([np.ones((3, 2)), np.ones((5, 2))], "nct", "Sample 1 of X has 5 features and sample 0 3, .* try 'ntc'"),
    ],
)
def test_layouts_that_do_not_fit_are_refused(X, layout, message):
    with pytest.raises(ValueError, match=message):
        sequences_from_array(X, layout=layout)


def test_words_of_data_frames_come_back_as_words():
    samples = [pd.DataFrame({"w": ["u", "v"], "x": [1.0, 2.0]}), pd.DataFrame({"w": ["u", "v"], "x": [3.0, 4.0]})]
    frame = frame_from_sequences(samples)
    assert frame["w"].tolist() == ["u", "v"] * 2 and frame["x"].tolist() == [1.0, 2.0, 3.0, 4.0]
    with pytest.raises(ValueError, match=r"Sample 0 has shape \(3,\).*steps\[:, np.newaxis\]"):
        frame_from_sequences([np.arange(3), np.arange(4)])


def test_one_column_is_wanted_for_order_and_label():
    frame = pd.DataFrame({"id": [1, 1], "x": [1.0, 2.0], "y": [0, 0]})
    for word in ("order", "target"):
        with pytest.raises(ValueError, match=rf"{word}=\['y'\], and one column is wanted there"):
            sequences_from_frame(frame, id="id", **{word: ["y"]})


def test_types_that_few_libraries_know_are_read():
    table = pa.table({"id": [1, 1, 2], "w": pa.array(["b", "a", None]).dictionary_encode()})
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    steps, _ = sequences_from_frame(frame, id="id")
    assert steps[0].categories[0].tolist() == ["a", "b"] and steps[0][:, 0].tolist() == [1, 0]
    wide = pl.DataFrame({"id": [1, 1], "x": pl.Series([1, 2], dtype=pl.Int128)})
    assert sequences_from_frame(wide, id="id")[0][0][:, 0].tolist() == [1.0, 2.0]
