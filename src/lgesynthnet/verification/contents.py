"""What the files of a folder say of each other, and what repairs each kind of folder."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lgesynthnet.errors import LGESynthNetError
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import is_owned, manifest_of
from lgesynthnet.run.folder import PLAN, RunFolder
from lgesynthnet.run.ledger import LEDGER, STACKS_TABLE, TABLE, check_ledger
from lgesynthnet.run.plan import SynthesisPlan


def check_content(folder: Path, kind: FolderKind) -> Iterator[str]:
    """What is wrong with the content of a folder, one sentence each.

    Raises:
        LGESynthNetError: a file that all others depend on cannot be used.
    """
    match kind:
        case FolderKind.RUN:
            yield from _check_run(RunFolder.open(folder))
        case FolderKind.MODEL:
            _load_model(folder)


def repair_of(folder: Path, kind: FolderKind, settings: Mapping[str, Any] | None = None) -> str:
    """The command that repairs a folder, or how to find it."""
    match kind:
        case FolderKind.RUN:
            return _repair_of_run(folder)
        case FolderKind.COHORT:
            options = [word for name, value in (settings or {}).items() for word in (f"--{name.replace('_', '-')}", str(value))]
            return shlex.join(["lgesynthnet", "phantom", str(folder), *options])
        case FolderKind.EXPORT:
            return "give the `lgesynthnet export` command that wrote it again; files that are whole are left as they are"
        case FolderKind.MODEL if _is_downstream_segmenter(folder):
            return "give the `lgesynthnet train downstream` command that wrote it again"
        case FolderKind.MODEL:
            return f"lgesynthnet train pack --work WORK --out {shlex.quote(str(folder))}, with the work folder that it was packed from"
        case FolderKind.WORK:
            return "delete the folder of each stage that is damaged, and give its `lgesynthnet train` command again"
        case FolderKind.PICTURES:
            return "give the `lgesynthnet verify --pictures` command that wrote it again"
        case FolderKind.MASKS:
            return "give the `lgesynthnet segment` command that wrote it again"
        case FolderKind.BENCHMARK:
            return "delete the damaged files, and give the `lgesynthnet benchmark` command that wrote it again"
        case FolderKind.IMPROVEMENT:
            return "delete the damaged files, and give the `lgesynthnet improve` command that wrote it again"


def _repair_of_run(folder: Path) -> str:
    if is_owned(folder) and not manifest_of(folder).is_whole(PLAN):
        return "bring back plan.json as it was, or make the run again with another --out"
    try:
        return SynthesisPlan.read(folder / PLAN).command(folder)
    except LGESynthNetError:
        return "make the run again with another --out; without a plan it cannot be continued"


def _check_run(run: RunFolder) -> Iterator[str]:
    table = STACKS_TABLE if run.of_stacks else TABLE
    yield from check_ledger(run.path / LEDGER, run.plan.hash, [row.id for row in run.attempts], table=table)
    if is_owned(run.path):  # the checksums say whether the samples can be read
        return
    for row in run.rows:
        if row.file:
            try:
                run.sample(row)
            except LGESynthNetError as fault:
                yield str(fault)


def _is_downstream_segmenter(folder: Path) -> bool:
    """Whether a model folder is that of one segmenter, and not of a generator with its parts."""
    return not (folder / "inpainter").exists() and "config.json" in (manifest_of(folder).files if is_owned(folder) else ())


def _load_model(folder: Path) -> None:
    if _is_downstream_segmenter(folder):
        from lgesynthnet.segmenter.downstream import DownstreamSegmenter

        DownstreamSegmenter.from_pretrained(folder)
        return
    from lgesynthnet.synthesis.painters import load_painter

    if (folder / "inpainter").is_dir() and (folder / "filter").is_dir():
        load_painter(str(folder), "cpu")
