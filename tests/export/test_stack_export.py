"""Exports of whole hearts: nnU-Net accepts the stacks, they lie where the hosts lie, and slices of a stack are exported one by one."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_files import Patient, patient, save, series
from factories import DTYPES, run_command, write_patient

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.request import ExportRequest, NnunetRequest
from lgesynthnet.export.run import ExportResult, export_nifti, export_nnunet
from lgesynthnet.records import Label
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.synthesize import synthesize
from lgesynthnet.terms import Classes, Dimension, Edit, LabelKind, Prior

SLICES, STEP_MM, PER_HOST = 6, 10.0, 4
UNLABELLED = {"N001": [0, 5], "N002": [], "N003": [0, 1], "N004": [3]}  # the gap keeps N004 from being a host
HELD = {"N001": range(1, 5), "N002": range(6), "N003": range(2, 6), "N004": range(6)}


def write_cohort(root: Path, *, scar: bool = False) -> Path:
    """Four oblique patients of several data types, with slices that nobody labelled. N001 has an empty border, of another width in each."""
    for number, (name, unlabelled) in enumerate(UNLABELLED.items()):
        image = write_patient(root, name, seed=number, dtype=DTYPES[number % len(DTYPES)], slices=SLICES, rv=True, scar=scar)
        labels = root / f"Case_{name}/Contours/Case_{name}.nii.gz"
        stored, label = voxels(image).copy(), voxels(labels).copy()
        stored = np.maximum(stored, 1)
        for index in range(SLICES if name == "N001" else 0):
            stored[: 2 + index, :, index] = 0
        label[:, :, unlabelled] = 0
        for path, changed in ((image, stored), (labels, label)):
            nib.save(nib.Nifti1Image(changed, nib.load(path).affine, nib.load(path).header), path)
    write_declaration(root, labels="lgesynthnet", base_first=True)
    return root


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("stacks") / "hosts")


@pytest.fixture(scope="module")
def painted(cohort) -> RunFolder:
    """Four kept stacks of each of N001, N002 and N003, with twins."""
    hosts = CohortSource(root=cohort)
    request = SynthesisRequest(hosts=hosts, stacks=True, per_host=PER_HOST, model="paste", prior=Prior.ISCHAEMIC, twins=True)
    synthesize(plan_synthesis(request), cohort.parent / "run")
    run = RunFolder.open(cohort.parent / "run")
    assert Counter(row.host for row in run.painted_stacks()) == dict.fromkeys(("N001", "N002", "N003"), PER_HOST)
    return run


@pytest.fixture(scope="module")
def moved(tmp_path_factory) -> RunFolder:
    """Stacks in which the scar of the patient was moved, with twins that were painted, too."""
    hosts = CohortSource(root=write_cohort(tmp_path_factory.mktemp("moved") / "hosts", scar=True))
    request = SynthesisRequest(
        hosts=hosts, stacks=True, count=2, model="paste", prior=Prior.ISCHAEMIC, edit=Edit.MOVE, twins=True, keep_all=True, max_attempts=4
    )
    synthesize(plan_synthesis(request), hosts.root.parent / "run")
    return RunFolder.open(hosts.root.parent / "run")


@pytest.fixture(scope="module")
def beside_own_scar(tmp_path_factory) -> RunFolder:
    """Stacks into which a scar was painted beside the patient's own, which goes on in slices that were not painted."""
    hosts = CohortSource(root=write_cohort(tmp_path_factory.mktemp("beside") / "hosts", scar=True))
    request = SynthesisRequest(
        hosts=hosts, stacks=True, count=6, model="paste", prior=Prior.ISCHAEMIC, hosts_with_scar=True, keep_all=True, max_attempts=6
    )
    synthesize(plan_synthesis(request), hosts.root.parent / "run")
    return RunFolder.open(hosts.root.parent / "run")


@pytest.fixture
def request_for(painted, tmp_path):
    options = {"run": painted.path, "out": tmp_path / "raw", "dataset_id": 501, "folds": 2, "keep_names": True}
    return lambda **changes: NnunetRequest(**options | changes)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def held(path: Path, name: str) -> np.ndarray:
    """The slices of a volume of a patient that an export holds."""
    return voxels(path)[:, :, HELD[name].start : HELD[name].stop]


