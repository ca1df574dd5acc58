"""The MR image of one slice: derived from the image of its host where that is DICOM, and marked as what it is, painted or not."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lgesynthnet import __version__
from lgesynthnet.data.dicom.files import quiet
from lgesynthnet.data.planes import SlicePlane
from lgesynthnet.errors import InputError
from lgesynthnet.export.dicom.numbers import StoredNumbers, decimal_string
from lgesynthnet.export.dicom.source import SourceHeader
from lgesynthnet.export.dicom.uids import IMPLEMENTATION_NAME, is_uid, uid_of
from lgesynthnet.records import Labels

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
UTF8 = "ISO_IR 192"
MAKER = "LGESynthNet"
OWN_CODES = "99LGESYNTHNET"  # a coding scheme of our own begins with 99, by DICOM PS3.16, 8.2
LONGEST_DESCRIPTION = 1024  # characters of a short text (ST)
FIRST_SERIES = 9001  # above the numbers that scanners give
_UNKNOWN_SEQUENCE = {"ScanningSequence": ["RM"], "SequenceVariant": ["NONE"]}  # research mode; the attributes must have a value
_GEOMETRY = {"PixelSpacing": 2, "ImageOrientationPatient": 6, "ImagePositionPatient": 3}  # and how many numbers each has
_PAINTED = ("SCARPAINTED", "Synthetic scar painted into the image")
_NOT_PAINTED = ("NOTPAINTED", "Copied unchanged beside painted images")
_SEXES = ("M", "F", "O")
_NO_DELIMITERS = str.maketrans("^=", "  ")  # in names of persons they part the components


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Under which patient and study an instance is filed.

    Attributes:
        shown_as: pseudonym, or the name of the host where the names are kept.
        kept: whether patient and study stay as they are.
        key: a text that belongs to the hosts; the identifiers of studies follow from it.
    """

    shown_as: str
    kept: bool
    key: str

    def uid(self, original: str, what: str) -> str:
        """An identifier of the source as this identity shows it: as it is, or replaced by the same one everywhere.

        One that breaks the rules, as in some real files, is always replaced.
        """
        return original if self.kept and is_uid(original) else uid_of(what, self.key, original or self.shown_as)


@dataclass(frozen=True, kw_only=True)
class DicomSample:
    """One slice with everything that its DICOM instance holds: a sample of its own, or a slice of a painted stack.

    Attributes:
        id: of the sample in its run; for a slice of a stack, of the stack.
        key: a text that decides every byte of the instance; its own identifier follows from it.
        sentence: the prescription as a sentence; empty for a slice that was not painted.
        generator, scar_from: fingerprint of what painted; fingerprint of what read the scar, None where the scar is the prescribed one.
        masks_drawn_by: fingerprint of the network that drew cavity and wall of the host; None where people did.
        comments: licence and credit of the host.
        numbers: pixels of the image, (rows, cols) as stored by the host.
        labels: on the same grid.
        plane: where the slice lies.
        thickness_mm: distance to the next slice; 0 if unknown.
        position: of the sample in the export, from 0.
        source: header of the host's file; None where the host is NIfTI.
        keep_private: whether the private attributes of the source come along.
        stack_key: a text that decides what the instances of a stack have in common; empty for a slice that stands alone.
        number: of the slice in its stack, from 1.
        painted: whether anything may differ from the host.
    """

    id: str
    key: str
    sentence: str
    generator: str
    scar_from: str | None
    masks_drawn_by: str | None
    comments: str
    numbers: StoredNumbers
    labels: Labels
    plane: SlicePlane
    thickness_mm: float
    position: int
    identity: Identity
    source: SourceHeader | None = field(default=None, repr=False)
    keep_private: bool = False
    stack_key: str = ""
    number: int = 1
    painted: bool = True

    @property
    def series_key(self) -> str:
        """A text from which the identifiers of the series and of the segmentation follow."""
        return self.stack_key or self.key

    @property
    def description(self) -> str:
        """What was done to the host, at most 1024 characters."""
        text = f"SYNTHETIC: a prescribed scar was painted by lgesynthnet {__version__}; not for diagnosis. {self.sentence}"
        if not self.painted:
            text = f"Not painted: the host's own image, in a SYNTHETIC series made by lgesynthnet {__version__}; not for diagnosis."
        if self.numbers.largest_error:
            text += f" Stored numbers were rounded, largest error {self.numbers.largest_error:.3g}."
        return text[:LONGEST_DESCRIPTION]


