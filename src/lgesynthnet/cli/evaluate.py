"""`lgesynthnet evaluate`: the samples of a run beside real slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.console import interruptible
from lgesynthnet.cli.signature import takes
from lgesynthnet.evaluate.request import EvaluationRequest

if TYPE_CHECKING:
    from lgesynthnet.evaluate.run import Evaluation

app = typer.Typer(no_args_is_help=True, help="Evaluate a finished run beside real slices. Tables are written to RUN/evaluation.")


@app.command()
@takes(EvaluationRequest)
def alignment(request: EvaluationRequest) -> None:
    """Does each sample show the scar that was prescribed? An independent auditor and brightness thresholds read it, by kind of scar.

    Example: lgesynthnet evaluate alignment runs/first --real emidec --splits emidec/splits.json --part test
    """
    from lgesynthnet.evaluate.run import evaluate_alignment

    with interruptible("the same command begins again"), console.bar("judging alignment") as advance:
        evaluation = evaluate_alignment(request, on_case=advance)
    _print(evaluation)


@app.command()
@takes(EvaluationRequest)
def realism(request: EvaluationRequest) -> None:
    """Do the painted regions look like a scan? Noise, seams, brightness, distances between sets, near-duplicates.

    Example: lgesynthnet evaluate realism runs/first --real emidec --splits emidec/splits.json --part test
    """
    from lgesynthnet.evaluate.run import evaluate_realism

    with interruptible("the same command begins again"), console.bar("judging realism") as advance:
        evaluation = evaluate_realism(request, on_case=advance)
    _print(evaluation)


def _print(evaluation: Evaluation) -> None:
    for note in evaluation.notes:
        console.note(note)
    console.result(evaluation.overall)
    console.result(f"tables: {evaluation.table}, {evaluation.page}")
