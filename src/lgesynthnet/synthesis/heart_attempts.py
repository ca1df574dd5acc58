"""All the chance of a run of stacks: attempt k is a function of (seed of the run, k) alone, as in a run of slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lgesynthnet.conditioning.heart import HeartEdit, HeartHost, edit_heart
from lgesynthnet.hosts.hearts import HeartEntry
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.heart_edits import HeartWish
from lgesynthnet.prescription.heart_priors import draw_heart
from lgesynthnet.run.plan import SynthesisPlan
from lgesynthnet.synthesis.attempts import can_take, edit_of_own_scar, first_moved
from lgesynthnet.terms import Edit


@dataclass(frozen=True, kw_only=True)
class HeartAttempt:
    """What attempt k shall do to which patient, and with which noise."""

    k: int
    id: str
    entry: HeartEntry
    edit: Edit
    wish: HeartWish
    seed: int

    @property
    def segments(self) -> frozenset[int]:
        """The prescribed segments; none where no scar is prescribed."""
        return self.wish.segments if isinstance(self.wish, HeartScar) else frozenset()


def draw_heart_attempt(plan: SynthesisPlan, entries: Sequence[HeartEntry], k: int) -> HeartAttempt:
    """Draw attempt `k`. The user's prescriptions are taken in turn; with `per_host`, so are the patients."""
    request = plan.request
    rng = np.random.default_rng(np.random.SeedSequence(request.seed, spawn_key=(k,)))
    edit, requested = request.edit, None
    if plan.prescriptions:
        requested = plan.prescriptions[k % len(plan.prescriptions)]
        edit = requested.edit
    fitting = [
        entry
        for entry in entries
        if can_take(entry, edit, with_scar=request.hosts_with_scar) and (requested is None or requested.is_for(entry.patient))
    ]
    drawn = int(rng.integers(len(fitting)))
    turn = k // max(len(plan.prescriptions), 1)
    entry = fitting[drawn if request.per_host is None else turn % len(fitting)]
    border = int(rng.integers(2**31))
    if requested is not None:
        wish = requested.heart_wish
        if isinstance(wish, HeartScar) and not requested.has_seed:
            wish = wish.with_seed(border)
    elif plan.prior is not None:
        wish = draw_heart(plan.prior, rng)
    else:
        wish = edit_of_own_scar(request, rng)
    return HeartAttempt(k=k, id=f"s{request.seed}_{k:06d}", entry=entry, edit=edit, wish=wish, seed=int(rng.integers(2**31)))


def edit_for_heart(plan: SynthesisPlan, attempt: HeartAttempt, heart: HeartHost) -> HeartEdit:
    """The edit of an attempt. Where a prior would move the scar onto itself, it is asked again.

    Raises:
        PrescriptionError: see `conditioning.heart.edit_heart`.
    """
    prior = plan.prior
    return first_moved(
        lambda wish: edit_heart(heart, wish, attempt.edit),
        attempt.wish,
        None if prior is None else lambda rng: draw_heart(prior, rng),
        attempt.seed,
    )
