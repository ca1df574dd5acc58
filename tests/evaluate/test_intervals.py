"""Intervals that respect patients, and say nothing where nothing can be said."""

import numpy as np
import pytest

from lgesynthnet.evaluate.intervals import (
    correlation,
    difference,
    draws,
    estimate,
    geometric_mean,
    halvings,
    mean,
    mean_and_range,
    ratio,
    reweighted,
    split_half_baseline,
)


def test_the_mean_is_over_values_and_the_interval_over_patients():
    rng = np.random.default_rng(0)
    patients = {f"P{i}": list(rng.normal(i % 2, 0.01, 50)) for i in range(10)}
    found = mean(patients)
    assert found.n == 500
    assert found.value == pytest.approx(0.5, abs=0.01)
    # 500 independent values would leave 0.05 on each side; ten patients of two kinds leave 0.3.
    assert found.high - found.value > 0.2
    assert found.value - found.low > 0.2


def test_a_patient_with_more_slices_weighs_more():
    assert mean({"A": [1.0] * 9, "B": [0.0]}).value == pytest.approx(0.9)


def test_the_same_table_every_time():
    patients = {"A": [0.1, 0.5], "B": [0.3], "C": [0.9]}
    assert mean(patients) == mean(patients)


def test_paired_differences_are_narrower_than_what_they_are_taken_from():
    rng = np.random.default_rng(1)
    other = {f"P{i}": list(rng.uniform(0, 1, 5)) for i in range(12)}
    one = {name: [v + 0.1 for v in row] for name, row in other.items()}
    gained = difference(one, other)
    assert gained.value == pytest.approx(0.1)
    assert gained.low == pytest.approx(0.1)
    assert mean(other).high - mean(other).low > 0.05


def test_a_ratio_to_the_ceiling_is_of_means_and_needs_a_ceiling():
    assert ratio({"A": [0.4, 0.2], "B": [0.3]}, {"A": [0.8, 0.4], "B": [0.6]}).value == pytest.approx(0.5)
    assert ratio({"A": [0.4]}, {"A": [0.0]}) is None


def test_correlation_knows_a_line_and_refuses_a_constant():
    assert correlation({"A": [1, 2], "B": [3, 4]}, {"A": [2, 4], "B": [6, 8]}).value == pytest.approx(1)
    assert correlation({"A": [1, 1], "B": [1]}, {"A": [2, 4], "B": [6]}) is None


def test_of_nothing_nothing_is_said():
    assert mean({}) is None
    assert mean({"A": []}) is None


def test_pairs_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match=r"shorter|longer"):
        difference({"A": [1.0, 2.0]}, {"A": [1.0]})


PATIENTS, SLICES, COHORTS = 30, 3, 200


