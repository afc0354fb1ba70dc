"""Networks that begin with what another has learned, and weights that stay."""

import pickle

import numpy as np
import pandas as pd
import pytest
from cases import ARCHITECTURES
from problems import SMALL, fitted, make_ragged, rise
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score
from slopes import Problem, slices

from skattn import (
    SelfAttentionClassifier,
    SelfAttentionRegressor,
    SelfAttentionTransformer,
    _weights_file,
    sequences_from_frame,
)
from skattn._network.architecture import Architecture, write_tape
from skattn._network.runner import Runner

X = make_ragged(n_samples=41)
Y = rise(X)
LABELS = np.where(Y > np.median(Y), "up", "down")
STEM = {"embedding": "random_convolution", "n_kernels": 16, "n_tokens": 5}


def without_head(model):
    return {name: weight for name, weight in model.weights_.items() if "head." not in name}


@pytest.mark.parametrize("options", [{}, STEM, {"n_layers": 2, "n_estimators": 2}, {"patch_size": 2}])
def test_a_network_begins_with_another_but_for_its_outputs(options):
    before = SelfAttentionRegressor(**SMALL | options).fit(X, Y)
    parameters = SMALL | options | {"learning_rate_init": 1e-30}
    model = SelfAttentionClassifier(**parameters, pretrained=before).fit(X, LABELS)
    for name, weight in without_head(model).items():
        np.testing.assert_allclose(weight, before.weights_[name], rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(model.transform(X), before.transform(X), rtol=1e-9)
    assert model.weights_["head.bias"].shape == (2,)


def test_what_was_learned_without_labels_is_taken_over():
    before = SelfAttentionTransformer(**SMALL | {"n_estimators": 2}).fit(X)
    options = {"n_estimators": 3, "pretrained": before, "freeze": "layers.*"}
    model = SelfAttentionClassifier(**SMALL | options).fit(X, LABELS)
    # Networks beyond those that there were begin with them again.
    for number, source in (("", ""), ("networks.1.", "networks.1."), ("networks.2.", "")):
        name = "layers.0.query.weight"
        np.testing.assert_array_equal(model.weights_[number + name], before.weights_[source + name])
    assert model.score(X, LABELS) > 0.5


@pytest.mark.parametrize(
    "freeze, stay",
    [
        ("layers.*", "layers."),
        (["embedding.*", "position.weight"], ("embedding.", "position.")),
        (["[!h]*"], ("embedding", "position", "layers", "norm")),
    ],
)
@pytest.mark.parametrize("options", [{}, STEM])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_frozen_weights_stay_to_the_bit_and_others_learn(freeze, stay, options, optimizer):
    parameters = SMALL | options | {"optimizer": optimizer}
    before = SelfAttentionClassifier(**parameters).fit(X, LABELS)
    model = SelfAttentionClassifier(**parameters, pretrained=before, freeze=freeze).fit(X, LABELS[::-1])
    for name, weight in without_head(model).items():
        assert np.array_equal(weight, before.weights_[name]) == name.startswith(stay), name
    network = model._model.network
    sizes = [weight.size for name, weight in model.weights_.items() if not name.startswith(stay)]
    assert network.n_learned == sum(sizes) < network.parameters.size
    assert not np.array_equal(model.weights_["head.weight"], before.weights_["head.weight"])


def test_freezing_tables_of_categories():
    codes = [np.arange(n) % 3 for n in range(2, 22)]
    options = SMALL | {"categorical_features": "all", "embedding": "linear"}
    before = SelfAttentionClassifier(**options).fit(codes, np.arange(20) % 2)
    model = SelfAttentionClassifier(**options, pretrained=before, freeze="categories.*").fit(codes, np.arange(20) % 2)
    np.testing.assert_array_equal(model.weights_["categories.0.weight"], before.weights_["categories.0.weight"])
    assert not np.array_equal(model.weights_["layers.0.query.weight"], before.weights_["layers.0.query.weight"])


@pytest.mark.parametrize(
    "frozen",
    [("layers.0.query.weight", "layers.0.expand.bias"), ("embedding.weight", "embedding.bias", "position.weight")],
)
@pytest.mark.parametrize("lengths", [(1, 2, 5, 17), (3001,)])
def test_what_learns_has_the_gradient_that_it_had(frozen, lengths):
    """Whatever is not walked back."""
    changes = {"n_layers": 2, "d_feedforward": 13}
    free, some = Problem(lengths, **changes), Problem(lengths, **changes, frozen=frozen)
    for name, weight in free.network.weights.items():
        some.network.weights[name][...] = weight
    expected, found = free.loss_and_gradient()[1], some.loss_and_gradient()[1]
    assert len(found) < len(expected)
    wheres = slices(free.network), slices(some.network)
    for name in set(wheres[0]) - set(frozen):
        np.testing.assert_allclose(found[wheres[1][name]], expected[wheres[0][name]], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "architecture",
    [
        *("two layers with feed-forward", "adapters", "pooling by several queries", "patches of convolved categories"),
        *("learned distances", "features of all kinds at once", "reconstruction of categories and numbers"),
    ],
)
def test_any_weight_may_be_frozen_alone_and_nothing_is_written_beyond_what_learns(architecture, monkeypatch):
    free = Problem(**ARCHITECTURES[architecture])
    expected, where = free.loss_and_gradient()[1].copy(), slices(free.network)
    roomy, tails = Runner.room, []

    def guarded(runner, name, size):
        room = roomy(runner, name, size + 512)
        room[size:] = 7
        tails.append(room[size:])
        return room[:size]

    monkeypatch.setattr(Runner, "room", guarded)
    for frozen in where:
        some = Problem(**ARCHITECTURES[architecture], frozen=(frozen,))
        for name, weight in free.network.weights.items():
            some.network.weights[name][...] = weight
        found, places = some.loss_and_gradient()[1], slices(some.network)
        for name in set(where) - {frozen}:
            np.testing.assert_allclose(found[places[name]], expected[where[name]], rtol=1e-9, atol=1e-13, err_msg=name)
        assert all((tail == 7).all() for tail in tails), frozen


def test_what_comes_before_the_first_that_learns_is_not_walked_back():
    problem = Problem(n_layers=2)
    a = problem.network.architecture
    names = [p.name for p in write_tape(a).parameters]
    below = tuple(name for name in names if not name.startswith(("norm.", "head.")))
    for frozen, learned in ((), "embedding.weight"), (below, "norm.scale"), (tuple(names[:-1]), "head.bias"):
        tape = write_tape(Architecture(**vars(a) | {"frozen": frozen}))
        assert learned in tape.operations[tape.first_learned()][1].values()


@pytest.mark.parametrize(
    "options", [{}, STEM | {"n_estimators": 2}, {"n_heads": 2, "n_kv_heads": 1, "position": "rotary"}]
)
def test_adapters_learn_alone_and_are_merged(options):
    parameters = SMALL | options | {"n_layers": 2}
    before = SelfAttentionRegressor(**parameters).fit(X, Y)
    adapted = parameters | {"pretrained": before, "adapter_rank": 2, "learning_rate_init": 0.01, "max_iter": 20}
    model = SelfAttentionClassifier(**adapted).fit(X, LABELS)
    learned = {name for name, weight in without_head(model).items() if ".adapter." in name}
    for name, weight in without_head(model).items():
        assert name in learned or np.array_equal(weight, before.weights_[name]), name
    assert np.abs(model.weights_["layers.1.output.adapter.up.weight"]).max() > 0
    expected = model.predict_proba(X)
    assert np.abs(expected - before_adapting(before, adapted)).max() > 1e-3
    merged = model.merge_adapters()
    np.testing.assert_allclose(merged.predict_proba(X), expected, rtol=1e-4, atol=1e-6)
    assert not any(".adapter." in name for name in merged.weights_)
    assert len(merged.weights_) == len(before.weights_) and merged.get_params()["adapter_rank"] == 0
    merged.partial_fit(X, LABELS)
    with pytest.raises(ValueError, match="no adapters to merge; set adapter_rank before fit"):
        merged.merge_adapters()


def before_adapting(before, parameters):
    """What a head alone would learn."""
    frozen = parameters | {"adapter_rank": 0, "freeze": "[!h]*"}
    return SelfAttentionClassifier(**frozen).fit(X, LABELS).predict_proba(X)


def test_adapters_without_a_pretrained_network_learn_beside_all_others():
    model = SelfAttentionClassifier(**SMALL, adapter_rank=2).fit(X, LABELS)
    assert model._model.network.n_learned == model._model.network.parameters.size


def test_a_search_keeps_what_is_wrapped():
    before = SelfAttentionTransformer(**SMALL).fit(X)
    model = SelfAttentionClassifier(**SMALL, pretrained=FrozenEstimator(before), freeze="layers.*")
    assert np.isfinite(cross_val_score(model, X, LABELS, cv=2, error_score="raise")).all()
    with pytest.raises(ValueError, match=r"no fitted estimator of skattn. A search or a pipeline clones .*=FrozenEst"):
        clone(SelfAttentionClassifier(**SMALL, pretrained=before)).fit(X, LABELS)


def test_longer_sequences_get_positions_of_their_own():
    before = SelfAttentionRegressor(**SMALL).fit([steps[:4] for steps in X], Y)
    model = SelfAttentionRegressor(**SMALL, pretrained=before, freeze=["position.weight"]).fit(X, Y)
    assert model.weights_["position.weight"].shape == (11, 14)
    np.testing.assert_array_equal(model.weights_["position.weight"][:4], before.weights_["position.weight"])


def test_freezing_may_change_where_fits_go_on():
    model = SelfAttentionClassifier(**SMALL, warm_start=True, freeze="layers.*").fit(X, LABELS)
    before = {name: weight.copy() for name, weight in model.weights_.items()}
    model.set_params(freeze=None).fit(X, LABELS)
    assert not np.array_equal(model.weights_["layers.0.query.weight"], before["layers.0.query.weight"])
    before = {name: weight.copy() for name, weight in model.weights_.items()}
    model.set_params(freeze=["embedding.*"]).partial_fit([5 + 3 * steps for steps in X], LABELS)
    assert not np.array_equal(model.weights_["layers.0.query.weight"], before["layers.0.query.weight"])
    assert np.isfinite(model.predict_proba(X)).all()


def test_a_pickle_a_file_and_a_checkpoint_keep_what_is_frozen(tmp_path):
    before = fitted(SelfAttentionTransformer(**SMALL), X)
    options = SMALL | {"pretrained": before, "freeze": "layers.*"}
    model = SelfAttentionClassifier(**options, checkpoint=tmp_path / "file").fit(X, LABELS)
    expected = model.predict_proba(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), expected)
    assert again._model.network.architecture.frozen == model._model.network.architecture.frozen
    model.save_weights(tmp_path / "weights")
    loaded = SelfAttentionClassifier(**SMALL).load_weights(tmp_path / "weights")
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    same = SelfAttentionClassifier(**options, checkpoint=tmp_path / "file").fit(X, LABELS)
    np.testing.assert_array_equal(same.predict_proba(X), expected)
    other = SelfAttentionTransformer(**SMALL).fit(X[:30])
    with pytest.raises(ValueError, match="warm_start or pretrained begins with is"):
        SelfAttentionClassifier(**options | {"pretrained": other}, checkpoint=tmp_path / "file").fit(X, LABELS)


