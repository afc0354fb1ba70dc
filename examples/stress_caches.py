"""Compiled caches: every way to find them damaged, missing, shared, stale or full, and the answer is right each time.

Run: ``python examples/stress_caches.py [rounds] [way ...]``. Every process attends once with caches as the row says,
and must give the bits of a process with a cache of its own; where it says so, it must also have compiled anew, or not.
"""

import ctypes
import functools
import pathlib
import platform
import random
import resource
import shutil
import sys
import tempfile
import time

from stress_common import Table, outcome, run, start

import skattn

N_ROUNDS = 8
PACKAGE = pathlib.Path(skattn.__file__).parent
ATTEND = """
import numpy as np
from skattn import attention
from skattn._kernels import jit
from stress_common import digest
x = np.random.default_rng(0).normal(size=(2, 2, 37, 9)).astype(np.float32)
{between}
print(digest(attention(x, x, x, n_jobs=1)), *jit.counts())
"""
OTHER_CPU = {"NUMBA_CPU_NAME": "x86-64-v2", "NUMBA_CPU_FEATURES": "+sse4.2"}


def attend(cache, between="", **options):
    """Attend in a process of its own; gives the bits, how many functions it compiled and loaded, and what failed."""
    printed, failure = run(ATTEND.format(between=between), **{"NUMBA_CACHE_DIR": str(cache)} | options)
    return (printed[0], int(printed[1]), int(printed[2]), "") if printed else ("", 0, 0, failure)


@functools.cache
def filled():
    """Give a folder that one process has filled, and the bits that it gave."""
    cache = pathlib.Path(tempfile.mkdtemp())
    bits, _, _, failure = attend(cache)
    assert bits, failure
    return cache, bits


def copy():
    """Give a filled folder to spoil."""
    cache = pathlib.Path(tempfile.mkdtemp())
    shutil.copytree(filled()[0], cache, dirs_exist_ok=True)
    return cache


def verdict(name, cache, *, compiles=None, bits=None, **options):
    """Tell what was wrong with a process, if anything: its bits, or that it compiled or did not."""
    got, n_compiled, _, failure = attend(cache, **options)
    if failure or got != (bits or filled()[1]):
        return f"{name}: {failure or 'other bits'}"
    wrong = compiles is not None and (n_compiled > 0) != compiles
    return f"{name}: {n_compiled} functions were compiled" if wrong else ""


def spoilt(spoil):
    """Give verdicts on a cache with spoilt files, and on what is there after that."""
    cache, name = copy(), spoil.__name__
    files = sorted(path for path in cache.rglob("*") if path.is_file())
    for path in files:
        spoil(path)
    found = [verdict(name, cache, compiles=True), verdict(f"{name}, then", cache, compiles=False)]
    shutil.rmtree(cache)
    return found


def truncate(path):
    """Files that end early, each somewhere else"""
    path.write_bytes(path.read_bytes()[: random.randrange(path.stat().st_size)])


def empty(path):
    """Empty files"""
    path.write_bytes(b"")


def flip(path):
    """Code with flipped bits"""
    if path.suffix == ".nbc":
        content = bytearray(path.read_bytes())
        for _ in range(random.randrange(1, 9)):
            content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        path.write_bytes(content)


def blank(path):
    """Code with a block of zeros, as a power cut leaves it"""
    if path.suffix == ".nbc":
        content = bytearray(path.read_bytes())
        first = random.randrange(len(content) - 600)
        content[first : first + 512] = bytes(512)
        path.write_bytes(content)


def scramble(path):
    """Random bytes, in a random half of the files, and nothing at all in the others"""
    path.write_bytes(random.randbytes(random.randrange(9999))) if random.random() < 0.5 else path.unlink()


def lose_code(path):
    """An index without its code"""
    if path.suffix == ".nbc":
        path.unlink()


def lose_index(path):
    """Code without its index"""
    if path.suffix == ".nbi":
        path.unlink()


def as_a_user():
    """Let a superuser's process heed permissions, as those of users do."""
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


def missing():
    """A folder that does not exist: it is made, and what was compiled is kept"""
    cache = pathlib.Path(tempfile.mkdtemp()) / "no" / "such"
    return [verdict("missing", cache, compiles=True), verdict("missing, then", cache, compiles=False)]


def unreadable():
    """Files that may not be read"""
    cache = copy()
    for path in cache.rglob("*.nb*"):
        path.chmod(0)
    found = [verdict("unreadable", cache, before=as_a_user, compiles=True)]
    return [*found, verdict("unreadable, then", cache, before=as_a_user, compiles=False)]


def unwritable():
    """No folder that may be written, so that each process compiles"""
    folder, package = (pathlib.Path(tempfile.mkdtemp()) for _ in "12")
    folder.chmod(0o555)
    shutil.copytree(PACKAGE, package / "skattn", ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*package.rglob("*"), package]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    nowhere = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder), "PYTHONPATH": str(package)}
    return [verdict("unwritable", folder, before=as_a_user, compiles=True, **nowhere) for _ in "12"]


