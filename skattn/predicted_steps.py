"""What networks tell of steps, in the units of X: those that follow, and what is missing of those that are there."""

from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._kernels.scaling import FAR
from skattn._network.network import Network
from skattn._steps import Steps
from skattn._training.objectives import mean_outputs
from skattn._wording import shortened
from skattn.held_categories import words_of, words_of_all
from skattn.sequences import Sequences
from skattn.stepwise import map_steps


def read_steps(
    outputs: list[NDArray[Any]], network: Network, allowed: list[NDArray[np.bool_]] | None = None
) -> NDArray[np.float64]:
    """Read what several networks tell of steps: mean numbers, and the codes that are most probable.

    Parameters
    ----------
    outputs : list of ndarray of shape (n_rows, n_outputs)
        Of each network: a number for each feature that is one, in deviations, and then those of the codes.
    network : Network
        One of them.
    allowed : list of bool array of shape (n_rows, n_codes), optional
        For each category the codes that there may be; all by default.

    Returns
    -------
    steps : ndarray of shape (n_rows, n_features), float64
        In the units of X; NaN for the feature that is a time.
    """
    architecture = network.architecture
    numbers, first = list(architecture.numbers), len(architecture.numbers)
    steps = np.full((len(outputs[0]), architecture.n_features), np.nan)
    told_of_all = mean_outputs([part.astype(np.float64) for part in outputs])
    deviations = told_of_all[:, :first]
    with np.errstate(over="ignore"):  # what overflows is refused by who gives it away
        steps[:, numbers] = _let_out(deviations) * network.scale[numbers] + network.mean[numbers]
    for place, ((column, n_codes), codes) in enumerate(zip(architecture.categories, network.codes, strict=True)):
        told = told_of_all[:, first : first + n_codes]
        if allowed is not None:
            told = np.where(allowed[place], told, -np.inf)
        steps[:, column] = codes[told.argmax(axis=1)]
        first += n_codes
    return steps


