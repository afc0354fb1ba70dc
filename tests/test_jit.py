"""The door to numba: nothing compiled at import, caches that cannot mislead, kernels joined by symbol."""

import os
import pathlib
import platform
import shutil
import subprocess
import sys

import numpy as np
import pytest

import skattn
from skattn._kernels import jit
from skattn._kernels.operation import Call, slot
from skattn._kernels.record import Record

WORK = """
import numpy as np
from skattn import attention
from skattn._kernels import jit
x = np.random.default_rng(0).normal(size=(1, 1, 5, 3)).astype(np.float32)
weights = np.exp(x @ x.swapaxes(2, 3) / np.sqrt(3))
expected = weights / weights.sum(-1, keepdims=True) @ x
np.testing.assert_allclose(attention(x, x, x, n_jobs=1), expected, rtol=1e-4, atol=1e-6)
print(*jit.counts())
"""


def run(code, **environment):
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


def work(cache):
    """Attend in a fresh process; gives how many functions it compiled and loaded."""
    return tuple(map(int, run(WORK, NUMBA_CACHE_DIR=str(cache))))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache folder that one process has filled."""
    cache = tmp_path_factory.mktemp("cache")
    n_compiled, n_loaded = work(cache)
    assert n_compiled > 0 and n_loaded == 0
    return cache


def files(cache, ending):
    return sorted(cache.rglob(f"*.{ending}"))


FIT = """
import numpy as np
from skattn import SelfAttentionClassifier
from skattn._kernels import jit
compiled, of_kernel = [], jit.Kernel._compile
def note(self, dtype):
    compiled.append(self.function.__module__.split(".")[-1] + "." + self.__name__)
    return of_kernel(self, dtype)
jit.Kernel._compile = note
X = np.random.default_rng(0).normal(size=(13, 11, 3))
sizes = dict(embedding="linear", max_iter=1, n_estimators=1, d_model=8, n_heads=2)
SelfAttentionClassifier(**sizes, {}).fit(X, np.arange(13) % 2)
print(*compiled)
"""


def compiled_by(parameters):
    """Names of the kernels that a first fit compiles, or loads where an earlier one has kept them."""
    return set(run(FIT.format(parameters)))


def test_a_fit_compiles_nothing_that_only_others_need():
    compiled = compiled_by("")
    assert "attend.attend_backward" in compiled
    assert not {name for name in compiled if name.split(".")[0] in ("best", "bias", "distances", "linear_attention")}
    assert "head.gather" not in compiled


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("position='relative'", {"distances.add_distances", "distances.learn_distances"}),
        ("position='alibi'", {"bias.add_times"}),
        ("window=5, dilation=2", {"head.gather"}),
    ],
)
def test_a_fit_compiles_what_is_called_by_its_address(parameters, expected):
    names = {"distances.add_distances", "distances.learn_distances", "bias.add_times", "head.gather"}
    assert compiled_by(parameters) & names == expected


def test_collecting_garbage_goes_on_after_compiling():
    code = """
import gc
from skattn._kernels import jit, matmul
was = []
def compiled(function, dtype):
    was.append(gc.isenabled())
