"""Tell scikit-learn's callbacks how a fit goes, where there are any: scikit-learn has them since version 1.9."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

from skattn._network.going_on import copy_network
from skattn.model import Member, Model

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands where scikit-learn's own is missing, and says so."""

        @property
        def set_callbacks(self) -> Any:
            """Not there: `hasattr` is False."""
            from sklearn import __version__

            raise AttributeError(
                f"set_callbacks needs scikit-learn 1.9 or newer, and this is {__version__}; verbose=2 shows how far a "
                "fit is with any version."
            )

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself."""
        return method


class FitCallbacks:
    """Calls the callbacks of one fit: where it begins and ends, its networks if there are several, and their epochs.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
    X, y, sample_weight
        As the user passed them, which is how callbacks see them.

    Notes
    -----
    What a callback gets as its fitted estimator has copies of the networks, as Ctrl-C would leave them there and then:
    those that have learned, with the best parameters so far where there is early stopping. So nothing that a callback
    does with it changes what is learned.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any):
        self._estimator = estimator
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._given = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._model: Model | None = None
        self._fit = self._network = self._epoch = None

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Any, sample_weight: Any) -> "FitCallbacks | None":
        """Those of an estimator; None where it has none."""
        return cls(estimator, X, y, sample_weight) if getattr(estimator, "_skl_callbacks", None) else None

    def begin(self, model: Model) -> None:
        """The fit begins; of one network its context opens later, when the number of epochs is known."""
        self._model = model
        if len(model.members) > 1:
            self._fit = self._open(self._estimator._init_callback_context, max_subtasks=len(model.members))

    def before_epoch(self, n_left: int) -> None:
        """An epoch begins, of so many that are to come in its network."""
        if self._network is None:
            self._begin_network(n_left)
        self._epoch = self._open(self._network.subcontext, task_name="epoch")

    def after_epoch(self) -> bool:
        """An epoch has ended; True where a callback asks for no more of them in this network."""
        return self._close(self._epoch)

    def end_network(self) -> bool:
        """A network has ended, perhaps without an epoch; True where a callback asks for no more networks."""
        if self._network is None:
            self._begin_network(0)
        network, self._network = self._network, None
        return network is not self._fit and self._close(network)

    def end(self) -> None:
        """The fit has ended, and the estimator is fitted."""
        self._fit.call_on_fit_task_end(**self._given, reconstruction_attributes={})

    def _begin_network(self, n_epochs: int) -> None:
        if self._fit is None:
            self._fit = self._network = self._open(self._estimator._init_callback_context, max_subtasks=n_epochs)
        else:
            self._network = self._open(self._fit.subcontext, task_name="network", max_subtasks=n_epochs)

    def _open(self, make: Callable[..., Any], **options: Any) -> Any:
        context = make(**options)
        context.call_on_fit_task_begin(**self._given, reconstruction_attributes=self._learned)
        return context

    def _close(self, context: Any) -> bool:
        return bool(context.call_on_fit_task_end(**self._given, reconstruction_attributes=self._learned))

    def _learned(self) -> dict[str, Any] | None:
        """What makes an estimator a fitted one; None before anything is learned."""
        begun = [member for member in self._model.members if member.state.n_updates]
        return {"_model": replace(self._model, members=[_as_stopped(member) for member in begun])} if begun else None


def _as_stopped(member: Member) -> Member:
    """A copy of a network, as if training had ended here."""
    network, state = copy_network(member.network, member.network.architecture), copy(member.state)
    if state.kept_parameters is not None:
        network.parameters[:] = state.kept_parameters
    state.loss_curve, state.validation_scores = state.loss_curve[:], state.validation_scores[:]
    state.optimizer = state.kept_parameters = None
    return Member(network, state)
