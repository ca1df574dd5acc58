"""The README.txt of an export: which files are real, which are synthetic, and which licences apply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgesynthnet.export.cases import ExportCase, Origin
from lgesynthnet.export.stack_cases import StackCase
from lgesynthnet.model_store import DOWNSTREAM_SEGMENTER, role_of
from lgesynthnet.run.licence import Licence
from lgesynthnet.terms import LabelKind


def notice(
    cases: Sequence[ExportCase],
    provenance: dict[str, Any],
    *,
    hosts: Licence,
    real: Licence,
    weights: str | None = None,
    origin_channel: bool = False,
) -> str:
    """Text of README.txt.

    Args:
        provenance: versions and fingerprints of what made the synthetic cases.
        hosts, real: licence and credit of the hosts and of the real cases.
        weights: licence of the weights that painted, where it is another than the program's.
        origin_channel: whether each case has a second channel that tells painted from real cases.
    """
    noun = cases[0].NOUN
    counts = {origin: sum(case.origin is origin for case in cases) for origin in Origin}
    lines = [f"Late gadolinium enhancement {noun}s for training a scar segmenter. Not for diagnosis.", ""]
    if counts[Origin.SYNTHETIC]:
        lines += [
            f"syn_*   {counts[Origin.SYNTHETIC]} {noun}s with a SYNTHETIC scar, painted by lgesynthnet {provenance['version']},",
            f"        {provenance['generator']}; the headers of image and label say so.",
            f"        Their label is {SCAR_OF_LABEL[LabelKind(provenance['label'])]}.",
            *([f"        {drawn}"] if (drawn := drawn_by(provenance.get("masks_drawn_by"))) else []),
            f"        They are derived from their hosts and stay under the licence of the hosts: {terms(hosts)}",
            *([f"        The weights that painted them are under {weights}, and its terms apply to them too."] if weights else []),
        ]
    if counts[Origin.REAL]:
        real_drawn = drawn_by(provenance.get("real_masks_drawn_by"))
        labels = "without labels of their own" if real_drawn else "with their own labels"
        lines += [
            f"real_*  {counts[Origin.REAL]} {noun}s of patients {labels}. They are copies under their own licence:",
            f"        {terms(real)}",
            *([f"        {real_drawn}"] if real_drawn else []),
        ]
    if any(isinstance(case, StackCase) for case in cases):
        lines += [
            "",
            "Real and synthetic stacks alike hold the slices from the first to the last with a heart label, at their place in the scanner.",
            "In cases.csv, first_slice is the first of them in the patient's own stack, from 0, and slices is their number.",
        ]
    if origin_channel:
        lines += [
            "",
            f"ID_0001 is the origin channel: 0 in a real {noun}; "
            f"in a synthetic {noun}, 1 wherever the image is not empty. Give every image",
            "that is predicted a channel of zeros: lgesynthnet export origin-channel IMAGES OUT",
        ]
    lines += [
        "",
        "cases.csv gives the origin of each case and, for a synthetic case, its prescription and the verdict of the filter.",
        "Train on a synthetic case only if the patient of its host is a training patient. Never validate or test on a synthetic case.",
        "",
    ]
    return "\n".join(lines)


SCAR_OF_LABEL = {LabelKind.INTENDED: "the scar that was prescribed", LabelKind.READ: "the scar that the filter read"}


def drawn_by(network: str | None) -> str | None:
    """A sentence on masks that a network drew; None where people drew them."""
    if not network:
        return None
    if role_of(network) == DOWNSTREAM_SEGMENTER:
        return f"Their cavity, wall and scar were drawn by the network {network}; they are no ground truth."
    return f"Their cavity and wall were drawn by the network {network}; scar that a patient has is labelled as healthy wall."


def terms(licence: Licence) -> str:
    """Licence and credit as a sentence."""
    name, credit = licence
    return f"{name}; {credit}." if name else "not recorded; ask the owner of the data before you pass it on."