def part(run: RunFolder, row: dict[str, str], name: str) -> Path:
    return run.path / name / f"{row['sample']}.nii.gz"


def json_of(path: Path):
    return json.loads(path.read_text())


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def synthetic(folder: Path, *, twins: bool = False) -> list[dict[str, str]]:
    return [row for row in rows(folder) if row["origin"] == "synthetic" and row["id"].endswith("-twin") is twins]


def note(result: ExportResult, words: str) -> str:
    [found] = [entry for entry in result.notes if words in entry]
    return found


def test_every_stack_lies_where_the_slices_of_the_host_lie_in_which_a_heart_is_labelled(request_for, cohort):
    result = export_nnunet(request_for())
    assert "first to the last with a heart label; 16 slices beyond them, of 8 stacks" in note(result, "each stack holds")
    hosts = {case.patient: nib.load(case.image_path) for case in open_cohort(cohort).cases}
    table = rows(result.folder)
    assert {row["id"] for row in table if row["origin"] == "real"} == {f"real_{name}" for name in HELD}
    for row in table:
        image, label = nib.load(result.folder / row["image_file"]), nib.load(result.folder / row["label_file"])
        host, slices = hosts[row["patient"]], HELD[row["patient"]]
        assert image.shape == label.shape == (*host.shape[:2], len(slices))
        assert (row["slice"], row["first_slice"], row["slices"]) == ("", str(slices.start), str(len(slices)))
        for each in (image, label):
            np.testing.assert_allclose(each.affine @ (5, 7, 0, 1), host.affine @ (5, 7, slices.start, 1), atol=1e-4)
            np.testing.assert_allclose(each.affine @ (5, 7, 3, 1), host.affine @ (5, 7, slices.start + 3, 1), atol=1e-4)
            np.testing.assert_array_equal(each.header.get_zooms(), host.header.get_zooms())
            assert each.header.get_zooms()[2] == STEP_MM
        np.testing.assert_array_equal(image.affine, label.affine)
        assert image.get_data_dtype() == host.get_data_dtype()
        assert (b"SYNTHETIC" in image.header.binaryblock) is (b"SYNTHETIC" in label.header.binaryblock) is (row["origin"] == "synthetic")


def test_voxels_outside_the_hidden_regions_are_the_hosts_and_the_label_holds_the_intended_scar(request_for, painted, cohort):
    folder = export_nnunet(request_for(most_per_host=PER_HOST)).folder
    files = {case.patient: case for case in open_cohort(cohort).cases}
    for row in rows(folder):
        name = row["patient"]
        image, label = voxels(folder / row["image_file"]), voxels(folder / row["label_file"])
        host, own = held(files[name].image_path, name), held(files[name].label_path, name)
        if row["origin"] == "real":
            np.testing.assert_array_equal(image, host)
            np.testing.assert_array_equal(label, own)
            continue
        hidden, intended = held(part(painted, row, "hidden"), name) > 0, held(part(painted, row, "intended"), name)
        np.testing.assert_array_equal(image[~hidden], host[~hidden])
        assert (image[hidden] != host[hidden]).any()
        assert intended.any()
        np.testing.assert_array_equal(label, np.where(intended > 0, intended, own))
        of_stack = [slice_ for slice_ in painted.rows if slice_.stack == row["sample"]]
        assert row["painted_slices"] == " ".join(str(slice_.slice_index) for slice_ in of_stack)
        in_volume = [slice_.slice_index - HELD[name].start for slice_ in of_stack]
        assert set(np.flatnonzero(hidden.any(axis=(0, 1))).tolist()) == set(in_volume)
        [stack] = [stack for stack in painted.stacks if stack.id == row["sample"]]
        assert row["id"] == f"syn_{name}_{stack.id}"
        assert (row["sentence"], row["verdict"], row["why"]) == (stack.sentence, "kept", stack.why)
        assert json.loads(row["prescription"])["extent"]
        assert float(row["dice"]) == pytest.approx(stack.dice, abs=1e-4)
    assert len(synthetic(folder)) == 3 * PER_HOST


