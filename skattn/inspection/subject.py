"""What is looked into: fitted estimators of this package, their networks, and copies with others in their place."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

from sklearn.utils.validation import check_is_fitted

from skattn._network.network import Network
from skattn._wording import shortened
from skattn.attention_maps import number_of
from skattn.base import SelfAttentionEstimator
from skattn.model import Member


def check_model(model: Any) -> SelfAttentionEstimator:
    """Give the model back if it is a fitted estimator of this package.

    Raises
    ------
    TypeError
        If it is something else, such as a pipeline.
    NotFittedError
        If it is not fitted.
    """
    if not isinstance(model, SelfAttentionEstimator):
        is_pipeline = hasattr(model, "steps")
        steps = "; of a pipeline give model[-1], and X as model[:-1].transform(X) gives it" if is_pipeline else ""
        raise TypeError(
            f"model is {shortened(repr(model), 60)}, and a fitted SelfAttentionTransformer, SelfAttentionClassifier or "
            f"SelfAttentionRegressor is wanted{steps}."
        )
    check_is_fitted(model)
    return model


def chosen_networks(model: SelfAttentionEstimator, network: int | None) -> list[int]:
    """Give the numbers of the networks that are meant: all, or one."""
    count = len(model._fitted.members)
    return list(range(count)) if network is None else [number_of("network", network, count)]


def with_network(model: SelfAttentionEstimator, changes: dict[int, Callable[[Network], Network]]) -> Any:
    """Give a copy of a fitted estimator with some networks changed; it goes on learning with a new optimiser.

    Parameters
    ----------
    model : SelfAttentionEstimator
        It stays as it is.
    changes : dict of int to callable (network) -> network
    """
    changed, members = copy(model), []
    for number, member in enumerate(model._fitted.members):
        if number in changes:
            # What training keeps is of the weights that were there.
            state = copy(member.state)
            state.optimizer = state.kept_parameters = None
            member = Member(changes[number](member.network), state)
        members.append(member)
    changed._model = replace(model._fitted, members=members)
    return changed
