"""The repository as a whole: what a wheel holds, what files must never say, and that documents and pins keep up with the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import lgesynthnet
from lgesynthnet.run.sample_row import SampleRow

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "src" / "lgesynthnet"
LEFTOVERS = {".git", ".venv", "build", "dist", "runs", "local", "shared", "__pycache__"}
WEIGHTS_LIMIT = 40 * 2**20
# Spelled in two halves, or this file would find itself.
REGISTRY_HOSTS = ("py" + "pi.org", "python" + "hosted.org", "download.py" + "torch.org", "npm" + "js.org", "ana" + "conda.org")


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file that belongs to the repository."""
    stack = [PROJECT]
    while stack:
        for path in sorted(stack.pop().iterdir()):
            if path.name in LEFTOVERS or path.name.endswith(("_cache", ".egg-info")) or path.name == ".hypothesis":
                continue
            if path.is_dir():
                stack.append(path)
            elif b"\0" not in (head := path.read_bytes()):
                yield path.relative_to(PROJECT), head.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Name -> size of the files in the built wheel."""
    from hatchling.builders.wheel import WheelBuilder

    folder = tmp_path_factory.mktemp("wheel")
    [path] = WheelBuilder(str(PROJECT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(path) as archive:
        return {entry.filename: entry.file_size for entry in archive.infolist()}


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel):
    files = {
        path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel if ".dist-info/" not in name}
    assert packed == files
    assert "lgesynthnet/report/templates/report.html" in packed


def test_the_wheel_holds_the_weights_with_their_card_in_at_most_40_mb(wheel):
    weights = {name: size for name, size in wheel.items() if name.startswith("lgesynthnet/weights/phantom/")}
    assert "lgesynthnet/weights/phantom/README.md" in weights
    for part in ("inpainter", "filter"):
        assert any(name.startswith(f"lgesynthnet/weights/phantom/{part}/") and name.endswith(".safetensors") for name in weights), part
    assert sum(weights.values()) <= WEIGHTS_LIMIT
    assert not [name for name in wheel if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl"))]  # nothing that would be unpickled


def test_the_wheel_carries_its_licence(wheel):
    assert any(name.endswith("licenses/LICENSE") for name in wheel)


def test_no_file_names_a_registry_host():
    found = [f"{path}: {host}" for path, text in texts() for host in REGISTRY_HOSTS if host in text]
    assert not found


def test_nothing_imports_the_package_that_breaks_transformers():
    found = [
        path for path, text in texts() if path.suffix == ".py" and re.search(r"^\s*(?:import|from)\s+torch(?:vision|audio)\b", text, re.M)
    ]
    assert not found


def test_no_patient_data_lies_in_the_repository():
    images = [path for path in PROJECT.rglob("*") if path.name.endswith((".nii", ".nii.gz", ".dcm", ".mha", ".nrrd"))]
    assert not [path for path in images if not LEFTOVERS & set(path.relative_to(PROJECT).parts)]


def test_every_dependency_is_pinned_in_the_tested_set():
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = settings["dependencies"] + settings["optional-dependencies"]["dev"]
    pins = {plain(line) for line in (PROJECT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert not [name for name in map(plain, wanted) if name not in pins]
    assert "torchvision<0" in (PROJECT / "constraints.txt").read_text().splitlines()


def plain(requirement: str) -> str:
    """A distribution's name as the packaging rules compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s=<>~!;\[]", requirement)[0]).lower()


def test_one_version_everywhere():
    assert tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]  # read from the package
    [newest, *_] = re.findall(r"^## \[?(\d+\.\d+\.\d+)", (PROJECT / "CHANGELOG.md").read_text(), re.M)
    assert newest == lgesynthnet.__version__


def test_every_public_name_is_there_and_importing_them_loads_no_torch():
    networks = ("LGESynthNet", "DownstreamSegmenter", "train_downstream")
    names = [name for name in lgesynthnet.__all__ if name not in (*networks, "__version__")]
    script = f"import sys, lgesynthnet; [getattr(lgesynthnet, name) for name in {names}]; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
    assert lgesynthnet.LGESynthNet.__name__ == "LGESynthNet"


