"""`lgesynthnet benchmark`: the comparisons that were published, on one's own patients."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.options import Dataset, Labels, Seed
from lgesynthnet.cli.train import Device, RecipeName, RecipeOption

if TYPE_CHECKING:
    from lgesynthnet.benchmark.trained_methods import TrainedMethods

app = typer.Typer(no_args_is_help=True, help="Compare the methods on your own patients, each with its interval and the real ceiling.")


class MethodName(StrEnum):
    """See `benchmark.trained_methods.Method`."""

    PASTE = "paste"
    COPY_PASTE = "copy-paste"
    SPADE_LIMITED = "spade-limited"
    SPADE_LIMITED_RAW = "spade-limited-raw"
    SPADE_FULL = "spade-full"
    SPADE_FULL_RAW = "spade-full-raw"
    CONTROLNET = "controlnet"
    CONTROLNET_RAW = "controlnet-raw"
    CONTROLNET_TEMPLATE = "controlnet-template"
    CONTROLNET_TEMPLATE_RAW = "controlnet-template-raw"
    LGESYNTHNET = "lgesynthnet"
    LGESYNTHNET_RAW = "lgesynthnet-raw"


class ArmName(StrEnum):
    """See `benchmark.utility.plan.Arm`."""

    REAL = "real"
    STRONG = "real-strong"
    RESAMPLED = "real-resampled"
    COPY_PASTE = "copy-paste"
    PASTE = "paste"
    SPADE_LIMITED = "spade-limited"
    SPADE_FULL = "spade-full"
    CONTROLNET = "controlnet"
    UNFILTERED = "lgesynthnet-unfiltered"
    LGESYNTHNET = "lgesynthnet"
    READ = "lgesynthnet-read"
    PHANTOM = "phantom"


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
    from lgesynthnet.benchmark.reproduction import compare
    from lgesynthnet.benchmark.reproduction_page import markdown, write
    from lgesynthnet.terms import Method

    workshop = _workshop(
        data,
        splits,
        out / "work",
        models=models,
        control=control,
        init=init,
        recipe=recipe,
        seed=seed,
        device=device,
        dataset=dataset,
        labels=labels,
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


@app.command()
def utility(
    data: Annotated[Path, typer.Option("--data", help="Folder of patients with scar labels.")],
    splits: Annotated[Path, typer.Option(help='JSON of patient names, {"train": [...], "val": [...], "audit": [...], "test": [...]}.')],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for samples, runs and tables; the same command goes on.")],
    arms: Annotated[list[ArmName] | None, typer.Option("--arm", help="Only these; again for more.", show_default="all")] = None,
    sizes: Annotated[
        str, typer.Option(help="Synthetic slices; the first is that of every arm, the others only of lgesynthnet.")
    ] = "300,500,1000,1500",
    seeds: Annotated[int, typer.Option(min=1, help="Segmenters trained of each, with seeds 0 to n - 1.")] = 3,
    low_data: Annotated[
        str, typer.Option("--low-data", help="Also train on so many patients only, e.g. 5,10,20, with and without samples made from them.")
    ] = "",
    low_data_model: Annotated[str, typer.Option(help="What paints there; it must have learnt from none of your patients.")] = "phantom",
    tested: Annotated[str, typer.Option(help="Parts of --splits that are scored, separated by commas.")] = "audit,test",
    models: Annotated[
        Path | None, typer.Option(help="Model folder that holds what need not be trained: inpainter/, spade-*/, reward/, filter/.")
    ] = None,
    work: Annotated[Path | None, typer.Option(help="Where rivals are trained or lie.", show_default="OUT/work")] = None,
    control: Annotated[Path | None, typer.Option(help="The control stage without reward, WORK/control/model, where it is trained.")] = None,
    init: Annotated[Path, typer.Option(help="Weights that the generator and the readers start from.")] = Path("phantom"),
    recipe: RecipeOption = RecipeName.CPU,
    downstream: Annotated[
        str,
        typer.Option(help="The segmenter: small (starts from the phantom), scratch, published (DenseNet-121, a GPU), tiny (tests)."),
    ] = "small",
    downstream_init: Annotated[
        str | None,
        typer.Option(help="Weights that it starts from: a segmenter's or a model's folder.", show_default="that of --downstream"),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps of every segmenter.", show_default="its own")] = None,
    share: Annotated[
        float | None, typer.Option(min=0, max=0.95, help="Synthetic share of a batch.", show_default="synthetic share of the set")
    ] = None,
    same_prevalence: Annotated[
        bool,
        typer.Option("--same-prevalence", help="Draw scarred slices as often as they stand among the real ones; samples all hold scar."),
    ] = False,
    real_last: Annotated[int, typer.Option(min=0, help="So many further steps on real slices alone, in every arm.")] = 0,
    brightness: Annotated[
        str, typer.Option(help="Use only samples that were asked to be between these percentiles of scars' brightness.")
    ] = "0,100",
    scarred_hosts: Annotated[
        bool, typer.Option("--scarred-hosts", help="Use only samples painted into patients who have scar in other slices.")
    ] = False,
    prior: Annotated[str, typer.Option(help="Population of the scars: ischaemic, non-ischaemic, uniform.")] = "ischaemic",
    workers: Annotated[int, typer.Option(min=1, help="Processes, one core each.")] = 1,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster that shares OUT, or `local`.", show_default="none")] = None,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Go on where a model does not say which patients it learnt from.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Print every pool and run with an estimate of its time, and stop.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """What samples are worth: segmenters trained with and without them, tested on patients that nobody has seen.

    Example: lgesynthnet benchmark utility --data emidec --splits emidec/splits.json --models weights/emidec --out runs/utility --workers 2
    """
    from lgesynthnet.benchmark.utility.experiment import State, measure
    from lgesynthnet.benchmark.utility.plan import ExperimentSettings
    from lgesynthnet.benchmark.utility.pools import SamplePools
    from lgesynthnet.benchmark.utility.setup import UtilityExperiment
    from lgesynthnet.run.lock import locked
    from lgesynthnet.terms import Arm

    workshop = _workshop(
        data,
        splits,
        work or out / "work",
        models=models,
        control=control,
        init=init,
        recipe=recipe,
        seed=seed,
        device=device,
        dataset=dataset,
        labels=labels,
    )
    experiment = ExperimentSettings(
        arms=tuple(Arm(name.value) for name in arms or ArmName),
        sizes=_numbers(sizes, "--sizes"),
        seeds=seeds,
        tested=tuple(part.strip() for part in tested.split(",")),
        few=_numbers(low_data, "--low-data"),
        few_model=low_data_model,
        downstream=downstream,
        steps=steps,
        init=downstream_init,
        share=share,
        same_prevalence=same_prevalence,
        real_last=real_last,
        brightness=_two(brightness, "--brightness"),
        scarred_hosts=scarred_hosts,
        prior=prior,
        seed=seed,
    )
    shelf = SamplePools(workshop=workshop, out=out, dataset=dataset, labels=labels, prior=prior, seed=seed)
    bench = UtilityExperiment(shelf=shelf, experiment=experiment, unchecked=unchecked)
    if dry_run:
        from lgesynthnet.benchmark.utility.estimate import estimate

        typer.echo(estimate(bench, workers=workers))
        return
    with locked(out), console.bar("pools and runs") as advance:

        def told(state: State) -> None:
            advance(state.done, state.total)
            if state.last:
                console.note(f"{state.done}/{state.total} {state.last}")

        table, page = measure(
            bench,
            workers=workers,
            ray=ray,
            note=console.note,
            on_job=told,
        )
    typer.echo(table)
    typer.echo(f"page: {page}")


def _numbers(text: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise typer.BadParameter(f"{option}: whole numbers separated by commas, got {text}") from None


def _two(text: str, option: str) -> tuple[int, int]:
    numbers = _numbers(text, option)
    if len(numbers) != 2:
        raise typer.BadParameter(f"{option}: two whole numbers separated by a comma, got {text}")
    return numbers[0], numbers[1]


def _workshop(
    data: Path,
    splits: Path,
    work: Path,
    *,
    models: Path | None,
    control: Path | None,
    init: Path,
    recipe: RecipeName,
    seed: int,
    device: str,
    dataset: str | None,
    labels: str | None,
) -> TrainedMethods:
    from lgesynthnet.benchmark.trained_methods import TrainedMethods
    from lgesynthnet.data.cohort import open_cohort
    from lgesynthnet.data.label_maps import parse_label_map
    from lgesynthnet.data.splits import read_splits
    from lgesynthnet.model_store import shipped_or_path

    return TrainedMethods(
        cohort=open_cohort(data, dataset=dataset, label_map=parse_label_map(labels) if labels else None),
        splits=read_splits(splits),
        work=work,
        models=models and shipped_or_path(models),
        control=control,
        init=init,
        recipe=recipe.value,
        seed=seed,
        device=device,
    )
