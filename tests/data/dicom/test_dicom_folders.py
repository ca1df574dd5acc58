"""Folders of patients in DICOM: who is in them, their labels, and files that are damaged or hostile."""

from __future__ import annotations

import copy
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_files import dataset, enhanced, patient, recoded, save, series, write_icontours

from lgesynthnet.data.cohort import Cohort, open_cohort
from lgesynthnet.data.dicom.reading import read_dicom_image
from lgesynthnet.data.dicom.scanning import DicomSource, scan
from lgesynthnet.data.dicom.stack import DicomOptions
from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.data.layouts.dicom import find_patients, safe_name
from lgesynthnet.errors import InputError
from lgesynthnet.records import Skipped, Stack, ViewSource

WHO = patient()
NAMES = [f"IM-0001-{k:04d}" for k in range(5)]


def write(folder: Path, seed: int = 0, contours: Path | None = None, **elements: object) -> Path:
    """A patient with Sunnybrook contours."""
    who = patient(seed)
    for path, name in zip(save(series(who, **elements), folder / "dicom"), NAMES, strict=True):
        path.rename(path.with_name(f"{name}.dcm"))
    write_icontours(who, contours or folder / "contours", NAMES)
    return folder


def stacks(cohort: Cohort) -> list[Stack]:
    read = list(cohort.stacks())
    assert not any(isinstance(each, Skipped) for each in read), read
    return [each for each in read if isinstance(each, Stack)]


def test_a_folder_of_patients_in_dicom(tmp_path):
    write(tmp_path / "Ada", 0)
    write(tmp_path / "Bob", 1, PatientID="P002")
    cohort = open_cohort(tmp_path)
    assert [case.patient for case in cohort.cases] == ["Ada", "Bob"]
    for stack, seed in zip(stacks(cohort), (0, 1), strict=True):
        who = patient(seed)
        assert stack.view.source is ViewSource.AFFINE
        assert stack.base_first_by_affine is False
        assert stack.spacing_mm == (1.5, 1.25)
        assert stack.slice_step_mm == pytest.approx(10, abs=1e-4)
        # The simulated arrays are in the radiological view, base first.
        np.testing.assert_array_equal(stack.image, who.image[:, :, ::-1])
        heart = np.where(who.labels <= 2, who.labels, 0)[:, :, ::-1]
        assert (stack.labels != heart).mean() < 0.02
        for place, k in zip(stack.places, range(4, -1, -1), strict=True):
            assert (place.path.name, place.index) == (f"{NAMES[k]}.dcm", 0)


def test_the_view_and_the_base_follow_from_the_planes_however_the_arrays_are_stored(tmp_path):
    who = patient()
    plain = save(series(who), tmp_path / "plain" / "X")
    mirrored = [
        dataset(
            who.image[:, ::-1, k].T.copy(),
            who.origins[k] + who.along_row * 1.25 * 63,
            who.along_column,
            -who.along_row,
            PixelSpacing=[1.25, 1.5],
            InstanceNumber=k,
        )
        for k in range(5)
    ]
    save(mirrored, tmp_path / "turned" / "X")
    for name in ("plain", "turned"):
        nifti_label(tmp_path / name / "X" / "label.nii.gz", who)
    a, b = (stacks(open_cohort(tmp_path / name, label_map=LABEL_MAPS["lgesynthnet"]))[0] for name in ("plain", "turned"))
    order = slice(None) if a.base_first_by_affine == b.base_first_by_affine else slice(None, None, -1)
    np.testing.assert_array_equal(a.image, b.image[:, :, order])
    np.testing.assert_array_equal(a.labels, b.labels[:, :, order])
    np.testing.assert_array_equal(a.labels, who.labels[:, :, ::-1])
    assert a.spacing_mm == b.spacing_mm == (1.5, 1.25)
    assert len(plain) == 5


