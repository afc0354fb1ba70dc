"""Report of every head: where it looks, which it is like, and what the model is without it."""

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import check_scoring

from skattn._network.network import Network
from skattn.base import SelfAttentionEstimator
from skattn.inspection.findings import find
from skattn.inspection.head_removal import without_head
from skattn.inspection.head_statistics import HeadStatistics, query_key_likeness
from skattn.inspection.subject import check_model, chosen_networks
from skattn.validation import find_scorer

MOST_ROWS = 4096
"""Rows of maps that are looked at: evenly spaced ones of more."""


class HeadRecords(np.recarray):
    """A record array with an entry a head, and findings in words; where pandas is not.

    Attributes
    ----------
    findings : list of str
    """

    findings: list[str]

    def __array_finalize__(self, other: Any) -> None:
        super().__array_finalize__(other)
        self.findings = getattr(other, "findings", [])


def head_report(model: Any, X: Any, y: Any = None, *, network: int | None = None, scoring: Any = None) -> Any:
    """Tell of every head where it looks, which other head it is like, and what it is worth.

    Parameters
    ----------
    model : SelfAttentionTransformer, SelfAttentionClassifier or SelfAttentionRegressor
        Fitted.
    X : sequences, as in `fit`
        What the heads look at; some dozens are enough.
    y : as in `fit`, default=None
        With it, every head is silenced in turn and the model scored without it.
    network : int, default=None
        Which of the networks; by default all.
    scoring : str or callable, default=None
        As in scikit-learn's `cross_val_score`; by default the model's own `score`.

    Returns
    -------
    report : pandas.DataFrame, or record array where pandas is not installed
        A row a head, means over all rows of its maps, of which up to 4096 are looked at:

        - ``network``, ``layer``, ``head``: its place, counted from 0;
        - ``entropy``: that of its weights, as a share of that of even weights, 0 to 1;
        - ``distance``: from a row to where it looks, on average, in steps, or tokens where there is a stem;
        - ``on_self``, ``on_previous``, ``on_next``, ``on_first``, ``on_sinks``: the share of its attention on its own
          step, its neighbours, the first one, and on steps that get more than five times an even share;
        - ``similarity``, ``similar_to``: one minus the Jensen–Shannon divergence (bits) to the most similar head of the
          same network, 0 to 1, and which that is, as "layer.head";
        - ``query_key_similarity``: cosine between its query and key projections;
        - ``importance``: by how much the score falls where it is silenced, if there is a y.

        ``report.findings`` says in words what is remarkable, a list of str, empty where nothing is.

    Raises
    ------
    ValueError
        If there is no such network, X or y cannot be used, or the model has no score and no `scoring` is given.
    TypeError, NotFittedError
        If the model is no fitted estimator of this package.

    Notes
    -----
    What heads look at is not yet what the result depends on (Jain & Wallace 2019, arXiv:1902.10186): `importance` asks
    the model itself. Sinks: Xiao et al. 2023, arXiv:2309.17453.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import SelfAttentionClassifier
    >>> from skattn.inspection import head_report
    >>> X = np.random.default_rng(0).normal(size=(20, 9, 3))
    >>> model = SelfAttentionClassifier(n_estimators=1, n_layers=1, max_iter=2).fit(X, np.arange(20) % 2)
    >>> report = head_report(model, X)
    >>> len(report["entropy"])
    4
    """
    numbers = chosen_networks(check_model(model), network)
    scorer = None if y is None else _scorer(model, scoring)
    rows = []
    for number in numbers:
        rows += _rows_of(model, X, number)
    if scorer is not None:
        whole = scorer(model, X, y)
        for row in rows:
            row["importance"] = whole - scorer(without_head(model, row["network"], row["layer"], row["head"]), X, y)
    return _as_table(rows, find(rows))


def _scorer(model: SelfAttentionEstimator, scoring: Any) -> Any:
    """What a model is scored by."""
    try:
        return check_scoring(model, scoring=find_scorer(scoring, "the model's own score"))
    except TypeError as error:
        raise ValueError(
            f"{type(model).__name__} has no score to compare with y; give scoring, a callable (model, X, y), or no y."
        ) from error


def _rows_of(model: SelfAttentionEstimator, X: Any, number: int) -> list[dict[str, Any]]:
    """Rows of the report for one network."""
    network = model._fitted.members[number].network
    places = [
        (layer, head)
        for layer in range(network.architecture.n_layers)
        for head in range(len(network.architecture.heads_of(layer)))
    ]
    statistics = HeadStatistics(len(places))
    lengths = network.count_rows(model._read_fitted(X).lengths)
    every = slice(None, None, max(1, -(-int(lengths.sum()) // MOST_ROWS)))
    maps = model.iter_attention_weights(X, layer=None, steps=every, network=number)
    for length, layers in zip(lengths.tolist(), maps, strict=True):
        statistics.add(np.concatenate(layers).astype(np.float64), np.arange(length)[every])
    means, (similarity, similar) = statistics.means(), statistics.most_alike()
    return [
        {
            **{"network": number, "layer": layer, "head": head},
            **{name: float(mean[i]) for name, mean in means.items()},
            "similarity": float(similarity[i]),
            "similar_to": "{}.{}".format(*places[similar[i]]) if similar[i] >= 0 else "",
            "query_key_similarity": query_key_likeness(*_projections(network, layer, head)),
        }
        for i, (layer, head) in enumerate(places)
    ]


def _projections(network: Network, layer: int, head: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The query and key weights of a head."""
    a, weights = network.architecture, network.weights
    group = len(a.groups_of(layer)[0])
    return tuple(
        weights[f"layers.{layer}.{name}.weight"][:, place * a.d_head : (place + 1) * a.d_head].astype(np.float64)
        for name, place in (("query", head), ("key", head // group))
    )


def _as_table(rows: list[dict[str, Any]], findings: list[str]) -> Any:
    """The rows as a data frame, or as a record array."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    if find_spec("pandas") is not None:
        from skattn.inspection.head_frame import HeadFrame

        report = HeadFrame(columns)
    else:
        report = np.rec.fromarrays(list(columns.values()), names=list(columns)).view(HeadRecords)
    report.findings = findings
    return report
