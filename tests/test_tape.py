"""The tape refuses what kernels would take for something else, and numbers what it uses."""

import pytest

from skattn._kernels.activation import GELU
from skattn._kernels.linear import LINEAR
from skattn._kernels.loss import SQUARED_ERROR
from skattn._network import layers
from skattn._network.tape import Tape


def begun(width=4):
    """A tape with its first three slots: input, target, loss."""
    tape = Tape()
    return tape, tape.slot(width, name="input"), tape.slot(2, per_step=False), tape.slot(1, per_step=False)


def test_fields_that_are_missing_misspelt_or_superfluous_are_refused():
    tape, source, *_ = begun()
    with pytest.raises(
        TypeError, match=r"gelu has the fields \('source', 'target', 'width'\); \['widht', 'width'\] are"
    ):
        tape.step(GELU, source=source, target=source, widht=4)
    with pytest.raises(TypeError, match=r"\['target'\] are missing"):
        tape.step(GELU, source=source, width=4)
    with pytest.raises(TypeError, match=r"\['adds', 'bias'\] are missing or none"):
        tape.step(GELU, source=source, target=source, width=4, adds=0, bias=-1)
    assert tape.steps == []


def test_a_slot_that_two_steps_read_has_both_gradients_or_the_tape_is_refused():
    tape, source, wanted, loss = begun()
    hidden = layers.linear(tape, source, "first", 4, wants_gradient=False)
    bent = tape.slot(4)
    tape.step(GELU, source=hidden, target=bent, width=4)
    layers.linear(tape, hidden, "second", 4, onto=bent)
    pooled = layers.pooling(tape, bent, "mean")
    outputs = layers.linear(tape, pooled, "head", 1, per_step=False)
    tape.step(SQUARED_ERROR, source=outputs, wanted=wanted, loss=loss, n_outputs=1)
    with pytest.raises(ValueError, match="gelu begins the gradient of its source, which a step behind it has begun"):
        tape.rows()


def test_a_tape_numbers_the_kinds_that_it_uses():
    tape, source, *_ = begun()
    hidden = layers.linear(tape, source, "first", 4, wants_gradient=False)
    tape.step(GELU, source=hidden, target=hidden, width=4)
    layers.linear(tape, hidden, "second", 4)
    assert tape.kinds == [LINEAR, GELU]
    assert tape.rows()[:, 0].tolist() == [0, 1, 0]
    assert tape.rows().shape == (3, 1 + len(LINEAR.fields))
