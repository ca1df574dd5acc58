"""All the chance of a run: attempt k is a function of (seed of the run, k) alone, whoever makes it and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from lgesynthnet.conditioning.edit import NotMovedError, SliceEdit, edit_of
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.hosts.hearts import HeartEntry
from lgesynthnet.hosts.pool import HostEntry
from lgesynthnet.prescription.edits import NoEnhancement, OwnScar, Wish
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.run.plan import SynthesisPlan
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.terms import Edit

AnyWish, AnyEdit = TypeVar("AnyWish"), TypeVar("AnyEdit")
MOST_DRAWS = 20  # from a prior, until one is elsewhere than the scar that is moved
LEAST_OWN_SCAR_MM2 = 25.0  # a smaller scar of a slice is not removed, moved or replaced: the filter would not see it either way


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What attempt k shall do to which host, and with which noise."""

    k: int
    id: str
    entry: HostEntry
    edit: Edit
    wish: Wish
    seed: int

    @property
    def segments(self) -> frozenset[int]:
        """The prescribed segments of the slice; none where no scar is prescribed."""
        return self.wish.at(self.entry.level) if isinstance(self.wish, ScarPrescription) else frozenset()


def can_take(entry: HostEntry | HeartEntry, edit: Edit, *, with_scar: bool) -> bool:
    """Whether a slice or a heart is a host for this edit.

    Args:
        with_scar: whether scar may be added where there is some.
    """
    if edit is Edit.ADD:
        return with_scar or entry.scar_mm2 == 0
    return entry.scar_mm2 >= LEAST_OWN_SCAR_MM2


def draw_attempt(plan: SynthesisPlan, entries: Sequence[HostEntry], k: int) -> Attempt:
    """Draw attempt `k`. The user's prescriptions are taken in turn, each for a host of a level that it names; a prior follows the host."""
    request = plan.request
    rng = np.random.default_rng(np.random.SeedSequence(request.seed, spawn_key=(k,)))
    fitting: Sequence[HostEntry]
    if plan.prescriptions:
        requested = plan.prescriptions[k % len(plan.prescriptions)]
        edit, wish = requested.edit, requested.wish
        fitting = [
            entry
            for entry in entries
            if requested.is_for(entry.patient)
            and can_take(entry, edit, with_scar=request.hosts_with_scar)
            and (not isinstance(wish, ScarPrescription) or entry.level in wish.levels)
        ]
        entry = fitting[int(rng.integers(len(fitting)))]
        border = int(rng.integers(2**31))
        if isinstance(wish, ScarPrescription) and not requested.has_seed:
            wish = wish.with_seed(border)
    else:
        edit = request.edit
        fitting = entries  # where scar is added and nothing else, every host can take it
        if edit is not Edit.ADD:
            fitting = [entry for entry in entries if can_take(entry, edit, with_scar=True)]
        entry = fitting[int(rng.integers(len(fitting)))]
        wish = _drawn(plan, entry, rng)
    return Attempt(k=k, id=f"s{request.seed}_{k:06d}", entry=entry, edit=edit, wish=wish, seed=int(rng.integers(2**31)))


def _drawn(plan: SynthesisPlan, entry: HostEntry, rng: np.random.Generator) -> Wish:
    request = plan.request
    if plan.prior is not None:
        return draw_prescription(plan.prior, entry.level, rng)
    return edit_of_own_scar(request, rng)


def edit_of_own_scar(request: SynthesisRequest, rng: np.random.Generator) -> NoEnhancement | OwnScar:
    """What the edits `remove` and `replace` ask for."""
    if request.edit is Edit.REMOVE:
        return NoEnhancement()
    drawn = float(rng.integers(1, 20) * 5)  # as the priors draw it
    return OwnScar(intensity_percentile=drawn if request.brightness is None else request.brightness, transmurality=request.transmurality)


def edit_for(plan: SynthesisPlan, attempt: Attempt, host: Host) -> SliceEdit:
    """The edit of an attempt. Where a prior would move the scar onto itself, it is asked again.

    Raises:
        PrescriptionError: see `conditioning.edit.edit_of`.
    """
    prior = plan.prior
    return first_moved(
        lambda wish: edit_of(host, wish, attempt.edit),
        attempt.wish,
        None if prior is None else lambda rng: draw_prescription(prior, attempt.entry.level, rng),
        attempt.seed,
    )


def first_moved(
    edit_with: Callable[[AnyWish], AnyEdit], wish: AnyWish, redraw: Callable[[np.random.Generator], AnyWish] | None, seed: int
) -> AnyEdit:
    """The edit that a wish makes, or the first redrawn wish whose scar is moved elsewhere.

    Args:
        redraw: draws another wish; None where the user gave the only one.
    Raises:
        NotMovedError: no wish moves the scar.
    """
    for number in range(1, MOST_DRAWS):
        try:
            return edit_with(wish)
        except NotMovedError:
            if redraw is None:
                raise
            wish = redraw(np.random.default_rng([seed, number]))
    return edit_with(wish)


def attempts_of(plan: SynthesisPlan) -> Iterator[int]:
    """Numbers of the attempts that this shard may make, in order, up to the budget of the whole run."""
    shard = plan.shard
    return iter(range(shard.index - 1, plan.request.budget, shard.of))
