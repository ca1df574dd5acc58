"""An exported slice keeps its position and its stored numbers, and only synthetic files are marked as synthetic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import write_patient

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.cases import Origin, SliceCase, real_cases, synthetic_case, write_case
from lgesynthnet.export.folder import ExportContent, write_export
from lgesynthnet.export.nnunet import label_coding
from lgesynthnet.records import Label, Place, Skipped
from lgesynthnet.terms import Classes, LabelKind


@pytest.fixture
def patient(tmp_path):
    """An oblique patient with scar in every slice, the last one without labels."""
    path = write_patient(tmp_path / "hosts", "P001", seed=3, scar=True)
    contours = tmp_path / "hosts/Case_P001/Contours/Case_P001.nii.gz"
    image = nib.load(contours)
    voxels = np.asarray(image.dataobj).copy()
    voxels[:, :, 2] = 0
    nib.save(nib.Nifti1Image(voxels, image.affine), contours)
    return path


def test_real_slices_keep_their_bits_and_position_and_are_not_marked_synthetic(tmp_path, patient):
    cohort = open_cohort(tmp_path / "hosts")
    *cases, last = real_cases(cohort, cohort.cases[0], "P001")
    assert isinstance(last, Skipped)  # an unlabelled heart must not be exported as background
    assert [case.id for case in cases] == ["real_P001_s00", "real_P001_s01"]
    stack, labels = nib.load(patient), nib.load(tmp_path / "hosts/Case_P001/Contours/Case_P001.nii.gz")
    for index, case in enumerate(cases):
        files = (tmp_path / f"i{index}.nii.gz", tmp_path / f"l{index}.nii.gz")
        write_case(case, *files)
        image, label = map(nib.load, files)
        assert image.shape == label.shape == (64, 64, 1)
        np.testing.assert_array_equal(image.affine, label.affine)
        np.testing.assert_allclose(image.affine @ (5, 7, 0, 1), stack.affine @ (5, 7, index, 1), atol=1e-4)
        assert image.get_data_dtype() == stack.get_data_dtype()
        np.testing.assert_array_equal(np.asarray(image.dataobj)[..., 0], np.asarray(stack.dataobj)[..., index])
        np.testing.assert_array_equal(np.asarray(label.dataobj)[..., 0], np.asarray(labels.dataobj)[..., index])
        assert b"SYNTHETIC" not in image.header.binaryblock + label.header.binaryblock


def test_scar_against_the_rest_is_stored_as_0_and_1(tmp_path, patient):
    cohort = open_cohort(tmp_path / "hosts")
    case = next(iter(real_cases(cohort, cohort.cases[0], "P001")))
    write_case(case, tmp_path / "i.nii.gz", tmp_path / "l.nii.gz", stored_values=label_coding(Classes.SCAR, [case]).stored_values)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "l.nii.gz").dataobj)[..., 0].T, case.pixels()[1] == Label.SCAR)


def case_of(origin: Origin, present: set[Label]) -> SliceCase:
    return SliceCase(
        id=origin.value,
        origin=origin,
        patient="A",
        shown_as="A",
        slice_index=0,
        image_path=Path("i"),
        label_path=Path("l"),
        index=0,
        label_map={},
        present=frozenset(present),
    )


@pytest.mark.parametrize(
    ("real", "synthetic", "numbers", "lost"),
    [
        (set(), set(), [0, 1, 2, 3, 4, 5], False),
        ({Label.RV}, {Label.RV}, [0, 1, 2, 3, 4, 5], False),
        (set(), {Label.RV}, [0, 1, 2, 3, 4, 0], True),
        ({Label.RV}, set(), [0, 1, 2, 3, 4, 0], True),
    ],
)
def test_an_rv_that_one_origin_does_not_label_is_background_in_both(real, synthetic, numbers, lost):
    cases = [case_of(Origin.REAL, real), case_of(Origin.SYNTHETIC, synthetic)]
    for classes in (Classes.ALL, Classes.REGIONS):
        coding = label_coding(classes, cases)
        assert coding.stored_values.tolist() == numbers
        assert coding.lost_rv is lost
        assert ("rv" in coding.names) is (real == synthetic == {Label.RV})
    assert coding.names["wall"] == [2, 3, 4]
    assert len(coding.order) == len(coding.names) - 1


def test_the_scar_that_the_filter_read_replaces_the_intended_scar(tmp_path, save, ring):
    labels = ring()
    labels[40:46, 30:34] = np.where(labels[40:46, 30:34] == 2, 3, labels[40:46, 30:34])
    read = np.zeros_like(labels)
    read[(labels == 2) & (np.arange(64)[:, None] < 20)] = Label.SCAR
    for part, voxels in (("images", np.full((64, 64), 7, np.int16)), ("labels", labels), ("read", read)):
        save(tmp_path / part / "s0_000000.nii.gz", voxels.T[:, :, None])
    image = tmp_path / "images/s0_000000.nii.gz"
    sample = {"sample_id": "s0_000000", "patient": "P001", "shown_as": "P001", "slice_index": 3, "row": {}}
    case = synthetic_case(Place(path=image, index=0), kind=LabelKind.READ, **sample)
    assert case.id == "syn_P001_s03_s0_000000"
    exported = case.pixels()[1]
    np.testing.assert_array_equal(exported == Label.SCAR, read == Label.SCAR)
    assert (exported[labels == Label.SCAR] == Label.WALL).all()
    assert (labels == Label.SCAR).any()
    (tmp_path / "read/s0_000000.nii.gz").unlink()
    with pytest.raises(RunError, match="read/s0_000000"):
        synthetic_case(Place(path=image, index=0), kind=LabelKind.READ, **sample)


@pytest.mark.parametrize("name", ["../../../climbed", "a/b", "a\\b", "..", ".hidden", "", "a\nb", "\udcff", "x" * 200])
def test_a_patient_s_name_that_cannot_be_part_of_a_file_s_is_refused(name):
    """Names come from folders, from dataset.json of other programs, and from samples.csv; all become file names of an export."""
    with pytest.raises(InputError, match="the name"):
        replace(case_of(Origin.REAL, set()), shown_as=name)
    with pytest.raises(InputError, match="the name"):
        synthetic_case(
            Place(path=Path("i"), index=0), sample_id=name, patient="A", shown_as="A", slice_index=0, kind=LabelKind.INTENDED, row={}
        )


def test_a_case_whose_name_leads_out_of_the_export_is_not_written(tmp_path, patient):
    """A second barrier: whatever a case is called, nothing is written outside the folder."""
    cohort = open_cohort(tmp_path / "hosts")
    case = next(iter(real_cases(cohort, cohort.cases[0], "P001")))
    files = {case.id: ("../../climbed.nii.gz", "l.nii.gz")}
    content = ExportContent(cases=[case], files=files, texts={}, record={})
    with pytest.raises(RunError, match=r"leads out of|without \.\."):
        write_export(tmp_path / "deep" / "out", content)
    assert not list(tmp_path.rglob("climbed*"))
