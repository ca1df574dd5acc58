"""DICOM files of a simulated patient, as scanners and archives write them: one dataset a slice, and ways to store it.

Nothing here imports the package at the top: a module that is imported before pytest has started runs without type checks.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from factories import ring_patient, short_axis_affine

SPACING_MM = (1.5, 1.25)  # (row, column), so that exchanged axes show
STEP_MM = 10.0


@dataclass(frozen=True)
class Patient:
    """A short-axis stack with known numbers: `image` (rows, columns, slices), base first, and where each slice lies (LPS, mm)."""

    image: np.ndarray
    labels: np.ndarray
    origins: np.ndarray
    along_row: np.ndarray
    along_column: np.ndarray


def patient(seed: int = 0, slices: int = 5, dtype: type = np.int16) -> Patient:
    image, labels = ring_patient(seed, slices, rv=True)
    affine = short_axis_affine(seed, (SPACING_MM[1], SPACING_MM[0], STEP_MM))
    lps = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]
    origins = np.array([lps @ (0, 0, k, 1) for k in range(slices)])
    stored = (np.rint(image).clip(0, 255) * 3).astype(dtype)
    return Patient(stored, labels, origins, lps[:, 0] / SPACING_MM[1], lps[:, 1] / SPACING_MM[0])


def dataset(pixels: np.ndarray, origin: Sequence[float], row: Sequence[float], column: Sequence[float], **elements: Any) -> Any:
    """A classic single-frame MR image; `elements` are set by keyword, and None removes one."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MRImageStorage
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, generate_uid()
    ds.ImageType, ds.Modality, ds.Manufacturer = ["ORIGINAL", "PRIMARY", "M", "NORM"], "MR", "LGESynthNet tests"
    ds.PatientID = ds.PatientName = "P001"
    ds.PatientBirthDate = ds.PatientSex = ds.StudyID = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3.1", "1.2.3.1.7", "1.2.3.9"
    ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription = 7, 1, "LGE sax"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20200101"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101500"
    ds.ImagePositionPatient = [f"{x:.6f}" for x in origin]
    ds.ImageOrientationPatient = [f"{x:.8f}" for x in (*row, *column)]
    ds.PixelSpacing, ds.SliceThickness, ds.SpacingBetweenSlices = list(SPACING_MM), "8", str(STEP_MM)
    ds.InversionTime, ds.EchoTime, ds.RepetitionTime, ds.FlipAngle, ds.MagneticFieldStrength = "300", "1.5", "750", "20", "1.5"
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = ["GR", "IR"], "SP", "", "2D"
    ds.EchoTrainLength, ds.PositionReferenceIndicator, ds.AcquisitionNumber, ds.SoftwareVersions = 1, "", 1, "1"
    ds.DeviceSerialNumber = ds.ManufacturerModelName = "1"
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    for keyword, value in elements.items():
        setattr(ds, keyword, value) if value is not None else delattr(ds, keyword)
    return ds


def series(who: Patient, **elements: Any) -> list[Any]:
    """One dataset a slice, base first; an element that is a list of as many values as slices is given slice by slice."""
    stack = []
    for k in range(who.image.shape[2]):
        own = {key: value[k] if isinstance(value, list) and len(value) == who.image.shape[2] else value for key, value in elements.items()}
        settings = {"InstanceNumber": k + 1, "AcquisitionTime": f"1015{k:02d}"} | own
        stack.append(dataset(who.image[:, :, k], who.origins[k], who.along_row, who.along_column, **settings))
    return stack


