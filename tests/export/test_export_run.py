"""Exports of a run: nnU-Net accepts them, and no host of a training sample validates."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import LGESynthNetError, RunError
from lgesynthnet.export.request import ExportRequest, NnunetRequest
from lgesynthnet.export.run import export_nifti, export_nnunet
from lgesynthnet.files.manifest import MANIFEST
from lgesynthnet.phantom.cohort import simulate_patients
from lgesynthnet.records import Label
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.synthesize import synthesize
from lgesynthnet.tables import csv_text
from lgesynthnet.terms import Classes, LabelKind, Prior


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Four simulated patients, two with scar; every one has slices to paint into."""
    return simulate_patients(tmp_path_factory.mktemp("exported") / "hosts", patients=4, seed=3, positive=0.5)


@pytest.fixture(scope="module")
def painted(cohort) -> Path:
    """Eight kept samples, none of them in N004."""
    hosts = CohortSource(root=cohort, patients=("P001", "P002", "N003"))
    request = SynthesisRequest(hosts=hosts, count=8, model="paste", prior=Prior.ISCHAEMIC)
    synthesize(plan_synthesis(request), cohort.parent / "run")
    return cohort.parent / "run"


@pytest.fixture
def request_for(painted, tmp_path):
    return lambda **changes: NnunetRequest(
        **{"run": painted, "out": tmp_path / "raw", "dataset_id": 501, "folds": 2, "keep_names": True, **changes}
    )


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def dataset_json(folder: Path) -> dict:
    return json.loads((folder / "dataset.json").read_text())


def splits_of(folder: Path) -> list[dict[str, list[str]]]:
    return json.loads((folder / "splits_final.json").read_text())


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_layout_is_that_of_nnunet_and_image_and_label_share_their_geometry(request_for, painted, cohort):
    folder = export_nnunet(request_for()).folder
    assert folder.name == "Dataset501_LGESynthNet"
    content = dataset_json(folder)
    assert content["channel_names"] == {"0": "LGE"}
    assert content["labels"] == {"background": 0, "cavity": 1, "wall": 2, "scar": 3, "no-reflow": 4, "rv": 5}
    names = sorted(path.name.removesuffix("_0000.nii.gz") for path in (folder / "imagesTr").iterdir())
    assert names == sorted(path.name.removesuffix(".nii.gz") for path in (folder / "labelsTr").iterdir())
    assert content["numTraining"] == len(names)
    stacks = {case.patient: nib.load(case.image_path) for case in open_cohort(cohort).cases}
    for row in rows(folder):
        image, label = nib.load(folder / row["image_file"]), nib.load(folder / row["label_file"])
        stack, index = stacks[row["patient"]], int(row["slice"])
        assert image.shape == label.shape == (*stack.shape[:2], 1)
        np.testing.assert_array_equal(image.affine, label.affine)
        np.testing.assert_allclose(image.affine @ (5, 7, 0, 1), stack.affine @ (5, 7, index, 1), atol=1e-4)
        np.testing.assert_array_equal(image.header.get_zooms(), stack.header.get_zooms())
        same = np.array_equal(np.asarray(image.dataobj)[..., 0], np.asarray(stack.dataobj)[..., index])
        assert same is (row["origin"] == "real")


def test_synthetic_cases_are_the_runs_own_files_marked_and_with_their_recipe(request_for, painted):
    folder = export_nnunet(request_for()).folder
    synthetic = [row for row in rows(folder) if row["origin"] == "synthetic"]
    assert len(synthetic) == 8
    assert [row["id"] for row in synthetic] == dataset_json(folder)["lgesynthnet"]["synthetic"]
    for row in synthetic:
        name = f"{row['sample']}.nii.gz"
        assert row["id"] == f"syn_{row['patient']}_s{int(row['slice']):02d}_{row['sample']}"
        assert (folder / row["image_file"]).read_bytes() == (painted / "images" / name).read_bytes()
        np.testing.assert_array_equal(voxels(folder / row["label_file"]), voxels(painted / "labels" / name))
        for file in (row["image_file"], row["label_file"]):
            header = nib.load(folder / file).header
            assert bytes(header["descrip"]).startswith(b"SYNTHETIC")
            assert b"SYNTHETIC" in bytes(header["intent_name"])
        assert json.loads(row["prescription"])["segments"]
        assert (row["verdict"], row["label"]) == ("kept", "intended")
    origin = dataset_json(folder)["lgesynthnet"]
    plan = json.loads((painted / "plan.json").read_text())
    assert (origin["generator"], origin["filter"], origin["hosts"]) == (
        plan["generator_fingerprint"],
        plan["filter_fingerprint"],
        plan["hosts_fingerprint"],
    )


