"""DICOM exports: the validator and other readers accept them, stored numbers and geometry are the host's, and no identity is left."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import run_command, write_hosts

from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.dicom.exporting import export_dicom, sample_for_dicom
from lgesynthnet.export.dicom.image import Identity, encoded, mr_image
from lgesynthnet.export.dicom.numbers import decimal_string
from lgesynthnet.export.dicom.segmentation import segmentation
from lgesynthnet.export.dicom.source import read_source
from lgesynthnet.export.gather import case_of_row
from lgesynthnet.export.request import DicomRequest
from lgesynthnet.records import Label, Place
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.run.sample_files import HIDDEN
from lgesynthnet.synthesis.synthesize import synthesize_run
from lgesynthnet.terms import LabelKind, Prior

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")

TOO_OLD = "Error - Attribute with an even group number is not a recognized standard attribute - (0x0008,0x001c)  ? "
SECRETS = ("Mueller", "Hans", "PID-4711", "19570203", "Klinikum Geheim", "Doktor", "Befund", "STATION7", "SN-998877", "20230405")
STUDY, SERIES, INSTANCE, FRAME_OF_REFERENCE = (f"1.2.276.0.7230010.3.1.{number}.987654" for number in (2, 3, 4, 5))
needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    """Twenty samples in hosts of int16, float32 and uint8."""
    root = tmp_path_factory.mktemp("dicom")
    write_hosts(root / "hosts", 4, rv=True)
    request = SynthesisRequest(hosts=CohortSource(root=root / "hosts"), model="paste", prior=Prior.ISCHAEMIC, count=20, keep_all=True)
    synthesize_run(request, root / "run")
    return RunFolder.open(root / "run")


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "out"
    assert export_dicom(DicomRequest(run=run.path), out).cases == 20
    return out


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pixels_of(path: Path) -> np.ndarray:
    return read_volume(path).stored[:, :, 0].T


def errors_of(path: Path) -> list[str]:
    """What the validator calls an error. Its release of 2022 does not know Synthetic Data (0008,001C), which is younger."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line in ("MRImage", "Segmentation", "MRImageStorage") for line in lines), lines  # or it read nothing
    return [line for line in lines if line.startswith("Error") and line != TOO_OLD]


def row_of(run: RunFolder, dtype: type, *, painted_into: str | None = None):
    """A sample whose host is stored in this data type."""
    return next(row for row in run.rows if row.file and read_volume(run.image(row)).stored.dtype == dtype)


def host_of(run: RunFolder, row) -> np.ndarray:
    """The slice of the host, (rows, cols) as stored."""
    return read_volume(run.host_files[row.host].image_path).stored[:, :, row.slice_index].T


