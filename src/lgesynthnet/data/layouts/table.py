"""A table of patients: one line for each, with the paths of its files. Nothing is guessed from names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.dicom.scanning import DicomSource
from lgesynthnet.data.layouts.content import CaseFiles, FolderContent, Layout, patient_name
from lgesynthnet.data.layouts.listing import is_there, printable
from lgesynthnet.errors import InputError
from lgesynthnet.files.names import checked_name
from lgesynthnet.files.reading import read_text

NAME = "patients.csv"
NEEDED = ("patient", "image")
COLUMNS = (*NEEDED, "label", "series", "use")
LIMIT_BYTES = 2**24
MOST_LINES = 100_000
LONGEST_CELL = 4096  # characters, as the longest path of most systems
MOST_IN_QUOTES = 2**17  # characters; a longer cell comes from a quote that was not closed. The limit of `csv` holds for the whole process
_USE = {"": True, "yes": True, "1": True, "true": True, "no": False, "0": False, "false": False}
_FORMULA = re.compile(r"[=+\-@]")  # a spreadsheet computes such a cell, and the table then holds what it computed
_SAVE = "save the table as CSV in UTF-8"


@dataclass(frozen=True, kw_only=True)
class TableLine:
    """One line of a table: the cells of the columns that are read, and where it stands."""

    cells: Mapping[str, str]
    place: str
    number: int


def is_table(path: Path) -> bool:
    """Whether the first line of a file names the columns of a table of patients.

    Raises:
        InputError: the file cannot be read, or is no text.
    """
    first = read_text(path, LIMIT_BYTES).partition("\n")[0]
    return any(set(NEEDED) <= set(_header(first, delimiter)) for delimiter in ",;\t")


def read_table(path: Path) -> FolderContent:
    """The patients of a CSV file with the columns patient, image and label, and perhaps series and use.

    The columns stand in any order and any case, with commas, semicolons or tabs between them. Paths are absolute, or begin at the folder of
    the table. `image` is a NIfTI file, or a folder of DICOM files, of which `series` then names one. A line whose `use` is no or 0 is left
    out. Where `label` is empty, the patient has an image alone.

    Raises:
        InputError: the file is no such table. A line that cannot be used is skipped with its reason; the others go on.
    """
    content = FolderContent(layout=Layout.TABLE)
    first_of: dict[str, TableLine] = {}
    cases: dict[str, CaseFiles] = {}
    for line in read_lines(path):
        try:
            case = _case_of(line, path.parent)
        except InputError as fault:
            content.skip(line.cells["patient"][:60] or f"line {line.number}", str(fault))
            continue
        if case is None:
            content.ignore(line.cells["patient"], "left out by the column use")
        elif (first := first_of.setdefault(case.patient, line)) is not line:
            cases.pop(case.patient, None)
            content.skip(
                case.patient, f"{line.place}: the patient {case.patient} stands in line {first.number}, too; keep one of the lines"
            )
        else:
            cases[case.patient] = case
    for case in cases.values():
        content.named.update(filter(None, (case.image_path, case.label_path)))
        # The labels of DICOM images may be contours, which are looked for when the patient is read.
        (content.cases if case.label_path is not None or case.dicom is not None else content.unlabelled).append(case)
    return content


def read_lines(path: Path, columns_read: Collection[str] = COLUMNS) -> Iterator[TableLine]:
    """The lines of a table that are not empty, below the first.

    Args:
        columns_read: the columns whose cells are read, where the table has them.
    Raises:
        InputError: the file is no table of patients.
    """
    text = read_text(path, LIMIT_BYTES)
    if "\0" in text:
        raise InputError(f"{path}: line {text[: text.index(chr(0))].count(chr(10)) + 1}: holds a null character; {_SAVE}")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=lambda mark: len(set(COLUMNS) & set(_header(first, mark))))
    columns = _header(first, delimiter)
    for name in COLUMNS:
        if columns.count(name) > 1:
            raise InputError(f"{path}: line 1: has the column {name} twice; remove one")
    if lacking := [name for name in NEEDED if name not in columns]:
        raise InputError(f"{path}: line 1: has no column {', '.join(lacking)}; the first line must name {','.join(COLUMNS[:3])}")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    began = 1
    try:
        for number, row in enumerate(rows):
            place, began, at = f"{path}: line {began}", rows.line_num + 1, began
            if number > MOST_LINES:
                raise InputError(f"{place}: the table has more than {MOST_LINES} lines; divide it")
            if any(len(cell) > MOST_IN_QUOTES for cell in row):
                raise InputError(f"{place}: is not CSV (a cell of more than {MOST_IN_QUOTES} characters); close the quotes, or {_SAVE}")
            if number == 0 or not any(cell.strip() for cell in row):
                continue
            if len(row) != len(columns):
                raise InputError(
                    f"{place}: has {len(row)} cells, but the first line names {len(columns)} columns; correct it, and put a cell "
                    f"that holds {delimiter!r} in quotes"
                )
            cells = {name: cell.strip() for name, cell in zip(columns, row, strict=True) if name in columns_read}
            yield TableLine(cells=cells, place=place, number=at)
    except csv.Error as fault:
        raise InputError(f"{path}: line {began}: is not CSV ({fault}); close the quotes, or {_SAVE}") from None


def _header(first: str, delimiter: str) -> list[str]:
    try:
        return [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]
    except csv.Error:
        return []


def read_use(cell: str, place: str) -> bool:
    """Whether a patient is to be used, by the column `use`; an empty cell means yes.

    Args:
        place: the line, which begins the error message.
    Raises:
        InputError: the cell says neither yes nor no.
    """
    use = _USE.get(cell.strip().lower())
    if use is None:
        raise InputError(f"{place}: use is {cell[:40]!r}; write yes or no")
    return use


def _case_of(line: TableLine, folder: Path) -> CaseFiles | None:
    """The files of one line; None where the line is not to be used.

    Raises:
        InputError: something is wrong with the line.
    """
    for name, cell in line.cells.items():
        if _FORMULA.match(cell):
            raise InputError(f"{line.place}: {name} begins with {cell[0]!r}, which spreadsheets take for a formula; write the text itself")
        if len(cell) > LONGEST_CELL or not cell.isprintable():
            why = f"has {len(cell)} characters" if len(cell) > LONGEST_CELL else "holds a character that cannot be printed"
            raise InputError(f"{line.place}: {name} {why}; correct it")
    use = read_use(line.cells.get("use", ""), line.place)
    patient = checked_name(patient_name(line.cells["patient"]), line.place)
    if not use:
        return None
    if not line.cells["image"]:
        raise InputError(f"{line.place}: the image of {patient} is empty; write the path of its file")
    image = _path(line, "image", folder)
    label = _path(line, "label", folder) if line.cells.get("label") else None
    if label is not None and label.is_dir():
        raise InputError(f"{line.place}: label {printable(label)} is a folder; write the path of a file")
    dicom = DicomSource(folder=image) if image.is_dir() else None
    return CaseFiles(patient=patient, image_path=image, label_path=label, series=line.cells.get("series") or None, dicom=dicom)


def _path(line: TableLine, column: str, folder: Path) -> Path:
    """The file or folder that a cell names. A table from Windows has backslashes between the parts of a path."""
    cell = line.cells[column]
    for text in (cell, cell.replace("\\", "/")):
        if is_there(path := folder / text):
            return path
    raise InputError(
        f"{line.place}: {column} {printable(folder / cell)} does not exist; correct the path, which begins at {printable(folder)}"
    )
