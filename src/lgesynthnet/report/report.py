"""The page that a run ends with: one HTML file that shows what was asked for, painted, kept and rejected, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lgesynthnet.files import write_bytes
from lgesynthnet.report.bullseye import counts_svg, prescription_svg
from lgesynthnet.report.command import command_of
from lgesynthnet.report.panels import HOST, Panel, sample_panels
from lgesynthnet.run.sample_row import Sample
from lgesynthnet.run.summary import Summary, summarise, wilson_interval

KEPT_SHOWN, REJECTED_SHOWN = 24, 12
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, kw_only=True)
class Card:
    """One sample as the page shows it."""

    sample: Sample
    panels: list[Panel]
    bullseye: Markup | None
    numbers: list[tuple[str, str]]
    flags: tuple[str, ...]


def write_report(run: Path) -> Path:
    """Write RUN/report.html, whole or not at all; returns its path.

    The page holds its pictures and asks no other machine for anything. A host file that has gone only costs its panel.

    Raises:
        RunError: the folder is no run folder, or the page cannot be written.
    """
    summary = summarise(run)
    path = run / "report.html"
    write_bytes(path, render(summary).encode("utf-8"))
    return path


def render(summary: Summary) -> str:
    """The page as text."""
    pages = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    kept, rejected = spread(summary.kept, KEPT_SHOWN), spread(summary.rejected, REJECTED_SHOWN)
    return pages.get_template("report.html").render(
        summary=summary,
        name=summary.run.resolve().name,
        rate=pass_rate_text(summary),
        duration=duration_text(summary),
        outside=outside_text(summary.max_change_outside),
        setup=setup_rows(summary),
        acceptance=acceptance_rows(summary),
        command=command_of(summary),
        bullseye=Markup(counts_svg(summary.segment_counts)),
        galleries=[
            ("Kept", "kept", [_card(summary, sample) for sample in kept], len(summary.kept)),
            ("Rejected", "rejected", [_card(summary, sample) for sample in rejected], len(summary.rejected)),
        ],
    )


def spread(samples: list[Sample], most: int) -> list[Sample]:
    """At most `most` of them, evenly over the run: the first ones would all come from the first hosts."""
    if len(samples) <= most:
        return samples
    return [samples[i * len(samples) // most] for i in range(most)]


def pass_rate_text(summary: Summary) -> str:
    if summary.pass_rate is None or summary.pass_interval is None:
        return "nothing was attempted"
    low, high = summary.pass_interval
    return f"{100 * summary.pass_rate:.0f} % (95 % interval {100 * low:.0f} to {100 * high:.0f} %)"


def acceptance_rows(summary: Summary) -> list[tuple[str, str, str]]:
    """Stratum, counts, and the share with its 95 % interval."""
    rows = []
    for group, painted, kept in summary.acceptance:
        low, high = wilson_interval(kept, painted)
        rows.append((group, f"{kept} of {painted}", f"{100 * kept / painted:.0f} % ({100 * low:.0f} to {100 * high:.0f})"))
    return rows


def duration_text(summary: Summary) -> str:
    each = f", {summary.seconds / len(summary.samples):.2g} s a sample" if summary.samples else ""
    return f"{summary.seconds:.0f} s{each}"


def outside_text(change: float | None) -> str:
    if change is None:
        return "not recorded"
    return "0: every voxel outside is the host's own" if change == 0 else f"{change:g}: this must be 0, please report it"


def setup_rows(summary: Summary) -> list[tuple[str, str]]:
    """What decided the samples, as the plan records it."""
    asked = next(
        (f"{key}: {summary.plan[key]}" for key in ("text", "prescriptions_file", "prior") if summary.plan.get(key)), "not recorded"
    )
    sources = ", ".join(f"{source} ({count})" for source, count in summary.orientation_sources) or "not recorded"
    return [
        ("hosts", summary.told("hosts")),
        ("hosts' fingerprint", summary.told("hosts_fingerprint")),
        ("model", summary.told("model")),
        ("generator", summary.told("generator")),
        ("filter reader", summary.told("reader")),
        ("kept when Dice is above", summary.told("dice_above") + (" (Dice alone)" if summary.plan.get("dice_only") else "")),
        ("painted", asked),
        ("seed", summary.told("seed")),
        ("orientation from", sources),
        ("program", f"lgesynthnet {summary.told('version')}"),
    ]


def _card(summary: Summary, sample: Sample) -> Card:
    panels = sample_panels(summary.run, sample, summary.flip)
    gone: tuple[str, ...] = ()
    if sample.file and not panels:
        gone = (f"{sample.file} or its labels cannot be read, so nothing is shown",)
    elif panels and not any(panel.title == HOST for panel in panels):
        gone = ("the host file is not where it was, so it is not shown",)
    return Card(
        sample=sample,
        panels=panels,
        bullseye=Markup(prescription_svg(sample.prescription)) if sample.prescription else None,
        numbers=numbers(sample),
        flags=sample.flags + gone,
    )


def numbers(sample: Sample) -> list[tuple[str, str]]:
    """The measured values of one sample; what was not measured is a dash."""
    return [
        ("Dice", _fixed(sample.dice)),
        ("recall", _fixed(sample.recall)),
        ("precision", _fixed(sample.precision)),
        ("intended", _area(sample.intended_mm2)),
        ("read", _area(sample.read_mm2)),
        ("stray", _area(sample.stray_mm2)),
        ("transmural extent", _share(sample.transmurality)),
        ("scar burden", _share(sample.burden)),
        ("no-reflow", _share(sample.mvo_share)),
        ("segments", " ".join(str(s) for s in sample.segments) or "–"),
        ("seed", sample.seed or "–"),
    ]


def _fixed(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _area(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} mm²"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"
