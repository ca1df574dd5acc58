"""The real data sets open with their known contents."""

from __future__ import annotations

import csv

import nibabel as nib
import numpy as np
import pytest

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.nifti_writing import write_slice_like
from lgesynthnet.data.ring import usable_slices
from lgesynthnet.data.splits import read_splits
from lgesynthnet.hosts.inspection import verify
from lgesynthnet.records import Stack, scar_of, wall_of

pytestmark = pytest.mark.real


def test_emidec_has_75_patients_one_open_ring_and_one_scan_twice(emidec):
    report = verify(open_cohort(emidec), splits=read_splits(emidec / "splits.json"), quick=True)
    assert report.counts == {"cases": 75, "slices": 525, "usable": 524, "with_scar": 293, "errors": 0, "warnings": 4, "duplicates": 1}
    assert [(pair.first, pair.second) for pair in report.duplicates] == [("P059", "P072")]
    assert [(problem.patient, problem.slice_index) for problem in report.problems if problem.slice_index is not None] == [("P036", 6)]


def test_emidec_splits_and_landmarks_speak_of_its_patients(emidec):
    cohort = open_cohort(emidec, landmarks=emidec / "rv_insertions.csv")
    patients = {case.patient for case in cohort.cases}
    splits = read_splits(emidec / "splits.json")
    assert {name for names in splits.values() for name in names} == patients
    assert {part: len(names) for part, names in splits.items()} == {"train": 40, "val": 5, "audit": 15, "test": 15}
    assert set(cohort.insertions_deg) == patients
    assert cohort.stack("N006").insertions_deg == {4: (149.0, 263.0), 6: (140.0, 261.0)}


def test_the_organisers_own_files_keep_their_pixdim_though_their_affine_says_1_mm(real_data):
    negative, positive = open_cohort(real_data / "emidec_official").stacks()
    assert (negative.patient, positive.patient) == ("sampleNegative", "samplePositive")
    assert negative.image.shape == (246, 148, 9)
    np.testing.assert_allclose((*negative.spacing_mm, negative.slice_step_mm), (1.458333, 1.458333, 10), rtol=1e-5)
    np.testing.assert_allclose((*positive.spacing_mm, positive.slice_step_mm), (1.40625, 1.40625, 13), rtol=1e-5)
    assert negative.image.dtype == np.float64
    assert [len(usable_slices(stack)[0]) for stack in (negative, positive)] == [9, 7]


def test_sunnybrook_opens_with_its_slanted_planes(real_data):
    stacks = list(open_cohort(real_data / "sunnybrook", dataset="sunnybrook").stacks())
    assert all(isinstance(stack, Stack) for stack in stacks)
    assert [(stack.patient, len(stack), len(usable_slices(stack)[0])) for stack in stacks] == [
        ("SC-HF-I-1", 9, 8),
        ("SC-HF-I-2", 9, 9),
        ("SC-HF-I-4", 10, 10),
    ]


@pytest.mark.parametrize("folder", ["emidec", "emidec_official", "sunnybrook"])
def test_a_real_slice_written_untouched_lies_where_it_lay(real_data, folder, tmp_path):
    cohort = open_cohort(real_data / folder, dataset="sunnybrook" if folder == "sunnybrook" else None)
    stack = cohort.read(cohort.cases[0])
    write_slice_like(tmp_path / "s.nii.gz", stack[4].image, stack.places[4])
    ours, theirs = nib.load(tmp_path / "s.nii.gz"), nib.load(cohort.cases[0].image_path)
    np.testing.assert_array_equal(np.asarray(ours.dataobj)[:, :, 0], np.asarray(theirs.dataobj)[:, :, 4])
    assert ours.get_data_dtype() == theirs.get_data_dtype()
    np.testing.assert_allclose(ours.affine @ (9, 8, 0, 1), theirs.affine @ (9, 8, 4, 1), atol=1e-3)
    assert ours.header.get_zooms() == theirs.header.get_zooms()


def test_the_volumes_of_the_organisers_come_out(emidec):
    """Labels, axes and spacing together: the volumes in ml match the table of the organisers, which counts no-reflow as infarct."""
    with (emidec / "volumes_ml.csv").open() as stream:
        table = {row["case"]: row for row in csv.DictReader(stream)}
    for stack in open_cohort(emidec).stacks():
        voxel_ml = stack.spacing_mm[0] * stack.spacing_mm[1] * stack.slice_step_mm / 1000
        row = table[stack.patient]
        assert wall_of(stack.labels).sum() * voxel_ml == pytest.approx(float(row["myo_ml"]), rel=1e-4)
        assert scar_of(stack.labels).sum() * voxel_ml == pytest.approx(float(row["infarct_ml"]), rel=0.1)
