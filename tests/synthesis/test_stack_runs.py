"""Runs of whole hearts: one scar runs through the stack, every other voxel is the host's, and the same plan gives the same bytes."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_files import patient, save, series, write_icontours
from factories import run_command, write_hosts, write_patient

from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, PrescriptionError, RunError
from lgesynthnet.evaluate.run_cases import painted_cases
from lgesynthnet.prescription.edits import NoEnhancement, OwnScar
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.scar import Pattern
from lgesynthnet.records import scar_of, wall_of
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.run.sample_row import OF_REJECTED
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.synthesize import synthesize, synthesize_run
from lgesynthnet.terms import Edit, Prior

SENTENCE = "Transmural LAD infarct from base to apex"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """Two healthy patients with five slices, base first."""
    root = tmp_path_factory.mktemp("hearts") / "hosts"
    for number in (1, 2):
        write_patient(root, f"N00{number}", seed=number, slices=5, rv=True)
    write_declaration(root, labels="lgesynthnet", base_first=True)
    return root


@pytest.fixture(scope="module")
def scarred(tmp_path_factory):
    root = tmp_path_factory.mktemp("scarred") / "hosts"
    for number in (1, 2):
        write_patient(root, f"P00{number}", seed=number, slices=4, scar=True, rv=True)
    write_declaration(root, labels="lgesynthnet", base_first=True)
    return root


def painted(hosts, out, **settings) -> RunFolder:
    defaults = {"model": "paste", "stacks": True, "keep_all": True, "seed": 5}
    if settings.get("per_host") is None:
        defaults["count"] = 3
    synthesize_run(SynthesisRequest(hosts=CohortSource(root=hosts), **(defaults | settings)), out)
    return RunFolder.open(out)


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


@pytest.fixture(scope="module")
def run(hosts, tmp_path_factory):
    return painted(hosts, tmp_path_factory.mktemp("run") / "run", text=SENTENCE)


def test_a_stack_lies_where_its_host_lies_and_differs_in_the_hidden_voxels_alone(run):
    for stack in run.painted_stacks(kept_only=False):
        host = nib.load(run.host_files[stack.host].image_path)
        image = nib.load(run.image(stack))
        assert image.shape == host.shape
        np.testing.assert_array_equal(image.affine, host.affine)
        assert image.header.get_data_dtype() == host.header.get_data_dtype()
        assert bytes(image.header["descrip"].item()).startswith(b"SYNTHETIC")
        hidden, intended = voxels(run.part(stack, "hidden")) > 0, voxels(run.part(stack, "intended"))
        np.testing.assert_array_equal(np.asarray(image.dataobj)[~hidden], np.asarray(host.dataobj)[~hidden])
        assert stack.max_change_outside == 0
        labels, before = voxels(run.part(stack, "labels")), voxels(run.host_files[stack.host].label_path)
        np.testing.assert_array_equal(labels[intended > 0], intended[intended > 0])
        np.testing.assert_array_equal(labels[intended == 0], before[intended == 0])


def test_one_scar_runs_through_all_slices_and_its_numbers_are_those_of_the_volume(run):
    for stack in run.stacks:
        labels, intended = voxels(run.part(stack, "labels")), voxels(run.part(stack, "intended"))
        assert (intended > 0).any(axis=(0, 1)).all()
        voxel_ml = 1.5 * 1.5 * 10 / 1000
        assert stack.intended_ml == pytest.approx((intended > 0).sum() * voxel_ml, abs=2e-3)
        assert stack.wall_ml == pytest.approx(wall_of(labels).sum() * voxel_ml, abs=2e-3)
        assert stack.burden == pytest.approx(scar_of(labels).sum() / wall_of(labels).sum(), abs=1e-4)
        assert stack.slices == intended.shape[2]
        assert set(stack.segments) <= {1, 2, 7, 8, 13, 14}
        assert isinstance(stack.prescription, HeartScar)


def test_every_painted_slice_has_a_row_that_reads_its_slice_of_the_volume(run):
    by_stack = Counter(row.stack for row in run.rows)
    assert by_stack == {stack.id: stack.slices for stack in run.stacks}
    for row in run.rows:
        stack = next(stack for stack in run.stacks if stack.id == row.stack)
        assert row.file == stack.file
        assert row.id == f"{stack.id}_z{row.slice_index:02d}"
        sample = run.sample(row)
        assert sample.slice_.index == row.slice_index
        assert int(sample.intended_scar.sum()) == int((voxels(run.part(stack, "intended"))[:, :, row.slice_index] > 0).sum())
    cases = painted_cases(run, run.hosts(), kept_only=False)
    assert [case.name for case in cases] == [row.id for row in run.rows]


def test_levels_follow_the_positions_from_base_to_apex(run):
    for stack in run.stacks:
        levels = [row.level.value for row in run.rows if row.stack == stack.id]
        assert levels == ["basal", "basal", "mid", "apical", "apical"]
        assert [set(row.prescription.segments) <= {1, 2} for row in run.rows if row.stack == stack.id][:2] == [True, True]


def test_a_heart_that_is_stored_from_the_apex_gets_the_same_scar_upside_down(hosts, tmp_path):
    """Position and not index decides where a scar lies."""
    turned = tmp_path / "turned"
    shutil.copytree(hosts, turned)
    for path in turned.glob("Case_*/*/*.nii.gz"):
        image = nib.load(path)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[:, :, ::-1], image.affine, image.header), path)
    (turned / "lgesynthnet.json").unlink()
    write_declaration(turned, labels="lgesynthnet", base_first=False)
    settings = {"text": "Transmural LAD infarct from mid to apex, seed 3", "count": 1}
    one, other = painted(hosts, tmp_path / "one", **settings), painted(turned, tmp_path / "other", **settings)
    (a,), (b,) = one.stacks, other.stacks
    assert a.host == b.host
    np.testing.assert_array_equal(voxels(one.part(a, "intended")), voxels(other.part(b, "intended"))[:, :, ::-1])
    assert not voxels(one.part(a, "intended"))[:, :, 0].any()


def test_the_same_command_gives_the_same_bytes_at_once_or_in_parts(hosts, tmp_path):
    settings = {"hosts": CohortSource(root=hosts), "model": "paste", "stacks": True, "keep_all": True, "prior": Prior.ISCHAEMIC, "seed": 9}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    synthesize_run(SynthesisRequest(count=4, **settings), whole)
    for count in (1, 2, 4):
        synthesize_run(SynthesisRequest(count=count, **settings), parts)
    files = sorted(path.relative_to(whole) for path in whole.glob("*/*.nii.gz"))
    assert len(files) == 4 * 5
    for name in files:
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name
    without_seconds = [[(k, v) for k, v in row.cells().items() if k != "seconds"] for row in RunFolder.open(whole).stacks]
    assert without_seconds == [[(k, v) for k, v in row.cells().items() if k != "seconds"] for row in RunFolder.open(parts).stacks]


def test_a_damaged_stack_is_painted_again(hosts, tmp_path):
    request = SynthesisRequest(
        hosts=CohortSource(root=hosts), model="paste", stacks=True, keep_all=True, prior=Prior.UNIFORM, seed=2, count=2
    )
    synthesize_run(request, tmp_path)
    run = RunFolder.open(tmp_path)
    victim = run.part(run.stacks[0], "read")
    before = victim.read_bytes()
    victim.write_bytes(before[:-7])
    result = synthesize_run(request, tmp_path)
    assert len(result.repaired) == 1
    assert victim.read_bytes() == before
    assert len(RunFolder.open(tmp_path).rows) == len(run.rows)


def test_every_patient_gets_as_many_stacks_as_asked_for_and_no_more(hosts, tmp_path):
    run = painted(hosts, tmp_path, prior=Prior.NON_ISCHAEMIC, per_host=3)
    assert Counter(stack.host for stack in run.stacks) == {"N001": 3, "N002": 3}
    assert len({stack.prescription for stack in run.stacks}) == 6
    assert run.plan.request.count == 6


def test_a_rejected_stack_keeps_none_of_its_slices(hosts, tmp_path, monkeypatch):
    monkeypatch.setattr("lgesynthnet.quality.stack_verdict.KEPT_SLICES_FROM", 1.1)
    run = painted(hosts, tmp_path, text=SENTENCE, keep_all=False, count=1, max_attempts=2)
    assert [stack.reason for stack in run.stacks] == ["slices-rejected"] * 2
    assert [stack.kept_slices for stack in run.stacks] == [5, 5]
    assert {row.reason for row in run.rows} == {OF_REJECTED}
    assert not any(row.kept for row in run.rows)
    assert all(row.file.startswith("rejected/images/") for row in run.rows)


class TestEdits:
    def test_a_removed_scar_is_gone_from_every_slice(self, scarred, tmp_path):
        run = painted(scarred, tmp_path, edit=Edit.REMOVE, twins=True, count=2)
        for stack in run.painted_stacks(kept_only=False):
            before = voxels(run.host_files[stack.host].label_path)
            assert not scar_of(voxels(run.part(stack, "labels"))).any()
            np.testing.assert_array_equal(scar_of(voxels(run.part(stack, "removed"))), scar_of(before))
            np.testing.assert_array_equal(voxels(run.part(stack, "twin-labels")), before)
            assert stack.prescription == NoEnhancement()
            assert stack.removed_ml == pytest.approx(scar_of(before).sum() * 1.5 * 1.5 * 10 / 1000, abs=2e-3)

    def test_a_moved_scar_leaves_its_place_in_every_slice(self, scarred, tmp_path):
        run = painted(scarred, tmp_path, edit=Edit.MOVE, text=SENTENCE, count=1)
        (stack,) = run.painted_stacks(kept_only=False)
        intended, removed = voxels(run.part(stack, "intended")) > 0, voxels(run.part(stack, "removed")) > 0
        labels = voxels(run.part(stack, "labels"))
        np.testing.assert_array_equal(scar_of(labels), intended)
        assert removed.any(axis=(0, 1)).all()
        assert (labels[removed & ~intended] == 2).all()

    def test_a_replaced_scar_stays_in_its_place(self, scarred, tmp_path):
        run = painted(scarred, tmp_path, edit=Edit.REPLACE, brightness=90.0, count=1)
        (stack,) = run.painted_stacks(kept_only=False)
        assert stack.prescription == OwnScar(intensity_percentile=90.0)
        before = voxels(run.host_files[stack.host].label_path)
        np.testing.assert_array_equal(scar_of(voxels(run.part(stack, "labels"))), scar_of(before))

    def test_a_scar_is_not_moved_onto_itself(self, scarred, tmp_path):
        run = painted(
            scarred,
            tmp_path,
            edit=Edit.MOVE,
            text="Transmural enhancement in the inferolateral wall, smooth border",
            count=1,
            max_attempts=1,
        )
        (stack,) = run.stacks
        assert stack.reason == "unpaintable"
        assert "lies where the old one is" in stack.why

    def test_hearts_with_scar_are_left_alone_unless_asked_for(self, scarred, tmp_path):
        with pytest.raises(InputError, match="--hosts-with-scar"):
            painted(scarred, tmp_path / "a", prior=Prior.ISCHAEMIC)
        run = painted(scarred, tmp_path / "b", prior=Prior.ISCHAEMIC, hosts_with_scar=True, count=1)
        (stack,) = run.stacks
        kept = scar_of(voxels(run.host_files[stack.host].label_path))
        assert scar_of(voxels(run.part(stack, "labels")))[kept].all()

    def test_in_a_mixed_cohort_scar_is_added_to_healthy_hearts_and_removed_from_the_others(self, hosts, scarred, tmp_path):
        mixed = tmp_path / "mixed"
        shutil.copytree(hosts, mixed)
        for folder in scarred.glob("Case_P*"):
            shutil.copytree(folder, mixed / folder.name)
        added = painted(mixed, tmp_path / "added", prior=Prior.ISCHAEMIC, per_host=2)
        assert Counter(stack.host for stack in added.stacks) == {"N001": 2, "N002": 2}
        removed = painted(mixed, tmp_path / "removed", edit=Edit.REMOVE, per_host=1)
        assert Counter(stack.host for stack in removed.stacks) == {"P001": 1, "P002": 1}


class TestHeartsThatCannotBePainted:
    def test_slices_at_the_ends_keep_their_pixels_and_are_listed(self, tmp_path):
        image = write_patient(tmp_path / "hosts", "N001", seed=1, slices=5, rv=True)
        label = image.parents[1] / "Contours" / image.name
        stored = nib.load(label)
        open_ring = np.asarray(stored.dataobj).copy()
        open_ring[:32, :, 4][open_ring[:32, :, 4] == 2] = 0  # half of the last wall is missing
        nib.save(nib.Nifti1Image(open_ring, stored.affine), label)
        write_declaration(tmp_path / "hosts", labels="lgesynthnet", base_first=True)
        run = painted(tmp_path / "hosts", tmp_path / "run", text=SENTENCE, count=1)
        (stack,) = run.stacks
        assert stack.slices == 4
        assert stack.left_out.startswith("slice 4: ")
        np.testing.assert_array_equal(voxels(run.image(stack))[:, :, 4], voxels(image)[:, :, 4])

    def test_a_gap_in_the_middle_takes_the_patient_out(self, tmp_path):
        root = write_hosts(tmp_path / "hosts", 1, rv=True)
        image = write_patient(root, "N002", seed=2, slices=5, rv=True)
        label = image.parents[1] / "Contours" / image.name
        stored = nib.load(label)
        broken = np.asarray(stored.dataobj).copy()
        broken[:32, :, 2][broken[:32, :, 2] == 2] = 0
        nib.save(nib.Nifti1Image(broken, stored.affine), label)
        request = SynthesisRequest(hosts=CohortSource(root=root), model="paste", stacks=True, text=SENTENCE, count=1)
        plan = plan_synthesis(request).plan
        assert any(skipped.name == "N002" and "slice 2 between its usable slices" in skipped.reason for skipped in plan.skipped)
        only = SynthesisRequest(hosts=CohortSource(root=root, patients=("N002",)), model="paste", stacks=True, text=SENTENCE, count=1)
        with pytest.raises(InputError, match="no patient has a whole heart"):
            plan_synthesis(only)

    def test_a_scar_that_reaches_no_slice_is_unpaintable_and_says_where_the_slices_lie(self, hosts, tmp_path):
        line = HeartScar(segments=frozenset({7, 8}), pattern=Pattern.TRANSMURAL, transmurality=1.0, extent=(0.55, 0.6)).to_json()
        (tmp_path / "lines.jsonl").write_text(line + "\n")
        run = painted(hosts, tmp_path / "run", prescriptions=tmp_path / "lines.jsonl", count=1, max_attempts=1)
        assert run.stacks[0].reason == "unpaintable"
        assert "0.10, 0.30, 0.50, 0.70, 0.90" in run.stacks[0].why


class TestRequests:
    def test_a_count_is_needed_without_a_number_for_each_host(self, hosts):
        with pytest.raises(RunError, match="give --count"):
            SynthesisRequest(hosts=CohortSource(root=hosts), prior=Prior.ISCHAEMIC)
        with pytest.raises(RunError, match="--per-host belongs to --stacks"):
            SynthesisRequest(hosts=CohortSource(root=hosts), prior=Prior.ISCHAEMIC, per_host=2)

    def test_a_run_of_slices_is_not_continued_with_stacks(self, hosts, tmp_path):
        settings = {"hosts": CohortSource(root=hosts), "model": "paste", "keep_all": True, "prior": Prior.ISCHAEMIC, "count": 1}
        synthesize_run(SynthesisRequest(**settings), tmp_path)
        with pytest.raises(RunError, match="begun with another plan: stacks was false, is now true"):
            synthesize(plan_synthesis(SynthesisRequest(**settings, stacks=True)), tmp_path)

    def test_lines_for_patients_and_edits_are_taken_in_turn(self, scarred, tmp_path):
        scar = json.loads(HeartScar(segments=frozenset({1, 7, 13}), pattern=Pattern.SUBENDOCARDIAL, transmurality=0.5).to_json())
        lines = [{"edit": "remove"}, {**scar, "edit": "move", "patients": ["P002"]}]
        (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
        run = painted(scarred, tmp_path / "run", prescriptions=tmp_path / "lines.jsonl", count=2)
        assert [stack.edit for stack in run.stacks] == [Edit.REMOVE, Edit.MOVE]
        assert run.stacks[1].host == "P002"

    def test_a_prescription_for_patients_without_a_heart_is_refused(self, hosts, tmp_path):
        scar = HeartScar(segments=frozenset({1}), pattern=Pattern.TRANSMURAL, transmurality=1.0)
        (tmp_path / "lines.jsonl").write_text(json.dumps({**json.loads(scar.to_json()), "patients": ["X"]}) + "\n")
        with pytest.raises(PrescriptionError, match="who have no usable host"):
            painted(hosts, tmp_path / "run", prescriptions=tmp_path / "lines.jsonl")

    def test_the_command_line_paints_hearts_and_the_shared_command_makes_them_again(self, hosts, tmp_path):
        ended = run_command(
            "synthesize", "--hosts", hosts, "--model", "paste", "--stacks", "--prior", "ischaemic", "--per-host", 1, "--keep-all",
            "--out", tmp_path,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        run = RunFolder.open(tmp_path)
        assert {"--stacks", "--per-host"} <= set(run.shared_command.split())
        verified = run_command("verify", tmp_path)
        assert verified.returncode == 0, verified.stderr
        assert "nothing is damaged" in verified.stdout


class TestWhatAReviewFound:
    def test_the_host_s_own_scar_is_not_in_the_volume_that_was_read(self, scarred, tmp_path):
        run = painted(scarred, tmp_path, text="Transmural enhancement in the anterior wall", hosts_with_scar=True, count=1)
        (stack,) = run.stacks
        read_mm2 = sum(row.read_mm2 for row in run.rows)
        assert stack.read_ml == pytest.approx(read_mm2 * 10 / 1000, abs=2e-3)
        assert stack.read_ml < 1.7 * stack.intended_ml

    def test_false_scar_in_a_slice_that_was_only_healed_lowers_the_dice_of_the_stack(self, scarred, tmp_path):
        run = painted(scarred, tmp_path, edit=Edit.MOVE, text="Transmural enhancement in the basal anterior wall", count=1)
        (stack,) = run.stacks
        rows = {row.slice_index: row for row in run.rows}
        shared = sum((row.dice or 0) * (row.intended_mm2 + row.read_mm2) for row in rows.values())
        assert stack.dice == pytest.approx(shared / sum(row.intended_mm2 + row.read_mm2 for row in rows.values()), abs=2e-4)
        assert any(row.edit is Edit.REMOVE for row in rows.values())

    def test_a_shard_cannot_count_the_samples_of_a_patient(self, hosts):
        with pytest.raises(RunError, match="leave --shard out"):
            SynthesisRequest(hosts=CohortSource(root=hosts), stacks=True, prior=Prior.ISCHAEMIC, per_host=2, shard="1/2")

    def test_more_samples_than_the_patients_may_have_are_refused_at_once(self, hosts):
        request = SynthesisRequest(hosts=CohortSource(root=hosts), model="paste", stacks=True, prior=Prior.ISCHAEMIC, per_host=3, count=30)
        with pytest.raises(RunError, match="2 hearts with --per-host 3 make at most 6"):
            plan_synthesis(request)

    def test_scar_in_a_slice_that_cannot_be_used_counts(self, tmp_path):
        image = write_patient(tmp_path / "hosts", "P001", seed=1, slices=4, rv=True, scar=True)
        label = image.parents[1] / "Contours" / image.name
        stored = nib.load(label)
        voxels_ = np.asarray(stored.dataobj).copy()
        voxels_[:, :, 1:][voxels_[:, :, 1:] == 3] = 2  # scar is left in the first slice alone, whose ring is open
        voxels_[:32, :, 0][voxels_[:32, :, 0] == 2] = 0
        nib.save(nib.Nifti1Image(voxels_, stored.affine), label)
        write_declaration(tmp_path / "hosts", labels="lgesynthnet", base_first=True)
        source = CohortSource(root=tmp_path / "hosts")
        with pytest.raises(InputError, match="--hosts-with-scar"):
            plan_synthesis(SynthesisRequest(hosts=source, model="paste", stacks=True, prior=Prior.ISCHAEMIC, count=1))
        run = painted(tmp_path / "hosts", tmp_path / "run", edit=Edit.REMOVE, count=1, max_attempts=1)
        assert run.stacks[0].reason == "unpaintable"
        assert "has no scar to remove" in run.stacks[0].why or "slice 0 holds scar that cannot be edited" in run.stacks[0].why


def test_a_dicom_patient_with_a_gap_is_left_out_and_the_others_are_painted(tmp_path):
    """One NIfTI file cannot hold slices that lie apart unevenly."""
    hosts = tmp_path / "hosts"
    for number, (name, missing) in enumerate((("Ada", None), ("Bob", 2))):
        who = patient(number)
        images = save(series(who, PatientID=name, StudyInstanceUID=f"1.2.4.{number}"), hosts / name, "im-")
        write_icontours(who, hosts / name, [path.stem for path in images])
        if missing is not None:
            for path in hosts.glob(f"{name}/{images[missing].stem}*"):
                path.unlink()
    request = SynthesisRequest(
        hosts=CohortSource(root=hosts), model="paste", stacks=True, text=SENTENCE, count=1, least_orientation_confidence=0.0
    )
    planned = plan_synthesis(request)
    assert [heart.patient for heart in planned.hearts] == ["Ada"]
    assert any(skipped.name == "Bob" and "lie apart unevenly" in skipped.reason for skipped in planned.plan.skipped)
