"""A file is replaced whole or stays as it was, whatever fails, and says which version wrote it."""

import os
import re
import subprocess
import sys
import time

import pytest

import skattn
from skattn._storage import refuse_newer, refuse_unwritable, release_of, remove_old_drafts, replace_file

BEFORE, AFTER = b"what stood there before", b"what is to stand there" * 1000
RELEASE = skattn.__version__.split(".dev")[0]

WRITE = "import sys; from skattn._storage import replace_file; replace_file('model', b'x' * 100_000)"
FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000));"
READ_ONLY = "import os, skattn._storage; os.chmod('.', 0o555); os.geteuid() or os.seteuid(65534);"


@pytest.fixture
def path(tmp_path):
    """A file that is there already."""
    (tmp_path / "model").write_bytes(BEFORE)
    return tmp_path / "model"


def write_in_a_child(folder, hindrance):
    """The last line of what another process has to say that cannot write to this folder."""
    run = subprocess.run([sys.executable, "-c", hindrance + WRITE], cwd=folder, capture_output=True, text=True)
    folder.chmod(0o755)
    assert 1 == run.returncode
    return run.stderr.splitlines()[-1]


@pytest.mark.parametrize("is_there", [False, True])
def test_content_is_put_in_place(path, is_there):
    if not is_there:
        path.unlink()
    replace_file(str(path), AFTER)
    assert AFTER == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


def test_a_path_relative_to_the_working_folder_will_do(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    replace_file("model", AFTER)
    assert AFTER == path.read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="the system has no limits of this kind")
@pytest.mark.parametrize(
    ("hindrance", "message"),
    [
        (FULL, "OSError: .*model was not written and is as it was: File too large; free space, or choose another"),
        (READ_ONLY, "PermissionError: .*model cannot be written: Permission denied; choose another path"),
    ],
    ids=["full", "read-only"],
)
def test_what_cannot_be_written_leaves_the_file_as_it_was(path, hindrance, message):
    assert re.search(message, write_in_a_child(path.parent, hindrance))
    assert BEFORE == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


def test_a_missing_folder_is_named_with_a_way_out(tmp_path):
    path = tmp_path / "missing" / "model"
    message = f"{re.escape(str(path))} cannot be written: No such file or directory; choose another path, or make"
    for write in (refuse_unwritable, lambda path: replace_file(path, AFTER)):
        with pytest.raises(FileNotFoundError, match=message):
            write(path)


def test_trying_whether_a_file_can_be_written_changes_nothing(path):
    refuse_unwritable(path)
    assert BEFORE == path.read_bytes()
    assert [path] == list(path.parent.iterdir())
    with pytest.raises(IsADirectoryError, match="it is a folder; add the name of a file"):
        refuse_unwritable(path.parent)


def test_a_folder_is_not_replaced(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(OSError, match="model was not written and is as it was.*choose another path"):
        replace_file(tmp_path / "model", AFTER)
    assert ["model"] == [path.name for path in tmp_path.iterdir()]


def test_an_interruption_leaves_no_draft(path, monkeypatch):
    def interrupt(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        replace_file(path, AFTER)
    assert BEFORE == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


def test_content_is_on_the_disk_before_it_takes_its_name(path, monkeypatch):
    """After a power cut there may be the old content or the new, but no name without content."""
    steps = []
    for name in ("fsync", "replace"):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, call=call: (steps.append(name), call(*given))[1])
    replace_file(path, AFTER)
    assert steps[:2] == ["fsync", "replace"]
    assert os.name != "posix" or steps == ["fsync", "replace", "fsync"], "and then the folder's new entry"


@pytest.mark.skipif(os.name != "posix", reason="the system has no such permissions")
def test_permissions_are_those_of_any_file(path):
    """A new file is as the user's mask wants it, and one that was there keeps its own."""
    path.with_name("ordinary").touch()
    replace_file(path.with_name("new"), AFTER)
    assert path.with_name("ordinary").stat().st_mode == path.with_name("new").stat().st_mode
    path.chmod(0o640)
    replace_file(path, AFTER)
    assert 0o640 == path.stat().st_mode & 0o777


@pytest.mark.skipif(os.name != "posix", reason="links need rights of their own")
def test_what_a_link_points_to_is_replaced(path):
    link = path.with_name("link")
    link.symlink_to(path)
    replace_file(link, AFTER)
    assert link.is_symlink() and AFTER == path.read_bytes()


def test_only_old_drafts_of_the_same_file_are_removed(path):
    """A young one may belong to a process that is at work."""
    names = [".model.1.part", ".model.2.part", ".other.1.part", "model.1.part"]
    for name in names:
        path.with_name(name).touch()
        if name != ".model.2.part":
            os.utime(path.with_name(name), (time.time() - 1e6,) * 2)
    remove_old_drafts(path)
    assert {"model", *names[1:]} == {entry.name for entry in path.parent.iterdir()}


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("1.2.3", (1, 2, 3)),
        ("1.2.dev0", (1, 2)),
        ("0.10.0rc1", (0, 10)),
        ("2.0.0+local.7", (2,)),
        ("0", ()),
        ("unknown", ()),
        ("1..2", (1,)),
        ("", ()),
    ],
)
def test_the_numbers_of_a_version_are_compared(version, release):
    assert release == release_of(version)


@pytest.mark.parametrize("version", ["99", "99.1.0", "0.99", RELEASE + ".1"])
def test_a_newer_version_is_refused_with_both_named(version):
    message = f"This file was written by skattn {version}, and this is skattn {skattn.__version__}.*upgrade skattn"
    with pytest.raises(ValueError, match=message):
        refuse_newer(version, "This file")


@pytest.mark.parametrize(
    "version", [skattn.__version__, RELEASE, RELEASE + ".0", RELEASE + "rc1", "0", "0.0.9", "0.1", "?"]
)
def test_this_version_and_older_ones_are_welcome(version):
    refuse_newer(version, "This file")
