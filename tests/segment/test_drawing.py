"""`segment` draws cavity and wall where the heart is, on the grid of the image; a person decides, and every record says who drew."""

from __future__ import annotations

import csv
import json
import shutil

import nibabel as nib
import numpy as np
import pydicom
import pytest
from factories import run_command

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.overlap import dice
from lgesynthnet.phantom.cohort import CohortSettings, write_cohort
from lgesynthnet.run.folder import RunFolder

SETTINGS = CohortSettings(patients=2, seed=11, positive=0.0, non_ischaemic=0.0)


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom") / "ph"
    write_cohort(root, SETTINGS, workers=1)
    return root


@pytest.fixture(scope="module")
def scans(patients, tmp_path_factory):
    """Images without labels: of one patient as it was, of the other with the rows bottom-up and an honest affine."""
    root = tmp_path_factory.mktemp("scans")
    for number, case in enumerate(open_cohort(patients).cases):
        image = nib.load(case.image_path)
        voxels, affine = np.asarray(image.dataobj), image.affine
        if number:
            right, down = np.array([0.78, 0.61, 0.15]), np.array([-0.15, 0.41, -0.9])
            down -= right * (right @ down) / (right @ right)
            axes = np.stack([right / np.linalg.norm(right), down / np.linalg.norm(down)], axis=1)
            oblique = np.eye(4)
            oblique[:3, :3] = np.diag([-1, -1, 1]) @ np.column_stack([axes, np.cross(*axes.T)]) * image.header.get_zooms()
            oblique[:3, 3] += oblique[:3, 1] * (voxels.shape[1] - 1)
            oblique[:3, 1] *= -1
            voxels, affine = voxels[:, ::-1], oblique
        nib.save(nib.Nifti1Image(np.ascontiguousarray(voxels), affine), root / f"{case.patient}.nii.gz")
    return root


@pytest.fixture(scope="module")
def masks(scans, tmp_path_factory):
    out = tmp_path_factory.mktemp("masks") / "masks"
    result = run_command("segment", scans, "--out", out)
    assert result.returncode == 0, result.stderr
    return out


