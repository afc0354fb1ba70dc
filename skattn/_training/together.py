"""Train several networks at once, a thread each: what one does alone between its updates, others use the cores for."""

import math
from concurrent.futures import ThreadPoolExecutor, wait

# Seconds after which whoever waits looks up: Windows lets no Ctrl-C through to one that waits for ever.
_PATIENCE = 0.5


def train_together(tasks):
    """Call functions side by side, and raise what they would have raised one after another.

    Parameters
    ----------
    tasks : list of callable (is_cancelled) -> None
        `is_cancelled` tells, without arguments, whether what the task does has become useless: somebody pressed Ctrl-C,
        or a task before it failed. It then ends with KeyboardInterrupt, as soon as it can.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, once all tasks have ended.
    Exception
        Of the first task that failed.
    """
    failed = [math.inf]

    def run(number, task):
        try:
            task(lambda: failed[0] < number)
        except BaseException as error:
            # Ctrl-C ends those before it as well.
            failed[0] = min(failed[0], -1 if isinstance(error, KeyboardInterrupt) else number)
            raise

    with ThreadPoolExecutor(len(tasks)) as threads:
        results = [threads.submit(run, number, task) for number, task in enumerate(tasks)]
        try:
            while wait(results, timeout=_PATIENCE).not_done:
                pass
        except KeyboardInterrupt:
            failed[0] = -1
            raise
    errors = [error for result in results if (error := result.exception()) is not None]
    if errors:
        raise next((error for error in errors if not isinstance(error, KeyboardInterrupt)), errors[0])
