"""A safetensors file with a description: written whole, read with its digest, labels as lists of words and numbers.

A digest finds damage; it is no signature, for whoever alters a file on purpose can compute it as well.
"""

import hashlib
import json
import os
import reprlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._network.checks import check_fields, check_heads, damaged
from skattn._storage import refuse_newer, replace_file
from skattn._wording import shortened

_DESCRIPTION = "skattn"
"""Name of the metadata that is ours: one text, so that the same model gives the same bytes."""

FIELDS = (
    *("version", "estimator", "parameters", "architecture", "dtype", "objective", "target", "classes"),
    *("steps_in", "n_features_in", "feature_names_in", "training", "sha256"),
)
# What codes stand for, where X said so; what is left out because a pretrained network has it; the heads that are left
# of each network, where these differ.
OPTIONAL = ("categories", "pretrained", "heads")
# Bytes that labels may take; a file could ask for words of any width.
_MOST_LABELS = 1 << 24


def write_file(path: str | os.PathLike[str], tensors: dict[str, NDArray[Any]], description: dict[str, Any]) -> None:
    """Write tensors and what they mean, and a digest of both; what stood there before is replaced at once."""
    # As it will be read: keys are words, and pairs are lists.
    description = json.loads(json.dumps(description, allow_nan=False))
    description["sha256"] = digest(tensors, description)
    replace_file(path, safetensors_library().save(tensors, {_DESCRIPTION: json.dumps(description)}))


def safetensors_library() -> ModuleType:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError('Weights are kept by safetensors; pip install "skattn[interchange]".') from error
    return safetensors.numpy


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Tensors and description of a file that is whole."""
    library, content = safetensors_library(), Path(path).read_bytes()
    from safetensors import SafetensorError

    try:
        tensors = library.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        description = json.loads(header["__metadata__"][_DESCRIPTION])
        version = description["version"]
    except (SafetensorError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = f"{type(error).__name__}: {shortened(error)}"
        raise ValueError(
            f"{path} is no file of save_weights, or is damaged ({reason}); give one that "
            "save_weights wrote, or take another copy of it."
        ) from error
    if isinstance(version, str):
        refuse_newer(version, f"The file {path}")
    description = check_fields("description", description, FIELDS, OPTIONAL)
    if description["sha256"] != digest(tensors, description):
        raise ValueError(f"{path} is damaged: its digest is not that of its content; take another copy of it.")
    return tensors, description


def digest(tensors: dict[str, NDArray[Any]], description: dict[str, Any]) -> str:
    """SHA-256 of the description and of each tensor's name, type, shape and bytes."""
    names = (*FIELDS, *(name for name in OPTIONAL if name in description))
    text = json.dumps({name: description[name] for name in names if name != "sha256"}, sort_keys=True)
    return digest_of_tensors(tensors, text)


def digest_of_tensors(tensors: dict[str, NDArray[Any]], text: str = "") -> str:
    """SHA-256 of a text and of each tensor's name, type, shape and bytes."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(json.dumps([name, tensor.dtype.str, tensor.shape]).encode())
        found.update(tensor.tobytes())
    return found.hexdigest()


def write_labels(labels: NDArray[Any], what: str = "classes_") -> dict[str, Any]:
    """Labels as a list, with the type of their array."""
    values = labels.tolist()
    plain = {"dtype": labels.dtype.str if labels.dtype.kind == "U" else labels.dtype.name, "values": values}
    try:
        is_kept = np.array_equal(read_labels("classes", json.loads(json.dumps(plain, allow_nan=False))), labels)
    except (TypeError, ValueError):
        is_kept = False
    if not is_kept:
        raise ValueError(
            f"{what} are {labels.dtype}, {reprlib.repr(values[0])} among them, and a file of weights keeps words, "
            f"numbers and booleans only, {_MOST_LABELS >> 20} MiB at most; make them such, or save the estimator with "
            "joblib."
        )
    return plain


def read_labels(name: str, plain: Any) -> NDArray[Any]:
    """Labels as they were before `_write_labels`."""
    plain = check_fields(name, plain, ("dtype", "values"))
    values, word = plain["values"], plain["dtype"]
    if not isinstance(values, list) or not all(type(value) in (str, int, float, bool) for value in values):
        raise damaged(name, values, "a list of words, numbers or booleans")
    try:
        dtype = np.dtype(word if isinstance(word, str) else "V")
        if dtype.kind not in "biufUO" or dtype.itemsize * len(values) > _MOST_LABELS:
            raise TypeError(dtype)
        labels = np.empty(len(values), dtype)
        labels[:] = values
        if labels.tolist() != values:
            raise ValueError(dtype)
    except (TypeError, ValueError, OverflowError, SyntaxError) as error:
        raise damaged(name, plain, "labels of one type") from error
    return labels


def heads_of(description: dict[str, Any], n_members: int) -> list[Any]:
    """The heads that are left of each network, checked; () for all."""
    architecture = description["architecture"]
    written = description.get("heads", [architecture.get("heads", ())] * n_members)
    if not isinstance(written, list) or len(written) != n_members:
        raise damaged("heads", written, f"a list for each of {n_members} networks")
    return [check_heads(heads, architecture) for heads in written]
