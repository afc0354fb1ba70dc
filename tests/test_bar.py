"""The line that says how far work is, on a terminal and in a file, by a clock of the test."""

import io
import math

import pytest

from skattn._training import bar as bar_module
from skattn._training.bar import Bar, clock_time


class Clock:
    """Seconds that go by when the test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds


class Terminal(io.StringIO):
    """Where a line can be rewritten; `screen` is what stands there."""

    def isatty(self):
        return True

    @property
    def screen(self):
        """Lines as a person sees them."""
        lines = []
        for line in self.getvalue().split("\n"):
            shown = ""
            for text in line.split("\r"):
                shown = text + shown[len(text) :]
            lines.append(shown.rstrip())
        return lines


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_on_a_terminal_one_line_is_rewritten(clock, terminal):
    bar = Bar("fit", stream=terminal, clock=clock)
    for share in (0.0, 0.25, 0.5, 1.0):
        bar.show(share, "epoch 1/7" if share < 1 else "done", left=3661 * (1 - share))
        clock.wait(1)
    assert ["fit  100%  [========================]  done  0:03"] == terminal.screen
    bar.end()
    assert ["fit  100%  [========================]  done  0:03", ""] == terminal.screen
    assert "fit   50%  [============>           ]  epoch 1/7  0:02, 30:30 left" in terminal.getvalue()


def test_nothing_is_left_of_a_longer_line(clock, terminal):
    bar = Bar("fit", stream=terminal, clock=clock)
    bar.show(0.5, "a long note on what is being done", left=5)
    clock.wait(1)
    bar.show(0.5, "short", left=5)
    assert terminal.screen[0].endswith("short  0:01, 0:05 left")


def test_a_line_is_rewritten_a_few_times_a_second_at_most(clock, terminal):
    bar = Bar("fit", stream=terminal, clock=clock)
    for number in range(1000):
        bar.show(number / 1000)
        clock.wait(0.001)
    assert 5 == terminal.getvalue().count("\r")


@pytest.mark.parametrize("columns", [12, 40, 57, 80])
def test_no_line_is_wider_than_the_terminal(clock, terminal, monkeypatch, columns):
    """It could not be written over. The times are told for as long as there is room for anything."""
    monkeypatch.setenv("COLUMNS", str(columns))
    bar = Bar("fit", stream=terminal, clock=clock)
    bar.show(0.5, "3 networks, epoch 5/60  loss 0.1234", left=71)
    assert len(terminal.screen[0]) < columns
    assert (columns < 40) != terminal.screen[0].endswith("0:00, 1:11 left")
    assert ("[" in terminal.screen[0]) == (columns == 80)


def test_elsewhere_lines_are_written_now_and_then(clock):
    """One every twentieth of the work, but never more often than every 2 seconds."""
    file = io.StringIO()
    bar = Bar("fit", stream=file, clock=clock)
    for number in range(200):
        bar.show(number / 200, f"update {number}", left=7.0)
        clock.wait(0.5)
    bar.show(1.0, "done")
    bar.end()
    lines = file.getvalue().splitlines()
    assert 21 == len(lines)
    assert ["fit    0%  update 0  0:00, 0:07 left", "fit    5%  update 10  0:05, 0:07 left"] == lines[:2]
    assert "fit  100%  done  1:40" == lines[-1]


def test_elsewhere_slow_work_tells_every_minute_that_it_lives(clock):
    file = io.StringIO()
    bar = Bar("fit", stream=file, clock=clock)
    for _ in range(301):
        bar.show(0.001)
        clock.wait(1)
    assert 6 == len(file.getvalue().splitlines())


def test_work_that_is_soon_done_is_not_told_of(clock, terminal):
    bar = Bar("predict", patience=2.0, stream=terminal, clock=clock)
    for number in range(19):
        bar.show(number / 18)
        clock.wait(0.1)
    bar.end()
    assert "" == terminal.getvalue()


def test_work_without_end_leaves_the_next_line_to_others(clock, terminal):
    """As where Ctrl-C ends it; and what has ended, ends once."""
    bar = Bar("fit", stream=terminal, clock=clock)
    bar.show(0.3, "epoch 2/7", left=5)
    bar.end()
    bar.end()
    assert terminal.getvalue().endswith("0:05 left\n") and 1 == terminal.getvalue().count("\n")


def test_the_last_that_is_known_is_shown_at_the_end(clock, terminal):
    bar = Bar("fit", stream=terminal, clock=clock)
    bar.show(0.3)
    clock.wait(0.01)
    bar.show(0.4)
    bar.end()
    assert "40%" in terminal.screen[0]


def test_others_may_write_where_the_bar_stood(clock, terminal):
    bar = Bar("fit", stream=terminal, clock=clock)
    bar.hide()
    bar.show(0.3)
    bar.hide()
    terminal.write("a warning\n")
    clock.wait(1)
    bar.show(0.4)
    assert "a warning" == terminal.screen[0] and "40%" in terminal.screen[1]


def test_hiding_a_bar_that_is_not_rewritten_writes_nothing(clock):
    file = io.StringIO()
    bar = Bar("fit", stream=file, clock=clock)
    bar.show(0.3)
    before = file.getvalue()
    bar.hide()
    assert before == file.getvalue()


def test_the_time_left_is_judged_without_the_first_piece(clock, terminal):
    """It may have compiled for a minute."""
    bar = Bar("warm_up", stream=terminal, clock=clock)
    clock.wait(60)
    bar.show(0.1)
    assert "left" not in terminal.screen[0]
    clock.wait(2)
    bar.show(0.2)
    assert terminal.screen[0].endswith("1:02, 0:16 left")


def test_what_nobody_knows_is_not_told(clock, terminal):
    Bar("fit", stream=terminal, clock=clock).show(0.4, left=math.nan)
    assert "left" not in terminal.screen[0]


def test_a_terminal_that_cannot_rewrite_gets_lines(clock, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    Bar("fit", stream=terminal, clock=clock).show(0.4, left=1)
    assert "fit   40%  0:00, 0:01 left\n" == terminal.getvalue()


def test_without_standard_output_nothing_is_shown(clock, monkeypatch):
    monkeypatch.setattr(bar_module.sys, "stdout", None)
    bar = Bar("fit", clock=clock)
    bar.show(0.4)
    bar.hide()
    bar.end()
    assert bar.stream is None


@pytest.mark.parametrize(("seconds", "told"), [(0.4, "0:00"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")])
def test_times_are_told_as_by_a_clock(seconds, told):
    assert told == clock_time(seconds)
