"""One process per run folder. The lock belongs to the process, so that a killed one leaves none behind."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lgesynthnet.errors import RunError

LOCK = ".lock"


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold the run folder; makes it where it is missing.

    Raises:
        RunError: another process holds it, or it cannot be written.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        handle = (run / LOCK).open("a+b")
    except OSError as fault:
        raise RunError(f"{run}: cannot be written ({fault.strerror or fault}); choose a writable --out folder") from None
    with handle:
        try:
            _take(handle)
        except OSError as fault:
            if fault.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                raise RunError(f"{run}: this file system cannot lock files ({fault.strerror}); choose --out on a local disk") from None
            handle.seek(0)
            holder = handle.read(32).decode("ascii", "replace").strip() or "unknown"
            raise RunError(f"{run}: process {holder} is writing to it; wait for it, or choose another --out") from None
        with suppress(OSError):  # the number only serves the message above; a full disk is reported by what matters
            handle.truncate(0)
            handle.write(f"{os.getpid()}\n".encode())
            handle.flush()
        yield


def _take(handle: BinaryIO) -> None:
    """Lock the file for as long as this process lives and holds it open; raises OSError where another one does."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        # Byte far past the end: locking the number itself would keep the other process from reading it.
        handle.seek(1 << 20)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
