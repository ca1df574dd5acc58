"""What a header may state about the position of an image: skewed, empty, twice, or left to the standard."""

from __future__ import annotations

import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import short_axis_affine

from lgesynthnet.data.nifti import MAX_SKEW, read_volume
from lgesynthnet.data.view import view_of
from lgesynthnet.errors import InputError

SIZE_MM = (1.5, 1.25, 8.0)
BLOCK = np.arange(40 * 36 * 3, dtype=np.int16).reshape(40, 36, 3)
SHORT_AXIS = short_axis_affine(3, SIZE_MM)


def write(path: Path, sform: np.ndarray | None, qform: np.ndarray | None, changes: dict[int, tuple[str, float]] | None = None) -> Path:
    """A file with these positions and honest pixel sizes, then with changed header bytes: {offset: (format, value)}."""
    image = nib.Nifti1Image(BLOCK, SHORT_AXIS)
    image.set_sform(sform, 0 if sform is None else 1)
    image.set_qform(qform, 0 if qform is None else 1)
    image.header["pixdim"][1:4] = SIZE_MM
    raw = bytearray(image.to_bytes())
    for offset, (form, value) in (changes or {}).items():
        struct.pack_into("<" + form, raw, offset, value)
    path.write_bytes(raw)
    return path


def skewed(cosine: float) -> np.ndarray:
    """The short axis with its slices moved sideways: the first and the third axis have this cosine."""
    affine = SHORT_AXIS.copy()
    units = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    affine[:3, 2] = SIZE_MM[2] * (units[:, 2] * np.sqrt(1 - cosine**2) + units[:, 0] * cosine)
    return affine


def moved(by_mm: float, scale: float = 1.0) -> np.ndarray:
    affine = SHORT_AXIS.copy()
    affine[:3, :2] *= scale
    affine[0, 3] += by_mm
    return affine


@pytest.mark.parametrize("code", [0.0, 2.0, 0.5, -0.3, float("nan")])
def test_a_first_pixdim_that_is_no_sign_is_read_as_the_standard_says(tmp_path, code):
    path = write(tmp_path / "a.nii", None, SHORT_AXIS, {76: ("f", code)})
    expected = read_volume(write(tmp_path / "b.nii", None, SHORT_AXIS, {76: ("f", -1.0 if code < 0 else 1.0)}))
    np.testing.assert_array_equal(read_volume(path).affine, expected.affine)


def test_a_negative_first_pixdim_turns_the_third_axis(tmp_path):
    usual, turned = (read_volume(write(tmp_path / "a.nii", None, SHORT_AXIS, {76: ("f", sign)})).affine for sign in (1.0, -1.0))
    np.testing.assert_allclose(usual[:3, 2], -turned[:3, 2], atol=1e-5)
    np.testing.assert_allclose(usual[:3, :2], turned[:3, :2], atol=1e-5)


@pytest.mark.parametrize("code", [-1, -300])
def test_a_negative_code_is_no_position(tmp_path, code):
    for sform, qform, offset in ((SHORT_AXIS, moved(40.0), 252), (moved(40.0), SHORT_AXIS, 254)):
        volume = read_volume(write(tmp_path / "a.nii", sform, qform, {offset: ("h", code)}))
        np.testing.assert_allclose(volume.affine, SHORT_AXIS, atol=1e-4)
        assert volume.notes == ()


@pytest.mark.parametrize("share", [0.9, 1.2])
def test_a_skew_is_refused_from_where_other_programs_refuse_it(tmp_path, share):
    path = write(tmp_path / "a.nii", skewed(share * MAX_SKEW), None)
    if share < 1:
        read_volume(path)
    else:
        with pytest.raises(InputError, match=r"axes of its sform are not at right angles \(cosine 0\.00011\)"):
            read_volume(path)


def test_what_our_limit_lets_through_opens_in_simpleitk(tmp_path):
    import SimpleITK

    path = write(tmp_path / "a.nii", skewed(0.97 * MAX_SKEW), None)
    read_volume(path)
    SimpleITK.ReadImage(str(path))


@pytest.mark.parametrize("axis", range(3))
def test_an_axis_without_a_direction_is_refused(tmp_path, axis):
    affine = SHORT_AXIS.copy()
    affine[:3, axis] = 0
    with pytest.raises(InputError, match="its sform is singular: the axes of the image have no three directions"):
        read_volume(write(tmp_path / "a.nii", affine, None))


