"""One process for each folder that is written. The operating system frees the lock of a killed process, so none is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lgesynthnet.errors import RunError

LOCK = ".lock"


@contextmanager
def locked(folder: Path, *, shown_as: Path) -> Iterator[None]:
    """Hold a folder for as long as the block runs; the folder is made where it is missing.

    Args:
        shown_as: the folder as the user wrote it.
    Raises:
        RunError: another process holds it, it cannot be written, or its file system has no locks.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise RunError(f"{shown_as}: another process is writing to it; wait for it, or choose another folder") from None
    except NotImplementedError:
        raise RunError(f"{shown_as}: this file system cannot lock files; choose a folder on a local disk") from None
    except OSError as fault:
        raise RunError(f"{shown_as}: cannot be written ({fault.strerror or fault}); choose a writable folder") from None
    try:
        yield
    finally:
        lock.release()
