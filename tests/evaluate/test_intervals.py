"""Intervals that respect patients, and say nothing where nothing can be said."""

import numpy as np
import pytest

from lgesynthnet.evaluate.intervals import correlation, difference, mean, ratio


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
