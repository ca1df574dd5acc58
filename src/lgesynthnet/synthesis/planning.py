"""From a request to a plan: read and check everything, write nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lgesynthnet.data.splits import part_of
from lgesynthnet.errors import InputError, PrescriptionError, RunError
from lgesynthnet.hosts.hearts import HeartEntry, list_hearts
from lgesynthnet.hosts.pool import HostEntry, HostPool, find_hosts
from lgesynthnet.prescription.edits import Wish, edit_named_by
from lgesynthnet.prescription.fitted_prior import FittedPrior
from lgesynthnet.prescription.grammar.json_lines import HeartLine, PrescriptionLine, read_heart_prescriptions, read_prescriptions
from lgesynthnet.prescription.grammar.language import HeartReading, SentenceReading, read_heart_sentence, read_sentence
from lgesynthnet.prescription.heart_edits import HeartWish
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.prior.choosing import open_prior
from lgesynthnet.records import Level, OnCase
from lgesynthnet.run.folder import HOSTS_CACHE
from lgesynthnet.run.plan import RequestedPrescription, SkippedHost, SynthesisPlan, scar_of_hosts
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.attempts import LEAST_OWN_SCAR_MM2, can_take
from lgesynthnet.synthesis.painters import Painter, load_painter
from lgesynthnet.synthesis.selecting import Selector
from lgesynthnet.terms import Edit


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A plan with what it needs in memory.

    Attributes:
        hearts: the patients of a run of stacks; empty for a run of slices.
        notes: how words of a sentence were read that could have been meant otherwise.
    """

    plan: SynthesisPlan
    hosts: HostPool
    painter: Painter
    selector: Selector | None = None
    notes: tuple[str, ...] = ()
    hearts: tuple[HeartEntry, ...] = ()


def plan_synthesis(
    request: SynthesisRequest,
    on_case: OnCase | None = None,
    *,
    painter: Painter | None = None,
    run: Path | None = None,
    selector: Selector | None = None,
) -> PlannedRun:
    """Read and check everything that a run needs.

    Args:
        on_case: gets (done, total) after each case was read.
        painter: what paints and judges, in place of the request's model.
        run: the run folder, where it exists: the orientation of the hosts that it keeps is not estimated again.
        selector: a further judge of the samples that the filter kept.
    Raises:
        LGESynthNetError: something that the user can mend; the message says what.
    """
    request = request.absolute()
    prescriptions, notes = _prescriptions(request)
    prior = open_prior(request.prior, request.model) if request.prior is not None else None
    painter = painter or load_painter(request.model, request.device, request.filter)
    patients = _patients(request)
    cohort = replace(request.hosts, patients=patients).open()
    cache = run / HOSTS_CACHE if run is not None else None
    hosts = find_hosts(
        cohort,
        **scar_of_hosts(request, prescriptions),
        least_confidence=request.least_orientation_confidence,
        strict=request.strict,
        on_case=on_case,
        cache=cache,
    )
    hearts, unfit = list_hearts(hosts) if request.stacks else ([], [])
    takers = hearts if request.stacks else hosts.entries
    if not takers:
        raise InputError(f"{cohort.root}: no patient has a whole heart to paint into; {unfit[0].name}: {unfit[0].reason}")
    _require_takers(request, prescriptions, takers, str(cohort.root))
    if request.per_host is not None:
        request = _with_count(request, prescriptions, takers)
    plan = SynthesisPlan(
        request=request,
        patients=patients,
        hosts_fingerprint=hosts.fingerprint,
        usable_hosts=len(hosts.entries),
        masks_drawn_by=cohort.masks_drawn_by,
        uncertain_hosts=hosts.uncertain,
        skipped=tuple(SkippedHost(name=skipped.name, reason=skipped.reason) for skipped in (*hosts.skipped, *unfit)),
        generator_fingerprint=painter.generator.fingerprint,
        filter_fingerprint=painter.filter.fingerprint,
        prescriptions=prescriptions,
        fitted_prior=prior if isinstance(prior, FittedPrior) else None,
        selector=None if selector is None else selector.fingerprint,
    )
    return PlannedRun(plan=plan, hosts=hosts, hearts=tuple(hearts), painter=painter, selector=selector, notes=notes)


def _with_count(
    request: SynthesisRequest, prescriptions: tuple[RequestedPrescription, ...], takers: Sequence[HostEntry | HeartEntry]
) -> SynthesisRequest:
    """The request with the number of samples that `per_host` makes of the hosts, where it names none.

    Raises:
        RunError: it names more than these.
    """
    edits = {requested.edit for requested in prescriptions} or {request.edit}
    able = sum(any(can_take(entry, edit, with_scar=request.hosts_with_scar) for edit in edits) for entry in takers)
    most = able * (request.per_host or 1)
    if request.count is not None and request.count > most:
        raise RunError(
            f"--count {request.count}: {able} hearts with --per-host {request.per_host} make at most {most}; raise --per-host, or lower "
            "--count"
        )
    return replace(request, count=request.count or most)


