"""A new model for samples: what stands before its networks, their sizes, and what their weights begin with."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._network.architecture import Architecture
from skattn._network.losses import LOSSES
from skattn._network.missing import filled
from skattn._network.network import Network
from skattn._network.stem_learning import learn_stem
from skattn._training.objectives import OBJECTIVES
from skattn._training.seen import look, supported_length
from skattn._training.settings import TrainingState
from skattn.categories import learn_codes, pairs_of
from skattn.defaults import Choice, choose, chosen, competes, resolve_dtype
from skattn.description import describe
from skattn.encoding import learn_target
from skattn.model import Member, Model, Samples
from skattn.pretraining import pretrained_estimator, refuse_others, refuse_still_outputs, take_over, with_frozen
from skattn.roles import Roles, usual_interval
from skattn.sizes import refuse_too_large, resolve_architecture
from skattn.step_target import StepTarget


def begin(estimator: Any, samples: Samples, seed: int, *, is_open: bool) -> Model:
    """Make a new model for samples, its weights drawn, or those of `pretrained`.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
    samples : Samples
    seed : int
        That of the first network; the others follow from it.
    is_open : bool
        Whether these are only the first samples of more, as in `partial_fit`.

    Raises
    ------
    ValueError
        If parameters do not fit each other, the samples, or the pretrained network.
    """
    data, objective, before = samples.data, OBJECTIVES[samples.objective], None
    if (given := pretrained_estimator(estimator)) is not None:
        before = given._model
    codes = learn_codes(data) if before is None else before.network.codes
    # Outputs that tell a step: one for each number, one for each code.
    n_of_step = data.n_features - len(data.roles.no_numbers) + sum(map(len, codes))
    n_outputs = n_of_step if samples.classes is None else len(samples.classes)
    if LOSSES[objective.loss].contrasts:
        n_outputs = int(estimator.d_model)
    target = learn_target(estimator, samples, objective, n_outputs)
    seen, mean, scale = look(data, samples.weight)
    mean[data.roles.no_numbers], scale[data.roles.no_numbers] = 0.0, 1.0
    longest = supported_length(seen, data.max_length)
    if before is None:
        choice = _choose(estimator, samples, longest, codes, is_open)
    else:
        choice = _choose_as_before(estimator, samples, longest, before.network.architecture)
    sizes = {"n_features": data.n_features, "n_outputs": target.n_outputs, "choice": choice}
    architecture = resolve_architecture(estimator, loss=objective.loss, **sizes)
    if before is not None:
        refuse_others(architecture, given, estimator, data)
        architecture = replace(architecture, heads=before.network.architecture.heads)
    architecture = with_frozen(architecture, estimator)
    dtype = resolve_dtype(estimator, architecture, data.values.dtype, None if before is None else before.network.dtype)
    refuse_too_large(architecture, dtype, rows_of_tape(architecture, data.max_length))
    if estimator.verbose:
        print(describe(estimator, architecture, len(samples.weight), data.max_length, is_open=is_open), flush=True)
    inputs = mean, scale, codes, 1.0 if data.roles.time is None else usual_interval(data)
    members = []
    for number, each in enumerate(_seeds(seed, estimator.n_estimators)):
        known = None if before is None else before.members[number % len(before.members)].network
        network = Network(
            architecture if known is None else replace(architecture, heads=known.architecture.heads), dtype
        )
        network.initialise(np.random.default_rng(each))
        refuse_still_outputs(network)
        if known is None:
            _measure_input(network, samples, inputs, each, number, estimator.n_jobs)
        else:
            take_over(network, known)
        members.append(Member(network, TrainingState(each)))
    return Model(members, samples.objective, target, samples.classes, seen)


def _choose(estimator: Any, samples: Samples, longest: int, codes: list[NDArray[Any]], is_open: bool) -> Choice:
    """What stands before a network that begins with nothing."""
    data, loss = samples.data, OBJECTIVES[samples.objective].loss
    how = {"is_open": is_open, "is_stepwise": isinstance(samples.target, StepTarget)}
    choice = choose(estimator, data, samples.weight, loss, longest, **how)
    categories = pairs_of(data.roles.categorical, codes)
    return replace(choice, categories=categories, time_feature=data.roles.time, is_stepwise=how["is_stepwise"])


def _choose_as_before(estimator: Any, samples: Samples, longest: int, before: Architecture) -> Choice:
    """What stands before a network that begins with another one: the same."""
    choice, is_stepwise = chosen(estimator, before), isinstance(samples.target, StepTarget)
    loss = LOSSES[OBJECTIVES[samples.objective].loss]
    mixes = choice.stride > 1 or (loss.reconstructs and before.n_kernels > 0) or (loss.hides and before.n_taps > 0)
    if mixes and (is_stepwise or loss.reconstructs):
        raise ValueError(
            "The network of pretrained makes tokens of several steps, and every step is to be told by itself; fit that "
            'with embedding="linear" and patch_size=1.'
        )
    if loss.contrasts and before.n_kernels > 0:
        raise ValueError(
            "The network of pretrained has a stem, whose tokens are made of whole sequences, and views of sequences "
            'are drawn anew; fit that with embedding="linear" or "convolution".'
        )
    n_tokens = -(-longest // choice.stride)
    return replace(choice, max_steps=max(before.max_steps, n_tokens), is_stepwise=is_stepwise)


def _measure_input(network: Network, samples: Samples, inputs: Any, seed: int, number: int, n_jobs: int | None) -> None:
    """Tell a network what its input is like, and calibrate its stem."""
    network.mean[:], network.scale[:], network.codes, network.time_unit[:] = inputs
    architecture = network.architecture
    if architecture.n_kernels:
        network.stem = learn_stem(
            filled(samples.data, network.mean, architecture.is_causal),
            samples.weight,
            network.mean,
            network.scale,
            n_kernels=architecture.n_kernels,
            stride=architecture.stride,
            is_causal=architecture.is_causal,
            seed=seed,
            dtype=network.dtype,
            competes=competes(number, architecture.stride, len(samples.weight)),
            n_jobs=n_jobs,
        )


def roles_of(architecture: Architecture) -> Roles:
    """Give what the features are that a network takes."""
    return Roles(tuple(column for column, _ in architecture.categories), architecture.time_feature)


def rows_of_tape(architecture: Architecture, longest: int) -> int:
    """Rows that the tape begins with: the tokens of a stem, or the steps."""
    return -(-longest // architecture.stride) if architecture.n_kernels else longest


def _seeds(seed: int, n: int) -> list[int]:
    """A seed for each network; that of the first is the fit's own."""
    return [seed, *np.random.default_rng(seed).integers(np.iinfo(np.int32).max, size=n - 1).tolist()]
