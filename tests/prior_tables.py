"""A small learnt prior for tests."""

from __future__ import annotations

from lgesynthnet.prescription.fitted_prior import FittedPrior, LevelTable, ScarTable, walls_of
from lgesynthnet.records import Level
from lgesynthnet.terms import Prior

WIDTHS = (20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0, 110.0)
IDENTITY = tuple(tuple(float(i == j) for j in range(4)) for i in range(4))


def table(**changes):
    settings = {
        "slices": 40,
        "patients": 12,
        "pooled": "nothing",
        "width_deg": WIDTHS,
        "transmurality": (0.5,) * 10,
        "brightness": (0.4,) * 10,
        "no_reflow": 0.0,
    }
    return ScarTable(**(settings | changes))


def level_table(level, **changes):
    walls = walls_of(level)
    middles = {wall: float(wall == "inferior") for wall in walls}
    return LevelTable(**({"at_border": 0.0, "middles": middles, "border": table(), "inside": table()} | changes))


def prior_of(**changes):
    settings = {
        "version": "1",
        "patients": 10**6,  # so that the built-in prior draws next to nothing
        "slices": 10**7,
        "further": Prior.ISCHAEMIC,
        "levels": {level: level_table(level) for level in Level},
        "no_reflow_share": (0.2,) * 10,
        "patterns": {"endocardial": 1.0, "mid-wall": 0.0, "subepicardial": 0.0},
        "irregularities": {"0.25": 0.0, "0.5": 1.0, "0.75": 0.0, "1.0": 0.0},
        "correlations": IDENTITY,
        "brightness_scale": (-1.0, 0.0, 1.0),
    }
    return FittedPrior(**(settings | changes))
