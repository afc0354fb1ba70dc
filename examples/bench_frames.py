"""Data frames to sequences: seconds for a million rows of pandas, polars and Arrow, sorted and shuffled.

Run: ``POLARS_MAX_THREADS=1 OMP_NUM_THREADS=1 python examples/bench_frames.py`` (needs pandas, polars, pyarrow and
narwhals). 10,000 ids, a column of times to sort by, five columns of numbers; "words" has ids that are words and a
column of words besides. One thread, medians.
"""

import bench_common as bench
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from skattn import frame_from_sequences, sequences_from_frame

N_ROWS, N_IDS, N_VALUES = 10**6, 10**4, 5
KINDS = {"pandas": pd.DataFrame, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}


def make_table(are_words, is_shuffled):
    """Make a long frame, a row a step."""
    generator = np.random.default_rng(0)
    ids = np.sort(generator.integers(0, N_IDS, N_ROWS))
    data = {"id": np.char.add("patient", ids.astype(str)) if are_words else ids, "time": np.arange(N_ROWS)}
    data |= {f"x{i}": generator.normal(size=N_ROWS) for i in range(N_VALUES)}
    if are_words:
        data["ward"] = np.array(["north", "south", "east", "west"])[generator.integers(0, 4, N_ROWS)]
    table = pd.DataFrame(data)
    return table.sample(frac=1, random_state=0, ignore_index=True) if is_shuffled else table


def main():
    bench.describe()
    bench.use_threads(1)
    bench.head("frame", "rows", "ids", "to sequences in row order, s", "sorted by time, s", "back to a frame, s")
    for are_words in (False, True):
        for is_shuffled in (False, True):
            table = make_table(are_words, is_shuffled)
            for kind, convert in KINDS.items():
                frame = convert(table)
                sequences, index = sequences_from_frame(frame, id="id", order="time")
                sides = [
                    lambda frame=frame: sequences_from_frame(frame, id="id"),
                    lambda frame=frame: sequences_from_frame(frame, id="id", order="time"),
                    lambda s=sequences, i=index, k=kind: frame_from_sequences(s, index=i, kind=k, order="time"),
                ]
                seconds = bench.in_turn(sides, 5, warm_up=1)
                bench.row(
                    kind, "shuffled" if is_shuffled else "sorted", "words" if are_words else "numbers",
                    *(f"{each:.2f}" for each in seconds),
                )  # fmt: skip


if __name__ == "__main__":
    main()