def nifti_label(path: Path, who) -> Path:
    """The labels as a converter writes them: rows upside down, slices in the order of the array."""
    affine = np.eye(4)
    axes = np.stack([who.along_row * 1.25, who.along_column * 1.5, who.origins[1] - who.origins[0]], axis=1)
    affine[:3, :3], affine[:3, 3] = np.diag([-1, -1, 1]) @ axes, np.diag([-1, -1, 1]) @ who.origins[0]
    affine[:3, 3] += affine[:3, 1] * 63
    affine[:3, 1] *= -1
    nib.save(nib.Nifti1Image(who.labels.transpose(1, 0, 2)[:, ::-1].copy(), affine), path)
    return path


def test_a_nifti_label_is_matched_by_where_it_lies(tmp_path):
    who = patient()
    save(series(who), tmp_path / "X" / "dicom")
    nifti_label(tmp_path / "X" / "X_seg.nii.gz", who)
    with pytest.raises(InputError, match="the meaning of its label ids is not known; add --dataset"):
        open_cohort(tmp_path)
    [stack] = stacks(open_cohort(tmp_path, label_map=LABEL_MAPS["lgesynthnet"]))
    np.testing.assert_array_equal(stack.labels, who.labels[:, :, ::-1])
    label = nib.load(tmp_path / "X" / "X_seg.nii.gz")
    larger = np.pad(np.asarray(label.dataobj), ((4, 4), (4, 4), (0, 0)))
    for pixels, lies in ((4, True), (3.5, False)):  # half a pixel off is another grid
        affine = label.affine.copy()
        affine[:3, 3] -= affine[:3, :2] @ (pixels, pixels)
        nib.save(nib.Nifti1Image(larger, affine), tmp_path / "X" / "X_seg.nii.gz")
        if lies:
            [stack] = stacks(open_cohort(tmp_path, label_map=LABEL_MAPS["lgesynthnet"]))
            np.testing.assert_array_equal(stack.labels, who.labels[:, :, ::-1])
    moved_away = open_cohort(tmp_path, label_map=LABEL_MAPS["lgesynthnet"])
    with pytest.raises(InputError, match="lies on another grid than the slices of s1"):
        moved_away.read(moved_away.cases[0])


def test_several_patients_in_one_folder_are_told_apart_by_patient_id(tmp_path):
    for name, seed in (("A/1", 0), ("B 2", 1)):
        save(series(patient(seed), PatientID=name, StudyInstanceUID=f"1.2.{seed + 3}"), tmp_path, name[0])
        write_icontours(patient(seed), tmp_path / safe_name(name), [f"{name[0]}-{k:04d}" for k in range(5)])
    for path in tmp_path.glob("*.dcm"):
        path.rename(path.with_name(f"{path.stem[0]}-{int(path.stem[1:]):04d}.dcm"))
    cohort = open_cohort(tmp_path)
    assert [case.patient for case in cohort.cases] == ["A_1", "B 2"]
    for stack, seed in zip(stacks(cohort), (0, 1), strict=True):
        np.testing.assert_array_equal(stack.image, patient(seed).image[:, :, ::-1])
        assert (stack.labels == 1).any()


def test_series_in_folders_of_their_own_are_one_patient(tmp_path):
    for name in ("cine", "lge"):
        save(series(WHO, SeriesDescription=name, SeriesInstanceUID=f"1.2.3.{name == 'lge':d}"), tmp_path / name)
    patients, skipped = find_patients(tmp_path)
    assert list(patients) == ["P001"]
    assert not skipped


def test_folders_with_a_label_each_are_patients_even_where_all_identifiers_were_removed(tmp_path):
    for name in ("A", "B"):
        save(series(WHO, PatientID="anonymous"), tmp_path / name)
        nifti_label(tmp_path / name / "label.nii.gz", WHO)
    assert list(find_patients(tmp_path)[0]) == ["A", "B"]


