"""Maps of attention as pictures: one, or a grid of layers and heads of a sequence."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skattn.inspection.attention_blocks import block_size, in_blocks
from skattn.inspection.chosen_maps import choose_maps, read_maps
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
from skattn.inspection.spaced_labels import label_numbers, label_steps, read_labels, text_width, widest_label

_MOST_VALUES = 12
"""Rows and columns of a map up to which its shares are written into the cells."""

_MOST_BESIDE = 4
"""Heads of one layer that stand beside each other."""


class AttentionDisplay:
    """What each step of a sequence attends to.

    Make one with `from_estimator` or `from_weights`; both draw it. All maps of a display share one scale, so that equal
    shades are equal shares.

    Parameters
    ----------
    weights : array-like of shape (n_rows, n_columns) or (n_heads, n_rows, n_columns), or a list of such arrays
        One map, those of several heads, or, in a list, the heads of each layer.
    labels : array-like of shape (n_columns,), default=None
        Words, numbers or dates of the steps; None: they are counted from 0 on.
    query_labels : array-like of shape (n_rows,), default=None
        Those of the rows; None: as `labels` where the map is square, counted otherwise.
    titles : list of str, default=None
        One for each map. None: they are counted where there are several.
    unit : str, default="step"
        What a row and a column is: "step", "token", "word", "point", ...

    Attributes
    ----------
    maps : list of ndarray of shape (n_heads, n_rows, n_columns)
        An array a layer.
    ax_ : matplotlib Axes
        Of the first map.
    axes_ : ndarray of shape (n_grid_rows, n_grid_columns), of matplotlib Axes
        Axes of the grid; those without a map are invisible.
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage
        Of the first map; `images_` has those of all.
    images_ : list of matplotlib AxesImage
    colorbar_ : matplotlib Colorbar or None
    block_size_ : int
        Steps in a row and a column of the picture.

    Raises
    ------
    ValueError
        If weights have another shape or are no shares, or there are not as many labels as steps.

    Examples
    --------
    >>> from skattn.inspection import AttentionDisplay
    >>> display = AttentionDisplay([[0.9, 0.1], [0.2, 0.8]], labels=["not", "bad"], unit="word")
    >>> display.maps[0].shape, display.labels
    ((1, 2, 2), ['not', 'bad'])
    """

    def __init__(
        self,
        weights: Any,
        *,
        labels: ArrayLike | None = None,
        query_labels: ArrayLike | None = None,
        titles: list[str] | None = None,
        unit: str = "step",
    ):
        self.maps = read_maps(weights)
        n_rows, n_columns = self.maps[0].shape[1:]
        self.labels = (
            None if labels is None else read_labels(labels, n_columns, of_what=f"{unit}s that are attended to")
        )
        if query_labels is None and n_rows == n_columns:
            query_labels = self.labels
        if query_labels is not None:
            query_labels = read_labels(query_labels, n_rows, "query_labels", f"{unit}s that attend")
        self.query_labels, self.unit = query_labels, unit
        n_maps = sum(map(len, self.maps))
        self.titles = _default_titles(self.maps) if titles is None else list(titles)
        if len(self.titles) != n_maps:
            raise ValueError(f"There are {len(self.titles)} titles for {n_maps} maps; pass one for each.")

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        sequence: int = 0,
        layer: int | None = -1,
        head: int | None = None,
        average: bool = False,
        steps: ArrayLike | None = None,
        network: int = 0,
        over: str = "tokens",
        labels: ArrayLike | None = None,
        unit: str | None = None,
        ax: Any = None,
        **plot_kw: Any,
    ) -> Self:
        """Draw maps of one sequence, as a fitted estimator computes them.

        Parameters
        ----------
        estimator : fitted estimator of skattn, or a pipeline that ends with one
        X : sequences, as `fit` takes them
        sequence : int, default=0
            Which of X.
        layer : int, default=-1
            Which; None: all, a row each.
        head : int, default=None
            Which; None: all, beside each other.
        average : bool, default=False
            Whether the mean over the heads is drawn.
        steps : int array-like, default=None
            Rows to draw: what these attend to. None: all.
        network : int, default=0
            Which of the `n_estimators` networks.
        over : {"tokens", "steps"}, default="tokens"
            Whether rows and columns behind a stem or patches are its tokens, labelled by the steps that they stand for,
            or are spread over steps; see `attention_weights`.
        labels : array-like, default=None
            A label for each step, or for each token. None: the words, where a `TokenSequencer` stands in the pipeline;
            else they are counted from 0 on.
        unit : str, default=None
            What a row and a column is; None: "step", "token" or "word", as it comes.
        ax : matplotlib Axes, default=None
            Where to draw; a grid takes its place. None: a new figure.
        **plot_kw : as in `plot`

        Returns
        -------
        display : AttentionDisplay

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If a number is out of range or no whole number, there are not as many labels as steps, or the estimator has
            no attention.
        ImportError
            If matplotlib is not installed.
        """
        check_plot(cls, plot_kw)
        where = {"sequence": sequence, "layer": layer, "head": head, "average": average, "network": network}
        chosen = choose_maps(estimator, X, over=over, steps=steps, labels=labels, **where)
        columns = chosen.labels or [str(number) for number in range(chosen.weights[0].shape[2])]
        queries = None if steps is None else [columns[row] for row in chosen.rows]
        named = {"labels": chosen.labels, "query_labels": queries, "titles": chosen.titles}
        return cls(chosen.weights, **named, unit=unit or chosen.unit).plot(ax, **plot_kw)

    @classmethod
    def from_weights(
        cls,
        weights: Any,
        *,
        labels: ArrayLike | None = None,
        query_labels: ArrayLike | None = None,
        titles: list[str] | None = None,
        unit: str = "step",
        ax: Any = None,
        **plot_kw: Any,
    ) -> Self:
        """Draw maps that are at hand: an entry of `attention_weights`, or one of a function or library of your own.

        Parameters
        ----------
        weights, labels, query_labels, titles, unit : as of the class
        ax : matplotlib Axes, default=None
            Where to draw; a grid takes its place. None: a new figure.
        **plot_kw : as in `plot`

        Returns
        -------
        display : AttentionDisplay

        Raises
        ------
        ValueError
            As of the class.
        ImportError
            If matplotlib is not installed.
        """
        named = {"labels": labels, "query_labels": query_labels, "titles": titles}
        return cls(weights, **named, unit=unit).plot(ax, **plot_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        most_cells: int = 120,
        values: bool | None = None,
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the maps.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a grid takes its place. None: a new figure.
        most_cells : int, default=120
            Rows and columns of a picture. Longer sequences are cut into blocks of equally many steps: what the steps of
            a block get is summed and what its steps give is averaged, so that rows still sum to 1. The colour bar says
            how long blocks are.
        values : bool, default=None
            Whether the shares are written into the cells. None: in one map of up to 12 rows and columns.
        colorbar : bool, default=True
            Whether there is one.
        im_kw : dict, default=None
            Passed on to matplotlib's `imshow`: ``{"vmax": 1}``, ``{"cmap": "Greys"}``.
        text_kw : dict, default=None
            Passed on to its `text` for the shares in the cells.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If `most_cells` is less than 1, or a grid is wanted in axes that were put into a figure by hand.
        ImportError
            If matplotlib is not installed.
        """
        import_pyplot(type(self).__name__)
        if most_cells < 1:
            raise ValueError(f"most_cells={most_cells} leaves no cell; a map has 1 or more rows and columns.")
        n_rows, n_columns = self.maps[0].shape[1:]
        size = self.block_size_ = block_size(max(n_rows, n_columns), most_cells)
        blocks = [block for of_layer in self.maps for block in in_blocks(of_layer, size)]
        places = _places([len(of_layer) for of_layer in self.maps], ax)
        shape = tuple(int(edge) + 1 for edge in np.max(places, axis=0))
        self.figure_, self.axes_ = grid_axes(type(self).__name__, ax, shape, self._inches(shape))
        top = max(float(block.max()) for block in blocks) or 1.0
        scale = {"cmap": shades(), "vmin": 0.0, "vmax": top, **(im_kw or {})}
        self.images_ = [
            self._draw(self.axes_[place], *block, scale) for place, *block in zip(places, blocks, strict=True)
        ]
        self.ax_, self.im_ = self.axes_[places[0]], self.images_[0]
        self._name(places)
        if values or (values is None and len(blocks) == 1 and max(blocks[0].shape) <= _MOST_VALUES):
            for place, block, image in zip(places, blocks, self.images_, strict=True):
                _write_shares(self.axes_[place], block, image, text_kw or {})
        self.colorbar_ = self._add_colorbar(places) if colorbar else None
        return self

    def _inches(self, shape: tuple[int, int]) -> tuple[float, float]:
        """Width and height of a new figure."""
        n_rows, n_columns = self.maps[0].shape[1:]
        side = 4.2 if shape == (1, 1) else 2.3 if max(shape) <= 4 else 1.6
        labels = [*(self.labels or []), *(self.query_labels or [])]
        margin = min(1.3, widest_label(labels, small()) / 72)
        height = side * min(max(n_rows / n_columns, 0.3), 2.5)
        return shape[1] * side + 1.5 + margin, shape[0] * (height + 0.25) + 0.45 + margin

    def _draw(self, ax: Any, block: NDArray[Any], scale: dict[str, Any]) -> Any:
        """One map; cells are counted in steps, so that labels stand where their steps are."""
        n_rows, n_columns = self.maps[0].shape[1:]
        size = self.block_size_
        right, bottom = (size * count - 0.5 for count in (block.shape[1], block.shape[0]))
        image = ax.imshow(block, **{"extent": (-0.5, right, bottom, -0.5), "aspect": "equal", **scale})
        # The last block may have fewer steps than the others.
        ax.set(xlim=(-0.5, n_columns - 0.5), ylim=(n_rows - 0.5, -0.5))
        ax.spines[:].set(color=GREY, linewidth=0.6)
        return image

    def _name(self, places: list[tuple[int, int]]) -> None:
        """Titles, labels of steps at the outer edges, and what rows and columns are."""
        n_rows, n_columns = self.maps[0].shape[1:]
        is_grid = len(places) > 1
        for place, title in zip(places, self.titles, strict=True):
            ax = self.axes_[place]
            whole = title if is_grid else f"What each {self.unit} attends to" + (f": {title}" if title else "")
            room = ax.bbox.width * 72 / self.figure_.dpi
            title_of(
                ax, whole, min(small(1.0 if is_grid else 1.1), small() * room / max(1.0, text_width(whole, small())))
            )
            label_steps(ax.xaxis, self.labels or [str(number) for number in range(n_columns)])
            label_steps(ax.yaxis, self.query_labels or [str(number) for number in range(n_rows)])
            is_lowest = (place[0] + 1, place[1]) not in places
            ax.tick_params(labelbottom=is_lowest, labelleft=place[1] == 0, bottom=is_lowest, left=place[1] == 0)
            if is_lowest:
                ax.set_xlabel(f"To {self.unit}")
            if place[1] == 0:
                ax.set_ylabel(f"From {self.unit}")
        for place in np.ndindex(self.axes_.shape):
            if place not in places:
                self.axes_[place].set_visible(False)

    def _add_colorbar(self, places: list[tuple[int, int]]) -> Any:
        """A bar beside the maps, which says what a shade is a share of."""
        label = (
            "Share of attention"
            if self.block_size_ == 1
            else f"Share of attention, blocks of {self.block_size_} {self.unit}s"
        )
        beside = {} if len(places) == 1 else {"axes": [self.axes_[place] for place in places], "aspect": 40}
        bar = add_colorbar(self.ax_, self.im_, label, **beside)
        label_numbers(bar.ax.yaxis)
        return bar


