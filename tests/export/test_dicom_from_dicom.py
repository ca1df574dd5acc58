"""A run that painted into DICOM hosts, exported as DICOM: each sample is derived from the instance or frame of its host."""

from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import run_command

from lgesynthnet.run.folder import RunFolder

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")
dicom_files = pytest.importorskip("dicom_files")

SLOPES = [round(1.1 + k, 1) for k in range(5)]  # no float32, as NIfTI keeps them, is exactly these
SECRETS = ("Mueller", "Hans", "PID-4711", "19570203", "Klinikum", "Doktor", "1.2.276.0.4711.1", "1.2.3.9", "20200101", "klinik_secret")


@pytest.fixture(scope="module")
def hosts(tmp_path_factory) -> Path:
    """A patient in single files with 12 bits and a slope for each slice, and one in an enhanced file; both name the patient."""
    root = tmp_path_factory.mktemp("own") / "klinik_secret"
    one, two = dicom_files.patient(0), dicom_files.patient(1)
    named = {"PatientName": "Mueller^Hans", "PatientID": "PID-4711", "PatientBirthDate": "19570203", "InstitutionName": "Klinikum"}
    named |= {"ReferringPhysicianName": "Doktor^Wer", "StudyInstanceUID": "1.2.276.0.4711.1", "StudyDescription": "Mueller, Hans"}
    scaling = {"BitsStored": 12, "HighBit": 11, "RescaleSlope": SLOPES, "RescaleIntercept": ["-3"] * 5}
    dicom_files.save(dicom_files.series(one, **named, **scaling), root / "Mueller_Hans" / "lge", "", "")
    other = dicom_files.enhanced(two)
    other.PatientID, other.StudyInstanceUID = "Mueller-2", "1.2.276.0.4711.1.2"
    dicom_files.save([other], root / "Mueller_Bob")
    for who, name in ((one, "Mueller_Hans"), (two, "Mueller_Bob")):
        affine = np.eye(4)
        axes = np.stack([who.along_row * 1.25, who.along_column * 1.5, who.origins[1] - who.origins[0]], axis=1)
        affine[:3, :3], affine[:3, 3] = np.diag([-1, -1, 1]) @ axes, np.diag([-1, -1, 1]) @ who.origins[0]
        nib.save(nib.Nifti1Image(who.labels.transpose(1, 0, 2), affine), root / name / "label.nii.gz")
    return root


@pytest.fixture(scope="module")
def run(hosts, tmp_path_factory) -> RunFolder:
    out = tmp_path_factory.mktemp("painted") / "run"
    words = ["--dataset", "lgesynthnet", "--model", "paste", "--count", 8, "--prior", "ischaemic", "--keep-all"]
    done = run_command("synthesize", "--hosts", hosts, *words, "--out", out)
    assert done.returncode == 0, done.stderr
    return RunFolder.open(out)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "out"
    done = run_command("export", "dicom", run.path, out)
    assert done.returncode == 0, done.stderr
    return out


def samples(run: RunFolder, folder: Path):
    """Row of the run, number of the slice from the base, the image and the segmentation."""
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as lines:
        for case in csv.DictReader(lines):
            row = next(row for row in run.rows if row.id == case["sample"])
            yield row, 4 - row.slice_index, pydicom.dcmread(folder / case["image_file"]), highdicom.seg.segread(folder / case["label_file"])


def test_each_image_is_derived_from_the_slice_of_its_host(run, exported):
    seen = set()
    for row, k, image, seg in samples(run, exported):
        is_single = row.host == "Mueller_Hans"
        who = dicom_files.patient(0 if is_single else 1)
        hidden = nib.load(run.part(row, "hidden")).dataobj[:, :, 0].T > 0
        np.testing.assert_array_equal(image.pixel_array[~hidden], who.image[:, :, k][~hidden])
        assert (image.pixel_array != who.image[:, :, k]).any()
        assert (image.BitsStored, image.PixelRepresentation) == ((12, 1) if is_single else (16, 1))
        np.testing.assert_allclose(image.ImagePositionPatient, who.origins[k], atol=1e-6)
        np.testing.assert_allclose(image.ImageOrientationPatient, [*who.along_row, *who.along_column], atol=1e-7)
        assert list(image.PixelSpacing) == [1.5, 1.25]
        assert image.RescaleSlope == (SLOPES[k] if is_single else k + 1.5)
        assert image.RescaleIntercept == (-3 if is_single else -k)
        assert image.InversionTime == (300 if is_single else 310)
        [reference] = image.SourceImageSequence
        assert ("ReferencedFrameNumber" in reference) is not is_single
        assert is_single or reference.ReferencedFrameNumber == k + 1
        scar = nib.load(run.part(row, "labels")).dataobj[:, :, 0].T >= 3
        labels = {seg.get_segment_description(number).segment_label: number for number in seg.segment_numbers}
        read = seg.get_pixels_by_source_instance([image.SOPInstanceUID], segment_numbers=[labels["scar"]], ignore_spatial_locations=True)
        np.testing.assert_array_equal(read[0, :, :, 0] > 0, scar & (nib.load(run.part(row, "labels")).dataobj[:, :, 0].T != 5))
        seen.add(row.host)
    assert len(seen) == 2


