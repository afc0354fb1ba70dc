"""Views of sequences told from those of others: how they are drawn, loss and gradient of a batch, what is learned."""

import pickle

import numpy as np
import pytest
import reference
from cases import make_batch, make_batch_for, make_network, sequences
from problems import SMALL, assert_same_bits, make_ragged
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from slopes import Problem, assert_gradient_is_the_slope

from skattn import SelfAttentionClassifier, SelfAttentionTransformer
from skattn._kernels.operation import JUDGE
from skattn._network import layers
from skattn._network.architecture import AUGMENTATIONS
from skattn._network.contrasting import draw_views

VIEWS = {"loss": "contrastive", "n_outputs": 7, "temperature": 0.3, "augmentations": AUGMENTATIONS}
ARCHITECTURES = {
    "base": {},
    "dropout and feed-forward": {"dropout": 0.3, "d_feedforward": 13, "n_layers": 2, "augmentations": ()},
    "pieces alone": {"augmentations": ("crop",), "pooling": "mean_max"},
    "categories beside what is missing": {"categories": ((1, 4),), "handles_missing": True},
    "categories alone, convolved": {"categories": ((0, 5), (1, 1), (2, 3)), "n_taps": 3},
    "patches": {"patch_size": 3, "stride": 2, "pooling": "attention"},
    "times": {"time_feature": 1, "position": "rotary"},
    "without pooling": {"pooling": None, "window": (3, 0)},
}


@pytest.fixture(params=ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def changes(request):
    """How an architecture differs from the base."""
    return VIEWS | request.param


def test_gradient_is_the_slope_of_the_loss(changes):
    h = 1e-5 if "max" in (changes.get("pooling") or "mean") else 1e-4
    assert_gradient_is_the_slope(Problem(**changes), h=h)


def test_losses_of_a_batch_agree_with_the_reference():
    """Without dropout and augmentations, views are the sequences."""
    network = make_network(**VIEWS | {"augmentations": (), "d_feedforward": 13})
    batch = make_batch()
    of_each = [
        reference.forward(network.weights, network.architecture, steps, network.mean, network.scale)["outputs"]
        for steps in sequences(batch)
    ]
    expected = reference.contrastive(np.repeat(of_each, 2, axis=0), 0.3)
    np.testing.assert_allclose(network.losses(batch, None), expected, rtol=1e-10)
    weight = np.random.default_rng(0).uniform(size=len(expected))
    counters = {"ids": np.arange(len(expected)), "seed": 1, "n_update": 2}
    np.testing.assert_allclose(network.loss_and_gradient(batch, None, weight, **counters)[0], weight @ expected)


def test_pieces_are_told_by_themselves():
    """The loss is that of the pieces as sequences, among those that were drawn for the update."""
    problem = Problem(**VIEWS | {"augmentations": ("crop",)})
    network = problem.network
    views = draw_views(problem.batch, problem.ids, True, 11, 3)
    embeddings = network.forward(views, "outputs")
    np.testing.assert_allclose(problem.loss(), problem.weight @ reference.contrastive(embeddings, 0.3), rtol=1e-12)


def test_pieces_lie_within_their_sequence_and_have_half_of_it_or_more():
    batch = make_batch([1, 2, 3, 7, 40] * 200, gap=5)
    views = draw_views(batch, np.arange(1000), True, 5, 7)
    starts, ends = (np.repeat(part, 2) for part in (batch.starts, batch.starts + batch.lengths))
    lengths = np.repeat(batch.lengths, 2)
    assert (starts <= views.starts).all() and (views.starts + views.lengths <= ends).all()
    assert (lengths / 2 <= views.lengths).all() and (views.lengths >= 1).all()
    of_long = views.lengths[lengths == 40]
    assert {20, 40} < set(of_long.tolist()) | {20} and 28 < of_long.mean() < 32
    assert 0.4 < ((views.starts - starts) / np.maximum(lengths - views.lengths, 1))[lengths == 40].mean() < 0.6
    again = draw_views(batch, np.arange(1000), True, 5, np.repeat([7, 8], 500))
    np.testing.assert_array_equal(again.starts[:1000], views.starts[:1000])
    assert (again.starts[1000:] != views.starts[1000:]).mean() > 0.2
    assert (views.starts[::2] != views.starts[1::2])[lengths[::2] == 40].mean() > 0.8


def shown(network, batch):
    """What the network sees of views: numbers in deviations."""
    return network.runner.forward(network, batch, "input", 1, purpose=JUDGE)


def test_numbers_of_views_are_jittered_scaled_and_masked_as_much_as_is_said():
    batch = make_batch([37] * 97)
    plain = make_network(**VIEWS | {"augmentations": ()}).forward(batch, "input")
    noise, factor, masked = (
        shown(make_network(**VIEWS | {"augmentations": (word,)}), batch) for word in ("jitter", "scaling", "mask")
    )
    noise -= plain
    np.testing.assert_allclose([noise.mean(), noise.std()], [0, layers.JITTER], atol=0.003)
    np.testing.assert_allclose(np.mean(noise**4) / np.mean(noise**2) ** 2, 2.7, atol=0.1)
    factors = (factor / plain).reshape(97, 37, 3)
    np.testing.assert_allclose(factors, np.broadcast_to(factors[:, :1], factors.shape), rtol=1e-9)
    np.testing.assert_allclose([factors.mean(), factors[:, 0].std()], [1, layers.SCALING], atol=0.03)
    is_masked = (masked == 0).all(axis=1)
    np.testing.assert_array_equal(masked[~is_masked], plain[~is_masked])
    np.testing.assert_allclose(is_masked.mean(), layers.MASK, atol=0.02)
    np.testing.assert_array_equal(make_network(**VIEWS).forward(batch, "input"), plain)


def test_both_views_of_a_sequence_differ_and_are_the_same_again():
    problem = Problem(**VIEWS)
    assert problem.loss() == problem.loss() != problem.loss(n_update=4)
    assert problem.loss() != problem.loss(seed=12)
    problem.ids += 1
    assert problem.loss() != Problem(**VIEWS).loss()


@pytest.mark.parametrize("lengths", [(1,) * 5, (2, 1, 3), (13, 1, 700, 2, 1500, 5), (3,) * 67])
def test_loss_and_gradient_have_equal_bits_for_any_number_of_threads(lengths, changes):
    problem = Problem(lengths, np.float32, **changes)
    loss, gradient = problem.loss_and_gradient(n_jobs=1)
    assert np.isfinite(loss) and np.isfinite(gradient).all()
    again = problem.loss_and_gradient(n_jobs=3)
    assert again[0] == loss
    np.testing.assert_array_equal(again[1], gradient)
    judged = (problem.network.losses(problem.batch, None, n_jobs=n_jobs) for n_jobs in (1, 3))
    np.testing.assert_array_equal(*judged)


def test_padding_is_never_read(changes):
    problem = Problem(dtype=np.float32, **changes)
    expected = problem.loss_and_gradient()
    problem.batch = make_batch_for(problem.network.architecture, problem.batch.lengths, np.float32, gap=3, garbage=1e30)
    loss, gradient = problem.loss_and_gradient()
    assert loss == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])


