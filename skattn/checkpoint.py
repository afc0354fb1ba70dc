"""Write down after each epoch all that a fit goes on from, and go on from it; nothing in the file is ever run."""

import hashlib
import io
import json
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from skattn import __version__
from skattn._network.checks import check_fields, check_vector, check_whole, damaged
from skattn._network.network import Network
from skattn._storage import refuse_newer, refuse_unwritable, remove_old_drafts, replace_file
from skattn._training.optimizers import OPTIMIZERS
from skattn._training.settings import TrainingState
from skattn._wording import shortened
from skattn.model import Model, Samples
from skattn.parameters import name_of
from skattn.persistence import parameters_before, read_training, write_training
from skattn.sequences import Sequences
from skattn.step_target import StepTarget

FREE = {"checkpoint", "n_jobs", "verbose"}
"""Parameters that change no bit of the result, so they may differ from those of the fit in the file."""

PARTS = ("estimator", "parameters", "data", "weight", "validation", "start")
"""What a fit begins with, each compared in turn with what the fit in the file began with."""

_DIGEST_SIZE = hashlib.sha256().digest_size


class Checkpoint:
    """The file of one fit, from before its first work to its last epoch.

    It is what `numpy.savez` writes, the arrays that training goes on from and a header in JSON, followed by
    a digest of it all, so that a single wrong bit is noticed. It is read without pickle.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
        Whose `checkpoint` is the path.

    Raises
    ------
    OSError
        If no file can be written there.
    ValueError
        If what is there is no whole checkpoint, was written by a newer version, or belongs to a fit of
        another estimator or with other parameters.
    """

    def __init__(self, estimator: Any):
        self.path = Path(estimator.checkpoint)
        refuse_unwritable(self.path)
        remove_old_drafts(self.path)
        self._found = self._read() if self.path.exists() else None
        self._begun_with: dict[str, dict[str, Any]] = {}
        self._settle("estimator", {"the estimator": type(estimator).__name__})
        if self._found is not None:
            # Parameters that came after the file was written were as they are by default.
            self._found["begun_with"]["parameters"] = {
                **_parameters_of(type(estimator)()),
                **parameters_before(type(estimator)),
                **self._found["begun_with"]["parameters"],
            }
        self._settle("parameters", _parameters_of(estimator))
        self._takes_any_seed, self._optimizer = estimator.random_state is None, estimator.optimizer

    def settle_seed(self, drawn: int) -> int:
        """Give the seed of the fit in the file, which must be the one drawn where `random_state` says any.

        Raises
        ------
        ValueError
            If `random_state` is an instance in another state than it was.
        """
        if self._found is None:
            return drawn
        seed: int = self._found["training"][0]["seed"]
        if seed != drawn and not self._takes_any_seed:
            self._refuse(["random_state is in another state than it was, and draws another seed"])
        return seed

    def settle_data(self, samples: Samples, validation: Samples | None, start: Model | None) -> None:
        """Take note of what a fit learns from and goes on from, which must be as for the fit in the file.

        Parameters
        ----------
        samples : Samples
            All that count, before some are held out.
        validation : Samples or None
            Those that the user gave.
        start : Model or None
            The fitted model, where there is a warm start.

        Raises
        ------
        ValueError
            If anything differs.
        """
        self._settle("data", {"the objective": samples.objective, **_describe(samples, "X", "y")})
        self._settle("weight", {"sample_weight": _digest(samples.weight)})
        held_out = _describe(validation, "X_val", "y_val") if validation else {}
        if samples.groups is not None:
            held_out["validation_groups"] = _digest(samples.groups)
        self._settle("validation", held_out)
        begins_with = _digest_model(start) if start else None
        self._settle("start", {"the model that warm_start or pretrained begins with": begins_with})

    def restore(self, model: Model) -> bool:
        """Bring a model that has not been trained to where the fit in the file was; False where there is none.

        Raises
        ------
        ValueError
            If what is in the file does not belong to such a model.
        """
        if self._found is None:
            return False
        arrays, trainings = dict(self._found["arrays"]), self._found["training"]
        try:
            if len(trainings) != len(model.members):
                raise damaged("training", trainings, f"an entry for each of {len(model.members)} networks")
            read = [
                self._read_member(member.network, dict(training), _with_prefix(arrays, f"{i}."))
                for i, (member, training) in enumerate(zip(model.members, trainings, strict=True))
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(str(error)) from error
        for member, (parameters, state) in zip(model.members, read, strict=True):
            member.network.parameters[:] = parameters
            member.state = state
        return True

    def _read_member(
        self, network: Network, training: dict[str, Any], arrays: dict[str, NDArray[Any]]
    ) -> tuple[NDArray[Any], TrainingState]:
        """A network's parameters, and how far its training had come."""
        parameters = check_vector("parameters", arrays.pop("parameters"), network.parameters.size, network.dtype)
        training["kept_parameters"] = arrays.pop("kept_parameters", None)
        if training["optimizer"] is not None:
            training["optimizer"] = {**training["optimizer"], "vectors": arrays}
        state = read_training(training, network)
        if state.n_epochs or state.optimizer is not None:
            _check_plan(state, self._optimizer)
        return parameters, state

    def save(self, model: Model) -> None:
        """Put what the model goes on from in place of what the file holds.

        Raises
        ------
        OSError
            If it cannot be written; the file is then as it was.
        """
        trainings, arrays = [], {}
        for i, member in enumerate(model.members):
            training = write_training(member.state)
            mine = {"parameters": member.network.parameters, "kept_parameters": training.pop("kept_parameters")}
            if training["optimizer"] is not None:
                mine |= training["optimizer"].pop("vectors")
            # One network's stand without a number and without a list, as before there were several.
            prefix = f"{i}." if len(model.members) > 1 else ""
            arrays |= {prefix + name: array for name, array in mine.items() if array is not None}
            trainings.append(training)
        training = trainings if len(trainings) > 1 else trainings[0]
        header = {"skattn": __version__, "begun_with": self._begun_with, "training": training}
        buffer = io.BytesIO()
        np.savez(buffer, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)
        content = buffer.getvalue()
        replace_file(self.path, content + hashlib.sha256(content).digest())

    def _read(self) -> dict[str, Any]:
        """What the file holds, which only a network can judge."""
        raw = self.path.read_bytes()
        content, digest = raw[:-_DIGEST_SIZE], raw[-_DIGEST_SIZE:]
        if hashlib.sha256(content).digest() != digest:
            raise self._damaged("its digest is not that of its content")
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            found = {**json.loads(arrays.pop("header").tobytes()), "arrays": arrays}
            written_by = str(found["skattn"])
        except Exception as error:  # whatever a stranger's file makes the readers raise
            raise self._damaged("it does not hold a header and arrays") from error
        refuse_newer(written_by, f"The checkpoint {self.path}", "give another path")
        try:
            check_fields("header", found, ("skattn", "begun_with", "training", "arrays"))
            # The seed draws the validation samples, so it is needed before there is a network.
            found["training"], found["arrays"] = _as_members(found["training"], found["arrays"])
            check_whole("seed", found["training"][0]["seed"], most=np.iinfo(np.int32).max)
            for part, begun_with in check_fields("begun_with", found["begun_with"], PARTS).items():
                check_fields(part, begun_with, (), begun_with)
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(str(error)) from error
        return found

    def _damaged(self, why: str) -> ValueError:
        return ValueError(
            f"{self.path} is no whole checkpoint of skattn: {why}; give another path, or delete the file to begin anew."
        )

    def _settle(self, part: str, now: dict[str, Any]) -> None:
        """Take note of what a fit begins with; refuse it where the fit in the file began with something else."""
        if self._found is not None:
            before = self._found["begun_with"][part]
            if before != now:
                self._refuse(_differences(before, now))
        self._begun_with[part] = now

    def _refuse(self, differences: list[str]) -> NoReturn:
        told = shortened(", ".join(differences))
        raise ValueError(
            f"The fit in the checkpoint {self.path} began otherwise: {told}. To go on with it, fit "
            "as then; to begin anew, give another path or delete the file. Every fit needs a file of its own, also "
            "each of a search or of cross-validation."
        )


def _as_members(training: Any, arrays: dict[str, NDArray[Any]]) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """What there is of each network."""
    if isinstance(training, dict):
        return [training], {f"0.{name}": array for name, array in arrays.items()}
    if not isinstance(training, list) or not training:
        raise damaged("training", training, "a list, an entry a network")
    return training, arrays


def _with_prefix(arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Arrays whose names begin so, without that."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def _check_plan(state: TrainingState, optimizer: str) -> None:
    """Counters must agree with each other and with the parameters of the fit."""
    if type(state.optimizer) is not OPTIMIZERS[optimizer]:
        raise damaged("optimizer", state.optimizer, optimizer)
    check_whole("plan_updates", state.plan_updates, least=state.n_plan_updates)
    check_whole("n_epochs", state.n_epochs, len(state.loss_curve), len(state.loss_curve))


def _parameters_of(estimator: Any) -> dict[str, Any]:
    """Those that decide what comes out."""
    parameters = estimator.get_params(deep=False)
    if hasattr(estimator.pretrained, "fit"):
        # What was learned there is compared by itself, weight by weight.
        parameters["pretrained"] = type(estimator.pretrained).__name__
    return _plain({name: value for name, value in parameters.items() if name not in FREE})


def _describe(samples: Samples, x: str, y: str) -> dict[str, Any]:
    """What there is to learn from, in numbers that can be told and digests of the rest."""
    data = samples.data
    return {
        f"the number of samples of {x}": data.n_samples,
        f"the number of steps of {x}": int(data.lengths.sum()),
        f"the number of features of {x}": data.n_features,
        f"the dtype of {x}": data.values.dtype.name,
        f"the lengths of the sequences of {x}": _digest(data.lengths),
        f"the values of {x}": _digest_steps(data),
        f"the classes of {y}": None if samples.classes is None else [repr(c) for c in samples.classes.tolist()],
        f"the values of {y}": None if samples.target is None else _digest_target(samples.target),
    }


def _digest_target(target: Any) -> str:
    """The digest of what sequences, or their steps, should give."""
    return _digest(np.frombuffer(target.tobytes(), np.uint8)) if isinstance(target, StepTarget) else _digest(target)


def _digest_model(model: Model) -> str:
    """One number that another model, or the same one trained further, would not have."""
    target, arrays = model.target, []
    for member in model.members:
        network, training = member.network, write_training(member.state)
        vectors = training["optimizer"].pop("vectors").values() if training["optimizer"] else ()
        values = np.frombuffer(json.dumps(training).encode(), np.uint8)
        arrays += [network.parameters, values, *vectors, network.mean, network.scale]
        arrays += [*network.codes, network.time_unit]
        arrays += map(np.asarray, network.stem.parts.values() if network.stem is not None else ())
    return _digest(*arrays, *(part for part in (target.mean, target.scale) if part is not None))


def _digest(*arrays: NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return f"sha256:{digest.hexdigest()}"


def _digest_steps(data: Sequences) -> str:
    """The digest of all valid steps, whatever lies between them, and without a copy of all."""
    digest = hashlib.sha256()
    for start, length in zip(data.starts.tolist(), data.lengths.tolist(), strict=True):
        digest.update(data.values[start : start + length].data)
    return f"sha256:{digest.hexdigest()}"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Values as they come back from JSON, so that they can be compared with those in a file."""
    return {name: json.loads(json.dumps(_simple(value))) for name, value in values.items()}


def _simple(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {repr(_simple(key)): _simple(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_simple(entry) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.random.RandomState):
        return "a RandomState"  # its state is compared by what it draws
    return value if isinstance(value, bool | int | float | str | None) else name_of(value)


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Say what differs: where numbers can be told, those alone, for digests then differ as well."""
    names = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    told = [name for name in names if not any(str(part.get(name)).startswith("sha256:") for part in (before, now))]
    if told:
        return [f"{name} is {reprlib.repr(now.get(name))} and was {reprlib.repr(before.get(name))}" for name in told]
    return [f"{name} is not what it was" for name in names]
