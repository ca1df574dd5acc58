"""All the chance of a run: attempt k is a function of (run seed, k) alone, whoever makes it and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lgesynthnet.hosts.pool import HostEntry
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.run.plan import SynthesisPlan


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What attempt k shall paint, where, and with which noise."""

    k: int
    id: str
    entry: HostEntry
    prescription: ScarPrescription
    seed: int


def draw_attempt(plan: SynthesisPlan, entries: Sequence[HostEntry], k: int) -> Drawn:
    """Draw attempt `k`: prescriptions of a user in turn, each into a host of fitting level; those of a prior after the host."""
    rng = np.random.default_rng(np.random.SeedSequence(plan.seed, spawn_key=(k,)))
    if plan.prior is not None:
        entry = entries[int(rng.integers(len(entries)))]
        prescription = draw_prescription(plan.prior, entry.level, rng)
    else:
        wish = plan.wishes[k % len(plan.wishes)]
        prescription = ScarPrescription.from_json(wish.prescription)
        fitting = [entry for entry in entries if entry.level in prescription.levels]
        entry = fitting[int(rng.integers(len(fitting)))]
        border = int(rng.integers(2**31))
        if not wish.seeded:
            prescription = prescription.with_seed(border)
    return Drawn(k=k, id=f"s{plan.seed}_{k:06d}", entry=entry, prescription=prescription, seed=int(rng.integers(2**31)))


def attempts_of(plan: SynthesisPlan) -> Iterator[int]:
    """Numbers of the attempts that this shard may make, in order, up to the budget of the whole run."""
    return iter(range(plan.shard.index - 1, plan.max_attempts, plan.shard.of))
