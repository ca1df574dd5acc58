"""What must come out right before a figure of realism is believed: nothing painted, noise smoothed away, a step, a shifted set."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import expit

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.evaluate import distances
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.distances import FeatureSet, _principal_axes, frechet, frechet_distances, kernel_distance, kernel_distances
from lgesynthnet.evaluate.intervals import Interval, geometric_mean, halvings, reweighted
from lgesynthnet.evaluate.nearest import (
    UnrolledWall,
    feature_deviation,
    feature_distance,
    near_duplicates,
    nearest,
    reference_distance,
    unroll_wall,
    wall_distance,
)
from lgesynthnet.evaluate.realism import C2ST, realism
from lgesynthnet.evaluate.result_rows import Goal, ResultRow, to_csv, to_markdown
from lgesynthnet.evaluate.similarity import heart_box, similarity
from lgesynthnet.evaluate.texture import border_gradient, edge_sharpness, noise, noise_ratio, seam
from lgesynthnet.evaluate.tissues import Tissue, mean_brightness, tissue, wasserstein, wasserstein_of_halves
from lgesynthnet.evaluate.two_sample_test import STATISTICS, _folds, _log_odds, _patient_pairs, auc, classifier_two_sample_test, statistics
from lgesynthnet.generate.paste import IntensityPaste
from lgesynthnet.model_store import weights_folder
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Level, ShortAxisSlice
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role

pytestmark = pytest.mark.filterwarnings("error:Line search of Newton")  # a user can do nothing about it

WISH = ScarPrescription(segments=frozenset({9, 10}), pattern=Pattern.TRANSMURAL, transmurality=0.9, intensity_percentile=70)
SEEDS_REAL, SEEDS_FREE = range(90, 98), range(60, 66)


@pytest.fixture(scope="module")
def real():
    found = []
    for seed in SEEDS_REAL:
        patient = simulate(f"P{seed}", seed, infarct=True)
        for index in (2, 3):
            slice_ = patient.stack[index]
            if slice_.scar.sum() * slice_.spacing_mm[0] ** 2 > 150:
                found.append(Case.of_real(Host(slice_=slice_, frame=compute_heart_frame(slice_, patient.truth[index].level))))
    return found


@pytest.fixture(scope="module")
def painted():
    found = []
    for seed in SEEDS_FREE:
        patient = simulate(f"H{seed}", seed, infarct=False)
        for index in (3, 4):
            slice_, level = patient.stack[index], patient.truth[index].level
            if level == "mid":
                host = Host(slice_=slice_, frame=compute_heart_frame(slice_, level))
                found.append(Case.of_sample(IntensityPaste().inpaint(host, WISH, seed=len(found))))
    return found


def flat(noise=0.1, seed=0):
    """A host whose wall is one even brightness under white noise, with a region to repaint over a third of it."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:128, :128]
    away = np.hypot(rows - 64, cols - 64)
    labels = np.where(away <= 25, 1, np.where(away <= 40, 2, 0)).astype(np.uint8)
    image = np.where(labels == 1, 300.0, np.where(labels == 2, 100.0, 200.0)) + 200 * noise * rng.standard_normal(labels.shape)
    slice_ = ShortAxisSlice(patient="flat", index=0, image=image, labels=labels, spacing_mm=(1.0, 1.0))
    frame = compute_heart_frame(slice_, Level.MID)
    hidden = (np.abs(frame.nominal_deg - 200) < 60) & (away > 20) & (away < 45)
    scar = frame.wall & (np.abs(frame.nominal_deg - 200) < 40)
    return Case(
        name="flat",
        patient="flat",
        image=image,
        host=slice_,
        frame=frame,
        scar=scar,
        no_reflow=np.zeros_like(scar),
        hidden=hidden,
        removed=np.zeros_like(scar),
    )


