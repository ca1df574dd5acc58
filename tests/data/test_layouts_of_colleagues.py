"""Folders as colleagues hand them over: names in any case, nested folders, images alone; what is not read is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from factories import run_command, write_hosts
from listed_files import pairs, put, reasons

from lgesynthnet.data.layouts import listing
from lgesynthnet.data.layouts.content import Layout
from lgesynthnet.data.layouts.find import find_cases, find_images
from lgesynthnet.errors import InputError

IMAGES = ("", "_Image", "-image", "_IMG", "_LGE", "-lge", "_de", "_PSIR", ".lge")
LABELS = (
    "_Label",
    "-label",
    "_labels",
    "_GT",
    "_Mask",
    "-mask",
    "_seg",
    "_SEGMENTATION",
    "_contour",
    "_Contours",
    "_manual",
    "_seg_manual",
)


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("label", LABELS)
def test_suffixes_in_any_case_make_a_pair(tmp_path, image, label):
    put(tmp_path, f"P 1{image}.nii.gz", f"P 1{label}.NII")
    content = find_cases(tmp_path)
    assert content.layout is Layout.ONE_FOLDER
    assert pairs(content, tmp_path) == {"P 1": (f"P 1{image}.nii.gz", f"P 1{label}.NII")}
    assert content.ignored == content.skipped == []


@pytest.mark.parametrize("image", IMAGES[1:])
def test_a_label_may_repeat_the_suffix_of_its_image(tmp_path, image):
    put(tmp_path, f"P1{image}.nii", f"P1{image}_seg.nii", f"P2{image}.nii", f"P2{image}_seg.nii")
    assert list(pairs(find_cases(tmp_path), tmp_path)) == ["P1", "P2"]


@pytest.mark.parametrize("ending", [".nii", ".NII", ".Nii.Gz", ".NII.GZ", ".nii.GZ"])
def test_endings_in_any_case_are_nifti(tmp_path, ending):
    put(tmp_path, f"A{ending}", f"A_gt{ending}")
    assert list(pairs(find_cases(tmp_path), tmp_path)) == ["A"]


def test_words_inside_a_name_are_no_suffix(tmp_path):
    put(tmp_path, "segment.nii", "segment_gt.nii", "Node.nii", "Node_gt.nii", "mask_7_a.nii", "mask_7_a_gt.nii")
    assert list(pairs(find_cases(tmp_path), tmp_path)) == ["Node", "mask_7_a", "segment"]


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (("X_LGE.nii", "X_psir.nii", "X_gt.nii"), "image"),
        (("X.nii", "X_gt.nii", "X_mask.nii"), "label"),
        (("X.nii", "X.nii.gz", "X_gt.nii"), "image"),
    ],
)
def test_two_files_of_one_kind_cost_their_case_alone(tmp_path, files, what):
    put(tmp_path, *files, "Y.nii", "Y_gt.nii")
    content = find_cases(tmp_path)
    assert list(pairs(content, tmp_path)) == ["Y"]
    assert f"is the {what} of the same case; keep one of them" in reasons(content)["X"]
    assert content.ignored == []


FOLDERS = [
    ("Images", "Labels"), ("images", "labels"), ("IMAGES", "LABELS"), ("Image", "Label"), ("imgs", "masks"), ("img", "Mask"),
    ("Images", "Contours"), ("images", "Segmentations"), ("LGE", "masks"),
]  # fmt: skip


@pytest.mark.parametrize(("images", "labels"), FOLDERS)
def test_two_folders_of_any_of_these_names(tmp_path, images, labels):
    put(tmp_path, *(f"{images}/{name}.nii.gz" for name in "ab"), *(f"{labels}/{name}.nii.gz" for name in "ab"))
    content = find_cases(tmp_path)
    assert content.layout is Layout.TWO_FOLDERS
    assert pairs(content, tmp_path) == {name: (f"{images}/{name}.nii.gz", f"{labels}/{name}.nii.gz") for name in "ab"}


def test_two_folders_whose_labels_have_a_suffix(tmp_path):
    put(tmp_path, "Images/a_LGE.nii", "Images/b_LGE.nii", "Masks/a_LGE_seg.nii", "Masks/b_mask.nii")
    assert pairs(find_cases(tmp_path), tmp_path) == {
        "a": ("Images/a_LGE.nii", "Masks/a_LGE_seg.nii"),
        "b": ("Images/b_LGE.nii", "Masks/b_mask.nii"),
    }


def test_equal_names_in_two_folders_come_before_suffixes(tmp_path):
    put(tmp_path, *(f"{part}/{name}.nii" for part in ("images", "labels") for name in ("a_LGE", "a_PSIR")))
    assert list(pairs(find_cases(tmp_path), tmp_path)) == ["a_LGE", "a_PSIR"]


def test_two_folders_with_a_folder_for_each_patient(tmp_path):
    put(tmp_path, "images/P1/scan.nii", "images/P2/scan.nii", "labels/P1/drawn.nii", "labels/P2/drawn.nii")
    content = find_cases(tmp_path)
    assert pairs(content, tmp_path) == {p: (f"images/{p}/scan.nii", f"labels/{p}/drawn.nii") for p in ("P1", "P2")}


def test_two_folders_of_one_kind_are_not_chosen_from(tmp_path):
    put(tmp_path, "images/a.nii", "imgs/a.nii", "labels/a.nii")
    content = find_cases(tmp_path)
    assert content.cases == []
    [reason] = reasons(content).values()
    assert "it is not clear which of images and imgs to read; move one of them away" in reason


@pytest.mark.parametrize(("images", "labels"), [("Images", "Contours"), ("images", "labels"), ("LGE", "seg")])
def test_each_case_with_its_two_folders(tmp_path, images, labels):
    put(tmp_path, *(f"Case_{name}/{part}/Case_{name}.nii.gz" for name in "ab" for part in (images, labels)))
    content = find_cases(tmp_path)
    assert list(pairs(content, tmp_path)) == ["a", "b"]
    # Only EMIDEC's own names say what the label ids mean.
    assert content.layout is (Layout.EMIDEC if images == "Images" else Layout.CASE_FOLDERS)


def test_a_file_called_like_its_case_is_taken_among_others_which_are_said(tmp_path):
    put(tmp_path, "Case_a/Images/Case_a.nii", "Case_a/Images/Case_a_T1.nii", "Case_a/Contours/Case_a.nii")
    content = find_cases(tmp_path)
    assert list(pairs(content, tmp_path)) == ["a"]
    assert [entry.name for entry in content.ignored] == ["Case_a/Images/Case_a_T1.nii"]


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 6, 7])
def test_cases_lie_up_to_six_folders_deep(tmp_path, depth):
    above = "/".join(f"level {number}" for number in range(depth - 1))
    put(tmp_path, *(f"{above}/P{number}/{name}.nii".lstrip("/") for number in (1, 2) for name in ("image", "label")))
    if depth > 6:
        with pytest.raises(InputError, match="no cases were found"):
            find_cases(tmp_path)
    else:
        content = find_cases(tmp_path)
        assert list(pairs(content, tmp_path)) == ["P1", "P2"]
        assert content.layout is Layout.PATIENT_FOLDERS


def test_what_lies_too_deep_is_said(tmp_path):
    put(tmp_path, "P1/image.nii", "P1/label.nii", "1/2/3/4/5/6/7/image.nii")
    [entry] = find_cases(tmp_path).ignored
    assert (entry.name, entry.reason) == ("1/2/3/4/5/6/7", "more than 6 folders deep")


def test_sites_with_different_layouts(tmp_path):
    put(tmp_path, "A/P1/LGE/x_image.nii", "A/P1/LGE/x_seg.nii", "A/P2/image.nii", "A/P2/mask.nii")
    put(tmp_path, "B/Case_P3/Images/Case_P3.nii", "B/Case_P3/Contours/Case_P3.nii")
    put(tmp_path, *(f"C/{part}/{name}.nii" for part in ("images", "labels") for name in ("P4", "P5")))
    content = find_cases(tmp_path)
    assert list(pairs(content, tmp_path)) == ["P1", "P2", "P3", "P4", "P5"]
    assert content.layout is Layout.SEVERAL
    assert content.skipped == content.ignored == []


@pytest.mark.parametrize("kind", ["LGE", "de", "anat", "cardiac", "nifti", "ses-2", "ses-1/anat"])
def test_a_folder_that_says_what_lies_in_it_is_no_patient(tmp_path, kind):
    put(tmp_path, *(f"P{number}/{kind}/{name}.nii" for number in (1, 2) for name in ("image", "label")))
    assert list(pairs(find_cases(tmp_path), tmp_path)) == ["P1", "P2"]


def test_one_name_at_two_sites_is_a_conflict_by_name(tmp_path):
    put(tmp_path, *(f"{site}/{patient}/{name}.nii" for site, patient in ("AP", "AQ", "BP") for name in ("image", "label")))
    content = find_cases(tmp_path)
    assert list(pairs(content, tmp_path)) == ["Q"]
    assert [skipped.name for skipped in content.skipped] == ["P", "P"]
    for skipped in content.skipped:
        assert "A/P/image.nii" in skipped.reason
        assert "B/P/image.nii" in skipped.reason
        assert "names the same patient, P; rename one" in skipped.reason


def test_two_visits_of_a_patient_never_count_as_two_patients(tmp_path):
    put(tmp_path, *(f"P1/ses-{visit}/{name}.nii" for visit in (1, 2) for name in ("image", "label")))
    content = find_cases(tmp_path)
    assert content.cases == []
    assert {skipped.name for skipped in content.skipped} == {"P1"}


def test_one_image_and_one_label_of_a_patient_belong_together_whatever_they_are_called(tmp_path):
    put(
        tmp_path,
        "P1/sax_stack.nii",
        "P1/drawn_by_me_seg.nii",
        "P2/T1.nii",
        "P2/my_LGE.nii",
        "P2/seg.nii",
        "P3/cine.nii",
        "P3/x.nii",
        "P3/x_gt.nii",
    )
    content = find_cases(tmp_path)
    assert pairs(content, tmp_path) == {
        "P1": ("P1/sax_stack.nii", "P1/drawn_by_me_seg.nii"),
        "P2": ("P2/my_LGE.nii", "P2/seg.nii"),
        "P3": ("P3/x.nii", "P3/x_gt.nii"),
    }
    assert [entry.name for entry in content.ignored] == ["P2/T1.nii", "P3/cine.nii"]


def test_stray_files_above_the_patients_cost_nothing_and_are_said(tmp_path):
    put(tmp_path, "template.nii.gz", "P1/image.nii", "P1/label.nii", "P1/old/image.nii", "P1/old/label.nii")
    content = find_cases(tmp_path)
    assert list(pairs(content, tmp_path)) == ["P1"]
    assert [(entry.name, entry.reason) for entry in content.ignored] == [
        ("template.nii.gz", "part of no case"),
        ("P1/old/image.nii", "part of no case"),
        ("P1/old/label.nii", "part of no case"),
    ]


def test_a_data_set_inside_is_not_mixed_with_the_patients(tmp_path):
    put(
        tmp_path,
        "P1/image.nii",
        "P1/label.nii",
        "nnunet/imagesTr/a_0000.nii",
        "nnunet/labelsTr/a.nii",
        "mine/lgesynthnet.json",
        "mine/a.nii",
    )
    content = find_cases(tmp_path)
    assert list(pairs(content, tmp_path)) == ["P1"]
    assert [entry.name for entry in content.ignored] == ["mine", "nnunet"]
    assert {entry.reason for entry in content.ignored} == {"a data set of its own; give that folder alone"}


def test_samples_of_a_run_that_lies_among_the_patients_are_not_read(tmp_path):
    put(tmp_path, "P1/image.nii", "P1/label.nii", "run/lgesynthnet-files.jsonl", "run/s1/image.nii", "run/s1/label.nii")
    assert list(pairs(find_cases(tmp_path), tmp_path)) == ["P1"]


def test_links_that_lead_back_end_there_and_links_to_data_are_followed(tmp_path):
    put(tmp_path, "hosts/P1/image.nii", "hosts/P1/label.nii", "far/P2/image.nii", "far/P2/label.nii")
    (tmp_path / "hosts" / "again").symlink_to(tmp_path / "hosts")
    (tmp_path / "hosts" / "P1" / "up").symlink_to("..")
    (tmp_path / "hosts" / "linked").symlink_to(tmp_path / "far" / "P2")
    content = find_cases(tmp_path / "hosts")
    assert list(pairs(content, tmp_path / "hosts")) == ["P1", "linked"]
    assert content.skipped == content.ignored == []


def test_a_tree_with_too_many_files_is_refused(tmp_path, monkeypatch):
    put(tmp_path, *(f"{folder}/{name}.txt" for folder in "abc" for name in "12345"))
    monkeypatch.setattr(listing, "MOST_BELOW", 12)
    with pytest.raises(InputError, match="holds more than 12 files; give the folder of the cases"):
        find_cases(tmp_path)


def test_files_of_other_systems_are_left_out_in_silence(tmp_path):
    put(
        tmp_path,
        "P1/image.nii",
        "P1/label.nii",
        "P1/._image.nii",
        "__MACOSX/P1/image.nii",
        ".cache/P9/image.nii",
        "P1/Thumbs.db",
        "notes.txt",
    )
    content = find_cases(tmp_path)
    assert list(pairs(content, tmp_path)) == ["P1"]
    assert content.skipped == content.ignored == []


def test_nnunet_says_what_it_leaves_out(tmp_path):
    put(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz", "imagesTs/b_0000.nii.gz", "extra/c.nii.gz")
    content = find_cases(tmp_path)
    assert list(pairs(content, tmp_path)) == ["a"]
    assert {entry.name: entry.reason.partition(";")[0] for entry in content.ignored} == {
        "imagesTr/a_0001.nii.gz": "another channel than late enhancement",
        "imagesTs/b_0000.nii.gz": "of nnU-Net's test set",
        "extra/c.nii.gz": "part of no case",
    }


@pytest.mark.parametrize(
    "files",
    [
        ("a.nii.gz", "b_LGE.nii.gz"),
        ("Images/a.nii.gz", "Images/b.nii.gz"),
        ("a/image.nii.gz", "b/LGE/x.nii.gz"),
        ("Case_a/Images/Case_a.nii.gz", "Case_b/Images/Case_b.nii.gz"),
        ("imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz"),
        ("site/a/x.nii.gz", "site/b/x.nii.gz"),
    ],
)
def test_images_alone_are_found_for_segment_and_refused_elsewhere_with_its_name(tmp_path, files):
    put(tmp_path, *files)
    content = find_images(tmp_path)
    assert pairs(content, tmp_path) == {"a": (files[0], None), "b": (files[1], None)}
    with pytest.raises(InputError) as caught:
        find_cases(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: holds images of 2 patients and no labels; ")
    assert str(caught.value).endswith(f"lgesynthnet segment {tmp_path} --out MASKS")


def test_labelled_and_unlabelled_patients_are_all_found_for_segment(tmp_path):
    put(tmp_path, "a.nii", "a_gt.nii", "b.nii")
    assert pairs(find_images(tmp_path), tmp_path) == {"a": ("a.nii", "a_gt.nii"), "b": ("b.nii", None)}
    content = find_cases(tmp_path)
    assert list(pairs(content, tmp_path)) == ["a"]
    assert "b.nii: its label file is missing" in reasons(content)["b"]


def test_the_folder_of_the_images_alone_is_answered_with_the_one_above(tmp_path):
    put(tmp_path, "imagesTr/a_0000.nii", "labelsTr/a.nii", "P/Images/b.nii", "P/labels/b.nii")
    for given, meant in ((tmp_path / "imagesTr", tmp_path), (tmp_path / "P" / "Images", tmp_path / "P")):
        with pytest.raises(InputError) as caught:
            find_cases(given)
        assert f"did you mean {meant}? " in str(caught.value)


@pytest.mark.parametrize("name", ["IM_0001.dcm", "a/b/IM1.DCM", "scan.IMA", "a/IM0001", "1.2.840.113"])
def test_dicom_is_called_by_its_name(tmp_path, name):
    put(tmp_path, "readme.txt", name)
    if Path(name).suffix.lower() not in (".dcm", ".ima"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM" + bytes(10))
    with pytest.raises(InputError) as caught:
        find_cases(tmp_path)
    assert f"it holds DICOM files (first: {name})" in str(caught.value)


def test_files_that_only_look_like_anything_are_not_called_dicom(tmp_path):
    put(tmp_path, "a.txt", "b", "c.bin")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError) as caught:
        find_cases(tmp_path)
    assert "holds DICOM" not in str(caught.value)
    assert "no cases were found; the known layouts are" in str(caught.value)


def test_matlab_files_are_called_by_their_name(tmp_path):
    put(tmp_path, "P1/data.mat")
    with pytest.raises(InputError, match=r"it holds \.mat files of MATLAB \(first: P1/data\.mat\)"):
        find_cases(tmp_path)


def test_verify_prints_one_warning_for_each_kind_of_unused_file(tmp_path):
    root = write_hosts(tmp_path / "hosts", 1, rv=True)
    put(root, *(f"Case_N001/old/{number:02d}.nii.gz" for number in range(12)), "raw/a.dcm", "raw/b.dcm")
    done = run_command("verify", root, "--quick")
    assert [line for line in done.stdout.splitlines() if line.startswith("warning")] == [
        "warning: hosts: 12 are not used (first: Case_N001/old/00.nii.gz): part of no case",
        "warning: hosts: 2 are not used (first: raw/a.dcm): DICOM, beside NIfTI files",
    ]
    assert done.returncode == 0
    assert "0 errors, 2 warnings" in done.stdout
