"""Damaged and hostile contour files: each is refused with one line that names it, fast and without taking the memory that it asks for."""

from __future__ import annotations

import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from contour_writers import WRITERS, heart, planes, segment_fields, workspace, write_cvi42, write_rtstruct, write_seg, write_segment

from lgesynthnet.data.contours.reading import read_contour_labels
from lgesynthnet.errors import InputError


@pytest.fixture
def stack(tmp_path):
    return planes(heart(), tmp_path / "images")


def refused(paths, on) -> str:
    """The message, after a check that it is one line about one of the files, and no slip of our own."""
    with pytest.raises(InputError) as fault:
        read_contour_labels(paths, on)
    message = str(fault.value)
    assert "\n" not in message
    assert any(str(path) in message for path in paths)
    assert "Type-check" not in message
    return message


def read_or_refused(paths, on) -> None:
    """Read the files; an error must be one about the input, and no slip of our own."""
    try:
        read_contour_labels(paths, on)
    except InputError:
        refused(paths, on)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_ends_early_never_crashes_the_reader(name, stack, tmp_path):
    labels, on = stack
    paths = WRITERS[name](tmp_path, labels, on)
    content = paths[0].read_bytes()
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        paths[0].write_bytes(content[: int(len(content) * share)])
        read_or_refused(paths, on)


@pytest.mark.parametrize("name", ["rtstruct", "seg", "labelmap", "cvi42", "segment"])
def test_changed_bytes_never_crash_the_reader(name, stack, tmp_path):
    labels, on = stack
    [path] = WRITERS[name](tmp_path, labels, on)
    if name == "segment":  # a change of compressed bytes would be found at once
        path = write_segment(path, segment_fields(labels, on), compress=False)
    content = path.read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(60):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 30)):
            damaged[at] = rng.integers(0, 256)
        path.write_bytes(damaged)
        read_or_refused([path], on)


def test_a_million_points_are_refused_before_they_are_decoded(stack, tmp_path):
    labels, on = stack
    path = write_rtstruct(tmp_path / "rt.dcm", labels, on)
    rt = _with_contour(path, "\\".join(["one"] * 3_000_000))  # decoding them would fail
    assert "an outline of 1000000 points, and 20000 are allowed" in refused([rt], on)
    points = "<List:item><Point:x>1</Point:x><Point:y>1</Point:y></List:item>" * 1_000_000
    xml = tmp_path / "work.cvi42wsx"
    xml.write_text(_one_contour(on, points))
    assert "too many points" in refused([xml], on)
    text = tmp_path / "IM-0001-0001-icontour-manual.txt"
    text.write_text("1 1\n" * 1_000_000)
    assert "an outline of 1000000 points" in refused([text], on)


def _with_contour(path: Path, numbers: str) -> Path:
    """The RT structure set with the first contour of Endo replaced."""
    import pydicom
    from pydicom.dataelem import DataElement

    dataset = pydicom.dcmread(path)
    contour = dataset.ROIContourSequence[0].ContourSequence[0]
    raw = DataElement(0x30060050, "UT", numbers)  # written without the checks that pydicom makes of decimal strings
    contour[0x30060050] = raw
    dataset.save_as(path)
    content = path.read_bytes()
    place = content.index(b"\x06\x30\x50\x00UT\0\0")
    assert place > 0
    path.write_bytes(content[: place + 4] + b"UC" + content[place + 6 :])  # text of any length, too
    return path


def _one_contour(on, points: str, factor: str = "4") -> str:
    return workspace(
        f'<Hash:item Hash:key="ImageStates"><Hash:item Hash:key="{on[0].sop_instance_uid}"><Hash:item Hash:key="Contours">'
        f'<Hash:item Hash:key="saendocardialContour"><Hash:item Hash:key="Points">{points}</Hash:item>'
        f'<Hash:item Hash:key="SubpixelResolution">{factor}</Hash:item></Hash:item></Hash:item></Hash:item></Hash:item>'
    )