def test_no_host_of_a_synthetic_training_case_validates(request_for):
    folder = export_nnunet(request_for()).folder
    patient_of = {row["id"]: row["patient"] for row in rows(folder)}
    folds = splits_of(folder)
    assert len(folds) == 2
    for fold in folds:
        assert not [name for name in fold["val"] if name.startswith("syn_")]
        hosts = {patient_of[name] for name in fold["train"] if name.startswith("syn_")}
        assert hosts
        assert {patient_of[name] for name in fold["train"]}.isdisjoint(patient_of[name] for name in fold["val"])
    assert {name for fold in folds for name in fold["val"]} == {name for name in patient_of if name.startswith("real_")}


def test_a_file_of_parts_makes_one_fold_and_leaves_the_others_out(request_for, tmp_path):
    parts = tmp_path / "splits.json"
    parts.write_text(json.dumps({"train": ["Case_P001", "P002"], "val": ["N003"], "test": ["N004"]}))
    done = export_nnunet(request_for(splits=parts, folds=None))
    [fold] = splits_of(done.folder)
    patients = {row["id"]: row["patient"] for row in rows(done.folder)}
    assert {patients[name] for name in fold["train"]} == {"P001", "P002"}
    assert {patients[name] for name in fold["val"]} == {"N003"}
    assert set(patients.values()) == {"P001", "P002", "N003"}  # nnU-Net must not even plan with the test patients
    assert not [name for name in patients if name.startswith("syn_N003")]
    assert any("were left out" in note for note in done.notes)


def test_without_splits_or_folds_the_splits_of_the_run_are_taken(cohort, tmp_path):
    """A forgotten --splits must not bring test patients into the folds."""
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps({"train": ["P001", "N003"], "val": ["N004"], "test": ["P002"]}))
    request = SynthesisRequest(hosts=CohortSource(root=cohort), count=2, model="paste", prior=Prior.ISCHAEMIC, keep_all=True, splits=splits)
    synthesize(plan_synthesis(request), tmp_path / "run")
    export = NnunetRequest(run=tmp_path / "run", out=tmp_path / "raw", dataset_id=501, keep_names=True)
    result = export_nnunet(export)
    assert {row["patient"] for row in rows(result.folder)} == {"P001", "N003", "N004"}
    assert any("with which the run was painted" in note for note in result.notes)
    splits.unlink()
    with pytest.raises(RunError, match=r"splits\.json: the run was painted with these splits"):
        export_nnunet(replace(export, dataset_id=502))
    assert {row["patient"] for row in rows(export_nnunet(replace(export, dataset_id=502, folds=2)).folder)} > {"P002"}


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"train": ["P001", "N003"], "val": ["N004"], "audit": ["P002"]}, "P002 is in the part audit.*synthesize --splits .* --part train"),
        ({"train": ["P001", "P002"], "val": ["N004"]}, "N003 is in no part"),
        ({"train": ["P001", "P002", "N003", "N004"]}, 'no patients in "val"'),
    ],
)
def test_a_run_that_painted_into_a_test_patient_is_refused(request_for, tmp_path, parts, named):
    (tmp_path / "splits.json").write_text(json.dumps(parts))
    with pytest.raises(RunError, match=named):
        export_nnunet(request_for(splits=tmp_path / "splits.json", folds=None))
    assert not (tmp_path / "raw").exists()


def test_few_patients_make_as_many_folds_as_there_are_patients(request_for):
    result = export_nnunet(request_for(folds=None))
    assert len(json.loads((result.folder / "splits_final.json").read_text())) == 4
    assert "4 folds, one for each of the 4 real patients" in result.notes


def test_the_same_export_twice_is_the_same_folder_and_another_one_is_refused(request_for, tmp_path):
    folder = export_nnunet(request_for()).folder
    before = files_of(folder)
    assert "nothing was written" in export_nnunet(request_for()).notes[-1]
    elsewhere = export_nnunet(request_for(out=tmp_path / "other")).folder
    assert files_of(elsewhere) == files_of(folder) == before
    for change, named in (
        ({"classes": Classes.SCAR}, "classes was all and is now scar"),
        ({"synthetic_share": 0.1}, "synthetic_share was None and is now 0.1"),
        ({"name": "Second"}, "already has the number 501"),
    ):
        with pytest.raises(RunError, match=named):
            export_nnunet(request_for(**change))


