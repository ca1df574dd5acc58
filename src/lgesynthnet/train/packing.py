"""Collect trained stages as a model folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from lgesynthnet.errors import ModelError
from lgesynthnet.files import write_json
from lgesynthnet.model.checkpoint import load_inpainter, save_inpainter
from lgesynthnet.model.spade import load_spade, spade_part
from lgesynthnet.segmenter.heart import ROLE as SEGMENTER
from lgesynthnet.segmenter.heart import HeartSegmenter
from lgesynthnet.segmenter.reader import TrainedScarSegmenter
from lgesynthnet.terms import Context, Role, Stage
from lgesynthnet.train.generator.stages import finished
from lgesynthnet.train.stages import reader_folder


def pack(work: Path, out: Path, *, card: str) -> Path:
    """Collect a finished work folder as MODEL: `inpainter/`, `filter/`, other readers, `README.md`, `reports.json`; weights as float16.

    Raises:
        ModelError: the control stage or the filter is not trained yet.
    """
    finished(work / Stage.CONTROL.value / "model", "control")
    finished(work / reader_folder(Role.FILTER) / "model", "reader --role filter")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    write_json(partial / "reports.json", _pack_generator(work, partial) | _pack_copies(work, partial))
    (partial / "README.md").write_text(card)
    shutil.rmtree(out, ignore_errors=True)
    partial.replace(out)
    return out


def pack_parts(work: Path, out: Path) -> Path:
    """Collect what is trained: the generator as `OUT/inpainter/`, readers as `OUT/ROLE/`, segmenter, SPADEs. What else lies in OUT stays.

    Raises:
        ModelError: nothing is trained yet.
    """
    reports = _pack_generator(work, out) | _pack_copies(work, out)
    if not reports:
        raise ModelError(f"{work}: nothing is trained yet; run `lgesynthnet train` first")
    known = _reports(out / "reports.json") if (out / "reports.json").exists() else {}
    write_json(out / "reports.json", known | reports)
    return out


def _pack_generator(work: Path, out: Path) -> dict[str, object]:
    """The rewarded model, or the controlled one where no reward was trained; weights as float16. Returns its stages' reports."""
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
    stages = [stage for stage in Stage if stage is not Stage.READER and (work / stage.value / "report.json").exists()]
    return {stage.value: _reports(work / stage.value / "report.json") for stage in stages}


def _pack_copies(work: Path, out: Path) -> dict[str, object]:
    """Copy each trained reader, the segmenter and the rivals byte for byte, so that fingerprints stay; returns their reports."""
    reports: dict[str, object] = {}
    for context in Context:
        source = work / spade_part(context) / "model"
        if source.is_dir():
            load_spade(source, context)
            _copied(source, out / spade_part(context))
            reports[spade_part(context)] = _reports(work / spade_part(context) / "report.json")
    if (work / SEGMENTER / "model").is_dir():
        HeartSegmenter.from_pretrained(work / SEGMENTER / "model")
        _copied(work / SEGMENTER / "model", out / SEGMENTER)
        reports[SEGMENTER] = _reports(work / SEGMENTER / "report.json")
    for role in Role:
        source = work / reader_folder(role) / "model"
        if source.is_dir():
            TrainedScarSegmenter.from_pretrained(source, role)
            _copied(source, out / role.value)
            reports[reader_folder(role)] = _reports(work / reader_folder(role) / "report.json")
    return reports


def _copied(source: Path, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(source, to)


def _reports(path: Path) -> dict[str, object]:
    return dict(json.loads(path.read_text()))
