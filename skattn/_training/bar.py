"""Say how far long work is: a line rewritten in place on a terminal, a line now and then elsewhere."""

import math
import os
import shutil
import sys
import time

BETWEEN = 0.2
"""Seconds between two looks of a line that is rewritten."""

LEAST_BETWEEN, MOST_BETWEEN = 2.0, 60.0
"""Seconds between two lines where none can be rewritten, as in a file or a notebook."""

STRIDE = 0.05
"""Share of the work between two such lines, if it is done between the two times above."""

TOLD_AFTER = 0.5
"""Seconds of work from which it is told how long the rest will take."""

WIDTH, LEAST_WIDTH = 24, 6
"""Characters of the bar itself, where there is room; with less than the second it is left out."""


class Bar:
    """Tells on standard output how far some work is, how long it has taken, and how long it will.

    Where the output is a terminal, one line is rewritten a few times a second; elsewhere lines are written, at most one
    every `LEAST_BETWEEN` seconds and at least one every `MOST_BETWEEN`, and the last one always.

    Parameters
    ----------
    title : str
        What the line begins with.
    patience : float, default=0.0
        Seconds in which nothing is shown; what is done by then is never told of.
    stream : file, default=None
        None: standard output as it is now.
    clock : callable () -> float, default=None
        Seconds; None: `time.perf_counter`.
    """

    def __init__(self, title, *, patience=0.0, stream=None, clock=None):
        self.title, self.stream = title, sys.stdout if stream is None else stream
        self.clock = time.perf_counter if clock is None else clock
        self.is_rewritten = _is_terminal(self.stream)
        self.start = self.clock()
        self._next, self._next_share, self._latest = self.start + patience, 0.0, self.start
        self._n_written, self._shown, self._last, self._first = 0, None, None, None

    def show(self, share, note="", left=None):
        """Say that a share of the work is done.

        Parameters
        ----------
        share : float
            From 0 to 1.
        note : str, default=""
        left : float, default=None
            Seconds that the rest will take, NaN where nobody knows; None: judged by what was done since the first
            share, which may have compiled, or loaded libraries.
        """
        now = self.clock()
        gone = now - self.start
        self._last = share, note, gone, self._judge(share, now) if left is None else left
        is_far = self.is_rewritten or share >= self._next_share or now >= self._latest + MOST_BETWEEN
        if now >= self._next and is_far:
            self._write(now)

    def _judge(self, share, now):
        """How long the rest will take at the speed so far; NaN before that is known."""
        if self._first is None and share > 0:
            self._first = share, now
        if self._first is None or share <= self._first[0] or now < self._first[1] + TOLD_AFTER:
            return math.nan
        return (now - self._first[1]) * (1 - share) / (share - self._first[0])

    def hide(self):
        """Take away the line that is being rewritten, so that others can write."""
        if self.is_rewritten and self._n_written:
            self.stream.write("\r" + " " * self._n_written + "\r")
            self.stream.flush()
            self._n_written = 0

    def end(self):
        """Leave the last that is known on a line of its own, if anything was shown."""
        if self._last is not None and (self._shown is not None or self.clock() >= self._next):
            if self._shown != self._last:
                self._write(self.clock())
            if self._n_written:
                self.stream.write("\n")
                self.stream.flush()
        self._last, self._n_written = None, 0

    def _write(self, now):
        share, note, gone, left = self._shown = self._last
        self._latest, self._next_share = now, share + STRIDE
        self._next = now + (BETWEEN if self.is_rewritten else LEAST_BETWEEN)
        if self.stream is None:  # as under pythonw
            return
        times = clock_time(gone) + ("" if math.isnan(left) or share >= 1 else f", {clock_time(left)} left")
        if not self.is_rewritten:
            self.stream.write(_join(self.title, share, "", note, times) + "\n")
        else:
            self._rewrite(share, note, times)
        self.stream.flush()

    def _rewrite(self, share, note, times):
        """Write over what stands there; a line that is too long for the terminal could not be written over."""
        room = shutil.get_terminal_size().columns - 1
        free, drawn = room - len(_join(self.title, share, "", note, times)), ""
        if free < 0:
            note = note[: max(0, len(note) + free)].rstrip()
        width = min(WIDTH, free - len("[]  "))
        if width >= LEAST_WIDTH:
            n_full = int(width * share)
            drawn = f"[{'=' * n_full}{'>' * (n_full < width)}{' ' * (width - n_full - 1)}]"
        text = _join(self.title, share, drawn, note, times)[:room]
        self.stream.write("\r" + text.ljust(self._n_written))
        self._n_written = len(text)


def _join(title, share, drawn, note, times):
    """What there is to tell, in a line; 100% is the end, and nothing that only rounds to it."""
    return "  ".join(filter(None, [title, f"{int(100 * share):3d}%", drawn, note, times]))


def clock_time(seconds):
    """Seconds as a clock tells them: 0:07, 12:34, 1:02:03."""
    seconds = round(seconds)
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _is_terminal(stream):
    """Whether a line can be rewritten there."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
