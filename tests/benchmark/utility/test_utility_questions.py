"""The questions beside few patients: a missing kind of scar, labels by a threshold, and every patient tested once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from factories import ring_patient
from utility_experiments import experiment, in_this_process, run_quietly

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.benchmark.utility.plan import Regime, plan_experiment, spread
from lgesynthnet.benchmark.utility.questions.remade import DEVIATIONS, remade_labels
from lgesynthnet.benchmark.utility.questions.strata import is_of_stratum, prescribe_stratum, read_strata, sort_slices
from lgesynthnet.benchmark.utility.results import ExperimentResults, RunGroup
from lgesynthnet.benchmark.utility.runs import training_set
from lgesynthnet.benchmark.utility.settings import ExperimentSettings
from lgesynthnet.errors import RunError
from lgesynthnet.evaluate.utility.metrics import METRICS, PATIENT_DICE
from lgesynthnet.evaluate.utility.scores import RunScores, SliceScore
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.prescription.grammar.json_lines import read_prescriptions
from lgesynthnet.records import Label, Level, ShortAxisSlice, Stack, wall_of
from lgesynthnet.terms import Arm, Baseline, Prior, Question, RealSlices, Stratum
from lgesynthnet.train.examples.slices import read_slice_dataset

NAMES = [f"{letter}{i}" for letter in "PN" for i in range(10)]
SCARRED = {name: name.startswith("P") for name in NAMES}


def plan(**changes):
    return plan_experiment(ExperimentSettings(**({"draws": 1, "size": 10} | changes)), NAMES, SCARRED)


def stack(name, seed=0, scar=True, slices=3):
    image, labels = ring_patient(seed, slices, scar)
    return Stack(patient=name, image=image, labels=labels, spacing_mm=(1.5, 1.5), slice_step_mm=10.0)


def test_runs_of_the_other_questions_are_named_after_their_real_slices():
    names = {run.name for run in plan(questions=(Question.STRATA,)).runs}
    kinds = ("smallest", "subendocardial", "no-reflow", "faint")
    arms = ("phantom-first", "recipe")
    assert names == {"10-10-phantom-first-d0"} | {f"10-10-{arm}-without-{kind}-d0" for kind in kinds for arm in arms}
    names = {run.name for run in plan(questions=(Question.LABELS,), arms=(Arm.REAL, Arm.PAINTED)).runs}
    assert names == {f"10-10-{arm}{labels}-d0" for arm in ("real", "painted") for labels in ("", "-remade-labels")}


def test_a_missing_kind_has_a_pool_that_prescribes_it_and_all_questions_share_their_runs():
    pools = {pool.name: pool.stratum for pool in plan(questions=(Question.STRATA,)).pools}
    assert pools == {f"lgesynthnet-phantom-{stratum}": stratum for stratum in Stratum}
    everything = plan(questions=(Question.ALL,)).runs
    alone = [run for question in (Question.FEW, Question.STRATA, Question.LABELS) for run in plan(questions=(question,)).runs]
    assert {run.name for run in everything} == {run.name for run in alone}
    assert len(everything) == len({run.name for run in everything}) < len(alone)


def test_strata_need_first_weights(data, tmp_path):
    with pytest.raises(RunError, match="use --baseline crop"):
        experiment(data, tmp_path, baseline=Baseline.PUBLISHED, arms=(Arm.REAL,), questions=(Question.STRATA,)).check()


def test_each_kind_holds_the_slices_that_fit_and_quartiles_come_from_training_patients():
    big, small, faint, core = (stack(f"P{i}", seed=i) for i in range(4))
    tiny = small.labels.copy()
    tiny[:, :, 1] = np.where((tiny[:, :, 1] == Label.SCAR) & (np.arange(64)[:, None] < 46), Label.WALL, tiny[:, :, 1])
    small = replace(small, labels=tiny)
    faint = replace(faint, image=np.where(faint.labels == Label.SCAR, 100.0, faint.image))
    blocked = core.labels.copy()
    blocked[44, :, 2][blocked[44, :, 2] == Label.SCAR] = Label.NO_REFLOW
    core = replace(core, labels=blocked)
    flat = replace(stack("N9", scar=False), image=np.ones((64, 64, 3)))
    strata = sort_slices([big, small, faint, core, flat], ["P0", "P1", "P2"])
    areas = {s.patient: [float(x.scar.sum()) * 2.25 for x in s] for s in (big, small, faint)}
    assert strata.smallest_mm2 == pytest.approx(np.quantile([area for row in areas.values() for area in row], 0.25))
    assert strata.holds(Stratum.SMALLEST, "P1", 1)
    assert all(
        area <= strata.smallest_mm2 or not strata.holds(Stratum.SMALLEST, name, k) for name in areas for k, area in enumerate(areas[name])
    )
    assert strata.slices[Stratum.NO_REFLOW] == {"P3": [2]}
    assert set(strata.slices[Stratum.FAINT]) == {"P2"}
    assert strata.flat["N9"] == [0, 1, 2]


def test_a_scar_through_the_whole_wall_is_not_subendocardial_and_one_through_its_inner_third_is():
    whole = stack("P0")
    frame = compute_heart_frame(whole[0], Level.MID)
    labels = whole.labels.copy()
    labels[:, :, 0] = np.where((labels[:, :, 0] == Label.SCAR) & (np.nan_to_num(frame.depth) > 0.4), Label.WALL, labels[:, :, 0])
    strata = sort_slices([replace(whole, labels=labels)], ["P0"])
    assert strata.slices[Stratum.SUBENDOCARDIAL] == {"P0": [0]}


def test_the_slices_left_out_are_those_of_the_kind_even_after_a_flat_slice():
    one = stack("P0")
    image, labels = one.image.copy(), one.labels.copy()
    image[:, :, 0] = 7.0
    labels[labels == Label.SCAR] = Label.WALL
    labels[40:44, 36:40, 2][wall_of(labels[40:44, 36:40, 2])] = Label.NO_REFLOW
    strata = sort_slices([replace(one, image=image, labels=labels), stack("P1", 1)], ["P0", "P1"])
    assert strata.slices[Stratum.NO_REFLOW] == {"P0": [2]}
    # Prepared are slices 1 and 2 of P0, then the three of P1.
    assert strata.rows_without(Stratum.NO_REFLOW, ["P0", "P0", "P1", "P1", "P1"]).tolist() == [0, 2, 3, 4]


@pytest.mark.parametrize("stratum", list(Stratum))
def test_prescriptions_are_of_the_kind_for_every_level_and_leave_the_border_to_each_sample(tmp_path, monkeypatch, stratum):
    monkeypatch.setattr("lgesynthnet.benchmark.utility.questions.strata.PRESCRIPTIONS", 30)
    lines = read_prescriptions(prescribe_stratum(stratum, Prior.ISCHAEMIC, tmp_path / "lines.jsonl", seed=1))
    assert len(lines) == 30
    assert all(is_of_stratum(line.wish, stratum) and not line.has_seed for line in lines)
    assert {level for line in lines for level in line.wish.levels} == set(Level)
    again = prescribe_stratum(stratum, Prior.ISCHAEMIC, tmp_path / "again.jsonl", seed=1)
    assert again.read_bytes() == (tmp_path / "lines.jsonl").read_bytes()


def test_a_prior_without_the_kind_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("lgesynthnet.benchmark.utility.questions.strata.MOST_DRAWS", 50)
    with pytest.raises(RunError, match="has no scars of the kind no-reflow"):
        prescribe_stratum(Stratum.NO_REFLOW, Prior.NON_ISCHAEMIC, tmp_path / "lines.jsonl", seed=1)


def remade_ring():
    """A ring with remote wall of 40 and standard deviation 5; a reader marked 210 as scar, and a rim of 60 beside it belongs to no scar."""
    one = stack("P0")[0]
    image, labels = one.image.copy(), one.labels.copy()
    frame = compute_heart_frame(one, Level.MID)
    return ShortAxisSlice(patient="P0", index=0, image=image, labels=labels, spacing_mm=(1.5, 1.5)), frame


def test_remade_labels_are_what_is_bright_in_the_scarred_segments():
    slice_, frame = remade_ring()
    segments = {int(n) for n in np.unique(frame.segments[slice_.scar])}
    remote_wall = frame.wall & ~np.isin(frame.segments, sorted(segments))
    bright_elsewhere = np.zeros(frame.wall.shape, bool)
    bright_elsewhere[tuple(np.argwhere(remote_wall)[0])] = True
    image = slice_.image.copy()
    dim_part = slice_.scar & (np.nan_to_num(frame.depth) > 0.6)
    image[dim_part] = 40.0  # as dark as remote wall
    image[bright_elsewhere] = 210.0
    slice_ = replace(slice_, image=image)
    labels = remade_labels(slice_, frame)
    measured = image[remote_wall]
    wanted = np.isin(frame.segments, sorted(segments)) & frame.wall & (image > measured.mean() + DEVIATIONS * measured.std())
    assert np.array_equal(labels == Label.SCAR, wanted)
    assert not (labels[dim_part] == Label.SCAR).any()
    assert labels[bright_elsewhere] == Label.WALL
    assert np.array_equal(labels == Label.CAVITY, slice_.labels == Label.CAVITY)
    assert np.array_equal(wall_of(labels), frame.wall)


def test_labels_stay_where_no_segment_is_free_of_scar():
    slice_, frame = remade_ring()
    everywhere = replace(slice_, labels=np.where(frame.wall, Label.SCAR, slice_.labels).astype(np.uint8))
    assert np.array_equal(remade_labels(everywhere, frame), everywhere.labels)


def scores(dice_by_slice):
    """Test slices of 100 mm2 of scar with these Dice values; and two scar-free ones without a false scar."""
    rows = [score(f"P{i}", 100.0, 100 * dice) for i, dice in enumerate(dice_by_slice)]
    return RunScores(slices=[*rows, score("N0", 0.0, 0.0), score("N1", 0.0, 0.0)])


def score(patient, truth, overlap, **others):
    areas = dict.fromkeys(("truth_mm2", "predicted_mm2", "expected_scar_mm2"), truth)
    wall = dict.fromkeys(("wall_mm2", "predicted_wall_mm2", "overlap_wall_mm2"), 1000.0)
    lesions = dict.fromkeys(("lesions", "found_lesions", "called_lesions", "right_lesions"), 1)
    return SliceScore(patient=patient, index=0, overlap_mm2=overlap, hd95_mm=None, step_mm=10.0, **(areas | wall | lesions | others))


def test_the_recovered_share_is_gain_over_loss():
    regime = Regime(scarred=10, healthy=10)
    groups = {
        name: RunGroup(arm=arm, regime=regime, real=real, scores={0: scores([dice, dice + 0.1])})
        for name, arm, real, dice in (
            ("all", Arm.PHANTOM_FIRST, RealSlices.AS_LABELLED, 0.6),
            ("without", Arm.PHANTOM_FIRST, RealSlices.WITHOUT_FAINT, 0.4),
            ("painted", Arm.RECIPE, RealSlices.WITHOUT_FAINT, 0.5),
        )
    }
    results = ExperimentResults(groups=tuple(groups.values()), provenance=(), tested="test", patients=4)
    metric = next(metric for metric in METRICS if metric.name == PATIENT_DICE)
    share = results.recovered(groups["painted"], groups["without"], groups["all"], metric)
    assert (share.value, share.low, share.high) == pytest.approx((0.5, 0.5, 0.5))
    assert results.recovered(groups["painted"], groups["all"], groups["without"], metric) is None  # nothing was lost


def test_no_reflow_is_counted_by_itself_and_old_records_have_none():
    core = [score("P0", 100.0, 50.0, no_reflow_mm2=40.0, predicted_no_reflow_mm2=20.0, overlap_no_reflow_mm2=10.0)]
    core.append(score("P1", 100.0, 50.0, no_reflow_mm2=0.0, predicted_no_reflow_mm2=30.0, overlap_no_reflow_mm2=0.0))
    by_name = {metric.name: metric.compute for metric in METRICS}
    weights = np.ones((1, 2))

    def value(name, rows):
        return by_name[name](RunScores(slices=rows), weights)[0]

    assert value("Dice of no-reflow, slices with it", core) == pytest.approx(2 * 10 / 60)
    assert value("sensitivity, no-reflow, slices", core) == 0  # 20 mm2 are too few to be called
    assert value("specificity, no-reflow, slices with scar", core) == 0
    assert np.isnan(value("Dice of no-reflow, slices with it", [score("P0", 100.0, 50.0), score("P1", 100.0, 50.0)]))


def test_in_a_cross_validation_every_patient_is_tested_once_and_never_trained_on_then():
    made = plan(cross_validate=5, scarred=(2, None), arms=(Arm.REAL, Arm.RECIPE), draws=2)
    by_set = {}
    for run in made.runs:
        assert not set(run.tested) & set(run.patients)
        by_set.setdefault((run.arm, run.regime, run.draw), []).append(run)
    assert {regime for _, regime, _ in by_set} == {Regime(scarred=2, healthy=8), Regime(scarred=8, healthy=8)}
    for runs in by_set.values():
        assert sorted(name for run in runs for name in run.tested) == sorted(NAMES)
        assert [sum(SCARRED[name] for name in run.tested) for run in runs] == [2] * 5
    assert [pool.name for pool in made.pools] == ["lgesynthnet-phantom-all-patients"]
    assert made.runs[0].name == "02-08-real-d0-f0"
    assert spread(NAMES, SCARRED, 5, seed=0) == spread(NAMES[::-1], SCARRED, 5, seed=0)


@pytest.mark.parametrize("parts", [1, -3])
def test_one_part_is_no_cross_validation(parts):
    with pytest.raises(RunError, match=f"--cross-validate {parts}: must be 2 or more"):
        plan(cross_validate=parts)


def test_a_cross_validation_of_two_parts_runs_and_resumes(data, tmp_path):
    done = experiment(data, tmp_path / "run", arms=(Arm.REAL,), scarred=(None,), cross_validate=2)
    with in_this_process():
        tables, _ = run_quietly(done)
        assert "all 8 patients, each by a segmenter that was trained without him, in 2 parts" in tables
        assert "| 2 with scar, 2 without | real slices | 1 |" in tables
        assert done.folder.name == "crop-tiny-2-fold"
        next(done.folder.glob("runs/*-f1/record.json")).unlink()
        assert run_quietly(done)[0] == tables


def test_the_other_questions_run_from_end_to_end(data, tmp_path):
    done = experiment(data, tmp_path / "run", arms=(Arm.REAL,), questions=(Question.LABELS,))
    with in_this_process():
        tables, page = run_quietly(done)
    assert "remade by 1.5 standard deviations" in tables
    assert "| 3 with scar, 3 without | remade | real slices | 1 |" in tables
    assert page.is_file()
    own, remade = (read_slice_dataset(path) for path in (done.real_slices_path, done.remade_slices_path))
    assert own.patients == remade.patients
    assert np.array_equal(own.image, remade.image)
    assert not np.array_equal(own.labels, remade.labels)
    assert np.array_equal(own.scarred, remade.scarred)
    by_kind = {run.real: run for run in done.plan().runs}
    assert np.array_equal(training_set(done, by_kind[RealSlices.REMADE_LABELS])[0].labels, remade.labels)
    strata = replace(done, settings=replace(done.settings, questions=(Question.STRATA,)))
    with claimed(strata.out, FolderKind.BENCHMARK):
        strata.prepare_questions()
    kept = training_set(strata, next(run for run in strata.plan().runs if run.real is RealSlices.WITHOUT_SMALLEST and not run.pools))[0]
    left_out = read_strata(strata.folder).slices[Stratum.SMALLEST]
    assert len(kept) == len(own) - sum(len(left_out.get(name, ())) for name in strata.splits["train"])
