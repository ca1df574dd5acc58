"""Paint one scar through the stack of a patient, slice by slice."""

from __future__ import annotations

import numpy as np

from lgesynthnet.conditioning.heart import HeartEdit, HeartHost, StackSample, edit_heart
from lgesynthnet.generate.base import Generator
from lgesynthnet.prescription.heart_edits import HeartWish
from lgesynthnet.terms import Edit


def paint_stack(generator: Generator, heart: HeartHost, wish: HeartWish, *, edit: Edit = Edit.ADD, seed: int = 0) -> StackSample:
    """Paint a prescription into a whole heart. The same seed gives the same bytes.

    >>> heart = find_hearts(find_hosts(open_cohort("hosts")))[0]
    >>> sample = paint_stack(generator, heart, prescribe_heart("Transmural LAD infarct from mid to apex"), seed=7)
    >>> sample.image.shape

    Args:
        wish: a scar; or `NoEnhancement()`, which removes the heart's own scar; or `OwnScar`, which paints that scar anew.
        edit: `move` removes the heart's own scar and paints the prescribed one.
    Raises:
        PrescriptionError, NotMovedError: see `conditioning.heart.edit_heart`.
    """
    return apply_to_stack(generator, heart, edit_heart(heart, wish, Edit(edit)), seed=seed)


def apply_to_stack(generator: Generator, heart: HeartHost, edit: HeartEdit, *, seed: int = 0) -> StackSample:
    """Make one edit of a heart."""
    painter = generator.for_heart(seed)
    samples = {
        index: painter.apply(heart.slices[index].host, slice_edit, seed=slice_seed(seed, index))
        for index, slice_edit in edit.slices.items()
    }
    return StackSample(heart=heart, edit=edit, seed=seed, samples=samples)


def slice_seed(seed: int, index: int) -> int:
    """The seed of one slice of a stack: scanner noise and fine texture differ from slice to slice."""
    return int(np.random.default_rng([seed % 2**63, index]).integers(2**31))
