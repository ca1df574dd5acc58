"""Patients whose images are DICOM: a folder for each, or the files of several in one folder."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from lgesynthnet.data.dicom.files import NotInstalledError
from lgesynthnet.data.dicom.headers import Frame, frames_of
from lgesynthnet.data.dicom.scanning import DicomSource, entries, walk
from lgesynthnet.data.layouts.content import CaseFiles, FolderContent, Layout, name_fault, several
from lgesynthnet.data.layouts.listing import stem_of
from lgesynthnet.data.layouts.naming import is_label, names_a_patient
from lgesynthnet.errors import InputError
from lgesynthnet.files.names import LONGEST
from lgesynthnet.records import Skipped

LOOK_AT = 5_000  # files of a sub-folder until it counts as one without DICOM


def find_dicom(root: Path) -> FolderContent | None:
    """The patients whose DICOM files lie in a folder or below it; None where there is none.

    A NIfTI file that is named like a label is the label of the patient in whose folder it lies. Contours are looked for when it is read.

    Raises:
        InputError: pydicom, which reads the headers, is not installed.
    """
    patients, skipped = find_patients(root)
    content = FolderContent(layout=Layout.DICOM)
    for each in skipped:
        content.skip(each.name, each.reason)
    for name, source in sorted(patients.items()):
        labels = _labels_beside(source)
        if fault := name_fault(name, source.folder, source.folder, *labels):
            content.skip(name, fault, *labels)
        elif len(labels) > 1:
            content.skip(name, several(labels, "label"), *labels)
        else:
            content.named.update(labels)
            label = labels[0] if labels else None
            content.cases.append(CaseFiles(patient=name, image_path=source.folder, label_path=label, dicom=source))
    return None if content.is_empty else content


def find_patients(root: Path) -> tuple[dict[str, DicomSource], list[Skipped]]:
    """The patients whose DICOM files lie in a folder, by name, and what could not be used.

    A sub-folder with DICOM files is a patient, named like the folder. Files that lie in `root` itself or in its only sub-folder called
    dicom, and sub-folders that all belong to one study and have not a label each, are divided by PatientID, which is then the name.

    Raises:
        InputError: the folder holds far too many files, or pydicom is missing.
    """
    inside = entries(root, [])
    if any(_identity_of(path) is not None for path in inside if path.is_file()):
        return _by_patient_id(root)
    folders = {folder: identity for folder in inside if folder.is_dir() and (identity := _first_identity(folder)) is not None}
    if len(folders) == 1:
        [folder] = folders
        if not names_a_patient(folder) or len(_patient_ids(folder)) > 1:
            return _by_patient_id(root)
    elif folders and len(set(folders.values())) == 1 and all(next(iter(folders.values()))):
        labelled = [folder for folder in folders if _labels_beside(DicomSource(folder=folder))]
        if len(labelled) < 2:
            return _by_patient_id(root)  # the series of one patient, in a folder each
    return {folder.name: DicomSource(folder=folder) for folder in sorted(folders)}, []


def _by_patient_id(root: Path) -> tuple[dict[str, DicomSource], list[Skipped]]:
    ids = sorted(_patient_ids(root))
    patients: dict[str, DicomSource] = {}
    skipped: list[Skipped] = []
    for patient_id in ids:
        name = safe_name(patient_id) or root.absolute().name
        if name in patients:
            skipped.append(Skipped(name=name, reason=f"{root}: two of its patients get the name {name}; give each a folder of its own"))
        else:
            patients[name] = DicomSource(folder=root, patient_id=patient_id, shared=len(ids) > 1)
    for each in skipped:
        patients.pop(each.name, None)
    return patients, skipped


def _patient_ids(folder: Path) -> set[str]:
    return {frame.series.patient_id for path in walk(folder, []) for frame in _frames_or_none(path)[:1]}


def safe_name(patient_id: str) -> str:
    """A PatientID as the name of a patient, which becomes part of file names; empty where nothing is left of it."""
    kept = "".join(letter if letter.isprintable() and letter not in '/\\:*?"<>|' else "_" for letter in patient_id.strip())
    return kept.lstrip(".")[:LONGEST].strip()


def _frames_or_none(path: Path) -> tuple[Frame, ...]:
    try:
        return frames_of(path)
    except NotInstalledError:
        raise
    except InputError:
        return ()


def _identity_of(path: Path) -> tuple[str, str] | None:
    """PatientID and study of a file; None where it holds no MR image."""
    frames = _frames_or_none(path)
    return (frames[0].series.patient_id, frames[0].series.study_uid) if frames else None


def _first_identity(folder: Path) -> tuple[str, str] | None:
    return next((identity for path in islice(walk(folder, []), LOOK_AT) if (identity := _identity_of(path)) is not None), None)


def _labels_beside(source: DicomSource) -> list[Path]:
    """NIfTI files that are named like labels, in a folder that is one patient's own."""
    if source.shared:
        return []
    return [path for path in walk(source.folder, []) if (stem := stem_of(path)) is not None and is_label(stem)]
