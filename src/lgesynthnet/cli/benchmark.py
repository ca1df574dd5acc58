"""`lgesynthnet benchmark`: the comparisons of the paper, on your own patients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.options import Dataset, Labels, Seed
from lgesynthnet.cli.train import Device, RecipeName, RecipeOption
from lgesynthnet.terms import Arm, Method, Prior

if TYPE_CHECKING:
    from lgesynthnet.benchmark.trained_methods import TrainedMethods

app = typer.Typer(no_args_is_help=True, help="Compare LGESynthNet with other methods on your own patients.")

Data = Annotated[Path, typer.Option("--data", help="Folder of patients with scar labels.")]
Splits = Annotated[
    Path, typer.Option(help='JSON file of patient names by part: {"train": [...], "val": [...], "audit": [...], "test": [...]}.')
]
Models = Annotated[
    Path | None,
    typer.Option(help="Model folder with parts that are trained already: inpainter/, spade-*/, template/, reward/, filter/, auditor/."),
]
Control = Annotated[
    Path | None, typer.Option(help="Trained control stage without reward (a folder control/model), if it is not in the work folder.")
]
Init = Annotated[Path, typer.Option(help="Weights that the generator and the scar segmenters start from.")]


@app.command()
def published(
    data: Data,
    splits: Splits,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for models, results and pages. The same command resumes an interrupted comparison.")
    ],
    part: Annotated[str, typer.Option(help="Part of --splits to paint. No model may have been trained on it.")] = "test",
    models: Models = None,
    control: Control = None,
    methods: Annotated[
        list[Method] | None, typer.Option("--method", help="Compare only this method. Repeat the option for several.", show_default="all")
    ] = None,
    init: Init = Path("phantom"),
    recipe: RecipeOption = RecipeName.CPU,
    limit: Annotated[int, typer.Option(min=1, help="Use every N-th slice only (quick check).")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Print as JSON what would be trained and painted, and stop.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """Make the published comparison: each method repaints real scars and paints new ones, and the auditor scores all of them.

    Writes published.csv, published.md and published.html, with the published values beside yours.

    Example: lgesynthnet benchmark published --data emidec --splits emidec/splits.json --models weights/emidec --out runs/published
    """
    from lgesynthnet.benchmark.reproduction import compare
    from lgesynthnet.benchmark.reproduction_page import markdown, write

    trained = _trained_methods(
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
    chosen = methods or list(Method)
    if dry_run:
        typer.echo(json.dumps({"train": trained.missing(chosen), "methods": chosen, "part": part}))
        return
    with console.bar("comparing") as advance:
        comparison = compare(
            trained,
            out,
            chosen=chosen,
            part=part,
            every=limit,
            on_progress=lambda task, done, total: advance(done, total),
            note=console.note,
        )
    typer.echo(markdown(comparison))
    typer.echo(f"page: {write(comparison, out)}")


@app.command()
def utility(
    data: Data,
    splits: Splits,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for samples, runs and tables. The same command resumes an interrupted experiment.")
    ],
    arms: Annotated[
        list[Arm] | None,
        typer.Option("--arm", help="Run only this arm (a kind of training set). Repeat the option for several.", show_default="all"),
    ] = None,
    sizes: Annotated[
        str,
        typer.Option(help="Numbers of synthetic slices, separated by commas. Arm lgesynthnet uses all of them, the other arms the first."),
    ] = "300,500,1000,1500",
    seeds: Annotated[int, typer.Option(min=1, help="Segmenters to train on each training set, with seeds 0 to N - 1.")] = 3,
    low_data: Annotated[
        str,
        typer.Option(
            "--low-data",
            help="Train also on this number of patients only, with and without samples painted into them. For several numbers: 5,10,20.",
        ),
    ] = "",
    low_data_model: Annotated[
        str, typer.Option(help="Generator for the low-data runs. It must not have been trained on any of your patients.")
    ] = "phantom",
    tested: Annotated[str, typer.Option(help="Parts of --splits to test on, separated by commas.")] = "audit,test",
    models: Models = None,
    work: Annotated[
        Path | None, typer.Option(help="Work folder where the generators are trained, or are trained already.", show_default="OUT/work")
    ] = None,
    control: Control = None,
    init: Init = Path("phantom"),
    recipe: RecipeOption = RecipeName.CPU,
    downstream: Annotated[
        str,
        typer.Option(
            help="Segmenter to train. small: starts from the phantom's weights. scratch: starts from random weights. "
            "published: DenseNet-121, needs a GPU. tiny: for tests."
        ),
    ] = "small",
    downstream_init: Annotated[
        str | None,
        typer.Option(help="First weights of the segmenter: a segmenter's folder or a model folder.", show_default="those of --downstream"),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps of every segmenter.", show_default="those of --downstream")
    ] = None,
    prior: Annotated[Prior, typer.Option(help="Distribution of the painted scars.")] = Prior.ISCHAEMIC,
    workers: Annotated[int, typer.Option(min=1, help="Number of parallel processes. Each uses one core.")] = 1,
    ray: Annotated[
        str | None,
        typer.Option(help="Run on the Ray cluster at this address, whose nodes share OUT. `local` starts Ray here.", show_default="none"),
    ] = None,
    unchecked: Annotated[
        bool,
        typer.Option("--unchecked", help="Accept models without a record of their training patients. Test results may be too good."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Print all pools and runs with an estimate of the time, and stop.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """Measure what synthetic slices are worth: train segmenters with and without them, and test on patients that no model has seen.

    Writes runs.csv, utility.csv, utility.md and utility.html into a folder named after --downstream.

    Example: lgesynthnet benchmark utility --data emidec --splits emidec/splits.json --models weights/emidec --out runs/utility --workers 2
    """
    from lgesynthnet.benchmark.utility.experiment import Progress, run_experiment
    from lgesynthnet.benchmark.utility.pools import SamplePools
    from lgesynthnet.benchmark.utility.settings import ExperimentSettings
    from lgesynthnet.benchmark.utility.setup import UtilityExperiment
    from lgesynthnet.run.lock import locked

    trained = _trained_methods(
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
    settings = ExperimentSettings(
        arms=tuple(arms or Arm),
        sizes=_whole_numbers(sizes, "--sizes"),
        seeds=seeds,
        tested=tuple(part.strip() for part in tested.split(",")),
        low_data=_whole_numbers(low_data, "--low-data"),
        low_data_model=low_data_model,
        downstream=downstream,
        steps=steps,
        init=downstream_init,
        prior=prior,
        seed=seed,
    )
    pools = SamplePools(methods=trained, out=out, dataset=dataset, labels=labels, prior=prior, seed=seed)
    experiment = UtilityExperiment(pools=pools, settings=settings, unchecked=unchecked)
    if dry_run:
        from lgesynthnet.benchmark.utility.estimate import estimate

        typer.echo(estimate(experiment, workers=workers))
        return
    with locked(out), console.bar("pools and runs") as advance:

        def on_job(progress: Progress) -> None:
            advance(progress.done, progress.total)
            if progress.last:
                console.note(f"{progress.done}/{progress.total} {progress.last}")

        tables, page = run_experiment(experiment, workers=workers, ray=ray, note=console.note, on_job=on_job)
    typer.echo(tables)
    typer.echo(f"page: {page}")


def _whole_numbers(text: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise typer.BadParameter(f"{option}: expected whole numbers separated by commas, got {text}") from None


def _trained_methods(
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
    from lgesynthnet.data import open_cohort, parse_label_map
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
