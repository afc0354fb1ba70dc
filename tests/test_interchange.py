"""Models in safetensors files: the same bits come back, and no file, damaged or hostile, runs code."""

import json
import pickle
import random
import sys

import numpy as np
import pandas as pd
import pytest
import skops.io
from problems import (
    ESTIMATORS,
    SMALL,
    TOLD,
    assert_same_bits,
    direction,
    fitted,
    make_array,
    make_ragged,
    make_told,
    results_of,
    richly_fitted,
    rise,
)
from problems import target_of as y_of
from safetensors.numpy import load, save
from sklearn.base import clone
from test_skops import words_of_frames

import skattn
from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer, _weights_file
from skattn._steps import Steps
from skattn.persistence import TRUSTED_TYPES

X = make_ragged()
TINY = SMALL | {"d_model": 4, "d_feedforward": 3}


@pytest.fixture(params=ESTIMATORS, ids=lambda estimator: estimator.__name__)
def model(request):
    return richly_fitted(request.param, X, **TINY)


def by_weights(model, path):
    """Through a safetensors file, into a new estimator of the same parameters."""
    model.save_weights(path / "model.safetensors")
    return type(model)(**model.get_params()).load_weights(path / "model.safetensors")


class TestWeights:
    """Tensors by name, in a file that any program can read."""

    def test_predictions_have_the_same_bits(self, model, tmp_path):
        loaded = by_weights(model, tmp_path)
        assert_same_bits(results_of(loaded, X), results_of(model, X))
        assert_same_bits(loaded.weights_, model.weights_)
        for name in ("objective_", "loss_curve_", "best_loss_", "validation_scores_", "n_iter_", "n_features_in_"):
            assert getattr(loaded, name) == getattr(model, name), name

    @pytest.mark.parametrize(
        "labels",
        [
            lambda y: y,
            lambda y: y.astype(object),
            lambda y: y.astype("U97"),
            lambda y: np.where(y == "rises", 2**53 + 1, -7),
            lambda y: np.where(y == "rises", 1, 3).astype(np.uint8),
            lambda y: np.where(y == "rises", 2, -3).astype(np.float32),
            lambda y: y == "rises",
            lambda y: np.where(y == "rises", "größer", "\udc80"),
        ],
        ids=["words", "objects", "wide words", "long", "short", "single precision", "truths", "odd words"],
    )
    def test_classes_come_back(self, labels, tmp_path):
        classifier = SelfAttentionClassifier(**TINY).fit(X, labels(direction(X)))
        loaded = by_weights(classifier, tmp_path)
        assert classifier.classes_.dtype == loaded.classes_.dtype
        assert classifier.classes_.tolist() == loaded.classes_.tolist()
        np.testing.assert_array_equal(loaded.predict(X), classifier.predict(X))

    def test_several_labels_and_several_values_come_back(self, tmp_path):
        values = np.stack([rise(X), rise(X) * 1000 + 7], axis=1)
        for kind, y in ((SelfAttentionClassifier, (values > 0).astype(int)), (SelfAttentionRegressor, values)):
            estimator = kind(**TINY).fit(X, y)
            loaded = by_weights(estimator, tmp_path)
            assert_same_bits(results_of(loaded, X), results_of(estimator, X))
            assert (23, 2) == loaded.predict(X).shape

    @pytest.mark.parametrize(
        "options",
        [
            {"d_model": 6, "n_heads": 6, "n_kv_heads": 3, "d_head": 5, "d_value": 7, "n_layers": 2},
            {"position": "none", "causal": True, "window": 3, "pooling": "attention", "dtype": "float64"},
            {"position": "sinusoidal", "window": (None, 2), "pooling": None, "d_feedforward": None},
            {"objective": "reconstruction", "pooling": "mean_max"},
        ],
    )
    def test_any_architecture_comes_back(self, options, tmp_path):
        transformer = fitted(SelfAttentionTransformer(**TINY | options), X)
        assert_same_bits(results_of(by_weights(transformer, tmp_path), X), results_of(transformer, X))

    @pytest.mark.parametrize("name", TOLD)
    def test_features_of_every_kind_come_back(self, name, tmp_path):
        told, later = make_told(TOLD[name]), make_told(TOLD[name], seed=1)
        model = fitted(SelfAttentionClassifier(**TINY | TOLD[name]), told)
        assert_same_bits(results_of(by_weights(model, tmp_path), later), results_of(model, later))

    def test_what_codes_stand_for_comes_back(self, tmp_path):
        model, later, expected = words_of_frames()
        loaded = by_weights(model, tmp_path)
        np.testing.assert_array_equal(loaded.predict_proba(later), expected)
        fitted(SelfAttentionClassifier(**TINY), X).save_weights(tmp_path / "numbers")
        loaded.set_params(categorical_features=None).load_weights(tmp_path / "numbers")
        assert not hasattr(loaded, "_held_categories"), "nothing is left of another model"
        content = parts((tmp_path / "model.safetensors").read_bytes())
        for wrong in (7, None, [], [7], [{"dtype": "object", "values": ["a"]}] * 2):
            (tmp_path / "forged").write_bytes(forge(content[0], content[1] | {"categories": wrong}))
            with pytest.raises(ValueError, match="damaged"):
                type(model)(**model.get_params()).load_weights(tmp_path / "forged")

    def test_rows_with_names_come_back(self, tmp_path):
        frame = pd.DataFrame(make_array(n_features=2).reshape(23, 14), columns=[f"ä{i}" for i in range(14)])
        regressor = SelfAttentionRegressor(**TINY, n_step_features=2).fit(frame, frame.iloc[:, 0])
        loaded = by_weights(regressor, tmp_path)
        assert_same_bits(results_of(loaded, frame), results_of(regressor, frame))
        assert regressor.feature_names_in_.tolist() == loaded.feature_names_in_.tolist()
        with pytest.raises(ValueError, match=r"n_step_features=2\), and this one has n_step_features=1"):
            SelfAttentionRegressor(**TINY).load_weights(tmp_path / "model.safetensors")
        fitted(SelfAttentionRegressor(**TINY), X).save_weights(tmp_path / "ragged")
        assert not hasattr(loaded.set_params(n_step_features=1).load_weights(tmp_path / "ragged"), "feature_names_in_")

    def test_learning_goes_on_with_a_new_optimiser(self, model, tmp_path):
        loaded, y = by_weights(model, tmp_path), y_of(model, X)
        again = by_weights(model, tmp_path)
        assert model.n_iter_ + 1 == loaded.partial_fit(X, y).n_iter_
        assert_same_bits(again.partial_fit(X, y).weights_, loaded.weights_)
        assert model.n_iter_ + 1 < loaded.set_params(warm_start=True, early_stopping=True).fit(X, y).n_iter_
        assert not np.array_equal(model.partial_fit(X, y).weights_["head.bias"], again.weights_["head.bias"])

    def test_a_loaded_model_can_be_saved_in_every_way(self, model, tmp_path):
        loaded = by_weights(model, tmp_path)
        for again in (
            skops.io.loads(skops.io.dumps(loaded), trusted=TRUSTED_TYPES),
            pickle.loads(pickle.dumps(loaded)),
            by_weights(loaded, tmp_path),
        ):
            assert_same_bits(results_of(again, X), results_of(model, X))

    def test_the_same_model_gives_the_same_bytes(self, model, tmp_path):
        for name in "ab":
            model.save_weights(tmp_path / name)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_other_programs_find_tensors_by_name(self, model, tmp_path):
        model.save_weights(tmp_path / "file")
        tensors = load((tmp_path / "file").read_bytes())
        values = {"target.mean", "target.scale"} if isinstance(model, SelfAttentionRegressor) else set()
        assert tensors.keys() == {*model.weights_, "input.mean", "input.scale", *values}
        for name, weight in model.weights_.items():
            np.testing.assert_array_equal(tensors[name], weight)

    @pytest.mark.parametrize(
        "options, difference",
        [
            ({"d_model": 8}, r"\(d_model=4, d_head=2, d_value=2\), and this one has d_model=8, d_head=4, d_value=4"),
            ({"d_model": 8, "d_head": 2}, r"\(d_model=4\), and this one has d_model=8"),
            ({"n_layers": 2}, r"n_layers=1\), and this one has n_layers=2"),
            ({"causal": True}, r"window=\(None, None\)\), and this one has window=\(None, 0\)"),
            ({"pooling": "max", "position": "none"}, r"pooling='mean'.*position='none'"),
            ({"dtype": "float32"}, r"dtype='float64'\), and this one has dtype='float32'"),
        ],
    )
    def test_other_parameters_are_refused_by_name(self, options, difference, tmp_path):
        SelfAttentionRegressor(**TINY).fit(X, rise(X)).save_weights(tmp_path / "file")
        estimator = SelfAttentionRegressor(**TINY | options)
        with pytest.raises(ValueError, match=f"The weights are of SelfAttentionRegressor.*{difference}"):
            estimator.load_weights(tmp_path / "file")
        assert not estimator.__sklearn_is_fitted__()

    def test_another_objective_or_estimator_is_refused(self, tmp_path):
        fitted(SelfAttentionTransformer(**TINY), X).save_weights(tmp_path / "file")
        with pytest.raises(ValueError, match="objective='cross_entropy'.* this one has objective='reconstruction'"):
            SelfAttentionTransformer(**TINY, objective="reconstruction").load_weights(tmp_path / "file")
        with pytest.raises(ValueError, match="of a SelfAttentionTransformer, and this is a SelfAttentionClassifier"):
            SelfAttentionClassifier(**TINY).load_weights(tmp_path / "file")

    def test_what_only_learning_looks_at_may_differ(self, tmp_path):
        fitted(SelfAttentionClassifier(**TINY), X).save_weights(tmp_path / "file")
        other = SelfAttentionClassifier(**TINY | {"dropout": 0.5, "alpha": 1.0, "optimizer": "sgd", "max_iter": 7})
        assert 4 == other.load_weights(tmp_path / "file").partial_fit(X, direction(X)).n_iter_

    def test_a_subclass_loads_what_its_base_saved(self, tmp_path):
        class Mine(SelfAttentionClassifier):
            pass

        fitted(SelfAttentionClassifier(**TINY), X).save_weights(tmp_path / "file")
        assert 3 == Mine(**TINY).load_weights(tmp_path / "file").n_iter_

    def test_classes_that_cannot_be_kept_are_refused(self, tmp_path):
        classifier = fitted(SelfAttentionClassifier(**TINY), X)
        for classes in (np.array(["2026", "2027"], "datetime64[Y]"), np.array([(1,), (2,)], object), np.array([b"a"])):
            classifier._model.classes = classes
            with pytest.raises(ValueError, match="keeps words, numbers and booleans only.*joblib"):
                classifier.save_weights(tmp_path / "file")
        assert [] == list(tmp_path.iterdir())

    def test_odd_parameters_are_no_obstacle(self, tmp_path):
        options = {"random_state": np.random.RandomState(0), "d_model": np.int64(4), "class_weight": {"rises": 2}}
        classifier = fitted(SelfAttentionClassifier(**TINY | options), X)
        assert 2 == by_weights(classifier, tmp_path).predict_proba(X).shape[1]
        classifier.set_params(tol=float("inf")).save_weights(tmp_path / "file")
        assert "inf" == parts((tmp_path / "file").read_bytes())[1]["parameters"]["tol"]

    def test_an_unfitted_estimator_has_no_weights(self, tmp_path):
        with pytest.raises(ValueError, match="not fitted"):
            SelfAttentionRegressor().save_weights(tmp_path / "file")

    def test_a_missing_library_is_named(self, model, tmp_path, monkeypatch):
        model.save_weights(tmp_path / "file")
        for name in ("safetensors", "safetensors.numpy"):
            monkeypatch.setitem(sys.modules, name, None)
        for method in (model.save_weights, model.load_weights):
            with pytest.raises(ImportError, match=r'pip install "skattn\[interchange\]"'):
                method(tmp_path / "file")

    def test_a_file_that_cannot_be_written_leaves_the_old_one(self, model, tmp_path):
        with pytest.raises(FileNotFoundError):
            model.save_weights(tmp_path / "nowhere" / "file")
        with pytest.raises(FileNotFoundError):
            model.load_weights(tmp_path / "file")


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A file of weights."""
    path = tmp_path_factory.mktemp("weights") / "file"
    SelfAttentionClassifier(**TINY).fit(X, direction(X)).save_weights(path)
    return path.read_bytes()


def read(content, path, **options):
    """An estimator with the weights in some bytes."""
    (path / "damaged").write_bytes(content)
    return SelfAttentionClassifier(**TINY | options).load_weights(path / "damaged")


class TestDamagedWeights:
    """Whatever the bytes, a ValueError; loading leaves the estimator as it was."""

    def test_a_flipped_bit_is_found(self, content, tmp_path):
        positions = sorted({*range(300), *random.Random(0).sample(range(len(content)), 300), len(content) - 1})
        for position in positions:
            damaged = bytearray(content)
            damaged[position] ^= 1 << position % 8
            with pytest.raises(ValueError, match="damaged|may not understand"):
                read(damaged, tmp_path)

    def test_a_truncated_file_is_found(self, content, tmp_path):
        for size in [*range(0, len(content), 61), len(content) - 1]:
            with pytest.raises(ValueError, match="is no file of save_weights, or is damaged"):
                read(content[:size], tmp_path)
        with pytest.raises(ValueError, match="is no file of save_weights, or is damaged"):
            read(content + b"\0", tmp_path)

    def test_a_refused_file_leaves_the_estimator_as_it_was(self, content, tmp_path):
        classifier = fitted(SelfAttentionClassifier(**TINY | {"random_state": 1}), X)
        before, expected = dict(vars(classifier)), results_of(classifier, X)
        (tmp_path / "file").write_bytes(content[:-1])
        with pytest.raises(ValueError, match="damaged"):
            classifier.load_weights(tmp_path / "file")
        assert before == vars(classifier)
        assert_same_bits(results_of(classifier, X), expected)

    @pytest.mark.parametrize(
        "other",
        [
            b"",
            b"\0" * 8,
            b"\xff" * 64,
            pickle.dumps({"a": 1}),
            (2).to_bytes(8, "little") + b"{}",
            save({"a": np.zeros(3)}),
            save({"a": np.zeros(3)}, {"skattn": "{"}),
            save({"a": np.zeros(3)}, {"skattn": "[" * 100_000}),
            save({"a": np.zeros(3)}, {"skattn": "7"}),
            save({"a": np.zeros(3)}, {"skattn": '{"version": null}'}),
        ],
        ids=range(10),
    )
    def test_another_file_is_refused(self, other, tmp_path):
        with pytest.raises(ValueError, match="no file of save_weights|was not written by skattn"):
            read(other, tmp_path)

    def test_a_disguised_pickle_is_not_run(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return (open, (str(tmp_path / "sprung"), "w"))

        with pytest.raises(ValueError, match="is no file of save_weights"):
            read(pickle.dumps(Trap()), tmp_path)
        assert not (tmp_path / "sprung").exists()


def parts(content):
    """Tensors and description of a file."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return dict(load(content)), json.loads(header["__metadata__"]["skattn"])


