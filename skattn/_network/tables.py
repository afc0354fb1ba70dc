"""Gradients of the tables that steps look vectors up in: made once a batch, for most vectors are found by no step."""

from dataclasses import dataclass

import numpy as np

from .._kernels import lookup, parallel
from .._kernels.lookup import LOOKUP
from .shares import STEPS_A_SHARE


@dataclass(frozen=True)
class Table:
    """Where a table lies in the flat parameters, its size, and whether it learns."""

    offset: int
    n_vectors: int
    width: int
    learns: bool

    @property
    def size(self):
        return self.n_vectors * self.width


def find_tables(tape):
    """Give the tables that a tape looks up in, in the order of their numbers."""
    layout = tape.layout()
    offsets = layout.offsets
    return [
        Table(
            offsets[fields["table"]],
            fields["n_codes"] + 1,
            fields["width"],
            offsets[fields["table"]] < layout.n_learned,
        )  # fmt: skip
        for kind, fields in tape.operations
        if kind is LOOKUP
    ]


@dataclass(frozen=True)
class Rows:
    """The rows of some updates, in the order in which their gradients are added up.

    Attributes
    ----------
    starts : int array of shape (n_sequences,)
        Where those of each sequence begin, among those of its update.
    counts : int array of shape (n_updates,)
    ends, places : int array
        Of each update where rows end that are added up before they meet the total, and where in `ends` these begin.
    """

    starts: np.ndarray
    counts: np.ndarray
    ends: np.ndarray
    places: np.ndarray


def order_rows(lengths, counts, order, bounds, n_shares, long):
    """Bring the rows of each update into order: share by share, and behind them sequences that are cut within.

    Parameters
    ----------
    lengths : int array of shape (n_sequences,)
        Of the sequences of all updates, one update behind another.
    counts, n_shares : int array of shape (n_updates,)
        Sequences of each update, and its shares.
    order : int array
        Sequences that are taken whole.
    bounds : int array of shape (sum of n_shares + 1,)
        Where in `order` the shares of each update begin, and the end.
    long : sequence of int arrays
        The other sequences of each update.

    Returns
    -------
    rows : Rows
    """
    firsts, n_updates = np.cumsum(counts) - counts, len(counts)
    is_long, starts = np.zeros(len(lengths), bool), np.empty(len(lengths), np.int64)
    is_long[[sequence for sequences in long for sequence in sequences]] = True
    placed = np.lexsort((is_long, np.repeat(np.arange(n_updates), counts)))
    begins = np.cumsum(lengths[placed]) - lengths[placed]
    starts[placed] = begins - np.repeat(begins[firsts], counts)
    # Rows of whole sequences before the bounds of shares, without those of earlier updates.
    n_before = np.concatenate([[0], np.cumsum(lengths[order])])[bounds]
    places = np.cumsum(n_shares + 1) - (n_shares + 1)
    ends = np.delete(n_before, places) - np.repeat(n_before[places], n_shares)
    places = np.cumsum(n_shares) - n_shares
    if is_long.any():
        parts = [
            np.concatenate([whole, *(_ends_within(starts[i], lengths[i]) for i in sequences)])
            for whole, sequences in zip(np.split(ends, places[1:]), long, strict=True)
        ]
        ends, sizes = np.concatenate(parts), np.array([len(part) for part in parts])
        places = np.cumsum(sizes) - sizes
    return Rows(starts, np.add.reduceat(lengths, firsts), ends, places)


def _ends_within(start, length):
    """Give where parts of a sequence end that are added up apart: as long as a share is at least."""
    return start + np.append(np.arange(STEPS_A_SHARE, length, STEPS_A_SHARE), length)


def table_stages(tables, rows, gradient, room, workers_for):
    """Write down how some updates make the gradients of tables, behind the tape.

    Parameters
    ----------
    tables : list of Table
    rows : Rows
    gradient : ndarray of shape (n_learned,)
        That of tables is 0 but for what the last batch has found: whoever moves the parameters leaves it so.
    room : callable (name, size) -> ndarray
    workers_for : callable (size) -> int array of shape (n_updates,)
        Threads that pass over so many numbers.

    Returns
    -------
    found, d_found : ndarray
        Where the tape is to note which vector each row has found in each table, and the gradient of these.
    stages : list of ndarray
        Two for each table.
    alive : tuple
        What the stages point to.
    """
    most, width, dtype = int(rows.counts.max()), tables[0].width, gradient.dtype
    found, d_found = np.empty(most * len(tables), np.int64), room("d_found", most * width)
    stages, alive = [], []
    for number, table in enumerate(tables):
        if not table.learns:
            continue
        workers = workers_for(table.size)
        arrays = {
            "found": found, "d_found": d_found, "following": np.empty(most, np.int64),
            "heads": np.full(table.n_vectors, lookup.LEFT), "parts": np.empty(int(workers.max()) * width, dtype),
            "d_table": gradient[table.offset : table.offset + table.size],
        }  # fmt: skip
        one = lookup.Gather.new(
            **{name: parallel.address(array) for name, array in arrays.items()},
            **{"n_tables": len(tables), "number": number, "n_vectors": table.n_vectors, "width": width},
        )
        records = lookup.Gather.write(
            lookup.Gather.repeat(one, len(rows.counts)),
            n_rows=rows.counts,
            ends=parallel.address(rows.ends) + rows.places * rows.ends.itemsize,
        )
        n_items = -(-table.n_vectors // lookup.VECTORS_AN_ITEM)
        stages += [
            parallel.write_stages(kernel, dtype.name, records, records.strides[0], len(records), *shared)
            for kernel, *shared in ((lookup.chain_item, 1, 1), (lookup.gather_item, n_items, workers))
        ]
        alive += [arrays, records]
    return found, d_found, stages, (alive, rows)