class TestToTheHost:
    def test_a_host_in_which_nothing_was_painted_is_its_own_likeness(self, painted):
        for case in painted[:3]:
            values = similarity(replace(case, image=case.host.image))
            for where in ("whole slice", "heart"):
                assert values[f"SSIM to host, {where}"] == pytest.approx(1)
                assert values[f"RMSE to host, {where}"] == 0
                assert values[f"PSNR to host, {where}"] is None

    def test_a_brighter_scar_costs_and_costs_more_close_by(self, painted):
        for case in painted[:3]:
            values = similarity(case)
            assert values["SSIM to host, heart"] < values["SSIM to host, whole slice"] < 1
            assert values["RMSE to host, heart"] > values["RMSE to host, whole slice"] > 0

    def test_a_painter_that_brightens_all_is_not_forgiven_by_a_scale_of_its_own(self, painted):
        case = painted[0]
        assert similarity(replace(case, image=case.host.image * 2.0))["RMSE to host, whole slice"] > 0.1

    def test_both_are_in_one_scale_so_a_different_unit_changes_nothing(self, painted):
        case = painted[0]
        times = replace(case, image=case.image * 8.0, host=replace(case.host, image=case.host.image * 8.0))
        for name, value in similarity(case).items():
            assert similarity(times)[name] == pytest.approx(value)

    def test_an_error_of_a_tenth_of_the_range_is_20_decibels(self):
        case = flat(noise=0.0)
        image = np.full_like(case.image, 50.0)
        image[::2] = 100.0  # the 98th percentile, so that the scale is 0 to 100
        darker = replace(case, host=replace(case.host, image=image), image=image - 10.0)
        for region in ("whole slice", "heart"):
            assert similarity(darker)[f"RMSE to host, {region}"] == pytest.approx(0.1)
            assert similarity(darker)[f"PSNR to host, {region}"] == pytest.approx(20)

    def test_the_heart_has_a_margin_of_10_mm_inside_the_image(self):
        heart = np.zeros((50, 60), bool)
        heart[20:30, 2:40] = True
        assert heart_box(heart, (2.0, 1.0)) == (slice(15, 35), slice(0, 50))


class TestTexture:
    def test_noise_that_is_the_same_everywhere_has_ratio_1(self):
        found = [noise_ratio(flat(seed=seed)) for seed in range(8)]
        assert np.mean(found) == pytest.approx(1, abs=0.1)

    def test_smoothed_noise_is_below_1_and_added_noise_above(self):
        case = flat()
        smooth = ndimage.gaussian_filter(case.image, 0.7)
        assert noise_ratio(replace(case, image=np.where(case.hidden, smooth, case.image))) < 0.3
        doubled = case.image + 40 * np.random.default_rng(1).standard_normal(case.image.shape)
        assert noise_ratio(replace(case, image=np.where(case.hidden, doubled, case.image))) > 2

    def test_a_bright_even_scar_is_no_noise(self):
        case = flat()
        bright = case.image + 200 * case.scar
        assert noise_ratio(replace(case, image=bright)) == pytest.approx(noise_ratio(case), rel=0.3)

    def test_a_step_of_0_4_at_the_border_is_a_seam_of_0_4(self):
        case = flat(noise=0.02)
        span = HeartWindow.from_slice(case.host).span
        stepped = replace(case, image=case.image + 0.4 * span * case.hidden)
        assert seam(case) == 0
        assert seam(stepped) == pytest.approx(0.4, abs=0.01)
        assert border_gradient(case) == pytest.approx(1, abs=0.25)
        assert border_gradient(stepped) > 2 * border_gradient(case)

    def test_noise_is_that_of_the_wall_alone(self):
        case = flat(noise=0.0)
        speckle = 50 * np.random.default_rng(2).standard_normal(case.image.shape)
        around = replace(case, image=np.where(case.frame.wall, case.image, case.image + speckle))
        assert noise(around, np.ones_like(case.hidden)) == pytest.approx(0, abs=1e-6)

    def test_a_border_needs_two_pixels_on_either_side(self):
        case = flat()
        line = np.zeros_like(case.hidden)
        line[64] = True
        assert border_gradient(replace(case, hidden=line)) is None

    def test_the_edge_of_a_scar_is_in_units_per_millimetre_and_the_dark_core_is_no_scar(self):
        case = flat(noise=0.0)
        bright = replace(case, image=case.image + 100 * case.scar)
        sharpness = edge_sharpness(bright)
        assert 0.1 < sharpness < 0.5
        coarse = replace(bright, frame=replace(bright.frame, spacing_mm=(2.0, 2.0)))
        assert edge_sharpness(coarse) == pytest.approx(sharpness / 2)
        assert edge_sharpness(replace(bright, no_reflow=bright.scar)) is None

    def test_real_slices_have_nearly_the_same_noise_round_their_scar_as_elsewhere(self, real):
        found = [ratio for ratio in map(noise_ratio, real) if ratio is not None]
        assert len(found) >= 8
        assert 0.5 < np.exp(np.mean(np.log(found))) < 4


