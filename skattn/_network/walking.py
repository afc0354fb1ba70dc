"""The tape's part of an update, written down as stages for many updates at once."""

import numpy as np

from .._kernels import parallel, update, walk
from .._kernels.operation import LEARN
from .runner import WORK_A_WORKER
from .shares import LONG_STEPS, MOST_SHARES, STEPS_A_SHARE, TOKENS_A_SHARE, count_parts, cut, cut_all, part_long_ones
from .tables import order_rows, table_stages

# Numbers that have to be passed over for a region of their own to pay; fewer are passed over by one thread.
_WORTH_A_REGION = 1 << 20


class Walking:
    """The tape's part of some updates: records `Pass`, one for each, and the stages that they are for.

    Without `cuts_within` every sequence is carried through whole, however long it is.
    """

    def __init__(self, runner, network, n_workers, firsts, counts, lengths, *, cuts_within=True):
        self._runner, self._network, self._lengths = runner, network, lengths
        self._firsts, self._counts, self._alive = firsts, counts, []
        runner.compile(backward=False)
        runner.compile(backward=True)
        n_rows = np.add.reduceat(lengths, firsts)
        self._n_gradients = runner.n_learned - runner.first_weight
        work = n_rows * (network.parameters.size - runner.first_weight) * 3
        self._workers = np.minimum(n_workers, 1 + work // WORK_A_WORKER)
        self._records = walk.Pass.repeat(runner.fixed, len(counts))
        self._cut(STEPS_A_SHARE if network.stem is None else TOKENS_A_SHARE, cuts_within)
        most, longest = int(self._workers.max()), int(lengths.max())
        size, d_values, scratch = runner.tape.workspace(longest, backward=True)
        constants = runner.constants(network, longest)
        self._alive.append(constants)
        self.point(
            weights=network.parameters,
            transposed=runner.room("transposed", network.parameters.size),
            workspace=runner.room("workspace", size * most),
            calls=np.empty(most * runner.call_size, np.int64),
            lengths=lengths,
            constants=np.array([parallel.address(array) for array in constants], np.int64),
            gradients=runner.room("gradients", int(self._n_shares.max()) * self._n_gradients),
        )
        self._n_rows = runner.ends["loss"]
        self.set(n_rows=self._n_rows, workspace_size=size, d_values=d_values, scratch=scratch, purpose=LEARN)

    def point(self, **arrays):
        """Let fields of all updates point to arrays."""
        self._alive += arrays.values()
        self.set(**{name: parallel.address(array) for name, array in arrays.items()})

    def set(self, **numbers):
        """Set fields to a number, or to one for each update."""
        walk.Pass.write(self._records, **numbers)

    def _cut(self, least, cuts_within):
        """Cut batches into shares, and find sequences that are cut within."""
        lengths, firsts, counts = self._lengths, self._firsts, self._counts
        self._long = [()] * len(counts)
        parted = []
        if cuts_within and lengths.max() >= LONG_STEPS:
            parted = [part_long_ones(lengths[first : first + n]) for first, n in zip(firsts, counts, strict=True)]
        if not any(len(long) for _, long in parted):
            order = np.arange(len(lengths))
            bounds, places, self._n_shares = cut_all(lengths, firsts, counts, least, MOST_SHARES)
        else:
            orders, all_bounds = [], []
            for first, (whole, long) in zip(firsts, parted, strict=True):
                bounds = cut(lengths[first + whole], least, MOST_SHARES) + sum(map(len, orders))
                n_more = max([0, *(count_parts(lengths[first + i]) for i in long)]) - (len(bounds) - 1)
                # Shares of nothing: what a long sequence's parts add their gradients to.
                all_bounds.append(np.concatenate([bounds, np.repeat(bounds[-1:], max(n_more, 0))]))
                orders.append(first + whole)
            self._long = [first + long for first, (_, long) in zip(firsts, parted, strict=True)]
            order, bounds = np.concatenate(orders), np.concatenate(all_bounds)
            self._n_shares = np.array([len(part) - 1 for part in all_bounds])
            places = np.cumsum(self._n_shares + 1) - (self._n_shares + 1)
        self._order, self._bounds = order, bounds
        self.point(order=order)
        self.set(bounds=parallel.address(bounds) + places * bounds.itemsize)

    def _stages(self, kernel, records, n_items, n_workers):
        """Write a stage for each record, or for each update the same."""
        self._alive.append(records)
        step = records.strides[0] if records.ndim > 1 else 0
        n = len(records) if records.ndim > 1 else len(self._counts)
        return parallel.write_stages(kernel, self._runner.dtype, records, step, n, n_items, n_workers)

    def _workers_for(self, size):
        """Give how many threads pass over so many numbers, in each update."""
        return np.where(size >= _WORTH_A_REGION, self._workers, 1)

    def shares(self):
        """Give the stages that carry whole sequences forwards and back."""
        return self._stages(walk.learn_item, self._records, self._n_shares, self._workers)

    def forward(self, name, out, starts):
        """Give the stages that carry whole sequences forwards alone, and copy the row of a slot to where it begins."""
        slot, records = self._runner.tape.names[name], self._records.copy()
        self._alive += [out, starts]
        places = {"out": parallel.address(out), "out_starts": parallel.address(starts)}
        walk.Pass.write(records, **places, out_slot=slot.number, out_width=slot.width, n_rows=self._runner.ends[name])
        return self._stages(walk.forward_item, records, self._n_shares, self._workers)

    def turns(self):
        """Give the stages that transpose every matrix."""
        turn = update.Turn.new(
            weights=parallel.address(self._network.parameters),
            transposed=self._records[0, walk.Pass.index["transposed"]],
            matrices=parallel.address(self._runner.matrices),
        )
        workers = self._workers_for(self._network.parameters.size - self._runner.first_weight)
        return self._stages(update.turn_item, turn, len(self._runner.matrices), workers)

    def sums(self, gradient):
        """Give the stages that add up the gradients of all shares."""
        total = gradient[self._runner.first_weight :]
        one = update.Sum.new(
            gradients=self._records[0, walk.Pass.index["gradients"]], size=total.size, total=parallel.address(total)
        )
        records = update.Sum.write(update.Sum.repeat(one, len(self._counts)), n_shares=self._n_shares)
        workers = self._workers_for(self._n_shares * total.size)
        return self._stages(update.sum_item, records, -(-total.size // update.BLOCK), workers)

    def tables(self, gradient):
        """Give the stages that make the gradients of tables, a column each; none where nothing is looked up."""
        if not self._runner.tables:
            return []
        rows = order_rows(self._lengths, self._counts, self._order, self._bounds, self._n_shares, self._long)
        given = self._runner.tables, rows, gradient, self._runner.room, self._workers_for
        found, d_found, stages, alive = table_stages(*given)
        self.point(found=found, d_found=d_found, row_starts=rows.starts)
        self._alive.append(alive)
        return stages

    def long_stages(self):
        """Give, of each update, the stages for sequences that are cut within: an operation each, there and back."""
        return [
            np.concatenate([self._stages_of(number, sample) for sample in long]) if len(long) else None
            for number, long in enumerate(self._long)
        ]

    def _stages_of(self, number, sample):
        n_parts, n_rows = count_parts(self._lengths[sample]), self._n_rows
        rows = np.r_[np.arange(n_rows), 0, np.arange(self._runner.tape.first_learned(), n_rows)[::-1]]
        records = walk.Pass.repeat(self._records[number], len(rows))
        walk.Pass.write(records, long_sample=sample, n_parts=n_parts, long_row=rows)
        workers = self._workers[number]
        forward = self._stages(walk.part_forward_item, records[:n_rows], n_parts, workers)
        output = self._stages(walk.long_output_item, records[n_rows : n_rows + 1], 1, 1)
        return np.concatenate(
            [forward, output, self._stages(walk.part_backward_item, records[n_rows + 1 :], n_parts, workers)]
        )