@pytest.mark.parametrize("origin_channel", [False, True])
@pytest.mark.parametrize("classes", list(Classes))
def test_the_data_set_keeps_the_rules_that_nnunet_checks(request_for, classes, origin_channel):
    """Those of `verify_dataset_integrity`, so that they hold where nnU-Net is not installed, too."""
    folder = export_nnunet(request_for(classes=classes, origin_channel=origin_channel)).folder
    content = json_of(folder / "dataset.json")
    channels = sorted(content["channel_names"])
    assert channels == [str(number) for number in range(1 + origin_channel)]
    images = {path.name for path in (folder / "imagesTr").iterdir()}
    cases = {name.removesuffix("_0000.nii.gz") for name in images if name.endswith("_0000.nii.gz")}
    assert images == {f"{case}_{int(channel):04d}.nii.gz" for case in cases for channel in channels}
    assert {path.name.removesuffix(".nii.gz") for path in (folder / "labelsTr").iterdir()} == cases
    assert content["numTraining"] == len(cases) == len(rows(folder))
    values = sorted({value for entry in content["labels"].values() for value in np.atleast_1d(entry).tolist()})
    assert values == list(range(len(values)))
    seen: set[int] = set()
    for case in cases:
        label = nib.load(folder / "labelsTr" / f"{case}.nii.gz")
        stored = np.asarray(label.dataobj)
        seen |= set(np.unique(stored).tolist())
        for channel in channels:
            image = nib.load(folder / "imagesTr" / f"{case}_{int(channel):04d}.nii.gz")
            assert image.shape == label.shape
            np.testing.assert_array_equal(image.affine, label.affine)
            np.testing.assert_array_equal(image.header.get_zooms(), label.header.get_zooms())
            assert np.isfinite(image.get_fdata()).all()
        assert stored.any(axis=(0, 1)).sum() >= len(HELD["N001"]) or classes is Classes.SCAR
    assert seen <= set(values)
    assert {0, 1} == seen if classes is Classes.SCAR else {0, 1, 2, 3, 5} <= seen
    lists = json_of(folder / "splits_final.json")
    assert {name for fold in lists for name in (*fold["train"], *fold["val"])} == cases


@pytest.mark.skipif(importlib.util.find_spec("nnunetv2") is None, reason="nnunetv2 is not installed, see docs/export.md")
@pytest.mark.parametrize("origin_channel", [False, True])
@pytest.mark.parametrize("classes", list(Classes))
def test_nnunets_own_check_finds_nothing_and_it_crops_stacks_with_the_channel_like_those_without(
    request_for, tmp_path, monkeypatch, classes, origin_channel, capsys
):
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setitem(os.environ, f"nnUNet_{name}", str(tmp_path / name))
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
    from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero

    folder = export_nnunet(request_for(classes=classes, origin_channel=origin_channel)).folder
    verify_dataset_integrity(str(folder), num_processes=1)
    output = capsys.readouterr().out
    assert "Done" in output
    assert "Error" not in output
    assert "Warning" not in output
    for row in rows(folder) if origin_channel else ():
        image, origin = (nib.load(folder / "imagesTr" / f"{row['id']}_000{n}.nii.gz").get_fdata() for n in (0, 1))
        assert crop_to_nonzero(np.stack([image, origin]))[2] == crop_to_nonzero(image[None])[2]


def test_the_origin_channel_marks_the_whole_painted_stack_and_no_real_one(request_for):
    """Marking the painted slices alone would tell where the scar is."""
    folder = export_nnunet(request_for(origin_channel=True)).folder
    for row in rows(folder):
        shown, origin = (voxels(folder / "imagesTr" / f"{row['id']}_000{n}.nii.gz") for n in (0, 1))
        np.testing.assert_array_equal(origin, (shown != 0) & (row["origin"] == "synthetic"))
    partly = [row for row in synthetic(folder) if len(row["painted_slices"].split()) < int(row["slices"])]
    assert partly
    text = (folder / "README.txt").read_text()
    assert "in a synthetic stack, 1 wherever the image is not empty" in text
    assert "from the first to the last with a heart label" in text


