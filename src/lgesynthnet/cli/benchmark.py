"""`lgesynthnet benchmark`: the comparisons of the paper, on your own patients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lgesynthnet.benchmark.request import ComparisonRequest
from lgesynthnet.cli import console
from lgesynthnet.cli.console import interruptible
from lgesynthnet.cli.signature import takes
from lgesynthnet.errors import InputError
from lgesynthnet.terms import Arm, Baseline, Method, Prior, Question, RecipeName, prior_choice

if TYPE_CHECKING:
    from lgesynthnet.benchmark.trained_methods import TrainedMethods
    from lgesynthnet.benchmark.utility.setup import UtilityExperiment

app = typer.Typer(no_args_is_help=True, help="Compare LGESynthNet with other methods on your own patients.")


@app.command()
@takes(ComparisonRequest)
def published(
    request: ComparisonRequest,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for models, results and pages. The same command resumes an interrupted comparison.")
    ],
    part: Annotated[str, typer.Option(help="Part of --splits to paint. No model may have been trained on it.")] = "test",
    methods: Annotated[
        list[Method] | None, typer.Option("--method", help="Compare only this method. Repeat the option for several.", show_default="all")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Use every N-th slice only (quick check).")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Print as JSON what would be trained and painted, and stop.")] = False,
) -> None:
    """Make the published comparison: each method repaints real scars and paints new ones, and the auditor scores all of them.

    Writes published.csv, published.md and published.html, with the published values beside yours.

    Example: lgesynthnet benchmark published --data emidec --splits emidec/splits.json --models weights/emidec --out runs/published
    """
    from lgesynthnet.benchmark.reproduction import compare
    from lgesynthnet.benchmark.reproduction_page import markdown, write

    trained = _trained_methods(request, out / "work")
    chosen = methods or list(Method)
    if dry_run:
        console.result(json.dumps({"train": trained.missing(chosen), "methods": chosen, "part": part}))
        return
    with interruptible("the same command continues"), console.bar("comparing") as advance:
        comparison = compare(
            trained,
            out,
            chosen=chosen,
            part=part,
            every=limit,
            on_progress=lambda task, done, total: advance(done, total),
            note=console.note,
        )
    console.result(markdown(comparison))
    console.result(f"page: {write(comparison, out)}")


@app.command()
@takes(ComparisonRequest)
def utility(
    request: ComparisonRequest,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for samples, runs and tables. The same command resumes an interrupted experiment.")
    ],
    baselines: Annotated[
        list[Baseline] | None,
        typer.Option(
            "--baseline",
            help="Segmenter to train. crop: sees a crop round the heart. cascade: draws the wall first. known-wall: is given the wall. "
            "published: DenseNet-121 on whole slices, needs a GPU. Repeat the option for several.",
            show_default="crop",
        ),
    ] = None,
    questions: Annotated[
        list[Question] | None,
        typer.Option(
            "--regime",
            help="few: few labelled patients. strata: one kind of scar is missing from the training slices and is prescribed. labels: the "
            "training labels are remade by a threshold, as published. all: all three. Repeat the option for several.",
            show_default="few",
        ),
    ] = None,
    arms: Annotated[
        list[Arm] | None,
        typer.Option(
            "--arm",
            help="Run this arm (a kind of training set). Repeat the option for several.",
            show_default="real, phantom-first, painted, recipe",
        ),
    ] = None,
    scarred: Annotated[
        str, typer.Option(help="Numbers of training patients with scar, separated by commas; `all` takes all of the part train.")
    ] = "2,4,8,all",
    healthy: Annotated[str, typer.Option(help="Numbers of training patients without scar, separated by commas, or `all`.")] = "all",
    draws: Annotated[int, typer.Option(min=1, help="Random draws of the training patients, each with a training seed of its own.")] = 4,
    size: Annotated[int, typer.Option(min=1, help="Kept samples in all training patients together. A run uses those in its own.")] = 900,
    painter: Annotated[
        str,
        typer.Option(
            help="Model that paints for the arms of LGESynthNet; it must not have met a patient whom a run does not train on. "
            "`trained`: the one that --models holds, or that is trained on all training patients."
        ),
    ] = "phantom",
    first: Annotated[Path, typer.Option(help="Model with the first weights of the arms that start from simulated hearts.")] = Path(
        "phantom"
    ),
    folds: Annotated[
        int,
        typer.Option(min=0, help="Folds over the training patients, which set operating points for false-positive rates; 0: none are set."),
    ] = 0,
    cross_validate: Annotated[
        int,
        typer.Option(
            min=0,
            help="Divide the patients of all parts into so many folds, and test each fold with segmenters of the others; 0: test --tested.",
        ),
    ] = 0,
    tested: Annotated[str, typer.Option(help="Parts of --splits to test on, separated by commas.")] = "audit,test",
    work: Annotated[
        Path | None, typer.Option(help="Work folder where the generators are trained, or are trained already.", show_default="OUT/work")
    ] = None,
    downstream_recipe: Annotated[
        RecipeName, typer.Option(help="Size and steps of the segmenters: cpu, or tiny for tests.")
    ] = RecipeName.CPU,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps of every segmenter.", show_default="those of the recipe")] = None,
    prior: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="Distribution of the painted scars: ischaemic, non-ischaemic, uniform, or a file of `lgesynthnet prior fit`.",
        ),
    ] = Prior.ISCHAEMIC.value,
    workers: Annotated[int, typer.Option(min=1, help="Number of parallel processes. Each uses one core.")] = 1,
    ray: Annotated[
        str | None,
        typer.Option(help="Run on the Ray cluster at this address, whose nodes share OUT. `local` starts Ray here.", show_default="none"),
    ] = None,
    rescore: Annotated[
        bool,
        typer.Option("--rescore", help="Test finished segmenters again where their records lack scores that this version has (no-reflow)."),
    ] = False,
    unchecked: Annotated[
        bool,
        typer.Option("--unchecked", help="Accept models without a record of their training patients. Test results may be too good."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Print all pools and runs with an estimate of the time, and stop.")
    ] = False,
) -> None:
    """Measure what samples are worth: train segmenters with and without them, and test on patients that no model has seen.

    Writes runs.csv, utility.csv, utility.md and utility.html into a folder named after --baseline.

    Example: lgesynthnet benchmark utility --data emidec --splits emidec/splits.json --out runs/utility --scarred 4 --workers 2
    """
    from lgesynthnet.benchmark.utility.pools import SamplePools
    from lgesynthnet.benchmark.utility.settings import FLOOR, ExperimentSettings
    from lgesynthnet.benchmark.utility.setup import UtilityExperiment
    from lgesynthnet.prescription.fitted_prior import name_of
    from lgesynthnet.prior.choosing import open_prior

    chosen = prior_choice(prior)
    trained = _trained_methods(request, work or out / "work")
    pools = SamplePools(methods=trained, out=out, prior=chosen, seed=request.seed)
    for baseline in baselines or [Baseline.CROP]:
        settings = ExperimentSettings(
            arms=tuple(arms or FLOOR),
            questions=tuple(questions or [Question.FEW]),
            baseline=baseline,
            scarred=_counts(scarred, "--scarred"),
            healthy=_counts(healthy, "--healthy"),
            draws=draws,
            size=size,
            tested=tuple(part.strip() for part in tested.split(",")),
            painter=None if painter == "trained" else painter,
            recipe=downstream_recipe.value,
            steps=steps,
            folds=folds,
            cross_validate=cross_validate,
            prior=name_of(open_prior(chosen)),
            seed=request.seed,
        )
        _run_utility(
            UtilityExperiment(pools=pools, settings=settings, unchecked=unchecked, first=first, rescore=rescore),
            workers,
            ray,
            dry_run=dry_run,
        )


def _run_utility(experiment: UtilityExperiment, workers: int, ray: str | None, *, dry_run: bool) -> None:
    """Run the experiment with one segmenter, or say what would be run."""
    from lgesynthnet.benchmark.utility.experiment import Progress, run_experiment

    if dry_run:
        from lgesynthnet.benchmark.utility.estimate import estimate

        console.result(estimate(experiment, workers=workers))
        return
    with interruptible("the same command continues"), console.bar(f"{experiment.settings.baseline}: pools and runs") as advance:

        def on_job(progress: Progress) -> None:
            advance(progress.done, progress.total)
            if progress.last:
                console.note(f"{progress.done}/{progress.total} {progress.last}")

        tables, page = run_experiment(experiment, workers=workers, ray=ray, note=console.note, on_job=on_job)
    console.result(tables)
    console.result(f"page: {page}")


def _counts(text: str, option: str) -> tuple[int | None, ...]:
    """Numbers of patients; None stands for all."""
    try:
        return tuple(None if part.strip() == "all" else int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise typer.BadParameter(f"{option}: expected whole numbers or `all`, separated by commas, got {text}") from None


def _trained_methods(request: ComparisonRequest, work: Path) -> TrainedMethods:
    from lgesynthnet.benchmark.trained_methods import TrainedMethods
    from lgesynthnet.data.splits import read_splits
    from lgesynthnet.model_store import shipped_or_path

    methods = TrainedMethods(
        source=request.data,
        splits=read_splits(request.splits),
        work=work,
        models=request.models and shipped_or_path(request.models),
        control=request.control,
        init=request.init,
        recipe=request.recipe.value,
        seed=request.seed,
        device=request.device,
    )
    if (drawn := methods.cohort.masks_drawn_by) is not None:
        raise InputError(f"{request.data.root}: its labels were drawn by {drawn} and are no ground truth; give labels by people")
    return methods
