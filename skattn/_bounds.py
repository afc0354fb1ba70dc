"""What a query sees of the keys: windows, one step in several, global steps, the best alone."""

from numbers import Integral

from ._wording import shortened


def bounds(causal, window):
    """Give how many steps a query sees to its left and right, None for all; checks what the caller said."""
    left, right = (None, None) if window is None else _pair(window)
    for side, steps in (("left", left), ("right", right)):
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 0):
            raise ValueError(
                f"window={shortened(window)} has {shortened(steps)} on its {side}; each side is a number of steps, "
                "0 or more, or None for all."
            )
    return left, 0 if causal else right


def _pair(window):
    if isinstance(window, Integral) and not isinstance(window, bool):
        return window, window
    try:
        left, right = window
    except (TypeError, ValueError):
        raise ValueError(
            f"window={shortened(window)} is neither a number of steps nor a pair of them; try window=8, "
            "(8, 0) for what looks back only, or None."
        ) from None
    return left, right


def check_sparse(sides, dilation=1, n_global_steps=0, top_k=None):
    """Refuse what is no number of steps, or leaves out, or adds, steps of a window that is not there."""
    for name, number, least in (("dilation", dilation, 1), ("n_global_steps", n_global_steps, 0), ("top_k", top_k, 1)):
        is_left_out = name == "top_k" and number is None
        if not is_left_out and (isinstance(number, bool) or not isinstance(number, Integral) or number < least):
            raise ValueError(f"{name}={shortened(number)} is no whole number of {least} or more.")
    if dilation > 1 and not _has_window(sides):
        raise ValueError(
            f"dilation={dilation} takes one step in {dilation} of a window, and there is none that ends; say how far "
            f"window reaches, as window={8 * dilation}, ({8 * dilation}, 0) for what looks back only, or leave "
            "dilation=1."
        )
    if n_global_steps and not _has_window(sides):
        raise ValueError(
            f"n_global_steps={n_global_steps} adds steps to what a window leaves, and there is none that ends; say how "
            "far window reaches, as window=64, or leave n_global_steps=0."
        )


def _has_window(sides):
    """Tell whether something is left out beside what comes later."""
    left, right = sides
    return left is not None or right not in (None, 0)


def check_linear(sides, dilation=1, n_global_steps=0, top_k=None, **others):
    """Refuse what chooses among scores or changes them: linear attention has none. Of `others`, all but None."""
    given = {
        "window": "given" if _has_window(sides) else None,
        "dilation": None if dilation == 1 else dilation,
        "n_global_steps": n_global_steps or None,
        "top_k": top_k,
        **others,
    }
    for name, setting in given.items():
        if setting is not None:
            raise ValueError(
                f"{name} chooses among the scores of queries and keys, or changes them, and linear attention has no "
                f"scores: keys and values are summed up before they are read. Leave {name} out, or take softmax."
            )
