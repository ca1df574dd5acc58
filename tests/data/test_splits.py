"""Each patient belongs to one part only."""

from __future__ import annotations

import json

import pytest
from factories import run_command

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.splits import part_of, read_splits, split_cohort, split_patients, write_splits
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.phantom.cohort import simulate_patients

NAMES = [f"P{i:03d}" for i in range(75)]
SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}


def test_every_patient_lands_in_one_part_of_the_right_size_whatever_the_order():
    parts = split_patients(NAMES, 3, SHARES)
    assert sorted(name for names in parts.values() for name in names) == NAMES
    assert [len(names) for names in parts.values()] == [45, 7, 23]
    assert parts == split_patients(NAMES[::-1], 3, SHARES)
    assert parts != split_patients(NAMES, 4, SHARES)


def test_shares_and_names_that_make_no_sense_are_refused():
    for shares in ({"a": 0.5}, {}, {"a": 1.5, "b": -0.5}):
        with pytest.raises(InputError, match="sum to 1"):
            split_patients(NAMES, 0, shares)
    with pytest.raises(InputError, match="P001 is twice in all"):
        split_patients([*NAMES, "P001"], 0, SHARES)


def test_splits_survive_the_file_and_lose_the_case_prefix(tmp_path):
    parts = split_patients(NAMES, 0, SHARES)
    write_splits(tmp_path / "s.json", parts)
    assert read_splits(tmp_path / "s.json") == parts
    (tmp_path / "s.json").write_text(json.dumps({"train": ["Case_N006", "samplePositive"]}))
    assert read_splits(tmp_path / "s.json") == {"train": ["N006", "samplePositive"]}


def test_only_an_equal_file_stands_in_the_way_of_no_split(tmp_path):
    write_splits(tmp_path / "new" / "s.json", {"train": ["N1"]})
    write_splits(tmp_path / "new" / "s.json", {"train": ["N1"]})
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "linked").symlink_to(tmp_path / "new" / "s.json")
    for place in ("new/s.json", "new", "link", "linked"):
        with pytest.raises(RunError, match="exists already"):
            write_splits(tmp_path / place, {"train": ["N2"]})
    assert read_splits(tmp_path / "new" / "s.json") == {"train": ["N1"]}
    assert not (tmp_path / "nowhere").exists()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link", "linked", "new", "s.json"]


def test_one_part_is_its_patients_and_an_unknown_one_is_refused_with_those_there_are(tmp_path):
    (tmp_path / "s.json").write_text(json.dumps({"train": ["Case_N006", "P001"], "val": [], "test": ["N002"]}))
    assert part_of(tmp_path / "s.json", "train") == ("N006", "P001")
    assert part_of(tmp_path / "s.json", "val") == ()
    with pytest.raises(InputError, match="no part audit; it has train, val, test"):
        part_of(tmp_path / "s.json", "audit")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"train": ["N1"], "test": ["Case_N1"]}', "N1 is in train and in test"),
        ('{"train": ["N1", "N1"]}', "N1 is twice in train"),
        ('{"train": "N1"}', "train: Input should be a valid array"),
        ("[]", "JSON object"),
        ("nonsense", "is not strict JSON"),
    ],
)
def test_split_files_that_make_no_sense_are_refused(tmp_path, text, says):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(InputError, match=says):
        read_splits(tmp_path / "s.json")


def test_every_part_gets_its_share_of_patients_with_scar(tmp_path):
    cohort = open_cohort(simulate_patients(tmp_path / "hearts", patients=10, seed=3, positive=0.6))
    calls = []
    parts = split_cohort(cohort, 1, {"train": 0.5, "test": 0.5}, on_case=lambda done, total: calls.append((done, total)))
    assert {part: sum(name.startswith("P") for name in names) for part, names in parts.items()} == {"train": 3, "test": 3}
    assert [len(names) for names in parts.values()] == [5, 5]
    assert calls[-1] == (10, 10)
    with pytest.raises(InputError, match="too few for a part tiny"):
        split_cohort(cohort, 1, {"train": 0.99, "tiny": 0.01})


def test_patients_that_cannot_be_read_are_named_and_not_called_too_few(tmp_path):
    folder = simulate_patients(tmp_path / "hearts", patients=4, seed=3, positive=0.0)
    [broken, *others] = sorted(folder.glob("Case_*/Contours/*.nii.gz"))
    broken.write_bytes(b"")
    shares = ("--shares", "train=0.5,test=0.5", "--out", tmp_path / "splits.json")
    some = run_command("split", folder, *shares)
    assert some.returncode == 0, some.stderr
    assert (
        f"patients that cannot be read and are in no part: 1 (first: {broken.name.removesuffix('.nii.gz').removeprefix('Case_')})"
        in some.stderr
    )
    for path in others:
        path.write_bytes(b"")
    none = run_command("split", folder, *shares)
    assert none.returncode == 2
    assert (
        f"none of its 4 patients can be read; the first is {broken.name.removesuffix('.nii.gz').removeprefix('Case_')}: {broken}"
        in none.stderr
    )
