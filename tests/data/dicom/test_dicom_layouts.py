"""Ways in which scanners and archives store one stack: each is read with the numbers that were written, and each slice at its place."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import SPACING_MM, STEP_MM, Patient, copied, dataset, enhanced, patient, recoded, save, series, turned

from lgesynthnet.data.dicom.headers import Kind, frames_of
from lgesynthnet.data.dicom.reading import DicomImage, describe, read_dicom_image
from lgesynthnet.data.dicom.scanning import DicomSource
from lgesynthnet.errors import InputError

WHO = patient()
SYNTAXES = ["JPEG2000Lossless", "RLELossless", "JPEGLSLossless", "JPEGLosslessProcess14", "JPEGLosslessProcess14_1"]  # in gdcm's words
PSIR, MAGNITUDE = ["ORIGINAL", "PRIMARY", "PSIR", "NORM"], ["ORIGINAL", "PRIMARY", "M", "NORM"]


def read(folder: Path, named: str | None = None) -> DicomImage:
    return read_dicom_image(DicomSource(folder=folder), named)


def require_same(image: DicomImage, who: Patient, *, lacking: tuple[int, ...] = (), atol_mm: float = 2e-5) -> None:
    """Each slice that was read has the numbers of the slice that was written at its place, and none is missing."""
    written = [k for k in range(who.image.shape[2]) if k not in lacking]
    assert image.stored.shape == (*who.image.shape[:2], len(written))
    found = []
    for index, plane in enumerate(image.planes):
        away = np.linalg.norm(who.origins - plane.origin_mm, axis=1)
        k = int(np.argmin(away))
        found.append(k)
        assert away[k] < atol_mm
        np.testing.assert_array_equal(image.stored[:, :, index], who.image[:, :, k])
        np.testing.assert_allclose(plane.along_row, who.along_row, atol=1e-6)
        np.testing.assert_allclose(plane.along_column, who.along_column, atol=1e-6)
        assert plane.spacing_mm == SPACING_MM
    assert found == written[::-1]  # the array is written base first, and read along the normal, which points to the base
    assert image.stored.dtype == who.image.dtype


def test_classic_single_frame(tmp_path):
    save(series(WHO), tmp_path)
    image = read(tmp_path)
    require_same(image, WHO)
    assert image.notes == ()
    assert image.stack.step_mm == pytest.approx(STEP_MM, abs=1e-4)
    assert [plane.sop_instance_uid for plane in image.planes] == [frame.plane.sop_instance_uid for frame in image.stack.frames]


@pytest.mark.parametrize("series_of_its_own", [True, False])
def test_psir_is_taken_and_not_its_magnitude(tmp_path, series_of_its_own):
    other = replace(WHO, image=WHO.image + 7)
    save(series(other, ImageType=[MAGNITUDE] * 5), tmp_path, "mag")
    own = {"SeriesInstanceUID": "1.2.3.1.8", "SeriesNumber": 8} if series_of_its_own else {}
    save(series(WHO, ImageType=[PSIR] * 5, **own), tmp_path, "psir")
    image = read(tmp_path)
    require_same(image, WHO)
    assert image.stack.kind is Kind.PSIR
    assert any("shows the same slices as" in note and "magnitude" in note for note in image.notes)
    named = next(line.split()[0] for line in describe(DicomSource(folder=tmp_path)) if "magnitude" in line)
    assert any(
        "magnitude" in line and line.endswith(f"same slices as {image.stack.name}") for line in describe(DicomSource(folder=tmp_path))
    )
    require_same(read(tmp_path, named), other)


def test_a_missing_slice_is_said(tmp_path):
    save([ds for k, ds in enumerate(series(WHO)) if k != 2], tmp_path)
    image = read(tmp_path)
    require_same(image, WHO, lacking=(2,))
    assert image.stack.gaps == [(1, 1)]
    assert any("between slices 1 and 2 a slice lacks" in note for note in image.notes)
    assert image.stack.step_mm == pytest.approx(STEP_MM, abs=1e-4)


def test_each_slice_in_a_series_of_its_own(tmp_path):
    save(series(WHO, SeriesInstanceUID=[f"1.2.3.1.{k}" for k in range(5)], SeriesNumber=[10 + k for k in range(5)]), tmp_path)
    require_same(read(tmp_path), WHO)


@pytest.mark.parametrize("other_series", [True, False])
def test_of_a_slice_that_was_acquired_twice_the_later_image_is_taken(tmp_path, other_series):
    first = series(replace(WHO, image=WHO.image + 9))[3]
    late = series(WHO, AcquisitionTime=["102000"] * 5, InstanceNumber=[9] * 5)[3]
    if other_series:
        late.SeriesInstanceUID, late.SeriesNumber = "1.2.3.1.8", 8
    save([late, first, *[ds for k, ds in enumerate(series(WHO)) if k != 3]], tmp_path)
    image = read(tmp_path)
    require_same(image, WHO)
    assert len(image.stack.repeats) == 1
    assert any("acquired again" in note for note in image.notes)


def test_the_series_that_the_user_names_is_read_also_where_slices_of_it_were_acquired_again(tmp_path):
    again = copied(series(replace(WHO, image=WHO.image + 9))[2:4], SeriesInstanceUID="1.2.3.1.8", SeriesNumber=8, AcquisitionTime="102000")
    save([*again, *series(WHO)], tmp_path)
    for name in ("7", "1.2.3.1.7"):
        image = read(tmp_path, name)
        require_same(image, WHO)
        assert any("2 of its slices were acquired again; that of the named series is taken" in note for note in image.notes)
        assert any("s1*" in line and "2 acquired again" in line for line in describe(DicomSource(folder=tmp_path), name))
    both = read(tmp_path, "8")
    np.testing.assert_array_equal(np.sort((both.stored - WHO.image[:, :, ::-1]).max(axis=(0, 1))), [0, 0, 0, 9, 9])
    np.testing.assert_array_equal(read(tmp_path, "s1").stored, both.stored)


def test_another_slope_for_each_slice_leaves_the_stored_numbers(tmp_path):
    slopes = [1.5 + k for k in range(5)]
    save(series(WHO, RescaleSlope=slopes, RescaleIntercept=[-float(k) for k in range(5)]), tmp_path)
    image = read(tmp_path)
    require_same(image, WHO)
    assert [frame.slope for frame in image.stack.frames] == slopes[::-1]
    assert any("different slopes" in note for note in image.notes)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
@pytest.mark.parametrize(
    "syntax", ["JPEG2000Lossless", "RLELossless", "JPEGLSLossless", "JPEGLosslessProcess14", "JPEGLosslessProcess14_1"]
)
def test_compressed_without_loss(tmp_path, syntax, dtype):
    who = patient(dtype=dtype)
    if dtype is np.int16:
        who = replace(who, image=(who.image - 400).astype(dtype))
    recoded(save(series(who), tmp_path), syntax)
    assert {frame.storage.transfer_syntax for frame in read(tmp_path).stack.frames} != {"1.2.840.10008.1.2.1"}
    require_same(read(tmp_path), who)


def test_a_mixed_folder_without_endings(tmp_path):
    save(series(WHO), tmp_path, "IM", "")
    moving = {"SeriesInstanceUID": "1.2.3.2", "SeriesNumber": 2, "SeriesDescription": "cine sax"}
    cine = [ds for _ in range(12) for ds in copied(series(WHO), **moving)]
    for number, ds in enumerate(cine):
        del ds.InversionTime
        ds.TriggerTime, ds.CardiacNumberOfImages, ds.InstanceNumber = str(40 * (number // 5)), 12, number
    save(cine, tmp_path / "sub", "A", "")
    four_chamber = turned(WHO, 80, 2)
    save(series(four_chamber, SeriesInstanceUID="1.2.3.3", SeriesNumber=3, SeriesDescription="LGE 4ch"), tmp_path, "B", "")
    flat = [dataset(WHO.image[:, :, k], (0, 0, 9 * k), (1, 0, 0), (0, 1, 0)) for k in range(3)]
    save(copied(flat, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesInstanceUID="1.2.3.4", SeriesNumber=1), tmp_path, "C", "")
    (tmp_path / "README").write_text("not DICOM")
    image = read(tmp_path)
    require_same(image, WHO)
    assert image.stack.series_numbers == [7]
    table = "\n".join(describe(DicomSource(folder=tmp_path)))
    assert "12 images at each position, such as cine" in table
    assert "a localizer" in table
    assert "not a short axis" in table
    assert table.count("taken") == 1


def test_tilted_slices_keep_their_own_planes(tmp_path):
    tilted = [turned(WHO, 0.4 * k, 0) for k in range(5)]
    save([series(each)[k] for k, each in enumerate(tilted)], tmp_path)
    image = read(tmp_path)
    assert len(image.planes) == 5
    for index, plane in enumerate(image.planes):
        k = 4 - index
        np.testing.assert_array_equal(image.stored[:, :, index], WHO.image[:, :, k])
        np.testing.assert_allclose(plane.origin_mm, tilted[k].origins[k], atol=2e-5)
        np.testing.assert_allclose(plane.along_column, tilted[k].along_column, atol=1e-6)
    assert image.stack.tilt_deg == pytest.approx(0.8, abs=0.25)
    assert any("tilted" in note for note in image.notes)


def test_another_frame_of_reference_for_each_slice(tmp_path):
    save(series(WHO, FrameOfReferenceUID=[f"1.2.3.9.{k}" for k in range(5)]), tmp_path)
    require_same(read(tmp_path), WHO)


def test_instance_numbers_and_names_run_backwards(tmp_path):
    save(series(WHO, InstanceNumber=[5 - k for k in range(5)])[::-1], tmp_path)
    require_same(read(tmp_path), WHO)


def test_legacy_converted_enhanced(tmp_path):
    from highdicom.legacy import LegacyConvertedEnhancedMRImage

    converted = LegacyConvertedEnhancedMRImage(
        series(WHO), series_instance_uid="1.2.3.5", series_number=4, sop_instance_uid="1.2.3.6", instance_number=1
    )
    converted.save_as(tmp_path / "one.dcm")
    image = read(tmp_path)
    require_same(image, WHO)
    assert image.stack.inversion_ms == (300, 300)
    assert {plane.path.name for plane in image.planes} == {"one.dcm"}
    assert sorted(plane.frame for plane in image.planes) == list(range(5))


def test_enhanced_multi_frame(tmp_path):
    save([enhanced(WHO)], tmp_path)
    image = read(tmp_path)
    require_same(image, WHO)
    assert image.stack.kind is Kind.MAGNITUDE
    assert image.stack.inversion_ms == (310, 310)
    assert [frame.slope for frame in image.stack.frames] == [5.5, 4.5, 3.5, 2.5, 1.5]
    assert [plane.frame for plane in image.planes] == [4, 3, 2, 1, 0]


def test_a_stack_acquired_twice_is_two_stacks_and_the_user_chooses(tmp_path):
    second = replace(WHO, image=WHO.image + 5)
    save(series(WHO), tmp_path, "a")
    save(series(second, SeriesInstanceUID="1.2.3.8", SeriesNumber=8, AcquisitionTime=["103000"] * 5), tmp_path, "b")
    with pytest.raises(InputError, match=r"2 stacks fit equally: s1 .*series 7.* s2 .*series 8.*--series s1") as fault:
        read(tmp_path)
    assert "\n" not in str(fault.value)
    for name, who in (("s1", WHO), ("7", WHO), ("1.2.3.1.7", WHO), ("s2", second), ("8", second), ("1.2.3.8", second)):
        require_same(read(tmp_path, name), who)
    with pytest.raises(InputError, match=r"--series '9' names none"):
        read(tmp_path, "9")


def test_slices_in_series_of_their_own_acquired_twice_are_two_stacks_too(tmp_path):
    for turn, time in (("1", "1015"), ("2", "1045")):
        uids, times = [f"1.2.3.{turn}{k}" for k in range(5)], [f"{time}{k:02d}" for k in range(5)]
        save(series(replace(WHO, image=WHO.image + int(turn)), SeriesInstanceUID=uids, AcquisitionTime=times), tmp_path, turn)
    with pytest.raises(InputError, match="2 stacks fit equally"):
        read(tmp_path)
    require_same(read(tmp_path, "s2"), replace(WHO, image=WHO.image + 2))


def test_two_inversion_times_at_each_position_are_two_stacks(tmp_path):
    save(series(WHO), tmp_path, "a")
    save(series(replace(WHO, image=WHO.image + 4), InversionTime=["380"] * 5), tmp_path, "b")
    lines = describe(DicomSource(folder=tmp_path))
    assert [line.split()[0] for line in lines[1:]] == ["s1", "s2"]
    require_same(read(tmp_path, "s2"), replace(WHO, image=WHO.image + 4))


def test_later_images_without_an_inversion_time_never_replace_slices_that_state_one(tmp_path):
    save(series(WHO), tmp_path, "a")
    other = series(replace(WHO, image=WHO.image + 4), SeriesInstanceUID="1.2.3.8", SeriesNumber=8, AcquisitionTime=["103000"] * 5)
    for ds in other:
        del ds.InversionTime
    save(other[1:3], tmp_path, "b")  # two slices of a map or of a cine, at places of the LGE
    image = read(tmp_path)
    require_same(image, WHO)
    assert not image.stack.repeats


def test_an_inversion_time_that_was_adjusted_from_slice_to_slice_divides_nothing(tmp_path):
    save(series(WHO, InversionTime=[str(300 + 10 * k) for k in range(5)]), tmp_path)
    image = read(tmp_path)
    require_same(image, WHO)
    assert any("from 300 to 340 ms" in note for note in image.notes)


def test_signed_twelve_bits_are_sign_extended(tmp_path):
    signed = replace(WHO, image=(WHO.image.astype(np.int16) - 300))
    assert signed.image.min() < 0
    stack = series(signed, BitsStored=12, HighBit=11)
    for ds in stack:  # the four bits above hold an overlay
        bits = np.frombuffer(ds.PixelData, np.uint16)
        ds.PixelData = ((bits & 0x0FFF) | 0x5000).tobytes()
    save(stack, tmp_path)
    require_same(read(tmp_path), signed)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_compressed_signed_twelve_bits(tmp_path, syntax):
    signed = replace(WHO, image=(WHO.image.astype(np.int16) - 300))
    recoded(save(series(signed, BitsStored=12, HighBit=11), tmp_path), syntax)
    require_same(read(tmp_path), signed)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_signed_numbers_that_were_compressed_as_twelve_bits_without_sign(tmp_path, syntax):
    """Many archives cut the upper bits off before they compress."""
    signed = replace(WHO, image=(WHO.image.astype(np.int16) - 300))
    cut = replace(signed, image=(signed.image & 0x0FFF).astype(np.uint16))
    paths = save(series(cut, BitsStored=12, HighBit=11), tmp_path)
    recoded(paths, syntax)
    for path in paths:
        ds = pydicom.dcmread(path)
        ds.PixelRepresentation = 1
        ds.save_as(path)
    require_same(read(tmp_path), signed)


def test_two_series_are_not_mixed_where_their_slices_were_acquired_in_turn(tmp_path):
    """The times say which image of a slice is the later one, but not which stack it belongs to."""
    second = replace(WHO, image=WHO.image + 6)
    save(series(WHO, AcquisitionTime=["100000", "100300", "100400", "100700", "100800"]), tmp_path, "a")
    times = ["100100", "100200", "100500", "100600", "100900"]
    save(series(second, SeriesInstanceUID="1.2.3.8", SeriesNumber=8, AcquisitionTime=times), tmp_path, "b")
    require_same(read(tmp_path, "7"), WHO)
    require_same(read(tmp_path, "8"), second)


def test_the_order_of_the_files_decides_nothing(tmp_path):
    stack = series(WHO)
    save(stack, tmp_path / "a")
    save([stack[i] for i in (3, 0, 4, 1, 2)], tmp_path / "b")
    one, other = read(tmp_path / "a"), read(tmp_path / "b")
    np.testing.assert_array_equal(one.stored, other.stored)
    assert [plane.sop_instance_uid for plane in one.planes] == [plane.sop_instance_uid for plane in other.planes]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["ORIGINAL", "PRIMARY", "PSIR", "ND"], Kind.PSIR),
        (["ORIGINAL", "PRIMARY", "M", "ND", "PSIR"], Kind.PSIR),
        (["ORIGINAL", "PRIMARY", "MAG", "PSIR"], Kind.MAGNITUDE),
        (["ORIGINAL", "PRIMARY", "M_IR", "M", "IR"], Kind.MAGNITUDE),
        (["ORIGINAL", "PRIMARY", "R_IR", "R", "IR"], Kind.REAL),
        (["DERIVED", "PRIMARY", "P", "ND"], Kind.PHASE),
        (["ORIGINAL", "PRIMARY", "OTHER"], Kind.OTHER),
        (["ORIGINAL", "PRIMARY"], Kind.OTHER),
    ],
)
def test_the_kind_of_an_image_by_its_type(tmp_path, words, kind):
    [path] = save(copied(series(WHO)[:1], ImageType=words), tmp_path)
    assert frames_of(path)[0].kind is kind


def test_long_axis_and_axial_planes_are_no_short_axis(tmp_path):
    save(series(turned(WHO, 80, 2)), tmp_path / "long", "a")
    save([dataset(WHO.image[:, :, k], (0, 0, 9 * k), (1, 0, 0), (0, 1, 0)) for k in range(3)], tmp_path / "axial", "b")
    for name in ("long", "axial"):
        with pytest.raises(
            InputError, match=r"holds no stack of LGE short-axis slices \(s1 .*: not a short axis, .* name it, e.g. --series s1"
        ):
            read(tmp_path / name)
        assert read(tmp_path / name, "s1").stored.shape[2] in (3, 5)
        assert any("was named with --series, but it is not a short axis" in note for note in read(tmp_path / name, "s1").notes)


def test_cine_with_each_file_in_a_series_of_its_own_is_no_lge(tmp_path):
    save(series(WHO), tmp_path, "lge")
    moving = [ds for _ in range(8) for ds in series(turned(WHO, 20, 1), SeriesDescription="cine", SeriesNumber=3)]
    for number, ds in enumerate(moving):
        ds.SeriesInstanceUID, ds.InstanceNumber, ds.TriggerTime = f"1.2.3.4.{number}", number, str(30 * (number // 5))
    save(moving, tmp_path, "cine")
    require_same(read(tmp_path), WHO)
    assert any("8 images at each position" in line for line in describe(DicomSource(folder=tmp_path)))


def test_files_of_implicit_vr_and_of_big_endian_are_read(tmp_path):
    from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

    for syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian):
        folder = tmp_path / syntax.name.replace(" ", "")
        for ds in series(WHO):
            ds.file_meta.TransferSyntaxUID = syntax
            if syntax == ExplicitVRBigEndian:
                ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
            folder.mkdir(exist_ok=True)
            pydicom.dcmwrite(folder / f"{ds.InstanceNumber}", ds, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
        require_same(read(folder), WHO)


def test_files_without_preamble_or_file_meta_information_are_read(tmp_path):
    for name, skipped in (("without_preamble", 132), ("without_meta", None)):
        folder = tmp_path / name
        for path in save(series(WHO), folder):
            content = path.read_bytes()
            path.write_bytes(content[skipped or 144 + struct.unpack_from("<I", content, 140)[0] :])
        require_same(read(folder), WHO)
