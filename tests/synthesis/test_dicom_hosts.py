"""Scars painted into DICOM hosts: samples lie where the slice lies, with its stored numbers, and every command takes the folder."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_files import Patient, enhanced, patient, save, series, turned, write_icontours
from factories import run_command

from lgesynthnet.data.cohort import open_cohort, open_images
from lgesynthnet.data.dicom.headers import frames_of
from lgesynthnet.data.dicom.stack import DicomOptions
from lgesynthnet.data.nifti_writing import labels_like
from lgesynthnet.errors import InputError
from lgesynthnet.report.panels import sample_panels
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.train.examples.files import fingerprint_of

SLOPES = [1.5 + k for k in range(5)]


def nifti_label(path: Path, who: Patient) -> None:
    axes = np.stack([who.along_row * 1.25, who.along_column * 1.5, who.origins[1] - who.origins[0]], axis=1)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = np.diag([-1, -1, 1]) @ axes, np.diag([-1, -1, 1]) @ who.origins[0]
    nib.save(nib.Nifti1Image(who.labels.transpose(1, 0, 2), affine), path)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory) -> Path:
    """A patient in single-frame files with 12 signed bits and a slope for each slice, and one in an enhanced multi-frame file."""
    root = tmp_path_factory.mktemp("dicom") / "hösts"
    one, two = patient(0), patient(1)
    (root / "Ada").mkdir(parents=True)
    save(series(one, BitsStored=12, HighBit=11, RescaleSlope=SLOPES, RescaleIntercept=["-3"] * 5), root / "Ada" / "lge", "", "")
    other = enhanced(two)
    other.PatientID, other.StudyInstanceUID = "P002", "1.2.4.1"
    save([other], root / "Bob")
    nifti_label(root / "Ada" / "label.nii.gz", one)
    nifti_label(root / "Bob" / "label.nii.gz", two)
    return root


@pytest.fixture(scope="module")
def run(hosts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    words = ["--dataset", "lgesynthnet", "--model", "paste", "--count", "6", "--prior", "ischaemic", "--seed", "5"]
    done = run_command("synthesize", "--hosts", hosts, *words, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "samples.csv").open(newline="", encoding="utf-8") as lines:
        return [row for row in csv.DictReader(lines) if row["file"]]


def test_samples_lie_where_the_slice_lies_and_only_the_hidden_region_is_new(run, hosts):
    seen = set()
    for row in rows_of(run):
        image = nib.load(run / row["file"])
        hidden = nib.load(run / row["file"].replace("images", "hidden"))
        who = patient(0 if row["host"] == "Ada" else 1)
        k = 4 - int(row["slice_index"])  # stacks are sorted along the normal, which points to the base; the array is base first
        stored = np.asarray(image.dataobj.get_unscaled())[:, :, 0].T
        outside = np.asarray(hidden.dataobj)[:, :, 0].T == 0
        np.testing.assert_array_equal(stored[outside], who.image[:, :, k][outside])
        assert (stored != who.image[:, :, k]).any()
        assert stored.dtype == np.int16
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.block(
            [[np.stack([who.along_row * 1.25, who.along_column * 1.5], axis=1), np.zeros((3, 1)), who.origins[k][:, None]], [0, 0, 0, 1]]
        )
        np.testing.assert_allclose(image.affine[:, [0, 1, 3]], affine[:, [0, 1, 3]], atol=1e-4)
        for code in ("qform_code", "sform_code"):
            assert image.header[code] == 1
        np.testing.assert_allclose(image.header.get_qform(), image.header.get_sform(), atol=1e-4)
        assert image.header.get_zooms() == pytest.approx((1.25, 1.5, 10))
        assert image.dataobj.slope == pytest.approx(SLOPES[k])
        np.testing.assert_array_equal(nib.load(run / row["file"].replace("images", "labels")).affine, image.affine)
        seen.add(row["host"])
    assert seen == {"Ada", "Bob"}


def test_samples_are_read_back_in_the_view_of_their_host(run, hosts):
    folder = RunFolder.open(run)
    stacks = {stack.patient: stack for stack in open_cohort(hosts, dataset="lgesynthnet").stacks()}
    for row in folder.rows:
        sample = folder.sample(row)
        assert sample.slice_.place is not None
        assert sample.slice_.place.view == stacks[row.host].view
        assert sample.slice_.spacing_mm == pytest.approx(stacks[row.host].spacing_mm)
        same = ~sample.hidden
        np.testing.assert_array_equal(sample.image[same], stacks[row.host].image[:, :, row.slice_index][same])


def test_the_report_shows_the_host_and_the_same_command_has_nothing_left_to_do(run, hosts):
    assert "host" in (run / "report.html").read_text(encoding="utf-8")
    folder = RunFolder.open(run)
    assert next(panel.title for panel in sample_panels(folder, folder.rows[0])) == "host"
    words = ["--dataset", "lgesynthnet", "--model", "paste", "--count", "6", "--prior", "ischaemic", "--seed", "5"]
    before = {path: path.read_bytes() for path in run.rglob("images/*")}
    assert run_command("synthesize", "--hosts", hosts, *words, "--out", run).returncode == 0
    assert before == {path: path.read_bytes() for path in run.rglob("images/*")}


def test_real_slices_are_exported_from_dicom(run, tmp_path):
    done = run_command("export", "nifti", run, tmp_path / "out", "--keep-names")
    assert done.returncode == 0, done.stderr
    real = sorted(tmp_path.glob("out/real_*_image.nii.gz"))
    assert len(real) == 10
    for path in real:
        image = nib.load(path)
        name, index = path.name.removeprefix("real_").removesuffix("_image.nii.gz").split("_s")
        who, k = patient(0 if name == "Ada" else 1), 4 - int(index)
        np.testing.assert_array_equal(np.asarray(image.dataobj.get_unscaled())[:, :, 0].T, who.image[:, :, k])
        np.testing.assert_allclose(image.affine[:3, 3], np.array([-1, -1, 1]) * who.origins[k], atol=1e-4)
        labels = np.asarray(nib.load(str(path).replace("_image", "_label")).dataobj)[:, :, 0].T
        np.testing.assert_array_equal(labels, who.labels[:, :, k])
        assert b"SYNTHETIC" not in bytes(image.header["descrip"].tobytes())


def test_verify_prints_the_stacks_and_the_pick(hosts, tmp_path):
    done = run_command("verify", hosts, "--dataset", "lgesynthnet", "--quick")
    assert done.returncode == 0, done.stdout
    assert "s1*" in done.stdout
    assert "short axis" in done.stdout
    twice = tmp_path / "twice" / "Cyd"
    save(series(patient(0)), twice, "a")
    save(series(patient(0), SeriesInstanceUID="1.2.3.8", SeriesNumber=8), twice, "b")
    write_icontours(patient(0), twice, [f"b-{k:03d}" for k in range(5)])
    for path in twice.glob("b*.dcm"):
        path.rename(path.with_name(f"b-{path.stem[1:]}.dcm"))
    refused = run_command("verify", tmp_path / "twice", "--quick")
    assert refused.returncode == 2
    assert "2 stacks fit equally: s1 (series 7" in refused.stdout
    assert "choose one, e.g. --series s1" in refused.stdout
    assert run_command("verify", tmp_path / "twice", "--quick", "--series", "8").returncode == 0


def test_samples_of_multi_frame_files_name_their_frame(hosts):
    cohort = open_cohort(hosts, dataset="lgesynthnet")
    places = cohort.stack("Bob").places
    assert [place.index for place in places] == [4, 3, 2, 1, 0]
    assert len({place.path for place in places}) == 1
    assert len(frames_of(places[0].path)) == 5


def test_labels_of_a_dicom_stack_are_written_on_one_grid_and_read_back(hosts, tmp_path):
    cohort = open_cohort(hosts, dataset="lgesynthnet")
    for case in cohort.cases:
        stack = cohort.read(case)
        (tmp_path / "label.nii.gz").write_bytes(labels_like(stack))
        again = cohort.read(replace(case, label_path=tmp_path / "label.nii.gz"))
        np.testing.assert_array_equal(again.labels, stack.labels)
        assert not cohort.read_image(case).labels.any()
    save([ds for k, ds in enumerate(series(patient(0))) if k != 2], tmp_path / "gap" / "Cyd")
    nifti_label(tmp_path / "gap" / "Cyd" / "label.nii.gz", patient(0))
    gap = open_cohort(tmp_path / "gap", dataset="lgesynthnet")
    stack = gap.read(gap.cases[0])
    (tmp_path / "label.nii.gz").write_bytes(labels_like(stack))
    assert nib.load(tmp_path / "label.nii.gz").shape == (64, 64, 5)
    np.testing.assert_array_equal(gap.read(replace(gap.cases[0], label_path=tmp_path / "label.nii.gz")).labels, stack.labels)


def test_labels_of_tilted_slices_fit_into_no_nifti_file(tmp_path):
    tilted = [series(turned(patient(0), 2.0 * k, 0))[k] for k in range(4)]
    save(tilted, tmp_path / "Cyd")
    cohort = open_images(tmp_path)
    with pytest.raises(InputError, match="is tilted or moved against the others"):
        labels_like(cohort.read_image(cohort.cases[0]))


def test_a_table_names_folders_of_dicom_and_their_series(hosts, tmp_path):
    save(series(patient(0)), tmp_path / "twice" / "x", "a")
    save(series(patient(1), SeriesInstanceUID="1.2.3.8", SeriesNumber=8, AcquisitionTime=["11"] * 5), tmp_path / "twice" / "x", "b")
    nifti_label(tmp_path / "one.nii.gz", patient(0))
    nifti_label(tmp_path / "two.nii.gz", patient(1))
    table = tmp_path / "patients.csv"
    table.write_text("patient,image,label,series\none,twice/x,one.nii.gz,7\ntwo,twice/x,two.nii.gz,8\n", encoding="utf-8")
    for stack, seed in zip(open_cohort(table, dataset="lgesynthnet").stacks(), (0, 1), strict=True):
        np.testing.assert_array_equal(stack.image, patient(seed).image[:, :, ::-1])
        np.testing.assert_array_equal(stack.labels, patient(seed).labels[:, :, ::-1])


def test_what_was_prepared_of_dicom_is_made_anew_when_a_file_or_the_choice_changes(hosts, tmp_path):
    shutil.copytree(hosts, tmp_path / "h")
    cohort = open_cohort(tmp_path / "h", dataset="lgesynthnet")
    first = fingerprint_of(cohort, None)
    assert fingerprint_of(open_cohort(hosts, dataset="lgesynthnet"), None) == first
    assert fingerprint_of(replace(cohort, dicom=DicomOptions(series="s1")), None) != first
    changed = sorted((tmp_path / "h" / "Ada" / "lge").iterdir())[0]
    changed.write_bytes(changed.read_bytes()[:-2] + b"\0\0")
    assert fingerprint_of(cohort, None) != first