def source_dataset(run: RunFolder, row, *, frames: int = 1, bits: int = 12):
    """A DICOM data set with the pixels of a sample's host, as a scanner would have written it, with every kind of identity in it."""
    from pydicom.dataset import Dataset, FileMetaDataset

    volume = read_volume(run.image(row))
    host = host_of(run, row)
    source = Dataset()
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    source.SpecificCharacterSet = "ISO_IR 100"
    source.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4" if frames == 1 else "1.2.840.10008.5.1.4.1.1.4.1"
    source.SOPInstanceUID, source.StudyInstanceUID, source.SeriesInstanceUID = INSTANCE, STUDY, SERIES
    source.FrameOfReferenceUID, source.Modality, source.Manufacturer = FRAME_OF_REFERENCE, "MR", "SIEMENS"
    source.PatientName, source.PatientID, source.PatientBirthDate, source.PatientSex = "Mueller^Hans", "PID-4711", "19570203", "M"
    source.StudyDate = source.SeriesDate = source.AcquisitionDate = source.ContentDate = "20230405"
    source.StudyTime, source.ContentTime, source.AccessionNumber, source.StudyID = "101500", "101501", "Befund 77", "Befund"
    source.InstitutionName, source.InstitutionAddress, source.StationName = "Klinikum Geheim", "Klinikum Geheim 1", "STATION7"
    source.ReferringPhysicianName, source.OperatorsName, source.DeviceSerialNumber = "Doktor^Wer", "Doktor^Wer", "SN-998877"
    source.StudyDescription, source.ProtocolName, source.SeriesDescription = "Befund Mueller", "Mueller PSIR", "psir Mueller"
    source.PatientComments, source.ImageComments, source.BodyPartExamined = "Hans", "Mueller", "Mueller"
    source.MagneticFieldStrength, source.PatientPosition = "1.5", "HFS"
    item = Dataset()
    item.RequestedProcedureDescription, item.PatientName = "Befund", "Mueller^Hans"
    source.RequestAttributesSequence = [item]
    private = source.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    private.add_new(0x10, "LO", "Mueller^Hans")
    step = volume.affine[:3, :2] / np.linalg.norm(volume.affine[:3, :2], axis=0) * [[-1], [-1], [1]]
    geometry = {
        "PixelSpacing": [decimal_string(volume.pixel_mm[1]), decimal_string(volume.pixel_mm[0])],
        "ImageOrientationPatient": [decimal_string(float(x)) for x in step.T.ravel()],
        "ImagePositionPatient": [decimal_string(float(x)) for x in volume.affine[:3, 3] * (-1, -1, 1)],
    }
    if frames == 1:
        for keyword, value in geometry.items():
            setattr(source, keyword, value)
        source.ScanningSequence, source.SequenceVariant, source.ScanOptions, source.MRAcquisitionType = ["GR", "IR"], "SK", "", "2D"
        source.EchoTime, source.RepetitionTime, source.InversionTime, source.FlipAngle = "1.56", "700", "290", "20"
        source.EchoTrainLength, source.SliceThickness, source.SpacingBetweenSlices = "1", "8", "10"
        source.WindowCenter, source.WindowWidth, source.RescaleSlope, source.RescaleIntercept = "100", "200", "1", "0"
    else:
        source.NumberOfFrames, source.EchoPulseSequence = frames, "GRADIENT"
        source.PerFrameFunctionalGroupsSequence = [frame_groups(geometry, index) for index in range(frames)]
    source.SamplesPerPixel, source.PhotometricInterpretation = 1, "MONOCHROME2"
    source.Rows, source.Columns = host.shape
    source.BitsAllocated, source.BitsStored, source.HighBit, source.PixelRepresentation = 16, bits, bits - 1, 0
    source.PixelData = np.stack([host.astype("<u2")] * frames).tobytes()
    return source


def frame_groups(geometry: dict, index: int):
    """What an enhanced file says of one frame; only the last one has the right place."""
    from pydicom.dataset import Dataset

    def sequence(**values):
        item = Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        return [item]

    group = Dataset()
    place = [str(float(x) + 0.5 * (2 - index)) for x in geometry["ImagePositionPatient"]]
    group.PixelMeasuresSequence = sequence(PixelSpacing=geometry["PixelSpacing"], SliceThickness="8")
    group.PlaneOrientationSequence = sequence(ImageOrientationPatient=geometry["ImageOrientationPatient"])
    group.PlanePositionSequence = sequence(ImagePositionPatient=place)
    group.FrameVOILUTSequence = sequence(WindowCenter="120", WindowWidth="240")
    group.MRTimingAndRelatedParametersSequence = sequence(RepetitionTime="700", FlipAngle="20", EchoTrainLength=1)
    group.MREchoSequence = sequence(EffectiveEchoTime=1.56)
    group.MRModifierSequence = sequence(InversionRecovery="YES", InversionTimes=[290.0])
    return group


def save(dataset, path: Path) -> Path:
    stream = io.BytesIO()
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    dataset.save_as(stream, enforce_file_format=True)
    path.write_bytes(stream.getvalue())
    return path


def instances(run: RunFolder, row, place: Place, *, keep: bool = False, private: bool = False):
    """Image and segmentation of a sample whose host lies at this place, as bytes and as they are read back."""
    case = case_of_row(run, row, LabelKind.INTENDED, {row.host: "patient-001"})
    identity = Identity(shown_as="patient-001", kept=keep, key="hosts:1")
    sample = sample_for_dicom(case, row, run.part(row, HIDDEN), place, identity, key=row.id, comments="SYNTHETIC")
    image = mr_image(replace(sample, keep_private=private))
    content = encoded(image), encoded(segmentation(sample, image))
    return content, [pydicom.dcmread(io.BytesIO(each)) for each in content]


@needs_dciodvfy
def test_the_validator_finds_no_error_in_twenty_images_and_segmentations(exported):
    files = sorted(exported.rglob("*.dcm"))
    assert len(files) == 40
    assert {path: errors for path in files if (errors := errors_of(path))} == {}


@needs_dciodvfy
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("frames", [1, 3])
def test_the_validator_finds_no_error_in_what_is_derived_from_dicom(run, tmp_path, keep, frames):
    row = row_of(run, np.int16)
    path = save(source_dataset(run, row, frames=frames), tmp_path / "source.dcm")
    content, _ = instances(run, row, Place(path=path, index=frames - 1), keep=keep)
    for name, each in zip(("image.dcm", "seg.dcm"), content, strict=True):
        (tmp_path / name).write_bytes(each)
        assert errors_of(tmp_path / name) == []


