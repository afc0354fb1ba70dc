"""Every message is short, whatever was passed."""

import sys

import numpy as np
import pandas as pd
import pytest
from forms import NOT_SEQUENCES, SPOILS
from oddities import BAD_ARRAYS, BAD_OPTIONS, BAD_PARAMETERS
from problems import SMALL, make_array, make_ragged
from reading import Reader, read

import skattn
from skattn import SelfAttentionClassifier, attention
from skattn._wording import shortened
from skattn.datasets import load_pen_digits

MOST = 500
LONG = "word" * 100_000


class Talkative:
    """An object that has much to say about itself."""

    def __repr__(self):
        return LONG

    def __float__(self):
        raise ValueError(LONG)


LARGE_X = {
    "one axis": lambda: np.arange(999.0),
    "one axis of words": lambda: [LONG] * 3,
    "a long text": lambda: LONG,
    "a table of long texts": lambda: [[LONG, LONG]] * 3,
    "a sequence of long texts": lambda: [np.ones((3, 1)), [[LONG]]],
    "complex": lambda: np.ones((31, 31)) * 1j,
    "an object": Talkative,
    "an object without axes": lambda: np.array(Talkative(), dtype=object),
    "objects": lambda: [[Talkative()] * 3] * 3,
    "objects in sequences": lambda: [[[Talkative()]]] * 3,
    "large dictionaries": lambda: [dict.fromkeys(range(10**5))] * 3,
    "frames of long names": lambda: [pd.DataFrame({LONG: [1.0]}), pd.DataFrame({LONG[1:]: [1.0]})],
    "cells of many lengths": lambda: pd.DataFrame({f"{i}": [list(range(i + 1))] for i in range(1000)}),
    "many axes": lambda: np.ones((1,) * 60),
}


def message_of(call, *arguments, **options):
    with pytest.raises((TypeError, ValueError)) as caught:
        call(*arguments, **options)
    assert caught.value.__suppress_context__ or len(str(caught.value.__context__ or "")) < 10 * MOST
    return str(caught.value)


def test_short_words_stay_as_they_are():
    assert "as it is" == shortened("as it is") == shortened(ValueError("as it is"))
    assert "['a', 1]" == shortened(["a", 1])


def test_long_words_keep_their_beginning_and_end():
    text = shortened("what " + LONG + " way out", 60)
    assert len(text) <= 60 and text.startswith("what word") and text.endswith("word way out") and " ... " in text


def test_no_more_than_the_beginning_of_a_collection_is_worded():
    assert len(shortened({i: np.ones(1000) for i in range(10**5)})) <= 200


@pytest.mark.parametrize("name", {**NOT_SEQUENCES, **LARGE_X})
def test_what_is_no_sequence_is_refused_in_few_words(name):
    X = {**NOT_SEQUENCES, **LARGE_X}[name]()
    assert 20 < len(message_of(read, X)) < MOST


@pytest.mark.parametrize("name", SPOILS)
def test_a_spoilt_sequence_is_refused_in_few_words(name):
    X = SPOILS[name](make_ragged(), np.random.default_rng(0))
    assert 20 < len(message_of(read, X)) < MOST


def test_many_other_names_are_told_in_few_words():
    for names in ([f"{LONG}{i}" for i in range(1000)], [f"at {i}" for i in range(1000)]):
        tables = [pd.DataFrame(np.ones((3, 1000)), columns=order) for order in (names, names[::-1])]
        for fitted, other in (tables, [[table] for table in tables]):
            assert len(message_of(read, other, Reader().fit(fitted), reset=False)) < MOST
        renamed = tables[0].rename(columns=lambda name: name + "x")
        assert len(message_of(read, renamed, Reader().fit(tables[0]), reset=False)) < MOST


@pytest.mark.parametrize("name", ["window", "d_model", "optimizer", "class_weight", "random_state", "checkpoint"])
@pytest.mark.parametrize("value", [LONG.encode(), Talkative(), tuple(range(10**5)), np.arange(999.0)])
def test_a_parameter_is_refused_in_few_words(name, value):
    model = SelfAttentionClassifier(**SMALL | {name: value})
    assert len(message_of(model.fit, make_array(), np.arange(23) % 2)) < MOST


@pytest.mark.parametrize("parameters", BAD_PARAMETERS, ids=str)
def test_parameters_are_refused_in_few_words(parameters):
    kind = skattn.SelfAttentionTransformer if "objective" in parameters else SelfAttentionClassifier
    model = kind(**SMALL | {"early_stopping": True} | parameters)
    assert len(message_of(model.fit, make_array(), np.arange(23) % 2)) < MOST


def test_options_of_attention_are_refused_in_few_words():
    arrays = [np.random.default_rng(0).normal(size=(3, 2, 7, 4))] * 3
    large = [{"scale": np.arange(999.0)}, {"scale": LONG}, {"window": LONG}, {"window": (LONG, LONG)}]
    for options in [*BAD_OPTIONS, *large]:
        assert len(message_of(attention, *arrays, **options)) < MOST
    for make in (*BAD_ARRAYS.values(), lambda array: [[1.0], [LONG] * 1000], lambda array: LONG):
        assert len(message_of(attention, make(arrays[0]), *arrays[1:])) < MOST


def test_words_for_what_is_unknown_are_few():
    assert len(message_of(skattn.warm_up, ["float32", LONG])) < MOST
    assert len(message_of(load_pen_digits, split=LONG)) < MOST


def test_a_large_dict_is_refused_at_once():
    """Python's own words for it are millions, and take seconds; measured in a quarter of the work it would be."""
    X = {i: np.random.default_rng(i).normal(size=(100, 6)) for i in range(2000)}
    calls = []
    sys.setprofile(lambda frame, event, argument: calls.append(event))
    try:
        message = message_of(read, X)
    finally:
        sys.setprofile(None)
    assert "list(X.values())" in message and len(calls) < 1000
