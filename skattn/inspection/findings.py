"""Put into words what the numbers of heads say."""

from typing import Any

UNIFORM, ALIKE, COPIES, SINKS, SAME_WEIGHTS = 0.98, 0.98, 0.9, 0.8, 0.6
"""From where on a head attends evenly, repeats another, looks at one place, rests on sinks, and has one projection for
queries and keys: shares of entropy, one minus a divergence, shares of attention, a cosine. Projections that were drawn
apart have cosines within .1 of 0; those that began as one were at .73 after 60 epochs, still behind
(``examples/plot_head_report.py``)."""

_COPIES = {
    "on_self": "looks at its own step only: it mixes nothing",
    "on_previous": "copies the previous step",
    "on_next": "copies the next step",
    "on_first": "rests on the first step, as heads do that find nothing to fetch",
}


def find(rows: list[dict[str, Any]]) -> list[str]:
    """Say in words what is remarkable about heads.

    Parameters
    ----------
    rows : list of dict
        Of a head report.

    Returns
    -------
    findings : list of str
    """
    several = len({row["network"] for row in rows}) > 1
    found, layers = [], {}
    for row in rows:
        layers.setdefault((row["network"], row["layer"]), []).append(row)
    for (network, layer), heads in layers.items():
        place = f"network {network} layer {layer}" if several else f"layer {layer}"
        found += _of_layer(place, heads)
    return found


def _of_layer(place: str, heads: list[dict[str, Any]]) -> list[str]:
    """Findings of one layer of one network."""
    uniform = [row["head"] for row in heads if row["entropy"] >= UNIFORM]
    found = []
    if len(uniform) == len(heads) > 1:
        found.append(
            f"all heads of {place} attend almost uniformly: they average what they see, as pooling does; train for "
            "longer or at a higher learning_rate_init, or leave the layer out"
        )
    else:
        found += [f"{place} head {head} attends almost uniformly: it averages what it sees" for head in uniform]
    for row in heads:
        name = f"{place} head {row['head']}"
        found += [f"{name} {words}" for column, words in _COPIES.items() if row[column] >= COPIES]
        if row["on_sinks"] >= SINKS > row["on_first"]:
            found.append(f"{name} rests on a few steps whatever the query is")
        if row["query_key_similarity"] >= SAME_WEIGHTS:
            found.append(
                f"{name} has much the same weights for queries and keys (cosine {row['query_key_similarity']:.2f}): "
                "what a step looks for is what it is itself; draw them apart"
            )
        if row["head"] not in uniform:
            found += _repeats(name, row)
        if row.get("importance", 0.0) < 0:
            found.append(f"{name} does harm on these samples: without it the score rises by {-row['importance']:.3g}")
    return found


def _repeats(name: str, row: dict[str, Any]) -> list[str]:
    """Say which earlier head one repeats, if it does."""
    if not row["similarity"] >= ALIKE:
        return []
    layer, head = map(int, row["similar_to"].split("."))
    if (layer, head) > (row["layer"], row["head"]):
        return []
    other = f"head {head}" if layer == row["layer"] else f"layer {layer} head {head}"
    return [f"{name} repeats {other}"]
