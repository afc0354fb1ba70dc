"""What a fitted estimator shows: learned arrays, how training went, and what attends to what."""

from collections.abc import Iterator
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import estimator_html_repr

from skattn._network.layers import name_of_pooling
from skattn._network.network import Network
from skattn._wording import shortened
from skattn.attention_maps import Asked, ask, iterate, number_of, refuse_too_large
from skattn.model import Model, named_weights
from skattn.sequences import Sequences
from skattn.stream import Stream, resolve_output
from skattn.summary import Summary, html_of, summarise


class FittedAttributes:
    """Attributes and maps of the model that `_fitted` gives."""

    n_jobs: int | None
    _fitted: Model

    _streams: ClassVar[str] = "transform"
    """The method whose results a stream gives where nobody says."""

    def attention_weights(
        self,
        X: Any,
        layer: int | None = -1,
        head: int | None = None,
        average: bool = False,
        steps: Any = None,
        *,
        network: int = 0,
        over: str = "tokens",
    ) -> list[Any]:
        """Show what each step attends to, or each token where there is a stem.

        Parameters
        ----------
        X : sequences, as in `fit`
        layer : int or None, default=-1
            Which layer, counted from 0; negative numbers count from the last. None: all of them.
        head : int, default=None
            Which head, counted likewise; by default all.
        average : bool, default=False
            Give the mean of all heads of a layer.
        steps : int, slice, or array of ints, default=None
            Rows to give, counted likewise: what these steps attend to. By default all. Others are not computed.
        network : int, default=0
            Which of the `n_estimators` networks, counted likewise: each looks in its own way.
        over : {"tokens", "steps"}, default="tokens"
            What rows and columns are behind a stem or patches. "tokens": what attention is between. "steps": a step's
            row is the mean of those of the tokens that stand for it, and what a token is attended to is divided evenly
            among its steps. A step between patches, which none reads, has the row of the patch nearest to it, the
            earlier of two, and a column of 0.

        Returns
        -------
        weights : list of ndarray of shape (n_heads, n_steps_i, n_steps_i)
            For each sequence, how much every step (row) attends to every step (column); rows sum to 1. Behind a
            stem or patches rows and columns are tokens, whose steps `token_spans` says, unless they are spread `over`
            steps. There is no axis of heads with `head` or `average`, and none of rows where `steps` is one number.
            With ``layer=None``, for each sequence a list with such an array for every layer.

        Raises
        ------
        ValueError
            If there is no such layer, head, step or network, `over` is something else, or the maps are larger than
            this machine's memory; see `iter_attention_weights`.
        """
        asked, data = self._ask(X, layer, head, average, steps, network, over)
        refuse_too_large(asked, data.lengths, is_one_by_one=False)
        return list(iterate(asked, data, self._spans, self._carry_by, self.n_jobs))

    def iter_attention_weights(
        self,
        X: Any,
        layer: int | None = -1,
        head: int | None = None,
        average: bool = False,
        steps: Any = None,
        *,
        network: int = 0,
        over: str = "tokens",
    ) -> Iterator[Any]:
        """Show what each step attends to, one sequence after another, for maps that do not fit in memory together.

        Parameters
        ----------
        X, layer, head, average, steps, network, over : as in `attention_weights`

        Returns
        -------
        weights : iterator
            Of what `attention_weights` gives in a list. What is asked for is checked at once.

        Raises
        ------
        ValueError
            As `attention_weights`; if memory cannot hold the maps of one sequence.
        """
        asked, data = self._ask(X, layer, head, average, steps, network, over)
        refuse_too_large(asked, data.lengths, is_one_by_one=True)
        return iterate(asked, data, self._spans, self._carry_by, self.n_jobs)

    def _ask(
        self, X: Any, layer: int | None, head: int | None, average: bool, steps: Any, network: int, over: str
    ) -> tuple[Asked, Sequences]:
        members = self._fitted.members
        chosen = members[number_of("network", network, len(members))].network
        asked = ask(chosen, layer, head, average, steps, over)
        return asked, self._read_fitted(X)

    def pooling_weights(self, X: Any, network: int = 0) -> list[NDArray[Any]]:
        """Show what each learned query reads, with ``pooling="attention"``.

        Parameters
        ----------
        X : sequences, as in `fit`
        network : int, default=0
            Which of the networks.

        Returns
        -------
        weights : list of ndarray of shape (n_pooling_queries, n_heads, n_tokens_i)
            For each sequence the share of each token in what a head of a query makes of it; rows sum to 1. One query
            alone has one head. Without a stem a token is a step; `token_spans` says which steps each stands for.

        Raises
        ------
        ValueError
            If pooling is another, or there is no such network.
        """
        members, data = self._fitted.members, self._read_fitted(X)
        architecture = members[0].network.architecture
        if architecture.pooling != "attention":
            raise ValueError(
                f'pooling={architecture.pooling!r} has no queries; fit with pooling="attention" to see what they read.'
            )
        chosen = members[number_of("network", network, len(members))].network
        names = [f"{name_of_pooling(number)}.weights" for number in range(architecture.n_pooling_queries)]
        queries = np.stack([self._carry_by(chosen, data, name) for name in names])
        n_heads, ends = architecture.n_pooling_heads, np.cumsum(chosen.count_rows(data.lengths))
        # Of a sequence, numbers lie head by head.
        return [rows.reshape(len(names), n_heads, -1) for rows in np.split(queries, ends[:-1], axis=1)]

    def token_spans(self, X: Any) -> list[NDArray[np.int64]]:
        """Tell which steps each token of a sequence stands for.

        Parameters
        ----------
        X : sequences, as in `fit`

        Returns
        -------
        spans : list of int64 arrays of shape (n_tokens_i, 2)
            For each sequence the first step of every token, and the one after its last. Without a stem a token is a
            step. With one a token also tells of steps around these: as far as its kernels reach.
        """
        return [self._spans(length) for length in self._read_fitted(X).lengths.tolist()]

    def stream(self, n_streams: int = 1, *, output: str | None = None) -> Stream:
        """Begin streams: sequences that go on, whose results are told after every step.

        Parameters
        ----------
        n_streams : int, default=1
            Sequences that go on independently of each other, for example a sensor each.
        output : {"transform", "predict", "predict_proba", "predict_log_proba", "decision_function", \
"predict_quantiles"}, default=None
            The method whose results are told, one that the estimator has. None: "transform" of a transformer,
            "predict_proba" of a classifier, "predict" of a regressor.

        Returns
        -------
        stream : Stream
            Its `step` gives what the method gives for the whole sequence so far, where that has rows for every step the
            last of them, but for rounding.

        Raises
        ------
        ValueError
            If the model is not causal, or what stands before the network makes one token of several steps: a stem or
            patches; if values are counted from the level of a whole sequence; if heads were taken out of one network
            and not of another; if the estimator has no such method; or if `n_streams` is no number from 1 on, or more
            than memory holds.
        """
        model = self._fitted
        held = getattr(self, "_held_categories", None)
        return Stream(model, n_streams, resolve_output(output, self._streams, self), self.n_jobs, held)

    def summary(self, n_steps: int | None = None) -> Summary:
        """List the operations of the networks, what they give, and how many parameters and multiplications they take.

        Parameters
        ----------
        n_steps : int, default=None
            Steps of the sequence that this is told for; by default of the longest ones that `fit` has seen, in whole
            tokens or patches.

        Returns
        -------
        summary : Summary
            Printed as a table; see its attributes for the numbers. The HTML representation of a fitted estimator
            shows it as well.

        Raises
        ------
        ValueError
            If `n_steps` is no number from 1 on.
        """
        a = self._fitted.network.architecture
        if n_steps is None:
            n_steps = a.max_steps * a.stride
        elif isinstance(n_steps, bool) or not isinstance(n_steps, Integral) or n_steps < 1:
            raise ValueError(f"n_steps={shortened(repr(n_steps), 60)}; give a whole number from 1 on.")
        return summarise(self._fitted, int(n_steps))

    def _html_repr(self) -> str:
        return html_of(self, estimator_html_repr(self))

    @property
    def weights_(self) -> dict[str, NDArray[Any]]:
        """Every learned array by its name; read-only, for these are the arrays that are computed with."""
        views = {name: weight.view() for name, weight in named_weights(self._fitted).items()}
        for view in views.values():
            view.flags.writeable = False
        return views

    @property
    def objective_(self) -> str:
        """What was learned."""
        return self._fitted.objective

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels, sorted."""
        if self._fitted.classes is None:
            raise AttributeError("There are no classes_: the objective learned values or sequences.")
        return self._fitted.classes

    @property
    def loss_curve_(self) -> list[float]:
        """Training loss of every epoch, the mean over networks that had as many."""
        return _mean_curve([member.state.loss_curve for member in self._fitted.members])

    @property
    def best_loss_(self) -> float:
        """Lowest training loss of an epoch."""
        return min(self.loss_curve_)

    @property
    def validation_scores_(self) -> list[float]:
        """Validation score of every epoch."""
        if not self._fitted.state.validation_scores:
            raise AttributeError("There are validation_scores_ only with early_stopping=True or X_val.")
        return _mean_curve([member.state.validation_scores for member in self._fitted.members])

    @property
    def n_iter_(self) -> int:
        """Epochs so far, of the network that had most."""
        return max(member.state.n_epochs for member in self._fitted.members)

    def _read_fitted(self, X: Any) -> Sequences:
        """Read X as the fitted network takes it."""
        raise NotImplementedError

    def _carry_by(self, network: Network, data: Sequences, name: str) -> NDArray[Any]:
        """What stands in a slot of a network, all of it finite."""
        raise NotImplementedError

    def _spans(self, length: int) -> NDArray[np.int64]:
        """First step of each token of a sequence, and the one after its last."""
        architecture = self._fitted.network.architecture
        firsts = np.arange(0, length, architecture.stride)
        ends = np.minimum(firsts + (architecture.patch_size or architecture.stride), length)
        return np.stack([firsts, ends], axis=1)


def _mean_curve(curves: list[list[float]]) -> list[float]:
    """Mean of the curves that are as long; one alone is given as it is."""
    if len(curves) == 1:
        return curves[0]
    longest = max(map(len, curves))
    return [float(np.mean([curve[i] for curve in curves if len(curve) > i])) for i in range(longest)]
