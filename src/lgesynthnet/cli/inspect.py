"""`lgesynthnet verify`, `split`, `phantom`, `info`: look at data, divide them, make some, see what is installed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.options import BaseFirst, Dataset, FlipOption, Labels, Landmarks, Seed
from lgesynthnet.errors import RunError
from lgesynthnet.terms import Flip

PACKAGES = ("torch", "diffusers", "transformers", "monai", "accelerate", "numpy", "scipy", "scikit-image", "nibabel", "pydantic", "typer")
INCOMPATIBLE = ("torchvision",)


def verify(
    folder: Annotated[Path, typer.Argument(help="Folder of patients: EMIDEC layout, image/label pairs, nnU-Net raw, or a run folder.")],
    dataset: Dataset = None,
    labels: Labels = None,
    base_first: BaseFirst = None,
    flip: FlipOption = Flip.NONE,
    landmarks: Landmarks = None,
    splits: Annotated[Path | None, typer.Option(help="JSON of part -> patients; a duplicate across parts is then an error.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report for machines.")] = False,
) -> None:
    """Look at every case of a folder before anything computes on it. Exit code 2 where errors were found."""
    from lgesynthnet.data.cohort import open_cohort
    from lgesynthnet.data.inspection import Severity
    from lgesynthnet.data.inspection import verify as look
    from lgesynthnet.data.label_maps import parse_label_map
    from lgesynthnet.data.splits import read_splits

    label_map = parse_label_map(labels) if labels else None
    cohort = open_cohort(folder, dataset=dataset, label_map=label_map, base_first=base_first, flip=flip.axes, landmarks=landmarks)
    with console.bar("looking at cases", len(cohort)) as advance:
        report = look(cohort, splits=read_splits(splits) if splits else None, on_case=advance)
    typer.echo(report.to_json() if as_json else "\n".join(report.lines()))
    if report.count(Severity.ERROR):
        raise typer.Exit(2)


def split(
    folder: Annotated[Path, typer.Argument(help="Folder of patients with scar labels.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON of part -> patients, as `--splits` reads it.")],
    shares: Annotated[
        str,
        typer.Option(
            help="Parts and their shares of the patients: train learns, val sets thresholds, audit is the judge's own, test is new."
        ),
    ] = "train=0.55,val=0.1,audit=0.15,test=0.2",
    seed: Seed = 0,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """Draw parts by patient, each with its share of patients with scar. Do it once, before anything is trained, and keep the file."""
    from lgesynthnet.data.cohort import open_cohort
    from lgesynthnet.data.label_maps import parse_label_map
    from lgesynthnet.data.splits import split_cohort, write_splits

    if out.exists():
        raise RunError(f"{out}: is there already, and models may rest on it; write to another --out")
    cohort = open_cohort(folder, dataset=dataset, label_map=parse_label_map(labels) if labels else None)
    with console.bar("reading labels", len(cohort)) as advance:
        parts = split_cohort(cohort, seed, _shares(shares), on_case=advance)
    write_splits(out, parts)
    typer.echo(", ".join(f"{part} {len(names)}" for part, names in parts.items()) + f" patients in {out}")


def _shares(text: str) -> dict[str, float]:
    try:
        return {part.strip(): float(share) for part, _, share in (each.partition("=") for each in text.split(","))}
    except ValueError:
        raise typer.BadParameter(f"--shares: write train=0.6,val=0.1,test=0.3, got {text}") from None


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to write; EMIDEC layout.")],
    patients: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    seed: Seed = 0,
    positive: Annotated[float, typer.Option(min=0, max=1, help="Share of patients with scar.")] = 0.67,
    non_ischaemic: Annotated[float, typer.Option(min=0, max=1, help="Share of those whose scar is no infarct.")] = 0.125,
) -> None:
    """Simulate patients with and without infarcts: LGE stacks with labels, RV and the truth in a table. Free of any real data."""
    from lgesynthnet.phantom.cohort import write_cohort

    with console.bar("simulating patients", patients) as advance:
        write_cohort(
            out,
            patients=patients,
            seed=seed,
            positive=positive,
            non_ischaemic=non_ischaemic,
            workers=os.cpu_count() or 1,
            on_progress=advance,
        )
    typer.echo(f"{patients} simulated patients in {out}")


def info(
    as_json: Annotated[bool, typer.Option("--json", help="The same for machines.")] = False,
) -> None:
    """What is installed: versions, shipped models, devices (with -v also what torch sees, which takes seconds)."""
    import json

    found = gathered(ask_torch=console.settings.verbose)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(f"lgesynthnet {found['lgesynthnet']}, Python {found['python']}")
    typer.echo("packages: " + ", ".join(f"{name} {version or 'missing'}" for name, version in found["packages"].items()))
    for model in found["models"]:
        size = f", {model['size_bytes'] / 2**20:.1f} MiB" if model["size_bytes"] else ""
        typer.echo(f"model {model['name']}{size}: generator {model['generator']}, reader {model['reader']}")
    typer.echo(f"devices: {', '.join(found['devices'])}")
    for warning in found["warnings"]:
        typer.echo(f"warning: {warning}")


def gathered(*, ask_torch: bool = False) -> dict[str, Any]:
    """Everything that `info` prints; torch is imported only on request."""
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
        {"name": m.name, "path": str(m.path), "size_bytes": m.size_bytes, "generator": m.generator, "reader": m.reader}
        for m in shipped_models()
    ]
    paste = {
        "name": BASELINE,
        "path": None,
        "size_bytes": 0,
        "generator": baseline.generator.fingerprint,
        "reader": baseline.reader.fingerprint,
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
        return ["cpu", *(["cuda (a driver is there)"] if Path("/dev/nvidia0").exists() else [])]
    import torch

    gpus = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return [f"cpu ({torch.get_num_threads()} threads)", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]
