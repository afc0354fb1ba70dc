"""What codes stand for: the same words mean the same, whatever frame gave them which codes."""

import pickle

import numpy as np
import pytest
from problems import SMALL

from skattn import SelfAttentionClassifier, SequenceScaler, sequences_from_frame
from skattn.held_categories import check_held, known_categories, recoded, with_codes, words_of, words_of_all
from skattn.roles import Roles
from skattn.sequences import read_sequences

pandas = pytest.importorskip("pandas")
pytest.importorskip("narwhals")

Y = np.arange(20) % 2


def stays(words="bcd", n_more=0, seed=0):
    """A long frame with a column of words and one of whole numbers that name a category; more words come behind."""
    generator = np.random.default_rng(seed)
    frame = pandas.DataFrame(
        {
            "id": np.repeat(np.arange(20), 4),
            "ward": generator.choice(list(words), 80),
            "code": generator.integers(0, 3, 80),
        }
    )
    more = pandas.DataFrame({"id": 100 + np.arange(n_more), "ward": "a", "code": 0})
    return pandas.concat([frame, more], ignore_index=True)


def sequences(frame):
    return sequences_from_frame(frame, id="id")[0]


@pytest.mark.parametrize("wanted", ["from_dtype", "all", ["ward"], ["ward", "code"], ["code"]], ids=str)
def test_words_are_known_beside_numbers_that_are_codes_as_well(wanted, tmp_path):
    X, again = sequences(stays()), sequences(stays(n_more=1))
    assert again[0].categories[0].tolist() == ["a", "b", "c", "d"], "another word, so other codes"
    model = SelfAttentionClassifier(**SMALL, categorical_features=wanted).fit(X, Y)
    expected = model.predict_proba(X)
    if wanted == ["code"]:
        again = X
    np.testing.assert_array_equal(model.predict_proba(again[:20]), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(again[:20]), expected)
    model.save_weights(tmp_path / "weights")
    loaded = SelfAttentionClassifier(**SMALL, categorical_features=wanted).load_weights(tmp_path / "weights")
    np.testing.assert_array_equal(loaded.predict_proba(again[:20]), expected)


def test_fit_takes_sequences_of_several_frames():
    one, other = (sequences(stays(words)) for words in ("ab", "pbq"))
    model = SelfAttentionClassifier(**SMALL, categorical_features=["ward"]).fit(one + other, np.r_[Y, Y])
    assert [known.tolist() for known in model._held_categories] == [["a", "b", "p", "q"]]
    at_once = sequences(pandas.concat([stays("ab"), stays("pbq").assign(id=lambda frame: frame["id"] + 50)]))
    np.testing.assert_array_equal(model.predict_proba(one + other), model.predict_proba(at_once))
    # Sequences that say nothing have the codes of the first that does.
    plain = [np.asarray(steps) for steps in one]
    mixed = SelfAttentionClassifier(**SMALL, categorical_features=["ward"], n_step_features=1)
    assert read_sequences([*plain[:1], *one, *other], mixed.set_params(categorical_features=[0]), reset=True)
    assert [known.tolist() for known in mixed._held_categories] == [["a", "b", "p", "q"]]


def test_a_stream_knows_what_codes_stand_for():
    options = SMALL | {"causal": True, "position": "rotary", "embedding": "linear"}
    X, again = sequences(stays()), sequences(stays(n_more=1))
    model = SelfAttentionClassifier(**options, categorical_features="all").fit(X, Y)
    stream, copied = model.stream(), model.stream()
    for k in range(4):
        told = stream.step(X[3][k : k + 1])
        np.testing.assert_array_equal(copied.step(again[3][k : k + 1]), told)
    np.testing.assert_allclose(told, model.predict_proba(X[3:4]), rtol=1e-9)
    two = pickle.loads(pickle.dumps(model.stream(2)))
    both = type(X[0])(np.stack([again[3][0], again[4][0]]), categories=again[3].categories)
    np.testing.assert_array_equal(two.step(both)[0], model.stream().step(X[3][0]))
    assert np.isnan(both).sum() == 0 and (both == np.stack([again[3][0], again[4][0]])).all(), "X is not altered"


