"""Take an estimator from what the user passed to a trained network, new or continued."""

from collections.abc import Callable
from copy import copy
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from skattn._network.architecture import Architecture
from skattn._network.going_on import copy_network, copy_optimizer, standardise_anew
from skattn._network.losses import LOSSES
from skattn._training.objectives import OBJECTIVES
from skattn._training.seen import assume_seen, look, supported_length
from skattn._wording import shortened
from skattn.beginning import begin, roles_of, rows_of_tape
from skattn.callbacks import FitCallbacks, with_callbacks
from skattn.categories import warn_of_unknown
from skattn.defaults import chosen
from skattn.ensemble import train_all
from skattn.levels import counted_from
from skattn.model import Member, Model, Samples
from skattn.pretraining import FIELD_WORDS, pretrained_model, with_frozen
from skattn.roles import resolve_roles
from skattn.sequences import Sequences, read_sequences
from skattn.sizes import refuse_too_large, resolve_architecture
from skattn.step_labels import read_labels_for, read_step_labels
from skattn.step_target import StepTarget
from skattn.targets import keep_present, read_target, sorted_classes
from skattn.validation import find_scorer, rarest_labels, read_groups, split_validation
from skattn.weighting import read_sample_weight

if TYPE_CHECKING:
    from skattn.checkpoint import Checkpoint


def fit_model(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    model: Model | None = None,
    classes: Any = None,
    X_val: Any = None,
    y_val: Any = None,
    validation_groups: Any = None,
    n_epochs: int | None = None,
    plan: str = "new",
    checkpoint: "Checkpoint | None" = None,
    keep: Callable[[Model], None],
) -> None:
    """Read samples and train on them.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
        Gives parameters, `_choose_objective` and `_weigh_classes`. Only `n_features_in_` and
        `feature_names_in_` are set on it.
    X, y, sample_weight, X_val, y_val, validation_groups
        As the user passed them.
    model : Model, optional
        To go on from; it stays as it is. By default a new one.
    classes : array-like, optional
        All classes that will ever come, for a new model.
    n_epochs : int, optional
        By default what `max_iter` says.
    plan : {"new", "open"}
        What the learning rate's schedule spans: this call, or nothing known.
    checkpoint : Checkpoint, optional
        Written after every epoch, and gone on from where there is a file.
    keep : callable (model)
        Called with what was learned, also where Ctrl-C ends training after an update.

    Raises
    ------
    ValueError
        If anything cannot be used, or training diverges.
    KeyboardInterrupt
        On Ctrl-C, with a note where something is kept.
    """
    find_scorer(estimator.scoring)  # a word that is none is refused before anything else is done
    samples = _read_samples(estimator, X, y, sample_weight, model, classes, validation_groups)
    seed = model.state.seed if model else _draw_seed(estimator.random_state)
    if checkpoint:
        seed = checkpoint.settle_seed(seed)
    learned, validation = _choose_validation(estimator, samples, X_val, y_val, seed)
    if checkpoint:
        checkpoint.settle_data(samples, validation if X_val is not None else None, model or pretrained_model(estimator))
    learned, goes_on = learned.merged(keeps_order=not estimator.shuffle), model is not None
    _refuse_one_alone(estimator, learned, validation)
    begins_anew = model is None and estimator.pretrained is None
    model = _continue(estimator, learned, model) if model else begin(estimator, learned, seed, is_open=plan == "open")
    if not begins_anew:
        warn_of_unknown(learned.data, model.network.codes)
    resumes = checkpoint is not None and checkpoint.restore(model)
    callbacks = FitCallbacks.of(estimator, X, y, sample_weight)
    how = n_epochs, plan, checkpoint, resumes, goes_on, callbacks
    _learn(estimator, model, learned, validation, how, keep)


@with_callbacks
def _learn(
    estimator: Any,
    model: Model,
    learned: Samples,
    validation: Samples | None,
    how: tuple[Any, ...],
    keep: Callable[[Model], None],
) -> None:
    """Train a model, and keep it; `how` is handed on to `train_all`, and ends with what is called."""
    n_updates = [member.state.n_updates for member in model.members]
    try:
        train_all(estimator, model, learned, validation, *how)
    except KeyboardInterrupt as interrupt:
        _keep_interrupted(model, n_updates, keep, interrupt)
        raise
    *_, callbacks = how
    if how[1] != "open" and not estimator.warm_start:
        # Its averages are twice the weights; few fits are gone on with.
        for member in model.members:
            member.state.optimizer = None
    keep(model)
    if callbacks:
        callbacks.end()


