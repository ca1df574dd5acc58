"""What a run will do, settled before it does anything: read, check, write nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lgesynthnet import __version__
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.label_maps import parse_label_map
from lgesynthnet.errors import LGESynthNetError, PrescriptionError, RunError
from lgesynthnet.hosts.pool import HostShelf, find_hosts
from lgesynthnet.prescription.priors import Prior
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.quality.verdict import DICE_ABOVE
from lgesynthnet.workflow.models import Painter, load_painter

ATTEMPTS_PER_SAMPLE = 8  # default budget
# These may change when a run goes on: they only say when to stop, or describe; none of them decides a byte of any sample.
FREE = frozenset(
    {"hosts", "count", "max_attempts", "max_seconds", "strict", "skipped", "model", "filter", "landmarks", "prescriptions_file"}
)


class Origin(StrEnum):
    """Where prescriptions come from."""

    TEXT = "text"
    FILE = "file"
    PRIOR = "prior"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shard(_Record):
    """Part `index` of `of` (from 1): takes the attempts k with k % of == index - 1, and its even share of the count."""

    index: int = Field(default=1, ge=1)
    of: int = Field(default=1, ge=1, le=100_000)

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "2/5".

        Raises:
            RunError: anything else.
        """
        index, _, of = text.partition("/")
        if not (index.isdecimal() and of.isdecimal() and 1 <= int(index) <= int(of) <= 100_000):
            raise RunError(f"--shard {text}: write i/n with 1 <= i <= n, e.g. 2/5")
        return cls(index=int(index), of=int(of))

    def share(self, count: int) -> int:
        """How many of `count` samples fall to this shard; the shares of all shards add up to `count`."""
        return count // self.of + (self.index <= count % self.of)


class SkippedHost(_Record):
    """A case or slice that cannot be used, and why."""

    name: str
    reason: str


class Wish(_Record):
    """A prescription that the user gave. Without a seed of its own every attempt draws another border."""

    prescription: str
    seeded: bool


class SynthesisPlan(_Record):
    """Everything that decides a run; `RUN/plan.json`. Two runs with one plan have the same bytes, samples' seconds aside."""

    form: int = 1
    version: str = __version__
    hosts: str
    dataset: str | None = None
    labels: str | None = None
    base_first: bool | None = None
    flip: tuple[bool, bool] = (False, False)
    landmarks: str | None = None
    hosts_with_scar: bool = False
    patients: tuple[str, ...] | None = None
    hosts_fingerprint: str
    usable_hosts: int
    skipped: tuple[SkippedHost, ...] = ()
    model: str
    filter: str | None = None
    generator: str
    reader: str
    device: str = "auto"
    source: Origin
    text: str | None = None
    prescriptions_file: str | None = None
    prior: Prior | None = None
    wishes: tuple[Wish, ...] = ()
    count: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**63)
    keep_all: bool = False
    dice_above: float = Field(ge=0, lt=1)
    dice_only: bool = False
    balance: bool = False
    max_attempts: int = Field(ge=1)
    max_seconds: float | None = Field(default=None, gt=0)
    shard: Shard = Shard()
    strict: bool = False

    @property
    def quota(self) -> int:
        """Samples that this process has to keep."""
        return self.shard.share(self.count)

    @property
    def hash(self) -> str:
        """Over the fields that decide bytes; the same while a run may be resumed."""
        decisive = json.dumps(self._decisive(), sort_keys=True)
        return hashlib.sha256(decisive.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        return json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False)

    @classmethod
    def read(cls, path: Path) -> SynthesisPlan:
        """The plan of a run that exists.

        Raises:
            RunError: cannot be read, or is no plan of this version.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as fault:
            raise RunError(f"{path}: cannot be read ({fault.strerror or fault})") from None
        except ValidationError as fault:
            raise RunError(f"{path}: is no plan that this version understands ({_first(fault)}); choose another --out") from None

    def difference(self, other: SynthesisPlan) -> str | None:
        """The first decisive field in which two plans differ, with both values; None where the one may go on with the other."""
        ours, theirs = self._decisive(), other._decisive()
        for name in ours:
            if name in theirs and ours[name] != theirs[name]:
                return f"{name} was {short(ours[name])}, is now {short(theirs[name])}"
        return None

    def _decisive(self) -> dict[str, Any]:
        # Quotas by kind follow from the count.
        return self.model_dump(mode="json", exclude=set(FREE) - ({"count"} if self.balance else set()))


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
    shelf: HostShelf
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
        return Origin.TEXT, (Wish(prescription=ScarPrescription.parse(request.text).to_json(), seeded=False),)
    if request.prescriptions is not None:
        return Origin.FILE, read_wishes(request.prescriptions)
    if request.prior not in list(Prior):
        raise RunError(f"--prior {request.prior}: known are {', '.join(Prior)}")
    return Origin.PRIOR, ()


_FLAG = {Origin.TEXT: "text", Origin.FILE: "prescriptions", Origin.PRIOR: "prior"}


def _sources(request: SynthesisRequest) -> dict[Origin, object]:
    return {Origin.TEXT: request.text, Origin.FILE: request.prescriptions, Origin.PRIOR: request.prior}


def read_wishes(path: Path) -> tuple[Wish, ...]:
    """Prescriptions of a JSON-lines file, one a line: all keys of a prescription, or {"text": "..."}; empty lines are skipped.

    Raises:
        PrescriptionError: a line cannot be understood (file and line number are named), or there is none.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as fault:
        raise PrescriptionError(f"{path}: cannot be read ({fault.strerror or fault})") from None
    except UnicodeDecodeError as fault:
        raise PrescriptionError(f"{path}: is not text in UTF-8 ({fault.reason} at byte {fault.start}); save it as JSON lines") from None
    wishes = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            prescription = ScarPrescription.from_json(line)
        except LGESynthNetError as fault:
            raise PrescriptionError(f"{path}: line {number}: {fault}") from None
        wishes.append(Wish(prescription=prescription.to_json(), seeded="seed" in json.loads(line)))
    if not wishes:
        raise PrescriptionError(f"{path}: holds no prescription; write them with `lgesynthnet prescribe --prior ischaemic --count 10`")
    return tuple(wishes)


def _refuse_homeless(wishes: tuple[Wish, ...], shelf: HostShelf) -> None:
    """A prescription that no host's level can hold would be drawn in vain for ever."""
    present = {entry.level for entry in shelf.entries}
    for number, wish in enumerate(wishes, start=1):
        wanted = ScarPrescription.from_json(wish.prescription).levels
        if not wanted & present:
            raise PrescriptionError(
                f"prescription {number} names only {' and '.join(sorted(wanted))} segments, but the {len(shelf.entries)} usable hosts are "
                f"{' and '.join(sorted(present))} slices; name segments of those levels or add hosts"
            )


def _first(fault: ValidationError) -> str:
    first = fault.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'plan'}: {first['msg']}, got {str(first.get('input'))[:40]!r}"


def short(value: object) -> str:
    """A setting as one word of a message."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
