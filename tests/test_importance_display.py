"""Importance along a signal, of features, and of both."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from pictures import _closed, labels_of, touching  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.utils import Bunch

import skattn.inspection
from skattn.inspection import ImportanceDisplay

GENERATOR = np.random.default_rng(0)
MEAN, SPREAD = GENERATOR.normal(size=7), GENERATOR.uniform(size=7)
SIGNAL = GENERATOR.normal(size=(7, 3))


def make_bunch(**more):
    """Importance of seven steps, or whatever else."""
    return Bunch(importances_mean=MEAN, importances_std=SPREAD, **more)


def test_steps_are_stairs_with_whiskers_under_the_signal():
    display = ImportanceDisplay.from_importances(make_bunch(), signal=SIGNAL)
    stairs = display.bars_.get_data()
    np.testing.assert_array_equal(stairs.values, MEAN)
    np.testing.assert_array_equal(stairs.edges, np.arange(8) - 0.5)
    assert (2, 3) == (len(display.axes_), len(display.lines_)) and display.ax_ is display.axes_[1]
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), SIGNAL[:, 1])
    whiskers = display.ax_.collections[0].get_segments()
    np.testing.assert_allclose([line[:, 1] for line in whiskers], np.column_stack([MEAN - SPREAD, MEAN + SPREAD]))
    # The ground is the darker the more a step matters; what harms is no ground.
    np.testing.assert_array_equal(display.im_.get_array().ravel(), np.maximum(MEAN, 0))
    assert ("Step", "Importance") == (display.ax_.get_xlabel(), display.ax_.get_ylabel())


def test_many_steps_have_a_band():
    mean = np.zeros(101)
    display = ImportanceDisplay.from_importances(Bunch(importances_mean=mean, importances_std=mean + 2))
    assert 2 == len(display.ax_.patches) and not display.ax_.collections
    band = display.ax_.patches[1].get_data()
    assert ({2.0}, {-2.0}) == (set(band.values.tolist()), set(band.baseline.tolist()))


def test_blocks_stand_at_their_steps():
    blocks = np.array([[0, 3], [3, 6], [6, 7]])
    display = ImportanceDisplay.from_importances(Bunch(importances_mean=MEAN[:3], steps=blocks), signal=SIGNAL)
    assert [-0.5, 2.5, 5.5, 6.5] == display.bars_.get_data().edges.tolist()


def test_uneven_times_have_edges_between_them():
    display = ImportanceDisplay.from_importances(MEAN[:4], signal=SIGNAL[:4], times=[0, 1, 5, 6])
    assert [-0.5, 0.5, 3.0, 5.5, 6.5] == display.edges.tolist()
    assert [0, 1, 5, 6] == display.lines_[0].get_xdata().tolist() and "Time" == display.ax_.get_xlabel()
    assert [-0.5, 0.5] == (ImportanceDisplay([1.0], times=[0]).edges).tolist()


@pytest.mark.parametrize("dates", [np.arange("2024-01", "2024-08", dtype="M8[M]"), None])
def test_dates_are_times(dates):
    if dates is None:
        dates = np.arange("2024-01", "2024-08", dtype="M8[M]").astype("M8[D]").astype(object)
    display = ImportanceDisplay.from_importances(MEAN, signal=SIGNAL, times=dates, time_name="Month")
    assert "2024" in labels_of(display.figure_) and "Month" == display.ax_.get_xlabel()
    assert touching(display.figure_) == []


def test_features_are_bars_the_longest_on_top():
    names = [f"f{number}" for number in range(7)]
    display = ImportanceDisplay.from_importances(make_bunch(feature_names=names))
    order = np.argsort(-MEAN)
    np.testing.assert_array_equal([bar.get_width() for bar in display.bars_], MEAN[order])
    assert [names[number] for number in order] == [label.get_text() for label in display.ax_.get_yticklabels()]
    few = ImportanceDisplay.from_importances(MEAN, along="features", most_bars=3)
    assert 3 == len(few.bars_) and "; 4 lesser ones left out" in few.ax_.get_title(loc="left")


def test_steps_and_features_are_a_map():
    both = GENERATOR.normal(size=(7, 3))
    display = ImportanceDisplay.from_importances(both, signal=SIGNAL, feature_names=list("abc"))
    np.testing.assert_array_equal(display.im_.get_array().reshape(3, 7), both.T)
    assert display.bars_ is None and {"a", "b", "c"} < set(labels_of(display.figure_))


def test_what_scikit_learn_gives_is_drawn():
    rows = GENERATOR.normal(size=(23, 3))
    found = permutation_importance(LinearRegression().fit(rows, rows[:, 1]), rows, rows[:, 1], random_state=0)
    display = ImportanceDisplay.from_importances(found, along="features")
    assert "1" == display.ax_.get_yticklabels()[0].get_text()


@pytest.mark.parametrize("count", [1, 3, 31, 500])
@pytest.mark.parametrize("along", ["steps", "features", "both"])
@pytest.mark.parametrize("size", [None, (2.6, 3)])
@pytest.mark.filterwarnings("ignore:constrained_layout not applied")
def test_labels_never_touch(count, along, size):
    names = [f"a feature with a long name {number}" for number in range(count)]
    mean = np.ones((17, count)) if along == "both" else np.ones(count)
    given = {"feature_names": names} if along != "steps" else {"signal": np.ones(count)}
    display = ImportanceDisplay.from_importances(mean, **given)
    if size is not None:
        display.figure_.set_size_inches(size)
    assert touching(display.figure_) == []


def test_steps_that_no_sequence_reaches_are_left_empty():
    mean = np.append(MEAN, np.nan)
    display = ImportanceDisplay.from_importances(mean, signal=SIGNAL[:, 0])
    assert np.isnan(display.bars_.get_data().values[-1]) and 0 == display.im_.get_array().ravel()[-1]


def test_axes_that_are_given_are_drawn_in():
    figure, (left, right) = plt.subplots(1, 2)
    one = ImportanceDisplay.from_importances(MEAN, ax=left, bar_kw={"facecolor": "red"}, name="Fall")
    assert one.ax_ is left and "Fall" == left.get_ylabel()
    two = ImportanceDisplay.from_importances(MEAN, ax=right, signal=np.ones((7, 9)), line_kw={"linewidth": 3})
    assert two.figure_ is figure and not right.axison and {3} == {line.get_linewidth() for line in two.lines_}


@pytest.mark.parametrize("along", ["steps", "features"])
def test_importance_is_measured_for_an_estimator(monkeypatch, along):
    def measure(name):
        def found(model, X, y=None, **keywords):
            assert (model, X, keywords) == ("model", "X", {"n_repeats": 3})
            return make_bunch() if name == "steps" else make_bunch(feature_names=list("abcdefg"))

        return found

    for name in ("step", "feature"):
        monkeypatch.setattr(skattn.inspection, f"{name}_importance", measure(f"{name}s"), raising=False)
    display = ImportanceDisplay.from_estimator("model", "X", "y", along=along, importance_kw={"n_repeats": 3})
    name = display.ax_.get_ylabel() if along == "steps" else display.ax_.get_xlabel()
    assert "Importance (fall of the score)" == name and along == display.along


def test_nothing_is_measured_for_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="along='both'; importance is measured along 'steps' or 'features'"):
        ImportanceDisplay.from_estimator(None, None, along="both")
    with pytest.raises(TypeError, match="ImportanceDisplay.plot has no argument 'colour'"):
        ImportanceDisplay.from_estimator(None, None, colour="red")


@pytest.mark.parametrize(
    "importances, given, message",
    [
        (np.ones((2, 2, 2)), {}, r"importances have shape \(2, 2, 2\)"),
        ([], {}, r"importances have shape \(0,\)"),
        ({"importances": [1.0]}, {}, r"importances have \['importances'\] and no importances_mean"),
        (Bunch(importances_mean=MEAN, importances_std=[1.0]), {}, r"shape \(7,\) and importances_std \(1,\)"),
        (MEAN, {"along": "time"}, "along='time'; importance is along"),
        (MEAN, {"signal": np.ones((2, 2, 2))}, r"signal has shape \(2, 2, 2\)"),
        (MEAN, {"signal": np.ones(9)}, "The signal has 9 steps and importance 7"),
        (MEAN, {"times": [1, 2]}, r"There are times of shape \(2,\) for 7 steps"),
        (MEAN, {"times": [0, 1, 2, 2, 3, 4, 5]}, "times do not rise"),
        (MEAN, {"feature_names": ["a"]}, "There are 1 feature_names for 7 features"),
        (MEAN, {"along": "features", "signal": MEAN}, "Importance of features has no steps"),
        (make_bunch(steps=[[0, 2]]), {}, r"steps have shape \(1, 2\) for 7 importances"),
    ],
)
def test_what_does_not_fit_is_refused(importances, given, message):
    with pytest.raises(ValueError, match=message):
        ImportanceDisplay(importances, **given)