def forge(tensors, description):
    """A file of someone who knows how to make the digest right."""
    if set(_weights_file.FIELDS) <= set(description):
        description = description | {"sha256": _weights_file.digest(tensors, description)}
    return save(tensors, {"skattn": json.dumps(description)})


VALUES = [None, True, 0, -1, 1.5, 2**31, 2**64, 10**400, float("nan"), "", "no such", [], [[]], {}, {"a": 1}, [-1, 9]]
# What may stand in a file in its place.
FINE = {
    **{
        "dropout": [0],
        "embedding_dropout": [0],
        "token_dropout": [0],
        "label_smoothing": [0],
        "hidden_fraction": [0],
        "n_kernels": [0],
        "n_taps": [0],
        "adapter_rank": [0],
        **{"n_global_steps": [0, 2**31], "dilation": [2**31], "top_k": [0]},
        "patch_size": [0],
        **dict.fromkeys(["categories", "quantiles", "frozen", "augmentations", "heads"], [[]]),
        "time_feature": [None],
        "temperature": [0],
        "is_column": [True],
    },
    **dict.fromkeys(("loss_curve", "validation_scores"), [[], [-1, 9]]),
    **dict.fromkeys(("seed", "n_epochs", "n_updates"), [0, 2**31]),
}


def same(value, other):
    return type(value) is type(other) and value == other


