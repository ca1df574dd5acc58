"""Folds: a patient is never divided, a sample stays with its host, and nnU-Net draws the share that was asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lgesynthnet.errors import RunError
from lgesynthnet.export.cases import Origin, SliceCase
from lgesynthnet.export.folds import Fold, Mix, at_most_per_host, case_lists, patient_folds

SCARRED = {f"P{i:03d}": True for i in range(12)} | {f"N{i:03d}": False for i in range(6)}


def case(origin: Origin, patient: str, number: int) -> SliceCase:
    place = Path(f"{origin}_{patient}_{number}")
    return SliceCase(
        id=str(place),
        origin=origin,
        patient=patient,
        shown_as=patient,
        slice_index=number,
        image_path=place,
        label_path=place,
        index=0,
        label_map={},
    )


def cases(real: int, synthetic: int) -> list[SliceCase]:
    """`real` slices and `synthetic` samples of every patient."""
    numbers = [(Origin.REAL, n) for n in range(real)] + [(Origin.SYNTHETIC, n) for n in range(synthetic)]
    return [case(origin, patient, n) for patient in SCARRED for origin, n in numbers]


def synthetic_part(train: tuple[str, ...]) -> float:
    """Share of synthetic cases among even draws from the list, as nnU-Net draws."""
    drawn = np.random.default_rng(0).choice(np.array(train), 20_000)
    return float(np.char.startswith(drawn, "synthetic").mean())


@pytest.mark.parametrize("count", [2, 5])
def test_every_patient_validates_once_and_scar_is_spread_evenly(count):
    folds = patient_folds(SCARRED, count, seed=1)
    assert Counter(name for fold in folds for name in fold.val) == Counter(list(SCARRED))
    assert all(fold.train == set(SCARRED) - fold.val for fold in folds)
    with_scar = [sum(SCARRED[name] for name in fold.val) for fold in folds]
    without = [len(fold.val) - n for fold, n in zip(folds, with_scar, strict=True)]
    assert max(with_scar) - min(with_scar) <= 1
    assert max(without) - min(without) <= 1


def test_folds_depend_on_the_seed_and_not_on_the_order_of_names():
    backwards = dict(reversed(SCARRED.items()))
    assert patient_folds(SCARRED, 5, seed=1) == patient_folds(backwards, 5, seed=1) != patient_folds(SCARRED, 5, seed=2)


def test_no_host_of_a_synthetic_training_case_validates_and_nothing_synthetic_does():
    everything = cases(real=3, synthetic=2)
    patient_of = {entry.id: entry.patient for entry in everything}
    for fold, lists in zip(folds := patient_folds(SCARRED, 5, seed=0), case_lists(folds, everything, Mix()), strict=True):
        hosts = {patient_of[name] for name in lists.train if name.startswith("synthetic")}
        validating = {patient_of[name] for name in lists.val}
        assert hosts == fold.train
        assert validating == fold.val
        assert hosts.isdisjoint(validating)
        assert all(name.startswith("real") for name in lists.val)
        assert len(lists.train) == 5 * len(fold.train)


@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_share_is_what_an_even_draw_meets(share, repeat):
    everything = cases(real=2, synthetic=4)
    folds = patient_folds(SCARRED, 3, seed=0)
    for lists in case_lists(folds, everything, Mix(share=share, repeat=repeat)):
        assert synthetic_part(lists.train) == pytest.approx(share, abs=0.02)
        assert repeat or len(set(lists.train)) == len(lists.train)
        if repeat and 0 < share < 1:
            assert len(set(lists.train)) == 6 * 12  # nothing was left out of 12 patients


def test_scarce_synthetic_cases_are_repeated_evenly_or_refused():
    everything = cases(real=8, synthetic=2)
    folds = [Fold(train=frozenset(SCARRED) - {"P000"}, val=frozenset({"P000"}))]
    [lists] = case_lists(folds, everything, Mix(share=0.5, repeat=True))
    assert {often for name, often in Counter(lists.train).items() if name.startswith("synthetic")} == {4}
    assert synthetic_part(lists.train) == pytest.approx(0.5, abs=0.02)
    with pytest.raises(RunError, match=r"136 real slices.*only 34.*0\.20 or less.*--repeat"):
        case_lists(folds, everything, Mix(share=0.5))


def test_all_folds_leave_out_the_same_cases():
    everything = cases(real=2, synthetic=10)
    lists = case_lists(patient_folds(SCARRED, 3, seed=0), everything, Mix(share=0.2))
    named = {name for entry in lists for name in entry.train if name.startswith("synthetic")}
    assert len(named) < 2 * max(sum(name.startswith("synthetic") for name in entry.train) for entry in lists)


def test_the_limit_of_a_patient_keeps_pairs_whole_and_depends_on_the_seed_alone():
    samples = [replace(entry, row={"sample": entry.id}) for entry in cases(real=0, synthetic=6)]
    twins = [replace(entry, id=f"{entry.id}-twin") for entry in samples]
    together = [*samples, *twins]
    chosen = at_most_per_host(together, Mix(most_per_host=2, seed=1))
    assert set(Counter(entry.patient for entry in chosen).values()) == {4}
    assert set(Counter(entry.sample for entry in chosen).values()) == {2}
    assert set(Counter(entry.sample.rpartition("_")[2] for entry in chosen)) == set("012345")  # not the first ones of every patient
    backwards = at_most_per_host(together[::-1], Mix(most_per_host=2, seed=1))
    assert {entry.id for entry in backwards} == {entry.id for entry in chosen}
    assert {entry.id for entry in at_most_per_host(together, Mix(most_per_host=2, seed=2))} != {entry.id for entry in chosen}
    assert at_most_per_host(together, Mix()) == together


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Mix(share=50), "divided by 100"),
        (lambda: Mix(repeat=True), "--synthetic-share"),
        (lambda: patient_folds({"A": True}, 2, seed=0), "it takes two to train and to validate"),
        (lambda: case_lists([Fold(train=frozenset({"P000"}), val=frozenset({"X"}))], cases(1, 1), Mix()), "no real validation slice"),
    ],
)
def test_wrong_settings_are_refused_with_a_remedy(make, named):
    with pytest.raises(RunError, match=named):
        make()
