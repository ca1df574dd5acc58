"""Pseudonyms: no page, export or header tells who the hosts are or where they lie, and the table of the run resolves them."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import run_command, write_patient

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import RunError
from lgesynthnet.files.manifest import MANIFEST
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.pseudonyms import number_patients, read_pseudonyms, without_names
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.synthesize import synthesize_run
from lgesynthnet.terms import Prior

NAME, FOLDER = "Mueller_Hans_1957", "klinik_secret"
NAMES = (NAME, "Adam_1950", "Zoe_1960")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A run over three patients with names, whose headers hold names and paths as some scanners' exports do."""
    root = tmp_path_factory.mktemp("named")
    hosts = root / FOLDER / "hosts"
    for seed, name in enumerate(NAMES):
        write_patient(hosts, name, seed, rv=True)
        for path in hosts.rglob(f"Case_{name}.nii.gz"):
            image = nib.load(path)
            for field, text in (("descrip", f"{name} at {path}"), ("db_name", name), ("aux_file", name[:20]), ("data_type", "klinik")):
                image.header[field] = text.encode()[:79]
            nib.save(image, path)
    (hosts / "lgesynthnet.json").write_text('{"lgesynthnet": {"labels": "lgesynthnet", "base_first": true}}')
    request = SynthesisRequest(hosts=CohortSource(root=hosts), model="paste", prior=Prior.ISCHAEMIC, count=6, keep_all=True)
    synthesize_run(request, root / "run")
    return root


def unpacked(path: Path) -> bytes:
    """Name and content of a file; compressed voxels and the pictures of a page as they are after unpacking."""
    content = path.read_bytes()
    if path.name.endswith(".gz"):
        content = gzip.decompress(content)
    pictures = b"".join(map(base64.b64decode, re.findall(rb"base64,([A-Za-z0-9+/=]+)", content)))
    return path.name.encode() + content + pictures


def shared_files(root: Path) -> list[Path]:
    run = root / "run"
    parts = [path for part in ("images", "labels", "read", "intended", "hidden") for path in (run / part).iterdir()]
    assert parts
    return [run / "report.html", run / "card.md", *parts]


@pytest.mark.parametrize("secret", [NAME, FOLDER, "Mueller", "klinik", "Adam_1950"])
def test_no_shared_byte_names_a_patient_or_a_folder(world, tmp_path, secret):
    for words in (
        ("nifti", world / "run", tmp_path / "pairs"),
        ("nnunet", world / "run", tmp_path / "raw", "--dataset-id", 9, "--folds", 2),
    ):
        done = run_command("export", *words)
        assert done.returncode == 0, done.stderr
    exported = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(exported) > 40
    for path in (*shared_files(world), *exported):
        assert secret.encode() not in unpacked(path), path
        assert secret not in str(path.relative_to(tmp_path if path in exported else world))
    table = (world / "run" / "pseudonyms.csv").read_text()
    assert (secret in table) is (secret not in (FOLDER, "klinik"))


def test_the_table_resolves_each_pseudonym_and_real_and_synthetic_slices_of_a_patient_share_it(world, tmp_path):
    run_command("export", "nifti", world / "run", tmp_path / "pairs")
    with (world / "run" / "pseudonyms.csv").open(newline="") as lines:
        patient_of = {row["pseudonym"]: row["patient"] for row in csv.DictReader(lines)}
    assert sorted(patient_of.values()) == sorted(NAMES)
    with (tmp_path / "pairs" / "cases.csv").open(newline="") as lines:
        cases = list(csv.DictReader(lines))
    host_of = {row.id: row.host for row in RunFolder.open(world / "run").rows}
    for case in cases:
        if case["origin"] == "synthetic":
            assert patient_of[case["patient"]] == host_of[case["sample"]]
        else:
            image = nib.load(tmp_path / "pairs" / case["image_file"])
            name = patient_of[case["patient"]]
            stack = nib.load(world / FOLDER / "hosts" / f"Case_{name}" / "Images" / f"Case_{name}.nii.gz")
            np.testing.assert_array_equal(np.asarray(image.dataobj)[..., 0], np.asarray(stack.dataobj)[..., int(case["slice"])])
    assert {case["patient"] for case in cases if case["origin"] == "real"} == set(patient_of)


def test_folds_still_part_patients(world, tmp_path):
    run_command("export", "nnunet", world / "run", tmp_path, "--dataset-id", 9, "--folds", 2)
    folder = tmp_path / "Dataset009_LGESynthNet"
    with (folder / "cases.csv").open(newline="") as lines:
        patient_of = {row["id"]: row["patient"] for row in csv.DictReader(lines)}
    folds = json.loads((folder / "splits_final.json").read_text())
    assert len(folds) == 2
    for fold in folds:
        assert {patient_of[name] for name in fold["train"]}.isdisjoint(patient_of[name] for name in fold["val"])