def test_a_patients_own_folder_can_be_given_with_its_contours_beside_the_series(tmp_path):
    [stack] = stacks(open_cohort(write(tmp_path / "Ada")))
    assert stack.patient == "P001"
    assert (stack.labels == 1).any()


def test_a_patients_own_folder_with_files_of_two_is_refused(tmp_path):
    save(series(WHO), tmp_path / "X")
    save(series(patient(1), PatientID="other", StudyInstanceUID="1.9"), tmp_path / "X", "b")
    save(series(WHO), tmp_path / "Y")
    [message] = [each.reason for each in open_cohort(tmp_path).stacks() if isinstance(each, Skipped) and each.name == "X"]
    assert "holds files of 2 patients (PatientID 'P001', 'other')" in message


def test_contours_of_a_folder_that_the_user_names(tmp_path):
    write(tmp_path / "data" / "X", contours=tmp_path / "drawn" / "X")
    write(tmp_path / "data" / "Y", 1, contours=tmp_path / "drawn" / "Y", PatientID="P002")
    assert all(isinstance(each, Skipped) and "holds no labels" in each.reason for each in open_cohort(tmp_path / "data").stacks())
    assert len(stacks(open_cohort(tmp_path / "data", dicom=DicomOptions(contours=tmp_path / "drawn")))) == 2


def test_contours_that_name_no_image_are_never_those_of_another_patient(tmp_path):
    """Two patients have slices of one number; only the first was drawn so far."""
    write(tmp_path / "data" / "X", contours=tmp_path / "drawn" / "X")
    write(tmp_path / "data" / "Y", 1, contours=tmp_path / "elsewhere", PatientID="P002")
    x, y = open_cohort(tmp_path / "data", dicom=DicomOptions(contours=tmp_path / "drawn")).stacks()
    assert isinstance(x, Stack)
    assert isinstance(y, Skipped)
    assert "drawn: holds no contours for Y; put them into the sub-folder Y" in y.reason
    (tmp_path / "elsewhere").rename(tmp_path / "drawn" / "Y")
    assert len(stacks(open_cohort(tmp_path / "data", dicom=DicomOptions(contours=tmp_path / "drawn")))) == 2
    [only] = stacks(open_cohort(tmp_path / "data" / "Y", dicom=DicomOptions(contours=tmp_path / "drawn" / "Y")))
    assert (only.labels == 1).any()


def test_a_single_file_is_refused_and_its_folder_named(tmp_path):
    [path, *_] = save(series(WHO), tmp_path / "X")
    with pytest.raises(InputError, match=r"im000\.dcm: is a single DICOM file; give the folder that holds the series, .*X$"):
        open_cohort(path)


def test_without_the_extra_the_message_says_what_to_install(tmp_path, monkeypatch):
    save(series(WHO), tmp_path / "X")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InputError, match=r'im000\.dcm: is DICOM.*run: pip install "lgesynthnet\[dicom\]"$'):
        open_cohort(tmp_path)


def test_nifti_is_read_where_the_extra_is_missing(tmp_path, pair):
    pair(tmp_path / "a_image.nii.gz", tmp_path / "a_label.nii.gz")
    code = (
        "import sys; sys.modules |= dict.fromkeys(('pydicom', 'gdcm', 'highdicom', 'torch'));"
        "from lgesynthnet.data.cohort import open_cohort; from pathlib import Path;"
        "print(len(next(open_cohort(Path(sys.argv[1]), dataset='emidec').stacks())))"
    )
    out = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert (out.stdout.strip(), out.stderr) == ("3", "")


