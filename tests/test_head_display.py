"""Head reports as pictures: each number in its cell, whatever the report is made of."""

import numpy as np
import pandas as pd
import pytest
from pictures import _closed, labels_of, touching  # noqa: F401
from problems import SMALL, make_ragged

import skattn.inspection
from skattn import SelfAttentionClassifier
from skattn.inspection import HeadDisplay
from skattn.inspection.head_display import MEASURES


def make_report(n_layers=2, n_heads=3, n_networks=1):
    """Columns of a report, each number another."""
    generator, n = np.random.default_rng(0), n_layers * n_heads * n_networks
    report = {name: generator.uniform(0.1, 0.9, size=n) for name in MEASURES}
    report["distance"] = report["distance"] * 7
    report["importance"] = generator.normal(size=n)
    report["network"] = np.repeat(np.arange(n_networks), n_layers * n_heads)
    report["layer"] = np.tile(np.repeat(np.arange(n_layers), n_heads), n_networks)
    report["head"] = np.tile(np.arange(n_heads), n_networks * n_layers)
    report["similar_to"] = np.array(["0.1"] * n, dtype=object)
    return report


KINDS = {
    "frame": pd.DataFrame,
    "dict": dict,
    "record array": lambda report: pd.DataFrame(report).to_records(index=False),
    "structured array": lambda report: np.array(pd.DataFrame(report).to_records(index=False)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_has_a_row_a_head_and_a_column_a_measure(kind):
    report = make_report()
    display = HeadDisplay.from_report(KINDS[kind](report))
    assert list(MEASURES) == display.measures and (6, 10) == display.im_.get_array().shape
    shown = display.im_.get_array()
    np.testing.assert_allclose(shown[:, 0], report["entropy"])
    np.testing.assert_allclose(shown[:, 1], report["distance"] / report["distance"].max())
    texts = [text.get_text() for text in display.ax_.texts]
    assert f"{report['entropy'][0]:.2f}" == texts[0] and f"{report['similarity'][0]:.2f} (0.1)" == texts[7]
    assert "layer 1, head 2" in labels_of(display.figure_) and "Q like K" in labels_of(display.figure_)


def test_grids_have_a_row_a_layer_and_a_column_a_head():
    report = make_report(2, 3, 2)
    display = HeadDisplay.from_report(report, kind="grid")
    np.testing.assert_allclose(display.im_.get_array().ravel(), report["entropy"])
    assert (4, 3) == display.im_.get_array().shape == display.axes_.shape
    assert ["entropy", "steps away"] == [ax.get_title(loc="left") for ax in display.axes_.flat[:2]]
    assert "1.1" in labels_of(display.figure_)
    assert [True] * 10 + [False] * 2 == [ax.get_visible() for ax in display.axes_.flat]


def test_many_heads_are_grids_and_so_is_one_measure():
    assert 10 == len(HeadDisplay.from_report(make_report(7, 7)).images_)
    one = HeadDisplay.from_report(make_report(), measures="entropy")
    assert (2, 3) == one.im_.get_array().shape


def test_heads_that_are_gone_leave_empty_cells():
    report = {name: column[:-1] for name, column in make_report().items()}
    cells = HeadDisplay.from_report(report, measures=["entropy"]).im_.get_array()
    assert [False] * 5 + [True] == np.ma.getmaskarray(cells).ravel().tolist()


@pytest.mark.parametrize("kind, share", [("table", 1), ("table", 0.4), ("grid", 1), ("grid", 0.8)])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (12, 12)])
def test_labels_never_touch(kind, share, shape):
    display = HeadDisplay.from_report(make_report(*shape), kind=kind)
    display.figure_.set_size_inches(display.figure_.get_size_inches() * share)
    assert touching(display.figure_) == []


def test_numbers_that_are_missing_or_round_to_nothing():
    report = make_report(1, 2)
    report["entropy"], report["importance"] = [np.nan, 0.5], [-0.001, 0.2]
    texts = [text.get_text() for text in HeadDisplay.from_report(report).ax_.texts]
    assert ("–", "0.00") == (texts[0], texts[9])
    assert not HeadDisplay.from_report(report, values=False).ax_.texts


def test_numbers_that_find_no_room_are_left_out():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(1, 1))
    assert not HeadDisplay.from_report(make_report(4, 4), ax=ax, kind="table").ax_.texts


def test_names_tell_networks_apart_where_there_are_several():
    assert "layer 0, head 0" == HeadDisplay(make_report()).names[0]
    assert "network 1, layer 1, head 2" == HeadDisplay(make_report(n_networks=2)).names[-1]


def test_a_report_is_made_of_an_estimator(monkeypatch):
    asked = []

    def head_report(model, X, y=None, **keywords):
        asked.append((model, X, y, keywords))
        return make_report()

    monkeypatch.setattr(skattn.inspection, "head_report", head_report, raising=False)
    display = HeadDisplay.from_estimator("model", "X", "y", report_kw={"n": 3}, measures=["entropy", "on_self"])
    assert [("model", "X", "y", {"n": 3})] == asked and ["entropy", "on_self"] == display.measures
    with pytest.raises(TypeError, match="HeadDisplay.plot has no argument 'sort'"):
        HeadDisplay.from_estimator("model", "X", sort=True)
    assert 1 == len(asked)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"layer": None}, "The report has no column 'layer'; pass what head_report gives"),
        ({"head": ["a"] * 6}, "The column 'head' of the report holds no numbers"),
        ({"layer": [0, 0, 0, np.nan, 1, 1]}, "The column 'layer' of the report has missing numbers"),
        (dict.fromkeys(MEASURES), "The report has none of the columns entropy, distance"),
        ({name: [] for name in make_report()}, "The report has no row"),
    ],
)
def test_what_is_no_report_is_refused(changes, message):
    report = {name: column for name, column in (make_report() | changes).items() if column is not None}
    with pytest.raises(ValueError, match=message):
        HeadDisplay(report)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="The report has no column 'entropie'"):
        HeadDisplay(make_report(), measures=["entropie"])
    with pytest.raises(ValueError, match="kind='bars'; a picture of heads is a 'table', a 'grid'"):
        HeadDisplay.from_report(make_report(), kind="bars")


def test_rows_of_several_networks_are_told_apart():
    X = make_ragged(n_samples=12)
    options = SMALL | {"n_layers": 2, "n_estimators": 2, "embedding": "linear"}
    model = SelfAttentionClassifier(**options).fit(X, np.arange(12) % 2)
    display = HeadDisplay.from_estimator(model, X, kind="table")
    display.figure_.canvas.draw()
    told = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert told[0] == "network 0, layer 0, head 0" and len(set(told)) == len(told)
    with pytest.raises(ValueError, match="no column 'importance'; pass what head_report gives with y"):
        HeadDisplay.from_estimator(model, X, measures=["importance"])
