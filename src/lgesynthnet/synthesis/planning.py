"""From a request to a plan: read and check everything, write nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from lgesynthnet.data.splits import part_of
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.prescription.grammar.json_lines import read_prescriptions
from lgesynthnet.prescription.grammar.language import read_sentence
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import OnCase
from lgesynthnet.run.folder import HOSTS_CACHE
from lgesynthnet.run.plan import RequestedPrescription, SkippedHost, SynthesisPlan
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.painters import Painter, load_painter
from lgesynthnet.synthesis.selecting import Selector


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A plan with what it needs in memory.

    Attributes:
        notes: how words of a sentence were read that could have been meant otherwise.
    """

    plan: SynthesisPlan
    hosts: HostPool
    painter: Painter
    selector: Selector | None = None
    notes: tuple[str, ...] = ()


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
    painter = painter or load_painter(request.model, request.device, request.filter)
    patients = _patients(request)
    cohort = replace(request.hosts, patients=patients).open()
    cache = run / HOSTS_CACHE if run is not None else None
    hosts = find_hosts(
        cohort,
        with_scar=request.hosts_with_scar,
        least_confidence=request.least_orientation_confidence,
        strict=request.strict,
        on_case=on_case,
        cache=cache,
    )
    _require_levels(prescriptions, hosts)
    plan = SynthesisPlan(
        request=request,
        patients=patients,
        hosts_fingerprint=hosts.fingerprint,
        usable_hosts=len(hosts.entries),
        masks_drawn_by=cohort.masks_drawn_by,
        uncertain_hosts=hosts.uncertain,
        skipped=tuple(SkippedHost(name=skipped.name, reason=skipped.reason) for skipped in hosts.skipped),
        generator_fingerprint=painter.generator.fingerprint,
        filter_fingerprint=painter.filter.fingerprint,
        prescriptions=prescriptions,
        selector=None if selector is None else selector.fingerprint,
    )
    return PlannedRun(plan=plan, hosts=hosts, painter=painter, selector=selector, notes=notes)


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
        reading = read_sentence(request.text)
        return (RequestedPrescription(prescription=reading.prescription.to_json(), has_seed=False),), reading.notes
    if request.prescriptions is not None:
        lines = read_prescriptions(request.prescriptions)
        requested = tuple(
            RequestedPrescription(prescription=line.prescription.to_json(), has_seed=line.has_seed, patients=line.patients)
            for line in lines
        )
        return requested, tuple(note for line in lines for note in line.notes)
    return (), ()


def _require_levels(prescriptions: tuple[RequestedPrescription, ...], hosts: HostPool) -> None:
    """A prescription for levels that no host has would be attempted in vain until the budget is spent."""
    hosts_of_level = Counter((entry.patient, entry.level) for entry in hosts.entries)
    for number, requested in enumerate(prescriptions, start=1):
        wanted = ScarPrescription.from_json(requested.prescription).levels
        suitable = {key: count for key, count in hosts_of_level.items() if requested.is_for(key[0])}
        present, count = {level for _, level in suitable}, sum(suitable.values())
        if not present:
            raise PrescriptionError(f"prescription {number} is for patients who have no usable host; leave its key patients out")
        if not wanted & present:
            raise PrescriptionError(
                f"prescription {number} names only {' and '.join(sorted(wanted))} segments, but the {count} usable hosts are "
                f"{' and '.join(sorted(present))} slices; name segments of those levels, or add hosts"
            )