def forgeries(content):
    """Files whose digest is right and whose content is not."""
    tensors, description = parts(content)
    for name in description:
        if name in ("sha256", "parameters", "feature_names_in"):
            continue
        yield from (forge(tensors, description | {name: value}) for value in VALUES)
        yield forge(tensors, {other: value for other, value in description.items() if other != name})
    for group in ("architecture", "target", "training", "classes"):
        for name in description[group]:
            values = [value for value in VALUES if not any(same(value, fine) for fine in FINE.get(name, []))]
            yield from (forge(tensors, description | {group: description[group] | {name: value}}) for value in values)
    yield from (forge(tensors, description | {"feature_names_in": value}) for value in ([], ["a"], [1, 2, 3], 7))
    yield forge(tensors, description | {"classes": {"dtype": "<U4000000", "values": ["falls", "rises"]}})
    yield forge(tensors, description | {"surplus": 1})
    for name, tensor in tensors.items():
        yield forge({other: value for other, value in tensors.items() if other != name}, description)
        for strange in (tensor[:-1], tensor.astype(np.float32), tensor.astype(np.int64), tensor[np.newaxis]):
            yield forge(tensors | {name: np.ascontiguousarray(strange)}, description)
        yield forge(tensors | {name: np.full_like(tensor, np.nan)}, description)
    yield forge(tensors | {"surplus": np.zeros(3)}, description)


