"""What a sample takes from the DICOM file of its host: listed attributes only, so that nothing unforeseen comes along."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path
from typing import Any

from lgesynthnet.data.dicom.files import quiet, read_header
from lgesynthnet.errors import InputError
from lgesynthnet.export.dicom.numbers import decimal_string

_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
_LIKE_A_UID = re.compile(r"[0-9.]{3,64}")  # real files have UIDs with leading zeros, which the standard forbids
_REMEDY = "copy or export it again"


class Kind(Enum):
    """How the value of an attribute is checked."""

    CODE = auto()  # a word in capitals, which can be no name in any usual spelling
    NUMBER = auto()
    TEXT = auto()


# No attribute of the basic profile of DICOM PS3.15, table E.1-1, is in this table.
KEPT = {
    **dict.fromkeys(
        ("BodyPartExamined", "PatientPosition", "ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "AngioFlag"),
        Kind.CODE,
    ),
    **dict.fromkeys(("InPlanePhaseEncodingDirection", "VariableFlipAngleFlag", "RescaleType", "BurnedInAnnotation"), Kind.CODE),
    **dict.fromkeys(("LossyImageCompression", "LossyImageCompressionMethod"), Kind.CODE),
    **dict.fromkeys(("Manufacturer", "ManufacturerModelName"), Kind.TEXT),
    **dict.fromkeys(("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness"), Kind.NUMBER),
    **dict.fromkeys(("SpacingBetweenSlices", "SliceLocation", "RescaleSlope", "RescaleIntercept"), Kind.NUMBER),
    **dict.fromkeys(("WindowCenter", "WindowWidth", "RepetitionTime", "EchoTime", "InversionTime", "TriggerTime"), Kind.NUMBER),
    **dict.fromkeys(("EchoTrainLength", "FlipAngle", "NumberOfAverages", "MagneticFieldStrength", "PixelBandwidth"), Kind.NUMBER),
    **dict.fromkeys(("ImagingFrequency", "EchoNumbers", "NumberOfPhaseEncodingSteps", "PercentSampling", "SAR"), Kind.NUMBER),
    **dict.fromkeys(("PercentPhaseFieldOfView", "ReconstructionDiameter", "LossyImageCompressionRatio"), Kind.NUMBER),
}
# Where an image of several frames states the same: sequence, attribute in it, and the attribute of an image of one frame.
_IN_GROUPS = (
    ("PixelMeasuresSequence", "PixelSpacing", "PixelSpacing"),
    ("PixelMeasuresSequence", "SliceThickness", "SliceThickness"),
    ("PixelMeasuresSequence", "SpacingBetweenSlices", "SpacingBetweenSlices"),
    ("PlaneOrientationSequence", "ImageOrientationPatient", "ImageOrientationPatient"),
    ("PlanePositionSequence", "ImagePositionPatient", "ImagePositionPatient"),
    ("FrameVOILUTSequence", "WindowCenter", "WindowCenter"),
    ("FrameVOILUTSequence", "WindowWidth", "WindowWidth"),
    ("PixelValueTransformationSequence", "RescaleSlope", "RescaleSlope"),
    ("PixelValueTransformationSequence", "RescaleIntercept", "RescaleIntercept"),
    ("PixelValueTransformationSequence", "RescaleType", "RescaleType"),
    ("MRTimingAndRelatedParametersSequence", "RepetitionTime", "RepetitionTime"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle", "FlipAngle"),
    ("MRTimingAndRelatedParametersSequence", "EchoTrainLength", "EchoTrainLength"),
    ("MREchoSequence", "EffectiveEchoTime", "EchoTime"),
    ("MRModifierSequence", "InversionTimes", "InversionTime"),
    ("MRAveragesSequence", "NumberOfAverages", "NumberOfAverages"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", "TriggerTime"),
)
_SINGLE = ("InversionTime", "TriggerTime", "EchoTime")
# What files an image under its patient and study; copied only where the user keeps the identity.
IDENTITY = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize", "PatientWeight"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription"),
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "InstitutionName"),
    *("AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime", "PatientIdentityRemoved", "DeidentificationMethod"),
)
# The images of one series agree in these of `KEPT`, and in all of `IDENTITY` but for the times of an image.
_OF_SERIES = ("BodyPartExamined", "PatientPosition", "Manufacturer", "ManufacturerModelName")
_OF_IMAGE = ("AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime")


@dataclass(frozen=True, kw_only=True)
class SourceHeader:
    """The header of a host's DICOM file, as far as a sample needs it.

    Attributes:
        frame: of the file, from 0; None where the file holds one image and no number of frames.
        sop_class_uid, sop_instance_uid, study_uid, frame_of_reference_uid: as the file states them; the last is empty where it has none.
        has_own_frame: whether the stack gets a frame of reference of its own, see `in_one_series`.
        bits, signed: how the numbers are stored.
        kept: keyword -> checked value, of the attributes in `KEPT`: words as a list of text, numbers as decimal strings.
        identity: keyword -> text, of the attributes in `IDENTITY`.
        private: private elements of pydicom.
    """

    path: Path
    frame: int | None
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    frame_of_reference_uid: str
    bits: int
    signed: bool
    kept: dict[str, list[str]]
    identity: dict[str, str] = field(repr=False)
    private: tuple[Any, ...] = field(default=(), repr=False)
    has_own_frame: bool = False


def read_source(path: Path, frame: int) -> SourceHeader:
    """Read the header that belongs to one image of a DICOM file.

    Args:
        frame: from 0.
    Raises:
        InputError: the file cannot be read, is damaged, lacks its identifiers or the frame, or does not store integers of at most 16 bits.
    """
    found = read_header(path, ())
    if found is None:
        raise InputError(f"{path}: is no DICOM file any more; give the hosts as they were with --hosts")
    with quiet():
        return _source_header(path, frame, found.dataset)


def in_one_series(sources: Sequence[SourceHeader]) -> list[SourceHeader]:
    """Headers of the slices of a stack as one series can hold them, though the scanner may have put each slice into a series of its own.

    What belongs to the series, the study or the patient is taken from the first slice. Slices that name several frames of reference, as
    programs that remove names often leave them, get one of their own: a series has one, and the planes have shown that they are one stack.
    """
    first = sources[0]
    frames = sorted({source.frame_of_reference_uid for source in sources})
    of_series = {keyword: values for keyword, values in first.kept.items() if keyword in _OF_SERIES}
    identity = {keyword: text for keyword, text in first.identity.items() if keyword not in _OF_IMAGE}
    return [
        replace(
            source,
            frame_of_reference_uid=" ".join(frames),  # several are no UID, so that another one takes their place
            has_own_frame=len(frames) > 1,
            kept={keyword: values for keyword, values in source.kept.items() if keyword not in _OF_SERIES} | of_series,
            identity={keyword: text for keyword, text in source.identity.items() if keyword in _OF_IMAGE} | identity,
        )
        for source in sources
    ]


def _source_header(path: Path, frame: int, dataset: Any) -> SourceHeader:
    count = _number(dataset, "NumberOfFrames")
    if not 0 <= frame < (count or 1):
        raise InputError(f"{path}: has {count or 1} frames, but frame {frame} was asked for; give the hosts as they were with --hosts")
    uids = {name: _text(dataset, name) for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")}
    for name, uid in uids.items():
        if not _LIKE_A_UID.fullmatch(uid) and (uid or name != "FrameOfReferenceUID"):
            raise InputError(f"{path}: its {name} is {uid[:70]!r}, which is no UID; {_REMEDY}")
    bits, sign = _number(dataset, "BitsStored"), _number(dataset, "PixelRepresentation")
    if bits is None or not 1 <= bits <= 16 or sign not in (0, 1):
        raise InputError(f"{path}: does not store integers of at most 16 bits, which DICOM export needs; {_REMEDY}")
    return SourceHeader(
        path=path,
        frame=frame if count is not None else None,
        sop_class_uid=uids["SOPClassUID"],
        sop_instance_uid=uids["SOPInstanceUID"],
        study_uid=uids["StudyInstanceUID"],
        frame_of_reference_uid=uids["FrameOfReferenceUID"],
        bits=bits,
        signed=sign == 1,
        kept=_kept(dataset, frame),
        identity={name: text for name in IDENTITY if (text := _text(dataset, name))},
        private=tuple(_private(dataset)),
    )


def _kept(dataset: Any, frame: int) -> dict[str, list[str]]:
    kept = {keyword: values for keyword, kind in KEPT.items() if (values := _checked(_value(dataset, keyword), kind))}
    groups = _items(dataset, "SharedFunctionalGroupsSequence")[:1]
    groups += _items(dataset, "PerFrameFunctionalGroupsSequence")[frame : frame + 1]
    for group in groups:
        for sequence, inner, keyword in _IN_GROUPS:
            for item in _items(group, sequence)[:1]:
                if values := _checked(_value(item, inner), KEPT[keyword]):
                    kept[keyword] = values[:1] if keyword in _SINGLE else values
    if groups and "ScanningSequence" not in kept:
        kept["ScanningSequence"] = _scanning_sequence(dataset, groups)
    return kept


def _scanning_sequence(dataset: Any, groups: list[Any]) -> list[str]:
    """What an image of one frame calls the pulse sequence; RM, research mode, where the file does not say."""
    echo = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}.get(_text(dataset, "EchoPulseSequence"), [])
    inverted = any(_text(item, "InversionRecovery") == "YES" for group in groups for item in _items(group, "MRModifierSequence"))
    return [*echo, *(["IR"] if inverted else [])] or ["RM"]


def _checked(value: Any, kind: Kind) -> list[str]:
    """The values as text; empty where one of them is of another kind."""
    values = [] if value is None else list(value) if not isinstance(value, str) and hasattr(value, "__iter__") else [value]
    words = [str(each).strip() for each in values]
    if kind is Kind.NUMBER:
        return _decimals(words)
    sound = _CODE.fullmatch if kind is Kind.CODE else lambda word: word and len(word) <= 64 and word.isprintable()
    return words if all(map(sound, words)) else []


def _decimals(words: list[str]) -> list[str]:
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return []
    if not all(map(math.isfinite, numbers)):
        return []
    return [word if len(word) <= 16 else decimal_string(number) for word, number in zip(words, numbers, strict=True)]


def _value(dataset: Any, keyword: str) -> Any:
    """The value of an attribute; None where it is missing or damaged."""
    try:
        return dataset[keyword].value if keyword in dataset else None
    except Exception:  # the value is converted only now
        return None


def _text(dataset: Any, keyword: str) -> str:
    value = _value(dataset, keyword)
    return "" if value is None else str(value).strip()


def _number(dataset: Any, keyword: str) -> int | None:
    try:
        return int(str(_value(dataset, keyword)))
    except ValueError:
        return None


def _items(dataset: Any, keyword: str) -> list[Any]:
    value = _value(dataset, keyword)
    return [] if value is None or isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") else list(value)


def _private(dataset: Any) -> list[Any]:
    found = []
    for tag in sorted(dataset.keys()):
        if tag.is_private:
            try:
                found.append(dataset[tag])
            except Exception:  # a damaged element is no loss that anybody would notice
                continue
    return found
