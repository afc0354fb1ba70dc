"""What a network must know of each loss, besides its kernels."""

from dataclasses import dataclass

from .._kernels import contrast, loss, reconstruction
from .._kernels.operation import Kind


@dataclass(frozen=True)
class Loss:
    """One entry of `LOSSES`.

    Attributes
    ----------
    kind : Kind
        What computes it.
    reconstructs : bool
        Whether the network tells steps of its own input, and has no other target.
    n_ahead : int
        How many steps ahead these are; 0 where they are hidden, and told from all others.
    contrasts : bool
        Whether two views of each sequence of a batch are told from those of the others.
    n_spread : int or None
        Outputs that smoothing spreads a label over; None for all. 0 where a target is no label.
    """

    kind: Kind
    reconstructs: bool = False
    n_spread: int | None = 0
    n_ahead: int = 0
    contrasts: bool = False

    @property
    def hides(self):
        """Whether steps are hidden while learning."""
        return self.reconstructs and self.n_ahead == 0


LOSSES = {
    "cross_entropy": Loss(loss.CROSS_ENTROPY, n_spread=None),
    "binary_cross_entropy": Loss(loss.BINARY_CROSS_ENTROPY, n_spread=2),
    "squared_error": Loss(loss.SQUARED_ERROR),
    "absolute_error": Loss(loss.ABSOLUTE_ERROR),
    "huber": Loss(loss.HUBER),
    "poisson": Loss(loss.POISSON),
    "quantile": Loss(loss.QUANTILE),
    "reconstruction": Loss(reconstruction.RECONSTRUCTION, reconstructs=True),
    "next_step": Loss(reconstruction.RECONSTRUCTION, reconstructs=True, n_ahead=1),
    "contrastive": Loss(contrast.GIVEN, contrasts=True),
}
"""Losses by name, ``Architecture.loss``; their kernels stand in ``_kernels``: ``loss.py``, ``reconstruction.py``
and ``contrast.py``."""
