"""Self-attention over sequences, as scikit-learn estimators on numba kernels."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skattn import datasets
    from skattn.classifier import SelfAttentionClassifier
    from skattn.compilation import warm_up
    from skattn.frames import (
        frame_from_sequences,
        sequences_from_array,
        sequences_from_frame,
        sequences_from_padded,
    )
    from skattn.functional import attention, attention_weights
    from skattn.regressor import SelfAttentionRegressor
    from skattn.scaler import SequenceScaler
    from skattn.soft_lookup import SoftLookupClassifier, SoftLookupRegressor
    from skattn.text import TokenSequencer
    from skattn.tokens import RandomConvolutionTokens
    from skattn.transformer import SelfAttentionTransformer

__version__ = "0.2.0.dev0"

__all__ = [
    "RandomConvolutionTokens",
    "SelfAttentionClassifier",
    "SelfAttentionRegressor",
    "SelfAttentionTransformer",
    "SequenceScaler",
    "SoftLookupClassifier",
    "SoftLookupRegressor",
    "TokenSequencer",
    "__version__",
    "attention",
    "attention_weights",
    "datasets",
    "frame_from_sequences",
    "sequences_from_array",
    "sequences_from_frame",
    "sequences_from_padded",
    "warm_up",
]

# Where each public name lives. It is imported when first asked for: reading the version or one
# data set need not wait for scikit-learn and numba.
_HOMES = {
    "RandomConvolutionTokens": "skattn.tokens",
    "SelfAttentionClassifier": "skattn.classifier",
    "SelfAttentionRegressor": "skattn.regressor",
    "SelfAttentionTransformer": "skattn.transformer",
    "SequenceScaler": "skattn.scaler",
    "SoftLookupClassifier": "skattn.soft_lookup",
    "SoftLookupRegressor": "skattn.soft_lookup",
    "TokenSequencer": "skattn.text",
    "attention": "skattn.functional",
    "attention_weights": "skattn.functional",
    "frame_from_sequences": "skattn.frames",
    "sequences_from_array": "skattn.frames",
    "sequences_from_frame": "skattn.frames",
    "sequences_from_padded": "skattn.frames",
    "warm_up": "skattn.compilation",
}


def __getattr__(name: str) -> Any:
    if name in ("datasets", "inspection"):
        return import_module(f"skattn.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'skattn' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
