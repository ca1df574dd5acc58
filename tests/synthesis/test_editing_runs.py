"""Runs that remove, move and replace scar: what is stored, that the stored scar is what changed, and pairs with their twins."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from factories import run_command, write_hosts, write_patient

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, PrescriptionError, RunError
from lgesynthnet.evaluate.run_cases import painted_cases
from lgesynthnet.prescription.edits import NoEnhancement
from lgesynthnet.records import Label, scar_of
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.synthesize import synthesize
from lgesynthnet.terms import Edit, Prior


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """Two patients with scar and one without."""
    root = write_hosts(tmp_path_factory.mktemp("edited") / "hosts", 1)
    for number in (1, 2):
        write_patient(root, f"P00{number}", seed=8 + number, scar=True)
    return root


def painted(hosts, out, **settings) -> RunFolder:
    request = SynthesisRequest(hosts=CohortSource(root=hosts), model="paste", count=4, keep_all=True, seed=5, **settings)
    synthesize(plan_synthesis(request), out)
    return RunFolder.open(out)


def pairs(run):
    """Each sample of a run with its host."""
    pool = run.hosts()
    entries = {(entry.patient, entry.index): entry for entry in pool.entries}
    return [(row, run.sample(row), pool.fetch(entries[row.host, row.slice_index])) for row in run.painted(kept_only=False)]


@pytest.mark.parametrize("edit", [Edit.REMOVE, Edit.MOVE, Edit.REPLACE])
def test_what_was_removed_is_stored_and_is_all_that_the_host_had(hosts, tmp_path, edit):
    run = painted(hosts, tmp_path / "run", edit=edit, prior=Prior.ISCHAEMIC if edit is Edit.MOVE else None, twins=True)
    for row, sample, host in pairs(run):
        assert row.host.startswith("P")
        assert row.edit is edit
        np.testing.assert_array_equal(scar_of(sample.removed), host.slice_.scar)
        assert row.removed_mm2 == pytest.approx(scar_of(sample.removed).sum() * host.frame.pixel_mm2, abs=0.01)
        np.testing.assert_array_equal(scar_of(sample.labels), sample.intended_scar)
        np.testing.assert_array_equal(sample.image[~sample.hidden], host.slice_.image[~sample.hidden])
        assert (sample.image != host.slice_.image).any()
        assert row.prescription == NoEnhancement() if edit is Edit.REMOVE else row.prescription.segments
        assert sample.hidden[host.slice_.scar].all()


@pytest.mark.parametrize("edit", [Edit.ADD, Edit.REMOVE, Edit.MOVE, Edit.REPLACE])
def test_a_twin_differs_from_its_sample_in_the_scar_alone(hosts, tmp_path, edit):
    run = painted(hosts, tmp_path / "run", edit=edit, prior=None if edit in (Edit.REMOVE, Edit.REPLACE) else Prior.ISCHAEMIC, twins=True)
    for _, sample, host in pairs(run):
        twin = sample.twin
        np.testing.assert_array_equal(twin.image[~sample.hidden], sample.image[~sample.hidden])
        assert twin.scar.any() == (edit is Edit.REMOVE)
        assert scar_of(sample.labels).any() != twin.scar.any()
        np.testing.assert_array_equal(twin.labels == Label.CAVITY, host.slice_.labels == Label.CAVITY)
        if edit in (Edit.ADD, Edit.REMOVE):
            np.testing.assert_array_equal(twin.image, host.slice_.image)


def test_replaced_scar_is_as_bright_as_asked_for(hosts, tmp_path):
    levels = []
    for brightness in (5.0, 95.0):
        run = painted(hosts, tmp_path / f"at-{brightness}", edit=Edit.REPLACE, brightness=brightness)
        assert {row.prescription.intensity_percentile for row in run.rows} == {brightness}
        levels.append(np.mean([sample.image[sample.intended == Label.SCAR].mean() for _, sample, _ in pairs(run)]))
    assert levels[0] < levels[1]


def test_lines_with_edits_of_their_own_go_to_the_slices_that_they_are_for(hosts, tmp_path):
    wishes = [
        '{"edit": "remove"}',
        '{"edit": "replace", "intensity_percentile": 30}',
        '{"text": "Transmural enhancement in the mid lateral wall"}',
    ]
    (tmp_path / "wishes.jsonl").write_text("\n".join(wishes))
    run = painted(hosts, tmp_path / "run", prescriptions=tmp_path / "wishes.jsonl")
    found = [(row.edit, row.host.startswith("P")) for row in run.rows]
    assert found == [(Edit.REMOVE, True), (Edit.REPLACE, True), (Edit.ADD, found[2][1]), (Edit.REMOVE, True)]
    scar_before = [host.slice_.scar.any() for _, _, host in pairs(run)]
    assert scar_before == [True, True, False, True]


def test_a_run_that_only_removes_scar_has_none_to_evaluate_and_one_that_moves_it_has(hosts, tmp_path):
    removed = painted(hosts, tmp_path / "removed", edit=Edit.REMOVE)
    with pytest.raises(RunError, match="only removes scar"):
        painted_cases(removed, removed.hosts(), kept_only=False)
    moved = painted(hosts, tmp_path / "moved", edit=Edit.MOVE, prior=Prior.ISCHAEMIC)
    for case in painted_cases(moved, moved.hosts(), kept_only=False):
        assert not case.existing.any()


def test_an_evaluation_that_fails_leaves_a_finished_run_finished(hosts, tmp_path):
    run = painted(hosts, tmp_path / "run", edit=Edit.REMOVE)
    assert run.is_finished
    assert run_command("evaluate", "alignment", run.path).returncode != 0
    assert RunFolder.open(run.path).is_finished


def test_moving_draws_again_until_the_scar_lies_elsewhere(hosts, tmp_path):
    run = painted(hosts, tmp_path / "run", edit=Edit.MOVE, prior=Prior.ISCHAEMIC)
    assert all(row.file for row in run.rows)
    for _, sample, host in pairs(run):
        assert (sample.intended_scar & host.slice_.scar).sum() <= 0.25 * sample.intended_scar.sum()


def test_an_interrupted_run_of_pairs_goes_on_with_the_same_bytes(hosts, tmp_path):
    request = SynthesisRequest(
        hosts=CohortSource(root=hosts), model="paste", count=4, keep_all=True, seed=5, edit=Edit.MOVE, prior=Prior.ISCHAEMIC, twins=True
    )
    synthesize(plan_synthesis(request), tmp_path / "whole")
    synthesize(plan_synthesis(replace(request, count=2)), tmp_path / "parts")
    victim = next((tmp_path / "parts" / "twin-images").iterdir())
    victim.write_bytes(victim.read_bytes()[:100])
    result = synthesize(plan_synthesis(request), tmp_path / "parts")
    assert "twin-images" in result.repaired[0]
    for path in sorted((tmp_path / "whole").rglob("*.nii.gz")):
        assert path.read_bytes() == (tmp_path / "parts" / path.relative_to(tmp_path / "whole")).read_bytes()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"edit": Edit.REMOVE, "prior": Prior.ISCHAEMIC}, "works on the scar that a slice holds, so --prior must be left out"),
        ({"edit": Edit.MOVE}, "exactly one of --text, --prescriptions or --prior"),
        ({"edit": Edit.REMOVE, "brightness": 20.0}, "belong to --edit replace"),
        ({"edit": Edit.REPLACE, "brightness": 120.0}, "in .0, 100."),
        ({"edit": Edit.REPLACE, "transmurality": 0.0}, "in .0, 1."),
    ],
)
def test_a_request_that_contradicts_itself_is_refused(hosts, settings, reason):
    with pytest.raises(RunError, match=reason):
        SynthesisRequest(hosts=CohortSource(root=hosts), count=1, **settings)


def test_hosts_without_scar_are_refused_for_all_edits_but_add(tmp_path):
    healthy = write_hosts(tmp_path / "hosts", 1)
    with pytest.raises(InputError, match="no usable slice holds scar"):
        plan_synthesis(SynthesisRequest(hosts=CohortSource(root=healthy), model="paste", count=1, edit=Edit.REMOVE))
    (tmp_path / "wishes.jsonl").write_text('{"edit": "remove"}\n{"text": "Transmural enhancement in the lateral wall"}')
    with pytest.raises(PrescriptionError, match="prescription 1 is for slices with 25 mm² of scar or more"):
        plan_synthesis(SynthesisRequest(hosts=CohortSource(root=healthy), model="paste", count=1, prescriptions=tmp_path / "wishes.jsonl"))


def test_a_pair_leaves_in_one_fold_and_each_names_the_other(hosts, tmp_path):
    write_patient(hosts, "P003", seed=21, scar=True)
    run = painted(hosts, tmp_path / "run", edit=Edit.REPLACE, twins=True)
    done = run_command("export", "nnunet", run.path, tmp_path / "out", "--all", "--folds", 2, "--dataset-id", 77)
    assert done.returncode == 0, done.stderr
    folder = next(path.parent for path in (tmp_path / "out").rglob("cases.csv"))
    lines = [line.split(",") for line in (folder / "cases.csv").read_text().splitlines()]
    head, rows = lines[0], lines[1:]
    named = {row[0]: row[head.index("twin")] for row in rows if row[head.index("origin")] == "synthetic"}
    assert len(named) == 8
    assert all(named[other] == one and {one, other} == {min(one, other), min(one, other) + "-twin"} for one, other in named.items())
    for fold in json.loads(next((tmp_path / "out").rglob("splits_final.json")).read_text()):
        assert all((one in fold["train"]) == (other in fold["train"]) for one, other in named.items())
    for one in named:
        if one.endswith("-twin"):
            label = nib.load(next((tmp_path / "out").rglob(f"{one}.nii.gz"))).get_fdata()
            assert not np.isin(label, (3, 4)).any()


def test_a_scar_cannot_be_moved_to_nowhere(hosts):
    request = SynthesisRequest(hosts=CohortSource(root=hosts), model="paste", text="No late enhancement", edit=Edit.MOVE, count=2)
    with pytest.raises(PrescriptionError, match=r"--edit move .* leave --edit out"):
        plan_synthesis(request)
    assert plan_synthesis(replace(request, edit=Edit.ADD)).plan.prescriptions[0].edit is Edit.REMOVE
