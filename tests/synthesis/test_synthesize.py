"""A run from hosts to samples: what it writes, and that nothing about how it was made shows in the bytes."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from factories import run_command, write_hosts, write_patient
from scipy import ndimage

from lgesynthnet.conditioning.repaint_region import BLOOD_REACH_MM, MARGIN_MM
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, PrescriptionError, RunError
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.run.request import Shard, SynthesisRequest
from lgesynthnet.synthesis.attempts import draw_attempt
from lgesynthnet.synthesis.judging import read_back
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.quotas import kind_of, quotas
from lgesynthnet.synthesis.selecting import Choice
from lgesynthnet.synthesis.synthesize import synthesize
from lgesynthnet.terms import Prior


def make(request, run, **more):
    return synthesize(plan_synthesis(replace(request, **more)), run)


def table(run):
    with (run / "samples.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def request_(hosts):
    return SynthesisRequest(hosts=CohortSource(root=hosts), model="paste", count=6, prior=Prior.ISCHAEMIC, seed=11)


@pytest.fixture(scope="module")
def whole(request_, tmp_path_factory):
    """One uninterrupted run."""
    run = tmp_path_factory.mktemp("run") / "whole"
    return run, make(request_, run)


class TestTheRunFolder:
    def test_holds_as_many_samples_as_were_asked_for(self, whole):
        run, result = whole
        kept = [row for row in table(run) if row["kept"] == "1"]
        assert result.complete
        assert len(kept) == result.kept == 6
        for row in kept:
            for part in ("images", "labels", "read", "intended", "hidden"):
                assert (run / part / f"{row['id']}.nii.gz").is_file()
        for name in ("plan.json", "ledger.sqlite", "samples.csv", "lgesynthnet.json", "report.html", "card.md"):
            assert (run / name).stat().st_size > 0
        assert not list(run.rglob("*.partial"))

    def test_every_row_has_its_file_and_every_file_its_row(self, whole):
        run, _ = whole
        assert {row["file"] for row in table(run) if row["file"]} == {p.relative_to(run).as_posix() for p in run.rglob("images/*.nii.gz")}

    def test_image_lies_where_the_host_lies_and_only_the_scar_is_new(self, whole, hosts):
        run, _ = whole
        cohort = open_cohort(hosts)
        for row in table(run):
            if not row["file"]:
                continue
            stack = cohort.stack(row["host"])
            host = nib.load(stack.places[0].path)
            image, label, read = (nib.load(run / row["file"].replace("images", part)) for part in ("images", "labels", "read"))
            index = int(row["slice_index"])
            assert image.get_data_dtype() == host.get_data_dtype()
            assert image.shape == label.shape == read.shape == (*host.shape[:2], 1)
            np.testing.assert_allclose(image.affine[:, :3], host.affine[:, :3], atol=1e-5)
            np.testing.assert_allclose(image.affine[:3, 3], (host.affine @ (0, 0, index, 1))[:3], atol=1e-4)
            np.testing.assert_array_equal(image.affine, label.affine)
            np.testing.assert_array_equal(image.affine, read.affine)
            new, old = np.asarray(image.dataobj)[:, :, 0], np.asarray(host.dataobj)[:, :, index]
            scar = np.asarray(label.dataobj)[:, :, 0] >= 3
            changed = new != old
            assert scar.any()
            assert changed[scar].mean() > 0.8
            away_mm = ndimage.distance_transform_edt(~scar, sampling=host.header.get_zooms()[:2])
            blood = np.asarray(label.dataobj)[:, :, 0] == 1
            assert away_mm[changed & ~blood].max() <= MARGIN_MM + 1e-3
            assert away_mm[changed & blood].max(initial=0.0) <= BLOOD_REACH_MM + 1e-3
            assert float(row["max_change_outside"]) == 0
            intended, hidden = (
                np.asarray(nib.load(run / row["file"].replace("images", part)).dataobj)[:, :, 0] for part in ("intended", "hidden")
            )
            np.testing.assert_array_equal(intended, np.where(scar, np.asarray(label.dataobj)[:, :, 0], 0))  # the hosts are healthy
            assert not (changed & (hidden == 0)).any()
            assert (hidden[scar] == 1).all()
            assert b"SYNTHETIC" in bytes(image.header["descrip"])

    def test_every_sample_is_explained(self, whole):
        run, _ = whole
        plan = json.loads((run / "plan.json").read_text())
        for row in table(run):
            prescription = ScarPrescription.from_json(row["prescription"])
            assert prescribe(row["sentence"]) == prescription
            assert row["generator"] == plan["generator_fingerprint"]
            assert row["filter"] == plan["filter_fingerprint"]
            assert row["insertion_source"] in ("landmarks", "rv-label", "image", "assumed")
            if row["file"]:
                assert (row["kept"] == "1") == (float(row["dice"]) > 0.6) == (row["reason"] == "kept")
                assert row["file"].startswith("images/" if row["kept"] == "1" else "rejected/images/")
                assert row["why"]
                assert row["segments"]

    def test_can_itself_serve_as_a_cohort(self, whole):
        cohort = open_cohort(whole[0])
        assert len(cohort) == 6
        assert all((cohort.read(case).labels == 3).any() for case in cohort.cases)


def test_labels_stay_whole_numbers_beside_a_host_whose_numbers_are_scaled(tmp_path, save):
    """An 8-bit host with slope 2 displays 400 for 200; its labels must not display 6 for 3."""
    path = write_patient(tmp_path / "hosts", "N001", seed=1, dtype=np.uint8)
    host = np.asarray(nib.load(path).dataobj)
    save(path, host, spacing_mm=(1.5, 1.5, 10.0), affine=nib.load(path).affine, slope=(2.0, -10.0))
    make(
        SynthesisRequest(hosts=CohortSource(root=tmp_path / "hosts"), model="paste", count=1, prior=Prior.ISCHAEMIC, keep_all=True),
        tmp_path / "run",
    )
    [image], [label] = (list((tmp_path / "run" / part).iterdir()) for part in ("images", "labels"))
    assert set(np.unique(nib.load(label).get_fdata())) == {0, 1, 2, 3}
    assert nib.load(image).dataobj.slope == 2
    assert nib.load(image).get_data_dtype() == np.uint8


def test_a_reader_that_looks_at_the_answer_is_shown_none(hosts):
    class Cheat:
        fingerprint = "cheat"

        def read(self, slice_, *, sensitive=False):
            return np.where(slice_.labels >= 3, slice_.labels, 0).astype(np.uint8)

    planned = plan_synthesis(SynthesisRequest(hosts=CohortSource(root=hosts), model="paste", count=1, prior=Prior.ISCHAEMIC))
    drawn = draw_attempt(planned.plan, planned.hosts.entries, 0)
    sample = planned.painter.generator.inpaint(planned.hosts.fetch(drawn.entry), drawn.wish)
    assert (sample.labels >= 3).any()
    assert not read_back(Cheat(), sample).any()


class TestSameSeedSameBytes:
    def test_again(self, whole, request_, tmp_path, contents):
        make(request_, tmp_path / "again")
        assert contents(tmp_path / "again") == contents(whole[0])

    def test_another_seed_is_another_run(self, whole, request_, tmp_path):
        make(request_, tmp_path / "other", seed=12)
        assert {row["prescription"] for row in table(tmp_path / "other")}.isdisjoint(row["prescription"] for row in table(whole[0]))

    def test_in_two_sessions_with_a_growing_count(self, whole, request_, tmp_path, contents):
        make(request_, tmp_path / "run", count=2, max_attempts=48)
        make(request_, tmp_path / "run")
        assert contents(tmp_path / "run") == contents(whole[0])

    def test_a_finished_run_is_left_as_it_is(self, whole, request_, contents):
        before = contents(whole[0])
        result = make(request_, whole[0])
        assert result.attempted == len(table(whole[0]))
        assert contents(whole[0]) == before

    def test_in_shards(self, whole, request_, tmp_path):
        together = {}
        for shard in ("1/2", "2/2"):
            run = tmp_path / shard.replace("/", "of")
            result = make(request_, run, shard=shard, keep_all=True, count=8)
            assert result.kept == 4
            together |= {row["id"]: (run, row) for row in table(run)}
        assert len(together) >= 8
        shared = [row for row in table(whole[0]) if row["id"] in together]
        assert len(shared) >= 6
        for row in shared:
            run, other = together[row["id"]]
            assert {k: v for k, v in row.items() if k not in ("seconds", "file")} == {
                k: v for k, v in other.items() if k not in ("seconds", "file")
            }
            if row["file"]:
                for part in ("images", "labels", "read", "intended", "hidden"):
                    mine, theirs = whole[0] / row["file"].replace("images", part), run / other["file"].replace("images", part)
                    assert mine.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize(("count", "of"), [(7, 3), (2, 5), (100, 7)])
def test_shares_of_all_shards_add_up(count, of):
    shares = [Shard(index=i, of=of).share(count) for i in range(1, of + 1)]
    assert sum(shares) == count
    assert max(shares) - min(shares) <= 1


class TestWhatIsPainted:
    def test_a_sentence_goes_into_hosts_of_its_level_with_a_border_of_its_own_each_time(self, request_, tmp_path):
        make(request_, tmp_path / "run", prior=None, text="Transmural enhancement in the basal inferior wall", count=3)
        rows = table(tmp_path / "run")
        assert {row["level"] for row in rows} == {"basal"}
        assert len({ScarPrescription.from_json(row["prescription"]).seed for row in rows}) == len(rows)
        assert {row["segments"] for row in rows if row["kept"] == "1"} <= {"4", "3 4", "4 5"}

    def test_lines_of_a_file_are_taken_in_turn_and_keep_their_own_seed(self, request_, tmp_path):
        path = tmp_path / "wünsche.jsonl"
        own = ScarPrescription(segments=frozenset({8}), pattern=Pattern.TRANSMURAL, transmurality=0.9, seed=77)
        path.write_text(f'{own.to_json()}\n\n{{"text": "transmural enhancement in the mid inferior wall"}}\n', encoding="utf-8")
        make(request_, tmp_path / "run", prior=None, prescriptions=path, count=4, keep_all=True)
        drawn = [ScarPrescription.from_json(row["prescription"]) for row in table(tmp_path / "run")]
        assert [p.segments for p in drawn] == [frozenset({8}), frozenset({10})] * 2
        assert drawn[0] == drawn[2] == own
        assert drawn[1].seed != drawn[3].seed

    def test_a_line_for_some_patients_is_painted_into_their_slices_alone(self, request_, tmp_path):
        line = {"segments": [8, 9], "pattern": "transmural", "transmurality": 0.9}
        path = tmp_path / "for-one.jsonl"
        path.write_text(f"{json.dumps(line | {'patients': ['N002']})}\n{json.dumps(line)}\n")
        make(request_, tmp_path / "run", prior=None, prescriptions=path, count=16, keep_all=True)
        hosts = [row["host"] for row in table(tmp_path / "run")]
        assert set(hosts[::2]) == {"N002"}
        assert len(set(hosts[1::2])) > 1
        path.write_text(json.dumps(line | {"patients": ["N099"]}))
        with pytest.raises(PrescriptionError, match="prescription 1 is for patients who have no usable host"):
            plan_synthesis(replace(request_, prior=None, prescriptions=path))

    def test_a_bad_line_is_named_by_file_and_number(self, request_, tmp_path):
        path = tmp_path / "bad.jsonl"
        path.write_text('{"text": "transmural enhancement in the mid inferior wall"}\n{"segments": [99]}\n')
        with pytest.raises(PrescriptionError, match=r"bad\.jsonl: line 2"):
            plan_synthesis(replace(request_, prior=None, prescriptions=path))

    def test_a_level_that_no_host_has_is_an_error_before_anything_is_written(self, tmp_path):
        write_patient(tmp_path / "hosts", "N001", seed=1, slices=1)
        request = SynthesisRequest(
            hosts=CohortSource(root=tmp_path / "hosts"), model="paste", count=1, text="transmural enhancement in the apical septal wall"
        )
        with pytest.raises(PrescriptionError, match=r"apical segments.*usable hosts are mid"):
            plan_synthesis(request)

    def test_what_cannot_be_painted_is_a_row_and_not_the_end(self, request_, tmp_path):
        """Mid-wall scar at the insertions of segments that hold none: every attempt is in vain."""
        path = tmp_path / "nowhere.jsonl"
        path.write_text(
            '{"segments": [8], "pattern": "transmural", "transmurality": 0.9, "arc": {"start_deg": 300, "extent_deg": 20}}\n'
            '{"segments": [8], "pattern": "transmural", "transmurality": 0.9}\n'
        )
        result = make(request_, tmp_path / "run", prior=None, prescriptions=path, count=2)
        rows = table(tmp_path / "run")
        assert result.complete
        assert rows[0]["reason"] == "unpaintable"
        assert rows[0]["file"] == rows[0]["dice"] == ""
        assert "segments [8]" in rows[0]["why"]

    def test_healthy_slices_only_unless_asked(self, tmp_path):
        write_patient(tmp_path / "hosts", "P001", seed=1, scar=True)
        write_patient(tmp_path / "hosts", "N001", seed=2)
        request = SynthesisRequest(hosts=CohortSource(root=tmp_path / "hosts"), model="paste", count=1, prior=Prior.UNIFORM)
        assert plan_synthesis(request).plan.usable_hosts == 3
        assert plan_synthesis(replace(request, hosts_with_scar=True)).plan.usable_hosts == 6

    def test_keep_all_fills_images_and_still_judges(self, request_, tmp_path):
        result = make(request_, tmp_path / "run", prior=Prior.UNIFORM, keep_all=True, count=12)
        rows = table(tmp_path / "run")
        assert result.kept == 12 == len(list((tmp_path / "run/images").iterdir()))
        assert {row["kept"] for row in rows if row["file"]} == {"0", "1"}
        assert not (tmp_path / "run/rejected").exists()


class TestBalance:
    def test_kinds_are_kept_as_drawn_and_the_surplus_is_named(self, request_, tmp_path):
        request = {"prior": Prior.ISCHAEMIC, "dice_above": 0.3, "count": 24, "max_attempts": 400, "balance": True}
        result = make(request_, tmp_path / "run", **request)
        assert result.complete
        planned = plan_synthesis(replace(request_, **request))
        allowed = quotas(lambda k: draw_attempt(planned.plan, planned.hosts.entries, k), range(400), 24)
        rows = table(tmp_path / "run")
        numbers = [int(row["id"].split("_")[1]) for row in rows if row["kept"] == "1"]
        found = Counter(kind_of(draw_attempt(planned.plan, planned.hosts.entries, k)) for k in numbers)
        assert all(n <= allowed.get(kind, 1) for kind, n in found.items())
        surplus = [row for row in rows if row["reason"] == "surplus"]
        assert surplus
        assert all(float(row["dice"]) > 0.3 and row["file"].startswith("rejected/") for row in surplus)

    def test_killed_and_resumed_it_keeps_the_same(self, request_, tmp_path, contents):
        request = {"prior": Prior.UNIFORM, "dice_above": 0.3, "count": 8, "max_attempts": 400, "balance": True}
        make(request_, tmp_path / "whole", **request)
        make(request_, tmp_path / "parts", **request | {"max_attempts": 5})
        make(request_, tmp_path / "parts", **request)
        assert contents(tmp_path / "whole") == contents(tmp_path / "parts")

    def test_another_count_is_another_plan(self, request_, tmp_path):
        make(request_, tmp_path / "run", count=2, balance=True)
        with pytest.raises(RunError, match="count was 2, is now 3"):
            make(request_, tmp_path / "run", count=3, balance=True)


class Every:
    """Wants every second sample that the filter kept, counted by the border's seed."""

    fingerprint = "every second"

    def choose(self, sample):
        wanted = sample.prescription.seed % 2 == 0
        return Choice(wanted=wanted, reason="odd", why="its seed is even" if wanted else "its seed is odd")


