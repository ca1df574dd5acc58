"""`lgesynthnet prescribe`: from a sentence or a population to prescriptions, without data and without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.options import Seed
from lgesynthnet.terms import Prior

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lgesynthnet.prescription.scar import ScarPrescription
    from lgesynthnet.records import Level


def prescribe(
    text: Annotated[
        str | None, typer.Option(help='A sentence in the wording of reports: "Transmural enhancement in the posteroseptal wall".')
    ] = None,
    prior: Annotated[Prior | None, typer.Option(help="Draw prescriptions from this population.")] = None,
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
    for prescription in _parsed(text) if text is not None else _drawn(prior or Prior.ISCHAEMIC, count, level, seed):
        console.result(prescription.to_json())
        if text is not None:
            console.note(f"sentence: {write_sentence(prescription)}")
            console.note(f"caption:  {write_caption(prescription, where)}")
        if explain:
            for line in explained(prescription):
                console.to_stderr(line)


def _parsed(text: str) -> list[ScarPrescription]:
    from lgesynthnet.prescription.grammar.language import read_sentence

    reading = read_sentence(text)
    for note in reading.notes:
        console.note(f"note: {note}")
    return [reading.prescription]


def _drawn(prior: Prior, count: int, level: str | None, seed: int) -> Iterator[ScarPrescription]:
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


def explained(prescription: ScarPrescription) -> list[str]:
    """What each part of a prescription means, one line each."""
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
