"""One simulated patient from a seed: a stack of slices with exact labels, and the truth behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Integer, Shaped, UInt8

from lgesynthnet.anatomy.aha import level_at
from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.phantom.acquisition import acquire, to_stored
from lgesynthnet.phantom.body import Body, Tissue, draw_body
from lgesynthnet.phantom.heart import Box, compute_contours, cut_plane, draw_labels, heart_box, outflow_mm
from lgesynthnet.phantom.scan import Scan, draw_scan, scan_of_slice
from lgesynthnet.phantom.scar_plan import NO_SCAR, NON_ISCHAEMIC, ScarPlan, plan_scar
from lgesynthnet.phantom.signal import tissue_signal
from lgesynthnet.phantom.thorax import draw_thorax
from lgesynthnet.phantom.wall_map import NOTHING, WallMap, interpolate, read_wall_map, scar_in_plane
from lgesynthnet.prescription.measuring import Measurement, measure_scar
from lgesynthnet.prescription.rasterize import ScarMask, rasterize
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Insertions, Label, Level, ShortAxisSlice, Source, Stack

FINE = 2  # points of the fine grid for each pixel side, for partial volume
PLANES = 5  # planes through the thickness of a slice
# How far wall reaches into the cavity, and scar beyond its outline: shares of the patient's largest, for the planes in random order.
ENDO_BLUR, HALO = (0.0, 0.1, 0.4, 0.7, 1.0), (0.1, 0.4, 0.65, 0.85, 1.0)
LEAST_CAVITY = 0.5  # share of the radius that stays blood
MISREGISTERED_MM = 0.9  # standard deviation of the displacement of a slice between breath-holds


@dataclass(frozen=True, kw_only=True)
class SliceTruth:
    """What is known exactly about one slice.

    Attributes:
        anterior_deg, inferior_deg: RV insertion angles in image degrees, in [0, 360).
        prescription, measured: the scar of the middle plane; None for a slice without scar.
    """

    index: int
    level: Level
    anterior_deg: float
    inferior_deg: float
    prescription: ScarPrescription | None
    measured: Measurement | None


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A simulated patient: the stack, and the truth of each slice in the order of the stack."""

    stack: Stack
    truth: list[SliceTruth]


@dataclass(frozen=True, kw_only=True)
class _PlannedSlice:
    """A slice before it is imaged: the labels of its middle plane, and its scar in heart coordinates."""

    shift_mm: tuple[float, float]
    labels: UInt8[np.ndarray, "points points"]
    scar: WallMap
    truth: SliceTruth


def simulate(name: str, seed: int, *, infarct: bool, non_ischaemic: float = NON_ISCHAEMIC) -> Patient:
    """Simulate one patient. The same arguments give the same bytes. Slice 0 is the base; the labels include the RV cavity (5).

    Args:
        infarct: whether the patient has scar.
        non_ischaemic: probability that the scar is no infarct, 0 to 1.
    """
    rng = np.random.default_rng([seed, 20])
    body, scan = draw_body(rng), draw_scan(rng)
    plan = plan_scar(body, rng, non_ischaemic) if infarct else NO_SCAR
    slices = [_plan_slice(body, plan, index, np.random.default_rng([seed, 30, index])) for index in range(body.slices)]
    images = [_image(body, scan, plan, slices, index, np.random.default_rng([seed, 40, index])) for index in range(body.slices)]
    stored = to_stored(np.stack(images, axis=2), scan)
    stack = Stack(
        patient=name,
        image=_pad_black(stored, rng),
        labels=np.stack([_coarse_labels(planned.labels, body.matrix) for planned in slices], axis=2),
        spacing_mm=(body.spacing_mm, body.spacing_mm),
        slice_step_mm=body.slice_step_mm,
        base_first=True,
    )
    return Patient(stack=stack, truth=[planned.truth for planned in slices])


def _plan_slice(body: Body, plan: ScarPlan, index: int, rng: np.random.Generator) -> _PlannedSlice:
    points, pixel = body.matrix * FINE, body.spacing_mm / FINE
    shift = (float(rng.normal(0, MISREGISTERED_MM)), float(rng.normal(0, MISREGISTERED_MM)))
    plane = compute_contours(body, index, plan.remodelling, shift)
    box = heart_box([plane], points, pixel)
    heart_labels = draw_labels(plane, box)
    level = level_at(body.place(index))
    anterior, inferior = body.insertions_deg(index)
    prescription, measured, scar = None if plan.scar is None else plan.scar.at(body.place(index)), None, NOTHING
    if prescription is not None:
        insertions = Insertions(anterior_deg=anterior, inferior_deg=inferior, source=Source.LANDMARKS, confidence=1.0)
        fine_slice = ShortAxisSlice(
            patient="phantom", index=index, image=heart_labels.astype(np.float32), labels=heart_labels, spacing_mm=(pixel, pixel)
        )
        frame = compute_heart_frame(fine_slice, level, insertions)
        scar_mask = rasterize(prescription, frame, along_mm=body.place(index) * body.slices * body.slice_step_mm)
        measured = measure_scar(scar_mask.scar, frame, scar_mask.no_reflow)
        scar = read_wall_map(scar_mask, plane, box)
        heart_labels = _add_scar(heart_labels, scar_mask)
    labels = np.zeros((points, points), np.uint8)
    labels[_pixels_of(box)] = heart_labels
    truth = SliceTruth(index=index, level=level, anterior_deg=anterior, inferior_deg=inferior, prescription=prescription, measured=measured)
    return _PlannedSlice(shift_mm=shift, labels=labels, scar=scar, truth=truth)