def test_data_frames_may_have_words_where_they_are_said_to_be_categories():
    frame = stays()
    frames = [part[["ward", "code"]] for _, part in frame.groupby("id")]
    model = SelfAttentionClassifier(**SMALL, categorical_features=["ward"]).fit(frames, Y)
    expected = SelfAttentionClassifier(**SMALL, categorical_features=["ward"]).fit(sequences(frame), Y)
    np.testing.assert_array_equal(model.predict_proba(frames), expected.predict_proba(sequences(frame)))
    polars = pytest.importorskip("polars")
    np.testing.assert_array_equal(
        model.predict_proba([polars.from_pandas(part.reset_index(drop=True)) for part in frames]),
        model.predict_proba(frames),
    )
    with pytest.raises(ValueError, match=r"Input X holds 'd' .*sequences_from_frame.* categorical_features says so"):
        SelfAttentionClassifier(**SMALL).fit(frames, Y)
    with pytest.raises(ValueError, match=r"Sample 0 of X: Column 'code' holds .*Ellipsis"):
        model.predict([part.assign(code=pandas.Series([...] * 4, dtype=object).values) for part in frames])


def test_types_of_columns_tell_categories():
    truths = [
        pandas.DataFrame(
            {"on": np.arange(4) % 2 == i % 2, "x": [1.0, 2, 3, 4], "level": pandas.Categorical([7, 5] * 2)}
        )
        for i in range(20)
    ]
    model = SelfAttentionClassifier(**SMALL, categorical_features="from_dtype").fit(truths, Y)
    assert model._model.network.architecture.categories == ((0, 2), (2, 2))
    assert [known.tolist() for known in model._held_categories] == [[False, True], [5, 7]]
    assert with_codes(truths[0][["x"]]) is not None and words_of(with_codes(truths[0][["x"]])) is None


def test_words_in_one_place_and_numbers_in_another_are_refused():
    words, numbers = sequences(stays()), sequences(stays().assign(ward=5))
    for X in (words + numbers, numbers + words):
        with pytest.raises(ValueError, match="Input X has numbers at sample .*, feature 0, and fit, or another"):
            SelfAttentionClassifier(**SMALL, categorical_features="all").fit(X, np.r_[Y, Y])
    model = SelfAttentionClassifier(**SMALL, categorical_features="all").fit(numbers, Y)
    with pytest.raises(
        ValueError, match=r"Input X has words such as \['b'\] at sample 0, feature 0, .* has numbers there"
    ):
        model.predict(words)
    np.testing.assert_array_equal(model.predict([np.asarray(steps) for steps in numbers]), model.predict(numbers))
    # What is missing is neither.
    missing = sequences(stays().assign(ward=np.nan))
    model = SelfAttentionClassifier(**SMALL, categorical_features="all", handle_missing="mask").fit(words, Y)
    assert model.predict(missing).shape == (20,)


def test_words_that_are_read_as_numbers_are_told_of():
    X = sequences(stays())
    with pytest.warns(UserWarning, match=r"Feature 0 of X is codes of \['b', 'c', 'd'\], .*from_dtype") as told:
        SelfAttentionClassifier(**SMALL).fit(X, Y)
    assert len(told) == 1 and told[0].filename == __file__
    with pytest.warns(UserWarning, match="Feature 0 of X is codes of"):
        SequenceScaler().fit(X)


def test_nobody_says_what_codes_stand_for():
    X = [np.zeros((3, 2))] * 4
    assert words_of_all(X) is None and known_categories(None, Roles((0,))) is None
    assert known_categories([None, None], Roles()) is None
    data = read_sequences(X, SelfAttentionClassifier(), reset=True)
    assert recoded(data, X, None) is data and recoded(data, None, [np.array(["a"])]) is data


def test_a_file_says_of_each_category_what_its_codes_stand_for():
    known = [None, np.array(["a", "b"])]
    assert check_held(None, 2) is None and check_held(known, 2) is known
    for held in ([None], 7, (None, None), [None, ["a"]], [None, np.array([["a"]])], [None, np.array([{}], object)]):
        with pytest.raises(ValueError, match="categories is .*the file is damaged"):
            check_held(held, 2)
