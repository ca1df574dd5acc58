"""Atomic writing of files, and reading and writing of JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lgesynthnet.errors import InputError, RunError


def write_bytes(out_path: Path, content: bytes) -> None:
    """Write a file completely or not at all: into a temporary file beside the target, which is then renamed.

    Raises:
        RunError: the folder is read-only or does not exist, the disk is full, or the target is not a plain file.
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
    except BaseException:  # Ctrl-C too must leave nothing half-written
        _remove(partial)
        raise


def _remove(partial: Path) -> None:
    try:
        partial.unlink(missing_ok=True)
    except OSError:  # the folder is gone or read-only, so there is nothing to remove
        return


def write_json(path: Path, record: dict[str, object]) -> None:
    """Write a JSON object with sorted keys, so that equal records give equal files.

    Raises:
        RunError: see `write_bytes`.
    """
    write_bytes(path, (json.dumps(record, indent=2, sort_keys=True) + "\n").encode())


def read_json(path: Path, limit_bytes: int = 2**26) -> dict[str, Any]:
    """Read a JSON object from a file of at most `limit_bytes` bytes.

    Raises:
        InputError: the file is missing, too large, not JSON, or not a JSON object.
    """
    try:
        if path.stat().st_size > limit_bytes:
            raise InputError(f"{path}: is larger than {limit_bytes >> 20} MiB, which no JSON file expected here is; replace it")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise InputError(f"{path}: cannot be read: {fault.strerror or fault}; check that the file is there") from None
    except (ValueError, RecursionError) as fault:
        raise InputError(f"{path}: is not JSON ({fault}); correct or replace it") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: must hold a JSON object, but holds a {type(content).__name__}; replace it")
    return content