@pytest.mark.parametrize("frozen", [None, "layers", ["layers"], [7], ("norm.bias", "norm.scale"), ("norm.scale",) * 2])
def test_a_state_that_freezes_what_is_not_there_is_refused(frozen):
    model = SelfAttentionClassifier(**SMALL).fit(X, LABELS)
    state = model.__getstate__()
    state["_model"]["network"]["architecture"]["frozen"] = frozen
    with pytest.raises(ValueError, match="frozen is .*damaged"):
        SelfAttentionClassifier().__setstate__(state)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"pretrained": SelfAttentionClassifier()}, "no fitted estimator of skattn"),
        ({"freeze": "layer.*"}, "freeze names 'layer.*', and no weight is called so; there are embedding.weight"),
        ({"freeze": [7]}, "freeze names 7, and no weight is called so"),
        ({"freeze": "*"}, "leaves no weight to learn; leave some out, such as the outputs"),
        (STEM | {"freeze": "embedding.bias"}, "one of embedding.weight and embedding.bias, which behind a stem"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SelfAttentionClassifier(**SMALL | options).fit(X, LABELS)


@pytest.mark.parametrize("options", [{}, STEM])
def test_the_precision_is_that_of_the_network_before(options):
    before = SelfAttentionClassifier(**SMALL | options, dtype="float64").fit(X, LABELS)
    parameters = SMALL | options | {"learning_rate_init": 1e-30, "pretrained": before}
    single = [steps.astype(np.float32) for steps in X]
    model = SelfAttentionClassifier(**parameters).fit(single, LABELS)
    assert model._model.network.dtype == np.float64
    np.testing.assert_allclose(model.transform(single), before.transform(single), rtol=1e-9)
    with pytest.raises(ValueError, match="pretrained has dtype='float64', and this one is to have dtype='float32'"):
        SelfAttentionClassifier(**parameters | {"dtype": "float32"}).fit(single, LABELS)


def test_codes_must_stand_for_what_they_stood_for():
    def frames(words):
        kind = pd.CategoricalDtype(words)
        cells = pd.DataFrame(
            {"id": np.repeat(np.arange(12), 3), "word": pd.Categorical(["a", "b", "a"] * 12, dtype=kind)}
        )
        return sequences_from_frame(cells, id="id")[0]

    options = SMALL | {"categorical_features": "from_dtype", "embedding": "linear"}
    before = SelfAttentionClassifier(**options).fit(frames(["a", "b"]), np.arange(12) % 2)
    model = SelfAttentionClassifier(**options, pretrained=before)
    assert model.fit(frames(["a", "b"]), np.arange(12) % 2).classes_.size == 2
    with pytest.raises(ValueError, match=r"category 0 stand for \['b', 'a'\], .* for \['a', 'b'\]; make the"):
        model.fit(frames(["b", "a"]), np.arange(12) % 2)
    plain = [np.asarray(steps) for steps in frames(["a", "b"])]
    options |= {"categorical_features": "all"}
    with pytest.raises(ValueError, match=r"category 0 stand for numbers, .* for \['a', 'b'\]; make the"):
        SelfAttentionClassifier(**options, pretrained=before).fit(plain, np.arange(12) % 2)
    before = SelfAttentionClassifier(**options).fit(plain, np.arange(12) % 2)
    with pytest.raises(ValueError, match=r"category 0 stand for \['a', 'b'\], .* for numbers; make the"):
        SelfAttentionClassifier(**options, pretrained=before).fit(frames(["a", "b"]), np.arange(12) % 2)
    assert SelfAttentionClassifier(**options, pretrained=before).fit(plain, np.arange(12) % 2)


def test_a_network_that_does_not_fit_is_refused():
    before = SelfAttentionClassifier(**SMALL).fit(X, LABELS)
    with pytest.raises(ValueError, match="pretrained has d_model=14, d_head=7, .* have d_model=16, d_head=8"):
        SelfAttentionClassifier(**SMALL | {"d_model": 16}, pretrained=before).fit(X, LABELS)
    with pytest.raises(ValueError, match="pretrained has n_features=3, and this one is to have n_features=2"):
        SelfAttentionClassifier(**SMALL, pretrained=before).fit([steps[:, :2] for steps in X], LABELS)
    stem = SelfAttentionClassifier(**SMALL | STEM | {"n_tokens": 2}).fit(X, LABELS)
    steps = [np.arange(len(sequence)) % 2 for sequence in X]
    with pytest.raises(
        ValueError, match="network of pretrained makes tokens of several steps, and every step is to be"
    ):
        SelfAttentionClassifier(**SMALL | {"embedding": "auto"}, pretrained=stem).fit(X, steps)
    with pytest.raises(ValueError, match="network of pretrained makes tokens of several steps"):
        SelfAttentionTransformer(**SMALL | {"embedding": "auto"}, pretrained=stem).fit(X)


def test_a_network_begins_with_the_file_of_another(tmp_path):
    before = SelfAttentionTransformer(**SMALL | STEM).fit(X, LABELS)
    before.save_weights(tmp_path / "before.safetensors")
    options = SMALL | STEM | {"freeze": "layers.*"}
    by_file = SelfAttentionClassifier(**options, pretrained=tmp_path / "before.safetensors")
    by_estimator = SelfAttentionClassifier(**options, pretrained=before).fit(X, LABELS)
    # A clone knows the path as well.
    result = clone(by_file).fit(X, LABELS).predict_proba(X)
    np.testing.assert_array_equal(result, by_estimator.predict_proba(X))


def test_what_was_learned_beside_a_network_is_saved_alone(tmp_path):
    wide = SMALL | {"d_model": 64, "n_heads": 4, "d_feedforward": 128, "n_estimators": 2}
    before = SelfAttentionTransformer(**wide).fit(X)
    before.save_weights(tmp_path / "before")
    for number, options in enumerate(({"adapter_rank": 2}, {"freeze": ["layers.*", "embedding.*"], "n_estimators": 3})):
        model = SelfAttentionClassifier(**wide | options, pretrained=before).fit(X, LABELS)
        model.save_adapters(tmp_path / "alone")
        model.save_weights(tmp_path / "whole")
        alone, whole = ((tmp_path / name).stat().st_size for name in ("alone", "whole"))
        assert alone < whole / (3 - number)
        other = SelfAttentionClassifier(**wide | options, pretrained=tmp_path / "before").load_weights(
            tmp_path / "alone"
        )
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
        # What `save_weights` wrote is whole, whatever is pretrained.
        whole = SelfAttentionClassifier(**wide | options).load_weights(tmp_path / "whole")
        np.testing.assert_array_equal(whole.predict_proba(X), model.predict_proba(X))


def test_adapters_are_refused_without_the_network_that_they_are_beside(tmp_path):
    before = SelfAttentionTransformer(**SMALL).fit(X)
    options = SMALL | {"adapter_rank": 2}
    model = SelfAttentionClassifier(**options, pretrained=before).fit(X, LABELS)
    model.save_adapters(tmp_path / "alone")
    with pytest.raises(ValueError, match="beside a pretrained network, and not that one; set pretrained"):
        SelfAttentionClassifier(**options).load_weights(tmp_path / "alone")
    with pytest.raises(ValueError, match="beside a pretrained network, and not that one; set pretrained"):
        SelfAttentionClassifier(**options, pretrained=tmp_path / "alone").fit(X, LABELS)
    for other in (
        SelfAttentionTransformer(**SMALL | {"random_state": 9}),
        SelfAttentionTransformer(**SMALL | {"n_layers": 2}),
    ):
        with pytest.raises(ValueError, match="beside another network than that of pretrained"):
            SelfAttentionClassifier(**options, pretrained=other.fit(X)).load_weights(tmp_path / "alone")
    with pytest.raises(ValueError, match="There is no pretrained network to leave out"):
        SelfAttentionClassifier(**SMALL).fit(X, LABELS).save_adapters(tmp_path / "none")
    with pytest.raises(ValueError, match="No weight is that of pretrained any more"):
        SelfAttentionClassifier(**SMALL, pretrained=before).fit(X, LABELS).save_adapters(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_forged_names_of_what_was_left_out_are_refused(tmp_path):
    before = SelfAttentionTransformer(**SMALL).fit(X)
    model = SelfAttentionClassifier(**SMALL, adapter_rank=2, pretrained=before)
    model.fit(X, LABELS).save_adapters(tmp_path / "alone")
    tensors, description = _weights_file.read_file(tmp_path / "alone")
    left_out = description["pretrained"]
    for wrong in (
        None,
        [],
        {},
        {"names": 7, "sha256": ""},
        left_out | {"names": [7]},
        left_out | {"names": ["no such"]},
    ):
        _weights_file.write_file(tmp_path / "forged", tensors, description | {"pretrained": wrong})
        with pytest.raises(ValueError, match="damaged|beside another network"):
            SelfAttentionClassifier(**SMALL, adapter_rank=2, pretrained=before).load_weights(tmp_path / "forged")


def test_features_have_the_names_that_the_pretrained_network_knows_them_by():
    def frames(*names):
        return [pd.DataFrame(steps, columns=list(names)) for steps in X]

    before = SelfAttentionTransformer(**SMALL).fit(frames("a", "b", "c"))
    model = SelfAttentionClassifier(**SMALL, pretrained=before)
    assert model.fit(frames("a", "b", "c"), LABELS).score(frames("a", "b", "c"), LABELS) > 0
    assert model.fit(X, LABELS).score(X, LABELS) > 0, "arrays name nothing"
    for names in ("bac", "uvw"):
        with pytest.raises(ValueError, match="has learned from the features a, b, c, and X has"):
            model.fit(frames(*names), LABELS)


def test_a_stem_that_is_asked_for_is_not_left_out():
    linear = SelfAttentionTransformer(**SMALL | {"embedding": "linear"}).fit(X)
    for options in ({}, {"n_kernels": 32}):
        model = SelfAttentionClassifier(**SMALL | {"embedding": "random_convolution"} | options, pretrained=linear)
        with pytest.raises(ValueError, match="number of kernels of embedding=0, and this one is to have the number"):
            model.fit(X, LABELS)


def test_outputs_that_begin_at_nothing_cannot_be_frozen():
    options = SMALL | {"embedding": "linear"}
    for freeze in ("head.*", "head.weight"):
        with pytest.raises(ValueError, match=r"freeze names head.weight, which begins at 0 .* warm_start=True"):
            SelfAttentionClassifier(**options, freeze=freeze).fit(X, LABELS)
    assert SelfAttentionClassifier(**SMALL | STEM, freeze="head.*").fit(X, LABELS).score(X, LABELS) > 0.5
    model = SelfAttentionClassifier(**options, warm_start=True).fit(X, LABELS)
    before = model.weights_["head.weight"].copy()
    model.set_params(freeze="head.*").fit(X, LABELS)
    np.testing.assert_array_equal(model.weights_["head.weight"], before)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile"])
def test_frozen_outputs_of_values_stay_when_training_has_ended(loss):
    options = SMALL | STEM | {"loss": loss, "n_estimators": 1}
    one, other = (
        SelfAttentionRegressor(**options | {"max_iter": max_iter}, freeze=["head.weight", "head.bias"]).fit(X, Y)
        for max_iter in (1, 3)
    )
    for name in ("head.weight", "head.bias"):
        np.testing.assert_array_equal(one.weights_[name], other.weights_[name])
    assert not np.array_equal(one.weights_["layers.0.query.weight"], other.weights_["layers.0.query.weight"])


def test_categories_that_the_first_fit_has_not_met_are_told_of():
    codes = [np.arange(n) % 3 for n in range(2, 22)]
    options = SMALL | {"categorical_features": "all", "embedding": "linear"}
    before = SelfAttentionClassifier(**options).fit(codes, np.arange(20) % 2)
    model = SelfAttentionClassifier(**options, pretrained=before)
    others = [code + 7 for code in codes]
    with pytest.warns(UserWarning, match="Feature 0 of X has 3 categories, of which the first fit has met 0") as told:
        model.fit(others, np.arange(20) % 2)
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="of which the first fit has met 0"):
        before.partial_fit(others, np.arange(20) % 2)
    model.fit(codes, np.arange(20) % 2)


def test_a_file_that_is_not_there_is_named_with_the_parameter(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pretrained='.*none' is no file that is there; give one that"):
        SelfAttentionClassifier(**SMALL, pretrained=str(tmp_path / "none")).fit(X, LABELS)