def save(datasets: Sequence[Any], folder: Path, name: str = "im", ending: str = ".dcm") -> list[Path]:
    """Write each dataset to a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, ds in enumerate(datasets):
        paths.append(folder / f"{name}{number:03d}{ending}")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


def recoded(paths: Sequence[Path], syntax: str) -> None:
    """Compress files in place, without loss, by gdcm; `syntax` is a member of gdcm.TransferSyntax."""
    import gdcm

    for path in paths:
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()


def enhanced(who: Patient, kind: str = "M") -> Any:
    """One enhanced multi-frame MR image of all slices."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence as Items
    from pydicom.uid import EnhancedMRImageStorage

    def group(keyword: str, **elements: Any) -> Dataset:
        inner, outer = Dataset(), Dataset()
        for key, value in elements.items():
            setattr(inner, key, value)
        setattr(outer, keyword, Items([inner]))
        return outer

    ds = dataset(who.image[:, :, 0], who.origins[0], who.along_row, who.along_column)
    single = "ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness SpacingBetweenSlices InversionTime"
    for keyword in single.split():
        delattr(ds, keyword)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    ds.ImageType = ["ORIGINAL", "PRIMARY", "MIXED", "NONE"]
    shared = group("PixelMeasuresSequence", PixelSpacing=list(SPACING_MM), SliceThickness=8.0, SpacingBetweenSlices=STEP_MM)
    directions = [*map(float, np.round(who.along_row, 8)), *map(float, np.round(who.along_column, 8))]
    shared.update(group("PlaneOrientationSequence", ImageOrientationPatient=directions))
    shared.update(group("MRModifierSequence", InversionTimes=310.0))
    shared.update(group("MRImageFrameTypeSequence", FrameType=["ORIGINAL", "PRIMARY", kind, "NONE"], ComplexImageComponent="MAGNITUDE"))
    frames = []
    for k in range(who.image.shape[2]):
        item = group("PlanePositionSequence", ImagePositionPatient=[round(float(x), 6) for x in who.origins[k]])
        item.update(group("FrameContentSequence", FrameAcquisitionDateTime=f"202001011015{k:02d}"))
        item.update(group("PixelValueTransformationSequence", RescaleSlope=k + 1.5, RescaleIntercept=-k, RescaleType="US"))
        frames.append(item)
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = Items([shared]), Items(frames)
    ds.NumberOfFrames = len(frames)
    ds.PixelData = np.ascontiguousarray(who.image.transpose(2, 0, 1)).tobytes()
    return ds


def write_icontours(who: Patient, folder: Path, names: Sequence[str]) -> None:
    """Sunnybrook contours of cavity and wall of each slice, for images of these names (without ending)."""
    folder.mkdir(parents=True, exist_ok=True)
    angle = np.linspace(0, 2 * np.pi, 100)
    for k, name in enumerate(names):
        heart = who.labels[:, :, k]
        middle = np.argwhere((heart == 1) | (heart == 2)).mean(axis=0)
        for contour, inside in (("icontour", heart == 1), ("ocontour", (heart == 1) | (heart == 2))):
            radius = float(np.sqrt(inside.sum() / np.pi))
            points = np.stack([middle[1] + radius * np.cos(angle), middle[0] + radius * np.sin(angle)], axis=1)
            np.savetxt(folder / f"{name}-{contour}-manual.txt", points, fmt="%.3f")


def turned(who: Patient, angle_deg: float, axis: int) -> Patient:
    """The patient's slices turned about their own middle, by a rotation about an axis of the scanner."""
    from scipy.spatial.transform import Rotation

    matrix = Rotation.from_rotvec(np.eye(3)[axis] * angle_deg, degrees=True).as_matrix()
    rows, columns = who.image.shape[:2]
    middle = who.along_row * (columns - 1) / 2 * SPACING_MM[1] + who.along_column * (rows - 1) / 2 * SPACING_MM[0]
    along_row, along_column = matrix @ who.along_row, matrix @ who.along_column
    moved = along_row * (columns - 1) / 2 * SPACING_MM[1] + along_column * (rows - 1) / 2 * SPACING_MM[0]
    return Patient(who.image, who.labels, who.origins + middle - moved, along_row, along_column)


def copied(datasets: Sequence[Any], **elements: Any) -> list[Any]:
    """Copies with new instance UIDs and other elements."""
    from pydicom.uid import generate_uid

    result = []
    for ds in datasets:
        other = copy.deepcopy(ds)
        other.SOPInstanceUID = generate_uid()
        for keyword, value in elements.items():
            setattr(other, keyword, value)
        result.append(other)
    return result