class TestTissues:
    def test_a_set_is_no_distance_from_itself_and_a_shift_is_its_own_distance(self, real):
        def brighter(case):
            window = HeartWindow.from_slice(case.host)
            return replace(case, image=np.where(case.scar & ~case.no_reflow, case.image + 0.3 * window.span, case.image))

        assert wasserstein(real, real, Tissue.SCAR).value == 0
        assert wasserstein([brighter(case) for case in real], real, Tissue.SCAR).value == pytest.approx(0.3, abs=0.1)

    @pytest.mark.parametrize("shift", [0.3, -0.3])
    def test_the_distance_has_no_sign_and_needs_four_slices(self, real, shift):
        def shifted(case):
            where = case.scar & ~case.no_reflow
            return replace(case, image=np.where(where, case.image + shift * HeartWindow.from_slice(case.host).span, case.image))

        assert wasserstein([shifted(case) for case in real], real, Tissue.SCAR).value > 0.1
        assert wasserstein(real[:4], real, Tissue.SCAR) is not None
        assert wasserstein(real[:3], real, Tissue.SCAR) is None
        assert wasserstein_of_halves(real, Tissue.SCAR).value > 0
        assert wasserstein_of_halves(real[:8], Tissue.SCAR) is not None
        assert wasserstein_of_halves(real[:7], Tissue.SCAR) is None

    def test_each_pixel_of_the_hidden_region_is_one_tissue(self, real):
        case = next(case for case in real if case.no_reflow.any())
        masks = [tissue(case, which) for which in Tissue]
        np.testing.assert_array_equal(sum(mask.astype(int) for mask in masks), (case.frame.wall | case.frame.cavity) & case.hidden)
        elsewhere = replace(case, scar=case.scar & (np.arange(case.scar.shape[1]) < 0), no_reflow=np.zeros_like(case.scar))
        assert not (tissue(elsewhere, Tissue.HEALTHY) & case.scar).any()  # the host's own scar is no healthy wall
        scar = tissue(case, Tissue.SCAR)
        assert mean_brightness(Tissue.SCAR)(case) == pytest.approx(case.unit[scar].mean())
        assert mean_brightness(Tissue.SCAR)(elsewhere) is None


def two_sets(shift=0.0, n=60, features=5, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(2, n, features))
    rows[0, :, 0] += shift
    patients = [f"P{i // 3}" for i in range(n)], [f"R{i // 3}" for i in range(n)]
    return FeatureSet(name="drawn", painted=rows[0], real=rows[1], painted_patients=patients[0], real_patients=patients[1])


