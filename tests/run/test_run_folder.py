"""The run folder: what is stored with a sample, rows that come back as they went in, and hosts that are oriented once."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import write_hosts, write_patient

from lgesynthnet.anatomy.orientation import OrderSource
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.hosts import orientation_cache
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Level, Source, scar_of
from lgesynthnet.run.folder import HOSTS_CACHE, RunFolder
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.run.summary import seldom_kept
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.synthesize import synthesize
from lgesynthnet.terms import Prior

ROW = SampleRow(
    id="s0_000003",
    host="N001",
    slice_index=2,
    level=Level.MID,
    level_source=OrderSource.AREAS,
    insertion_source=Source.IMAGE,
    insertion_confidence=0.625,
    generator="g",
    filter="f",
    seed=2**40,
    caption='a "quoted", caption',
    sentence="s",
    prescription=prescribe("Transmural enhancement in the posteroseptal wall"),
    file="images/s0_000003.nii.gz",
    kept=True,
    reason="kept",
    why="ä\nb",
    dice=0.1 + 0.2,
    segments=(3, 9),
)


def painted(folder: Path, out: Path, **settings: object) -> RunFolder:
    request = SynthesisRequest(
        hosts=CohortSource(root=folder), model="paste", count=4, prior=Prior.ISCHAEMIC, keep_all=True, hosts_with_scar=True, seed=5
    )
    synthesize(plan_synthesis(replace(request, **settings), run=out), out)
    return RunFolder.open(out)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    """A run over one patient with scar and two without."""
    root = tmp_path_factory.mktemp("stored")
    write_hosts(root / "hosts", 2)
    write_patient(root / "hosts", "P001", seed=9, scar=True)
    return painted(root / "hosts", root / "run", count=8)


def test_the_intended_scar_and_the_hidden_region_are_stored_with_each_sample(run):
    hosts = run.hosts()
    entries = {(entry.patient, entry.index): entry for entry in hosts.entries}
    beside_scar = 0
    for row in run.painted(kept_only=False):
        sample, host = run.sample(row), hosts.fetch(entries[row.host, row.slice_index])
        area = sample.intended_scar.sum() * host.frame.pixel_mm2
        assert area == pytest.approx(row.intended_mm2, abs=0.01)
        np.testing.assert_array_equal(scar_of(sample.labels), host.slice_.scar | sample.intended_scar)
        np.testing.assert_array_equal(sample.image[~sample.hidden], host.slice_.image[~sample.hidden])
        assert (sample.hidden >= sample.intended_scar).all()
        beside_scar += bool(host.slice_.scar.any())
    assert beside_scar  # or the intended scar could have been read off the labels


def test_a_kind_of_which_less_than_half_is_kept_is_named_once_there_are_enough():
    def rows(pattern: Pattern, painted: int, kept: int) -> list[SampleRow]:
        wish = ScarPrescription(segments=frozenset({9}), pattern=pattern, transmurality=0.8 if pattern is Pattern.TRANSMURAL else 0.4)
        return [replace(ROW, prescription=wish, kept=i < kept) for i in range(painted)]

    kinds = (rows(Pattern.TRANSMURAL, 20, 12), rows(Pattern.MID_WALL, 10, 4), rows(Pattern.PATCHY, 9, 0))
    assert seldom_kept(row for kind in kinds for row in kind) == [("edit add", 39, 16), ("pattern mid-wall", 10, 4)]


def test_a_row_comes_back_from_text_as_it_went_in():
    cells = {name: "" if value is None else str(value) for name, value in ROW.cells().items()}
    assert tuple(cells) == SampleRow.columns()
    assert SampleRow.of_cells(cells) == ROW


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("kept", "yes"),
        ("slice_index", "two"),
        ("slice_index", "1_0"),
        ("slice_index", "-1"),
        ("seed", "٣"),
        ("seed", "9" * 5000),
        ("level", "middle"),
        ("prescription", "{}"),
        ("prescription", "[" * 5000),
        ("dice", "high"),
        ("dice", "nan"),
        ("burden", "1e400"),
        ("seam", "seam"),
        ("segments", "3;9"),
        ("segments", "3  9"),
        ("segments", "17"),
        ("host", "../../../x"),
        ("host", ""),
        ("host", "N001\x1b[2J"),
        ("id", "/tmp/x"),
        ("id", "s" * 500),
        ("file", "../x.nii.gz"),
        ("file", "/etc/passwd"),
        ("file", "images/other.nii.gz"),
        ("file", "rejected/../images/s0_000003.nii.gz"),
    ],
)
def test_a_cell_of_another_kind_is_named(column, cell):
    cells = {name: "" if value is None else str(value) for name, value in ROW.cells().items()}
    with pytest.raises(ValueError, match=f"column {column}"):
        SampleRow.of_cells(cells | {column: cell})
    del cells[column]
    with pytest.raises(ValueError, match=f"column {column} is missing"):
        SampleRow.of_cells(cells)


def test_a_cell_too_many_or_too_few_is_an_error():
    cells = {name: "" if value is None else str(value) for name, value in ROW.cells().items()}
    with pytest.raises(ValueError, match="column secret is unknown"):
        SampleRow.of_cells(cells | {"secret": "1"})
    with pytest.raises(ValueError, match="more cells than columns"):  # what csv.DictReader makes of a row that is too long
        SampleRow.of_cells(cells | {None: ["1"]})
    with pytest.raises(ValueError, match="column why: there is no cell"):  # and of one that is too short
        SampleRow.of_cells(cells | {"why": None})
    rejected = "rejected/images/s0_000003.nii.gz"
    assert SampleRow.of_cells(cells | {"file": rejected}).file == rejected
    assert SampleRow.of_cells(cells | {"file": ""}).file == ""


def test_the_table_of_a_run_gives_its_rows(run):
    with run.table.open(newline="", encoding="utf-8") as lines:
        table = list(csv.DictReader(lines))
    assert [row.id for row in run.rows] == [cells["id"] for cells in table]
    assert [row.kept for row in run.rows] == [cells["kept"] == "1" for cells in table]


def test_a_folder_without_a_plan_is_not_a_run(tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        RunFolder.open(tmp_path)


def test_only_the_patients_of_the_part_are_painted_into_and_read_again(tmp_path):
    """A run with --splits must find its hosts again, and must not touch a patient of another part."""
    write_hosts(tmp_path / "hosts", 3)
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps({"train": ["N001", "N003"], "test": ["N002"]}))
    run = painted(tmp_path / "hosts", tmp_path / "run", splits=splits, hosts_with_scar=False)
    assert {row.host for row in run.rows} <= {"N001", "N003"}
    assert {entry.patient for entry in run.hosts().entries} == {"N001", "N003"}
    assert run.plan.patients == ("N001", "N003")
    named = painted(
        tmp_path / "hosts", tmp_path / "named", hosts=CohortSource(root=tmp_path / "hosts", patients=("N003",)), hosts_with_scar=False
    )
    assert {row.host for row in named.rows} == {"N003"}


def test_patients_that_are_not_there_are_named(tmp_path):
    write_hosts(tmp_path, 1)
    with pytest.raises(InputError, match=r"none of the patients N009; it has N001"):
        CohortSource(root=tmp_path, patients=("N009",)).open()


class TestOrientationCache:
    @pytest.fixture
    def counted(self, monkeypatch):
        calls = []
        locate = orientation_cache.locate_stack
        monkeypatch.setattr(orientation_cache, "locate_stack", lambda stack: calls.append(stack.patient) or locate(stack))
        return calls

    def test_the_hosts_of_a_run_are_oriented_once(self, run, counted):
        assert run.hosts().fingerprint == run.plan.hosts_fingerprint
        assert counted == []

    def test_a_changed_label_is_oriented_anew(self, run, counted, tmp_path):
        import nibabel as nib

        moved = tmp_path / "hosts"
        shutil.copytree(run.plan.request.hosts.root, moved)
        path = moved / "Case_N001/Contours/Case_N001.nii.gz"
        labels = nib.load(path)
        voxels = np.asarray(labels.dataobj).copy()
        voxels[0, 0, 0] = 2
        nib.save(nib.Nifti1Image(voxels, labels.affine), path)
        find_hosts(CohortSource(root=moved).open(), with_scar=True, cache=run.path / HOSTS_CACHE)
        assert counted == ["N001"]

    @pytest.mark.parametrize("content", ["", "[]", '{"version": "0"}', '{"version": "0.1.0", "stacks": {"x": 3}}'])
    def test_a_cache_that_cannot_be_read_only_costs_time(self, run, counted, tmp_path, content):
        (tmp_path / "cache.json").write_text(content)
        pool = find_hosts(run.plan.hosts().open(), with_scar=True, cache=tmp_path / "cache.json")
        assert pool.fingerprint == run.plan.hosts_fingerprint
        assert len(counted) == 3

    def test_every_entry_is_checked_before_it_is_believed(self, run, counted, tmp_path):
        content = json.loads((run.path / HOSTS_CACHE).read_text())
        for entry in content["stacks"].values():
            entry["insertions"] = entry["insertions"][:1]
        (tmp_path / "cache.json").write_text(json.dumps(content))
        pool = find_hosts(run.plan.hosts().open(), with_scar=True, cache=tmp_path / "cache.json")
        assert pool.fingerprint == run.plan.hosts_fingerprint
        assert len(counted) == 3
