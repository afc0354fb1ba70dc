"""Updates in a row: clipping, what is not finite, counts; several planned at once are those of one at a time."""

import numpy as np
import pytest

from skattn._kernels import parallel
from skattn._kernels.update import BLOCK
from skattn._training.descent import Descent
from skattn._training.optimizers import OPTIMIZERS, SGD

RATE = 0.1


def descend(gradient, clip_norm=np.inf, *, loss=1.0, optimizer=None, rates=(RATE,)):
    """Take updates along one gradient; gives the descent, what it made of the gradient, and the parameters."""
    gradient = np.array(gradient)
    parameters = np.zeros_like(gradient)
    descent = Descent(optimizer or SGD(gradient.size, gradient.dtype), parameters, 0, clip_norm)
    descent.plan(list(rates))
    losses, weights = np.full(len(rates), loss, gradient.dtype), np.ones(len(rates))
    counts = np.ones(len(rates), np.int64)
    stages = descent.stages(gradient, losses, weights, np.arange(len(rates)), counts, 1)
    parallel.run_stages(stages, descent.stop)
    return descent, gradient, parameters


def test_long_gradients_are_shortened_in_their_direction():
    descent, gradient, parameters = descend([3.0, -4.0], 1.0)
    assert descent.norms.tolist() == [5.0]
    np.testing.assert_allclose(gradient, [0.6, -0.8], rtol=1e-15)
    np.testing.assert_allclose(parameters, -RATE * 1.9 * gradient, rtol=1e-14)


@pytest.mark.parametrize("clip_norm", [5.0, 7.0, np.inf])
def test_short_gradients_are_left_alone(clip_norm):
    np.testing.assert_array_equal(descend([3.0, -4.0], clip_norm)[1], [3.0, -4.0])


def test_the_norm_of_a_huge_float32_gradient_does_not_overflow():
    descent, gradient, _ = descend(np.full(4, 1e30, np.float32), 1.0)
    assert descent.norms[0] == pytest.approx(2e30, rel=1e-6)
    np.testing.assert_allclose(gradient, 0.5, rtol=1e-6)


def test_the_norm_is_that_of_all_blocks_to_the_last_bit():
    gradient = (
        np.random.default_rng(0).normal(size=37 * BLOCK + 5) * 10.0 ** np.repeat(np.arange(-19, 19), BLOCK)[:-4091]
    )
    blocks = [
        float(np.sum(part.astype(np.longdouble) ** 2))
        for part in np.split(gradient, range(BLOCK, gradient.size, BLOCK))
    ]
    descent, *_ = descend(gradient)
    np.testing.assert_allclose(descent.norms[0], np.sqrt(np.sum(np.array(blocks, np.longdouble))), rtol=2e-16)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_moves_nothing_and_ends_the_plan(bad):
    for given in ({"gradient": [1.0, bad, 2.0]}, {"gradient": [1.0, 2.0, 3.0], "loss": bad}):
        descent, _, parameters = descend(**given, rates=[RATE] * 3)
        assert (descent.stop[0], descent.n_done, descent.count()) == (1, 0, 0)
        assert not parameters.any()
        assert not np.isfinite([descent.losses[0], descent.norms[0]]).all()
        assert np.isnan(descent.losses[1:]).all()


@pytest.mark.parametrize("kind", OPTIMIZERS.values())
def test_planned_updates_are_those_of_one_at_a_time(kind):
    gradient, rates = np.array([0.3, -2.0, 1e-3]), [0.1, 0.01, 0.2, 0.05]
    together, alone = kind(3, np.dtype(float)), kind(3, np.dtype(float))
    descent, _, parameters = descend(gradient, optimizer=together, rates=rates)
    assert (descent.count(), descent.count(), together.n_updates) == (4, 0, 4)
    expected = np.zeros(3)
    for rate in rates:
        alone.update(expected, gradient.copy(), rate, 0)
    np.testing.assert_array_equal(parameters, expected)
    for name, vector in alone.vectors.items():
        np.testing.assert_array_equal(together.vectors[name], vector)
