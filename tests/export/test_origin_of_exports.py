"""The origin channel of nnU-Net exports: painted slices are told from real ones, and nnU-Net crops both alike."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import run_command, write_hosts, write_patient

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.origin import add_origin_channel, painted_origin
from lgesynthnet.export.request import ExportRequest, NnunetRequest
from lgesynthnet.export.run import export_nifti, export_nnunet
from lgesynthnet.phantom.cohort import simulate_patients
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.synthesize import synthesize
from lgesynthnet.terms import Classes, LabelKind, Prior


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Two small patients without dark pixels. The images of the first have an empty border, as scanners leave it after interpolation."""
    root = write_hosts(tmp_path_factory.mktemp("origin") / "hosts", patients=2, rv=True)
    for name, border in (("N001", 8), ("N002", 0)):
        path = root / f"Case_{name}/Images/Case_{name}.nii.gz"
        image = nib.load(path)
        voxels = np.maximum(np.asarray(image.dataobj), 1)
        voxels[:border] = 0
        nib.save(nib.Nifti1Image(voxels, image.affine, image.header), path)
    return root


@pytest.fixture(scope="module")
def painted(cohort) -> Path:
    request = SynthesisRequest(hosts=CohortSource(root=cohort), count=6, model="paste", prior=Prior.UNIFORM, keep_all=True)
    synthesize(plan_synthesis(request), cohort.parent / "run")
    return cohort.parent / "run"


@pytest.fixture
def request_for(painted, tmp_path):
    options = {"run": painted, "out": tmp_path / "raw", "dataset_id": 501, "folds": 2, "keep_names": True, "origin_channel": True}
    return lambda **changes: NnunetRequest(**options | changes)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def channels(folder: Path, case: str) -> list[nib.Nifti1Image]:
    return [nib.load(folder / "imagesTr" / f"{case}_{number:04d}.nii.gz") for number in (0, 1)]


def box(shown: np.ndarray) -> list[tuple[int, int]]:
    """The box to which nnU-Net crops a case: where any channel differs from 0."""
    return [(int(places.min()), int(places.max())) for places in np.nonzero(shown)]


def assert_same_geometry(first: nib.Nifti1Image, second: nib.Nifti1Image) -> None:
    """What nnU-Net compares between the channels of a case, and what other programs read of a position."""
    assert first.shape == second.shape
    np.testing.assert_array_equal(first.affine, second.affine)
    for key in ("dim", "pixdim", "qform_code", "sform_code", "xyzt_units"):
        np.testing.assert_array_equal(first.header[key], second.header[key])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        *({"classes": classes} for classes in (Classes.REGIONS, Classes.SCAR)),
        {"no_real": True, "folds": None},
        {"label": LabelKind.READ, "all_samples": True, "synthetic_share": 0.2, "repeat": True, "keep_names": False},
    ],
)
def test_each_case_has_a_channel_that_is_one_in_painted_slices_and_zero_in_real_ones(request_for, changes):
    folder = export_nnunet(request_for(**changes)).folder
    table = rows(folder)
    assert {path.name for path in (folder / "imagesTr").iterdir()} == {f"{row['id']}_000{n}.nii.gz" for row in table for n in (0, 1)}
    assert {row["origin"] for row in table} == ({"synthetic"} if "no_real" in changes else {"real", "synthetic"})
    assert all((folder / row["label_file"]).is_file() for row in table)
    for row in table:
        image, origin = channels(folder, row["id"])
        assert_same_geometry(image, origin)
        assert origin.get_data_dtype() == np.uint8
        values = np.asarray(origin.dataobj)
        np.testing.assert_array_equal(values, (image.get_fdata() != 0) & (row["origin"] == "synthetic"))
        assert (b"SYNTHETIC" in origin.header.binaryblock) is (row["origin"] == "synthetic")
        assert box(image.get_fdata() != 0) == box((image.get_fdata() != 0) | (values != 0))
    empty = [np.mean(channels(folder, row["id"])[0].get_fdata() == 0) for row in table if row["origin"] == "synthetic"]
    assert max(empty) > 0.1  # a host with an empty border was painted into
    assert min(empty) == 0