def _keep_interrupted(
    model: Model, n_updates: list[int], keep: Callable[[Model], None], interrupt: KeyboardInterrupt
) -> None:
    """Keep the networks that have learned, if one has learned something new and all are finite."""
    begun = [member for member in model.members if member.state.n_updates]
    counts = [member.state.n_updates for member in model.members]
    if counts == n_updates or not all(map(_is_sound, begun)):
        return
    keep(replace(model, members=begun))
    last = begun[-1].state
    which = f" of network {len(begun)} of {len(counts)}" if len(counts) > 1 else ""
    interrupt.add_note(
        f"Training was interrupted in epoch {last.n_epochs + 1}, after {last.n_updates} updates{which}; "
        "what was learned until then is kept in the estimator, which is fitted."
    )


def _is_sound(member: Member) -> bool:
    """Whether what was learned is finite, which is looked at between epochs only."""
    return bool(np.isfinite(member.network.parameters).all()) and member.state.optimizer.is_finite()


def _draw_seed(random_state: Any) -> int:
    """One number that everything else is drawn from."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def _read_samples(
    estimator: Any, X: Any, y: Any, sample_weight: Any, model: Model | None, classes: Any, groups: Any
) -> Samples:
    """Check all that there is to learn from; samples that weigh nothing are left out."""
    architecture = model.network.architecture if model else None
    longest = architecture.max_steps * architecture.stride if architecture else None
    roles = roles_of(architecture) if architecture else None
    if architecture:
        missing = "mask" if architecture.handles_missing else "error"
        _refuse_change({"handle_missing": missing}, {"handle_missing": estimator.handle_missing})
    data = read_sequences(X, estimator, reset=model is None, longest=longest, roles=roles)
    if roles is not None:
        _refuse_other_roles(estimator, data)
    labels = read_labels_for(estimator, y, data, model)
    y, n_labels, places = y, data.n_samples, {}
    if labels is not None:
        y, n_labels, places = labels.labels, len(labels.rows), {"place_of": labels.place_of}
    objective = estimator._choose_objective(y, model.objective if model else None, classes)
    known = model.classes if model else None if classes is None else sorted_classes(classes, "classes")
    n_outputs = model.target.n_values if model else None
    target, all_classes = read_target(y, objective, n_labels, classes=known, n_outputs=n_outputs, **places)
    if labels is not None and target is not None:
        target = labels.target(target)
    weight = read_sample_weight(sample_weight, data.n_samples)
    groups = read_groups(groups, data.n_samples)
    samples = Samples(data, target, _weight_of_told(weight, data, objective), objective, all_classes, groups)
    samples = samples.take(np.flatnonzero(samples.weight))
    if OBJECTIVES[objective].target_type == "classes" and model is None:
        samples = _settle_classes(samples, is_open=known is None)
    return _weigh_classes(estimator, samples)


def _refuse_other_roles(estimator: Any, data: Sequences) -> None:
    """What features are stays as it was where a fit goes on."""
    names, known = getattr(estimator, "feature_names_in_", None), data.roles
    # "from_dtype" asks the sequences, and plain arrays say nothing.
    held = [np.empty(0) if column in known.categorical else None for column in range(data.n_features)]
    asked = resolve_roles(estimator, data.n_features, None if data.kind == "rows" else names, held)
    if asked != known:
        _refuse_change(
            {"categorical_features": known.categorical, "time_feature": known.time},
            {"categorical_features": asked.categorical, "time_feature": asked.time},
        )


def _refuse_one_alone(estimator: Any, samples: Samples, validation: Samples | None) -> None:
    """Views are told from those of other sequences of the batch, so there must be some."""
    if not LOSSES[OBJECTIVES[samples.objective].loss].contrasts:
        return
    if validation is not None and len(validation.weight) == 1:
        raise ValueError(
            f'The objective "{samples.objective}" tells views of a sequence from those of others, and one sequence '
            "alone is held out to validate with, whose score says nothing; give more, a larger validation_fraction, or "
            "an X_val of two or more."
        )
    if 1 in (len(samples.weight), estimator.batch_size):
        raise ValueError(
            f'The objective "{samples.objective}" tells views of a sequence from those of others in its batch, and '
            f"there are none: X has {len(samples.weight)} different sequence(s), batch_size={estimator.batch_size}; "
            "give two or more."
        )


def _weight_of_told(
    weight: NDArray[np.float64], data: Sequences, objective: str, name: str = "X"
) -> NDArray[np.float64]:
    """Weights of sequences, 0 for those that have no step to be told from those before it."""
    n_ahead = LOSSES[OBJECTIVES[objective].loss].n_ahead
    if data.max_length <= n_ahead:
        raise ValueError(
            f'The objective "{objective}" tells each step from those before it, and no sequence of {name} has more '
            f"than {n_ahead} step; give longer ones, or take another objective."
        )
    return np.where(data.lengths > n_ahead, weight, 0.0)


def _weigh_classes(estimator: Any, samples: Samples) -> Samples:
    """Samples with what each class weighs; those that weigh nothing are left out."""
    weight, target = samples.weight, samples.target
    if isinstance(target, StepTarget):
        if samples.classes is not None:
            own = target.of_labelled(weight)
            target = target.weighed(estimator._weigh_classes(target.labelled, samples.classes, own) / own)
        return replace(samples, target=target).take(np.flatnonzero(target.totals))
    if samples.classes is not None:
        weight = estimator._weigh_classes(target, samples.classes, weight)
    return replace(samples, weight=weight).take(np.flatnonzero(weight))


def _settle_classes(samples: Samples, is_open: bool) -> Samples:
    """The classes announced, or else those of which a sample is left."""
    target, classes = samples.target, samples.classes
    is_stepwise = isinstance(target, StepTarget)
    if is_open:
        indices, classes = keep_present(target.labelled if is_stepwise else target, classes)
        target = target.relabelled(indices) if is_stepwise else indices
    if len(classes) < 2:
        none = " (a step of -1 has no label)" if is_stepwise else ""
        raise ValueError(
            f"There is only one class, {shortened(repr(classes.tolist()[0]))}{none}, and at least 2 are needed to "
            "learn what tells them apart; add samples of another class."
        )
    return replace(samples, target=target, classes=classes)


def _choose_validation(
    estimator: Any, samples: Samples, X_val: Any, y_val: Any, seed: int
) -> tuple[Samples, Samples | None]:
    """Samples to train on and samples to validate with: the user's own, a share, or none."""
    if samples.groups is not None and (X_val is not None or not estimator.early_stopping):
        raise ValueError(
            "validation_groups say which samples are held out together, and none are held out here; set "
            "early_stopping=True and give no X_val, or leave validation_groups out."
        )
    if isinstance(estimator.scoring, str) and isinstance(samples.target, StepTarget):
        raise ValueError(
            f"scoring={estimator.scoring!r} compares one entry of y a sequence, and y has one for each step: give a "
            "callable (estimator, X, y) that joins them, or None for minus the validation loss."
        )
    if X_val is not None:
        return samples, _read_validation(estimator, samples, X_val, y_val)
    if y_val is not None:
        raise ValueError("y_val was given without X_val; give both to fit, or none.")
    if not estimator.early_stopping:
        return samples, None
    target_type, labels = OBJECTIVES[samples.objective].target_type, None
    if not isinstance(samples.target, StepTarget):
        labels = samples.target if target_type == "classes" else None
        labels = rarest_labels(samples.target) if target_type == "indicators" else labels
    train_indices, indices = split_validation(
        samples.data.n_samples, labels, estimator.validation_fraction, seed, samples.groups
    )
    return samples.take(train_indices), samples.take(indices)


