"""Quotas by kind of scar: kept samples are spread as the attempts were drawn, not as the filter happens to keep them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice

from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.prescription.strata import EXTENTS, band_name
from lgesynthnet.run.plan import SynthesisPlan
from lgesynthnet.synthesis.attempts import Attempt, attempts_of
from lgesynthnet.synthesis.heart_attempts import HeartAttempt

LOOK_AHEAD = 4  # attempts for each sample of the count, from which the share of each kind is estimated
MOST_LOOK_AHEAD = 1_000_000  # more would take minutes and change no share by a percent
Kind = tuple[str, int, str, int]
Draw = Callable[[int], Attempt] | Callable[[int], HeartAttempt]


def kind_of(attempt: Attempt | HeartAttempt) -> Kind:
    """Pattern, first AHA segment, band of transmural extent, number of segments: known before anything is painted. Else the edit alone."""
    scar = attempt.wish
    if not isinstance(scar, ScarPrescription | HeartScar):
        return attempt.edit.value, 0, "", 0
    segments = sorted(attempt.segments)
    return scar.pattern.value, segments[0], band_name(scar.transmurality, EXTENTS), len(segments)


def quotas(draw: Draw, attempts: Iterable[int], count: int) -> dict[Kind, int]:
    """How many samples of each kind may be kept: its share among the attempts, rounded up, so that all together reach the count."""
    drawn = Counter(kind_of(draw(k)) for k in islice(attempts, min(LOOK_AHEAD * count, MOST_LOOK_AHEAD)))
    total = drawn.total()
    return {kind: math.ceil(count * n / total) for kind, n in drawn.items()}


class RemainingQuotas:
    """What the quotas still leave, after the samples that were kept already.

    Args:
        draw: the attempt of a number.
        kept: numbers of these samples.
    """

    def __init__(self, draw: Draw, plan: SynthesisPlan, kept: Iterable[int]) -> None:
        self.left = quotas(draw, attempts_of(plan), plan.quota)
        for k in kept:
            self.take(draw(k))

    def take(self, attempt: Attempt | HeartAttempt) -> bool:
        """Use up one place; False where none was left. A kind that the look-ahead did not meet has one place."""
        kind = kind_of(attempt)
        self.left[kind] = self.left.get(kind, 1) - 1
        return self.left[kind] >= 0