def _let_out(deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take back that networks rein in what is far away: see `skattn._kernels.scaling.reined_in`."""
    size = np.abs(deviations)
    return np.where(size > FAR, np.sign(deviations) * (FAR + np.expm1(np.maximum(size, FAR) - FAR)), deviations)


def forecast(estimator: Any, X: Any, n_steps: int) -> NDArray[Any]:
    """Tell the steps that follow, each from those before it and those told already.

    Parameters
    ----------
    estimator : SelfAttentionTransformer
        Fitted with ``objective="next_step"``.
    X : sequences, as in `fit`
    n_steps : int

    Returns
    -------
    steps : ndarray of shape (n_samples, n_steps, n_features), or (n_samples, n_steps * n_features) where X was 2-D

    Raises
    ------
    ValueError
        If it has learned something else, `n_steps` is no number of steps, or what is told exceeds the precision of X.
    """
    if isinstance(n_steps, bool) or not isinstance(n_steps, Integral) or n_steps < 1:
        raise ValueError(f"n_steps={shortened(n_steps)} is no number of steps to forecast; give 1 or more.")
    if estimator.objective_ != "next_step":
        raise ValueError(
            'forecast goes on with what objective="next_step" has learned, and this transformer has learned '
            f'"{estimator.objective_}"; set objective="next_step" and fit again.'
        )
    data, network, n_steps = estimator._read_in_form(X), estimator._model.network, int(n_steps)
    going, places = _with_room(data, n_steps), np.arange(n_steps)
    for _ in range(n_steps):
        last = np.cumsum(going.lengths) - 1
        told = read_steps([outputs[last] for outputs in estimator._carry(going, "outputs")], network)
        rows = going.starts + going.lengths
        time = network.architecture.time_feature
        if time is not None:
            told[:, time] = going.values[rows - 1, time] + network.time_unit[0]
        with np.errstate(over="ignore"):
            going.values[rows] = told
        _refuse_too_large(going.values[rows])
        going = replace(going, lengths=going.lengths + 1, n_steps=going.n_steps + 1)
    steps = going.values[(going.starts + data.lengths)[:, np.newaxis] + places]
    return _as_given(steps, data, estimator)


def impute(estimator: Any, X: Any) -> Any:
    """Fill in what is missing.

    Parameters
    ----------
    estimator : SelfAttentionTransformer
        Fitted with ``objective="reconstruction"`` and ``handle_missing="mask"``.
    X : sequences, as in `fit`

    Returns
    -------
    filled : ndarray or list of ndarray
        In the form of X: see `map_steps`.

    Raises
    ------
    ValueError
        If it has learned something else, codes are missing of a sequence none of whose words fit has seen, or what is
        told exceeds the precision of X.
    """
    network = estimator._fitted.network
    if not network.architecture.hides_values:
        learned = f'objective "{estimator.objective_}", handle_missing="{estimator.handle_missing}"'
        raise ValueError(
            'impute fills in what objective="reconstruction" with handle_missing="mask" has learned to tell, and this '
            f"transformer was fitted with {learned}; set these, and fit again without y."
        )
    data, done = estimator._read_in_form(X), 0
    own_codes = _own_codes(X, estimator)

    def fill(steps: NDArray[np.float64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        nonlocal done
        is_missing, starts = np.isnan(steps), np.cumsum(lengths) - lengths
        allowed = _allowed(own_codes, is_missing, lengths, done, estimator) if own_codes else None
        done += len(lengths)
        if is_missing.any():
            part = Sequences(steps.copy(), starts, lengths, "ragged", int(lengths.max()), data.roles)
            steps[is_missing] = read_steps(estimator._carry(part, "outputs"), network, allowed)[is_missing]
        return steps

    filled = map_steps(data, fill, data.n_features, data.values.dtype)
    for number, tables in own_codes.items():
        _give_own_codes(filled[number][: data.lengths[number]], X[number], tables)
    if data.kind == "ragged" and words_of_all(X) is not None:
        filled = [_with_words(steps, sample) for steps, sample in zip(filled, X, strict=True)]
    return filled


def _with_words(steps: NDArray[Any], sample: Any) -> NDArray[Any]:
    """Steps that know what the sample knows of its columns."""
    return Steps(steps, sample.columns, sample.categories) if isinstance(sample, Steps) else steps


def _own_codes(X: Any, estimator: Any) -> dict[int, dict[int, NDArray[np.int64]]]:
    """Say of each sequence whose codes stand for something else than in fit, and each such feature, what codes mean.

    A table has the sequence's own code for each code of fit, -1 where none of its own stands for the same.
    """
    known = getattr(estimator, "_held_categories", None)
    if known is None or getattr(X, "columns", None) is not None:
        return {}
    columns = [column for column, _ in estimator._model.network.architecture.categories]
    result: dict[int, dict[int, NDArray[np.int64]]] = {}
    for number, sample in enumerate(X):
        held = words_of(sample)
        for column, wanted in zip(columns, known, strict=True):
            found = wanted if held is None or held[column] is None else held[column]
            if found is not None and wanted is not None and not np.array_equal(found, wanted):
                places = {category: place for place, category in enumerate(found.tolist())}
                table = np.array([places.get(category, -1) for category in wanted.tolist()], np.int64)
                result.setdefault(number, {})[column] = table
    return result


def _allowed(
    own_codes: dict[int, dict[int, NDArray[np.int64]]],
    is_missing: NDArray[np.bool_],
    lengths: NDArray[np.int64],
    first: int,
    estimator: Any,
) -> list[NDArray[np.bool_]]:
    """Say which codes each step may have: those that its sequence has a code of its own for."""
    network, ends = estimator._model.network, np.cumsum(lengths)
    result = [np.ones((len(is_missing), n_codes), bool) for _, n_codes in network.architecture.categories]
    for i, (end, length) in enumerate(zip(ends.tolist(), lengths.tolist(), strict=True)):
        for place, (column, _) in enumerate(network.architecture.categories):
            table = own_codes.get(first + i, {}).get(column)
            if table is None:
                continue
            codes = network.codes[place].astype(np.int64)
            has_own = (codes < len(table)) & (table[np.minimum(codes, len(table) - 1)] >= 0)
            if not has_own.any() and is_missing[end - length : end, column].any():
                words = estimator._held_categories[place].tolist()
                raise ValueError(
                    f"Values of feature {column} in sample {first + i} of X are missing, and none of the words of its "
                    f"codes is one that fit has seen, of {shortened(words, 80)}; make the column a category of these "
                    "in the frame that sequences_from_frame reads."
                )
            result[place][end - length : end] = has_own | ~has_own.any()
    return result


def _give_own_codes(steps: NDArray[Any], sample: Any, tables: dict[int, NDArray[np.int64]]) -> None:
    """Write the codes of a sequence's own words over those of fit, in place."""
    given = np.asarray(sample)
    for column, table in tables.items():
        own = given[: len(steps), column]
        is_missing = np.isnan(own)
        steps[is_missing, column] = table[steps[is_missing, column].astype(np.int64)]
        steps[~is_missing, column] = own[~is_missing]


def _with_room(data: Sequences, n_more: int) -> Sequences:
    """Give a copy of sequences with room for some steps behind each."""
    room = data.lengths + n_more
    starts = np.cumsum(room) - room
    values = np.zeros((int(room.sum()), data.n_features), data.values.dtype)
    for start, begin, length in zip(starts.tolist(), data.starts.tolist(), data.lengths.tolist(), strict=True):
        values[start : start + length] = data.values[begin : begin + length]
    return replace(data, values=values, starts=starts, kind="ragged")


def _refuse_too_large(steps: NDArray[Any]) -> None:
    if not np.isfinite(steps).all():
        sample, feature = np.argwhere(~np.isfinite(steps))[0]
        raise ValueError(
            f"What is told of sample {sample} of X exceeds {steps.dtype}, in feature {feature}; scale X before fit, or "
            "clip its extreme values."
        )


def _as_given(steps: NDArray[Any], data: Sequences, estimator: Any) -> NDArray[Any]:
    """Steps of all sequences in the form that X had; codes are whole numbers where there is nothing else."""
    n_categories = len(data.roles.categorical)
    if n_categories == data.n_features:
        steps = steps.astype(np.int64)
    if data.kind == "rows":
        return steps.reshape(len(steps), -1)
    names, known = getattr(estimator, "feature_names_in_", None), getattr(estimator, "_held_categories", None)
    if known is None:
        return steps
    held: list[NDArray[Any] | None] = [None] * data.n_features
    for column, words in zip(data.roles.categorical, known, strict=True):
        held[column] = words
    return Steps(steps, names, held)