@pytest.mark.parametrize("row", range(3))
def test_an_empty_row_is_refused(tmp_path, row):
    affine = SHORT_AXIS.copy()
    affine[row] = 0
    with pytest.raises(InputError, match="its sform is singular"):
        read_volume(write(tmp_path / "a.nii", affine, SHORT_AXIS))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e6])
@pytest.mark.parametrize("offset", [268, 280, 292])
def test_a_position_that_is_not_finite_is_refused_also_where_another_one_is_used(tmp_path, offset, value):
    with pytest.raises(InputError, match="holds NaN, Inf or numbers above"):
        read_volume(write(tmp_path / "a.nii", SHORT_AXIS, SHORT_AXIS, {offset: ("f", value)}))


def test_a_quaternion_that_careless_rounding_made_too_long_is_read(tmp_path):
    image = nib.Nifti1Image(BLOCK, SHORT_AXIS)
    image.set_qform(SHORT_AXIS, 1)
    quaternion = np.array([float(image.header[f"quatern_{part}"]) for part in "bcd"])
    longer = quaternion / np.linalg.norm(quaternion) * 1.01
    path = write(tmp_path / "a.nii", None, SHORT_AXIS, {256 + 4 * i: ("f", part) for i, part in enumerate(longer)})
    assert np.isfinite(read_volume(path).affine).all()
    path = write(tmp_path / "a.nii", None, SHORT_AXIS, {256 + 4 * i: ("f", 1.2 * part) for i, part in enumerate(longer)})
    with pytest.raises(InputError, match="header cannot be understood"):
        read_volume(path)


def test_positions_that_agree_need_no_note(tmp_path):
    for sform, qform in ((SHORT_AXIS, SHORT_AXIS), (SHORT_AXIS, None), (None, SHORT_AXIS), (moved(0.5), SHORT_AXIS)):
        assert read_volume(write(tmp_path / "a.nii", sform, qform)).notes == ()


def test_pixel_sizes_that_disagree_are_named_with_the_one_that_is_used(tmp_path):
    volume = read_volume(write(tmp_path / "a.nii", moved(0, 1.22), SHORT_AXIS))
    assert volume.pixel_mm == SIZE_MM
    [note] = volume.notes
    assert "its sform has voxels of 1.83 x 1.52 x 8 mm, and pixdim and qform 1.5 x 1.25 x 8 mm; 1.5 x 1.25 x 8 mm is used" in note


def test_pixel_sizes_that_differ_by_less_than_a_hundredth_need_no_note(tmp_path):
    assert read_volume(write(tmp_path / "a.nii", moved(0, 1.009), None)).notes == ()
    assert read_volume(write(tmp_path / "a.nii", moved(0, 1.011), None)).notes


def test_places_that_disagree_are_named(tmp_path):
    volume = read_volume(write(tmp_path / "a.nii", moved(40.0), SHORT_AXIS))
    [note] = volume.notes
    assert "its qform and its sform place the image up to 40 mm apart; the sform is used" in note
    np.testing.assert_allclose(volume.affine, moved(40.0), atol=1e-4)


def test_views_that_disagree_are_refused(tmp_path):
    mirrored = SHORT_AXIS @ np.diag([-1.0, 1.0, 1.0, 1.0])
    assert view_of(mirrored) != view_of(SHORT_AXIS)
    with pytest.raises(InputError, match="qform and its sform place the image differently"):
        read_volume(write(tmp_path / "a.nii", mirrored, SHORT_AXIS))


def test_the_position_that_says_something_about_the_patient_is_used(tmp_path):
    plain = np.diag([*SIZE_MM, 1.0])
    for sform, qform in ((plain, SHORT_AXIS), (SHORT_AXIS, plain)):
        np.testing.assert_allclose(read_volume(write(tmp_path / "a.nii", sform, qform)).affine, SHORT_AXIS, atol=1e-4)


def test_an_empty_affine_of_1_mm_needs_no_note(tmp_path):
    """As in EMIDEC, where only pixdim is right."""
    assert read_volume(write(tmp_path / "a.nii", np.diag([-1.0, -1, 1, 1]), None)).notes == ()