def _read_validation(estimator: Any, samples: Samples, X_val: Any, y_val: Any) -> Samples:
    """Check the user's own validation samples against those to train on."""
    try:
        known = {"longest": samples.data.max_length, "roles": samples.data.roles}
        data = read_sequences(X_val, estimator, reset=False, **known)
    except (TypeError, ValueError) as error:
        raise type(error)(f"X_val: {shortened(error, 480)}") from error
    is_stepwise, labels = isinstance(samples.target, StepTarget), None
    if is_stepwise:
        are_classes = samples.classes is not None
        labels = read_step_labels(y_val, data, is_wanted=True, are_classes=are_classes, name="y_val")
    target, _ = read_target(
        y_val if labels is None else labels.labels,
        samples.objective,
        data.n_samples if labels is None else len(labels.rows),
        classes=samples.classes,
        n_outputs=None if samples.target is None else _n_columns(samples.target),
        name="y_val",
        **({} if labels is None else {"place_of": labels.place_of}),
    )
    if is_stepwise:
        if labels is None:
            raise ValueError("y_val has one entry for each sequence, and y one for each step; give both alike.")
        target = labels.target(target)
    weight = _weight_of_told(np.ones(data.n_samples), data, samples.objective, "X_val")
    validation = replace(samples, data=data, target=target, weight=weight, groups=None)
    return validation.take(np.flatnonzero(target.totals if is_stepwise else weight))


