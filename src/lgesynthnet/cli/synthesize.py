"""`lgesynthnet synthesize` and `demo`: paint prescribed scars until enough are confirmed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.options import BaseFirst, Dataset, FlipOption, Labels, Landmarks, Seed
from lgesynthnet.terms import Flip

if TYPE_CHECKING:
    from lgesynthnet.synthesis.synthesize import RunResult

WHAT, HOW = "What to paint (one of)", "How"
INTERRUPTED, INCOMPLETE = 130, 3


def synthesize(
    hosts: Annotated[Path, typer.Option(help="Folder of patients: EMIDEC layout, image/label pairs, nnU-Net raw, or a run folder.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Samples to keep.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder; the same command again resumes it.")],
    model: Annotated[
        str, typer.Option(help='A shipped model ("phantom"), a model folder, or "paste": the baseline without a network.')
    ] = "phantom",
    filter_: Annotated[
        Path | None,
        typer.Option(
            "--filter", help="Judge with this filter, as `train scar-segmenter --role filter` made it.", show_default="the model's own"
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help='In the wording of reports: "Transmural enhancement in the posteroseptal wall".', rich_help_panel=WHAT),
    ] = None,
    prescriptions: Annotated[
        Path | None, typer.Option(help="JSON lines as `lgesynthnet prescribe` writes them; taken in turn.", rich_help_panel=WHAT)
    ] = None,
    prior: Annotated[
        str | None, typer.Option(help="Draw from a population: ischaemic, non-ischaemic, uniform.", rich_help_panel=WHAT)
    ] = None,
    seed: Seed = 0,
    dataset: Dataset = None,
    labels: Labels = None,
    base_first: BaseFirst = None,
    flip: FlipOption = Flip.NONE,
    landmarks: Landmarks = None,
    hosts_with_scar: Annotated[
        bool, typer.Option("--hosts-with-scar", help="Also paint into slices that hold scar; theirs stays.")
    ] = False,
    splits: Annotated[
        Path | None,
        typer.Option(help="JSON of patient names by part; paint into the patients of --part alone, so that no test patient is used."),
    ] = None,
    part: Annotated[str, typer.Option(help="Part of --splits to paint into.")] = "train",
    keep_all: Annotated[
        bool, typer.Option("--keep-all", help="Put every painted slice into images/ and count it; the verdict is still recorded.")
    ] = False,
    dice_above: Annotated[float, typer.Option(min=0, max=0.99, help="Keep where Dice(intended, read) is above this.")] = 0.6,
    dice_only: Annotated[
        bool, typer.Option("--dice-only", help="The published filter: Dice alone, not segments, extent, brightness, spill and seam.")
    ] = False,
    balance: Annotated[
        bool, typer.Option("--balance", help="Keep each kind of scar as often as it is drawn, not as often as the filter passes it.")
    ] = False,
    max_attempts: Annotated[int | None, typer.Option(min=1, help="Budget of the whole run.", show_default="8 x count")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Stop this session after so long; the same command goes on.")] = None,
    shard: Annotated[
        str, typer.Option(help="Part i of n, e.g. 2/5, each with its own --out; a sample's id has the same bytes in any.")
    ] = "1/1",
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first case that cannot be used instead of skipping it.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, print the plan as JSON, write nothing.")] = False,
) -> None:
    """Paint prescribed scars into the slices of a folder, and keep those that an independent reader confirms.

    Killed or interrupted, the same command resumes. Every pixel outside the painted scar's surroundings stays as it was.

    Example: lgesynthnet synthesize --hosts emidec --count 50 --out runs/first --prior ischaemic
    """
    from lgesynthnet.data.splits import part_of
    from lgesynthnet.synthesis.planning import SynthesisRequest, plan_synthesis
    from lgesynthnet.synthesis.synthesize import synthesize as run_plan

    request = SynthesisRequest(
        hosts=hosts,
        count=count,
        model=model,
        filter=filter_,
        seed=seed,
        text=text,
        prescriptions=prescriptions,
        prior=prior,
        dataset=dataset,
        labels=labels,
        base_first=base_first,
        flip=flip.axes,
        landmarks=landmarks,
        hosts_with_scar=hosts_with_scar,
        patients=part_of(splits, part) if splits else None,
        keep_all=keep_all,
        dice_above=dice_above,
        dice_only=dice_only,
        balance=balance,
        max_attempts=max_attempts,
        max_seconds=max_seconds,
        shard=shard,
        strict=strict,
        device=device,
    )
    with console.bar("reading hosts") as advance:
        planned = plan_synthesis(request, on_case=advance)
    if dry_run:
        typer.echo(planned.plan.to_json())
        return
    for skipped in planned.plan.skipped:
        console.note(f"skipped {skipped.name}: {skipped.reason}")
    try:
        with console.bar("keeping samples", planned.plan.quota) as advance:
            result = run_plan(planned, out, on_attempt=lambda kept, attempted: advance(kept, f"of {attempted} attempts"))
    except KeyboardInterrupt:
        console.note(f"interrupted; what is done stands in {out}, and the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    _finish(result)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the simulated patients and the run.")],
    model: Annotated[str, typer.Option(help='A shipped model ("phantom"), a model folder, or "paste".')] = "phantom",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Samples to keep.")] = 12,
    seed: Seed = 0,
) -> None:
    """Simulate hearts, paint scars into them, and write a report: the whole program in about a minute, no data needed."""
    from lgesynthnet.synthesis.demo import paint_into, simulated_hosts

    try:
        with console.bar("simulating patients") as advance:
            hosts = simulated_hosts(out, seed=seed, on_host=advance)
        with console.bar("keeping samples", count) as advance:
            result = paint_into(
                hosts, out, model=model, count=count, seed=seed, on_attempt=lambda kept, tried: advance(kept, f"of {tried} attempts")
            )
    except KeyboardInterrupt:
        console.note(f"interrupted; the same command goes on from {out}")
        raise typer.Exit(INTERRUPTED) from None
    _finish(result)


def _finish(result: RunResult) -> None:
    others = ", ".join(f"{count} {reason}" for reason, count in result.reasons.items() if reason != "kept")
    typer.echo(f"{result.kept} of {result.attempted} attempts count" + (f" ({others})" if others else "") + f"; {result.seconds:.1f} s")
    typer.echo(f"report: {result.report}")
    if not result.complete:
        console.note(
            f"stopped at {result.kept} of {result.quota}: the budget is spent; "
            "the same command with a larger --max-attempts (or --max-seconds) goes on"
        )
        raise typer.Exit(INCOMPLETE)
