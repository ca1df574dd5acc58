"""A heart is found and painted the same way round however its file is stored, and every sample lies where its host lies."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import ring_patient, run_command, short_axis_affine

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.view import shown_axes
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.synthesis.painters import load_painter

FORMS = ("as it is", "rows", "columns", "both", "stack", "all", "transposed", "RAS", "LPS")
SLICES = 4


def write_form(root: Path, form: str, *, rv: bool) -> None:
    """One patient, stored in one form, with the affine that belongs to it."""
    image, labels = ring_patient(5, SLICES, rv=rv)
    for part, voxels in (("image", image.astype(np.float32)), ("label", labels)):
        stored, affine = voxels.transpose(1, 0, 2), short_axis_affine(3)
        axes = {"rows": (1,), "columns": (0,), "both": (0, 1), "stack": (2,), "all": (0, 1, 2)}.get(form, ())
        for axis in axes:
            affine[:3, 3] += affine[:3, axis] * (stored.shape[axis] - 1)
            affine[:3, axis] *= -1
        stored = np.flip(stored, axes)
        if form == "transposed":
            stored, affine = stored.transpose(1, 0, 2), affine[:, [1, 0, 2, 3]]
        file = nib.Nifti1Image(np.ascontiguousarray(stored), affine)
        if form in ("RAS", "LPS"):
            turn = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(form)))
            file = file.as_reoriented(turn)
        root.mkdir(parents=True, exist_ok=True)
        nib.save(file, root / f"A_{part}.nii.gz")


def painted_from_the_base(root: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """From base to apex: the directions of both insertions in the patient, and the painted slice in the radiological view."""
    pool = find_hosts(open_cohort(root, dataset="lgesynthnet"))
    generator = load_painter("phantom").generator
    found = []
    for entry in sorted(pool.entries, key=lambda entry: entry.index if entry.order.base_first else -entry.index):
        host = pool.fetch(entry)
        assert host.slice_.place is not None
        right, down = shown_axes(read_volume(host.slice_.place.path).affine, host.slice_.place.view)
        angles = np.radians([entry.insertions.anterior_deg, entry.insertions.inferior_deg])
        directions = np.outer(np.cos(angles), right) - np.outer(np.sin(angles), down)
        text = "Transmural apical anterior scar" if entry.level == "apical" else f"Transmural scar in the {entry.level} anterior wall"
        found.append((directions, generator.inpaint(host, prescribe(text), seed=2).image))
    return found


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    root = tmp_path_factory.mktemp("honest")
    write_form(root, "as it is", rv=False)
    return painted_from_the_base(root)


@pytest.mark.parametrize("form", FORMS[1:])
def test_insertions_and_painted_pixels_are_the_same_in_every_stored_form(form, honest, tmp_path):
    write_form(tmp_path, form, rv=False)
    found = painted_from_the_base(tmp_path)
    assert len(found) == len(honest) > 0
    for (directions, image), (true_directions, true_image) in zip(found, honest, strict=True):
        away_deg = np.degrees(2 * np.arcsin(np.linalg.norm(directions - true_directions, axis=1) / 2))
        assert away_deg.max() < 0.01
        np.testing.assert_array_equal(image, true_image)


@pytest.mark.parametrize("form", ["rows", "all", "transposed", "RAS"])
def test_a_sample_lies_where_its_host_lies_and_is_equal_outside_the_edit(form, tmp_path):
    write_form(tmp_path / "hosts", form, rv=True)
    out = tmp_path / "run"
    words = ("--model", "paste", "--dataset", "lgesynthnet", "--prior", "uniform", "-n", 4, "--keep-all")
    result = run_command("synthesize", "--hosts", tmp_path / "hosts", *words, "--out", out)
    assert result.returncode == 0, result.stderr
    host = nib.load(tmp_path / "hosts" / "A_image.nii.gz")
    voxels, to_voxel = np.asarray(host.dataobj), np.linalg.inv(host.affine)
    samples = sorted((out / "images").glob("*.nii.gz"))
    assert len(samples) == 4
    for path in samples:
        image, hidden = nib.load(path), nib.load(out / "hidden" / path.name)
        edited = np.asarray(hidden.dataobj) > 0
        assert 0 < edited.sum() < edited.size / 2
        for index, value in np.ndenumerate(np.asarray(image.dataobj)):
            if not edited[index]:
                there = to_voxel @ image.affine @ (*index, 1)
                np.testing.assert_allclose(there, there.round(), atol=1e-3)
                assert voxels[tuple(there[:3].round().astype(int))] == value


def test_a_bottom_up_file_is_painted_in_the_anterior_wall_and_not_in_the_inferior_one(tmp_path):
    """dcm2niix stores rows bottom-up: taken as it is stored, the anterior wall would lie at the bottom of the array."""
    write_form(tmp_path / "hosts", "rows", rv=True)
    out = tmp_path / "run"
    words = ("--model", "paste", "--dataset", "lgesynthnet", "-n", 1, "--text", "Transmural enhancement in the mid anterior wall")
    result = run_command("synthesize", "--hosts", tmp_path / "hosts", *words, "--out", out)
    assert result.returncode == 0, result.stderr
    [path] = (out / "intended").glob("*.nii.gz")
    intended = nib.load(path)
    scar = np.argwhere(np.asarray(intended.dataobj) > 0).mean(axis=0)
    labels = nib.load(tmp_path / "hosts" / "A_label.nii.gz")
    cavity = np.argwhere(np.asarray(labels.dataobj)[:, :, :3] == 1).mean(axis=0)
    up = (intended.affine[:3, :2] @ (scar[:2] - cavity[:2]))[2]  # millimetres towards the head
    assert up > 5
