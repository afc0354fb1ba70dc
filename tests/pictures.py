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
    """Words of all labels of ticks that are seen, once the figure is drawn."""
    return [label.get_text() for ax in _axes_of(figure) for label in _ticks(ax)]


def touching(figure, *, names=True):
    """Pairs of labels of ticks, and of titles and names of axes, that touch each other, anywhere in the figure."""
    texts = [text for ax in _axes_of(figure) for text in [*_ticks(ax), *(_names(ax) if names else ())]]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    return [(one, other) for (one, a), (other, b) in itertools.combinations(boxes, 2) if a.overlaps(b)]


def _axes_of(figure):
    """Axes that are seen, bars of colours among them."""
    figure.canvas.draw()
    every = [ax for parent in figure.axes for ax in (parent, *parent.child_axes)]
    return [ax for ax in every if ax.get_visible() and ax.axison]


def _ticks(ax):
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if low <= tick.get_loc() <= high:
                yield from (label for label in (tick.label1, tick.label2) if label.get_visible() and label.get_text())


def _names(ax):
    texts = [ax.xaxis.label, ax.yaxis.label, ax.title, ax._left_title]
    return [text for text in texts if text.get_visible() and text.get_text()]
