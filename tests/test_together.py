"""Tasks side by side: each is done, and what one raises is raised as if they had come one after another."""

import signal
import threading
import time
from concurrent.futures import wait

import pytest

from skattn._training import together
from skattn._training.together import train_together


def until_cancelled(is_cancelled):
    """A task without an end."""
    for _ in range(2000):
        if is_cancelled():
            raise KeyboardInterrupt
        time.sleep(0.01)
    raise AssertionError("nobody cancelled it")


def failing(message, delay=0.0):
    def task(is_cancelled):
        time.sleep(delay)
        raise ValueError(message)

    return task


def test_all_tasks_run_at_the_same_time():
    meeting, done = threading.Barrier(3, timeout=20), []

    def task(is_cancelled):
        meeting.wait()
        done.append(is_cancelled())

    train_together([task] * 3)
    assert done == [False] * 3


def test_an_error_ends_those_after_it():
    with pytest.raises(ValueError, match="first"):
        train_together([failing("first"), until_cancelled, until_cancelled])


@pytest.mark.parametrize("delays", [(0.0, 0.2), (0.2, 0.0)])
def test_of_several_errors_the_first_is_raised_whenever_it_came(delays):
    with pytest.raises(ValueError, match="first"):
        train_together([failing("first", delays[0]), failing("second", delays[1])])


def test_an_error_leaves_those_before_it_alone():
    done = []

    def slow(is_cancelled):
        time.sleep(0.2)
        done.append(is_cancelled())

    with pytest.raises(ValueError, match="second"):
        train_together([slow, failing("second")])
    assert done == [False]


def test_control_c_ends_all(monkeypatch):
    """It comes to the thread that waits, which tells the others."""

    def pressed(results, timeout):
        time.sleep(0.1)
        signal.raise_signal(signal.SIGINT)
        return wait(results, timeout)

    monkeypatch.setattr(together, "wait", pressed)
    with pytest.raises(KeyboardInterrupt):
        train_together([until_cancelled, until_cancelled])


def test_an_interrupt_in_a_task_is_as_good_as_one_from_outside():
    def interrupted(is_cancelled):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_together([until_cancelled, interrupted])
