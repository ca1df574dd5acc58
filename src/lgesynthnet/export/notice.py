"""What a person must know who finds an exported folder: what is real, what is not, and whose terms bind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgesynthnet.export.cases import ExportCase, Origin
from lgesynthnet.terms import LabelKind

Licence = tuple[str | None, str | None]  # name of the licence and whom to credit; None where nobody said


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
            f"        They derive from their hosts and stay under the hosts' licence: {_terms(hosts)}",
        ]
    if counts[Origin.REAL]:
        lines += [
            f"real_*  {counts[Origin.REAL]} slices of patients with their own labels: copies under their own licence, which this export",
            f"        does not change: {_terms(real)}",
        ]
    lines += [
        "",
        "cases.csv says where each case comes from, and of a synthetic one what was prescribed and how it was judged.",
        "A synthetic case may train a model only where its host's patient may; it must not validate or test one.",
        "",
    ]
    return "\n".join(lines)


_LABELS = {LabelKind.INTENDED: "the scar that was prescribed", LabelKind.READ: "the scar as the filter read it"}


def _terms(licence: Licence) -> str:
    name, credit = licence
    return f"{name}; {credit}." if name else "not recorded; ask whoever gave you the data before you pass it on."
