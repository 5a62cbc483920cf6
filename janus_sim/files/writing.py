"""Write a file or a folder whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from janus_sim.errors import InputError, Mistake

#: The files by which a folder is known as an earlier result, and as a sweep that is not finished.
MARKS = ("provenance.json", "sweep.json")


def digest(data: bytes) -> str:
    """Give the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def write_whole(path: str | Path, content: bytes | Callable[[Path], None]) -> None:
    """Write a file under a temporary name beside it, then rename; whoever looks sees the old or the new one.

    Parameters
    ----------
    path : str or Path
    content : bytes, or a function that writes to the path it is given
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        if callable(content):
            content(temporary)
        else:
            temporary.write_bytes(content)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_file(path: str | Path, option: str) -> None:
    """Refuse a file that cannot be written.

    Parameters
    ----------
    path : str or Path
    option : str
        What named it, for the message.

    Raises
    ------
    InputError
        Before anything is simulated or written.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(Mistake(f"{path}:", f"is a folder; write the name of a file after {option}"))
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(Mistake(f"{path}:", f"is not to be written; write another file after {option}"))
    check_place(path, option)


def check_place(path: str | Path, option: str) -> None:
    """Refuse a file or folder that cannot be made; folders above it that are missing can.

    Raises
    ------
    InputError
        Before anything is simulated or written.
    """
    above = next(folder for folder in Path(path).absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(Mistake(f"{path}:", f"cannot be made: {above} is no folder; write another {option}"))
    if not os.access(above, os.W_OK | os.X_OK):
        words = f"cannot be made: nobody may write into {above}; write another {option}"
        raise InputError(Mistake(f"{path}:", words))


def check_folder(target: str | Path, option: str = "--out") -> None:
    """Refuse a folder that holds something else than an earlier result, or that cannot be made.

    Raises
    ------
    InputError
        Before anything is simulated or written.
    """
    target, elsewhere = Path(target), f"write the results elsewhere with {option}"
    check_place(target, option)
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(Mistake(f"{target}:", f"is not a folder; {elsewhere}"))
    if not os.access(target, os.W_OK | os.X_OK):
        raise InputError(Mistake(f"{target}:", f"nobody may write into it; {elsewhere}"))
    if any(target.iterdir()) and not any((target / mark).is_file() for mark in MARKS):
        words = f"holds something else than a result (there is no {' and no '.join(MARKS)}); {elsewhere}"
        raise InputError(Mistake(f"{target}:", words))


def replace_folder(target: str | Path, fill: Callable[[Path], None]) -> None:
    """Fill a temporary folder, then put it in the place of an empty folder or an earlier result.

    Raises
    ------
    InputError
        When the target is any other non-empty folder.
    """
    target = Path(target)
    check_folder(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        new, old = work / "new", work / "old"
        new.mkdir()
        fill(new)
        check_folder(target)
        if target.exists():
            target.rename(old)
        new.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
