"""One simulated patient from a seed: a stack of slices with exact labels, and the truth behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.phantom.body import Body, Tissue, draw_body
from lgesynthnet.phantom.heart import Box, Contours, contours, cut_plane, heart_box, labels_of, outflow_mm
from lgesynthnet.phantom.infarct import (
    NON_ISCHAEMIC,
    NOTHING,
    ScarPlan,
    WallMap,
    interpolate,
    level_of,
    plan_scar,
    read_wall_map,
    scar_in_plane,
)
from lgesynthnet.phantom.signal import Scan, acquire, draw_scan, scan_of_slice, tissue_signal, to_stored
from lgesynthnet.phantom.thorax import draw_thorax
from lgesynthnet.prescription.measuring import Measurement, measure_scar
from lgesynthnet.prescription.rasterize import ScarMask, rasterize
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Insertions, Label, Level, ShortAxisSlice, Source, Stack

FINE = 2  # in-plane points per pixel side, for partial volume
PLANES = 5  # through a slab
MISREGISTERED_MM = 0.9  # standard deviation of a slice's displacement between breath-holds


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


@dataclass(frozen=True, kw_only=True)
class _Slice:
    """A slice before it is imaged: the labels of its middle plane, and the scar in heart coordinates."""

    shift_mm: tuple[float, float]
    labels: UInt8[np.ndarray, "points points"]
    scar: WallMap
    truth: SliceTruth


def simulate(name: str, seed: int, *, infarct: bool, non_ischaemic: float = NON_ISCHAEMIC) -> Patient:
    """One patient; the same arguments give the same bytes. Slice 0 is the base; labels include the RV cavity (5).

    Args:
        infarct: has scar.
        non_ischaemic: chance that the scar is no infarct after all, 0 to 1.
    """
    rng = np.random.default_rng([seed, 20])
    body, scan = draw_body(rng), draw_scan(rng)
    plan = plan_scar(body, rng, non_ischaemic) if infarct else ScarPlan(prescriptions={}, remodelling=None, border_mm=0.0)
    drawn = [_slice(body, plan, index, np.random.default_rng([seed, 30, index])) for index in range(body.slices)]
    still = contours(body, (body.slices - 1) / 2, plan.remodelling)
    images = [_image(body, scan, plan, still, drawn, index, np.random.default_rng([seed, 40, index])) for index in range(body.slices)]
    stored = to_stored(np.stack(images, axis=2), scan)
    stack = Stack(
        patient=name,
        image=_pad_black(stored, rng),
        labels=np.stack([_coarse_labels(one.labels, body.matrix) for one in drawn], axis=2),
        spacing_mm=(body.spacing_mm, body.spacing_mm),
        slice_step_mm=body.slice_step_mm,
        base_first=True,
    )
    return Patient(stack=stack, truth=[one.truth for one in drawn])


def _slice(body: Body, plan: ScarPlan, index: int, rng: np.random.Generator) -> _Slice:
    points, pixel = body.matrix * FINE, body.spacing_mm / FINE
    shift = (float(rng.normal(0, MISREGISTERED_MM)), float(rng.normal(0, MISREGISTERED_MM)))
    middle = contours(body, index, plan.remodelling, shift)
    window = heart_box([middle], points, pixel)
    box = labels_of(middle, window)
    level = level_of(body, index)
    anterior, inferior = body.insertions_deg(index)
    prescription, measured, scar = plan.prescriptions.get(index), None, NOTHING
    if prescription is not None:
        insertions = Insertions(anterior_deg=anterior, inferior_deg=inferior, source=Source.LANDMARKS, confidence=1.0)
        here = ShortAxisSlice(patient="phantom", index=index, image=box.astype(np.float32), labels=box, spacing_mm=(pixel, pixel))
        frame = compute_heart_frame(here, level, insertions)
        painted = rasterize(prescription, frame)
        measured = measure_scar(painted.scar, frame, painted.no_reflow)
        scar = read_wall_map(painted, middle, window)
        box = _marked(box, painted)
    labels = np.zeros((points, points), np.uint8)
    labels[_region(window)] = box
    truth = SliceTruth(index=index, level=level, anterior_deg=anterior, inferior_deg=inferior, prescription=prescription, measured=measured)
    return _Slice(shift_mm=shift, labels=labels, scar=scar, truth=truth)


def _marked(labels: UInt8[np.ndarray, "rows cols"], painted: ScarMask) -> UInt8[np.ndarray, "rows cols"]:
    labels = np.where(painted.scar, np.uint8(Label.SCAR), labels)
    return np.where(painted.no_reflow, np.uint8(Label.NO_REFLOW), labels)


def _image(
    body: Body, scan: Scan, plan: ScarPlan, still: Contours, drawn: list[_Slice], index: int, rng: np.random.Generator
) -> Float32[np.ndarray, "rows cols"]:
    """What the scanner makes of a slab: several planes through heart and scar, averaged, then acquired.

    Args:
        still: the heart in the middle of the stack, round which the thorax is built.
    """
    one = drawn[index]
    points, pixel = body.matrix * FINE, body.spacing_mm / FINE
    offsets = ((np.arange(PLANES) + 0.5) / PLANES - 0.5) * body.slab_mm / body.slice_step_mm
    planes = [contours(body, index + offset, plan.remodelling, one.shift_mm) for offset in offsets]
    window = heart_box(planes, points, pixel, margin_mm=1.0 + 2.4 * outflow_mm(body, index))
    scene = draw_thorax(body, index, still, one.shift_mm, points, pixel)
    slab = []
    for offset, plane in zip(offsets, planes, strict=True):
        tissue = cut_plane(body, index + offset, plane, window, scene[_region(window)])
        beside = index + (1 if offset > 0 else -1)
        neighbour = drawn[beside].scar if 0 <= beside < len(drawn) else one.scar
        if one.scar is not NOTHING or neighbour is not NOTHING:
            scar, border, no_reflow = scar_in_plane(interpolate(one.scar, neighbour, abs(float(offset))), plane, window, plan.border_mm)
            tissue[scar] = Tissue.SCAR
            tissue[border] = Tissue.BORDER_ZONE
            tissue[no_reflow] = Tissue.NO_REFLOW
        slab.append(tissue)
    scene[_region(window)] = slab[PLANES // 2]
    here = scan_of_slice(scan, index, rng)
    signal = tissue_signal(scene, np.stack(slab), window.corner, pixel, here, rng)
    return acquire(signal, pixel, body.matrix, here, rng)


def _region(window: Box) -> tuple[slice, slice]:
    (top, left), (rows, cols) = window.corner, window.shape
    return slice(top, top + rows), slice(left, left + cols)


def _coarse_labels(fine: np.ndarray, matrix: int) -> np.ndarray:
    """The most frequent label in each pixel; a tie goes to the higher id, so thin scar is not lost."""
    blocks = fine.reshape(matrix, FINE, matrix, FINE)
    counts = np.stack([(blocks == label).sum(axis=(1, 3)) for label in range(6)])
    return (5 - counts[::-1].argmax(axis=0)).astype(np.uint8)


def _pad_black(stored: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One image in three has a black band at one side, as exports leave it."""
    if rng.random() < 0.33:
        stored = stored.copy()
        width = int(rng.integers(2, max(stored.shape[0] // 8, 3)))
        np.rot90(stored, int(rng.integers(4)))[:width] = 0
    return stored
