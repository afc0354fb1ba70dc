"""Compile ahead: for container images, and services whose first answer must be quick."""

import reprlib
import time
from dataclasses import dataclass
from typing import Any

from ._kernels import (
    activation,
    attend,
    attention,
    best,
    bias,
    columns,
    contrast,
    convolution,
    convolve,
    distances,
    dropout,
    head,
    heads,
    input,
    jit,
    linear,
    linear_attention,
    lookup,
    loss,
    maps,
    norm,
    parallel,
    pooling,
    position,
    projection,
    reconstruction,
    step,
    step_attention,
    update,
    walk,
)
from ._training.bar import Bar

_DTYPES = ("float32", "float64")
_PAIRS = (
    activation,
    attention,
    contrast,
    convolve,
    dropout,
    input,
    linear,
    lookup,
    loss,
    norm,
    pooling,
    position,
    reconstruction,
)
# What is done to the heads of plain arrays, and added to scores, is called by its address.
_HEADS = (attend, best, bias, distances, head, heads, linear_attention, maps)
_MODULES = (*_PAIRS, *_HEADS, columns, convolution, projection, step, step_attention, update, walk)


@dataclass(frozen=True)
class WarmUp:
    """What :func:`~skattn.warm_up` did.

    Parameters
    ----------
    n_compiled : int
        Functions that were compiled.
    n_loaded : int
        Functions that were loaded from disk.
    n_ready : int
        Functions that this process had already.
    seconds : float
    cache : str or None
        Folder of the compiled functions; None where none can be written, so that the next process compiles anew.
    """

    n_compiled: int
    n_loaded: int
    n_ready: int
    seconds: float
    cache: str | None


def warm_up(dtypes: tuple[str, ...] = ("float32", "float64"), *, verbose: int = 0) -> WarmUp:
    """Compile everything now instead of at first use, and keep it on disk.

    Run it once when a container image is built, as the user that the service will run as. The folder is numba's: the
    environment variable ``NUMBA_CACHE_DIR`` chooses it.

    Parameters
    ----------
    dtypes : tuple of {"float32", "float64"}, default=("float32", "float64")
        Precisions to compile for; each takes some seconds the first time, and a blink after that.
    verbose : int, default=0
        1 shows how far it is, on standard output.

    Returns
    -------
    done : WarmUp
        How many functions were compiled and loaded, in how many seconds, and where they are kept.

    Raises
    ------
    ValueError
        If a precision is neither "float32" nor "float64".

    Examples
    --------
    >>> import skattn
    >>> done = skattn.warm_up(("float32",))
    >>> done.n_compiled + done.n_loaded + done.n_ready > 0
    True
    """
    for dtype in dtypes:
        if dtype not in _DTYPES:
            raise ValueError(
                f"dtypes={reprlib.repr(dtypes)} names {reprlib.repr(dtype)}; known are 'float32' and 'float64'."
            )
    start = time.perf_counter()
    before = jit.counts()
    wanted = {(kernel, dtype) for module in _MODULES for kernel in _kernels_of(module) for dtype in dtypes}
    # Lengths are measured in double precision, whatever the precision of values.
    wanted |= {(kernel, "float64") for kernel in _kernels_of(columns)}
    n_ready = sum(kernel.is_ready(dtype) for kernel, dtype in wanted)
    _compile(wanted, Bar("warm_up") if verbose else None)
    n_compiled, n_loaded = (after - then for after, then in zip(jit.counts(), before, strict=True))
    return WarmUp(n_compiled, n_loaded, n_ready, time.perf_counter() - start, jit.cache_folder())


def _compile(wanted: set[tuple[jit.Kernel, str]], bar: Bar | None) -> None:
    """Compile functions, or load them, one after another."""
    try:
        for number, (kernel, dtype) in enumerate(wanted):
            if bar is not None:
                bar.show(number / len(wanted), f"{number}/{len(wanted)} functions")
            kernel.address(dtype)
        parallel.compile_regions()
        if bar is not None:
            bar.show(1.0, f"{len(wanted)} functions")
    finally:
        if bar is not None:
            bar.end()


def _kernels_of(module: Any) -> list[jit.Kernel]:
    """Kernels that a module makes or uses."""
    return [value for value in vars(module).values() if isinstance(value, jit.Kernel)]