def test_names_are_kept_on_request(world, tmp_path):
    done = run_command("export", "nifti", world / "run", tmp_path / "pairs", "--keep-names")
    assert "pseudonym" not in done.stderr
    assert list((tmp_path / "pairs").glob(f"real_{NAME}_s*_image.nii.gz"))
    refused = run_command("export", "nifti", world / "run", tmp_path / "pairs")
    assert "names was kept and is now pseudonyms" in refused.stderr


def test_the_run_is_listed_whole_and_the_same_run_has_the_same_table(world, tmp_path):
    assert run_command("verify", world / "run").returncode == 0
    run = RunFolder.open(world / "run")
    synthesize_run(run.plan.request, tmp_path / "again")
    assert (tmp_path / "again" / "pseudonyms.csv").read_bytes() == (world / "run" / "pseudonyms.csv").read_bytes()


def test_a_run_that_lacks_the_table_gets_the_same_one_and_one_that_cannot_be_written_says_what_to_do(world, tmp_path):
    run = shutil.copytree(world / "run", tmp_path / "run")
    (run / "pseudonyms.csv").unlink()
    assert run_command("export", "nifti", run, tmp_path / "pairs", "--no-real").returncode == 0
    assert (run / "pseudonyms.csv").read_bytes() == (world / "run" / "pseudonyms.csv").read_bytes()
    (run / "pseudonyms.csv").unlink()
    (run / MANIFEST).unlink()
    refused = run_command("export", "nifti", run, tmp_path / "more", "--no-real")
    assert refused.returncode == 2
    assert "--keep-names" in refused.stderr
    assert run_command("export", "nifti", run, tmp_path / "more", "--no-real", "--keep-names").returncode == 0


def test_patients_of_another_folder_get_further_numbers(world, tmp_path):
    run = shutil.copytree(world / "run", tmp_path / "run")
    write_patient(tmp_path / "others", "Yves", 5, scar=True)
    done = run_command("export", "nifti", run, tmp_path / "pairs", "--data", tmp_path / "others")
    assert done.returncode == 0, done.stderr
    before, after = read_pseudonyms(world / "run" / "pseudonyms.csv"), read_pseudonyms(run / "pseudonyms.csv")
    assert after == before | {"Yves": "patient-004"}
    assert run_command("verify", run).returncode == 0


def test_numbers_do_not_follow_the_alphabet_and_depend_on_the_data():
    names = [f"P{number:03d}" for number in range(200)]
    first, second = number_patients(names, "hosts:1"), number_patients(reversed(names), "hosts:2")
    assert first == number_patients(reversed(names), "hosts:1")
    ranks = [int(first[name].removeprefix("patient-")) for name in names]
    assert sorted(ranks) == list(range(1, 201))
    assert abs(np.corrcoef(ranks, range(200))[0, 1]) < 0.2
    assert sum(first[name] == second[name] for name in names) < 10


@pytest.mark.parametrize(
    "table",
    [
        "",
        "a,b\n",
        "pseudonym,patient\npatient-001\n",
        "pseudonym,patient\nMueller,A\n",
        "pseudonym,patient\npatient-001,../A\n",
        "pseudonym,patient\npatient-001,A\npatient-001,B\n",
        "pseudonym,patient\npatient-001,A\npatient-002,A\n",
        'pseudonym,patient\npatient-001,"A\n',
        "pseudonym,patient\npatient-001," + "A" * 200_000 + "\n",
        "\udcff",
    ],
)
def test_a_damaged_table_is_refused_with_a_remedy(tmp_path, table):
    path = tmp_path / "pseudonyms.csv"
    path.write_text(table, errors="surrogateescape")
    with pytest.raises(RunError, match=r"pseudonyms\.csv: .*; bring the table back as it was, or move it away"):
        read_pseudonyms(path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Mueller_Hans_1957_s03: has no wall", "patient-002_s03: has no wall"),
        ("/a/klinik secret/Case_Mueller_Hans_1957/x.nii.gz: changed", "FILE: changed"),
        ("/b/other.json: line 3: /c/d", "FILE: line 3: FILE"),
        (r"C:\data\x.nii: changed", "FILE: changed"),
        ("Dice 0.31/0.6 and 2 mm/s", "Dice 0.31/0.6 and 2 mm/s"),
    ],
)
def test_messages_lose_names_and_paths(text, shown):
    assert without_names(text, NAME, "patient-002", [Path("/a/klinik secret")]) == shown