class TestFurtherJudge:
    def test_what_it_does_not_want_is_rejected_with_its_reason_and_does_not_count(self, request_, tmp_path):
        request = replace(request_, prior=Prior.ISCHAEMIC, dice_above=0.3, count=3, max_attempts=200)
        planned = plan_synthesis(request, selector=Every())
        assert synthesize(planned, tmp_path / "run").complete
        rows = table(tmp_path / "run")
        judged = [row for row in rows if row["reason"] in ("kept", "odd")]
        even = [ScarPrescription.from_json(row["prescription"]).seed % 2 == 0 for row in judged]
        assert [row["kept"] == "1" for row in judged] == even
        assert {row["file"].startswith("rejected/") for row in judged if row["reason"] == "odd"} == {True}
        assert all("its seed is even" in row["why"] for row in judged if row["kept"] == "1")
        assert len(list((tmp_path / "run" / "images").iterdir())) == 3

    def test_another_judge_does_not_continue_the_run(self, request_, tmp_path):
        request = replace(request_, count=1)
        synthesize(plan_synthesis(request), tmp_path / "run")
        with pytest.raises(RunError, match="selector"):
            synthesize(plan_synthesis(request, selector=Every()), tmp_path / "run")


class TestBudget:
    def test_spent_attempts_end_the_run_and_more_go_on(self, request_, tmp_path, whole, contents):
        short = make(request_, tmp_path / "run", max_attempts=2)
        assert not short.complete
        assert short.attempted == 2
        make(request_, tmp_path / "run")
        assert contents(tmp_path / "run") == contents(whole[0])

    def test_spent_seconds_end_the_session(self, request_, tmp_path):
        assert not make(request_, tmp_path / "run", count=500, max_seconds=0.3).complete


