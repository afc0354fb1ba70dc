"""Run a batch through the tape: memory and arguments of the kernels."""

import numpy as np

from .._kernels import parallel, update, walk
from .._kernels.operation import JUDGE, TRANSFORM
from .shares import MOST_SHARES, STEPS_A_SHARE, TOKENS_A_SHARE, count_parts, cut, part_long_ones
from .tables import find_tables

# Multiplications that a thread has at least: waking one up costs some microseconds, much more on a busy machine.
WORK_A_WORKER = 1 << 22
# Bytes of workspace that are kept for the next call.
_KEPT_BYTES = 1 << 24


def split_target(target, dtype):
    """Give what sequences should give as rows, and the first row of each; None where each has one.

    Parameters
    ----------
    target : ndarray of shape (n_samples, n_targets), or object with ``values`` (n_rows, n_targets) and ``starts``
        A row for each sequence, or for each of its steps.
    dtype : {"float32", "float64"}
    """
    if isinstance(target, np.ndarray):
        return np.ascontiguousarray(target, dtype), None
    return np.ascontiguousarray(target.values, dtype), np.ascontiguousarray(target.starts, np.int64)


class Runner:
    """Runs the tape of one network over batches.

    Parameters
    ----------
    tape : Tape
    dtype : {"float32", "float64"}

    Attributes
    ----------
    first_weight : int
        First of the parameters that the tape gives a gradient of.
    tables : list of Table
    """

    def __init__(self, tape, dtype):
        self.tape, self.dtype = tape, dtype
        layout = tape.layout()
        self.first_weight, self.n_learned = layout.n_apart, layout.n_learned
        self.tables = find_tables(tape)
        self._arrays = rows, rooms, axes = tape.rows(), *tape.rooms()
        self.matrices = np.array(
            [
                update.Matrix.new(offset=layout.offsets[p.name], n_rows=p.shape[0], n_columns=p.shape[1])
                for p in tape.parameters
                if p.turned
            ]
        )
        self._tables, self._nothing = {}, np.zeros(0, dtype)
        self.ends = {name: tape.rows_until(slot) for name, slot in tape.names.items()}
        self.call_size = walk.call_size(len(rooms), len(axes))
        self.fixed = walk.Pass.new(
            **{
                name: parallel.address(array)
                for name, array in zip(("rows", "slots", "axes"), self._arrays, strict=True)
            },
            **{"row_width": rows.shape[1], "n_slots": len(rooms), "n_axes": len(axes), "call_size": self.call_size},
            **{"first_weight": self.first_weight, "n_learned": layout.n_learned},
            loss_slot=tape.names["loss"].number,
            first_learned=tape.first_learned(),
        )
        self.release()

    def forward(self, network, data, name, n_jobs, target=None, purpose=None):
        """Give what stands in the slot `name` after a forward pass; a target is for the slot of the loss."""
        slot = self.tape.names[name]
        purpose = purpose or (JUDGE if name == "loss" else TRANSFORM)
        run = _Batch(self, network, data, purpose, self.ends[name], n_jobs)
        counts = slot.axis.count(run.lengths)
        ends = np.cumsum(counts)
        result = np.empty((int(ends[-1]), slot.width), self.dtype)
        run.point(out=result)
        if slot.axis.stride:
            run.point(out_starts=ends - counts)
        run.set(out_slot=slot.number, out_width=slot.width)
        run.want(target)
        run.forward()
        self._keep(run.workspace, _KEPT_BYTES)
        return result

    def compile(self, *, backward):
        """Point to the addresses of one kernel of each pair, compiling those that the tape uses."""
        place = walk.Pass.index["backward" if backward else "forward"]
        if not self.fixed[place]:
            kinds = self.tape.kinds
            table = [(kind.backward if backward else kind.forward).address(self.dtype) for kind in kinds]
            # Several Python threads may come here at once: all of them point to the one table that is kept.
            self.fixed[place] = self._tables.setdefault(backward, np.array(table, np.int64)).ctypes.data

    def constants(self, network, n_rows):
        """Give the constants of the tape for sequences of up to so many rows, each as kernels take it."""
        return [np.ascontiguousarray(constant.give(network, n_rows)) for constant in self.tape.constants]

    def room(self, name, size):
        """Give room for so many numbers, the same again where it is asked for again; `release` gives all back."""
        if self._rooms.get(name, self._nothing).size < size:
            self._rooms[name] = parallel.room(size, self.dtype, np.zeros)
        return self._rooms[name][:size]

    def release(self):
        """Give back the room that learning took."""
        self._idle, self._rooms = [], {}

    def _keep(self, workspace, most):
        self._idle = [workspace] if workspace.nbytes <= most else []

    def take_workspace(self, size):
        """Give room for `size` numbers: what the last batch left, if that is enough."""
        try:
            # Popping is atomic, so two Python threads never get the same room.
            idle = self._idle.pop()
        except IndexError:
            idle = self._nothing
        return idle if idle.size >= size else parallel.room(size, self.dtype)


class _Batch(parallel.Arguments):
    """One batch on its way through the tape."""

    def __init__(self, runner, network, data, purpose, n_rows, n_jobs):
        runner.compile(backward=False)
        super().__init__(walk.Pass, runner.dtype, array=runner.fixed.copy())
        self.lengths = np.ascontiguousarray(data.lengths, np.int64)
        work = self.lengths.sum() * (network.parameters.size - runner.first_weight)
        self.workers = int(min(parallel.n_workers(n_jobs), 1 + work // WORK_A_WORKER))
        self._n_rows = n_rows
        self._least = STEPS_A_SHARE if network.stem is None else TOKENS_A_SHARE
        longest = int(self.lengths.max())
        size, d_values, scratch = runner.tape.workspace(longest, backward=False)
        self.workspace = runner.take_workspace(size * self.workers)
        constants = runner.constants(network, longest)
        self._kept += constants
        self.point(
            weights=network.parameters,
            workspace=self.workspace,
            calls=np.empty(self.workers * runner.call_size, np.int64),
            source=data.values,
            starts=np.ascontiguousarray(data.starts, np.int64),
            lengths=self.lengths,
            constants=np.array([parallel.address(array) for array in constants], np.int64),
        )
        self.set(
            n_rows=n_rows,
            workspace_size=size,
            d_values=d_values,
            scratch=scratch,
            purpose=purpose,
            is_double=data.values.dtype.char == "d",
        )

    def want(self, target):
        """Say what the sequences should give."""
        if target is None:
            return
        rows, starts = split_target(target, self.dtype)
        self.point(targets=rows)
        self.set(n_targets=rows.shape[1])
        if starts is not None:
            self.point(target_starts=starts)

    def forward(self):
        """Carry the batch forwards."""
        whole, long = part_long_ones(self.lengths)
        if len(whole):
            self.share_out(walk.forward_item, self._cut(whole, MOST_SHARES * 16))
        for sample in long:
            self._forward_long(sample)

    def _cut(self, whole, most):
        """Cut whole sequences into shares, and give how many there are."""
        bounds = cut(self.lengths[whole], self._least, most)
        self.point(order=whole, bounds=bounds)
        return len(bounds) - 1

    def _forward_long(self, sample):
        """Carry one long sequence forwards, every operation of the tape cut into parts."""
        n_parts = count_parts(self.lengths[sample])
        self.set(long_sample=sample, n_parts=n_parts)
        for row in range(self._n_rows):
            self.set(long_row=row)
            self.share_out(walk.part_forward_item, n_parts)
        self.share_out(walk.long_output_item, 1)
