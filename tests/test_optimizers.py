"""Optimisers: against formulas written out, against torch, continued after pickling."""

import pickle

import numpy as np
import pytest

from skattn._training.optimizers import OPTIMIZERS, SGD, Adam, AdamW

N_PARAMETERS, N_DECAYED, RATE, ALPHA = 11, 7, 0.03, 0.2


def quadratic_gradient(parameters):
    """A gradient whose entries differ by orders of magnitude."""
    return np.geomspace(1e-3, 1e2, len(parameters)) * (parameters - 1)


def descend(optimizer, n_updates, parameters=None, dtype=np.float64):
    """Parameters after some steps from a seeded start."""
    if parameters is None:
        parameters = np.random.default_rng(3).normal(size=N_PARAMETERS).astype(dtype)
    for _ in range(n_updates):
        optimizer.update(parameters, quadratic_gradient(parameters).astype(dtype), RATE, N_DECAYED)
    return parameters


def make(name, alpha=ALPHA, dtype=np.float64):
    return OPTIMIZERS[name](N_PARAMETERS, np.dtype(dtype), alpha)


@pytest.fixture(params=OPTIMIZERS)
def name(request):
    return request.param


def textbook_adam(parameters, n_updates, *, decoupled):
    """Algorithm 1 of Kingma & Ba, and the coupled or decoupled decay of Loshchilov & Hutter."""
    mean, mean_square = np.zeros_like(parameters), np.zeros_like(parameters)
    is_decayed = np.arange(len(parameters)) < N_DECAYED
    for number in range(1, n_updates + 1):
        gradient = quadratic_gradient(parameters)
        decay = ALPHA * parameters * is_decayed
        if not decoupled:
            gradient = gradient + decay
        mean = 0.9 * mean + 0.1 * gradient
        mean_square = 0.999 * mean_square + 0.001 * gradient**2
        corrected = mean / (1 - 0.9**number) / (np.sqrt(mean_square / (1 - 0.999**number)) + 1e-8)
        parameters = parameters - RATE * corrected - (RATE * decay if decoupled else 0)
    return parameters


def textbook_sgd(parameters, n_updates):
    """Nesterov's momentum as scikit-learn's ``SGDOptimizer`` writes it."""
    velocity = np.zeros_like(parameters)
    is_decayed = np.arange(len(parameters)) < N_DECAYED
    for _ in range(n_updates):
        gradient = quadratic_gradient(parameters) + ALPHA * parameters * is_decayed
        velocity = 0.9 * velocity - RATE * gradient
        parameters = parameters + 0.9 * velocity - RATE * gradient
    return parameters


def test_adam_follows_its_algorithm():
    start = descend(make("adam"), 0)
    np.testing.assert_allclose(descend(make("adam"), 23), textbook_adam(start, 23, decoupled=False), rtol=1e-11)


def test_adamw_follows_its_algorithm():
    start = descend(make("adamw"), 0)
    np.testing.assert_allclose(descend(make("adamw"), 23), textbook_adam(start, 23, decoupled=True), rtol=1e-11)


def test_sgd_follows_its_formula():
    start = descend(make("sgd"), 0) * 1e-3
    expected = textbook_sgd(start, 5)
    np.testing.assert_allclose(descend(make("sgd"), 5, parameters=start.copy()), expected, rtol=1e-11)


@pytest.mark.parametrize(
    ("name", "torch_name", "options"),
    [
        ("adam", "Adam", {}),
        ("adamw", "AdamW", {}),
        ("sgd", "SGD", {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_torch_takes_the_same_steps(name, torch_name, options):
    torch = pytest.importorskip("torch")
    start = descend(make(name), 0) * 1e-3
    expected = torch.tensor(start.copy())
    decayed, free = expected[:N_DECAYED].clone(), expected[N_DECAYED:].clone()
    groups = [{"params": [decayed], "weight_decay": ALPHA}, {"params": [free], "weight_decay": 0.0}]
    optimizer = getattr(torch.optim, torch_name)(groups, lr=RATE, **options)
    for _ in range(7):
        gradient = torch.tensor(quadratic_gradient(torch.cat([decayed, free]).numpy()))
        decayed.grad, free.grad = gradient[:N_DECAYED].clone(), gradient[N_DECAYED:].clone()
        optimizer.step()
    actual = descend(make(name), 7, parameters=start.copy())
    np.testing.assert_allclose(actual, torch.cat([decayed, free]).numpy(), rtol=1e-11)


def test_only_the_first_parameters_are_decayed(name):
    parameters = np.ones(N_PARAMETERS)
    make(name).update(parameters, np.zeros(N_PARAMETERS), RATE, N_DECAYED)
    assert (parameters[:N_DECAYED] < 1).all()
    np.testing.assert_array_equal(parameters[N_DECAYED:], 1)


def test_a_gradient_is_0_afterwards_where_it_was(name):
    """What makes the next one writes only where it is not."""
    gradient = np.where(np.arange(N_PARAMETERS) % 3, 0.0, 2.0)
    make(name).update(np.ones(N_PARAMETERS), gradient, RATE, N_DECAYED)
    assert not gradient[np.arange(N_PARAMETERS) % 3 > 0].any()


def test_decoupled_decay_does_not_depend_on_the_gradient():
    """What AdamW's decay takes away is the same at every gradient; Adam's penalty is rescaled by it."""
    gradient = np.geomspace(1e-3, 1e3, N_PARAMETERS)

    def pull(kind):
        moved = [np.ones(N_PARAMETERS), np.ones(N_PARAMETERS)]
        for alpha, parameters in zip((0.0, ALPHA), moved, strict=True):
            kind(N_PARAMETERS, np.dtype(float), alpha).update(parameters, gradient.copy(), RATE, N_PARAMETERS)
        return moved[0] - moved[1]

    np.testing.assert_allclose(pull(AdamW), RATE * ALPHA, rtol=1e-9)
    assert np.ptp(pull(Adam)) < 1e-6, "the first step of Adam has the size of the rate, penalty or not"


def test_pickled_state_continues_with_the_same_bits(name):
    whole = descend(make(name), 13)
    first = make(name)
    half = descend(first, 6)
    np.testing.assert_array_equal(descend(pickle.loads(pickle.dumps(first)), 7, parameters=half), whole)


def test_state_is_plain_arrays_in_the_dtype_of_the_parameters(name):
    optimizer = make(name, dtype=np.float32)
    parameters = descend(optimizer, 3, dtype=np.float32)
    assert parameters.dtype == np.float32
    for vector in optimizer.vectors.values():
        assert type(vector) is np.ndarray
        assert vector.dtype == np.float32


def test_optimizers_share_no_state(name):
    first, second = make(name), make(name)
    descend(first, 2)
    for vector in second.vectors.values():
        np.testing.assert_array_equal(vector, 0)


def test_read_only_state_can_be_continued(name):
    """A model loaded as a read-only memory map goes on learning."""
    whole = descend(make(name), 5)
    optimizer = make(name)
    half = descend(optimizer, 2)
    for vector in optimizer.vectors.values():
        vector.setflags(write=False)
    optimizer.ensure_writeable()
    np.testing.assert_array_equal(descend(optimizer, 3, parameters=half), whole)


def test_state_fits_only_parameters_of_its_size_and_dtype():
    optimizer = SGD(3, np.dtype(np.float32))
    assert optimizer.fits(np.zeros(3, dtype=np.float32))
    assert not optimizer.fits(np.zeros(5, dtype=np.float32))
    assert not optimizer.fits(np.zeros(3))