@pytest.mark.parametrize("secret", SECRETS)
def test_no_byte_of_the_export_the_report_or_the_card_names_the_patient(run, hosts, exported, secret):
    files = [path for path in exported.rglob("*") if path.is_file()]
    assert len(files) > 16
    for path in (*files, run.report, run.data_card):
        assert secret.encode() not in path.read_bytes(), path
        assert secret not in str(path.relative_to(exported if path in files else run.path))
    everywhere = b"".join(path.read_bytes() for path in hosts.rglob("*") if path.is_file()) + str(hosts).encode()
    assert secret.encode() in everywhere


def test_samples_of_one_study_stay_in_one_study(run, exported):
    studies = {(image.PatientID, image.StudyInstanceUID, image.FrameOfReferenceUID) for _, _, image, _ in samples(run, exported)}
    assert len(studies) == 2
    assert {uid[:5] for _, *uids in studies for uid in uids} == {"2.25."}


def test_with_the_identity_a_sample_is_filed_with_its_host(run, tmp_path):
    done = run_command("export", "dicom", run.path, tmp_path / "out", "--keep-identity")
    assert done.returncode == 0, done.stderr
    for row, _, image, seg in samples(run, tmp_path / "out"):
        if row.host == "Mueller_Hans":
            assert {str(each.PatientName) for each in (image, seg)} == {"Mueller^Hans"}
            assert {each.StudyInstanceUID for each in (image, seg)} == {"1.2.276.0.4711.1"}
            assert {each.FrameOfReferenceUID for each in (image, seg)} == {"1.2.3.9"}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
def test_the_validator_finds_no_error(exported):
    for path in exported.rglob("*.dcm"):
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, timeout=60)
        lines = (done.stdout + done.stderr).splitlines()
        errors = [line for line in lines if line.startswith("Error") and "(0x0008,0x001c)" not in line]  # it does not know SyntheticData
        assert errors == [], path


def test_hosts_with_other_pixels_are_refused(run, hosts, tmp_path):
    moved = shutil.copytree(hosts, tmp_path / "moved")
    assert run_command("export", "dicom", run.path, tmp_path / "same", "--hosts", moved).returncode == 0
    for path in (moved / "Mueller_Hans" / "lge").iterdir():
        content = bytearray(path.read_bytes())
        content[-64 * 64 * 2 : -64 * 64 * 2 + 64] = bytes(64)
        path.write_bytes(content)
    refused = run_command("export", "dicom", run.path, tmp_path / "out", "--hosts", moved)
    assert refused.returncode == 2
    assert "is not the host that" in refused.stderr
    assert not (tmp_path / "out").exists()
    inside = run_command("export", "dicom", run.path, hosts / "out")
    assert "which is only read" in inside.stderr


@pytest.mark.real
@pytest.mark.parametrize("identity", [[], ["--keep-identity"]])
def test_real_cine_with_uids_that_break_the_rules_is_exported(real_data, tmp_path, identity):
    """Leading zeros in UIDs, and an inversion time in an image that has no inversion recovery."""
    patient = tmp_path / "hosts" / "A"
    for part in ("dicom", "contours"):
        shutil.copytree(real_data / "sunnybrook" / "SC-HF-I-4" / part, patient / part)
    words = ("--model", "paste", "--prior", "ischaemic", "-n", 2, "--least-orientation-confidence", 0)
    done = run_command("synthesize", "--hosts", tmp_path / "hosts", *words, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    done = run_command("export", "dicom", tmp_path / "run", tmp_path / "out", *identity)
    assert done.returncode == 0, done.stderr
    if shutil.which("dciodvfy"):
        test_the_validator_finds_no_error(tmp_path / "out")
    images = [pydicom.dcmread(path) for path in (tmp_path / "out").rglob("image.dcm")]
    assert len(images) == 2
    assert not any("InversionTime" in image for image in images)
