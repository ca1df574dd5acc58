"""Collect trained networks as a model folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from lgesynthnet.errors import ModelError
from lgesynthnet.files.reading import read_json
from lgesynthnet.files.writing import write_json
from lgesynthnet.model.checkpoint import load_inpainter, save_inpainter
from lgesynthnet.model.spade import load_spade, spade_part
from lgesynthnet.segmenter.heart import ROLE as HEART_SEGMENTER
from lgesynthnet.segmenter.heart import HeartSegmenter
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import GENERATOR_STAGES, Context, Role, Stage
from lgesynthnet.train.generator.job import require_finished, scar_segmenter_folder


def pack(work: Path, out: Path, *, card: str) -> Path:
    """Collect a finished work folder as a model folder, in place of what `out` held.

    It gets `inpainter/` (weights as float16), `filter/`, the other segmenters and rivals that are trained, `README.md` and `reports.json`.

    Args:
        card: text of `README.md`.
    Raises:
        ModelError: the control stage or the filter is not trained yet.
    """
    require_finished(work / Stage.CONTROL.value / "model", "control")
    require_finished(work / scar_segmenter_folder(Role.FILTER) / "model", "scar-segmenter --role filter")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    write_json(partial / "reports.json", _pack_generator(work, partial) | _copy_others(work, partial))
    (partial / "README.md").write_text(card)
    shutil.rmtree(out, ignore_errors=True)
    partial.replace(out)
    return out


def pack_parts(work: Path, out: Path) -> Path:
    """Collect what is trained: generator, scar segmenters, heart segmenter, SPADE generators. Other files in `out` stay.

    Raises:
        ModelError: nothing is trained yet.
    """
    reports = _pack_generator(work, out) | _copy_others(work, out)
    if not reports:
        raise ModelError(f"{work}: nothing is trained yet; run `lgesynthnet train` first")
    known = read_json(out / "reports.json") if (out / "reports.json").exists() else {}
    write_json(out / "reports.json", known | reports)
    return out


def _pack_generator(work: Path, out: Path) -> dict[str, object]:
    """The model of the reward stage, or that of the control stage where there is no reward; returns the reports of its stages."""
    rewarded, controlled = (work / stage.value / "model" for stage in (Stage.REWARD, Stage.CONTROL))
    source = rewarded if rewarded.is_dir() else controlled
    if not source.is_dir():
        return {}
    model = load_inpainter(source)
    for part in (model.unet, model.autoencoder, model.control, model.text):
        if part is not None:
            part.half()
    partial = out / ".inpainter.partial"
    shutil.rmtree(partial, ignore_errors=True)
    save_inpainter(model, partial)
    shutil.copy(source / "conditioning.json", partial / "conditioning.json")
    shutil.rmtree(out / "inpainter", ignore_errors=True)
    partial.replace(out / "inpainter")
    stages = [stage for stage in GENERATOR_STAGES if (work / stage.value / "report.json").exists()]
    return {stage.value: read_json(work / stage.value / "report.json") for stage in stages}


def _copy_others(work: Path, out: Path) -> dict[str, object]:
    """Copy trained segmenters and rivals byte for byte, so that their fingerprints stay; returns their reports."""
    reports: dict[str, object] = {}
    for context in Context:
        if (folder := work / spade_part(context) / "model").is_dir():
            load_spade(folder, context)
            reports[spade_part(context)] = _copy(folder, out / spade_part(context))
    if (folder := work / HEART_SEGMENTER / "model").is_dir():
        HeartSegmenter.from_pretrained(folder)
        reports[HEART_SEGMENTER] = _copy(folder, out / HEART_SEGMENTER)
    for role in Role:
        if (folder := work / scar_segmenter_folder(role) / "model").is_dir():
            TrainedScarSegmenter.from_pretrained(folder, role)
            reports[scar_segmenter_folder(role)] = _copy(folder, out / role.value)
    return reports


def _copy(source: Path, to: Path) -> dict[str, object]:
    """Copy a network's folder and return its training report."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(source, to)
    return read_json(source.parent / "report.json")
