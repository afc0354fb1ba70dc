"""A summary of a fitted model: its operations, what they give, and what they take."""

from dataclasses import dataclass
from html import escape
from typing import Any

from skattn._network.counting import Operation, operations_of
from skattn.model import Model

_COLUMNS = ("part", "operation", "gives", "parameters", "multiplications")


@dataclass(frozen=True)
class Summary:
    """The operations of a model in their order; printed as a table, and shown as one in a notebook.

    Parameters
    ----------
    operations : list of Operation
        Each with `part`, `kind`, `shape` (rows and columns of what it gives), `n_parameters` and `n_multiplications`.
        Of the first network; the others are like it, but for heads that were taken out.
    n_steps : int
        Steps of the sequence that shapes and multiplications are of.
    n_networks : int
    n_parameters : int
        What was learned, of all networks together.
    n_fixed : int
        Numbers of stems, which are drawn and never learned.
    n_multiplications : int
        Multiplications of products that one sequence takes forwards, in all networks. Sums, norms and activations, a
        few for each number that an operation gives, are not counted.
    """

    operations: list[Operation]
    n_steps: int
    n_networks: int
    n_parameters: int
    n_fixed: int
    n_multiplications: int

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The table in words, without its head."""
        return [
            (o.part, o.kind, f"{o.shape[0]} × {o.shape[1]}", _number(o.n_parameters), _number(o.n_multiplications))
            for o in self.operations
        ]

    @property
    def sentence(self) -> str:
        """All of it in a sentence."""
        networks = "1 network" if self.n_networks == 1 else f"{self.n_networks} networks like this one"
        fixed = f" and {self.n_fixed:,} fixed numbers" if self.n_fixed else ""
        return (
            f"{networks}: {self.n_parameters:,} parameters{fixed}, {self.n_multiplications:,} multiplications for a "
            f"sequence of {self.n_steps} steps"
        )

    def __str__(self) -> str:
        table = [_COLUMNS, *self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if place < 2 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        ]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], "", self.sentence])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in self.rows)
        return (
            f"<table class='skattn-summary'><caption style='text-align:left'>{escape(self.sentence)}</caption>"
            f"<thead><tr>{_cells('th', _COLUMNS)}</tr></thead><tbody>{body}</tbody></table>"
        )


def _cells(tag: str, cells: tuple[str, ...]) -> str:
    sides = ["left"] * 2 + ["right"] * (len(cells) - 2)
    return "".join(
        f"<{tag} style='text-align:{side}'>{escape(cell)}</{tag}>" for cell, side in zip(cells, sides, strict=True)
    )


def _number(number: int) -> str:
    return f"{number:,}" if number else "–"


def summarise(model: Model, n_steps: int) -> Summary:
    """Give the summary of a model for sequences of some steps."""
    networks = [member.network for member in model.members]
    operations = [operations_of(network, n_steps) for network in networks]
    stems = [network.stem for network in networks if network.stem is not None]
    return Summary(
        operations=operations[0],
        n_steps=n_steps,
        n_networks=len(networks),
        n_parameters=sum(network.parameters.size for network in networks),
        n_fixed=sum(int(stem.weights.size) for stem in stems),
        n_multiplications=sum(o.n_multiplications for of_one in operations for o in of_one),
    )


def html_of(estimator: Any, html: str) -> str:
    """Add the summary of an estimator to its HTML representation, if it is fitted."""
    if not estimator.__sklearn_is_fitted__():
        return html
    return f"{html}<details><summary>What was learned</summary>{estimator.summary()._repr_html_()}</details>"
