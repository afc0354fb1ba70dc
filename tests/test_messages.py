"""Whatever comes in, an error about it is short, and says what came and a way out."""

import numpy as np
import pytest
from problems import SMALL, make_ragged

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer, attention
from skattn.functional import attention_backward

X = make_ragged(n_samples=6)
LONG = "word" * 10_000
MANY = list(range(30_000))
Q = np.ones((1, 1, 3, 2))
RECORD = np.zeros((1, 1, 3, 2), [(f"field_{i}", "f8") for i in range(500)])
NUMBERS = {i: i for i in range(6)}


def fit(y, kind=SelfAttentionClassifier, sample_weight=None, **parameters):
    kind(**SMALL | parameters).fit(X, y, sample_weight=sample_weight)


def go_on(first, then, **parameters):
    model = SelfAttentionClassifier(**SMALL | parameters).partial_fit(X, first, classes=sorted({*first, *MANY}))
    model.partial_fit(X, then)


CALLS = {
    "an unknown class among many": lambda: go_on([0, 1] * 3, [0, 1, 2, 3, 4, -1]),
    "an unknown class with a long name": lambda: (
        SelfAttentionClassifier(**SMALL).partial_fit(X, ["a", "b"] * 3, classes=["a", "b"]).partial_fit(X, [LONG] * 6)
    ),
    "one class with a long name": lambda: fit([LONG] * 6),
    "long words among numbers": lambda: fit([LONG, 1] * 3),
    "long words for values": lambda: fit([LONG] * 6, SelfAttentionRegressor),
    "complex labels": lambda: SelfAttentionClassifier().fit(X * 100, np.arange(600) * 1j),
    "complex values": lambda: SelfAttentionRegressor().fit(X * 100, np.arange(600) * 1j),
    "objects of long words": lambda: fit(np.array([(LONG,), (LONG, 1)] * 3, dtype=object), SelfAttentionTransformer),
    "records": lambda: fit(RECORD.reshape(6), SelfAttentionRegressor),
    "a dict of targets": lambda: fit(dict.fromkeys(MANY, LONG)),
    "weights of many strangers": lambda: fit([0, 1] * 3, class_weight=dict.fromkeys(map(str, MANY), 1.0)),
    "weights that are words": lambda: fit([0, 1] * 3, class_weight={0: LONG, 1: 1.0}),
    "weights that are all 0": lambda: fit([0, 1] * 3, class_weight=dict.fromkeys(MANY, 0.0)),
    "weights of several labels": lambda: fit(np.eye(6, dtype=int), class_weight=dict.fromkeys(MANY, 1.0)),
    "sample weights that are words": lambda: fit([0, 1] * 3, sample_weight=[LONG] * 6),
    "a parameter that is a list": lambda: fit([0, 1] * 3, d_model=MANY),
    "a parameter that is a word": lambda: fit([0, 1] * 3, pooling=LONG),
    "a window that is a list": lambda: fit([0, 1] * 3, window=MANY),
    "a window of words": lambda: attention(Q, Q, Q, window=(LONG, 0)),
    "a scale that is a list": lambda: attention(Q, Q, Q, scale=MANY),
    "lengths that are records": lambda: attention(Q, Q, Q, lengths=RECORD[0, 0, 0]),
    "queries that are records": lambda: attention(RECORD, Q, Q),
    "values of a long nest": lambda: attention(Q, Q, [[[[1.0] * n for n in range(1000)]]]),
    "gradients of another shape": lambda: attention_backward(Q, Q, Q, np.ones((1,) * 32)),
    "threads that are a list": lambda: attention(Q, Q, Q, n_jobs=MANY),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_message_is_short(call):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert 20 < len(str(caught.value)) < 500


def test_what_is_wrong_stands_at_the_beginning_and_the_way_out_at_the_end():
    with pytest.raises(
        ValueError, match=r"y\[5\] is -1, which is none of the classes \[0, 1, 2, .* fit again with all"
    ):
        CALLS["an unknown class among many"]()