def _add_scar(labels: UInt8[np.ndarray, "rows cols"], scar_mask: ScarMask) -> UInt8[np.ndarray, "rows cols"]:
    labels = np.where(scar_mask.scar, np.uint8(Label.SCAR), labels)
    return np.where(scar_mask.no_reflow, np.uint8(Label.NO_REFLOW), labels)


def _image(
    body: Body, scan: Scan, plan: ScarPlan, slices: list[_PlannedSlice], index: int, rng: np.random.Generator
) -> Float32[np.ndarray, "rows cols"]:
    """Image one slice: several planes through heart and scar are averaged over its thickness and then acquired."""
    planned = slices[index]
    points, pixel = body.matrix * FINE, body.spacing_mm / FINE
    offsets = ((np.arange(PLANES) + 0.5) / PLANES - 0.5) * body.slab_mm / body.slice_step_mm
    planes = [compute_contours(body, index + offset, plan.remodelling, planned.shift_mm) for offset in offsets]
    box = heart_box(planes, points, pixel, margin_mm=1.0 + 2.4 * outflow_mm(body, index))
    middle_of_stack = compute_contours(body, (body.slices - 1) / 2, plan.remodelling)
    scene = draw_thorax(body, index, middle_of_stack, planned.shift_mm, points, pixel)
    slab = []
    blurs_mm, halos_mm = body.endo_blur_mm * rng.permutation(ENDO_BLUR), plan.halo_mm * rng.permutation(HALO)
    for offset, plane, blur_mm, halo_mm in zip(offsets, planes, blurs_mm, halos_mm, strict=True):
        inner = np.maximum(plane.endo - blur_mm, LEAST_CAVITY * plane.endo).astype(np.float32)
        tissue = cut_plane(body, index + offset, replace(plane, endo=inner), box, scene[_pixels_of(box)])
        beside = index + (1 if offset > 0 else -1)
        neighbour = slices[beside].scar if 0 <= beside < len(slices) else planned.scar
        if planned.scar is not NOTHING or neighbour is not NOTHING:
            wall_map = interpolate(planned.scar, neighbour, abs(float(offset)))
            _paint_scar(tissue, *scar_in_plane(wall_map, plane, box, border_mm=plan.border_mm, halo_mm=float(halo_mm), inner=inner))
        slab.append(tissue)
    scene[_pixels_of(box)] = slab[PLANES // 2]
    slice_scan = scan_of_slice(scan, index, rng)
    signal = tissue_signal(scene, np.stack(slab), box.corner, pixel, slice_scan, rng)
    return acquire(signal, pixel, body.matrix, slice_scan, rng)


def _paint_scar(
    tissue: UInt8[np.ndarray, "rows cols"],
    scar: Bool[np.ndarray, "rows cols"],
    border: Bool[np.ndarray, "rows cols"],
    no_reflow: Bool[np.ndarray, "rows cols"],
) -> None:
    """Enter the scar into the tissues of a plane."""
    tissue[scar] = Tissue.SCAR
    tissue[border] = Tissue.BORDER_ZONE
    tissue[no_reflow] = Tissue.NO_REFLOW


def _pixels_of(box: Box) -> tuple[slice, slice]:
    (top, left), (rows, cols) = box.corner, box.shape
    return slice(top, top + rows), slice(left, left + cols)


def _coarse_labels(fine: UInt8[np.ndarray, "points points"], matrix: int) -> UInt8[np.ndarray, "rows cols"]:
    """The most frequent label in each pixel. A tie goes to the higher id, so that thin scar is not lost."""
    blocks = fine.reshape(matrix, FINE, matrix, FINE)
    counts = np.stack([(blocks == label).sum(axis=(1, 3)) for label in range(6)])
    return np.asarray((5 - counts[::-1].argmax(axis=0)).astype(np.uint8))


def _pad_black(stored: Integer[np.ndarray, "rows cols slices"], rng: np.random.Generator) -> Shaped[np.ndarray, "rows cols slices"]:
    """Make a band at one side of one image in three black, as export programs do."""
    if rng.random() < 0.33:
        stored = stored.copy()
        width = int(rng.integers(2, max(stored.shape[0] // 8, 3)))
        np.rot90(stored, int(rng.integers(4)))[:width] = 0
    return stored
