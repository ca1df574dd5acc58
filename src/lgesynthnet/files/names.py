"""Names that come from outside, such as those of patients and samples, before they become parts of paths."""

from __future__ import annotations

from pathlib import PurePosixPath

from lgesynthnet.errors import InputError

LONGEST = 128  # characters; file systems allow 255 bytes, and the program adds endings
_SEPARATORS = frozenset("/\\")


def checked_name(name: str, place: str) -> str:
    """The same name, after a check that it can be one part of a path.

    Args:
        place: where the name comes from; it begins the error message.
    Raises:
        InputError: it is empty, too long or begins with a dot, or it has a separator of paths or a character that cannot be printed.
    """
    problem = _problem(name)
    if problem is not None:
        raise InputError(f"{place}: the name {name[:60]!r} {problem}; rename it")
    return name


def is_inside(relative: str) -> bool:
    """Whether a relative path, with "/" between its parts, stays inside the folder that it starts from."""
    path = PurePosixPath(relative)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in relative and "\\" not in relative


def _problem(name: str) -> str | None:
    if not name:
        return "is empty"
    if len(name) > LONGEST:
        return f"has {len(name)} characters, and {LONGEST} are allowed"
    if found := sorted(set(name) & _SEPARATORS):
        return f"holds {found[0]!r}"
    if any(not letter.isprintable() for letter in name):
        return "holds a character that cannot be printed"
    if name[0] == ".":
        return "begins with a dot"
    return None
