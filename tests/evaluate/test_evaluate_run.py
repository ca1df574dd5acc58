"""A run read back from its files and judged: the same cases as were painted, and no judge who took part."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lgesynthnet.data.declaration import DECLARATION
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, ModelError, RunError
from lgesynthnet.evaluate.independence import auditor_of, roles_in_run
from lgesynthnet.evaluate.request import EvaluationRequest
from lgesynthnet.evaluate.result_rows import COLUMNS
from lgesynthnet.evaluate.run import evaluate_alignment, evaluate_realism, gather_cases
from lgesynthnet.evaluate.run_cases import painted_cases
from lgesynthnet.model_store import segmenter_fingerprint, weights_folder
from lgesynthnet.phantom.cohort import simulate_patients
from lgesynthnet.records import Label, scar_of
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.plan import SynthesisPlan
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.synthesize import synthesize
from lgesynthnet.terms import Prior, Role

pytestmark = pytest.mark.usefixtures("few_draws")

PHANTOM = weights_folder() / "phantom"


def paint(hosts: Path, out: Path, **more) -> Path:
    request = SynthesisRequest(hosts=CohortSource(root=hosts), count=4, model="paste", prior=Prior.ISCHAEMIC, seed=3, **more)
    synthesize(plan_synthesis(request), out)
    return out


@pytest.fixture(scope="module")
def hosts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hearts") / "simulated ♥"
    simulate_patients(folder, patients=4, seed=5, positive=0.5)
    return folder


@pytest.fixture(scope="module")
def run(hosts, tmp_path_factory) -> Path:
    return paint(hosts, tmp_path_factory.mktemp("runs") / "run")


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


class TestReadingBack:
    def test_kept_samples_come_back_with_their_scar_and_nothing_changed_outside_the_hidden_region(self, run):
        folder = RunFolder.open(run)
        cases = painted_cases(folder, folder.hosts())
        kept = [row for row in rows_of(run / "samples.csv") if row["kept"] == "1"]
        assert [case.name for case in cases] == [row["id"] for row in kept]
        for case, row in zip(cases, kept, strict=True):
            assert case.patient == row["host"]
            assert case.scar.sum() * case.frame.pixel_mm2 == pytest.approx(float(row["intended_mm2"]), abs=0.01)
            assert case.image.dtype == case.host.image.dtype
            np.testing.assert_array_equal(case.image[~case.hidden], case.host.image[~case.hidden])
            assert (case.image != case.host.image).any()

    def test_all_takes_the_rejected_ones_too(self, run):
        folder = RunFolder.open(run)
        painted = sum(bool(row["file"]) for row in rows_of(run / "samples.csv"))
        assert len(painted_cases(folder, folder.hosts(), kept_only=False)) == painted

    def test_a_scar_that_the_host_had_is_not_taken_for_the_painted_one(self, hosts, tmp_path):
        run = paint(hosts, tmp_path / "run", hosts_with_scar=True, keep_all=True)
        folder = RunFolder.open(run)
        cases = painted_cases(folder, folder.hosts(), kept_only=False)
        areas = {row["id"]: float(row["intended_mm2"]) for row in rows_of(run / "samples.csv") if row["file"]}
        assert any(case.host.scar.any() for case in cases)
        for case in cases:
            assert case.scar.sum() * case.frame.pixel_mm2 == pytest.approx(areas[case.name], abs=0.01)

    def test_hosts_that_moved_are_found_by_name_and_hosts_that_changed_are_refused(self, run, hosts, tmp_path):
        moved = tmp_path / "moved"
        shutil.copytree(hosts, moved)
        folder = RunFolder.open(run)
        with pytest.raises(InputError, match="--hosts"):
            folder.hosts(tmp_path / "gone")
        assert folder.hosts(moved).fingerprint == folder.plan.hosts_fingerprint
        assert (moved / DECLARATION).is_file()
        shutil.rmtree(next(path for path in sorted(moved.iterdir()) if path.is_dir()))
        with pytest.raises(RunError, match="not the hosts that the run painted into"):
            folder.hosts(moved)

    def test_a_folder_that_is_no_run_is_one_line(self, tmp_path):
        with pytest.raises(RunError, match=r"plan\.json"):
            gather_cases(EvaluationRequest(run=tmp_path))


class TestWhoMayJudge:
    def plan(self, run, **change) -> SynthesisPlan:
        plan = SynthesisPlan.read(run / "plan.json")
        if "model" in change:
            change["request"] = replace(plan.request, model=change.pop("model"))
        return plan.model_copy(update=change)

    def test_the_shipped_auditor_judges_where_the_model_has_none(self, run):
        assert auditor_of(self.plan(run)).fingerprint == TrainedScarSegmenter.from_pretrained(PHANTOM / "auditor", Role.AUDITOR).fingerprint

    def test_the_filter_of_the_run_is_refused(self, run):
        plan = self.plan(run, filter_fingerprint=segmenter_fingerprint(PHANTOM / "filter"))
        with pytest.raises(RunError, match="filtered the run"):
            auditor_of(plan, PHANTOM / "filter")

    def test_an_auditor_that_filtered_is_refused_whatever_it_is_called(self, run):
        with pytest.raises(RunError, match="filtered the run"):
            auditor_of(self.plan(run, filter_fingerprint=segmenter_fingerprint(PHANTOM / "auditor")), PHANTOM)

    def test_the_teacher_of_the_generator_is_refused(self, run):
        with pytest.raises(RunError, match=r"reward.*run's (generator|model)"):
            auditor_of(self.plan(run, model="phantom"), PHANTOM / "reward")

    def test_a_teacher_that_only_the_report_names_is_refused(self, run, tmp_path):
        (tmp_path / "reports.json").write_text(json.dumps({"reward": {"reward": segmenter_fingerprint(PHANTOM / "auditor")}}))
        with pytest.raises(RunError, match="was the reward of the run's generator"):
            auditor_of(self.plan(run, model=str(tmp_path)), PHANTOM / "auditor")

    def test_a_reader_of_another_role_is_no_auditor(self, run):
        with pytest.raises(ModelError, match="its role must not change"):
            auditor_of(self.plan(run), PHANTOM / "reward")

    def test_a_run_without_a_network_still_names_its_filter(self, run):
        plan = self.plan(run)
        assert roles_in_run(plan) == {plan.filter_fingerprint: "filtered the run"}


class TestTables:
    @pytest.fixture(scope="class")
    def alignment(self, run, hosts, tmp_path_factory):
        # One patient's slices: the auditor looks at each sixteen times.
        splits = tmp_path_factory.mktemp("parts") / "splits.json"
        splits.write_text(json.dumps({"test": [gather_cases(EvaluationRequest(run=run)).real[0].patient]}))
        return evaluate_alignment(EvaluationRequest(run=run, real=CohortSource(root=hosts), splits=splits, part="test"))

    def test_alignment_stands_beside_the_hosts_own_scarred_slices(self, alignment, run):
        rows = rows_of(run / "evaluation" / "alignment.csv")
        assert tuple(rows[0]) == COLUMNS
        [dice] = [row for row in rows if row["group"] == "all" and row["metric"] == "Dice"]
        assert int(dice["n"]) == 4
        assert float(dice["real"]) > 0.6
        assert float(dice["ratio"]) == pytest.approx(float(dice["value"]) / float(dice["real"]), rel=1e-4)
        assert any(row["group"].startswith("extent") for row in rows)
        page = (run / "evaluation" / "alignment.md").read_text()
        assert "judged by auditor-" in page
        assert "group" not in alignment.overall

    def test_realism_has_the_same_columns_and_the_same_bytes_again(self, run):
        told = []
        evaluate_realism(EvaluationRequest(run=run, every=True), on_case=lambda done, total: told.append((done, total)))
        table = run / "evaluation" / "realism.csv"
        first = table.read_bytes()
        evaluate_realism(EvaluationRequest(run=run, every=True))
        assert table.read_bytes() == first
        figures = {row["metric"]: row for row in rows_of(table)}
        assert 0 < float(figures["SSIM to host, whole slice"]["value"]) < 1
        assert figures["seam, heart units"]["goal"] == "0"
        assert told[-1][0] == told[-1][1]

    def test_only_the_patients_of_a_part_are_compared_with(self, run, hosts, tmp_path):
        every = gather_cases(EvaluationRequest(run=run))
        [first, *others] = sorted({case.patient for case in every.real})
        splits = tmp_path / "splits.json"
        splits.write_text(json.dumps({"test": [first], "train": others}))
        cases = gather_cases(EvaluationRequest(run=run, real=CohortSource(root=hosts), splits=splits, part="test", training_part="train"))
        assert {case.patient for case in cases.real} == {first}
        assert {case.patient for case in cases.training} == set(others)
        with pytest.raises(RunError, match="it has test, train"):
            gather_cases(EvaluationRequest(run=run, splits=splits, part="tests"))
        with pytest.raises(RunError, match="--splits"):
            gather_cases(EvaluationRequest(run=run, part="test"))

    def test_a_label_that_was_edited_is_named(self, run, tmp_path):
        import nibabel as nib

        copy = tmp_path / "run"
        shutil.copytree(run, copy)
        path = sorted((copy / "labels").glob("*.nii.gz"))[0]
        labels = nib.load(path)
        voxels = np.asarray(labels.dataobj).copy()
        voxels[scar_of(voxels)] = Label.WALL
        nib.save(nib.Nifti1Image(voxels, labels.affine, labels.header), path)
        with pytest.raises(RunError, match=f"{path.name}.*was one of the two files edited"):
            gather_cases(EvaluationRequest(run=copy))
