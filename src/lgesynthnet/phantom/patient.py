"""One simulated patient from a seed: a stack of slices with exact labels, and the truth behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lgesynthnet.anatomy.aha import LEVEL_OF, SECTOR_DEG, SECTOR_START_DEG, SEGMENTS
from lgesynthnet.anatomy.frame import locate
from lgesynthnet.phantom.shape import Body, Plane, Tissue, cut, draw_body
from lgesynthnet.phantom.signal import Scan, acquire, draw_scan, tissue_signal, to_stored
from lgesynthnet.prescription.measuring import Measurement, measure
from lgesynthnet.prescription.painting import PaintedScar, paint
from lgesynthnet.prescription.priors import Prior, draw
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Arc, Pattern, ScarPrescription
from lgesynthnet.records import Insertions, Label, Level, ShortAxisSlice, Source, Stack

FINE = 2  # in-plane points per pixel side, for partial volume
SLAB = (-0.3, 0.0, 0.3)  # through-plane positions averaged into one slice, in slice steps
OVERLAP_DEG = 14.0  # an arc that reaches less far into a segment leaves it unnamed


@dataclass(frozen=True, kw_only=True)
class SliceTruth:
    """What is exactly known of one slice."""

    index: int
    level: Level
    anterior_deg: float
    inferior_deg: float
    prescription: ScarPrescription | None
    measured: Measurement | None


@dataclass(frozen=True, kw_only=True)
class Patient:
    stack: Stack
    truth: list[SliceTruth]


def simulate(name: str, seed: int, *, infarct: bool) -> Patient:
    """One patient; the same (seed, infarct) gives the same bytes. Slice 0 is the base.

    Labels include the RV cavity (5); `infarct` also covers the few non-ischaemic scars (one patient in eight).
    """
    rng = np.random.default_rng([seed, 20])
    body, scan = draw_body(rng), draw_scan(rng)
    plan = _plan_scar(body, rng) if infarct else {}
    images, labels, truth = [], [], []
    for index in range(body.slices):
        image, label, known = _slice(body, scan, index, plan.get(index), np.random.default_rng([seed, 30, index]))
        images.append(image)
        labels.append(label)
        truth.append(known)
    stored = to_stored(np.stack(images, axis=2), scan)
    stack = Stack(
        patient=name,
        image=_pad_black(stored, rng),
        labels=np.stack(labels, axis=2),
        spacing_mm=(body.spacing_mm, body.spacing_mm),
        slice_step_mm=body.slice_step_mm,
        base_first=True,
    )
    return Patient(stack=stack, truth=truth)


def level_of(body: Body, index: int) -> Level:
    third = min(int(index * 3 / body.slices), 2)
    return (Level.BASAL, Level.MID, Level.APICAL)[third]


def _plan_scar(body: Body, rng: np.random.Generator) -> dict[int, ScarPrescription]:
    """A scar that continues over neighbouring slices: one stretch of wall, widest and deepest in its middle."""
    prior = Prior.NON_ISCHAEMIC if rng.random() < 0.125 else Prior.ISCHAEMIC
    core = draw(prior, Level.MID, rng)
    start, extent = _stretch(core.segments)
    reach = float(rng.uniform(1.2, 4.5)) if prior is Prior.ISCHAEMIC else float(rng.uniform(0.8, 2.5))
    middle = float(rng.uniform(0.2, 0.9) * (body.slices - 1))
    plan = {}
    for index in range(body.slices):
        off = abs(index - middle) / reach
        if off >= 1:
            continue
        shrink = np.sqrt(1 - 0.8 * off**2) * float(rng.uniform(0.85, 1.0))
        plan[index] = _at_slice(core, level_of(body, index), start, extent, float(shrink), rng)
    return {i: p for i, p in plan.items() if p is not None}


def _stretch(segments: frozenset[int]) -> tuple[float, float]:
    """Nominal start and extent of the shortest arc that holds the segments."""
    level = LEVEL_OF[next(iter(segments))]
    wide = SECTOR_DEG[level]
    starts = sorted(SECTOR_START_DEG[s] for s in segments)
    gaps = [((b - a) % 360.0 or 360.0, b) for a, b in zip(starts, [*starts[1:], starts[0]], strict=True)]
    widest, first = max(gaps)
    return first, 360.0 - widest + wide


def _at_slice(
    core: ScarPrescription, level: Level, start: float, extent: float, shrink: float, rng: np.random.Generator
) -> ScarPrescription | None:
    width = max(extent * shrink, 25.0)
    begin = (start + (extent - width) * float(rng.uniform(0.3, 0.7))) % 360.0
    named = set()
    for segment in SEGMENTS[level]:
        ahead = (SECTOR_START_DEG[segment] - begin) % 360.0
        inside = max(width - ahead, 0.0) if ahead < width else 0.0
        behind = min(SECTOR_DEG[level] - (360.0 - ahead), width) if 360.0 - ahead < SECTOR_DEG[level] else 0.0
        if min(inside, SECTOR_DEG[level]) >= OVERLAP_DEG or behind >= OVERLAP_DEG:
            named.add(segment)
    if not named:
        return None
    transmurality = float(np.clip(round(core.transmurality * (0.55 + 0.45 * shrink) / 0.05) * 0.05, 0.2, 1.0))
    pattern, mvo = core.pattern, core.mvo_share * shrink
    if pattern in (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL):
        pattern = Pattern.TRANSMURAL if transmurality > TRANSMURAL_ABOVE else Pattern.SUBENDOCARDIAL
    whole = width >= 359
    if pattern is Pattern.RV_INSERTION:  # tied to the insertions, not to a stretch; apical sectors do not begin there
        if level is Level.APICAL:
            return None
        named, whole = set(SEGMENTS[level][1:3]), True
    return replace(
        core,
        segments=frozenset(named),
        arc=None if whole else Arc(start_deg=round(begin, 1) % 360.0, extent_deg=round(width, 1)),
        pattern=pattern,
        transmurality=round(transmurality, 4),
        depth=None,  # the pattern's default for the new extent
        mvo_share=round(mvo, 3),
        seed=int(rng.integers(2**31)),
    )


def _slice(
    body: Body, scan: Scan, index: int, prescription: ScarPrescription | None, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "rows cols"], np.ndarray, SliceTruth]:
    points, pixel = body.matrix * FINE, body.spacing_mm / FINE
    shift = (float(rng.normal(0, 0.8)), float(rng.normal(0, 0.8)))
    planes = [cut(body, index + dz, points, pixel, shift) for dz in SLAB]
    centre = planes[SLAB.index(0.0)]
    anterior, inferior = body.insertions_deg(index)
    level = level_of(body, index)
    fine = labels_of(centre)
    painted, frame = None, None
    if prescription is not None:
        insertions = Insertions(anterior_deg=anterior, inferior_deg=inferior, source=Source.LANDMARKS, confidence=1.0)
        fine_slice = ShortAxisSlice(patient="phantom", index=index, image=fine.astype(np.float32), labels=fine, spacing_mm=(pixel, pixel))
        frame = locate(fine_slice, level, insertions)
        painted = paint(prescription, frame)
        fine = np.where(painted.scar, Label.SCAR, fine)
        fine = np.where(painted.no_reflow, Label.NO_REFLOW, fine).astype(np.uint8)
    signal = np.mean([tissue_signal(_with_scar(plane, centre, painted), scan, rng) for plane in planes], axis=0)
    coarse = signal.reshape(body.matrix, FINE, body.matrix, FINE).mean(axis=(1, 3))
    image = acquire(coarse, body.spacing_mm, scan, rng)
    measured = measure(painted.scar, frame, painted.no_reflow) if painted is not None and frame is not None else None
    truth = SliceTruth(index=index, level=level, anterior_deg=anterior, inferior_deg=inferior, prescription=prescription, measured=measured)
    return image, _coarse_labels(fine, body.matrix), truth


def labels_of(plane: Plane) -> np.ndarray:
    labels = np.zeros(plane.wall.shape, np.uint8)
    labels[plane.rv] = Label.RV
    labels[plane.wall] = Label.WALL
    labels[plane.cavity] = Label.CAVITY
    return labels


def _with_scar(plane: Plane, centre: Plane, painted: PaintedScar | None) -> np.ndarray:
    """Tissue of one plane of the slab, its wall scarred as the nearest wall point of the central plane is."""
    if painted is None:
        return plane.tissue
    _, (rows, cols) = ndimage.distance_transform_edt(~centre.wall, return_indices=True)
    tissue = plane.tissue.copy()
    tissue[plane.wall & painted.scar[rows, cols]] = Tissue.SCAR
    tissue[plane.wall & painted.no_reflow[rows, cols]] = Tissue.NO_REFLOW
    return tissue


def _coarse_labels(fine: np.ndarray, matrix: int) -> np.ndarray:
    """The most frequent label in each pixel; a tie goes to the higher id, so thin scar is not lost."""
    blocks = fine.reshape(matrix, FINE, matrix, FINE)
    counts = np.stack([(blocks == label).sum(axis=(1, 3)) for label in range(6)])
    return (5 - counts[::-1].argmax(axis=0)).astype(np.uint8)


def _pad_black(stored: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One image in three has a black band at one side, as exports leave it."""
    if rng.random() < 0.33:
        stored = stored.copy()
        width = int(rng.integers(2, max(stored.shape[0] // 14, 3)))
        np.rot90(stored, int(rng.integers(4)))[:width] = 0
    return stored
