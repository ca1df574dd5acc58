"""All the chance of a run: attempt k is a function of (seed of the run, k) alone, whoever makes it and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lgesynthnet.hosts.pool import HostEntry
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.run.plan import SynthesisPlan


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What attempt k shall paint, into which host, and with which noise."""

    k: int
    id: str
    entry: HostEntry
    prescription: ScarPrescription
    seed: int


def draw_attempt(plan: SynthesisPlan, entries: Sequence[HostEntry], k: int) -> Attempt:
    """Draw attempt `k`. The user's prescriptions are taken in turn, each for a host of a level that it names; a prior follows the host."""
    request = plan.request
    rng = np.random.default_rng(np.random.SeedSequence(request.seed, spawn_key=(k,)))
    if plan.prior is not None:
        entry = entries[int(rng.integers(len(entries)))]
        prescription = draw_prescription(plan.prior, entry.level, rng)
    else:
        requested = plan.prescriptions[k % len(plan.prescriptions)]
        prescription = ScarPrescription.from_json(requested.prescription)
        fitting = [entry for entry in entries if entry.level in prescription.levels and requested.is_for(entry.patient)]
        entry = fitting[int(rng.integers(len(fitting)))]
        border = int(rng.integers(2**31))
        if not requested.has_seed:
            prescription = prescription.with_seed(border)
    return Attempt(k=k, id=f"s{request.seed}_{k:06d}", entry=entry, prescription=prescription, seed=int(rng.integers(2**31)))


def attempts_of(plan: SynthesisPlan) -> Iterator[int]:
    """Numbers of the attempts that this shard may make, in order, up to the budget of the whole run."""
    shard = plan.shard
    return iter(range(shard.index - 1, plan.request.budget, shard.of))
