"""The report of an improvement: what was missed, what was asked for, what came of it, and the advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.improve.cells import Axis
from lgesynthnet.improve.deciding import (
    AUC_METRIC,
    AUC_NAME,
    DICE_METRIC,
    DICE_NAME,
    LARGEST_LOSS,
    SMALLEST_GAIN,
    Change,
    Verdict,
    change,
    value,
)
from lgesynthnet.improve.misses import FOUND_FROM
from lgesynthnet.improve.pictures import SlicePictures, draw, worst
from lgesynthnet.improve.prescribing import PLAIN_SHARE
from lgesynthnet.improve.results import LoopResult, RoundResult
from lgesynthnet.improve.setup import Improvement, scarred_patients
from lgesynthnet.improve.tables import CellRow, cell_rows
from lgesynthnet.prescription.fitted_prior import name_of
from lgesynthnet.report.bullseye import counts_svg, prescription_svg
from lgesynthnet.report.html import fill_template
from lgesynthnet.report.panels import Panel, sample_panels
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.pseudonyms import number_patients
from lgesynthnet.segmenter.calibration import RATES

TEMPLATES = Path(__file__).parent / "templates"
REPORT = "report.html"
MISSES_SHOWN, CALLS_SHOWN, SAMPLES_SHOWN = 6, 4, 8


@dataclass(frozen=True, kw_only=True)
class CellLine:
    """One cell on the page: before the rounds, the samples, and after them; counts as text."""

    axis: str
    cell: str
    before: str
    calls_before: str
    asked: int
    kept: int
    after: str
    calls_after: str


@dataclass(frozen=True, kw_only=True)
class SampleCard:
    """One painted sample on the page."""

    title: str
    caption: str
    why: str
    panels: list[Panel]
    bullseye: Markup


def write_page(improvement: Improvement, result: LoopResult) -> Path:
    """Write RUN/report.html; returns its path. The page holds its pictures and loads nothing."""
    path = improvement.out / REPORT
    write_bytes(path, render(improvement, result).encode())
    return path


def render(improvement: Improvement, result: LoopResult) -> str:
    """The page as HTML text."""
    first, last = result.rounds[0], result.rounds[-1]
    rows = cell_rows(improvement, result)
    pseudonyms = _pseudonyms(improvement, result)
    real = improvement.real()
    advice, request = result.advice, improvement.request
    return fill_template(
        TEMPLATES,
        "improve.html",
        name=improvement.out.resolve().name,
        advice=advice.sentence,
        tone={Verdict.USE: "good", Verdict.CHECK: "care", Verdict.LEAVE: "bad"}[advice.verdict],
        patients=len(improvement.patients),
        scarred=len(scarred_patients(real)),
        folds=len(improvement.folds(real)),
        stopped=result.stopped,
        final=f"{result.rounds[result.chosen].samples} samples" if result.chosen else "no samples",
        head=("trained on", "samples", DICE_NAME, AUC_NAME, f"change of the {DICE_NAME}", f"change of the {AUC_NAME}"),
        rounds=[_round_line(result, round_) for round_ in result.rounds]
        + ([_round_line(result, result.control)] if result.control else []),
        loop_told=_loop_sentence(result),
        found=_findings_sentences(first, last),
        cells=_cell_lines(rows, len(result.rounds) - 1),
        missed_svg=Markup(counts_svg(_by_segment(rows, 0, "missed"), title="missed lesions in each AHA segment")),
        asked_svg=Markup(counts_svg(_by_segment(rows, None, "asked"), title="prescriptions in each AHA segment")),
        kept_svg=Markup(counts_svg(_by_segment(rows, None, "kept"), title="kept samples in each AHA segment")),
        misses=draw(improvement, first, worst(first.findings.missed, MISSES_SHOWN), pseudonyms),
        calls=draw(improvement, first, worst(first.findings.calls, CALLS_SHOWN), pseudonyms),
        samples=_sample_cards(improvement, result, pseudonyms),
        method=_method(improvement),
        hard_below=request.hard_below,
    )


def _round_line(result: LoopResult, round_: RoundResult) -> tuple[str, ...]:
    first = result.rounds[0]
    number = round_.training_set.name.rpartition("-")[2]
    name = f"+ samples of {'round 1' if number == '1' else f'rounds 1 to {number}'}"
    name = "real slices alone" if round_ is first else "+ random prescriptions" if round_ is result.control else name
    changed = Change(dice=None, auc=None, scarred=0) if round_ is first else change(round_.slices, first.slices)
    values = (value(round_.slices, DICE_METRIC), value(round_.slices, AUC_METRIC))
    chosen = " (chosen)" if round_ is result.rounds[result.chosen] else ""
    return (f"{name}{chosen}", str(round_.samples), *map(_text, values), _text(changed.dice, sign=True), _text(changed.auc, sign=True))


def _loop_sentence(result: LoopResult) -> str:
    """What the loop is worth over random prescriptions, in a sentence; empty without a control."""
    compared = result.change_by_loop
    if compared is None:
        return ""
    told = f"{DICE_NAME} {_text(compared.dice, sign=True)}, {AUC_NAME} {_text(compared.auc, sign=True)}"
    return f"Against as many samples of random prescriptions, of which the filter alone kept the valid ones: {told}."


def _findings_sentences(first: RoundResult, last: RoundResult) -> list[str]:
    told = []
    for round_, when in ((first, "Before any sample"), (last, f"After {last.training_set.name.replace('-', ' ')}")):
        findings = round_.findings
        told.append(
            f"{when}: {len(findings.missed)} of {len(findings.lesions)} lesions were missed, and {len(findings.calls)} regions "
            "without scar were called scar."
        )
    told = told[:1] if first is last else told
    if first.findings.unmeasured:
        told.append(f"{first.findings.unmeasured} slices could not be measured (their wall is no closed ring), and are not counted.")
    return told


def _cell_lines(rows: Sequence[CellRow], last: int) -> list[CellLine]:
    lines = []
    for axis, cell in dict.fromkeys((row.axis, row.cell) for row in sorted(rows, key=lambda row: list(Axis).index(row.axis))):
        mine = {row.round: row for row in rows if (row.axis, row.cell) == (axis, cell)}
        before, after = mine.get(0), mine.get(last)
        lines.append(
            CellLine(
                axis=axis.value,
                cell=cell,
                before=_share(before),
                calls_before=str(before.falsely_called if before else 0),
                asked=sum(row.asked for row in mine.values()),
                kept=sum(row.kept for row in mine.values()),
                after=_share(after) if last else "",
                calls_after=str(after.falsely_called if after else 0) if last else "",
            )
        )
    return sorted(lines, key=lambda line: ([axis.value for axis in Axis].index(line.axis),))


def _share(row: CellRow | None) -> str:
    return "–" if row is None or not row.lesions else f"{row.missed} of {row.lesions}"


def _by_segment(rows: Sequence[CellRow], round_: int | None, column: str) -> dict[int, int]:
    """AHA segment -> a count of one round, or of all."""
    found: dict[int, int] = {}
    for row in rows:
        if row.axis is Axis.SEGMENT and round_ in (None, row.round):
            segment = int(row.cell.partition(" ")[0])
            found[segment] = found.get(segment, 0) + int(getattr(row, column))
    return found


def _sample_cards(improvement: Improvement, result: LoopResult, pseudonyms: dict[str, str]) -> list[SampleCard]:
    kept = [
        (run, row)
        for run in (RunFolder.open(improvement.out / round_.training_set.name) for round_ in result.rounds[1:])
        for row in run.rows
        if row.kept and row.file
    ]
    shown = [kept[i * len(kept) // SAMPLES_SHOWN] for i in range(SAMPLES_SHOWN)] if len(kept) > SAMPLES_SHOWN else kept
    return [
        SampleCard(
            title=f"{row.id}, {pseudonyms[row.host]}, slice {row.slice_index}, {row.level}",
            caption=row.caption,
            why=row.why,
            panels=sample_panels(run, row),
            bullseye=Markup(prescription_svg(row.prescription)),
        )
        for run, row in shown
    ]


def _pseudonyms(improvement: Improvement, result: LoopResult) -> dict[str, str]:
    """Those of the first round's run, so that its pages and this one agree; without a run, new ones."""
    if len(result.rounds) > 1:
        return RunFolder.open(improvement.out / result.rounds[1].training_set.name).pseudonyms(improvement.patients)
    return number_patients(improvement.patients, "improve")


