"""Judge a case: run it, and compare what came with the plain reference, or with what an error must be."""

import copy
import io
import pickle
import warnings
from numbers import Integral

import numpy as np
import pandas as pd
import reference
from array_cases import EITHER, REFUSED, RIGHT, ArrayCase
from preparations import Preparation
from sklearn.base import clone

from skattn import SelfAttentionRegressor, attention, attention_weights
from skattn.functional import attention_backward

ERRORS = (ValueError, TypeError)
# Words of errors that come from deep inside, and tell a user nothing.
NO_HELP = (
    "math domain error", "cannot convert float NaN", "ufunc '", "truth value", "only integer scalar",
    "has no len", "not subscriptable", "not iterable", "unhashable", "could not broadcast",
    "object has no attribute", "int() argument", "buffer", "Unable to allocate", "maximum recursion",
)  # fmt: skip
PREDICTIONS = {"predict", "predict_proba", "predict_log_proba", "decision_function"}
CHECKED_SAMPLES = 3
LARGE = 100  # weights of a network that went astray


def judge(case):
    """Run a case; "right" or "refused", or an AssertionError that says what is wrong."""
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("ignore")
        # What overflows unnoticed is a warning of NumPy's.
        warnings.simplefilter("error", RuntimeWarning)
        if isinstance(case, Preparation):
            return _judge_preparation(case)
        return _judge_arrays(case) if isinstance(case, ArrayCase) else _judge_estimator(case)


def _judge_preparation(case):
    before = _print_of(case.X)
    verdict = case.judge()
    assert before == _print_of(case.X), "X was changed"
    return verdict


def _judge_estimator(case):
    estimator = case.estimator(**case.parameters)
    given = (case.X, case.y, case.options)
    verdict = _call(estimator, case.method, given, case, case.expected, case.X, case.y, **case.options)
    if verdict == "right" and case.plain is not None:
        results = _compare_with_plain(estimator, case)
        _compare_with_reference(estimator, case.plain, results)
        _check_score(estimator, case)
        _check_codes(estimator, case)
    for method, X, y, expected in case.later:
        estimator, verdict = _go_on(estimator, method, X, y, expected, case)
    return verdict


def _go_on(estimator, method, X, y, expected, case):
    """One later call: the estimator to go on with, and "right" or "refused"."""
    if method == "set_params":
        return estimator.set_params(**X), "right"
    if method == "pickle":
        read = pickle.loads(pickle.dumps(estimator))
        if hasattr(estimator, "_model"):
            _assert_same(_results(read, case.plain), _results(estimator, case.plain), "from a pickle")
        return read, "right"
    if method not in ("fit", "partial_fit") and not hasattr(estimator, "_model"):
        expected = REFUSED  # what was called before was refused
    arguments = (X, y) if method in ("fit", "partial_fit") else (X,)
    verdict = _call(estimator, method, (X, y), case, expected, *arguments)
    if verdict == "right" and method in ("fit", "partial_fit"):
        _compare_with_reference(estimator, case.plain, _results(estimator, case.plain))
    elif verdict == "right" and expected == RIGHT:
        _compare_with_reference(estimator, X, _results(estimator, X))
    return estimator, verdict


def _call(estimator, method, given, case, expected, *arguments, **options):
    """Call a method: "right", or "refused" with words that help and nothing changed."""
    before, state = _print_of(given), _state_of(estimator)
    try:
        result = getattr(estimator, method)(*arguments, **options)
    except ERRORS as error:
        assert expected != RIGHT, f"{method} refused what is sound: {error!r}"
        _check_words(error)
        assert expected != REFUSED or case.says in str(error), f"an error that does not say {case.says!r}: {error!r}"
        assert state == _state_of(estimator), f"{method} failed and left another state behind"
        verdict = "refused"
    else:
        assert expected != REFUSED, f"{method} took what it must refuse"
        if method == "transform":
            # As it was at fit: what is set since counts from the next fit on.
            padding = estimator._model.network.architecture.pooling is None
            assert np.isfinite(result).all() or padding, "features that are not finite"
        verdict = "right"
    assert before == _print_of(given), f"{method} changed what it was given"
    return verdict


def _check_words(error):
    words = str(error)
    assert len(words) > 20, f"an error without words: {error!r}"
    assert not any(phrase in words for phrase in NO_HELP), f"an error that does not help: {error!r}"


class _Printer(pickle.Pickler):
    """Writes what frames hold; pickles of their own show caches as well."""

    def reducer_override(self, value):
        if isinstance(value, pd.DataFrame | pd.Series):
            return str, (f"{value.shape} {value.dtypes} {value.index}",), None, iter(value.to_numpy(object).tolist())
        return NotImplemented


