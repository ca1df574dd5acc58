"""The file `lgesynthnet.json`: it says what the label ids of a folder mean and in which order its stacks run."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import checked, read_json
from lgesynthnet.files.writing import write_bytes

DECLARATION = "lgesynthnet.json"


class Declaration(BaseModel):
    """What a folder states about itself.

    Attributes:
        labels: a name of `LABEL_MAPS`; None leaves the meaning to the layout or the user.
        base_first: whether slice 0 is the base; None where it is not known.
        drawn_by: fingerprint of the network that drew the labels; None where people did.
        least_area_mm2: from which expected area of scar on that network drew scar in a slice; None where it draws none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # an export also records here what it was made of

    labels: str | None = None
    base_first: bool | None = None
    drawn_by: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.:-]{1,80}$")
    least_area_mm2: float | None = Field(default=None, ge=0)


class _File(BaseModel):
    lgesynthnet: Declaration


def write_declaration(
    folder: Path,
    *,
    labels: str = "lgesynthnet",
    base_first: bool | None = None,
    drawn_by: str | None = None,
    least_area_mm2: float | None = None,
) -> Path:
    """Write the declaration of a folder and return its path.

    Args:
        labels: a name of `LABEL_MAPS`.
        base_first: whether slice 0 is the base; None where it is not known.
        drawn_by: fingerprint of the network that drew the labels; None where people did.
        least_area_mm2: see `Declaration`.
    Raises:
        RunError: the folder cannot be written.
        ValueError: `labels` names no label map.
    """
    if labels not in LABEL_MAPS:
        raise ValueError(f"{labels} is not a label map; known are {', '.join(LABEL_MAPS)}")
    path = folder / DECLARATION
    drawn: dict[str, str | float] = {} if drawn_by is None else {"drawn_by": drawn_by}
    if least_area_mm2 is not None:
        drawn["least_area_mm2"] = least_area_mm2
    text = json.dumps({"lgesynthnet": {"labels": labels, "base_first": base_first, **drawn}}, indent=1)
    write_bytes(path, (text + "\n").encode())
    return path


def read_declaration(folder: Path) -> Declaration:
    """The declaration of a folder; an empty one where the folder has none.

    Raises:
        InputError: the file exists and cannot be understood.
    """
    path = folder / DECLARATION
    if not os.path.lexists(path):
        return Declaration()
    declaration = checked(_File, read_json(path), str(path)).lgesynthnet
    if declaration.labels is not None and declaration.labels not in LABEL_MAPS:
        raise InputError(f"{path}: lgesynthnet.labels must be one of {', '.join(LABEL_MAPS)}; correct the file")
    return declaration