def _patients(request: SynthesisRequest) -> tuple[str, ...] | None:
    """Patients that may be painted into: those of the part of the splits, those that are named, or those that are both."""
    named = request.hosts.patients
    if request.splits is None:
        return named
    part = part_of(request.splits, request.part)
    return part if named is None else tuple(patient for patient in part if patient in named)


def _prescriptions(request: SynthesisRequest) -> tuple[tuple[RequestedPrescription, ...], tuple[str, ...]]:
    """The prescriptions of the request, none where they are drawn, and the notes on the sentences among them."""
    if request.text is not None:
        reading: SentenceReading | HeartReading = read_heart_sentence(request.text) if request.stacks else read_sentence(request.text)
        return (_requested(reading.prescription, edit_named_by(reading.prescription), request, has_seed=False),), reading.notes
    if request.prescriptions is not None:
        path = request.prescriptions
        lines: Sequence[PrescriptionLine | HeartLine] = read_heart_prescriptions(path) if request.stacks else read_prescriptions(path)
        requested = tuple(_requested(line.wish, line.edit, request, has_seed=line.has_seed, patients=line.patients) for line in lines)
        return requested, tuple(note for line in lines for note in line.notes)
    return (), ()


def _requested(
    wish: Wish | HeartWish, edit: Edit, request: SynthesisRequest, *, has_seed: bool, patients: tuple[str, ...] | None = None
) -> RequestedPrescription:
    if request.edit is Edit.MOVE and (named := edit_named_by(wish)) is not Edit.ADD:
        raise PrescriptionError(
            f"--edit move needs a scar that is painted elsewhere, and {wish.to_json()} would {named} one; leave --edit out"
        )
    edit = request.edit if edit is Edit.ADD else edit  # `add` is also what is written where nothing is said
    return RequestedPrescription(prescription=wish.to_json(), has_seed=has_seed, patients=patients, edit=edit, of_heart=request.stacks)


def _require_takers(
    request: SynthesisRequest, prescriptions: tuple[RequestedPrescription, ...], takers: Sequence[HostEntry | HeartEntry], place: str
) -> None:
    """A prescription that no host can take would be attempted in vain until the budget is spent.

    Raises:
        InputError: no slice or heart can take the edit of the request.
        PrescriptionError: none can take one of the prescriptions.
    """
    what = "heart" if request.stacks else "slice"
    with_scar = request.hosts_with_scar or not request.stacks  # slices with scar are no hosts where none was asked for
    if not prescriptions and not any(can_take(entry, request.edit, with_scar=with_scar) for entry in takers):
        if request.edit is Edit.ADD:
            raise InputError(f"{place}: every usable heart holds scar already; add --hosts-with-scar to paint beside it")
        raise InputError(
            f"{place}: no usable {what} holds {LEAST_OWN_SCAR_MM2:g} mm² of scar or more, so there is none to {request.edit}; "
            "label the scar of the patients, or leave --edit out"
        )
    for number, requested in enumerate(prescriptions, start=1):
        suitable = [entry for entry in takers if requested.is_for(entry.patient)]
        if not suitable:
            raise PrescriptionError(f"prescription {number} is for patients who have no usable host; leave its key patients out")
        suitable = [entry for entry in suitable if can_take(entry, requested.edit, with_scar=request.hosts_with_scar)]
        if not suitable:
            scar = "without scar" if requested.edit is Edit.ADD else f"with {LEAST_OWN_SCAR_MM2:g} mm² of scar or more"
            raise PrescriptionError(f"prescription {number} is for {what}s {scar}, and no usable host is one; leave it out")
        _require_levels(number, requested, {entry.level for entry in suitable if isinstance(entry, HostEntry)}, len(suitable))


def _require_levels(number: int, requested: RequestedPrescription, present: Collection[Level], count: int) -> None:
    """A prescription for a slice names segments of some levels, and there must be hosts of these."""
    wish = None if requested.of_heart else requested.wish
    if isinstance(wish, ScarPrescription) and not wish.levels & set(present):
        raise PrescriptionError(
            f"prescription {number} names only {' and '.join(sorted(wish.levels))} segments, but the {count} usable hosts are "
            f"{' and '.join(sorted(present))} slices; name segments of those levels, or add hosts"
        )
