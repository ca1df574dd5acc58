"""A run of painted stacks, exported as DICOM: one series of every slice of the host, and one segmentation over them."""

from __future__ import annotations

import csv
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pytest
from factories import run_command, write_hosts

from lgesynthnet.data.nifti import read_volume
from lgesynthnet.records import Label
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.stack_row import StackRow

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")
dicom_files = pytest.importorskip("dicom_files")

SLICES = 5
TIMES = [f"1015{k:02d}" for k in range(SLICES)]
SECRETS = ("Mueller", "Hans", "PID-4711", "19570203", "Klinikum", "Doktor", "1.2.276.0.4711", "1.2.3.9", "20200101", "klinik_secret")
WORDS = ("--dataset", "lgesynthnet", "--model", "paste", "--prior", "ischaemic", "--keep-all", "--stacks")
TOO_YOUNG = "(0x0008,0x001c)"  # SyntheticData, which the validator does not know


class Exported(NamedTuple):
    """One stack: its row, its images in the order of their files, its segmentation, and the row of the table of cases."""

    row: StackRow
    images: list
    segmentation: object
    case: dict[str, str]


def single_files(who, **elements) -> list:
    """Datasets of the slices, each in a series of its own, with 12 bits and one slope; some say other things of the equipment."""
    named = {"PatientName": "Mueller^Hans", "PatientID": "PID-4711", "PatientBirthDate": "19570203", "InstitutionName": "Klinikum"}
    named |= {"ReferringPhysicianName": "Doktor^Wer", "StudyInstanceUID": "1.2.276.0.4711.1", "StudyDescription": "Mueller, Hans"}
    series = {"SeriesInstanceUID": [f"1.2.276.0.4711.7.{k}" for k in range(SLICES)], "SeriesNumber": list(range(7, 7 + SLICES))}
    equipment = {"Manufacturer": ["A", "A", "B", "A", "A"], "PatientPosition": ["HFS", "HFS", "FFS", "HFS", "HFS"]}
    scaling = {"BitsStored": 12, "HighBit": 11, "RescaleSlope": ["1.1"] * SLICES, "RescaleIntercept": ["-3"] * SLICES}
    return dicom_files.series(who, **named, **series, **equipment, **scaling, ContentTime=TIMES, **elements)


def one_file(who):
    """An enhanced file of all slices with one slope."""
    dataset = dicom_files.enhanced(who)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        values = frame.PixelValueTransformationSequence[0]
        values.RescaleSlope, values.RescaleIntercept = 2.5, -1
    dataset.PatientID, dataset.StudyInstanceUID = "Mueller-2", "1.2.276.0.4711.1.2"
    return dataset


def write_label(who, folder: Path) -> None:
    affine = np.eye(4)
    axes = np.stack([who.along_row * 1.25, who.along_column * 1.5, who.origins[1] - who.origins[0]], axis=1)
    affine[:3, :3], affine[:3, 3] = np.diag([-1, -1, 1]) @ axes, np.diag([-1, -1, 1]) @ who.origins[0]
    nib.save(nib.Nifti1Image(who.labels.transpose(1, 0, 2), affine), folder / "label.nii.gz")


def painted(hosts: Path, out: Path, count: int) -> RunFolder:
    done = run_command("synthesize", "--hosts", hosts, *WORDS, "--count", count, "--out", out)
    assert done.returncode == 0, done.stderr
    return RunFolder.open(out)


def export(run: RunFolder, out: Path, *words: object) -> Path:
    done = run_command("export", "dicom", run.path, out, *words)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def nifti_run(tmp_path_factory) -> RunFolder:
    """Stacks painted into hosts of int16, float32 and uint8."""
    root = tmp_path_factory.mktemp("nifti")
    return painted(write_hosts(root / "hosts", 3, rv=True), root / "run", 6)


@pytest.fixture(scope="module")
def dicom_hosts(tmp_path_factory) -> Path:
    """A patient in single files and one in an enhanced file; both name the patient."""
    root = tmp_path_factory.mktemp("dicom") / "klinik_secret"
    dicom_files.save(single_files(dicom_files.patient(0)), root / "Mueller_Hans" / "lge", "", "")
    dicom_files.save([one_file(dicom_files.patient(1))], root / "Mueller_Bob")
    for seed, name in enumerate(("Mueller_Hans", "Mueller_Bob")):
        write_label(dicom_files.patient(seed), root / name)
    return root


