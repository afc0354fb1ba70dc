"""Write files whole or not at all, and know which version wrote them."""

import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from skattn import __version__
from skattn._wording import shortened

DRAFT_LIFE = 3600
"""Seconds after which a draft is taken for that of a process that was killed."""


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Put content in place of what stands at `path`, durably; whatever happens, one of the two stands there whole.

    A file that is there keeps its permissions, and of a link what it points to is replaced. Only a process that is
    killed on the way leaves a draft beside the file; see `remove_old_drafts`.

    Parameters
    ----------
    path : str or path-like
        In a folder that exists.
    content : bytes

    Raises
    ------
    OSError
        If it cannot be written, for example because the disk is full. The file is then as it was.
    """
    path = Path(os.path.realpath(path))
    draft = _draft_of(path)
    file = _open_draft(draft, path)
    try:
        with file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.is_file():
            shutil.copymode(path, draft)
        os.replace(draft, path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            message = f"{path} was not written and is as it was: {error.strerror}; free space, or choose another path"
            raise OSError(error.errno, message) from error
        raise
    _flush_folder(path.parent)


def refuse_unwritable(path: str | os.PathLike[str]) -> None:
    """Raise the OSError of `replace_file` where nothing can be written at `path`, by trying.

    Parameters
    ----------
    path : str or path-like
    """
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(f"{path} cannot be written, because it is a folder; add the name of a file.")
    draft = _draft_of(path)
    _open_draft(draft, path).close()
    draft.unlink()


def remove_old_drafts(path: str | os.PathLike[str]) -> None:
    """Remove what processes that were killed while they wrote `path` left beside it, an hour ago or longer.

    Parameters
    ----------
    path : str or path-like
    """
    path = Path(os.path.realpath(path))
    for draft in path.parent.glob(_draft_of(path, "*").name):
        with suppress(OSError):  # another process may have been quicker
            if time.time() - draft.stat().st_mtime > DRAFT_LIFE:
                draft.unlink()


def _draft_of(path: Path, name: str | None = None) -> Path:
    """Where a file is written before it takes its name: beside it, for only there is renaming one step."""
    return path.with_name(f".{path.name}.{name or secrets.token_hex(4)}.part")


def _open_draft(draft: Path, path: Path) -> BinaryIO:
    try:
        return draft.open("xb")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}; choose another path, or make its folder writable"
        raise OSError(error.errno, message) from error


def _flush_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system can."""
    if os.name != "posix":  # pragma: no cover - Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def release_of(version: str) -> tuple[int, ...]:
    """Give the numbers of a version that can be compared: (1, 2) for "1.2.dev0" and for "1.2.0"."""
    numbers = re.match(r"\d{1,9}(\.\d{1,9})*", version, re.ASCII)
    release = [int(number) for number in numbers[0].split(".")] if numbers else []
    while release and release[-1] == 0:
        release.pop()
    return tuple(release)


def refuse_newer(written_by: str, what: str, instead: str = "fit again") -> None:
    """Raise a ValueError where a file was written by a later version, naming both.

    Parameters
    ----------
    written_by : str
        Version in the file.
    what : str
        What the file holds, as the beginning of a sentence: "This SelfAttentionClassifier", for example.
    instead : str
        What to do but to upgrade.
    """
    if release_of(written_by) > release_of(__version__):
        version = shortened(written_by, 40)
        raise ValueError(
            f"{what} was written by skattn {version}, and this is skattn {__version__}, which may not understand "
            f"all of it; upgrade skattn, or {instead}."
        )
