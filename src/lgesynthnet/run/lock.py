"""One process per run folder. The operating system frees the lock of a killed process, so none is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lgesynthnet.errors import RunError

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for as long as the block runs; the folder is made where it is missing.

    Raises:
        RunError: another process holds it, it cannot be written, or its file system has no locks.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise RunError(f"{folder}: another process is writing to it; wait for it, or choose another --out") from None
    except NotImplementedError:
        raise RunError(f"{folder}: this file system cannot lock files; choose --out on a local disk") from None
    except OSError as fault:
        raise RunError(f"{folder}: cannot be written ({fault.strerror or fault}); choose a writable --out folder") from None
    try:
        yield
    finally:
        lock.release()
