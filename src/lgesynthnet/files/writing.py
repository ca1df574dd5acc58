"""Write files and folders completely or not at all: aside, synced to the disk, then renamed. Nobody else's file is replaced.

Every write of the program goes through this module. In a folder of the program (see `owned`) it lists each file before it is written;
anywhere else it writes new files only.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from lgesynthnet.errors import RunError, SetAsideNotice
from lgesynthnet.files.manifest import MANIFEST, ListedFile, Manifest, digest, faults_named, file_digest
from lgesynthnet.files.owned import UNFINISHED, old_place, owner_of, require_inside, sync_folder

SET_ASIDE = ".set-aside"  # added to the name of a listed file that somebody has changed, before the program writes it again
_numbers = itertools.count()
_unnamed: set[Path] = set()  # folders of an open `replaced_folder` that lie outside the program's folders
_unsynced: ContextVar[list[Path] | None] = ContextVar("unsynced", default=None)  # files of an open `synced_together`


@contextmanager
def synced_together() -> Iterator[None]:
    """Bring the files that `write_bytes` writes inside the block to the disk at its end, all at once and not one by one.

    They are synced also when the block fails, but not when its process is killed: what the block wrote may then be torn.

    Raises:
        RunError: the disk is full or gone.
    """
    paths: list[Path] = []
    token = _unsynced.set(paths)
    try:
        yield
    finally:
        _unsynced.reset(token)
        _sync_files(paths)


def write_bytes(path: Path, content: bytes) -> None:
    """Write one file.

    Raises:
        RunError: the place is taken by a file that the program did not write, the folder is read-only, or the disk is full.
    """
    with faults_named(path):
        owned = owner_of(path)
        if owned is None:
            if _unnamed.intersection(path.parents):
                _write_over(path, content)
            else:
                _write_new(path, content)
            return
        owner, manifest = owned
        relative = require_inside(owner, path)
        if relative.startswith(f"{UNFINISHED}/"):  # in a new folder, which is listed as a whole
            _write_over(path, content)
            return
        _make_room(path, manifest.files.get(relative), content)
        later = _unsynced.get()
        manifest.add({"file": relative, "bytes": len(content), "sha256": digest(content)}, sync=later is None)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _aside(owner / UNFINISHED) as partial:
            _write(partial, content, sync=later is None)
            os.replace(partial, path)
        if later is None:
            sync_folder(path.parent)
        else:
            later.append(path)


def write_json(path: Path, record: dict[str, object]) -> None:
    """Write a JSON object with sorted keys, so that equal records give equal files.

    Raises:
        RunError: see `write_bytes`.
    """
    write_bytes(path, (json.dumps(record, indent=2, sort_keys=True) + "\n").encode())


def will_grow(path: Path) -> None:
    """List a file that is written bit by bit, such as a log or a database, before it is opened; it has no checksum.

    Raises:
        RunError: the place is taken by a file that the program did not write; or it is not in a folder of the program.
    """
    with faults_named(path):
        owned = owner_of(path)
        if owned is None:
            raise RunError(f"{path.parent}: carries no {MANIFEST}, so nothing can be added to it; choose another folder")
        owner, manifest = owned
        relative = require_inside(owner, path)
        if os.path.lexists(path) and (relative not in manifest.files or path.is_symlink() or not path.is_file()):
            raise RunError(f"{path}: was not written by this program; move it away")
        if relative in manifest.files:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        manifest.add({"file": relative, "bytes": None, "sha256": None})


def remove_file(path: Path) -> None:
    """Remove a listed file that nobody has changed, and any other file not; a missing file is no fault.

    Raises:
        RunError: the folder is read-only.
    """
    with faults_named(path):
        owned = owner_of(path)
        if owned is None:
            return
        owner, manifest = owned
        relative = require_inside(owner, path)
        listed = manifest.files.get(relative)
        if listed is None:
            return
        if path.is_file() and not path.is_symlink() and (listed.grows or _is_ours(path, listed)):
            path.unlink()
        manifest.add({"removed": relative})


def remove_folder(folder: Path) -> None:
    """Remove the listed files of a folder, as `remove_file` does, and the folders that are empty then.

    Raises:
        RunError: the folder is read-only.
    """
    owned = owner_of(folder)
    if owned is None:
        return
    owner, manifest = owned
    inside = f"{require_inside(owner, folder)}/"
    for name in [name for name in manifest.files if name.startswith(inside)]:
        remove_file(owner / name)
    for path in sorted(folder.rglob("*"), reverse=True) if folder.is_dir() and not folder.is_symlink() else ():
        if path.is_dir() and not path.is_symlink():
            with suppress(OSError):
                path.rmdir()
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write into, by any library; at the end it stands in place of `folder`, or nothing has changed.

    Files in `folder` that the program did not write stay.

    Raises:
        RunError: `folder` is not in a folder of the program and exists already; or see `write_bytes`.
    """
    with faults_named(folder):
        owned = owner_of(folder)
        if owned is None and os.path.lexists(folder):
            raise RunError(f"{folder}: exists already; choose another place, or move it away")
        room = folder.parent if owned is None else owned[0] / UNFINISHED
        room.mkdir(parents=True, exist_ok=True)
        new = room / f".{folder.name}.{_unique()}.partial"
        new.mkdir()
        _unnamed.add(new)
        try:
            yield new
            if owned is not None:
                _swap(*owned, folder, new)
            else:
                _sync_tree(new)
                os.replace(new, folder)
            sync_folder(folder.parent)
        finally:
            _unnamed.discard(new)
            shutil.rmtree(new, ignore_errors=True)


