"""`segment --model` draws cavity, wall and scar where the image lies, says that a network drew, and refuses what does not fit."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from dicom_files import patient, save, series, write_icontours
from factories import run_command, write_patient

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.phantom.cohort import CohortSettings, write_cohort
from lgesynthnet.segmenter.downstream import DownstreamSegmenter, DownstreamSettings, OperatingPoint, build_downstream, shipped_finder
from lgesynthnet.terms import WallFrom


def save_model(folder: Path, wall_from: WallFrom) -> Path:
    """A tiny segmenter with random weights, which calls a part of the wall scar."""
    torch.manual_seed(5)
    finder = shipped_finder()
    settings = DownstreamSettings(
        role="downstream-segmenter",
        wall_from=wall_from,
        filters=(4, 8, 8),
        side=64,
        views=8,
        points=(OperatingPoint(false_positive_rate=0.1, least_area_mm2=1e5), OperatingPoint(false_positive_rate=0.2, least_area_mm2=0.0)),
        finder=finder.fingerprint,
    )
    wall = None
    if wall_from is WallFrom.CASCADE:
        crop = settings.model_copy(update={"wall_from": WallFrom.CROP, "points": ()})
        wall = DownstreamSegmenter(build_downstream((4, 8, 8), WallFrom.CROP), crop, finder)
    network = build_downstream((4, 8, 8), wall_from)
    DownstreamSegmenter(network, settings, finder, wall_segmenter=wall).save(folder)
    return folder


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom") / "ph"
    write_cohort(root, CohortSettings(patients=2, seed=11, positive=1.0, non_ischaemic=0.0), workers=1)
    return root


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """One image, A as its scanner stored it, B with its axes exchanged and reversed; both affines are honest."""
    root = tmp_path_factory.mktemp("scans")
    stored = nib.load(write_patient(root / "emidec", "A", seed=3, scar=True))
    labels = nib.load(root / "emidec" / "Case_A" / "Contours" / "Case_A.nii.gz")
    for folder, image in (("images", stored), ("labels", labels)):
        (root / folder).mkdir()
        voxels, affine = np.asarray(image.dataobj), image.affine.copy()
        nib.save(nib.Nifti1Image(voxels, affine), root / folder / "A.nii.gz")
        turned = affine.copy()
        turned[:3, 0], turned[:3, 1] = affine[:3, 1], -affine[:3, 0]
        turned[:3, 3] += affine[:3, 0] * (voxels.shape[0] - 1)
        nib.save(nib.Nifti1Image(np.ascontiguousarray(turn(voxels)), turned), root / folder / "B.nii.gz")
    return root


def turn(voxels: np.ndarray) -> np.ndarray:
    """(column, row, slice) of A to that of B."""
    return voxels.transpose(1, 0, 2)[:, ::-1]


@pytest.fixture(scope="module")
def known_wall(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model") / "known", WallFrom.KNOWN_WALL)


@pytest.fixture(scope="module")
def crop(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model") / "crop", WallFrom.CROP)


@pytest.fixture(scope="module")
def drawn(scans, known_wall, tmp_path_factory):
    out = tmp_path_factory.mktemp("drawn") / "masks"
    words = (
        "segment",
        scans / "images",
        "--model",
        known_wall,
        "--wall",
        scans / "labels",
        "--labels",
        "1=cavity,2=wall,3=scar",
        "--out",
        out,
    )
    done = run_command(*words)
    assert done.returncode == 0, done.stderr
    assert "not for diagnosis" in done.stderr
    return out


def masks_of(out: Path) -> dict[str, np.ndarray]:
    return {path.name[0]: np.asarray(nib.load(path).dataobj) for path in sorted((out / "labels").glob("*.nii.gz"))}


def test_masks_lie_in_the_grid_of_the_image_however_it_is_stored(scans, drawn):
    masks = masks_of(drawn)
    for name in ("A", "B"):
        image, mask = nib.load(scans / "images" / f"{name}.nii.gz"), nib.load(drawn / "labels" / f"{name}.nii.gz")
        assert mask.shape == image.shape
        np.testing.assert_array_equal(mask.affine, image.affine)
    assert (masks["A"] == 3).any()
    assert masks["A"].shape == masks["B"].shape  # or the comparison below would not see exchanged axes of a square image
    np.testing.assert_array_equal(turn(masks["A"]), masks["B"])
    assert not np.array_equal(masks["A"], masks["B"])


def test_cavity_and_wall_are_those_that_were_given(scans, drawn):
    for name, mask in masks_of(drawn).items():
        given = np.asarray(nib.load(scans / "labels" / f"{name}.nii.gz").dataobj)
        np.testing.assert_array_equal(mask == 1, given == 1)
        np.testing.assert_array_equal(mask >= 2, given >= 2)
        assert not np.array_equal(mask == 3, given == 3)  # the scar of the labels is not looked at


def test_the_table_holds_the_volume_and_the_share_of_the_wall(drawn):
    with (drawn / "patients.csv").open(newline="") as stream:
        rows = {row["patient"]: row for row in csv.DictReader(stream)}
    for name, mask in masks_of(drawn).items():
        scar, wall = np.isin(mask, (3, 4)), mask >= 2
        assert float(rows[name]["scar_burden"]) == pytest.approx(scar.sum() / wall.sum(), abs=1e-4)
        assert float(rows[name]["scar_ml"]) == pytest.approx(scar.sum() * 1.5 * 1.5 * 10 / 1000, abs=1e-3)
        assert int(rows[name]["scarred"]) == scar.any(axis=(0, 1)).sum()


def test_a_network_is_named_as_the_drawer_and_its_masks_are_no_truth(drawn, tmp_path):
    record = json.loads((drawn / "lgesynthnet.json").read_text())["lgesynthnet"]
    assert record["drawn_by"].startswith("downstream-segmenter-")
    assert record["least_area_mm2"] == 0.0
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps({"train": ["A"], "val": ["B"], "test": []}))
    compared = run_command("benchmark", "utility", "--data", drawn, "--splits", splits, "--out", tmp_path / "u", "--dry-run")
    assert compared.returncode == 2
    assert "no ground truth" in compared.stderr
    words = ("--data", drawn, "--init", "none", "--recipe", "tiny", "--out", tmp_path / "seg", "--dry-run", "--workers", 1)
    planned = run_command("train", "downstream", *words)
    assert planned.returncode == 0, planned.stderr
    assert f"drawn by the network {record['drawn_by']} and are no ground truth" in planned.stdout


def test_a_crop_model_draws_without_contours_and_a_false_positive_rate_chooses_how_much(patients, crop, tmp_path):
    burden = {}
    for rate in ("0.1", "0.2"):
        out = tmp_path / rate
        done = run_command("segment", patients, "--model", crop, "--false-positive-rate", rate, "--out", out)
        assert done.returncode == 0, done.stderr
        masks = [np.asarray(nib.load(path).dataobj) for path in (out / "labels").glob("*.nii.gz")]
        assert len(masks) == 2
        burden[rate] = sum(int((mask >= 3).sum()) for mask in masks) / sum(int((mask >= 2).sum()) for mask in masks)
        assert all(mask.max() < 5 for mask in masks)  # no RV
    assert burden["0.1"] == 0
    assert burden["0.2"] > 0
    again = run_command("segment", patients, "--model", crop, "--out", tmp_path / "0.1")
    assert again.returncode == 2
    assert "choose another --out" in again.stderr


def test_a_cascade_draws(patients, tmp_path):
    model = save_model(tmp_path / "cascade", WallFrom.CASCADE)
    one = open_cohort(patients).cases[0].patient
    done = run_command("segment", patients, "--patient", one, "--model", model, "--out", tmp_path / "masks")
    assert done.returncode in (0, 2)  # a random network may find no heart; it says so
    assert done.returncode == 0 or "no heart was found" in done.stderr


@pytest.mark.parametrize(
    ("kind", "words", "cause"),
    [
        ("known", (), "add --wall"),
        ("crop", ("--wall", "LABELS"), "leave --wall out"),
        ("crop", ("--false-positive-rate", "0.3"), "give 0.1 or 0.2"),
        ("crop", ("--labels", "1=cavity,2=wall"), "--wall is not given"),
        ("known", ("--wall", "LABELS"), "the meaning of its label ids is not known"),
        ("known", ("--wall", "EMPTY"), "holds no label files"),
        (None, ("--false-positive-rate", "0.1"), "give it with --model"),
        (None, ("--wall", "LABELS"), "give it with --model"),
    ],
)
def test_what_does_not_fit_is_one_line_with_a_remedy(kind, words, cause, scans, crop, known_wall, tmp_path):
    (tmp_path / "empty").mkdir()
    places = {"LABELS": scans / "labels", "EMPTY": tmp_path / "empty"}
    model = () if kind is None else ("--model", {"crop": crop, "known": known_wall}[kind])
    done = run_command("segment", scans / "images", *model, *(places.get(word, word) for word in words), "--out", tmp_path / "masks")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert cause in line
    assert not (tmp_path / "masks").exists()


def test_a_patient_without_a_wall_is_named_and_the_others_are_drawn(scans, known_wall, tmp_path):
    shutil.copytree(scans / "labels", tmp_path / "labels")
    (tmp_path / "labels" / "B.nii.gz").unlink()
    words = ("--model", known_wall, "--wall", tmp_path / "labels", "--dataset", "emidec", "--out", tmp_path / "masks")
    done = run_command("segment", scans / "images", *words)
    assert done.returncode == 0, done.stderr
    assert "holds no wall of B" in done.stderr
    assert list(masks_of(tmp_path / "masks")) == ["A"]


def test_walls_may_be_patients_with_labels_in_any_layout(scans, known_wall, drawn, tmp_path):
    words = ("--model", known_wall, "--wall", scans / "emidec", "--out", tmp_path / "masks")
    done = run_command("segment", scans / "images", "--patient", "A", *words)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(masks_of(tmp_path / "masks")["A"], masks_of(drawn)["A"])


def test_contours_of_dicom_images_are_walls(known_wall, tmp_path):
    who = patient(seed=3)
    paths = save(series(who, PatientID="A17", PatientName="A17"), tmp_path / "scans" / "A17", name="IM-0001-0")
    write_icontours(who, tmp_path / "contours" / "A17", [path.stem for path in paths])
    words = ("--model", known_wall, "--wall", tmp_path / "contours", "--out", tmp_path / "masks")
    done = run_command("segment", tmp_path / "scans", *words)
    assert done.returncode == 0, done.stderr
    [mask] = masks_of(tmp_path / "masks").values()
    assert (mask == 1).any(axis=(0, 1)).all()
    assert (mask >= 2).any(axis=(0, 1)).all()


HARM = {
    "cut off": lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-8]),
    "another finder": lambda folder: change(folder, finder="heart-segmenter-000000000000"),
    "another role": lambda folder: change(folder, role="heart-segmenter"),
    "a least area below 0": lambda folder: change(folder, least_area_mm2=-2),
    "another size": lambda folder: change(folder, filters=[4, 8, 16]),
    "a huge size": lambda folder: change(folder, filters=[1024] * 8, side=512),
    "unknown settings": lambda folder: change(folder, python="import os"),
    "code": lambda folder: change(folder, auto_map={"x": "y"}),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "no settings": lambda folder: (folder / "config.json").unlink(),
    "a pipe": lambda folder: ((folder / "config.json").unlink(), __import__("os").mkfifo(folder / "config.json")),
}


def change(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_or_hostile_model_is_refused_in_one_line(harm, scans, crop, tmp_path):
    folder = tmp_path / "seg"
    shutil.copytree(crop, folder)
    HARM[harm](folder)
    done = run_command("segment", scans / "images", "--model", folder, "--out", tmp_path / "masks")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert str(folder) in line
    assert not (tmp_path / "masks").exists()


def be_interrupted(folder: Path) -> None:
    with claimed(folder, FolderKind.MODEL):
        save_model(folder, WallFrom.CROP)
        raise KeyboardInterrupt


def test_a_model_that_is_being_written_is_refused(scans, crop, tmp_path):
    folder = tmp_path / "seg"
    with pytest.raises(KeyboardInterrupt):
        be_interrupted(folder)
    done = run_command("segment", scans / "images", "--model", folder, "--out", tmp_path / "masks")
    assert done.returncode == 2
    assert "interrupted" in done.stderr