def _print_of(given):
    """Bytes that tell whether anything was changed."""
    try:
        file = io.BytesIO()
        _Printer(file).dump(given)
        return file.getvalue()
    except (TypeError, AttributeError, pickle.PicklingError, RecursionError):
        return [_print_of(part) for part in given] if isinstance(given, tuple) else repr(type(given))


def _state_of(estimator):
    return pickle.dumps(vars(estimator))


def _results(estimator, X):
    """All that a fitted estimator says about X."""
    names = ("transform", "attention_weights", *sorted(PREDICTIONS))
    results = {name: getattr(estimator, name)(X) for name in names if hasattr(estimator, name)}
    for name, result in results.items():
        assert len(result) == len(results["transform"]), name
    return results


def _compare_with_plain(estimator, case):
    """The same as for the same sequences, given plainly as a list of float arrays; gives what came of those."""
    before = _print_of(case.X)
    results, expected = _results(estimator, case.X), _results(estimator, case.plain)
    assert before == _print_of(case.X), "X was changed"
    inside = [_without_padding(estimator, one, case.plain) for one in (results, expected)]
    _assert_same(*inside, "of the same sequences given plainly")
    if estimator.random_state is not None and "X_val" not in case.options:
        n_jobs = 2 if estimator.n_jobs == 1 else 1
        other = clone(estimator).set_params(n_jobs=n_jobs)
        getattr(other, case.method)(case.plain, case.y, **copy.copy(case.options))
        _assert_same(other.weights_, estimator.weights_, "learned from a plain list, by another number of threads")
    alone = _without_padding(estimator, _results(estimator, case.plain[-1:]), case.plain[-1:])
    _assert_same(alone, {name: result[-1:] for name, result in inside[1].items()}, "of a sequence alone")
    return expected


def _without_padding(estimator, results, plain):
    """What is said of valid steps alone, for X may be padded further."""
    names = set() if estimator.pooling is not None else {"transform"}
    names |= set(results) & PREDICTIONS if estimator._model.network.architecture.is_stepwise else set()
    return results | {name: [a[: len(b)] for a, b in zip(results[name], plain, strict=True)] for name in names}


def _assert_same(results, expected, what):
    """The same bits under the same names."""
    assert results.keys() == expected.keys()
    for name, result in results.items():
        whole = isinstance(result, np.ndarray) and result.dtype != object
        for got, wanted in [(result, expected[name])] if whole else zip(result, expected[name], strict=True):
            np.testing.assert_array_equal(got, wanted, err_msg=f"{name} {what}")


def _check_codes(estimator, case):
    """The codes that are known are those that fit has seen, but where samples were left out."""
    network = estimator._model.network
    if case.kind != "features":
        return
    steps = np.concatenate(case.plain)
    for (column, _), known in zip(network.architecture.categories, network.codes, strict=True):
        codes = steps[:, column]
        np.testing.assert_array_equal(known, np.unique(codes[~np.isnan(codes)]) if not np.isnan(codes).all() else [0])


def _compare_with_reference(estimator, plain, results):
    """Every result is what the reference makes of the learned weights, in float64."""
    network = estimator._model.network
    if np.abs(network.parameters).max() > LARGE or network.architecture.top_k:
        plain = []  # a rounding error decides who attends to what
    if len(estimator._model.members) > 1 or (network.stem is not None and network.dtype == np.float32):
        plain = []  # what the networks say is averaged; a token's error is no multiple of a float's
    for i, steps in enumerate(plain[:CHECKED_SAMPLES]):
        given = estimator, network, np.asarray(steps, np.float64)
        truth = _reference_results(*given, np.float64)
        rough = _reference_results(*given, np.float32) if network.dtype == np.float32 else truth
        for name, wanted in truth.items():
            got = results[name][i]
            if name == "transform" and network.architecture.pooling is None:
                assert np.isnan(got[len(steps) :]).all(), "padding that is not NaN"
                got = got[: len(steps)]
            # What is counted from a level is the difference of two numbers as large as that.
            levels = estimator._model.target.features if name == "predict" else None
            beside = 0.0 if levels is None else np.abs(_level_of(given[2], estimator._model.target)[1]).max()
            _assert_close(got, wanted, rough[name], network.dtype, name, beside)
    if hasattr(estimator, "predict"):
        _check_predictions(estimator, results)
    numbers = {name: result for name, result in results.items() if name not in ("transform", "predict")}
    assert all(np.isfinite(value).all() for result in numbers.values() for value in result), "not finite"


