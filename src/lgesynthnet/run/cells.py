"""Rows of a run as cells: how the ledger stores the values of a row, how its table prints them, and how both are read back."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

from lgesynthnet.anatomy.aha import SHORT_AXIS_SEGMENTS
from lgesynthnet.errors import InputError, PrescriptionError
from lgesynthnet.files.names import checked_name

AnyRow = TypeVar("AnyRow", bound="Row")
_DIGITS = re.compile(r"[0-9]{1,18}")


class Row:
    """A frozen dataclass whose fields are the columns of a table. Its kinds of values are those that `_of_cell` knows.

    Attributes:
        ADDED: columns that older runs do not have.
        READERS: hint -> what reads a cell, for kinds of values that only this row has.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset()
    READERS: ClassVar[Mapping[Any, Any]] = {}

    @classmethod
    @cache
    def columns(cls) -> tuple[str, ...]:
        """The columns in order."""
        return tuple(field.name for field in fields(cls))  # type: ignore[arg-type]  # every subclass is a dataclass

    @classmethod
    def sql_type(cls, column: str) -> str:
        """SQLite's type of a column."""
        kind = _kind_of(cls._hints()[column])
        return "REAL" if kind is float else "INTEGER" if kind in (int, bool) else "TEXT"

    def cells(self) -> dict[str, str | int | float | None]:
        """Column -> value as the ledger stores it and the table prints it."""
        return {name: _to_cell(getattr(self, name)) for name in self.columns()}

    @classmethod
    def of_cells(cls: type[AnyRow], cells: Mapping[str, Any]) -> AnyRow:
        """The row that `cells` gave, also after it was printed as text.

        Raises:
            ValueError: a column is missing or unknown, or a cell does not hold a value of its kind; the message names the column.
        """
        hints = cls._hints()
        if unknown := [name for name in cells if name not in hints]:
            raise ValueError(f"column {unknown[0]} is unknown" if unknown[0] is not None else "there are more cells than columns")
        values = {}
        for name, hint in hints.items():
            if name not in cells and name in cls.ADDED:
                continue
            if name not in cells:
                raise ValueError(f"column {name} is missing")
            try:
                values[name] = _of_cell(cells[name], hint, cls.READERS)
            except (ValueError, PrescriptionError) as fault:
                raise ValueError(f"column {name}: {fault}") from None
        row = cls(**values)
        row.check_names()
        return row

    def check_names(self) -> None:
        """The names become parts of paths, and must not lead out of a folder.

        Raises:
            ValueError: one of them would.
        """
        for name in ("id", "host"):
            try:
                checked_name(getattr(self, name), f"column {name}")
            except InputError as fault:
                raise ValueError(str(fault)) from None

    @classmethod
    @cache
    def _hints(cls) -> dict[str, Any]:
        hints = get_type_hints(cls)
        return {name: hints[name] for name in cls.columns()}


def check_file(file: str, stem: str) -> None:
    """Whether a cell names the image of its sample.

    Raises:
        ValueError: it names something else.
    """
    if file not in ("", *(f"{folder}images/{stem}.nii.gz" for folder in ("", "rejected/"))):
        raise ValueError(f"column file: {file[:60]!r} is not images/{stem}.nii.gz, with or without rejected/ before it")


def _kind_of(hint: Any) -> Any:
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return kinds[0] if type(None) in get_args(hint) else hint


def _to_cell(value: Any) -> str | int | float | None:
    if hasattr(value, "to_json"):
        return str(value.to_json())
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if isinstance(value, StrEnum):
        return value.value
    return int(value) if isinstance(value, bool) else value


def _of_cell(cell: Any, hint: Any, readers: Mapping[Any, Any]) -> Any:
    kind = _kind_of(hint)
    if kind is not hint and cell in ("", None):
        return None
    if cell is None:
        raise ValueError("there is no cell")
    if kind in readers:
        return readers[kind](str(cell))
    if kind is bool:
        if str(cell) not in ("0", "1"):
            raise ValueError(f"{cell!r} is neither 0 nor 1")
        return str(cell) == "1"
    if kind is int:
        return _whole_number(str(cell))
    if kind is float:
        return _number(str(cell))
    if kind is str:
        return str(cell)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(cell)
    return tuple(_segment(word) for word in str(cell).split(" "))


def _whole_number(text: str) -> int:
    if not _DIGITS.fullmatch(text):  # `int` also reads "1_0" and the digits of other scripts
        raise ValueError(f"{text[:40]!r} is not a whole number from 0 to 2^63 - 1")
    return int(text)


def _number(text: str) -> float:
    number = float(text) if text.isascii() and "_" not in text else math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]!r} is not a finite number")
    return number


def _segment(text: str) -> int:
    number = _whole_number(text)
    if number not in SHORT_AXIS_SEGMENTS:
        raise ValueError(f"{number} is not an AHA segment from 1 to 16")
    return number
