"""The input of the generator: edge maps, masked image, anatomy and caption. This module follows the method figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from scipy import ndimage

from lgesynthnet.conditioning.edit import SliceEdit
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.repaint_region import WALL_REACH_MM, hidden_region
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.prescription.grammar.language import write_caption
from lgesynthnet.records import Label, Mask
from lgesynthnet.terms import Context

NEUTRAL = 0.0  # heart units, half way between wall and blood: neither scar nor healthy wall


RoiImage = Float32[np.ndarray, "128 128"]
RoiMask = Bool[np.ndarray, "128 128"]


@dataclass(frozen=True, kw_only=True)
class Template:
    """A reference for one sample: the heart of another patient with scar.

    Attributes:
        patient: the patient that the reference shows.
        image: heart units; neutral outside the heart, so that the chest of the other patient is not shown.
        scar: mask of its scar, no-reflow included.
    """

    patient: str
    image: RoiImage
    scar: RoiMask

    @classmethod
    def cut(cls, patient: str, image: RoiImage, heart: RoiMask, scar: RoiMask) -> Template:
        """Make a template from a slice on the working grid; `heart` is the mask of wall and cavity."""
        near = ndimage.distance_transform_edt(~heart) <= WALL_REACH_MM
        return cls(patient=patient, image=np.where(near, image, np.float32(NEUTRAL)), scar=scar)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """The input of the generator for one sample, on the 128 x 128 grid of 1 mm, with intensities in heart units.

    Attributes:
        image: the host, with nothing hidden.
        hidden: the region to repaint.
        scar, no_reflow: the intended masks, together with scar of the host inside the hidden region. The model sees their edges.
        wall, cavity: masks of the anatomy.
        nominal_deg: nominal (AHA) angle of every pixel, 0 to 360.
        brightness: prescribed brightness of the scar, as a rank among the training scars, 0 to 1.
        caption: the sentence for the text encoder.
        show_edges: False leaves out the edge maps, so that only the caption says where the scar goes.
        show_anatomy: False leaves out wall and cavity. It is used in training, because the contours of users may be poor.
        template: a reference image and mask, for a model that was trained with them (`train control --template`); only for a
            comparison.
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
        """The host with the hidden region set to a neutral value."""
        return np.where(self.hidden, np.float32(NEUTRAL), self.image)


def build_condition(host: Host, edit: SliceEdit, window: HeartWindow, *, whole_wall: bool = False) -> tuple[Condition, Roi, Mask]:
    """Build the input of the generator for one edit of one host.

    Args:
        window: maps the numbers of the host to heart units.
        whole_wall: hides the whole wall, so that the hidden region does not say where the scar goes.
    Returns:
        The condition, the position of the working grid in the host, and the hidden region (rows, cols) on the grid of the host.
    """
    frame, painted = host.frame, edit.painted
    roi = Roi(centre=frame.centre, spacing_mm=frame.spacing_mm)
    hidden = hidden_region(frame.wall if whole_wall else edit.touched, frame.wall, frame.spacing_mm)
    # Hidden scar of the host that is not removed is repainted as scar. Otherwise its label would remain without its image.
    old = host.slice_.scar & hidden & ~edit.touched
    old_core = (host.slice_.labels == Label.NO_REFLOW) & old
    condition = Condition(
        image=roi.crop(window.to_unit(host.slice_.image)).astype(np.float32),
        hidden=roi.crop_mask(hidden),
        scar=roi.crop_mask(painted.scar | old),
        no_reflow=roi.crop_mask(painted.no_reflow | old_core),
        wall=roi.crop_mask(frame.wall),
        cavity=roi.crop_mask(frame.cavity),
        nominal_deg=roi.crop_angle(frame.nominal_deg).astype(np.float32),
        brightness=edit.intensity_percentile / 100.0,
        caption=write_caption(edit.prescription, frame.level),
    )
    return condition, roi, hidden


def make_template(host: Host) -> Template:
    """Make a template from a host with scar, as the reference for samples of other patients."""
    slice_, frame = host.slice_, host.frame
    roi = Roi(centre=frame.centre, spacing_mm=frame.spacing_mm)
    return Template.cut(
        slice_.patient,
        roi.crop(HeartWindow.from_slice(slice_).to_unit(slice_.image)).astype(np.float32),
        roi.crop_mask(frame.wall | frame.cavity),
        roi.crop_mask(slice_.scar),
    )


def inner_edges(mask: RoiMask) -> RoiMask:
    """Inner boundary of a mask: its pixels that have a neighbour (of four) outside the mask."""
    padded = np.pad(mask, 1)
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~core)


def control_image(condition: Condition) -> Float32[np.ndarray, "channels 128 128"]:
    """The input channels of the control branch (ControlNet; Zhang et al., 2023).

    The five channels are: edges of the scar, as bright as the prescribed scar; edges of no-reflow; wall; cavity; hidden
    region. With a template there are seven: its image and its mask follow.
    """
    shown, anatomy = np.float32(condition.show_edges), np.float32(condition.show_anatomy)
    scar, no_reflow = (inner_edges(mask) for mask in (condition.scar, condition.no_reflow))
    return np.stack(
        [
            scar * np.float32(0.5 + condition.brightness) * shown,
            no_reflow * shown,
            condition.wall * anatomy,
            condition.cavity * anatomy,
            condition.hidden,
            *([condition.template.image, condition.template.scar] if condition.template is not None else []),
        ]
    ).astype(np.float32)


def semantic_map(condition: Condition, context: Context) -> Float32[np.ndarray, "channels 128 128"]:
    """The input channels of a SPADE generator: cavity, healthy wall, enhanced scar, no-reflow.

    With full context, the masked image and the hidden region follow as channels five and six. A SPADE generator gets neither
    caption nor brightness.

    Source: SPADE (Park et al., 2019); limited and full context are the two rivals of the published comparison.
    """
    scar, no_reflow = condition.scar, condition.no_reflow
    # Masks that are resampled one by one may share a border pixel; as in training, the outer tissue gets it.
    labels = [condition.cavity & ~condition.wall & ~scar, condition.wall & ~scar, scar & ~no_reflow, no_reflow]
    around = [condition.masked, condition.hidden] if context is Context.FULL else []
    return np.stack([*labels, *around]).astype(np.float32)