def _check_predictions(estimator, results):
    """Classes that there are, probabilities that add up to 1, and as many columns as y had."""
    of_steps = estimator._model.network.architecture.is_stepwise
    rows = {
        name: np.concatenate(list(results[name])) if of_steps else results[name] for name in PREDICTIONS & set(results)
    }
    if "predict_proba" in rows and estimator.objective_ == "cross_entropy":
        np.testing.assert_allclose(rows["predict_proba"].sum(axis=1), 1, rtol=1e-5)
        assert np.isin(rows["predict"], estimator.classes_).all()
    if isinstance(estimator, SelfAttentionRegressor):
        assert rows["predict"].ndim == (1 if estimator._model.target.is_column else 2)


def _reference_results(estimator, network, steps, dtype):
    """What the public methods should give for one sequence."""
    weights, given = network.weights, steps
    with np.errstate(all="ignore"):
        scaling, unit = (network.mean, network.scale), network.time_unit[0]
        steps = _numbered(steps, network)
        if network.stem is not None:
            steps, scaling = reference.tokens(_on_lines(steps, network.mean), *scaling, network.stem), (None, None)
        all_of_it = reference.forward(weights, network.architecture, steps, *scaling, dtype=dtype, unit=unit)
        a, at = network.architecture, f"layers.{network.architecture.n_layers - 1}."
        query = reference.split_heads(all_of_it[at + "query"], a.n_heads)
        key = reference.split_heads(all_of_it[at + "key"], a.n_kv_heads)
        when, layer = reference.times(steps, query.shape[1], a, unit), a.n_layers - 1
        result = {
            "transform": all_of_it["steps"] if a.pooling is None else all_of_it["features"],
            "attention_weights": reference.architecture_weights(query, key, weights, a, layer, when),
        }
    if hasattr(estimator, "predict"):
        rows = _reference_predictions(estimator, np.atleast_2d(all_of_it["outputs"]), given)
        result |= rows if a.is_stepwise else {name: row[0] for name, row in rows.items()}
    return result


def _reference_predictions(estimator, outputs, steps):
    """What is said of each row of outputs: of a sequence, or each of its steps."""
    target = estimator._model.target
    with np.errstate(all="ignore"):
        if isinstance(estimator, SelfAttentionRegressor):
            if target.quantiles:  # the median is the second of three
                outputs = np.sort(outputs.reshape(len(outputs), -1, len(target.quantiles)), axis=2)[:, :, 1]
            values = outputs * target.scale + target.mean
            if target.features is not None:
                deviation, level = _level_of(steps, target)
                values = values * np.maximum(deviation, target.floors) + level
            return {"predict": values[:, 0] if target.is_column else values}
        if estimator.objective_ != "cross_entropy":
            return {"decision_function": outputs}
        logs = np.array([row - reference.cross_entropy(row, [0]) - row[0] for row in outputs])
    return {"predict_log_proba": logs, "predict_proba": np.exp(logs)}


def _numbered(steps, network):
    """Steps whose codes are 0, 1, ... as the reference knows them, and past the known ones where they are unknown."""
    steps = steps.copy()
    for (column, n_codes), known in zip(network.architecture.categories, network.codes or (), strict=True):
        numbers = {code: number for number, code in enumerate(known.tolist())}
        steps[:, column] = [numbers.get(code, n_codes) for code in steps[:, column].tolist()]
    return steps


def _on_lines(steps, mean):
    """Steps with straight lines where values are missing, as a stem takes them."""
    steps, at = steps.copy(), np.arange(len(steps))
    for column, level in zip(steps.T, mean, strict=True):
        there = ~np.isnan(column)
        column[:] = np.interp(at, at[there], column[there]) if there.any() else level
    return steps


def _level_of(steps, target):
    """Deviation and mean of the features that values are counted from, of what is there."""
    own = steps[:, target.features]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is missing in all steps
        return [np.nan_to_num(measure(own, axis=0)) for measure in (np.nanstd, np.nanmean)]


def _assert_close(got, wanted, rough, dtype, name, beside=0.0):
    """In float64 to 7 digits; in float32 it may err a few times as much as the plain float32 computation."""
    wanted, rough = np.asarray(wanted, np.float64), np.asarray(rough, np.float64)
    if not np.isfinite(wanted).all() or (dtype == np.float32 and not np.isfinite(rough).all()):
        return
    size = np.abs(wanted).max(initial=max(beside, 1e-300))
    allowed = 1e-7 * (1 + size) if dtype == np.float64 else 10 * np.abs(rough - wanted).max() + 1e-4 * (1 + size)
    error = np.abs(np.asarray(got, np.float64) - wanted).max()
    assert error <= allowed, f"{name} errs by {error:.2g}, where {allowed:.2g} is allowed: {got} for {wanted}"