def test_one_sequence_alone_has_nothing_to_be_told_from():
    loss, gradient = Problem((7,), **VIEWS).loss_and_gradient()
    np.testing.assert_allclose([loss, np.abs(gradient).max()], 0, atol=1e-12)


# Estimators

CONTRASTIVE = SMALL | {"objective": "contrastive"}


def curves(n_samples, seed):
    """Eight wandering curves, each stretched and blurred by chance; the class is the curve."""
    generator, y = np.random.default_rng(seed), np.arange(n_samples) % 8
    shapes = np.cumsum(np.random.default_rng(77).normal(size=(8, 24, 2)), axis=1)
    shapes = (shapes - shapes.mean(axis=1, keepdims=True)) / shapes.std(axis=1, keepdims=True)
    stretched = shapes[y] * (1 + 0.3 * generator.normal(size=(n_samples, 1, 2)))
    return stretched + 0.5 * generator.normal(size=stretched.shape), y


def test_features_learned_from_views_tell_classes_better_than_those_that_learned_nothing():
    (X, y), held_out = curves(400, 0), curves(200, 1)
    model = SelfAttentionTransformer(**CONTRASTIVE | {"max_iter": 25, "learning_rate_init": 0.01}).fit(X)
    nothing = clone(model).set_params(max_iter=1, learning_rate_init=1e-12).fit(X)
    scores = []
    for each in (model, nothing):
        reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(each.transform(X[:32]), y[:32])
        scores.append(reader.score(each.transform(held_out[0]), held_out[1]))
    assert model.loss_curve_[-1] < 0.8 * model.loss_curve_[0]
    assert scores[0] > scores[1] + 0.2


@pytest.mark.parametrize(
    "options", [{}, {"n_estimators": 2, "dropout": 0.2, "categorical_features": [2], "batch_size": 7}]
)
def test_what_views_have_taught_survives_files_threads_and_interruptions(options, tmp_path):
    pytest.importorskip("safetensors")
    X = [np.abs(np.rint(steps)) for steps in make_ragged()]
    model = SelfAttentionTransformer(**CONTRASTIVE | options, warm_start=True).fit(X)
    assert "contrastive" == model.objective_
    assert_same_bits(clone(model).set_params(n_jobs=1).fit(X, np.arange(len(X)) % 2).weights_, model.weights_)
    model.save_weights(tmp_path / "file")
    expected = model.transform(X)
    for loaded in (pickle.loads(pickle.dumps(model)), clone(model).load_weights(tmp_path / "file")):
        np.testing.assert_array_equal(loaded.transform(X), expected)
        assert loaded.partial_fit(X).n_iter_ == model.n_iter_ + 1
    pickled = pickle.loads(pickle.dumps(model)).fit(X)
    assert_same_bits(model.fit(X).weights_, pickled.weights_)
    model.set_params(augmentations=("mask", "crop"), temperature=0.5).fit(X)
    assert ("crop", "mask") == model._model.network.architecture.augmentations