class TestDistances:
    def test_frechet_of_a_set_to_itself_is_0_and_grows_with_the_square_of_a_shift(self):
        rows = np.random.default_rng(0).normal(size=(80, 4))
        assert frechet(rows, rows) == pytest.approx(0, abs=1e-9)
        assert frechet(rows, rows + np.eye(4)[0]) == pytest.approx(1, abs=1e-6)
        assert frechet(rows, rows + 2 * np.eye(4)[0]) == pytest.approx(4, abs=1e-6)

    def test_frechet_stands_beside_two_halves_of_the_real_patients(self):
        alike, floor, directions = frechet_distances(two_sets())
        apart, same_floor, _ = frechet_distances(two_sets(shift=3.0))
        assert directions == 5
        assert alike.value == pytest.approx(floor.value, rel=0.6)
        assert same_floor == floor
        assert apart.low > floor.high

    def test_frechet_is_taken_between_sets_of_one_size(self, monkeypatch):
        sizes = set()

        def recorded(first, second):
            sizes.add((len(first), len(second)))
            return frechet(first, second)

        monkeypatch.setattr(distances, "frechet", recorded)
        frechet_distances(two_sets())
        assert sizes == {(30, 30)}  # half of the 60 real slices, and as many synthetic ones

    def test_few_slices_get_few_directions_or_none(self):
        assert frechet_distances(two_sets(n=24))[2] == 2
        assert frechet_distances(two_sets(n=6)) == (None, None, 0)

    def test_the_kernel_distance_holds_0_for_one_population_and_leaves_it_for_two(self):
        one, floor = kernel_distances(two_sets())
        other, _ = kernel_distances(two_sets(shift=2.0))
        assert one.low < 0 < one.high
        assert floor.low < 0 < floor.high
        assert other.low > 0

    def test_slices_of_one_patient_are_no_evidence_of_likeness(self):
        rows = np.random.default_rng(0).normal(size=(10, 3))
        assert kernel_distance(rows, rows, ["A"] * 10, ["B"] * 10) is None

    def test_only_pairs_of_different_patients_count(self):
        features = two_sets(n=12)
        twice = [np.repeat(rows, 2, axis=0) for rows in (features.painted, features.real)]
        patients = [[name for name in names for _ in range(2)] for names in (features.painted_patients, features.real_patients)]
        once = kernel_distance(features.painted, features.real, features.painted_patients, features.real_patients)
        # A second copy of each slice is one more slice of the same patient, and changes no mean over pairs of patients.
        assert kernel_distance(*twice, *patients).value == pytest.approx(once.value)

    def test_the_kernel_distance_is_the_textbook_sum_where_each_patient_has_one_slice(self):
        rng = np.random.default_rng(3)
        x, y = rng.normal(size=(5, 3)), rng.normal(1, 1, size=(6, 3))

        def kernel(a, b):
            return (a @ b.T / 3 + 1) ** 3

        off_diagonal = [(kernel(z, z).sum() - np.trace(kernel(z, z))) / (len(z) * (len(z) - 1)) for z in (x, y)]
        expected = sum(off_diagonal) - 2 * kernel(x, y).mean()
        assert kernel_distance(x, y, list("abcde"), list("uvwxyz")).value == pytest.approx(expected)

    def test_frechet_is_taken_along_the_widest_directions_of_the_real_set(self):
        rng = np.random.default_rng(0)
        wide = rng.normal(size=(40, 1)) @ np.ones((1, 3)) + 0.05 * rng.normal(size=(40, 3))
        [axis] = _principal_axes(wide, 1).T
        np.testing.assert_allclose(np.abs(axis), np.full(3, 3**-0.5), atol=0.05)

    def test_features_are_standardised_by_the_real_slices(self):
        features = two_sets(shift=3.0)
        clean = features.standardised()
        np.testing.assert_allclose(clean.real.mean(axis=0), 0, atol=1e-9)
        assert clean.painted[:, 0].mean() > 2
        assert np.abs(clean.painted).max() <= 5

    def test_what_no_case_has_is_left_out(self):
        made = two_sets()
        made.real[:, 2], made.painted[3, 1] = np.nan, np.nan
        clean = made.standardised()
        assert clean.real.shape[1] == 4
        assert np.isfinite(clean.painted).all()
        assert clean.painted[3, 1] == 0


