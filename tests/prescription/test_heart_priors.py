"""Scars of whole hearts as populations have them, and masks that go on from slice to slice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from factories import ring_labels
from prior_tables import prior_of

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.overlap import dice
from lgesynthnet.prescription.fitted_prior import FittedPrior, HeartTable
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.heart_priors import draw_heart
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.prescription.scar import Pattern
from lgesynthnet.records import Level, ShortAxisSlice
from lgesynthnet.terms import Prior

ENDS = HeartTable(patients=9, basal_ends=(0.2,) * 10, apical_ends=(0.6,) * 10, correlation=0.3)


def drawn(prior, count=200):
    return [draw_heart(prior, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("prior", list(Prior))
def test_every_drawn_heart_is_valid_and_shows_in_a_usual_stack(prior):
    for scar in drawn(prior):
        assert HeartScar.from_json(scar.to_json()) == scar
        assert any(scar.at((index + 0.5) / 12) is not None for index in range(12))


def test_the_same_seed_draws_the_same_heart_and_another_seed_another():
    assert drawn(Prior.ISCHAEMIC, 20) == drawn(Prior.ISCHAEMIC, 20)
    assert len(set(drawn(Prior.ISCHAEMIC, 20))) == 20


def test_infarcts_of_the_front_reach_the_apex_and_those_of_the_inferior_wall_the_base():
    """As in EMIDEC: 92 % of the anterior and septal infarcts reach the apex, and 92 % of the others the base."""
    front, others = [], []
    for scar in drawn(Prior.ISCHAEMIC, 400):
        middle = (scar.arc.start_deg + scar.arc.extent_deg / 2) % 360
        (front if 45 <= middle < 210 else others).append(scar.ends)
    assert np.mean([apical == 1 for _, apical in front]) > 0.7
    assert np.mean([basal == 0 for basal, _ in others]) > 0.7
    assert np.mean([basal == 0 for basal, _ in front]) < 0.5


def test_scars_of_the_insertions_end_above_the_apical_third():
    scars = [scar for scar in drawn(Prior.NON_ISCHAEMIC, 400) if scar.pattern is Pattern.RV_INSERTION]
    assert scars
    for scar in scars:
        assert scar.ends[1] <= 2 / 3 + 1e-9
        assert scar.segments <= {2, 3, 8, 9}


def test_a_core_lies_inside_its_scar():
    with_core = [scar for scar in drawn(Prior.ISCHAEMIC) if scar.mvo_share]
    assert len(with_core) > 40
    for scar in with_core:
        assert scar.ends[0] <= scar.mvo_extent[0] < scar.mvo_extent[1] <= scar.ends[1]


def test_a_learnt_prior_draws_hearts_as_long_as_those_of_its_patients():
    prior = prior_of(hearts=ENDS)
    ends = [scar.ends for scar in drawn(prior, 300)]
    assert np.mean([pair == (0.2, 0.6) for pair in ends]) == pytest.approx(1 - prior.further_share, abs=0.06)


def test_a_prior_of_an_older_version_draws_hearts_too_and_keeps_its_fingerprint():
    prior = prior_of()
    assert "hearts" not in prior.record()
    assert all(scar.ends[0] < scar.ends[1] for scar in drawn(prior, 50))
    assert prior.fingerprint != replace(prior, hearts=ENDS).fingerprint


def test_the_table_of_hearts_comes_back_from_its_file(tmp_path):
    prior = prior_of(hearts=ENDS)
    prior.write(tmp_path / "prior.json")
    assert FittedPrior.read(tmp_path / "prior.json") == prior


@pytest.mark.parametrize(
    "change",
    [{"patients": 4}, {"basal_ends": (0.9, *(0.2,) * 9)}, {"apical_ends": (0.5,) * 9}, {"correlation": 1.0}, {"apical_ends": (1.1,) * 10}],
)
def test_a_table_of_too_few_hearts_or_impossible_ends_is_refused(change):
    with pytest.raises(PrescriptionError):
        replace(ENDS, **change)


class TestBordersOfNeighbouringSlices:
    """`rasterize` with a position along the heart."""

    @pytest.fixture(scope="class")
    def frame(self):
        labels = ring_labels(96, 20, 30)
        slice_ = ShortAxisSlice(patient="p", index=0, image=labels * 1.0, labels=labels, spacing_mm=(1.0, 1.0))
        return compute_heart_frame(slice_, Level.MID)

    @pytest.mark.parametrize("pattern", [Pattern.SUBENDOCARDIAL, Pattern.MID_WALL, Pattern.PATCHY])
    def test_the_nearer_two_slices_lie_the_more_alike_are_their_masks(self, frame, pattern):
        overlaps = {1.0: [], 8.0: [], 30.0: []}
        for seed in range(6):
            slice_ = HeartScar(segments=frozenset({7, 8, 9}), pattern=pattern, transmurality=0.4, irregularity=1.0, seed=seed).as_slice()
            here = rasterize(slice_, frame, along_mm=40.0).scar
            for apart_mm, values in overlaps.items():
                values.append(dice(here, rasterize(slice_, frame, along_mm=40.0 + apart_mm).scar))
        near, next_slice, far = (np.mean(values) for values in overlaps.values())
        assert near > next_slice > far
        assert near > 0.85

    def test_a_position_decides_the_border_whatever_slices_are_drawn_besides(self, frame):
        slice_ = HeartScar(segments=frozenset({7}), pattern=Pattern.TRANSMURAL, transmurality=1.0, irregularity=1.0, seed=4).as_slice()
        np.testing.assert_array_equal(rasterize(slice_, frame, along_mm=12.5).scar, rasterize(slice_, frame, along_mm=12.5).scar)
        assert (rasterize(slice_, frame, along_mm=12.5).scar != rasterize(slice_, frame).scar).any()
