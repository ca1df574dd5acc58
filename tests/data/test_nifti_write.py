"""A written slice has the geometry and the numbers of its host, and is written completely or not at all."""

from __future__ import annotations

import itertools
import os
import resource
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import ring_patient, short_axis_affine

from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.nifti_writing import write_slice_like
from lgesynthnet.data.stack import read_stack
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.records import Label, Place, View, ViewSource

TURN = short_axis_affine(5, (1.4, 1.25, 8.0))
IDS = {0: Label.BACKGROUND, 1: Label.CAVITY, 2: Label.WALL}


@pytest.fixture
def host(tmp_path, save):
    """An oblique int16 host with slope and intercept."""
    image = np.random.default_rng(1).integers(-400, 3000, (40, 36, 5)).astype(np.int16)
    return save(tmp_path / "host.nii", image, (1.4, 1.25, 8.0), affine=TURN, slope=(0.5, -11.0))


def short(view: View) -> str:
    return "".join("-x"[part] for part in (view.transpose, view.flip_rows, view.flip_columns))


VIEWS = [View(transpose=t, flip_rows=r, flip_columns=c) for t, r, c in itertools.product((False, True), repeat=3)]


@pytest.mark.parametrize("view", VIEWS, ids=short)
def test_a_slice_written_untouched_is_the_host_slice_in_each_of_the_eight_views(tmp_path, host, view):
    seen = view.turn(read_volume(host).stored.transpose(1, 0, 2))
    assert seen.shape[:2] == ((40, 36) if view.transpose else (36, 40))
    out = tmp_path / "out é" / "s.nii.gz"
    write_slice_like(out, np.ascontiguousarray(seen[:, :, 3]), Place(path=host, index=3, view=view), descrip="by a test")

    ours, theirs = nib.load(out), nib.load(host)
    assert ours.shape == (40, 36, 1)
    assert ours.get_data_dtype() == np.int16
    np.testing.assert_array_equal(ours.dataobj.get_unscaled()[:, :, 0], theirs.dataobj.get_unscaled()[:, :, 3])
    np.testing.assert_array_equal(ours.get_fdata()[:, :, 0], theirs.get_fdata()[:, :, 3])
    assert (ours.dataobj.slope, ours.dataobj.inter) == (theirs.dataobj.slope, theirs.dataobj.inter) == (0.5, -11.0)
    np.testing.assert_allclose(ours.affine @ (5, 7, 0, 1), theirs.affine @ (5, 7, 3, 1), atol=1e-4)
    np.testing.assert_array_equal(ours.header["pixdim"], theirs.header["pixdim"])
    for key in ("sform_code", "qform_code", "xyzt_units"):
        assert ours.header[key] == theirs.header[key]
    assert bytes(ours.header["descrip"]).startswith(b"SYNTHETIC by a test")
    assert b"SYNTHETIC" in bytes(ours.header["intent_name"])
    assert b"SYNTHETIC" in bytes(ours.header["aux_file"])


@pytest.mark.parametrize("form", VIEWS, ids=short)
def test_a_stack_stored_in_any_of_eight_forms_looks_the_same_and_is_written_back_as_it_was(tmp_path, form):
    image, labels = (np.pad(part, ((3, 4), (0, 0), (0, 0))) for part in ring_patient(4, scar=True))  # no square: rows are no columns
    affine = short_axis_affine(4, (1.5, 1.25, 10.0))
    paths = tmp_path / "i.nii.gz", tmp_path / "l.nii.gz"
    for path, voxels in zip(paths, (np.rint(image).astype(np.int16), labels), strict=True):
        save_as(path, voxels.transpose(1, 0, 2), affine, form)
    stack = read_stack(*paths, "A", LABEL_MAPS["emidec"])
    np.testing.assert_array_equal(stack.image, np.rint(image))
    np.testing.assert_array_equal(stack.labels, labels)
    assert stack.view.source is ViewSource.AFFINE
    assert stack.spacing_mm == pytest.approx((1.25, 1.5))
    write_slice_like(tmp_path / "s.nii.gz", stack[1].image, stack.places[1])
    write_slice_like(tmp_path / "m.nii.gz", stack[1].labels, stack.places[1], dtype=np.uint8)
    theirs = nib.load(paths[0])
    for name, of in (("s.nii.gz", paths[0]), ("m.nii.gz", paths[1])):
        ours = nib.load(tmp_path / name)
        np.testing.assert_array_equal(np.asarray(ours.dataobj)[:, :, 0], np.asarray(nib.load(of).dataobj)[:, :, 1])
        np.testing.assert_allclose(ours.affine[:, :3], theirs.affine[:, :3], atol=1e-5)
        np.testing.assert_allclose(ours.affine @ (5, 7, 0, 1), theirs.affine @ (5, 7, 1, 1), atol=1e-4)
    again = read_stack(tmp_path / "s.nii.gz", tmp_path / "m.nii.gz", "A", LABEL_MAPS["emidec"])
    np.testing.assert_array_equal(again.image[:, :, 0], np.rint(image)[:, :, 1])  # what was written is seen as the host is
    assert again.view == stack.view


