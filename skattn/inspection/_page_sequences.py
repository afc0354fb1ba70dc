"""What a page shows beside maps: signals, labels, and the steps that tokens stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._wording import shortened
from skattn.inspection._page_maps import blocks_of_spans, encoded
from skattn.inspection.attention_blocks import block_size


@dataclass(frozen=True, eq=False)
class PageSequence:
    """One sequence of a page.

    Attributes
    ----------
    spans : int64 array of shape (n_tokens, 2)
        First step of each token, and the one after its last.
    n_steps : int
    signal : ndarray of shape (n_steps, n_features), or None
    labels : list of str, or None
        For each step.
    is_text : bool
        Whether labels are words, rather than times.
    """

    spans: NDArray[np.int64]
    n_steps: int
    signal: NDArray[Any] | None = None
    labels: list[str] | None = None
    is_text: bool = False

    def content(self, most: int) -> dict[str, Any]:
        """What the page reads, with no more than `most` rows."""
        size = block_size(len(self.spans), most)
        spans = blocks_of_spans(self.spans, size)
        return {
            **{"steps": self.n_steps, "block": size, "labels": self.labels, "isText": self.is_text},
            "spans": spans.ravel().tolist(),
            "signal": None if self.signal is None else encoded(self.signal.T.astype("<f4")),
        }

    @property
    def n_bytes(self) -> int:
        """About how much of a page it takes."""
        signal = 0 if self.signal is None else 16 * self.signal.size // 3
        return signal + 12 * len(self.spans) + sum(len(label) + 3 for label in self.labels or ())


def each_token_a_step(n_steps: int) -> NDArray[np.int64]:
    """Spans where there is no stem."""
    return np.stack([np.arange(n_steps), np.arange(1, n_steps + 1)], axis=1)


def read_labels(labels: Any, n_steps: list[int], has_numbers: bool) -> list[tuple[list[str] | None, bool]]:
    """Check labels against the steps of sequences, and word them.

    Parameters
    ----------
    labels : sequence of sequences, or None
        For each sequence a word, number or date for each step; None for a sequence without.
    n_steps : list of int
    has_numbers : bool
        Whether steps have numbers besides, so that strings may be times.

    Returns
    -------
    worded : list of (list of str or None, bool)
        Labels as words, and whether they are those of a text.

    Raises
    ------
    TypeError
        If labels are one string, or no sequence.
    ValueError
        If they are not one for each sequence, or those of a sequence not one for each step.
    """
    if labels is None:
        return [(None, False)] * len(n_steps)
    if isinstance(labels, (str, bytes)) or not hasattr(labels, "__len__"):
        raise TypeError(
            f"labels is {shortened(repr(labels), 60)}; give a list with the tokens or times of each sequence in it."
        )
    if len(labels) != len(n_steps):
        raise ValueError(
            f"labels has {len(labels)} entries for {len(n_steps)} sequences; give the tokens or times of each sequence."
        )
    pairs = enumerate(zip(labels, n_steps, strict=True))
    return [_read_own(own, number, n, has_numbers) for number, (own, n) in pairs]


def _read_own(own: Any, number: int, n_steps: int, has_numbers: bool) -> tuple[list[str] | None, bool]:
    """Word the labels of one sequence."""
    if own is None:
        return None, False
    if not hasattr(own, "__len__") or len(own) != n_steps:
        came = f"{len(own)} entries" if hasattr(own, "__len__") else shortened(repr(own), 60)
        raise ValueError(
            f"labels[{number}] has {came} for the {n_steps} steps of sequence {number}; give one token or time for "
            "each step."
        )
    own = list(own)
    words = [label for label in own if isinstance(label, str)]
    # Beside a signal "9:30" is a time and no word.
    is_text = bool(words) and not (has_numbers and all(word[:1].isdigit() for word in words))
    return [_worded(label) for label in own], is_text


def _worded(label: Any) -> str:
    """Numbers in few digits; all else in its own words."""
    is_real = isinstance(label, Number) and not isinstance(label, (bool, Integral, complex))
    return f"{float(label):.10g}" if is_real else str(label)


def read_signals(signals: Any, spans: list[NDArray[np.int64]], has_spans: bool) -> list[NDArray[Any] | None]:
    """Check signals against maps.

    Parameters
    ----------
    signals : sequence of array-like of shape (n_steps_i, n_features) or (n_steps_i,), or None
    spans : list of arrays of shape (n_tokens_i, 2)
    has_spans : bool
        Whether tokens may stand for other than single steps.

    Returns
    -------
    signals : list of float64 arrays of shape (n_steps_i, n_features), or of None

    Raises
    ------
    ValueError
        If they are not one for each sequence, have other steps than maps, other features than each other, or are no
        numbers.
    """
    if signals is None:
        return [None] * len(spans)
    if len(signals) != len(spans):
        raise ValueError(
            f"signals has {len(signals)} entries for the maps of {len(spans)} sequences; give one for each."
        )
    read: list[NDArray[Any] | None] = []
    for number, (signal, own) in enumerate(zip(signals, spans, strict=True)):
        steps = _read_signal(signal, number)
        if read and read[0] is not None and steps.shape[1] != read[0].shape[1]:
            raise ValueError(
                f"signals[{number}] has {steps.shape[1]} features, and signals[0] has {read[0].shape[1]}; give every "
                "sequence the same features."
            )
        if len(steps) != len(own) and not has_spans:
            raise ValueError(
                f"signals[{number}] has {len(steps)} steps, and its map has {len(own)} rows; give those of the "
                "map, or spans, which say what steps each row stands for."
            )
        if own.max() > len(steps):
            raise ValueError(
                f"spans[{number}] reaches up to step {own.max()}, and signals[{number}] has {len(steps)} steps; give "
                "the whole signal."
            )
        read.append(steps)
    return read


def _read_signal(signal: Any, number: int) -> NDArray[Any]:
    try:
        steps = np.asarray(signal, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"signals[{number}] holds no numbers ({shortened(error, 100)}); give a real array.") from error
    steps = steps[:, np.newaxis] if steps.ndim == 1 else steps
    if steps.ndim != 2 or 0 in steps.shape:
        raise ValueError(f"signals[{number}] has shape {np.shape(signal)}; give one of (n_steps, n_features).")
    return steps


def read_spans(spans: Any, n_tokens: list[int]) -> list[NDArray[np.int64]]:
    """Check the steps of tokens against maps; without any a token is a step.

    Raises
    ------
    ValueError
        If they are not a pair for each row, or end before they begin.
    """
    if spans is None:
        return [each_token_a_step(n) for n in n_tokens]
    if len(spans) != len(n_tokens):
        raise ValueError(
            f"spans has {len(spans)} entries for the maps of {len(n_tokens)} sequences; give one for each."
        )
    read = []
    for number, (own, n) in enumerate(zip(spans, n_tokens, strict=True)):
        pairs = np.asarray(own)
        if pairs.shape != (n, 2) or pairs.dtype.kind not in "iu":
            raise ValueError(
                f"spans[{number}] has shape {pairs.shape} for {n} rows of its map; give the first step of each row and "
                "the one after its last, as token_spans does."
            )
        if (pairs[:, 0] < 0).any() or (pairs[:, 1] <= pairs[:, 0]).any() or (np.diff(pairs[:, 0]) < 0).any():
            raise ValueError(
                f"spans[{number}] holds spans that are empty, negative or out of order; give them as token_spans does."
            )
        read.append(pairs.astype(np.int64))
    return read


def read_names(feature_names: Sequence[str] | None, n_features: int, known: Any = None) -> list[str]:
    """Names of the features of a step: those given, those `known`, or numbers.

    Raises
    ------
    ValueError
        If there is not one for each feature.
    """
    if feature_names is None:
        return [f"feature {i}" for i in range(n_features)] if known is None else [str(name) for name in known]
    if isinstance(feature_names, str) or len(feature_names) != n_features:
        raise ValueError(
            f"feature_names is {shortened(feature_names, 100)} for {n_features} features of a step; give a list with a "
            "name for each."
        )
    return [str(name) for name in feature_names]