def mr_image(sample: DicomSample) -> Any:
    """A pydicom data set of an MR Image Storage instance.

    Stored numbers, geometry, scale and window are the host's. Of a DICOM host only listed attributes are taken over (see `KEPT`), and
    those that name the patient only where the identity is kept. The same sample gives the same data set. A slice of a stack that was not
    painted has SyntheticData NO and a description that says so; all else is as in the painted slices of its series.

    Raises:
        InputError: pydicom is not installed.
    """
    pydicom, _ = load_dicom(sample.plane.path)
    with quiet():
        return _mr_image(pydicom, sample)


def _mr_image(pydicom: Any, sample: DicomSample) -> Any:
    image = pydicom.Dataset()
    image.file_meta = pydicom.dataset.FileMetaDataset()
    image.SpecificCharacterSet = UTF8
    image.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    image.SOPClassUID, image.SOPInstanceUID = MR_IMAGE, uid_of("image", sample.key)
    image.SyntheticData = "YES" if sample.painted else "NO"
    _add_patient_and_study(image, sample)
    image.Modality, image.SeriesInstanceUID = "MR", uid_of("series", sample.series_key)
    image.SeriesNumber, image.InstanceNumber = FIRST_SERIES + 2 * sample.position, sample.number
    image.SeriesDescription = f"SYNTHETIC scar {sample.id}"[:64]
    _add_acquisition(image, sample)
    _add_derivation(image, sample)
    _add_pixels(image, sample)
    if sample.keep_private and sample.source is not None:
        for element in sample.source.private:
            if _can_be_written(element):
                image.add(element)
    return image


def encoded(dataset: Any) -> bytes:
    """The bytes of a DICOM file, uncompressed in Explicit VR Little Endian; equal data sets give equal bytes."""
    meta = dataset.file_meta
    meta.TransferSyntaxUID = EXPLICIT_LITTLE_ENDIAN
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.ImplementationClassUID, meta.ImplementationVersionName = uid_of("lgesynthnet"), IMPLEMENTATION_NAME
    stream = io.BytesIO()
    with quiet():
        dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def load_dicom(path: Path) -> tuple[Any, Any]:
    """The modules pydicom and highdicom, which are installed with the extra `dicom`.

    Raises:
        InputError: one of them is not installed; the message names the file that needs it.
    """
    try:
        import highdicom
        import pydicom
    except ImportError:
        raise InputError(f'{path}: exporting it as DICOM needs pydicom and highdicom; run: pip install "lgesynthnet[dicom]"') from None
    return pydicom, highdicom


def coded(value: str, scheme: str, meaning: str) -> Any:
    """An item of a sequence of codes."""
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _set(image: Any, keyword: str, value: Any) -> None:
    """Set an attribute that another program wrote; where its value breaks the rules for it, leave it as it was."""
    from pydicom import DataElement
    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.valuerep import DA, TM

    tag = tag_for_keyword(keyword) or 0
    vr = dictionary_VR(tag)
    with suppress(Exception):  # pydicom raises errors of every kind
        if vr in ("DA", "TM"):
            {"DA": DA, "TM": TM}[vr](value)
        element = DataElement(tag, vr, value)
        if _can_be_written(element) and (keyword != "PatientSex" or value in _SEXES):
            image.add(element)


def _can_be_written(element: Any) -> bool:
    from pydicom import Dataset

    lone = Dataset()
    lone.SpecificCharacterSet = UTF8
    try:
        lone.add(element)
        lone.save_as(io.BytesIO(), implicit_vr=False, little_endian=True)
    except Exception:  # pydicom raises errors of every kind
        return False
    return True