def test_missing_and_damaged_files_of_an_export_are_written_again_and_foreign_ones_stay(request_for):
    folder = export_nnunet(request_for()).folder
    before = files_of(folder)
    label, image = folder / "labelsTr/real_N003_s00.nii.gz", folder / "imagesTr/real_N003_s00_0000.nii.gz"
    label.unlink()
    image.write_bytes(image.read_bytes()[:-9] + b"corrupted")
    (folder / "notes.txt").write_text("mine")
    [note] = [note for note in export_nnunet(request_for()).notes if "missing or damaged" in note]
    assert "imagesTr/real_N003_s00_0000.nii.gz, labelsTr/real_N003_s00.nii.gz" in note
    after = files_of(folder)
    assert after.pop("notes.txt") == b"mine"
    assert after.pop("imagesTr/real_N003_s00_0000.nii.gz.set-aside").endswith(b"corrupted")
    assert after == before


def test_a_folder_that_version_010_exported_is_refused_with_the_reason(request_for):
    folder = export_nnunet(request_for()).folder
    (folder / MANIFEST).unlink()
    before = files_of(folder)
    with pytest.raises(RunError, match=r"version 0\.1\.0 wrote none"):
        export_nnunet(request_for())
    assert files_of(folder) == before


@pytest.mark.parametrize("column", ["host", "id", "file"])
@pytest.mark.parametrize("name", ["../../../climbed", "/climbed", "..", "a/b", "", "a\tb", "x" * 300])
def test_names_in_the_table_of_a_run_cannot_lead_out_of_the_export(painted, tmp_path, column, name):
    run = shutil.copytree(painted, tmp_path / "deep" / "run")
    with (run / "samples.csv").open(newline="", encoding="utf-8") as lines:
        table = list(csv.DictReader(lines))
    if column == "file":
        name += ".nii.gz" if name else "../x"
    table[0][column] = name
    (run / "samples.csv").write_text(csv_text(tuple(table[0]), [row.values() for row in table]))
    around = {path for path in tmp_path.rglob("*") if run not in path.parents}
    for export in (lambda: export_nifti(ExportRequest(run=run, no_real=True), tmp_path / "deep" / "out"),
                   lambda: export_nnunet(NnunetRequest(run=run, no_real=True, out=tmp_path / "deep" / "out", dataset_id=3))):  # fmt: skip
        with pytest.raises(LGESynthNetError):
            export()
    assert {path for path in tmp_path.rglob("*") if run not in path.parents} == around


def test_cases_that_no_fold_uses_are_left_out(request_for):
    done = export_nnunet(request_for(synthetic_share=0.0))
    assert not [row for row in rows(done.folder) if row["origin"] == "synthetic"]
    assert dataset_json(done.folder)["numTraining"] == len(rows(done.folder))
    repeated = export_nnunet(request_for(synthetic_share=0.5, repeat=True, dataset_id=502))
    for fold in splits_of(repeated.folder):
        assert sum(name.startswith("syn_") for name in fold["train"]) * 2 == len(fold["train"])
    assert any("before 2.6" in note for note in repeated.notes)


def test_without_real_slices_there_is_nothing_to_validate_on(request_for, painted):
    done = export_nnunet(request_for(no_real=True, folds=None))
    assert {row["origin"] for row in rows(done.folder)} == {"synthetic"}
    assert not (done.folder / "splits_final.json").exists()
    with pytest.raises(RunError, match="--no-real"):
        export_nnunet(request_for(no_real=True))


def test_hosts_that_are_not_among_the_real_patients_are_reported(request_for, painted, tmp_path):
    others = simulate_patients(tmp_path / "others", patients=2, seed=8, positive=1.0)
    for path in sorted(others.glob("Case_*")):  # other people, so other names
        for file in path.rglob("*.nii.gz"):
            file.rename(file.with_name(file.name.replace("Case_P", "Case_Q")))
        path.rename(path.with_name(path.name.replace("Case_P", "Case_Q")))
    done = export_nnunet(request_for(data=CohortSource(root=others)))
    hosts = {row["patient"] for row in rows(done.folder) if row["origin"] == "synthetic"}
    [note] = [note for note in done.notes if "are not among the real patients" in note]
    assert all(host in note for host in hosts)
    assert all(sum(name.startswith("syn_") for name in fold["train"]) == 8 for fold in splits_of(done.folder))