def test_folds_never_divide_a_patient_and_hold_a_limited_number_of_samples_of_each(request_for, tmp_path):
    result = export_nnunet(request_for())
    assert note(result, "--most-per-host").startswith("3 synthetic stacks were left out, so that at most 3 samples of one patient train")
    patient_of = {row["id"]: row["patient"] for row in rows(result.folder)}
    folds = json_of(result.folder / "splits_final.json")
    assert len(folds) == 2
    for fold in folds:
        assert {patient_of[name] for name in fold["train"]}.isdisjoint(patient_of[name] for name in fold["val"])
        assert all(name.startswith("real_") for name in fold["val"])
        of_host = Counter(patient_of[name] for name in fold["train"] if name.startswith("syn_"))
        assert set(of_host.values()) == {3}
    assert {name for fold in folds for name in fold["val"]} == {f"real_{name}" for name in HELD}

    def chosen(number: int, **changes) -> set[str]:
        folder = export_nnunet(request_for(out=tmp_path / str(number), **changes)).folder
        return {row["id"] for row in synthetic(folder)}

    default = {row["id"] for row in synthetic(result.folder)}
    one = chosen(1, most_per_host=1)
    assert len(one) == 3
    assert chosen(2, most_per_host=1) == one < default
    assert any(chosen(10 + seed, most_per_host=1, seed=seed) != one for seed in range(1, 4))
    assert len(chosen(3, most_per_host=50)) == 3 * PER_HOST
    assert len(chosen(4, most_per_host=2, no_real=True, folds=None)) == 6
    assert not chosen(5, synthetic_share=0.0)


def test_the_limit_comes_before_the_share(request_for):
    """With one sample a patient, a share of a half cannot be reached, and the message says what the limit has to do with it."""
    with pytest.raises(RunError, match=r"real stacks, so a share of 0\.7 needs .* synthetic stacks, .* raise --most-per-host 1, make more"):
        export_nnunet(request_for(most_per_host=1, synthetic_share=0.7))
    with pytest.raises(RunError, match="--most-per-host 0: must be at least 1"):
        export_nnunet(request_for(most_per_host=0))


def test_slices_of_stacks_are_exported_one_by_one(request_for, painted, tmp_path):
    result = export_nnunet(request_for(dimension=Dimension.SLICES, origin_channel=True))
    table = synthetic(result.folder)
    kept = [row for row in painted.rows if row.kept]
    assert [row["sample"] for row in table] == [row.id for row in kept]
    assert not [entry for entry in result.notes if "most-per-host" in entry]
    for case, row in zip(table, kept, strict=True):
        assert case["id"] == f"syn_{row.host}_s{row.slice_index:02d}_{row.id}"
        assert case["twin"] == f"real_{row.host}_s{row.slice_index:02d}"
        assert (case["slice"], case["caption"]) == (str(row.slice_index), row.caption)
        whole = nib.load(painted.image(row))
        image, label = nib.load(result.folder / case["image_file"]), nib.load(result.folder / case["label_file"])
        channel = nib.load(result.folder / "imagesTr" / f"{case['id']}_0001.nii.gz")
        assert image.shape == label.shape == channel.shape == (*whole.shape[:2], 1)
        np.testing.assert_array_equal(np.asarray(image.dataobj)[..., 0], np.asarray(whole.dataobj)[..., row.slice_index])
        np.testing.assert_array_equal(np.asarray(label.dataobj)[..., 0], voxels(painted.part(row, "labels"))[..., row.slice_index])
        np.testing.assert_array_equal(np.asarray(channel.dataobj), np.asarray(image.dataobj) != 0)
        for each in (image, label, channel):
            np.testing.assert_allclose(each.affine @ (5, 7, 0, 1), whole.affine @ (5, 7, row.slice_index, 1), atol=1e-4)
            assert bytes(each.header["descrip"]).startswith(b"SYNTHETIC")
        assert bytes(image.header["descrip"]) == bytes(whole.header["descrip"])
    limited = export_nnunet(request_for(dimension=Dimension.SLICES, out=tmp_path / "limited", most_per_host=2))
    assert set(Counter(row["patient"] for row in synthetic(limited.folder)).values()) == {2}
    assert "synthetic slices were left out" in note(limited, "--most-per-host")