class TestTellingApart:
    def test_one_population_is_not_told_apart_and_two_are(self):
        same, floor = classifier_two_sample_test(two_sets(n=90))
        other, _ = classifier_two_sample_test(two_sets(shift=4.0, n=90))
        assert same.low < 0.5 < same.high
        assert floor.value == pytest.approx(0.5, abs=0.1)
        assert other.value > 0.95

    def test_a_shift_in_brightness_is_found_out(self, real):
        def brighter(case):
            return replace(
                case,
                patient=f"{case.patient}+",
                image=np.where(case.hidden, case.image + 2 * HeartWindow.from_slice(case.host).span, case.image),
            )

        moved = [statistics(brighter(case)) for case in real]
        patients = [case.patient for case in real]
        sets = FeatureSet(
            name="s",
            painted=np.array(moved),
            real=np.array([statistics(case) for case in real]),
            painted_patients=[f"{name}+" for name in patients],
            real_patients=patients,
        )
        assert classifier_two_sample_test(sets)[0].value > 0.8
        assert classifier_two_sample_test(replace(sets, painted=sets.real))[0].value < 0.6

    def test_a_patient_whom_the_judge_knows_would_give_himself_away_so_none_stands_on_both_sides(self):
        found = []
        for seed in range(8):
            rng = np.random.default_rng(seed)  # six slices of each patient, all alike, and nothing that tells painted from real
            rows = np.repeat(rng.normal(size=(2, 12, 12)), 6, axis=1) + 0.05 * rng.normal(size=(2, 72, 12))
            ours, theirs = ([f"{kind}{i // 6}" for i in range(72)] for kind in "PR")
            found.append(auc(rows[0], rows[1], ours, theirs).value)
        assert np.mean(found) == pytest.approx(0.5, abs=0.15)

    def test_equal_scores_are_half_right(self):
        same = np.zeros((12, 2))
        assert auc(same, same, [f"P{i}" for i in range(12)], [f"R{i}" for i in range(12)]).value == 0.5

    def test_a_patient_is_in_one_fold_and_each_kind_of_patient_is_spread_over_all_five(self):
        patients = [f"P{i // 2}" for i in range(20)] + [f"R{i // 2}" for i in range(20)]
        is_painted = np.arange(40) < 20
        fold = _folds(patients, is_painted, 0)
        assert all(len({f for f, name in zip(fold, patients, strict=True) if name == own}) == 1 for own in patients)
        for kind in (is_painted, ~is_painted):
            np.testing.assert_array_equal(np.bincount(fold[kind], minlength=5), 4)

    def test_a_missing_value_counts_as_the_mean_and_the_rarer_class_as_much_as_the_other(self):
        rng = np.random.default_rng(0)
        rows = rng.normal(50, 1, size=(100, 2))
        is_painted = np.arange(100) < 10
        rows[is_painted, 0] += 2
        mean = rows.mean(axis=0)
        missing = np.array([[np.nan, mean[1]], [mean[0], np.nan], mean])
        np.testing.assert_allclose(_log_odds(rows, is_painted, missing), _log_odds(rows, is_painted, np.array([mean] * 3)))
        # Half way between the two classes, the classifier decides for neither, although nine in ten slices are real.
        middle = (rows[is_painted].mean(axis=0) + rows[~is_painted].mean(axis=0)) / 2
        assert _log_odds(rows, is_painted, middle[None])[0] == pytest.approx(0, abs=0.5)

    def test_the_prior_that_nothing_tells_counts_as_three_cases(self):
        rng = np.random.default_rng(1)
        is_painted = np.arange(40) < 10
        rows = rng.normal(size=(40, 1)) + is_painted[:, None]
        log_odds = _log_odds(rows, is_painted, rows)
        x = ((rows - rows.mean()) / rows.std())[:, 0]
        slope = (log_odds[1] - log_odds[0]) / (x[1] - x[0])
        weight = np.where(is_painted, 2.0, 2 / 3)
        pull = weight * (is_painted - expit(log_odds))  # of each slice on its own log-odds
        assert pull.sum() == pytest.approx(0, abs=1e-3)
        assert pull @ x == pytest.approx(3 * slope, rel=1e-3)

    def test_only_slices_that_one_classifier_has_scored_are_compared(self):
        rows = np.random.default_rng(0).normal(size=(2, 10, 3))
        patients = [f"P{i}" for i in range(10)], [f"R{i}" for i in range(10)]
        _, judged = _patient_pairs(*rows, *patients, repeats=1)
        assert judged.sum() == 5 * 2 * 2  # two patients of either kind in each of five folds

    def test_the_statistics_are_those_that_their_names_say(self):
        case = flat()
        row = dict(zip(STATISTICS, statistics(case), strict=True))
        scar, healthy = (case.unit[tissue(case, which)] for which in (Tissue.SCAR, Tissue.HEALTHY))
        assert row["scar mean"] == pytest.approx(scar.mean())
        assert row["scar spread"] == pytest.approx(scar.std())
        assert row["scar 10th percentile"] == pytest.approx(np.percentile(scar, 10))
        assert row["scar 90th percentile"] == pytest.approx(np.percentile(scar, 90))
        assert row["healthy mean"] == pytest.approx(healthy.mean())
        assert row["healthy spread"] == pytest.approx(healthy.std())
        assert row["scar over healthy"] == pytest.approx(scar.mean() - healthy.mean())
        assert row["scar noise"] == noise(case, tissue(case, Tissue.SCAR))
        assert row["healthy noise"] == noise(case, tissue(case, Tissue.HEALTHY))
        assert row["scar edge"] == edge_sharpness(case)
        assert row["border step"] == border_gradient(case)
        nothing = replace(case, scar=np.zeros_like(case.scar))
        assert np.isnan(statistics(nothing)[:4]).all()

    def test_of_three_patients_nothing_is_said(self):
        assert classifier_two_sample_test(two_sets(n=9)) == (None, None)

    def test_no_patient_stands_in_both_halves(self):
        patients = ["A", "A", "B", "C", "C", "D", "E"]
        for one, other in halvings(patients):
            assert not {patients[i] for i in one} & {patients[i] for i in other}
            assert sorted([*one, *other]) == list(range(7))