@pytest.fixture(scope="module")
def dicom_run(dicom_hosts, tmp_path_factory) -> RunFolder:
    return painted(dicom_hosts, tmp_path_factory.mktemp("painted") / "run", 6)


@pytest.fixture(scope="module")
def exports(nifti_run, dicom_run, tmp_path_factory) -> dict[str, tuple[RunFolder, Path]]:
    out = tmp_path_factory.mktemp("exported")
    runs = {"nifti": nifti_run, "dicom": dicom_run}
    return {name: (run, export(run, out / name)) for name, run in runs.items()}


def stacks_of(run: RunFolder, folder: Path) -> Iterator[Exported]:
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as lines:
        for case in csv.DictReader(lines):
            row = next(row for row in run.stacks if row.id == case["sample"])
            images = [pydicom.dcmread(path) for path in sorted(folder.glob(case["image_file"]))]
            yield Exported(row, images, highdicom.seg.segread(folder / case["label_file"]), case)


def volume(run: RunFolder, row: StackRow, part: str = "images") -> np.ndarray:
    """(slices, rows, cols) as the run stores them."""
    return read_volume(run.part(row, part)).stored.transpose(2, 1, 0)


def segments(stack: Exported) -> dict[str, np.ndarray]:
    """Name -> mask of (slices, rows, cols), found by the images that the frames refer to."""
    read, uids = stack.segmentation, [image.SOPInstanceUID for image in stack.images]
    return {
        read.get_segment_description(number).segment_label: read.get_pixels_by_source_instance(
            uids, segment_numbers=[number], ignore_spatial_locations=True
        )[..., 0].astype(bool)
        for number in read.segment_numbers
    }


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def errors_of(path: Path) -> list[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line in ("MRImage", "Segmentation", "MRImageStorage") for line in lines), lines  # or it read nothing
    return [line for line in lines if line.startswith("Error") and TOO_YOUNG not in line]


both = pytest.mark.parametrize("kind", ["nifti", "dicom"])


@both
def test_a_stack_is_a_folder_of_all_slices_and_one_segmentation(exports, kind):
    run, out = exports[kind]
    stacks = list(stacks_of(run, out))
    assert [stack.row.id for stack in stacks] == [row.id for row in run.stacks]
    for stack in stacks:
        slices = len(volume(run, stack.row))
        folder = out / Path(stack.case["label_file"]).parent
        assert sorted(path.name for path in folder.iterdir()) == [*(f"image_{k + 1:03d}.dcm" for k in range(slices)), "seg.dcm"]
        assert folder == out / stack.case["patient"] / stack.row.id
        assert [image.InstanceNumber for image in stack.images] == list(range(1, slices + 1))
        done = [row.slice_index for row in run.rows if row.stack == stack.row.id]
        assert (stack.case["slices"], stack.case["painted_slices"]) == (str(slices), " ".join(map(str, done)))
        assert (stack.case["slice"], stack.case["sentence"], stack.case["twin"]) == ("", stack.row.sentence, "")
    assert any(len(stack.case["painted_slices"].split()) < len(stack.images) for stack in stacks)  # or nothing below is tried on the others


@both
def test_every_pixel_is_that_of_the_run(exports, kind):
    run, out = exports[kind]
    scaled = 0
    for stack in stacks_of(run, out):
        stored = volume(run, stack.row)
        pixels = np.stack([image.pixel_array for image in stack.images])
        if stored.dtype.kind != "f":
            np.testing.assert_array_equal(pixels, stored)
            continue
        scaled += 1
        [(slope, start)] = {(float(image.RescaleSlope), float(image.RescaleIntercept)) for image in stack.images}
        error = np.abs(pixels * slope + start - stored).max()
        assert error <= np.ptp(stored) / 65535 * 0.51
        for image in stack.images:
            assert float(image.DerivationDescription.split("largest error ")[1].rstrip(".")) == pytest.approx(error, rel=0.01)
    assert scaled == (2 if kind == "nifti" else 0)


