"""Collect trained networks as a model folder. The work folder is read and never written to, so that one of version 0.1.0 will do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lgesynthnet.errors import ModelError
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed, is_owned
from lgesynthnet.files.reading import read_json
from lgesynthnet.files.writing import remove_folder, replaced_folder, write_bytes, write_json
from lgesynthnet.model.checkpoint import load_inpainter, save_inpainter
from lgesynthnet.model.spade import load_spade, spade_part
from lgesynthnet.segmenter.heart import ROLE as HEART_SEGMENTER
from lgesynthnet.segmenter.heart import HeartSegmenter
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import GENERATOR_STAGES, Context, Role, Stage
from lgesynthnet.train.generator.job import scar_segmenter_folder
from lgesynthnet.train.work import REPORT, is_finished, require_apart, require_finished, require_whole

REPORTS = "reports.json"
CARD = "README.md"


def pack(work: Path, out: Path, *, card: str) -> Path:
    """Collect a finished work folder as a model folder, in place of what an earlier call wrote there.

    It gets `inpainter/` (weights as float16), `filter/`, the other segmenters and rivals that are trained, `README.md` and `reports.json`.

    Args:
        card: text of `README.md`.
    Raises:
        ModelError: the control stage or the filter is not trained yet, or a stage is damaged.
        RunError: `out` holds anything that is no model of this program, or it and the work folder lie in each other.
    """
    require_apart(work, out)
    with _read(work):
        require_finished(work / Stage.CONTROL.value, "control")
        require_finished(work / scar_segmenter_folder(Role.FILTER), "scar-segmenter --role filter")
        with claimed(out, FolderKind.MODEL) as manifest:
            reports = _pack_generator(work, out) | _copy_others(work, out)
            write_json(out / REPORTS, reports)
            write_bytes(out / CARD, card.encode())
            parts = {"inpainter", *(_part_of(stage) for stage in reports)}
            for name in {name.split("/")[0] for name in manifest.files if "/" in name} - parts:  # of a former model, which had more parts
                remove_folder(out / name)
    return out


def pack_parts(work: Path, out: Path) -> Path:
    """Collect what is trained: generator, scar segmenters, heart segmenter, SPADE generators. Other files in `out` stay.

    Raises:
        ModelError: nothing is trained yet, or a stage is damaged.
        RunError: see `pack`.
    """
    require_apart(work, out)
    with _read(work):
        if not any(is_finished(folder) for folder in work.glob("*")):
            raise ModelError(f"{work}: nothing is trained yet; run `lgesynthnet train` first")
        with claimed(out, FolderKind.MODEL):
            reports = _pack_generator(work, out) | _copy_others(work, out)
            known = read_json(out / REPORTS) if (out / REPORTS).exists() else {}
            write_json(out / REPORTS, known | reports)
    return out


@contextmanager
def _read(work: Path) -> Iterator[None]:
    """Keep trainings out of a work folder while it is read, where that is possible without changing anything that is not ours."""
    if is_owned(work) and os.access(work, os.W_OK):
        with claimed(work, FolderKind.WORK):
            yield
    else:
        yield


def _pack_generator(work: Path, out: Path) -> dict[str, object]:
    """The model of the reward stage, or that of the control stage where there is no reward; returns the reports of its stages."""
    stage = next((stage for stage in (Stage.REWARD, Stage.CONTROL) if is_finished(work / stage.value)), None)
    if stage is None:
        return {}
    source = require_finished(work / stage.value, stage.value)
    model = load_inpainter(source)
    for part in (model.unet, model.autoencoder, model.control, model.text):
        if part is not None:
            part.half()
    with replaced_folder(out / "inpainter") as new:
        save_inpainter(model, new)
        shutil.copyfile(source / "conditioning.json", new / "conditioning.json")
    return {stage.value: _report(work / stage.value, stage.value) for stage in GENERATOR_STAGES if is_finished(work / stage.value)}


def _copy_others(work: Path, out: Path) -> dict[str, object]:
    """Copy trained segmenters and rivals byte for byte, so that their fingerprints stay; returns their reports."""
    reports: dict[str, object] = {}
    for context in Context:
        if is_finished(stage := work / spade_part(context)):
            load_spade(require_finished(stage, f"spade --context {context.value}"), context)
            reports[stage.name] = _copy(stage, out, f"spade --context {context.value}")
    if is_finished(stage := work / HEART_SEGMENTER):
        HeartSegmenter.from_pretrained(require_finished(stage, HEART_SEGMENTER))
        reports[stage.name] = _copy(stage, out, HEART_SEGMENTER)
    for role in Role:
        if is_finished(stage := work / scar_segmenter_folder(role)):
            TrainedScarSegmenter.from_pretrained(require_finished(stage, f"scar-segmenter --role {role.value}"), role)
            reports[stage.name] = _copy(stage, out, f"scar-segmenter --role {role.value}")
    return reports


def _copy(stage: Path, out: Path, command: str) -> dict[str, object]:
    """Copy a network's folder and return its training report."""
    with replaced_folder(out / _part_of(stage.name)) as new:
        shutil.copytree(stage / "model", new, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.set-aside*"))
    return _report(stage, command)


def _report(stage: Path, command: str) -> dict[str, object]:
    require_whole(stage / REPORT, command)
    return read_json(stage / REPORT)


def _part_of(stage: str) -> str:
    """The folder, in a model folder, of what a stage trained."""
    return next((role.value for role in Role if stage == scar_segmenter_folder(role)), stage)
