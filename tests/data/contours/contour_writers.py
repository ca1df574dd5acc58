"""Hearts on slices in the patient, and writers of their contours in the five formats. Nothing here imports the package at the top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from factories import ring_patient, short_axis_affine
from skimage import measure

SHAPE, STEP_MM = (64, 64), 8.0
CAVITY, WALL, SCAR, NO_REFLOW, RV = 1, 2, 3, 4, 5
HASH = "http://www.circlecvi.com/cvi42/Workspace/Hash/"


def uid(index: int) -> str:
    return f"1.2.826.0.1.3680043.8.498.{1000 + index}"


def heart(seed: int = 0, slices: int = 3) -> np.ndarray:
    """(rows, columns, slices) labels of a heart with scar, a no-reflow core and an RV, in pixels of 1 mm."""
    _, labels = ring_patient(seed, slices, scar=True, rv=True)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    core = (rows > 42) & (columns > 38) & (np.hypot(rows - 31, columns - 36) < 16)
    labels[(labels == SCAR) & core[:, :, None]] = NO_REFLOW
    return labels


def planes(labels: np.ndarray, folder: Path, *, turn: str = "as stored", seed: int = 1, with_uids: bool = True):
    """The labels as a scanner may have stored them, and the planes of the slices: "as stored", "mirrored" or "transposed"."""
    from lgesynthnet.data.planes import SlicePlane

    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ short_axis_affine(seed, (1.0, 1.0, STEP_MM))
    along_row, along_column, step, origin = affine[:3, 0], affine[:3, 1], affine[:3, 2], affine[:3, 3]
    if turn == "mirrored":
        labels, origin, along_column = labels[::-1], origin + along_column * (labels.shape[0] - 1), -along_column
    if turn == "transposed":
        labels, along_row, along_column = labels.swapaxes(0, 1), along_column, along_row
    return np.ascontiguousarray(labels), [
        SlicePlane(
            shape=labels.shape[:2],
            origin_mm=tuple((origin + step * k).tolist()),
            along_row=tuple(along_row.tolist()),
            along_column=tuple(along_column.tolist()),
            spacing_mm=(1.0, 1.0),
            path=folder / f"IM-0001-{k + 1:04d}.dcm",
            sop_instance_uid=uid(k) if with_uids else None,
        )
        for k in range(labels.shape[2])
    ]


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Outlines of (row, column) round a mask and round its holes, half-way between the pixels."""
    found = measure.find_contours(np.pad(mask, 1).astype(float), 0.5)
    return [points[:-1] - 1 for points in found]


def parts(labels: np.ndarray) -> dict[str, np.ndarray]:
    """What a reader outlines: endocardium, epicardium, the whole scar, its no-reflow core, and the RV."""
    return {
        "Endo": labels == CAVITY,
        "Epi": (labels == CAVITY) | (labels == WALL) | (labels == SCAR) | (labels == NO_REFLOW),
        "Scar": (labels == SCAR) | (labels == NO_REFLOW),
        "No reflow": labels == NO_REFLOW,
        "RV": labels == RV,
    }


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * int((one & other).sum()) / max(int(one.sum()) + int(other.sum()), 1)