class TestBadInput:
    def test_a_bad_case_is_skipped_with_its_reason_unless_strict(self, tmp_path):
        write_hosts(tmp_path, 2)
        broken = tmp_path / "Case_N001/Images/Case_N001.nii.gz"
        broken.write_bytes(broken.read_bytes()[:500])
        request = SynthesisRequest(hosts=CohortSource(root=tmp_path), model="paste", count=1, prior=Prior.ISCHAEMIC)
        plan = plan_synthesis(request).plan
        assert plan.usable_hosts == 3
        assert [s.name for s in plan.skipped] == ["N001"]
        assert "truncated" in plan.skipped[0].reason
        with pytest.raises(InputError, match=r"Case_N001\.nii\.gz.*--strict"):
            plan_synthesis(replace(request, strict=True))

    def test_a_slice_whose_wall_is_open_is_skipped_and_named(self, tmp_path):
        write_hosts(tmp_path, 1)
        path = tmp_path / "Case_N001/Contours/Case_N001.nii.gz"
        labels = nib.load(path)
        voxels = np.asarray(labels.dataobj).copy()
        voxels[40:, :, 1][voxels[40:, :, 1] == 2] = 0
        nib.save(nib.Nifti1Image(voxels, labels.affine), path)
        [skipped] = plan_synthesis(
            SynthesisRequest(hosts=CohortSource(root=tmp_path), model="paste", count=1, prior=Prior.UNIFORM)
        ).plan.skipped
        assert skipped.name == "N001_s01"
        assert "slice 1" in skipped.reason
        assert "ring" in skipped.reason

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"seed": 12}, "seed was 11, is now 12"),
            ({"prior": Prior.UNIFORM}, "prior was"),
            ({"dice_above": 0.5}, "dice_above was 0.6, is now 0.5"),
            ({"keep_all": True}, "keep_all"),
            ({"dice_only": True}, "dice_only"),
            ({"shard": "1/2"}, "shard"),
        ],
    )
    def test_another_plan_does_not_touch_the_run(self, whole, request_, change, named, contents):
        before = contents(whole[0])
        with pytest.raises(RunError, match=named):
            make(request_, whole[0], **change)
        assert contents(whole[0]) == before

    def test_one_changed_pixel_of_a_host_is_another_plan(self, tmp_path):
        hosts = write_hosts(tmp_path / "hosts", 1)
        request = SynthesisRequest(hosts=CohortSource(root=hosts), model="paste", count=1, prior=Prior.UNIFORM)
        make(request, tmp_path / "run")
        path = hosts / "Case_N001/Images/Case_N001.nii.gz"
        image = nib.load(path)
        voxels = np.asarray(image.dataobj).copy()
        voxels[0, 0, 0] += 1
        nib.save(nib.Nifti1Image(voxels, image.affine), path)
        with pytest.raises(RunError, match="hosts_fingerprint"):
            make(request, tmp_path / "run")

    def test_fewer_than_there_are_is_refused(self, whole, request_):
        with pytest.raises(RunError, match="holds 6 samples already"):
            make(request_, whole[0], count=3, max_attempts=48)

    def test_a_folder_of_other_things_is_left_alone(self, request_, tmp_path):
        (tmp_path / "thesis.txt").write_text("years of work")
        with pytest.raises(RunError, match="not made by this program"):
            make(request_, tmp_path)
        assert [p.name for p in tmp_path.iterdir() if p.name != ".lock"] == ["thesis.txt"]

    @pytest.mark.parametrize("sources", [{}, {"text": "x", "prior": Prior.UNIFORM}])
    def test_exactly_one_source_of_prescriptions(self, request_, sources):
        with pytest.raises(RunError, match="exactly one of --text, --prescriptions or --prior"):
            plan_synthesis(replace(request_, **{"prior": None, **sources}))

    @pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "-1/2", "1/0"])
    def test_a_shard_that_is_none(self, request_, shard):
        with pytest.raises(RunError, match="i/n"):
            plan_synthesis(replace(request_, shard=shard))


def test_a_run_inside_the_folder_of_its_hosts_is_refused_without_a_trace(tmp_path):
    hosts = write_hosts(tmp_path / "hosts", 1, rv=True)
    before = sorted(hosts.rglob("*"))
    for out in (hosts / "run", hosts / "Case_N001" / "run", hosts):
        done = run_command("synthesize", "--hosts", hosts, "--model", "paste", "-n", 1, "--prior", "uniform", "--out", out)
        assert done.returncode == 2
        assert "lies in the folder of the patients" in done.stderr
    assert sorted(hosts.rglob("*")) == before