def test_the_scar_that_the_filter_read_is_the_label_where_it_was_asked_for(painted, tmp_path):
    request = ExportRequest(run=painted.path, label=LabelKind.READ, no_real=True, keep_names=True)
    stacks = export_nifti(request, tmp_path / "stacks").folder
    slices = export_nifti(replace(request, dimension=Dimension.SLICES), tmp_path / "slices").folder
    for row in synthetic(stacks):
        read = held(part(painted, row, "read"), row["patient"])
        label = voxels(stacks / row["label_file"])
        np.testing.assert_array_equal(np.where(label >= Label.SCAR, label, 0) * (label != Label.RV), read)
        assert row["label"] == "read"
    for row in synthetic(slices):
        [slice_] = [slice_ for slice_ in painted.rows if slice_.id == row["sample"]]
        read = voxels(painted.part(slice_, "read"))[..., slice_.slice_index]
        label = voxels(slices / row["label_file"])[..., 0]
        np.testing.assert_array_equal((label == Label.SCAR) | (label == Label.NO_REFLOW), read > 0)
    assert len(open_cohort(stacks)) == len(synthetic(stacks)) == 3 * PER_HOST


def test_a_scar_of_the_host_in_slices_that_were_not_painted_stays_in_the_label_that_was_read(beside_own_scar, tmp_path):
    run = beside_own_scar
    request = ExportRequest(run=run.path, label=LabelKind.READ, no_real=True, keep_names=True, all_samples=True)
    folder = export_nifti(request, tmp_path / "read").folder
    compared = 0
    for row in synthetic(folder):
        label, own = voxels(folder / row["label_file"]), held(part(run, row, "labels"), row["patient"])
        untouched = ~held(part(run, row, "hidden"), row["patient"]).any(axis=(0, 1))
        np.testing.assert_array_equal(label[..., untouched], own[..., untouched])
        compared += int((own[..., untouched] == Label.SCAR).sum())
    assert compared > 0


def test_the_twin_of_an_added_scar_is_the_real_stack_and_that_of_a_moved_one_was_painted(request_for, moved, cohort, tmp_path):
    folder = export_nnunet(request_for()).folder
    real = {row["id"] for row in rows(folder) if row["origin"] == "real"}
    assert all(row["twin"] == f"real_{row['patient']}" for row in synthetic(folder))
    assert {row["twin"] for row in synthetic(folder)} < real
    assert not synthetic(folder, twins=True)

    both = export_nnunet(request_for(run=moved.path, all_samples=True, most_per_host=1, dataset_id=502)).folder
    pairs = {row["id"]: row for row in synthetic(both, twins=True)}
    assert pairs
    assert {row["twin"] for row in synthetic(both)} == set(pairs)
    assert set(Counter(row["patient"] for row in synthetic(both)).values()) == {1}  # a twin does not count
    for row in synthetic(both):
        twin, name = pairs[row["twin"]], row["patient"]
        assert (twin["twin"], twin["sample"], twin["label"]) == (row["id"], row["sample"], "intended")
        assert twin["id"] == f"{row['id']}-twin"
        np.testing.assert_array_equal(voxels(both / twin["image_file"]), held(part(moved, row, "twin-images"), name))
        np.testing.assert_array_equal(voxels(both / twin["label_file"]), held(part(moved, row, "twin-labels"), name))
        assert (voxels(both / twin["image_file"]) != voxels(both / row["image_file"])).any()

    slices = export_nifti(
        ExportRequest(run=moved.path, dimension=Dimension.SLICES, all_samples=True, no_real=True, keep_names=True), tmp_path / "slices"
    ).folder
    moved_slices = {row.id: row for row in moved.rows if row.edit is Edit.MOVE}
    assert moved_slices
    for row in synthetic(slices, twins=True):
        of_run = moved_slices[row["sample"]]
        whole = voxels(moved.part(of_run, "twin-images"))
        np.testing.assert_array_equal(voxels(slices / row["image_file"])[..., 0], whole[..., of_run.slice_index])
    assert {row["sample"] for row in synthetic(slices, twins=True)} == set(moved_slices)