def test_a_forged_file_is_refused(content, tmp_path):
    n_forged = 0
    for forged in forgeries(content):
        with pytest.raises(ValueError, match="damaged|weights of a|weights are of"):
            read(forged, tmp_path)
            pytest.fail(f"taken: {parts(forged)[1]}")
        n_forged += 1
    assert n_forged > 400
    assert_same_bits(read(forge(*parts(content)), tmp_path).weights_, read(content, tmp_path).weights_)


def test_a_file_of_a_newer_version_is_refused(content, tmp_path):
    tensors, description = parts(content)
    message = f"damaged was written by skattn 99.1, and this is skattn {skattn.__version__}"
    with pytest.raises(ValueError, match=message):
        read(save(tensors, {"skattn": json.dumps(description | {"version": "99.1"})}), tmp_path)


@pytest.mark.parametrize("name", ["features", "floors"])
@pytest.mark.parametrize("value", [None, [], ["a"], [None], [10**400], [-1], [0.5, 1], {"a": 1}, "b", [[0]], 7])
def test_forged_levels_of_targets_are_refused(name, value, tmp_path):
    regressor = SelfAttentionRegressor(**TINY, normalise_target="sequence")
    fitted(regressor, X).save_weights(tmp_path / "file")
    tensors, description = parts((tmp_path / "file").read_bytes())
    forged = forge(tensors, description | {"target": description["target"] | {name: value}})
    (tmp_path / "forged").write_bytes(forged)
    with pytest.raises(ValueError, match="damaged|was not written by skattn"):
        clone(regressor).load_weights(tmp_path / "forged")


