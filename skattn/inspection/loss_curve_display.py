"""How training went: loss, validation score and learning rate of every epoch, of one model or several."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skattn._training.schedules import SCHEDULES
from skattn._wording import shortened
from skattn.inspection.picture_style import (
    GREY,
    check_plot,
    grid_axes,
    import_pyplot,
    line_of,
    open_frame,
    small,
    title_of,
)
from skattn.inspection.spaced_labels import label_powers

_PANELS = {"loss": "Training loss", "validation_score": "Validation score", "learning_rate": "Learning rate"}
"""Curves that a model may have, and what their axes are called."""

_FEW = 25
"""Epochs up to which each has a mark."""

_WIDE = 10.0
"""Times as large as the least loss that the greatest is where the axis is logarithmic."""


class LossCurveDisplay:
    """How training went.

    Make one with `from_estimator`, `from_estimators` or `from_curves`; all draw it. Losses of several models are
    comparable where they learn the same objective from the same samples.

    Parameters
    ----------
    curves : dict of str to dict
        For each model, by its name: "loss", array-like of shape (n_epochs,), and where known "validation_score" and
        "learning_rate", and "guessing": the loss of guessing, a number.
    labels : dict of str to str, default=None
        What the axes "loss", "validation_score" and "learning_rate" are called.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Of the loss.
    axes_ : dict of str to matplotlib Axes
        By what they show.
    figure_ : matplotlib Figure
    lines_ : dict of str to dict of str to matplotlib Line2D
        By what they show, and by the names of the models.

    Raises
    ------
    ValueError
        If there is no model, or one of them has no loss, or a curve with another number of epochs.

    Examples
    --------
    >>> from skattn.inspection import LossCurveDisplay
    >>> display = LossCurveDisplay({"small": {"loss": [2.0, 0.7, 0.4]}, "large": {"loss": [1.9, 0.3]}})
    >>> display.names
    ['small', 'large']
    """

    def __init__(self, curves: Mapping[str, Mapping[str, Any]], *, labels: Mapping[str, str] | None = None):
        if not curves:
            raise ValueError('There is no curve to draw; pass {"a model": {"loss": model.loss_curve_}}.')
        self.curves = {str(name): _read_curves(str(name), given) for name, given in curves.items()}
        self.labels = {**_PANELS, **(labels or {})}

    @property
    def names(self) -> list[str]:
        """Names of the models."""
        return list(self.curves)

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, ax: Any = None, **plot_kw: Any) -> Self:
        """Draw how the training of a fitted estimator went.

        Parameters
        ----------
        estimator : fitted estimator with a `loss_curve_`, or a pipeline that ends with one
        name : str, default=None
            What it is called; None: the name of its class.
        ax : matplotlib Axes, default=None
            Where to draw; where there is more than the loss, a grid takes its place. None: a new figure.
        **plot_kw : as in `plot`

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        TypeError
            If it has no loss curve.
        ImportError
            If matplotlib is not installed.
        """
        check_plot(cls, plot_kw)
        model = _learner(estimator)
        return cls({name or type(model).__name__: _curves_of(model)}, labels=_labels_of([model])).plot(ax, **plot_kw)

    @classmethod
    def from_estimators(cls, estimators: Mapping[str, Any] | Iterable[Any], *, ax: Any = None, **plot_kw: Any) -> Self:
        """Draw how the training of several fitted estimators went.

        Parameters
        ----------
        estimators : dict of str to fitted estimator, or list of them
            In a list each is called by the name of its class and its number.
        ax : matplotlib Axes, default=None
            Where to draw; where there is more than losses, a grid takes its place. None: a new figure.
        **plot_kw : as in `plot`

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        NotFittedError, TypeError, ImportError
            As in `from_estimator`, of any of them.
        ValueError
            If there are none.
        """
        check_plot(cls, plot_kw)
        if not isinstance(estimators, Mapping):
            estimators = {f"{type(_learner(one)).__name__} {number}": one for number, one in enumerate(estimators)}
        models = {name: _learner(estimator) for name, estimator in estimators.items()}
        curves = {name: _curves_of(model) for name, model in models.items()}
        return cls(curves, labels=_labels_of(list(models.values()))).plot(ax, **plot_kw)

    @classmethod
    def from_curves(
        cls,
        curves: Mapping[str, Mapping[str, Any]],
        *,
        labels: Mapping[str, str] | None = None,
        ax: Any = None,
        **plot_kw: Any,
    ) -> Self:
        """Draw curves that are at hand, whatever they come from.

        Parameters
        ----------
        curves, labels : as of the class
        ax : matplotlib Axes, default=None
            Where to draw; where there is more than losses, a grid takes its place. None: a new figure.
        **plot_kw : as in `plot`

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        ValueError
            As of the class.
        ImportError
            If matplotlib is not installed.
        """
        return cls(curves, labels=labels).plot(ax, **plot_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        title: str | None = None,
        log: bool | None = None,
        learning_rate: bool = False,
        guessing: bool = True,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the curves: losses, below them validation scores where there are any, and learning rates.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; where there is more than losses, a grid takes its place. None: a new figure.
        title : str, default=None
            None: the name of the one model, or none.
        log : bool, default=None
            Whether the axis of the loss is logarithmic. None: where the greatest loss is ten times the least, and all
            are positive.
        learning_rate : bool, default=False
            Whether rates are drawn, where known.
        guessing : bool, default=True
            Whether a dotted line says what loss guessing has, every class being as likely as any other.
        line_kw : dict, default=None
            Passed on to matplotlib's `plot`.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If several pictures are wanted in axes that were put into a figure by hand.
        ImportError
            If matplotlib is not installed.
        """
        import_pyplot(type(self).__name__)
        kinds = [
            kind
            for kind in _PANELS
            if (kind != "learning_rate" or learning_rate) and any(kind in of for of in self.curves.values())
        ]
        heights = [1.5 if kind == "loss" else 1.0 for kind in kinds]
        size = 5.6, 0.9 + 1.75 * sum(heights)
        self.figure_, axes = grid_axes(type(self).__name__, ax, (len(kinds), 1), size, height_ratios=heights)
        self.axes_, self.lines_ = dict(zip(kinds, axes[:, 0], strict=True)), {}
        self.ax_ = self.axes_["loss"]
        for kind, panel in self.axes_.items():
            self.lines_[kind] = self._draw(panel, kind, line_kw or {})
        self._scale_loss(log)
        if guessing:
            self._draw_guessing()
        for panel in axes[:-1, 0]:
            panel.tick_params(labelbottom=False)
        self.figure_.align_ylabels(axes[:, 0])
        axes[-1, 0].set_xlabel("Epoch (passes over the training data)")
        title_of(self.ax_, title or (self.names[0] if len(self.names) == 1 else None))
        if len(self.names) > 1:
            # Losses fall from the upper left, and the line of guessing lies above them.
            self.ax_.legend(frameon=False, fontsize=small(), handlelength=3, loc="lower left")
        return self

    def _draw(self, panel: Any, kind: str, line_kw: dict[str, Any]) -> dict[str, Any]:
        """One kind of curve, of every model that has it."""
        lines, longest = {}, max(len(of["loss"]) for of in self.curves.values())
        for number, (name, of) in enumerate(self.curves.items()):
            if kind not in of:
                continue
            marks = {"marker": "o", "markersize": 3.5} if longest <= _FEW else {}
            style = {"linewidth": 1.8, "label": name, **line_of(number), **marks, **line_kw}
            (lines[name],) = panel.plot(np.arange(1, len(of[kind]) + 1), of[kind], **style)
        panel.set_ylabel(self.labels[kind])
        panel.set_xlim(1 - 0.02 * longest, max(longest + 0.02 * longest, 1.5))
        open_frame(panel)
        panel.tick_params(labelsize=small())
        panel.xaxis.get_major_locator().set_params(integer=True)
        return lines

    def _scale_loss(self, log: bool | None) -> None:
        """A logarithmic axis where it is wanted, or where the losses differ by much."""
        losses = np.concatenate([of["loss"] for of in self.curves.values()])
        losses = losses[np.isfinite(losses)]
        is_wide = len(losses) > 0 and losses.min() > 0 and losses.max() >= _WIDE * losses.min()
        if log if log is not None else is_wide:
            self.ax_.set_yscale("log")
            label_powers(self.ax_.yaxis)

    def _draw_guessing(self) -> None:
        """A dotted line for each loss of guessing; the highest is named, for others may be close."""
        levels = {of["guessing"] for of in self.curves.values() if "guessing" in of}
        for level in levels:
            self.ax_.axhline(level, color=GREY, linestyle=":", linewidth=1.2)
        if levels:
            place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "xytext": (0, 2)}
            style = {"ha": "right", "va": "bottom", "color": GREY, "fontsize": small()}
            self.ax_.annotate("guessing", (1, max(levels)), **place, **style)


