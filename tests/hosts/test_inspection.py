"""`verify` reports broken files, unusual values and duplicates, as text and as JSON."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
from factories import write_patient
from scipy import ndimage

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.label_maps import parse_label_map
from lgesynthnet.hosts.inspection import Severity, verify


def chest(seed: int, shape=(64, 64, 3)) -> np.ndarray:
    """A smooth random chest in file order, of which half is the same for all seeds: two seeds correlate by 0.5."""
    common, own = (np.random.default_rng(number).normal(size=shape) for number in (12345, seed))
    smooth = ndimage.gaussian_filter(common + own, (4, 4, 0))
    return (1000 + 200 * smooth / smooth.std()).astype(np.int16)


def write(root, save, ring, name, image, **where):
    labels = np.stack([ring(**where).T] * image.shape[2], axis=2)
    save(root / name / "Images" / f"{name}.nii.gz", image)
    save(root / name / "Contours" / f"{name}.nii.gz", labels)


def test_one_scan_under_two_names_is_found_and_nobody_else(tmp_path, save, ring):
    for seed in range(6):
        write(tmp_path, save, ring, f"Case_P{seed}", chest(seed))
    noisy = chest(2) + np.random.default_rng(9).integers(-60, 60, (64, 64, 3)).astype(np.int16)
    write(tmp_path, save, ring, "Case_Q", noisy, inner=11, outer=17, centre=(33, 31))  # other contours, other noise
    cohort = open_cohort(tmp_path)
    report = verify(cohort, quick=True)
    assert [(pair.first, pair.second, pair.identical) for pair in report.duplicates] == [("P2", "Q", ())]
    assert report.count(Severity.ERROR) == 0
    assert "look like one scan" in report.lines()[0]
    leaking = verify(cohort, quick=True, splits={"train": ["P2"], "test": ["Q"]})
    assert leaking.count(Severity.ERROR) == 1
    assert "they are in train and in test" in leaking.lines()[0]


def test_one_identical_slice_is_enough(tmp_path, save, ring):
    first, second = chest(0), chest(1)
    second[:, :, 2] = first[:, :, 0]
    write(tmp_path, save, ring, "Case_A", first)
    write(tmp_path, save, ring, "Case_B", second)
    [pair] = verify(open_cohort(tmp_path), quick=True).duplicates
    assert pair.identical == ((0, 2),)


def test_problems_are_counted_and_named_and_the_report_is_json(tmp_path, save, ring):
    write(tmp_path, save, ring, "Case_A", chest(0))
    blank = chest(1)
    blank[:, :, 1] = 0
    write(tmp_path, save, ring, "Case_B", blank)
    write(tmp_path, save, ring, "Case_C", chest(2).astype(np.float32) * np.nan)
    write(tmp_path, save, ring, "Case_D", chest(3), inner=0, outer=0)  # one cavity pixel, no wall
    write(tmp_path, save, ring, "Case_E", chest(4))
    (tmp_path / "Case_E" / "Contours" / "Case_E.nii.gz").unlink()
    calls = []
    report = verify(open_cohort(tmp_path), quick=True, on_case=lambda done, whole: calls.append((done, whole)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert report.counts == {"cases": 4, "slices": 9, "usable": 5, "with_scar": 0, "errors": 3, "warnings": 6, "duplicates": 0}
    text = "\n".join(report.lines())
    assert "B slice 1: the image is zero everywhere" in text
    assert "Case_C.nii.gz: slice 0 holds NaN" in text
    assert "D: none of its 3 slices" in text
    assert "label file is missing" in text
    assert all(line.startswith("error") for line in report.lines()[:3])
    assert report.record()["counts"] == report.counts
    assert json.loads(json.dumps(report.record()))["cases"][1]["usable"] == [0, 2]


def test_labels_of_scar_and_wall_that_were_swapped_are_pointed_out(tmp_path, pair):
    """Most of the wall called scar: every slice is usable, so nothing else would say it."""
    pair(tmp_path / "A_image.nii.gz", tmp_path / "A_label.nii.gz")
    swapped = parse_label_map("1=cavity,2=scar,3=wall")
    report = verify(open_cohort(tmp_path, label_map=swapped), quick=True)
    assert report.count(Severity.ERROR) == 0
    assert any("scar fills 100% of the wall" in str(problem) for problem in report.problems)
    right = verify(open_cohort(tmp_path, label_map=parse_label_map("1=cavity,2=wall,3=scar")), quick=True)
    assert not any("scar fills" in str(problem) for problem in right.problems)


def test_slices_that_a_program_reversed_without_the_affine_are_pointed_out_and_the_heart_is_believed(tmp_path):
    """Ring patients become smaller towards the apex; the affine of the second one says the opposite."""
    write_patient(tmp_path, "A", seed=1, slices=6, rv=True)
    image = write_patient(tmp_path, "B", seed=2, slices=6, rv=True)
    for path in (image, image.parents[1] / "Contours" / image.name):
        stored = nib.load(path)
        nib.save(nib.Nifti1Image(np.asarray(stored.dataobj)[:, :, ::-1].copy(), stored.affine), path)
    report = verify(open_cohort(tmp_path, dataset="lgesynthnet"), quick=True)
    honest, reversed_ = report.cases
    assert "base first by the affine" in str(honest)
    assert not honest.problems
    assert "apex first by the areas of the heart" in str(reversed_)
    [problem] = reversed_.problems
    assert "the affine places it at the base; the heart is believed" in problem.message
    # Each remedy of the message.
    for said in (True, False):
        given = verify(open_cohort(tmp_path, dataset="lgesynthnet", base_first=said), quick=True)
        assert not any(case.problems for case in given.cases)
