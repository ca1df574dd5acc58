"""`lgesynthnet improve`: find what a segmenter misses, paint it, and train again, for as long as that helps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.console import interruptible
from lgesynthnet.cli.signature import takes
from lgesynthnet.improve.request import ImproveRequest


@takes(ImproveRequest)
def improve(
    request: ImproveRequest,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the segmenter, the samples, tables and report. The same command continues it.")
    ],
    workers: Annotated[int, typer.Option(min=1, max=64, help="Folds that are trained side by side, one core each.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and the time and disk it takes; write nothing.")
    ] = False,
) -> None:
    """Find what a segmenter misses in patients that it has not seen, paint it, train again, and stop where that gains nothing.

    It reads the training patients alone. It leaves the segmenter, the samples of each round as a run that `export` reads, tables, and a
    report that ends in one advice: use samples, or do not, and why.

    Example: lgesynthnet improve --data emidec --splits splits.json --rounds 3 --out runs/improved --workers 2
    """
    from lgesynthnet.improve.setup import Improvement

    improvement = Improvement.of(request, out)
    if dry_run:
        from lgesynthnet.improve.estimate import estimate

        with interruptible("nothing was written"):
            console.result(estimate(improvement, workers=workers))
        return
    from lgesynthnet.improve.loop import Listeners, run_improvement

    with interruptible(f"the same command continues in {out}"), console.bar("improving") as advance:
        state = {"done": 0}

        def on_job(what: str, done: int, total: int) -> None:
            state["done"] = done
            advance(done, total)
            console.note(f"{done} of at most {total}: {what}")

        def on_attempt(kept: int, attempted: int) -> None:
            advance(state["done"], f"painting: {kept} kept of {attempted} attempts")

        result = run_improvement(improvement, workers=workers, listeners=Listeners(on_job=on_job, on_attempt=on_attempt))
    console.result(result.advice.sentence)
    console.result(f"{result.stopped}; the segmenter learnt from {result.samples} samples: {result.segmenter}")
    console.result(f"report: {result.report}")
