"""The published comparison, on three simulated patients and without training."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lgesynthnet.benchmark.published import TABLE_1
from lgesynthnet.benchmark.reproduction import OUTSIDE, REPAINT, compare
from lgesynthnet.benchmark.reproduction_page import markdown, write
from lgesynthnet.benchmark.trained_methods import TrainedMethods
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.model_store import weights_folder
from lgesynthnet.phantom.cohort import simulate_patients
from lgesynthnet.prescription.strata import ALL
from lgesynthnet.terms import Method

pytestmark = pytest.mark.usefixtures("few_draws")

METHODS = [Method.PASTE, Method.LGESYNTHNET, Method.LGESYNTHNET_RAW]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("hearts")
    simulate_patients(root / "data", patients=3, seed=6, positive=0.67, non_ischaemic=0.0)
    cohort = open_cohort(root / "data")
    sick = [case.patient for case in cohort.cases if case.patient.startswith("P")]
    splits = {"train": sick[1:], "test": sick[:1]}
    return TrainedMethods(
        source=CohortSource(root=cohort.root), splits=splits, work=root / "work", models=weights_folder() / "phantom", device="cpu"
    )


@pytest.fixture(scope="module")
def compared(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("published")
    return out, compare_quietly(trained, out)


def compare_quietly(trained, out, chosen=METHODS, **settings):
    return compare(trained, out, chosen=chosen, every=2, on_progress=lambda *_: None, note=lambda _: None, **settings)


def result_row(comparison, method, table, metric):
    rows = next(result for result in comparison.results if result.method == method).tables[table]
    return next(row for row in rows if row.group == ALL and row.metric == metric)


def test_every_method_has_its_metrics_beside_the_same_ceiling(compared):
    _, comparison = compared
    assert [result.method for result in comparison.results] == METHODS
    dice = {method: result_row(comparison, method, REPAINT, "Dice") for method in METHODS}
    assert len({str(row.real) for row in dice.values()}) == 1
    assert all(row.value.n == len(comparison.real) > 0 for row in dice.values())
    assert dice["lgesynthnet"].value.value > 0.5


def test_a_method_that_keeps_the_host_changes_nothing_outside_and_a_raw_one_does(compared):
    _, comparison = compared
    outside = {method: result_row(comparison, method, REPAINT, OUTSIDE).value.value for method in METHODS}
    assert outside["paste"] == outside["lgesynthnet"] == 0
    assert outside["lgesynthnet-raw"] > 0.05


def test_the_same_command_resumes_and_a_method_with_other_weights_is_evaluated_again(compared, trained):
    out, comparison = compared
    written = {path: path.stat().st_mtime_ns for path in (out / "methods").glob("*.json")}
    resumed = compare_quietly(trained, out)
    assert {path: path.stat().st_mtime_ns for path in (out / "methods").glob("*.json")} == written
    assert markdown(resumed) == markdown(comparison)
    path = out / "methods" / "paste.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"generator_fingerprint": "another"}))
    compare_quietly(trained, out, chosen=[Method.PASTE])
    assert json.loads(path.read_text())["generator_fingerprint"] != "another"


def test_the_pages_hold_every_method_the_published_row_and_the_same_ten_slices(compared):
    out, comparison = compared
    page = write(comparison, out).read_text()
    assert page.count("data:image/png;base64,") % (len(METHODS) + 1) == 0
    assert f"{TABLE_1['lgesynthnet'].dice:.3f}" in (out / "published.md").read_text()
    assert (out / "published.csv").read_text().count("\npaste,") > 20
    names = {method: sorted(path.name for path in (out / "pictures" / method).iterdir()) for method in ["real", *METHODS]}
    assert len({tuple(files) for files in names.values()}) == 1


def test_missing_stages_are_named_before_anything_is_trained(trained, tmp_path):
    untrained = replace(trained, models=None, work=tmp_path)
    stages = untrained.missing([Method.SPADE_FULL_RAW, Method.LGESYNTHNET])
    assert stages == ["scar-segmenter-reward", "scar-segmenter-filter", "scar-segmenter-auditor", "spade-full", "control", "reward"]
    assert trained.missing([Method.LGESYNTHNET, Method.PASTE]) == []
    with pytest.raises(InputError, match="not trained yet"):
        untrained.generator(Method.CONTROLNET)


def test_an_unknown_part_and_an_auditor_that_took_part_are_refused(trained, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="--part tset: the splits have no such part; choose one of train, test"):
        compare_quietly(trained, tmp_path, part="tset")
    monkeypatch.setattr(TrainedMethods, "auditor", lambda self: weights_folder() / "phantom" / "filter")
    with pytest.raises(RunError, match="cannot judge"):
        compare_quietly(trained, tmp_path)


def test_published_rates_are_counts_of_149_slices():
    for row in TABLE_1.values():
        assert abs(row.passed * 149 - round(row.passed * 149)) < 0.1
