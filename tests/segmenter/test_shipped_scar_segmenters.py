"""The shipped scar segmenters: high Dice at the right place, low Dice elsewhere, and little scar in a healthy wall."""

from pathlib import Path

import numpy as np
import pytest

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.ring import usable_slices
from lgesynthnet.data.splits import read_splits
from lgesynthnet.model_store import weights_folder
from lgesynthnet.overlap import dice
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.records import scar_of
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role

EMIDEC_WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "emidec"


def moved_by_5_mm(slice_):
    """The scar's mask, 5 mm along the rows."""
    return np.roll(slice_.scar, round(5 / slice_.spacing_mm[0]), 0)


def on_top(a, b):
    """Dice of two masks of any sizes, corner on corner."""
    rows, cols = np.minimum(a.shape, b.shape)
    return dice(a[:rows, :cols], b[:rows, :cols]) or 0.0


def check(segmenter, stacks):
    slices = [stack[i] for stack in stacks for i in usable_slices(stack)[0]]
    scarred, healthy = [s for s in slices if s.scar.any()], [s for s in slices if not s.scar.any()]
    assert len(scarred) >= 10
    assert len(healthy) >= 10
    read = [scar_of(segmenter.read(slice_)) for slice_ in scarred]
    in_place = np.array([dice(r, s.scar) for r, s in zip(read, scarred, strict=True)])
    shifted = np.array([dice(r, moved_by_5_mm(s)) for r, s in zip(read, scarred, strict=True)])
    assert in_place.mean() > 0.6
    assert shifted.mean() < in_place.mean() - 0.2
    assert (shifted < in_place)[in_place > 0.4].all()
    # Two infarcts may lie in one place; most do not.
    swapped = [on_top(r, o.scar) for r, s in zip(read, scarred, strict=True) for o in scarred if o.patient != s.patient]
    assert np.median(swapped) < 0.1
    assert np.mean(swapped) < 0.2
    areas_mm2 = np.array([scar_of(segmenter.read(s)).sum() * np.prod(s.spacing_mm) for s in healthy])
    assert (areas_mm2 <= 25).mean() >= 6 / 7


def test_the_shipped_filter_on_simulated_slices():
    stacks = [simulate(f"P{seed}", seed, infarct=seed < 56).stack for seed in range(50, 62)]
    check(TrainedScarSegmenter.from_pretrained(weights_folder() / "phantom" / "filter"), stacks)


@pytest.mark.real
@pytest.mark.parametrize("role", Role)
def test_the_segmenters_of_real_scar_on_real_validation_slices(role, emidec):
    if not (EMIDEC_WEIGHTS / role.value).is_dir():
        pytest.skip(f"no weights at {EMIDEC_WEIGHTS / role.value}")
    names = read_splits(emidec / "splits.json")["val"]
    check(
        TrainedScarSegmenter.from_pretrained(EMIDEC_WEIGHTS / role.value, role),
        [s for s in open_cohort(emidec).stacks() if s.patient in names],
    )
