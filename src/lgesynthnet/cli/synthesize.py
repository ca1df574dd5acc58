"""`lgesynthnet synthesize` and `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.console import interruptible
from lgesynthnet.cli.options import Seed
from lgesynthnet.cli.signature import takes
from lgesynthnet.run.request import SynthesisRequest

if TYPE_CHECKING:
    from lgesynthnet.synthesis.synthesize import RunResult

INCOMPLETE = 3
MOST_NOTES = 10  # on sentences; a file of prescriptions may hold thousands


@takes(SynthesisRequest)
def synthesize(
    request: SynthesisRequest,
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder. The same command continues it.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check everything, print the plan as JSON, and write nothing.")
    ] = False,
) -> None:
    """Paint prescribed scars into the slices of a folder, and keep the samples that an independent filter confirms.

    The same command continues a run that was killed or interrupted. Every pixel outside the painted region stays as it was.

    Example: lgesynthnet synthesize --hosts emidec --splits splits.json --prior ischaemic --count 50 --out runs/first
    """
    from lgesynthnet.synthesis.planning import plan_synthesis
    from lgesynthnet.synthesis.synthesize import synthesize as run_plan

    with interruptible("nothing was written"), console.bar("reading hosts") as advance:
        planned = plan_synthesis(request, on_case=advance, run=out)
    for note in planned.notes[:MOST_NOTES]:
        console.note(f"note: {note}")
    if len(planned.notes) > MOST_NOTES:
        console.note(f"note: {len(planned.notes) - MOST_NOTES} more notes on words that could have been meant otherwise")
    if dry_run:
        console.result(planned.plan.to_json())
        return
    for note in planned.hosts.notes:
        console.note(note)
    for skipped in planned.plan.skipped:
        console.note(f"skipped {skipped.name}: {skipped.reason}")
    if uncertain := planned.plan.uncertain_hosts:
        confidence = request.least_orientation_confidence
        console.note(f"{uncertain} slices are no hosts because the confidence of their orientation is below {confidence:g}")
    with (
        interruptible(f"the samples so far are in {out}, and the same command continues"),
        console.bar("keeping samples", planned.plan.quota) as advance,
    ):
        result = run_plan(planned, out, on_attempt=lambda kept, attempted: advance(kept, f"of {attempted} attempts"))
    if planned.plan.patients is None:
        console.note("no --splits: every patient was painted into, so the samples may not train a model that is tested on one of them")
    _finish(result)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the simulated patients and the run.")],
    model: Annotated[str, typer.Option(help='A shipped model ("phantom"), a model folder, or "paste".')] = "phantom",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of samples to keep.")] = 12,
    seed: Seed = 0,
) -> None:
    """Simulate hearts, paint scars into them, and write a report. Takes about a minute and needs no data."""
    from lgesynthnet.synthesis.demo import paint_into, simulated_hosts

    with interruptible(f"the same command continues in {out}"):
        with console.bar("simulating patients") as advance:
            hosts = simulated_hosts(out, seed=seed, on_host=advance)
        with console.bar("keeping samples", count) as advance:
            result = paint_into(
                hosts,
                out,
                model=model,
                count=count,
                seed=seed,
                on_attempt=lambda kept, attempted: advance(kept, f"of {attempted} attempts"),
            )
    _finish(result)


def _finish(result: RunResult) -> None:
    for fault in result.repaired:
        console.note(f"{fault}; the sample was painted again")
    rejected = ", ".join(f"{count} {reason}" for reason, count in result.rejected.items())
    console.result(
        f"kept {result.kept} of {result.attempted} attempts" + (f" ({rejected})" if rejected else "") + f"; {result.seconds:.1f} s"
    )
    for kind, painted, kept in result.seldom_kept:
        console.note(f"{kind}: the filter kept only {kept} of {painted}, so such scars are rarer among the samples than they were drawn")
    console.result(f"report: {result.report}")
    if not result.complete:
        console.note(
            f"stopped at {result.kept} of {result.quota} samples because the budget is spent; "
            "the same command with a larger --max-attempts (or --max-seconds) continues"
        )
        raise typer.Exit(INCOMPLETE)
