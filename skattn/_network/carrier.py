"""Carry a batch through the tape: the arguments of the kernels, workspaces, and how the work is shared out.

Work is cut by the data alone, so results do not depend on how many threads there are. Most batches are cut into
shares of whole sequences; a sequence that is long beside its batch is cut within, step by step, so that it uses every
core.
"""

import numpy as np

from .._kernels import parallel, update, walk
from .._kernels.embedding import SINUSOIDAL
from .._kernels.step import GRANULE, JUDGE, LEARN, N_CALL, TRANSFORM
from .layers import sinusoids
from .tape import workspace_size

# Steps that a share of a batch has at least, so that adding up gradients stays a small part of the work.
_STEPS_A_SHARE = 128
# Likewise tokens of a stem, each of which is as much work as many steps.
_TOKENS_A_SHARE = 32
_MOST_SHARES = 64
# A sequence is cut within if it is this long and this large a part of its batch's work.
_LONG_STEPS = 1024
_LONG_PART = 1 / 8
_STEPS_A_PART = 2 * GRANULE
_MOST_PARTS = 64
# Multiplications that a thread has at least: waking one up costs some microseconds, much more on a busy machine.
_WORK_A_WORKER = 1 << 22
# Numbers that have to be passed over for a region of their own to pay; fewer are passed over by one thread.
_WORTH_A_REGION = 1 << 20
# Bytes of workspace that are kept for the next call, and for the next batch while learning.
_KEPT_BYTES, _KEPT_BYTES_LEARNING = 1 << 24, 1 << 28


