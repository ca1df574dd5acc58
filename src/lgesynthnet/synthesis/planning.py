"""From a request to a plan: read, check, write nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.label_maps import parse_label_map
from lgesynthnet.errors import PrescriptionError, RunError
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.prescription.grammar.json_lines import read_prescriptions
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.quality.verdict import DICE_ABOVE
from lgesynthnet.run.plan import Origin, Shard, SkippedHost, SynthesisPlan, Wish, _first
from lgesynthnet.synthesis.painters import Painter, load_painter
from lgesynthnet.terms import Prior

ATTEMPTS_PER_SAMPLE = 8  # default budget


@dataclass(frozen=True, kw_only=True)
class SynthesisRequest:
    """What a user asks for; the names are those of the command line. One of text, prescriptions and prior.

    Attributes:
        patients: paint into slices of these alone; None takes all.
    """

    hosts: Path
    count: int
    model: str = "phantom"
    filter: Path | None = None
    seed: int = 0
    text: str | None = None
    prescriptions: Path | None = None
    prior: Prior | str | None = None
    dataset: str | None = None
    labels: str | None = None
    base_first: bool | None = None
    flip: tuple[bool, bool] = (False, False)
    landmarks: Path | None = None
    hosts_with_scar: bool = False
    patients: tuple[str, ...] | None = None
    keep_all: bool = False
    dice_above: float = DICE_ABOVE
    dice_only: bool = False
    balance: bool = False
    max_attempts: int | None = None
    max_seconds: float | None = None
    shard: str = "1/1"
    strict: bool = False
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A plan with what it needs in memory."""

    plan: SynthesisPlan
    shelf: HostPool
    painter: Painter


def plan_synthesis(
    request: SynthesisRequest, on_case: Callable[[int, int], None] | None = None, *, painter: Painter | None = None
) -> Planned:
    """Read and check everything; write nothing.

    Args:
        on_case: told (done, all) after each case was read.
        painter: who paints and who judges, where it is not the request's model by its name.
    Raises:
        LGESynthNetError: what a user can mend, see its classes.
    """
    source, wishes = _wishes(request)
    shard = Shard.parse(request.shard)
    painter = painter or load_painter(request.model, request.device, request.filter)
    cohort = open_cohort(
        request.hosts,
        dataset=request.dataset,
        label_map=parse_label_map(request.labels) if request.labels else None,
        base_first=request.base_first,
        flip=request.flip,
        landmarks=request.landmarks,
    )
    if request.patients is not None:
        cohort = replace(cohort, cases=[case for case in cohort.cases if case.patient in request.patients])
    shelf = find_hosts(cohort, with_scar=request.hosts_with_scar, strict=request.strict, on_case=on_case)
    _refuse_homeless(wishes, shelf)
    try:
        plan = SynthesisPlan(
            hosts=str(request.hosts.absolute()),
            dataset=request.dataset,
            labels=request.labels,
            base_first=request.base_first,
            flip=request.flip,
            landmarks=str(request.landmarks.absolute()) if request.landmarks else None,
            hosts_with_scar=request.hosts_with_scar,
            patients=request.patients,
            hosts_fingerprint=shelf.fingerprint,
            usable_hosts=len(shelf.entries),
            skipped=tuple(SkippedHost(name=skipped.name, reason=skipped.reason) for skipped in shelf.skipped),
            model=request.model,
            filter=str(request.filter) if request.filter else None,
            generator=painter.generator.fingerprint,
            reader=painter.reader.fingerprint,
            device=request.device,
            source=source,
            text=request.text,
            prescriptions_file=str(request.prescriptions.absolute()) if request.prescriptions else None,
            prior=Prior(request.prior) if request.prior is not None else None,
            wishes=wishes,
            count=request.count,
            seed=request.seed,
            keep_all=request.keep_all,
            dice_above=request.dice_above,
            dice_only=request.dice_only,
            balance=request.balance,
            max_attempts=request.max_attempts if request.max_attempts is not None else ATTEMPTS_PER_SAMPLE * request.count,
            max_seconds=request.max_seconds,
            shard=shard,
            strict=request.strict,
        )
    except ValidationError as fault:
        raise RunError(f"the command cannot be run: {_first(fault)}") from None
    return Planned(plan=plan, shelf=shelf, painter=painter)


def _wishes(request: SynthesisRequest) -> tuple[Origin, tuple[Wish, ...]]:
    given = [source for source, value in _sources(request).items() if value is not None]
    if len(given) != 1:
        said = " and ".join(f"--{_FLAG[source]}" for source in given) or "nothing"
        raise RunError(f"what shall be painted? give one of --text, --prescriptions and --prior, got {said}")
    if request.text is not None:
        return Origin.TEXT, (Wish(prescription=prescribe(request.text).to_json(), seeded=False),)
    if request.prescriptions is not None:
        lines = read_prescriptions(request.prescriptions)
        return Origin.FILE, tuple(Wish(prescription=line.prescription.to_json(), seeded=line.has_seed) for line in lines)
    if request.prior not in list(Prior):
        raise RunError(f"--prior {request.prior}: known are {', '.join(Prior)}")
    return Origin.PRIOR, ()


_FLAG = {Origin.TEXT: "text", Origin.FILE: "prescriptions", Origin.PRIOR: "prior"}


def _sources(request: SynthesisRequest) -> dict[Origin, object]:
    return {Origin.TEXT: request.text, Origin.FILE: request.prescriptions, Origin.PRIOR: request.prior}


def _refuse_homeless(wishes: tuple[Wish, ...], shelf: HostPool) -> None:
    """A prescription that no host's level can hold would be drawn in vain for ever."""
    present = {entry.level for entry in shelf.entries}
    for number, wish in enumerate(wishes, start=1):
        wanted = ScarPrescription.from_json(wish.prescription).levels
        if not wanted & present:
            raise PrescriptionError(
                f"prescription {number} names only {' and '.join(sorted(wanted))} segments, but the {len(shelf.entries)} usable hosts are "
                f"{' and '.join(sorted(present))} slices; name segments of those levels or add hosts"
            )
