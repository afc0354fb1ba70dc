"""The numbers of a head report as a picture: a table of heads, or for each number a grid of layers and heads."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skattn._wording import shortened
from skattn.inspection.picture_style import (
    GREY,
    add_colorbar,
    check_plot,
    grid_axes,
    import_pyplot,
    ink_on,
    shades,
    small,
    title_of,
)
from skattn.inspection.spaced_labels import label_numbers, label_steps, widest_label

MEASURES = {
    "entropy": "entropy",
    "distance": "steps away",
    "on_self": "on itself",
    "on_previous": "on previous",
    "on_next": "on next",
    "on_first": "on first",
    "on_sinks": "on sinks",
    "similarity": "similarity",
    "query_key_similarity": "Q like K",
    "importance": "importance",
}
"""Columns of a head report that are shown, and what they are called."""

_SCALED = {"distance", "importance"}
"""Those that are no shares: the largest is darkest."""

_MOST_ROWS = 48
_MOST_CHARACTERS = 40
"""Heads up to which a table is drawn."""


class HeadDisplay:
    """What the heads of a model do, in numbers and shades.

    Make one with `from_report` or `from_estimator`; both draw it. Few heads are the rows of a table; many are the cells
    of grids, one a measure, with a row a layer. Shares are shaded from 0 to 1; distances and importance by the largest
    there is.

    Parameters
    ----------
    report : data frame, record array, or dict of columns
        What `head_report` gives: columns "layer" and "head", and some of "entropy", "distance", "on_self",
        "on_previous", "on_next", "on_first", "on_sinks", "similarity", "query_key_similarity" and "importance", or
        others of your own that `measures` names. A column "network" tells several networks apart, and "similar_to" says
        which head is alike.
    measures : list of str, default=None
        Columns to show. None: those above that the report has.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first one.
    axes_ : ndarray of matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage
        The first one; `images_` has all.
    images_ : list of matplotlib AxesImage

    Raises
    ------
    ValueError
        If a column is missing or has no numbers, or there is no head.

    Examples
    --------
    >>> from skattn.inspection import HeadDisplay
    >>> display = HeadDisplay({"layer": [0, 0], "head": [0, 1], "entropy": [0.2, 0.97]})
    >>> display.measures, display.names
    (['entropy'], ['layer 0, head 0', 'layer 0, head 1'])
    """

    def __init__(self, report: Any, *, measures: list[str] | None = None):
        if isinstance(measures, str):
            measures = [measures]
        self.measures = [name for name in MEASURES if _has(report, name)] if measures is None else list(measures)
        if not self.measures:
            raise ValueError(
                f"The report has none of the columns {', '.join(MEASURES)}; name others by measures=[...]."
            )
        self.layers, self.heads = (_read_column(report, name).astype(np.int64) for name in ("layer", "head"))
        has_networks = _has(report, "network")
        self.networks = _read_column(report, "network").astype(np.int64) if has_networks else np.zeros_like(self.layers)
        self.values = np.column_stack([_read_column(report, name, may_miss=True) for name in self.measures])
        self.similar_to = [str(name) for name in report["similar_to"]] if _has(report, "similar_to") else None
        if not len(self.layers):
            raise ValueError("The report has no row; pass one with a row for each head.")

    @property
    def names(self) -> list[str]:
        """What each row is called."""
        ends = [f"layer {layer}, head {head}" for layer, head in zip(self.layers, self.heads, strict=True)]
        if len(set(self.networks.tolist())) == 1:
            return ends
        return [f"network {network}, {end}" for network, end in zip(self.networks, ends, strict=True)]

    @classmethod
    def from_report(cls, report: Any, *, measures: list[str] | None = None, ax: Any = None, **plot_kw: Any) -> Self:
        """Draw a head report.

        Parameters
        ----------
        report, measures : as of the class
        ax : matplotlib Axes, default=None
            Where to draw; several grids take its place. None: a new figure.
        **plot_kw : as in `plot`

        Returns
        -------
        display : HeadDisplay

        Raises
        ------
        ValueError
            As of the class.
        ImportError
            If matplotlib is not installed.
        """
        return cls(report, measures=measures).plot(ax, **plot_kw)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        measures: list[str] | None = None,
        ax: Any = None,
        report_kw: dict[str, Any] | None = None,
        **plot_kw: Any,
    ) -> Self:
        """Make a head report of a fitted estimator, and draw it.

        Parameters
        ----------
        estimator, X, y : as in `head_report`
            With y there is a column of importance: by how much the score falls where a head is silenced.
        measures : list of str, default=None
            Columns to show; None: all.
        ax : matplotlib Axes, default=None
            Where to draw; several grids take its place. None: a new figure.
        report_kw : dict, default=None
            Passed on to `head_report`.
        **plot_kw : as in `plot`

        Returns
        -------
        display : HeadDisplay

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            As in `head_report`.
        ImportError
            If matplotlib is not installed.
        """
        check_plot(cls, plot_kw)
        from skattn.inspection import head_report

        return cls(head_report(estimator, X, y, **(report_kw or {})), measures=measures).plot(ax, **plot_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "auto",
        values: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the report.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; several grids take its place. None: a new figure.
        kind : {"auto", "table", "grid"}, default="auto"
            "table": a row a head, a column a measure. "grid": for each measure a row a layer, a column a head. "auto":
            a table of up to 48 heads, where more than one measure is shown.
        values : bool, default=True
            Whether numbers are written where they find room.
        im_kw : dict, default=None
            Passed on to matplotlib's `imshow`.
        text_kw : dict, default=None
            Passed on to its `text` for the numbers.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If `kind` is something else, or several grids are wanted in axes that were put into a figure by hand.
        ImportError
            If matplotlib is not installed.
        """
        import_pyplot(type(self).__name__)
        if kind not in ("auto", "table", "grid"):
            raise ValueError(f"kind={shortened(repr(kind), 60)}; a picture of heads is a 'table', a 'grid', or 'auto'.")
        if kind == "auto":
            kind = "table" if len(self.names) <= _MOST_ROWS and len(self.measures) > 1 else "grid"
        draw = self._draw_table if kind == "table" else self._draw_grids
        self.images_ = draw(ax, values, im_kw or {}, text_kw or {})
        self.ax_, self.im_ = self.axes_.flat[0], self.images_[0]
        return self

    def _draw_table(self, ax: Any, values: bool, im_kw: dict[str, Any], text_kw: dict[str, Any]) -> list[Any]:
        """A row a head, a column a measure."""
        n_rows, n_columns = self.values.shape
        columns = [MEASURES.get(name, name) for name in self.measures]
        wide = max(0.85, widest_label(columns, small()) / 72 + 0.2)
        size = wide * n_columns + widest_label(self.names, small()) / 72 + 0.4, 0.27 * n_rows + 0.8
        self.figure_, self.axes_ = grid_axes(type(self).__name__, ax, (1, 1), size)
        panel = self.axes_[0, 0]
        shares = np.column_stack([self._shares(number) for number in range(n_columns)])
        image = panel.imshow(shares, **{"cmap": shades(), "vmin": 0, "vmax": 1, "aspect": "auto", **im_kw})
        panel.xaxis.set_ticks_position("top")
        label_steps(panel.xaxis, columns)
        label_steps(panel.yaxis, self.names, most=_MOST_CHARACTERS)
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
        for row in range(1, n_rows):
            is_new = (self.layers[row], self.networks[row]) != (self.layers[row - 1], self.networks[row - 1])
            panel.axhline(row - 0.5, color=GREY if is_new else "white", linewidth=1.0 if is_new else 0.6)
        title_of(panel, "What the heads do")
        if values:
            _write(panel, image, self._words(), text_kw)
        return [image]

    def _draw_grids(self, ax: Any, values: bool, im_kw: dict[str, Any], text_kw: dict[str, Any]) -> list[Any]:
        """For each measure a row a layer and a column a head."""
        rows = sorted(set(zip(self.networks.tolist(), self.layers.tolist(), strict=True)))
        shape = len(rows), int(self.heads.max()) + 1
        n_beside = min(len(self.measures), 3)
        grid = -(-len(self.measures) // n_beside), n_beside
        size = (0.9 + 0.33 * shape[1] + 0.6) * n_beside, (0.7 + 0.33 * shape[0]) * grid[0] + 0.2
        size = max(size[0], 2.6 * n_beside), max(size[1], 1.7 * grid[0])
        self.figure_, self.axes_ = grid_axes(type(self).__name__, ax, grid, size)
        images, words = [], self._words()
        several = len(set(self.networks.tolist())) > 1
        for number, panel in enumerate(self.axes_.flat):
            if number >= len(self.measures):
                panel.set_visible(False)
                continue
            cells, texts = np.full(shape, np.nan), np.full(shape, "", dtype=object)
            for i, place in enumerate(zip(self.networks.tolist(), self.layers.tolist(), strict=True)):
                cells[rows.index(place), self.heads[i]] = self.values[i, number]
                texts[rows.index(place), self.heads[i]] = words[i][number].split(" ")[0]
            scale = {"cmap": shades(), "vmin": 0, "vmax": self._top(number), "aspect": "equal", **im_kw}
            images.append(panel.imshow(cells, **scale))
            self._name_grid(panel, number, [f"{network}.{layer}" if several else str(layer) for network, layer in rows])
            label_numbers(add_colorbar(panel, images[-1], None).ax.yaxis)
            if values:
                _write(panel, images[-1], texts, text_kw)
        return images

    def _name_grid(self, panel: Any, number: int, rows: list[str]) -> None:
        name = self.measures[number]
        title_of(panel, MEASURES.get(name, name), small())
        label_steps(panel.xaxis, [str(head) for head in range(int(self.heads.max()) + 1)])
        label_steps(panel.yaxis, rows)
        panel.set_xlabel("Head", fontsize=small())
        panel.set_ylabel("Network.layer" if "." in rows[0] else "Layer", fontsize=small())
        panel.spines[:].set(color=GREY, linewidth=0.6)

    def _top(self, number: int) -> float:
        """What is darkest: 1 for a share, else the largest value."""
        largest = float(np.nanmax(np.append(self.values[:, number], -np.inf)))
        is_share = self.measures[number] in MEASURES and self.measures[number] not in _SCALED
        return 1.0 if is_share or not 0 < largest < np.inf else largest

    def _shares(self, number: int) -> NDArray[Any]:
        return self.values[:, number] / self._top(number)

    def _words(self) -> list[list[str]]:
        """Numbers as they are written, with the head that is alike."""
        words = []
        for row, of_head in enumerate(self.values):
            words.append(["–" if np.isnan(value) else _two_digits(value) for value in of_head])
            if self.similar_to is not None and "similarity" in self.measures:
                words[-1][self.measures.index("similarity")] += (
                    f" ({self.similar_to[row]})" if self.similar_to[row] else ""
                )
        return words


def _two_digits(value: float) -> str:
    """A number without a sign where it rounds to nothing."""
    return f"{value:.2f}" if abs(value) >= 0.005 else "0.00"


def _has(report: Any, name: str) -> bool:
    try:
        report[name]
    except (KeyError, ValueError, IndexError, TypeError):
        return False
    return True


def _read_column(report: Any, name: str, *, may_miss: bool = False) -> NDArray[np.float64]:
    """A column of numbers."""
    if not _has(report, name):
        given = " with y" if name == "importance" else ""
        raise ValueError(f"The report has no column {name!r}; pass what head_report gives{given}.")
    try:
        column = np.asarray(report[name], dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"The column {name!r} of the report holds no numbers: {shortened(error, 100)}.") from error
    if not may_miss and not np.isfinite(column).all():
        raise ValueError(f"The column {name!r} of the report has missing numbers; each row is a head of a layer.")
    return column


def _write(panel: Any, image: Any, words: Any, text_kw: dict[str, Any]) -> None:
    """Write numbers into cells, as large as finds room, or not at all."""
    cells = image.get_array()
    box, dots = panel.get_window_extent(), panel.figure.dpi / 72
    wide, high = box.width / dots / cells.shape[1], box.height / dots / cells.shape[0]
    texts = [words[row][column] for row, column in np.ndindex(cells.shape)]
    needs = widest_label([text for text in texts if text], 1.0) or 1.0
    size = min(small(), 0.85 * wide / needs, 0.75 * high)
    if size < 4:
        return
    inks = ink_on(image.cmap(image.norm(cells)))
    for (row, column), text in zip(np.ndindex(cells.shape), texts, strict=True):
        style = {"ha": "center", "va": "center", "fontsize": size, "color": inks[row, column], **text_kw}
        panel.text(column, row, text, **style)
