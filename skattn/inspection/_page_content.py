"""What stands in a page: sequences of a model or maps from anywhere, checked, and in the form that the page reads."""

from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._wording import shortened
from skattn.attention_maps import iterate
from skattn.base import SelfAttentionEstimator
from skattn.inspection._page_maps import bits_of, n_bytes
from skattn.inspection._page_sequences import PageSequence, read_labels
from skattn.inspection.attention_blocks import in_blocks

TITLE = "What attends to what"
TEXT, SIGNAL, TIME = "category", "number", "time"

# Rows of a long map that are computed at a time.
_ROWS = 4096


def check_limits(max_rows: Any, max_megabytes: Any, over: Any = "tokens") -> None:
    """Refuse limits that are no positive numbers, and maps over anything else.

    Raises
    ------
    ValueError
        If they are not.
    """
    if isinstance(max_rows, bool) or not isinstance(max_rows, Integral) or max_rows < 1:
        raise ValueError(f"max_rows={shortened(repr(max_rows), 60)}; give a whole number from 1 on, such as 1000.")
    if isinstance(max_megabytes, bool) or not isinstance(max_megabytes, Real) or not max_megabytes > 0:
        raise ValueError(f"max_megabytes={shortened(repr(max_megabytes), 60)}; give a number above 0, such as 50.")
    if over not in ("tokens", "steps"):
        raise ValueError(f"over={shortened(repr(over), 60)}; maps are over 'tokens' or 'steps'.")


def read_numbers(name: str, asked: Any, count: int) -> list[int]:
    """Tell which of several layers or networks are asked for, counted from 0.

    Raises
    ------
    ValueError
        If they are none of those that there are.
    """
    if asked is None:
        return list(range(count))
    numbers = [asked] if isinstance(asked, Integral) else asked
    try:
        numbers = list(numbers)
    except TypeError:
        numbers = []
    if not numbers or not all(isinstance(n, Integral) and not isinstance(n, bool) for n in numbers):
        raise ValueError(
            f"{name}={shortened(repr(asked), 60)}; give a number or a list of numbers from 0 to {count - 1}, or None, "
            "for all."
        )
    for n in numbers:
        if not -count <= n < count:
            raise ValueError(
                f"{name}={shortened(repr(asked), 60)}: {n} is none of the {count} {name} of the model; try {name}=-1, "
                "the last, or None for all."
            )
    return list(dict.fromkeys(int(n) % count for n in numbers))


def sequences_of(model: Any, data: Any, spans: list[NDArray[np.int64]], labels: Any) -> list[PageSequence]:
    """Give the sequences that a model reads, with labels.

    Parameters
    ----------
    model : fitted estimator
    data : Sequences
    spans : list of arrays of shape (n_tokens_i, 2)
    labels : sequence of sequences, or None
        None: times or categories, where steps have them.

    Raises
    ------
    ValueError
        If labels do not match the steps.
    """
    ends = data.starts + data.lengths
    steps = [data.values[start:end] for start, end in zip(data.starts.tolist(), ends.tolist(), strict=True)]
    held = getattr(model, "_held_categories", None)
    given = [_own_labels(own, data.roles, held) for own in steps] if labels is None else labels
    has_numbers = len(data.roles.no_numbers) < data.n_features
    worded = read_labels(given, data.lengths.tolist(), has_numbers)
    return [
        PageSequence(of_tokens, len(own), own, *said) for of_tokens, own, said in zip(spans, steps, worded, strict=True)
    ]


def _own_labels(steps: NDArray[Any], roles: Any, held: Any) -> list[Any] | None:
    """What steps say of themselves: of which categories they are where there are no numbers, or when they were."""
    if len(roles.no_numbers) < steps.shape[1]:
        return None if roles.time is None else steps[:, roles.time].tolist()
    known, codes = held or [()] * len(roles.categorical), steps[:, list(roles.categorical)].T.tolist()
    columns = [[_category(code, names) for code in column] for column, names in zip(codes, known, strict=True)]
    return [" · ".join(words) for words in zip(*columns, strict=True)]


def _category(code: float, names: Sequence[Any] | None) -> str:
    """What a code stands for, or the code."""
    if code != code:
        return "missing"
    return str(names[int(code)]) if names is not None and 0 <= code < len(names) else f"{code:g}"


