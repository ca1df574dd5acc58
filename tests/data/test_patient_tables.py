"""A table of patients is read in any usual dialect of CSV, and each fault is said in one line with its number."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from factories import run_command, write_hosts

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.layouts import table
from lgesynthnet.data.layouts.content import FolderContent, Layout
from lgesynthnet.data.layouts.find import find_cases, find_images
from lgesynthnet.errors import InputError
from lgesynthnet.records import Stack

HEAD = "patient,image,label\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("a", "b", "c, d"):
        (tmp_path / "files" / name).mkdir(parents=True)
        for part in ("i", "l"):
            (tmp_path / "files" / name / f"{part}.nii.gz").write_bytes(b"x")
    return tmp_path


def read(folder: Path, content: str | bytes, name: str = "list.csv") -> FolderContent:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return find_cases(folder / name)


def lines(content: FolderContent) -> list[str]:
    assert all(f"{skipped.name} {skipped.reason}".isprintable() for skipped in content.skipped)
    return [skipped.reason for skipped in content.skipped]


BOTH = [("a", "files/a/i.nii.gz", "files/a/l.nii.gz"), ("b", "files/b/i.nii.gz", "files/b/l.nii.gz")]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("columns", [(0, 1, 2), (2, 0, 1)])
def test_every_usual_dialect(folder, mark, encoding, end, columns):
    rows = [(" Patient", "IMAGE", "Label "), *BOTH]
    text = end.join(mark.join(row[column] for column in columns) for row in rows) + end + end
    content = read(folder, text.encode(encoding))
    assert content.layout is Layout.TABLE
    assert [(case.patient, case.image_path, case.label_path) for case in content.cases] == [
        (name, folder / image, folder / label) for name, image, label in BOTH
    ]
    assert content.skipped == content.ignored == []


def test_quotes_hold_the_mark_between_cells(folder):
    content = read(folder, HEAD + '"c, d","files/c, d/i.nii.gz","files/c, d/l.nii.gz"\n')
    assert [case.patient for case in content.cases] == ["c, d"]


def test_absolute_paths_and_paths_of_windows(folder):
    content = read(folder, HEAD + f"a,{folder}/files/a/i.nii.gz,files\\a\\l.nii.gz\n")
    assert content.cases[0].label_path == folder / "files/a/l.nii.gz"


def test_a_folder_with_patients_csv_is_read_by_it_alone(folder):
    for name in ("p.nii", "p_gt.nii"):
        (folder / name).write_bytes(b"x")
    (folder / "patients.csv").write_text(HEAD + "a,files/a/i.nii.gz,files/a/l.nii.gz\n")
    content = find_cases(folder)
    assert [case.patient for case in content.cases] == ["a"]
    assert {entry.reason for entry in content.ignored} == {"part of no case"}
    assert "p.nii" in [entry.name for entry in content.ignored]


def test_a_patients_csv_about_other_things_is_no_such_table(folder):
    for name in ("p.nii", "p_gt.nii"):
        (folder / name).write_bytes(b"x")
    (folder / "patients.csv").write_text("patient,age\np,60\n")
    assert [case.patient for case in find_cases(folder).cases] == ["p"]


@pytest.mark.parametrize(("word", "used"), [("yes", True), ("YES", True), ("1", True), ("", True), ("no", False), ("0", False)])
def test_use_leaves_a_line_out_and_says_so(folder, word, used):
    content = read(folder, f"patient,image,label,use\na,files/a/i.nii.gz,files/a/l.nii.gz,{word}\nb,files/b/i.nii.gz,files/b/l.nii.gz,\n")
    assert [case.patient for case in content.cases] == (["a", "b"] if used else ["b"])
    assert [(entry.name, entry.reason) for entry in content.ignored] == ([] if used else [("a", "left out by the column use")])


def test_a_line_that_is_left_out_need_not_be_right(folder):
    content = read(folder, "patient,image,label,use\na,nowhere.nii,,no\nb,files/b/i.nii.gz,files/b/l.nii.gz,1\n")
    assert content.skipped == []


def test_images_without_labels(folder):
    text = "patient,image,label\na,files/a/i.nii.gz,\nb,files/b/i.nii.gz,files/b/l.nii.gz\n"
    content = read(folder, text)
    assert [case.patient for case in content.cases] == ["b"]
    assert "its label file is missing" in lines(content)[0]
    assert [(case.patient, case.label_path is None) for case in find_images(folder / "list.csv").cases] == [("a", True), ("b", False)]
    with pytest.raises(InputError, match=r"list\.csv: holds images of 1 patient and no labels; .*segment .*list\.csv --out MASKS"):
        read(folder, "patient,image\na,files/a/i.nii.gz\n")


def test_a_folder_as_image_and_its_series_are_kept_for_whoever_reads_them(folder):
    content = read(folder, "patient,image,label,series\na,files/a,files/a/l.nii.gz,1.2.840.7\n")
    [case] = content.cases
    assert (case.image_path, case.series) == (folder / "files/a", "1.2.840.7")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a,nowhere.nii,files/a/l.nii.gz", r"line 3: image .*/nowhere\.nii does not exist"),
        ("a,files/a/i.nii.gz,nowhere.nii", r"line 3: label .*/nowhere\.nii does not exist"),
        ("a,files/a/i.nii.gz,files/a", r"line 3: label .*/files/a is a folder"),
        ("a,,files/a/l.nii.gz", "line 3: the image of a is empty"),
        (",files/a/i.nii.gz,files/a/l.nii.gz", "line 3: the name '' is empty"),
        ("../../x,files/a/i.nii.gz,files/a/l.nii.gz", "line 3: the name '../../x' holds '/'"),
        ("..,files/a/i.nii.gz,files/a/l.nii.gz", "line 3: the name '..' begins with a dot"),
        ("a\\b,files/a/i.nii.gz,files/a/l.nii.gz", "line 3: the name .* holds"),
        ("x" * 200 + ",files/a/i.nii.gz,files/a/l.nii.gz", "line 3: the name .* has 200 characters"),
        ("=cmd|' /C calc'!A0,files/a/i.nii.gz,files/a/l.nii.gz", "line 3: patient begins with '=', which spreadsheets take for a formula"),
        ("+1,files/a/i.nii.gz,files/a/l.nii.gz", r"line 3: patient begins with '\+'"),
        ("@x,files/a/i.nii.gz,files/a/l.nii.gz", "line 3: patient begins with '@'"),
        ('a,"=HYPERLINK(1)",files/a/l.nii.gz', "line 3: image begins with '='"),
        ('"a\nb",files/a/i.nii.gz,files/a/l.nii.gz', "line 3: patient holds a character that cannot be printed"),
        ("a\u2028b,files/a/i.nii.gz,files/a/l.nii.gz", "line 3: patient holds a character that cannot be printed"),
        ("a," + "y" * 5000 + ",files/a/l.nii.gz", "line 3: image has 5000 characters"),
        ("a," + "y" * 3000 + ",files/a/l.nii.gz", "line 3: image .* does not exist"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_used_costs_itself_alone(folder, line, says):
    content = read(folder, f"{HEAD}b,files/b/i.nii.gz,files/b/l.nii.gz\n{line}\n")
    assert [case.patient for case in content.cases] == ["b"]
    [reason] = lines(content)
    assert reason.startswith(f"{folder / 'list.csv'}: ")
    with pytest.raises(InputError, match=says):
        raise InputError(reason)
    assert len(reason) < 8000


def test_a_patient_in_two_lines_is_in_none(folder):
    content = read(folder, HEAD + "a,files/a/i.nii.gz,files/a/l.nii.gz\nb,files/b/i.nii.gz,files/b/l.nii.gz\nCase_a,files/b/i.nii.gz,\n")
    assert [case.patient for case in content.cases] == ["b"]
    assert lines(content) == [f"{folder / 'list.csv'}: line 4: the patient a stands in line 2, too; keep one of the lines"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: has no column patient, image"),
        ("patient,label\n", "line 1: has no column image; the first line must name patient,image,label"),
        ("patient|image|label\n", "line 1: has no column patient, image"),
        ("patient,image,Image\n", "line 1: has the column image twice"),
        (HEAD + "\na,b\n", "line 3: has 2 cells, but the first line names 3 columns"),
        (HEAD + "a,files/c, d/i.nii.gz,\n", "line 2: has 4 cells, .* put a cell that holds ',' in quotes"),
        (HEAD + 'a,"files/a\n' + "x\n" * 50, "line 2: is not CSV"),
        (HEAD + 'b,files/b/i.nii.gz,\na,"files"x,\n', "line 3: is not CSV"),
        (HEAD + "a,fi\0les,\n", "line 2: holds a null character"),
        (HEAD + "a," + "z" * 200_000 + ",\n", "line 2: is not CSV|line 2: image has"),
        (HEAD.encode("utf-16"), "is not UTF-8 text"),
        (HEAD.encode() + "é,x,\n".encode("latin-1"), "is not UTF-8 text"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(folder, text, says):
    with pytest.raises(InputError, match=says) as caught:
        read(folder, text)
    assert str(caught.value).startswith(f"{folder / 'list.csv'}: ")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_a_cell_without_end_is_refused_whatever_limit_other_readers_have_set(folder):
    before = csv.field_size_limit(2**20)
    try:
        with pytest.raises(InputError, match=r"line 2: is not CSV \(a cell of more than 131072 characters\); close the quotes"):
            read(folder, HEAD + 'a,"' + "z" * 200_000 + '",\n')
    finally:
        csv.field_size_limit(before)


def test_a_value_of_use_that_is_no_word_is_named(folder):
    content = read(folder, "patient,image,label,use\na,files/a/i.nii.gz,files/a/l.nii.gz,maybe\n")
    assert "line 2: use is 'maybe'; write yes or no" in lines(content)[0]


def test_a_table_that_is_too_large_is_refused_before_it_is_read(folder, monkeypatch):
    monkeypatch.setattr(table, "MOST_LINES", 3)
    with pytest.raises(InputError, match="line 5: the table has more than 3 lines"):
        read(folder, HEAD + "a,files/a/i.nii.gz,\n" * 5)
    (folder / "list.csv").write_bytes(b"")
    with (folder / "list.csv").open("r+b") as file:
        file.truncate(2**31)
    with pytest.raises(InputError, match="more than the 16777216 allowed"):
        find_cases(folder / "list.csv")


@pytest.mark.parametrize("name", ["scan.nii.gz", "notes.txt"])
def test_a_file_that_is_no_table_is_refused(folder, name):
    (folder / name).write_bytes(b"\x1f\x8b\x08\xff" * 50)
    with pytest.raises(InputError, match="is not UTF-8 text"):
        find_cases(folder / name)


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> Path:
    """The table of three patients whose files lie elsewhere; beside it, what says how their labels are to be understood."""
    root = tmp_path_factory.mktemp("table")
    write_hosts(root / "far", rv=True)
    (root / "study").mkdir()
    (root / "far" / "lgesynthnet.json").rename(root / "study" / "lgesynthnet.json")
    rows = []
    for name, use in (("N001", "yes"), ("N002", ""), ("N003", "no")):
        image, label = (f"../far/Case_{name}/{part}/Case_{name}.nii.gz" for part in ("Images", "Contours"))
        rows.append(f"{name};{image};{label};{use}")
    (root / "study" / "list.csv").write_text("\n".join(["Patient;Image;Label;Use", *rows]), encoding="utf-8-sig")
    return root / "study" / "list.csv"


def test_a_table_is_opened_as_a_folder_is(listed):
    cohort = open_cohort(listed)
    assert [case.patient for case in cohort.cases] == ["N001", "N002"]
    assert cohort.base_first is True
    assert all(isinstance(stack, Stack) for stack in cohort.stacks())
    assert all(folder.is_relative_to(listed.parent / ".." / "far") for folder in cohort.folders)
    assert len(cohort.folders) == 4


def test_verify_and_synthesize_and_export_take_a_table(listed, tmp_path):
    done = run_command("verify", listed)
    assert done.returncode == 0
    assert "warning: list.csv: 1 is not used (first: N003): left out by the column use" in done.stdout
    run = tmp_path / "run"
    done = run_command("synthesize", "--hosts", listed, "--model", "paste", "--prior", "uniform", "--count", 2, "--keep-all", "--out", run)
    assert done.returncode == 0, done.stderr
    assert json.loads((run / "plan.json").read_text())["request"]["hosts"]["root"] == str(listed)
    done = run_command("export", "nifti", run, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "cases.csv").read_text().count("real") > 0
    assert run_command("verify", run).returncode == 0


def test_nothing_is_written_among_the_files_that_a_table_names(listed):
    far = listed.parent.parent / "far"
    before = sorted(far.rglob("*"))
    for inside in (far / "Case_N001" / "Images" / "run", far / "Case_N002" / "Contours" / "deep" / "run"):
        done = run_command("synthesize", "--hosts", listed, "--model", "paste", "--prior", "uniform", "--count", 1, "--out", inside)
        assert done.returncode == 2
        assert "lies in the folder of the patients" in done.stderr
    assert sorted(far.rglob("*")) == before