def test_the_same_command_writes_nothing_again_and_another_one_is_refused(request_for, tmp_path):
    folder = export_nnunet(request_for()).folder
    before = files_of(folder)
    assert "nothing was written" in export_nnunet(request_for()).notes[-1]
    elsewhere = export_nnunet(request_for(out=tmp_path / "other")).folder
    assert files_of(elsewhere) == files_of(folder) == before
    for change, named in (
        ({"dimension": Dimension.SLICES}, "dimension was 3 and is now None"),
        ({"most_per_host": 2}, "most_per_host was 3 and is now 2"),
    ):
        with pytest.raises(RunError, match=named):
            export_nnunet(request_for(**change))
    (folder / "labelsTr/real_N001.nii.gz").unlink()
    assert "labelsTr/real_N001.nii.gz" in note(export_nnunet(request_for()), "missing or damaged")
    assert files_of(folder) == before


def test_patients_without_a_run_are_a_baseline_in_three_dimensions(request_for, cohort, painted):
    result = export_nnunet(request_for(run=cohort, dimension=Dimension.STACKS))
    with_samples = export_nnunet(request_for(dataset_id=502)).folder
    for row in rows(result.folder):
        for file in (row["image_file"], row["label_file"]):
            assert (result.folder / file).read_bytes() == (with_samples / file).read_bytes()
    assert {row["id"] for row in rows(result.folder)} == {f"real_{name}" for name in HELD}
    assert "1 stacks hold 1 slices without a heart label between labelled ones" in note(result, "between labelled")
    assert not [entry for entry in result.notes if "--most-per-host" in entry]
    slices = export_nnunet(request_for(run=cohort, dataset_id=503)).folder
    assert len(rows(slices)) == sum(SLICES - len(unlabelled) for unlabelled in UNLABELLED.values())


def test_stacks_of_a_run_of_slices_are_refused_with_a_remedy(cohort, tmp_path):
    request = SynthesisRequest(hosts=CohortSource(root=cohort), count=1, model="paste", prior=Prior.ISCHAEMIC)
    synthesize(plan_synthesis(request), tmp_path / "slices")
    done = run_command("export", "nnunet", tmp_path / "slices", tmp_path / "raw", "--dataset-id", 5, "--dimension", 3)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "holds slices, and --dimension 3 exports whole stacks" in line
    assert "synthesize --stacks" in line
    assert not (tmp_path / "raw").exists()


def test_a_patient_in_whom_nobody_labelled_a_heart_is_skipped_and_a_folder_of_such_patients_refused(tmp_path, request_for):
    root = write_cohort(tmp_path / "hosts")
    for name in ("N001", "N002", "N003"):
        label = root / f"Case_{name}/Contours/Case_{name}.nii.gz"
        nib.save(nib.Nifti1Image(np.zeros_like(voxels(label)), nib.load(label).affine), label)
    folder = export_nifti(ExportRequest(run=root, dimension=Dimension.STACKS, keep_names=True), tmp_path / "out")
    assert [row["patient"] for row in rows(folder.folder)] == ["N004"]
    assert sum("has a heart label; label it" in entry for entry in folder.notes) == 3
    label = root / "Case_N004/Contours/Case_N004.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros_like(voxels(label)), nib.load(label).affine), label)
    with pytest.raises(InputError, match=r"no stack of a patient can be exported; N004: .*label it"):
        export_nnunet(request_for(run=root, dimension=Dimension.STACKS))


def test_names_in_headers_and_folders_stay_behind_where_pseudonyms_stand_for_the_patients(request_for, painted, cohort, tmp_path):
    named = tmp_path / "named"
    for name in HELD:
        for part_, folder in (("image", "Images"), ("label", "Contours")):
            image = nib.load(cohort / f"Case_{name}/{folder}/Case_{name}.nii.gz")
            image.header["descrip"] = f"Jane Doe {name}".encode()
            (named / name).mkdir(parents=True, exist_ok=True)
            nib.save(image, named / name / f"{part_}.nii.gz")
    data = CohortSource(root=named, dataset="lgesynthnet")
    kept = export_nnunet(request_for(data=data)).folder
    hidden = export_nnunet(request_for(data=data, keep_names=False, dataset_id=502, origin_channel=True)).folder
    for folder, expected in ((kept, 2 * len(HELD)), (hidden, 0)):
        headers = [nib.load(path).header.binaryblock for path in folder.rglob("*.nii.gz")]
        assert sum(b"Jane Doe" in header for header in headers) == expected
    assert not [path for path in hidden.rglob("*") if any(name in path.name for name in HELD)]
    assert {row["patient"] for row in rows(hidden)} == {f"patient-{number:03d}" for number in range(1, 5)}
    assert all(row["twin"] == f"real_{row['patient']}" for row in synthetic(hidden))


