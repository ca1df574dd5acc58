"""A folder of patients, opened without reading a voxel; the stacks then come one patient at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lgesynthnet.data.declaration import read_declaration
from lgesynthnet.data.label_maps import EXAMPLE, checked_label_map, label_map_of
from lgesynthnet.data.landmarks import read_landmarks
from lgesynthnet.data.layout import CaseFiles, Found, Layout, find_cases
from lgesynthnet.data.stack import read_stack
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label, Skipped, Stack


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """The cases of one folder and how to read them.

    Attributes:
        cases: patients with both files, sorted by name.
        skipped: what has no partner or no unique name; `stacks` does not repeat it.
        insertions_deg: patient -> slice index -> (anterior, inferior) RV insertion angles of the user.
    """

    root: Path
    layout: Layout
    cases: list[CaseFiles]
    skipped: list[Skipped]
    label_map: dict[int, Label]
    base_first: bool | None = None
    flip: tuple[bool, bool] = (False, False)
    insertions_deg: dict[str, dict[int, tuple[float, float]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.cases)

    def read(self, case: CaseFiles) -> Stack:
        """One patient's stack.

        Raises:
            InputError: see `read_stack`.
        """
        return read_stack(
            case.image_path,
            case.label_path,
            case.patient,
            self.label_map,
            base_first=self.base_first,
            flip=self.flip,
            insertions_deg=self.insertions_deg.get(case.patient),
        )

    def stack(self, patient: str) -> Stack:
        """The stack of a named patient.

        Raises:
            InputError: no such patient, or see `read_stack`.
        """
        for case in self.cases:
            if case.patient == patient:
                return self.read(case)
        raise InputError(f"{self.root}: has no patient {patient}; it has {', '.join(case.patient for case in self.cases[:10])} ...")

    def stacks(self) -> Iterator[Stack | Skipped]:
        """Every case in order, read when it is asked for; a broken one comes out as Skipped with its reason."""
        for case in self.cases:
            try:
                yield self.read(case)
            except InputError as fault:
                yield Skipped(name=case.patient, reason=str(fault))


def open_cohort(
    folder: Path,
    *,
    dataset: str | None = None,
    label_map: dict[int, Label] | None = None,
    base_first: bool | None = None,
    flip: tuple[bool, bool] = (False, False),
    landmarks: Path | None = None,
) -> Cohort:
    """Find the cases of a folder, and settle what its labels mean before anything is read.

    Args:
        dataset: a name of `LABEL_MAPS`; `label_map` says it in full. One of the two is enough.
        base_first: slice 0 is the base (True) or the apex (False); None leaves it open.
        flip: (rows, columns) to mirror into the radiological view, RV on the viewer's left.
        landmarks: CSV of RV insertion angles, see `read_landmarks`.
    Raises:
        InputError: no cases, labels of unknown meaning, landmarks that cannot be read or name no patient of the folder.
    """
    found = find_cases(folder)
    said = read_declaration(folder)
    insertions_deg = read_landmarks(landmarks) if landmarks is not None else {}
    patients = {case.patient for case in found.cases}
    if insertions_deg and not patients & set(insertions_deg):
        raise InputError(
            f"{landmarks}: names none of the patients of {folder}; its column case must hold e.g. {min(patients, default='CASE')}"
        )
    return Cohort(
        root=folder,
        layout=found.layout,
        cases=found.cases,
        skipped=found.skipped,
        label_map=_label_map(folder, found, dataset, label_map, said.labels),
        base_first=base_first if base_first is not None else said.base_first,
        flip=flip,
        insertions_deg=insertions_deg,
    )


def _label_map(folder: Path, found: Found, dataset: str | None, given: dict[int, Label] | None, declared: str | None) -> dict[int, Label]:
    """The user's word first, then the folder's own, then what the layout defines; never a guess."""
    if dataset is not None and given is not None:
        raise InputError(f"{folder}: --dataset and --labels both say what the labels mean; give one of them")
    if given is not None:
        return checked_label_map(given, place=f"{folder}: the label map")
    for name in (dataset, declared):
        if name is not None:
            return label_map_of(name)
    if found.label_map is not None:
        return found.label_map
    if found.layout is Layout.EMIDEC:
        return label_map_of("emidec")
    raise InputError(f"{folder}: what do its label ids mean? say --dataset emidec (or acdc, mnms, ...), or {EXAMPLE}")
