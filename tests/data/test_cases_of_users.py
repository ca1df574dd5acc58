"""Files as users have sent them: each is read as it was meant, or refused by name while the patient beside it goes on."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import ring_patient, run_command, short_axis_affine, write_patient

from lgesynthnet.data.cohort import Cohort, open_cohort
from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.hosts.inspection import VerifyReport, verify
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.records import Skipped, Stack

SEED = 11
Raw = dict[int, tuple[str, tuple[float, ...]]]
Change = Callable[[str, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def cohort_with(root: Path, change: Change, *, rv: bool = False, qform: bool = False, raw: Raw | None = None) -> Cohort:
    """A good patient N002 beside X, whose two files are changed.

    Args:
        rv: label the right ventricle, so that no network has to look for it.
        change: (Images or Contours, voxels in file order, affine) -> what is written instead.
        qform: state the affine as a qform alone.
        raw: {offset: (format, numbers)}, header bytes that are written over.
    """
    write_patient(root, "N002", seed=1, rv=rv)
    if rv:
        write_declaration(root, labels="lgesynthnet", base_first=True)
    image, labels = ring_patient(SEED, rv=rv)
    affine = short_axis_affine(SEED)
    for part, voxels in (("Images", np.rint(image).astype(np.int16)), ("Contours", labels)):
        stored, where = change(part, voxels.transpose(1, 0, 2).copy(), affine.copy())
        nifti = nib.Nifti1Image(stored, where)
        nifti.header.set_xyzt_units("mm")
        if qform:
            nifti.set_qform(where, 1)
            nifti.set_sform(None, 0)
        content = bytearray(nifti.to_bytes())
        for offset, (form, numbers) in (raw or {}).items():
            struct.pack_into("<" + form, content, offset, *numbers)
        path = root / "Case_X" / part / "Case_X.nii.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(gzip.compress(content, 1, mtime=0))
    return open_cohort(root)


def image(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda part, voxels, affine: (change(voxels) if part == "Images" else voxels, affine)


def label(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda part, voxels, affine: (change(voxels) if part == "Contours" else voxels, affine)


def unchanged(part: str, voxels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return voxels, affine


def result_of(cohort: Cohort) -> tuple[Stack | Skipped, VerifyReport]:
    """What becomes of X, after a check that the patient beside it goes on."""
    good, bad = cohort.stacks()
    assert isinstance(good, Stack)
    report = verify(cohort, quick=True)
    assert report.cases[0].usable == (0, 1, 2)
    return bad, report


@pytest.fixture
def honest(tmp_path) -> Stack:
    stack, _ = result_of(cohort_with(tmp_path / "honest", unchanged))
    assert isinstance(stack, Stack)
    assert stack.notes == ()
    return stack


def same(stack: Stack | Skipped, honest: Stack) -> None:
    assert isinstance(stack, Stack), stack
    np.testing.assert_array_equal(stack.labels, honest.labels)
    np.testing.assert_array_equal(stack.image, honest.image)
    assert stack.view == honest.view
    np.testing.assert_allclose((*stack.spacing_mm, stack.slice_step_mm), (*honest.spacing_mm, honest.slice_step_mm), rtol=1e-5)


@pytest.mark.parametrize("factor", [0.99999994, 1.00000012])
def test_float_labels(tmp_path, honest, factor):
    stack, report = result_of(cohort_with(tmp_path / "x", label(lambda voxels: voxels.astype(np.float32) * np.float32(factor))))
    same(stack, honest)
    assert report.cases[1].problems == ()


def test_labels_times_85(tmp_path, honest):
    skipped, report = result_of(cohort_with(tmp_path / "x", label(lambda voxels: voxels * np.uint8(85))))
    assert isinstance(skipped, Skipped)
    counts = [int((honest.labels == number).sum()) for number in (1, 2)]
    assert f"85 ({counts[0]} pixels, first in slice 0), 170 ({counts[1]} pixels, first in slice 0)" in skipped.reason
    assert "--labels 85=cavity,170=wall" in skipped.reason
    assert report.counts["errors"] == 1


def test_wall_alone(tmp_path, honest):
    stack, report = result_of(cohort_with(tmp_path / "x", label(lambda voxels: np.where(voxels == 1, 0, voxels))))
    same(stack, honest)
    [note] = stack.notes
    assert "no cavity is labelled in 3 slices; the hole of the wall is taken as the cavity" in note
    assert [problem.severity for problem in report.cases[1].problems] == ["warning"]


@pytest.mark.parametrize("part", ["Images", "Contours", "both"])
def test_skewed_affine(tmp_path, part):
    def skew(which, voxels, affine):
        if part in (which, "both"):
            affine[0, 1] += 0.4
        return voxels, affine

    skipped, report = result_of(cohort_with(tmp_path / "x", skew))
    assert isinstance(skipped, Skipped)
    assert "not at right angles" in skipped.reason
    assert report.counts["errors"] == 1


@pytest.mark.parametrize("first_row", [280, 296, 312])
def test_singular_affine(tmp_path, first_row):
    cohort = cohort_with(tmp_path / "x", unchanged, raw={252: ("h", (0,)), first_row: ("4f", (0, 0, 0, 0))})
    skipped, _ = result_of(cohort)
    assert isinstance(skipped, Skipped)
    assert "its sform is singular" in skipped.reason


def test_pixdim0_of_0_beside_a_qform(tmp_path, honest):
    stack, report = result_of(cohort_with(tmp_path / "x", unchanged, qform=True, raw={76: ("f", (0.0,))}))
    same(stack, honest)
    assert report.cases[1].problems == ()


def test_qform_and_sform_disagree(tmp_path, honest):
    wider = short_axis_affine(SEED)
    wider[:3, :2] *= 1.22
    rows = {280 + 16 * row: ("4f", tuple(wider[row])) for row in range(3)}
    cohort = cohort_with(tmp_path / "x", unchanged, qform=True, raw={254: ("h", (1,)), **rows})
    stack, report = result_of(cohort)
    same(stack, honest)
    used = "its sform has voxels of 1.83 x 1.83 x 10 mm, and pixdim and qform 1.5 x 1.5 x 10 mm; 1.5 x 1.5 x 10 mm is used"
    assert used in stack.notes[0]
    [problem] = report.cases[1].problems
    assert problem.severity == "warning"
    assert str(problem) in report.lines()


def test_pixels_of_a_hundredth_of_their_size(tmp_path):
    def tiny(part, voxels, affine):
        affine[:3, :2] *= 0.03
        return voxels, affine

    cohort = cohort_with(tmp_path / "x", tiny, rv=True)
    _, report = result_of(cohort)
    assert report.cases[1].usable == ()
    assert any("probably stated in another unit" in str(problem) for problem in report.problems)
    assert {entry.patient for entry in find_hosts(cohort).entries} == {"N002"}


def test_a_row_of_nan(tmp_path):
    def broken(voxels):
        voxels = voxels.astype(np.float32)
        voxels[30] = np.nan
        return voxels

    cohort = cohort_with(tmp_path / "x", image(broken))
    skipped, _ = result_of(cohort)
    assert isinstance(skipped, Skipped)
    assert "slice 0 holds NaN or Inf in 64 pixels (and 2 more slices); replace them" in skipped.reason


def test_an_image_without_signal(tmp_path):
    cohort = cohort_with(tmp_path / "x", image(np.zeros_like), rv=True)
    _, report = result_of(cohort)
    assert report.cases[1].usable == ()
    assert sum("the image is zero everywhere" in str(problem) for problem in report.problems) == 3
    assert {entry.patient for entry in find_hosts(cohort).entries} == {"N002"}


def test_a_constant_slice(tmp_path):
    def constant(voxels):
        voxels[:, :, 1] = 7
        return voxels

    cohort = cohort_with(tmp_path / "x", image(constant), rv=True)
    _, report = result_of(cohort)
    assert report.cases[1].usable == (0, 2)
    [problem] = report.cases[1].problems
    assert (problem.patient, problem.slice_index) == ("X", 1)
    assert all(entry.index != 1 for entry in find_hosts(cohort).entries if entry.patient == "X")


def test_a_name_that_climbs(tmp_path):
    root = tmp_path / "a" / "b" / "hosts"
    source = write_patient(tmp_path / "source", "N002", seed=1)
    (root / "imagesTr").mkdir(parents=True)
    for part, name in (("Images", "i.nii.gz"), ("Contours", "l.nii.gz")):
        (root / name).write_bytes(Path(str(source).replace("Images", part)).read_bytes())
    entry = {"images": ["i.nii.gz"], "label": "l.nii.gz"}
    labels = {"background": 0, "cavity": 1, "wall": 2}
    (root / "dataset.json").write_text(json.dumps({"labels": labels, "dataset": {"../../../x": entry, "good": entry}}))
    before = sorted(tmp_path.rglob("*"))
    done = run_command("verify", root, "--quick")
    assert done.returncode == 2
    assert "the name '../../../x' holds '/'; rename it" in done.stdout
    assert "1 case, 3 of 3 slices usable" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before
