"""Write the report of a run: one HTML page with the prescriptions, the samples and the verdict of the filter on each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from markupsafe import Markup

from lgesynthnet.files.writing import write_bytes
from lgesynthnet.prescription.fitted_prior import name_of
from lgesynthnet.quality.stack_verdict import KEPT_SLICES_FROM
from lgesynthnet.report.bullseye import counts_svg, prescription_svg
from lgesynthnet.report.html import fill_template
from lgesynthnet.report.panels import HOST, Panel, sample_panels
from lgesynthnet.report.stack_cards import stack_card
from lgesynthnet.report.values import area, fixed, percent
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.plan import shared_model
from lgesynthnet.run.pseudonyms import without_names
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.run.stack_row import StackRow
from lgesynthnet.run.summary import RunSummary, wilson_interval
from lgesynthnet.terms import PromptSource

SAMPLES_SHOWN = 24, 12  # kept and rejected
STACKS_SHOWN = 12, 6  # fewer, because each has some ten slices
TEMPLATES = Path(__file__).parent / "templates"
AnyCard = TypeVar("AnyCard")
Attempt = TypeVar("Attempt", SampleRow, StackRow)


@dataclass(frozen=True, kw_only=True)
class Card:
    """One sample as the report shows it.

    Attributes:
        patient: pseudonym of the host's patient.
        why: the verdict as a sentence, without names of patients and files.
        numbers: measured values as (name, text).
        flags: warnings about this sample.
    """

    sample: SampleRow
    patient: str
    why: str
    panels: list[Panel]
    bullseye: Markup | None
    numbers: list[tuple[str, str]]
    flags: tuple[str, ...]


def write_report(path: Path) -> Path:
    """Write RUN/report.html, completely or not at all; returns its path.

    The page contains its pictures and loads nothing else. If the file of a host is missing, only the picture of that host is left out.

    Raises:
        RunError: the folder is not a run folder, or the page cannot be written.
    """
    run = RunFolder.open(path)
    with run.held():
        write_bytes(run.report, render(RunSummary(run)).encode("utf-8"))
    return run.report


def render(summary: RunSummary) -> str:
    """The report as HTML text."""
    galleries = (
        _galleries(summary.run.stacks, partial(stack_card, summary), *STACKS_SHOWN)
        if summary.run.of_stacks
        else _galleries(summary.rows, partial(_card, summary), *SAMPLES_SHOWN)
    )
    return fill_template(
        TEMPLATES,
        "report.html",
        **shared_values(summary),
        acceptance=acceptance_rows(summary),
        bullseye=Markup(counts_svg(summary.segment_counts)),
        galleries=galleries,
    )


def _galleries(
    rows: Sequence[Attempt], card: Callable[[Attempt], AnyCard], kept_shown: int, rejected_shown: int
) -> list[tuple[str, str, list[AnyCard], int]]:
    """Title, style, cards and number of all for the kept and for the rejected attempts."""
    kept, rejected = [row for row in rows if row.kept], [row for row in rows if not row.kept]
    return [
        ("Kept", "kept", [card(row) for row in spread(kept, kept_shown)], len(kept)),
        ("Rejected", "rejected", [card(row) for row in spread(rejected, rejected_shown)], len(rejected)),
    ]


def shared_values(summary: RunSummary) -> dict[str, object]:
    """The values that the templates of the report and of the data card share, by name."""
    return {
        "summary": summary,
        "name": summary.run.name,
        "rate": pass_rate_text(summary),
        "duration": duration_text(summary),
        "hosts": hosts_text(summary),
        "outside": outside_text(summary.max_change_outside),
        "setup": setup_rows(summary),
        "command": summary.run.shared_command,
    }


def spread(samples: list[Attempt], most: int) -> list[Attempt]:
    """At most `most` samples, spread evenly over the run. The first samples would all come from the first hosts."""
    if len(samples) <= most:
        return samples
    return [samples[i * len(samples) // most] for i in range(most)]


def pass_rate_text(summary: RunSummary) -> str:
    if summary.pass_rate is None or summary.pass_interval is None:
        return "nothing was attempted"
    low, high = summary.pass_interval
    return f"{100 * summary.pass_rate:.0f} % (95 % interval {100 * low:.0f} to {100 * high:.0f} %)"


def acceptance_rows(summary: RunSummary) -> list[tuple[str, str, str]]:
    """One row for each kind of scar: its name, the counts, and the share kept with its 95 % interval."""
    rows = []
    for group, painted, kept in summary.acceptance:
        low, high = wilson_interval(kept, painted)
        rows.append((group, f"{kept} of {painted}", f"{100 * kept / painted:.0f} % ({100 * low:.0f} to {100 * high:.0f})"))
    return rows


def duration_text(summary: RunSummary) -> str:
    what, attempts = "stack" if summary.run.of_stacks else "sample", len(summary.attempts)
    per_sample = f", {summary.seconds / attempts:.2g} s for one {what}" if attempts else ""
    return f"{summary.seconds:.0f} s{per_sample}"


def hosts_text(summary: RunSummary) -> str:
    """How many patients the kept samples were painted into, as a sentence."""
    of_hosts = summary.kept_of_hosts
    if not of_hosts:
        return "None was kept."
    if len(of_hosts) == 1:
        return "All kept stacks were painted into the heart of one patient."
    return f"The kept stacks were painted into the hearts of {len(of_hosts)} patients, up to {max(of_hosts.values())} into one heart."


def outside_text(change: float | None) -> str:
    if change is None:
        return "not recorded"
    return "0: every pixel outside is that of the host" if change == 0 else f"{change:g}: this must be 0; please report it"


def setup_rows(summary: RunSummary) -> list[tuple[str, str]]:
    """The settings of the run from its plan, as (name, value)."""
    plan = summary.run.plan
    request = plan.request
    values = {
        PromptSource.TEXT: request.text,
        PromptSource.PRESCRIPTIONS: len(plan.prescriptions),
        PromptSource.PRIOR: None if plan.prior is None else name_of(plan.prior),
        PromptSource.EDIT: request.edit,
    }
    sources = ", ".join(f"{source} ({count})" for source, count in summary.orientation_sources) or "not recorded"
    chosen = sorted(summary.pseudonyms[patient] for patient in plan.patients or () if patient in summary.pseudonyms)
    patients = f"part {request.part} of the splits" if request.splits else "all" if plan.patients is None else ", ".join(chosen)
    most = "no limit" if request.per_host is None else f"at most {request.per_host}"
    return [
        ("patients", patients),
        *([("kept stacks of one host", most)] if request.stacks else []),
        ("fingerprint of the hosts", plan.hosts_fingerprint),
        ("model", shared_model(request.model)),
        ("generator", plan.generator_fingerprint),
        ("filter", plan.filter_fingerprint),
        ("kept when Dice is above", f"{request.dice_above:g}" + (" (Dice alone)" if request.dice_only else "")),
        *([("and when the filter keeps", f"{100 * KEPT_SLICES_FROM:.0f} % of the painted slices")] if request.stacks else []),
        ("painted", f"{request.source}: {values[request.source]}"),
        ("edits", ", ".join(sorted(plan.edits))),
        ("seed", str(request.seed)),
        ("orientation from", sources),
        ("cavity and wall of the hosts", f"drawn by {plan.masks_drawn_by}" if plan.masks_drawn_by else "as labelled"),
        ("slices left out, orientation uncertain", f"{plan.uncertain_hosts} (below {request.least_orientation_confidence:g})"),
        ("program", f"lgesynthnet {plan.version}"),
    ]


def _card(summary: RunSummary, row: SampleRow) -> Card:
    panels = sample_panels(summary.run, row)
    problems: tuple[str, ...] = ()
    if row.file and not panels:
        problems = (f"{row.file} or its masks cannot be read, so there are no pictures",)
    elif panels and not any(panel.title == HOST for panel in panels):
        problems = ("the file of the host is no longer there, so the host is not shown",)
    patient = summary.pseudonyms[row.host]
    return Card(
        sample=row,
        patient=patient,
        why=without_names(row.why, row.host, patient, summary.run.plan.places),
        panels=panels,
        bullseye=Markup(prescription_svg(row.prescription)),
        numbers=numbers(row),
        flags=row.flags + problems,
    )


def numbers(row: SampleRow) -> list[tuple[str, str]]:
    """The measured values of one sample as (name, text); a dash means that a value was not measured."""
    return [
        ("Dice", fixed(row.dice)),
        ("recall", fixed(row.recall)),
        ("precision", fixed(row.precision)),
        ("intended", area(row.intended_mm2)),
        ("read", area(row.read_mm2)),
        ("stray", area(row.stray_mm2)),
        ("transmural extent", percent(row.transmurality)),
        ("scar burden", percent(row.burden)),
        ("no-reflow", percent(row.mvo_share)),
        ("segments", " ".join(map(str, row.shown_segments))),
        ("seed", str(row.seed)),
    ]
