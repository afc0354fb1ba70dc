"""Loss and gradient of a batch: finite differences of every weight, hidden steps, dropout, threads, torch."""

import numpy as np
import pytest
import reference
from cases import ARCHITECTURES, make_batch_for, sequences
from scipy.special import expit, softmax
from slopes import LENGTHS, Problem, assert_gradient_is_the_slope, slices, slope

from skattn._network import layers


@pytest.fixture(params=ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def changes(request):
    """How an architecture differs from the base."""
    return request.param


def test_gradient_is_the_slope_of_the_loss(changes):
    # Small steps where a maximum may pass from one step of a sequence to another: the slope has a kink there.
    h = 1e-5 if "max" in changes.get("pooling", "mean") else 1e-4
    assert_gradient_is_the_slope(Problem(**changes), h=h)


@pytest.mark.parametrize("loss", sorted(reference.LOSSES))
@pytest.mark.parametrize("n_outputs", [1, 2, 17, 37])
@pytest.mark.parametrize("is_stepwise", [False, True])
def test_gradient_is_the_slope_for_every_number_of_outputs(loss, n_outputs, is_stepwise):
    if loss == "cross_entropy" and n_outputs == 1:
        pytest.skip("one class has no gradient")
    assert_gradient_is_the_slope(Problem(loss=loss, n_outputs=n_outputs, is_stepwise=is_stepwise), n_directions=1)


@pytest.mark.parametrize("n_outputs", [1, 2, 5])
@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_what_all_classes_have_in_common_changes_nothing(n_outputs, shift):
    problem = Problem(n_outputs=n_outputs)
    expected = problem.loss_and_gradient()
    problem.network.weights["head.bias"][:] += shift
    loss, gradient = problem.loss_and_gradient()
    np.testing.assert_allclose(loss, expected[0], rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_gradient_of_extreme_outputs_is_what_probabilities_err(loss):
    problem = Problem(loss=loss)
    network = problem.network
    network.weights["head.weight"][:] *= 1e4
    outputs = network.forward(problem.batch, "outputs")
    assert np.ptp(outputs) > 1500
    if loss == "cross_entropy":
        errors = softmax(outputs, axis=1) - np.eye(5)[problem.target[:, 0].astype(int)]
    else:
        errors = (expit(outputs) - problem.target) / 5
    _, gradient = problem.loss_and_gradient()
    np.testing.assert_allclose(gradient[slices(network)["head.bias"]], problem.weight @ errors, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("window", [(None, None), (None, 0), (41, 67), (150, 0), (0, 200)])
def test_gradient_is_the_slope_on_long_sequences(window):
    problem = Problem((67, 131, 523), window=window, n_heads=4, n_kv_heads=2, d_head=5, d_value=7)
    assert_gradient_is_the_slope(problem, n_directions=1)


def test_gradient_of_tables_is_the_slope_where_sequences_are_cut_within():
    problem = Problem((5, 1500, 37, 1101), categories=((0, 997), (2, 5)), window=(7, 7))
    assert_gradient_is_the_slope(problem, n_directions=1)


@pytest.mark.parametrize("pooling", ["max", "attention"])
def test_gradient_is_the_slope_of_reconstruction_with_everything(pooling):
    changes = ARCHITECTURES["all at once"] | {"loss": "reconstruction", "n_outputs": 3, "pooling": pooling}
    assert_gradient_is_the_slope(Problem(**changes))


@pytest.mark.parametrize(
    "changes", [{}, {"loss": "reconstruction", "n_outputs": 3}, {"is_stepwise": True, "label_smoothing": 0.2}]
)
def test_gradient_is_the_slope_under_dropout(changes):
    problem = Problem(dropout=0.3, token_dropout=0.4, d_feedforward=13, n_layers=2, **changes)
    assert_gradient_is_the_slope(problem)


def test_gradient_is_finite_and_right_for_activations_far_from_zero():
    gradients = []
    for dtype in (np.float32, np.float64):
        problem = Problem(dtype=dtype, d_feedforward=13)
        problem.network.weights["layers.0.expand.bias"][:] = np.linspace(-3000, 3000, 13)
        gradients.append(problem.loss_and_gradient()[1])
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-4)
    assert_gradient_is_the_slope(problem, n_directions=1)


@pytest.mark.parametrize("n_steps", range(1, 35))
def test_gradient_is_the_slope_for_every_length(n_steps):
    problem = Problem((n_steps,), window=(5, 3), d_feedforward=13, pooling="mean_max")
    _, gradient = problem.loss_and_gradient()
    direction = np.random.default_rng(n_steps).normal(size=gradient.size)
    direction /= np.linalg.norm(direction)
    np.testing.assert_allclose(gradient @ direction, slope(problem, slice(None), direction), rtol=1e-6)


def test_loss_is_the_weighted_sum_of_the_losses(changes, monkeypatch):
    monkeypatch.setattr(layers, "UNKNOWN", 0)
    problem = Problem(**changes)
    if problem.target is None:
        pytest.skip("what is hidden differs")
    losses = problem.network.losses(problem.batch, problem.target)
    np.testing.assert_allclose(problem.loss(), problem.weight @ losses, rtol=1e-13)


def torch_gradient(problem, torch, dtype):
    """Gradient of the problem's loss by torch's automatic differentiation, by weight name."""
    network, architecture = problem.network, problem.network.architecture
    weights = {
        name: torch.tensor(np.array(weight), dtype=dtype, requires_grad=True)
        for name, weight in network.weights.items()
    }
    mean, scale = (torch.tensor(np.array(array), dtype=dtype) for array in (network.mean, network.scale))
    total = 0
    for sequence, row, weight in zip(sequences(problem.batch), problem.target, problem.weight, strict=True):
        x = (torch.tensor(sequence, dtype=dtype) - mean) / scale
        features = torch_steps(torch, weights, architecture, x).mean(0)
        outputs = features @ weights["head.weight"] + weights["head.bias"]
        total = total + float(weight) * (torch.logsumexp(outputs, 0) - outputs[int(row[0])])
    total.backward()
    return {name: weight.grad.numpy() for name, weight in weights.items()}


def torch_steps(torch, weights, architecture, x):
    """Pre-norm attention layers of torch's own parts: (n_steps, n_features) -> (n_steps, d_model)."""
    functional = torch.nn.functional
    d_model = (architecture.d_model,)
    h = x @ weights["embedding.weight"] + weights["embedding.bias"]
    for layer in range(architecture.n_layers):
        w = {name.split(".", 2)[2]: v for name, v in weights.items() if name.startswith(f"layers.{layer}.")}
        z = functional.layer_norm(h, d_model, w["attention_norm.scale"], w["attention_norm.bias"])
        query, key, value = (
            z @ w["query.weight"] + w["query.bias"],
            z @ w["key.weight"],
            z @ w["value.weight"],
        )
        query, key, value = (
            rows.reshape(len(x), architecture.n_heads, -1).transpose(0, 1) for rows in (query, key, value)
        )
        mixed = functional.scaled_dot_product_attention(
            query[None], key[None], value[None], is_causal=architecture.window == (None, 0)
        )[0]
        mixed = mixed.transpose(0, 1).reshape(len(x), -1)
        h = h + mixed @ w["output.weight"] + w["output.bias"]
        if architecture.d_feedforward:
            z = functional.layer_norm(h, d_model, w["feedforward_norm.scale"], w["feedforward_norm.bias"])
            z = functional.gelu(z @ w["expand.weight"] + w["expand.bias"], approximate="tanh")
            h = h + z @ w["contract.weight"] + w["contract.bias"]
    return functional.layer_norm(h, d_model, weights["norm.scale"], weights["norm.bias"])


@pytest.mark.parametrize("window", [(None, None), (None, 0)])
@pytest.mark.parametrize("d_feedforward", [0, 13])
def test_gradient_agrees_with_torch(window, d_feedforward):
    torch = pytest.importorskip("torch")
    problem = Problem(window=window, d_feedforward=d_feedforward, n_layers=2, position="none")
    _, gradient = problem.loss_and_gradient()
    where = slices(problem.network)
    for name, expected in torch_gradient(problem, torch, torch.float64).items():
        np.testing.assert_allclose(gradient[where[name]], expected.ravel(), rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("lengths", [LENGTHS, (700,)], ids=["short", "long"])
def test_float32_gradient_errs_at_most_twice_plain_float32(lengths):
    """Of every weight: the root mean square error over a few networks, against torch in plain float32."""
    torch = pytest.importorskip("torch")
    errors = {}
    for seed in range(4):
        problem = Problem(lengths, np.float32, n_layers=2, d_feedforward=13, position="none", seed=seed)
        truth, plain = (torch_gradient(problem, torch, dtype) for dtype in (torch.float64, torch.float32))
        _, gradient = problem.loss_and_gradient()
        for name, part in slices(problem.network).items():
            exact, largest = truth[name].ravel(), np.abs(truth[name]).max()
            both = [np.mean(((result - exact) / largest) ** 2) for result in (gradient[part], plain[name].ravel())]
            errors.setdefault(name, []).append(both)
    ratios = {name: np.sqrt(np.divide(*np.sum(pairs, axis=0))) for name, pairs in errors.items()}
    assert {name: round(ratio, 1) for name, ratio in ratios.items() if ratio > 2} == {}


@pytest.mark.parametrize("garbage", [1e30, np.nan])
def test_padding_reaches_no_gradient(changes, garbage):
    problem = Problem(dtype=np.float32, **changes)
    expected = problem.loss_and_gradient()
    problem.batch = make_batch_for(problem.network.architecture, LENGTHS, np.float32, gap=3, garbage=garbage)
    loss, gradient = problem.loss_and_gradient()
    assert loss == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])


@pytest.mark.parametrize(
    "lengths", [(1,), (3001,), (2003, 5, 1201), (3,) * 67, tuple(range(1, 60)), (13, 1, 700, 2, 2, 5)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_has_equal_bits_for_any_number_of_threads(lengths, dtype):
    problem = Problem(lengths, dtype, window=(31, 5), d_feedforward=13, dropout=0.2, n_kv_heads=1)
    loss, gradient = problem.loss_and_gradient(n_jobs=1)
    for n_jobs in (2, 3, None):
        again = problem.loss_and_gradient(n_jobs=n_jobs)
        assert again[0] == loss
        np.testing.assert_array_equal(again[1], gradient)


def test_any_architecture_has_equal_bits_for_any_number_of_threads(changes):
    """Also where a sequence is cut within, and some of its parts stand for several of its steps."""
    problem = Problem((1031, 1, 130, 7), np.float32, dropout=0.2, token_dropout=0.3, **changes)
    loss, gradient = problem.loss_and_gradient(n_jobs=1)
    again = problem.loss_and_gradient(n_jobs=3)
    assert again[0] == loss
    np.testing.assert_array_equal(again[1], gradient)
    outputs, again = (problem.network.forward(problem.batch, "outputs", n_jobs=n_jobs) for n_jobs in (1, 3))
    np.testing.assert_array_equal(again, outputs)


def test_what_earlier_batches_left_behind_reaches_no_gradient(changes):
    """A workspace is used again: a batch asked for after larger, wilder ones gives equal bits."""
    problem = Problem(**changes)
    expected = problem.loss_and_gradient()
    wild = Problem((41, 150, 3), **changes)
    wild.network = problem.network
    wild.batch.values *= 1e10
    wild.loss_and_gradient()
    problem.network.forward(wild.batch, "outputs")
    loss, gradient = problem.loss_and_gradient()
    assert loss == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])


def test_gradient_of_a_batch_is_the_sum_over_its_samples(changes):
    problem = Problem(**changes, dropout=0.2, token_dropout=0.3)
    parts = [problem.take([sample]).loss_and_gradient() for sample in range(len(LENGTHS))]
    loss, gradient = problem.loss_and_gradient()
    np.testing.assert_allclose(loss, sum(part[0] for part in parts), rtol=1e-12)
    np.testing.assert_allclose(gradient, sum(part[1] for part in parts), rtol=1e-9, atol=1e-13)


def test_a_sample_of_weight_zero_changes_nothing():
    problem = Problem()
    problem.weight[2] = 0
    loss, gradient = problem.loss_and_gradient()
    without = problem.take([0, 1, 3, 4]).loss_and_gradient()
    np.testing.assert_allclose(loss, without[0], rtol=1e-13)
    np.testing.assert_allclose(gradient, without[1], rtol=1e-10, atol=1e-14)


def test_a_repeated_sample_counts_as_twice_its_weight():
    problem = Problem()
    problem.weight[3] *= 2
    expected = problem.loss_and_gradient()
    problem.weight[3] /= 2
    loss, gradient = problem.take([0, 1, 2, 3, 3, 4]).loss_and_gradient()
    np.testing.assert_allclose(loss, expected[0], rtol=1e-13)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("pooling", ["max", "mean_max"])
def test_gradient_is_the_slope_where_all_steps_tie_for_the_maximum(pooling):
    problem = Problem((1, 2, 17), pooling=pooling, position="none")
    problem.batch.values[:] = problem.batch.values[0]
    assert_gradient_is_the_slope(problem)
