"""Parameters become an architecture and settings, and impossible ones say what would do."""

import inspect
import re
from dataclasses import replace

import numpy as np
import pytest
from problems import ESTIMATORS

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.defaults import Choice
from skattn.parameters import (
    FEEDFORWARD_RATIO,
    SelfAttentionParameters,
    document,
    resolve_settings,
)
from skattn.sizes import refuse_too_large, resolve_architecture, resolve_window


def resolve(**parameters):
    """Architecture of a model of 3 features, 5 outputs and at most 7 steps."""
    return resolve_architecture(
        SelfAttentionParameters(**parameters), loss="cross_entropy", n_features=3, n_outputs=5, choice=Choice(0, 1, 7)
    )


def test_data_decide_what_goes_in_and_out():
    architecture = resolve()
    assert (3, 5, 7) == (architecture.n_features, architecture.n_outputs, architecture.max_steps)


def test_heads_share_the_width_of_the_model():
    architecture = resolve(d_model=22, n_heads=2)
    assert (11, 11, 2) == (architecture.d_head, architecture.d_value, architecture.n_kv_heads)


def test_widths_of_heads_are_free():
    architecture = resolve(d_model=23, n_heads=6, n_kv_heads=2, d_head=5, d_value=7)
    assert (5, 7, 2) == (architecture.d_head, architecture.d_value, architecture.n_kv_heads)


def test_values_are_as_wide_as_queries():
    assert 5 == resolve(d_head=5).d_value


@pytest.mark.parametrize(("given", "expected"), [("auto", 17 * FEEDFORWARD_RATIO), (None, 0), (0, 0), (13, 13)])
def test_the_feedforward_part_has_a_width_or_is_left_out(given, expected):
    assert expected == resolve(d_model=17, n_heads=1, d_feedforward=given).d_feedforward


@pytest.mark.parametrize(
    ("window", "causal", "expected"),
    [
        (None, False, (None, None)),
        (None, True, (None, 0)),
        (5, False, (5, 5)),
        (5, True, (5, 0)),
        (0, False, (0, 0)),
        ((3, 2), False, (3, 2)),
        ([3, None], False, (3, None)),
        ((3, 2), True, (3, 0)),
    ],
)
def test_a_window_is_a_pair_of_bounds(window, causal, expected):
    assert expected == resolve_window(window, causal)


@pytest.mark.parametrize("window", [(-1, 2), (1, 2, 3), (1.5, 2), ("a", None), (True, 2), ()])
def test_an_impossible_window_is_refused(window):
    with pytest.raises(ValueError, match=re.escape(f"window={window!r}")):
        resolve_window(window, causal=False)


@pytest.mark.parametrize(
    ("d_model", "n_heads", "wider", "heads"), [(30, 4, 32, 5), (64, 7, 70, 8), (7, 100, 100, 7), (13, 2, 14, 1)]
)
def test_heads_that_do_not_divide_come_with_numbers_that_do(d_model, n_heads, wider, heads):
    message = f"d_model={d_model} does not split over n_heads={n_heads}; try d_model={wider} or n_heads={heads}."
    with pytest.raises(ValueError, match=re.escape(message)):
        resolve(d_model=d_model, n_heads=n_heads)
    resolve(d_model=wider, n_heads=n_heads)
    resolve(d_model=d_model, n_heads=heads)


def test_key_heads_that_do_not_divide_come_with_a_number_that_does():
    with pytest.raises(ValueError, match="n_heads=4 is no multiple of n_kv_heads=3; try n_kv_heads=4"):
        resolve(n_kv_heads=3)


