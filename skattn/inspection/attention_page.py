"""A page to explore attention by hand: one HTML file in which a step under the pointer shows what it attends to."""

import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from os import PathLike
from typing import Any, Self

from skattn._storage import replace_file
from skattn.inspection._page_content import (
    TITLE,
    bits_within,
    check_limits,
    kinds_of,
    read_numbers,
    read_weights,
    sequences_of,
    weights_of,
)
from skattn.inspection._page_maps import map_of
from skattn.inspection._page_sequences import (
    PageSequence,
    each_token_a_step,
    read_labels,
    read_names,
    read_signals,
    read_spans,
)
from skattn.inspection.attention_blocks import block_size, in_blocks
from skattn.inspection.subject import check_model

_HEIGHT = 900
"""Pixels that the page is high in a notebook."""

_SOURCES = {"css": ["page.css"], "js": ["page_data.js", "page_signal.js", "page_views.js", "page_state.js"]}
"""What `page.html` is filled with."""


class AttentionPage:
    """One HTML file in which a step or token under the pointer shows what it attends to.

    Hover, tap or use the keys: the signal or the text is shaded by what the step attends to, by layer and head, and the
    map beside it marks the step's row. The page needs no network and no other file, and adapts to dark and to narrow
    screens. Make it with `from_estimator` or `from_weights`.

    Parameters
    ----------
    content : dict
        What the page shows, as plain values that JSON holds.

    See Also
    --------
    skattn.SelfAttentionTransformer.attention_weights : The weights as arrays.
    skattn.SelfAttentionTransformer.token_spans : Which steps a token stands for.

    Notes
    -----
    For each network, layer, head and sequence a page has the square of its tokens as weights: of 8/3 bytes each up to
    two millions of them, and of 4/3 bytes beyond. A weight is rounded to 16, or 8, bits of the largest in its row,
    which itself is exact to 7 digits: so is what a row attends to most. Only what is exactly 0, such as steps hidden by
    ``causal=True``, is shown as 0.

    Weights tell what is read, not what matters: a step may attend to what makes no difference to the result (Jain &
    Wallace 2019, arXiv:1902.10186).

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import SelfAttentionTransformer
    >>> from skattn.inspection import AttentionPage
    >>> X = [np.random.default_rng(n_steps).normal(size=(n_steps, 2)) for n_steps in (5, 7, 11)]
    >>> model = SelfAttentionTransformer(n_estimators=1, max_iter=2, random_state=0).fit(X)
    >>> page = AttentionPage.from_estimator(model, X, feature_names=["north", "east"])
    >>> page.save("attention.html")  # doctest: +SKIP
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        X: Any,
        *,
        labels: Sequence[Any] | None = None,
        layers: int | Sequence[int] | None = None,
        networks: int | Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
        title: str | None = None,
        over: str = "tokens",
        max_rows: int = 1000,
        max_megabytes: float = 50,
    ) -> Self:
        """Make a page of what a fitted model makes of sequences.

        Parameters
        ----------
        model : SelfAttentionTransformer, SelfAttentionClassifier or SelfAttentionRegressor
            Fitted.
        X : sequences, as in `fit`
            A few: each takes the square of its tokens.
        labels : sequence of sequences, default=None
            For each sequence its tokens or times: a word, number or date for each of its steps. Where there are words
            the page shows a text; beside numbers, strings that all begin with a digit are times. None: categories where
            there are no numbers, times where the model has a `time_feature`, and numbers of steps elsewhere.
        layers : int or sequence of int, default=None
            Counted from 0; negative numbers count from the last. None: all.
        networks : int or sequence of int, default=None
            Which of the `n_estimators` networks, counted likewise. None: all.
        feature_names : sequence of str, default=None
            Of the features of a step. None: the names seen in `fit`, or numbers.
        title : str, default=None
            What stands above. None: "What attends to what".
        over : {"tokens", "steps"}, default="tokens"
            What rows and columns are behind a stem or patches, as in `attention_weights`. With "tokens" the page shows
            which steps each stands for.
        max_rows : int, default=1000
            Longer maps are averaged in blocks of neighbours: a row is the mean of theirs, and a weight what they get
            together.
        max_megabytes : float, default=50
            A larger page is refused.

        Returns
        -------
        page : AttentionPage

        Raises
        ------
        TypeError
            If the model is none that has attention weights.
        NotFittedError
            If it is not fitted.
        ValueError
            If there is no such layer or network, labels or names do not match, X cannot be read, or the page would be
            too large.
        """
        check_limits(max_rows, max_megabytes, over)
        architectures = [member.network.architecture for member in check_model(model)._fitted.members]
        layers = read_numbers("layers", layers, architectures[0].n_layers)
        networks = read_numbers("networks", networks, len(architectures))
        data = model._read_fitted(X)
        known = None if data.kind == "rows" else getattr(model, "feature_names_in_", None)
        features = read_names(feature_names, data.n_features, known), kinds_of(data.n_features, data.roles)
        spans = [model._spans(n) if over == "tokens" else each_token_a_step(n) for n in data.lengths.tolist()]
        sequences = sequences_of(model, data, spans, labels)
        n_heads = sum(len(architectures[network].heads_of(layer)) for network in networks for layer in layers)
        bits = bits_within(n_heads, sequences, max_rows, max_megabytes, over)
        sizes = [block_size(len(own), max_rows) for own in spans]
        maps = [
            [[map_of(own, bits) for own in weights_of(model, X, layer, network, over, sizes)] for layer in layers]
            for network in networks
        ]
        return cls._of(title, sequences, features, maps, (networks, layers), bits, max_rows)

    @classmethod
    def from_weights(
        cls,
        weights: Sequence[Any],
        *,
        signals: Sequence[Any] | None = None,
        labels: Sequence[Any] | None = None,
        spans: Sequence[Any] | None = None,
        feature_names: Sequence[str] | None = None,
        title: str | None = None,
        max_rows: int = 1000,
        max_megabytes: float = 50,
    ) -> Self:
        """Make a page of attention weights from anywhere.

        Parameters
        ----------
        weights : sequence of ndarray of shape (n_heads, n_tokens_i, n_tokens_i) or (n_tokens_i, n_tokens_i)
            For each sequence, as `attention_weights` gives it; or for each a list of such arrays, one a layer.
        signals : sequence of array-like of shape (n_steps_i, n_features) or (n_steps_i,), default=None
            For each sequence the numbers that stand beside its map; NaN are gaps.
        labels : sequence of sequences, default=None
            For each sequence its tokens or times, as in `from_estimator`.
        spans : sequence of int arrays of shape (n_tokens_i, 2), default=None
            Which steps each token stands for, as `token_spans` gives it. None: a token is a step.
        feature_names, title, max_rows, max_megabytes
            As in `from_estimator`.

        Returns
        -------
        page : AttentionPage

        Raises
        ------
        TypeError
            If weights are one array alone, or labels one string.
        ValueError
            If weights are no squares of shares in [0, 1], anything beside them does not match, or the page would be too
            large.
        """
        check_limits(max_rows, max_megabytes)
        maps = read_weights(weights)
        n_tokens = [layers[0].shape[-1] for layers in maps]
        own_spans = read_spans(spans, n_tokens)
        steps = read_signals(signals, own_spans, spans is not None)
        n_steps = [
            int(own.max()) if signal is None else len(signal) for own, signal in zip(own_spans, steps, strict=True)
        ]
        words = read_labels(labels, n_steps, signals is not None)
        sequences = [
            PageSequence(own, n, signal, *said)
            for own, n, signal, said in zip(own_spans, n_steps, steps, words, strict=True)
        ]
        n_features = 0 if steps[0] is None else steps[0].shape[1]
        features = read_names(feature_names, n_features), ["number"] * n_features
        n_heads = max(sum(map(len, layers)) for layers in maps)
        bits = bits_within(n_heads, sequences, max_rows, max_megabytes)
        sizes, layers = [block_size(n, max_rows) for n in n_tokens], list(range(len(maps[0])))
        encoded = [
            [map_of(in_blocks(own[layer], size), bits) for own, size in zip(maps, sizes, strict=True)]
            for layer in layers
        ]
        return cls._of(title, sequences, features, [encoded], ([0], layers), bits, max_rows)

    @classmethod
    def _of(
        cls,
        title: str | None,
        sequences: list[PageSequence],
        features: tuple[list[str], list[str]],
        maps: list[list[list[dict[str, Any]]]],
        numbers: tuple[list[int], list[int]],
        bits: int,
        max_rows: int,
    ) -> Self:
        """The page of sequences, by names and kinds of features, maps, and numbers of networks and layers."""
        names, kinds = features
        content = {
            "title": TITLE if title is None else str(title),
            "bits": bits,
            "networks": numbers[0],
            "layers": numbers[1],
            "features": [{"name": name, "kind": kind} for name, kind in zip(names, kinds, strict=True)],
            "sequences": [sequence.content(max_rows) for sequence in sequences],
            "maps": maps,
        }
        return cls(content)

    def to_html(self) -> str:
        """Give the whole page.

        Returns
        -------
        html : str
        """
        folder = files("skattn.inspection")
        data = json.dumps(self.content, separators=(",", ":"))
        # What looks like a tag would end the data, so it is written in a way that JSON reads alike.
        for character in "<>&":
            data = data.replace(character, f"\\u{ord(character):04x}")
        parts = {"title": escape(self.content["title"]), "data": data}
        for name, sources in _SOURCES.items():
            parts[name] = "\n".join((folder / source).read_text(encoding="utf-8") for source in sources)
        template = (folder / "page.html").read_text(encoding="utf-8")
        # In one pass: nothing that is put in is looked through again.
        return re.sub(r"\{\{ (\w+) \}\}", lambda found: parts[found[1]], template)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the page into a file, which any browser opens.

        Parameters
        ----------
        path : str or path-like
            A file that stands there is replaced at once.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        # Halves of characters, which some strings hold, have no bytes of their own.
        replace_file(path, self.to_html().encode("utf-8", "xmlcharrefreplace"))

    def _repr_html_(self) -> str:
        """Show the page in a notebook: in a frame of its own, so that several do not disturb each other."""
        return (
            f'<iframe sandbox="allow-scripts" style="width: 100%; height: {_HEIGHT}px; border: 0" '
            f'title="{escape(self.content["title"])}" srcdoc="{escape(self.to_html())}"></iframe>'
        )
