"""What travels between reading, fitting and files: samples to learn from, and the networks that learned."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._network.network import Network
from skattn._training.objectives import Target
from skattn._training.seen import Seen
from skattn._training.settings import TrainingState
from skattn.sequences import Sequences

MOST_MERGED = 256
"""Samples that are looked through for repeated ones: in more, one that counts twice decides little."""

_SORTED_STEPS, _SORTED_FEATURES = 8, 4
"""Steps and features by which samples are brought into an order."""


@dataclass(eq=False)
class Member:
    """One network of a model, and how far its training has come."""

    network: Network
    state: TrainingState


@dataclass(eq=False)
class Model:
    """What a fit leaves behind; plain arrays and values, so it can be pickled.

    Attributes
    ----------
    members : list of Member
        Networks of the same architecture, trained from different seeds.
    objective : str
        Key of `OBJECTIVES`.
    target : Target
        How the objective encodes y.
    classes : ndarray of shape (n_classes,) or None
    seen : Seen or None
        What all samples so far were like; None where a file does not tell.
    """

    members: list[Member]
    objective: str
    target: Target
    classes: NDArray[Any] | None
    seen: Seen | None = None

    @property
    def network(self) -> Network:
        """The first network."""
        return self.members[0].network

    @property
    def state(self) -> TrainingState:
        """How far the first network's training has come."""
        return self.members[0].state


def prefix_of(number: int) -> str:
    """What the names of a network's arrays begin with: nothing for the first, so that one alone has plain names."""
    return f"networks.{number}." if number else ""


def named_weights(model: Model) -> dict[str, NDArray[Any]]:
    """Every learned array by its name."""
    return {
        prefix_of(i) + name: weight
        for i, member in enumerate(model.members)
        for name, weight in member.network.weights.items()
    }


def _first_steps(data: Sequences) -> NDArray[Any]:
    """Numbers of the first steps of each sequence, those of the first step last; shape (n_numbers, n_samples)."""
    steps = np.arange(min(_SORTED_STEPS, data.max_length))[::-1, np.newaxis]
    rows = data.starts + np.minimum(steps, data.lengths - 1)
    return np.moveaxis(data.values[:, :_SORTED_FEATURES][rows], 1, 2).reshape(-1, data.n_samples)


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

    def merged(self, *, keeps_order: bool = False) -> "Samples":
        """Merge samples that repeat another into one of their weight, and bring all into an order of their own.

        So repeating a sample is weighting it, whatever batches are cut and whatever is dropped, and the order in
        which samples came changes nothing. They stand by their first steps, whose ranks stay where X is shifted or
        scaled; with `keeps_order` as they came. More than `MOST_MERGED` samples are left as they are.
        """
        data, digests = self.data, []
        if len(self.weight) > MOST_MERGED:
            return self
        for i, (start, length) in enumerate(zip(data.starts.tolist(), data.lengths.tolist(), strict=True)):
            digest = hashlib.blake2b(data.values[start : start + length].data, digest_size=16)
            if self.target is not None:
                digest.update(self.target[i].tobytes())
            digests.append(digest.digest())
        _, first, owner = np.unique(np.array(digests, "V16"), return_index=True, return_inverse=True)
        weight = np.bincount(owner, weights=self.weight, minlength=len(first))
        order = np.argsort(first) if keeps_order else np.lexsort(_first_steps(self.take(first).data))
        return replace(self.take(first[order]), weight=weight[order])