def wall(patient, brightness, repainted=None):
    cells = np.full((72, 6), float(brightness))
    where = np.ones((72, 6), bool) if repainted is None else repainted
    return UnrolledWall(patient=patient, wall=cells, repainted=where, features=np.zeros((0, 72, 6)))


class TestCopies:
    def test_the_same_picture_twice_is_a_near_duplicate_and_another_heart_is_none(self, painted):
        walls = [unroll_wall(case) for case in painted[:4]]
        assert near_duplicates([*walls, walls[0]], 1e-3) == [1, 0, 0, 0, 1]
        assert near_duplicates(walls[:1], 1e-3) == [0]

    def test_only_the_repainted_part_is_compared(self):
        half = np.arange(72)[:, None] < np.full((1, 6), 36)
        first, second = wall("A", 0, half), wall("B", 0, half)
        second.wall[36:] = 9.0
        assert wall_distance(first, second) == 0
        assert near_duplicates([first, second], 0.1) == [1, 1]
        assert near_duplicates([first, second], 0.0) == [0, 0]  # nearer than the limit, not at it

    def test_the_nearest_slice_is_of_another_patient(self):
        others = [wall("A", 0.0), wall("B", 0.5), wall("C", 2.0)]
        assert nearest(wall("A", 0.0), others, wall_distance) == pytest.approx(0.5)
        assert nearest(wall("A", 0.0), others[:1], wall_distance) is None
        others.append(wall("D", 9.0))
        assert reference_distance(others, others, wall_distance) == pytest.approx(np.percentile([0.5, 0.5, 1.5, 7.0], 1))

    def test_a_feature_counts_in_units_of_its_own_deviation(self):
        def with_features(patient, first, second):
            return replace(wall(patient, 0.0), features=np.stack([np.full((72, 6), float(first)), np.full((72, 6), float(second))]))

        walls = [with_features("A", 0, 0), with_features("B", 2, 200)]
        deviation = feature_deviation(walls)
        np.testing.assert_allclose(deviation, [1, 100])
        assert feature_distance(deviation)(*walls) == pytest.approx(np.sqrt(2**2 + 2**2))

    def test_the_wall_unrolls_by_angle_and_depth(self):
        case = flat(noise=0.0)
        bright = case.frame.wall & (case.frame.depth < 1 / 6)
        unrolled = unroll_wall(replace(case, image=np.where(bright, 300.0, case.image)))
        assert unrolled.wall[:, 0].mean() > unrolled.wall[:, 1:].mean() + 0.5
        angles = 5 * np.arange(72) + 2.5
        np.testing.assert_array_equal(unrolled.repainted.all(axis=1)[np.abs(angles - 200) < 55], True)
        np.testing.assert_array_equal(unrolled.repainted.any(axis=1)[np.abs(angles - 200) > 65], False)


