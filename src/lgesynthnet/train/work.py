"""The folder of trainings: who may write into it, which stages in it are finished and whole, and what depends on which data."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lgesynthnet.errors import InputError, ModelError, RunError
from lgesynthnet.files.manifest import MANIFEST, FolderKind
from lgesynthnet.files.owned import claimed, owner_of, resolved
from lgesynthnet.files.reading import read_json

MODEL = "model"  # folder of the finished network, in the folder of its stage
REPORT = "report.json"
CHECKPOINT = "checkpoint"
STATE = "state.safetensors"


@contextmanager
def claimed_work(work: Path) -> Iterator[None]:
    """Hold a work folder for a block; one that lies in another work folder or in a benchmark is held together with that.

    Raises:
        RunError: see `claimed`.
    """
    owned = owner_of(work.absolute() / MANIFEST) or owner_of(resolved(work) / MANIFEST)
    holders = (FolderKind.WORK, FolderKind.BENCHMARK)
    folder, kind = (owned[0], owned[1].header.kind) if owned and owned[1].header.kind in holders else (work, FolderKind.WORK)
    with claimed(folder, kind):
        yield


@contextmanager
def owned_work(folder: Path) -> Iterator[None]:
    """The same for a block that may run in a worker process, whose parent holds the folder already."""
    if owner_of(folder.absolute() / MANIFEST) is not None:
        yield
        return
    with claimed(folder, FolderKind.WORK):
        yield


def require_apart(work: Path, out: Path) -> None:
    """A model folder and the work folder that it is packed from must not lie in each other.

    Raises:
        RunError: they are the same folder, or one holds the other.
    """
    ours, theirs = resolved(work), resolved(out)
    if ours == theirs:
        raise RunError(f"--out {out}: is the work folder itself; choose another folder")
    if ours in theirs.parents:
        raise RunError(f"--out {out}: lies inside the work folder {work}; choose a folder outside it")
    if theirs in ours.parents:
        raise RunError(f"--out {out}: holds the work folder {work}; choose another folder")


def damaged_file(place: Path) -> Path | None:
    """The first listed file at or below a place that is missing or has changed; None where there is none, or no list above it."""
    owned = owner_of(place)
    if owned is None:
        return None
    owner, manifest = owned
    relative = place.relative_to(owner).as_posix()
    names = sorted(name for name in manifest.files if name == relative or name.startswith(f"{relative}/"))
    return next((owner / name for name in names if not manifest.is_whole(name)), None)


def require_whole(place: Path, command: str) -> None:
    """A trained network that is to be read must be as it was written.

    Args:
        command: what comes after `lgesynthnet train` for the training that writes it.
    Raises:
        ModelError: a file is missing or has changed.
    """
    broken = damaged_file(place.absolute())
    if broken is not None:
        why = "is not what training wrote" if os.path.lexists(broken) else "is missing"
        again = f"run `lgesynthnet train {command}` with its former options, which writes it again"
        raise ModelError(f"{broken}: {why}; delete {place} and {again}")


def require_finished(stage: Path, command: str) -> Path:
    """The folder of the network of a finished stage.

    Args:
        stage: folder of the stage in a work folder.
        command: what comes after `lgesynthnet train`, for the error message.
    Raises:
        ModelError: the stage is not finished, or its network or its report is damaged.
    """
    if not is_finished(stage):
        raise ModelError(f"{stage / MODEL}: not trained yet; run `lgesynthnet train {command}` first")
    require_whole(stage / MODEL, command)
    require_whole(stage / REPORT, command)
    return stage / MODEL


def is_finished(stage: Path) -> bool:
    """Whether a stage has left its network and, after that, its report."""
    return (stage / MODEL).is_dir() and os.path.lexists(stage / REPORT)


def finished_report(stage: Path, settings: str) -> dict[str, object] | None:
    """The report of a stage that was finished with these settings and is whole; None where something is to be trained or written.

    Args:
        settings: see `digest_of`.
    Raises:
        RunError: the stage was finished with other settings, and there is no checkpoint that could say which.
    """
    if not is_finished(stage) or damaged_file((stage / MODEL).absolute()) or damaged_file((stage / REPORT).absolute()):
        return None
    try:
        report = read_json(stage / REPORT)
    except InputError:
        return None
    if report.get("settings") == settings:
        return report
    if not any(stage.rglob(f"{CHECKPOINT}/{STATE}")):
        raise RunError(f"{stage}: holds a network of other data or settings; choose another --work, or delete the folder")
    return None


def digest_of(settings: Mapping[str, object]) -> str:
    """12 hexadecimal digits that stand for everything that decides the weights of a network."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:12]