def test_masks_come_back_as_they_were_and_images_lie_where_their_hosts_lie(run, exported):
    seen = set()
    for row in rows(exported):
        sample = next(each for each in run.rows if each.id == row["sample"])
        labels = pixels_of(run.part(sample, "labels"))
        image = pydicom.dcmread(exported / row["image_file"])
        read = highdicom.seg.segread(exported / row["label_file"])
        masks = {
            read.get_segment_description(number).segment_label: read.get_pixels_by_source_instance(
                [image.SOPInstanceUID], segment_numbers=[number], ignore_spatial_locations=True
            )[0, :, :, 0].astype(bool)
            for number in read.segment_numbers
        }
        np.testing.assert_array_equal(masks["scar"], (labels == Label.SCAR) | (labels == Label.NO_REFLOW))
        np.testing.assert_array_equal(masks["myocardium"], np.isin(labels, (2, 3, 4)))
        np.testing.assert_array_equal(masks["cavity of the left ventricle"], labels == Label.CAVITY)
        assert ("no-reflow" in masks) is bool((labels == Label.NO_REFLOW).any())
        seen |= masks.keys()
        stack = nib.load(run.host_files[sample.host].image_path)
        position = stack.affine @ (5, 7, sample.slice_index, 1)
        along_row, along_column = np.array(image.ImageOrientationPatient[:3]), np.array(image.ImageOrientationPatient[3:])
        down, across = image.PixelSpacing
        pixel = np.array(image.ImagePositionPatient) + 5 * across * along_row + 7 * down * along_column
        np.testing.assert_allclose(pixel * (-1, -1, 1), position[:3], atol=1e-3)
    assert "no-reflow" in seen


def test_whole_numbers_stay_as_they_are_and_others_are_scaled_within_the_error_that_is_stated(run, exported):
    kinds = set()
    for row in rows(exported):
        sample = next(each for each in run.rows if each.id == row["sample"])
        stored = pixels_of(run.image(sample))
        image = pydicom.dcmread(exported / row["image_file"])
        kinds.add(stored.dtype.kind)
        if stored.dtype.kind == "f":
            shown = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
            error = np.abs(shown - stored).max()
            assert error <= np.ptp(stored) / 65535 * 0.51
            stated = float(image.DerivationDescription.split("largest error ")[1].rstrip("."))
            assert stated == pytest.approx(error, rel=0.01)
        else:
            np.testing.assert_array_equal(image.pixel_array, stored)
            assert "RescaleSlope" not in image
            assert "rounded" not in image.DerivationDescription
        assert sample.sentence in image.DerivationDescription
    assert kinds == {"i", "u", "f"}


def test_every_instance_says_that_it_is_synthetic_and_whose_terms_apply(run, exported):
    for path in exported.rglob("image.dcm"):
        image = pydicom.dcmread(path)
        assert image.SyntheticData == "YES"
        assert list(image.ImageType)[:2] == ["DERIVED", "SECONDARY"]
        assert "SourceImageSequence" not in image
        assert image.PatientID.startswith("patient-")
        assert image.PatientIdentityRemoved == "YES"
        assert "Licence of the host" in image.ImageComments
        assert image.ContributingEquipmentSequence[0].ManufacturerModelName == "lgesynthnet"
    assert "stay under the licence of the hosts" in (exported / "README.txt").read_text()


def test_a_patient_is_one_study_and_each_instance_has_an_identifier_of_its_own(exported):
    images = {path: pydicom.dcmread(path) for path in exported.rglob("*.dcm")}
    assert len({image.SOPInstanceUID for image in images.values()}) == len({image.SeriesInstanceUID for image in images.values()}) == 40
    for path, image in images.items():
        assert pydicom.uid.UID(image.SOPInstanceUID).is_valid
        assert image.PatientID == path.parts[-3]
    patients = {(image.PatientID, image.StudyInstanceUID, image.FrameOfReferenceUID) for image in images.values()}
    assert len(patients) == len({patient for patient, _, _ in patients}) == len({study for _, study, _ in patients}) == 4


