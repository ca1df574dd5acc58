"""Training and packing never touch what they did not write, and never go on from other data in silence."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import run_command, write_patient
from training_requests import tiny_request

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import ModelError, RunError
from lgesynthnet.files.manifest import MANIFEST, FolderKind, Manifest
from lgesynthnet.files.owned import claimed
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.model_store import weights_folder
from lgesynthnet.synthesis.painters import load_filter
from lgesynthnet.terms import Stage
from lgesynthnet.train.packing import pack, pack_parts
from lgesynthnet.train.stages import train_generator


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a work folder of a finished text stage, a thesis, and a link to the thesis."""
    train_generator(tiny_request(tmp_path / "work"), Stage.TEXT)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("thesis")
    return tmp_path


@pytest.mark.parametrize("out", ["thesis", "link", "file", "file/inside", "work", "work/model", ".", "..", "work/../work", "/"])
@pytest.mark.parametrize("command", ["pack", "pack-parts", "all"])
def test_nothing_is_lost_whatever_out_is(home, out, command, hosts, monkeypatch):
    monkeypatch.chdir(home)
    before = tree(home)
    data = ["--data", hosts, "--recipe", "tiny"] if command == "all" else []
    done = run_command("train", command, "--work", "work", "--out", out, *data)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert {name: content for name, content in tree(home).items() if name in before and name != f"work/{MANIFEST}"} == {
        name: content for name, content in before.items() if name != f"work/{MANIFEST}"
    }
    assert not {Path(name).name for name in tree(home).keys() - before.keys()} - {".lock"}


def test_packing_reads_an_old_work_folder_that_cannot_be_written_and_training_refuses_it(tiny_stages, tmp_path):
    work = tiny_stages.copy_of(*tiny_stages.reports, to=tmp_path / "old")
    (work / MANIFEST).unlink()
    (work / ".lock").unlink(missing_ok=True)
    before = tree(work)
    pack_parts(work, tmp_path / "parts")
    assert (tmp_path / "parts" / "inpainter" / "unet").is_dir()
    with pytest.raises(RunError, match="what it wrote is read but not continued"):
        train_generator(tiny_request(work), Stage.TEXT)
    assert tree(work) == before


def test_a_model_of_an_earlier_version_is_not_packed_over(tiny_stages, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "reports.json").write_text("{}")
    with pytest.raises(RunError, match=r"version 0\.1\.0 wrote none"):
        pack_parts(tiny_stages.work, tmp_path / "model")
    assert os.listdir(tmp_path / "model") == ["reports.json"]


def test_a_second_training_in_a_work_folder_waits_outside(tmp_path):
    with claimed_elsewhere(tmp_path / "work"), pytest.raises(RunError, match="another process is writing"):
        train_generator(tiny_request(tmp_path / "work"), Stage.TEXT)


def claimed_elsewhere(work: Path):
    from filelock import FileLock

    work.mkdir()
    return FileLock(work / ".lock")


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    for number in range(2):
        write_patient(tmp_path / "patients", f"P{number}", seed=number, scar=True, rv=True)
    from lgesynthnet.data.declaration import write_declaration

    write_declaration(tmp_path / "patients", labels="lgesynthnet", base_first=True)
    return tmp_path / "patients"


def correct_a_label(patients: Path) -> None:
    path = next(patients.glob("*/Contours/*.nii.gz"))
    image = nib.load(path)
    labels = np.asarray(image.dataobj).copy()
    labels[labels == 3] = 2
    labels[30:34, 42:46] = 3
    nib.save(nib.Nifti1Image(labels.astype(np.uint8), image.affine), path)


def test_corrected_labels_are_seen_and_a_training_on_the_former_ones_is_not_continued(patients, tmp_path):
    work, notes = tmp_path / "work", []
    train_generator(tiny_request(work, open_cohort(patients)), Stage.AUTOENCODER)
    correct_a_label(patients)
    with pytest.raises(RunError, match=r"its files or how they are read have changed since; choose another --work .*delete .*autoencoder"):
        train_generator(tiny_request(work, open_cohort(patients)), Stage.AUTOENCODER)
    with pytest.raises(RunError, match="choose another --work"):  # neither with other options for the same files
        train_generator(tiny_request(work, open_cohort(patients, flip=(True, False))), Stage.AUTOENCODER)
    shutil.rmtree(work / "autoencoder")
    old = (work / "examples.safetensors").read_bytes()
    train_generator(tiny_request(work, open_cohort(patients), on_note=notes.append), Stage.AUTOENCODER)
    assert len(notes) == 1
    assert "prepared again" in notes[0]
    assert (work / "examples.safetensors").read_bytes() != old


def test_data_that_moved_are_the_same_data(patients, tmp_path):
    train_generator(tiny_request(tmp_path / "work", open_cohort(patients)), Stage.AUTOENCODER)
    patients.rename(tmp_path / "moved")
    train_generator(tiny_request(tmp_path / "work", open_cohort(tmp_path / "moved")), Stage.AUTOENCODER)


def test_out_is_held_by_the_model_alone(tiny_stages, tmp_path):
    from lgesynthnet.files.manifest import FolderKind

    with claimed(tmp_path / "run", FolderKind.RUN):
        pass
    with pytest.raises(RunError, match=r"holds a run"):
        pack_parts(tiny_stages.work, tmp_path / "run")
    with pytest.raises(RunError, match="is the work folder itself"):
        pack(tiny_stages.work, tiny_stages.work, card="")


def test_a_model_whose_packing_was_interrupted_is_refused_until_it_is_packed_again(tmp_path):
    out = tmp_path / "model"
    shutil.copytree(weights_folder() / "phantom", out)
    Manifest.create(out, FolderKind.MODEL, {})  # a list that says nothing of an end
    for load in (lambda: LGESynthNet.from_pretrained(out), lambda: load_filter(out)):
        with pytest.raises(ModelError, match="packing it was interrupted; give the command that packed it again"):
            load()
    Manifest(out).add({"finished": True})
    assert LGESynthNet.from_pretrained(out).fingerprint == LGESynthNet.from_pretrained("phantom").fingerprint
