"""Image and label become a stack only where their grids agree, and a label map is read as written."""

from __future__ import annotations

import numpy as np
import pytest

from lgesynthnet.data.label_maps import LABEL_MAPS, parse_label_map
from lgesynthnet.data.stack import read_stack
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label, ViewSource

IDS = LABEL_MAPS["emidec"]


def test_file_axes_are_column_row_slice_and_flips_are_applied_and_recorded(tmp_path, save):
    image = np.zeros((40, 36, 2), np.uint16)
    image[30, 5, 1] = 9  # column 30, row 5
    labels = (image > 0).astype(np.uint8)
    paths = save(tmp_path / "i.nii.gz", image), save(tmp_path / "l.nii.gz", labels)
    for flip, place in (((False, False), (5, 30)), ((True, False), (30, 30)), ((False, True), (5, 9)), ((True, True), (30, 9))):
        stack = read_stack(*paths, "A", IDS, flip=flip)
        assert stack.image.shape == (36, 40, 2)
        assert np.argwhere(stack.image[:, :, 1]).tolist() == [list(place)]
        assert np.argwhere(stack.labels[:, :, 1]).tolist() == [list(place)]
        assert (stack.view.flip_rows, stack.view.flip_columns) == flip
        assert stack.view.source is ViewSource.GIVEN


def test_numbers_keep_their_dtype_and_float_labels_that_are_whole_are_welcome(tmp_path, save, ring):
    labels = ring(side=40).T[:, :, None].astype(np.float64)
    for dtype in (np.uint8, np.int16, np.uint16, np.float32, np.float64):
        image = save(tmp_path / "i.nii", np.ones((40, 40, 1), dtype))
        assert read_stack(image, save(tmp_path / "l.nii", labels), "A", IDS).image.dtype == dtype


def test_labels_stored_with_a_slope_mean_their_scaled_values(tmp_path, save, ring):
    doubled = (ring(side=40).T[:, :, None] * 2).astype(np.uint8)
    image = save(tmp_path / "i.nii", np.ones((40, 40, 1), np.int16))
    stack = read_stack(image, save(tmp_path / "l.nii", doubled, slope=(0.5, 0.0)), "A", IDS)
    np.testing.assert_array_equal(stack.labels[:, :, 0], ring(side=40))


def test_an_unknown_label_id_is_named_with_file_slice_count_and_remedy(tmp_path, pair):
    image, label = pair(tmp_path / "i.nii", tmp_path / "l.nii")
    raw = bytearray(label.read_bytes())
    raw[352 + 64 * 64 * 2 : 352 + 64 * 64 * 2 + 5] = bytes([7] * 5)
    label.write_bytes(raw)
    with pytest.raises(
        InputError, match=r"l\.nii: holds the unknown label ids 7 \(5 pixels, first in slice 2\); the known ids are .*--labels"
    ):
        read_stack(image, label, "A", IDS)
    assert (read_stack(image, label, "A", {**IDS, 7: Label.RV}).labels[:, :, 2] == Label.RV).sum() == 5


@pytest.mark.parametrize(
    ("value", "says"), [(1.5, "1.5, which is not a whole number"), (np.nan, "nan, which is not"), (-1.0, "ids -1 .* another id, e.g. 0")]
)
def test_labels_that_are_no_ids_are_refused(tmp_path, save, value, says):
    labels = np.zeros((40, 40, 2), np.float32)
    labels[3:5, 3, 1] = value
    image = save(tmp_path / "i.nii", np.ones((40, 40, 2), np.int16))
    with pytest.raises(InputError, match=says) as caught:
        read_stack(image, save(tmp_path / "l.nii", labels), "A", IDS)
    assert "2 pixels, first in slice 1" in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_are_named_with_their_slice(tmp_path, save, value):
    image = np.ones((40, 40, 4), np.float32)
    image[1, 1:4, 2] = value
    paths = save(tmp_path / "i.nii.gz", image), save(tmp_path / "l.nii.gz", np.zeros((40, 40, 4), np.uint8))
    with pytest.raises(InputError, match=r"i\.nii\.gz: slice 2 holds NaN or Inf in 3 pixels"):
        read_stack(*paths, "A", IDS)


def test_grids_that_differ_are_refused_with_both(tmp_path, save):
    image = save(tmp_path / "i.nii", np.ones((40, 36, 3), np.int16))
    away = np.diag([-1.5, -1.25, 8.0, 1.0])
    away[0, 3] = 0.2
    for label, says in (
        (save(tmp_path / "s.nii", np.zeros((36, 40, 3), np.uint8)), r"shape .* is \[36,40,3\], but its image .*i\.nii has \[40,36,3\]"),
        (save(tmp_path / "z.nii", np.zeros((40, 36, 3), np.uint8), (1.5, 1.25, 9.0)), r"pixdim in mm is \[1.5,1.25,9.0\]"),
        (save(tmp_path / "a.nii", np.zeros((40, 36, 3), np.uint8), affine=away), "affine is .* does not say where it lies"),
    ):
        with pytest.raises(InputError, match=says):
            read_stack(image, label, "A", IDS)
    away[0, 3] = 0.01  # rounding of another program
    read_stack(image, save(tmp_path / "n.nii", np.zeros((40, 36, 3), np.uint8), affine=away), "A", IDS)


def test_label_words():
    assert parse_label_map("1=cavity,2=wall,3=scar,4=no-reflow,5=rv") == LABEL_MAPS["lgesynthnet"]
    assert parse_label_map(" 3 = LV , 2=Myocardium, 1=RV,")[3] is Label.CAVITY
    assert parse_label_map("1=rv,2=myo,3=lv") == LABEL_MAPS["acdc"]
    assert LABEL_MAPS["acdc"] != LABEL_MAPS["emidec"]


@pytest.mark.parametrize(
    "text", ["1=cavity,2=liver", "cavity,wall", "1=cavity", "", "1=cavity,1=wall", "x=cavity,2=wall", "-1=cavity,2=wall"]
)
def test_label_words_that_are_not_understood(text):
    with pytest.raises(InputError, match=r"--labels"):
        parse_label_map(text)
