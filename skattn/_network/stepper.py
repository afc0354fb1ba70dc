"""Streams on their way: the operations that a step takes, and what streams keep between steps."""

import numpy as np

from .._kernels import parallel
from .._kernels import step as kernels
from .checks import damaged
from .runner import WORK_A_WORKER
from .tape import Slot

# Steps are made room for in runs of so many, an odd number of them: what lies a power of two apart would push each
# other out of the cache.
_RUN = 16
_N_STEPS, _N_BLOCKS = (kernels.Step.index[name] for name in ("n_steps", "n_blocks"))
# Steps that a new stream has room for.
_FIRST_ROOM = 64


def refuse_kinds(operations):
    """Refuse operations that cannot be computed step by step, for pairs of kinds and fields."""
    for kind, fields in operations:
        if kind.step is None:
            raise ValueError(
                f"A stream takes one step after another, and the network has an operation {kind.name!r} that is "
                "computed over whole sequences only; fit a network without it, or call transform or predict on whole "
                "sequences."
            )
        known = kind.row.names if kind.steps_know is None else (*kind.steps_know, "adds")
        for name, value in fields.items():
            # What is switched off is 0, or -1.
            if name not in known and value not in (0, -1):
                raise ValueError(
                    f"A stream takes one step after another, and the network's operation {kind.name!r} has {name!r}, "
                    "which is computed over whole sequences only; fit a network without it, or call transform or "
                    "predict on whole sequences."
                )


