"""`lgesynthnet prescribe`: from a sentence or a population to prescriptions. `lgesynthnet prior fit`: from patients to a population."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.console import interruptible
from lgesynthnet.cli.options import Seed
from lgesynthnet.cli.signature import takes
from lgesynthnet.prior.request import PriorRequest
from lgesynthnet.terms import Prior, prior_choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lgesynthnet.prescription.edits import Prescription
    from lgesynthnet.prescription.fitted_prior import FittedPrior
    from lgesynthnet.prescription.scar import ScarPrescription
    from lgesynthnet.records import Level

prior_app = typer.Typer(no_args_is_help=True, help="Learn from labelled patients which scars to paint.")
FEW_PATIENTS = 10
POOLED = {
    "positions": "slices at the border of an infarct together with those inside",
    "levels": "all levels together",
    "everything": "all slices together",
}


def prescribe(
    text: Annotated[
        str | None, typer.Option(help='A sentence in the wording of reports: "Transmural enhancement in the posteroseptal wall".')
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Draw prescriptions from this population: ischaemic, non-ischaemic, uniform, or a file of `lgesynthnet prior fit`.",
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of prescriptions to draw from the prior.")] = 1,
    level: Annotated[
        str | None, typer.Option(help="Level of the slice: basal, mid or apical. Without it, a level is drawn for each prescription.")
    ] = None,
    seed: Seed = 0,
    explain: Annotated[bool, typer.Option("--explain", help="Also explain every field in words.")] = False,
    words: Annotated[bool, typer.Option("--words", help="List all words that a sentence may have, by what they mean, and stop.")] = False,
) -> None:
    """Turn a sentence into a prescription, or draw prescriptions from a prior, as JSON lines for `synthesize --prescriptions`.

    The JSON is printed to stdout. The sentence as the program writes it, the caption that the model reads, and notes on words that could
    have been meant otherwise are printed to stderr.

    Example: lgesynthnet prescribe --prior ischaemic --count 20 > twenty.jsonl
    """
    from lgesynthnet.errors import PrescriptionError
    from lgesynthnet.prescription.grammar.language import list_words, write_caption, write_sentence

    if (text is not None) + (prior is not None) + words != 1:
        raise PrescriptionError('give either --text "...", --prior ischaemic (or non-ischaemic, uniform), or --words')
    if words:
        console.result(list_words())
        return
    where = _level(level)
    for prescription in _parsed(text) if text is not None else _drawn(_loaded(prior or Prior.ISCHAEMIC), count, level, seed):
        console.result(prescription.to_json())
        if text is not None:
            console.note(f"sentence: {write_sentence(prescription)}")
            console.note(f"caption:  {write_caption(prescription, where)}")
        if explain:
            for line in explained(prescription):
                console.to_stderr(line)


def _parsed(text: str) -> list[Prescription]:
    from lgesynthnet.prescription.grammar.language import read_sentence

    reading = read_sentence(text)
    for note in reading.notes:
        console.note(f"note: {note}")
    return [reading.prescription]


def _loaded(prior: str) -> Prior | FittedPrior:
    from lgesynthnet.prior.choosing import open_prior

    return open_prior(prior_choice(prior))


def _drawn(prior: Prior | FittedPrior, count: int, level: str | None, seed: int) -> Iterator[ScarPrescription]:
    import numpy as np

    from lgesynthnet.prescription.priors import draw_prescription
    from lgesynthnet.records import Level

    for number in range(count):  # each has its own generator, so that number 7 is the same however many are drawn
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        where = _level(level) or list(Level)[int(rng.integers(len(Level)))]
        yield draw_prescription(prior, where, rng)


def _level(level: str | None) -> Level | None:
    from lgesynthnet.errors import PrescriptionError
    from lgesynthnet.records import Level

    if level is not None and level not in list(Level):
        raise PrescriptionError(f"--level {level[:40]}: must be one of {', '.join(Level)}")
    return Level(level) if level is not None else None


def explained(prescription: Prescription) -> list[str]:
    """What each part of a prescription means, one line each."""
    from lgesynthnet.prescription.edits import NoEnhancement

    if isinstance(prescription, NoEnhancement):
        return ["  the scar that a slice holds becomes healthy wall"]
    from lgesynthnet.anatomy.aha import NAME_OF

    segments = ", ".join(f"{s} {NAME_OF[s]}" for s in sorted(prescription.segments))
    inner, outer = prescription.band
    arc = prescription.arc
    where = "the whole width of the segments"
    if arc is not None:
        where = f"{arc.extent_deg:g} degrees counter-clockwise from {arc.start_deg:g} (anterior RV insertion 120, inferior 240)"
    core = f"{prescription.mvo_share:.0%} of the scar stays dark (microvascular obstruction)" if prescription.mvo_share else "none"
    return [
        f"  segments        {segments}",
        f"  arc             {where}",
        f"  pattern         {prescription.pattern}",
        f"  transmurality   {prescription.transmurality:.0%} of the wall, mean over the chords that hold scar",
        f"  depth           {inner:g} to {outer:g} (0 endocardium, 1 epicardium)",
        f"  no-reflow core  {core}",
        f"  irregularity    {prescription.irregularity:g} (0 smooth border, 1 ragged)",
        f"  brightness      percentile {prescription.intensity_percentile:g} among the scars of training",
        f"  seed            {prescription.seed} draws the border",
    ]


@prior_app.callback()
def group() -> None:
    """Learn from labelled patients which scars to paint."""


@prior_app.command()
@takes(PriorRequest)
def fit(
    request: PriorRequest,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, NAME.json. `--prior` reads it.")],
) -> None:
    """Learn from labelled patients where their scars lie, and how wide, deep, bright and ragged they are.

    The file is a table of shares and quantiles. It names no patient, and each number is that of 5 slices of 3 patients or more.

    Example: lgesynthnet prior fit emidec --splits splits.json --out prior.json
    """
    from lgesynthnet.prior.fitting import fit_prior

    prior_choice(out, "--out")
    with interruptible("nothing was written"), console.bar("measuring scars") as advance:
        prior = fit_prior(request, on_case=advance)
    prior.write(out)
    console.result(f"{out}: {prior.describe()}")
    for note in _notes(prior):
        console.note(note)
    if request.splits is None:
        console.note("no --splits: every patient was learnt from, so no patient is left on whom samples of this prior can be tested")


def _notes(prior: FittedPrior) -> list[str]:
    notes = [
        f"{level}: few scarred slices, so widths, extents and brightness are those of {POOLED[table.inside.pooled]}"
        for level, table in prior.levels.items()
        if table.inside.pooled != "nothing"
    ]
    if not prior.no_reflow_share:
        notes.append("no-reflow is in too few slices to be learnt, so hardly any is drawn")
    if prior.patients < FEW_PATIENTS:
        notes.append(
            f"{prior.patients} patients with scar are few: the {prior.further} prior, as one further patient, "
            f"draws {100 * prior.further_share:.0f} % of the scars"
        )
    return notes