class Carrier:
    """Runs the tape of one network over batches.

    Parameters
    ----------
    tape : Tape
    dtype : {"float32", "float64"}
    n_before : int
        First parameters that the tape does not use, and gives no gradient of.
    """

    def __init__(self, tape, dtype, n_before=0):
        self.n_before = n_before
        self._tape, self._dtype = tape, dtype
        self._rows = tape.rows()
        self._slots, slots_size = tape.slot_table()
        self.tape_size = (*map(int, slots_size), tape.scratch)
        self._waves = any(kind is SINUSOIDAL for kind, _ in tape.steps)
        offsets, _ = tape.offsets()
        self._matrices = np.array([(offsets[p.name], *p.shape) for p in tape.parameters if p.turned], np.int64)
        self._tables = {}
        self._positions = np.zeros((0, 0), dtype)
        self.release()
        self._ends = {slot.number: tape.rows_until(slot.number) for slot in tape.names.values()}
        self.fixed = np.zeros(walk.N_ARGUMENTS, np.int64)
        self.fixed[walk.ROWS], self.fixed[walk.SLOTS] = parallel.address(self._rows), parallel.address(self._slots)
        self.fixed[walk.N_SLOTS], self.fixed[walk.ROW_WIDTH] = len(self._slots), self._rows.shape[1]

    def forward(self, network, data, name, n_jobs, target=None):
        """Give what stands in the slot `name` after a forward pass; a target is for the slot of the loss."""
        slot = self._tape.names[name]
        lengths = np.ascontiguousarray(data.lengths, np.int64)
        begins = np.cumsum(lengths) - lengths
        result = np.empty((int(lengths.sum()) if slot.per_step else len(lengths), slot.width), self._dtype)
        purpose = JUDGE if name == "loss" else TRANSFORM
        run = _Pass(self, network, data, purpose, self._ends[slot.number], n_jobs)
        run.point(walk.OUT, result)
        run.point(walk.OUT_STARTS, begins)
        run.set(walk.OUT_SLOT, slot.number, walk.OUT_WIDTH, slot.width, walk.OUT_PER_STEP, slot.per_step)
        if target is not None:
            run.point(walk.TARGETS, np.ascontiguousarray(target, self._dtype))
            run.set(walk.N_TARGETS, target.shape[1])
        run.forward()
        self._keep(run.workspace, _KEPT_BYTES)
        return result

    def learn(self, network, data, target, weight, ids, seed, n_update, n_jobs, d_input=None):
        """Give the losses of a batch and the gradient of their weighted sum; that of the input goes into `d_input`."""
        run = _Pass(self, network, data, LEARN, self._ends[walk.LOSS], n_jobs)
        losses = np.empty(run.n_samples, self._dtype)
        run.point(walk.LOSSES, losses)
        run.point(walk.IDS, np.ascontiguousarray(ids, np.int64))
        run.point(walk.SAMPLE_WEIGHTS, np.ascontiguousarray(weight, self._dtype))
        if target is not None:
            run.point(walk.TARGETS, np.ascontiguousarray(target, self._dtype))
            run.set(walk.N_TARGETS, target.shape[1])
        run.set(walk.DRAW_SEED, seed, walk.DRAW_UPDATE, n_update)
        if d_input is not None:
            run.point(walk.D_INPUT, d_input)
        self._turn(network, run.workers)
        run.point(walk.TRANSPOSED, self._transposed)
        n_shares = run.learn()
        self._keep(run.workspace, _KEPT_BYTES_LEARNING)
        return losses, self._sum(n_shares, run.workers)

    def compile(self, *, backward):
        """Point to the addresses of the kernels of each kind of step, compiling those that the tape uses."""
        entry = walk.BACKWARD if backward else walk.FORWARD
        if not self.fixed[entry]:
            kinds = self._tape.kinds
            table = [(kind.backward if backward else kind.forward).address(self._dtype) for kind in kinds]
            # Several Python threads may come here at once: all of them point to the one table that is kept.
            self.fixed[entry] = self._tables.setdefault(backward, np.array(table, np.int64)).ctypes.data

    def positions(self, n_steps, width):
        """Give at least `n_steps` rows of the table of sines and cosines."""
        positions = self._positions
        if self._waves and len(positions) < n_steps:
            # Another Python thread may keep a shorter table meanwhile, so what is kept is not read again.
            positions = self._positions = sinusoids(n_steps, width).astype(self._dtype)
        return positions

    def release(self):
        """Give back the room that learning took."""
        self._idle = []
        self._transposed = self._gradients = self._total = np.zeros(0, self._dtype)

    def _keep(self, workspace, most):
        self._idle = [workspace] if workspace.nbytes <= most else []

    def take_workspace(self, size):
        """Give room for `size` numbers: what the last batch left, if that is enough."""
        try:
            # Popping is atomic, so two Python threads never get the same room.
            idle = self._idle.pop()
        except IndexError:
            idle = self._transposed[:0]
        return idle if idle.size >= size else np.empty(size, self._dtype)

    def gradients(self, n_shares, n_parameters):
        """Give room for the gradient of each share."""
        if self._gradients.size < n_shares * n_parameters:
            self._gradients = np.empty(n_shares * n_parameters, self._dtype)
        return self._gradients

    def _turn(self, network, workers):
        if self._transposed.size != network.parameters.size:
            self._transposed = np.zeros_like(network.parameters)
            self._total = np.zeros_like(network.parameters)
        arguments = np.zeros(update.N_TURN_ARGUMENTS, np.int64)
        arguments[update.TURN_WEIGHTS] = parallel.address(network.parameters)
        arguments[update.TURN_TRANSPOSED] = parallel.address(self._transposed)
        arguments[update.TURN_MATRICES] = parallel.address(self._matrices)
        workers = workers if self._transposed.size >= _WORTH_A_REGION else 1
        parallel.run(update.turn_item, self._dtype, arguments, len(self._matrices), workers)

    def _sum(self, n_shares, workers):
        arguments = np.zeros(update.N_SUM_ARGUMENTS, np.int64)
        total = self._total[self.n_before :]
        arguments[update.SUM_GRADIENTS], arguments[update.SUM_SHARES] = parallel.address(self._gradients), n_shares
        arguments[update.SUM_WEIGHTS], arguments[update.SUM_TOTAL] = total.size, parallel.address(total)
        workers = workers if n_shares * total.size >= _WORTH_A_REGION else 1
        parallel.run(update.sum_item, self._dtype, arguments, -(-total.size // update.BLOCK), workers)
        return self._total


class _Pass(parallel.Arguments):
    """One batch on its way through the tape."""

    def __init__(self, carrier, network, data, purpose, n_rows, n_jobs):
        self._carrier, self._learns = carrier, purpose == LEARN
        carrier.compile(backward=False)
        if self._learns:
            carrier.compile(backward=True)
        super().__init__(carrier.fixed.copy(), carrier._dtype)
        self._lengths = np.ascontiguousarray(data.lengths, np.int64)
        n_parameters = network.parameters.size
        work = self._lengths.sum() * (n_parameters - carrier.n_before) * (3 if self._learns else 1)
        self.workers = int(min(parallel.n_workers(n_jobs), 1 + work // _WORK_A_WORKER))
        self.n_samples, self._n_rows = len(self._lengths), n_rows
        self._least = _STEPS_A_SHARE if network.stem is None else _TOKENS_A_SHARE
        self._n_gradients = n_parameters - carrier.n_before
        longest = int(self._lengths.max())
        size, d_values, scratch = workspace_size(carrier.tape_size, longest, backward=self._learns)
        self.workspace = carrier.take_workspace(size * self.workers)
        for entry, array in (
            (walk.WEIGHTS, network.parameters),
            (walk.WORKSPACE, self.workspace),
            (walk.COUNTERS, np.empty(self.workers * (N_CALL + len(carrier._slots)), np.int64)),
            (walk.VALUES, data.values),
            (walk.STARTS, np.ascontiguousarray(data.starts, np.int64)),
            (walk.LENGTHS, self._lengths),
            (walk.POSITION_TABLE, carrier.positions(longest, network.architecture.d_model)),
        ):
            self.point(entry, array)
        if network.stem is None:
            self.point(walk.MEAN, network.mean)
            self.point(walk.SCALE, network.scale)
        self.set(
            *(walk.N_ROWS, n_rows, walk.WORKSPACE_SIZE, size),
            *(walk.FIRST_WEIGHT, carrier.n_before, walk.N_WEIGHTS, n_parameters),
            *(walk.D_VALUES, d_values, walk.SCRATCH, scratch, walk.PURPOSE, purpose),
            *(walk.N_FEATURES, data.values.shape[1], walk.ARE_DOUBLE, data.values.dtype.char == "d"),
        )

    def forward(self):
        """Carry the batch forwards."""
        whole, long = self._cut()
        if len(whole):
            bounds = self._bounds(whole, _MOST_SHARES * 16)
            self.share_out(walk.forward_item, len(bounds) - 1)
        for sample in long:
            self._split_forward(sample)

    def learn(self):
        """Carry the batch forwards and back; gives how many shares of gradient there are."""
        whole, long = self._cut()
        bounds = self._bounds(whole, _MOST_SHARES)
        n_parts = [self._n_parts(sample) for sample in long]
        n_shares = max([len(bounds) - 1, *n_parts])
        gradients = self._carrier.gradients(n_shares, self._n_gradients)
        self.point(walk.GRADIENTS, gradients)
        self.share_out(walk.learn_item, len(bounds) - 1)
        gradients[(len(bounds) - 1) * self._n_gradients : n_shares * self._n_gradients] = 0
        for sample in long:
            self._split_forward(sample)
            for row in range(self._n_rows - 1, -1, -1):
                self.set(walk.SPLIT_ROW, row)
                self.share_out(walk.split_backward_item, self.numbers[walk.SPLIT_PARTS])
            self.share_out(walk.split_input_gradient_item, 1)
        return n_shares

    def _cut(self):
        """Tell the sequences that are taken whole, as a boolean mask, and the numbers of those that are cut within."""
        if self._lengths.max() < _LONG_STEPS:
            return np.arange(self.n_samples, dtype=np.int64), ()
        work = self._lengths * (self._lengths + 512.0)
        cut = (self._lengths >= _LONG_STEPS) & (work >= _LONG_PART * work.sum())
        return np.flatnonzero(~cut), np.flatnonzero(cut)

    def _n_parts(self, sample):
        return int(min(_MOST_PARTS, -(-self._lengths[sample] // _STEPS_A_PART)))

    def _bounds(self, whole, most):
        """Cut whole sequences into shares of about equal work: a power of two of them, by the data alone."""
        self.point(walk.ORDER, whole)
        if len(whole) <= 1:
            bounds = np.array([0, len(whole)], np.int64)
            self.point(walk.BOUNDS, bounds)
            return bounds
        lengths = self._lengths[whole]
        wanted = max(1, min(most, int(lengths.sum()) // self._least, len(whole)))
        bounds = cut_evenly(lengths * (lengths + 512.0), 1 << (wanted.bit_length() - 1))
        self.point(walk.BOUNDS, bounds)
        return bounds

    def _split_forward(self, sample):
        """Carry one long sequence forwards, every step of the tape cut into parts."""
        self.set(walk.SPLIT_SAMPLE, sample, walk.SPLIT_PARTS, self._n_parts(sample))
        self.share_out(walk.split_input_item, 1)
        for row in range(self._n_rows):
            self.set(walk.SPLIT_ROW, row)
            self.share_out(walk.split_forward_item, self.numbers[walk.SPLIT_PARTS])
        self.share_out(walk.split_output_item, 1)


def cut_evenly(work, n_shares):
    """Cut items in a row into shares of about equal work: where each begins, and the end, shape (n_shares + 1,)."""
    ends = np.cumsum(work)
    marks = np.arange(1, n_shares) * (ends[-1] / n_shares)
    # An item is of the share that its middle lies in.
    return np.concatenate([[0], np.searchsorted(ends - work / 2, marks), [len(work)]]).astype(np.int64)
