"""Narrower vectors than this machine's: the fallback for other CPUs, forced."""

import os
import pathlib
import subprocess
import sys

import pytest

CHOSEN = "(agrees_with_the_reference or slope_of_the_loss or every_length) and not losses"


@pytest.mark.parametrize("bits", ["128"])
def test_results_and_gradients_are_right_with_narrow_vectors(bits):
    folder = pathlib.Path(__file__).parent
    files = [str(folder / name) for name in ("test_network.py", "test_walk.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=short", "-p", "no:cacheprovider", "-k", CHOSEN]
    finished = subprocess.run(
        [*command, *files],
        cwd=folder.parent,
        env=os.environ | {"SKATTN_VECTOR_BITS": bits},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout[-3000:]