def test_the_same_run_gives_the_same_bytes_at_another_time(run, exported, tmp_path):
    time.sleep(1.1)  # the clock of a DICOM time shows seconds
    export_dicom(DicomRequest(run=run.path), tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(exported)
    [note] = [note for note in export_dicom(DicomRequest(run=run.path), tmp_path / "again").notes if "nothing was written" in note]
    assert note


def test_missing_files_are_written_again_and_verify_compares_them(run, exported, tmp_path):
    out = shutil.copytree(exported, tmp_path / "out")
    assert run_command("verify", out).returncode == 0
    lost = next(iter(out.rglob("seg.dcm")))
    lost.unlink()
    report = run_command("verify", out)
    assert report.returncode == 2
    assert "seg.dcm" in report.stdout
    assert run_command("export", "dicom", run.path, out).returncode == 0
    assert files_of(out) == files_of(exported)


def test_an_instance_that_is_derived_keeps_numbers_geometry_and_window_of_its_source(run, tmp_path):
    row = row_of(run, np.int16)
    source = source_dataset(run, row)
    path = save(source, tmp_path / "source.dcm")
    _, (image, seg) = instances(run, row, Place(path=path, index=0))
    outside = pixels_of(run.part(row, HIDDEN)) == 0
    np.testing.assert_array_equal(image.pixel_array[outside], source.pixel_array[outside])
    assert (image.pixel_array != source.pixel_array).any()
    same = ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness", "SpacingBetweenSlices", "WindowCenter")
    for keyword in (
        *same,
        "WindowWidth",
        "BitsStored",
        "PixelRepresentation",
        "EchoTime",
        "InversionTime",
        "ScanningSequence",
        "Manufacturer",
    ):
        assert image[keyword].value == source[keyword].value, keyword
    assert image.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    [reference] = image.SourceImageSequence
    assert reference.ReferencedSOPClassUID == source.SOPClassUID
    assert reference.ReferencedSOPInstanceUID not in (INSTANCE, image.SOPInstanceUID)
    assert seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID == (
        image.SOPInstanceUID
    )
    assert seg.FrameOfReferenceUID == image.FrameOfReferenceUID


def test_a_frame_of_an_enhanced_file_becomes_an_image_of_one_frame(run, tmp_path):
    row = row_of(run, np.int16)
    source = source_dataset(run, row, frames=3)
    path = save(source, tmp_path / "source.dcm")
    _, (image, _) = instances(run, row, Place(path=path, index=2))
    assert image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.4"
    assert "NumberOfFrames" not in image
    assert "PerFrameFunctionalGroupsSequence" not in image
    place = source.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0].ImagePositionPatient
    assert list(image.ImagePositionPatient) == list(place)
    assert (image.EchoTime, image.InversionTime, image.RepetitionTime, image.FlipAngle) == (1.56, 290, 700, 20)
    assert (image.WindowCenter, image.WindowWidth) == (120, 240)
    assert list(image.ScanningSequence) == ["GR", "IR"]
    assert image.SourceImageSequence[0].ReferencedFrameNumber == 3
    with pytest.raises(InputError, match="has 3 frames, but frame 3"):
        instances(run, row, Place(path=path, index=3))


@pytest.mark.parametrize("frames", [1, 3])
def test_no_identity_of_the_source_is_left(run, tmp_path, frames):
    row = row_of(run, np.int16)
    path = save(source_dataset(run, row, frames=frames), tmp_path / "source.dcm")
    content, read = instances(run, row, Place(path=path, index=frames - 1))
    original = path.read_bytes()
    for secret in (*SECRETS, STUDY, SERIES, INSTANCE, FRAME_OF_REFERENCE, "101500"):
        assert secret.encode() in original
        for each in content:
            assert secret.encode() not in each, secret
    for dataset in read:
        assert not [element for element in dataset.iterall() if element.tag.is_private]
        assert (dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate) == ("patient-001^", "patient-001", "")


def test_the_identity_is_kept_on_request_and_files_the_sample_into_the_study(run, tmp_path):
    row = row_of(run, np.int16)
    source = source_dataset(run, row)
    path = save(source, tmp_path / "source.dcm")
    _, read = instances(run, row, Place(path=path, index=0), keep=True)
    for dataset in read:
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "FrameOfReferenceUID", "StudyDate"):
            assert dataset[keyword].value == source[keyword].value, keyword
        assert dataset.SeriesInstanceUID != SERIES
        assert "PatientIdentityRemoved" not in dataset
        assert not [element for element in dataset.iterall() if element.tag.is_private]
    assert read[0].SourceImageSequence[0].ReferencedSOPInstanceUID == INSTANCE
    _, (image, _) = instances(run, row, Place(path=path, index=0), keep=True, private=True)
    assert image.private_block(0x0029, "SIEMENS CSA HEADER")[0x10].value == "Mueller^Hans"