class Program:
    """What a step of streams computes, and how what they keep is laid out; it never changes, so streams share it.

    Parameters
    ----------
    networks : list of Network
        Of one architecture.
    name : str
        Of the slot that is wanted.
    gives_shares : bool, default=False
        Whether the softmax of the mean of these results over networks is wanted instead.

    Attributes
    ----------
    width : int
        Numbers of the wanted slot.
    ring : int or None
        Steps that are looked back to at the most, the new one among them; None: all.
    """

    def __init__(self, networks, name, gives_shares=False):
        self.gives_shares = gives_shares
        self.networks, self.dtype = networks, networks[0].dtype
        tape, (left, _) = networks[0].runner.tape, networks[0].architecture.window
        self._slot = tape.names[name]
        self.width, self.ring = self._slot.width, None if left is None else left + 1
        chosen, self._slots = _wanted(tape, self._slot)
        operations = [tape.operations[i] for i in chosen]
        refuse_kinds(operations)
        self._n_slots, self._scratch = len(tape.slots), tape.scratch
        self._rows = np.ascontiguousarray(tape.rows()[chosen])
        kinds = dict.fromkeys(kind for kind, _ in operations)
        self._functions = np.array([k.step.address(self.dtype.name) if k in kinds else 0 for k in tape.kinds], np.int64)
        self._arrays = [() if kind.keeps is None else kind.keeps(fields) for kind, fields in operations]
        self._lay_out()
        constants = [network.runner.constants(network, 1) for network in networks]
        tables = [np.array([parallel.address(array) for array in of_one], np.int64) for of_one in constants]
        self._alive = constants, tables
        self._constants = np.array([parallel.address(table) for table in tables], np.int64)
        self._weights = np.array([parallel.address(network.parameters) for network in networks], np.int64)

    def _lay_out(self):
        """Say where what each operation keeps begins."""
        once = [sum(n for layout, n in arrays if layout == "once") for arrays in self._arrays]
        each = [sum(n for layout, n in arrays if layout != "once") for arrays in self._arrays]
        once = [-(-n // _RUN) * _RUN for n in once]
        self._begins = np.cumsum([0, *once])[:-1], np.cumsum([0, *each])[:-1]
        self._once, self._each = sum(once), sum(each)
        parts = [
            kernels.Part.new(begin=a, begin_each=b) for a, b in zip(*(b.tolist() for b in self._begins), strict=True)
        ]
        self._parts = np.array(parts)

    def room_for(self, n_steps):
        """Give the steps that room is made for where so many are looked back to."""
        if not self._each:
            return 0
        n_steps = max(n_steps, _FIRST_ROOM)
        n_steps = n_steps if self.ring is None else min(n_steps, self.ring)
        return _RUN * (-(-n_steps // _RUN) | 1)

    def size(self, room):
        """Give how many numbers one stream keeps of one network."""
        return self._once + self._each * room

    def most_workers(self, n_streams):
        """Give how many threads are worth it."""
        return 1 + n_streams * len(self.networks) * self.networks[0].parameters.size // WORK_A_WORKER

    def moved(self, state, before, room):
        """Give what a stream keeps, with more room.

        Parameters
        ----------
        state : ndarray of shape (n_networks, size(before))
        before, room : int
        """
        result = np.zeros((len(state), self.size(room)), state.dtype)
        for arrays, once, each in zip(self._arrays, *(b.tolist() for b in self._begins), strict=True):
            source, target = once + each * before, once + each * room
            for layout, n in arrays:
                old, new = (n, n) if layout == "once" else (n * before, n * room)
                shapes = {"along": ((before, n), (room, n)), "across": ((n, before), (n, room)), "once": ((n,), (n,))}
                was, now = shapes[layout]
                own = state[:, source : source + old].reshape(-1, *was)
                place = result[:, target : target + new].reshape(-1, *now)
                place[tuple(slice(length) for length in own.shape)] = own
                source, target = source + old, target + new
        return result

    def begin(self, n_streams, workers):
        """Give the arguments of a kernel for so many streams, and the arrays that they point to."""
        a, rows = self.networks[0].architecture, min(n_streams, kernels.BLOCK)
        places, widths = np.zeros((2, self._n_slots), np.int64)
        size = 0
        for slot in self._slots:
            places[slot.number], widths[slot.number] = size, slot.width
            size += -(-slot.width * rows // _RUN) * _RUN
        scratch, size = size, size + self._scratch + _RUN
        arrays = {
            **{"rows": self._rows, "parts": self._parts, "functions": self._functions},
            **{"places": places, "widths": widths, "weights": self._weights, "constants": self._constants},
            "workspace": np.zeros(size * workers, self.dtype),
            "calls": np.zeros(kernels.call_size() * workers, np.int64),
        }
        run = kernels.Step.new(
            **{name: parallel.address(array) for name, array in arrays.items()},
            **{"row_width": self._rows.shape[1], "n_rows": len(self._rows), "workspace_size": size, "scratch": scratch},
            **{"n_columns": a.n_features, "allows_missing": a.handles_missing, "call_size": kernels.call_size()},
            **{"n_streams": n_streams, "n_networks": len(self.networks), "out_slot": self._slot.number},
            **{"out_width": self.width, "limit": float(np.finfo(self.dtype).max / 4)},
        )
        return run, arrays


def _wanted(tape, slot):
    """Give the numbers of the operations that a slot follows from, and the slots that these read and write."""
    chosen, slots = [], {slot}
    for number, (_, fields) in reversed(list(enumerate(tape.operations))):
        if fields["target"] in slots:
            chosen.append(number)
            slots.update(value for value in fields.values() if isinstance(value, Slot))
    return chosen[::-1], sorted(slots, key=lambda one: one.number)


class Stepper:
    """Streams that take steps through networks, all of them in one call.

    Parameters
    ----------
    program : Program
    n_streams : int
    n_jobs : int or None

    Attributes
    ----------
    counts : int64 array of shape (n_streams,)
        Steps that each has taken.
    """

    def __init__(self, program, n_streams, n_jobs=None):
        self.program, self.n_streams, self._n_jobs = program, n_streams, n_jobs
        self.counts = np.zeros(n_streams, np.int64)
        self.states = [None] * n_streams
        self._rooms = np.zeros(n_streams, np.int64)
        self._addresses = np.zeros((len(program.networks), n_streams), np.int64)
        most = program.most_workers(n_streams)
        self._most_workers = 1 if most == 1 else min(most, parallel.n_workers(n_jobs))
        self._run, self._alive = program.begin(n_streams, self._most_workers)
        # Steps and results are copied, so that addresses need not be asked for: that takes a microsecond each.
        self._source = np.zeros((n_streams, program.networks[0].architecture.n_features))
        self._out = np.empty(len(program.networks) * n_streams * program.width, program.dtype)
        self._shares = np.empty((1, n_streams, program.width), program.dtype)
        self._beyond, self._chosen, self._all = np.zeros(1, np.int64), np.arange(n_streams), np.arange(n_streams)
        arrays = {
            **{"states": self._addresses, "counts": self.counts, "rooms": self._rooms, "beyond": self._beyond},
            **{"source": self._source, "streams": self._chosen, "out": self._out, "shares": self._shares},
        }
        addresses = {name: parallel.address(array) for name, array in arrays.items()}
        # One call: steps are looked at, taken, and counted.
        items = [kernels.check_item, kernels.step_item, kernels.count_item]
        items += [kernels.share_item] if program.gives_shares else []
        self._prepared = parallel.Prepared(items, program.dtype.name, self._run)
        kernels.Step.write(self._run, **addresses, refused=parallel.address(self._prepared.stop))
        self._choose(self._all)
        self.reset(self._all)

    def reset(self, streams):
        """Let some streams begin anew."""
        room = self.program.room_for(1)
        for stream in streams.tolist():
            self.counts[stream] = 0
            shape = len(self.program.networks), self.program.size(room)
            if self.states[stream] is None or self.states[stream].shape != shape:
                self.hold(stream, np.zeros(shape, self.program.dtype), room)
        self._look()

    def hold(self, stream, state, room):
        """Let a stream keep this."""
        self.states[stream], self._rooms[stream] = state, room
        self._addresses[:, stream] = parallel.address(state) + np.arange(len(state)) * state.strides[0]

    def step(self, values, streams):
        """Take a step of some streams.

        Parameters
        ----------
        values : ndarray of shape (n, n_features)
            Codes and times fit to be taken.
        streams : int64 array of shape (n,), or None
            Which; None for all of them.

        Returns
        -------
        results : ndarray of shape (n_networks, n, width), or None
            Of one network where the program gives shares. None, and no step is taken, where a number is infinite, or
            missing where none may be.
        beyond : int
            Number, from 1 on, of a network that has left the range of floats; 0 for none.
        """
        if self._n_free <= 0:
            self._make_room()
        if streams is not None or not self._is_of_all:
            self._choose(self._all if streams is None else streams)
        self._here[...] = values
        self._prepared.run(1, self._n_items, self._workers())
        if self._prepared.stop[0]:
            return None, 0
        self._n_free -= 1
        beyond = int(self._beyond[0])
        if beyond:
            self._beyond[0] = 0
            return self._outputs.copy(), beyond
        return self._found.copy(), 0

    def _choose(self, streams):
        """Say which streams take the next steps: what a step of the same ones need not do again."""
        n, width, n_networks = len(streams), self.program.width, len(self._addresses)
        n_blocks = -(-n // kernels.BLOCK)
        self._chosen[:n], self._is_of_all = streams, streams is self._all
        self._run[_N_STEPS], self._run[_N_BLOCKS], self._n_items = n, n_blocks, n_networks * n_blocks
        self._here, self._outputs = self._source[:n], self._out[: n_networks * n * width].reshape(n_networks, n, width)
        self._found = self._shares[:, :n] if self.program.gives_shares else self._outputs

    def _workers(self):
        # After a fork there is one thread.
        return 1 if self._most_workers == 1 else min(self._most_workers, parallel.n_workers(self._n_jobs))

    def _look(self):
        """Find out how many steps any stream can take before one of them needs more room."""
        ring = self.program.ring
        free = self._rooms - self.counts
        # A ring that is whole has room for ever.
        free = free if ring is None else free[self._rooms < ring]
        self._n_free = int(free.min(initial=1 << 40)) if self.program.room_for(1) else 1 << 40

    def _make_room(self):
        """Give more room to streams that have none left."""
        ring = self.program.ring
        for stream in np.flatnonzero(self.counts >= self._rooms).tolist():
            before = int(self._rooms[stream])
            if ring is None or before < ring:
                room = self.program.room_for(2 * before)
                self.hold(stream, self.program.moved(self.states[stream], before, room), room)
        self._look()

    def restore(self, states, counts):
        """Go on from what other streams of the same networks kept; ValueError where it does not fit."""
        program = self.program
        counts = np.asarray(counts)
        if counts.shape != (self.n_streams,) or counts.dtype != np.int64 or counts.min(initial=0) < 0:
            raise damaged("n_steps", counts.tolist(), f"{self.n_streams} whole numbers")
        self.counts[:] = counts
        for stream, (state, count) in enumerate(zip(states, counts.tolist(), strict=True)):
            state = np.ascontiguousarray(state)
            room = (state.shape[-1] - program.size(0)) // max(program.size(1) - program.size(0), 1)
            needed = count if program.ring is None else min(count, program.ring)
            is_fine = state.shape == (len(program.networks), program.size(room)) and state.dtype == program.dtype
            if not is_fine or room < (needed if program.room_for(1) else 0) or room % _RUN:
                raise damaged("states", state.shape, f"what {count} steps keep")
            self.hold(stream, state.copy(), room)
        self._look()

    def copy(self):
        """Give streams of their own that have taken the same steps."""
        other = Stepper(self.program, self.n_streams, self._n_jobs)
        other.counts[:] = self.counts
        for stream, state in enumerate(self.states):
            other.hold(stream, state.copy(), int(self._rooms[stream]))
        other._look()
        return other
