"""Refuse what streams cannot do: models that look ahead, and steps that are none; before anything is computed."""

from numbers import Integral
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from skattn._containers import as_array
from skattn._dates import is_date
from skattn._network.architecture import Architecture
from skattn._network.network import Network
from skattn._network.stepper import Program
from skattn._step_checks import refuse_masked, wrong_dtype
from skattn._training.objectives import Target
from skattn._wording import shortened
from skattn.categories import MOST
from skattn.held_categories import as_in_fit, words_of
from skattn.sizes import memory


def refuse_model(architecture: Architecture, target: Target, output: str) -> None:
    """Refuse a model whose results for the first steps of a sequence depend on later ones, or on how many there are.

    Parameters
    ----------
    architecture : Architecture
    target : Target
        How y was encoded.
    output : str
        The method whose results are wanted.

    Raises
    ------
    ValueError
    """
    a = architecture
    if a.n_kernels:
        raise ValueError(
            "A stream takes one step after another, and the stem makes tokens of whole sequences; fit with "
            'embedding="linear" or embedding="convolution", and causal=True.'
        )
    if a.patch_size:
        raise ValueError(
            f"A stream takes one step after another, and a token is made of {a.patch_size} steps here; fit with "
            "patch_size=1."
        )
    if not a.is_causal:
        raise ValueError(
            "A stream knows no later steps, and each step of this model attends to steps after it; fit with "
            "causal=True, or with a window whose right side is 0."
        )
    if target.features is not None and output != "transform":
        raise ValueError(
            'A stream knows no later steps, and with normalise_target="sequence" values are counted from the level of '
            'the whole sequence; fit with normalise_target="global", or ask for output="transform".'
        )


def refuse_unlike(networks: list[Network]) -> None:
    """Refuse networks of which one has other heads than another: a step is computed in all of them together.

    Raises
    ------
    ValueError
    """
    if len({network.architecture.heads for network in networks}) > 1:
        raise ValueError(
            "Streams carry all networks on together, and heads were taken out of some that others have; take the same "
            "ones out of every network, or stream the model as it was before."
        )


def check_count(n_streams: Any, program: Program) -> int:
    """Give the number of streams as an int.

    Raises
    ------
    ValueError
        If it is none, or this machine's memory cannot hold what they keep.
    """
    if isinstance(n_streams, bool) or not isinstance(n_streams, Integral) or n_streams < 1:
        raise ValueError(f"n_streams={shortened(repr(n_streams), 60)}; give a whole number from 1 on.")
    least = int(n_streams) * len(program.networks) * program.size(program.room_for(1)) * program.dtype.itemsize
    if least > memory():
        raise ValueError(
            f"n_streams={n_streams} streams keep at least {least / 2**30:.3g} GiB, and this machine has "
            f"{memory() / 2**30:.3g}; give fewer, or fit with a shorter window."
        )
    return int(n_streams)


def check_streams(streams: Any, n_streams: int) -> NDArray[np.int64]:
    """Give numbers of streams as an array.

    Raises
    ------
    ValueError
        If one is not there, or there twice.
    """
    numbers = np.asarray(streams)
    if numbers.dtype == bool and numbers.shape == (n_streams,):
        numbers = np.flatnonzero(numbers)
    if numbers.ndim > 1 or numbers.dtype.kind not in "iu" or not numbers.size:
        raise ValueError(
            f"streams={shortened(repr(streams), 60)}; give the number of a stream, a list of numbers, or a mask of "
            f"{n_streams} entries that is true for one of them or more."
        )
    # Few numbers are looked at sooner by Python than by NumPy.
    named = numbers.reshape(-1).tolist()
    if min(named) < 0 or max(named) >= n_streams:
        wrong = next(number for number in named if not 0 <= number < n_streams)
        raise ValueError(f"There is no stream {wrong}: streams are numbered from 0 to {n_streams - 1}.")
    if len(set(named)) < len(named):
        twice = next(number for number in named if named.count(number) > 1)
        raise ValueError(f"streams names stream {twice} twice, and one call is one step of each; call step twice.")
    return np.array(named, np.int64)


