"""Folders and lists that were made by mistake or to do harm: bad names, pipes, loops, variables, and files that unpack without end."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import run_command, write_patient

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.layouts import listing
from lgesynthnet.data.nifti import LIMIT_OPTION, read_volume
from lgesynthnet.data.splits import read_splits
from lgesynthnet.errors import InputError

LABELS = {"background": 0, "cavity": 1, "wall": 2}
BAD_NAMES = ("../../../x", "a/b", "a\\b", "..", "x\ny", "", ".hidden", "n" * 200, "a\0b")


def listed(root: Path, pair, **cases: object) -> Path:
    """An nnU-Net folder whose dataset.json lists these cases beside a good one."""
    pair(root / "i.nii.gz", root / "l.nii.gz")
    entry = {"images": ["i.nii.gz"], "label": "l.nii.gz"}
    (root / "dataset.json").write_text(json.dumps({"labels": LABELS, "dataset": {"good": entry, **cases}}))
    return root


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_case_with_a_name_that_is_no_name_is_skipped_in_one_line(tmp_path, pair, name):
    cohort = open_cohort(listed(tmp_path, pair, **{name: {"images": ["i.nii.gz"], "label": "l.nii.gz"}}))
    assert [case.patient for case in cohort.cases] == ["good"]
    [skipped] = cohort.skipped
    assert f"{skipped.name} {skipped.reason}".isprintable()
    assert skipped.reason.startswith(f"{tmp_path / 'dataset.json'}: ")
    assert skipped.reason.endswith("; rename it")


def test_no_command_writes_outside_its_folder_for_a_name_that_climbs(tmp_path, pair):
    root = listed(tmp_path / "a" / "b" / "hosts", pair, **{"../../../x": {"images": ["i.nii.gz"], "label": "l.nii.gz"}})
    outside = sorted(tmp_path.rglob("*"))
    done = run_command("synthesize", "--hosts", root, "--model", "paste", "--patient", "../../../x", "--prior", "uniform",
                       "--count", 1, "--out", tmp_path / "a" / "b" / "run")  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == outside


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ({"dataset": {"c": {"images": "i.nii.gz", "label": "l.nii.gz"}}}, "dataset.c.images"),
        ({"dataset": {"c": {"images": ["i.nii.gz"]}}}, "dataset.c.label"),
        ({"dataset": {"c\n" * 90: {"images": 1}}}, "dataset"),
        ({"dataset": {}, "labels": {"cavity": 1.5}}, "labels"),
        ({"dataset": {}, "channel_names": {"LGE": "LGE", "1": "T2"}}, "channel"),
        ({"dataset": {}, "channel_names": {"-1": "LGE", "1": "T2"}}, "channel"),
        ({"dataset": {}, "channel_names": {"9" * 5000: "LGE", "1": "T2"}}, "channel"),
        ({"dataset": {}, "channel_names": ["LGE"]}, "channel_names"),
        ({"dataset": {}, "labels": {"9" * 5000: "cavity"}}, "the meaning of its label ids is not known"),
    ],
)
def test_a_dataset_json_of_other_types_is_refused_in_one_line(tmp_path, card, says):
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": LABELS} | card))
    with pytest.raises(InputError, match=says) as caught:
        open_cohort(tmp_path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_a_dataset_json_learns_of_no_variable_but_those_of_nnunet(tmp_path, pair, monkeypatch):
    pair(tmp_path / "far" / "i.nii.gz", tmp_path / "far" / "l.nii.gz")
    for name in ("nnUNet_raw", "SECRET"):
        monkeypatch.setenv(name, str(tmp_path / "far"))
    cases = {name: {"images": [f"${{{name}}}/i.nii.gz"], "label": f"${name}/l.nii.gz"} for name in ("nnUNet_raw", "SECRET")}
    cohort = open_cohort(listed(tmp_path / "near", pair, **cases))
    assert [case.patient for case in cohort.cases] == ["good", "nnUNet_raw"]
    assert "${SECRET}" in cohort.skipped[0].reason


def test_a_listed_case_without_any_file_is_not_dropped_in_silence(tmp_path, pair):
    cohort = open_cohort(listed(tmp_path, pair, gone={"images": ["no.nii.gz"], "label": "none.nii.gz"}))
    assert [(skipped.name, "neither" in skipped.reason) for skipped in cohort.skipped] == [("gone", True)]


@pytest.mark.parametrize("bad", [b"Case_\xff", b"Case_a\nb"])
def test_folders_and_files_with_names_that_cannot_be_printed_are_skipped(tmp_path, bad):
    write_patient(tmp_path, "N001", seed=0)
    write_patient(tmp_path, "N002", seed=1)
    write_patient(tmp_path, "N003", seed=2)
    os.rename(tmp_path / "Case_N002", os.path.join(os.fsencode(tmp_path), bad))
    image = tmp_path / "Case_N003" / "Images" / "Case_N003.nii.gz"
    os.rename(image, os.path.join(os.fsencode(image.parent), bad + b".nii.gz"))
    cohort = open_cohort(tmp_path)
    assert [case.patient for case in cohort.cases] == ["N001"]
    assert len(cohort.skipped) == 2
    assert all(f"{skipped.name} {skipped.reason}".isprintable() for skipped in cohort.skipped)
    done = run_command("verify", tmp_path, "--json")
    assert done.returncode == 2
    json.loads(done.stdout.encode())
    with pytest.raises(InputError, match="rename the folder") as caught:
        open_cohort(Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), bad))))
    assert str(caught.value).isprintable()


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    write_patient(tmp_path, "N001", seed=0)
    pipe, device, loop, folder = images = [write_patient(tmp_path, f"N{number:03}", seed=1) for number in range(2, 6)]
    for image in images:
        image.unlink()
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    loop.symlink_to(loop)
    folder.mkdir()
    code = "import sys; from lgesynthnet.cli.app import main; sys.argv[1:] = ['verify', sys.argv[1]]; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert all(f"N{number:03}" in done.stdout for number in range(2, 6))
    assert "4 errors," in done.stdout
    for image in images:
        with pytest.raises(InputError):
            read_volume(image)


def test_a_text_that_is_a_pipe_is_refused_at_once(tmp_path):
    write_patient(tmp_path, "N001", seed=0)
    for name in ("lgesynthnet.json", "dataset.json"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match="is not a regular file"):
            open_cohort(tmp_path)
        (tmp_path / name).unlink()
    os.mkfifo(tmp_path / "marks.csv")
    with pytest.raises(InputError, match="is not a regular file"):
        open_cohort(tmp_path, landmarks=tmp_path / "marks.csv")


def test_one_patient_with_two_images_or_closed_folder_costs_one_patient(tmp_path, monkeypatch):
    for number in range(3):
        write_patient(tmp_path, f"N00{number}", seed=number)
    twice = tmp_path / "Case_N001" / "Images" / "Case_N001.nii.gz"
    twice.with_suffix("").write_bytes(gzip.decompress(twice.read_bytes()))
    closed = tmp_path / "Case_N002"
    monkeypatch.setattr(listing, "_is_open", lambda folder: folder != closed)  # the tests may run as root, who may read all
    cohort = open_cohort(tmp_path)
    assert [case.patient for case in cohort.cases] == ["N000"]
    remedies = {skipped.reason.rpartition("; ")[2].partition(",")[0] for skipped in cohort.skipped}
    assert remedies == {"keep one of them", "check its permissions"}


def test_a_folder_with_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "MOST_ENTRIES", 3)
    for number in range(4):
        (tmp_path / f"{number}.nii.gz").touch()
    with pytest.raises(InputError, match="holds more than 3 files"):
        open_cohort(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"train": [1]}', "train.0"),
        ('{"train": ["../x"]}', "holds '/'"),
        ('{"train": ["a"], "train": ["b"]}', "twice"),
        ('{"tr\\nain": ["a"]}', "cannot be printed"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_splits_are_read_strictly(tmp_path, text, says):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        read_splits(tmp_path / "s.json")
    assert str(caught.value).isprintable()


HEAD = "case,slice,anterior_deg,inferior_deg\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (HEAD + "N001,0,1e400,2\n", "line 2: anterior_deg"),
        (HEAD + "N001,1.5,1,2\n", "line 2: slice"),
        (HEAD + "N001,-1,1,2\n", "line 2: slice"),
        (HEAD + "N001," + "9" * 5000 + ",1,2\n", "line 2: slice"),
        (HEAD + "../x,0,1,2\n", "line 2: the name"),
        (HEAD + '"a\nb",0,1,2\n', "line 3: the name"),
        (HEAD + "N001,0,120,120\n", "which is no septum"),
        (HEAD + "N001,0,240,120\n", "line 2: .* are 240 degrees counter-clockwise, .*; exchange the two"),
        ("slice,anterior_deg,inferior_deg,case\n0,1,2\n", "line 2: case"),
        (HEAD + "N001,0," + "1" * 200_000 + ",2\n", "is not a CSV file|anterior_deg"),
        (HEAD.encode("utf-16"), "is not UTF-8 text"),
        (HEAD.encode() + b"N\xff,0,1,2\n", "is not UTF-8 text"),
        (b"", "has no column"),
        (b"\0" * 50, "has no column|is not a CSV"),
    ],
)
def test_landmarks_are_read_strictly(tmp_path, content, says):
    write_patient(tmp_path, "N001", seed=0)
    (tmp_path / "marks.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=says) as caught:
        open_cohort(tmp_path, landmarks=tmp_path / "marks.csv")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_the_limit_of_voxels_is_raised_as_the_error_says(tmp_path, save, monkeypatch):
    path = save(tmp_path / "a.nii.gz", np.ones((40, 36, 3), np.uint8))
    monkeypatch.setenv(LIMIT_OPTION, "4000")
    with pytest.raises(InputError, match=f"over the limit of 4000; .* environment variable {LIMIT_OPTION}"):
        read_volume(path)
    monkeypatch.setenv(LIMIT_OPTION, "4320")
    read_volume(path)
    monkeypatch.setenv(LIMIT_OPTION, "many")
    with pytest.raises(InputError, match="must be a whole number of voxels"):
        read_volume(path)


def test_a_long_rest_after_the_voxels_is_not_read(tmp_path, save):
    path = save(tmp_path / "a.nii", np.ones((40, 36, 3), np.uint8))
    with path.open("ab") as file:
        file.truncate(2**31)  # 2 GiB of nothing
    with pytest.raises(InputError, match="holds far more than"):
        read_volume(path)


MEASURE = """
import resource, sys
from pathlib import Path
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.hosts.inspection import verify
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.errors import LGESynthNetError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
cohort = open_cohort(Path(sys.argv[1]))
for read in (verify, find_hosts):
    try:
        read(cohort)
    except LGESynthNetError as fault:
        print(fault)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_mib(root: Path) -> int:
    """Peak memory of a process that verifies a folder and lists its hosts."""
    done = subprocess.run([sys.executable, "-c", MEASURE, str(root)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def write_zeros(path: Path, shape: tuple[int, int, int], dtype: type) -> None:
    """A file of zeros, whose compressed size is a thousandth."""
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header["pixdim"][1:4] = 0.9, 0.9, 8.0
    header["vox_offset"] = 352
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.binaryblock.ljust(352, b"\0"))
        left = int(np.prod(shape)) * np.dtype(dtype).itemsize
        while left:
            left -= file.write(bytes(min(left, 2**24)))


@pytest.mark.long
@pytest.mark.parametrize(
    ("shape", "dtype"), [((1024, 1024, 127), np.float64), ((1024, 1024, 32), np.float64), ((1024, 1024, 32), np.uint8)], ids=str
)
def test_small_files_that_unpack_to_much_take_little_memory(tmp_path, shape, dtype):
    """The first states just below 1 GiB; the others stand at the limit of voxels."""
    write_patient(tmp_path, "N001", seed=0, rv=False)
    for part in ("Images", "Contours"):
        write_zeros(tmp_path / "Case_X" / part / "Case_X.nii.gz", shape, dtype)
    assert (tmp_path / "Case_X" / "Images" / "Case_X.nii.gz").stat().st_size < 8 * 2**20
    assert peak_mib(tmp_path) < 1500
