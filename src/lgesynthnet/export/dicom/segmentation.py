"""The segmentation of one sample, as DICOM SEG: wall, scar, no-reflow and cavity on the grid of its MR image or images."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from lgesynthnet import __version__
from lgesynthnet.data.dicom.files import quiet
from lgesynthnet.errors import InputError
from lgesynthnet.export.dicom.image import LONGEST_DESCRIPTION, MAKER, OWN_CODES, DicomSample, load_dicom
from lgesynthnet.export.dicom.uids import uid_of
from lgesynthnet.files.reading import reason_of
from lgesynthnet.records import Label, scar_of, wall_of

NO_DATE, NO_TIME = "19000101", "000000"  # the standard wants a date; the day of the export would give other bytes each time
ABNORMAL = ("49755003", "SCT", "Morphologically Abnormal Structure")
STRUCTURE = ("91723000", "SCT", "Anatomical Structure")


@dataclass(frozen=True, kw_only=True)
class _Tissue:
    """One segment: its name, its codes as (value, scheme, meaning), and whether its mask comes with the host."""

    name: str
    category: tuple[str, str, str]
    kind: tuple[str, str, str]
    of_host: bool
    mask: Bool[np.ndarray, "rows cols slices"]


def segmentation(sample: DicomSample, image: Any) -> Any:
    """A highdicom segmentation that refers to the MR image of a sample that is one slice; see `stack_segmentation`."""
    return stack_segmentation([sample], [image], sample.sentence)


def stack_segmentation(slices: Sequence[DicomSample], images: Sequence[Any], sentence: str) -> Any:
    """A highdicom segmentation that refers to the MR images of a stack, with a frame for each slice and each segment.

    The segments overlap as the tissues do: the scar is part of the myocardium, and no-reflow part of the scar. A tissue that is in no slice
    has no segment. The same slices give the same data set.

    Args:
        slices: of one stack, in order.
        images: what `mr_image` made of them.
        sentence: the prescription of the stack.
    Raises:
        InputError: highdicom is not installed, or nothing is labelled.
    """
    sample = slices[0]
    place = sample.plane.path
    _, highdicom = load_dicom(place)
    tissues = _tissues(np.stack([each.labels for each in slices], axis=-1))
    if not tissues:
        raise InputError(f"{place}: nothing is labelled in it; correct its label")
    try:
        with quiet():
            made = _made(highdicom, sample, _in_one_orientation(images), tissues)
    except ValueError as fault:  # highdicom is strict about what it copies from the patient and the study
        why = reason_of(fault)
        raise InputError(f"{place}: its segmentation cannot be written ({why}); export without --keep-identity") from None
    for item, tissue in zip(made.SegmentSequence, tissues, strict=True):
        item.SegmentDescription = _origin(tissue, slices, sentence)[:LONGEST_DESCRIPTION]
    made.SyntheticData = "YES"
    _fix_what_changes(made, sample)
    return made


def _in_one_orientation(images: Sequence[Any]) -> list[Any]:
    """The images with the orientation of the first: a segmentation states one, and the slices lie on one grid but for rounding."""
    turned = []
    for image in images:
        if image.ImageOrientationPatient != images[0].ImageOrientationPatient:
            image = copy.deepcopy(image)  # a shallow copy shares its elements
            image.ImageOrientationPatient = list(images[0].ImageOrientationPatient)
        turned.append(image)
    return turned


def _made(highdicom: Any, sample: DicomSample, images: list[Any], tissues: list[_Tissue]) -> Any:
    image = images[0]
    return highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=np.stack([tissue.mask.transpose(2, 0, 1) for tissue in tissues], axis=-1).astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[_described(number, tissue, sample) for number, tissue in enumerate(tissues, start=1)],
        series_instance_uid=uid_of("segmentation series", sample.series_key),
        series_number=int(image.SeriesNumber) + 1,
        sop_instance_uid=uid_of("segmentation", sample.series_key),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name="lgesynthnet",
        software_versions=__version__,
        device_serial_number="0",
        content_label="SCAR",
        content_description="SYNTHETIC scar" if sample.scar_from is None else "SYNTHETIC scar as the filter read it",
        series_description=f"SYNTHETIC scar {sample.id} labels"[:64],
        content_date=str(image.get("ContentDate") or NO_DATE),
        content_time=str(image.get("ContentTime") or NO_TIME),
        omit_empty_frames=False,
    )


def _tissues(labels: UInt8[np.ndarray, "rows cols slices"]) -> list[_Tissue]:
    every = (
        _Tissue(
            name="myocardium",
            category=STRUCTURE,
            kind=("49848007", "SCT", "Left Ventricle Myocardium"),
            of_host=True,
            mask=wall_of(labels),
        ),
        _Tissue(name="scar", category=ABNORMAL, kind=("122113", "DCM", "Scarred Myocardium"), of_host=False, mask=scar_of(labels)),
        _Tissue(
            name="no-reflow",
            category=ABNORMAL,
            kind=("NOREFLOW", OWN_CODES, "No-reflow core of a myocardial scar"),
            of_host=False,
            mask=labels == Label.NO_REFLOW,
        ),
        _Tissue(
            name="cavity of the left ventricle",
            category=STRUCTURE,
            kind=("87878005", "SCT", "Left ventricle"),
            of_host=True,
            mask=labels == Label.CAVITY,
        ),
    )
    return [tissue for tissue in every if tissue.mask.any()]


def _described(number: int, tissue: _Tissue, sample: DicomSample) -> Any:
    """How the mask came about: with the host, in a way that nobody recorded; by prescription; or read by the filter."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept

    if tissue.of_host and sample.masks_drawn_by is not None:
        name, version, family = (
            f"lgesynthnet {sample.masks_drawn_by}"[:64],
            "unknown",
            ("HOSTDRAWN", OWN_CODES, "Drawn by a network in the host"),
        )
    elif tissue.of_host:
        name, version, family = "label that came with the host", "unknown", ("HOSTLABEL", OWN_CODES, "Label that came with the host")
    elif sample.scar_from is None:
        name, version, family = "lgesynthnet prescription", __version__, ("PRESCRIBED", OWN_CODES, "Prescribed, not found in the image")
    else:
        name, version, family = f"lgesynthnet filter {sample.scar_from}"[:64], __version__, ("FILTERREAD", OWN_CODES, "Read by the filter")
    return SegmentDescription(
        segment_number=number,
        segment_label=tissue.name,
        segmented_property_category=CodedConcept(*tissue.category),
        segmented_property_type=CodedConcept(*tissue.kind),
        algorithm_type="SEMIAUTOMATIC" if tissue.of_host else "AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(name=name, version=version, family=CodedConcept(*family)),
    )


def _origin(tissue: _Tissue, slices: Sequence[DicomSample], sentence: str) -> str:
    sample = slices[0]
    if tissue.of_host and sample.masks_drawn_by is not None:
        return f"Drawn in the host by the network {sample.masks_drawn_by}; a person may have corrected it."
    if tissue.of_host:
        return "Label that came with the host image; how it was drawn is not recorded."
    if sample.scar_from is None:
        return f"Where the scar was prescribed, together with scar that the host had; not found in the image. {sentence}"
    read = f"Scar as the filter {sample.scar_from} read it in the synthetic image."
    of_host = any(scar_of(each.labels).any() for each in slices if not each.painted)
    return f"{read} In the slices that were not painted, the scar is that of the host's label." if of_host else read


def _fix_what_changes(made: Any, sample: DicomSample) -> None:
    """Take out the clock and the random identifiers that highdicom puts in."""
    del made.InstanceCreationDate, made.InstanceCreationTime
    for equipment in made.get("ContributingEquipmentSequence", []):
        if "ContributionDateTime" in equipment:
            del equipment.ContributionDateTime
    dimensions = uid_of("dimensions", sample.series_key)
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        if "DimensionOrganizationUID" in item:
            item.DimensionOrganizationUID = dimensions