def read_steps(x: Any, n: int, n_features: int, known: dict[int, NDArray[Any] | None]) -> NDArray[Any]:
    """Give new steps as an array of numbers, of shape (n, n_features).

    Parameters
    ----------
    x : array-like of shape (n, n_features), or (n_features,) where `n` is 1
    n : int
        Streams that take a step.
    n_features : int
    known : dict of int to (ndarray or None)
        What codes of fit stand for, by column, where fit's sequences said so.

    Raises
    ------
    ValueError, TypeError
        If x has another shape, or holds something else than real numbers.
    """
    refuse_masked(x, "The step")
    try:
        steps = np.asarray(as_array(x))
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        has_dates = any(map(is_date, np.ravel(np.asarray(x, object)).tolist()))
        way_out = "; give seconds, of dates those since 1970-01-01 UTC, as fit has read them" if has_dates else ""
        raise kind(f"The step cannot be read as numbers: {shortened(error)}{way_out}") from error
    if steps.dtype.kind not in "fiub":
        raise ValueError(wrong_dtype(steps.dtype, "The step"))
    if steps.shape == (n_features,) and n == 1:
        return steps[np.newaxis]
    if steps.shape != (n, n_features):
        wanted = f"({n}, {n_features}), a row for each stream that takes a step"
        wanted += f", or ({n_features},)" if n == 1 else "; streams= says which do where not all of them do"
        raise ValueError(f"x has shape {steps.shape}, and {wanted} is wanted.")
    held = words_of(x)
    if held is not None and known:
        steps = steps.copy()
        for column, wanted_words in known.items():
            steps[:, column] = as_in_fit(steps[:, column], held[column], wanted_words, f"feature {column}")
    return steps


def refuse_values(steps: NDArray[Any], streams: NDArray[np.int64], architecture: Architecture) -> None:
    """Refuse infinity, NaN where nothing may be missing, and codes that are none.

    Parameters
    ----------
    steps : ndarray of shape (n, n_features)
    streams : int64 array of shape (n,)
        Which stream each step is of.
    architecture : Architecture

    Raises
    ------
    ValueError
        With the stream and the feature.
    """
    a = architecture
    with np.errstate(invalid="ignore"):
        is_odd = np.isinf(steps) if a.handles_missing else ~np.isfinite(steps)
        if a.time_feature is not None:
            is_odd[:, a.time_feature] = ~np.isfinite(steps[:, a.time_feature])
        if is_odd.any():
            _refuse_odd(steps, streams, is_odd, a.time_feature)
        for column, _ in a.categories:
            codes = steps[:, column]
            is_code = (codes >= 0) & (codes < MOST) & (codes == np.rint(codes)) | np.isnan(codes)
            if not is_code.all():
                row = int(np.argmin(is_code))
                raise ValueError(
                    f"The step of stream {streams[row]} has {codes[row]:.10g} at feature {column}, which is a "
                    f"category: codes are whole numbers from 0 to {MOST - 1}."
                )


def _refuse_odd(
    steps: NDArray[Any], streams: NDArray[np.int64], is_odd: NDArray[np.bool_], time_feature: int | None
) -> NoReturn:
    row, column = (int(i) for i in np.argwhere(is_odd)[0])
    place = f"The step of stream {streams[row]} has {{}} at feature {column}"
    if not np.isnan(steps[row, column]):
        raise ValueError(f"{place.format('infinity')}; values must be finite, so clip it, or leave the step out.")
    if column == time_feature:
        raise ValueError(f"{place.format('NaN')}, which says when it was; leave the step out, or fill it in.")
    raise ValueError(
        f'{place.format("NaN")}; fit with handle_missing="mask" for values that are missing, fill it in, or leave the '
        "step out: streams= says which streams take one."
    )


def refuse_times(times: NDArray[Any], before: NDArray[np.float64], streams: NDArray[np.int64]) -> None:
    """Refuse times that go backwards.

    Parameters
    ----------
    times, before : ndarray of shape (n,)
        Of the new steps, and of those before them; -inf where there is none.
    streams : int64 array of shape (n,)

    Raises
    ------
    ValueError
    """
    if (times < before).any():
        row = int(np.argmax(times < before))
        raise ValueError(
            f"The time of stream {streams[row]} goes backwards: {times[row]:.16g} comes after {before[row]:.16g}. Take "
            "steps in the order of time, or let the stream begin anew by reset."
        )


def refuse_late(counts: NDArray[np.int64], streams: NDArray[np.int64], max_steps: int) -> None:
    """Refuse a step for which no position was learned.

    Parameters
    ----------
    counts : int64 array of shape (n,)
        Steps that were taken.
    streams : int64 array of shape (n,)
    max_steps : int

    Raises
    ------
    ValueError
    """
    if (counts >= max_steps).any():
        late = streams[np.argmax(counts >= max_steps)]
        raise ValueError(
            f'Stream {late} has taken {max_steps} steps, and position="learned" has no vector for a later one: it was '
            f"fitted on sequences of up to {max_steps}. Let the stream begin anew by reset, or fit with another "
            'position, such as "rotary" or "alibi".'
        )
