"""The simulated cohort has exact labels, repeats byte for byte, and looks like a heart."""

import csv
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from factories import all_gone

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.anatomy.insertions import insertions_from_rv_label
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.ring import usable_slices
from lgesynthnet.errors import RunError
from lgesynthnet.files.manifest import MANIFEST
from lgesynthnet.phantom.body import Tissue
from lgesynthnet.phantom.cohort import CohortSettings, simulate_patients, write_cohort
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


START = "import sys\nfrom lgesynthnet.cli.app import main\nif __name__ == '__main__':\n    sys.exit(main())\n"


def begun(out: Path, tmp_path: Path) -> subprocess.Popen[str]:
    """`phantom` with two processes, after its first patient was written."""
    (tmp_path / "start.py").write_text("import os\nos.cpu_count = lambda: 2\n" + START)
    command = [sys.executable, str(tmp_path / "start.py"), "phantom", str(out), "--patients", "40"]
    # A shell that starts the tests in the background has SIGINT ignored, and Python inherits that.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    until = time.monotonic() + 120
    while not list(out.glob("Case_*/Contours/*.nii.gz")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    return process


def test_ctrl_c_ends_all_processes_with_one_line_and_the_workers_of_a_killed_command_end_too(tmp_path):
    process = begun(tmp_path / "one", tmp_path)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines() == [f"interrupted; the same command makes {tmp_path / 'one'} complete"]
    assert all_gone(process.pid)
    process = begun(tmp_path / "two", tmp_path)
    process.kill()
    process.wait()
    assert all_gone(process.pid)


def test_a_cohort_is_continued_mended_and_never_mixed(tmp_path):
    whole = simulate_patients(tmp_path / "whole", patients=2, seed=5)
    other = tmp_path / "other"

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_patients(other, patients=2, seed=5, on_progress=stop)
    (other / "notes.txt").write_text("mine")
    settings = CohortSettings(patients=2, seed=5)
    assert write_cohort(other, settings) is None
    assert write_cohort(other, settings) == []
    image = other / "Case_P001/Images/Case_P001.nii.gz"
    image.write_bytes(image.read_bytes()[:500])
    (other / "truth.csv").unlink()
    assert write_cohort(other, settings) == ["Case_P001/Images/Case_P001.nii.gz", "truth.csv"]
    assert (other / "notes.txt").read_text() == "mine"
    (other / "notes.txt").unlink()
    assert digest(other) == digest(whole)
    for change in ({"seed": 6}, {"patients": 3}, {"positive": 0.1}, {"non_ischaemic": 0.9}):
        with pytest.raises(RunError, match=f"{next(iter(change))} was"):
            simulate_patients(other, **({"patients": 2, "seed": 5} | change))
    (other / MANIFEST).unlink()
    with pytest.raises(RunError, match=r"version 0\.1\.0"):
        simulate_patients(other, patients=2, seed=5)
