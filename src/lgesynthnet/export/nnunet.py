"""Export an nnU-Net v2 data set: DatasetXXX_NAME with images, labels, dataset.json and splits_final.json."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.cases import ENDING, UNCHANGED, ExportCase, Origin, write_case
from lgesynthnet.export.folder import ENTRY, NOTICE, TABLE, ExportContent, case_table, counts, export_identity, readable_json, write_export
from lgesynthnet.export.folds import CaseLists
from lgesynthnet.export.origin import IMAGE_CHANNEL, ORIGIN_CHANNEL
from lgesynthnet.export.stack_cases import StackCase
from lgesynthnet.records import Label, OnCase
from lgesynthnet.terms import Classes

DATASET_JSON, SPLITS = "dataset.json", "splits_final.json"
IMAGES, LABELS = "imagesTr", "labelsTr"
_NAMES = {label: label.name.lower().replace("_", "-") for label in Label}


@dataclass(frozen=True, kw_only=True)
class LabelCoding:
    """The numbers that the label files store.

    Attributes:
        names: the `labels` entry of dataset.json, numbered from 0 without gaps.
        order: the `regions_class_order` entry; None without regions.
        stored_values: `Label` -> stored number.
        lost_rv: only real or only synthetic cases have an RV label, so the RV is background in all cases.
    """

    names: dict[str, int | list[int]]
    order: list[int] | None
    stored_values: UInt8[np.ndarray, " labels"]
    lost_rv: bool = False


@dataclass(frozen=True, kw_only=True)
class NnunetDataset:
    """Everything that the exported folder depends on.

    Attributes:
        dataset_id: number of the data set, 1 to 999.
        lists: case ids of each fold; None writes no splits_final.json.
        provenance: versions and fingerprints of what made the cases; dataset.json records them.
        origin_channel: whether each case gets a second channel that tells painted from real cases.
        notice: text of README.txt.
    """

    dataset_id: int
    name: str
    classes: Classes
    cases: Sequence[ExportCase]
    lists: Sequence[CaseLists] | None
    provenance: dict[str, Any]
    origin_channel: bool
    notice: str

    @property
    def folder_name(self) -> str:
        return f"Dataset{self.dataset_id:03d}_{self.name}"


def check_name(dataset_id: int, name: str) -> None:
    """Check that nnU-Net accepts the number and the name.

    Raises:
        RunError: the number is not 1 to 999, or the name has other characters than letters, digits, _ and -.
    """
    if not 1 <= dataset_id <= 999:
        raise RunError(f"--dataset-id {dataset_id}: nnU-Net expects a number of at most three digits; give 1 to 999")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise RunError(f"--name {name}: use only letters, digits, _ and -, because nnU-Net names a folder after it")


def label_coding(classes: Classes, cases: Sequence[ExportCase]) -> LabelCoding:
    """The numbers that the label files of these cases store.

    The RV keeps its own label only if both real and synthetic cases have it: a network cannot learn a label that half of the cases lack.
    """
    stored_values = UNCHANGED.copy()
    if classes is Classes.SCAR:
        return LabelCoding(names={"background": 0, "scar": 1}, order=None, stored_values=np.array([0, 0, 0, 1, 1, 0], dtype=np.uint8))
    with_rv = {case.origin for case in cases if Label.RV in case.present}
    lost = bool(with_rv) and with_rv != {case.origin for case in cases}
    if lost:
        stored_values[Label.RV] = Label.BACKGROUND
    kept = [label for label in Label if label is not Label.RV or (with_rv and not lost)]
    names: dict[str, int | list[int]] = {_NAMES[label]: int(label) for label in kept}
    if classes is Classes.ALL:
        return LabelCoding(names=names, order=None, stored_values=stored_values, lost_rv=lost)
    names["wall"], names["scar"] = [2, 3, 4], [3, 4]
    return LabelCoding(names=names, order=[int(label) for label in kept if label], stored_values=stored_values, lost_rv=lost)


def write_nnunet(dataset: NnunetDataset, out: Path, on_case: OnCase | None = None) -> tuple[Path, list[str] | None]:
    """Write `OUT/DatasetXXX_NAME`.

    Args:
        out: the folder that nnU-Net calls nnUNet_raw.
        on_case: gets (done, total) after each case.
    Returns:
        The folder; and what was missing or damaged in the same, finished export and is written again, None for one that was new or
        interrupted.
    Raises:
        RunError: another data set has the number, the folder holds something else, or it cannot be written.
        InputError: a file cannot be read, or nnU-Net would mistake another axis for the slice axis.
    """
    check_name(dataset.dataset_id, dataset.name)
    target = out / dataset.folder_name
    _check_number_is_free(out, dataset)
    for case in dataset.cases:
        _check_step(case)
    dataset_json = _dataset_json(dataset)
    files = {case.id: _files_of(case, dataset) for case in dataset.cases}
    texts = {TABLE: case_table(dataset.cases, files), NOTICE: dataset.notice}
    if dataset.lists is not None:
        texts[SPLITS] = readable_json([{"train": lists.train, "val": lists.val} for lists in dataset.lists])
    texts[DATASET_JSON] = readable_json(dataset_json)
    content = ExportContent(
        cases=dataset.cases,
        files=files,
        texts=texts,
        write=partial(write_case, stored_values=label_coding(dataset.classes, dataset.cases).stored_values),
        record={
            **dataset.provenance,
            **counts(dataset.cases),
            "classes": dataset.classes.value,
            "origin_channel": dataset.origin_channel,
            "identity": dataset_json[ENTRY]["identity"],
        },
    )
    return target, write_export(target, content, on_case)


def _files_of(case: ExportCase, dataset: NnunetDataset) -> tuple[str, ...]:
    files = (f"{IMAGES}/{case.id}{IMAGE_CHANNEL}", f"{LABELS}/{case.id}{ENDING}")
    return (*files, f"{IMAGES}/{case.id}{ORIGIN_CHANNEL}") if dataset.origin_channel else files


def _dataset_json(dataset: NnunetDataset) -> dict[str, Any]:
    coding = label_coding(dataset.classes, dataset.cases)
    content: dict[str, Any] = {
        # nnU-Net normalises each case to z-scores unless the channel has a reserved name, and noNorm leaves it as it is.
        "channel_names": {"0": "LGE", "1": "noNorm"} if dataset.origin_channel else {"0": "LGE"},
        "labels": coding.names,
        "numTraining": len(dataset.cases),
        "file_ending": ENDING,
        # Accepts any affine and takes the spacing from pixdim. The default reader refuses axes that are not exactly orthogonal.
        "overwrite_image_reader_writer": "NibabelIO",
        "name": dataset.name,
        "description": f"Late gadolinium enhancement {dataset.cases[0].NOUN}s, real and with synthetic scars; not for diagnosis",
    }
    if coding.order is not None:
        content["regions_class_order"] = coding.order
    lists = None if dataset.lists is None else [[lists.train, lists.val] for lists in dataset.lists]
    identity = export_identity({"card": content, "lists": lists, "made": dataset.provenance}, dataset.cases)
    synthetic = [case.id for case in dataset.cases if case.origin is Origin.SYNTHETIC]
    return {**content, ENTRY: {"identity": identity, **dataset.provenance, "classes": dataset.classes.value, "synthetic": synthetic}}


def _check_number_is_free(out: Path, dataset: NnunetDataset) -> None:
    try:
        others = sorted(out.glob(f"Dataset{dataset.dataset_id:03d}_*"))
    except OSError:
        return  # writing will report the error
    others = [path for path in others if path.name != dataset.folder_name]
    if others:
        raise RunError(
            f"{others[0]}: already has the number {dataset.dataset_id}, and nnU-Net allows a number only once; choose another --dataset-id"
        )


def _check_step(case: ExportCase) -> None:
    # nnU-Net regards the axis with the largest spacing as the slice axis. In three dimensions that matters only where it is unknown.
    pixel_mm = max(case.spacing_mm)
    if case.step_mm < pixel_mm and not (isinstance(case, StackCase) and case.step_mm):
        raise InputError(
            f"{case.image_path}: states a slice distance of {case.step_mm:g} mm, which is less than the pixel size of {pixel_mm:g} mm, so "
            "nnU-Net would slice it along another axis; set pixdim[3] of the file and of the run's host to the true slice distance"
        )
