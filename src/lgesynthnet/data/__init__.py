"""Files of patients to stacks and back: EMIDEC, nnU-Net raw, NIfTI pairs; label maps, checks, splits. Names load when used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lgesynthnet.data.cohort import Cohort as Cohort
    from lgesynthnet.data.cohort import open_cohort as open_cohort
    from lgesynthnet.data.declaration import declare as declare
    from lgesynthnet.data.declaration import read_declaration as read_declaration
    from lgesynthnet.data.inspection import VerifyReport as VerifyReport
    from lgesynthnet.data.inspection import verify as verify
    from lgesynthnet.data.label_maps import LABEL_MAPS as LABEL_MAPS
    from lgesynthnet.data.label_maps import parse_label_map as parse_label_map
    from lgesynthnet.data.landmarks import read_landmarks as read_landmarks
    from lgesynthnet.data.layout import CaseFiles as CaseFiles
    from lgesynthnet.data.layout import Layout as Layout
    from lgesynthnet.data.nifti import write_slice_like as write_slice_like
    from lgesynthnet.data.ring import usable_slices as usable_slices
    from lgesynthnet.data.splits import read_splits as read_splits
    from lgesynthnet.data.splits import split_patients as split_patients
    from lgesynthnet.data.stack import read_stack as read_stack

# nibabel and scipy take a fifth of a second: only who reads files pays.
_HOME = {
    "Cohort": "cohort",
    "open_cohort": "cohort",
    "declare": "declaration",
    "read_declaration": "declaration",
    "LABEL_MAPS": "label_maps",
    "parse_label_map": "label_maps",
    "read_landmarks": "landmarks",
    "CaseFiles": "layout",
    "Layout": "layout",
    "write_slice_like": "nifti",
    "usable_slices": "ring",
    "read_splits": "splits",
    "split_patients": "splits",
    "read_stack": "stack",
    "VerifyReport": "inspection",
    "verify": "inspection",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