def _default_titles(maps: list[NDArray[Any]]) -> list[str]:
    """Numbers of layers and heads where there are several."""
    if len(maps) > 1:
        return [f"layer {layer}, head {head}" for layer, of_layer in enumerate(maps) for head in range(len(of_layer))]
    return [f"head {head}" for head in range(len(maps[0]))] if len(maps[0]) > 1 else [""]


def _places(n_heads: list[int], ax: Any) -> list[tuple[int, int]]:
    """Row and column of each map: a row a layer, or heads of one layer in rows of a few, as suits the axes."""
    if len(n_heads) > 1:
        return [(layer, head) for layer, count in enumerate(n_heads) for head in range(count)]
    count, n_beside = n_heads[0], _MOST_BESIDE
    if ax is not None:
        # The number by which maps are largest.
        width, height = ax.bbox.width, ax.bbox.height
        n_beside = max(range(1, count + 1), key=lambda beside: min(width / beside, height / -(-count // beside)))
    return [divmod(head, n_beside) for head in range(count)]


def _write_shares(ax: Any, block: NDArray[Any], image: Any, text_kw: dict[str, Any]) -> None:
    """The shares in the cells of a map; those that round to nothing are left out."""
    inks = ink_on(image.cmap(image.norm(block)))
    left, right, bottom, top = image.get_extent()
    for (row, column), share in np.ndenumerate(block):
        place = (
            left + (column + 0.5) * (right - left) / block.shape[1],
            top + (row + 0.5) * (bottom - top) / block.shape[0],
        )
        style = {"color": inks[row, column], "fontsize": small(), "ha": "center", "va": "center", **text_kw}
        if share >= 0.005:
            ax.text(*place, f"{share:.2f}".removeprefix("0"), **style)