def _check_score(estimator, case):
    if hasattr(estimator, "score") and case.expected == RIGHT and case.kind != "several calls":
        assert np.isfinite(estimator.score(case.X, case.y)), "a score that is not finite"


def _judge_arrays(case):
    """Attention, its weights and gradients; against the reference, sample by sample."""
    before = _print_of(case.arrays)
    try:
        output, log_sum_exp = attention(*case.arrays, **case.options, return_log_sum_exp=True)
    except ERRORS as error:
        assert case.expected != RIGHT, f"attention refused what is sound: {error!r}"
        _check_words(error)
        assert before == _print_of(case.arrays), "attention changed what it was given"
        return "refused"
    assert case.expected != REFUSED, "attention took what it must refuse"
    d_output = np.random.default_rng(0).normal(size=output.shape).astype(output.dtype)
    weights = attention_weights(*case.arrays[:2], **case.options)
    gradients = attention_backward(*case.arrays, d_output, **case.options)
    assert before == _print_of(case.arrays), "attention changed what it was given"
    query, key, value = arrays = [np.asarray(array, np.float64) for array in case.arrays]
    window = _bounds(case.options)
    sparse = [
        min(int(case.options.get(name, usual)), 10**9) for name, usual in (("dilation", 1), ("n_global_steps", 0))
    ]
    for i, (n_steps, n_keys) in enumerate(_lengths(case, query, key)):
        inside = query[i, :, :n_steps], key[i, :, :n_keys], value[i, :, :n_keys]
        scale, offset = case.options.get("scale"), n_keys - n_steps if case.options.get("causal") == "end" else 0
        seen = {
            "allowed": reference.attends(n_steps, n_keys, window, *sparse, offset),
            "top_k": case.options.get("top_k"),
        }
        _compare_heads(output[i], reference.attention(*inside, scale=scale, **seen), "output")
        _compare_heads(weights[i], reference.attention_weights(*inside[:2], scale=scale, **seen), "weights")
        sees_none = np.broadcast_to(~seen["allowed"].any(axis=1), log_sum_exp[i, :, :n_steps].shape)
        np.testing.assert_array_equal(np.isfinite(log_sum_exp[i, :, :n_steps]), ~sees_none)
        d_inside = d_output[i, :, :n_steps].astype(np.float64)
        expected = reference.attention_gradient(*inside, d_inside, scale=scale, **seen)
        terms = _gradient_terms(*arrays, d_output.astype(np.float64), scale)
        # One number that is added to all scores changes nothing, and its gradient comes fourth.
        for got, wanted, term, name in zip(gradients[:3], expected, terms, ("query", "key", "value"), strict=True):
            _compare_heads(got[i], wanted, f"gradient by {name}", term)
    return "right"


def _bounds(options):
    window = options.get("window")
    left, right = (window, window) if isinstance(window, Integral) else window or (None, None)
    far = 10**9  # beyond any sequence, within int64
    left, right = (None if side is None else min(int(side), far) for side in (left, right))
    return left, 0 if options.get("causal") else right


def _lengths(case, query, key):
    """Valid queries and keys of each sample."""
    lengths = case.options.get("lengths")
    if lengths is None:
        return [(query.shape[2], key.shape[2])] * len(query)
    if not isinstance(lengths, tuple):
        lengths = lengths, lengths
    return list(zip(*(np.broadcast_to(one, len(query)) for one in lengths), strict=True))


def _gradient_terms(query, key, value, d_output, scale):
    """How large the terms are, at most, whose sums are the gradients: they may all but cancel."""
    scale = query.shape[3] ** -0.5 if scale is None else abs(scale)
    d_score = scale * np.abs(d_output).sum(axis=3).max() * np.abs(value).max()
    return d_score * np.abs(key).max(), d_score * np.abs(query).max(), 0


def _compare_heads(got, wanted, name, term=0):
    """Close where there is something to see, and 0 beyond; a sum of terms errs by their rounding."""
    inside = got[:, : wanted.shape[1], : wanted.shape[2]].astype(np.float64)
    size = np.abs(wanted).max(initial=0)
    tolerance = (1e-9 if got.dtype == np.float64 else 1e-2) * (1 + size) + 8 * np.finfo(got.dtype).eps * term
    np.testing.assert_allclose(inside, wanted, rtol=0, atol=tolerance, err_msg=name)
    beyond = got.copy()
    beyond[:, : wanted.shape[1], : wanted.shape[2]] = 0
    assert not beyond.any(), f"{name} beyond the lengths"


__all__ = ["judge", "EITHER"]
