"""Folders in the manner of BIDS: labels beside the images or in derivatives, sessions, and images alone."""

from __future__ import annotations

from listed_files import pairs, put, reasons

from lgesynthnet.data.layouts.content import Layout
from lgesynthnet.data.layouts.find import find_cases, find_images


def test_bids_with_labels_beside_the_images_and_in_derivatives(tmp_path):
    put(tmp_path, "dataset_description.json", "participants.tsv")
    put(
        tmp_path,
        "sub-01/anat/sub-01_acq-sax_LGE.nii.gz",
        "sub-01/anat/sub-01_acq-sax_desc-manual_mask.nii.gz",
        "sub-01/anat/sub-01_T1w.nii.gz",
    )
    put(tmp_path, "sub-02/ses-1/cardiac/sub-02_ses-1_LGE.nii.gz", "derivatives/reader/dataset_description.json")
    put(tmp_path, "derivatives/reader/sub-02/ses-1/anat/sub-02_ses-1_desc-x_dseg.nii.gz")
    put(tmp_path, "sub-03/anat/sub-03_lge.nii.gz", "derivatives/sub-03/anat/sub-03_lge_label.nii.gz")
    content = find_cases(tmp_path)
    assert content.layout is Layout.BIDS
    assert pairs(content, tmp_path) == {
        "sub-01": ("sub-01/anat/sub-01_acq-sax_LGE.nii.gz", "sub-01/anat/sub-01_acq-sax_desc-manual_mask.nii.gz"),
        "sub-02": ("sub-02/ses-1/cardiac/sub-02_ses-1_LGE.nii.gz", "derivatives/reader/sub-02/ses-1/anat/sub-02_ses-1_desc-x_dseg.nii.gz"),
        "sub-03": ("sub-03/anat/sub-03_lge.nii.gz", "derivatives/sub-03/anat/sub-03_lge_label.nii.gz"),
    }
    assert content.skipped == []
    assert [entry.name for entry in content.ignored] == ["sub-01/anat/sub-01_T1w.nii.gz"]


def test_bids_never_pairs_one_session_with_another_and_reads_a_patient_once(tmp_path):
    put(tmp_path, *(f"sub-1/ses-{n}/anat/sub-1_ses-{n}_LGE.nii" for n in (1, 2)), "sub-1/ses-2/anat/sub-1_ses-2_mask.nii")
    put(tmp_path, *(f"sub-2/ses-{n}/anat/sub-2_ses-{n}_{kind}.nii" for n in (1, 2) for kind in ("LGE", "mask")))
    put(tmp_path, "sub-3/anat/sub-3_LGE.nii", "sub-3/anat/sub-3_desc-a_mask.nii", "sub-3/anat/sub-3_desc-b_mask.nii")
    put(tmp_path, "sub-4/anat/sub-4_bssfp.nii", "sub-4/anat/sub-4_mask.nii")
    put(tmp_path, "sub-5/anat/sub-5_run-1_LGE.nii", "sub-5/anat/sub-5_run-2_LGE.nii")
    content = find_cases(tmp_path)
    assert pairs(content, tmp_path) == {
        "sub-1": ("sub-1/ses-2/anat/sub-1_ses-2_LGE.nii", "sub-1/ses-2/anat/sub-1_ses-2_mask.nii"),
        "sub-2": ("sub-2/ses-1/anat/sub-2_ses-1_LGE.nii", "sub-2/ses-1/anat/sub-2_ses-1_mask.nii"),
    }
    said = reasons(content)
    assert "only sub-2_ses-1_LGE.nii is read" in said["sub-2/sub-2_ses-2_LGE.nii"]
    assert "is the label of the same case; keep one" in said["sub-3"]
    assert "is the image of the same case; keep one" in said["sub-5"]
    assert "no image is named as late enhancement; name it as in sub-4_LGE.nii.gz" in said["sub-4"]
    assert content.ignored == []


def test_bids_images_alone(tmp_path):
    put(tmp_path, "sub-a/anat/sub-a_LGE.nii", "sub-b/ses-1/anat/sub-b_ses-1_PSIR.nii")
    assert list(pairs(find_images(tmp_path), tmp_path)) == ["sub-a", "sub-b"]