@both
def test_all_slices_of_a_stack_have_one_grey_scale(exports, kind):
    run, out = exports[kind]
    for stack in stacks_of(run, out):
        [(centre, width)] = {(float(image.WindowCenter), float(image.WindowWidth)) for image in stack.images}
        slope, start = float(stack.images[0].get("RescaleSlope", 1)), float(stack.images[0].get("RescaleIntercept", 0))
        shown = np.stack([image.pixel_array for image in stack.images]) * slope + start
        np.testing.assert_allclose((centre - width / 2, centre + width / 2), np.percentile(shown, (1, 99.5)), atol=0.01)


def test_each_image_lies_where_the_slice_of_its_nifti_host_lies(exports):
    run, out = exports["nifti"]
    for stack in stacks_of(run, out):
        host = nib.load(run.host_files[stack.row.host].image_path)
        for k, image in enumerate(stack.images):
            along_row, along_column = np.array(image.ImageOrientationPatient[:3]), np.array(image.ImageOrientationPatient[3:])
            down, across = image.PixelSpacing
            pixel = np.array(image.ImagePositionPatient) + 5 * across * along_row + 7 * down * along_column
            np.testing.assert_allclose(pixel * (-1, -1, 1), (host.affine @ (5, 7, k, 1))[:3], atol=1e-3)


def test_each_image_is_derived_from_the_instance_or_frame_of_its_host(exports, dicom_hosts):
    run, out = exports["dicom"]
    seen = set()
    for stack in stacks_of(run, out):
        is_single = stack.row.host == "Mueller_Hans"
        who, hidden = dicom_files.patient(0 if is_single else 1), volume(run, stack.row, "hidden") > 0
        sources = [image.SourceImageSequence[0].ReferencedSOPInstanceUID for image in stack.images]
        assert len(set(sources)) == (SLICES if is_single else 1)
        for index, image in enumerate(stack.images):
            k = SLICES - 1 - index  # a stack of DICOM files is sorted along its normal, which points to the base
            np.testing.assert_array_equal(image.pixel_array[~hidden[index]], who.image[:, :, k][~hidden[index]])
            np.testing.assert_allclose(image.ImagePositionPatient, who.origins[k], atol=1e-6)
            np.testing.assert_allclose(image.ImageOrientationPatient, [*who.along_row, *who.along_column], atol=1e-7)
            assert (list(image.PixelSpacing), image.SliceThickness) == ([1.5, 1.25], 8)
            assert (image.BitsStored, image.RescaleSlope) == ((12, 1.1) if is_single else (16, 2.5))
            reference = image.SourceImageSequence[0]
            assert is_single or reference.ReferencedFrameNumber == k + 1
        seen.add(stack.row.host)
    assert len(seen) == 2


@both
def test_a_slice_that_was_not_painted_says_so_and_belongs_to_the_same_series(exports, kind):
    run, out = exports[kind]
    untouched = 0
    for stack in stacks_of(run, out):
        rows = {row.slice_index: row for row in run.rows if row.stack == stack.row.id}
        host = read_volume(run.host_files[stack.row.host].image_path).stored.transpose(2, 1, 0) if kind == "nifti" else None
        for k, image in enumerate(stack.images):
            assert image.SyntheticData == ("YES" if k in rows else "NO")
            assert image.DerivationCodeSequence[0].CodeValue == ("SCARPAINTED" if k in rows else "NOTPAINTED")
            assert list(image.ImageType) == ["DERIVED", "SECONDARY", "OTHER"]  # programs that divide a series by it show one stack
            assert "SYNTHETIC" in image.DerivationDescription
            assert "not for diagnosis" in image.DerivationDescription
            assert "SYNTHETIC" in image.ImageComments
            if k in rows:
                assert rows[k].sentence in image.DerivationDescription
            elif host is not None and host.dtype.kind != "f":
                np.testing.assert_array_equal(image.pixel_array, host[k])
                untouched += 1
        assert stack.segmentation.SyntheticData == "YES"
        assert stack.row.sentence in stack.segmentation.SegmentSequence[1].SegmentDescription
    assert untouched or kind == "dicom"