def test_links_between_documents_lead_somewhere():
    broken = []
    for path, text in texts():
        if path.suffix == ".md" and path.parts[0] != "src":
            for target in re.findall(r"\]\(([^)#\s]+)", text):
                if "://" not in target and not (PROJECT / path.parent / target).exists():
                    broken.append(f"{path} -> {target}")
    assert not broken


def test_a_decision_page_says_what_it_breaks():
    pages = sorted((PROJECT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04d}" for number in range(1, len(pages) + 1)]
    for page in pages:
        headings = re.findall(r"^## (.+)$", page.read_text(), re.M)
        assert headings == ["Status", "Context", "Decision", "Alternatives", "What it breaks"], page.name


def test_the_targets_that_the_readme_names_exist():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.M))
    named = {target for _, text in texts() for target in re.findall(r"`make ([a-z-]+)", text)}
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize("tool", [("ruff", "check", "--no-cache"), ("mypy", "--cache-dir", "/dev/null")], ids=lambda tool: tool[0])
def test_an_undefined_name_in_a_module_fails_lint(tool, tmp_path):
    module = tmp_path / "module.py"
    module.write_text("def broken() -> int:\n    return undefined_name\n")
    name, *options = tool
    settings = ("--config" if name == "ruff" else "--config-file", str(PROJECT / "pyproject.toml"))
    found = subprocess.run([sys.executable, "-m", name, *options, *settings, str(module)], capture_output=True, text=True)
    assert found.returncode == 1, found.stderr
    assert "undefined_name" in found.stdout


def test_real_data_is_found_by_the_environment_variable_alone():
    above = ".." + "/shared"  # in two halves, as above
    assert not [str(path) for path, text in texts() if above in text and path.as_posix() != ".ci/run"]


def modules(*packages: str) -> list[str]:
    """Names of the modules in these packages of ours."""
    files = sorted(path for package in packages for path in (PACKAGE / package).rglob("*.py"))
    return [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__") for path in files]


def test_importing_hosts_runs_exports_and_reports_loads_no_torch():
    """Networks are imported when one runs, and not by who reads or writes a run."""
    script = "import importlib, sys\n"
    script += f"for name in {modules('export', 'hosts', 'report', 'run')}: importlib.import_module(name)\n"
    script += "print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    assert not {"torch", "transformers", "diffusers", "monai", "accelerate", "safetensors"}.intersection(loaded)


def test_no_function_outside_the_command_line_is_longer_than_60_lines():
    long = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.is_relative_to(PACKAGE / "cli"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno + 1 > 60:
                long.add(f"{path.relative_to(PACKAGE)}:{node.name}")
    assert not long


def test_no_module_is_longer_than_400_lines_and_no_folder_holds_more_than_16():
    lines = {path.relative_to(PACKAGE).as_posix(): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert not {name for name, count in lines.items() if count > 400}
    folders = Counter(str(Path(name).parent) for name in lines if not name.endswith("__init__.py"))
    assert not {name for name, count in folders.items() if count > 16}


def test_one_module_alone_names_the_columns_of_a_run():
    """A column is named in `SampleRow`; elsewhere a row is an object, and its cells are not looked up by text."""
    columns = "|".join(name for name in SampleRow.columns() if name not in ("id", "file", "filter", "seed", "prescription", "caption"))
    lookup = re.compile(rf"""row(?:\.get\(|\[)["'](?:{columns})["']""")
    readers = [path for path in PACKAGE.rglob("*.py") if lookup.search(path.read_text())]
    tables = [path for path in PACKAGE.rglob("*.py") if "DictReader" in path.read_text() and "samples" in path.read_text()]
    assert not readers
    assert [path.relative_to(PACKAGE).as_posix() for path in tables] == ["run/folder.py"]
