"""Streams: a causal model one step after another, without computing anew what came before."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skattn._network.network import Network
from skattn._network.stepper import Program, Stepper
from skattn._overflow import refuse_overflow
from skattn._stream_checks import (
    check_count,
    check_streams,
    read_steps,
    refuse_late,
    refuse_model,
    refuse_times,
    refuse_unlike,
    refuse_values,
)
from skattn._training.objectives import OBJECTIVES, Target, softmax
from skattn._wording import shortened
from skattn.held_categories import Held
from skattn.model import Model

OUTPUTS = {
    "transform": None,
    "predict": "predict",
    "predict_proba": "probabilities",
    "predict_log_proba": "log_probabilities",
    "decision_function": "decision",
    "predict_quantiles": "quantiles",
}
"""Methods whose results streams give, by what an objective calls what it makes of outputs; None for features."""

_OF_TARGET = ("predict", "quantiles")
_FOR_EVER = 1 << 62


class Stream:
    """Sequences that go on, one step at a time: what `stream` of an estimator gives.

    Keys, values and what else later steps need of the steps so far is kept, so that a step costs the same arithmetic
    however long the stream is, but for attention to the steps within the window.

    Parameters
    ----------
    model : Model
        What a fit left behind.
    n_streams : int
        How many streams there are; each goes on independently of the others.
    output : str
        The method of the estimator whose results `step` gives; one of `OUTPUTS`.
    n_jobs : int or None
        Threads, where there are many streams.
    held : list of (ndarray or None), or None
        What the codes of each category stood for at fit, where sequences said so.

    Attributes
    ----------
    n_streams : int
    n_steps : int64 array of shape (n_streams,)
        Steps that each stream has taken.
    nbytes : int
        Memory that the streams keep. Under a `window` it ends growing when that is full; without one it grows with the
        steps.

    Notes
    -----
    A stream shares the weights of the fit that it was made of, which never change: a later fit makes new ones, and
    changes no stream. It can be pickled, with these weights. Two threads must not use one stream at the same time; a
    copy each is fine.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import SelfAttentionTransformer
    >>> X = np.random.default_rng(0).normal(size=(20, 30, 2))
    >>> model = SelfAttentionTransformer(causal=True, window=8, embedding="linear", position="rotary", max_iter=2)
    >>> stream = model.fit(X).stream()
    >>> features = [stream.step(step) for step in X[0]]
    >>> bool(np.allclose(features[-1], model.transform(X[:1])[0]))
    True
    """

    def __init__(
        self, model: Model, n_streams: int, output: str, n_jobs: int | None = None, held: Held | None = None
    ) -> None:
        networks = [member.network for member in model.members]
        refuse_model(networks[0].architecture, model.target, output)
        refuse_unlike(networks)
        self._prepare(networks, model.objective, model.target, model.classes, output, n_jobs, held)
        self._stepper = Stepper(self._program, check_count(n_streams, self._program), n_jobs)
        self._begin(np.full(self._stepper.n_streams, -np.inf))

    def _prepare(
        self,
        networks: list[Network],
        objective: str,
        target: Target,
        classes: NDArray[Any] | None,
        output: str,
        n_jobs: int | None,
        held: Held | None = None,
    ) -> None:
        """Keep what the streams are of, and work out what follows from it; `held` is what codes stand for."""
        self._of = networks, objective, target, classes, output, n_jobs, held
        self._words = dict(zip([column for column, _ in networks[0].architecture.categories], held or (), strict=False))
        a = networks[0].architecture
        name = "outputs" if output != "transform" else "features" if a.pooling is not None else "steps"
        self._derived, self._combine = OUTPUTS[output], OBJECTIVES[objective].combine
        self._function = getattr(OBJECTIVES[objective], self._derived) if self._derived else None
        # What NumPy takes for a few numbers would be a third of a step.
        self._program = Program(networks, name, gives_shares=self._function is softmax)
        self._arguments = (target,) if self._derived in _OF_TARGET else ()
        self._classes, self._is_column = classes, target.is_column
        self._n_features, self._time = a.n_features, a.time_feature
        self._is_closely_checked = bool(a.categories) or a.time_feature is not None
        self._most = a.max_steps if a.position == "learned" else _FOR_EVER

    @property
    def n_streams(self) -> int:
        return self._stepper.n_streams

    @property
    def n_steps(self) -> NDArray[np.int64]:
        return self._stepper.counts.copy()

    @property
    def nbytes(self) -> int:
        return sum(state.nbytes for state in self._stepper.states)

    def step(self, x: Any, streams: Any = None) -> Any:
        """Take one more step, of all streams or of some.

        Parameters
        ----------
        x : array-like of shape (n_features,) or (n, n_features)
            What has come: a row for each of `n` streams. Categories are codes, and times numbers, as at fit (dates were
            read as seconds since 1970-01-01 UTC); `Steps` say what their codes stand for. A step all of whose features
            are missing, with ``handle_missing="mask"``, is a step like any other; at the end of a whole sequence it
            would be padding.
        streams : int, or array-like of int of shape (n,), or of bool of shape (n_streams,), default=None
            Which streams take a step, in the order of the rows of `x`; the others stay as they are. None: all.

        Returns
        -------
        result : ndarray of shape (n, n_outputs) or (n,), or without the first axis where `x` is one row alone
            What the method that was asked for gives for the whole of each stream so far. Where it gives rows for every
            step, those of the new one.

        Raises
        ------
        ValueError
            If `x` has another shape, or holds infinity, NaN where nothing may be missing, a code that is none, or a
            time before that of the step before; if there is no such stream; or if ``position="learned"`` has no vector
            for a later step. No stream has taken a step then. Also if training diverged so far that numbers leave the
            range of floats; the streams are then to be reset.
        TypeError
            If `x` holds something that is no number.
        """
        chosen = None if streams is None else check_streams(streams, self.n_streams)
        n = self._stepper.n_streams if chosen is None else len(chosen)
        shape = n, self._n_features
        # Where nothing is left to check, a step should cost little more than its arithmetic.
        is_ready = type(x) is np.ndarray and x.dtype.kind == "f" and x.shape in (shape, shape[1:] if n == 1 else shape)
        steps = x.reshape(shape) if is_ready else read_steps(x, *shape, self._words)
        if self._is_closely_checked:
            self._check(steps, chosen)
        if self._n_sure <= 0:
            self._refuse_late(chosen)
        found, beyond = self._stepper.step(steps, chosen)
        if found is None:
            self._check(np.asarray(steps, np.float64), chosen)
        self._n_sure -= 1
        if self._time is not None:
            self._last_times[slice(None) if chosen is None else chosen] = steps[:, self._time]
        if beyond:
            refuse_overflow(found[beyond - 1], self._program.networks[beyond - 1])
        result = self._derive(found)
        return result[0] if n == 1 and np.ndim(x) == 1 else result

    def reset(self, streams: Any = None) -> Self:
        """Let streams begin anew.

        Parameters
        ----------
        streams : as in `step`
            Which; None: all.

        Returns
        -------
        self : Stream

        Raises
        ------
        ValueError
            If there is no such stream.
        """
        chosen = np.arange(self.n_streams) if streams is None else check_streams(streams, self.n_streams)
        self._stepper.reset(chosen)
        self._last_times[chosen] = -np.inf
        self._look()
        return self

    def copy(self) -> "Stream":
        """Give streams of their own that have taken the same steps, for example to try what may come next.

        Returns
        -------
        stream : Stream
        """
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._stepper, other._last_times = self._stepper.copy(), self._last_times.copy()
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> "Stream":
        return self.copy()

    def __getstate__(self) -> dict[str, Any]:
        kept = {"states": self._stepper.states, "n_steps": self._stepper.counts, "last_times": self._last_times}
        return {"of": self._of, **kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._prepare(*state["of"])
        self._stepper = Stepper(self._program, len(state["states"]), self._of[5])
        self._stepper.restore(state["states"], state["n_steps"])
        self._begin(state["last_times"])

    def _begin(self, last_times: NDArray[np.float64]) -> None:
        """Get ready for steps."""
        self._last_times = np.full(self._stepper.n_streams, -np.inf)
        self._last_times[:] = last_times
        self._look()

    def _look(self) -> None:
        """Count the steps that every stream can take before one may have no position."""
        self._n_sure = self._most - int(self._stepper.counts.max())

    def _refuse_late(self, chosen: NDArray[np.int64] | None) -> None:
        streams = np.arange(self.n_streams) if chosen is None else chosen
        refuse_late(self._stepper.counts[streams], streams, self._most)
        self._n_sure = 1

    def _check(self, steps: NDArray[Any], chosen: NDArray[np.int64] | None) -> None:
        """Look closely at what has come."""
        streams = np.arange(self.n_streams) if chosen is None else chosen
        refuse_values(steps, streams, self._program.networks[0].architecture)
        if self._time is not None:
            refuse_times(steps[:, self._time], self._last_times[streams], streams)

    def _derive(self, found: NDArray[Any]) -> NDArray[Any]:
        """Make of what networks gave what the method gives, see `SelfAttentionEstimator._derive`."""
        if self._function is None or self._program.gives_shares:
            return found[0] if len(found) == 1 else np.concatenate(found, axis=1)
        with np.errstate(under="ignore"):
            outputs = found[0] if len(found) == 1 else self._combine(list(found))
            result: NDArray[Any] = self._function(outputs, *self._arguments)
        if self._derived == "predict" and self._classes is not None and result.ndim == 1:
            return self._classes[result]
        return result[:, 0] if self._derived == "quantiles" and self._is_column else result


def resolve_output(output: Any, default: str, estimator: Any) -> str:
    """Tell which method's results are wanted of streams.

    Parameters
    ----------
    output : str or None
    default : str
        What None stands for.
    estimator : estimator
        That has the method.

    Raises
    ------
    ValueError
        If there is no such method, or the estimator has it not.
    """
    wanted = default if output is None else output
    known = [name for name in OUTPUTS if hasattr(estimator, name)]
    if not isinstance(wanted, str) or wanted not in known:
        raise ValueError(
            f"output={shortened(repr(wanted), 60)} is no method of {type(estimator).__name__} whose results a stream "
            f"can give; there are {', '.join(known)}."
        )
    return wanted
