"""Every layout is recognised by its structure, files without a partner are listed, and unknown label ids are an error."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.data.label_maps import LABEL_MAPS, parse_label_map
from lgesynthnet.data.layouts.content import Layout
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label, Skipped, Stack

OURS = {0: Label.BACKGROUND, 1: Label.CAVITY, 2: Label.WALL}


def emidec(root, pair, names=("Case_P002", "Case_N001")):
    for name in names:
        pair(root / name / "Images" / f"{name}.nii.gz", root / name / "Contours" / f"{name}.nii.gz")


def two_folders(root, pair, names=("b", "a")):
    for name in names:
        pair(root / "images" / f"{name}.nii.gz", root / "labels" / f"{name}.nii.gz")


def nnunet(root, pair, labels, names=("heart_2", "heart_1")):
    for name in names:
        pair(root / "imagesTr" / f"{name}_0000.nii.gz", root / "labelsTr" / f"{name}.nii.gz")
    (root / "dataset.json").write_text(json.dumps({"channel_names": {"0": "LGE"}, "labels": labels, "file_ending": ".nii.gz"}))


def test_emidec_is_found_whatever_the_folder_is_called(tmp_path, pair):
    emidec(tmp_path / "Größe nnUNet imagesTr", pair)
    cohort = open_cohort(tmp_path / "Größe nnUNet imagesTr")
    assert cohort.layout is Layout.EMIDEC
    assert [case.patient for case in cohort.cases] == ["N001", "P002"]
    assert cohort.label_map == LABEL_MAPS["emidec"]
    first = next(iter(cohort.stacks()))
    assert isinstance(first, Stack)
    assert first.image.shape == (64, 64, 3)
    assert first.spacing_mm == (1.25, 1.5)  # (row, column): pixdim is (column, row)
    assert first.base_first is None


def test_two_folders_need_to_be_told_what_the_ids_mean(tmp_path, pair):
    two_folders(tmp_path, pair)
    with pytest.raises(InputError, match=r"--dataset emidec .* --labels 1=cavity,2=wall"):
        open_cohort(tmp_path)
    cohort = open_cohort(tmp_path, label_map=parse_label_map("1=cavity,2=wall"))
    assert cohort.layout is Layout.TWO_FOLDERS
    assert [case.patient for case in cohort.cases] == ["a", "b"]


def test_a_folder_of_ours_declares_itself_and_the_user_overrules_it(tmp_path, pair):
    two_folders(tmp_path, pair)
    write_declaration(tmp_path, labels="lgesynthnet", base_first=True)
    cohort = open_cohort(tmp_path)
    assert cohort.label_map == LABEL_MAPS["lgesynthnet"]
    assert cohort.base_first is True
    assert next(iter(cohort.stacks())).base_first is True
    overruled = open_cohort(tmp_path, dataset="acdc", base_first=False)
    assert overruled.label_map[1] is Label.RV
    assert overruled.base_first is False


def test_acdc_ids_are_not_read_as_emidec_ids(tmp_path, save, ring):
    swapped = np.array([0, 3, 2], np.uint8)[ring()].T[:, :, None]  # ACDC: 3 is the LV cavity
    save(tmp_path / "patient001" / "patient001_frame01.nii.gz", np.ones((64, 64, 1), np.int16))
    save(tmp_path / "patient001" / "patient001_frame01_gt.nii.gz", swapped)
    cohort = open_cohort(tmp_path, dataset="acdc")
    assert cohort.layout is Layout.PATIENT_FOLDERS
    [stack] = cohort.stacks()
    np.testing.assert_array_equal(stack.labels[:, :, 0], ring())
    assert cohort.cases[0].patient == "patient001"


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0, "cavity": 1, "normal_myocardium": 2, "scar": 3, "no-reflow": 4},
        {"0": "background", "1": "LV", "2": "MYO"},
        {"background": 0, "LVBP": 1, "LVM": 2, "RV": 3},
    ],
)
def test_nnunet_names_give_the_label_map(tmp_path, pair, labels):
    nnunet(tmp_path, pair, labels)
    cohort = open_cohort(tmp_path)
    assert cohort.layout is Layout.NNUNET
    assert [case.patient for case in cohort.cases] == ["heart_1", "heart_2"]
    assert cohort.label_map[1] is Label.CAVITY
    assert cohort.label_map[2] is Label.WALL


@pytest.mark.parametrize("labels", [{"background": 0, "blob": 1, "wall": 2}, {"background": 0, "wall": [1, 2], "cavity": 1}])
def test_nnunet_names_that_are_not_words_of_the_field_are_asked_for(tmp_path, pair, labels):
    nnunet(tmp_path, pair, labels)
    with pytest.raises(InputError, match="the meaning of its label ids is not known"):
        open_cohort(tmp_path)
    assert len(open_cohort(tmp_path, dataset="mnms")) == 2


def test_nnunet_reads_the_channel_that_is_late_enhancement(tmp_path, pair, save):
    nnunet(tmp_path, pair, {"background": 0, "cavity": 1, "wall": 2}, names=("h",))
    save(tmp_path / "imagesTr" / "h_0001.nii.gz", np.full((64, 64, 3), 77, np.int16))
    card = json.loads((tmp_path / "dataset.json").read_text())
    for names, says in (({"0": "T2", "1": "bSSFP"}, "which of the channels"), ({"0": "T2", "1": "LGE"}, None)):
        (tmp_path / "dataset.json").write_text(json.dumps(card | {"channel_names": names}))
        if says:
            with pytest.raises(InputError, match=says):
                open_cohort(tmp_path)
        else:
            [stack] = open_cohort(tmp_path).stacks()
            assert (stack.image == 77).all()


def test_nnunet_lists_of_files_elsewhere_are_followed(tmp_path, pair):
    pair(tmp_path / "far" / "x.nii.gz", tmp_path / "far" / "y.nii.gz")
    entry = {"images": ["../far/x.nii.gz"], "label": "../far/y.nii.gz"}
    card = {"labels": {"background": 0, "cavity": 1, "wall": 2}, "dataset": {"c1": entry, "c2": entry | {"label": "gone.nii.gz"}}}
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "dataset.json").write_text(json.dumps(card))
    cohort = open_cohort(tmp_path / "near")
    assert [case.patient for case in cohort.cases] == ["c1"]
    assert [skipped.name for skipped in cohort.skipped] == ["c2"]


@pytest.mark.parametrize(("image", "label"), [("X_image", "X_label"), ("X", "X_gt"), ("X", "X_label"), ("X_img", "X_seg")])
def test_one_folder_pairs_by_the_suffix_table(tmp_path, pair, image, label):
    pair(tmp_path / f"{image}.nii.gz", tmp_path / f"{label}.nii")
    cohort = open_cohort(tmp_path, dataset="emidec")
    assert cohort.layout is Layout.ONE_FOLDER
    assert [(case.patient, case.image_path.name) for case in cohort.cases] == [("X", f"{image}.nii.gz")]


def test_patient_folders_with_plain_names(tmp_path, pair):
    for name in ("SC-1", "SC-2"):
        pair(tmp_path / name / "image.nii.gz", tmp_path / name / "label.nii.gz")
    cohort = open_cohort(tmp_path, dataset="emidec")
    assert cohort.layout is Layout.PATIENT_FOLDERS
    assert [case.patient for case in cohort.cases] == ["SC-1", "SC-2"]


def test_one_patient_never_becomes_two(tmp_path, pair):
    for phase in ("frame01", "frame12"):
        pair(tmp_path / "p1" / f"p1_{phase}.nii.gz", tmp_path / "p1" / f"p1_{phase}_gt.nii.gz")
    cohort = open_cohort(tmp_path, dataset="acdc")
    assert [(case.patient, case.image_path.name) for case in cohort.cases] == [("p1", "p1_frame01.nii.gz")]
    assert [skipped.name for skipped in cohort.skipped] == ["p1/p1_frame12"]


def test_two_files_of_one_case_are_not_chosen_from_in_silence(tmp_path, pair):
    pair(tmp_path / "X.nii.gz", tmp_path / "X_gt.nii.gz")
    pair(tmp_path / "Y.nii", tmp_path / "Y_gt.nii.gz")
    pair(tmp_path / "X.nii", tmp_path / "Z_gt.nii.gz")
    cohort = open_cohort(tmp_path, dataset="emidec")
    assert [case.patient for case in cohort.cases] == ["Y"]
    reasons = {skipped.name: skipped.reason for skipped in cohort.skipped}
    assert "X.nii.gz is the image of the same case; keep one of them" in reasons["X"]


def test_a_missing_partner_is_listed_with_its_file_and_the_others_go_on(tmp_path, pair):
    emidec(tmp_path, pair, ("Case_A", "Case_B", "Case_C", "Case_D"))
    (tmp_path / "Case_B" / "Contours" / "Case_B.nii.gz").unlink()
    shutil.rmtree(tmp_path / "Case_C" / "Images")
    (tmp_path / "Case_D" / "Images" / "Case_D.nii.gz").unlink()
    (tmp_path / "Case_D" / "Contours" / "Case_D.nii.gz").unlink()
    cohort = open_cohort(tmp_path)
    assert [case.patient for case in cohort.cases] == ["A"]
    reasons = {skipped.name: skipped.reason for skipped in cohort.skipped}
    assert "label file is missing" in reasons["B"]
    assert "Case_B.nii.gz" in reasons["B"]
    assert "image file is missing" in reasons["Case_C"]
    assert "hold no file named like the case" in reasons["Case_D"]


def test_a_broken_case_comes_out_as_skipped_between_the_whole_ones(tmp_path, pair):
    emidec(tmp_path, pair, ("Case_A", "Case_B", "Case_C"))
    broken = tmp_path / "Case_B" / "Images" / "Case_B.nii.gz"
    broken.write_bytes(broken.read_bytes()[:500])
    out = list(open_cohort(tmp_path).stacks())
    assert [type(item) for item in out] == [Stack, Skipped, Stack]
    assert out[1].name == "B"
    assert "Case_B.nii.gz" in out[1].reason


def test_hidden_files_are_not_cases(tmp_path, pair):
    two_folders(tmp_path, pair, ("a",))
    (tmp_path / "images" / "._a.nii.gz").write_bytes(b"resource fork")
    cohort = open_cohort(tmp_path, dataset="emidec")
    assert (len(cohort), cohort.skipped) == (1, [])


def test_an_empty_or_missing_folder_names_the_layouts(tmp_path):
    with pytest.raises(InputError) as caught:
        open_cohort(tmp_path)
    for layout in Layout:
        assert layout in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(InputError, match="does not exist"):
        open_cohort(tmp_path / "nowhere")


def test_the_folder_above_a_data_set_is_answered_with_the_folder_meant(tmp_path, pair):
    nnunet(tmp_path / "inner", pair, {"background": 0, "cavity": 1, "wall": 2})
    with pytest.raises(InputError, match=r"did you mean .*inner\?"):
        open_cohort(tmp_path)


def test_declarations_that_make_no_sense_are_refused(tmp_path, pair):
    two_folders(tmp_path, pair)
    for text in ("{", "[]", "{}", '{"lgesynthnet": {"labels": "other"}}', '{"lgesynthnet": {"labels": "emidec", "base_first": "yes"}}'):
        (tmp_path / "lgesynthnet.json").write_text(text)
        with pytest.raises(InputError, match=r"lgesynthnet\.json"):
            open_cohort(tmp_path)


def test_landmarks_reach_their_slices(tmp_path, pair):
    emidec(tmp_path, pair)
    marks = tmp_path / "marks.csv"
    marks.write_text("case,slice,anterior_deg,inferior_deg,who\nCase_N001,2,140,250.5,x\nN001,0,130,240,y\n", encoding="utf-8-sig")
    cohort = open_cohort(tmp_path, landmarks=marks)
    assert cohort.stack("N001").insertions_deg == {2: (140.0, 250.5), 0: (130.0, 240.0)}
    assert cohort.stack("P002").insertions_deg == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("case,slice,anterior_deg\n", "has no column inferior_deg"),
        ("case,slice,anterior_deg,inferior_deg\nN001,a,1,2\n", "line 2"),
        ("case,slice,anterior_deg,inferior_deg\nN001,0,1,nan\n", "line 2"),
        ("case,slice,anterior_deg,inferior_deg\nN001,0,1,2\nN001,0,1,2\n", "line 3: slice 0 of N001 is listed twice"),
        ("case,slice,anterior_deg,inferior_deg\nZ,0,1,2\n", "names no patient of"),
    ],
)
def test_landmarks_that_make_no_sense_are_refused(tmp_path, pair, text, says):
    emidec(tmp_path, pair)
    (tmp_path / "marks.csv").write_text(text)
    with pytest.raises(InputError, match=says):
        open_cohort(tmp_path, landmarks=tmp_path / "marks.csv")


def test_landmarks_of_a_misspelt_patient_are_named(tmp_path, pair):
    emidec(tmp_path, pair)
    (tmp_path / "marks.csv").write_text("case,slice,anterior_deg,inferior_deg\nN001,0,120,240\nP0O2,0,120,240\n")
    [entry] = open_cohort(tmp_path, landmarks=tmp_path / "marks.csv").ignored
    assert (entry.name, entry.reason) == ("P0O2", "only the landmarks name this patient")


def test_a_landmark_on_a_slice_that_is_not_there_skips_that_case(tmp_path, pair):
    emidec(tmp_path, pair)
    (tmp_path / "marks.csv").write_text("case,slice,anterior_deg,inferior_deg\nN001,3,1,2\n")
    first, second = open_cohort(tmp_path, landmarks=tmp_path / "marks.csv").stacks()
    assert "landmarks name slice 3 of N001, which has 3 slices" in first.reason
    assert isinstance(second, Stack)