def _swap(owner: Path, manifest: Manifest, place: Path, new: Path) -> None:
    relative = require_inside(owner, place)
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise RunError(f"{place}: is in the way of a folder that is to be written; move it away")
    written = {path.relative_to(new).as_posix() for path in _files_in(new)}
    lines = [_listed_as(f"{relative}/{name}", new / name) for name in sorted(written)]
    gone = [name for name in manifest.files if name.startswith(f"{relative}/") and name.removeprefix(f"{relative}/") not in written]
    if place.exists():
        _keep_foreign(place, new, relative, manifest)
    _sync_tree(new)
    manifest.add(*lines, sync=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    old = old_place(owner, relative)
    if place.exists():
        old.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(old, ignore_errors=True)
        os.replace(place, old)
    os.replace(new, place)
    manifest.add(*({"removed": name} for name in gone))
    shutil.rmtree(old, ignore_errors=True)


def _keep_foreign(place: Path, new: Path, relative: str, manifest: Manifest) -> None:
    """Copy what the program did not write into the new folder, so that it is in one of the two at any moment."""
    for path in _files_in(place):
        name = path.relative_to(place).as_posix()
        listed = manifest.files.get(f"{relative}/{name}")
        if listed is not None and (listed.grows or (not path.is_symlink() and _is_ours(path, listed))):
            continue
        if not path.is_file() and not path.is_symlink():
            raise RunError(f"{path}: is no regular file, so it cannot be kept beside what is to be written; move it away")
        to = new / name
        if listed is not None or os.path.lexists(to):
            to = _aside_name(to)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, to, follow_symlinks=False)


def _make_room(place: Path, listed: ListedFile | None, content: bytes) -> None:
    """Make sure that writing `content` destroys nothing that somebody else has written."""
    if not os.path.lexists(place):
        return
    if listed is None or (place.is_dir() and not place.is_symlink()):
        raise RunError(f"{place}: was not written by this program; move it away")
    if not place.is_symlink() and (listed.grows or _is_ours(place, listed) or _is_torn(place, content)):
        return
    aside = _aside_name(place)
    os.replace(place, aside)
    warnings.warn(f"{place}: had been changed; what it held is in {aside.name}", SetAsideNotice, stacklevel=2)


def _is_ours(place: Path, listed: ListedFile) -> bool:
    known = listed.earlier | {listed.sha256}
    return place.is_file() and file_digest(place) in known


def _is_torn(place: Path, content: bytes) -> bool:
    """Whether a file is a piece of what is to be written, as a crash leaves it: cut off, or with zeros for its end."""
    if not place.is_file() or place.stat().st_size > len(content):
        return False
    return content.startswith(place.read_bytes().rstrip(b"\0"))


def _aside_name(path: Path) -> Path:
    free = path.with_name(path.name + SET_ASIDE)
    number = 2
    while os.path.lexists(free):
        free = path.with_name(f"{path.name}{SET_ASIDE}-{number}")
        number += 1
    return free


def _write_over(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that the user named, wherever it is to stand; it is the user's from then on, and no list names it.

    Raises:
        RunError: a file with another content stands there, the folder is read-only, or the disk is full.
    """
    with faults_named(path):
        _write_new(path, content)


def _write_new(path: Path, content: bytes) -> None:
    if os.path.lexists(path):
        if path.is_file() and not path.is_symlink() and path.stat().st_size == len(content) and path.read_bytes() == content:
            return
        raise RunError(f"{path}: exists already, and is not replaced; choose another name, or move it away")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _wrote_unnamed(path, content):
        with _aside(path.parent) as partial:
            _write(partial, content, sync=True)
            os.replace(partial, path)
    sync_folder(path.parent)


def _wrote_unnamed(path: Path, content: bytes) -> bool:
    """Write a file that gets its name when it is complete, so that a killed command leaves nothing in a folder of somebody else.

    Returns:
        Whether that was possible; it needs Linux and most of its file systems.
    """
    if not hasattr(os, "O_TMPFILE"):
        return False
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except OSError:
        return False
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
        root = os.open("/", os.O_RDONLY)  # with the descriptor of a folder, Python follows the link to the unnamed file
        try:
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=root, follow_symlinks=True)
        except FileExistsError:
            raise RunError(f"{path}: exists already, and is not replaced; choose another name, or move it away") from None
        except OSError:  # no /proc
            return False
        finally:
            os.close(root)
    return True


@contextmanager
def _aside(room: Path) -> Iterator[Path]:
    """The name of a file in `room` that does not exist; whatever is left of it at the end is removed."""
    if room.is_symlink():
        raise RunError(f"{room}: is a link, and the program made none; move it away")
    room.mkdir(exist_ok=True)
    partial = room / f".{_unique()}.partial"
    try:
        yield partial
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _sync_files(paths: list[Path]) -> None:
    folders = {path.parent: path for path in paths}  # the files of one folder have one owner, whose list is read once
    lists = {owned[0] / MANIFEST for path in folders.values() if (owned := owner_of(path)) is not None}
    for path in (*dict.fromkeys(paths), *lists):
        if path.is_file():  # or it was removed again inside the block
            with faults_named(path), path.open("rb") as file:
                os.fsync(file.fileno())
    for folder in folders:
        sync_folder(folder)


def _write(path: Path, content: bytes, *, sync: bool) -> None:
    with path.open("xb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def _listed_as(name: str, path: Path) -> dict[str, object]:
    return {"file": name, "bytes": path.stat().st_size, "sha256": file_digest(path)}


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _sync_tree(folder: Path) -> None:
    for path in _files_in(folder):
        if not path.is_symlink():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    for inside in [*(path for path in folder.rglob("*") if path.is_dir()), folder]:
        sync_folder(inside)


def _unique() -> str:
    return f"{os.getpid()}-{next(_numbers)}"
