"""Terms that stand in enough texts get ids by the alphabet; ids and vocabularies from elsewhere are checked."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from skattn.vocabulary import learn_vocabulary, read_ids, read_vocabulary

TEXTS = [["b", "a", "b", "b"], ["a", "c"], [], ["c", "a", "d"]]


@pytest.mark.parametrize(
    ("min_df", "max_features", "expected"),
    [
        (1, None, "abcd"),
        (2, None, "ac"),
        (3, None, "a"),
        (0.5, None, "ac"),
        (0.51, None, "a"),
        (0.0, None, "abcd"),
        (1, 1, "a"),
        (1, 2, "ab"),
        (2, 1, "a"),
        (1, 7, "abcd"),
    ],
)
def test_terms_are_chosen_by_texts_and_occurrences(min_df, max_features, expected):
    vocabulary = learn_vocabulary(TEXTS, min_df, max_features)
    assert list(zip(expected, range(1, 5), strict=False)) == list(vocabulary.items())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("min_df", [1, 3, 0.1, 0.25])
def test_random_texts_give_scikit_learns_vocabulary(seed, min_df):
    generator = np.random.default_rng(seed)
    texts = [[f"w{k}" for k in generator.zipf(1.5, size=generator.integers(1, 23)) if k < 10**6] for _ in range(37)]
    expected = CountVectorizer(analyzer=list, min_df=min_df).fit(texts).get_feature_names_out()
    assert list(expected) == list(learn_vocabulary(texts, min_df, None))


@pytest.mark.parametrize(
    ("texts", "min_df", "found"),
    [
        ([], 1, "X holds no text, .* pass a list of strings"),
        ([[], []], 1, 'Empty vocabulary: no token was found in 2 text.*analyzer="char"'),
        (TEXTS, 4, "min_df=4 asks for terms that stand in at least 4 of 4 .* in 3; lower min_df, to 3 or less"),
        (TEXTS, 0.9, "min_df=0.9 asks for terms that stand in at least 3.6 of 4 .* in 3; lower min_df"),
    ],
)
def test_an_empty_vocabulary_is_refused_with_a_way_out(texts, min_df, found):
    with pytest.raises(ValueError, match=found):
        learn_vocabulary(texts, min_df, None)


def test_a_vocabulary_from_a_file_is_taken_where_it_could_be_learned():
    assert {"a": 1, "b": 2} == read_vocabulary({"a": 1, "b": 2})


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"a": 0}, {"a": 2}, {"a": 1, "b": 1}, {"b": 1, "a": 2}, {"b": 2, "a": 1}, {1: 1}, {"a": "1"}],
    ids=repr,
)
def test_a_damaged_vocabulary_is_refused(value):
    with pytest.raises(ValueError, match="vocabulary_ is .*, expected terms in alphabetical order.*damaged"):
        read_vocabulary(value)


@pytest.mark.parametrize("ids", [[3, 0, 2], np.array([3, 0, 2], np.int16), np.array([3, 0, 2], np.uint64)])
def test_ids_are_read_from_arrays_and_lists(ids):
    assert [3, 0, 2] == read_ids(ids, 0, 3)


def test_no_ids_are_no_ids():
    assert [] == read_ids([], 0, 3)


@pytest.mark.parametrize("ids", [3, [[1, 2]], [1.0], ["a"], [True], None], ids=repr)
def test_what_is_no_sequence_of_ids_is_refused(ids):
    with pytest.raises(TypeError, match=r"Sample 5 is .* whole numbers with one axis is wanted; .* \[ids\]"):
        read_ids(ids, 5, 3)


@pytest.mark.parametrize("wrong", [-1, 4, 10**9])
def test_an_id_out_of_range_is_named_with_its_place(wrong):
    with pytest.raises(ValueError, match=f"Sample 5 has the id {wrong} at step 2, and ids go from 0 to 3"):
        read_ids([1, 3, wrong, 2], 5, 3)