def simulated_cohort(seed):
    """Slices of one patient share the patient's own deviation; the true mean is 0."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (PATIENTS, 1)) + rng.normal(0, 0.5, (PATIENTS, SLICES))


def test_the_interval_of_a_mean_holds_the_truth_in_about_95_of_100_cohorts(monkeypatch):
    monkeypatch.setattr("lgesynthnet.evaluate.intervals.DRAWS", 400)  # enough for the middle 95 %, and five times as fast
    intervals = [mean({f"P{i}": row for i, row in enumerate(simulated_cohort(seed).tolist())}) for seed in range(COHORTS)]
    coverage = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    assert 0.915 <= coverage <= 0.985  # 95 %, less what a bootstrap of 30 patients lacks; an interval of 90 or 99 % lies outside


def test_the_interval_of_a_reweighted_statistic_holds_the_truth_in_about_95_of_100_cohorts():
    weights = draws(PATIENTS, np.random.default_rng(0))
    covered = []
    for seed in range(COHORTS):
        cohort = simulated_cohort(seed)
        interval = estimate(weights @ cohort.sum(axis=1) / (weights.sum(axis=1) * SLICES), cohort.size)
        assert interval.value == pytest.approx(cohort.mean())
        covered.append(interval.low <= 0 <= interval.high)
    assert 0.915 <= np.mean(covered) <= 0.985


def test_both_kinds_of_bootstrap_give_the_same_interval():
    cohort = simulated_cohort(3)
    by_patient = mean({f"P{i}": row for i, row in enumerate(cohort.tolist())})
    by_weight = reweighted(PATIENTS, lambda weight: float(weight @ cohort.mean(axis=1) / weight.sum()), n=cohort.size)
    for end in ("value", "low", "high"):
        assert getattr(by_weight, end) == pytest.approx(getattr(by_patient, end), abs=0.02)
    assert by_weight.n == by_patient.n == PATIENTS * SLICES


def test_an_estimate_is_its_first_draw_with_the_middle_95_of_100_others():
    found = estimate(np.array([7.0, *np.linspace(0, 1, 1001)]), 3)
    assert (found.value, found.low, found.high, found.n) == pytest.approx((7.0, 0.025, 0.975, 3))


def test_draws_keep_the_number_of_patients_and_begin_with_the_sample_itself():
    weights = draws(7, np.random.default_rng(0))
    np.testing.assert_array_equal(weights[0], 1)
    np.testing.assert_array_equal(weights.sum(axis=1), 7)
    assert len(np.unique(weights[1:], axis=0)) > 500


def test_a_draw_that_leaves_a_statistic_undefined_is_left_out():
    found = estimate(np.array([0.5, np.nan, *np.linspace(0, 1, 1001), np.nan]), 3)
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))


def test_repeated_draws_are_shown_as_their_mean_and_middle_95_of_100():
    found = mean_and_range([*np.linspace(0, 1, 1001) ** 2, np.nan], n=4)
    assert (found.value, found.low, found.high, found.n) == pytest.approx((1 / 3, 0.025**2, 0.975**2, 4), abs=1e-3)
    assert mean_and_range([np.nan], n=4) is None


def test_halves_are_halves_of_the_patients_and_need_four():
    for first, second in halvings(["A", "A", "A", "B", "C", "D"], count=20):
        assert len({"AAABCD"[i] for i in first}) == len({"AAABCD"[i] for i in second}) == 2
    assert len(list(halvings(list("ABCD"), count=20))) == 20
    assert not list(halvings(list("AABC"), count=20))
    assert split_half_baseline(list("ABC"), lambda first, second: 1.0) is None
    baseline = split_half_baseline(list("ABCDEF"), lambda first, second: float(len(first) / len(second)))
    assert (baseline.value, baseline.low, baseline.high, baseline.n) == (1.0, 1.0, 1.0, 6)


def test_a_geometric_mean_has_a_geometric_interval():
    found = geometric_mean({"A": [0.5], "B": [2.0]})
    assert (found.value, found.low, found.high, found.n) == pytest.approx((1.0, 0.5, 2.0, 2))
    assert geometric_mean({}) is None


def test_a_difference_is_the_first_less_the_second():
    assert difference({"A": [3.0]}, {"A": [1.0]}).value == 2.0


def test_a_ratio_is_resampled_with_its_ceiling():
    scores = {"A": [0.1], "B": [0.4], "C": [0.3]}
    found = ratio(scores, {name: [2 * v for v in row] for name, row in scores.items()})
    assert found.low == pytest.approx(0.5)
    assert found.high == pytest.approx(0.5)
    assert ratio({"A": [0.5], "B": [0.5]}, {"A": [0.5], "B": [0.0]}).value == pytest.approx(2.0)


def test_a_correlation_needs_three_pairs():
    assert correlation({"A": [1], "B": [3]}, {"A": [2], "B": [5]}) is None
    assert correlation({"A": [1], "B": [3], "C": [4]}, {"A": [5], "B": [3], "C": [2]}).value == pytest.approx(-1)