class TestAllOfIt:
    @pytest.fixture(scope="class")
    def auditor(self):
        return TrainedScarSegmenter.from_pretrained(weights_folder() / "phantom" / "auditor", Role.AUDITOR)

    @pytest.fixture(scope="class")
    def rows(self, painted, real, auditor):
        return realism(painted, real, auditor=auditor, training=real[:8])

    def test_every_metric_is_there_once_and_names_what_it_was_measured_with(self, rows, auditor):
        names = [row.metric for row in rows]
        assert len(names) == len(set(names))
        assert not [name for name in names if "FID" in name]
        assert sum(auditor.fingerprint in name for name in names) == 4
        assert any(name.startswith("near a training slice by auditor features") for name in names)

    def test_the_order_of_the_cases_changes_no_number(self, painted, real, auditor, rows):
        assert realism(painted[::-1], real[::-1], auditor=auditor, training=real[:8][::-1]) == rows

    def test_without_auditor_and_real_slices_the_rest_is_still_there(self, painted):
        rows = {row.metric: row for row in realism(painted[:2], [])}
        assert rows["SSIM to host, whole slice"].value is not None
        assert rows["seam, heart units"].value is not None
        assert rows[C2ST].value is None
        assert all(row.real is None for row in rows.values())

    def test_of_nothing_painted_nothing_is_said(self, real):
        with pytest.raises(ValueError, match="no synthetic slices"):
            realism([], real)


class TestResultRows:
    def test_only_where_more_is_better_is_there_a_share_of_the_ceiling(self):
        half = {"value": Interval(0.4, 0.3, 0.5, 7), "real": Interval(0.8, 0.7, 0.9, 5)}
        assert ResultRow(metric="Dice", goal=Goal.HIGH, **half).ratio == pytest.approx(0.5)
        assert ResultRow(metric="error", goal=Goal.LOW, **half).ratio is None
        assert ResultRow(metric="Dice", goal=Goal.HIGH, value=half["value"], real=Interval(0.0, 0.0, 0.0, 5)).ratio is None

    def test_as_a_file_and_as_a_page(self):
        line = ResultRow(metric="segments, Jaccard", goal=Goal.HIGH, value=Interval(0.4, 0.3, 0.5, 7))
        assert to_csv([line]).splitlines()[1] == 'all,"segments, Jaccard",0.4,0.3,0.5,7,,,,,,high,'
        assert "| segments, Jaccard | 0.400 [0.300, 0.500] | 7 |" in to_markdown([line])

    def test_the_geometric_mean_of_a_half_and_a_double_is_1(self):
        assert geometric_mean({"A": [0.5], "B": [2.0]}).value == pytest.approx(1)

    def test_what_is_not_defined_has_no_interval(self):
        assert reweighted(3, lambda weight: float("nan"), n=3) is None
        assert reweighted(0, lambda weight: 1.0, n=0) is None
