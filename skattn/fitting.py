"""Take an estimator from what the user passed to a trained network, new or continued."""

from copy import copy
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from skattn._network.going_on import copy_network, copy_optimizer, standardise_anew
from skattn._network.network import Network
from skattn._training.loop import TrainingState, train
from skattn._training.objectives import OBJECTIVES, Target
from skattn._training.seen import Seen, assume_seen, look, supported_length
from skattn.parameters import refuse_too_large, resolve_architecture, resolve_settings
from skattn.sequences import Sequences, read_sequences
from skattn.targets import keep_present, read_target, sorted_classes
from skattn.validation import find_scorer, make_score, rarest_labels, read_groups, split_validation
from skattn.weighting import read_sample_weight

if TYPE_CHECKING:
    from skattn.checkpoint import Checkpoint


@dataclass(eq=False)
class Model:
    """What a fit leaves behind; plain arrays and values, so it can be pickled.

    Attributes
    ----------
    network : Network
    state : TrainingState
        How far training has come, and what it goes on from.
    objective : str
        Key of `OBJECTIVES`.
    target : Target
        How the objective encodes y.
    classes : ndarray of shape (n_classes,) or None
    seen : Seen or None
        What all samples so far were like; None where a file does not tell.
    """

    network: Network
    state: TrainingState
    objective: str
    target: Target
    classes: NDArray[Any] | None
    seen: Seen | None = None


@dataclass(frozen=True)
class Samples:
    """Checked samples: sequences, what they should give, and how much each counts."""

    data: Sequences
    target: Any
    weight: NDArray[np.float64]
    objective: str
    classes: Any
    groups: NDArray[np.int64] | None = None

    def take(self, indices: NDArray[np.int64]) -> "Samples":
        """Give some of the samples."""
        target, groups = (None if part is None else part[indices] for part in (self.target, self.groups))
        return replace(self, data=self.data.take(indices), target=target, weight=self.weight[indices], groups=groups)


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
) -> Model:
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

    Returns
    -------
    model : Model

    Raises
    ------
    ValueError
        If anything cannot be used, or training diverges.
    """
    find_scorer(estimator.scoring)  # a word that is none is refused before anything else is done
    samples = _read_samples(estimator, X, y, sample_weight, model, classes, validation_groups)
    seed = model.state.seed if model else _draw_seed(estimator.random_state)
    if checkpoint:
        seed = checkpoint.settle_seed(seed)
    learned, validation = _choose_validation(estimator, samples, X_val, y_val, seed)
    if checkpoint:
        checkpoint.settle_data(samples, validation if X_val is not None else None, model)
    model = _continue(estimator, learned, model) if model else _begin(estimator, learned, seed)
    if checkpoint and checkpoint.restore(model):
        plan = "resume"
    train(
        model.network,
        *_encode(learned, model),
        resolve_settings(estimator),
        model.state,
        n_epochs=n_epochs,
        plan=plan,
        validation=validation and (*_encode(validation, model), make_score(estimator, validation, model)),
        on_epoch=checkpoint and (lambda *news: checkpoint.save(model)),
    )
    model.network.release()
    if plan != "open" and not estimator.warm_start:
        # Its averages are twice the weights; few fits are gone on with.
        model.state.optimizer = None
    return model


def _encode(samples: Samples, model: Model) -> tuple[Sequences, Any, NDArray[np.float64]]:
    """Samples as training takes them: sequences, targets in the form of the objective, weights."""
    target = OBJECTIVES[model.objective].encode(samples.target, model.target)
    return samples.data, target, samples.weight


def _draw_seed(random_state: Any) -> int:
    """One number that everything else is drawn from."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def _read_samples(
    estimator: Any, X: Any, y: Any, sample_weight: Any, model: Model | None, classes: Any, groups: Any
) -> Samples:
    """Check all that there is to learn from; samples that weigh nothing are left out."""
    data = read_sequences(X, estimator, reset=model is None)
    objective = estimator._choose_objective(y, model.objective if model else None)
    known = model.classes if model else None if classes is None else sorted_classes(classes, "classes")
    n_outputs = model.target.n_outputs if model else None
    target, all_classes = read_target(y, objective, data.n_samples, classes=known, n_outputs=n_outputs)
    weight = read_sample_weight(sample_weight, data.n_samples)
    groups = read_groups(groups, data.n_samples)
    samples = Samples(data, target, weight, objective, all_classes, groups).take(np.flatnonzero(weight))
    if objective == "cross_entropy" and model is None:
        samples = _settle_classes(samples, is_open=known is None)
    if samples.classes is None:
        return samples
    weight = estimator._weigh_classes(samples.target, samples.classes, samples.weight)
    return replace(samples, weight=weight).take(np.flatnonzero(weight))