class TestRTStruct:
    @pytest.mark.parametrize("numbers", ["1\\2\\nan", "1\\2", ""])
    def test_coordinates_that_are_no_points(self, stack, tmp_path, numbers):
        labels, on = stack
        path = _with_contour(write_rtstruct(tmp_path / "rt.dcm", labels, on), numbers)
        assert "not a list of points" in refused([path], on)

    def test_words_for_numbers(self, stack, tmp_path):
        labels, on = stack
        path = _with_contour(write_rtstruct(tmp_path / "rt.dcm", labels, on), "a\\b\\c")
        assert "cannot be read as a DICOM file" in refused([path], on)

    def test_points_and_open_lines_are_left_out_with_a_note(self, stack, tmp_path):
        import pydicom

        labels, on = stack
        path = write_rtstruct(tmp_path / "rt.dcm", labels, on)
        dataset = pydicom.dcmread(path)
        dataset.ROIContourSequence[4].ContourSequence[0].ContourGeometricType = "OPEN_PLANAR"
        dataset.save_as(path)
        assert any("1 contours are not closed" in note for note in read_contour_labels([path], on).notes)

    def test_sequences_in_sequences_without_end(self, stack, tmp_path):
        labels, on = stack
        path = write_rtstruct(tmp_path / "rt.dcm", labels, on)
        deep = struct.pack("<HH2sHI", 0x3006, 0x0020, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
        path.write_bytes(path.read_bytes()[:132] + _meta(path) + deep * 20_000)
        refused([path], on)

    def test_a_deflated_file_is_refused_before_it_is_inflated(self, stack, tmp_path):
        labels, on = stack
        path = write_rtstruct(tmp_path / "rt.dcm", labels, on)
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99\0\0"[:20], 1))
        content = path.read_bytes()
        at = content.index(b"UI\x14\x001.2.840.10008.1.2.1")
        path.write_bytes(content[:at] + b"UI\x16\x001.2.840.10008.1.2.1.99" + content[at + 24 :])
        assert "is stored deflated" in refused([path], on)


def _meta(path: Path) -> bytes:
    """The file meta information of a DICOM file."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<I", content, 140)
    return content[132 : 144 + length]


class TestSeg:
    def test_a_claim_of_a_hundred_thousand_frames(self, stack, tmp_path):
        import pydicom

        labels, on = stack
        path = write_seg(tmp_path / "seg.dcm", {"Endo": labels == 1}, on)
        dataset = pydicom.dcmread(path)
        dataset.NumberOfFrames = 200_000
        dataset.save_as(path)
        assert "has 200000 frames of 64 x 64 pixels" in refused([path], on)
        dataset.NumberOfFrames = 100
        dataset.save_as(path)
        assert "describes 3" in refused([path], on)

    def test_pixels_that_are_missing(self, stack, tmp_path):
        import pydicom

        labels, on = stack
        path = write_seg(tmp_path / "seg.dcm", {"Endo": labels == 1}, on)
        dataset = pydicom.dcmread(path)
        dataset.PixelData = dataset.PixelData[:100]
        dataset.save_as(path)
        assert "cannot be read as a DICOM file" in refused([path], on)
        del dataset.PixelData
        dataset.save_as(path)
        assert "holds no pixels" in refused([path], on)

    def test_a_position_that_is_no_number(self, stack, tmp_path):
        import pydicom

        labels, on = stack
        path = write_seg(tmp_path / "seg.dcm", {"Endo": labels == 1}, on)
        dataset = pydicom.dcmread(path)
        dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [0, 0]
        dataset.save_as(path)
        assert "position or pixel size" in refused([path], on)


class TestCvi42:
    @pytest.mark.parametrize(
        "before",
        [
            '<!DOCTYPE a [<!ENTITY b "ha">' + "".join(f'<!ENTITY b{k} "{f"&b{k - 1 or str()};" * 10}">' for k in range(1, 30)) + "]>",
            '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
            "<!DOCTYPE a>",
        ],
        ids=["billion laughs", "external document type", "external entity", "empty"],
    )
    def test_a_document_type_is_refused(self, stack, tmp_path, before):
        path = tmp_path / "a.cvi42wsx"
        path.write_text(workspace("", before=before))
        assert "document type" in refused([path], stack[1])

    @pytest.mark.parametrize(
        ("points", "factor", "says"),
        [
            ("<List:item><Point:x>nan</Point:x><Point:y>1</Point:y></List:item>", "4", "no number or lies far outside"),
            ("<List:item><Point:x>1e30</Point:x><Point:y>1</Point:y></List:item>", "4", "no number or lies far outside"),
            ("<List:item><Point:x>one</Point:x><Point:y>1</Point:y></List:item>", "4", "cannot be read as XML"),
            ("<List:item><Point:x>1</Point:x></List:item>", "4", "has 1 x, 0 y"),
            ("<List:item><Point:x>1</Point:x><Point:y>1</Point:y></List:item>", "0", "a factor of 0"),
            ("<List:item><Point:x>1</Point:x><Point:y>1</Point:y></List:item>", "nan", "a factor of nan"),
            (f"<List:item><Point:x>{'1' * 10_000_000}</Point:x></List:item>", "4", "more than 40 characters"),
            ("<a>" * 5000, "4", "nested more than 100 levels"),
            ("<a>", "4", "not well-formed XML"),
        ],
    )
    def test_damage_is_named(self, stack, tmp_path, points, factor, says):
        path = tmp_path / "a.cvi42wsx"
        path.write_text(_one_contour(stack[1], points, factor))
        assert says in refused([path], stack[1])

    def test_one_contour_in_two_ways_is_refused_and_the_same_one_twice_is_read_once(self, stack, tmp_path):
        labels, on = stack
        path = write_cvi42(tmp_path / "a.cvi42wsx", labels, on)
        text = path.read_text()
        begin, end = text.index('<Hash:item Hash:key="ImageStates">'), text.rindex("</List:item></Hash:item></Hash:hash>")
        states = text[begin:end]
        expected = read_contour_labels([path], on).labels
        path.write_text(workspace(states + states))
        np.testing.assert_array_equal(read_contour_labels([path], on).labels, expected)
        path.write_text(workspace(states + states.replace("<Point:x>1", "<Point:x>2")))
        assert "in two ways" in refused([path], on)


def _element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def _matrix(kind: int, shape: tuple[int, ...], name: str, body: bytes) -> bytes:
    flags = _element(6, struct.pack("<II", kind, 0))
    sizes = _element(5, struct.pack(f"<{len(shape)}i", *shape))
    return _element(14, flags + sizes + _element(1, name.encode()) + body)


def _mat(*variables: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"".join(variables)


def _struct(shape: tuple[int, ...], fields: dict[str, bytes], name: str = "setstruct") -> bytes:
    names = b"".join(field.encode().ljust(32, b"\0") for field in fields)
    return _matrix(2, shape, name, _element(5, struct.pack("<i", 32)) + _element(1, names) + b"".join(fields.values()))


NUMBER = _matrix(6, (1, 1), "", _element(9, bytes(8)))
NOTHING = _matrix(6, (0, 0), "", b"")


def _endo(field: bytes) -> bytes:
    """A file of Segment with this as EndoX and EndoY."""
    return _mat(_struct((1, 1), {"EndoX": field, "EndoY": field}))


DAMAGED = {
    "claim of 2 billion structs": (_mat(_struct((2**30, 2), {"EndoX": NUMBER})), "a struct is damaged"),
    "too few structs": (_mat(_struct((1, 2), {"EndoX": NUMBER})), "truncated"),
    "claim of 80 GB": (_endo(_matrix(6, (10**9, 10), "", _element(9, bytes(8)))), "another size than it states"),
    "cell": (_endo(_matrix(1, (1, 1), "", NOTHING)), "an array of numbers was expected"),
    "object": (_endo(_matrix(3, (1, 1), "", NOTHING)), "an array of numbers was expected"),
    "function handle": (_endo(_matrix(16, (1, 1), "", NOTHING)), "an array of numbers was expected"),
    "opaque object": (_endo(_matrix(17, (1, 1), "", b"")), "an array of numbers was expected"),
    "object in place of the struct": (_mat(_matrix(3, (1, 1), "setstruct", b"")), "holds no struct"),
    "function in place of the struct": (_mat(_matrix(16, (1, 1), "setstruct", b"")), "holds no struct"),
    "another variable": (_mat(_matrix(6, (1, 1), "other", _element(9, bytes(8)))), "holds no struct"),
    "no variable": (_mat(), "holds no struct"),
    "compressed garbage": (_mat(_element(15, b"garbage!")), "cannot be read as a MATLAB file"),
    "no byte order": (b"MATLAB 5.0 MAT-file".ljust(200), "byte order"),
}


class TestMat:
    @pytest.mark.parametrize("damage", DAMAGED)
    def test_damage_is_named(self, stack, tmp_path, damage):
        content, says = DAMAGED[damage]
        path = tmp_path / "a.mat"
        path.write_bytes(content)
        assert says in refused([path], stack[1])

    def test_a_file_that_inflates_to_gigabytes_is_refused_without_taking_them(self, stack, tmp_path, monkeypatch):
        from lgesynthnet.data.contours import mat5

        monkeypatch.setattr(mat5, "MAX_INFLATED", 2**25)
        whole = _struct((1, 1), {"IM": _matrix(6, (2**23, 1), "", _element(9, bytes(2**26)))})
        squeezed = zlib.compress(whole)
        path = tmp_path / "a.mat"
        path.write_bytes(_mat(struct.pack("<II", 15, len(squeezed)) + squeezed))
        assert len(squeezed) < 2**17
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert "larger than 1 GB" in refused([path], stack[1])
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**16  # KiB

    def test_structs_nested_100_000_deep_are_not_followed(self, stack, tmp_path):
        names = _element(5, struct.pack("<i", 32)) + _element(1, b"Scar".ljust(32, b"\0"))
        header = _element(6, struct.pack("<II", 2, 0)) + _element(5, struct.pack("<2i", 1, 1))
        inner = b""
        pieces, size = [], 0
        for _ in range(100_000):
            body = header + _element(1, b"") + names
            size += len(body) + 8
            pieces.append(body)
        content, left = bytearray(), size
        for body in pieces:
            left -= 8
            content += struct.pack("<II", 14, left) + body
            left -= len(body)
        outer = _matrix(2, (1, 1), "setstruct", names + bytes(content) + inner)
        path = tmp_path / "a.mat"
        path.write_bytes(_mat(outer))
        refused([path], stack[1])


class TestSunnybrook:
    @pytest.mark.parametrize("line", ["nan 1", "1", "1 2 3", "a b", "1e9 1", "00000000: 3133 302e"])
    def test_lines_that_are_no_points(self, stack, tmp_path, line):
        labels, on = stack
        paths = WRITERS["sunnybrook"](tmp_path, labels, on)
        paths[0].write_text("10 10\n20 10\n" + line + "\n")
        assert str(paths[0]) in refused(paths, on)

    def test_bytes_that_are_no_text(self, stack, tmp_path):
        labels, on = stack
        paths = WRITERS["sunnybrook"](tmp_path, labels, on)
        paths[0].write_bytes(b"10 10\n\xff\xfe")
        assert "is not UTF-8 text" in refused(paths, on)


def test_names_of_hostile_files_appear_short_and_in_one_line(stack, tmp_path):
    labels, on = stack
    hostile = {"Endo": "a\nb\x1b[31m", "Epi": "x" * 60}
    path = write_rtstruct(tmp_path / "rt.dcm", labels, on, names=hostile)
    message = refused([path], on)
    assert "\x1b" not in message
    assert len(message) < 800
