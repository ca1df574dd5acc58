"""Labels are brought onto the grid of their image where the two hold the same voxels in another order, and refused everywhere else."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import ring_patient, short_axis_affine

from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.data.stack import read_stack
from lgesynthnet.errors import InputError

IDS = LABEL_MAPS["emidec"]
TURNS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))
OBLIQUE = short_axis_affine(2, (1.5, 1.25, 9.0))


def heart(rows: int = 64, slices: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels in the order of a file (column, row, slice): no two axes are alike, and nothing is symmetric."""
    image, labels = ring_patient(7, slices, scar=True)
    short = (image[:rows].transpose(1, 0, 2), labels[:rows].transpose(1, 0, 2))
    return np.rint(short[0]).astype(np.int16), short[1]


def write(path: Path, voxels: np.ndarray, affine: np.ndarray, order=(0, 1, 2), signs=(1, 1, 1)) -> Path:
    """The same voxels at the same places, stored with the axes `order`, reversed where the sign is -1."""
    image = nib.Nifti1Image(voxels, affine)
    orientation = np.empty((3, 2))
    for new, (old, sign) in enumerate(zip(order, signs, strict=True)):
        orientation[old] = new, sign
    nib.save(image.as_reoriented(orientation), path)
    return path


@pytest.mark.parametrize(
    ("order", "signs"), TURNS, ids=lambda part: "".join("-+"[i > 0] if i < 0 or part.count(1) > 1 else str(i) for i in part)
)
@pytest.mark.parametrize("affine", [OBLIQUE, np.diag([1.5, 1.25, 9.0, 1.0])], ids=["oblique", "along the scanner"])
def test_labels_with_any_of_48_axes_come_out_as_the_honest_ones(tmp_path, affine, order, signs):
    image, labels = heart(rows=58)
    place = write(tmp_path / "i.nii", image, affine)
    honest = read_stack(place, write(tmp_path / "h.nii", labels, affine), "A", IDS)
    assert honest.notes == ()
    turned = read_stack(place, write(tmp_path / "l.nii", labels, affine, order, signs), "A", IDS)
    np.testing.assert_array_equal(turned.labels, honest.labels)
    np.testing.assert_array_equal(turned.image, honest.image)
    if order[2] == 2 and TURNS.index((order, signs)):  # slices on another axis are brought to the last one by the reader of files
        assert "its axes run differently" in turned.notes[-1]


@pytest.mark.parametrize(("order", "signs"), TURNS)
def test_in_a_cube_of_equal_voxels_the_affine_decides(tmp_path, order, signs):
    """Every order fits the shape and the pixel size, so a reader that looks at these alone takes the first one."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 900, (40, 40, 40)).astype(np.int16)
    labels = rng.integers(0, 3, (40, 40, 40)).astype(np.uint8)
    affine = short_axis_affine(3, (2.0, 2.0, 2.0))
    place = write(tmp_path / "i.nii", image, affine)
    honest = read_stack(place, write(tmp_path / "h.nii", labels, affine), "A", IDS)
    turned = read_stack(place, write(tmp_path / "l.nii", labels, affine, order, signs), "A", IDS)
    np.testing.assert_array_equal(turned.labels, honest.labels)


@pytest.mark.parametrize("side", [0, 1])
def test_labels_a_voxel_or_half_a_voxel_away_are_refused(tmp_path, side):
    image, labels = heart()
    for share in (1.0, 0.5, -1.0):
        moved = OBLIQUE.copy()
        moved[:3, 3] += share * moved[:3, side]
        with pytest.raises(InputError, match=r"l\.nii: its affine is .*resample the label"):
            read_stack(write(tmp_path / "i.nii", image, OBLIQUE), write(tmp_path / "l.nii", labels, moved), "A", IDS)


def test_a_turned_label_that_also_lies_elsewhere_is_refused(tmp_path):
    image, labels = heart()
    moved = OBLIQUE.copy()
    moved[:3, 3] += (0, 0, 8)
    with pytest.raises(InputError, match="resample the label"):
        read_stack(write(tmp_path / "i.nii", image, OBLIQUE), write(tmp_path / "l.nii", labels, moved, (1, 0, 2), (1, -1, 1)), "A", IDS)


@pytest.mark.parametrize("empty", [np.diag([1.5, 1.25, 9.0, 1.0]), np.diag([-1.5, -1.25, 9.0, 1.0]), np.eye(4)], ids=str)
def test_a_label_without_a_position_beside_an_oblique_image_is_refused_and_not_guessed(tmp_path, empty):
    image, labels = heart()
    with pytest.raises(InputError, match=r"the label does not say where it lies.*Nifti1Image"):
        read_stack(write(tmp_path / "i.nii", image, OBLIQUE), write(tmp_path / "l.nii", labels, empty), "A", IDS)


def test_a_label_without_a_position_and_of_another_shape_cannot_be_resampled(tmp_path):
    image, labels = heart()
    with pytest.raises(InputError, match="save it again where it was drawn") as caught:
        read_stack(
            write(tmp_path / "i.nii", image, OBLIQUE), write(tmp_path / "l.nii", labels[:50], np.diag([1.5, 1.25, 9.0, 1.0])), "A", IDS
        )
    assert "esample" not in str(caught.value)


def test_two_files_without_a_position_are_paired_as_they_are_stored(tmp_path):
    """EMIDEC: neither file says where it lies."""
    image, labels = heart()
    plain = np.diag([1.5, 1.25, 9.0, 1.0])
    stack = read_stack(write(tmp_path / "i.nii", image, plain), write(tmp_path / "l.nii", labels, plain), "A", IDS)
    np.testing.assert_array_equal(stack.labels, labels.transpose(1, 0, 2))
