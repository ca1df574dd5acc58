"""Measure the scars of labelled slices in the terms in which a prior draws them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from lgesynthnet.anatomy.aha import SECTOR_DEG
from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.describing import describe_scar
from lgesynthnet.prescription.fitted_prior import IRREGULARITIES
from lgesynthnet.prescription.measuring import CHORDS, MIN_CHORD_SHARE, chord_shares, measure_scar
from lgesynthnet.prescription.priors import pattern_of
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.prescription.scar import Arc, Pattern, ScarPrescription
from lgesynthnet.prescription.stretches import segments_round
from lgesynthnet.records import Label, Level, Mask

CHORD_DEG = 360.0 / CHORDS
BORDERS = 2  # drawn borders for each irregularity


@dataclass(frozen=True, kw_only=True)
class RealScar:
    """The scar of one labelled slice.

    Attributes:
        patient: the name, to count patients; it is not in the prior.
        at_border: whether the infarct ends here: a slice beside this one is labelled and has no scar.
        middle_deg: nominal angle of its middle, [0, 360).
        width_deg: prescribed width that a drawn scar needs to be as wide as this one, in nominal degrees, (0, 360].
        transmurality: mean scarred share of the wall over the chords that hold scar, (0, 1].
        brightness: mean without no-reflow in heart units; None where all of it is no-reflow.
        no_reflow: share of the scar that is no-reflow, 0 to 1.
        pattern: a name of `fitted_prior.PATTERNS`.
        irregularity: of the drawn scar whose border is nearest to this one in length, a name of `fitted_prior.IRREGULARITIES`.
    """

    patient: str
    level: Level
    at_border: bool
    middle_deg: float
    width_deg: float
    transmurality: float
    brightness: float | None
    no_reflow: float
    pattern: str
    irregularity: str


def measure_real_scars(hosts: Iterable[Host], free: Collection[int]) -> Iterator[RealScar]:
    """Measure the scarred slices of one patient; a scar outside the wall, or without a chord of its own, is passed over.

    Args:
        hosts: usable slices of the patient with scar.
        free: indices of the labelled slices of the patient without scar.
    """
    for host in hosts:
        slice_, frame = host.slice_, host.frame
        core = np.asarray(slice_.labels == Label.NO_REFLOW)
        measured = measure_scar(slice_.scar, frame, core)
        chords = _scarred_chords(slice_.scar, frame)
        if measured.transmurality is None or not chords.any():
            continue
        like = _like(chords, measured.transmurality, _pattern(slice_.scar, core, frame), frame)
        drawn = _drawn(like, frame)
        if not drawn:
            continue
        bright = HeartWindow.from_slice(slice_).to_unit(slice_.image)[slice_.scar & ~core]
        width = CHORD_DEG * float(chords.sum())
        lost = width - CHORD_DEG * float(np.mean([_scarred_chords(mask, frame).sum() for masks in drawn.values() for mask in masks]))
        yield RealScar(
            patient=slice_.patient,
            level=frame.level,
            at_border=slice_.index - 1 in free or slice_.index + 1 in free,
            middle_deg=_middle_deg(chords),
            width_deg=float(np.clip(width + lost, CHORD_DEG, 360.0)),
            transmurality=measured.transmurality,
            brightness=float(bright.mean()) if bright.size else None,
            no_reflow=measured.mvo_share,
            pattern=_family(like.pattern),
            irregularity=_nearest_irregularity(slice_.scar & frame.wall, drawn, frame),
        )


def _scarred_chords(scar: Mask, frame: HeartFrame) -> np.ndarray:
    shares, pixels = chord_shares(scar & frame.wall, frame)
    return (shares >= MIN_CHORD_SHARE) & (pixels > 0)


def _middle_deg(chords: np.ndarray) -> float:
    angles = np.radians((np.flatnonzero(chords) + 0.5) * CHORD_DEG)
    return float(np.degrees(np.arctan2(np.sin(angles).mean(), np.cos(angles).mean())) % 360.0) % 360.0


def _pattern(scar: Mask, core: Mask, frame: HeartFrame) -> Pattern:
    described = describe_scar(scar, core, frame)
    return described.pattern if described is not None else Pattern.SUBENDOCARDIAL  # too small to fill a segment


def _family(pattern: Pattern) -> str:
    return "endocardial" if pattern in (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL) else pattern.value


def _like(chords: np.ndarray, transmurality: float, pattern: Pattern, frame: HeartFrame) -> ScarPrescription:
    """The prescription of a scar that is as wide and as deep, at the same place."""
    width, middle = CHORD_DEG * float(chords.sum()), _middle_deg(chords)
    arc = None if width > 360 - SECTOR_DEG[frame.level] / 2 else Arc(start_deg=(middle - width / 2) % 360.0 % 360.0, extent_deg=width)
    return ScarPrescription(
        segments=segments_round(middle, width, frame.level),
        pattern=pattern_of(_family(pattern), transmurality),
        transmurality=transmurality,
        arc=arc,
    )


def _drawn(like: ScarPrescription, frame: HeartFrame) -> dict[str, list[Mask]]:
    """Irregularity -> masks of the prescription with such a border; empty where it cannot be drawn into this wall."""
    try:
        return {
            name: [rasterize(replace(like, irregularity=float(name), seed=seed), frame).scar for seed in range(BORDERS)]
            for name in IRREGULARITIES
        }
    except PrescriptionError:
        return {}


def _nearest_irregularity(scar: Mask, drawn: dict[str, list[Mask]], frame: HeartFrame) -> str:
    own = _border_length(scar, frame.wall)
    return min(drawn, key=lambda name: abs(float(np.mean([_border_length(mask, frame.wall) for mask in drawn[name]])) - own))


def _border_length(scar: Mask, wall: Mask) -> float:
    """Length of the border between scar and healthy wall, in pixel sides, as a multiple of the side of a square of the same area."""
    healthy = wall & ~scar
    sides = sum(
        int((first & second).sum())
        for a, b in ((scar, healthy), (healthy, scar))
        for first, second in ((a[1:], b[:-1]), (a[:, 1:], b[:, :-1]))
    )
    return sides / max(float(np.sqrt(scar.sum())), 1.0)
