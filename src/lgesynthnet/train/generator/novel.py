"""New prescriptions in scar-free training slices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Int

from lgesynthnet.anatomy.aha import segment_at
from lgesynthnet.anatomy.frame import ASSUMED_INSERTIONS, HeartFrame, wall_depth
from lgesynthnet.conditioning.condition import Condition
from lgesynthnet.conditioning.repaint_region import MARGIN_MM, WALL_REACH_MM, hidden_region
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.grammar.language import write_caption
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Label, Level
from lgesynthnet.terms import Prior
from lgesynthnet.train.examples.roi import Examples

NO_REFLOW_FROM = 0.6  # transmural extent; no-reflow occurs in deep infarcts


def novel_condition(
    examples: Examples,
    healthy: Int[np.ndarray, " n"],
    rng: np.random.Generator,
    *,
    prior: Prior = Prior.ISCHAEMIC,
    caption_alone: float = 0.0,
    no_reflow: float = 0.0,
) -> Condition:
    """One of the scar-free examples, with a new prescription drawn from the prior.

    Args:
        healthy: indices of the scar-free examples.
        caption_alone: chance that no edges are shown and the whole wall is hidden.
        no_reflow: chance that a deep ischaemic scar gets a no-reflow core.
    """
    while True:
        i = int(rng.choice(healthy))
        prescription = draw_prescription(prior, Level(examples.levels[i]), rng)
        if prior is Prior.ISCHAEMIC and prescription.transmurality >= NO_REFLOW_FROM and rng.random() < no_reflow:
            prescription = replace(prescription, mvo_share=float(rng.choice((0.1, 0.2, 0.3))))
        try:
            return _conditioned(examples, i, prescription, alone=bool(rng.random() < caption_alone))
        except PrescriptionError:  # there is no wall where the scar should lie: draw again
            continue


def _conditioned(examples: Examples, i: int, prescription: ScarPrescription, *, alone: bool) -> Condition:
    level = Level(examples.levels[i])
    frame = frame_of(examples, i)
    painted = rasterize(prescription, frame)
    return Condition(
        image=examples.image[i].astype(np.float32),
        hidden=hidden_region(
            frame.wall if alone else painted.scar, frame.wall, (1.0, 1.0), margin_mm=WALL_REACH_MM if alone else MARGIN_MM
        ),
        scar=painted.scar,
        no_reflow=painted.no_reflow,
        wall=frame.wall,
        cavity=frame.cavity,
        nominal_deg=frame.nominal_deg.astype(np.float32),
        brightness=prescription.intensity_percentile / 100,
        caption=write_caption(prescription, level),
        show_edges=not alone,
    )


def frame_of(examples: Examples, i: int) -> HeartFrame:
    """The heart coordinates of a training example, from its labels and its stored angles."""
    labels, nominal = examples.labels[i], examples.nominal_deg[i].astype(np.float64)
    wall, cavity = labels >= Label.WALL, labels == Label.CAVITY
    depth, _ = wall_depth(cavity, wall, (1.0, 1.0))
    rows, cols = np.nonzero(cavity)
    level = Level(examples.levels[i])
    return HeartFrame(
        name=f"{examples.patients[i]}, example {i}",
        level=level,
        insertions=ASSUMED_INSERTIONS,  # not used: the stored angles include the real ones
        centre=(float(rows.mean()), float(cols.mean())),
        spacing_mm=(1.0, 1.0),
        wall=wall,
        cavity=cavity,
        nominal_deg=nominal,
        depth=depth,
        segments=np.where(wall, segment_at(nominal, level), 0),
    )