def test_learning_parameters_are_handed_on_by_name():
    settings = resolve_settings(SelfAttentionParameters(optimizer="sgd", alpha=0.5, n_jobs=2), resolve(), 40)
    assert ("sgd", 0.5, 2) == (settings.optimizer, settings.alpha, settings.n_jobs)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("d_model", 0),
        ("n_heads", 2.0),
        ("d_feedforward", "wide"),
        ("position", "absolute"),
        ("pooling", "median"),
        ("window", "wide"),
        ("window", -1),
        ("n_step_features", 0),
        ("optimizer", "adamax"),
        ("learning_rate_init", 0.0),
        ("learning_rate", "linear"),
        ("alpha", -1.0),
        ("dropout", 1.0),
        ("batch_size", 0),
        ("max_iter", 0),
        ("validation_fraction", 1.0),
        ("dtype", "float16"),
        ("n_jobs", 0),
        ("random_state", "seed"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(estimator, name, value):
    X, y = [[[0.0], [1.0]], [[1.0], [0.0]]], [0, 1]
    model = estimator(**{name: value})
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {estimator.__name__} must be .* Got"):
        model.fit(X, y)
    assert value == model.get_params()[name]


@pytest.mark.parametrize("estimator", [SelfAttentionClassifier, SelfAttentionRegressor])
def test_steps_that_are_not_pooled_want_labels_of_their_own(estimator):
    with pytest.raises(ValueError, match="pooling=None gives every step an output of its own, and y has one entry"):
        estimator(pooling=None).fit([[[0.0], [1.0]], [[1.0], [0.0]]], [0, 1])
    SelfAttentionTransformer(pooling=None, max_iter=1).fit([[[0.0], [1.0]], [[1.0], [0.0]]], [0, 1])


def test_python_may_leave_docstrings_out():
    """As ``python -OO`` does."""
    bare = type("Bare", (), {})
    assert document(bare) is bare and bare.__doc__ is None


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_parameter_is_documented_with_its_default(estimator):
    for name, parameter in inspect.signature(estimator).parameters.items():
        described = re.search(rf"^    {name} : (.*(?:\n.*)?default=(.+))$", estimator.__doc__, re.MULTILINE)
        assert described, name
        default = described[2].strip('"')
        assert str(parameter.default) == default or parameter.default == float(default), name


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_help_is_whole(estimator):
    """The shared parts have been filled in, and nothing is left to fill."""
    assert "{" not in re.sub(r"\{[\"a].*?\}", "", estimator.__doc__)
    for part in ("Parameters\n", "Attributes\n", "loss_curve_ : list of float", "Examples\n"):
        assert part in estimator.__doc__


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_parameter_has_its_constraint(estimator):
    assert set(estimator().get_params()) == set(estimator._parameter_constraints)


@pytest.mark.parametrize(
    "parameters",
    [{"d_model": np.int8(100)}, {"d_feedforward": np.int8(100)}, {"n_heads": np.uint8(4), "d_head": np.uint8(200)}],
)
def test_small_integers_of_numpys_do_not_overflow(parameters):
    assert resolve(**{name: int(value) for name, value in parameters.items()}) == resolve(**parameters)


def test_settings_are_plain_numbers():
    parameters = {"batch_size": np.uint8(200), "max_iter": np.int8(100), "tol": np.float32(0.5), "n_jobs": np.int8(2)}
    settings = resolve_settings(SelfAttentionParameters(**parameters), resolve(), 1000)
    for name, value in parameters.items():
        assert type(value.item()) is type(getattr(settings, name)) and value == getattr(settings, name)


@pytest.mark.parametrize(
    "parameters", [{"d_model": 1 << 24}, {"d_head": 1 << 24}, {"n_layers": 10_000, "d_model": 1 << 14}]
)
def test_networks_that_no_memory_holds_are_refused(parameters):
    with pytest.raises(ValueError, match=r"needs at least .* GiB in float32, and this machine has .*; lower d_model"):
        refuse_too_large(resolve(**parameters), np.dtype("float32"), 20)


def test_long_sequences_need_memory_too():
    architecture = replace(resolve(position="none"), max_steps=1 << 40)
    with pytest.raises(ValueError, match="sequences of up to 1099511627776 steps"):
        refuse_too_large(architecture, np.dtype("float32"), architecture.max_steps)


def test_where_memory_is_not_told_nothing_is_too_large(monkeypatch):
    monkeypatch.delattr("os.sysconf", raising=False)
    refuse_too_large(resolve(d_model=1 << 24), np.dtype("float32"), 20)


@pytest.mark.parametrize("name, value", [("d_model", 2**62), ("n_layers", 10**9), ("n_heads", 10**30)])
def test_sizes_beyond_any_machine_are_refused(name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter .* must be an int in the range"):
        SelfAttentionRegressor(**{name: value}).fit(np.ones((2, 3, 1)), [0.0, 1.0])
