"""Files below a folder, behind the ``Store`` port: whole or absent, durable when written."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from hansa.errors import Retryable, Terminal

_PARTIAL = ".partial-"
_IDENTITY = "identity"


class FileStore:
    """Keeps files below ``root``; a web server may serve that folder as it is."""

    def __init__(self, root: Path) -> None:
        """No I/O until the first call."""
        self._root = root

    def hold(self) -> None:
        """Keep all other processes from holding it, until this one ends; raises ``Terminal`` where one does.

        It is a lock beside the folder, which nobody has to heed who does not ask for it.
        """
        path = self._root.with_name(f"{self._root.name}.lock")
        try:
            _make_folder(path.parent)
            # Never closed: the process's end gives it back.
            fcntl.flock(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Terminal(f"{self._root} is held by another process", reason="Held") from error
        except OSError as error:
            raise Terminal(f"{self._root} cannot be held: {error}", reason="NotHeld") from error

    def identity(self) -> str:
        """Return what these files are known by: drawn the first time, and kept among them."""
        known = (self.read(_IDENTITY) or b"").decode(errors="replace").strip()
        if not known:
            known = os.urandom(16).hex()
            self.write(_IDENTITY, known.encode())
        return known

    def read(self, path: str) -> bytes | None:
        """Return a file whole, or None where there is none."""
        try:
            return self._at(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Retryable(f"cannot read {path}: {error}") from error

    def write(self, path: str, body: bytes) -> None:
        """Write beside it, sync, rename, sync the folder: a crash leaves the old file or the new one."""
        target = self._at(path)
        try:
            _make_folder(target.parent)
            _replace(target, body)
            _sync(target.parent)
        except OSError as error:
            raise Retryable(f"cannot write {path}: {error}") from error

    def list(self, folder: str) -> list[str]:
        """Return the paths of the files right below ``folder``, sorted."""
        try:
            names = sorted(entry.name for entry in os.scandir(self._at(folder)) if entry.is_file())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise Retryable(f"cannot list {folder}: {error}") from error
        return [f"{folder}/{name}" for name in names if not name.startswith(_PARTIAL)]

    def delete(self, path: str) -> None:
        """Remove a file; absent is success."""
        try:
            self._at(path).unlink(missing_ok=True)
        except OSError as error:
            raise Retryable(f"cannot delete {path}: {error}") from error

    def _at(self, path: str) -> Path:
        parts = path.split("/")
        if not all(parts) or {".", ".."} & set(parts):
            raise Terminal(f"{path!r} is no path below the store", reason="BadPath")
        return self._root.joinpath(*parts)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, and sync each parent that got a new entry."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _replace(target: Path, body: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=_PARTIAL, dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