def write_rtstruct(path: Path, labels: np.ndarray, on, *, with_uids: bool = True, order: Sequence[int] | None = None, names=None) -> Path:
    """An RT structure set with one region for each part; `order` is the order in which the slices are written."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
        "RTSTRUCT",
    )
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, name in enumerate(parts(labels), start=1):
        roi, region = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, (names or {}).get(name, name)
        region.ReferencedROINumber, region.ContourSequence = number, []
        for k in order or range(labels.shape[2]):
            for points in outlines(parts(labels[:, :, k])[name]):
                contour = Dataset()
                contour.ContourGeometricType = "CLOSED_PLANAR"
                contour.NumberOfContourPoints = len(points)
                contour.ContourData = [f"{value:.6g}" for value in on[k].to_patient(points).ravel()]
                if with_uids:
                    image = Dataset()
                    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", on[k].sop_instance_uid
                    contour.ContourImageSequence = [image]
                region.ContourSequence.append(contour)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(region)
    dataset.save_as(path, enforce_file_format=True)
    return path


def mr_image(plane) -> object:
    """The MR image of a plane, as far as highdicom needs it."""
    from pydicom.dataset import Dataset, FileMetaDataset

    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", plane.sop_instance_uid or uid(900)
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = uid(500), uid(501), uid(502)
    image.PatientID, image.PatientName, image.PatientBirthDate, image.PatientSex = "P", "P", "", ""
    image.StudyDate, image.StudyTime, image.AccessionNumber, image.StudyID, image.ReferringPhysicianName = "", "", "", "", ""
    image.Modality, image.SeriesNumber, image.InstanceNumber = "MR", 1, 1
    image.Rows, image.Columns, image.SamplesPerPixel, image.PhotometricInterpretation = *plane.shape, 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
    image.PixelSpacing, image.SliceThickness = list(plane.spacing_mm), STEP_MM
    image.ImagePositionPatient = [round(value, 6) for value in plane.origin_mm]
    image.ImageOrientationPatient = [round(value, 6) for value in (*plane.along_row, *plane.along_column)]
    image.PixelData = bytes(2 * plane.shape[0] * plane.shape[1])
    return image


def write_seg(path: Path, masks: dict[str, np.ndarray], on, *, kind: str = "BINARY", order: Sequence[int] | None = None) -> Path:
    """A DICOM segmentation of masks of shape (rows, columns, slices), written with highdicom."""
    import highdicom
    from highdicom.sr.coding import CodedConcept
    from pydicom.uid import ExplicitVRLittleEndian

    order = list(order or range(len(on)))
    tissue = CodedConcept("85756007", "SCT", "Tissue")
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=tissue,
            segmented_property_type=tissue,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, name in enumerate(masks, start=1)
    ]
    stacked = np.stack([mask[:, :, order].transpose(2, 0, 1) for mask in masks.values()], axis=3)
    if kind == "FRACTIONAL":
        stacked = stacked.astype(np.float64) * 0.8
    if kind == "LABELMAP":
        stacked = (stacked * np.arange(1, len(masks) + 1)).max(axis=3)
    written = highdicom.seg.Segmentation(
        source_images=[mr_image(on[k]) for k in order],
        pixel_array=stacked if kind == "FRACTIONAL" else stacked.astype(np.uint8),
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid=uid(600),
        series_number=2,
        sop_instance_uid=uid(601),
        instance_number=1,
        manufacturer="M",
        manufacturer_model_name="M",
        software_versions="1",
        device_serial_number="1",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    written.save_as(path)
    return path


def write_cvi42(path: Path, labels: np.ndarray, on, *, factor: int = 4, order: Sequence[int] | None = None) -> Path:
    """A cvi42 workspace with contours in sub-pixels."""
    names = {"Endo": "saendocardialContour", "Epi": "saepicardialContour", "RV": "sarvendocardialContour"}
    names |= {"Scar": "saEnhancementAreaContour", "No reflow": "noReflowAreaContour"}
    states = ""
    for k in order or range(labels.shape[2]):
        contours = ""
        for name, mask in parts(labels[:, :, k]).items():
            for number, points in enumerate(outlines(mask)):
                fine = np.rint((points + 0.5) * factor - 0.5).astype(int)
                listed = "".join(f"<List:item><Point:x>{x}</Point:x><Point:y>{y}</Point:y></List:item>" for y, x in fine)
                key = names[name] + (f"{number:04d}" if number else "")
                contours += f'<Hash:item Hash:key="{key}"><Hash:item Hash:key="Points" List:count="{len(fine)}">{listed}</Hash:item>'
                contours += f'<Hash:item Hash:key="SubpixelResolution">{factor}</Hash:item></Hash:item>'
        states += f'<Hash:item Hash:key="{on[k].sop_instance_uid}"><Hash:item Hash:key="Contours">{contours}</Hash:item></Hash:item>'
    path.write_text(workspace(f'<Hash:item Hash:key="ImageStates">{states}</Hash:item>'), encoding="utf-8")
    return path


def workspace(inside: str, before: str = "") -> str:
    spaces = " ".join(f'xmlns:{name}="{HASH.replace("Hash", name)}"' for name in ("Hash", "List", "Point"))
    study = f'<Hash:item Hash:key="StudyMapStates"><List:item>{inside}</List:item></Hash:item>'
    return f'<?xml version="1.0" encoding="UTF-8"?>{before}<Hash:hash {spaces}>{study}</Hash:hash>'


def segment_fields(labels: np.ndarray, on, *, points: int = 80) -> dict[str, object]:
    """One image stack of Segment. It steps against the cross product of its rows and columns, so the stack may be reversed."""
    first, last = on[0], on[-1]
    if np.dot(np.subtract(last.origin_mm, first.origin_mm), first.normal) > 0:
        labels, first = labels[:, :, ::-1], last
    fields: dict[str, object] = {
        "ImagePosition": np.array([first.origin_mm]),
        "ImageOrientation": np.array([[*first.along_row, *first.along_column]]),
        "ResolutionX": first.spacing_mm[0],
        "ResolutionY": first.spacing_mm[1],
        "SliceThickness": STEP_MM - 2.0,
        "SliceGap": 2.0,
        "XSize": labels.shape[0],
        "YSize": labels.shape[1],
        "ZSize": labels.shape[2],
        "TSize": 1,
        "IM": np.zeros((*labels.shape[:2], 1, labels.shape[2]), dtype=np.float32),
        "PatientInfo": {"Name": "P"},
    }
    for field, name in (("Endo", "Endo"), ("Epi", "Epi"), ("RVEndo", "RV")):
        x, y = (np.full((points, 1, labels.shape[2]), np.nan) for _ in "XY")
        for k in range(labels.shape[2]):
            for outline in outlines(parts(labels[:, :, k])[name])[:1]:
                closed = np.vstack([outline, outline[:1]])
                length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
                at = np.linspace(0, length[-1], points)
                x[:, 0, k], y[:, 0, k] = (np.interp(at, length, closed[:, axis]) + 1 for axis in (0, 1))
        fields |= {f"{field}X": x, f"{field}Y": y}
    scar = parts(labels)
    fields["Scar"] = {"Result": scar["Scar"], "NoReflow": scar["No reflow"].astype(np.uint8), "Mode": "manual"}
    return fields


def write_segment(path: Path, *stacks: dict[str, object], compress: bool = True) -> Path:
    """A .mat file of Segment with these image stacks."""
    from scipy.io import savemat

    keys = list(dict.fromkeys(key for stack in stacks for key in stack))
    structs = np.zeros((1, len(stacks)), dtype=[(key, object) for key in keys])
    for number, stack in enumerate(stacks):
        for key in keys:
            structs[0, number][key] = stack.get(key, np.zeros((0, 0)))
    savemat(path, {"preview": np.arange(20.0), "setstruct": structs, "info": {"a": 1}}, do_compression=compress)
    return path


def write_sunnybrook(folder: Path, labels: np.ndarray, on, *, order: Sequence[int] | None = None) -> list[Path]:
    """Text contours of endocardium and epicardium."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for k in order or range(labels.shape[2]):
        for letter, name in (("i", "Endo"), ("o", "Epi")):
            [points] = outlines(parts(labels[:, :, k])[name])
            path = folder / f"{on[k].path.stem}-{letter}contour-manual.txt"
            path.write_text("".join(f"{x:.2f} {y:.2f}\n" for y, x in points))
            written.append(path)
    return written


Writer = Callable[..., list[Path]]
WRITERS: dict[str, Writer] = {
    "rtstruct": lambda folder, labels, on, **more: [write_rtstruct(folder / "contours.dcm", labels, on, **more)],
    "seg": lambda folder, labels, on, **more: [write_seg(folder / "masks.dcm", seg_masks(labels), on, **more)],
    "labelmap": lambda folder, labels, on, **more: [write_seg(folder / "map.dcm", seg_masks(labels), on, kind="LABELMAP", **more)],
    "cvi42": lambda folder, labels, on, **more: [write_cvi42(folder / "work.cvi42wsx", labels, on, **more)],
    "segment": lambda folder, labels, on, **more: [write_segment(folder / "saved.mat", segment_fields(labels, on))],
    "sunnybrook": lambda folder, labels, on, **more: write_sunnybrook(folder, labels, on, **more),
}


def seg_masks(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of the labels, none over another."""
    names = {
        "Left ventricular cavity": CAVITY,
        "Myocardium": WALL,
        "Scar": SCAR,
        "Microvascular obstruction": NO_REFLOW,
        "Right ventricle": RV,
    }
    return {name: labels == number for name, number in names.items()}
