"""The file `lgesynthnet.json`: it says what the label ids of a folder mean and in which order its stacks run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import read_json
from lgesynthnet.files.writing import write_bytes

DECLARATION = "lgesynthnet.json"


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What a folder states about itself.

    Attributes:
        labels: a name of `LABEL_MAPS`; None leaves the meaning to the layout or the user.
        base_first: whether slice 0 is the base; None where it is not known.
    """

    labels: str | None = None
    base_first: bool | None = None


def write_declaration(folder: Path, *, labels: str = "lgesynthnet", base_first: bool | None = None) -> Path:
    """Write the declaration of a folder and return its path.

    Args:
        labels: a name of `LABEL_MAPS`.
        base_first: whether slice 0 is the base; None where it is not known.
    Raises:
        RunError: the folder cannot be written.
        ValueError: `labels` names no label map.
    """
    if labels not in LABEL_MAPS:
        raise ValueError(f"{labels} is not a label map; known are {', '.join(LABEL_MAPS)}")
    path = folder / DECLARATION
    text = json.dumps({"lgesynthnet": {"labels": labels, "base_first": base_first}}, indent=1)
    write_bytes(path, (text + "\n").encode())
    return path


def read_declaration(folder: Path) -> Declaration:
    """The declaration of a folder; an empty one where the folder has none.

    Raises:
        InputError: the file exists and cannot be understood.
    """
    path = folder / DECLARATION
    if not path.is_file():
        return Declaration()
    content = read_json(path).get("lgesynthnet")
    if not isinstance(content, dict):
        raise InputError(f'{path}: has no entry "lgesynthnet"; delete the file and state the labels with --dataset or --labels')
    labels, base_first = content.get("labels"), content.get("base_first")
    if (labels is not None and labels not in LABEL_MAPS) or base_first not in (None, True, False):
        raise InputError(
            f"{path}: labels must be one of {', '.join(LABEL_MAPS)}, and base_first must be true, false or null; correct the file"
        )
    return Declaration(labels=labels, base_first=base_first)
