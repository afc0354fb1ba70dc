"""`TokenSequencer`: scikit-learn's checks and vocabulary, ids in the order of the text, files, pipelines."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skattn import TokenSequencer
from skattn.persistence import TRUSTED_TYPES

TEXTS = [
    "The cat sat; the cat slept.",
    "A dog saw the cat.",
    "Birds: one BIRD, two birds!",
    "",
    "Élan, naïve façade. 猫が座った",
    "the dog ran, the bird flew,  and\nthe cat slept",
]
# What scikit-learn does not ask of an estimator that takes no table, though it needs none.
WITHOUT_X = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_param_validation",
    "check_parameters_default_constructible",
    "check_transformers_unfitted",
    "check_set_params",
    "check_valid_tag_types",
]


def three_characters(text):
    """Pieces of a text, in its order; in a module, so that a pickle can name it."""
    return [text[i : i + 3] for i in range(0, len(text), 3)]


def counts(ids):
    """What a linear model can read: how often the first ids occur."""
    return np.array([np.bincount(sequence, minlength=50)[:50] for sequence in ids])


def lists(ids):
    return [sequence.tolist() for sequence in ids]


@parametrize_with_checks([TokenSequencer()])
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", WITHOUT_X)
def test_checks_that_need_no_x_pass(name):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip(f"this scikit-learn has no {name}")
    check("TokenSequencer", TokenSequencer())


def test_tags_are_those_of_scikit_learns_own():
    expected, found = CountVectorizer().__sklearn_tags__(), TokenSequencer().__sklearn_tags__()
    assert expected.input_tags == found.input_tags and expected.target_tags == found.target_tags


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"lowercase": False},
        {"token_pattern": r"\w+|[^\w\s]"},
        {"token_pattern": r"(\w)\w*"},
        {"min_df": 2},
        {"min_df": 0.5},
        {"min_df": 0.0},
        {"max_features": 2},
        {"max_features": 5, "min_df": 2, "analyzer": "char"},
        {"max_features": 1000},
        {"analyzer": "char"},
        {"analyzer": "char_wb"},
        {"analyzer": "char", "lowercase": False, "min_df": 3},
        {"analyzer": str.split},
        {"analyzer": three_characters, "min_df": 2},
    ],
    ids=str,
)
def test_the_vocabulary_is_scikit_learns(parameters):
    expected = CountVectorizer(**parameters).fit(TEXTS)
    sequencer = TokenSequencer(**parameters)
    ids = sequencer.fit_transform(TEXTS)
    assert {term: column + 1 for term, column in expected.vocabulary_.items()} == sequencer.vocabulary_
    assert list(expected.get_feature_names_out()) == list(sequencer.vocabulary_)
    occur = np.array([np.bincount(sequence, minlength=len(sequencer.vocabulary_) + 1)[1:] for sequence in ids])
    np.testing.assert_array_equal(expected.transform(TEXTS).toarray(), occur)


def test_equally_frequent_terms_are_kept_by_the_alphabet():
    texts = [" ".join(f"w{i:03}" for i in reversed(range(211)))]
    assert [f"w{i:03}" for i in range(101)] == list(TokenSequencer(max_features=101).fit(texts).vocabulary_)


def test_ids_stand_in_the_order_of_the_text():
    sequencer = TokenSequencer().fit(["the cat saw the dog"])
    assert {"cat": 1, "dog": 2, "saw": 3, "the": 4} == sequencer.vocabulary_
    assert [[2, 3, 4, 1], [4, 0, 3]] == lists(sequencer.transform(["Dog saw the CAT", "the cow saw"]))
    assert 0 == sequencer.unknown_id_


@pytest.mark.parametrize("parameters", [{}, {"analyzer": "char"}, {"analyzer": "char_wb"}, {"analyzer": str.split}])
def test_tokens_are_those_of_scikit_learns_analyzers(parameters):
    sequencer = TokenSequencer(**parameters).fit(TEXTS)
    analyse = CountVectorizer(**parameters).build_analyzer()
    expected = [analyse(text) or ["<unknown>"] for text in TEXTS]
    assert expected == sequencer.inverse_transform(sequencer.transform(TEXTS))


def test_a_text_without_tokens_is_one_unknown():
    sequencer = TokenSequencer().fit(TEXTS)
    assert [[0], [0], [0]] == lists(sequencer.transform(["", "?!", "a"]))
    assert [["<unknown>"]] == sequencer.inverse_transform([[0]])


def test_no_text_is_no_sequence():
    assert [] == TokenSequencer().fit(TEXTS).transform([])


def test_later_steps_are_neither_read_nor_counted():
    texts = ["aa bb cc dd", "bb", "cc bb aa ee"]
    sequencer = TokenSequencer(max_steps=2).fit(texts)
    assert {"aa": 1, "bb": 2, "cc": 3} == sequencer.vocabulary_
    assert [[1, 2], [2], [3, 2]] == lists(sequencer.transform(texts))
    assert ["bb"] == list(TokenSequencer(max_steps=2, min_df=3).fit(texts).vocabulary_)


@pytest.mark.parametrize(("n_terms", "dtype"), [(7, np.int16), (32767, np.int16), (32768, np.int32)])
def test_ids_are_as_small_as_the_vocabulary_allows(n_terms, dtype):
    ids = TokenSequencer().fit_transform([" ".join(f"w{i}" for i in range(n_terms)), "w1"])
    assert all(sequence.dtype == dtype and sequence.ndim == 1 for sequence in ids)
    assert n_terms == ids[0].max()


@pytest.mark.parametrize("kind", ["tuple", "iterator", "array", "objects", "column array", "series", "frame"])
def test_texts_come_in_any_column_or_collection(kind):
    made = {
        "tuple": lambda: tuple(TEXTS),
        "iterator": lambda: iter(TEXTS),
        "array": lambda: np.array(TEXTS),
        "objects": lambda: np.array(TEXTS, dtype=object),
        "column array": lambda: np.array(TEXTS)[:, np.newaxis],
        "series": lambda: pd.Series(TEXTS, index=range(10, 16)),
        "frame": lambda: pd.DataFrame({"text": TEXTS}),
    }[kind]
    sequencer = TokenSequencer()
    expected = lists(clone(sequencer).fit_transform(TEXTS))
    assert expected == lists(sequencer.fit_transform(made()))
    assert expected == lists(sequencer.fit(made()).transform(made()))


def test_the_one_feature_of_a_step_is_the_token():
    assert ["token"] == TokenSequencer().fit(TEXTS).get_feature_names_out().tolist()


def test_ids_stay_a_ragged_list_whatever_pipelines_ask_for():
    expected = lists(TokenSequencer().fit_transform(TEXTS))
    pipeline = make_pipeline(TokenSequencer()).set_output(transform="pandas")
    assert expected == lists(pipeline.fit_transform(TEXTS))
    assert ["token"] == pipeline.get_feature_names_out().tolist()


def test_a_search_chooses_min_df():
    texts = [f"{word} and noise{i}" for i in range(10) for word in ("good", "bad")]
    pipeline = make_pipeline(TokenSequencer(), FunctionTransformer(counts), LogisticRegression())
    search = GridSearchCV(pipeline, {"tokensequencer__min_df": [1, 2, 0.3]}, cv=2).fit(texts, [1, 0] * 10)
    assert search.score(texts, [1, 0] * 10) == 1
    assert search.best_params_["tokensequencer__min_df"] in (1, 2, 0.3)


@pytest.mark.parametrize("analyzer", ["word", three_characters, str.split])
def test_copies_and_files_give_the_same_ids(analyzer, tmp_path):
    sequencer = TokenSequencer(analyzer=analyzer, min_df=2).fit(TEXTS)
    joblib.dump(sequencer, tmp_path / "sequencer")
    for copied in (pickle.loads(pickle.dumps(sequencer)), joblib.load(tmp_path / "sequencer")):
        assert lists(sequencer.transform(TEXTS)) == lists(copied.transform(TEXTS))
        assert sequencer.get_params() == copied.get_params()
    assert lists(sequencer.transform(TEXTS)) == lists(clone(sequencer).fit(TEXTS).transform(TEXTS))


def test_n_grams_of_one_length_are_an_analyzer_of_scikit_learns():
    analyzer = CountVectorizer(analyzer="char", ngram_range=(3, 3)).build_analyzer()
    sequencer = clone(TokenSequencer(analyzer=analyzer)).fit(["abcd"])
    copied = pickle.loads(pickle.dumps(sequencer))
    assert [["abc", "bcd"]] == copied.inverse_transform(copied.transform(["ABCD"]))


def test_results_are_the_same_under_any_hash_seed():
    code = (
        "from skattn.text import TokenSequencer; s = TokenSequencer(max_features=3, min_df=1)\n"
        "print([i.tolist() for i in s.fit_transform(['dd cc bb aa', 'ee ff bb'])], s.vocabulary_)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert ["[[0, 3, 2, 1], [0, 0, 2]] {'aa': 1, 'bb': 2, 'cc': 3}\n"] * 3 == runs


def test_the_parameters_are_left_as_they_were():
    parameters = {"min_df": np.int64(2), "max_features": np.int64(3), "max_steps": np.int64(4)}
    sequencer = TokenSequencer(**parameters).fit(TEXTS)
    assert all(getattr(sequencer, name) is value for name, value in parameters.items())


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"analyzer": "words"}, "analyzer"),
        ({"lowercase": "yes"}, "lowercase"),
        ({"token_pattern": None}, "token_pattern"),
        ({"token_pattern": "("}, r"token_pattern='\(' is no regular expression: .*; r'\\w\+' finds words"),
        ({"token_pattern": "(a)(b)"}, "capturing group"),
        ({"min_df": 0}, "min_df"),
        ({"min_df": 1.5}, "min_df"),
        ({"max_features": 0}, "max_features"),
        ({"max_steps": 0}, "max_steps"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(parameters, found):
    with pytest.raises(ValueError, match=found):
        TokenSequencer(**parameters).fit(TEXTS)


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "get_feature_names_out"])
def test_an_unfitted_one_says_so(method):
    copied = pickle.loads(pickle.dumps(TokenSequencer()))
    with pytest.raises(NotFittedError):
        getattr(copied, method)(TEXTS)


def test_one_string_alone_is_refused_in_scikit_learns_words():
    sequencer = TokenSequencer().fit(TEXTS)
    for call in (sequencer.fit, sequencer.fit_transform, sequencer.transform):
        with pytest.raises(ValueError, match="Iterable over raw text documents expected, string object received"):
            call("the cat")


def test_a_refused_fit_leaves_what_was_there():
    sequencer = TokenSequencer().fit(TEXTS)
    before = dict(sequencer.vocabulary_)
    with pytest.raises(ValueError, match="Sample 1 of X is None"):
        sequencer.fit(["other words", None])
    assert before == sequencer.vocabulary_


@pytest.mark.parametrize("tokens", [None, 7, "a string", {"a", "set"}])
def test_an_analyzer_that_gives_no_tokens_in_order_is_refused(tokens):
    with pytest.raises(TypeError, match="analyzer gave .* for sample 0 of X, and tokens in their order are wanted"):
        TokenSequencer(analyzer=lambda text: tokens).fit(TEXTS)


def test_a_file_of_a_newer_version_or_a_damaged_one_is_refused():
    state = TokenSequencer().fit(["aa bb"]).__getstate__()
    fresh = TokenSequencer.__new__(TokenSequencer)
    with pytest.raises(ValueError, match="This TokenSequencer was written by skattn 99.1"):
        fresh.__setstate__({**state, "_skattn_version": "99.1"})
    for damaged in (None, {**state, "vocabulary_": {"aa": 1, "bb": 7}}):
        with pytest.raises(ValueError, match="damaged"):
            fresh.__setstate__(damaged)
    fresh.__setstate__(state)
    assert [[2, 1]] == lists(fresh.transform(["bb aa"]))


def test_a_skops_file_names_the_sequencer_alone():
    sequencer = TokenSequencer(min_df=2).fit(TEXTS)
    content = skops.io.dumps(sequencer)
    assert ["skattn.text.TokenSequencer"] == skops.io.get_untrusted_types(data=content)
    loaded = skops.io.loads(content, trusted=TRUSTED_TYPES)
    assert lists(sequencer.transform(TEXTS)) == lists(loaded.transform(TEXTS))
    assert sequencer.vocabulary_ == loaded.vocabulary_
