"""What a segmenter misses in patients that it has not seen, and what it calls scar that is none, each measured as a scar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from lgesynthnet.anatomy.aha import segment_at
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.improve.cells import ScarTraits
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.records import Label, Mask, Stack, scar_of, wall_of
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2
from lgesynthnet.segmenter.downstream import DownstreamSegmenter

FOUND_FROM = 0.5  # a lesion is found where this share of its area is called scar
NEIGHBOURS = np.ones((3, 3))
Levels = Float[np.ndarray, " quantiles"]
"""Brightness of the generator's training scars in heart units, at equally spaced percentiles."""


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """A connected labelled scar of one slice.

    Attributes:
        found: share of its area that the segmenter calls scar, 0 to 1.
    """

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}

    patient: str
    index: int
    traits: ScarTraits
    area_mm2: float
    found: float

    @property
    def is_missed(self) -> bool:
        return self.found < FOUND_FROM


@dataclass(frozen=True, kw_only=True)
class FalseCall:
    """A connected region of more than 25 mm² that the segmenter calls scar and that touches no labelled scar."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}

    patient: str
    index: int
    traits: ScarTraits
    area_mm2: float


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything that was missed or falsely called in some patients.

    Attributes:
        unmeasured: number of slices with a labelled wall whose heart cannot be measured; their lesions are left out.
    """

    __pydantic_config__ = {"extra": "forbid"}

    lesions: tuple[Lesion, ...]
    calls: tuple[FalseCall, ...]
    unmeasured: int

    @property
    def missed(self) -> list[Lesion]:
        return [lesion for lesion in self.lesions if lesion.is_missed]

    @classmethod
    def joined(cls, parts: list[Findings]) -> Findings:
        """The findings of several folds as one."""
        return cls(
            lesions=tuple(lesion for part in parts for lesion in part.lesions),
            calls=tuple(call for part in parts for call in part.calls),
            unmeasured=sum(part.unmeasured for part in parts),
        )


def called_scar(segmenter: DownstreamSegmenter, stack: Stack) -> Bool[np.ndarray, "rows cols slices"]:
    """The scar that a segmenter draws.

    Raises:
        InputError: no heart was found.
    """
    return scar_of(segmenter.read_stack(stack.image, stack.spacing_mm, stack.labels))


def find_misses(stack: Stack, called: Bool[np.ndarray, "rows cols slices"], hosts: Mapping[int, Host], levels: Levels | None) -> Findings:
    """Lesions of a stack with their found share, and false calls.

    Args:
        called: what the segmenter calls scar.
        hosts: slice -> the slice with its heart located; slices without a wall need none.
        levels: None leaves the brightness out.
    """
    lesions: list[Lesion] = []
    calls: list[FalseCall] = []
    unmeasured = 0
    for k in range(len(stack)):
        if not wall_of(stack.labels[:, :, k]).any():
            continue
        if k not in hosts:
            unmeasured += 1
            continue
        host, truth, mine = hosts[k], scar_of(stack.labels[:, :, k]), called[:, :, k]
        pixel_mm2 = host.frame.pixel_mm2
        for mask in lesions_of(truth, pixel_mm2):
            traits = traits_of_mask(mask, host, levels)
            found, area = float(mine[mask].mean()), float(mask.sum()) * pixel_mm2
            lesions.append(Lesion(patient=stack.patient, index=k, traits=traits, area_mm2=round(area, 1), found=round(found, 4)))
        for mask in _connected(mine):
            area = float(mask.sum()) * pixel_mm2
            if area > FALSE_SCAR_MM2 and not (mask & truth).any():
                traits = traits_of_mask(mask, host, levels)
                calls.append(FalseCall(patient=stack.patient, index=k, traits=traits, area_mm2=round(area, 1)))
    return Findings(lesions=tuple(lesions), calls=tuple(calls), unmeasured=unmeasured)


def lesions_of(scar: Mask, pixel_mm2: float) -> list[Mask]:
    """The connected scars of a slice of more than 25 mm²; where all are smaller, all together."""
    large = [mask for mask in _connected(scar) if float(mask.sum()) * pixel_mm2 > FALSE_SCAR_MM2]
    return large or ([scar] if scar.any() else [])


def traits_of_mask(mask: Mask, host: Host, levels: Levels | None) -> ScarTraits:
    """Measure a mask as a scar. One too small to fill a segment is named after the segment that holds most of it."""
    frame, slice_ = host.frame, host.slice_
    measured = measure_scar(mask, frame)
    segments = measured.segments or {int(np.bincount(segment_at(frame.nominal_deg[mask], frame.level)).argmax())}
    brightness = None
    enhanced = mask & (slice_.labels != Label.NO_REFLOW)
    if levels is not None and enhanced.any():
        unit = HeartWindow.from_slice(slice_).to_unit(slice_.image)[enhanced].mean()
        brightness = round(100 * float(np.interp(unit, levels, np.linspace(0, 1, len(levels)))), 2)
    return ScarTraits(
        level=frame.level,
        segments=tuple(sorted(segments)),
        share=round(float(mask.sum()) / max(int(frame.wall.sum()), 1), 4),
        depth=None if measured.transmurality is None else round(measured.transmurality, 4),
        brightness=brightness,
    )


def _connected(mask: Mask) -> Iterator[Mask]:
    numbered, count = ndimage.label(mask, structure=NEIGHBOURS)
    for number in range(1, count + 1):
        yield np.asarray(numbered == number)
