"""A data set as nnU-Net v2 takes it: DatasetXXX_NAME with images, labels, what the labels mean, and who trains in which fold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.cases import ENDING, UNCHANGED, ExportCase, Origin, write_case
from lgesynthnet.export.folder import MARK, NOTICE, TABLE, identity_of, stands_already, whole_folder, write_table
from lgesynthnet.export.folds import CaseLists
from lgesynthnet.files import write_bytes
from lgesynthnet.records import Label
from lgesynthnet.terms import Classes

CARD, SPLITS = "dataset.json", "splits_final.json"
IMAGES, LABELS = "imagesTr", "labelsTr"
_NAMES = {label: label.name.lower().replace("_", "-") for label in Label}


@dataclass(frozen=True, kw_only=True)
class Coding:
    """Which number stands for what in the files.

    Attributes:
        names: the `labels` entry of dataset.json, numbers without gaps from 0.
        order: its `regions_class_order`; None without regions.
        number_of: `Label` -> stored number.
        lost_rv: an RV was labelled in real or in synthetic cases alone, and became background in all.
    """

    names: dict[str, int | list[int]]
    order: list[int] | None
    number_of: UInt8[np.ndarray, " labels"]
    lost_rv: bool = False


@dataclass(frozen=True, kw_only=True)
class NnunetDataset:
    """Everything that decides the folder.

    Attributes:
        lists: case ids of each fold; None writes no splits_final.json.
        provenance: what made the cases, kept in dataset.json.
        notice: text of README.txt.
    """

    dataset_id: int
    name: str
    classes: Classes
    cases: Sequence[ExportCase]
    lists: Sequence[CaseLists] | None
    provenance: dict[str, Any]
    notice: str

    @property
    def folder_name(self) -> str:
        return f"Dataset{self.dataset_id:03d}_{self.name}"


def checked_name(dataset_id: int, name: str) -> None:
    """Refuse what nnU-Net could not find again.

    Raises:
        RunError: the number has not three digits, the name is no plain word.
    """
    if not 1 <= dataset_id <= 999:
        raise RunError(f"--dataset-id {dataset_id}: nnU-Net reads three digits; say 1 to 999")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise RunError(f"--name {name}: use letters, digits, _ and -, since nnU-Net makes a folder of it")


def coding_of(classes: Classes, cases: Sequence[ExportCase]) -> Coding:
    """The numbers of these cases; the RV has one where every origin that is there labels it, since half a label teaches a contradiction."""
    number_of = UNCHANGED.copy()
    if classes is Classes.SCAR:
        return Coding(names={"background": 0, "scar": 1}, order=None, number_of=np.array([0, 0, 0, 1, 1, 0], dtype=np.uint8))
    with_rv = {case.origin for case in cases if Label.RV in case.present}
    lost = bool(with_rv) and with_rv != {case.origin for case in cases}
    if lost:
        number_of[Label.RV] = Label.BACKGROUND
    kept = [label for label in Label if label is not Label.RV or (with_rv and not lost)]
    names: dict[str, int | list[int]] = {_NAMES[label]: int(label) for label in kept}
    if classes is Classes.ALL:
        return Coding(names=names, order=None, number_of=number_of, lost_rv=lost)
    names["wall"], names["scar"] = [2, 3, 4], [3, 4]
    return Coding(names=names, order=[int(label) for label in kept if label], number_of=number_of, lost_rv=lost)


def write_nnunet(dataset: NnunetDataset, out: Path, on_case: Callable[[int, int], None] | None = None) -> tuple[Path, bool]:
    """Write `OUT/DatasetXXX_NAME`, whole or not at all.

    Args:
        out: the folder that nnU-Net calls nnUNet_raw.
        on_case: told (done, all) after each case.
    Returns:
        The folder, and whether the same export stood there already.
    Raises:
        RunError: the number or the folder is taken by something else, or it cannot be written.
        InputError: a file cannot be read, or nnU-Net would take another axis than that of the slices for it.
    """
    checked_name(dataset.dataset_id, dataset.name)
    target = out / dataset.folder_name
    _refuse_second_of_a_number(out, dataset)
    for case in dataset.cases:
        _check_step(case)
    card = _card(dataset)
    files = {case.id: (f"{IMAGES}/{case.id}_0000{ENDING}", f"{LABELS}/{case.id}{ENDING}") for case in dataset.cases}
    every = [CARD, TABLE, NOTICE, *(name for pair in files.values() for name in pair), *([SPLITS] if dataset.lists is not None else [])]
    if stands_already(target, CARD, card[MARK]["identity"], every):
        return target, True
    number_of = coding_of(dataset.classes, dataset.cases).number_of
    with whole_folder(target) as making:
        for done, case in enumerate(dataset.cases, start=1):
            image_file, label_file = files[case.id]
            write_case(case, making / image_file, making / label_file, number_of)
            if on_case is not None:
                on_case(done, len(dataset.cases))
        write_table(making, dataset.cases, files)
        write_bytes(making / NOTICE, dataset.notice.encode("utf-8"))
        if dataset.lists is not None:
            write_bytes(making / SPLITS, _json([{"train": lists.train, "val": lists.val} for lists in dataset.lists]))
        write_bytes(making / CARD, _json(card))
    return target, False


def _card(dataset: NnunetDataset) -> dict[str, Any]:
    coding = coding_of(dataset.classes, dataset.cases)
    card: dict[str, Any] = {
        "channel_names": {"0": "LGE"},  # any name but a few reserved ones means z-scores by case
        "labels": coding.names,
        "numTraining": len(dataset.cases),
        "file_ending": ENDING,
        # Takes any affine, and spacing from pixdim; nnU-Net's first choice refuses axes that are not quite at right angles.
        "overwrite_image_reader_writer": "NibabelIO",
        "name": dataset.name,
        "description": "Late enhancement slices, real ones and such with a synthetic scar; not for diagnosis",
    }
    if coding.order is not None:
        card["regions_class_order"] = coding.order
    lists = None if dataset.lists is None else [[lists.train, lists.val] for lists in dataset.lists]
    identity = identity_of({"card": card, "lists": lists, "made": dataset.provenance}, dataset.cases)
    synthetic = [case.id for case in dataset.cases if case.origin is Origin.SYNTHETIC]
    return {**card, MARK: {"identity": identity, **dataset.provenance, "classes": dataset.classes.value, "synthetic": synthetic}}


def _refuse_second_of_a_number(out: Path, dataset: NnunetDataset) -> None:
    try:
        others = sorted(out.glob(f"Dataset{dataset.dataset_id:03d}_*"))
    except OSError:
        return  # writing will say it
    others = [path for path in others if path.name != dataset.folder_name]
    if others:
        raise RunError(f"{others[0]}: has the number {dataset.dataset_id} already, and nnU-Net takes one name a number; say --dataset-id")


def _check_step(case: ExportCase) -> None:
    # nnU-Net takes the axis with the widest spacing for that of the slices.
    pixel_mm = max(case.spacing_mm)
    if case.step_mm < pixel_mm:
        raise InputError(
            f"{case.image_path}: states {case.step_mm:g} mm between slices, less than its pixels of {pixel_mm:g} mm, so nnU-Net would cut "
            "it along another axis; set pixdim[3] of the file, and of the run's host, to the distance of the slices"
        )


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf-8")