def test_dataset_json_names_a_channel_that_nnunet_does_not_normalise_and_the_program_still_finds_the_image(request_for):
    folder = export_nnunet(request_for()).folder
    content = json.loads((folder / "dataset.json").read_text())
    assert content["channel_names"] == {"0": "LGE", "1": "noNorm"}
    assert "ID_0001 is the origin channel" in (folder / "README.txt").read_text()
    back = open_cohort(folder)
    assert {case.image_path.name[-11:] for case in back.cases} == {"0000.nii.gz"}
    assert len(back) == len(rows(folder))


def test_an_export_with_the_channel_is_not_taken_for_the_one_without(request_for):
    folder = export_nnunet(request_for()).folder
    assert "nothing was written" in export_nnunet(request_for()).notes[-1]
    with pytest.raises(RunError, match="origin_channel was True and is now False"):
        export_nnunet(request_for(origin_channel=False))
    origin = next((folder / "imagesTr").glob("*_0001.nii.gz"))
    before = origin.read_bytes()
    origin.unlink()
    assert any(origin.name in note for note in export_nnunet(request_for()).notes)
    assert origin.read_bytes() == before


def test_an_image_is_empty_where_the_scaled_value_is_zero_and_holes_inside_it_are_not(tmp_path):
    stored = np.full((40, 36, 1), 900, np.int16)
    stored[:3] = 100  # shown as 0
    stored[5, 8] = 100  # a dark pixel inside the body
    stored[6, 9] = 0  # shown as -50
    image = nib.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(0.5, -50)
    nib.save(image, tmp_path / "s.nii.gz")
    assert set(np.unique(nib.load(tmp_path / "s.nii.gz").get_fdata())) == {-50, 0, 400}
    np.testing.assert_array_equal(painted_origin(read_volume(tmp_path / "s.nii.gz")), np.tile(np.arange(40) >= 3, (36, 1)))


@pytest.fixture
def images(tmp_path) -> Path:
    """An oblique stack and a stack whose slices are on the first axis, as nnU-Net wants images to predict."""
    folder = tmp_path / "images"
    folder.mkdir()
    oblique = write_patient(tmp_path / "hosts", "P001", seed=3)
    shutil.copy(oblique, folder / "a_0000.nii.gz")
    image = nib.load(oblique)
    turned = nib.Nifti1Image(np.asarray(image.dataobj).transpose(2, 0, 1), image.affine[:, [2, 0, 1, 3]])
    turned.header["descrip"] = b"Name^Of^Patient"
    nib.save(turned, folder / "b_0000.nii.gz")
    return folder


def test_images_to_predict_are_copied_with_a_channel_of_zeros(images, tmp_path):
    before = {path: path.read_bytes() for path in images.iterdir()}
    done = add_origin_channel(images, tmp_path / "out")
    assert done.images == 2
    assert {path.name for path in (tmp_path / "out").glob("*.nii.gz")} == {f"{name}_000{n}.nii.gz" for name in "ab" for n in (0, 1)}
    for name in "ab":
        assert (tmp_path / "out" / f"{name}_0000.nii.gz").read_bytes() == before[images / f"{name}_0000.nii.gz"]
        image, origin = (nib.load(tmp_path / "out" / f"{name}_000{n}.nii.gz") for n in (0, 1))
        assert_same_geometry(image, origin)
        assert not np.asarray(origin.dataobj).any()
        assert b"Patient" not in origin.header.binaryblock
    assert {path: path.read_bytes() for path in images.iterdir()} == before
    assert "nothing was written" in add_origin_channel(images, tmp_path / "out").notes[0]
    (tmp_path / "out/a_0001.nii.gz").unlink()
    assert "a_0001.nii.gz" in add_origin_channel(images, tmp_path / "out").notes[0]
    assert (tmp_path / "out/a_0001.nii.gz").is_file()


