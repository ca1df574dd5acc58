"""Read files from outside: regular files only, sizes before memory, strict JSON, and records that are checked by pydantic."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import TypeAdapter, ValidationError

from lgesynthnet.errors import InputError

JSON_BYTES = 2**26  # no JSON file that is read here is larger
CORRECT_OR_REPLACE = "; correct or replace it"  # the remedy of every error about the content of a file
LONGEST_NUMBER = 400  # characters; the shortest text that gives back any float has 24

T = TypeVar("T")


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading. A named pipe or a device is refused at once, because reading it could wait for ever.

    Raises:
        InputError: the file is missing, is no regular file, or cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as fault:
        raise InputError(f"{path}: cannot be read: {fault.strerror or fault}; check that the file is there") from None
    except ValueError:  # a null character in the name
        raise InputError(f"{str(path)!r}: is not a file name; correct it") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{path}: is not a regular file; replace it by one")
    return open(descriptor, "rb")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file, open for reading; an error of the operating system inside the block is the file's.

    Raises:
        InputError: see `open_regular`; or the file cannot be read.
    """
    with open_regular(path) as file:
        try:
            yield file
        except OSError as fault:
            raise InputError(f"{path}: cannot be read: {fault.strerror or fault}; check that the file is there") from None


def read_bytes(path: Path, limit_bytes: int) -> bytes:
    """The content of a regular file of at most `limit_bytes` bytes.

    Raises:
        InputError: the file is missing, is no regular file, cannot be read, or is larger.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit_bytes:
            raise InputError(f"{path}: has {size} bytes, which is more than the {limit_bytes} allowed here; replace it")
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise InputError(f"{path}: grew beyond {limit_bytes} bytes while it was read; try again")
    return content


def read_text(path: Path, limit_bytes: int = JSON_BYTES) -> str:
    """The content of a regular UTF-8 file; a byte-order mark is dropped.

    Raises:
        InputError: see `read_bytes`; or the file is not UTF-8.
    """
    try:
        return read_bytes(path, limit_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InputError(f"{path}: is not UTF-8 text (byte {fault.start}); save it as UTF-8") from None


def parse_json(text: str, place: str) -> Any:
    """Parse strict JSON: every number finite, no key twice in one object, and nested no deeper than Python's parser goes.

    Args:
        place: the file, and the line where there are several; it begins the error message.
    Raises:
        InputError: the text is anything else.
    """
    try:
        content = json.loads(
            text, parse_float=_finite_float, parse_int=_whole_number, parse_constant=_no_constant, object_pairs_hook=_checked_object
        )
        _refuse_wrong(content)
        return content
    except RecursionError:
        raise InputError(f"{place}: is nested too deeply{CORRECT_OR_REPLACE}") from None
    except ValueError as fault:
        raise InputError(f"{place}: is not strict JSON ({fault}){CORRECT_OR_REPLACE}") from None


def read_json(path: Path, limit_bytes: int = JSON_BYTES) -> dict[str, Any]:
    """Read a JSON object, see `parse_json`.

    Raises:
        InputError: see `read_text` and `parse_json`; or the file holds no JSON object.
    """
    content = parse_json(read_text(path, limit_bytes), str(path))
    if not isinstance(content, dict):
        raise InputError(f"{path}: must hold a JSON object, but holds a {type(content).__name__}; replace it")
    return content


def checked(kind: type[T], content: object, place: str) -> T:
    """The record of type `kind` that `content`, as parsed from JSON, describes. Types are exact: "16" is no number.

    Args:
        kind: a pydantic model, a dataclass, or any other type that pydantic knows.
        place: the file, and the line where there are several; it begins the error message.
    Raises:
        InputError: a key is unknown or missing, or a value has another type or is out of range.
    """
    any_kind: Any = kind
    try:
        # As JSON, where a list may stand for a tuple and a text for an enum.
        record: T = _adapter(any_kind).validate_json(json.dumps(content), strict=True)
    except RecursionError:
        raise InputError(f"{place}: is nested too deeply{CORRECT_OR_REPLACE}") from None
    except ValidationError as fault:
        raise InputError(f"{place}: {first_error(fault)}{CORRECT_OR_REPLACE}") from None
    return record


@cache
def _adapter(kind: Any) -> Any:  # a TypeAdapter; the checker of types in the tests does not know it
    return TypeAdapter(kind)


def reason_of(fault: BaseException, longest: int = 120) -> str:
    """What a parser of others says about damage, in one line that can be printed; its name where it says nothing."""
    words = "".join(letter if letter.isprintable() else "?" if not letter.isspace() else " " for letter in str(fault)).split()
    return " ".join(words)[:longest] or type(fault).__name__


def first_error(fault: ValidationError) -> str:
    """The first thing that is wrong with a record, in one line."""
    first = fault.errors(include_url=False)[0]
    where = ".".join(map(_key, first["loc"])) or "the record"
    return f"{where}: {first['msg']}, got {_short(first.get('input'))}"


def _key(part: object) -> str:
    """A key of a record, which may hold anything, as one short word."""
    text = str(part)
    return text if text.isprintable() and len(text) <= 40 else _short(text)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


@dataclass(frozen=True)
class _Wrong:
    """Stands for a number that cannot be used, until the key that it belongs to is known."""

    why: str


def _finite_float(text: str) -> float | _Wrong:
    number = float(text)
    return number if math.isfinite(number) else _Wrong(f"the number {_short(text)} is too large")


def _whole_number(text: str) -> int | _Wrong:
    return int(text) if len(text) <= LONGEST_NUMBER else _Wrong(f"a number has {len(text)} digits")


def _no_constant(text: str) -> _Wrong:
    return _Wrong(f"{text} is not a number")


def _checked_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {_short(next(key for key in keys if keys.count(key) > 1))} is there twice")
    for key, value in pairs:
        _refuse_wrong(value, f"{key[:40]}: ")
    return record


def _refuse_wrong(value: object, place: str = "") -> None:
    if isinstance(value, _Wrong):
        raise ValueError(f"{place}{value.why}")
    if isinstance(value, list):  # an object was checked when it was read
        for entry in value:
            _refuse_wrong(entry, place)