def _add_patient_and_study(image: Any, sample: DicomSample) -> None:
    identity, source = sample.identity, sample.source
    for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"):
        setattr(image, keyword, "")
    # A family name alone ends in ^, or it would be taken for the old form of a name.
    image.PatientName, image.PatientID = f"{identity.shown_as[:63].translate(_NO_DELIMITERS)}^", identity.shown_as[:64]
    image.PositionReferenceIndicator = ""
    if identity.kept and source is not None:
        for keyword, text in source.identity.items():
            _set(image, keyword, text)
    image.StudyInstanceUID = identity.uid(source.study_uid if source else "", "study")
    image.FrameOfReferenceUID = identity.uid(source.frame_of_reference_uid if source else "", "frame of reference")
    if not identity.kept:
        image.PatientIdentityRemoved = "YES"
        image.DeidentificationMethod = f"lgesynthnet {__version__}: only listed attributes kept"
        image.DeidentificationMethodCodeSequence = [coded("113100", "DCM", "Basic Application Confidentiality Profile")]
        image.LongitudinalTemporalInformationModified = "REMOVED"


def _add_acquisition(image: Any, sample: DicomSample) -> None:
    kept = {} if sample.source is None else sample.source.kept
    for keyword in ("Manufacturer", "ScanOptions", "MRAcquisitionType", "EchoTime", "EchoTrainLength", "RepetitionTime", "PatientPosition"):
        setattr(image, keyword, "")
    image.BodyPartExamined = "HEART"
    if sample.source is None:
        image.MRAcquisitionType, image.Manufacturer = "2D", MAKER
    for keyword, values in (_UNKNOWN_SEQUENCE | kept).items():
        _set(image, keyword, values[0] if len(values) == 1 else values)
    if not all(len(kept.get(keyword, ())) == count for keyword, count in _GEOMETRY.items()):
        plane = sample.plane
        image.PixelSpacing = list(map(decimal_string, plane.spacing_mm))
        image.ImageOrientationPatient = list(map(decimal_string, (*plane.along_row, *plane.along_column)))
        image.ImagePositionPatient = list(map(decimal_string, plane.origin_mm))
    sequence = image.ScanningSequence if "ScanningSequence" in image else []
    if "InversionTime" in image and "IR" not in ([sequence] if isinstance(sequence, str) else sequence):
        del image.InversionTime  # the standard allows it for inversion recovery alone
    if "SliceThickness" not in image:
        image.SliceThickness = decimal_string(sample.thickness_mm) if sample.thickness_mm > 0 else ""


def _add_derivation(image: Any, sample: DicomSample) -> None:
    from pydicom import Dataset

    image.DerivationDescription = sample.description
    done = _PAINTED if sample.painted else _NOT_PAINTED
    image.DerivationCodeSequence = [coded(done[0], OWN_CODES, done[1])]
    image.ImageComments = sample.comments
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [coded("109102", "DCM", "Processing Equipment")]
    equipment.Manufacturer, equipment.ManufacturerModelName, equipment.SoftwareVersions = MAKER, "lgesynthnet", __version__
    equipment.ContributionDescription = f"painted by {sample.generator}"[:LONGEST_DESCRIPTION] if sample.painted else "copied unchanged"
    image.ContributingEquipmentSequence = [equipment]
    source = sample.source
    if source is None:
        return
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.sop_class_uid if is_uid(source.sop_class_uid) else MR_IMAGE
    reference.ReferencedSOPInstanceUID = sample.identity.uid(source.sop_instance_uid, "instance")
    if source.frame is not None:
        reference.ReferencedFrameNumber = source.frame + 1
    reference.PurposeOfReferenceCodeSequence = [coded("121322", "DCM", "Source image for image processing operation")]
    reference.SpatialLocationsPreserved = "YES"
    image.SourceImageSequence = [reference]


def _add_pixels(image: Any, sample: DicomSample) -> None:
    numbers = sample.numbers
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = numbers.pixels.shape
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, numbers.bits, numbers.bits - 1
    image.PixelRepresentation = int(numbers.signed)
    stated = "RescaleSlope" in image and "RescaleIntercept" in image  # by the source, with more digits than NIfTI keeps
    if not stated and (numbers.slope, numbers.intercept) != (1.0, 0.0):
        image.RescaleSlope, image.RescaleIntercept = decimal_string(numbers.slope), decimal_string(numbers.intercept)
        image.RescaleType = "US"  # unspecified
    centres, widths = (image[name].VM if name in image else 0 for name in ("WindowCenter", "WindowWidth"))
    if centres != widths or not centres:
        image.WindowCenter, image.WindowWidth = map(decimal_string, numbers.window)
    image.PixelData = np.ascontiguousarray(numbers.pixels, dtype="<i2" if numbers.signed else "<u2").tobytes()
    image["PixelData"].VR = "OW"