def test_short_sequences_are_no_obstacle():
    X = [np.random.default_rng(i).normal(size=(1 + i % 3, 2)) for i in range(31)]
    model = SelfAttentionTransformer(**CONTRASTIVE | {"early_stopping": True}).fit(X)
    assert np.isfinite([*model.loss_curve_, *model.validation_scores_]).all()
    assert model.validation_scores_ == clone(model).fit(X).validation_scores_


def test_a_classifier_begins_with_what_views_have_taught():
    X, y = curves(40, 0)
    before = SelfAttentionTransformer(**CONTRASTIVE).fit(X)
    classifier = SelfAttentionClassifier(**SMALL | {"pretrained": before, "freeze": "[!h]*"}).fit(X, y)
    np.testing.assert_array_equal(classifier.weights_["embedding.weight"], before.weights_["embedding.weight"])
    with pytest.raises(ValueError, match="The network of pretrained has a stem"):
        behind = SelfAttentionClassifier(**SMALL | {"embedding": "random_convolution", "n_kernels": 16}).fit(X, y)
        SelfAttentionTransformer(**CONTRASTIVE | {"embedding": "auto", "pretrained": behind}).fit(X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augmentations": ("jitter", "flip")}, "augmentations names 'flip'; give some of 'jitter', 'scaling', 'crop'"),
        ({"augmentations": ()}, "both views of a sequence would be the same"),
        ({"batch_size": 1}, "there are none: X has 23 different sequence.*, batch_size=1; give two or more"),
        ({"embedding": "random_convolution"}, "contrastive changes steps and draws pieces anew in every update, and"),
        ({"temperature": 0.0}, "The 'temperature' parameter of SelfAttentionTransformer must be a float"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SelfAttentionTransformer(**CONTRASTIVE | options).fit(make_ragged())


def test_one_different_sequence_is_not_enough():
    with pytest.raises(ValueError, match="X has 1 different sequence"):
        SelfAttentionTransformer(**CONTRASTIVE).fit([np.ones((3, 2))] * 5)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("augmentations", [None, 7, "crop", [7], ["flip"], ["mask", "crop"], ["crop", "crop"]]),
        ("temperature", [None, 0, -1.0, float("nan"), float("inf"), "7"]),
        ("n_kernels", [16]),
        ("is_stepwise", [True]),
        ("n_outputs", [0, 97]),
    ],
)
def test_a_damaged_file_of_views_is_refused(name, values):
    model = SelfAttentionTransformer(**CONTRASTIVE).fit(make_ragged())
    for value in values:
        state = model.__getstate__()
        network = state["_model"]["network"]
        altered = network | {"architecture": network["architecture"] | {name: value}}
        state["_model"] = state["_model"] | {"network": altered}
        with pytest.raises(ValueError, match="damaged"):
            SelfAttentionTransformer.__new__(SelfAttentionTransformer).__setstate__(state)


def test_one_sequence_alone_validates_nothing():
    X = make_ragged(n_samples=12)
    options = CONTRASTIVE | {"early_stopping": True}
    for given, held_out in ((X[:8], None), (X, X[:1])):
        with pytest.raises(ValueError, match="one sequence alone is held out to validate with"):
            SelfAttentionTransformer(**options).fit(given, X_val=held_out)
    scores = SelfAttentionTransformer(**options, validation_fraction=0.3).fit(X).validation_scores_
    assert len(set(scores)) > 1


@pytest.mark.parametrize("augmentations", ["jitter", ("scaling", "jitter"), ()])
def test_views_of_categories_differ_in_something(augmentations):
    codes = [np.arange(n) % 3 for n in range(3, 15)]
    options = CONTRASTIVE | {"categorical_features": "all", "dropout": 0.0}
    with pytest.raises(ValueError, match=r"augmentations are .*, and dropout=0: both views"):
        SelfAttentionTransformer(**options, augmentations=augmentations).fit(codes)
    assert SelfAttentionTransformer(**options, augmentations="crop").fit(codes).n_iter_


def test_weights_go_into_an_estimator_with_other_views(tmp_path):
    pytest.importorskip("safetensors")
    X = make_ragged(n_samples=12)
    model = SelfAttentionTransformer(**CONTRASTIVE).fit(X)
    model.save_weights(tmp_path / "weights")
    other = SelfAttentionTransformer(**CONTRASTIVE, temperature=0.5, augmentations="crop")
    np.testing.assert_array_equal(other.load_weights(tmp_path / "weights").transform(X), model.transform(X))
