"""One condition: where (edges), around (masked image), whose heart (anatomy), meaning (caption). The paper's figure in code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from scipy import ndimage

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.repaint_region import BEYOND_MM, hidden_round
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.prescription.grammar.language import caption
from lgesynthnet.prescription.rasterize import ScarMask
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Label, Mask
from lgesynthnet.terms import Context

NEUTRAL = 0.0  # heart units half way between wall and blood: says neither scar nor healthy


RoiImage = Float32[np.ndarray, "128 128"]
RoiMask = Bool[np.ndarray, "128 128"]


@dataclass(frozen=True, kw_only=True)
class Template:
    """A reference for one sample: another patient's heart with scar, and where in it the scar lies.

    Attributes:
        image: heart units; neutral off the heart, so that no other chest is shown.
        scar: no-reflow included.
    """

    patient: str
    image: RoiImage
    scar: RoiMask

    @classmethod
    def cut(cls, patient: str, image: RoiImage, heart: RoiMask, scar: RoiMask) -> Template:
        """From a slice on the working grid; `heart` is wall and cavity."""
        near = ndimage.distance_transform_edt(~heart) <= BEYOND_MM
        return cls(patient=patient, image=np.where(near, image, np.float32(NEUTRAL)), scar=scar)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """The model's input for one sample, on the 128 x 128 grid of 1 mm, intensities in heart units.

    Attributes:
        image: the host, nothing hidden.
        hidden: the region to repaint.
        scar, no_reflow: the intended masks, with what the host already has inside the hidden region; the model sees only their edges.
        wall, cavity: anatomy.
        nominal_deg: AHA angle of every pixel.
        brightness: wished scar brightness, a rank among training scars, 0 to 1.
        caption: the sentence.
        show_edges: False drops the edge maps, so that the caption alone says where.
        template: a reference image and mask, for a model that was trained with them (`train control --template`); for comparison.
        show_anatomy: False drops wall, cavity and AHA angle; in training only, where a user's contours may be poor.
    """

    image: RoiImage
    hidden: RoiMask
    scar: RoiMask
    no_reflow: RoiMask
    wall: RoiMask
    cavity: RoiMask
    nominal_deg: RoiImage
    brightness: float
    caption: str
    show_edges: bool = True
    show_anatomy: bool = True
    template: Template | None = None

    @property
    def masked(self) -> RoiImage:
        return np.where(self.hidden, np.float32(NEUTRAL), self.image)


def condition(
    host: Host, prescription: ScarPrescription, painted: ScarMask, window: HeartWindow, *, whole_wall: bool = False
) -> tuple[Condition, Roi, Mask]:
    """Everything the generator is given; also the way back and the hidden region in the host's own grid.

    Args:
        whole_wall: hide all of the wall, so that not even the hidden region tells where the scar goes.
    """
    frame = host.frame
    roi = Roi(centre=frame.centre, spacing_mm=frame.spacing_mm)
    hidden = hidden_round(frame.wall if whole_wall else painted.scar, frame.wall, frame.spacing_mm)
    # Scar that the host has and that gets hidden is repainted as scar, or its label would outlive it.
    old = host.slice_.scar & hidden & ~painted.scar
    old_core = (host.slice_.labels == Label.NO_REFLOW) & old
    made = Condition(
        image=roi.crop(window.to_unit(host.slice_.image)).astype(np.float32),
        hidden=roi.crop_mask(hidden),
        scar=roi.crop_mask(painted.scar | old),
        no_reflow=roi.crop_mask(painted.no_reflow | old_core),
        wall=roi.crop_mask(frame.wall),
        cavity=roi.crop_mask(frame.cavity),
        nominal_deg=roi.crop_angle(frame.nominal_deg).astype(np.float32),
        brightness=prescription.intensity_percentile / 100.0,
        caption=caption(prescription, frame.level),
    )
    return made, roi, hidden


def template_of(host: Host) -> Template:
    """A slice with scar as the reference for other patients' samples."""
    slice_, frame = host.slice_, host.frame
    roi = Roi(centre=frame.centre, spacing_mm=frame.spacing_mm)
    return Template.cut(
        slice_.patient,
        roi.crop(HeartWindow.of(slice_).to_unit(slice_.image)).astype(np.float32),
        roi.crop_mask(frame.wall | frame.cavity),
        roi.crop_mask(slice_.scar),
    )


def edges(mask: RoiMask) -> RoiMask:
    """Inner boundary of a mask: its pixels with a 4-neighbour outside. A scar two pixels thin is all edge."""
    padded = np.pad(mask, 1)
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~core


def control_image(made: Condition) -> Float32[np.ndarray, "channels 128 128"]:
    """What the control branch reads: scar edges (as bright as the scar shall be), no-reflow edges, wall, cavity, hidden region.

    With a template its image and its mask besides: 7 channels in place of 5.
    """
    shown, anatomy = np.float32(made.show_edges), np.float32(made.show_anatomy)
    scar, no_reflow = (edges(mask) for mask in (made.scar, made.no_reflow))
    return np.stack(
        [
            scar * np.float32(0.5 + made.brightness) * shown,
            no_reflow * shown,
            made.wall * anatomy,
            made.cavity * anatomy,
            made.hidden,
            *([made.template.image, made.template.scar] if made.template is not None else []),
        ]
    ).astype(np.float32)


def semantic_map(made: Condition, context: Context) -> Float32[np.ndarray, "channels 128 128"]:
    """What a SPADE generator reads: cavity, healthy wall, enhanced scar, no-reflow; in full context also masked image and hidden region.

    Source: SPADE with limited and with full context are the rivals of the published comparison; neither is told words or brightness.
    """
    # Masks that are resampled one by one may share a border pixel; as in training, the outer tissue has it.
    labels = [made.cavity & ~made.wall & ~made.scar, made.wall & ~made.scar, made.scar & ~made.no_reflow, made.no_reflow]
    around = [made.masked, made.hidden] if context is Context.FULL else []
    return np.stack([*labels, *around]).astype(np.float32)