def test_names_in_other_alphabets_are_kept_as_they_are(run, tmp_path):
    row = row_of(run, np.int16)
    source = source_dataset(run, row)
    source.SpecificCharacterSet, source.PatientName = "ISO_IR 100", "Müller^Jürgen"
    path = save(source, tmp_path / "source.dcm")
    _, read = instances(run, row, Place(path=path, index=0), keep=True)
    assert {str(dataset.PatientName) for dataset in read} == {"Müller^Jürgen"}


def test_a_host_with_other_pixels_is_refused(run, tmp_path):
    row = row_of(run, np.int16)
    path = save(source_dataset(run, row, bits=6), tmp_path / "source.dcm")  # 180 does not fit 6 bits
    with pytest.raises(RunError, match=r"source\.dcm: stores other numbers"):
        instances(run, row, Place(path=path, index=0))


def test_values_that_break_the_rules_are_left_out_and_damaged_files_refused(run, tmp_path):
    row = row_of(run, np.int16)
    content = save(source_dataset(run, row), tmp_path / "source.dcm").read_bytes()
    broken = tmp_path / "broken.dcm"
    for old, new in (
        (b"700 ", b"7x0 "),
        (b"1.56", b"nan "),
        (b"GR\\IR ", b"gr\\ir "),
        (b"19570203", b"1957-2-3"),
        (b"20230405", b"yyyymmdd"),
    ):
        assert old in content
        broken.write_bytes(content.replace(old, new))
        for keep in (False, True):
            _, (image, _) = instances(run, row, Place(path=broken, index=0), keep=keep)
            assert new.strip() not in encoded(image)
    rng = np.random.default_rng(0)
    for length in (140, 200, 400, 900):
        broken.write_bytes(content[:length])
        with pytest.raises((InputError, RunError), match=r"broken\.dcm: "):
            instances(run, row, Place(path=broken, index=0))
    for _ in range(60):
        noisy = bytearray(content)
        for place in rng.integers(132, 2200, 6):
            noisy[place] = rng.integers(256)
        broken.write_bytes(noisy)
        with suppress(InputError, RunError):
            instances(run, row, Place(path=broken, index=0))


@pytest.mark.parametrize("missing", ["pydicom", "highdicom"])
def test_without_the_extra_the_error_says_what_to_install(run, tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    refused = run_command("export", "dicom", run.path, tmp_path / "out")
    assert refused.returncode == 2
    assert 'run: pip install "lgesynthnet[dicom]"' in refused.stderr


def test_nothing_that_a_source_holds_is_printed(run, tmp_path):
    row = row_of(run, np.int16)
    source = source_dataset(run, row)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source.PatientName, source.StudyID = "Mueller=" * 20, "Mueller" * 10
        path = save(source, tmp_path / "source.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for keep in (False, True):
            instances(run, row, Place(path=path, index=0), keep=keep)


def test_on_the_command_line(run, tmp_path):
    done = run_command("export", "dicom", run.path, tmp_path / "out", "--keep-identity", "--label", "read")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"exported: 20 cases to {tmp_path / 'out'}\n"
    assert "--keep-identity" in done.stderr
    assert "Warning" not in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {row.host for row in run.rows}
    for inside in (run.path / "out", run.plan.request.hosts.root / "out"):
        refused = run_command("export", "dicom", run.path, inside)
        assert refused.returncode == 2
        assert "which is only read" in refused.stderr
        assert not inside.exists()
    refused = run_command("export", "dicom", run.path, tmp_path / "out")
    assert "names was kept and is now pseudonyms" in refused.stderr


def test_hosts_that_have_moved_are_named(run, tmp_path):
    moved = shutil.copytree(run.path, tmp_path / "run")
    plan = (moved / "plan.json").read_text()
    (moved / "plan.json").write_text(plan.replace(str(run.plan.request.hosts.root), str(tmp_path / "gone")))
    refused = run_command("export", "dicom", moved, tmp_path / "out")
    assert "--hosts" in refused.stderr
    assert run_command("export", "dicom", moved, tmp_path / "out", "--hosts", run.plan.request.hosts.root).returncode == 0


def test_the_header_of_a_source_is_read_without_its_pixels(run, tmp_path):
    row = row_of(run, np.int16)
    header = read_source(save(source_dataset(run, row), tmp_path / "source.dcm"), 0)
    assert (header.bits, header.signed, header.frame, header.study_uid) == (12, False, None, STUDY)
    assert header.kept["InversionTime"] == ["290"]
    assert "BodyPartExamined" not in header.kept  # a name in capitals and small letters is no code