@both
def test_the_segmentation_holds_the_intended_scar_in_frames_that_refer_to_the_right_images(exports, kind):
    run, out = exports[kind]
    for stack in stacks_of(run, out):
        labels, intended = volume(run, stack.row, "labels"), volume(run, stack.row, "intended")
        masks = segments(stack)
        np.testing.assert_array_equal(masks["scar"], (intended == Label.SCAR) | (intended == Label.NO_REFLOW))
        np.testing.assert_array_equal(masks.get("no-reflow", np.zeros_like(labels, bool)), intended == Label.NO_REFLOW)
        np.testing.assert_array_equal(masks["myocardium"], np.isin(labels, (Label.WALL, Label.SCAR, Label.NO_REFLOW)))
        np.testing.assert_array_equal(masks["cavity of the left ventricle"], labels == Label.CAVITY)
        places = {image.SOPInstanceUID: image for image in stack.images}
        frames = stack.segmentation.PerFrameFunctionalGroupsSequence
        assert len(frames) == len(stack.images) * len(masks)
        for frame in frames:
            image = places[frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
            assert list(frame.PlanePositionSequence[0].ImagePositionPatient) == list(image.ImagePositionPatient)
        shared = stack.segmentation.SharedFunctionalGroupsSequence[0]
        assert list(shared.PlaneOrientationSequence[0].ImageOrientationPatient) == list(stack.images[0].ImageOrientationPatient)


@both
def test_a_stack_is_one_series_in_one_frame_of_reference_and_a_patient_one_study(exports, kind):
    run, out = exports[kind]
    series, patients, instances = [], set(), []
    for stack in stacks_of(run, out):
        of_series = ("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "FrameOfReferenceUID", "StudyInstanceUID", "PatientID")
        [told] = {tuple(image[keyword].value for keyword in of_series) for image in stack.images}
        assert len({(image.Manufacturer, image.PatientPosition) for image in stack.images}) == 1
        segmentation = stack.segmentation
        for keyword in ("FrameOfReferenceUID", "StudyInstanceUID", "PatientID"):
            assert segmentation[keyword].value == stack.images[0][keyword].value
        assert segmentation.SeriesInstanceUID != told[0]
        assert segmentation.SeriesNumber == told[1] + 1
        series.append(told[:2])
        patients.add((stack.row.host, *told[3:]))
        instances += [each.SOPInstanceUID for each in (*stack.images, segmentation)]
    assert len({uid for uid, _ in series}) == len({number for _, number in series}) == len(series) == 6
    assert len(patients) == len({row.host for row in run.stacks})
    assert len(set(instances)) == len(instances)
    assert all(pydicom.uid.UID(uid).is_valid for uid in instances)


@both
def test_the_same_run_gives_the_same_bytes_at_another_time(exports, kind, tmp_path):
    run, out = exports[kind]
    time.sleep(1.1)  # the clock of a DICOM time shows seconds
    export(run, tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(out)


@both
def test_a_missing_slice_is_found_and_written_again(exports, kind, tmp_path):
    run, out = exports[kind]
    copy = shutil.copytree(out, tmp_path / "out")
    assert run_command("verify", copy).returncode == 0
    next(copy.rglob("image_002.dcm")).unlink()
    assert "image_002.dcm" in run_command("verify", copy).stdout
    export(run, copy)
    assert files_of(copy) == files_of(out)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
@both
def test_the_validator_finds_no_error(exports, kind):
    _, out = exports[kind]
    files = sorted(out.rglob("*.dcm"))
    assert {path: errors for path in files if (errors := errors_of(path))} == {}


@pytest.mark.skipif(shutil.which("dcentvfy") is None, reason="dcentvfy (Debian package dicom3tools) is not installed")
@pytest.mark.parametrize("words", [(), ("--keep-identity",)])
def test_the_instances_agree_in_what_they_say_of_patient_study_and_series(dicom_run, tmp_path, words):
    out = export(dicom_run, tmp_path / "out", *words)
    done = subprocess.run(["dcentvfy", *map(str, out.rglob("*.dcm"))], capture_output=True, text=True, timeout=60)
    assert (done.stdout + done.stderr).strip() == ""


@pytest.mark.parametrize("secret", SECRETS)
def test_no_byte_of_the_export_names_the_patient(exports, dicom_hosts, secret):
    _, out = exports["dicom"]
    for path in (path for path in out.rglob("*") if path.is_file()):
        assert secret.encode() not in path.read_bytes(), path
        assert secret not in str(path.relative_to(out))
    everywhere = b"".join(path.read_bytes() for path in dicom_hosts.rglob("*") if path.is_file()) + str(dicom_hosts).encode()
    assert secret.encode() in everywhere


def test_with_the_identity_the_series_is_filed_with_its_host(dicom_run, tmp_path):
    out = export(dicom_run, tmp_path / "out", "--keep-identity")
    for stack in stacks_of(dicom_run, out):
        assert stack.case["patient"] == stack.row.host
        if stack.row.host == "Mueller_Hans":
            for each in (*stack.images, stack.segmentation):
                told = (str(each.PatientName), each.StudyInstanceUID, each.FrameOfReferenceUID, each.StudyDate)
                assert told == ("Mueller^Hans", "1.2.276.0.4711.1", "1.2.3.9", "20200101")
                assert not each.SeriesInstanceUID.startswith("1.2.276.0.4711.7")
            assert [image.ContentTime for image in stack.images] == TIMES[::-1]  # a time of the image, not of the series


def test_the_label_of_the_filter_is_taken_in_painted_slices_alone(dicom_run, tmp_path):
    moved = RunFolder.open(shutil.copytree(dicom_run.path, tmp_path / "run"))
    row = next(row for row in moved.stacks if row.slices < SLICES)
    untouched = min(set(range(SLICES)) - {each.slice_index for each in moved.rows if each.stack == row.id})
    label = nib.load(moved.part(row, "labels"))
    labels = np.asarray(label.dataobj).copy()
    old = (labels[:, :, untouched] == Label.WALL) & (np.arange(64) < 32)
    labels[:, :, untouched][old] = Label.SCAR  # as in a patient with scar, of whom one slice could not be painted into
    nib.save(nib.Nifti1Image(labels, label.affine, label.header), moved.part(row, "labels"))
    out = export(moved, tmp_path / "out", "--label", "read")
    stack = next(stack for stack in stacks_of(moved, out) if stack.row.id == row.id)
    expected = volume(moved, row, "read") > 0
    expected[untouched] = old.T
    np.testing.assert_array_equal(segments(stack)["scar"], expected)
    scar = next(item for item in stack.segmentation.SegmentSequence if item.SegmentLabel == "scar")
    assert "In the slices that were not painted, the scar is that of the host's label" in scar.SegmentDescription


@pytest.mark.parametrize("words", [(), ("--keep-identity",)])
def test_a_stack_in_two_frames_of_reference_gets_one_of_its_own_since_a_series_has_one(tmp_path, words):
    parted = single_files(dicom_files.patient(0), FrameOfReferenceUID=["1.2.3.9"] * 3 + ["1.2.3.10"] * 2)
    dicom_files.save(parted, tmp_path / "hosts" / "Ada")
    write_label(dicom_files.patient(0), tmp_path / "hosts" / "Ada")
    run = painted(tmp_path / "hosts", tmp_path / "run", 2)
    done = run_command("export", "dicom", run.path, tmp_path / "out", *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("name several frames of reference, and a DICOM series has one") == 1
    stacks = list(stacks_of(run, tmp_path / "out"))
    [frame] = {each.FrameOfReferenceUID for stack in stacks for each in (*stack.images, stack.segmentation)}
    assert frame.startswith("2.25.")
    for stack in stacks:
        np.testing.assert_array_equal(segments(stack)["scar"], volume(run, stack.row, "intended") > 0)


def test_directions_that_are_rounded_otherwise_stay_in_the_images_and_the_segmentation_takes_the_first(tmp_path):
    who = dicom_files.patient(0)
    stated = [[f"{x:.{8 if k else 6}f}" for x in (*who.along_row, *who.along_column)] for k in range(SLICES)]
    datasets = single_files(who)
    for dataset, directions in zip(datasets, stated, strict=True):
        dataset.ImageOrientationPatient = directions
    dicom_files.save(datasets, tmp_path / "hosts" / "Ada")
    write_label(who, tmp_path / "hosts" / "Ada")
    run = painted(tmp_path / "hosts", tmp_path / "run", 1)
    [stack] = stacks_of(run, export(run, tmp_path / "out"))
    assert [[str(x) for x in image.ImageOrientationPatient] for image in stack.images] == [
        [pydicom.valuerep.DSfloat(x).original_string for x in directions] for directions in stated[::-1]
    ]
    shared = stack.segmentation.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    assert list(shared.ImageOrientationPatient) == list(stack.images[0].ImageOrientationPatient)
    np.testing.assert_array_equal(segments(stack)["scar"], volume(run, stack.row, "intended") > 0)


def test_where_the_affine_says_nothing_slices_lie_apart_as_pixdim_says(tmp_path):
    hosts = write_hosts(tmp_path / "hosts", 1, rv=True)
    [path] = hosts.glob("Case_*/Images/*.nii.gz")
    for file in (path, path.parent.parent / "Contours" / path.name):
        volume_ = nib.load(file)
        empty = nib.Nifti1Image(np.asarray(volume_.dataobj), np.eye(4))  # as in EMIDEC
        empty.header.set_zooms((1.5, 1.5, 10.0))
        nib.save(empty, file)
        assert nib.load(file).header.get_zooms() == (1.5, 1.5, 10.0)
    run = painted(hosts, tmp_path / "run", 1)
    done = run_command("export", "dicom", run.path, tmp_path / "out")
    assert "do not say how they lie in the patient" in done.stderr
    [stack] = stacks_of(run, tmp_path / "out")
    places = np.array([image.ImagePositionPatient for image in stack.images])
    np.testing.assert_allclose(np.linalg.norm(np.diff(places, axis=0), axis=1), 10, atol=1e-6)


def test_other_hosts_are_refused(nifti_run, dicom_run, dicom_hosts, tmp_path):
    moved = shutil.copytree(dicom_hosts, tmp_path / "moved")
    export(dicom_run, tmp_path / "same", "--hosts", moved)
    untouched = sorted((moved / "Mueller_Hans" / "lge").iterdir())[0]
    content = bytearray(untouched.read_bytes())
    content[-64 * 64 * 2 : -64 * 64 * 2 + 64] = bytes(64)
    untouched.write_bytes(content)
    refused = run_command("export", "dicom", dicom_run.path, tmp_path / "out", "--hosts", moved)
    assert refused.returncode == 2
    assert "is not the host that" in refused.stderr
    longer = tmp_path / "longer"
    shutil.copytree(nifti_run.plan.request.hosts.root, longer)
    for path in longer.glob("Case_*/*/*.nii.gz"):
        image = nib.load(path)
        more = np.concatenate([np.asarray(image.dataobj), np.asarray(image.dataobj)[:, :, -1:]], axis=2)
        nib.save(nib.Nifti1Image(more, image.affine), path)
    refused = run_command("export", "dicom", nifti_run.path, tmp_path / "out", "--hosts", longer)
    assert refused.returncode == 2
    assert "has 4 slices, but" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_rejected_stacks_come_with_all(nifti_run, exports, tmp_path):
    moved = RunFolder.open(shutil.copytree(nifti_run.path, tmp_path / "run"))
    table = moved.path / "stacks.csv"
    lines = table.read_text().replace(",1,kept,", ",0,missed,", 1)
    assert lines != table.read_text()
    table.write_text(lines)
    assert len(list(stacks_of(moved, export(moved, tmp_path / "kept")))) == 5
    assert len(list(stacks_of(moved, export(moved, tmp_path / "all", "--all")))) == 6


@pytest.mark.real
def test_a_real_stack_whose_slices_name_ten_frames_of_reference_is_one_series(real_data, tmp_path):
    for part in ("dicom", "contours"):
        shutil.copytree(real_data / "sunnybrook" / "SC-HF-I-4" / part, tmp_path / "hosts" / "A" / part)
    options = ("--model", "paste", "--prior", "ischaemic", "--least-orientation-confidence", 0, "--stacks", "--keep-all")
    done = run_command("synthesize", "--hosts", tmp_path / "hosts", *options, "-n", 1, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    run = RunFolder.open(tmp_path / "run")
    for words in ((), ("--keep-identity",)):
        out = export(run, tmp_path / f"out{len(words)}", "--all", *words)
        [stack] = stacks_of(run, out)
        assert len(stack.images) == 10
        assert len({image.FrameOfReferenceUID for image in stack.images}) == len({image.SeriesInstanceUID for image in stack.images}) == 1
        np.testing.assert_array_equal(np.stack([image.pixel_array for image in stack.images]), volume(run, stack.row))
        if shutil.which("dciodvfy"):
            assert [errors for path in out.rglob("*.dcm") if (errors := errors_of(path))] == []