jit._cache = compiled
matmul.transpose.address("float32")
print(was[0], gc.isenabled())
gc.disable()
matmul.add_rows.address("float32")
print(gc.isenabled())
"""
    assert run(code) == ["False", "True", "False"]


def test_importing_compiles_nothing():
    code = "import skattn; skattn.SelfAttentionClassifier; from skattn._kernels import jit; print(*jit.counts())"
    assert run(code) == ["0", "0"]


def test_a_second_process_compiles_nothing(filled):
    n_compiled, n_loaded = work(filled)
    assert n_compiled == 0 and n_loaded > 0


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda old: b"",
        lambda old: old[: len(old) // 2],
        lambda old: b"garbage" * 99,
        # A bit of machine code: what is left would be run.
        lambda old: old[: len(old) // 2] + bytes([old[len(old) // 2] ^ 1]) + old[len(old) // 2 + 1 :],
    ],
)
def test_damaged_files_are_compiled_anew(filled, tmp_path, ending, damage):
    cache = tmp_path / "cache"
    shutil.copytree(filled, cache)
    for path in files(cache, ending):
        path.write_bytes(damage(path.read_bytes()))
    assert work(cache)[0] > 0
    assert work(cache)[0] == 0


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    code = f"from numba.core import caching; caching.config.CACHE_DIR = {str(blocked)!r}\n"
    code += "classes = caching.CacheImpl._locator_classes\n"
    code += "caching.CacheImpl._locator_classes = [c for c in classes if 'UserProvided' in c.__name__]\n"
    n_compiled, n_loaded = map(int, run(code + WORK))
    assert n_compiled > 0 and n_loaded == 0


def test_an_edit_to_any_kernel_file_compiles_anew(tmp_path):
    package = pathlib.Path(skattn.__file__).parent
    shutil.copytree(package, tmp_path / "skattn", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    edit = f"open({str(tmp_path / 'skattn' / '_kernels' / 'softmax.py')!r}, 'a').write('# changed\\n')\n"
    # What was imported before the edit is not kept as if it came from the edited file.
    assert int(run("import skattn._kernels.heads\n" + edit + WORK, **environment)[-2]) > 0
    assert int(run(WORK, **environment)[0]) > 0
    assert int(run(WORK, **environment)[0]) == 0
    old = {path: path.read_bytes() for path in files(tmp_path / "cache", "nbc")}
    assert int(run(edit + WORK, **environment)[-2]) > 0
    # A process that was stopped between writing the index and the code leaves the old code under the new index.
    for path, content in old.items():
        path.write_bytes(content)
    assert int(run(WORK, **environment)[0]) > 0


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the other CPU that is named is one of these")
def test_code_of_another_cpu_is_not_run(filled, tmp_path):
    cache = tmp_path / "cache"
    shutil.copytree(filled, cache)
    other = {"NUMBA_CACHE_DIR": str(cache), "NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}
    assert int(run(WORK, **other)[0]) > 0
    assert int(run(WORK, **other)[0]) == work(cache)[0] == 0
    # Two that fill a shared folder at once may give their files the same name: the index of one, the code of the other.
    code = {path.name.split(".py")[0]: path.read_bytes() for path in files(cache, "2.nbc")}
    for path in files(cache, "1.nbc"):
        path.write_bytes(code[path.name.split(".py")[0]])
    assert work(cache)[0] > 0


def test_two_processes_may_compile_at_once(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    both = [subprocess.Popen([sys.executable, "-P", "-c", WORK], env=environment) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]


def test_kernels_know_each_other_by_symbol():
    from skattn._kernels.matmul import matmul

    assert matmul.symbol("float32") != matmul.symbol("float64")
    assert matmul.address("float32") == matmul.address("float32") != matmul.address("float64")


@pytest.mark.parametrize("stand_in", [jit.real, jit.reals, slot, Call])
def test_stand_ins_say_where_they_mean_something(stand_in):
    with pytest.raises(TypeError, match="inside kernels only"):
        stand_in(1)


def test_records_are_written_by_the_names_of_their_fields():
    record = Record("first", "second", doubles=("third",))
    one = record.new(second=7, third=0.5)
    assert (one.tolist()[:2], one.view(np.float64)[2]) == ([0, 7], 0.5)
    many = record.write(record.repeat(one, 3), first=[1, 2, 3], third=-1.0)
    assert many[:, :2].tolist() == [[1, 7], [2, 7], [3, 7]]
    assert many.view(np.float64)[:, 2].tolist() == [-1.0] * 3
    with pytest.raises(KeyError, match="fourth"):
        record.new(fourth=1)


def test_cpu_features_are_those_that_are_compiled_for():
    assert isinstance(jit.cpu_features(), set)
