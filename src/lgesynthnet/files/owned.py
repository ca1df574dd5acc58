"""Folders that the program may write into: those that it made, and that carry its list of files.

A folder without the list is never written into, emptied or cleaned. In a folder with it, only listed files are replaced or removed, and a
listed file that somebody has changed since is set aside first.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from lgesynthnet.errors import RunError
from lgesynthnet.files.lock import LOCK, locked
from lgesynthnet.files.manifest import BESIDE, MANIFEST, FolderKind, Manifest, file_digest
from lgesynthnet.files.names import is_inside

UNFINISHED = ".lgesynthnet-unfinished"  # inside a folder of the program: what is being written
OLD = "old"  # inside UNFINISHED: folders that are being replaced, named after the place they stood in
IGNORED = frozenset({LOCK, BESIDE, ".DS_Store", "Thumbs.db", "desktop.ini"})  # a folder with these alone is empty

_manifests: dict[Path, Manifest] = {}
_held: dict[Path, int] = {}
_guard = threading.RLock()


@contextmanager
def claimed(folder: Path, kind: FolderKind, *, settings: dict[str, Any] | None = None, finishes: bool = True) -> Iterator[Manifest]:
    """Make a folder or continue one that the program made, and keep other processes out of it for as long as the block runs.

    A folder may be claimed again inside the block. A folder that is new and still empty when the block fails is removed.

    Args:
        settings: what decides the content of the folder, where it is for one content only.
        finishes: whether the folder is finished at the end of the block; False adds something to it and leaves that as it was.
    Raises:
        RunError: the folder holds files but not the program's list, another kind of content, or content of other settings; another
            process holds it; or it cannot be written.
    """
    place = resolved(folder)
    with _guard:
        again = place in _held
        _held[place] = _held.get(place, 0) + 1
    try:
        if again:
            manifest = _checked(folder, place, kind, settings)
            yield manifest
            return
        is_new = _check_before_lock(folder, place, kind, settings)
        with locked(place, shown_as=folder):
            manifest, was_finished = _begin(folder, place, kind, settings)
            try:
                yield manifest
                manifest.finished = finishes or was_finished  # the compact list says so: no crash comes between the two
            except BaseException:
                manifest.finished = was_finished and not finishes  # what failed to add something has taken nothing away
                raise
            finally:
                _end(place, manifest, is_new=is_new)
    finally:
        with _guard:
            _held[place] -= 1
            if not _held[place]:
                del _held[place]
                _manifests.pop(place, None)


def require_claimable(folder: Path, kind: FolderKind, *, settings: dict[str, Any] | None = None) -> None:
    """Check that `claimed` would not refuse a folder for what it holds; nothing is written.

    Raises:
        RunError: see `claimed`.
    """
    _check_before_lock(folder, resolved(folder), kind, settings)


def require_outside(folder: Path, what: str, source: Path) -> None:
    """Check that a folder to write does not lie in a folder that is read.

    Args:
        what: what is read there, for the message.
    Raises:
        RunError: it does.
    """
    if resolved(folder).is_relative_to(resolved(source)):
        raise RunError(f"{folder}: lies in the folder of the {what}, {source}, which is only read; choose a folder elsewhere")


def damaged_files(folder: Path, kind: FolderKind, *, settings: dict[str, Any] | None = None) -> list[str] | None:
    """The listed files of a finished folder that are missing or have changed; None where no such folder is finished. Nothing is written.

    Raises:
        RunError: the list cannot be read.
    """
    if not os.path.isfile(folder / MANIFEST):  # also where the path is too long, or no path at all
        return None
    manifest = Manifest(resolved(folder))
    header = manifest.header
    if header.kind is not kind or (settings is not None and header.settings != settings) or not manifest.finished:
        return None
    return [name for name in sorted(manifest.files) if not manifest.is_whole(name)]


def written_again(files: list[str]) -> str:
    """A note on files that were missing or damaged."""
    named = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    return f"missing or damaged, and written again: {named}"


def owner_of(path: Path) -> tuple[Path, Manifest] | None:
    """The nearest folder above a path that carries the program's list, and its list; None where there is none.

    Links on the way are not followed here, so that `require_inside` can see them.
    """
    for folder in path.parents:
        if os.path.isfile(folder / MANIFEST):
            return folder, manifest_of(folder)
    return None


def manifest_of(folder: Path) -> Manifest:
    """The list of a folder of the program, up to date.

    Raises:
        RunError: see `Manifest`.
    """
    place = resolved(folder)
    with _guard:
        manifest = _manifests.get(place)
        if manifest is None:
            manifest = _manifests[place] = Manifest(place)
        else:
            manifest.refresh()
        return manifest


def is_owned(folder: Path, kind: FolderKind | None = None) -> bool:
    """Whether a folder carries the program's list, and holds this kind of content.

    Raises:
        RunError: see `Manifest`.
    """
    return os.path.isfile(folder / MANIFEST) and (kind is None or Manifest(folder).header.kind is kind)


def require_inside(owner: Path, path: Path) -> str:
    """The place of a path in the folder `owner`, with "/" between its parts.

    Raises:
        RunError: a link on the way leads out of the folder.
    """
    relative = path.relative_to(owner)
    if ".." in relative.parts:
        raise RunError(f"{path}: leads out of {owner}; give the path without ..")
    for parent in [owner / part for part in relative.parents if part.parts]:
        if parent.is_symlink():
            raise RunError(f"{parent}: is a link, and what is written here must stay inside {owner}; replace the link by a folder")
    return relative.as_posix()


def resolved(folder: Path) -> Path:
    """The path without links.

    Raises:
        RunError: links lead in a circle, or the path holds a null character.
    """
    try:
        return folder.resolve()
    except (OSError, RuntimeError, ValueError) as fault:  # a circle of links; a null character
        raise RunError(f"{str(folder)!r}: is not a usable path ({fault}); choose another") from None


def _check_before_lock(folder: Path, place: Path, kind: FolderKind, settings: dict[str, Any] | None) -> bool:
    """Check everything that can be checked without writing; returns whether the folder is new."""
    try:
        for number, part in enumerate(folder.parts):
            if part == ".." and not Path(*folder.parts[:number]).is_dir():
                raise RunError(f"{folder}: leads through {Path(*folder.parts[:number])}, which is no folder; write the path without it")
        if not place.exists():
            return True
        if not place.is_dir():
            raise RunError(f"{folder}: is not a folder; choose another place to write to")
        present = {entry.name for entry in place.iterdir()}
        for name in (BESIDE, UNFINISHED):
            if (place / name).is_symlink():
                raise RunError(f"{folder / name}: is a link, and the program made none; move it away")
        if MANIFEST in present:
            _checked(folder, place, kind, settings)
        elif present - IGNORED:
            why = f"it has no {MANIFEST}; version 0.1.0 wrote none, and what it wrote is read but not continued"
            raise RunError(f"{folder}: is not empty, and was not made by this program ({why}); choose a folder that is new or empty")
        return False
    except OSError as fault:
        raise RunError(f"{folder}: cannot be used ({fault.strerror or fault}); choose another folder") from None


def _checked(folder: Path, place: Path, kind: FolderKind, settings: dict[str, Any] | None) -> Manifest:
    manifest = manifest_of(place)
    header = manifest.header
    if header.kind is not kind:
        raise RunError(f"{folder}: holds {_with_article(header.kind)} of this program, not {_with_article(kind)}; choose another folder")
    if settings is not None and header.settings != settings:
        names = sorted(name for name in settings.keys() | header.settings if settings.get(name) != header.settings.get(name))
        was = ", ".join(f"{name} was {header.settings.get(name)} and is now {settings.get(name)}" for name in names)
        raise RunError(f"{folder}: was begun with other settings: {was}; choose another folder")
    return manifest


def _with_article(kind: FolderKind) -> str:
    if kind is FolderKind.MASKS:
        return str(kind)
    return f"an {kind}" if kind in (FolderKind.EXPORT, FolderKind.IMPROVEMENT) else f"a {kind}"


def _begin(folder: Path, place: Path, kind: FolderKind, settings: dict[str, Any] | None) -> tuple[Manifest, bool]:
    try:
        if not (place / MANIFEST).exists():
            _check_before_lock(folder, place, kind, settings)  # somebody may have written into it meanwhile
            manifest = Manifest.create(place, kind, settings or {})
            with _guard:
                _manifests[place] = manifest
            return manifest, False
        manifest = _checked(folder, place, kind, settings)
        was_finished = manifest.finished
        _recover(place)
        if not was_finished:
            _settle(place, manifest)
        manifest.add({"finished": False})
        return manifest, was_finished
    except OSError as fault:
        raise RunError(f"{folder}: cannot be written ({fault.strerror or fault}); choose a writable folder") from None


def _recover(place: Path) -> None:
    """Put back the folders that a killed command was replacing, and remove what it was writing."""
    unfinished = place / UNFINISHED
    if unfinished.is_symlink() or not unfinished.is_dir():
        return
    for old in (unfinished / OLD).iterdir() if (unfinished / OLD).is_dir() else ():
        if not is_inside(unquote(old.name)):
            continue
        stood = place / unquote(old.name)
        require_inside(place, stood)
        if not os.path.lexists(stood):
            stood.parent.mkdir(parents=True, exist_ok=True)
            old.replace(stood)
    shutil.rmtree(unfinished)


def _settle(place: Path, manifest: Manifest) -> None:
    """After a killed command, list what is there: a file is listed before it is written, so it may hold what it held before."""
    for name, listed in list(manifest.files.items()):
        path = place / name
        if not os.path.lexists(path):
            manifest.add({"removed": name})
        elif listed.earlier and path.is_file() and (now := file_digest(path)) in listed.earlier:
            manifest.add({"file": name, "bytes": path.stat().st_size, "sha256": now})


def _end(place: Path, manifest: Manifest, *, is_new: bool) -> None:
    with suppress(OSError, RunError):
        shutil.rmtree(place / UNFINISHED, ignore_errors=True)
        manifest.refresh()
        if is_new and not manifest.files and not manifest.finished:
            (place / MANIFEST).unlink()
            (place / LOCK).unlink(missing_ok=True)
            place.rmdir()
        else:
            manifest.compact()


def old_place(owner: Path, relative: str) -> Path:
    """Where a folder stands while it is being replaced."""
    return owner / UNFINISHED / OLD / quote(relative, safe="")


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder are on the disk; file systems that cannot do so are left alone."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
