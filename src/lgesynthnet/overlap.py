"""Overlap of two masks; an undefined value is None and not a number."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool


def dice(a: Bool[np.ndarray, "*shape"], b: Bool[np.ndarray, "*shape"]) -> float | None:
    """Dice coefficient, 0 to 1; None where both masks are empty. A false scar on a healthy heart scores 0.

    Source: Dice (1945).
    """
    total = int(a.sum()) + int(b.sum())
    return None if total == 0 else 2.0 * int((a & b).sum()) / total