def _settle_classes(samples: Samples, is_open: bool) -> Samples:
    """The classes announced, or else those of which a sample is left."""
    target, classes = samples.target, samples.classes
    if is_open:
        target, classes = keep_present(target, classes)
    if len(classes) < 2:
        raise ValueError(
            f"There is only one class, {classes.tolist()[0]!r}, and at least 2 are needed to learn what tells "
            "them apart; add samples of another class."
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
    if X_val is not None:
        return samples, _read_validation(estimator, samples, X_val, y_val)
    if y_val is not None:
        raise ValueError("y_val was given without X_val; give both to fit, or none.")
    if not estimator.early_stopping:
        return samples, None
    labels = samples.target if samples.objective == "cross_entropy" else None
    if samples.objective == "binary_cross_entropy":
        labels = rarest_labels(samples.target)
    train_indices, indices = split_validation(
        samples.data.n_samples, labels, estimator.validation_fraction, seed, samples.groups
    )
    return samples.take(train_indices), samples.take(indices)


def _read_validation(estimator: Any, samples: Samples, X_val: Any, y_val: Any) -> Samples:
    """Check the user's own validation samples against those to train on."""
    try:
        data = read_sequences(X_val, estimator, reset=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"X_val: {error}") from error
    target, _ = read_target(
        y_val,
        samples.objective,
        data.n_samples,
        classes=samples.classes,
        n_outputs=None if samples.target is None else _n_columns(samples.target),
        name="y_val",
    )
    return replace(samples, data=data, target=target, weight=np.ones(data.n_samples), groups=None)


def _n_columns(target: NDArray[Any]) -> int:
    return 1 if target.ndim == 1 else target.shape[1]


def _begin(estimator: Any, samples: Samples, seed: int) -> Model:
    """A new network for these samples, its weights drawn."""
    data, objective = samples.data, OBJECTIVES[samples.objective]
    n_outputs = data.n_features if samples.classes is None else len(samples.classes)
    target = objective.learn_target(samples.target, samples.weight, n_outputs)
    seen, mean, scale = look(data, samples.weight)
    architecture = resolve_architecture(
        estimator,
        loss=objective.loss,
        n_features=data.n_features,
        n_outputs=target.n_outputs,
        max_steps=supported_length(seen, data.max_length),
    )
    dtype = data.values.dtype if estimator.dtype == "auto" else np.dtype(estimator.dtype)
    refuse_too_large(architecture, dtype, data.max_length)
    network = Network(architecture, dtype)
    network.initialise(np.random.default_rng(seed))
    network.mean[:], network.scale[:] = mean, scale
    return Model(network, TrainingState(seed), samples.objective, target, samples.classes, seen)


def _continue(estimator: Any, samples: Samples, model: Model) -> Model:
    """A copy of the model to train on, with parameters as they are set now and room for what these samples are like."""
    before, data = model.network, samples.data
    known = model.seen or assume_seen(data, samples.weight, before)
    seen, mean, scale = look(data, samples.weight, known)
    max_steps = max(before.architecture.max_steps, supported_length(seen, data.max_length))
    architecture = resolve_architecture(
        estimator,
        loss=before.architecture.loss,
        n_features=data.n_features,
        n_outputs=before.architecture.n_outputs,
        max_steps=before.architecture.max_steps,
    )
    _refuse_change(asdict(before.architecture), asdict(architecture))
    if estimator.dtype != "auto":
        _refuse_change({"dtype": before.dtype}, {"dtype": estimator.dtype})
    architecture = replace(architecture, max_steps=max_steps)
    refuse_too_large(architecture, before.dtype, data.max_length)
    network, state = copy_network(before, architecture), copy(model.state)
    state.loss_curve, state.validation_scores = state.loss_curve[:], state.validation_scores[:]
    if state.optimizer is not None:
        state.optimizer = copy_optimizer(state.optimizer, before, network)
    standardise_anew(network, state.optimizer, mean, scale, is_new=known.deviation == 0)
    return replace(model, network=network, state=state, seen=seen)


def _refuse_change(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Dropout may change between calls; anything else would be another network."""
    for name, value in after.items():
        if value != before[name] and name != "dropout":
            raise ValueError(
                f"{name} is {value!r} now, but the fitted network was built with {before[name]!r}, and "
                "warm_start and partial_fit go on with the same network; set it back, or start anew with "
                "warm_start=False or sklearn.base.clone."
            )