def _n_columns(target: Any) -> int:
    values = target.values if isinstance(target, StepTarget) else target
    return 1 if values.ndim == 1 else int(values.shape[1])


def _continue(estimator: Any, samples: Samples, model: Model) -> Model:
    """A copy of the model to train on, with parameters as they are set now and room for what these samples are like."""
    before, data = model.network, samples.data
    if estimator.n_estimators != len(model.members):
        _refuse_change({"n_estimators": len(model.members)}, {"n_estimators": estimator.n_estimators})
    origin = counted_from(model.target)
    _refuse_change({"normalise_target": origin}, {"normalise_target": getattr(estimator, "normalise_target", origin)})
    known = model.seen or assume_seen(data, samples.weight, before)
    seen, mean, scale = look(data, samples.weight, known)
    mean[data.roles.no_numbers], scale[data.roles.no_numbers] = 0.0, 1.0
    supported = -(-supported_length(seen, data.max_length) // before.architecture.stride)
    max_steps = max(before.architecture.max_steps, supported)
    architecture = resolve_architecture(
        estimator,
        loss=before.architecture.loss,
        n_features=data.n_features,
        n_outputs=before.architecture.n_outputs,
        choice=chosen(estimator, before.architecture),
    )
    architecture = with_frozen(replace(architecture, heads=before.architecture.heads), estimator)
    _refuse_change(asdict(before.architecture), asdict(architecture))
    if estimator.dtype != "auto":
        _refuse_change({"dtype": before.dtype}, {"dtype": estimator.dtype})
    architecture = replace(architecture, max_steps=max_steps)
    refuse_too_large(architecture, before.dtype, rows_of_tape(architecture, data.max_length))
    members = [_continue_member(member, architecture) for member in model.members]
    if not architecture.n_kernels:
        # A stem was calibrated by what it standardises, and stays as it is.
        for member in members:
            standardise_anew(member.network, member.state.optimizer, mean, scale, is_new=known.deviation == 0)
    return replace(model, members=members, seen=seen)


def _continue_member(member: Member, architecture: Architecture) -> Member:
    """A copy of a network and of what its training goes on from."""
    own = replace(architecture, heads=member.network.architecture.heads)
    network, state = copy_network(member.network, own), copy(member.state)
    state.loss_curve, state.validation_scores = state.loss_curve[:], state.validation_scores[:]
    if state.optimizer is not None:
        state.optimizer = copy_optimizer(state.optimizer, member.network, network)
    return Member(network, state)


_MAY_CHANGE = (
    *("dropout", "embedding_dropout", "token_dropout", "label_smoothing"),
    *("frozen", "augmentations", "temperature"),
)
"""What only learning knows."""


def _refuse_change(before: dict[str, Any], after: dict[str, Any]) -> None:
    """What only learning knows may change between calls; anything else would be another network."""
    for name, value in after.items():
        if value != before[name] and name not in _MAY_CHANGE:
            now, then = shortened(repr(value)), shortened(repr(before[name]))
            raise ValueError(
                f"{FIELD_WORDS.get(name, name)} is {now} now, but the fitted network was built with {then}, and "
                "warm_start and partial_fit go on with the same network; set parameters as they were at fit, or start "
                "anew with warm_start=False or sklearn.base.clone."
            )
