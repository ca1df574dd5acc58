"""Labels that are written as contours or masks come back, in every format, however the slices lie in the patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from contour_writers import (
    CAVITY,
    NO_REFLOW,
    RV,
    SCAR,
    WRITERS,
    dice,
    heart,
    outlines,
    planes,
    segment_fields,
    write_cvi42,
    write_rtstruct,
    write_seg,
    write_segment,
)

from lgesynthnet.data.contours.finding import find_contour_files
from lgesynthnet.data.contours.rasterizing import fill
from lgesynthnet.data.contours.reading import read_contour_labels
from lgesynthnet.data.planes import SlicePlane
from lgesynthnet.errors import InputError
from lgesynthnet.records import wall_of

TURNS = ["as stored", "mirrored", "transposed"]
BY_UID = [name for name in WRITERS if name != "segment"]  # the order of the slices in Segment follows from their place
BY_PLACE = ["rtstruct", "seg", "labelmap", "segment"]


def assert_like(read: np.ndarray, labels: np.ndarray, name: str) -> None:
    for k in range(labels.shape[2]):
        assert dice(read[:, :, k] == CAVITY, labels[:, :, k] == CAVITY) >= 0.99
        assert dice(wall_of(read[:, :, k]), wall_of(labels[:, :, k])) >= 0.99
        if name != "sunnybrook":
            assert (
                dice((read[:, :, k] == SCAR) | (read[:, :, k] == NO_REFLOW), (labels[:, :, k] == SCAR) | (labels[:, :, k] == NO_REFLOW))
                >= 0.98
            )
            assert dice(read[:, :, k] == NO_REFLOW, labels[:, :, k] == NO_REFLOW) >= 0.95
            assert dice(read[:, :, k] == RV, labels[:, :, k] == RV) >= 0.98


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("turn", TURNS)
def test_cavity_and_wall_come_back_with_a_dice_of_99_percent(name, turn, tmp_path):
    labels, on = planes(heart(), tmp_path / "images", turn=turn)
    paths = WRITERS[name](tmp_path, labels, on)
    assert find_contour_files(tmp_path) == sorted(paths)
    read = read_contour_labels(paths, on)
    assert read.labels.shape == labels.shape
    assert_like(read.labels, labels, name)


@pytest.mark.parametrize("name", BY_UID)
def test_the_named_image_decides_and_not_the_order_of_slices_or_files(name, tmp_path):
    labels, on = planes(heart(slices=4), tmp_path / "images")
    paths = WRITERS[name](tmp_path, labels, on, order=[2, 0, 3, 1])
    shuffled = [3, 1, 0, 2]
    read = read_contour_labels(paths[::-1], [on[k] for k in shuffled])
    assert_like(read.labels, labels[:, :, shuffled], name)


@pytest.mark.parametrize("name", BY_PLACE)
def test_the_place_decides_where_the_slices_are_no_dicom_instances(name, tmp_path):
    labels, on = planes(heart(slices=4), tmp_path / "images")
    paths = WRITERS[name](tmp_path, labels, on)
    shuffled = [3, 1, 0, 2]
    read = read_contour_labels(paths, [replace(on[k], sop_instance_uid=None) for k in shuffled])
    assert_like(read.labels, labels[:, :, shuffled], name)


@pytest.mark.parametrize("name", ["rtstruct", "seg", "labelmap", "segment"])
def test_slices_that_are_stored_mirrored_take_contours_by_their_place(name, tmp_path):
    """Contours that were drawn on another export of the same scan, with rows and columns in another order."""
    labels, on = planes(heart(), tmp_path / "images")
    paths = WRITERS[name](tmp_path, labels, on)
    for turn in TURNS:
        turned, slices = planes(heart(), tmp_path / "other", turn=turn, with_uids=False)
        assert_like(read_contour_labels(paths, slices).labels, turned, name)


def test_binary_masks_come_back_to_the_pixel(tmp_path):
    labels, on = planes(heart(), tmp_path / "images", turn="mirrored")
    for name in ("seg", "labelmap"):
        np.testing.assert_array_equal(read_contour_labels(WRITERS[name](tmp_path, labels, on), on).labels, labels)


def test_a_fractional_mask_counts_from_one_half_and_is_noted(tmp_path):
    labels, on = planes(heart(), tmp_path / "images")
    masks = {"Cavity": labels == CAVITY, "Myocardium": wall_of(labels)}
    read = read_contour_labels([write_seg(tmp_path / "seg.dcm", masks, on, kind="FRACTIONAL")], on)
    np.testing.assert_array_equal(read.labels == CAVITY, labels == CAVITY)
    np.testing.assert_array_equal(wall_of(read.labels), wall_of(labels))
    assert "fractional" in read.notes[0]


def test_some_slices_without_contours_stay_empty(tmp_path):
    labels, on = planes(heart(slices=4), tmp_path / "images")
    path = write_rtstruct(tmp_path / "rt.dcm", labels, on, order=[1, 2])
    read = read_contour_labels([path], on)
    assert not read.labels[:, :, [0, 3]].any()
    assert_like(read.labels[:, :, 1:3], labels[:, :, 1:3], "rtstruct")


def test_contours_of_slices_that_are_not_given_are_counted_in_a_note(tmp_path):
    labels, on = planes(heart(slices=4), tmp_path / "images")
    read = read_contour_labels([write_rtstruct(tmp_path / "rt.dcm", labels, on)], on[:3])
    assert any("5 contours or masks belong to none of the slices" in note for note in read.notes)


@pytest.mark.parametrize("name", WRITERS)
def test_contours_of_other_images_are_refused(name, tmp_path):
    labels, on = planes(heart(), tmp_path / "images")
    paths = WRITERS[name](tmp_path, labels, on)
    away = np.array(on[0].normal) * 2000
    others = [
        replace(
            plane,
            sop_instance_uid=f"1.2.3.{k}",
            path=tmp_path / f"other-{k}.dcm",
            origin_mm=tuple((np.array(plane.origin_mm) + away).tolist()),
        )
        for k, plane in enumerate(on)
    ]
    with pytest.raises(InputError, match=r"none of the \d+ contours belongs to the given slices"):
        read_contour_labels(paths, others)


def test_cvi42_contours_on_nifti_slices_are_refused_with_the_remedy(tmp_path):
    labels, on = planes(heart(), tmp_path / "images")
    path = write_cvi42(tmp_path / "work.cvi42wsx", labels, on)
    with pytest.raises(InputError, match="give those DICOM images in place of NIfTI"):
        read_contour_labels([path], [replace(plane, sop_instance_uid=None) for plane in on])


def test_a_contour_2_mm_from_a_slice_is_not_drawn_on_it_and_one_1_mm_away_is(tmp_path):
    labels, on = planes(heart(), tmp_path / "images", with_uids=False)
    path = write_rtstruct(tmp_path / "rt.dcm", labels, on, with_uids=False)

    def moved(millimetres: float) -> list[SlicePlane]:
        away = on[0].normal * millimetres
        return [replace(plane, origin_mm=tuple((np.array(plane.origin_mm) + away).tolist())) for plane in on]

    assert read_contour_labels([path], moved(1.0)).labels.any()
    with pytest.raises(InputError, match="none of the"):
        read_contour_labels([path], moved(2.0))


def test_a_contour_that_names_an_image_and_lies_elsewhere_is_refused(tmp_path):
    labels, on = planes(heart(), tmp_path / "images")
    path = write_rtstruct(tmp_path / "rt.dcm", labels, on)
    swapped = [replace(plane, sop_instance_uid=other.sop_instance_uid) for plane, other in zip(on, on[::-1], strict=True)]
    with pytest.raises(InputError, match=r"'Endo': lies 16.0 mm away from the image that it names"):
        read_contour_labels([path], swapped)


def test_the_frames_of_one_instance_are_told_apart_by_their_place(tmp_path):
    labels, on = planes(heart(), tmp_path / "images")
    frames = [replace(plane, sop_instance_uid="1.2.3", frame=k, path=tmp_path / "all.dcm") for k, plane in enumerate(on)]
    assert_like(
        read_contour_labels([write_rtstruct(tmp_path / "rt.dcm", labels, frames)], frames[::-1]).labels, labels[:, :, ::-1], "rtstruct"
    )
    with pytest.raises(InputError, match="give the image as files of one frame each"):
        read_contour_labels([write_cvi42(tmp_path / "work.cvi42wsx", labels, frames, order=[0])], frames)


def test_two_slices_at_one_place_are_not_chosen_between(tmp_path):
    labels, on = planes(heart(), tmp_path / "images", with_uids=False)
    path = write_rtstruct(tmp_path / "rt.dcm", labels, on, with_uids=False)
    with pytest.raises(InputError, match="several slices at one place"):
        read_contour_labels([path], [*on, replace(on[0], path=tmp_path / "again.dcm")])


def test_a_mask_on_another_grid_is_refused(tmp_path):
    labels, on = planes(heart(), tmp_path / "images")
    path = write_seg(tmp_path / "seg.dcm", {"Cavity": labels == CAVITY, "Wall": wall_of(labels)}, on)
    with pytest.raises(InputError, match="resample the segmentation onto the grid"):
        read_contour_labels([path], [replace(plane, spacing_mm=(1.1, 1.1)) for plane in on])
    shifted = [replace(plane, origin_mm=tuple((np.array(plane.origin_mm) + np.array(plane.along_row) * 0.3).tolist())) for plane in on]
    with pytest.raises(InputError, match="resample the segmentation onto the grid"):
        read_contour_labels([path], shifted)


def test_a_scar_mask_of_a_cropped_stack_of_segment_keeps_its_place(tmp_path):
    labels, on = planes(heart(), tmp_path / "images", with_uids=False)
    assert not labels[:4].any()
    cropped = [replace(plane, shape=(60, 64), origin_mm=tuple(plane.to_patient(np.array([[4.0, 0.0]]))[0].tolist())) for plane in on]
    path = write_segment(tmp_path / "saved.mat", segment_fields(labels[4:], cropped), compress=False)
    assert_like(read_contour_labels([path], on).labels, labels, "segment")


def test_a_mask_that_reaches_beyond_its_slice_is_refused(tmp_path):
    labels, on = planes(heart(), tmp_path / "images", with_uids=False)
    path = write_segment(tmp_path / "saved.mat", segment_fields(labels, on))
    cut = [replace(plane, shape=(44, 64)) for plane in on]  # the scar reaches to row 50
    with pytest.raises(InputError, match="the pixels of Scar in image stack 1 are not those of"):
        read_contour_labels([path], cut)


class TestFilling:
    def test_a_pixel_is_covered_if_half_of_its_area_is(self):
        square = np.array([[1.5, 1.5], [1.5, 4.5], [4.5, 4.5], [4.5, 1.5]])  # the pixels 2 to 4
        expected = np.zeros((8, 8), dtype=bool)
        expected[2:5, 2:5] = True
        np.testing.assert_array_equal(fill([square], (8, 8), "x"), expected)
        np.testing.assert_array_equal(fill([square + np.array([0, 0.4])], (8, 8), "x"), expected)
        np.testing.assert_array_equal(fill([square + np.array([0, 0.6])], (8, 8), "x"), np.roll(expected, 1, axis=1))

    def test_an_outline_inside_another_is_a_hole_and_one_inside_that_is_filled(self):
        rows, columns = np.mgrid[:40, :40]
        away = np.hypot(rows - 20, columns - 20)
        mask = (away < 15) & ~(away < 9) | (away < 4)
        found = outlines(mask)
        assert len(found) == 3
        for order in (found, found[::-1], [points[::-1] for points in found]):
            np.testing.assert_array_equal(fill(order, mask.shape, "x"), mask)

    def test_what_lies_outside_the_image_is_cut_off(self):
        circle = np.stack([20 * np.sin(t := np.linspace(0, 2 * np.pi, 200)), 20 * np.cos(t)], axis=1)
        rows, columns = np.mgrid[:30, :25]
        assert dice(fill([circle], (30, 25), "x"), np.hypot(rows, columns) < 20) > 0.99
        assert not fill([circle - 100], (30, 25), "x").any()
        assert fill([circle * 10], (30, 25), "x").all()

    def test_the_area_of_a_circle_is_right_to_half_a_percent(self):
        circle = np.stack([100.3 + 40 * np.sin(t := np.linspace(0, 2 * np.pi, 720)), 130.8 + 40 * np.cos(t)], axis=1)
        assert fill([circle], (256, 256), "x").sum() == pytest.approx(np.pi * 1600, rel=0.005)

    def test_an_outline_that_runs_to_and_fro_is_refused(self):
        zigzag = np.stack([np.tile([0.0, 500.0], 10_000), np.linspace(0, 500, 20_000)], axis=1)
        with pytest.raises(InputError, match="to and fro"):
            fill([zigzag], (512, 512), "x")
