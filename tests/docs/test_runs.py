"""What README, guides and notebook tell a reader to do works when it is done, on simulated hearts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_files import patient, save, series, write_icontours
from pages import HOW_TO, PROJECT, Block, blocks, commands, name_of, notebook_cells
from typer.testing import CliRunner

from lgesynthnet.cli.app import app

# Enough to see that it works; what a page asks for takes minutes.
SMALLER = [
    (r"--count \d+", "--count 2"),
    (r"--per-host \d+", "--per-host 1"),
    (r"^demo (?!.*--count)", "demo --count 2 "),
    (r"--patients (?!12\b)\d+", "--patients 2"),
]
RUNNABLE = [page for page in HOW_TO if any(block.runnable for block in blocks(page, "bash"))]


@pytest.fixture(scope="module")
def hearts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve simulated patients, half of them with scar: enough for four parts."""
    from lgesynthnet import simulate_patients

    folder = tmp_path_factory.mktemp("documents") / "hearts"
    simulate_patients(folder, patients=12, seed=0, positive=0.5)
    return folder


@pytest.fixture(scope="module")
def own_patients(hearts: Path) -> Path:
    """The same patients as image/label pairs with the ids 10 cavity, 20 wall, 30 scar."""
    folder = hearts.parent / "my-patients"
    folder.mkdir()
    for image in sorted(hearts.glob("*/Images/*.nii.gz")):
        case = image.name.removesuffix(".nii.gz")
        shutil.copy(image, folder / f"{case}_image.nii.gz")
        stored = nib.load(image.parent.parent / "Contours" / image.name)
        ids = np.array([0, 10, 20, 30, 30, 0], dtype=np.uint8)[np.asarray(stored.dataobj).astype(int)]
        nib.save(nib.Nifti1Image(ids, stored.affine, stored.header), folder / f"{case}_label.nii.gz")
    return folder


def write_dicom_patients(root: Path) -> None:
    """Four patients as DICOM series, each with its contours as text files beside the images."""
    for seed, name in enumerate(("A17", "B03", "C21", "D08")):
        who = patient(seed=seed)
        paths = save(series(who, PatientID=name, PatientName=name), root / name / "dicom", name="IM-0001-0")
        write_icontours(who, root / name / "contours", [path.stem for path in paths])


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_the_commands_of_a_page_work_in_their_order(page, hearts, own_patients, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "".join(block.text for block in blocks(page, "bash") if block.runnable)
    if "my-patients" in text:
        shutil.copytree(own_patients, tmp_path / "my-patients")
    if "my-dicom" in text:
        write_dicom_patients(tmp_path / "my-dicom")
    for block in blocks(page, "bash", "python"):
        if block.runnable and block.language == "bash":
            run(block, hearts)
        elif block.runnable and page != PROJECT / "README.md":  # whose Python has a test below
            exec(block.text, {})


def run(block: Block, hearts: Path) -> None:
    """Run the commands of a block in this process, so that torch is loaded once; what already was simulated is copied."""
    for words in commands(block):
        if words == ["phantom", "hearts", "--patients", "12", "--positive", "0.5"]:
            shutil.copytree(hearts, "hearts")
            continue
        target = words[words.index(">") + 1] if ">" in words else None
        words = words[: words.index(">")] if target else words
        result = CliRunner().invoke(app, smaller(words), catch_exceptions=False)
        assert result.exit_code == 0, f"lgesynthnet {' '.join(words)}\n{result.output}"
        if target:
            Path(target).write_text(result.stdout)


def smaller(words: list[str]) -> list[str]:
    line = "\0".join(words)
    for pattern, replacement in SMALLER:
        line = re.sub(pattern.replace(" ", "\0"), replacement.replace(" ", "\0"), line)
    return line.split("\0")


def test_the_python_of_the_readme_works_on_what_the_demo_leaves_behind(tmp_path, monkeypatch):
    from lgesynthnet.synthesis.demo import simulated_hosts

    simulated_hosts(tmp_path / "runs" / "demo")
    monkeypatch.chdir(tmp_path)
    [block] = blocks(PROJECT / "README.md", "python")
    names: dict[str, object] = {}
    exec(block.text, names)
    sample = names["sample"]
    assert sample.max_change_outside == 0
    assert set(np.unique(sample.labels)) >= {1, 2, 3}


def test_the_notebook_works_from_the_first_cell_to_the_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names: dict[str, object] = {}
    for cell in notebook_cells():
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert len(list((tmp_path / "runs" / "first-sample" / "pairs").glob("*_image.nii.gz"))) == 3
    assert (tmp_path / "runs" / "first-sample" / "run" / "report.html").is_file()
