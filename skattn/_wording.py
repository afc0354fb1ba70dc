"""Put what users passed, and what other libraries say, into messages that stay short."""

import reprlib
from typing import Any

_GAP = " ... "


def shortened(value: Any, most: int = 200) -> str:
    """Word a value, its middle left out where it is long.

    Parameters
    ----------
    value : object
        A text or an error is taken by its words; of anything else Python's own way to write it, of which
        no more than the beginning of a collection is looked at.
    most : int, default=200
        Characters that the result may have.

    Returns
    -------
    text : str
    """
    text = value if isinstance(value, str) else str(value) if isinstance(value, Exception) else reprlib.repr(value)
    if len(text) <= most:
        return text
    # What is wrong stands at the beginning of most messages, and the way out at their end.
    head = (most - len(_GAP)) // 2
    return text[:head] + _GAP + text[len(text) - (most - len(_GAP) - head) :]
