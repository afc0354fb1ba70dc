"""Pictures that tests look at: drawn where nobody sees them, and measured."""

import itertools

import matplotlib
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def _closed():
    """Close what a test has drawn."""
    yield
    plt.close("all")


def labels_of(figure):
    """Words of all labels of steps that are seen, once the figure is drawn."""
    return [label.get_text() for axis in _axes_of(figure) for label in _seen(axis)]


def touching(figure):
    """Pairs of labels of one axis that touch each other."""
    pairs = []
    for axis in _axes_of(figure):
        boxes = [(label.get_text(), label.get_window_extent()) for label in _seen(axis)]
        pairs += [(one, other) for (one, a), (other, b) in itertools.combinations(boxes, 2) if a.overlaps(b)]
    return pairs


def _axes_of(figure):
    figure.canvas.draw()
    return [axis for ax in figure.axes if ax.get_visible() and ax.axison for axis in (ax.xaxis, ax.yaxis)]


def _seen(axis):
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    labels = [label for tick in ticks for label in (tick.label1, tick.label2)]
    return [label for label in labels if label.get_visible() and label.get_text()]
