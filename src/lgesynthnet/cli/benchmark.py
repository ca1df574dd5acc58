"""`lgesynthnet benchmark`: the comparisons that were published, on one's own patients."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.options import Dataset, Labels, Seed
from lgesynthnet.cli.train import Device, RecipeName, RecipeOption

app = typer.Typer(no_args_is_help=True, help="Compare the methods on your own patients, each with its interval and the real ceiling.")


class MethodName(StrEnum):
    """See `workflow.comparing.Method`."""

    PASTE = "paste"
    COPY_PASTE = "copy-paste"
    SPADE_LIMITED = "spade-limited"
    SPADE_LIMITED_RAW = "spade-limited-raw"
    SPADE_FULL = "spade-full"
    SPADE_FULL_RAW = "spade-full-raw"
    CONTROLNET = "controlnet"
    CONTROLNET_RAW = "controlnet-raw"
    CONTROLNET_TEMPLATE = "controlnet-template"
    LGESYNTHNET = "lgesynthnet"
    LGESYNTHNET_RAW = "lgesynthnet-raw"


@app.callback()
def group() -> None:
    """Keeps `benchmark table1` a command of a group while it is the only one."""


@app.command()
def table1(
    data: Annotated[Path, typer.Option("--data", help="Folder of patients with scar labels.")],
    splits: Annotated[Path, typer.Option(help='JSON of patient names, {"train": [...], "val": [...], "audit": [...], "test": [...]}.')],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for models, figures and pages; the same command goes on.")],
    part: Annotated[str, typer.Option(help="Part of --splits whose slices are painted; nothing may have learnt from it.")] = "test",
    models: Annotated[
        Path | None, typer.Option(help="Model folder that holds what need not be trained: inpainter/, spade-*/, readers, auditor/.")
    ] = None,
    control: Annotated[Path | None, typer.Option(help="The control stage without reward, WORK/control/model, where it is trained.")] = None,
    methods: Annotated[list[MethodName] | None, typer.Option("--method", help="Only these; again for more.", show_default="all")] = None,
    init: Annotated[Path, typer.Option(help="Weights that the generator and the readers start from.")] = Path("phantom"),
    recipe: RecipeOption = RecipeName.CPU,
    limit: Annotated[int, typer.Option(min=1, help="Take every so-manieth slice, for a quick look.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Print what would be trained and painted, and stop.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """The published table: every rival and ours repaint real scars and paint new ones, with and without keeping the host.

    Example: lgesynthnet benchmark table1 --data emidec --splits emidec/splits.json --models weights/emidec --out runs/table1
    """
    from lgesynthnet.data import open_cohort, parse_label_map
    from lgesynthnet.data.splits import read_splits
    from lgesynthnet.workflow.comparing import Method, Workshop
    from lgesynthnet.workflow.table1 import compare
    from lgesynthnet.workflow.table1_page import markdown, write

    workshop = Workshop(
        cohort=open_cohort(data, dataset=dataset, label_map=parse_label_map(labels) if labels else None),
        splits=read_splits(splits),
        work=out / "work",
        models=models,
        control=control,
        init=init,
        recipe=recipe.value,
        seed=seed,
        device=device,
    )
    chosen = [Method(name.value) for name in methods or MethodName]
    if dry_run:
        typer.echo(json.dumps({"train": workshop.missing(chosen), "methods": chosen, "part": part}))
        return
    with console.bar("comparing") as advance:
        found = compare(
            workshop, out, part=part, methods=chosen, limit=limit, tell=lambda what, done, total: advance(done, total), note=console.note
        )
    typer.echo(markdown(found))
    typer.echo(f"page: {write(found, out)}")
