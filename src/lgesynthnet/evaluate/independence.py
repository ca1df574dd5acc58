"""Which auditor may judge a run: one that took no part in making it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lgesynthnet.errors import RunError
from lgesynthnet.model_store import part_folder, read_report, segmenter_fingerprint, shipped_or_path
from lgesynthnet.run.plan import SynthesisPlan

if TYPE_CHECKING:
    from lgesynthnet.segmenter.scar import TrainedScarSegmenter

AUDITOR = "auditor"
JUDGES = ("filter", "reward")
DEFAULT = "phantom"


def auditor_of(plan: SynthesisPlan, named: Path | None = None) -> TrainedScarSegmenter:
    """The named auditor, else the one in the folder of the run's model, else the shipped one.

    Args:
        named: an auditor's folder, or a model folder that holds one.
    Raises:
        RunError: it filtered the run, was the reward of its generator, or chose its weights; it cannot judge what it helped to make.
        ModelError: the folder is missing or damaged, or holds a scar segmenter of another role.
    """
    model = shipped_or_path(plan.request.model)
    beside = model / AUDITOR
    folder = part_folder(named, AUDITOR) if named is not None else beside if beside.is_dir() else shipped_or_path(DEFAULT) / AUDITOR
    require_independent(folder, roles_in_run(plan))
    from lgesynthnet.segmenter.scar import TrainedScarSegmenter
    from lgesynthnet.terms import Role

    return TrainedScarSegmenter.from_pretrained(folder, Role.AUDITOR)


def roles_in_run(plan: SynthesisPlan) -> dict[str, str]:
    """Fingerprint of a scar segmenter -> the part that it took in a run, as far as the run and its model record it."""
    model = shipped_or_path(plan.request.model)
    roles: dict[str, str] = {}
    reward_stage = read_report(model / "reports.json").get("reward")
    if isinstance(reward_stage, dict):
        for key, role in (("judge", "chose the weights of the run's generator"), ("reward", "was the reward of the run's generator")):
            if isinstance(reward_stage.get(key), str):
                roles[reward_stage[key]] = role
    for part in JUDGES:
        fingerprint = segmenter_fingerprint(model / part)
        if fingerprint is not None:
            roles.setdefault(fingerprint, f"is the {part} of the run's model")
    return roles | {plan.filter_fingerprint: "filtered the run"}


def require_independent(folder: Path, roles: dict[str, str]) -> None:
    """Check that a scar segmenter took no part in the run that it is to judge.

    Raises:
        RunError: it did; the message says which part.
    """
    fingerprint = segmenter_fingerprint(folder)
    if fingerprint in roles:
        raise RunError(
            f"{folder}: {fingerprint} {roles[fingerprint]}, so it cannot judge this run; give a scar segmenter of the role auditor "
            "with --auditor"
        )
