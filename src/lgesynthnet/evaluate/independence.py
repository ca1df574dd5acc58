"""Who may judge a run: an auditor that taught its generator nothing, chose none of its weights and kept none of its samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lgesynthnet.errors import RunError
from lgesynthnet.model_store import part_folder, shipped_or_path
from lgesynthnet.run.plan import SynthesisPlan

if TYPE_CHECKING:
    from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.model_store import read_report, segmenter_fingerprint

AUDITOR, PARTIES = "auditor", ("filter", "reward")
DEFAULT = "phantom"


def auditor_of(plan: SynthesisPlan, named: Path | None = None) -> TrainedScarSegmenter:
    """The named auditor, else the one beside the run's model, else the shipped one.

    Args:
        named: an auditor's folder, or a model folder that holds one.
    Raises:
        RunError: it filtered the run, or taught its generator or chose its weights; none of them can be its judge.
        ModelError: missing, damaged, or a reader of another role.
    """
    model = shipped_or_path(plan.model)
    beside = model / AUDITOR
    folder = part_folder(named, AUDITOR) if named is not None else beside if beside.is_dir() else shipped_or_path(DEFAULT) / AUDITOR
    require_independent(folder, roles_in_run(plan))
    from lgesynthnet.segmenter.scar import TrainedScarSegmenter
    from lgesynthnet.terms import Role

    return TrainedScarSegmenter.from_pretrained(folder, Role.AUDITOR)


def roles_in_run(plan: SynthesisPlan) -> dict[str, str]:
    """Fingerprint -> what the reader of that fingerprint did in making a run, as far as the run and its model tell."""
    model = shipped_or_path(plan.model)
    found: dict[str, str] = {}
    taught = read_report(model / "reports.json").get("reward")
    if isinstance(taught, dict):
        for key, did in (("judge", "chose the weights of the run's generator"), ("reward", "taught the run's generator")):
            if isinstance(taught.get(key), str):
                found[taught[key]] = did
    for part in PARTIES:
        mark = segmenter_fingerprint(model / part)
        if mark is not None:
            found.setdefault(mark, f"is the {part} of the run's model")
    return found | {plan.reader: "filtered the run"}


def require_independent(folder: Path, parties: dict[str, str]) -> None:
    """See that a reader took no part in what it shall judge.

    Raises:
        RunError: it did; the message says how.
    """
    mark = segmenter_fingerprint(folder)
    if mark in parties:
        raise RunError(f"{folder}: {mark} {parties[mark]}, so it cannot judge it; give --auditor a reader of role auditor")
