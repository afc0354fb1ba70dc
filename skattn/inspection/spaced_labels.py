"""Labels of steps and tokens on an axis: as many as stand beside each other without touching, at any size."""

from datetime import date, datetime
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skattn.inspection.picture_style import small

MOST_CHARACTERS = 16
"""Longer labels lose their middle."""

_MEASURED = 50
"""Labels that are measured, those of most characters."""

_SIZE = 0.85
"""Font size of labels, as a share of the user's own."""


def read_labels(labels: ArrayLike, count: int, name: str = "labels", of_what: str = "steps") -> list[str]:
    """Turn words, numbers or dates into labels, one for each step.

    Parameters
    ----------
    labels : array-like of shape (count,)
    count : int
    name, of_what : str
        What they are called, and what they stand for, in messages.

    Returns
    -------
    labels : list of str

    Raises
    ------
    ValueError
        If they are not one for each.
    """
    values = np.asarray(labels)
    if values.dtype.kind in "US":
        # NumPy would cut words to bytes, and drop ends of zero.
        values = np.array(list(labels) if not isinstance(labels, str | bytes) else labels, dtype=object)
    if values.ndim != 1 or len(values) != count:
        found = f"{len(values)} {name}" if values.ndim == 1 else f"{name} of shape {values.shape}"
        raise ValueError(f"There are {found} for {count} {of_what}; pass one for each of the {count}.")
    if values.dtype == object and len(values) and all(isinstance(value, date) for value in values.tolist()):
        values = np.array([_without_zone(value) for value in values.tolist()], "datetime64[us]")
    if values.dtype.kind == "M":
        return np.datetime_as_string(values, unit="auto").tolist()
    if values.dtype.kind == "f":
        return [np.format_float_positional(value, precision=6, trim="-") for value in values]
    return [_as_word(value) for value in values.tolist()]


def _without_zone(moment: Any) -> Any:
    """A date, or a moment as its own clock tells it."""
    return moment.replace(tzinfo=None) if isinstance(moment, datetime) else moment


def shorten_label(label: str, most: int = MOST_CHARACTERS) -> str:
    """Leave out the middle of what is long; the end of a word often tells more than its middle."""
    if len(label) <= most:
        return label
    n_end = (most - 1) // 3
    return label[: most - 1 - n_end] + "…" + label[len(label) - n_end :]


def label_steps(axis: Any, labels: list[str], *, turned: bool | None = None, most: int = MOST_CHARACTERS) -> None:
    """Label the places 0, 1, 2, ... of an axis, thinned anew whenever it is drawn.

    Parameters
    ----------
    axis : matplotlib Axis
    labels : list of str
    turned : bool, default=None
        Whether labels of a horizontal axis are read from below. None: words that do not all fit.
    most : int, default=MOST_CHARACTERS
        Characters that a label keeps.
    """
    from matplotlib.ticker import FuncFormatter

    labels = [shorten_label(label, most) for label in labels]
    size, is_horizontal = small(_SIZE), axis.axis_name == "x"
    widest = widest_label(labels, size)
    if turned is None:
        fits = widest + 0.5 * size < _points(axis) / max(1, len(labels))
        turned = is_horizontal and not fits and not all(_is_number(label) for label in labels[:_MEASURED])
    along = widest + 0.6 * size if is_horizontal and not turned else 1.25 * size
    axis.set_major_locator(_locator_class()(len(labels), along, _first_number(labels)))
    axis.set_major_formatter(FuncFormatter(lambda place, _: _label_at(labels, place)))
    axis.set_tick_params(labelsize=size, labelrotation=90 if turned else 0, length=2)


def label_powers(axis: Any) -> None:
    """Label a logarithmic axis with plain numbers, 1, 2 and 5 of each power of ten where there is room for them.

    Parameters
    ----------
    axis : matplotlib Axis
        Vertical.
    """
    from matplotlib.ticker import FuncFormatter, NullLocator

    axis.set_major_locator(_powers_class()(1.6 * small(_SIZE)))
    axis.set_major_formatter(FuncFormatter(lambda level, _: f"{level:g}"))
    axis.set_minor_locator(NullLocator())


def label_numbers(axis: Any) -> None:
    """Label an axis of numbers, a bar of colours for one, with as many round ones as find room.

    Parameters
    ----------
    axis : matplotlib Axis
    """
    size = small(_SIZE)
    axis.set_major_locator(_numbers_class()((2.0 if axis.axis_name == "y" else 4.0) * size))
    axis.set_tick_params(labelsize=size)