def test_folders_that_the_user_owns_or_that_hold_something_else_are_refused(images, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/a_0001.nii.gz").write_text("mine")
    for out, named in ((images, "only read"), (images / "deeper", "only read"), (tmp_path / "mine", "not made by this program")):
        with pytest.raises(RunError, match=named):
            add_origin_channel(images, out)
    assert (tmp_path / "mine/a_0001.nii.gz").read_text() == "mine"
    done = add_origin_channel(images, tmp_path / "out")
    shutil.copy(images / "a_0000.nii.gz", images / "c_0000.nii.gz")
    with pytest.raises(RunError, match="images was 2 and is now 3"):
        add_origin_channel(images, done.folder)


@pytest.mark.parametrize(
    ("name", "named"),
    [("a_0001.nii.gz", "has an origin channel already"), ("c.nii.gz", "is not named as nnU-Net"), ("d_0002.nii.gz", "is not named")],
)
def test_images_with_other_names_are_refused_before_anything_is_written(images, tmp_path, name, named):
    shutil.copy(images / "a_0000.nii.gz", images / name)
    with pytest.raises(InputError, match=named):
        add_origin_channel(images, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_images_or_with_a_damaged_one_is_refused(images, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, named in ((tmp_path / "empty", "holds no image"), (tmp_path / "nowhere", "cannot be read")):
        with pytest.raises(InputError, match=named):
            add_origin_channel(folder, tmp_path / "out")
    (images / "a_0000.nii.gz").write_bytes(b"no image")
    with pytest.raises(InputError, match="a_0000"):
        add_origin_channel(images, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_simulated_patients_are_a_data_set_of_their_own_with_zeros_as_origin(tmp_path):
    """The first weights are trained on it, with the channel that the later data set has."""
    hearts = simulate_patients(tmp_path / "hearts", patients=3, seed=5, positive=0.67)
    done = run_command("export", "nnunet", hearts, tmp_path / "raw", "--dataset-id", 500, "--origin-channel")
    assert done.returncode == 0, done.stderr
    assert "3 folds, one for each of the 3 real patients" in done.stderr
    assert "synthetic ones" not in done.stderr
    folder = tmp_path / "raw/Dataset500_LGESynthNet"
    table = rows(folder)
    assert {row["patient"] for row in table} == {"P001", "P002", "N003"}  # nobody's names, so there is nothing to hide
    assert {row["origin"] for row in table} == {"real"}
    for row in table:
        assert not np.asarray(channels(folder, row["id"])[1].dataobj).any()
    folds = json.loads((folder / "splits_final.json").read_text())
    assert sorted(name for fold in folds for name in fold["val"]) == sorted(row["id"] for row in table)
    assert "apache-2.0" in (folder / "README.txt").read_text()


def test_patients_without_a_run_are_exported_by_name_only_if_the_user_says_so(tmp_path, request_for):
    hosts = write_hosts(tmp_path / "hosts", patients=3)
    with pytest.raises(RunError, match="--keep-names"):
        export_nnunet(request_for(run=hosts, keep_names=False))
    labels = CohortSource(root=hosts, labels="1=cavity,2=wall,3=scar")
    done = export_nnunet(request_for(run=hosts, data=labels))
    assert {row["patient"] for row in rows(done.folder)} == {case.patient for case in open_cohort(hosts).cases}
    assert export_nifti(ExportRequest(run=hosts, keep_names=True), tmp_path / "pairs").cases == done.cases


def test_samples_are_never_taken_for_patients(tmp_path, painted, cohort, request_for):
    """The folder above a run, or a part of it, must not become real slices that validate."""
    above = tmp_path / "runs"
    run = shutil.copytree(painted, above / "first")
    for part in ("images", "labels"):
        shutil.copytree(run / part, run / "chosen" / part)
    export = export_nifti(ExportRequest(run=painted), tmp_path / "exports" / "pairs").folder
    labels = "1=cavity,2=wall,3=scar,4=no-reflow,5=rv"
    for changes, named in (
        ({"run": cohort, "no_real": True, "folds": None}, "--no-real leaves nothing"),
        ({"run": cohort, "data": CohortSource(root=painted.parent / "hosts" / "Case_N001")}, "--data cannot name others"),
        ({"run": tmp_path / "nowhere"}, "is not a run folder"),
        ({"run": above}, "is not a run folder.*did you mean"),
        ({"run": run / "chosen", "data": CohortSource(root=run / "chosen", labels=labels)}, "is a run, and its samples are no patients"),
        ({"run": export}, "is an export, which may hold painted slices"),
        ({"run": cohort, "out": cohort / "raw"}, "only read"),
    ):
        with pytest.raises(RunError, match=named):
            export_nnunet(request_for(**changes))
    assert not (tmp_path / "raw").exists()
