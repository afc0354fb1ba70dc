"""Models in skops files: the same bits come back, and no file, damaged or hostile, runs code."""

import copy
import io
import subprocess
import sys
import zipfile

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
    make_array,
    make_ragged,
    make_told,
    results_of,
    richly_fitted,
)
from problems import target_of as y_of
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from test_persistence import damages, state_of

import skattn
from skattn import SelfAttentionClassifier, SelfAttentionTransformer, sequences_from_frame
from skattn.persistence import TRUSTED_TYPES

X = make_ragged()
TINY = SMALL | {"d_model": 4, "d_feedforward": 3}


@pytest.fixture(params=ESTIMATORS, ids=lambda estimator: estimator.__name__)
def model(request):
    return richly_fitted(request.param, X, **TINY)


def by_skops(model):
    """Through a skops file, telling only the public list of types."""
    return skops.io.loads(skops.io.dumps(model), trusted=TRUSTED_TYPES)


def words_of_frames():
    """A model of words in frames, a frame that numbers them otherwise, and what the model says of it."""
    frames = [
        pd.DataFrame({"id": np.arange(60) // 3, "ward": np.resize(list(words), 60)}) for words in ("abca", "bcdd")
    ]
    X, later = (sequences_from_frame(frame, id="id")[0] for frame in frames)
    model = SelfAttentionClassifier(**TINY, categorical_features="from_dtype").fit(X, np.arange(20) % 2)
    expected = model.predict_proba(later)
    with pytest.warns(UserWarning, match="valid feature names"):
        assert (expected != model.predict_proba([np.asarray(steps) for steps in later])).any()
    return model, later, expected


def rewrite(content, change):
    """A skops file whose description has been changed by someone who can write such files."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(changed, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            if name == "schema.json":
                text = change(data.decode())
                assert text != data.decode()
                data = text.encode()
            after.writestr(name, data)
    return changed.getvalue()


class TestSkops:
    """Estimators whole, in a file that names types instead of running code."""

    def test_a_fitted_model_comes_back_with_the_same_bits(self, model):
        loaded = by_skops(model)
        assert_same_bits(results_of(loaded, X), results_of(model, X))
        assert_same_bits(loaded.weights_, model.weights_)
        assert (loaded.loss_curve_, loaded.validation_scores_) == (model.loss_curve_, model.validation_scores_)
        y = y_of(model, X)
        assert_same_bits(loaded.partial_fit(X, y).weights_, model.partial_fit(X, y).weights_)

    @pytest.mark.parametrize("name", TOLD)
    def test_features_of_every_kind_come_back_and_go_on(self, name):
        told, later = make_told(TOLD[name]), make_told(TOLD[name], seed=1)
        model = richly_fitted(SelfAttentionClassifier, told, **TINY | TOLD[name])
        loaded, y = by_skops(model), y_of(model, later)
        assert_same_bits(results_of(loaded, later), results_of(model, later))
        assert_same_bits(loaded.partial_fit(later, y).weights_, model.partial_fit(later, y).weights_)

    def test_what_codes_stand_for_comes_back(self):
        model, later, expected = words_of_frames()
        np.testing.assert_array_equal(by_skops(model).predict_proba(later), expected)

    def test_an_unfitted_estimator_comes_back(self, model):
        options = {"window": (3, None), "random_state": np.random.RandomState(7), "n_kv_heads": np.int64(1)}
        loaded = by_skops(type(model)(**options))
        assert (3, None) == loaded.window and 1 == loaded.n_kv_heads
        assert loaded.random_state.randint(1000) == np.random.RandomState(7).randint(1000)

    def test_a_pipeline_comes_back(self):
        pipeline = make_pipeline(SelfAttentionTransformer(**TINY), LogisticRegression()).fit(X, direction(X))
        np.testing.assert_array_equal(by_skops(pipeline).predict_proba(X), pipeline.predict_proba(X))

    def test_a_checkpoint_comes_back_as_the_path_it_was(self, tmp_path):
        for path in (tmp_path / "fit", str(tmp_path / "fit")):
            transformer = SelfAttentionTransformer(**TINY, checkpoint=path)
            assert path == by_skops(transformer).checkpoint
            pipeline = make_pipeline(transformer, LogisticRegression()).fit(X, direction(X))
            loaded = by_skops(pipeline)
            assert path == loaded[0].checkpoint
            np.testing.assert_array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))

    def test_labels_and_names_of_columns_come_back(self):
        frame = pd.DataFrame(make_array(n_features=1)[:, :, 0], columns=list("abcdefg"))
        labels = direction(frame.to_numpy()).astype(object)
        classifier = SelfAttentionClassifier(**TINY, class_weight={"rises": 2}).fit(frame, labels)
        loaded = by_skops(classifier)
        assert_same_bits(results_of(loaded, frame), results_of(classifier, frame))
        assert list("abcdefg") == loaded.feature_names_in_.tolist() and {"rises": 2} == loaded.class_weight

    def test_the_estimator_alone_has_to_be_trusted(self, model):
        place = f"{type(model).__module__}.{type(model).__name__}"
        assert [place] == skops.io.get_untrusted_types(data=skops.io.dumps(model))
        assert place in TRUSTED_TYPES

    def test_the_list_names_the_public_estimators(self):
        lookups = (skattn.SoftLookupClassifier, skattn.SoftLookupRegressor)
        public = (*ESTIMATORS, *lookups, skattn.RandomConvolutionTokens, skattn.SequenceScaler, skattn.TokenSequencer)
        names = {f"{estimator.__module__}.{estimator.__name__}" for estimator in public}
        assert names == set(TRUSTED_TYPES)

    def test_a_scaler_comes_back_and_goes_on(self):
        scaler = skattn.SequenceScaler(differences=True).fit(X[:7])
        loaded = by_skops(scaler)
        np.testing.assert_array_equal(np.concatenate(loaded.transform(X)), np.concatenate(scaler.transform(X)))
        np.testing.assert_array_equal(loaded.partial_fit(X[7:]).scale_, scaler.partial_fit(X[7:]).scale_)

    def test_a_table_of_records_comes_back_and_goes_on(self):
        records = np.random.default_rng(0).normal(size=(23, 3))
        lookup = skattn.SoftLookupClassifier(random_state=0).fit(records[:17], np.arange(17) % 2)
        loaded = by_skops(lookup)
        for model in (lookup, loaded):
            model.partial_fit(records[17:], np.arange(6) % 2)
        np.testing.assert_array_equal(loaded.predict_proba(records), lookup.predict_proba(records))

    def test_a_file_of_a_newer_version_is_refused(self, model):
        content = rewrite(skops.io.dumps(model), lambda text: text.replace(skattn.__version__, "99.1.0"))
        with pytest.raises(ValueError, match=f"written by skattn 99.1.0, and this is skattn {skattn.__version__}"):
            skops.io.loads(content, trusted=TRUSTED_TYPES)

    def test_a_state_that_does_not_fit_together_is_refused(self, model, monkeypatch):
        n_altered, whole = 0, state_of(model)
        for path, value in list(damages(model))[::7]:
            state = copy.deepcopy(whole)
            where = state
            for name in path[:-1]:
                where = where[name]
            where[path[-1]] = value
            monkeypatch.setattr(type(model), "__getstate__", lambda self, state=state: state)
            try:
                content = skops.io.dumps(type(model)())
            except Exception:  # skops has no words for this value
                continue
            with pytest.raises((ValueError, skops.io.exceptions.UntrustedTypesFoundException)):
                skops.io.loads(content, trusted=TRUSTED_TYPES)
            n_altered += 1
        assert n_altered > 30

    def test_a_type_that_is_not_in_the_list_is_refused(self, model):
        for strange in ("os.system", "builtins.eval", "pathlib.Path"):
            module, name = strange.rsplit(".", 1)
            place = f'"__class__": "{type(model).__name__}",\n  "__module__": "{type(model).__module__}"'
            other = f'"__class__": "{name}",\n  "__module__": "{module}"'
            content = rewrite(skops.io.dumps(model), lambda text, a=place, b=other: text.replace(a, b))
            with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException, match=strange):
                skops.io.loads(content, trusted=TRUSTED_TYPES)


MUTATED_SKOPS = """
import random, sys
import numpy as np
import skops.io
from skattn.persistence import TRUSTED_TYPES

content, X = open(sys.argv[1], "rb").read(), np.load(sys.argv[2])
expected = skops.io.loads(content, trusted=TRUSTED_TYPES).transform(X)
dice = random.Random(int(sys.argv[3]))
refused = 0
for _ in range(int(sys.argv[4])):
    damaged = bytearray(content)
    if dice.random() < 0.2:
        damaged = damaged[: dice.randrange(len(damaged))]
    else:
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    try:
        model = skops.io.loads(bytes(damaged), trusted=TRUSTED_TYPES)
    except Exception:
        refused += 1
    else:
        assert np.array_equal(model.transform(X), expected)
print(refused)
"""


def test_damaged_skops_files_are_refused_or_the_same(tmp_path):
    Z = make_array(n_samples=3)
    (tmp_path / "file").write_bytes(skops.io.dumps(SelfAttentionTransformer(**TINY).fit(Z)))
    np.save(tmp_path / "Z.npy", Z)
    command = [sys.executable, "-c", MUTATED_SKOPS, tmp_path / "file", tmp_path / "Z.npy", "0", "100"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(run.stdout) > 90