def test_pairs_are_read_back_by_this_program_with_the_label_that_was_chosen(painted, tmp_path):
    source = ExportRequest(run=painted, label=LabelKind.READ)
    done = export_nifti(source, tmp_path / "pairs")
    assert "nothing was written" in export_nifti(source, tmp_path / "pairs").notes[-1]
    back = open_cohort(tmp_path / "pairs")
    assert len(back) == done.cases == len(rows(done.folder))
    for row in rows(done.folder):
        if row["origin"] == "synthetic":
            assert row["label"] == "read"
            read = voxels(painted / "read" / f"{row['sample']}.nii.gz")[..., 0].T
            np.testing.assert_array_equal(back.stack(row["id"])[0].scar, read > 0)
    intended = export_nifti(replace(source, label=LabelKind.INTENDED), tmp_path / "intended")
    assert any((voxels(done.folder / row["label_file"]) != voxels(intended.folder / row["label_file"])).any() for row in rows(done.folder))
    text = (done.folder / "README.txt").read_text()
    assert "copies under their own licence" in text
    assert "SYNTHETIC" in text


def test_a_damaged_sample_or_folder_leaves_nothing_behind(painted, tmp_path):
    broken = shutil.copytree(painted, tmp_path / "run")
    next((broken / "labels").iterdir()).unlink()
    with pytest.raises(RunError, match="cannot be read back"):
        export_nifti(ExportRequest(run=broken), tmp_path / "out")
    with pytest.raises(LGESynthNetError, match="not a run folder"):
        export_nifti(ExportRequest(run=tmp_path), tmp_path / "out")
    moved = json.loads((painted / "plan.json").read_text())
    moved["request"]["hosts"]["root"] = str(tmp_path / "gone")
    shutil.copy(painted / "plan.json", broken / "plan.json")
    (broken / "plan.json").write_text(json.dumps(moved))
    shutil.copytree(painted / "labels", broken / "labels", dirs_exist_ok=True)
    with pytest.raises(LGESynthNetError, match="--data"):
        export_nifti(ExportRequest(run=broken), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_slice_distance_below_the_pixel_size_is_refused(request_for, cohort, painted, tmp_path):
    thin = shutil.copytree(cohort, tmp_path / "thin")
    for path in thin.rglob("*.nii.gz"):
        image = nib.load(path)
        affine = image.affine @ np.diag([1, 1, 0.05, 1])
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine, image.header), path)
    with pytest.raises(LGESynthNetError, match="another axis"):
        export_nnunet(request_for(data=CohortSource(root=thin)))


@pytest.mark.skipif(importlib.util.find_spec("nnunetv2") is None, reason="nnunetv2 is not installed, see docs/export.md")
@pytest.mark.parametrize("origin_channel", [False, True])
@pytest.mark.parametrize("classes", list(Classes))
def test_nnunets_own_check_finds_nothing(request_for, tmp_path, monkeypatch, classes, origin_channel, capsys):
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setitem(os.environ, f"nnUNet_{name}", str(tmp_path / name))
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    folder = export_nnunet(request_for(classes=classes, origin_channel=origin_channel)).folder
    verify_dataset_integrity(str(folder), num_processes=1)
    output = capsys.readouterr().out
    assert "Done" in output
    assert "Error" not in output
    assert "Warning" not in output
    if origin_channel:
        from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero
        from nnunetv2.preprocessing.normalization.map_channel_name_to_normalization import get_normalization_scheme

        assert [get_normalization_scheme(name).__name__ for name in dataset_json(folder)["channel_names"].values()] == [
            "ZScoreNormalization",
            "NoNormalization",
        ]
        for row in rows(folder):
            image, origin = (nib.load(folder / "imagesTr" / f"{row['id']}_000{n}.nii.gz").get_fdata() for n in (0, 1))
            assert crop_to_nonzero(np.stack([image, origin]))[2] == crop_to_nonzero(image[None])[2]
    assert max(voxels(path).max() for path in (folder / "labelsTr").iterdir()) == (1 if classes is Classes.SCAR else Label.RV)
