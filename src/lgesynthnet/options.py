"""Options of a command, declared once: as the fields of a request.

A request is a frozen dataclass. Each field that a user can set on the command line is made by `option`, which keeps the help text beside
the default. The command line (`cli.signature`), the plan of a run and "the command that makes this run again" are all derived from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

KEY = "option"


@dataclass(frozen=True, kw_only=True)
class Option:
    """What the command line needs to know about one field.

    Attributes:
        help: one sentence for `--help`.
        flags: names on the command line; empty takes `--` and the field's name. A switch with two names, "--yes/--no", can be undone.
        panel: heading of the help page under which the option stands.
        minimum, maximum: bounds of a number, both allowed.
        default_text: what the help shows as the default where the value itself would say nothing.
    """

    help: str
    flags: tuple[str, ...] = ()
    panel: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    default_text: str | None = None


def option(
    default: Any = MISSING,
    *,
    help: str,
    flags: tuple[str, ...] = (),
    panel: str | None = None,
    bounds: tuple[float | None, float | None] = (None, None),
    default_text: str | None = None,
) -> Any:
    """A dataclass field that is also an option; without a default it must be given."""
    described = Option(help=help, flags=flags, panel=panel, minimum=bounds[0], maximum=bounds[1], default_text=default_text)
    return field(default=default, metadata={KEY: described})


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One option of a request, found in the request itself or in a dataclass that it holds.

    Attributes:
        path: names of the fields that lead to it, e.g. ("hosts", "flip").
        type: the field's type; Optional where a group that may be missing holds it.
        default: `dataclasses.MISSING` where it must be given.
    """

    path: tuple[str, ...]
    type: Any
    default: Any
    option: Option

    @property
    def name(self) -> str:
        """A name that is unique within the request: the first flag, as Python would spell it."""
        return self.flags[0].split("/")[0].lstrip("-").replace("-", "_")

    @property
    def flags(self) -> tuple[str, ...]:
        return self.option.flags or (f"--{self.path[-1].replace('_', '-')}",)


def leaves(request: type) -> Iterator[Leaf]:
    """All options of a request, in order; a field that holds another dataclass contributes that one's options.

    A group's field may itself be an option: its flags and help then replace those of the group's field `root`.
    """
    hints = get_type_hints(request)
    for entry in fields(request):
        inner = _group(hints[entry.name])
        described = entry.metadata.get(KEY)
        if inner is not None:
            for leaf in leaves(inner):
                yield _in_group(leaf, entry.name, described, optional=_is_optional(hints[entry.name]))
        elif described is not None:
            yield Leaf(path=(entry.name,), type=hints[entry.name], default=_default(entry), option=described)


def build(request: type, values: dict[str, Any]) -> Any:
    """The request that holds these values, by the names of its leaves; a group without a root is None where it may be."""
    given = {leaf.path: values[leaf.name] for leaf in leaves(request)}
    return _built(request, given, ())


def words(request: Any) -> list[str]:
    """The options that make an equal request, as words for a shell; what has its default is left out."""
    found: list[str] = []
    for leaf in leaves(type(request)):
        value: Any = request
        for name in leaf.path:
            value = None if value is None else getattr(value, name)
        if value is None or value == leaf.default or (value == () and leaf.default is MISSING):
            continue
        found += _spelled(leaf, value)
    return found


def _spelled(leaf: Leaf, value: Any) -> list[str]:
    flag = leaf.flags[0]
    if isinstance(value, bool):
        yes, _, no = flag.partition("/")
        return [yes if value else no]
    if isinstance(value, tuple):
        return [word for entry in value for word in (flag, _word(entry))]
    return [flag, _word(value)]


def _word(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _built(request: type, given: dict[tuple[str, ...], Any], place: tuple[str, ...]) -> Any:
    hints = get_type_hints(request)
    values: dict[str, Any] = {}
    for entry in fields(request):
        path = (*place, entry.name)
        inner = _group(hints[entry.name])
        if inner is None:
            if path in given:
                values[entry.name] = given[path]
        elif _is_optional(hints[entry.name]) and given[(*path, "root")] is None:
            values[entry.name] = None
        else:
            values[entry.name] = _built(inner, given, path)
    return request(**values)


def _in_group(leaf: Leaf, name: str, outer: Option | None, *, optional: bool) -> Leaf:
    described = leaf.option
    if outer is not None and leaf.path == ("root",):
        described = outer
    elif outer is not None and outer.panel is not None:
        described = dataclasses.replace(described, panel=outer.panel)
    default = None if optional and leaf.default is MISSING else leaf.default
    kind = leaf.type | None if optional and leaf.default is MISSING else leaf.type
    return Leaf(path=(name, *leaf.path), type=kind, default=default, option=described)


def _group(hint: Any) -> type | None:
    """The dataclass that a field holds; None for an ordinary field."""
    for kind in get_args(hint) if _is_optional(hint) else (hint,):
        if isinstance(kind, type) and is_dataclass(kind) and not issubclass(kind, (Path, Enum)):
            return kind
    return None


def _is_optional(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint)


def _default(entry: dataclasses.Field[Any]) -> Any:
    return entry.default
