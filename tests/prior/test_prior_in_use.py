"""A learnt prior in the commands that take one: it decides the samples, the run keeps it, and another one does not go on with its run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from factories import run_command, write_patient
from prior_tables import level_table, prior_of, table

from lgesynthnet.benchmark.utility.questions.strata import PRESCRIPTIONS, prescribe_stratum
from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, ModelError, RunError
from lgesynthnet.improve.request import ImproveRequest
from lgesynthnet.improve.setup import Improvement
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.prior.choosing import open_prior
from lgesynthnet.records import Level
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.plan import SynthesisPlan
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.synthesize import synthesize, synthesize_run
from lgesynthnet.terms import Prior, Stratum

SMALL = {level: level_table(level, inside=table(width_deg=(40.0,) * 10, transmurality=(0.4,) * 10)) for level in Level}


@pytest.fixture
def prior_file(tmp_path):
    path = tmp_path / "own prior.json"
    prior_of(levels=SMALL).write(path)
    return path


@pytest.fixture
def request_(labelled_hosts, prior_file):
    return SynthesisRequest(hosts=CohortSource(root=labelled_hosts), model="paste", count=4, prior=prior_file, seed=3, keep_all=True)


class TestRuns:
    def test_every_sample_is_drawn_from_the_file_and_the_plan_keeps_it(self, request_, tmp_path):
        synthesize_run(request_, tmp_path / "run")
        run = RunFolder.open(tmp_path / "run")
        assert run.plan.fitted_prior == prior_of(levels=SMALL)
        assert {(row.prescription.transmurality, row.prescription.arc.extent_deg) for row in run.rows} == {(0.4, 40.0)}
        assert run.plan.fitted_prior.fingerprint in (tmp_path / "run" / "report.html").read_text()

    def test_the_same_seed_gives_the_same_bytes_wherever_the_file_lies(self, request_, tmp_path, contents):
        synthesize_run(request_, tmp_path / "a")
        moved = tmp_path / "elsewhere.json"
        moved.write_bytes(request_.prior.read_bytes())
        synthesize_run(replace(request_, prior=moved), tmp_path / "b")
        first, second = contents(tmp_path / "a"), contents(tmp_path / "b")
        assert [name for name in first if first[name] != second[name]] == ["plan.json"]  # which says where the file lay
        assert synthesize_run(replace(request_, prior=moved, count=5), tmp_path / "a").kept == 5

    def test_another_prior_does_not_go_on_with_the_run(self, request_, tmp_path):
        synthesize_run(request_, tmp_path / "run")
        request_.prior.unlink()
        prior_of(levels=SMALL, slices=10**7 + 1).write(request_.prior)
        with pytest.raises(RunError, match=r'prior was "learnt from 10000000 slices .*, is now "learnt from 10000001 slices'):
            synthesize_run(request_, tmp_path / "run")
        with pytest.raises(RunError, match=r'prior was "learnt from .*, is now "ischaemic"'):
            synthesize_run(replace(request_, prior=Prior.ISCHAEMIC), tmp_path / "run")

    def test_a_built_in_prior_gives_the_plan_that_it_gave_before_there_were_files(self, request_, tmp_path):
        plan = plan_synthesis(replace(request_, prior=Prior.ISCHAEMIC)).plan
        record = json.loads(plan.to_json())
        assert record.pop("fitted_prior") is None
        (tmp_path / "plan.json").write_text(json.dumps(record))  # as older versions wrote it
        assert SynthesisPlan.read(tmp_path / "plan.json").hash == plan.hash

    def test_a_plan_whose_prior_is_missing_is_refused(self, request_, tmp_path):
        record = json.loads(plan_synthesis(request_).plan.to_json())
        (tmp_path / "plan.json").write_text(json.dumps(record))
        assert SynthesisPlan.read(tmp_path / "plan.json").fitted_prior is not None
        (tmp_path / "plan.json").write_text(json.dumps(record | {"fitted_prior": None}))
        with pytest.raises(RunError, match="fitted_prior must be there"):
            SynthesisPlan.read(tmp_path / "plan.json")
        record["fitted_prior"]["levels"]["mid"]["at_border"] = 7
        (tmp_path / "plan.json").write_text(json.dumps(record))
        with pytest.raises(RunError, match="at_border must be in"):
            SynthesisPlan.read(tmp_path / "plan.json")

    def test_the_shared_command_names_no_path(self, request_, tmp_path):
        plan = plan_synthesis(request_).plan
        assert "--prior PRIOR.json" in plan.shared_command()
        assert str(request_.prior) in plan.command(tmp_path / "run").replace("'", "")
        assert request_.prior in plan.places

    def test_shards_draw_what_one_process_draws(self, request_, tmp_path):
        synthesize(plan_synthesis(request_), tmp_path / "whole")
        synthesize(plan_synthesis(replace(request_, shard="2/2")), tmp_path / "half")
        whole = {row.id: row.prescription for row in RunFolder.open(tmp_path / "whole").rows}
        half = {row.id: row.prescription for row in RunFolder.open(tmp_path / "half").rows}
        assert half
        assert half.items() <= whole.items()


class TestModels:
    def test_the_model_that_paints_sets_the_scale_of_brightness(self, prior_file, tmp_path):
        own = open_prior(prior_file).brightness_scale
        assert open_prior(prior_file, "paste").brightness_scale == own
        assert open_prior(prior_file, "phantom").brightness_scale != own
        assert open_prior(Prior.UNIFORM, "phantom") is Prior.UNIFORM
        (tmp_path / "model" / "inpainter").mkdir(parents=True)
        (tmp_path / "model" / "inpainter" / "conditioning.json").write_text('{"scar_levels": [1, 0]}')
        with pytest.raises(ModelError, match=r"conditioning\.json: scar_levels must not fall"):
            open_prior(prior_file, str(tmp_path / "model"))


class TestCommands:
    def test_prescribe_draws_from_the_file(self, prior_file):
        done = run_command("prescribe", "--prior", prior_file, "--count", 5, "--level", "mid")
        drawn = [ScarPrescription.from_json(line) for line in done.stdout.splitlines()]
        assert [(scar.transmurality, scar.arc.extent_deg) for scar in drawn] == [(0.4, 40.0)] * 5

    @pytest.mark.parametrize("command", ["prescribe", "synthesize"])
    @pytest.mark.parametrize(
        ("value", "named"),
        [
            ("ischemic", "--prior ischemic: must be one of ischaemic, non-ischaemic, uniform, or a file NAME.json"),
            ("nowhere.json", "nowhere.json: cannot be read"),
            ("BAD.json", "BAD.json: patients"),
        ],
    )
    def test_what_is_no_prior_is_one_line_and_exit_code_2(self, command, value, named, labelled_hosts, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "BAD.json").write_text(json.dumps(prior_of().record() | {"patients": "many"}))
        words = {"prescribe": (), "synthesize": ("--hosts", labelled_hosts, "--model", "paste", "-n", 1, "--out", tmp_path / "run")}
        done = run_command(command, *words[command], "--prior", value)
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert named in line
        assert not (tmp_path / "run").exists()


def test_a_kind_of_scar_is_prescribed_from_a_learnt_prior(tmp_path):
    path = prescribe_stratum(Stratum.SUBENDOCARDIAL, prior_of(levels=SMALL), tmp_path / "some.jsonl", seed=1)
    drawn = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(drawn) == PRESCRIPTIONS
    assert {line["transmurality"] for line in drawn} == {0.4}
    with pytest.raises(RunError, match=r"--prior learnt from .*: has no scars of the kind no-reflow"):
        prescribe_stratum(Stratum.NO_REFLOW, prior_of(levels=SMALL, patients=10**9, slices=10**9), tmp_path / "none.jsonl", seed=1)


class TestImprove:
    @pytest.fixture
    def asked(self, tmp_path, prior_file):
        for seed, name in enumerate(("N1", "P1", "P2")):
            write_patient(tmp_path / "patients", name, seed, scar=name[0] == "P", rv=True)
        write_declaration(tmp_path / "patients", labels="lgesynthnet", base_first=True)
        (tmp_path / "splits.json").write_text(json.dumps({"train": ["N1", "P1", "P2"]}))
        source = CohortSource(root=tmp_path / "patients")
        return ImproveRequest(data=source, splits=tmp_path / "splits.json", model="paste", init="none", prior=prior_file)

    def test_the_prior_is_read_and_decides_the_folder(self, asked, tmp_path):
        improvement = Improvement.of(asked, tmp_path / "out")
        assert improvement.prior == prior_of(levels=SMALL)
        assert improvement.prior.fingerprint in improvement.decisive()["prior"]
        assert Improvement.of(replace(asked, prior=Prior.ISCHAEMIC), tmp_path / "out").decisive()["prior"] == "ischaemic"

    def test_a_damaged_file_is_named_before_anything_is_written(self, asked, tmp_path):
        asked.prior.write_text("{}")
        with pytest.raises(InputError, match=r"own prior\.json"):
            Improvement.of(asked, tmp_path / "out")
        with pytest.raises(RunError, match=r"--prior ischemic\.txt: must be one of"):
            replace(asked, prior=Path("ischemic.txt"))