def widest_label(labels: list[str], size: float) -> float:
    """Measure the widest of some labels, in points."""
    return max((text_width(label, size) for label in sorted(set(labels), key=len)[-_MEASURED:]), default=0.0)


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Measure a text in points, in the user's font, whatever it will be drawn on."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    return text_to_path.get_text_width_height_descent(text, FontProperties(size=size, weight=weight), ismath=False)[0]


def _as_word(value: Any) -> str:
    """A value as one line; a space alone is shown as a sign, for else nothing would be seen."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return " ".join(text.split()) or "␣"


def _is_number(label: str) -> bool:
    return label.replace(".", "", 1).lstrip("-−").isdigit()


def _first_number(labels: list[str]) -> int | None:
    """The number that labels begin with where they count on from it, so that round ones are shown."""
    first = labels[0] if labels else ""
    counts = first.isdecimal() and labels == [str(int(first) + i) for i in range(len(labels))]
    return int(first) if counts else None


def _label_at(labels: list[str], place: float) -> str:
    number = round(place)
    # A single sign is no mathematics, and neither are two of them.
    return labels[number].replace("$", r"\$") if 0 <= number < len(labels) and number == place else ""


def _points(axis: Any) -> float:
    """Length of an axis in points."""
    box = axis.axes.bbox
    return (box.width if axis.axis_name == "x" else box.height) * 72 / axis.axes.figure.dpi


@cache
def _locator_class() -> type:
    """Where ticks are; made late, as matplotlib is optional."""
    from matplotlib.ticker import Locator

    class SpacedLocator(Locator):
        """Places of labels that leave each other room, evenly spaced."""

        def __init__(self, count: int, along: float, first: int | None):
            self.count, self.along, self.first = count, along, first

        def __call__(self) -> NDArray[Any]:
            return self.tick_values(*self.axis.get_view_interval())

        def tick_values(self, vmin: float, vmax: float) -> NDArray[Any]:
            low, high = sorted((vmin, vmax))
            spacing = self.along * (high - low) / max(_points(self.axis), 1e-9)
            every = max(1, int(np.ceil(min(spacing, 1e9))))
            start = 0
            if self.first is not None:
                every = _round_number(every)
                start = -self.first % every
            places = np.arange(start, self.count, every)
            return places[(places >= low) & (places <= high)]

    return SpacedLocator


@cache
def _numbers_class() -> type:
    """Where ticks of numbers are; made late, as matplotlib is optional."""
    from matplotlib.ticker import MaxNLocator

    class NumbersLocator(MaxNLocator):
        """As many round numbers as leave each other room."""

        def __init__(self, along: float):
            super().__init__(steps=[1, 2, 2.5, 5, 10])
            self.along = along

        def tick_values(self, vmin: float, vmax: float) -> NDArray[Any]:
            n_rooms = int(_points(self.axis) / self.along)
            self.set_params(nbins=min(max(n_rooms, 1), 8))
            places = np.asarray(super().tick_values(vmin, vmax))
            return places if n_rooms > 1 else places[:1]

    return NumbersLocator


@cache
def _powers_class() -> type:
    """Where ticks of a logarithmic axis are; made late, as matplotlib is optional."""
    from matplotlib.ticker import Locator, MaxNLocator

    class PowersLocator(Locator):
        """As many round numbers as leave each other room."""

        def __init__(self, along: float):
            self.along = along

        def __call__(self) -> NDArray[Any]:
            return self.tick_values(*self.axis.get_view_interval())

        def tick_values(self, vmin: float, vmax: float) -> NDArray[Any]:
            low, high = np.log10(sorted((vmin, vmax)))
            a_power = _points(self.axis) / max(high - low, 1e-9)
            powers = np.arange(np.floor(low), np.ceil(high) + 1)
            # From 1 to 2, and from 5 to 10, are three tenths of the way to the next power.
            if 0.3 * a_power >= self.along:
                places = np.add.outer(powers, np.log10([1, 2, 5])).ravel()
            else:
                places = powers[:: max(1, int(np.ceil(self.along / a_power)))]
            found = 10 ** places[(places >= low) & (places <= high)]
            if len(found) > 1 or high - low > 1:
                return found
            # Within a part of a power there may be none of these, or one.
            room = _points(self.axis) / self.along
            plain = MaxNLocator(max(1, min(4, int(room / 2)))).tick_values(10**low, 10**high)
            plain = plain[(plain >= 10**low) & (plain <= 10**high)]
            return plain if len(plain) > len(found) and room >= 2 else found

    return PowersLocator


def _round_number(least: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50, ... that is as large."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power >= least:
                return factor * power
        power *= 10