def read_weights(weights: Any) -> list[list[NDArray[Any]]]:
    """Check maps from anywhere.

    Parameters
    ----------
    weights : sequence
        See `AttentionPage.from_weights`.

    Returns
    -------
    maps : list of lists of arrays of shape (n_heads, n_tokens, n_tokens)
        For each sequence its layers.

    Raises
    ------
    TypeError
        If weights are one array of up to three axes, or no sequence.
    ValueError
        If there are none, or they are no squares of shares, or layers differ.
    """
    if not isinstance(weights, (list, tuple)) and np.ndim(weights) != 4:
        came = f"an array of shape {weights.shape}" if isinstance(weights, np.ndarray) else shortened(repr(weights), 60)
        raise TypeError(f"weights is {came}; give a list with the map of each sequence: [weights] for one.")
    if not len(weights):
        raise ValueError("weights is an empty list; give the map of a sequence at least.")
    maps = []
    for number, own in enumerate(weights):
        layers = own if isinstance(own, (list, tuple)) else [own]
        maps.append([_read_map(layer, f"weights[{number}]", layers[0]) for layer in layers])
        if not layers or len(layers) != len(maps[0]):
            raise ValueError(
                f"weights[{number}] has {len(layers)} layers, and weights[0] has {len(maps[0])}; give every sequence "
                "the same layers, at least one."
            )
    return maps


def _read_map(given: Any, who: str, first: Any) -> NDArray[Any]:
    """One layer of one sequence, with an axis for heads."""
    try:
        weights = np.asarray(given)
        weights = weights if weights.dtype == np.float32 else weights.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{who} holds no numbers ({shortened(error, 100)}); give real arrays.") from error
    weights = weights[np.newaxis] if weights.ndim == 2 else weights
    if weights.ndim != 3 or 0 in weights.shape or weights.shape[1] != weights.shape[2]:
        raise ValueError(
            f"{who} has shape {np.shape(given)}; a page needs all rows and columns: (n_heads, n_tokens, n_tokens), or "
            "(n_tokens, n_tokens) for one head."
        )
    if weights.shape[-1] != np.shape(first)[-1]:
        raise ValueError(
            f"{who} has layers of {np.shape(first)[-1]} and of {weights.shape[-1]} tokens; give those of one."
        )
    least, most = weights.min(), weights.max()
    if not (least >= 0 and most <= 1.001):
        raise ValueError(
            f"{who} has weights from {least:.3g} to {most:.3g}; weights are shares, from 0 to 1, whose rows sum to 1. "
            "Give them after the softmax, and fill in what is missing."
        )
    return weights


def bits_within(
    n_heads: int, sequences: list[PageSequence], max_rows: int, max_megabytes: float, over: str = "tokens"
) -> int:
    """Choose the bits of a weight.

    Parameters
    ----------
    n_heads : int
        Of all layers and networks together.
    sequences : list of PageSequence
    max_rows, max_megabytes, over
        See `AttentionPage.from_estimator`.

    Raises
    ------
    ValueError
        If the page would be larger than allowed.
    """
    n_weights, size = n_bytes(n_heads, [len(sequence.spans) for sequence in sequences], max_rows)
    megabytes = (size + sum(sequence.n_bytes for sequence in sequences)) / 1e6
    if megabytes > max_megabytes:
        ways = "show fewer sequences, such as X[:1], or fewer layers or networks, lower max_rows"
        ways += ', take over="tokens"' if over == "steps" else ""
        longest = max(len(sequence.spans) for sequence in sequences)
        raise ValueError(
            f"The page would take {megabytes:.3g} MB, more than max_megabytes={max_megabytes:g}: {len(sequences)} "
            f"sequences of up to {longest} rows, by {n_heads} heads of all layers and networks; {ways}, or raise "
            "max_megabytes."
        )
    return bits_of(n_weights)


def weights_of(
    model: SelfAttentionEstimator, X: Any, layer: int, network: int, over: str, sizes: list[int]
) -> Iterator[NDArray[Any]]:
    """Give one layer's maps of one sequence after another, averaged in blocks of so many tokens.

    Of long sequences no more than some rows are there at a time.
    """
    for sequence, size in enumerate(sizes):
        step, parts, is_left = size * max(1, _ROWS // size), [], True
        while is_left:
            rows = slice(len(parts) * step, (len(parts) + 1) * step)
            asked, data = model._ask(X, layer, None, False, rows, network, over)
            (own,) = iterate(asked, data.take([sequence]), model._spans, model._carry_by, model.n_jobs)
            parts.append(in_blocks(own, size))
            is_left = rows.stop < own.shape[2]
        yield parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def kinds_of(n_features: int, roles: Any) -> list[str]:
    """What each feature is: a number, a category or a time."""
    return [
        TIME if column == roles.time else TEXT if column in roles.categorical else SIGNAL
        for column in range(n_features)
    ]
