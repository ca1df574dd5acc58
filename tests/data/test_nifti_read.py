"""Valid files are read; every other file is refused without taking memory."""

from __future__ import annotations

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from lgesynthnet.data.nifti import read_volume
from lgesynthnet.errors import InputError

BLOCK = np.arange(40 * 36 * 3, dtype=np.int16).reshape(40, 36, 3)


def header_with(path, save, changes, array=BLOCK):
    """A NIfTI file with changed header bytes: {offset: (format, value)}."""
    save(path, array)
    raw = bytearray(path.read_bytes())
    for offset, (form, value) in changes.items():
        struct.pack_into("<" + form, raw, offset, value)
    path.write_bytes(raw)
    return path


def test_stored_numbers_and_spacing_come_back_as_they_are(tmp_path, save):
    path = save(tmp_path / "Größe 心.nii", BLOCK, (1.5, 1.25, 8.0), affine=np.diag([-1.0, -1, 1, 1]), slope=(2.5, -7.0))
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.stored, BLOCK)  # not 2.5 * BLOCK - 7
    assert volume.stored.dtype == np.int16
    assert volume.pixel_mm == (1.5, 1.25, 8.0)  # from pixdim: the affine says 1 mm
    assert (volume.slope, volume.inter) == (2.5, -7.0)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("shape", [(40, 36), (40, 36, 1), (40, 36, 3, 1)])
def test_two_and_three_dimensions_and_empty_trailing_ones_are_read(tmp_path, save, name, shape):
    volume = read_volume(save(tmp_path / name, np.ones(shape, np.uint8)))
    assert volume.stored.shape == (40, 36, shape[2] if len(shape) > 2 else 1)


def test_big_endian_files_become_native(tmp_path, save):
    import nibabel as nib

    image = nib.Nifti1Image(BLOCK, np.eye(4), nib.Nifti1Header(endianness=">"))
    image.header.set_data_dtype(">i2")
    nib.save(image, tmp_path / "b.nii.gz")
    volume = read_volume(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(volume.stored, BLOCK)
    assert volume.stored.dtype.isnative


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({80: ("f", 0.0)}, "spacing along columns is 0 mm"),  # nibabel would have made it 1 mm
        ({84: ("f", -1.25)}, "spacing along rows is -1.25 mm"),
        ({80: ("f", float("nan"))}, "nan mm"),
        ({84: ("f", 12.0)}, "12 mm"),
        ({88: ("f", 0.0)}, "slice spacing is 0 mm"),
        ({42: ("h", -5)}, "shape"),
        ({40: ("h", 0)}, "shape"),
        ({42: ("h", 20), 108: ("f", 352.0)}, "usable are 32 to 2048"),
        ({42: ("h", 4000)}, "usable are 32 to 2048"),
        ({70: ("h", 128), 72: ("h", 24)}, "store it as integers or as float"),  # RGB
        ({70: ("h", 999)}, "header cannot be understood"),
        ({108: ("f", 1e9)}, "voxels start at byte"),
        ({344: ("4s", b"ni1\0")}, "header/image pair"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(tmp_path, save, changes, says):
    with pytest.raises(InputError, match=says) as caught:
        read_volume(header_with(tmp_path / "x.nii", save, changes))
    assert "x.nii" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_metres_are_turned_to_millimetres(tmp_path, save):
    changes = {80: ("f", 0.0015), 84: ("f", 0.0015), 88: ("f", 0.008), 123: ("b", 1)}
    np.testing.assert_allclose(read_volume(header_with(tmp_path / "m.nii", save, changes)).pixel_mm, (1.5, 1.5, 8.0), rtol=1e-6)


def test_four_dimensions_are_refused_with_the_way_out(tmp_path, save):
    with pytest.raises(InputError, match=r"is 4-D .* take one frame"):
        read_volume(save(tmp_path / "cine.nii.gz", np.ones((40, 36, 3, 5), np.uint8)))


def test_a_truncated_gzip_is_named(tmp_path, save):
    noise = np.random.default_rng(0).integers(0, 999, BLOCK.shape).astype(np.int16)
    path = save(tmp_path / "cut.nii.gz", noise)
    whole = path.read_bytes()
    for kept in (len(whole) // 2, len(whole) - 6, 40, 5, 2):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match=r"cut\.nii\.gz"):
            read_volume(path)


def test_a_flipped_byte_in_the_voxels_is_noticed(tmp_path, save):
    path = save(tmp_path / "rot.nii.gz", np.random.default_rng(0).integers(0, 999, BLOCK.shape).astype(np.int16))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"rot\.nii\.gz"):
        read_volume(path)


def test_a_plain_file_that_ends_early_is_named(tmp_path, save):
    path = save(tmp_path / "short.nii", BLOCK)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="ends after"):
        read_volume(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not an image at all", b"\x1f\x8b\x08\x00"])
def test_what_is_not_nifti_is_refused(tmp_path, content):
    (tmp_path / "y.nii.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"y\.nii\.gz"):
        read_volume(tmp_path / "y.nii.gz")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path, says in ((tmp_path / "none.nii.gz", "cannot be read"), (tmp_path, "is not a regular file")):
        with pytest.raises(InputError, match=says):
            read_volume(path)


def test_a_lying_header_costs_no_memory(tmp_path, save):
    path = header_with(tmp_path / "huge.nii", save, {42: ("h", 2048), 44: ("h", 2048), 46: ("h", 32767)})
    honest_size = header_with(tmp_path / "large.nii", save, {42: ("h", 600), 44: ("h", 600), 46: ("h", 90)})
    packed = tmp_path / "large.nii.gz"
    packed.write_bytes(gzip.compress(honest_size.read_bytes()))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="over the limit of 33554432; crop it, or raise"):
            read_volume(path)
        for lying in (honest_size, packed):  # 62 MiB stated, 9 kB there
            with pytest.raises(InputError, match="ends after"):
                read_volume(lying)
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()


def test_a_gzip_that_goes_on_inflating_is_stopped(tmp_path, save):
    bomb = save(tmp_path / "b.nii", BLOCK).read_bytes() + bytes(8 * 2**20)
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(bomb))
    with pytest.raises(InputError, match="holds far more than"):
        read_volume(tmp_path / "bomb.nii.gz")
