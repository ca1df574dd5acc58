"""The segmentation of one sample, as DICOM SEG: wall, scar, no-reflow and cavity on the grid of its MR image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from lgesynthnet import __version__
from lgesynthnet.data.dicom.files import quiet
from lgesynthnet.errors import InputError
from lgesynthnet.export.dicom.image import LONGEST_DESCRIPTION, MAKER, OWN_CODES, DicomSample, load_dicom
from lgesynthnet.export.dicom.uids import uid_of
from lgesynthnet.files.reading import reason_of
from lgesynthnet.records import Label, Labels, scar_of, wall_of

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
    mask: Bool[np.ndarray, "rows cols"]


def segmentation(sample: DicomSample, image: Any) -> Any:
    """A highdicom segmentation that refers to the MR image of the sample.

    The segments overlap as the tissues do: the scar is part of the myocardium, and no-reflow part of the scar. A tissue that is not there
    has no segment. The same sample gives the same data set.

    Args:
        image: what `mr_image` made.
    Raises:
        InputError: highdicom is not installed, or nothing is labelled.
    """
    place = sample.plane.path
    _, highdicom = load_dicom(place)
    tissues = _tissues(sample.labels)
    if not tissues:
        raise InputError(f"{place}: nothing is labelled in it; correct its label")
    try:
        with quiet():
            made = _made(highdicom, sample, image, tissues)
    except ValueError as fault:  # highdicom is strict about what it copies from the patient and the study
        why = reason_of(fault)
        raise InputError(f"{place}: its segmentation cannot be written ({why}); export without --keep-identity") from None
    for item, tissue in zip(made.SegmentSequence, tissues, strict=True):
        item.SegmentDescription = _origin(tissue, sample)[:LONGEST_DESCRIPTION]
    made.SyntheticData = "YES"
    _fix_what_changes(made, sample)
    return made


def _made(highdicom: Any, sample: DicomSample, image: Any, tissues: list[_Tissue]) -> Any:
    return highdicom.seg.Segmentation(
        source_images=[image],
        pixel_array=np.stack([tissue.mask for tissue in tissues], axis=-1)[None].astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[_described(number, tissue, sample) for number, tissue in enumerate(tissues, start=1)],
        series_instance_uid=uid_of("segmentation series", sample.key),
        series_number=int(image.SeriesNumber) + 1,
        sop_instance_uid=uid_of("segmentation", sample.key),
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


def _tissues(labels: Labels) -> list[_Tissue]:
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


def _origin(tissue: _Tissue, sample: DicomSample) -> str:
    if tissue.of_host and sample.masks_drawn_by is not None:
        return f"Drawn in the host by the network {sample.masks_drawn_by}; a person may have corrected it."
    if tissue.of_host:
        return "Label that came with the host image; how it was drawn is not recorded."
    if sample.scar_from is None:
        return f"Where the scar was prescribed, together with scar that the host had; not found in the image. {sample.sentence}"
    return f"Scar as the filter {sample.scar_from} read it in the synthetic image."


def _fix_what_changes(made: Any, sample: DicomSample) -> None:
    """Take out the clock and the random identifiers that highdicom puts in."""
    del made.InstanceCreationDate, made.InstanceCreationTime
    for equipment in made.get("ContributingEquipmentSequence", []):
        if "ContributionDateTime" in equipment:
            del equipment.ContributionDateTime
    dimensions = uid_of("dimensions", sample.key)
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        if "DimensionOrganizationUID" in item:
            item.DimensionOrganizationUID = dimensions
