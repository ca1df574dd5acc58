"""From what was missed to what is painted: half of the prescriptions as the prior draws them, half in proportion to the misses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from lgesynthnet.improve.cells import Axis, ScarTraits, memberships, traits_of_prescription
from lgesynthnet.prescription.fitted_prior import FittedPrior
from lgesynthnet.prescription.priors import arc_inside, draw_prescription
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Level
from lgesynthnet.terms import Prior

PLAIN_SHARE = 0.5  # of the prescriptions, as the prior draws them, so that no cell dies out
STRENGTH = 1.0  # lesions for each cell that the prior counts for: with few misses, the shares stay near those of the prior
CANDIDATES = 3000
ARC_SHARE = 0.5  # of the candidates in one segment, which then fill a part of it: many real scars are smaller than a segment
RAKING_ROUNDS = 50


@dataclass(frozen=True, kw_only=True)
class HostGroup:
    """The hosts of one fold, and what was missed in its patients.

    Attributes:
        patients: names of the patients who have hosts.
        levels: level -> number of host slices.
        missed: the traits of the missed lesions.
    """

    patients: tuple[str, ...]
    levels: Mapping[Level, int]
    missed: Sequence[ScarTraits]

    @property
    def size(self) -> int:
        """Number of host slices."""
        return sum(self.levels.values())


def prescription_lines(groups: Sequence[HostGroup], prior: Prior | FittedPrior, count: int, rng: np.random.Generator) -> str:
    """Prescriptions as JSON lines, each for the patients of one group.

    What is painted into the hosts of a fold follows the misses in that fold alone. So whatever a segmenter trains on, it follows from no
    miss in the patients that the segmenter is scored on.
    """
    drawers = [TargetedDrawer(group, prior, rng) for group in groups]
    share = np.array([group.size for group in groups]) / sum(group.size for group in groups)
    lines = []
    for _ in range(count):
        number = int(rng.choice(len(groups), p=share))
        drawn = drawers[number].plain(rng) if rng.random() < PLAIN_SHARE else drawers[number].targeted(rng)
        record = json.loads(drawn.to_json())
        del record["seed"]  # every attempt then draws a border of its own
        lines.append(json.dumps(record | {"patients": list(groups[number].patients)}, sort_keys=True))
    return "".join(f"{line}\n" for line in lines)


class TargetedDrawer:
    """Draws prescriptions for the hosts of one fold."""

    def __init__(self, group: HostGroup, prior: Prior | FittedPrior, rng: np.random.Generator) -> None:
        self.prior = prior
        self._levels, sizes = list(group.levels), np.array(list(group.levels.values()), float)
        self._level_share = sizes / sizes.sum()
        self._candidates = []
        traits = []
        for _ in range(CANDIDATES):
            level = self._level(rng)
            prescription = _perhaps_smaller(draw_prescription(prior, level, rng), level, rng)
            self._candidates.append(prescription)
            traits.append(traits_of_prescription(prescription, level))
        self.weights = weights_for(traits, group.missed)

    def plain(self, rng: np.random.Generator) -> ScarPrescription:
        """As the prior draws it for a random host."""
        return draw_prescription(self.prior, self._level(rng), rng)

    def targeted(self, rng: np.random.Generator) -> ScarPrescription:
        """A scar of the prior, drawn in proportion to the misses of its cells."""
        return self._candidates[int(rng.choice(len(self._candidates), p=self.weights))]

    def _level(self, rng: np.random.Generator) -> Level:
        return self._levels[int(rng.choice(len(self._levels), p=self._level_share))]


def weights_for(candidates: Sequence[ScarTraits], missed: Sequence[ScarTraits]) -> Float[np.ndarray, " candidates"]:
    """Probability of each candidate, such that every axis has the shares of the misses, shrunk towards those of the candidates.

    Source: raking, or iterative proportional fitting (Deming and Stephan, 1940).
    """
    tables = []
    for axis in Axis:
        member = memberships(candidates, axis)
        base = member.mean(axis=0)
        reachable = base > 0
        target = np.where(reachable, memberships(missed, axis).sum(axis=0) + STRENGTH * reachable.sum() * base, 0)
        if target.sum() > 0:
            tables.append((member, target / target.sum()))
    weights = np.full(len(candidates), 1 / len(candidates))
    for _ in range(RAKING_ROUNDS):
        for member, target in tables:
            now = weights @ member
            factor = np.divide(target, now, out=np.ones_like(target), where=now > 0)
            weights = weights * np.where(member.sum(axis=1) > 0, member @ factor, 1)
            weights /= weights.sum()
    return np.asarray(weights)


def _perhaps_smaller(prescription: ScarPrescription, level: Level, rng: np.random.Generator) -> ScarPrescription:
    segments = prescription.at(level)
    if len(segments) != 1 or prescription.arc is not None or rng.random() >= ARC_SHARE:
        return prescription
    return replace(prescription, arc=arc_inside(next(iter(segments)), level, rng))
