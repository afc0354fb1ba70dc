"""Let an estimator be as it was where what was tried with it fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def all_or_nothing(
    estimator: Any, keeps: Callable[[BaseException, dict[str, Any]], bool] | None = None
) -> Iterator[None]:
    """If anything fails, put the estimator's attributes back as they were.

    Parameters
    ----------
    estimator : estimator
    keeps : callable (error, attributes before) -> bool, optional
        Whether what was changed until then stays after all.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException as error:
        if keeps is None or not keeps(error, before):
            vars(estimator).clear()
            vars(estimator).update(before)
        raise
