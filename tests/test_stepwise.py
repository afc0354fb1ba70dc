"""Steps changed some sequences at a time, in the form that X had."""

import numpy as np
import pytest
from problems import make_ragged, pad

from skattn import stepwise
from skattn._training import spread
from skattn.sequences import Sequences
from skattn.stepwise import map_steps, whole_samples

RAGGED = make_ragged()
LENGTHS = np.array([len(sequence) for sequence in RAGGED])


def read(kind):
    """The same sequences, as if read from X of some form."""
    if kind == "ragged":
        return Sequences(np.concatenate(RAGGED), np.cumsum(LENGTHS) - LENGTHS, LENGTHS, kind, LENGTHS.max())
    padded = pad(RAGGED)
    n_steps = padded.shape[1]
    return Sequences(padded.reshape(-1, 3), np.arange(len(RAGGED)) * n_steps, LENGTHS, kind, n_steps)


def with_number(steps, lengths):
    """One feature more: the number of the step."""
    number = np.concatenate([np.arange(n) for n in lengths])
    return np.column_stack([-steps, number])


@pytest.fixture(params=[1, 7, 40, 1 << 18])
def block(request, monkeypatch):
    """Numbers at a time: less than a sequence, some sequences, all."""
    monkeypatch.setattr(stepwise, "BLOCK", request.param)
    monkeypatch.setattr(spread, "BLOCK", request.param)


@pytest.mark.parametrize("kind", ["ragged", "array"])
def test_whole_sequences_come_one_after_another(kind, block):
    found = []
    for samples, lengths, steps in whole_samples(read(kind)):
        np.testing.assert_array_equal(LENGTHS[samples], lengths)
        found += np.split(steps, np.cumsum(lengths)[:-1])
    for expected, sequence in zip(RAGGED, found, strict=True):
        np.testing.assert_array_equal(expected, sequence)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_result_has_the_form_of_x(dtype, block):
    expected = [with_number(sequence, [len(sequence)]).astype(dtype) for sequence in RAGGED]
    ragged, array, rows = (
        map_steps(read(kind), with_number, 4, np.dtype(dtype)) for kind in ("ragged", "array", "rows")
    )
    assert {array.dtype, rows.dtype, *(sequence.dtype for sequence in ragged)} == {np.dtype(dtype)}
    np.testing.assert_array_equal(array, pad(expected))
    np.testing.assert_array_equal(rows, pad(expected).reshape(len(RAGGED), -1))
    for one, other in zip(ragged, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_exceeds_the_precision_is_refused_with_its_place(block):
    def spoil(steps, lengths):
        changed = steps.copy()
        changed[(steps == RAGGED[5][2]).all(axis=1), 1] = 1e39
        return changed

    assert np.isfinite(map_steps(read("array"), spoil, 3, np.dtype(np.float64))[5, 2]).all()
    with pytest.raises(ValueError, match="sample 5 of X exceeds float32, in feature 1 of the result: .* clip X"):
        map_steps(read("array"), spoil, 3, np.dtype(np.float32))