def _method(improvement: Improvement) -> list[str]:
    request = improvement.request
    return [
        "Each patient was held out by one fold. All scores and misses are those of segmenters that had not seen the patient. Patients of "
        "validation and test were not opened.",
        f"A lesion is missed where less than {100 * FOUND_FROM:.0f} % of its area is called scar, at the operating point where at most "
        f"{100 * RATES[0]:.0f} % of the held-out slices without scar hold false scar.",
        f"{100 * PLAIN_SHARE:.0f} % of the prescriptions are drawn as the population ({name_of(improvement.prior)}) has them. "
        "The others are drawn in proportion to the misses: for the hosts of a fold, to the misses in the patients of that fold alone. "
        "Falsely called cells are not asked for: a scar painted there would teach the segmenter to call more of them.",
        f"A sample is kept where it is valid and hard. Valid: the filter, which is shown the wall, confirms the scar. Hard: the segmenter "
        f"of the fold that holds out the host's patient finds it with a Dice below {request.hard_below:g}, or not at all.",
        "A sample never trains a segmenter that is scored on its host's patient.",
        f"A round gains where the {DICE_NAME} or the {AUC_NAME} rises by {SMALLEST_GAIN:g} or more and the other falls by {LARGEST_LOSS:g} "
        "at most, against the best round before; the first round without a gain ends the loop. The rounds were chosen on the patients on "
        "whom they are scored, so the gain of the chosen round is a little too good.",
    ]


def _text(interval: Interval | None, *, sign: bool = False) -> str:
    if interval is None:
        return "–"
    plus = "+" if sign else ""
    return f"{interval.value:{plus}.3f} [{interval.low:{plus}.3f}, {interval.high:{plus}.3f}]"


__all__ = ["REPORT", "SlicePictures", "render", "write_page"]