# What codes stand for

WARDS = TINY | {"categorical_features": "from_dtype"}


def of_a_ward(values, seed=0):
    """Sequences of a number and of codes that stand for values."""
    known, generator = np.asarray(values), np.random.default_rng(seed)
    return [
        Steps(np.stack([steps[:, 0], generator.integers(len(known), size=len(steps))], axis=1), None, [None, known])
        for steps in X
    ]


CATEGORIES = {
    "words": ["east", "north", "west"],
    "whole numbers": [2**53 + 1, -7, 3],
    "floats": [0.1, -1e300],
    "truth values": [False, True],
    "words and numbers": np.array(["east", 7, 1.5, True], object),
    "odd words": ["gr\u00f6\u00dfer", "\udc80", ""],
}


@pytest.mark.parametrize("values", CATEGORIES.values(), ids=CATEGORIES)
def test_what_codes_stand_for_comes_back(values, tmp_path):
    given = of_a_ward(values)
    model = SelfAttentionClassifier(**WARDS).fit(given, direction(X))
    loaded = by_weights(model, tmp_path)
    assert_same_bits(results_of(loaded, given), results_of(model, given))
    other = [Steps(np.asarray(steps), None, [None, np.asarray(values)[::-1]]) for steps in given]
    found = results_of(loaded, other)
    assert_same_bits(found, results_of(pickle.loads(pickle.dumps(model)), other))
    assert np.any(found["predict_proba"] != model.predict_proba([np.asarray(steps) for steps in given]))
    for again in (by_weights(loaded, tmp_path), pickle.loads(pickle.dumps(loaded))):
        assert_same_bits(results_of(again, other), found)


