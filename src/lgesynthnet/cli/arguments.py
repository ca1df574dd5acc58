"""Check the words of a command as they were typed, before they are converted: what Python would accept in silence is an error here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from lgesynthnet.errors import InputError

LARGEST = 2**63 - 1
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


def strict(command: Any) -> Any:
    """The same command, which then refuses a value that is empty or no text, and a number that is not plain and finite.

    Args:
        command: of click, with all of its subcommands; typer brings its own copy of click, so that there is no type to name.
    """
    parse = command.parse_args

    def parse_args(context: Any, words: list[str]) -> Any:
        if context.resilient_parsing or not words:  # the shell completes a command, or no word is there
            return parse(context, words)
        typed, _, _ = command.make_parser(context).parse_args(list(words))
        for parameter in command.params:
            for value in _texts(typed.get(parameter.name)):
                _check_text(_label(parameter), value)
        rest = parse(context, words)
        for parameter in command.params:
            for value in _texts(typed.get(parameter.name)):
                _check_number(_label(parameter), value, context.params.get(parameter.name))
        return rest

    command.parse_args = parse_args
    for inner in getattr(command, "commands", {}).values():
        strict(inner)
    return command


def _texts(value: Any) -> Iterator[str]:
    for entry in value if isinstance(value, list | tuple) else (value,):
        if isinstance(entry, str):
            yield entry


def _label(parameter: Any) -> str:
    return str(max(parameter.opts, key=len)) if parameter.param_type_name == "option" else str(parameter.metavar or parameter.name).upper()


def _check_text(label: str, value: str) -> None:
    if not value:
        raise InputError(f"{label}: is empty; give a value, or leave it out")
    if "\0" in value:
        raise InputError(f"{label} {value[:60]!r}: holds a null character; leave it out")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(f"{label} {value[:60]!r}: is not UTF-8 text; rename the file or the folder") from None


def _check_number(label: str, typed: str, value: object) -> None:
    """Python also reads "1_000" and digits of other scripts, and takes "nan" and "inf" for numbers."""
    if isinstance(value, bool):
        return
    if isinstance(value, int) and not (_WHOLE_NUMBER.fullmatch(typed) and abs(value) <= LARGEST):
        raise InputError(f"{label} {typed[:40]}: must be a whole number below 2^63, written with the digits 0 to 9")
    if isinstance(value, float) and not (_NUMBER.fullmatch(typed) and math.isfinite(value)):
        raise InputError(f"{label} {typed[:40]}: must be a finite number, written with the digits 0 to 9")