def save_as(path: Path, voxels: np.ndarray, affine: np.ndarray, form: View) -> None:
    """The same voxels at the same places, stored with other axes."""
    orientation = np.array([[1, -1 if form.flip_columns else 1], [0, -1 if form.flip_rows else 1], [2, 1]])
    if not form.transpose:
        orientation[:2, 0] = 0, 1
    nib.save(nib.Nifti1Image(voxels, affine).as_reoriented(orientation), path)


@pytest.mark.parametrize(("qform_code", "sform_code"), list(itertools.product((0, 1, 2, 4), repeat=2)))
def test_the_codes_of_the_host_stay_and_so_do_both_positions(tmp_path, qform_code, sform_code):
    image = nib.Nifti1Image(np.zeros((40, 36, 5), np.int16), short_axis_affine(1))
    image.set_qform(short_axis_affine(1), qform_code)
    image.set_sform(short_axis_affine(1), sform_code)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "h.nii.gz")
    write_slice_like(tmp_path / "s.nii.gz", np.zeros((36, 40), np.int16), Place(path=tmp_path / "h.nii.gz", index=2))
    theirs, ours = nib.load(tmp_path / "h.nii.gz"), nib.load(tmp_path / "s.nii.gz")
    assert int(ours.header["qform_code"]) == qform_code
    # A host without any code is placed by its shape, which the slice does not share: an sform keeps the place.
    assert int(ours.header["sform_code"]) == (sform_code or (0 if qform_code else 2))
    for form in ("qform", "sform"):
        if int(theirs.header[f"{form}_code"]) > 0:
            where = [getattr(each, f"get_{form}")() @ (3, 4, index, 1) for each, index in ((theirs, 2), (ours, 0))]
            np.testing.assert_allclose(*where, atol=1e-3)
    np.testing.assert_allclose(ours.affine @ (3, 4, 0, 1), theirs.affine @ (3, 4, 2, 1), atol=1e-3)


def test_image_and_label_share_one_geometry_and_the_label_is_unscaled(tmp_path, host, ring):
    labels = ring(side=40)[:36]
    write_slice_like(tmp_path / "i.nii.gz", np.full((36, 40), 7, np.int16), Place(path=host, index=2))
    write_slice_like(tmp_path / "l.nii.gz", labels, Place(path=host, index=2), dtype=np.uint8)
    image, label = nib.load(tmp_path / "i.nii.gz"), nib.load(tmp_path / "l.nii.gz")
    np.testing.assert_array_equal(image.affine, label.affine)
    assert image.shape == label.shape
    assert label.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(label.get_fdata()[:, :, 0], labels.T)
    read_stack(tmp_path / "i.nii.gz", tmp_path / "l.nii.gz", "A", IDS)  # what was written opens again


def test_a_host_placed_by_nothing_but_its_shape_keeps_its_place(tmp_path):
    image = nib.Nifti1Image(np.zeros((40, 36, 5), np.float32), None)
    image.header.set_zooms((1.4, 1.2, 8))
    nib.save(image, tmp_path / "bare.nii.gz")
    write_slice_like(tmp_path / "s.nii.gz", np.zeros((36, 40), np.float32), Place(path=tmp_path / "bare.nii.gz", index=4))
    theirs, ours = nib.load(tmp_path / "bare.nii.gz"), nib.load(tmp_path / "s.nii.gz")
    np.testing.assert_allclose(ours.affine @ (0, 0, 0, 1), theirs.affine @ (0, 0, 4, 1), atol=1e-5)


