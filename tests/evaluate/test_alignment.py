"""Alignment: known answers, and the order that scores must have."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.evaluate.alignment import (
    ABOVE,
    DICE,
    HEARTS,
    LESION_MM2,
    MAIN_SEGMENT,
    PRECISION,
    RECALL,
    Scores,
    _share_covered,
    alignment_metrics,
    compared,
    dice_of_hearts,
    metrics_by_group,
    score,
)
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.result_rows import Goal
from lgesynthnet.generate.paste import IntensityPaste
from lgesynthnet.model_store import weights_folder
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.prescription.strata import ALL
from lgesynthnet.records import Label
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role

pytestmark = pytest.mark.usefixtures("few_draws")

WISH = ScarPrescription(segments=frozenset({9, 10}), pattern=Pattern.TRANSMURAL, transmurality=0.9, intensity_percentile=70)


@pytest.fixture(scope="module")
def auditor():
    return TrainedScarSegmenter.from_pretrained(weights_folder() / "phantom" / "auditor", Role.AUDITOR)


def hosts(*, infarct, seeds=range(50, 58)):
    for seed in seeds:
        patient = simulate(f"P{seed}", seed, infarct=infarct)
        for index in (2, 3):
            known = patient.truth[index]
            slice_ = patient.stack[index]
            if not infarct or slice_.scar.sum() * slice_.spacing_mm[0] ** 2 > 150:
                yield Host(slice_=slice_, frame=compute_heart_frame(slice_, known.level))


@pytest.fixture(scope="module")
def real():
    return [Case.of_real(host) for host in hosts(infarct=True)]


def overall(cases, auditor):
    return alignment_metrics([score(case, auditor) for case in cases])


def test_real_slices_with_their_own_masks_are_at_the_ceiling(real, auditor):
    metrics = overall(real, auditor)
    assert len(real) >= 6
    assert metrics[DICE].value > 0.75
    assert metrics[RECALL].value > 0.8
    assert metrics[PRECISION].value > 0.8
    assert metrics[MAIN_SEGMENT].value > 0.85
    assert metrics["transmural extent error, auditor"].value < 0.15


def test_masks_shifted_by_five_millimetres_score_lower(real, auditor):
    def shifted(case):
        moved = ndimage.shift(case.scar.astype(float), [5 / s for s in case.host.spacing_mm], order=0) > 0.5
        return replace(case, scar=moved)

    moved = [shifted(case) for case in real]
    right, wrong = overall(real, auditor), overall(moved, auditor)
    assert wrong[DICE].value < right[DICE].value - 0.2


def test_masks_of_the_opposite_wall_score_near_zero(real, auditor):
    def opposite(case):
        across = (case.frame.nominal_deg + 180) % 360
        angles = case.frame.nominal_deg[case.scar]
        centre = np.degrees(np.angle(np.exp(1j * np.radians(angles)).mean())) % 360
        near = np.abs((across - centre + 180) % 360 - 180) < 40
        return replace(case, scar=case.frame.wall & near & ~ndimage.binary_dilation(case.scar, iterations=4))

    swapped = [case for case in map(opposite, real) if case.scar.sum() > 20]
    metrics = overall(swapped, auditor)
    assert len(swapped) >= 4
    assert metrics[DICE].value < 0.15
    assert metrics[ABOVE].value == 0


def test_a_host_in_which_nothing_was_painted_scores_zero(auditor):
    cases = []
    for host in hosts(infarct=False, seeds=range(60, 64)):
        sample = IntensityPaste().inpaint(host, WISH, seed=1) if host.frame.level == "mid" else None
        if sample is not None:
            cases.append(replace(Case.of_sample(sample), image=host.slice_.image))
    assert cases
    metrics = overall(cases, auditor)
    assert metrics[DICE].value < 0.05
    assert metrics[RECALL].value == 0


def test_scar_that_the_host_had_counts_neither_way(real, auditor):
    case = real[0]
    elsewhere = case.frame.wall & ~ndimage.binary_dilation(case.scar, iterations=3)
    asked = elsewhere & (np.abs((case.frame.nominal_deg - case.frame.nominal_deg[elsewhere][0] + 180) % 360 - 180) < 25)
    other = replace(case, scar=asked)
    assert not (other.segment(auditor) & case.scar).any()
    assert (case.segment(auditor) & case.scar).any()


def test_what_a_segmenter_adds_round_the_host_s_own_scar_counts_neither_way(real):
    case = real[0]
    beside = case.frame.wall & ndimage.binary_dilation(case.scar, iterations=2)

    class Generous:
        fingerprint = "generous"

        def read(self, slice_, *, sensitive=False):
            return np.where(beside, Label.SCAR, Label.BACKGROUND).astype(np.uint8)

    assert (beside & ~case.scar).sum() > 10
    assert not replace(case, scar=np.zeros_like(case.scar)).segment(Generous()).any()
    np.testing.assert_array_equal(case.segment(Generous()), beside)


def test_strata_hold_every_case_once_each_and_all_comes_first(real, auditor):
    metrics = metrics_by_group([score(case, auditor) for case in real])
    assert next(iter(metrics)) == (ALL, DICE)
    dices = {group: value for (group, metric), value in metrics.items() if metric == DICE}
    for kind in ("extent", "area"):
        assert sum(value.n for group, value in dices.items() if group.startswith(kind)) == dices[ALL].n == len(real)


def test_a_case_without_scar_is_an_error(real, auditor):
    with pytest.raises(ValueError, match="no scar was prescribed"):
        score(replace(real[0], scar=np.zeros_like(real[0].scar)), auditor)


class FixedSegmenter:
    """Segments the scar that it was given, whatever it is shown."""

    fingerprint = "fixed"

    def __init__(self, scar):
        self.scar = scar

    def read(self, slice_, *, sensitive=False):
        return np.where(self.scar, Label.SCAR, 0).astype(slice_.labels.dtype)


def squares(*pixel_lists):
    mask = np.zeros((30, 30), bool)
    for rows, cols in pixel_lists:
        mask[rows, cols] = True
    return mask


class TestLesions:
    LESION = (slice(2, 4), slice(2, 12))  # 20 pixels

    def test_a_quarter_of_a_lesion_must_be_covered(self):
        lesion = squares(self.LESION)
        assert _share_covered(lesion, squares((2, slice(2, 7))), 1.0) == 1.0
        assert _share_covered(lesion, squares((2, slice(2, 6))), 1.0) == 0.0

    def test_a_lesion_has_10_mm2_or_more(self):
        small = squares((20, slice(2, 10)))  # 8 pixels
        assert _share_covered(small, small, LESION_MM2 / 8) == 1.0
        assert _share_covered(small, small, 0.99 * LESION_MM2 / 8) is None
        assert _share_covered(squares(self.LESION, (20, slice(2, 10))), squares(self.LESION), 1.0) == 1.0

    def test_pixels_that_touch_at_a_corner_are_one_lesion(self):
        assert _share_covered(squares((slice(2, 4), slice(2, 5)), (slice(4, 6), slice(5, 8))), squares((2, 2)), 1.0) == 0.0
        assert _share_covered(squares((slice(2, 4), slice(2, 5)), (slice(6, 8), slice(5, 8))), squares((2, 2)), 1.0) is None

    def test_recall_is_of_prescribed_and_precision_of_segmented_lesions(self, real):
        case = real[0]
        far = case.frame.wall & ~ndimage.binary_dilation(case.scar, iterations=3)
        both = score(case, FixedSegmenter(case.scar | far))
        assert both.lesion_recall == 1.0
        assert both.lesion_precision <= 0.5
        assert both.burdens["auditor"] > both.burden
        nothing = score(case, FixedSegmenter(np.zeros_like(case.scar)))
        assert (nothing.dice, nothing.lesion_recall, nothing.lesion_precision, nothing.main_segment) == (0.0, 0.0, None, False)
        exact = score(case, FixedSegmenter(case.scar))
        assert (exact.dice, exact.segments, exact.main_segment, exact.extents["auditor"]) == (1.0, 1.0, True, exact.extent)


def scores(patient, dice, **changes):
    values = {"extent": 0.5, "burden": 0.2, "extents": {"auditor": 0.3}, "burdens": {"auditor": 0.1}, "groups": (ALL,)}
    fixed = {"lesion_recall": None, "lesion_precision": None, "segments": 1.0, "main_segment": True}
    return Scores(patient=patient, dice=dice, **(fixed | values | changes))


class TestTable:
    def test_a_dice_of_exactly_0_6_is_not_above_it(self):
        assert alignment_metrics([scores("A", 0.6)])[ABOVE].value == 0
        assert alignment_metrics([scores("A", 0.61)])[ABOVE].value == 1

    def test_errors_are_absolute_and_a_missing_value_is_left_out(self):
        over = scores("B", 0.8, extents={"auditor": 0.7}, burdens={"auditor": 0.3}, lesion_recall=1.0)
        metrics = alignment_metrics([scores("A", 0.6), over])
        assert metrics["transmural extent error, auditor"].value == pytest.approx(0.2)
        assert metrics["scar burden error, auditor"].value == pytest.approx(0.1)
        assert metrics[RECALL].n == 1
        assert metrics[PRECISION] is None

    def test_real_slices_stand_beside_synthetic_ones_of_the_same_group(self):
        rows = compared([scores("A", 0.4, groups=(ALL, "extent 1"))], [scores("R", 0.8)])
        dice = {row.group: row for row in rows if row.metric == DICE}
        assert (dice[ALL].value.value, dice[ALL].real.value, dice[ALL].ratio) == pytest.approx((0.4, 0.8, 0.5))
        assert dice["extent 1"].real is None
        goals = {row.metric: row.goal for row in rows}
        assert goals[DICE] is Goal.HIGH
        assert goals["transmural extent error, auditor"] is Goal.AS_REAL


class TestWholeHearts:
    def test_the_dice_of_a_heart_is_that_of_its_slices_together(self):
        heart = [
            scores("A", 1.0, heart="h1", shared_mm2=10.0, total_mm2=20.0),
            scores("A", 0.0, heart="h1", shared_mm2=0.0, total_mm2=60.0),
        ]
        other = scores("A", 0.5, heart="h2", shared_mm2=15.0, total_mm2=60.0)
        assert dice_of_hearts([*heart, other, scores("B", 0.9)]) == {"A": [0.25, 0.5]}

    def test_painted_hearts_stand_beside_patients_and_single_slices_have_no_such_row(self):
        painted = scores("A", 0.5, heart="h", shared_mm2=10.0, total_mm2=40.0)
        real = scores("R", 0.8, heart="R", shared_mm2=40.0, total_mm2=100.0)
        (row,) = [row for row in compared([painted], [real]) if row.metric == HEARTS]
        assert (row.value.value, row.real.value) == (0.5, 0.8)
        assert not any(row.metric == HEARTS for row in compared([scores("A", 0.5)], [real]))

    def test_the_slices_of_a_patient_belong_together(self, real, auditor):
        together = dice_of_hearts([score(case, auditor) for case in real])
        assert {patient: len(values) for patient, values in together.items()} == dict.fromkeys({case.patient for case in real}, 1)


def test_remote_wall_is_what_was_not_repainted_and_else_what_is_not_scar(real):
    case = real[0]
    np.testing.assert_array_equal(case.remote(), case.frame.wall & ~case.hidden)
    all_hidden = replace(case, hidden=case.frame.wall)
    segmented = case.frame.wall & ndimage.binary_dilation(case.scar)
    np.testing.assert_array_equal(all_hidden.remote(segmented), case.frame.wall & ~segmented)
    np.testing.assert_array_equal(all_hidden.remote(), case.frame.wall & ~case.scar)
    left = np.argwhere(case.frame.wall & ~case.scar)[:20]
    for count in (19, 20):
        hidden = case.frame.wall.copy()
        hidden[tuple(left[:count].T)] = False
        assert (replace(case, hidden=hidden).remote().sum() == count) == (count == 20)