def test_thin_slices_are_a_stack_of_nnunet_but_no_slices_of_it(request_for, cohort, tmp_path):
    """In three dimensions the axis of the slices need not be the one with the longest step."""
    for path in cohort.rglob("*.nii.gz"):
        image = nib.load(path)
        thin = nib.Nifti1Image(voxels(path), image.affine @ np.diag([1, 1, 0.1, 1]), image.header)
        target = tmp_path / "thin" / path.relative_to(cohort)
        target.parent.mkdir(parents=True, exist_ok=True)
        nib.save(thin, target)
    data = CohortSource(root=tmp_path / "thin", dataset="lgesynthnet")
    folder = export_nnunet(request_for(run=data.root, data=data, dimension=Dimension.STACKS)).folder
    assert {nib.load(path).header.get_zooms()[2] for path in folder.rglob("*.nii.gz")} == {1.0}
    with pytest.raises(InputError, match="another axis"):
        export_nnunet(request_for(run=data.root, data=data, dataset_id=502))


def write_label(path: Path, who: Patient) -> None:
    axes = np.stack([who.along_row * 1.25, who.along_column * 1.5, who.origins[1] - who.origins[0]], axis=1)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = np.diag([-1, -1, 1]) @ axes, np.diag([-1, -1, 1]) @ who.origins[0]
    labels = who.labels.copy()
    labels[:, :, 0] = 0  # of five slices, the most basal one is not labelled
    nib.save(nib.Nifti1Image(labels.transpose(1, 0, 2), affine), path)


def test_dicom_stacks_on_one_grid_are_exported_and_others_are_skipped_with_a_note(tmp_path):
    pytest.importorskip("pydicom")
    root, one, two = tmp_path / "hosts", patient(0), patient(1)
    (root / "Ada").mkdir(parents=True)
    save(series(one, RescaleSlope=[1.5 + k for k in range(5)], RescaleIntercept=["-3"] * 5), root / "Ada" / "lge", "", "")
    save(series(two, PatientID="P002", StudyInstanceUID="1.2.4.1", SeriesInstanceUID="1.2.4.1.7"), root / "Bob")
    for name, who in (("Ada", one), ("Bob", two)):
        write_label(root / name / "label.nii.gz", who)
    source = CohortSource(root=root, dataset="lgesynthnet")
    request = ExportRequest(run=root, data=source, dimension=Dimension.STACKS, keep_names=True)
    result = export_nifti(request, tmp_path / "out")
    [row] = rows(result.folder)
    assert row["id"] == "real_Bob"
    assert note(result, "skipped Ada").endswith("--dimension 2 exports its slices one by one")
    image, label = nib.load(result.folder / row["image_file"]), nib.load(result.folder / row["label_file"])
    np.testing.assert_array_equal(np.asarray(image.dataobj.get_unscaled()), two.image[:, :, :0:-1].transpose(1, 0, 2))
    np.testing.assert_array_equal(np.asarray(label.dataobj), two.labels[:, :, :0:-1].transpose(1, 0, 2))
    np.testing.assert_allclose(image.affine[:3, 3], np.diag([-1, -1, 1]) @ two.origins[4], atol=1e-3)
    np.testing.assert_allclose(image.header.get_zooms(), (1.25, 1.5, STEP_MM), atol=1e-4)
    slices = export_nifti(replace(request, dimension=None), tmp_path / "slices")
    assert Counter(row["patient"] for row in rows(slices.folder)) == {"Ada": 4, "Bob": 4}
