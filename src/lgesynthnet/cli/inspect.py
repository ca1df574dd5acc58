"""`lgesynthnet verify`, `split`, `phantom` and `info`: check data, divide patients, simulate patients, show the installation."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.console import interruptible
from lgesynthnet.cli.options import Seed
from lgesynthnet.cli.signature import takes
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.files.names import checked_name
from lgesynthnet.options import option
from lgesynthnet.terms import LEAST_ORIENTATION_CONFIDENCE

if TYPE_CHECKING:
    from lgesynthnet.data.cohort import Cohort
    from lgesynthnet.hosts.inspection import CaseReport, VerifyReport
    from lgesynthnet.hosts.locate import LocatedStack
    from lgesynthnet.records import Stack
    from lgesynthnet.report.contact_sheet import Strip
    from lgesynthnet.verification.folders import FolderReport

PACKAGES = ("torch", "diffusers", "transformers", "monai", "accelerate", "numpy", "scipy", "scikit-image", "nibabel", "pydantic", "typer")
INCOMPATIBLE = ("torchvision",)
_SHARE = re.compile(r"[01]?\.?[0-9]{0,20}(?<=[0-9])")


@dataclass(frozen=True, kw_only=True)
class VerifyRequest:
    """What to verify."""

    source: CohortSource = option(
        help="Folder of patients in any usual layout, a table of them (CSV), or a folder that this program wrote.",
        flags=("FOLDER",),
    )
    splits: Path | None = option(
        None, help="JSON file with the patients of each part. It is then an error if a patient is in two parts under different names."
    )
    least_orientation_confidence: float = option(
        LEAST_ORIENTATION_CONFIDENCE, help="Slices whose RV insertions are less certain than this are not usable.", bounds=(0, 1)
    )
    quick: bool = option(False, help="Do not look for the RV insertions, which takes most of the time.", flags=("--quick",))
    pictures: Path | None = option(
        None, help="Folder for a contact sheet: three slices of each patient with wall, RV insertions and AHA segments drawn in."
    )


@takes(VerifyRequest)
def verify(
    request: VerifyRequest,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check every case of a folder before you use it, or every file of a folder that this program wrote.

    Of a run, an export, a model, a work folder or simulated patients it says what is damaged and how to repair it. The exit code is 2 if
    there are errors.
    """
    from lgesynthnet.files.manifest import FolderKind
    from lgesynthnet.hosts.inspection import Severity

    written = _verify_files(request.source.root)
    lines = [line for report in written for line in report.lines()]
    record: dict[str, Any] = {"folders": [report.record() for report in written]} if written else {}
    failed = any(report.damages for report in written)
    itself = next((report for report in written if report.root == request.source.root), None)
    if not written or (itself is not None and itself.kind in (FolderKind.COHORT, FolderKind.MASKS)):  # patients, whoever wrote them
        try:
            patients = _verify_patients(request)
            lines += patients.lines()
            record |= patients.record()
            failed |= bool(patients.count(Severity.ERROR))
        except InputError as fault:
            if not failed:  # the damage that was found already says why there is no patient
                raise
            lines.append(f"error: {fault}")
    console.result(json.dumps(record, indent=1) if as_json else "\n".join(lines))
    if failed:
        raise typer.Exit(2)


def _verify_files(folder: Path) -> list[FolderReport]:
    """The reports on the folders of the program; empty for a folder of patients."""
    from lgesynthnet.verification.folders import folders_of_the_program, verify_folder

    reports = []
    for place in folders_of_the_program(folder):
        with console.bar(f"checking {place}") as advance:
            reports.append(verify_folder(place, on_file=advance))
    return reports


def _verify_patients(request: VerifyRequest) -> VerifyReport:
    from lgesynthnet.data.splits import read_splits
    from lgesynthnet.hosts.inspection import verify as check

    cohort = request.source.open()
    strips: dict[str, Strip] = {}

    def draw(stack: Stack, hearts: LocatedStack | None, report: CaseReport) -> None:
        from lgesynthnet.report.contact_sheet import patient_strip

        strip = patient_strip(stack, hearts, report.usable, report.orientation or "")
        if strip is not None:
            strips[stack.patient] = strip

    with console.bar("checking cases", len(cohort)) as advance:
        report = check(
            cohort,
            splits=read_splits(request.splits) if request.splits else None,
            least_confidence=request.least_orientation_confidence,
            quick=request.quick,
            on_case=advance,
            on_stack=draw if request.pictures is not None else None,
        )
    if request.pictures is not None:
        _write_pictures(request.pictures, cohort, [strips[name] for name in sorted(strips)])
    return report


def _write_pictures(out: Path, cohort: Cohort, strips: list[Strip]) -> None:
    from lgesynthnet.files.owned import require_outside
    from lgesynthnet.report.contact_sheet import write_contact_sheet

    for folder in cohort.folders:
        require_outside(out, "patients", folder)
    page = write_contact_sheet(out, strips, title=f"{cohort.root.resolve().name}: {len(strips)} patients as the program reads them")
    console.note(f"contact sheet: {page}")


