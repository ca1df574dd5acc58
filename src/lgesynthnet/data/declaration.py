"""A folder of ours says in `lgesynthnet.json` what its labels mean and how its stacks run, so that nobody has to be asked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.errors import InputError
from lgesynthnet.files import read_json, write_bytes

DECLARATION = "lgesynthnet.json"


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What a folder says about itself.

    Attributes:
        labels: a name of `LABEL_MAPS`; None leaves it to the layout or the user.
        base_first: slice 0 is the base; None where nobody knows.
    """

    labels: str | None = None
    base_first: bool | None = None


def declare(folder: Path, *, labels: str = "lgesynthnet", base_first: bool | None = None) -> Path:
    """Write the declaration of a folder; returns its path.

    Raises:
        RunError: the folder cannot be written.
    """
    if labels not in LABEL_MAPS:
        raise ValueError(f"{labels} is not a label map; known are {', '.join(LABEL_MAPS)}")
    path = folder / DECLARATION
    text = json.dumps({"lgesynthnet": {"labels": labels, "base_first": base_first}}, indent=1)
    write_bytes(path, (text + "\n").encode())
    return path


def read_declaration(folder: Path) -> Declaration:
    """What the folder says about itself; an empty declaration where it says nothing.

    Raises:
        InputError: the file is there and cannot be understood.
    """
    path = folder / DECLARATION
    if not path.is_file():
        return Declaration()
    said = read_json(path).get("lgesynthnet")
    if not isinstance(said, dict):
        raise InputError(f'{path}: has no entry "lgesynthnet"; delete the file or write it with lgesynthnet.data.declare')
    labels, base_first = said.get("labels"), said.get("base_first")
    if (labels is not None and labels not in LABEL_MAPS) or base_first not in (None, True, False):
        raise InputError(f"{path}: labels must be one of {', '.join(LABEL_MAPS)} and base_first true, false or null")
    return Declaration(labels=labels, base_first=base_first)
