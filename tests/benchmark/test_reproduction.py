"""The published comparison, on three simulated patients and without training."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lgesynthnet.benchmark.published import TABLE_1
from lgesynthnet.benchmark.reproduction import OUTSIDE, REPAINT, compare
from lgesynthnet.benchmark.reproduction_page import markdown, write
from lgesynthnet.benchmark.trained_methods import TrainedMethods
from lgesynthnet.cli.benchmark import MethodName
from lgesynthnet.data import open_cohort
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.model_store import weights_folder
from lgesynthnet.phantom.cohort import write_cohort
from lgesynthnet.prescription.strata import ALL
from lgesynthnet.terms import Method

METHODS = [Method.PASTE, Method.LGESYNTHNET, Method.LGESYNTHNET_RAW]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    root = tmp_path_factory.mktemp("hearts")
    write_cohort(root / "data", patients=3, seed=6, positive=0.67, non_ischaemic=0.0)
    cohort = open_cohort(root / "data")
    sick = [case.patient for case in cohort.cases if case.patient.startswith("P")]
    splits = {"train": sick[1:], "test": sick[:1]}
    return TrainedMethods(cohort=cohort, splits=splits, work=root / "work", models=weights_folder() / "phantom", device="cpu")


@pytest.fixture(scope="module")
def found(workshop, tmp_path_factory):
    out = tmp_path_factory.mktemp("table1")
    return out, compare(workshop, out, methods=METHODS, limit=2, tell=lambda *_: None, note=lambda _: None)


def value(found, method, table, figure):
    lines = next(one for one in found.judged if one.method == method).lines[table]
    return next(line for line in lines if line.group == ALL and line.figure == figure)


def test_every_method_has_its_figures_beside_the_same_ceiling(found):
    _, table = found
    assert [one.method for one in table.judged] == METHODS
    ceilings = {str(value(table, method, REPAINT, "Dice").real) for method in METHODS}
    assert len(ceilings) == 1
    assert all(value(table, method, REPAINT, "Dice").value.n == len(table.real) > 0 for method in METHODS)
    assert value(table, "lgesynthnet", REPAINT, "Dice").value.value > 0.5


def test_who_keeps_the_host_changes_nothing_outside_and_who_does_not_is_seen(found):
    _, table = found
    outside = {method: value(table, method, REPAINT, OUTSIDE).value.value for method in METHODS}
    assert outside["paste"] == outside["lgesynthnet"] == 0
    assert outside["lgesynthnet-raw"] > 0.05


def test_the_same_command_goes_on_and_other_weights_are_judged_again(found, workshop):
    out, table = found
    stamps = {path: path.stat().st_mtime_ns for path in (out / "methods").glob("*.json")}
    again = compare(workshop, out, methods=METHODS, limit=2, tell=lambda *_: None, note=lambda _: None)
    assert {path: path.stat().st_mtime_ns for path in (out / "methods").glob("*.json")} == stamps
    assert markdown(again) == markdown(table)
    path = out / "methods" / "paste.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"painter": "another"}))
    compare(workshop, out, methods=[Method.PASTE], limit=2, tell=lambda *_: None, note=lambda _: None)
    assert json.loads(path.read_text())["painter"] != "another"


def test_the_pages_hold_every_method_the_published_row_and_the_same_ten_slices(found):
    out, table = found
    page = write(table, out).read_text()
    assert page.count("data:image/png;base64,") % (len(METHODS) + 1) == 0
    assert f"{TABLE_1['lgesynthnet'].dice:.3f}" in (out / "table1.md").read_text()
    assert (out / "table1.csv").read_text().count("\npaste,") > 20
    names = {method: sorted(p.name for p in (out / "pictures" / method).iterdir()) for method in ["real", *METHODS]}
    assert len({tuple(some) for some in names.values()}) == 1


def test_what_is_missing_is_named_before_anything_is_trained(workshop, tmp_path):
    bare = replace(workshop, models=None, work=tmp_path)
    wanted = bare.missing([Method.SPADE_FULL_RAW, Method.LGESYNTHNET])
    assert wanted == ["scar-segmenter-reward", "scar-segmenter-filter", "scar-segmenter-auditor", "spade-full", "control", "reward"]
    assert workshop.missing([Method.LGESYNTHNET, Method.PASTE]) == []
    with pytest.raises(InputError, match="not trained yet"):
        bare.painter(Method.CONTROLNET)


def test_a_part_that_is_not_there_and_a_judge_that_took_part_are_refused(workshop, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="the splits have"):
        compare(workshop, tmp_path, part="tset", methods=METHODS, tell=lambda *_: None, note=lambda _: None)
    monkeypatch.setattr(TrainedMethods, "auditor", lambda self: weights_folder() / "phantom" / "filter")
    with pytest.raises(RunError, match="cannot judge"):
        compare(workshop, tmp_path, methods=METHODS, tell=lambda *_: None, note=lambda _: None)


def test_the_command_line_knows_every_method():
    assert [name.value for name in MethodName] == [method.value for method in Method]


def test_published_rates_are_counts_of_149_slices():
    for row in TABLE_1.values():
        assert abs(row.passed * 149 - round(row.passed * 149)) < 0.1