def rows_of(masks) -> list[dict[str, str]]:
    with (masks / "patients.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_cavity_and_wall_lie_where_the_heart_is_however_the_image_is_stored(patients, masks):
    for number, case in enumerate(open_cohort(patients).cases):
        drawn = np.asarray(nib.load(masks / "labels" / f"{case.patient}.nii.gz").dataobj)
        true = np.asarray(nib.load(case.label_path).dataobj)
        true = true[:, ::-1] if number else true
        assert set(np.unique(drawn)) <= {0, 1, 2}  # no scar, no RV
        assert (dice(drawn == 1, true == 1) or 0) > 0.85
        assert (dice(drawn == 2, true == 2) or 0) > 0.7


def test_masks_lie_on_the_grid_of_their_image(scans, masks):
    for path in sorted(scans.glob("*.nii.gz")):
        image, label = nib.load(path), nib.load(masks / "labels" / path.name)
        assert label.shape == image.shape
        np.testing.assert_array_equal(label.affine, image.affine)
        assert label.get_data_dtype() == np.uint8


def test_the_folder_is_read_as_patients_and_every_record_says_that_a_network_drew(masks, tmp_path):
    result = run_command("synthesize", "--hosts", masks, "--model", "paste", "--prior", "ischaemic", "-n", 2, "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    run = RunFolder.open(tmp_path / "run")
    drawn_by = json.loads((masks / "lgesynthnet.json").read_text())["lgesynthnet"]["drawn_by"]
    assert drawn_by.startswith("heart-segmenter")
    assert run.plan.masks_drawn_by == drawn_by
    assert {row.masks_drawn_by for row in run.rows} == {drawn_by}
    assert "drawn by a network" in run.report.read_text()
    assert run_command("verify", masks).returncode == 0
    for words in (("nifti", tmp_path / "pairs"), ("dicom", tmp_path / "dicom")):
        exported = run_command("export", words[0], tmp_path / "run", words[1])
        assert exported.returncode == 0, exported.stderr
        notice = (words[1] / "README.txt").read_text()
        assert "patients with their own labels" not in notice
        assert notice.count(f"cavity and wall were drawn by the network {drawn_by}") == (2 if words[0] == "nifti" else 1)
    segmentation = pydicom.dcmread(next((tmp_path / "dicom").glob("*/*/seg.dcm")))
    described = {str(item.SegmentLabel): str(item.SegmentDescription) for item in segmentation.SegmentSequence}
    assert drawn_by in described["myocardium"]
    assert drawn_by in described["cavity of the left ventricle"]
    assert drawn_by not in described["scar"]


def test_a_patient_that_a_person_drops_stays_dropped(scans, masks, tmp_path):
    out = tmp_path / "masks"
    assert run_command("segment", scans, "--out", out).returncode == 0
    rows = rows_of(out)
    assert [row["use"] for row in rows] == ["yes", "yes"]
    dropped = rows[0]["patient"]
    text = (out / "patients.csv").read_text()
    (out / "patients.csv").write_text(text.replace(",yes,", ",no,", 1))
    assert [case.patient for case in open_cohort(out).cases] == [rows[1]["patient"]]
    again = run_command("segment", scans, "--out", out)
    assert again.returncode == 0, again.stderr
    assert {row["patient"]: row["use"] for row in rows_of(out)} == {dropped: "no", rows[1]["patient"]: "yes"}


def test_a_table_that_a_spreadsheet_saved_with_semicolons_still_says_who_is_dropped(scans, masks, tmp_path):
    out = tmp_path / "masks"
    assert run_command("segment", scans, "--out", out).returncode == 0
    table = out / "patients.csv"
    table.write_text("\ufeff" + table.read_text().replace(",yes,", ",No,").replace(",", ";"))
    assert run_command("segment", scans, "--out", out).returncode == 0
    assert [row["use"] for row in rows_of(out)] == ["no", "no"]


def test_one_patient_drawn_again_leaves_the_lines_of_the_others(scans, tmp_path):
    out = tmp_path / "masks"
    assert run_command("segment", scans, "--out", out).returncode == 0
    before = rows_of(out)
    (out / "patients.csv").write_text((out / "patients.csv").read_text().replace(",yes,", ",no,", 1))
    again = run_command("segment", scans, "--out", out, "--patient", before[1]["patient"])
    assert again.returncode == 0, again.stderr
    assert rows_of(out) == [before[0] | {"use": "no"}, before[1]]


def test_an_image_without_a_heart_is_named_and_the_others_are_drawn(scans, tmp_path):
    root = tmp_path / "scans"
    root.mkdir()
    [first, *_] = sorted(scans.glob("*.nii.gz"))
    (root / "A.nii.gz").write_bytes(first.read_bytes())
    nib.save(nib.Nifti1Image(np.zeros((64, 64, 3), np.int16), np.diag([1.5, 1.5, 8, 1])), root / "B.nii.gz")
    result = run_command("segment", root, "--out", tmp_path / "masks")
    assert result.returncode == 0
    assert "skipped B" in result.stderr
    assert [row["patient"] for row in rows_of(tmp_path / "masks")] == ["A"]


@pytest.mark.parametrize("where", ["scans", "scans/inside"])
def test_masks_are_never_written_among_the_images(where, scans):
    result = run_command("segment", scans, "--out", scans.parent / scans.name / where.removeprefix("scans").strip("/"))
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1


def test_what_a_person_corrected_is_no_damage_and_is_kept_by_the_same_command(scans, masks, tmp_path):
    out = tmp_path / "masks"
    shutil.copytree(masks, out)
    (out / "patients.csv").write_text((out / "patients.csv").read_text().replace(",yes,", ",no,", 1).replace(",", ";"))  # as Excel saves it
    [_, path] = sorted((out / "labels").glob("*.nii.gz"))
    label = nib.load(path)
    corrected = np.asarray(label.dataobj).copy()
    corrected[:, :, 0] = 0
    nib.save(nib.Nifti1Image(corrected, label.affine), path)
    checked = run_command("verify", out, "--quick")
    assert checked.returncode == 0, checked.stdout
    assert f"used as it is now: labels/{path.name}, patients.csv" in checked.stdout
    again = run_command("segment", scans, "--out", out)
    assert again.returncode == 0, again.stderr
    assert f"kept the mask of {path.name.removesuffix('.nii.gz')}" in again.stderr
    np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), corrected)
    rows = rows_of(out)
    assert [row["use"] for row in rows] == ["no", "yes"]
    assert int(rows[1]["drawn"]) == int(rows_of(masks)[1]["drawn"]) - 1
    path.unlink()
    missing = run_command("verify", out, "--quick")
    assert missing.returncode == 2
    assert f"{path}: is missing" in missing.stdout
