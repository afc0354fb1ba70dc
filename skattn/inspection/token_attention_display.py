"""A text with what one of its words attends to: shades behind the words, and arcs to them."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skattn.inspection.chosen_maps import choose_maps, find_query, read_maps
from skattn.inspection.picture_style import (
    INK,
    LINES,
    add_colorbar,
    check_plot,
    grid_axes,
    import_pyplot,
    ink_on,
    shades,
    small,
)
from skattn.inspection.spaced_labels import label_numbers, read_labels, shorten_label, text_width
from skattn.inspection.text_lines import Measures, Place, arc_between, place_words

_MOST_CHARACTERS = 28
"""Longer words lose their middle."""

_LEAST = 230.0
"""Points that a figure is wide at least: so much takes the bar of colours."""

_EDGE = 6.0
"""Points around the text, so that frames and arcs are not cut."""


class TokenAttentionDisplay:
    """What one word of a text attends to, in the text itself.

    Make one with `from_estimator` or `from_weights`; both draw it. The darker the ground of a word, the more attention
    it gets; arcs lead to the words that get most, whose shares stand under them. The word that attends has a frame. Of
    several heads each has a text of its own, one below the other, all on one scale.

    Parameters
    ----------
    weights : array-like of shape (n_tokens,) or (n_heads, n_tokens)
        Share of attention that goes to each token.
    tokens : array-like of shape (n_tokens,)
        Words, or other labels of the steps.
    query : int or str
        Which token attends: its number, or the token itself where it stands there once.
    titles : list of str, default=None
        One for each head; None: they are counted where there are several.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    words_ : list of list of matplotlib PathPatch
        For each head the words, as they are drawn: their outlines keep their places at any size.
    boxes_ : list of list of matplotlib Rectangle
        The shades behind them.
    arcs_ : list of list of matplotlib PathPatch
    colorbar_ : matplotlib Colorbar or None

    Raises
    ------
    ValueError, TypeError
        If weights have another shape or are no shares, there are not as many tokens, or no such query.

    Examples
    --------
    >>> from skattn.inspection import TokenAttentionDisplay
    >>> display = TokenAttentionDisplay([0.1, 0.7, 0.2], ["the", "dog", "slept"], query="slept")
    >>> display.query, display.weights.shape
    (2, (1, 3))
    """

    def __init__(self, weights: Any, tokens: ArrayLike, *, query: int | str, titles: list[str] | None = None):
        if np.ndim(weights) not in (1, 2):
            raise ValueError(
                f"weights have shape {np.shape(weights)}; pass those of one query, (n_tokens,) or (n_heads, n_tokens), "
                "or whole maps to TokenAttentionDisplay.from_weights."
            )
        self.weights = read_maps(np.atleast_2d(np.asarray(weights, dtype=np.float64)))[0][0]
        self.tokens = read_labels(tokens, self.weights.shape[1], "tokens", "weights")
        self.query = find_query(query, self.tokens)
        if titles is None:
            titles = [f"head {head}" for head in range(len(self.weights))] if len(self.weights) > 1 else [""]
        if len(titles) != len(self.weights):
            raise ValueError(f"There are {len(titles)} titles for {len(self.weights)} heads; pass one for each.")
        self.titles = list(titles)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        query: int | str,
        sequence: int = 0,
        layer: int | None = -1,
        head: int | None = None,
        average: bool = False,
        network: int = 0,
        over: str = "tokens",
        tokens: ArrayLike | None = None,
        ax: Any = None,
        **plot_kw: Any,
    ) -> Self:
        """Draw what a word of a sequence attends to, as a fitted estimator computes it.

        Parameters
        ----------
        estimator : fitted estimator of skattn, or a pipeline that ends with one
        X : sequences, as `fit` takes them; texts where the pipeline begins with a `TokenSequencer`
        query : int or str
            Which word attends: its number, counted from 0, or the word itself where it stands there once.
        sequence, layer, head, average, network, over : as in `AttentionDisplay.from_estimator`
        tokens : array-like of shape (n_steps,), default=None
            Words, or other labels of the steps. None: those of a `TokenSequencer` in the pipeline; else numbers.
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.
        **plot_kw : as in `plot`

        Returns
        -------
        display : TokenAttentionDisplay

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If a number is out of range or no whole number, there are not as many tokens as steps, no such query, or the
            estimator has no attention.
        ImportError
            If matplotlib is not installed.
        """
        check_plot(cls, plot_kw)
        where = {"sequence": sequence, "layer": layer, "head": head, "average": average, "network": network}
        chosen = choose_maps(estimator, X, over=over, query=query, labels=tokens, name="tokens", **where)
        rows = np.concatenate([of_layer[:, 0] for of_layer in chosen.weights])
        words = chosen.labels or [str(number) for number in range(rows.shape[1])]
        return cls(rows, words, query=int(chosen.rows[0]), titles=chosen.titles).plot(ax, **plot_kw)

    @classmethod
    def from_weights(
        cls,
        weights: Any,
        tokens: ArrayLike,
        *,
        query: int | str,
        titles: list[str] | None = None,
        ax: Any = None,
        **plot_kw: Any,
    ) -> Self:
        """Draw what a word attends to, of maps that are at hand.

        Parameters
        ----------
        weights : array-like of shape (n_tokens, n_tokens) or (n_heads, n_tokens, n_tokens)
            An entry of `attention_weights`.
        tokens, query, titles : as of the class
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.
        **plot_kw : as in `plot`

        Returns
        -------
        display : TokenAttentionDisplay

        Raises
        ------
        ValueError, TypeError
            As of the class; and if maps are not square.
        ImportError
            If matplotlib is not installed.
        """
        maps = np.concatenate(read_maps(weights))
        if maps.shape[1] != maps.shape[2]:
            raise ValueError(
                f"Maps have {maps.shape[1]} rows and {maps.shape[2]} columns; pass square ones, or the row of the "
                "query to TokenAttentionDisplay itself."
            )
        words = read_labels(tokens, maps.shape[2], "tokens", "columns")
        return cls(maps[:, find_query(query, words)], words, query=query, titles=titles).plot(ax, **plot_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        width: float = 7.0,
        n_arcs: int = 5,
        values: bool = True,
        colorbar: bool = True,
        arc_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the text.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; lines are as long as it is wide. None: a new figure, as high as the text needs.
        width : float, default=7.0
            Length of the lines in inches, for a new figure.
        n_arcs : int, default=5
            So many words at most that an arc leads to, those with most attention; none leads to a word that gets less
            than the mean.
        values : bool, default=True
            Whether the shares of these words stand under them, in hundredths.
        colorbar : bool, default=True
            Whether there is one.
        arc_kw : dict, default=None
            Passed on to matplotlib's `PathPatch`.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If `width` is not positive.
        ImportError
            If matplotlib is not installed.
        """
        import_pyplot(type(self).__name__)
        if not width > 0:
            raise ValueError(f"width={width} has no room for a line; the default is 7 inches.")
        measures = Measures(small(1.05))
        length = width * 72 if ax is None else max(ax.bbox.width * 72 / ax.figure.dpi, 72.0)
        words = [shorten_label(token, _MOST_CHARACTERS) for token in self.tokens]
        places = place_words(words, measures, length - 2 * _EDGE)
        if ax is None:
            length = max(max(place.left + place.width for place in places) + 2 * _EDGE, _LEAST)
        block = (places[-1].line + 1) * measures.line + 1.6 * measures.font
        height = block * len(self.weights) + 1.4 * measures.font + (3.4 * measures.font if colorbar else 0)
        self.figure_, ((self.ax_,),) = grid_axes(type(self).__name__, ax, (1, 1), (length / 72, height / 72))
        self.ax_.set(xlim=(-_EDGE, length - _EDGE), ylim=(-height, 0), aspect="equal", anchor="NW")
        self.ax_.set_axis_off()
        scale = float(self.weights.max()) or 1.0
        self._say(f"What “{words[self.query]}” attends to", 0.0, -1.2 * measures.font, measures.font * 1.1)
        self.words_, self.boxes_, self.arcs_ = [], [], []
        for head, shares in enumerate(self.weights):
            top = -1.4 * measures.font - head * block
            self._say(self.titles[head], 0.0, top - 1.1 * measures.font, measures.font)
            moved = [Place(p.left, p.width, p.top + top - 1.4 * measures.font, p.line) for p in places]
            self._write(words, moved, shares / scale, measures)
            self._join(moved, shares, scale, measures, n_arcs, values, arc_kw or {})
        self.colorbar_ = self._add_colorbar(scale, height, length, measures) if colorbar else None
        return self

    def _say(
        self, text: str, left: float, base: float, size: float, colour: str = INK, *, is_centred: bool = False
    ) -> Any:
        """Draw a text as outlines, which grow and shrink with the boxes around them."""
        from matplotlib.patches import PathPatch
        from matplotlib.textpath import TextPath

        if not text:
            return None
        left -= text_width(text, size) / 2 if is_centred else 0.0
        path = TextPath((left, base), text.replace("$", r"\$"), size=size)
        return self.ax_.add_patch(PathPatch(path, facecolor=colour, edgecolor="none", zorder=4))

    def _write(self, words: list[str], places: list[Place], shades_of: NDArray[Any], measures: Measures) -> None:
        """Words on their shades; the one that attends is framed."""
        from matplotlib.patches import Rectangle

        colours = shades()(shades_of)
        inks, boxes, drawn = ink_on(colours), [], []
        for number, (word, place) in enumerate(zip(words, places, strict=True)):
            frame = {"edgecolor": LINES[1][0], "linewidth": 1.8} if number == self.query else {"edgecolor": "none"}
            corner = place.left, place.top - measures.box
            boxes.append(Rectangle(corner, place.width, measures.box, facecolor=colours[number], zorder=3, **frame))
            self.ax_.add_patch(boxes[-1])
            base, ink = place.top - 0.7 * measures.box, str(inks[number])
            drawn.append(self._say(word, place.centre, base, measures.font, ink, is_centred=True))
        self.words_.append(drawn)
        self.boxes_.append(boxes)

    def _join(
        self,
        places: list[Place],
        shares: NDArray[Any],
        scale: float,
        measures: Measures,
        n_arcs: int,
        values: bool,
        arc_kw: dict[str, Any],
    ) -> None:
        """Arcs from the word that attends to those that get most, and their shares."""
        from matplotlib.patches import PathPatch

        start = places[self.query]
        most = [
            int(number) for number in np.argsort(-shares, kind="stable")[:n_arcs] if shares[number] >= shares.mean()
        ]
        others = [number for number in most if number != self.query]
        longest = max((abs(places[number].centre - start.centre) for number in others), default=0.0)
        arcs = []
        for number in others:
            style = {"edgecolor": LINES[0][0], "alpha": 0.8, "linewidth": 0.6 + 3 * shares[number] / scale}
            path = arc_between(start, places[number], measures, longest)
            patch = PathPatch(path, **{"facecolor": "none", "capstyle": "round", "zorder": 2, **style, **arc_kw})
            arcs.append(self.ax_.add_patch(patch))
        for number in most if values else []:
            base = places[number].top - measures.box - 0.85 * measures.font
            self._say(f"{shares[number]:.2f}", places[number].centre, base, 0.75 * measures.font, is_centred=True)
        self.arcs_.append(arcs)

    def _add_colorbar(self, scale: float, height: float, length: float, measures: Measures) -> Any:
        """A flat bar under the text."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        bounds = (_EDGE / length, 2.4 * measures.font / height, min(0.9, 180 / length), 0.6 * measures.font / height)
        colours = ScalarMappable(Normalize(0, scale), shades())
        bar = add_colorbar(self.ax_, colours, None, bounds=bounds, orientation="horizontal")
        bar.set_label("Share of attention", fontsize=small())
        label_numbers(bar.ax.xaxis)
        return bar
