"""The README.txt of a DICOM export: what the files are, and which licences apply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgesynthnet.export.cases import ExportCase
from lgesynthnet.export.notice import SCAR_OF_LABEL, drawn_by, terms
from lgesynthnet.export.stack_cases import StackCase
from lgesynthnet.run.licence import Licence
from lgesynthnet.terms import LabelKind

_SLICES = ("PATIENT/SAMPLE/image.dcm is the MR image, seg.dcm its segmentation; both say that they are synthetic.",)
_STACKS = (
    "PATIENT/SAMPLE/image_001.dcm and so on are the slices of a stack, in one series, and seg.dcm is their segmentation. All say that they",
    "are synthetic, but for the slices in which nothing was painted: these are the host's own, and their SyntheticData is NO.",
    "In cases.csv, painted_slices counts from 0: image_001.dcm is slice 0.",
)


def dicom_notice(cases: Sequence[ExportCase], provenance: dict[str, Any], hosts: Licence, weights: str | None) -> str:
    """Text of README.txt of a DICOM export; for the arguments see `export.notice.notice`."""
    lines = [
        f"Late gadolinium enhancement {cases[0].NOUN}s with a SYNTHETIC scar. Not for diagnosis.",
        "",
        f"{len(cases)} samples painted by lgesynthnet {provenance['version']}, {provenance['generator']}.",
        *(_STACKS if isinstance(cases[0], StackCase) else _SLICES),
        f"The scar of the segmentation is {SCAR_OF_LABEL[LabelKind(provenance['label'])]}.",
        *([drawn] if (drawn := drawn_by(provenance.get("masks_drawn_by"))) else []),
        f"They are derived from their hosts and stay under the licence of the hosts: {terms(hosts)}",
        *([f"The weights that painted them are under {weights}, and its terms apply to them too."] if weights else []),
        "",
        "cases.csv gives for each sample its files, its patient, its prescription and the verdict of the filter.",
        "Train on a sample only if the patient of its host is a training patient. Never validate or test on a sample.",
        "",
    ]
    return "\n".join(lines)
