"""What the numbers of a label file mean: float labels, unknown ids and the option that maps them, images in place of labels, wall alone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from lgesynthnet.data.label_maps import LABEL_MAPS, parse_label_map
from lgesynthnet.data.label_reading import fill_cavities, translate_labels
from lgesynthnet.data.nifti import Volume
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label

EMIDEC = LABEL_MAPS["emidec"]


def volume(stored: np.ndarray, slope: float = 1.0, inter: float = 0.0) -> Volume:
    stored = stored if stored.ndim == 3 else stored[:, :, None]
    return Volume(path=Path("l.nii"), stored=stored, affine=np.eye(4), pixel_mm=(1.5, 1.25, 8.0), slope=slope, inter=inter)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint8, np.uint64, np.int64])
def test_labels_of_any_type_mean_their_whole_numbers(ring, dtype):
    np.testing.assert_array_equal(translate_labels(volume(ring().astype(dtype)), EMIDEC)[:, :, 0], ring())


@pytest.mark.parametrize("off", [-9e-4, -6e-8, 6e-8, 9e-4])
def test_labels_that_miss_a_whole_number_by_a_rounding_are_that_number(ring, off):
    np.testing.assert_array_equal(translate_labels(volume(ring() + off), EMIDEC)[:, :, 0], ring())


def test_a_slope_and_an_intercept_are_applied_before_the_labels_are_read(ring):
    np.testing.assert_array_equal(translate_labels(volume((ring() * 2 + 3).astype(np.uint8), 0.5, -1.5), EMIDEC)[:, :, 0], ring())


def test_labels_that_are_off_by_more_are_refused(ring):
    with pytest.raises(InputError, match=r"1\.002, which is not a whole number.*without interpolation"):
        translate_labels(volume(np.where(ring() == 1, 1.002, ring())), EMIDEC)


def test_every_unknown_id_is_named_with_its_pixels_over_all_slices(ring):
    stored = np.stack([ring(), ring(), ring()], axis=2)
    stored[:3, 0, 1:], stored[:2, 1, 2] = 9, 7
    with pytest.raises(InputError) as caught:
        translate_labels(volume(stored), EMIDEC)
    assert "ids 7 (2 pixels, first in slice 2), 9 (6 pixels, first in slice 1); the known ids are 0=background,1=cavity," in str(
        caught.value
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e300, 2.0**60])
def test_numbers_that_are_no_ids_at_all_are_one_entry(ring, value):
    stored = np.stack([ring().astype(np.float64)] * 2, axis=2)
    stored[:2, :2] = value
    with pytest.raises(InputError, match=r"\(8 pixels, first in slice 0\)") as caught:
        translate_labels(volume(stored), EMIDEC)
    assert len(str(caught.value)) < 400


def printed_option(fault: Exception) -> dict[int, Label]:
    """The --labels option that an error prints, read as the command line reads it."""
    [option] = re.findall(r"e\.g\. --labels (\S+)$", str(fault))
    return parse_label_map(option)


@pytest.mark.parametrize("dataset", sorted(LABEL_MAPS))
@pytest.mark.parametrize("times", [85, 51, 10])
def test_labels_that_were_multiplied_are_read_with_the_option_that_the_error_prints(ring, dataset, times):
    known = LABEL_MAPS[dataset]
    stored = np.zeros((64, 64), np.int16)
    for place, number in enumerate(known):
        stored[10 * place : 10 * place + 10] = number * times
    with pytest.raises(InputError) as caught:
        translate_labels(volume(stored), known)
    labels = translate_labels(volume(stored), printed_option(caught.value))
    np.testing.assert_array_equal(labels, translate_labels(volume((stored // times).astype(np.int16)), known))


@pytest.mark.parametrize(
    ("ids", "means"),
    [
        ((0, 85, 170), {85: Label.CAVITY, 170: Label.WALL}),  # no scar in this patient
        ((0, 255), {1: Label.CAVITY, 255: Label.WALL}),  # a mask of the wall alone
        ((0, 1, 2, 7), EMIDEC | {7: Label.BACKGROUND}),
        ((0, *range(11, 30)), EMIDEC | dict.fromkeys(range(11, 30), Label.BACKGROUND)),
    ],
)
@pytest.mark.parametrize("dataset", ["emidec", "acdc"])
def test_the_printed_option_is_always_complete(ids, means, dataset):
    stored = np.resize(np.array(ids, np.int16), (40, 40, 1))
    with pytest.raises(InputError) as caught:
        translate_labels(volume(stored), LABEL_MAPS[dataset])
    option = printed_option(caught.value)
    translate_labels(volume(stored), option)
    if dataset == "emidec":
        assert {number: meaning for number, meaning in option.items() if number} == {n: m for n, m in means.items() if n}


@pytest.mark.parametrize("value", [-1, -300, 10**9, 2**40])
def test_ids_that_the_option_cannot_name_get_another_remedy_that_works(ring, value):
    stored = ring().astype(np.int64)
    stored[0, :5] = value
    with pytest.raises(InputError, match=r"store these pixels with another id, e\.g\. 0 for background") as caught:
        translate_labels(volume(stored), EMIDEC)
    assert "--labels" not in str(caught.value)
    translate_labels(volume(np.where(stored == value, 0, stored)), EMIDEC)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_an_image_in_the_place_of_labels_is_called_so(dtype):
    image = np.random.default_rng(0).normal(300, 200, (64, 64)).astype(dtype)
    with pytest.raises(InputError, match="is an image and no label; give the label file"):
        translate_labels(volume(image), EMIDEC)


def test_the_hole_of_a_closed_wall_becomes_the_cavity_and_nothing_else_changes(ring):
    wall_alone = np.stack([np.where(ring() == 1, 0, ring()), ring(), np.zeros_like(ring())], axis=2)
    wall_alone[2:5, 2:5, 0] = Label.RV
    filled, slices = fill_cavities(wall_alone)
    assert slices == [0]
    expected = np.stack([ring(), ring(), np.zeros_like(ring())], axis=2)
    expected[2:5, 2:5, 0] = Label.RV
    np.testing.assert_array_equal(filled, expected)
    assert wall_alone[32, 32, 0] == 0  # the input stays


def test_scar_and_no_reflow_are_wall_when_a_cavity_is_looked_for(ring):
    labels = np.where(ring() == 1, 0, ring())
    labels[:32][labels[:32] == 2] = Label.SCAR
    labels[:, :32][labels[:, :32] == 2] = Label.NO_REFLOW
    filled, slices = fill_cavities(labels[:, :, None])
    assert slices == [0]
    np.testing.assert_array_equal(filled[:, :, 0] == 1, ring() == 1)


def test_an_open_wall_a_gap_in_a_wall_and_a_cavity_that_was_drawn_stay_as_they_are(ring):
    open_ring = np.where(ring() == 1, 0, ring())
    open_ring[:, 28:36][:32] = 0
    with_gap = open_ring.copy()
    with_gap[44:47, 31:34] = 0  # 9 pixels inside the wall
    in_pieces = np.where(ring() == 1, 0, ring())
    in_pieces[:6, :20] = 2
    half_drawn = ring()
    half_drawn[:, 32:][half_drawn[:, 32:] == 1] = 0
    for labels in (open_ring, with_gap, in_pieces, half_drawn, np.zeros_like(open_ring)):
        filled, slices = fill_cavities(labels[:, :, None].copy())
        assert slices == []
        np.testing.assert_array_equal(filled[:, :, 0], labels)


def test_a_gap_beside_the_cavity_stays_a_gap(ring):
    labels = np.where(ring() == 1, 0, ring())
    labels[44, 32] = 0
    filled, _ = fill_cavities(labels[:, :, None])
    np.testing.assert_array_equal(filled[:, :, 0] == 1, ring() == 1)


def test_what_is_labelled_inside_the_wall_is_not_painted_over(ring):
    labels = np.where(ring() == 1, 0, ring())
    labels[30:34, 30:34] = Label.RV
    filled, _ = fill_cavities(labels[:, :, None])
    assert (filled[30:34, 30:34] == Label.RV).all()
