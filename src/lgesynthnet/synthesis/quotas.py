"""Quotas by kind of scar: kept samples are spread as the attempts were drawn, not as the filter likes them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice

from lgesynthnet.prescription.strata import EXTENTS, band_name
from lgesynthnet.synthesis.attempts import Drawn

SURPLUS = "surplus"
LOOKED_AT = 4  # attempts for each sample of the count, to learn how often each kind is drawn
Kind = tuple[int, str, int]


def kind_of(drawn: Drawn) -> Kind:
    """First AHA segment, band of transmural extent, number of segments: known before anything is painted."""
    wish = drawn.prescription
    segments = sorted(wish.at(drawn.entry.level))
    return segments[0], band_name(wish.transmurality, EXTENTS), len(segments)


def quotas(draw: Callable[[int], Drawn], attempts: Iterable[int], count: int) -> dict[Kind, int]:
    """How many samples of each kind may be kept: its share of what the plan draws, rounded up, so that together they reach the count."""
    drawn = Counter(kind_of(draw(k)) for k in islice(attempts, LOOKED_AT * count))
    total = drawn.total()
    return {kind: math.ceil(count * n / total) for kind, n in drawn.items()}
