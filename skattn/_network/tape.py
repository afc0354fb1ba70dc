"""The tape of a network: operations in order, slots for what they read and write, parameters and constants."""

import math
from dataclasses import dataclass

import numpy as np

from .._kernels.walk import SLOT_GRANULE, Axis, Entry, Room

APART, DECAYED, FREE, FROZEN = "apart", "decayed", "free", "frozen"
"""Groups of parameters, in the order in which they lie: weight decay pulls at the first two, and the gradient of the
first is made for a whole batch, beside the tape; the last do not learn, have no gradient and no place in what an
optimiser keeps."""

GROUPS = (APART, DECAYED, FREE, FROZEN)


@dataclass(frozen=True)
class SlotAxis:
    """How many rows slots have: ``ceil(n_steps / stride)``, or one where `stride` is 0."""

    number: int
    stride: int

    def count(self, lengths):
        """Give the rows for sequences of some lengths."""
        return -(-lengths // self.stride) if self.stride else lengths * 0 + 1


@dataclass(frozen=True)
class Slot:
    """Room for rows of some numbers, as many as its axis says."""

    number: int
    width: int
    axis: SlotAxis


@dataclass(frozen=True)
class Parameter:
    """A named array within the flat parameters.

    `rule` writes its first values, `group` is one of `GROUPS`, and `turned` says whether the backward pass wants its
    transpose.
    """

    name: str
    shape: tuple
    rule: object
    group: str
    turned: bool

    @property
    def size(self):
        return math.prod(self.shape)


@dataclass(frozen=True)
class Constant:
    """An array that operations read and nobody learns; ``give(network, n_rows)`` gives it for so many rows."""

    number: int
    give: object


@dataclass(frozen=True)
class Layout:
    """Where parameters lie: offsets by name, how many are apart, decay, learn, and how many there are."""

    offsets: dict
    n_apart: int
    n_decayed: int
    n_learned: int
    size: int


class Tape:
    """Collects the operations of a network in the order in which they are computed.

    Attributes
    ----------
    once, steps : SlotAxis
        One row, and a row a step.
    frozen : set of str
        Names of parameters that do not learn, whatever their group was to be.
    """

    def __init__(self, frozen=()):
        self.frozen = frozenset(frozen)
        self.slots, self.parameters, self.constants, self.operations = [], [], [], []
        self.names, self.axes, self.scratch = {}, [], 0
        self.once, self.steps = self.axis(0), self.axis(1)

    def axis(self, stride):
        """Give the axis with a row for so many steps."""
        known = [axis for axis in self.axes if axis.stride == stride]
        if not known:
            self.axes.append(SlotAxis(len(self.axes), stride))
        return known[0] if known else self.axes[-1]

    def slot(self, width, *, axis=None, name=None):
        """Make room, by default for a row a step; a `name` lets `Network.forward` give it out."""
        slot = Slot(len(self.slots), width, axis or self.steps)
        self.slots.append(slot)
        if name is not None:
            self.names[name] = slot
        return slot

    def parameter(self, name, shape, rule, *, group=FREE, turned=False):
        """Add a named parameter, and give its name."""
        if group not in GROUPS:
            raise ValueError(f"Parameter {name} has group={group!r}; there are {', '.join(GROUPS)}.")
        group = FROZEN if name in self.frozen else group
        self.parameters.append(Parameter(name, shape, rule, group, turned))
        return name

    def constant(self, give):
        """Add a constant; see `Constant`."""
        self.constants.append(Constant(len(self.constants), give))
        return self.constants[-1]

    def operation(self, kind, **fields):
        """Add an operation: `fields` are those of its kind; slots and constants as themselves, parameters by name."""
        names = kind.row.names
        wrong = set(names) - set(fields) - {"adds"} | (set(fields) - set(names))
        if wrong:
            raise TypeError(f"An operation {kind.name} has the fields {names}; {sorted(wrong)} are missing or none.")
        self.operations.append((kind, fields))

    @property
    def kinds(self):
        """The kinds that there are, in the order of their numbers."""
        return list(dict.fromkeys(kind for kind, _ in self.operations))

    def want_scratch(self, size):
        """Ask for room whose content does not outlive an operation."""
        self.scratch = max(self.scratch, size)

    def layout(self):
        """Lay out the flat parameters, a group behind the other."""
        ordered = sorted(self.parameters, key=lambda parameter: GROUPS.index(parameter.group))
        ends = [0, *np.cumsum([p.size for p in ordered], dtype=object)]
        n_apart, n_decayed, n_learned = (
            sum(p.size for p in ordered if p.group in GROUPS[:n_groups]) for n_groups in (1, 2, 3)
        )
        offsets = {p.name: end for p, end in zip(ordered, ends[:-1], strict=True)}
        return Layout(offsets, n_apart, n_decayed, n_learned, ends[-1])

    def first_learned(self):
        """Give the number of the first operation that learns: what precedes it need not be walked back.

        What learns without an operation of its own learns from the gradient of what the tape begins with.
        """
        learned = {p.name for p in self.parameters if p.group != FROZEN}
        used = [{value for value in fields.values() if isinstance(value, str)} for _, fields in self.operations]
        if learned - set().union(*used):
            return 0
        return min((i for i, names in enumerate(used) if names & learned), default=len(self.operations))

    def rows(self):
        """Write the operations as whole numbers: an `Entry`, then the fields of its kind."""
        offsets, kinds = self.layout().offsets, self.kinds
        rows = np.zeros((len(self.operations), len(Entry) + max(len(kind.row) for kind in kinds)), np.int64)
        marks = self._first_writers()
        for row, (kind, fields), adds in zip(rows, self.operations, marks, strict=True):
            Entry.write(row, kind=kinds.index(kind), axis=fields["target"].axis.number)
            numbers = {name: _number(value, offsets) for name, value in fields.items()} | adds
            kind.row.write(row[len(Entry) :], **numbers)
        return rows

    def _first_writers(self):
        """Say of each operation whether, backwards, it begins the gradient of what it reads or adds to it."""
        n_learned = self.rows_until(self.names["loss"]) if "loss" in self.names else 0
        begun, marks = set(), [{} for _ in self.operations]
        for mark, (kind, fields) in zip(marks[:n_learned][::-1], self.operations[:n_learned][::-1], strict=True):
            if fields.get("adds") == -1:
                continue
            for name in kind.reads:
                slot = fields[name].number
                if "adds" in kind.row.names:
                    mark["adds"] = slot in begun
                elif slot in begun:
                    raise ValueError(
                        f"An operation {kind.name} begins the gradient of its {name}, which an operation behind it has "
                        "begun already, and one of both would be lost; let it add to what is there."
                    )
                begun.add(slot)
        return marks

    def rows_until(self, slot):
        """Count the operations up to the last that writes a slot."""
        operations = enumerate(self.operations, start=1)
        writers = [i for i, (_, fields) in operations if slot in (fields["target"], fields.get("weights"))]
        return max(writers, default=0)

    def rooms(self):
        """Give each slot's `Room` and each axis's `Axis`, as arrays of whole numbers."""
        rooms = [Room.new(axis=s.axis.number, size=s.width if s.axis.stride else _rounded(s.width)) for s in self.slots]
        return np.array(rooms), np.array([Axis.new(stride=axis.stride) for axis in self.axes])

    def workspace(self, n_steps, *, backward):
        """Give (numbers a worker needs, where gradients begin, where scratch begins) for a longest sequence."""
        size = 0
        for axis in self.axes:
            widths = [slot.width for slot in self.slots if slot.axis is axis]
            n_rows = _rounded(axis.count(n_steps))
            size += sum(widths) * n_rows if axis.stride else sum(map(_rounded, widths))
        scratch = 2 * size if backward else size
        return scratch + _rounded(self.scratch), size, scratch


def _number(value, offsets):
    """Give what a row says of a field."""
    if isinstance(value, Slot | Constant):
        return value.number
    return offsets[value] if isinstance(value, str) else value


def _rounded(size):
    return -(-size // SLOT_GRANULE) * SLOT_GRANULE
