"""What a run will do, settled before it does anything: read, check, write nothing."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lgesynthnet import __version__
from lgesynthnet.errors import RunError
from lgesynthnet.terms import Prior

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


def _first(fault: ValidationError) -> str:
    first = fault.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'plan'}: {first['msg']}, got {str(first.get('input'))[:40]!r}"


def short(value: object) -> str:
    """A setting as one word of a message."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
