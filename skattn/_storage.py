"""Write files whole or not at all, and know which version wrote them."""

import os
import re
import tempfile
from pathlib import Path

from skattn import __version__


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Put content in place of what stands at `path`, durably; whatever happens, one of the two stands there whole.

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
    path = Path(path)
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise type(error)(error.errno, f"{path} cannot be written: {error.strerror}", str(path.parent)) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException as error:
        Path(draft).unlink(missing_ok=True)
        if isinstance(error, OSError):
            message = (
                f"{path} was not written and is as it was: {error.strerror}; free some space, or choose another path"
            )
            raise type(error)(error.errno, message, str(path)) from error
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def release_of(version: str) -> tuple[int, ...]:
    """Give the numbers of a version that can be compared: (1, 2) for "1.2.dev0"."""
    numbers = re.sub(r"[^\d.].*", "", version).strip(".")
    return tuple(int(number) for number in numbers.split(".")) if numbers else (0,)


def refuse_newer(written_by: str, what: str) -> None:
    """Raise a ValueError where a file was written by a later version, naming both.

    Parameters
    ----------
    written_by : str
        Version in the file.
    what : str
        What the file holds, as the beginning of a sentence: "This SelfAttentionClassifier", for example.
    """
    if release_of(written_by) > release_of(__version__):
        raise ValueError(
            f"{what} was written by skattn {written_by}, and this is skattn {__version__}, which may not understand "
            "all of it; upgrade skattn, or fit again."
        )