def folders():
    """Folders where files should be, so that each process compiles"""
    found = []
    for suffix in ("nbi", "nbc"):
        cache = copy()
        for path in list(cache.rglob(f"*.{suffix}")):
            path.unlink()
            path.mkdir()
        found += [verdict(f"a folder for each .{suffix}", cache, compiles=True) for _ in "12"]
    return found


def vanishing():
    """A folder that vanishes, or becomes a file, while a process runs"""
    found = []
    # Beside a file in its place numba uses the folder of the package, where there may be something.
    for after, compiles in (("", True), ("open({0!r}, 'w').close()", None)):
        cache = copy()
        remove = "import shutil; from skattn._kernels import matmul; matmul.transpose.address('float32')\n"
        remove += f"shutil.rmtree({str(cache)!r})\n" + after.format(str(cache))
        found.append(verdict("vanishing", cache, between=remove, compiles=compiles))
    return found


def at_once(n_processes):
    """Give verdicts on processes that fill one empty folder at once, and on what they left."""
    cache = tempfile.mkdtemp()
    processes = [start(ATTEND.format(between=""), NUMBA_CACHE_DIR=cache) for _ in range(n_processes)]
    outcomes = [outcome(process) for process in processes]
    found = [failure or ("" if bits[0] == filled()[1] else "at once: other bits") for bits, failure in outcomes]
    return [*found, verdict("after", cache, compiles=False)]


def two_at_once():
    """Two processes that compile at once into one empty folder"""
    return at_once(2)


def five_at_once():
    """Five of them"""
    return at_once(5)


def another_cpu():
    """A folder shared with another CPU, and with another width of vectors: neither answers for the other"""
    cache, found = copy(), []
    others = [{"SKATTN_VECTOR_BITS": "128"}, *([OTHER_CPU] if platform.machine() == "x86_64" else [])]
    for other in others:
        # What the other gives with a cache of its own is its right answer.
        bits = attend(tempfile.mkdtemp(), **other)[0]
        found += [verdict("other", cache, bits=bits, compiles=compiles, **other) for compiles in (True, False)]
        found.append(verdict("this", cache, compiles=False))
    # The index of one with the code of the other, as two that write at once can leave them.
    for path in cache.rglob("*.2.nbc"):
        shutil.copy(path, str(path).replace(".2.nbc", ".1.nbc"))
    return [*found, verdict("mixed", cache, compiles=True)]


def edited():
    """An edit to each kernel file in turn; one that changes the answer, and is taken back"""
    package, cache = pathlib.Path(tempfile.mkdtemp()), tempfile.mkdtemp()
    shutil.copytree(PACKAGE, package / "skattn", ignore=shutil.ignore_patterns("__pycache__"))
    options, found = {"PYTHONPATH": str(package)}, []
    for path in sorted((package / "skattn" / "_kernels").glob("*.py")):
        attend(cache, **options)
        with open(path, "a") as file:
            file.write("# edited\n")
        found.append(verdict(f"{path.name} edited", cache, compiles=True, **options))
    # What stands in this file goes into the code of others.
    path = package / "skattn" / "_kernels" / "simd.py"
    before = path.read_text()
    path.write_text(before.replace("0.693147188026228781", "0.75"))
    bits, _, _, failure = attend(cache, **options)
    found.append(failure or ("the edit changed nothing" if bits == filled()[1] else ""))
    path.write_text(before)
    return [*found, verdict("taken back", cache, compiles=True, **options)]


def full(limits=(0, 1000, 9000, 40_000)):
    """A disk that is full after some bytes: then compiled anew, and kept once there is room"""
    found = []
    for n_bytes in limits:
        cache = tempfile.mkdtemp()
        limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
        found.append(verdict(f"full after {n_bytes}", cache, before=limit, compiles=True))
        found += [verdict("room again", cache), verdict("room again, then", cache, compiles=False)]
    return found


def killed():
    """A process that is killed at a random moment while it compiles"""
    cache = tempfile.mkdtemp()
    process = start(ATTEND.format(between=""), NUMBA_CACHE_DIR=cache)
    time.sleep(random.uniform(0.3, 2.5))
    process.kill()
    process.communicate()
    return [verdict("killed", cache), verdict("killed, then", cache, compiles=False)]


SPOILS = (truncate, empty, flip, blank, scramble, lose_code, lose_index)
SITUATIONS = (
    missing, unreadable, unwritable, folders, vanishing, two_at_once, five_at_once, another_cpu, full, killed, edited,
)  # fmt: skip


def stress(n_rounds=N_ROUNDS, names=()):
    """Print a row for each way, or for those named; gives the table."""
    random.seed(0)
    table = Table("caches")
    for way in (*SPOILS, *SITUATIONS):
        if names and way.__name__ not in names:
            continue
        if way in SPOILS:
            failures = [found for _ in range(n_rounds) for found in spoilt(way)]
        else:
            # Each is several processes.
            failures = [found for _ in range(-(-n_rounds // 4)) for found in way()]
        table.add(way.__doc__, failures=failures)
    shutil.rmtree(filled()[0])
    return table


if __name__ == "__main__":
    stress(int(sys.argv[1]) if len(sys.argv) > 1 else N_ROUNDS, sys.argv[2:]).end()
