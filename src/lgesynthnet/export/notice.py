"""The README of an exported folder: what is real, what is synthetic, and which licences apply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgesynthnet.export.cases import ExportCase, Origin
from lgesynthnet.run.licence import Licence
from lgesynthnet.terms import LabelKind


def notice(cases: Sequence[ExportCase], provenance: dict[str, Any], *, hosts: Licence, real: Licence) -> str:
    """Text of README.txt.

    Args:
        hosts, real: licence and credit of the slices that were painted into and of the real ones.
    """
    counts = {origin: sum(case.origin is origin for case in cases) for origin in Origin}
    lines = ["Late gadolinium enhancement slices for training a scar segmenter. Not for diagnosis.", ""]
    if counts[Origin.SYNTHETIC]:
        lines += [
            f"syn_*   {counts[Origin.SYNTHETIC]} slices with a SYNTHETIC scar, painted by lgesynthnet {provenance['version']},",
            f"        {provenance['generator']}; image and label say so in their headers.",
            f"        Their label is {_LABELS[LabelKind(provenance['label'])]}.",
            f"        They are derived from their hosts and stay under the licence of the hosts: {_terms(hosts)}",
        ]
    if counts[Origin.REAL]:
        lines += [
            f"real_*  {counts[Origin.REAL]} slices of patients with their own labels. They are copies, and their licence stays the same:",
            f"        {_terms(real)}",
        ]
    lines += [
        "",
        "cases.csv says where each case comes from and, for a synthetic one, what was prescribed and how it was judged.",
        "A synthetic case may train a model only where the patient of its host may. It must not validate or test a model.",
        "",
    ]
    return "\n".join(lines)


_LABELS = {LabelKind.INTENDED: "the scar that was prescribed", LabelKind.READ: "the scar as the filter read it"}


def _terms(licence: Licence) -> str:
    name, credit = licence
    return f"{name}; {credit}." if name else "not recorded; ask the owner of the data before you pass it on."
