"""The simulated cohort has exact labels, repeats byte for byte, and looks like a heart."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.anatomy.insertions import insertions_from_rv_label
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.ring import usable_slices
from lgesynthnet.errors import RunError
from lgesynthnet.phantom.body import Tissue
from lgesynthnet.phantom.cohort import simulate_patients
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.records import Label, Skipped


@pytest.fixture(scope="module")
def patient():
    return simulate("P001", 11, infarct=True)


def digest(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_cohort_is_byte_identical_whatever_the_workers_and_reads_back(tmp_path):
    one = simulate_patients(tmp_path / "one", patients=3, seed=5)
    two = simulate_patients(tmp_path / "two", patients=3, seed=5, workers=2)
    assert digest(one) == digest(two)
    stacks = list(open_cohort(one).stacks())
    assert not [s for s in stacks if isinstance(s, Skipped)]
    assert [s.patient for s in stacks] == ["N003", "P001", "P002"]
    assert all(s.base_first is True for s in stacks)
    rows = list(csv.DictReader((one / "truth.csv").open()))
    assert len(rows) == sum(len(s) for s in stacks)
    assert not any(float(r["burden"]) for r in rows if r["case"].startswith("Case_N"))


def test_every_slice_is_a_closed_ring_and_usable(patient):
    usable, skipped = usable_slices(patient.stack)
    assert usable == list(range(len(patient.stack)))
    assert not skipped


def test_rv_insertions_are_where_the_truth_says(patient):
    for known in patient.truth[:-2]:  # the RV ends before the apex
        found = insertions_from_rv_label(patient.stack[known.index])
        assert found is not None
        for got, true in ((found.anterior_deg, known.anterior_deg), (found.inferior_deg, known.inferior_deg)):
            assert abs((got - true + 180) % 360 - 180) < 10


def test_healthy_patients_have_no_scar_and_infarcts_do(patient):
    assert not np.isin(simulate("N", 3, infarct=False).stack.labels, (Label.SCAR, Label.NO_REFLOW)).any()
    scarred = [k for k in patient.truth if k.prescription is not None]
    assert scarred
    for known in scarred:
        slice_ = patient.stack[known.index]
        burden = slice_.scar.sum() / slice_.wall.sum()
        assert burden == pytest.approx(known.measured.burden, abs=0.03)


def test_the_base_is_larger_than_the_apex(patient):
    areas = [(s.labels == Label.CAVITY).sum() for s in patient.stack]
    assert areas[0] > areas[-1]


def test_scar_is_brighter_than_healthy_wall_in_most_slices():
    better = []
    for seed in range(6):
        made = simulate("P", seed, infarct=True)
        for known in made.truth:
            slice_ = made.stack[known.index]
            if known.prescription is not None and (slice_.labels == Label.SCAR).sum() > 20:
                better.append(slice_.image[slice_.labels == Label.SCAR].mean() > slice_.image[slice_.labels == Label.WALL].mean())
    assert len(better) > 8
    assert np.mean(better) > 0.95


def test_a_mask_is_labelled_in_the_slice_it_was_painted_in(patient):
    known = next(k for k in patient.truth if k.prescription is not None)
    frame = compute_heart_frame(patient.stack[known.index], known.level)
    assert frame.wall[patient.stack[known.index].scar].all()


def test_bad_orders_are_refused(tmp_path):
    with pytest.raises(RunError, match="at least 1 patient"):
        simulate_patients(tmp_path / "x", patients=0)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.docx").write_text("mine")
    with pytest.raises(RunError, match="was not made by this program"):
        simulate_patients(tmp_path / "full", patients=1)
    assert Tissue.SCAR in Tissue