def hostile(folder: Path) -> dict[str, str]:
    """Files that cannot be used, and what is said about each."""
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    [whole, *_] = save(series(WHO), folder / "tmp")
    content = whole.read_bytes()
    said: dict[str, str] = {}

    def add(name: str, bytes_: bytes, why: str) -> None:
        (folder / name).write_bytes(bytes_)
        said[name] = why

    add("cut_in_header.dcm", content[:700], "ends before its pixels|is damaged")
    add("cut_in_pixels.dcm", content[:-5000], "ends before the 8192 bytes")
    add("empty_header.dcm", b"\0" * 128 + b"DICM", "ends before its pixels|is damaged")
    add("text.dcm", b"I am no DICOM file", "")
    ds = dataset(WHO.image[:, :, 0], WHO.origins[0], WHO.along_row, WHO.along_column)
    for name, elements, why in (
        ("huge.dcm", {"Rows": 60000, "Columns": 60000}, "states 60000 x 60000 pixels, usable are 32 to 2048"),
        ("wrong_size.dcm", {"Rows": 640}, "holds 8192 of the 81920 bytes"),
        ("many_frames.dcm", {"NumberOfFrames": 2_000_000}, "states 2000000 frames"),
        ("colour.dcm", {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "is not a grey image"),
        ("inverted.dcm", {"PhotometricInterpretation": "MONOCHROME1"}, "shows bright as dark"),
        ("nowhere.dcm", {"ImagePositionPatient": None}, "states no position"),
        ("skewed.dcm", {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "not at right angles"),
        ("no_spacing.dcm", {"PixelSpacing": [0, 0]}, "its pixels are 0 x 0 mm"),
    ):
        other = copy.deepcopy(ds)
        for keyword, value in elements.items():
            setattr(other, keyword, value) if value is not None else delattr(other, keyword)
        other.save_as(folder / name)
        said[name] = why
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(folder / "small.dcm")
    head = (folder / "small.dcm").read_bytes()
    (folder / "small.dcm").unlink()
    length = 132 + 12 + struct.unpack_from("<I", head, 140)[0]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join([*(packer.compress(b"\0" * 2**20) for _ in range(300)), packer.flush()])
    add("bomb.dcm", head[:length] + bomb, "compressed as a whole")
    (folder / "folder.dcm").mkdir()
    os.mkfifo(folder / "pipe.dcm")
    said["pipe.dcm"] = "is not a regular file"
    (folder / "gone.dcm").symlink_to(folder / "nothing")
    said["gone.dcm"] = "cannot be read"
    (folder / "round").symlink_to(folder)
    (folder / "sub").mkdir()
    (folder / "sub" / "again").symlink_to(folder / "sub")
    add("sub/nested.dcm", content[:700], "ends before its pixels|is damaged")
    shutil.rmtree(folder / "tmp")
    return said


def test_hostile_files_are_named_and_the_others_read(tmp_path):
    said = hostile(tmp_path)
    save(series(WHO), tmp_path, "good")
    found = scan(DicomSource(folder=tmp_path))
    assert len(found.frames) == 5
    faults = dict.fromkeys(said, "")
    for fault in found.faults:
        assert "\n" not in fault
        name = str(Path(fault.split(":")[0]).relative_to(tmp_path))
        assert not faults[name], f"{name} is named twice"
        faults[name] = fault
    for name, why in said.items():
        assert bool(faults[name]) == bool(why), name
        assert re.search(why, faults[name]), (name, faults[name])
    image = read_dicom_image(DicomSource(folder=tmp_path))
    assert image.stored.shape[2] == 5
    assert any("files were left out" in note for note in image.notes)


def test_a_folder_of_nothing_but_hostile_files_says_why(tmp_path):
    hostile(tmp_path)
    with pytest.raises(InputError, match="holds no MR image that can be used: ") as fault:
        read_dicom_image(DicomSource(folder=tmp_path))
    assert "\n" not in str(fault.value)


def test_compressed_pixels_of_another_size_are_not_decoded(tmp_path):
    paths = save(series(WHO), tmp_path)
    recoded(paths, "JPEG2000Lossless")
    content = paths[0].read_bytes()
    at = content.index(b"\xff\x4f\xff\x51")
    paths[0].write_bytes(content[: at + 8] + struct.pack(">II", 60000, 60000) + content[at + 16 :])
    with pytest.raises(InputError, match="compressed pixels are 60000 x 60000, but its header states 64 x 64"):
        read_dicom_image(DicomSource(folder=tmp_path))


def test_damaged_bytes_never_end_in_another_error(tmp_path):
    rng = np.random.default_rng(0)
    [path, *_] = save(series(WHO), tmp_path / "good")
    content = path.read_bytes()
    (tmp_path / "bad").mkdir()
    for number in range(150):
        broken = bytearray(content)
        for at in rng.integers(132, 1800, 4):
            broken[at] = rng.integers(256)
        (tmp_path / "bad" / f"{number}.dcm").write_bytes(broken)
    source = DicomSource(folder=tmp_path / "bad", patient_id="P001")
    found = scan(source)
    assert len(found.frames) > 20
    assert len(found.faults) > 20
    assert not any("\n" in fault for fault in found.faults)
    with suppress(InputError):
        read_dicom_image(source)


@pytest.mark.long
def test_a_sequence_that_pydicom_cannot_read_counts_as_missing(tmp_path):
    """pydicom looks at PixelRepresentation when it is asked for a sequence, and here its value representation does not exist."""
    [path] = save([enhanced(WHO)], tmp_path / "X")
    path.write_bytes(path.read_bytes().replace(b"\x28\x00\x03\x01US", b"\x28\x00\x03\x01U\xe9", 1))
    with pytest.raises(InputError, match="has 5 frames but positions for 0") as caught:
        read_dicom_image(DicomSource(folder=tmp_path))
    assert str(caught.value).isprintable()


def test_a_message_repeats_nothing_that_cannot_be_printed(tmp_path):
    [path, *_] = save(series(WHO), tmp_path / "X")
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840\x07\x0010008.1.2.1", 1))
    with pytest.raises(InputError, match="its pixels cannot be decoded") as caught:
        read_dicom_image(DicomSource(folder=tmp_path))
    assert str(caught.value).isprintable()


@pytest.mark.real
def test_sunnybrook_patients(real_data, tmp_path):
    for name in ("SC-HF-I-1", "SC-HF-I-2", "SC-HF-I-4"):
        for part in ("dicom", "contours"):
            shutil.copytree(real_data / "sunnybrook" / name / part, tmp_path / name / part)
    for stack in stacks(open_cohort(tmp_path)):
        theirs = nib.load(real_data / "sunnybrook" / stack.patient / "image.nii.gz")
        image = stack.view.turn_back(stack.image)
        np.testing.assert_array_equal(image, np.asarray(theirs.dataobj).transpose(1, 0, 2))
        labels = np.asarray(nib.load(real_data / "sunnybrook" / stack.patient / "label.nii.gz").dataobj).transpose(1, 0, 2)
        ours = stack.view.turn_back(stack.labels)
        both = ((ours > 0) & (labels > 0)).sum()
        assert 2 * both / ((ours > 0).sum() + (labels > 0).sum()) > 0.99
        assert stack.base_first_by_affine is False


def test_contours_on_the_magnitude_are_taken_for_the_psir_of_the_same_slices(tmp_path):
    write(tmp_path / "X")
    psir = WHO.image + 3
    stack = series(patient(), ImageType=[["ORIGINAL", "PRIMARY", "PSIR"]] * 5, SeriesNumber=9, SeriesInstanceUID="1.2.3.77")
    for k, ds in enumerate(stack):
        ds.PixelData = psir[:, :, k].tobytes()
    save(stack, tmp_path / "X" / "psir", "P")
    [read] = stacks(open_cohort(tmp_path))
    np.testing.assert_array_equal(read.image, psir[:, :, ::-1])
    assert (read.labels == 1).any(axis=(0, 1)).all()
    assert any("another image of the same slices" in note for note in read.notes)
    assert any("PSIR" in note and "preferred" in note for note in read.notes)
