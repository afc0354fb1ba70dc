"""Labels never touch, whatever they say, however many there are and however small the picture."""

import datetime

import matplotlib.pyplot as plt
import numpy as np
import pytest
from pictures import _closed, labels_of, touching  # noqa: F401

from skattn.inspection.spaced_labels import label_powers, label_steps, read_labels, shorten_label

WORDS = ["the", "Donaudampfschifffahrtsgesellschaft", "ß", "naïve", "日本語", "$5", "a b", "x" * 99]
LABELS = {
    "numbers": lambda n: [str(number) for number in range(n)],
    "words": lambda n: [WORDS[number % len(WORDS)] for number in range(n)],
    "spans": lambda n: [f"{7 * number}–{7 * number + 6}" for number in range(n)],
}


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("size", [(1.3, 1.1), (9, 6)])
@pytest.mark.parametrize("count", [1, 3, 31, 500])
@pytest.mark.parametrize("kind", LABELS)
def test_labels_never_touch(kind, count, size):
    figure, ax = plt.subplots(figsize=(4, 3))
    ax.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5))
    for axis in (ax.xaxis, ax.yaxis):
        label_steps(axis, LABELS[kind](count))
    # Of another size than when labels were chosen.
    figure.set_size_inches(size)
    assert labels_of(figure) and touching(figure) == []


def test_all_are_shown_where_there_is_room_and_round_numbers_elsewhere():
    figure, ax = plt.subplots(figsize=(5, 4))
    ax.set(xlim=(-0.5, 100.5), ylim=(-0.5, 4.5))
    label_steps(ax.xaxis, [str(number) for number in range(1, 102)])
    label_steps(ax.yaxis, list("abcde"))
    figure.canvas.draw()
    shown = [label.get_text() for label in ax.get_xticklabels() if label.get_text()]
    assert ["10", "20", "30"] == shown[:3]
    assert list("abcde") == [label.get_text() for label in ax.get_yticklabels()]


def test_more_labels_come_when_one_looks_closer():
    figure, ax = plt.subplots()
    ax.set_xlim(-0.5, 499.5)
    label_steps(ax.xaxis, [str(number) for number in range(500)])
    far = labels_of(figure)
    ax.set_xlim(99.5, 109.5)
    assert "105" in labels_of(figure) and "105" not in far


def test_labels_stand_at_their_steps():
    figure, ax = plt.subplots()
    ax.set_xlim(-0.5, 30.5)
    label_steps(ax.xaxis, [f"w{number}" for number in range(31)])
    figure.canvas.draw()
    assert all(label.get_text() in (f"w{round(label.get_position()[0])}", "") for label in ax.get_xticklabels())


@pytest.mark.parametrize("height", [0.9, 2, 6])
@pytest.mark.parametrize("limits", [(0.09, 2.3), (1e-7, 50.0), (0.4, 0.9)])
def test_powers_never_touch(limits, height):
    figure, ax = plt.subplots(figsize=(3, height))
    ax.set(yscale="log", ylim=limits)
    label_powers(ax.yaxis)
    assert touching(figure) == []
    assert height < 2 or any(label in labels_of(figure) for label in ("0.1", "0.6"))


def test_words_numbers_and_dates_are_labels():
    assert ["a", "␣", "c d"] == read_labels(["a", " ", "c\nd"], 3)
    assert ["0.1", "2"] == read_labels(np.array([0.1, 2.0], dtype=np.float32), 2)
    assert ["2024-05-01", "2024-06-01"] == read_labels(np.array(["2024-05-01", "2024-06-01"], "M8[s]"), 2)
    assert ["é", "日本"] == read_labels(["é".encode(), "日本".encode()], 2)


@pytest.mark.parametrize(
    "labels, found", [(list("abc"), "3 labels"), ("ab", r"labels of shape \(\)"), ([], "0 labels")]
)
def test_there_is_a_label_for_each_step(labels, found):
    with pytest.raises(ValueError, match=f"There are {found} for 2 steps; pass one for each of the 2"):
        read_labels(labels, 2)


def test_long_labels_lose_their_middle():
    assert "Donaudampf…chaft" == shorten_label("Donaudampfschifffahrtsgesellschaft")
    assert "x" * 16 == shorten_label("x" * 16)


def test_signs_of_dollars_are_no_mathematics():
    figure, ax = plt.subplots()
    ax.set_xlim(-0.5, 1.5)
    label_steps(ax.xaxis, ["$x^2$", "$5 and $6"])
    assert [r"\$x^2\$", r"\$5 and \$6"] == labels_of(figure)[:2]


def test_moments_in_a_list_are_told_apart():
    hours = [datetime.datetime(2024, 1, 1, i) for i in range(3)]
    assert read_labels(hours, 3) == ["2024-01-01", "2024-01-01T01:00", "2024-01-01T02:00"]
    assert read_labels([datetime.date(2024, 1, i) for i in (1, 2)], 2) == ["2024-01-01", "2024-01-02"]
    zone = datetime.timezone(datetime.timedelta(hours=5))
    assert read_labels([hours[1].replace(tzinfo=zone)], 1) == ["2024-01-01T01:00"]


@pytest.mark.parametrize("ends", [(1.1, 1.9), (5.5, 9.0), (0.68, 0.69), (0.01, 3.0)])
def test_a_part_of_a_power_has_numbers_too(ends):
    figure, ax = plt.subplots()
    ax.set_yscale("log")
    ax.set_ylim(*ends)
    label_powers(ax.yaxis)
    figure.canvas.draw()
    shown = [place for place in ax.yaxis.get_majorticklocs() if ends[0] <= place <= ends[1]]
    plt.close(figure)
    assert len(shown) >= 2