def _read_curves(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Curves of a model as arrays of one length; those that are None are left out."""
    curves: dict[str, Any] = {kind: _read_curve(given[kind]) for kind in _PANELS if given.get(kind) is not None}
    if "loss" not in curves or not curves["loss"].size:
        raise ValueError(
            f"{shortened(name, 60)} has no loss; pass its curves as a dict with an entry 'loss' of numbers."
        )
    for kind, curve in curves.items():
        if curve.shape != (len(curves["loss"]),):
            raise ValueError(
                f"{shortened(name, 60)} has {len(curves['loss'])} epochs of loss and a {kind} of shape {curve.shape}; "
                "pass a number for each epoch."
            )
    if given.get("guessing") is not None:
        curves["guessing"] = float(given["guessing"])
    return curves


def _read_curve(curve: ArrayLike) -> NDArray[np.float64]:
    return np.atleast_1d(np.asarray(curve, dtype=np.float64))


def _learner(estimator: Any) -> Any:
    """The fitted estimator that has learned epoch by epoch."""
    check_is_fitted(estimator)
    model = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if isinstance(estimator, Pipeline) and not hasattr(model, "loss_curve_"):
        # What features were learned by stands before the estimator that reads them.
        model = next((step for _, step in reversed(estimator.steps) if hasattr(step, "loss_curve_")), model)
    if not hasattr(model, "loss_curve_"):
        raise TypeError(f"A {type(model).__name__} has no loss_curve_; pass an estimator that learns epoch by epoch.")
    return model


def _curves_of(model: Any) -> dict[str, Any]:
    """What a fitted estimator tells of its training."""
    classes = getattr(model, "classes_", None)
    is_choice = getattr(model, "objective_", None) == "cross_entropy" and np.ndim(classes) == 1
    return {
        "loss": model.loss_curve_,
        "validation_score": getattr(model, "validation_scores_", None),
        "learning_rate": _rates_of(model),
        "guessing": np.log(len(classes)) if is_choice else None,
    }


def _rates_of(model: Any) -> list[float] | None:
    """Rate at the end of each epoch, where it follows from what was kept: one plan, and none divided on a plateau."""
    state = getattr(getattr(model, "_model", None), "state", None)
    n_epochs = len(model.loss_curve_)
    if state is None or not state.rate or model.learning_rate == "adaptive":
        return None
    if state.plan_start or state.n_updates % state.n_epochs:
        return None
    factor, n_batches = SCHEDULES[model.learning_rate].factor, state.n_updates // state.n_epochs
    return [state.rate * factor(epoch * n_batches - 1, state.plan_updates) for epoch in range(1, n_epochs + 1)]


def _labels_of(models: list[Any]) -> dict[str, str]:
    """Names of the axes, where all models learned and were scored alike."""
    labels = dict(_PANELS)
    objectives = {getattr(model, "objective_", None) for model in models}
    if len(objectives) == 1 and None not in objectives:
        words = str(objectives.pop()).replace("_", " ").replace("cross entropy", "cross-entropy")
        labels["loss"] = f"Training loss\n({words}{', nats' if words == 'cross-entropy' else ''})"
    scorings = {str(getattr(model, "scoring", None)) for model in models}
    if len(scorings) == 1:
        word = scorings.pop()
        labels["validation_score"] = "Minus the\nvalidation loss" if word == "None" else f"Validation score\n({word})"
    return labels
