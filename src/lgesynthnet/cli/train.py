"""`lgesynthnet train`: one command for each network; `all` trains the whole model and packs it as a model folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.console import interruptible
from lgesynthnet.cli.signature import takes
from lgesynthnet.data.source import CohortSource
from lgesynthnet.downstream.request import DownstreamRequest
from lgesynthnet.terms import Context, Precision, RewardKind, Role, Stage, Window
from lgesynthnet.train.options import TrainingOptions, ValidatedOptions, WorkOptions

if TYPE_CHECKING:
    from lgesynthnet.train.request import TrainingData, TrainingRequest

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Train the networks of a model, one command for each, or `all`. The same command again continues where it stopped.\n\n"
    "No data of your own? [bold]lgesynthnet phantom runs/hearts --patients 200[/bold] simulates some.",
)

Out = Annotated[Path, typer.Option("--out", "-o", help="Model folder to write, for `synthesize --model`.")]
Work = Annotated[Path, typer.Option("--work", "-w", help="Work folder of the trainings.")]
PrecisionOption = Annotated[
    Precision, typer.Option("--precision", help="no: float32. bf16: bfloat16, half of the memory on a GPU that supports it.")
]
Parts = Annotated[
    list[str] | None,
    typer.Option(help='Train on these parts of --splits. Default: "train", and for the auditor also "audit". Never "test" or "val".'),
]


@app.command()
@takes(TrainingOptions, name="options")
def autoencoder(
    options: TrainingOptions,
) -> None:
    """The autoencoder, which turns images into latents and back."""
    _train(Stage.AUTOENCODER, options, _generator(Stage.AUTOENCODER))


@app.command("text")
@takes(WorkOptions, name="options")
def text_encoder(options: WorkOptions) -> None:
    """The compact BERT that encodes captions; needs no data."""
    _train(Stage.TEXT, options, _generator(Stage.TEXT))


@app.command()
@takes(TrainingOptions, name="options")
def base(
    options: TrainingOptions,
    text: Annotated[
        str | None,
        typer.Option(help="BERT for the captions: a folder or a Hugging Face id. Default: the one that `train text` trained."),
    ] = None,
    allow_download: Annotated[
        bool, typer.Option("--allow-download", help="Download the id of --text if it is not on this machine.")
    ] = False,
    precision: PrecisionOption = Precision.NO,
) -> None:
    """The inpainting diffusion model; needs the autoencoder and, without --text, the text encoder."""
    _train(Stage.BASE, options, _generator(Stage.BASE, text=text, allow_download=allow_download), precision=precision)


@app.command()
@takes(TrainingOptions, name="options")
def control(
    options: TrainingOptions,
    frozen_unet: Annotated[
        bool, typer.Option("--frozen-unet", help="Train the control branch alone, as in the paper; by default the U-Net is trained too.")
    ] = False,
    template: Annotated[
        bool, typer.Option("--template", help="Also show a reference image and mask of another patient, for comparison.")
    ] = False,
    precision: PrecisionOption = Precision.NO,
) -> None:
    """The control branch: copied from the base model or, with --init, that of another model, fine-tuned on your patients."""
    _train(Stage.CONTROL, options, _generator(Stage.CONTROL, frozen_unet=frozen_unet, template=template), precision=precision)


@app.command()
@takes(ValidatedOptions, name="options")
def reward(
    options: ValidatedOptions,
    scar_segmenters: Annotated[
        Path | None,
        typer.Option(help="Model or work folder with the scar segmenters of role reward and filter. Default: --work, else phantom."),
    ] = None,
    kind: Annotated[
        RewardKind, typer.Option(help="The reward: by a scar segmenter, or by one of two rules without a network.")
    ] = RewardKind.SEGMENTATION,
    weight: Annotated[
        float | None, typer.Option(min=0, help="Weight lambda in L = L_diffusion + lambda L_reward. Default: the recipe's.")
    ] = None,
    window: Annotated[
        Window, typer.Option(help="Noise levels at which the reward is computed. low-noise: a signal-to-noise ratio of 3 or more.")
    ] = Window.LOW_NOISE,
    on_real: Annotated[bool, typer.Option("--on-real/--no-on-real", help="Train on real images, as in the publication.")] = True,
    on_policy: Annotated[
        bool, typer.Option("--on-policy/--no-on-policy", help="Then also train on the model's own samples of new prescriptions.")
    ] = True,
    precision: PrecisionOption = Precision.NO,
) -> None:
    """The reward stage: a frozen judge of the decoded images teaches the generator, and the filter chooses the best weights."""
    of_reward = {"scar_segmenters": scar_segmenters, "kind": kind, "weight": weight, "window": window}
    stage = _generator(Stage.REWARD, **of_reward, on_real=on_real, on_policy=on_policy)
    _train(Stage.REWARD, options, stage, precision=precision)


@app.command()
@takes(ValidatedOptions, name="options")
def scar_segmenter(
    options: ValidatedOptions,
    role: Annotated[Role, typer.Option(help="What it is for; each role has its own architecture.")] = Role.FILTER,
    members: Annotated[int, typer.Option(min=1, help="Number of networks that are averaged; their seeds are SEED, SEED + 1, ...")] = 1,
    parts: Parts = None,
    rehearse: Annotated[
        Path | None,
        typer.Option(help="Folder of further patients (`phantom` makes some), so that fine-tuning does not forget their kinds of scar."),
    ] = None,
) -> None:
    """A segmenter of scar inside a known wall. Roles: reward teaches the generator, filter judges samples, auditor only reports."""
    _train(Stage.SCAR_SEGMENTER, options, _scar_segmenter(role, members), role=role, parts=parts, rehearse=rehearse)


@app.command()
@takes(ValidatedOptions, name="options")
def heart_segmenter(
    options: ValidatedOptions,
    parts: Parts = None,
) -> None:
    """A segmenter of cavity, wall, scar and RV from the image alone."""

    def train(request: TrainingRequest) -> dict[str, object]:
        from lgesynthnet.train.segmenters.heart import train_heart_segmenter

        return train_heart_segmenter(request)

    _train(Stage.HEART_SEGMENTER, options, train, parts=parts)


@app.command()
@takes(DownstreamRequest)
def downstream(
    request: DownstreamRequest,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Print the plan, the time and the disk space, and stop.")] = False,
) -> None:
    """A segmenter of your patients' scar, from few labelled patients and from samples painted into them; for `segment --model`.

    It is told which slices are painted, and starts from weights trained on simulated hearts. Two folds by patient then set operating points
    for false-positive rates of 0.10 and 0.20.

    Example: lgesynthnet train downstream --data mine --splits splits.json --samples runs/first --out seg
    """
    if dry_run:
        from lgesynthnet.downstream.estimate import estimate

        with interruptible("nothing was written"), console.bar("reading patients") as advance:
            text = estimate(request, on_case=advance)
        console.result(text)
        return
    from lgesynthnet.downstream.card import RESEARCH_ONLY
    from lgesynthnet.downstream.training import train_downstream

    with (
        interruptible(f"the same command continues from the last checkpoint in {request.work_folder}"),
        console.bar("training downstream") as advance,
    ):
        result = train_downstream(request, on_progress=advance, on_note=console.note)
    for note in result.notes:
        console.note(note)
    points = "; ".join(f"{point.least_area_mm2:.0f} mm2 for a rate of {point.false_positive_rate:g}" for point in result.points)
    console.result(f"model: {result.folder}")
    console.result(f"scar is drawn in a slice from this expected area on: {points}" if points else "scar is drawn wherever it is found")
    console.note(f"{RESEARCH_ONLY} {request.work_folder} holds slices of the patients; delete it when no training is to be continued")


@app.command()
@takes(TrainingOptions, name="options")
def spade(
    options: TrainingOptions,
    context: Annotated[Context, typer.Option(help="What it sees of the host. limited: the labels. full: also the masked image.")],
    init_autoencoder: Annotated[
        Path | None,
        typer.Option(help="Model or work folder whose autoencoder the perceptual loss uses. Default: that in --work, else phantom's."),
    ] = None,
    precision: PrecisionOption = Precision.NO,
) -> None:
    """A rival for comparison: the SPADE generator of the published table."""

    def train(request: TrainingRequest) -> dict[str, object]:
        from lgesynthnet.train.spade import train_spade

        return train_spade(request, context, autoencoder=init_autoencoder)

    _train(Stage.SPADE, options, train, precision=precision)


@app.command("all")
@takes(ValidatedOptions, name="options")
def everything(
    options: ValidatedOptions,
    out: Out,
) -> None:
    """The generator and the two scar segmenters that it needs, in order, packed as a model folder.

    With --init, autoencoder, text encoder and base model are taken from the given model; the rest is fine-tuned. The auditor is not
    included: use `train scar-segmenter --role auditor`.
    """
    from lgesynthnet.files.manifest import FolderKind
    from lgesynthnet.files.owned import claimed
    from lgesynthnet.train.work import claimed_work, require_apart

    require_apart(options.work, out)  # before a day of training, and not after it
    with (
        interruptible(f"the same command continues from the last checkpoint in {options.work}"),
        claimed_work(options.work),
        claimed(out, FolderKind.MODEL),
    ):
        for stage in (Stage.AUTOENCODER, Stage.TEXT, Stage.BASE, Stage.CONTROL) if options.init is None else (Stage.CONTROL,):
            _train(stage, options, _generator(stage))
        for role in (Role.REWARD, Role.FILTER):
            _train(Stage.SCAR_SEGMENTER, options, _scar_segmenter(role), role=role)
        _train(Stage.REWARD, options, _generator(Stage.REWARD))
        pack(options.work, out)


@app.command()
def pack(work: Work, out: Out) -> None:
    """Collect a finished work folder as a model folder."""
    from lgesynthnet.train.packing import pack as collect

    card = f"# {out.resolve().name}\n\nA model of lgesynthnet, made by `lgesynthnet {shlex.join(sys.argv[1:])}`. Scores: `reports.json`.\n"
    with interruptible(f"the same command packs {work}"):
        console.result(f"model: {collect(work, out, card=card)}")


@app.command("pack-parts")
def pack_parts(work: Work, out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write the parts into.")]) -> None:
    """Collect whatever is trained, in one folder each. Other files in --out (a card, a licence) stay."""
    from lgesynthnet.train.packing import pack_parts as collect

    with interruptible(f"the same command packs {work}"):
        console.result(f"parts: {collect(work, out)}")


def _generator(stage: Stage, **options: Any) -> Callable[[TrainingRequest], dict[str, object]]:
    """The training of a stage of the generator; `options` are those of `GeneratorOptions`."""

    def train(request: TrainingRequest) -> dict[str, object]:
        from lgesynthnet.train.generator.job import GeneratorOptions
        from lgesynthnet.train.stages import train_generator

        return train_generator(request, stage, GeneratorOptions(**options))

    return train


def _scar_segmenter(role: Role, members: int = 1) -> Callable[[TrainingRequest], dict[str, object]]:
    """The training of a scar segmenter."""

    def train(request: TrainingRequest) -> dict[str, object]:
        from lgesynthnet.train.segmenters.scar import train_scar_segmenter

        return train_scar_segmenter(request, role, members=members)

    return train


def _train(
    stage: Stage,
    options: WorkOptions,
    train: Callable[[TrainingRequest], dict[str, object]],
    *,
    role: Role = Role.FILTER,
    parts: list[str] | None = None,
    rehearse: Path | None = None,
    precision: Precision = Precision.NO,
) -> None:
    """Read the data, train, and print the report's numbers."""
    trained_on_data = options if isinstance(options, TrainingOptions) and stage is not Stage.TEXT else None
    with (
        interruptible(f"the same command continues from the last checkpoint in {options.work}"),
        console.bar(f"training {stage}") as advance,
    ):
        from lgesynthnet.train.request import TrainingRequest

        data = None if trained_on_data is None else _training_data(stage, trained_on_data, role, parts or [])
        if data is not None and rehearse is not None:
            data = replace(data, rehearsed=CohortSource(root=rehearse).open())
        report = train(
            TrainingRequest(
                work=options.work,
                data=data,
                recipe=options.recipe.value,
                seed=options.seed,
                device=options.device,
                precision=precision,
                init=options.init if isinstance(options, TrainingOptions) else None,
                resume=options.resume,
                on_progress=lambda name, done, total, loss: advance(done, total),
                on_note=console.note,
            )
        )
    console.result(f"{stage}: " + ", ".join(f"{key} {value}" for key, value in report.items() if isinstance(value, int | float | str)))


def _training_data(stage: Stage, options: TrainingOptions, role: Role, parts: list[str]) -> TrainingData:
    """The patients of --data, --splits and --validation."""
    from lgesynthnet.data.splits import read_splits
    from lgesynthnet.train.request import TrainingData

    cohort = options.data.open()
    if (note := cohort.drawn_labels_note) is not None:
        console.note(note)
    splits = read_splits(options.splits) if options.splits else {}
    patients = splits.get("train")
    if stage in (Stage.SCAR_SEGMENTER, Stage.HEART_SEGMENTER):
        from lgesynthnet.train.segmenters.scar import training_patients

        patients = training_patients(role, splits, parts=parts, place=str(options.splits or "--splits"))
    validation = options.validation if isinstance(options, ValidatedOptions) else None
    if validation is not None:
        others = replace(options.data, root=validation, patients=None)
        return TrainingData(cohort=cohort, patients=patients, validation=others.open())
    if "val" in splits:
        return TrainingData(cohort=cohort, patients=patients, validation=cohort, validation_patients=splits["val"])
    return TrainingData(cohort=cohort, patients=patients)


def _stoppable(work: Path) -> AbstractContextManager[None]:
    return interruptible(f"the same command continues from the last checkpoint in {work}")
