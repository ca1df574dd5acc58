"""A painted stack as a case of a DICOM export: with every slice of its host, so that a viewer shows what it shows of the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from lgesynthnet.data.nifti import read_volume
from lgesynthnet.export.cases import properties
from lgesynthnet.export.gather import cases_of_stack
from lgesynthnet.export.stack_cases import StackCase
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_files import HIDDEN, path_of
from lgesynthnet.run.stack_row import StackRow
from lgesynthnet.terms import LabelKind

EVERY_IMAGE = "image_*.dcm"


def image_of_slice(index: int) -> str:
    """The name of the image of a slice; the file is numbered as the instance is.

    Args:
        index: of the slice in its stack, from 0.
    """
    return EVERY_IMAGE.replace("*", f"{index + 1:03d}")


def stack_case(run: RunFolder, row: StackRow, kind: LabelKind, shown: Mapping[str, str]) -> StackCase:
    """The case of a painted stack, which other exports cut to the slices in which a heart is labelled, with all slices.

    Args:
        kind: whether the label holds the intended scar or the scar that the filter read.
        shown: patient -> what stands for the patient in the export.
    Raises:
        RunError: a file is missing, damaged or lies on another grid.
    """
    cut = cases_of_stack(run, row, kind, shown)[0]
    every_slice = range(read_volume(cut.image_path).stored.shape[2])
    case = replace(cut, cut=replace(cut.cut, kept=every_slice, beyond=0), row={**cut.row, "twin": ""})
    return replace(case, **properties(*case.pixels()))


def is_painted(image_path: Path) -> Bool[np.ndarray, " slices"]:
    """Which slices of a painted stack may differ from its host.

    Args:
        image_path: the file of the image, beside which that of the hidden regions lies.
    Raises:
        InputError: the file of the hidden regions cannot be read.
    """
    return np.asarray(read_volume(path_of(image_path, HIDDEN)).stored.any(axis=(0, 1)))
