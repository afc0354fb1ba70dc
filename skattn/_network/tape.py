"""The tape of a network: rows of integers for its steps, slots for what they read and write, named parameters."""

import math
from dataclasses import dataclass, field

import numpy as np

from .._kernels import walk
from .._kernels.walk import LOSS


@dataclass(frozen=True)
class Slot:
    """Room for a vector of each step, or for one vector."""

    number: int
    width: int
    per_step: bool


@dataclass(frozen=True)
class Parameter:
    """A named array within the flat parameters.

    ``init`` is the standard deviation of its first values, or an array of them; `decayed` says whether weight decay
    applies; `turned` whether the backward pass wants its transpose.
    """

    name: str
    shape: tuple
    init: object
    decayed: bool
    turned: bool

    @property
    def size(self):
        return math.prod(self.shape)


@dataclass
class Tape:
    """Collects the steps of a network in the order in which they are taken."""

    slots: list = field(default_factory=list)
    parameters: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    names: dict = field(default_factory=dict)
    scratch: int = 0

    def slot(self, width, *, per_step=True, name=None):
        """Make room; a `name` lets `Network.forward` give it out."""
        slot = Slot(len(self.slots), width, per_step)
        self.slots.append(slot)
        if name is not None:
            self.names[name] = slot
        return slot

    def parameter(self, name, shape, init, *, decayed=False, turned=False):
        """Add a named parameter."""
        self.parameters.append(Parameter(name, shape, init, decayed, turned))
        return name

    def step(self, kind, **fields):
        """Add a step: `fields` are those of its kind, slots and parameters given as themselves and by name."""
        wrong = set(kind.fields) - set(fields) - {"adds"} | (set(fields) - set(kind.fields))
        if wrong:
            raise TypeError(f"A step {kind.name} has the fields {kind.fields}; {sorted(wrong)} are missing or none.")
        self.steps.append((kind, fields))

    @property
    def kinds(self):
        """The kinds that there are, in the order of their numbers."""
        return list(dict.fromkeys(kind for kind, _ in self.steps))

    def want_scratch(self, size):
        """Ask for room whose content does not outlive a step."""
        self.scratch = max(self.scratch, size)

    def offsets(self):
        """Lay out the flat parameters: those that decay first. Gives name -> offset, and how many decay."""
        ordered = [p for p in self.parameters if p.decayed] + [p for p in self.parameters if not p.decayed]
        ends = np.cumsum([0] + [p.size for p in ordered])
        n_decayed = sum(p.size for p in self.parameters if p.decayed)
        return {p.name: int(end) for p, end in zip(ordered, ends[:-1], strict=True)}, n_decayed

    def rows(self):
        """Write the steps as integers: the number of its kind, then the fields of that."""
        offsets, _ = self.offsets()
        kinds = self.kinds
        rows = np.zeros((len(self.steps), 1 + max(len(kind.fields) for kind in kinds)), np.int64)
        for row, (kind, fields) in zip(rows, self.steps, strict=True):
            row[0] = kinds.index(kind)
            for i, name in enumerate(kind.fields, start=1):
                value = fields.get(name, 0)
                if isinstance(value, Slot):
                    value = value.number
                elif isinstance(value, str):
                    value = offsets[value]
                row[i] = value
        self._mark_first_writers(rows)
        return rows

    def _mark_first_writers(self, rows):
        """Say of each step whether, backwards, it begins the gradient of what it reads or adds to it."""
        begun, n_learned = set(), self.rows_until(LOSS)
        for row, (kind, fields) in zip(rows[:n_learned][::-1], self.steps[:n_learned][::-1], strict=True):
            if fields.get("adds") == -1:
                continue
            for name in kind.reads:
                slot = fields[name].number
                if "adds" in kind.fields:
                    row[1 + kind.fields.index("adds")] = slot in begun
                elif slot in begun:
                    raise ValueError(
                        f"A step {kind.name} begins the gradient of its {name}, which a step behind it has begun "
                        "already, and one of both would be lost; let it add to what is there."
                    )
                begun.add(slot)

    def rows_until(self, slot):
        """Count the steps up to the last that writes a slot, given by its number."""
        writers = [
            i
            for i, (_, fields) in enumerate(self.steps, start=1)
            if any(getattr(fields.get(name), "number", None) == slot for name in ("target", "loss"))
        ]
        return max(writers, default=0)

    def slot_table(self):
        """Give each slot's place as (per rounded step, fixed), shape (n_slots, 2), and the size of all so."""
        table = np.zeros((len(self.slots) + 1, 2), np.int64)
        for slot in self.slots:
            table[slot.number + 1] = table[slot.number]
            table[slot.number + 1, int(not slot.per_step)] += slot.width if slot.per_step else _rounded(slot.width)
        return table[:-1].copy(), table[-1]


def _rounded(size):
    return -(-size // walk.SLOT_GRANULE) * walk.SLOT_GRANULE


def workspace_size(tape_size, n_steps, *, backward):
    """Give (numbers a worker needs, where gradients begin, where scratch begins) for a longest sequence.

    `tape_size` is (numbers of all slots a step, fixed numbers of all slots, numbers of scratch).
    """
    per_step, fixed, scratch_size = tape_size
    size = per_step * _rounded(n_steps) + fixed
    scratch = 2 * size if backward else size
    return scratch + _rounded(scratch_size), size, scratch