@pytest.mark.parametrize("across", [0, 1])
def test_a_host_placed_by_nothing_but_its_shape_keeps_its_place_where_its_slices_lie_on_another_axis(tmp_path, across):
    shape, zooms = [40, 36], [1.4, 1.2]
    shape.insert(across, 5)
    zooms.insert(across, 8.0)
    image = nib.Nifti1Image(np.zeros(shape, np.float32), None)
    image.header.set_zooms(zooms)
    nib.save(image, tmp_path / "bare.nii.gz")
    write_slice_like(tmp_path / "s.nii.gz", np.zeros((36, 40), np.float32), Place(path=tmp_path / "bare.nii.gz", index=4))
    theirs, ours = nib.load(tmp_path / "bare.nii.gz"), nib.load(tmp_path / "s.nii.gz")
    last = [39, 35]
    last.insert(across, 4)
    ends = {tuple(np.round(theirs.affine @ (*np.where(np.arange(3) == across, 4, end), 1), 4)) for end in ([0, 0, 0], last)}
    assert {tuple(np.round(ours.affine @ (*end, 0, 1), 4)) for end in ((0, 0), (39, 35))} == ends


def test_a_host_placed_by_a_quaternion_keeps_its_place(tmp_path):
    image = nib.Nifti1Image(np.zeros((40, 36, 5), np.float64), None)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0] * (1.4, 1.2, 8)
    image.set_qform(np.vstack([np.hstack([turn, [[1], [2], [3]]]), [0, 0, 0, 1]]), code=1)
    nib.save(image, tmp_path / "q.nii.gz")
    write_slice_like(tmp_path / "s.nii.gz", np.zeros((36, 40)), Place(path=tmp_path / "q.nii.gz", index=4))
    theirs, ours = nib.load(tmp_path / "q.nii.gz"), nib.load(tmp_path / "s.nii.gz")
    assert (int(ours.header["qform_code"]), int(ours.header["sform_code"])) == (1, 0)
    np.testing.assert_allclose(ours.affine @ (3, 2, 0, 1), theirs.affine @ (3, 2, 4, 1), atol=1e-4)


def test_the_same_slice_gives_the_same_bytes_under_any_name_at_any_time(tmp_path, host):
    pixels = np.random.default_rng(0).integers(0, 99, (36, 40)).astype(np.int16)
    for name in ("a.nii.gz", "b.nii.gz"):
        write_slice_like(tmp_path / name, pixels, Place(path=host, index=0))
    packed = (tmp_path / "a.nii.gz").read_bytes()
    assert packed == (tmp_path / "b.nii.gz").read_bytes()
    assert packed[3] == 0  # no name in the gzip header
    assert packed[4:8] == bytes(4)  # and no time stamp


def test_pixels_that_do_not_fit_the_dtype_are_not_rounded_in_silence(tmp_path, host):
    for pixels in (np.full((36, 40), 40_000), np.full((36, 40), 0.5)):
        with pytest.raises(ValueError, match="do not fit"):
            write_slice_like(tmp_path / "x.nii.gz", pixels, Place(path=host, index=0))
    assert not (tmp_path / "x.nii.gz").exists()


def test_another_size_or_slice_than_the_host_has_is_refused(tmp_path, host):
    for pixels, index in ((np.zeros((40, 36), np.int16), 0), (np.zeros((36, 40), np.int16), 5), (np.zeros((36, 40), np.int16), -1)):
        with pytest.raises(InputError, match="5 slices of 36 x 40"):
            write_slice_like(tmp_path / "x.nii.gz", pixels, Place(path=host, index=index))


@pytest.mark.parametrize("folder", ["/proc/lgesynthnet", "/dev/null/lgesynthnet", "/sys/lgesynthnet"])
def test_a_place_that_cannot_be_written_is_a_run_error(folder, host):
    with pytest.raises(RunError, match="cannot be written"):
        write_slice_like(Path(folder) / "x.nii.gz", np.zeros((36, 40), np.int16), Place(path=host, index=0))


def test_a_disk_that_fills_up_leaves_no_rest(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # the system itself refuses the 1001st byte
    try:
        with pytest.raises(RunError, match="free space"):
            write_bytes(tmp_path / "x.nii.gz", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_a_device_is_never_replaced_by_a_file(tmp_path):
    pipe = tmp_path / "pipe.nii.gz"
    os.mkfifo(pipe)
    with pytest.raises(RunError, match="exists already"):
        write_bytes(pipe, b"x")
    assert pipe.is_fifo()


def test_a_written_slice_reads_back_through_our_own_reader(tmp_path, host):
    pixels = np.arange(36 * 40, dtype=np.int16).reshape(36, 40)
    write_slice_like(tmp_path / "s.nii", pixels, Place(path=host, index=1))
    volume = read_volume(tmp_path / "s.nii")
    np.testing.assert_array_equal(volume.stored[:, :, 0].T, pixels)
    assert (volume.slope, volume.inter) == (0.5, -11.0)
