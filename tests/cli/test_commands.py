"""The command line: output on stdout and stderr, exit codes, and modules that a quick command must not load."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from factories import run_command as run
from factories import run_process, write_hosts, write_patient

import lgesynthnet
from lgesynthnet.phantom.cohort import simulate_patients
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.prescription.grammar.phrases import PHRASES
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.terms import Prior

SENTENCE = "Transmural enhancement in the posteroseptal wall"


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory) -> Path:
    return write_hosts(tmp_path_factory.mktemp("cohort") / "hösts", patients=2, rv=True)


def loaded_by(*words: str) -> set[str]:
    """Top-level modules that are loaded after a command."""
    code = "import sys\nfrom lgesynthnet.cli.app import main\nsys.argv[0] = 'lgesynthnet'\ncode = main()\n"
    code += "print('LOADED', code, *{m.split('.')[0] for m in sys.modules}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    [line] = [line for line in done.stderr.splitlines() if line.startswith("LOADED")]
    assert line.split()[1] == "0", done.stderr
    return set(line.split()[2:])


class TestQuickToAnswer:
    HEAVY = {"torch", "transformers", "diffusers", "monai", "scipy", "skimage", "nibabel", "matplotlib", "numpy"}

    @pytest.mark.parametrize(
        "words",
        [
            ["--help"],
            ["synthesize", "--help"],
            ["segment", "--help"],
            ["train", "--help"],
            ["train", "downstream", "--help"],
            ["evaluate", "realism", "--help"],
            ["--version"],
        ],
    )
    def test_help_loads_nothing_heavy(self, words):
        assert loaded_by(*words).isdisjoint(self.HEAVY)

    def test_importing_the_package_loads_nothing_heavy(self):
        code = "import sys, lgesynthnet; lgesynthnet.ScarPrescription; print(*{m.split('.')[0] for m in sys.modules})"
        loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
        assert loaded.isdisjoint(self.HEAVY - {"numpy"})

    @pytest.mark.parametrize("words", [["prescribe", "--text", SENTENCE], ["prescribe", "--prior", "ischaemic"], ["info", "--json"]])
    def test_prescribing_and_info_need_no_torch(self, words):
        assert loaded_by(*words).isdisjoint({"torch", "transformers", "diffusers", "monai", "nibabel"})

    def test_the_baseline_paints_without_torch_where_the_rv_is_labelled(self, tmp_path):
        simulate_patients(tmp_path / "hosts", patients=1, seed=4, positive=0.0)
        words = [
            "synthesize",
            "--hosts",
            str(tmp_path / "hosts"),
            "--model",
            "paste",
            "--count",
            "1",
            "--prior",
            "uniform",
            "--out",
            str(tmp_path / "run"),
        ]
        assert loaded_by(*words).isdisjoint({"torch", "transformers", "diffusers", "monai"})


class TestPrescribe:
    def test_a_sentence_becomes_json_on_stdout_and_words_beside_it(self):
        done = run("prescribe", "--text", SENTENCE)
        prescription = ScarPrescription.from_json(done.stdout)
        assert prescription == prescribe(SENTENCE)
        assert prescription.segments == {3, 9}
        assert "sentence:" in done.stderr
        assert "caption:" in done.stderr

    def test_draws_are_the_same_for_the_same_seed_and_do_not_depend_on_how_many(self):
        ten = run("prescribe", "--prior", "ischaemic", "--count", 10, "--level", "mid", "--seed", 3).stdout.splitlines()
        four = run("prescribe", "--prior", "ischaemic", "--count", 4, "--level", "mid", "--seed", 3).stdout.splitlines()
        assert len(ten) == 10
        assert ten[:4] == four
        assert all(7 <= s <= 12 for line in ten for s in ScarPrescription.from_json(line).segments)

    def test_says_how_an_ambiguous_word_was_read(self):
        done = run("prescribe", "--text", "Transmural scar in the posterior wall")
        assert ScarPrescription.from_json(done.stdout).segments == {4, 10, 15}
        assert "note: 'posterior': read as the inferior wall" in done.stderr
        assert "note" not in run("prescribe", "--text", SENTENCE).stderr

    def test_lists_every_word_that_a_sentence_may_have(self):
        done = run("prescribe", "--words")
        assert done.stderr == ""
        listed = set(re.findall(r"[^\W_]+", done.stdout))
        read = {part for phrase in PHRASES for word in phrase for part in word.split("-") if part.isalnum()}
        assert read - listed == {"d"}  # of "d1", which is listed as one word

    def test_explains_every_part(self):
        words = run("prescribe", "--text", SENTENCE, "--explain").stderr
        for part in ("9 mid inferoseptal", "transmurality", "depth", "border"):
            assert part in words

    @pytest.mark.parametrize(
        ("words", "named"),
        [
            (["--text", "transmural enhancement in the posteroceptal wall"], "posteroceptal"),
            (["--prior", "uniform", "--level", "middle"], "basal, mid, apical"),
            ([], "--text"),
            (["--text", "x", "--prior", "uniform"], "either"),
            (["--text", SENTENCE, "--words"], "either"),
        ],
    )
    def test_what_is_not_understood_is_one_line_and_exit_code_2(self, words, named):
        done = run_process("prescribe", *words)
        assert done.returncode == 2
        assert done.stdout == ""
        [line] = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert named in line

    def test_an_unknown_prior_is_exit_code_2_and_lists_the_choices(self):
        done = run_process("prescribe", "--prior", "ischemic?")
        assert done.returncode == 2
        assert done.stdout == ""
        assert all(prior in done.stderr for prior in Prior)

    def test_verbose_adds_the_traceback(self):
        done = run("-v", "prescribe", "--text", "x")
        assert "Traceback" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("error: ")


class TestSynthesize:
    def words(self, hosts, out, *more):
        defaults = {"--model": "paste", "--count": 2}
        own = [word for option, value in defaults.items() if option not in more for word in (option, value)]
        return ("synthesize", "--hosts", hosts, *own, "--out", out, *more)

    def test_a_dry_run_prints_the_plan_and_writes_nothing(self, hosts, tmp_path):
        write_hosts(tmp_path / "hosts", 2)
        broken = tmp_path / "hosts/Case_N002/Contours/Case_N002.nii.gz"
        broken.unlink()
        before = everything(tmp_path)
        done = run(*self.words(tmp_path / "hosts", tmp_path / "run", "--text", SENTENCE, "--dry-run"))
        plan = json.loads(done.stdout)
        assert (plan["usable_hosts"], plan["request"]["count"], plan["request"]["text"]) == (3, 2, SENTENCE)
        assert [skipped["name"] for skipped in plan["skipped"]] == ["N002"]
        assert everything(tmp_path) == before

    def test_says_how_an_ambiguous_word_was_read(self, hosts, tmp_path):
        sentence = "Transmural scar in the posterior wall"
        (tmp_path / "lines.jsonl").write_text(f"{json.dumps({'text': sentence})}\n" * 12)
        for what, notes in ((("--text", sentence), 1), (("--prescriptions", tmp_path / "lines.jsonl"), 11)):
            done = run(*self.words(hosts, tmp_path / "run", *what, "--dry-run"))
            assert done.returncode == 0, done.stderr
            lines = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
            assert "'posterior': read as the inferior wall" in lines[0]
            assert len(lines) == notes
        assert lines[-1] == "note: 2 more notes on words that could have been meant otherwise"

    def test_prints_the_report_and_lists_skipped_cases(self, tmp_path):
        write_hosts(tmp_path / "hosts", 2)
        (tmp_path / "hosts/Case_N002/Contours/Case_N002.nii.gz").unlink()
        done = run(*self.words(tmp_path / "hosts", tmp_path / "run ü", "--prior", "ischaemic"))
        assert done.returncode == 0
        assert f"report: {tmp_path / 'run ü' / 'report.html'}" in done.stdout
        assert re.search(r"skipped N002: .*Case_N002\.nii\.gz", done.stderr)
        assert (tmp_path / "run ü" / "report.html").is_file()

    def test_strict_stops_with_exit_code_2(self, tmp_path):
        write_hosts(tmp_path / "hosts", 2)
        (tmp_path / "hosts/Case_N002/Contours/Case_N002.nii.gz").unlink()
        done = run(*self.words(tmp_path / "hosts", tmp_path / "run", "--prior", "ischaemic", "--strict"))
        assert done.returncode == 2
        assert "Case_N002" in done.stderr
        assert not (tmp_path / "run").exists()

    def test_a_spent_budget_is_exit_code_3(self, hosts, tmp_path):
        done = run_process(*self.words(hosts, tmp_path / "run", "--prior", "ischaemic", "--max-attempts", 1))
        assert done.returncode == 3
        assert "--max-attempts" in done.stderr

    def test_quiet_prints_only_results(self, hosts, tmp_path):
        done = run_process("-q", *self.words(hosts, tmp_path / "run", "--prior", "ischaemic"))
        assert done.stderr == ""
        assert "report:" in done.stdout

    @pytest.mark.parametrize(
        ("more", "named"),
        [
            (["--prior", "ischaemic", "--model", "nonesuch"], "paste"),
            (["--prior", "ischaemic", "--dataset", "acdc"], "verify"),
            (["--prior", "ischaemic", "--labels", "1=cavity"], "wall"),
            (["--prior", "ischaemic", "--landmarks", "nowhere.csv"], "nowhere.csv"),
            (["--prescriptions", "nowhere.jsonl"], "nowhere.jsonl"),
            ([], "--prior"),
        ],
    )
    def test_a_wrong_option_is_one_line_with_the_remedy(self, hosts, tmp_path, more, named):
        done = run_process(*self.words(hosts, tmp_path / "run", *more))
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith("error: ")
        assert named in done.stderr
        assert not (tmp_path / "run").exists()

    def test_only_patients_of_the_chosen_part_are_painted_into(self, tmp_path):
        simulate_patients(tmp_path / "hosts", patients=3, seed=4, positive=0.0)
        (tmp_path / "splits.json").write_text(json.dumps({"train": ["Case_N001", "N003"], "test": ["N002"]}))
        more = ("--prior", "uniform", "--keep-all", "--count", 12, "--splits", tmp_path / "splits.json")
        for part, chosen, painted in (("train", (), {"N001", "N003"}), ("test", ("--part", "test"), {"N002"})):
            done = run(*self.words(tmp_path / "hosts", tmp_path / part, *more, *chosen))
            assert done.returncode == 0, done.stderr
            with (tmp_path / part / "samples.csv").open(newline="", encoding="utf-8") as lines:
                assert {row["host"] for row in csv.DictReader(lines)} == painted
            assert set(json.loads((tmp_path / part / "plan.json").read_text())["patients"]) == painted

    def test_an_unknown_part_is_one_line_with_the_known_parts(self, hosts, tmp_path):
        (tmp_path / "splits.json").write_text(json.dumps({"train": ["N001"], "test": ["N002"]}))
        done = run(*self.words(hosts, tmp_path / "run", "--prior", "uniform", "--splits", tmp_path / "splits.json", "--part", "val"))
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert "no part val; it has train, test" in line
        assert not (tmp_path / "run").exists()

    def test_an_empty_folder_is_one_line(self, tmp_path):
        (tmp_path / "empty").mkdir()
        done = run(*self.words(tmp_path / "empty", tmp_path / "run", "--prior", "ischaemic"))
        assert done.returncode == 2
        assert str(tmp_path / "empty") in done.stderr


class TestVerify:
    def test_a_sound_folder_is_exit_code_0(self, hosts):
        done = run("verify", hosts, "--json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["counts"]["usable"] == 6

    def test_a_broken_one_is_exit_code_2_and_names_the_file(self, tmp_path):
        broken = write_patient(tmp_path, "N001", seed=1)
        write_patient(tmp_path, "N002", seed=2)
        broken.write_bytes(b"nothing")
        done = run("verify", tmp_path)
        assert done.returncode == 2
        assert str(broken) in done.stdout


class TestEvaluate:
    @pytest.fixture(scope="class")
    def painted(self, tmp_path_factory) -> Path:
        """A run on one simulated patient without scar, with the shipped filter."""
        folder = tmp_path_factory.mktemp("judged")
        simulate_patients(folder / "hosts", patients=1, seed=4, positive=0.0)
        words = ("--hosts", folder / "hosts", "--model", "paste", "--filter", "phantom", "--prior", "ischaemic", "--keep-all", "-n", 2)
        done = run("synthesize", *words, "--out", folder / "run")
        assert done.returncode == 0, done.stderr
        return folder / "run"

    def test_realism_prints_a_table_and_its_path(self, painted):
        done = run("evaluate", "realism", painted, "--all")
        assert done.returncode == 0, done.stderr
        assert "| SSIM to host, whole slice | 0.9" in done.stdout
        assert "give some with --real" in done.stderr
        assert (painted / "evaluation" / "realism.csv").is_file()
        assert str(painted / "evaluation" / "realism.md") in done.stdout

    @pytest.mark.parametrize(
        ("words", "named"),
        [
            (["--auditor", lgesynthnet.__path__[0] + "/weights/phantom/filter"], "filtered the run"),
            (["--auditor", "nowhere"], "nowhere"),
            (["--hosts", "nowhere"], "nowhere"),
            (["--part", "test"], "--splits"),
        ],
    )
    def test_what_cannot_be_judged_is_one_line_and_exit_code_2(self, painted, words, named):
        done = run("evaluate", "alignment", painted, *words)
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert named in line


class TestInfo:
    def test_json_for_machines(self):
        facts = json.loads(run("info", "--json").stdout)
        assert facts["lgesynthnet"] == lgesynthnet.__version__
        assert facts["packages"]["torch"]
        assert "paste" in [model["name"] for model in facts["models"]]
        assert facts["devices"][0] == "cpu"


def test_the_version_is_printed():
    assert re.fullmatch(r"\d+\.\d+\.\d+\w*", lgesynthnet.__version__)
    assert run_process("--version").stdout == f"lgesynthnet {lgesynthnet.__version__}\n"


def test_an_unknown_name_is_an_attribute_error_that_lists_the_known_names():
    with pytest.raises(AttributeError, match="LGESynthNet"):
        lgesynthnet.LGESynthnet  # noqa: B018


def test_a_phantom_cohort_can_be_painted_into(tmp_path):
    assert run("phantom", tmp_path / "hosts", "--patients", 1, "--positive", 0).returncode == 0
    done = run("synthesize", "--hosts", tmp_path / "hosts", "--model", "paste", "-n", 1, "-o", tmp_path / "run", "--prior", "ischaemic")
    assert done.returncode == 0, done.stderr


def test_no_segmenter_is_trained_on_the_patients_that_test_it(hosts, tmp_path):
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["P001"], "test": ["P002"]}))
    words = ("--data", hosts, "--work", tmp_path / "work", "--splits", tmp_path / "splits.json", "--parts", "test")
    done = run("train", "scar-segmenter", "--role", "auditor", *words)
    assert done.returncode == 2
    assert 'no segmenter is trained on "test"' in done.stderr
    assert not (tmp_path / "work").exists()


def test_the_demo_ends_with_the_path_of_a_report(tmp_path):
    done = run("demo", "--out", tmp_path, "--model", "paste", "--count", 2)
    assert done.returncode == 0, done.stderr
    report = Path(done.stdout.split("report: ")[1].strip())
    assert report.is_file()
    again = run("demo", "--out", tmp_path, "--model", "paste", "--count", 2)
    assert again.returncode == 0, again.stderr


def test_the_text_stage_needs_no_data_and_no_resume_refuses_a_begun_one(tmp_path):
    work = ("--work", tmp_path / "work", "--recipe", "tiny", "--device", "cpu")
    done = run("train", "text", *work)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "work" / "text" / "model" / "tokenizer").is_dir()
    assert run("train", "text", *work).returncode == 0
    refused = run("train", "text", *work, "--no-resume")
    assert refused.returncode == 2
    assert "was begun before" in refused.stderr


def test_a_stage_without_the_previous_stage_names_that_stage(tmp_path):
    assert run("phantom", tmp_path / "hearts", "--patients", 1, "--positive", 1).returncode == 0
    work = ("--work", tmp_path / "work", "--recipe", "tiny", "--device", "cpu")
    done = run("train", "reward", "--data", tmp_path / "hearts", *work)
    assert done.returncode == 2
    assert "train control" in done.stderr
