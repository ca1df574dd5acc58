"""Folders of empty files for the tests of layouts, and what was found in them. Nothing here imports the package at the top."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lgesynthnet.data.layouts.content import FolderContent


def put(root: Path, *names: str) -> Path:
    """Files with these names; which files belong together is seen without opening one."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def pairs(content: FolderContent, root: Path) -> dict[str, tuple[str, str | None]]:
    """Patient -> its image and label, as paths from the root."""
    return {
        case.patient: (
            case.image_path.relative_to(root).as_posix(),
            case.label_path.relative_to(root).as_posix() if case.label_path else None,
        )
        for case in content.cases
    }


def reasons(content: FolderContent) -> dict[str, str]:
    return {skipped.name: skipped.reason for skipped in content.skipped}
