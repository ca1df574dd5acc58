"""Files that are whole or not there, and folders that can be told apart by what they hold."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from pathlib import Path

from lgesynthnet.errors import LicenceNotice, RunError

OWN_LICENCE = "apache-2.0"


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


def weights_folder() -> Path:
    """The package's own weights; may not exist."""
    return Path(__file__).parent / "weights"


def shipped_or_path(model: str | Path) -> Path:
    """The folder of a shipped model by its name, else the path itself; may not exist."""
    shipped = weights_folder() / model
    return shipped if str(model) and Path(model).name == str(model) and shipped.is_dir() else Path(model)


def licence_of(model: Path) -> str | None:
    """The licence in the head of a model folder's card, in lower case; None without a card or a licence in it."""
    card = model / "README.md"
    if not card.is_file():
        return None
    head = card.read_text()[:2000].split("---")
    lines = head[1].splitlines() if len(head) > 2 and not head[0].strip() else []
    return next((line.partition(":")[2].strip().lower() for line in lines if line.startswith("license:")), None)


def notice_licence(weights: Path, *beside: Path) -> None:
    """Warn the caller's caller, once a card, where a folder of weights is under other terms than the program.

    Args:
        beside: further folders whose card holds for the weights too.
    """
    for card in (weights, *beside):
        if (licence := licence_of(card)) not in (None, OWN_LICENCE):
            notice = f"the weights in {weights} are under {licence}: their terms hold for what they paint"
            warnings.warn(notice, LicenceNotice, stacklevel=3)


def part_folder(model: str | Path, part: str) -> Path:
    """One part of a model: of a shipped one by name, of a model or work folder, or the part's own folder; may not exist."""
    folder = shipped_or_path(model)
    inside = (folder / part, folder / f"reader-{part}" / "model", folder / part / "model")
    return next((found for found in inside if (found / "config.json").is_file()), folder)


def fingerprint(folder: Path, *, role: str) -> str:
    """`role-` and 12 hex digits over every weight and config file of a folder; equal weights in equal roles agree."""
    digest = hashlib.sha256(role.encode())
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".safetensors", ".json")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return f"{role}-{digest.hexdigest()[:12]}"
