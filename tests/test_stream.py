"""Streams: step by step as the whole prefix, for every part; streams that go on independently; what is refused."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import toys
from cases import ARCHITECTURES, Batch, make_batch_for, make_network
from problems import SMALL

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer, sizes
from skattn._network import positions
from skattn._network.stepper import Program, Stepper, refuse_kinds
from skattn._network.tape import FREE

CAUSAL = {
    name: changes | {"window": (changes.get("window", (None,))[0], 0)}
    for name, changes in ARCHITECTURES.items()
    if not changes.get("patch_size")
}
CAUSAL |= {
    "more heads than a block": {"n_heads": 130, "n_kv_heads": 2, "d_head": 2, "d_value": 3, "window": (None, 0)},
    "waves of time, odd width": {"position": "sinusoidal", "d_model": 23, "time_feature": 0, "window": (3, 0)},
    "distances of time, missing numbers": {
        **{"position": "alibi", "time_feature": 0, "handles_missing": True, "n_taps": 3, "window": (7, 0)},
        **{"pooling": "mean_max", "n_heads": 4, "n_kv_heads": 2},
    },
}
N_STREAMS = 3


@pytest.fixture(params=CAUSAL.values(), ids=CAUSAL.keys())
def changes(request):
    """How a causal architecture differs from the base."""
    return request.param


def batch_of(network, n_steps, dtype=np.float64):
    """Sequences of so many steps, one for each stream, and the same as (n_streams, n_steps, n_features)."""
    batch = make_batch_for(network.architecture, (n_steps,) * N_STREAMS, dtype)
    return batch, batch.values.reshape(N_STREAMS, n_steps, -1)


def of_prefixes(network, batch, name, n_steps):
    """What stands in a slot after a forward pass over the first steps of each sequence; of rows the last."""
    lengths = np.full(N_STREAMS, n_steps)
    found = network.forward(Batch(values=batch.values, starts=batch.starts, lengths=lengths), name, n_jobs=1)
    return found if len(found) == N_STREAMS else found[np.cumsum(lengths) - 1]


def walk(stepper, steps):
    """What streams of one network give at each step: (n_steps, n_streams, width)."""
    return np.stack([stepper.step(steps[:, t], None)[0][0] for t in range(steps.shape[1])])


def names_of(network):
    """Slots that estimators ask for."""
    return [name for name in ("features", "steps", "outputs") if name in network.runner.tape.names]


def test_step_by_step_is_the_whole_prefix(changes):
    network = make_network(**changes)
    batch, steps = batch_of(network, 29)
    for name in names_of(network):
        found = walk(Stepper(Program([network], name), N_STREAMS), steps)
        for t in range(29):
            np.testing.assert_allclose(found[t], of_prefixes(network, batch, name, t + 1), rtol=1e-9, atol=1e-11)


def test_float32_errs_no_more_than_over_whole_sequences(changes):
    network, exact = make_network(np.float32, **changes), make_network(**changes)
    exact.parameters[:] = network.parameters
    exact.mean, exact.scale = network.mean, network.scale
    batch, steps = batch_of(network, 29, np.float32)
    for name in names_of(network):
        found = walk(Stepper(Program([network], name), N_STREAMS), steps)
        true = np.stack([of_prefixes(exact, batch, name, t + 1) for t in range(29)])
        plain = np.stack([of_prefixes(network, batch, name, t + 1) for t in range(29)])
        assert np.abs(found - true).max() <= 2 * np.abs(plain - true).max() + 1e-6


@pytest.mark.parametrize("window", [0, 1, 4, 15, 16, 100, None])
@pytest.mark.parametrize("position", sorted(positions.POSITIONS))
def test_rings_hold_what_is_within_the_window(window, position):
    """Over several windows, past the room that a stream begins with, and past the table of relative distances."""
    n_steps = 5 * window + 7 if window is not None and window > 15 else 190
    network = make_network(window=(window, 0), position=position, max_steps=1000, n_layers=2, n_heads=4, n_kv_heads=2)
    batch, steps = batch_of(network, n_steps)
    found = walk(Stepper(Program([network], "steps"), N_STREAMS), steps)
    whole = network.forward(batch, "steps").reshape(N_STREAMS, n_steps, -1)
    np.testing.assert_allclose(found.swapaxes(0, 1), whole, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("pooling", ["mean", "max", "first", "last", "attention"])
def test_poolings_of_long_streams_are_those_of_the_whole(pooling):
    network = make_network(np.float32, window=(3, 0), pooling=pooling, position="rotary")
    batch, steps = batch_of(network, 1500, np.float32)
    found = walk(Stepper(Program([network], "features"), N_STREAMS), steps)[-1]
    np.testing.assert_allclose(found, network.forward(batch, "features"), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["layers.0.query", "layers.1.key"])
def test_any_named_slot_can_be_told(name):
    """The first one follows from no attention: nothing is kept that grows."""
    network = make_network(window=(None, 0), position="rotary", n_taps=3, n_layers=2)
    batch, steps = batch_of(network, 100)
    stepper = Stepper(Program([network], name), N_STREAMS)
    before = stepper.states[0].nbytes
    found = walk(stepper, steps).swapaxes(0, 1)
    np.testing.assert_allclose(found, network.forward(batch, name).reshape(found.shape), rtol=1e-9, atol=1e-11)
    assert (stepper.states[0].nbytes == before) == (name == "layers.0.query")
    again = Stepper(stepper.program, N_STREAMS)
    again.restore(stepper.states, stepper.counts)
    np.testing.assert_array_equal(again.step(steps[:, 0], None)[0], stepper.step(steps[:, 0], None)[0])


def test_scores_far_apart_overflow_nothing():
    network = make_network(n_heads=2, position="none", window=(None, 0))
    network.weights["layers.0.query.weight"][:] *= 300
    network.weights["pooling.query" if "pooling.query" in network.weights else "norm.scale"][:] *= 3
    batch, steps = batch_of(network, 150)
    found = walk(Stepper(Program([network], "steps"), N_STREAMS), steps).swapaxes(0, 1)
    np.testing.assert_allclose(found, network.forward(batch, "steps").reshape(found.shape), rtol=1e-8, atol=1e-9)


def test_bits_do_not_depend_on_streams_beside():
    network = make_network(position="alibi", window=(9, 0), d_feedforward=13, n_taps=3)
    program, generator = Program([network], "features"), np.random.default_rng(0)
    steps = generator.normal(size=(71, 25, 3))
    together = walk(Stepper(program, 71), steps)
    for stream in (0, 31, 32, 70):
        alone = walk(Stepper(program, 1), steps[stream : stream + 1])
        np.testing.assert_array_equal(alone[:, 0], together[:, stream])


def test_shares_are_the_softmax_of_the_mean_of_what_networks_say():
    networks = [make_network(seed=seed, window=(9, 0)) for seed in (1, 2, 3)]
    networks[0].weights["head.weight"][:] *= 1e4
    plain, shared = (Stepper(Program(networks, "outputs", gives_shares=gives), 5) for gives in (False, True))
    for x in np.random.default_rng(0).normal(size=(12, 5, 3)):
        outputs, shares = plain.step(x, None)[0], shared.step(x, None)[0]
        mean = outputs.mean(axis=0)
        powers = np.exp(mean - mean.max(axis=1, keepdims=True))
        expected = powers / powers.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, expected[np.newaxis], rtol=1e-9, atol=1e-15)


def test_all_streams_and_some_take_steps_by_turns():
    steps = np.random.default_rng(0).normal(size=(4, 9, 3))
    program = Program([make_network(window=(5, 0))], "features")
    turns, apart = Stepper(program, 4), [Stepper(program, 1) for _ in range(4)]
    for t, chosen in enumerate([None, None, [2], None, [3, 0], [3, 0], [1], None, None]):
        streams = range(4) if chosen is None else chosen
        found = turns.step(steps[list(streams), t], None if chosen is None else np.array(chosen))[0]
        for row, stream in enumerate(streams):
            np.testing.assert_array_equal(
                found[:, row], apart[stream].step(steps[stream : stream + 1, t], None)[0][:, 0]
            )


def test_bits_do_not_depend_on_threads():
    network = make_network(d_model=66, n_heads=6, n_kv_heads=6, d_feedforward=132, position="rotary", window=(9, 0))
    program, steps = Program([network, network], "features"), np.random.default_rng(0).normal(size=(500, 7, 3))
    assert program.most_workers(500) > 1
    np.testing.assert_array_equal(*(walk(Stepper(program, 500, n_jobs), steps) for n_jobs in (1, 2)))


def test_kinds_without_a_step_are_refused(monkeypatch):
    monkeypatch.setitem(positions.POSITIONS, "scaled", toys.position_scaled(FREE))
    network = make_network(window=(None, 0), position="scaled")
    with pytest.raises(ValueError, match="operation 'scale' that is computed over whole sequences only"):
        Program([network], "features")


def test_fields_that_no_step_knows_are_refused_unless_they_are_off():
    operations = make_network(window=(None, 0)).runner.tape.operations
    kind, fields = next(operation for operation in operations if operation[0].steps_know)
    refuse_kinds([(kind, fields | {"adds": 1, "new": 0, "newer": -1})])
    with pytest.raises(ValueError, match="'attention' has 'sinks', which is computed over whole sequences only"):
        refuse_kinds([(kind, fields | {"sinks": 3})])


# What follows goes through estimators.

generator = np.random.default_rng(5)
X = generator.normal(size=(12, 23, 3))
LABELS, VALUES = np.arange(12) % 3, X[:, :, 0].mean(axis=1) * 7 + 100
OF_STEPS = [np.arange(23) % 2 for _ in X]
CODED = np.concatenate([X, generator.integers(0, 4, size=(12, 23, 1))], axis=2)
TIMED = np.concatenate([X, np.cumsum(generator.exponential(size=(12, 23, 1)), axis=1)], axis=2)
GAPPY = np.where(generator.random(size=X.shape) < 0.2, np.nan, X)
GAPPY[:, :, 0] = X[:, :, 0]
BASE = {
    **{"d_model": 12, "n_heads": 4, "causal": True, "embedding": "linear", "max_iter": 1, "n_estimators": 1},
    **{"random_state": 0, "dtype": "float64"},
}
TRANSFORMER, CLASSIFIER, REGRESSOR = SelfAttentionTransformer, SelfAttentionClassifier, SelfAttentionRegressor

MODELS = {
    "features": (TRANSFORMER, {}, X, LABELS, "transform"),
    "features of several networks": (TRANSFORMER, {"n_estimators": 3, "window": 4}, X, None, "transform"),
    "features of every step": (TRANSFORMER, {"pooling": None}, X, LABELS, "transform"),
    "features learned without y": (TRANSFORMER, {"pooling": "attention", "n_pooling_queries": 2}, X, None, "transform"),
    "features of a classifier": (CLASSIFIER, {"pooling": "max"}, X, LABELS, "transform"),
    "probabilities": (CLASSIFIER, {"n_layers": 2, "n_kv_heads": 2}, X, LABELS, "predict_proba"),
    "probabilities of several networks": (CLASSIFIER, {"n_estimators": 3}, X, LABELS, "predict_proba"),
    "logarithms of probabilities": (CLASSIFIER, {}, X, LABELS, "predict_log_proba"),
    "decisions between two": (CLASSIFIER, {"position": "alibi"}, X, LABELS > 0, "decision_function"),
    "words": (CLASSIFIER, {"window": 2}, X, np.array(["a", "b", "c"])[LABELS], "predict"),
    "several labels": (CLASSIFIER, {}, X, np.eye(3, dtype=int)[LABELS] | np.eye(3, dtype=int)[0], "predict"),
    "labels of every step": (CLASSIFIER, {}, X, OF_STEPS, "predict"),
    "probabilities of every step": (CLASSIFIER, {"pooling": None, "n_estimators": 2}, X, OF_STEPS, "predict_proba"),
    "features beside labels of every step": (CLASSIFIER, {"pooling": "mean"}, X, OF_STEPS, "transform"),
    "values": (REGRESSOR, {"n_estimators": 2}, X, VALUES, "predict"),
    "several values": (REGRESSOR, {}, X, np.stack([VALUES, -VALUES], axis=1), "predict"),
    "rates": (REGRESSOR, {"loss": "poisson", "n_estimators": 2}, X, np.round(VALUES), "predict"),
    "medians": (REGRESSOR, {"loss": "quantile"}, X, VALUES, "predict"),
    "quantiles": (REGRESSOR, {"loss": "quantile"}, X, VALUES, "predict_quantiles"),
    "values of every step": (REGRESSOR, {}, X, list(X[:, :, 0]), "predict"),
    "features beside a level": (REGRESSOR, {"normalise_target": "sequence"}, X, VALUES, "transform"),
    "categories": (CLASSIFIER, {"categorical_features": [3]}, CODED, LABELS, "predict_proba"),
    "convolution": (CLASSIFIER, {"embedding": "convolution"}, X, LABELS, "predict_proba"),
    "times": (CLASSIFIER, {"time_feature": 3}, TIMED, LABELS, "predict_proba"),
    "distances of times": (CLASSIFIER, {"time_feature": 3, "position": "alibi"}, TIMED, LABELS, "predict_proba"),
    "missing": (CLASSIFIER, {"handle_missing": "mask"}, GAPPY, LABELS, "predict_proba"),
}


def make_model(estimator=TRANSFORMER, data=X, y=LABELS, **parameters):
    """A fitted causal model."""
    return estimator(**(BASE | parameters)).fit(data, y)


def of_whole(model, method, data, n_steps):
    """What a method gives for the first steps of sequences; of rows for each step the last."""
    found = getattr(model, method)(data[:, :n_steps])
    is_stepwise = isinstance(found, list) or (found.ndim == 3 and found.shape[1] == n_steps)
    return np.array([rows[-1] for rows in found]) if is_stepwise else found


@pytest.mark.parametrize("case", MODELS.values(), ids=MODELS.keys())
def test_streams_give_what_the_method_gives_for_the_prefix(case):
    estimator, parameters, data, y, method = case
    model = make_model(estimator, data, y, **parameters)
    stream = model.stream(len(data), output=method)
    for t in range(23):
        found, expected = stream.step(data[:, t]), of_whole(model, method, data, t + 1)
        assert found.shape == expected.shape and found.dtype == expected.dtype
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
        else:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "estimator, method", [(TRANSFORMER, "transform"), (CLASSIFIER, "predict_proba"), (REGRESSOR, "predict")]
)
def test_each_estimator_tells_what_it_is_for(estimator, method):
    model = make_model(estimator, y=LABELS)
    found = model.stream().step(X[0, 0])
    expected = getattr(model, method)(X[:1, :1])[0]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("given", ["float32", "list", "int", "strided", "float16", "objects", "big-endian"])
def test_steps_come_as_any_array_of_numbers(given):
    model = make_model()
    data = np.round(X * 3)
    ways = {
        **{"float32": lambda x: x.astype(np.float32), "list": list, "int": lambda x: x.astype(int)},
        **{"strided": lambda x: np.repeat(x, 2)[::2], "float16": lambda x: x.astype(np.float16)},
        **{"objects": lambda x: x.astype(object), "big-endian": lambda x: x.astype(">f8")},
    }
    stream = model.stream()
    found = [stream.step(ways[given](step)) for step in data[0]]
    np.testing.assert_allclose(found[-1], model.transform(data[:1])[0], rtol=1e-8, atol=1e-10)


def test_values_far_away_are_taken_without_a_warning():
    model = make_model()
    data = np.full((1, 2, 3), 1e308)
    stream = model.stream()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [stream.step(step) for step in data[0]]
    np.testing.assert_allclose(found[-1], model.transform(data)[0])


def test_a_step_of_missing_values_alone_is_a_step():
    model = make_model(data=GAPPY, handle_missing="mask")
    data = X[:1, :6].copy()
    data[0, 3] = np.nan
    stream = model.stream()
    found = [stream.step(step) for step in data[0]]
    np.testing.assert_allclose(found[-1], model.transform(data)[0], rtol=1e-8)


def test_some_streams_take_steps_and_the_others_stay():
    model = make_model(window=3)
    stream, lengths = model.stream(4), np.zeros(4, int)
    for chosen in [[0, 3], [2], [3, 0, 1], [3], [1, 2], [0, 1, 2, 3], np.array([False, True, True, False])]:
        chosen = np.flatnonzero(chosen) if isinstance(chosen, np.ndarray) else np.array(chosen)
        steps = np.stack([X[number, lengths[number]] for number in chosen])
        found = stream.step(steps, streams=chosen)
        lengths[chosen] += 1
        whole = [model.transform(X[number : number + 1, : lengths[number]])[0] for number in chosen]
        np.testing.assert_allclose(found, whole, rtol=1e-8, atol=1e-10)
    np.testing.assert_array_equal(stream.n_steps, lengths)


def test_one_stream_of_several_takes_a_step_of_one_axis():
    stream = make_model().stream(3)
    alone = stream.step(X[0, 0], streams=1)
    assert alone.ndim == 1 and stream.step(X[:1, 1], streams=[True, False, False]).ndim == 2
    assert [1, 1, 0] == stream.n_steps.tolist()


def test_a_mask_says_which_streams_take_a_step():
    stream = make_model().stream(3)
    stream.step(X[:2, 0], streams=[True, False, True])
    assert [1, 0, 1] == stream.n_steps.tolist()


@pytest.mark.parametrize("window", [4, None])
def test_reset_streams_begin_anew_and_the_others_go_on(window):
    model = make_model(window=window, pooling="mean_max", embedding="convolution", position="rotary")
    stream = model.stream(2)
    for t in range(100):
        stream.step(X[:2, t % 23])
    stream.reset(1)
    for t in range(9):
        found = stream.step(np.stack([X[0, t], X[5, t]]))
    np.testing.assert_allclose(found[1], model.transform(X[5:6, :9])[0], rtol=1e-8, atol=1e-10)
    whole = np.concatenate([np.resize(X[0], (100, 3)), X[0, :9]])
    np.testing.assert_allclose(found[0], model.transform(whole[np.newaxis])[0], rtol=1e-8, atol=1e-10)
    assert [0, 0] == stream.reset().n_steps.tolist()


@pytest.mark.parametrize("way", [lambda s: s.copy(), copy.deepcopy, copy.copy, lambda s: pickle.loads(pickle.dumps(s))])
@pytest.mark.parametrize("window", [4, None])
def test_copies_go_on_with_the_same_bits_and_change_nothing(way, window):
    model = make_model(CLASSIFIER, TIMED, n_estimators=2, time_feature=3, window=window)
    stream = model.stream(2)
    for t in range(9):
        stream.step(TIMED[:2, t])
    other = way(stream)
    there = [other.step(TIMED[:2, t]) for t in range(9, 23)]
    assert [9, 9] == stream.n_steps.tolist()
    here = [stream.step(TIMED[:2, t]) for t in range(9, 23)]
    np.testing.assert_array_equal(there, here)
    with pytest.raises(ValueError, match="goes backwards"):
        other.step(TIMED[:2, 0])


def test_a_later_fit_changes_no_stream():
    model = make_model(warm_start=True)
    expected = model.transform(X[:1])[0]
    stream = model.stream()
    for step in X[0, :-1]:
        stream.step(step)
    model.fit(X, LABELS)
    model.partial_fit(X * 3 + 1, LABELS)
    np.testing.assert_allclose(stream.step(X[0, -1]), expected, rtol=1e-8, atol=1e-10)
    assert np.abs(model.transform(X[:1])[0] - expected).max() > 1e-3


def test_streams_leave_the_model_as_it_was():
    model = make_model(position="sinusoidal")
    before = {name: weight.copy() for name, weight in model.weights_.items()}, model.transform(X)
    stream = model.stream(12)
    for t in range(23):
        stream.step(X[:, t])
    np.testing.assert_array_equal(model.transform(X), before[1])
    assert all(np.array_equal(weight, before[0][name]) for name, weight in model.weights_.items())


@pytest.mark.parametrize("position", ["sinusoidal", "rotary", "alibi", "relative", "none"])
def test_memory_is_bounded_under_a_window(position):
    stream = make_model(window=100, position=position).stream(2)
    sizes_of = []
    for t in range(400):
        stream.step(X[:2, t % 23])
        sizes_of.append(stream.nbytes)
    assert sizes_of[0] < sizes_of[105] == sizes_of[-1]
    endless = make_model(position=position).stream(2)
    for t in range(400):
        endless.step(X[:2, t % 23])
    assert endless.nbytes > 2 * sizes_of[-1]
    assert endless.reset([0, 1]).nbytes == sizes_of[0]


def test_later_places_than_any_at_fit_are_told_by_what_has_no_table():
    for position in ("sinusoidal", "rotary", "alibi", "relative"):
        model = make_model(position=position, window=5)
        stream = model.stream()
        long = np.resize(X[0], (120, 3))
        found = [stream.step(step) for step in long]
        np.testing.assert_allclose(found[-1], model.transform(long[np.newaxis])[0], rtol=1e-8, atol=1e-10)


def test_learned_positions_end():
    stream = make_model(position="learned").stream(2)
    for t in range(23):
        stream.step(X[:1, t], streams=[1])
    with pytest.raises(ValueError, match='Stream 1 has taken 23 steps, and position="learned" has no vector for'):
        stream.step(X[:2, 0])
    assert [0, 23] == stream.n_steps.tolist()
    stream.step(X[0, 0], streams=0)
    stream.reset(1).step(X[:2, 1])
    assert [2, 1] == stream.n_steps.tolist()


REFUSED_MODELS = {
    "each step of this model attends to steps after it": {"causal": False},
    "attends to steps after it": {"causal": False, "window": (3, 1)},
    "the stem makes tokens of whole sequences": {"embedding": "random_convolution", "n_kernels": 16},
    "a token is made of 2 steps here": {"patch_size": 2},
}


@pytest.mark.parametrize("message, parameters", REFUSED_MODELS.items(), ids=REFUSED_MODELS)
def test_models_that_look_ahead_have_no_streams(message, parameters):
    with pytest.raises(ValueError, match=message):
        make_model(**parameters).stream()


def test_levels_of_whole_sequences_have_no_streams():
    model = make_model(REGRESSOR, y=VALUES, normalise_target="sequence")
    with pytest.raises(ValueError, match="values are counted from the level of the whole sequence"):
        model.stream()


@pytest.mark.parametrize("output", ["predict_proba", "attention_weights", "fit", 3])
def test_only_methods_that_the_estimator_has_are_told(output):
    with pytest.raises(ValueError, match=r"is no method of SelfAttentionTransformer .* there are transform\."):
        make_model().stream(output=output)


@pytest.mark.parametrize("n_streams", [0, -1, 2.5, True, "2", None])
def test_numbers_of_streams_are_whole_and_positive(n_streams):
    with pytest.raises(ValueError, match="n_streams=.*; give a whole number from 1 on"):
        make_model().stream(n_streams)


def test_more_streams_than_memory_holds_are_refused(monkeypatch):
    model = make_model()
    monkeypatch.setattr("skattn._stream_checks.memory", lambda: 1e5)
    with pytest.raises(ValueError, match="n_streams=1000 streams keep at least"):
        model.stream(1000)
    assert sizes.memory() > 1e5


def test_an_estimator_that_is_not_fitted_has_no_stream():
    with pytest.raises(ValueError, match="not fitted"):
        TRANSFORMER(causal=True).stream()


REFUSED_STEPS = {
    r"x has shape \(2,\), and \(1, 3\), a row for each stream": (1, np.zeros(2)),
    r"x has shape \(\), and": (1, np.zeros(())),
    r"x has shape \(\), and \(2, 3\)": (2, np.zeros(())),
    r"x has shape \(3,\), and \(2, 3\), .*streams= says which": (2, np.zeros(3)),
    r"x has shape \(1, 3\), and": (2, np.zeros((1, 3))),
    r"x has shape \(1, 1, 3\)": (1, np.zeros((1, 1, 3))),
    "The step of stream 0 has NaN at feature 1; fit with handle_missing": (1, [0, np.nan, 1]),
    "The step of stream 1 has infinity at feature 2": (2, [[0, 1, 2], [3, 4, -np.inf]]),
    "Complex data not supported: The step": (1, np.zeros(3, complex)),
    "The step has dtype <U1": (1, ["a", "b", "c"]),
    "The step cannot be read as numbers": (1, np.array([{}, 1, 2], object)),
    "The step has masked entries": (1, np.ma.masked_equal([1, 2, 3], 2)),
}


@pytest.mark.parametrize("message, case", REFUSED_STEPS.items(), ids=REFUSED_STEPS)
def test_what_is_no_step_is_refused_before_it_is_taken(message, case):
    n_streams, x = case
    stream = make_model().stream(n_streams)
    first = stream.step(X[:n_streams, 0])
    with pytest.raises((TypeError, ValueError), match=message):
        stream.step(x)
    assert [1] * n_streams == stream.n_steps.tolist()
    np.testing.assert_array_equal(stream.reset().step(X[:n_streams, 0]), first)


REFUSED_STREAMS = {
    "There is no stream 2: streams are numbered from 0 to 1": [2],
    "There is no stream -1": -1,
    "streams names stream 1 twice": [1, 1],
    r"streams=\[\]; give the number of a stream": [],
    "streams=0.5; give": 0.5,
    r"streams=\[False, False\]; give|is true for one of them": [False, False],
    "streams='all'; give": "all",
    r"streams=\[\[0\], \[1\]\]; give": [[0], [1]],
}


@pytest.mark.parametrize("message, streams", REFUSED_STREAMS.items(), ids=REFUSED_STREAMS)
def test_streams_that_are_not_there_are_refused(message, streams):
    stream = make_model().stream(2)
    for call in (lambda: stream.step(X[:2, 0], streams=streams), lambda: stream.reset(streams)):
        with pytest.raises(ValueError, match=message):
            call()
    assert [0, 0] == stream.n_steps.tolist()


@pytest.mark.parametrize("code, message", [(-1, "has -1 at feature 3"), (0.5, "has 0.5 at"), (2.0**24, "has 16777216")])
def test_numbers_that_are_no_codes_are_refused(code, message):
    stream = make_model(data=CODED, categorical_features=[3]).stream()
    with pytest.raises(ValueError, match=message):
        stream.step([0, 0, 0, code])
    assert stream.step([0, 0, 0, 77]).shape == (24,)


def test_times_go_forwards_in_each_stream():
    stream = make_model(data=TIMED, time_feature=3).stream(2)
    stream.step([[0, 0, 0, 5], [0, 0, 0, 7]])
    stream.step([[0, 0, 0, 5.0], [0, 0, 0, 7.5]])
    with pytest.raises(ValueError, match="The time of stream 1 goes backwards: 6 comes after 7.5"):
        stream.step([[0, 0, 0, 6], [0, 0, 0, 6]])
    stream.reset(1).step([[0, 0, 0, 6], [0, 0, 0, 6]])


def test_a_missing_time_is_refused_though_values_may_be_missing():
    stream = make_model(data=TIMED, time_feature=3, handle_missing="mask").stream()
    stream.step([np.nan, 0, 0, 5])
    with pytest.raises(ValueError, match="has NaN at feature 3, which says when it was"):
        stream.step([0, 0, 0, np.nan])
    with pytest.raises(ValueError, match="has infinity at feature 0"):
        stream.step([np.inf, 0, 0, 6])


def test_weights_that_overflow_are_named():
    model = make_model(n_estimators=2)
    stream = model.stream()
    model._model.members[1].network.weights["norm.scale"][:] = 1e308
    with pytest.raises(ValueError, match="its weights are as large as 1e"):
        stream.step(X[0, 0])


@pytest.mark.parametrize("part", ["states", "n_steps", "fewer", "rooms"])
def test_damage_in_a_pickle_is_found(part):
    stream = make_model(window=4).stream(2)
    stream.step(X[:2, 0])
    state = stream.__getstate__()
    changes = {
        "states": {"states": [state["states"][0], state["states"][1][:, :-16]]},
        "n_steps": {"n_steps": np.array([1, -1])},
        "fewer": {"states": state["states"][:1]},
        "rooms": {"states": [one[:, : one.shape[1] % 16] for one in state["states"]]},
    }
    with pytest.raises(ValueError, match="damaged"):
        object.__new__(type(stream)).__setstate__(state | changes[part])


def test_what_was_told_from_others_streams_as_well():
    """Views are changed while learning only."""
    X = np.random.default_rng(0).normal(size=(11, 17, 3))
    settings = SMALL | {"objective": "contrastive", "causal": True, "position": "rotary", "embedding": "linear"}
    model = SelfAttentionTransformer(**settings).fit(X)
    stream = model.stream()
    for step in X[0]:
        features = stream.step(step)
    np.testing.assert_allclose(features, model.transform(X[:1])[0], rtol=1e-9, atol=1e-11)
