"""What names mean, how the parts of the heart are put together, and what the notes and errors say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from contour_writers import (
    CAVITY,
    NO_REFLOW,
    RV,
    SCAR,
    WALL,
    heart,
    planes,
    segment_fields,
    write_cvi42,
    write_rtstruct,
    write_seg,
    write_segment,
    write_sunnybrook,
)

from lgesynthnet.data.contours.finding import find_contour_files
from lgesynthnet.data.contours.names import ContourNames, Meaning
from lgesynthnet.data.contours.reading import read_contour_labels
from lgesynthnet.errors import InputError
from lgesynthnet.records import wall_of


@pytest.fixture
def stack(tmp_path):
    return planes(heart(), tmp_path / "images")


class TestNames:
    @pytest.mark.parametrize(
        ("name", "meaning"),
        [
            ("LV endo", Meaning.ENDO),
            ("lv_Endocardium", Meaning.ENDO),
            ("saendocardialContour", Meaning.ENDO),
            ("LV-EPI", Meaning.EPI),
            ("Myocardium", Meaning.WALL),
            ("Left Ventricular Myocardium", Meaning.WALL),
            ("Infarct", Meaning.SCAR),
            ("MVO", Meaning.NO_REFLOW),
            ("noReflowAreaContour", Meaning.NO_REFLOW),
            ("RV endo", Meaning.RV),
            ("RV epi", Meaning.IGNORE),
            ("liver", None),
            ("", None),
        ],
    )
    def test_the_table_knows_usual_names(self, name, meaning):
        assert ContourNames().meaning_of(name) == meaning

    def test_a_given_name_wins_and_the_usual_names_of_its_meaning_no_longer_count(self):
        names = ContourNames.parse("scar=Scar_5SD, endo = LV blood")
        assert names.meaning_of("scar 5sd") is Meaning.SCAR
        assert names.meaning_of("Scar") is Meaning.IGNORE
        assert names.meaning_of("lv  BLOOD") is Meaning.ENDO
        assert names.meaning_of("Epi") is Meaning.EPI

    def test_the_first_known_of_several_names_counts(self):
        assert ContourNames().meaning_of("Segment 1", "Myocardium") is Meaning.WALL
        assert ContourNames.parse("endo=Myocardium").meaning_of("Epi", "Myocardium") is Meaning.ENDO

    def test_a_name_with_a_comma_stands_in_quotes(self):
        assert ContourNames.parse('"scar=Scar, old",endo=A=B').given == {"scar, old": Meaning.SCAR, "a=b": Meaning.ENDO}

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "names nothing"),
            ("heart=LV", "'heart=LV' is not MEANING=NAME with a meaning of endo, epi, wall, scar, no-reflow, rv, ignore"),
            ("endo=", "is not MEANING=NAME"),
            ("endo", "is not MEANING=NAME"),
            ("endo=A,epi=a", "'a' is given as endo and as epi"),
            ('"endo=A', "cannot be read"),
            ("endo=A\nepi=B", "cannot be read"),
        ],
    )
    def test_a_wrong_option_is_explained(self, text, says):
        with pytest.raises(InputError, match="--contour-names") as fault:
            ContourNames.parse(text)
        assert says in str(fault.value)


class TestUnknownNames:
    def test_every_name_and_the_option_are_in_the_error(self, stack, tmp_path):
        labels, on = stack
        path = write_rtstruct(tmp_path / "rt.dcm", labels, on, names={"Endo": "Kontur A", "Epi": "Kontur B"})
        with pytest.raises(InputError) as fault:
            read_contour_labels([path], on)
        message = str(fault.value)
        for word in ("no cavity and no wall", "'Kontur A', 'Kontur B', 'No reflow', 'RV', 'Scar'", "--contour-names", str(path)):
            assert word in message
        read = read_contour_labels([path], on, ContourNames.parse("endo=Kontur A,epi=Kontur B"))
        assert (read.labels == CAVITY).any()
        assert (read.labels == WALL).any()

    def test_usual_names_that_other_names_replaced_are_named_with_what_to_add(self, stack, tmp_path):
        labels, on = stack
        path = write_rtstruct(tmp_path / "rt.dcm", labels, on)
        option = "endo=LV_Innen,epi=LV_Aussen"
        with pytest.raises(InputError) as fault:
            read_contour_labels([path], on, ContourNames.parse(option))
        [addition] = re.findall(r"add (\S+) to it$", str(fault.value))
        assert addition == "endo=Endo,epi=Epi"
        assert (read_contour_labels([path], on, ContourNames.parse(f"{option},{addition}")).labels == CAVITY).any()

    def test_a_scar_is_never_left_out_in_silence(self, stack, tmp_path):
        labels, on = stack
        path = write_rtstruct(tmp_path / "rt.dcm", labels, on)
        read = read_contour_labels([path], on, ContourNames.parse("scar=Narbe"))
        assert not (read.labels == SCAR).any()
        [note] = [note for note in read.notes if "'Scar' is left out" in note]
        assert note.endswith("add scar=Scar if it is meant")
        again = read_contour_labels([path], on, ContourNames.parse("scar=Narbe,scar=Scar"))
        assert (again.labels == SCAR).any()
        assert not any("left out, because" in note for note in again.notes)

    def test_a_name_without_a_meaning_is_noted(self, stack, tmp_path):
        labels, on = stack
        read = read_contour_labels([write_rtstruct(tmp_path / "rt.dcm", labels, on, names={"RV": "Leber"})], on)
        assert not (read.labels == RV).any()
        assert any("'Leber' is left out" in note and "--contour-names" in note for note in read.notes)

    def test_the_property_type_speaks_where_the_label_of_a_segment_does_not(self, stack, tmp_path):
        import pydicom

        labels, on = stack
        path = write_seg(tmp_path / "seg.dcm", {"Segment 1": labels == CAVITY, "Segment 2": wall_of(labels)}, on)
        dataset = pydicom.dcmread(path)
        for segment, word in zip(dataset.SegmentSequence, ("Left ventricular cavity", "Myocardium"), strict=True):
            segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = word
        dataset.save_as(path)
        np.testing.assert_array_equal(read_contour_labels([path], on).labels == CAVITY, labels == CAVITY)


class TestParts:
    def test_a_wall_mask_may_hold_the_scar_or_leave_it_out(self, stack, tmp_path):
        labels, on = stack
        infarct = (labels == SCAR) | (labels == NO_REFLOW)
        for number, wall in enumerate((wall_of(labels), labels == WALL)):
            masks = {"Cavity": labels == CAVITY, "Myocardium": wall, "Scar": infarct}
            read = read_contour_labels([write_seg(tmp_path / f"{number}.dcm", masks, on)], on)
            np.testing.assert_array_equal(wall_of(read.labels), wall_of(labels))
            np.testing.assert_array_equal(read.labels == SCAR, infarct)
            assert any("leaves the scar out" in note for note in read.notes) == bool(number)

    def test_scar_outside_the_wall_is_left_out_and_counted(self, stack, tmp_path):
        labels, on = stack
        scar = labels == SCAR
        stray = scar.copy()
        stray[:3, :5, 0] = True
        stray[31, 36, 0] = True  # in the cavity
        read = read_contour_labels(
            [write_seg(tmp_path / "seg.dcm", {"Endo": labels == CAVITY, "Wall": wall_of(labels), "Scar": stray}, on)], on
        )
        np.testing.assert_array_equal(read.labels == SCAR, scar)
        assert any("16 pixels of scar lie outside the wall" in note for note in read.notes)

    def test_scar_inside_the_endocardium_stays_cavity(self, stack, tmp_path):
        labels, on = stack
        scar = labels == SCAR
        scar[28:33, 34:38, 0] = True
        masks = {"Endo": labels == CAVITY, "Epi": wall_of(labels) | (labels == CAVITY), "Scar": scar}
        read = read_contour_labels([write_seg(tmp_path / "seg.dcm", masks, on)], on)
        np.testing.assert_array_equal(read.labels == CAVITY, labels == CAVITY)
        assert any("20 pixels of scar lie outside the wall" in note for note in read.notes)

    def test_the_rv_does_not_cover_the_lv(self, stack, tmp_path):
        labels, on = stack
        masks = {"Endo": labels == CAVITY, "Wall": wall_of(labels), "RV": np.ones_like(labels, dtype=bool)}
        read = read_contour_labels([write_seg(tmp_path / "seg.dcm", masks, on)], on)
        np.testing.assert_array_equal(read.labels == CAVITY, labels == CAVITY)
        np.testing.assert_array_equal(wall_of(read.labels), wall_of(labels))
        assert any("of rv lie on the LV" in note for note in read.notes)

    def test_the_hole_of_a_wall_is_the_cavity_where_none_is_drawn(self, stack, tmp_path):
        labels, on = stack
        read = read_contour_labels([write_seg(tmp_path / "seg.dcm", {"Myocardium": wall_of(labels)}, on)], on)
        np.testing.assert_array_equal(read.labels == CAVITY, labels == CAVITY)
        assert any("slices 0, 1, 2 have no cavity drawn" in note for note in read.notes)

    def test_an_epicardium_alone_is_wall_and_noted(self, stack, tmp_path):
        labels, on = stack
        paths = [path for path in write_sunnybrook(tmp_path / "c", labels, on) if "0002-i" not in path.name]
        read = read_contour_labels(paths, on)
        assert not (read.labels[:, :, 1] == CAVITY).any()
        assert any("slices 1 have an epicardial contour and no endocardial one" in note for note in read.notes)

    def test_no_wall_is_an_error(self, stack, tmp_path):
        labels, on = stack
        with pytest.raises(InputError, match="no wall is drawn"):
            read_contour_labels([write_seg(tmp_path / "seg.dcm", {"Endo": labels == CAVITY}, on)], on)


class TestFiles:
    def test_parts_in_several_files_are_put_together(self, stack, tmp_path):
        labels, on = stack
        paths = write_sunnybrook(tmp_path / "c", labels, on)
        paths.append(write_seg(tmp_path / "scar.dcm", {"Scar": labels == SCAR}, on))
        assert (read_contour_labels(paths, on).labels == SCAR).sum() > 0.95 * (labels == SCAR).sum()

    def test_two_files_with_the_same_part_are_refused(self, stack, tmp_path):
        labels, on = stack
        paths = [write_rtstruct(tmp_path / "rt.dcm", labels, on), write_cvi42(tmp_path / "a.cvi42wsx", labels, on)]
        with pytest.raises(InputError, match=r"rt.dcm: draws endo in slice 0, as .*a.cvi42wsx does; give one of the two files"):
            read_contour_labels(paths, on)

    def test_a_copy_of_a_file_is_read_once(self, stack, tmp_path):
        labels, on = stack
        path = write_rtstruct(tmp_path / "rt.dcm", labels, on)
        copy = shutil.copy(path, tmp_path / "zz.dcm")
        read = read_contour_labels([path, copy], on)
        np.testing.assert_array_equal(read.labels, read_contour_labels([path], on).labels)
        assert any("zz.dcm: holds the same bytes" in note for note in read.notes)

    def test_the_content_decides_and_not_the_name(self, stack, tmp_path):
        labels, on = stack
        path = write_rtstruct(tmp_path / "contours.mat", labels, on)
        assert find_contour_files(tmp_path) == [path]
        assert read_contour_labels([path], on).labels.any()

    def test_a_folder_is_searched_to_the_bottom_without_hidden_files(self, stack, tmp_path):
        labels, on = stack
        (tmp_path / "b" / "c").mkdir(parents=True)
        (tmp_path / ".hidden").mkdir()
        deep = write_rtstruct(tmp_path / "b" / "c" / "rt", labels, on)
        first = write_cvi42(tmp_path / "a.xml", labels, on)
        write_cvi42(tmp_path / ".a.xml", labels, on)
        write_cvi42(tmp_path / ".hidden" / "a.xml", labels, on)
        (tmp_path / "notes.txt").write_text("1 2\n3 4\n")
        (tmp_path / "page.xml").write_text("<html/>")
        (tmp_path / "loop").symlink_to(tmp_path)
        assert find_contour_files(tmp_path) == [first, deep]

    def test_a_folder_that_is_too_deep_or_missing_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            find_contour_files(tmp_path / "missing")
        (tmp_path / "/".join("abcdefghi")).mkdir(parents=True)
        with pytest.raises(InputError, match="more than 8 folders below"):
            find_contour_files(tmp_path)

    def test_images_and_other_files_are_named(self, stack, tmp_path):
        _, on = stack
        (tmp_path / "a.txt").write_text("hello")
        with pytest.raises(InputError, match=r"a.txt: holds no contours in a format that can be read"):
            read_contour_labels([tmp_path / "a.txt"], on)
        with pytest.raises(InputError, match="no file was given"):
            read_contour_labels([], on)
        with pytest.raises(InputError, match="no slices were given"):
            read_contour_labels([tmp_path / "a.txt"], [])


class TestSegment:
    def test_of_two_stacks_at_one_place_the_still_one_is_taken(self, stack, tmp_path):
        labels, on = stack
        still, moving = segment_fields(labels, on), segment_fields(np.roll(labels, 5, axis=0), on) | {"TSize": 25, "Scar": np.zeros((0, 0))}
        path = write_segment(tmp_path / "a.mat", moving, still)
        read = read_contour_labels([path], on)
        np.testing.assert_array_equal(read.labels, read_contour_labels([write_segment(tmp_path / "b.mat", still)], on).labels)
        assert any("image stack 2 is taken" in note for note in read.notes)
        with pytest.raises(InputError, match="image stack 1, image stack 2 lie on the same slices"):
            read_contour_labels([write_segment(tmp_path / "c.mat", still, still)], on)

    def test_a_stack_without_a_place_is_refused_and_never_matched_by_order(self, stack, tmp_path):
        labels, on = stack
        for missing in ("ImagePosition", "ImageOrientation", "SliceThickness"):
            fields = {key: value for key, value in segment_fields(labels, on).items() if key != missing}
            with pytest.raises(InputError, match="does not say where it lies"):
                read_contour_labels([write_segment(tmp_path / "a.mat", fields)], on)

    def test_contours_in_several_time_frames_are_refused(self, stack, tmp_path):
        labels, on = stack
        fields = segment_fields(labels, on)
        fields |= {f"Endo{axis}": np.repeat(fields[f"Endo{axis}"], 2, axis=1) for axis in "XY"}
        with pytest.raises(InputError, match="contours in 2 time frames"):
            read_contour_labels([write_segment(tmp_path / "a.mat", fields)], on)

    def test_version_7_3_is_refused_with_the_remedy(self, stack, tmp_path):
        path = tmp_path / "a.mat"
        path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n")
        assert find_contour_files(tmp_path) == [path]
        with pytest.raises(InputError, match="save it again with the option -v7"):
            read_contour_labels([path], stack[1])

    def test_the_numbers_are_those_that_scipy_reads(self, stack, tmp_path):
        from scipy.io import loadmat

        from lgesynthnet.data.contours.mat5 import find_variable

        labels, on = stack
        for compress in (True, False):
            path = write_segment(tmp_path / "a.mat", segment_fields(labels, on), compress=compress)
            [[expected]] = loadmat(path)["setstruct"]
            [fields] = find_variable(path.read_bytes(), "setstruct").structs()
            assert list(fields) == list(expected.dtype.names)
            for name in ("EndoX", "RVEndoY", "ImagePosition", "ResolutionX", "IM"):
                np.testing.assert_array_equal(fields[name].numbers(), expected[name])
            [scar] = fields["Scar"].structs()
            np.testing.assert_array_equal(scar["Result"].numbers(), expected["Scar"][0, 0]["Result"])
            assert scar["Mode"].text() == "manual"
            assert find_variable(path.read_bytes(), "nothing") is None


def test_the_readers_are_imported_without_pydicom_and_without_torch():
    script = "import sys; sys.modules['pydicom'] = None; import lgesynthnet.data.contours.reading, lgesynthnet.data.contours.finding; "
    script += "print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    assert not {"torch", "highdicom"}.intersection(loaded)


def test_without_pydicom_the_error_says_what_to_install(stack, tmp_path, monkeypatch):
    labels, on = stack
    path = write_rtstruct(tmp_path / "rt.dcm", labels, on)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InputError, match=r'rt.dcm: .*pip install "lgesynthnet\[dicom\]"'):
        read_contour_labels([path], on)
