"""Files that are whole or not there, and folders that can be told apart by what they hold."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lgesynthnet.errors import InputError, RunError


def write_bytes(out_path: Path, content: bytes) -> None:
    """Write a whole file or nothing: to a neighbour first, then renamed over the target.

    Raises:
        RunError: read-only, full disk, no such place, or the target is not a plain file.
    """
    partial = out_path.with_name(f".{out_path.name}.{os.getpid()}.partial")
    try:
        if out_path.exists() and not out_path.is_file():  # renaming over a device or a folder would destroy or fail
            raise RunError(f"{out_path}: exists and is not a plain file; choose another output folder")
        out_path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, out_path)
    except OSError as fault:
        _remove(partial)
        raise RunError(f"{out_path}: cannot be written ({fault.strerror or fault}); free space or choose a writable --out folder") from None
    except BaseException:  # also a Ctrl-C leaves nothing half-written
        _remove(partial)
        raise


def _remove(partial: Path) -> None:
    try:
        partial.unlink(missing_ok=True)
    except OSError:  # the folder itself is gone or read-only: there is nothing to remove
        return


def write_json(path: Path, record: dict[str, object]) -> None:
    """Keys sorted, so that equal records are equal files."""
    write_bytes(path, (json.dumps(record, indent=2, sort_keys=True) + "\n").encode())


def read_json(path: Path, limit_bytes: int = 2**26) -> dict:
    """A JSON object from a file of at most `limit_bytes`.

    Raises:
        InputError: not there, too large, not JSON, not an object.
    """
    try:
        if path.stat().st_size > limit_bytes:
            raise InputError(f"{path}: is larger than {limit_bytes >> 20} MiB; that is not the JSON file expected here")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise InputError(f"{path}: cannot be read: {fault.strerror or fault}") from None
    except (ValueError, RecursionError) as fault:
        raise InputError(f"{path}: is not JSON ({fault}); mend or replace it") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: must hold a JSON object, holds a {type(content).__name__}")
    return content
