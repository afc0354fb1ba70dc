"""What matters along a signal, or which features: importance with its spread, beside the signal itself."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skattn.inspection.given_importance import entry, read_blocks, read_importances, read_places, read_signal
from skattn.inspection.picture_style import (
    GREY,
    INK,
    add_colorbar,
    check_plot,
    grid_axes,
    import_pyplot,
    line_of,
    open_frame,
    shades,
    small,
    title_of,
)
from skattn.inspection.spaced_labels import label_numbers, label_steps, read_labels

_FEW = 40
"""Blocks of steps up to which the spread of each is a whisker; that of more is a band."""

_MOST_LINES = 6
"""Channels of a signal that have colours of their own; more of them are all grey."""


class ImportanceDisplay:
    """How much the steps of a sequence matter, its features, or both.

    Make one with `from_importances` or `from_estimator`; both draw it. Steps lie along the signal, whose ground is the
    darker the more a step matters; features are bars, the most important one on top; steps and features together are
    the cells of a map.

    Parameters
    ----------
    importances : Bunch, dict, or array-like
        What `step_importance`, `feature_importance` or scikit-learn's `permutation_importance` give:
        ``importances_mean`` of shape (n_steps,), (n_features,) or (n_steps, n_features), and ``importances_std`` of
        that shape where known. ``steps`` of shape (n_blocks, 2), the first step of each block and the one after its
        last, says that importance is that of blocks. An array alone is the mean.
    along : {"auto", "steps", "features"}, default="auto"
        What importance with one axis is of. "auto": of features where they have names, else of steps.
    signal : array-like of shape (n_steps,) or (n_steps, n_channels), default=None
        A sequence to draw over the importance of its steps.
    times : array-like of shape (n_steps,), default=None
        When the steps were, rising: numbers or dates. None: they are counted from 0 on.
    feature_names : array-like of str of shape (n_features,), default=None
        None: those of `importances`, or numbers.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Of the importance.
    axes_ : ndarray of matplotlib Axes
        With a signal, its axes come first.
    figure_ : matplotlib Figure
    bars_ : matplotlib StepPatch or BarContainer
        Importance of steps or of features; None for a map.
    im_ : matplotlib AxesImage or QuadMesh
        A map, or the ground of the signal; None where there is neither.
    lines_ : list of matplotlib Line2D
        The signal.

    Raises
    ------
    ValueError
        If shapes do not fit each other, or times do not rise.

    Examples
    --------
    >>> from skattn.inspection import ImportanceDisplay
    >>> display = ImportanceDisplay([0.0, 0.3, 0.1], feature_names=["pulse", "age", "ward"])
    >>> display.along
    'features'
    """

    def __init__(
        self,
        importances: Any,
        *,
        along: str = "auto",
        signal: ArrayLike | None = None,
        times: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
    ):
        self.mean, self.spread = read_importances(importances)
        if feature_names is None:
            feature_names = entry(importances, "feature_names")
        if along not in ("auto", "steps", "features"):
            raise ValueError(f"along={along!r}; importance is along 'steps' or 'features', or 'auto'.")
        if along == "auto":
            along = "features" if self.mean.ndim == 1 and feature_names is not None else "steps"
        self.along = "both" if self.mean.ndim == 2 else along
        self.feature_names = self._read_names(feature_names)
        self.signal = None if signal is None else read_signal(signal)
        if self.along == "features":
            if signal is not None or times is not None:
                raise ValueError(
                    "Importance of features has no steps; leave signal and times out, or set along='steps'."
                )
            return
        self.blocks = read_blocks(entry(importances, "steps"), len(self.mean))
        n_steps = int(self.blocks[-1, 1])
        if self.signal is not None and len(self.signal) > n_steps:
            raise ValueError(f"The signal has {len(self.signal)} steps and importance {n_steps}; cut the signal.")
        self.edges, self.times, self.is_dates = read_places(times, self.blocks)

    @classmethod
    def from_importances(
        cls,
        importances: Any,
        *,
        along: str = "auto",
        signal: ArrayLike | None = None,
        times: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
        ax: Any = None,
        **plot_kw: Any,
    ) -> Self:
        """Draw importances that are at hand.

        Parameters
        ----------
        importances, along, signal, times, feature_names : as of the class
        ax : matplotlib Axes, default=None
            Where to draw; with a signal two axes take its place. None: a new figure.
        **plot_kw : as in `plot`

        Returns
        -------
        display : ImportanceDisplay

        Raises
        ------
        ValueError
            As of the class.
        ImportError
            If matplotlib is not installed.
        """
        given = {"along": along, "signal": signal, "times": times, "feature_names": feature_names}
        return cls(importances, **given).plot(ax, **plot_kw)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        along: str = "steps",
        signal: ArrayLike | None = None,
        times: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
        importance_kw: dict[str, Any] | None = None,
        ax: Any = None,
        **plot_kw: Any,
    ) -> Self:
        """Measure the importance of steps or features for a fitted estimator, and draw it.

        Parameters
        ----------
        estimator, X, y : as in `step_importance` and `feature_importance`
        along : {"steps", "features"}, default="steps"
            Which of the two.
        signal, times, feature_names : as of the class
        importance_kw : dict, default=None
            Passed on: ``{"n_repeats": 10, "random_state": 0}``.
        ax : matplotlib Axes, default=None
            Where to draw; with a signal two axes take its place. None: a new figure.
        **plot_kw : as in `plot`

        Returns
        -------
        display : ImportanceDisplay

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As in `step_importance`; or if `along` is something else.
        ImportError
            If matplotlib is not installed.
        """
        check_plot(cls, plot_kw)
        if along not in ("steps", "features"):
            raise ValueError(f"along={along!r}; importance is measured along 'steps' or 'features'.")
        from skattn.inspection import feature_importance, step_importance

        measure = step_importance if along == "steps" else feature_importance
        found = measure(estimator, X, y, **(importance_kw or {}))
        given = {"along": along, "signal": signal, "times": times, "feature_names": feature_names}
        name = "Importance (fall of the score)" if y is not None else "Importance (answers move by)"
        return cls(found, **given).plot(ax, **{"name": name, **plot_kw})

    def plot(
        self,
        ax: Any = None,
        *,
        name: str = "Importance",
        time_name: str | None = None,
        most_bars: int = 30,
        bar_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
        im_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the importance, and the signal over it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; with a signal two axes take its place. None: a new figure.
        name : str, default="Importance"
            What importance is called.
        time_name : str, default=None
            What the axis of the steps is called; None: "Step", or "Time" with `times`.
        most_bars : int, default=30
            So many features are bars, the most important ones.
        bar_kw, line_kw, im_kw : dict, default=None
            Passed on to matplotlib's `stairs` or `barh`, its `plot` of the signal, and its `pcolormesh`.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If two axes are wanted in place of one that was put into a figure by hand.
        ImportError
            If matplotlib is not installed.
        """
        import_pyplot(type(self).__name__)
        self.bars_, self.im_, self.lines_ = None, None, []
        if self.along == "features":
            return self._draw_features(ax, name, max(1, most_bars), bar_kw or {})
        shape = (1 if self.signal is None else 2, 1)
        high = 2.6 if self.along == "steps" else min(1.2 + 0.28 * self.mean.shape[1], 6)
        size = 6.8, high + (2.4 if self.signal is not None else 0.4)
        ratios = [high] if self.signal is None else [2.2, high - 0.8]
        self.figure_, axes = grid_axes(type(self).__name__, ax, shape, size, height_ratios=ratios)
        self.axes_, self.ax_ = axes[:, 0], axes[-1, 0]
        if self.along == "steps":
            self._draw_steps(name, bar_kw or {})
        if self.signal is not None:
            self._draw_signal(line_kw or {}, im_kw or {})
        if self.along == "both":
            self._draw_map(name, im_kw or {})
        self._name_steps(time_name or ("Step" if self.times is None else "Time"))
        what = "Where it matters" if self.along == "steps" else "Where, and in which feature, it matters"
        spread = ", ± standard deviation" if self.along == "steps" and self.spread is not None else ""
        title_of(self.axes_[0], what + spread)
        if self.along == "steps":
            self.figure_.align_ylabels(axes[:, 0])
        return self

    def _draw_steps(self, name: str, bar_kw: dict[str, Any]) -> None:
        """Importance as stairs, with a whisker or a band of its spread."""
        style = {"fill": True, "color": shades()(0.45), "edgecolor": shades()(0.75), "linewidth": 0.8, **bar_kw}
        self.bars_ = self.ax_.stairs(self.mean, self.edges, **style)
        if self.spread is not None and len(self.mean) <= _FEW:
            centres = (self.edges[1:] + self.edges[:-1]) / 2
            self.ax_.errorbar(centres, self.mean, self.spread, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2)
        elif self.spread is not None:
            low, high = self.mean - self.spread, self.mean + self.spread
            self.ax_.stairs(high, self.edges, baseline=low, fill=True, color=INK, alpha=0.3, linewidth=0)
        self.ax_.axhline(0, color=GREY, linewidth=0.8)
        self.ax_.set_ylabel(name)
        open_frame(self.ax_)

    def _draw_signal(self, line_kw: dict[str, Any], im_kw: dict[str, Any]) -> None:
        """The signal, on a ground that is darker where it matters."""
        top, places = self.axes_[0], self._centres(len(self.signal))
        many = self.signal.shape[1] > _MOST_LINES
        for number, channel in enumerate(self.signal.T):
            looks = {"color": INK, "alpha": 0.6} if many else line_of(number)
            (line,) = top.plot(places, channel, **{"linewidth": 1.0 if many else 1.6, "zorder": 3, **looks, **line_kw})
            self.lines_.append(line)
        low, high = top.get_ylim()
        whole = np.nan_to_num(self.mean if self.mean.ndim == 1 else self.mean.mean(axis=1), nan=0.0)
        # Half of the shades, so that lines stay seen on the darkest.
        scale = {"cmap": shades(), "vmin": 0, "vmax": 2.2 * max(whole.max(), 1e-300), "zorder": 1, **im_kw}
        self.im_ = top.pcolormesh(self.edges, [low, high], np.maximum(whole, 0)[np.newaxis], **scale)
        top.set_ylim(low, high)
        top.set_ylabel("Signal")
        open_frame(top, grid=None)

    def _draw_map(self, name: str, im_kw: dict[str, Any]) -> None:
        """Steps from left to right, features from top to bottom."""
        n_features = self.mean.shape[1]
        largest = float(np.nanmax(np.append(self.mean.ravel(), 0.0))) or 1.0
        rows = np.arange(n_features + 1) - 0.5
        self.im_ = self.ax_.pcolormesh(
            self.edges, rows, self.mean.T, **{"cmap": shades(), "vmin": 0, "vmax": largest, **im_kw}
        )
        self.ax_.set_ylim(n_features - 0.5, -0.5)
        label_steps(self.ax_.yaxis, self.feature_names)
        self.ax_.spines[:].set(color=GREY, linewidth=0.6)
        extend = "min" if (self.mean < 0).any() else "neither"
        bar = add_colorbar(self.ax_, self.im_, name, bounds=(1.02, 0, 0.025, 1), extend=extend)
        label_numbers(bar.ax.yaxis)

    def _draw_features(self, ax: Any, name: str, most_bars: int, bar_kw: dict[str, Any]) -> Self:
        """A bar a feature, the longest on top."""
        order = np.argsort(-np.nan_to_num(self.mean, nan=-np.inf), kind="stable")[:most_bars]
        size = 5.6, 1.0 + 0.28 * len(order)
        self.figure_, axes = grid_axes(type(self).__name__, ax, (1, 1), size)
        self.axes_, self.ax_ = axes[:, 0], axes[0, 0]
        style = {"color": shades()(0.6), "height": 0.7, "ecolor": INK, "capsize": 2.5, **bar_kw}
        error = None if self.spread is None else self.spread[order]
        self.bars_ = self.ax_.barh(np.arange(len(order)), self.mean[order], xerr=error, **style)
        self.ax_.set_ylim(len(order) - 0.4, -0.6)
        label_steps(self.ax_.yaxis, [self.feature_names[number] for number in order])
        self.ax_.axvline(0, color=GREY, linewidth=0.8)
        self.ax_.set_xlabel(name)
        open_frame(self.ax_, grid="x")
        self.ax_.tick_params(axis="x", labelsize=small())
        left_out = len(self.mean) - len(order)
        spread = "" if self.spread is None else ", ± standard deviation"
        title_of(
            self.ax_, "Which features matter" + spread + (f"; {left_out} lesser ones left out" if left_out else "")
        )
        return self

    def _name_steps(self, time_name: str) -> None:
        for panel in self.axes_:
            panel.set_xlim(self.edges[0], self.edges[-1])
            panel.tick_params(labelsize=small())
            if self.is_dates:
                from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

                locator = AutoDateLocator(maxticks=8)
                panel.xaxis.set_major_locator(locator)
                panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))
            elif self.times is None:
                panel.xaxis.get_major_locator().set_params(integer=True)
        self.axes_[0].tick_params(labelbottom=len(self.axes_) == 1)
        self.ax_.set_xlabel(time_name)

    def _read_names(self, names: ArrayLike | None) -> list[str]:
        """Names of the features, where importance has any."""
        if self.along == "steps":
            return []
        count = self.mean.shape[-1]
        return read_labels(np.arange(count) if names is None else names, count, "feature_names", "features")

    def _centres(self, count: int) -> NDArray[Any]:
        return np.arange(count) if self.times is None else self.times[:count]
