"""Colours, fonts and frames that all pictures share: told apart in print, in grey and by every kind of eye."""

from functools import cache
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHADES = (
    *("#fafbfc", "#ddefff", "#c3e3ff", "#a6d6ff", "#8ccafd", "#75bcf7", "#60afef", "#4da2e5", "#3c94d9"),
    *("#2e87cc", "#257abc", "#206dac", "#20609a", "#225487", "#234773", "#233c5f", "#22304a"),
)
"""One hue in even steps of lightness (L* of CIELAB), so that twice as dark is twice as much."""

INK, GREY, PALE = "#1f2933", "#5f6b7a", "#d5dbe3"
"""Text and frames; what stands behind; lines that hardly show."""

LINES = (
    *(("#1f5a8c", "-"), ("#d55e00", "--"), ("#009e73", "-."), ("#8c4a86", (0, (1, 1.2)))),
    *(("#b8860b", (0, (5, 1, 1, 1, 1, 1))), ("#4d4d4d", (0, (8, 2)))),
)
"""Colour and dashes of one line after another: those of no pair are told apart by colour alone."""


def check_plot(display: type, plot_kw: dict[str, Any]) -> None:
    """Refuse what `plot` would refuse, before anything is computed for it.

    Parameters
    ----------
    display : type
    plot_kw : dict
        What `plot` will be passed.

    Raises
    ------
    TypeError
        If `plot` has no such argument.
    ImportError
        If matplotlib is not installed.
    """
    known = list(signature(display.plot).parameters)[2:]
    unknown = sorted(set(plot_kw) - set(known))
    if unknown:
        raise TypeError(f"{display.__name__}.plot has no argument {unknown[0]!r}; it has {', '.join(known)}.")
    import_pyplot(display.__name__)


def import_pyplot(display: str) -> Any:
    """Import matplotlib's pyplot for a display.

    Parameters
    ----------
    display : str
        Who wants to draw.

    Returns
    -------
    pyplot : module

    Raises
    ------
    ImportError
        If matplotlib is not installed; says how to.
    """
    try:
        import matplotlib.pyplot as pyplot
    except ImportError as error:
        raise ImportError(f'{display} draws with matplotlib; install it with: pip install "skattn[plot]"') from error
    return pyplot


@cache
def shades() -> Any:
    """Give the colour map of shares: white is nothing, dark blue is most."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("skattn_shades", _SHADES)


def ink_on(colours: NDArray[Any]) -> NDArray[Any]:
    """Say which of white and ink is read more easily on each colour.

    Parameters
    ----------
    colours : ndarray of shape (..., 4)
        Red, green, blue and opacity, from 0 to 1.

    Returns
    -------
    inks : ndarray of shape (...), of str
    """
    # Relative luminance of sRGB, as the guidelines for accessible web content define it.
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return np.where(linear[..., :3] @ [0.2126, 0.7152, 0.0722] < 0.22, "white", INK)


def line_of(number: int) -> dict[str, Any]:
    """Give colour and dashes of the line with a number, from 0 on."""
    colour, dashes = LINES[number % len(LINES)]
    return {"color": colour, "linestyle": dashes}


def small(factor: float = 0.85) -> float:
    """Give a font size in points, as a share of the user's own."""
    from matplotlib import rcParams

    return factor * rcParams["font.size"]


def open_frame(ax: Any, *, grid: str | None = "y") -> None:
    """Leave the left and the lower edge of axes, and pale lines across."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(color=GREY)
    if grid is not None:
        ax.grid(axis=grid, color=PALE, linewidth=0.7)
        ax.set_axisbelow(True)


def title_of(ax: Any, title: str | None, size: float | None = None) -> None:
    """Write a title at the left, as it stands: signs of dollars are no mathematics."""
    if title:
        ax.set_title(title, loc="left", fontsize=size or small(1.1), color=INK, parse_math=False)


def add_colorbar(ax: Any, image: Any, label: str | None, *, axes: Any = None, bounds: Any = None, **bar_kw: Any) -> Any:
    """Say what shades stand for.

    Parameters
    ----------
    ax : matplotlib Axes
        Whose picture it is.
    image : matplotlib ScalarMappable
    label : str or None
    axes : list of matplotlib Axes, default=None
        The bar stands beside these. None: it stands in `ax`.
    bounds : tuple of float, default=None
        Where in `ax`; None: at its right, exactly as high, for the cells of a map may be squares.
    **bar_kw : passed on to `colorbar`

    Returns
    -------
    colorbar : matplotlib Colorbar
    """
    place = {"cax": ax.inset_axes(bounds or (1.03, 0, 0.04, 1))} if axes is None else {"ax": axes, "pad": 0.02}
    bar = ax.figure.colorbar(image, **place, **bar_kw)
    bar.outline.set_visible(False)
    bar.ax.tick_params(color=GREY)
    if label is not None:
        bar.set_label(label)
    return bar


def grid_axes(display: str, ax: Any, shape: tuple[int, int], size: tuple[float, float], **grid_kw: Any) -> Any:
    """Make a grid of axes: in a figure of its own, or where axes stand that are given.

    Parameters
    ----------
    display : str
        Who draws, for the message.
    ax : matplotlib Axes or None
        Axes whose place the grid takes. None: a new figure.
    shape : tuple of int
        Rows and columns.
    size : tuple of float
        Width and height in inches of a new figure.
    **grid_kw : ratios and spaces, as of matplotlib's `GridSpec`

    Returns
    -------
    figure : matplotlib Figure
    axes : ndarray of shape `shape`, of matplotlib Axes

    Raises
    ------
    ValueError
        If a grid is wanted in axes that were put into the figure by hand.
    """
    pyplot = import_pyplot(display)
    if ax is None:
        figure = pyplot.figure(figsize=size, layout="constrained")
        return figure, figure.add_gridspec(*shape, **grid_kw).subplots(squeeze=False)
    figure = ax.figure
    if shape == (1, 1):
        return figure, np.array([[ax]], dtype=object)
    if ax.get_subplotspec() is None:
        raise ValueError(
            f"{display} draws {shape[0]} x {shape[1]} pictures in place of ax, which belongs to no grid; "
            "make it with plt.subplots or figure.add_subplot, or leave ax out."
        )
    ax.set_axis_off()
    places = ax.get_subplotspec().subgridspec(*shape, **grid_kw)
    axes = np.array([figure.add_subplot(place) for place in places], dtype=object)
    return figure, axes.reshape(shape)