@dataclass(frozen=True, kw_only=True)
class SplitRequest:
    """Which patients to divide into which parts."""

    source: CohortSource = option(help="Folder of patients with scar labels.", flags=("FOLDER",))
    shares: str = option(
        "train=0.55,val=0.1,audit=0.15,test=0.2",
        help="Parts and their shares of the patients: train (training), val (thresholds), audit (the auditor), test (the final test).",
    )
    seed: int = option(0, help="Random seed. The same seed gives the same parts.", bounds=(0, None))


@takes(SplitRequest)
def split(
    request: SplitRequest,
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON file to write, with the patients of each part. `--splits` reads it.")],
) -> None:
    """Divide patients into parts with equal shares of patients with scar. Do this once, before any training, and keep the file."""
    from lgesynthnet.data.splits import split_cohort, write_splits

    shares = _shares(request.shares)
    cohort = request.source.open()
    with console.bar("reading labels", len(cohort)) as advance:
        parts = split_cohort(cohort, request.seed, shares, on_case=advance)
    write_splits(out, parts)
    console.result(", ".join(f"{part} {len(names)}" for part, names in parts.items()) + f" patients in {out}")
    if unread := sorted({case.patient for case in cohort.cases} - {name for names in parts.values() for name in names}):
        console.note(f"patients that cannot be read and are in no part: {len(unread)} (first: {unread[0]}); `lgesynthnet verify` says why")
    for part, names in parts.items():
        if len(names) == 1:
            console.note(f"the part {part} has a single patient; with few patients, use fewer parts: --shares train=0.7,val=0.3")


def _shares(text: str) -> dict[str, float]:
    """Read "train=0.6,val=0.1,test=0.3".

    Raises:
        RunError: the text is anything else.
    """
    shares: dict[str, float] = {}
    for entry in text.split(","):
        part, _, share = (word.strip() for word in entry.partition("="))
        if not _SHARE.fullmatch(share) or part in shares:
            raise RunError(f"--shares {text[:80]}: write it like train=0.6,val=0.1,test=0.3, each part once and each share from 0 to 1")
        shares[checked_name(part, "--shares")] = float(share)
    return shares


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to write, in the EMIDEC layout.")],
    patients: Annotated[int, typer.Option(min=1, max=100_000, help="Number of patients.")] = 20,
    seed: Seed = 0,
    positive: Annotated[float, typer.Option(min=0, max=1, help="Share of patients with scar.")] = 0.67,
    non_ischaemic: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the patients with scar whose scar is not an infarct.")
    ] = 0.125,
) -> None:
    """Simulate patients with and without infarcts: LGE stacks with labels, and a table of the true values. Uses no real data."""
    from lgesynthnet.files.owned import written_again
    from lgesynthnet.phantom.cohort import CohortSettings, write_cohort

    settings = CohortSettings(patients=patients, seed=seed, positive=positive, non_ischaemic=non_ischaemic)
    with interruptible(f"the same command makes {out} complete"), console.bar("simulating patients", patients) as advance:
        damaged = write_cohort(out, settings, workers=os.cpu_count() or 1, on_progress=advance)
    if damaged == []:
        console.note(f"{out} holds these patients already, so nothing was written")
    elif damaged is not None:
        console.note(written_again(damaged))
    console.result(f"{patients} simulated patients in {out}")


def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show versions, shipped models and devices. With -v, list the devices of torch, which takes some seconds."""
    facts = gather_facts(ask_torch=console.settings.verbose)
    if as_json:
        console.result(json.dumps(facts, indent=1))
        return
    console.result(f"lgesynthnet {facts['lgesynthnet']}, Python {facts['python']}")
    console.result("packages: " + ", ".join(f"{name} {version or 'missing'}" for name, version in facts["packages"].items()))
    for model in facts["models"]:
        size = f", {model['size_bytes'] / 2**20:.1f} MiB" if model["size_bytes"] else ""
        console.result(f"model {model['name']}{size}: generator {model['generator']}, filter {model['filter']}")
    console.result(f"devices: {', '.join(facts['devices'])}")
    for warning in facts["warnings"]:
        console.result(f"warning: {warning}")


def gather_facts(*, ask_torch: bool = False) -> dict[str, Any]:
    """Everything that `info` prints. With `ask_torch`, import torch to list its devices."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from lgesynthnet import __version__
    from lgesynthnet.synthesis.painters import BASELINE, load_painter, shipped_models

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    baseline = load_painter(BASELINE)
    models = [
        {
            "name": model.name,
            "path": str(model.path),
            "size_bytes": model.size_bytes,
            "generator": model.generator,
            "filter": model.filter,
        }
        for model in shipped_models()
    ]
    paste = {
        "name": BASELINE,
        "path": None,
        "size_bytes": 0,
        "generator": baseline.generator.fingerprint,
        "filter": baseline.filter.fingerprint,
    }
    return {
        "lgesynthnet": __version__,
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in PACKAGES},
        "models": [paste, *models],
        "devices": _devices(ask_torch),
        "warnings": [f"{name} is installed and may break transformers; uninstall it" for name in INCOMPATIBLE if installed(name)],
    }


def _devices(ask_torch: bool) -> list[str]:
    if not ask_torch:
        return ["cpu", *(["cuda (a driver is installed)"] if Path("/dev/nvidia0").exists() else [])]
    import torch

    gpus = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return [f"cpu ({torch.get_num_threads()} threads)", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]