def test_columns_named_as_categories_keep_what_they_stand_for(tmp_path):
    """Also with a column of times, which is none of them."""
    pandas_frame = pd.DataFrame(
        {
            "id": np.repeat(np.arange(23), 3),
            "day": np.tile(np.arange(3.0), 23),
            "ward": np.tile(["a", "b", "c", "b"], 18)[:69],
            "unit": pd.Categorical(np.tile([7, 5, 5, 7, 3], 14)[:69], categories=[7, 5, 3]),
        }
    )
    given = skattn.sequences_from_frame(pandas_frame, id="id")[0]
    parameters = TINY | {"time_feature": "day", "position": "auto", "n_estimators": 2}
    for asked in ("from_dtype", ["ward", "unit"], [1, 2]):
        model = SelfAttentionClassifier(**parameters | {"categorical_features": asked}).fit(given, np.arange(23) % 2)
        loaded = by_weights(model, tmp_path)
        assert [["a", "b", "c"], [7, 5, 3]] == [known.tolist() for known in loaded._held_categories]
        np.testing.assert_array_equal(loaded.predict_proba(given), model.predict_proba(given))


@pytest.mark.parametrize(
    "values",
    [
        np.array(["2026", "2027"], "datetime64[Y]"),
        np.array([pd.Timestamp(0), pd.Timestamp(1)], object),
        np.array([np.int64(1), np.int64(2)], object),
        [1.5, np.inf],
    ],
)
def test_what_codes_stand_for_must_be_words_or_numbers(values, tmp_path):
    model = SelfAttentionClassifier(**WARDS).fit(of_a_ward(values), direction(X))
    with pytest.raises(ValueError, match="^The categories of a feature are .*keeps words, numbers and booleans only"):
        model.save_weights(tmp_path / "file")
    assert [] == list(tmp_path.iterdir())


def test_a_file_that_does_not_say_what_codes_stand_for_is_read(tmp_path):
    given = of_a_ward(["east", "north", "west"])
    model = SelfAttentionClassifier(**WARDS | {"categorical_features": [1]}).fit(given, direction(X))
    model.save_weights(tmp_path / "file")
    tensors, description = parts((tmp_path / "file").read_bytes())
    del description["categories"]
    (tmp_path / "old").write_bytes(forge(tensors, description))
    loaded = model.load_weights(tmp_path / "old")
    assert not hasattr(loaded, "_held_categories"), "what was known of another fit is gone"
    with pytest.raises(ValueError, match=r"categories=\(1,\)\), and this one has categories=\(\)"):
        SelfAttentionClassifier(**WARDS).load_weights(tmp_path / "old")


@pytest.fixture(scope="module")
def wards(tmp_path_factory):
    """A file that says what codes stand for."""
    path = tmp_path_factory.mktemp("wards") / "file"
    SelfAttentionClassifier(**WARDS).fit(of_a_ward(["east", "north", "west"]), direction(X)).save_weights(path)
    return path.read_bytes()


def labels(values, dtype="<U5"):
    return {"dtype": dtype, "values": values}


@pytest.mark.parametrize(
    "held",
    [
        *VALUES,
        [0],
        [7],
        [labels(["a"]), labels(["b"])],
        [labels("abc")],
        [labels([None])],
        [labels([["a"]], "object")],
        [labels([{}], "object")],
        [labels([float("nan")], "float64")],
        [labels([1.5], "int64")],
        [labels([256], "uint8")],
        [labels(["toolong"])],
        [labels(["a"], "<U9000000")],
        [labels(["a"], "V8")],
        [labels(["a"], "M8[s]")],
        [labels(["a"], "no such")],
        [labels(["a"], 7)],
        [{"dtype": "<U5"}],
        [labels(["a"]) | {"surplus": 1}],
    ],
    ids=str,
)
def test_forged_categories_are_refused(wards, held, tmp_path):
    tensors, description = parts(wards)
    for asked in ("from_dtype", [1]):
        with pytest.raises(ValueError, match="the file is damaged"):
            read(forge(tensors, description | {"categories": held}), tmp_path, categorical_features=asked)


def test_categories_are_part_of_the_digest(wards, tmp_path):
    for position in [i for i in range(len(wards)) if wards[i : i + 5] == b"north"]:
        damaged = bytearray(wards)
        damaged[position] ^= 1
        with pytest.raises(ValueError, match="its digest is not that of its content"):
            read(damaged, tmp_path, categorical_features="from_dtype")
    assert b"north" in wards


def test_categories_of_a_model_without_any_are_refused(content, tmp_path):
    tensors, description = parts(content)
    with pytest.raises(ValueError, match="categories is .*expected a list of 0 arrays"):
        read(forge(tensors, description | {"categories": [labels(["a"])]}), tmp_path)
