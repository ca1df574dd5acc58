"""What a run will do, settled before it does anything: the request, and what was found when it was checked."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lgesynthnet import __version__
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import LGESynthNetError, RunError
from lgesynthnet.files.reading import CORRECT_OR_REPLACE, checked, parse_json, read_json
from lgesynthnet.options import words
from lgesynthnet.prescription.edits import Wish, wish_from_record
from lgesynthnet.prescription.fitted_prior import FittedPrior
from lgesynthnet.prescription.heart_edits import HeartWish, heart_wish_from_json
from lgesynthnet.run.request import Shard, SynthesisRequest
from lgesynthnet.terms import Edit, Prior

# Fields that may change when a run is continued: they say where files lie or when to stop, and decide no byte of any sample.
# What they point to (hosts, models, prescriptions, patients) is compared by content, in the plan's own fields.
FREE_REQUEST_FIELDS = frozenset({"count", "max_attempts", "max_seconds", "strict", "model", "filter", "prescriptions", "splits", "part"})
FREE_SOURCE_FIELDS = frozenset({"root", "landmarks", "patients"})
FREE_PLAN_FIELDS = frozenset({"request", "skipped", "uncertain_hosts"})

FORMAT = 2


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SkippedHost(_Record):
    """A case or slice that cannot be used, and why."""

    name: str
    reason: str


class RequestedPrescription(_Record):
    """A prescription that the user gave, as JSON. Without a seed of its own, every attempt draws another border.

    Attributes:
        edit: what is done with it.
        of_heart: whether it is for a whole heart.
        patients: the patients whose slices it is for; None takes those of every host.
    """

    prescription: str
    has_seed: bool
    patients: tuple[str, ...] | None = None
    edit: Edit = Edit.ADD
    of_heart: bool = False

    @property
    def wish(self) -> Wish:
        """What is asked of a slice."""
        return wish_from_record(parse_json(self.prescription, "plan"), "plan")[1]

    @property
    def heart_wish(self) -> HeartWish:
        """What is asked of a whole heart."""
        return heart_wish_from_json(self.prescription, "plan")

    def is_for(self, patient: str) -> bool:
        """Whether it may be painted into slices of this patient."""
        return self.patients is None or patient in self.patients


class SynthesisPlan(_Record):
    """Everything that decides a run; the file `plan.json`. Two runs with one plan have the same bytes, apart from the seconds.

    Attributes:
        patients: patients that may be painted into, where --patient or --splits names some.
        masks_drawn_by: fingerprint of the network that drew cavity and wall of the hosts; None where people did.
        uncertain_hosts: slices that were left out because their heart is not oriented well enough.
        hosts_fingerprint: hash of everything in the hosts that decides a pixel.
        generator_fingerprint, filter_fingerprint: hashes of the weights and settings that paint and judge.
        prescriptions: the user's prescriptions in full; empty where a prior draws them.
        fitted_prior: the user's prior in full, on the scale of brightness of the model that paints; None where there is no file of one.
        selector: fingerprint of a further judge of the samples that the filter kept; None where there is none.
    """

    format: int = FORMAT
    version: str = __version__
    request: SynthesisRequest
    patients: tuple[str, ...] | None = None
    hosts_fingerprint: str
    usable_hosts: int = Field(ge=0)
    masks_drawn_by: str | None = None
    uncertain_hosts: int = Field(default=0, ge=0)
    skipped: tuple[SkippedHost, ...] = ()
    generator_fingerprint: str
    filter_fingerprint: str
    prescriptions: tuple[RequestedPrescription, ...] = ()
    fitted_prior: FittedPrior | None = None
    selector: str | None = None

    @property
    def prior(self) -> Prior | FittedPrior | None:
        """The prior that the prescriptions are drawn from; None where the user gave them."""
        return self.request.prior if isinstance(self.request.prior, Prior) else self.fitted_prior

    @model_validator(mode="after")
    def _has_its_prior(self) -> SynthesisPlan:
        if isinstance(self.request.prior, Path) != (self.fitted_prior is not None):
            raise ValueError("fitted_prior must be there if the request names a file of a prior, and only then")
        return self

    @property
    def shard(self) -> Shard:
        return Shard.parse(self.request.shard)

    @property
    def quota(self) -> int:
        """Samples that this process has to keep."""
        return self.shard.share(self.request.samples)

    @property
    def hash(self) -> str:
        """Over the fields that decide bytes; equal plans may continue each other's runs."""
        decisive = self._decisive()
        if decisive["selector"] is None:  # left out, as the patients are, so that runs from before there were any go on
            del decisive["selector"]
        for requested in decisive["prescriptions"]:
            if requested["patients"] is None:
                del requested["patients"]
            if not requested["of_heart"]:
                del requested["of_heart"]
        for name in ("stacks", "per_host"):
            if not decisive[name]:
                del decisive[name]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]

    def hosts(self, moved_to: Path | None = None) -> CohortSource:
        """How the run read its hosts.

        Args:
            moved_to: folder of the hosts now; None takes the folder that the run named.
        """
        source = self.request.hosts
        return replace(source, root=moved_to if moved_to is not None else source.root, patients=self.patients)

    @property
    def edits(self) -> frozenset[Edit]:
        """The edits that may occur."""
        return _edits_of(self.request, self.prescriptions)

    @property
    def places(self) -> tuple[Path, ...]:
        """Files and folders that the request names."""
        request, hosts = self.request, self.request.hosts
        named = (hosts.root, hosts.root.resolve(), hosts.landmarks, hosts.contours, request.filter, request.prescriptions, request.splits)
        return tuple(path for path in (*named, request.prior) if isinstance(path, Path))

    def command(self, out: Path) -> str:
        """The command that makes this run again, as one line for a shell."""
        return shlex.join(["lgesynthnet", "synthesize", *words(self.request), "--out", str(out)])

    def shared_command(self) -> str:
        """The command with HOSTS, MODEL and so on in place of what names a place or a patient."""
        request = self.request
        hosts = replace(
            request.hosts,
            root=Path("HOSTS"),
            landmarks=Path("LANDMARKS") if request.hosts.landmarks else None,
            series="SERIES" if request.hosts.series else None,
            contours=Path("CONTOURS") if request.hosts.contours else None,
            patients=("PATIENT",) if request.hosts.patients else None,
        )
        shared = replace(
            request,
            hosts=hosts,
            model=shared_model(request.model),
            filter=Path(shared_model(str(request.filter), "FILTER")) if request.filter else None,
            prescriptions=Path("PRESCRIPTIONS") if request.prescriptions else None,
            prior=Path("PRIOR.json") if isinstance(request.prior, Path) else request.prior,
            splits=Path("SPLITS") if request.splits else None,
        )
        return shlex.join(["lgesynthnet", "synthesize", *words(shared), "--out", "RUN"])

    def to_json(self) -> str:
        return json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False)

    @classmethod
    def read(cls, path: Path) -> SynthesisPlan:
        """Read the plan of an existing run.

        Raises:
            RunError: the file cannot be read, or this version does not understand it.
        """
        try:
            content = read_json(path)
            if content.get("format", FORMAT) != FORMAT:
                raise RunError(f"has the format {short(content.get('format'))}, and this version reads the format {FORMAT}")
            if isinstance(request := content.get("request"), dict):
                request.setdefault("least_orientation_confidence", 0.0)  # runs of older versions took every heart
            return checked(cls, content, str(path))
        except LGESynthNetError as fault:  # also what the request says about its own options
            reason = str(fault).removeprefix(f"{path}: ").removesuffix(CORRECT_OR_REPLACE)
            raise RunError(f"{path}: {reason}; a run without a sound plan cannot go on: choose another --out") from None

    def difference(self, other: SynthesisPlan) -> str | None:
        """The first decisive field in which two plans differ, with both values; None where either may continue the other's run."""
        ours, theirs = self._decisive(), other._decisive()
        for name in ours:
            if name in theirs and ours[name] != theirs[name]:
                return f"{name} was {short(ours[name])}, is now {short(theirs[name])}"
        return None

    def _decisive(self) -> dict[str, Any]:
        plan = self.model_dump(mode="json")
        request = plan["request"]
        source = request.pop("hosts")
        # With --balance, the number of samples of each kind follows from the count.
        free = FREE_REQUEST_FIELDS - ({"count"} if self.request.balance else set())
        del plan["fitted_prior"]
        if self.fitted_prior is not None:
            request["prior"] = self.fitted_prior.describe()  # not where its file lies
        return {
            **{name: value for name, value in plan.items() if name not in FREE_PLAN_FIELDS},
            **{name: value for name, value in source.items() if name not in FREE_SOURCE_FIELDS},
            **{name: value for name, value in request.items() if name not in free},
        }


def scar_of_hosts(request: SynthesisRequest, prescriptions: Iterable[RequestedPrescription]) -> dict[str, bool]:
    """Whether slices with scar, and whether slices without, are hosts: the arguments of `find_hosts`."""
    edits = _edits_of(request, prescriptions)
    if request.stacks:  # a heart with scar has slices without, and hosts are chosen by patient
        return {"with_scar": True, "without_scar": True}
    return {"with_scar": request.hosts_with_scar or edits != {Edit.ADD}, "without_scar": Edit.ADD in edits}


def _edits_of(request: SynthesisRequest, prescriptions: Iterable[RequestedPrescription]) -> frozenset[Edit]:
    return frozenset(requested.edit for requested in prescriptions) or frozenset({request.edit})


def shared_model(model: str, placeholder: str = "MODEL") -> str:
    """A model as pages that are shared name it: a name as it is, a path as a placeholder."""
    return model if Path(model).name == model else placeholder


def short(value: object) -> str:
    """A setting in as few words as a message needs."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
