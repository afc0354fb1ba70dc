"""Words in lines, as a page of text has them: where each stands, and curves from one to another."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skattn.inspection.spaced_labels import text_width


@dataclass(frozen=True)
class Place:
    """Where a word stands; in points, x to the right and y upwards from the top of its text, so negative.

    Attributes
    ----------
    left, width : float
        Of its box.
    top : float
        Of its box.
    line : int
        From 0 on.
    """

    left: float
    width: float
    top: float
    line: int

    @property
    def centre(self) -> float:
        """Middle of the box from left to right."""
        return self.left + self.width / 2


@dataclass(frozen=True)
class Measures:
    """Sizes of a text, in points.

    Attributes
    ----------
    font : float
        Size of the font.
    """

    font: float

    @property
    def padding(self) -> float:
        """From a word to the left and right edges of its box."""
        return 0.3 * self.font

    @property
    def gap(self) -> float:
        """Between boxes."""
        return 0.25 * self.font

    @property
    def box(self) -> float:
        """Height of a box."""
        return 1.6 * self.font

    @property
    def above(self) -> float:
        """Room over a line, for arcs."""
        return 2.1 * self.font

    @property
    def below(self) -> float:
        """Room under a line, for numbers."""
        return 1.1 * self.font

    @property
    def line(self) -> float:
        """Height of a line with its rooms."""
        return self.above + self.box + self.below


def place_words(words: list[str], measures: Measures, width: float) -> list[Place]:
    """Put words into lines of a width.

    Parameters
    ----------
    words : list of str
    measures : Measures
    width : float
        In points. A word that is wider stands in a line of its own.

    Returns
    -------
    places : list of Place
        One for each word.
    """
    places, left, line = [], 0.0, 0
    for word in words:
        # No box is narrower than a number under it.
        needs = max(text_width(word, measures.font), 1.5 * measures.font) + 2 * measures.padding
        if left > 0 and left + needs > width:
            left, line = 0.0, line + 1
        places.append(Place(left, needs, -line * measures.line - measures.above, line))
        left += needs + measures.gap
    return places


def arc_between(start: Place, end: Place, measures: Measures, longest: float) -> Any:
    """Draw a curve from a word to another: over the line, or from line to line.

    Parameters
    ----------
    start, end : Place
    measures : Measures
    longest : float
        The farthest that arcs over a line go; such a one takes all the room.

    Returns
    -------
    path : matplotlib Path
    """
    from matplotlib.path import Path

    codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    if start.line == end.line:
        share = abs(start.centre - end.centre) / max(longest, 1e-9)
        # A cubic curve rises to three quarters of where it is drawn to.
        top = start.top + measures.above * (0.35 + 0.55 * share) / 0.75
        corners = [(start.centre, start.top), (start.centre, top), (end.centre, top), (end.centre, end.top)]
        return Path(corners, codes)
    is_down = end.line > start.line
    begin = start.top - measures.box if is_down else start.top
    # From below no curve strikes out the number under a word.
    finish = end.top if is_down else end.top - measures.box - measures.below
    bend = 0.5 * (begin - finish)
    corners = [(start.centre, begin), (start.centre, begin - bend), (end.centre, finish + bend), (end.centre, finish)]
    return Path(np.array(corners), codes)
