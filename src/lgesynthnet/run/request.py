"""What a user asks `synthesize` for. The fields are the options of the command line, and the plan of the run keeps them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import RunError
from lgesynthnet.model_store import shipped_or_path
from lgesynthnet.options import option
from lgesynthnet.terms import DICE_ABOVE, LEAST_ORIENTATION_CONFIDENCE, Edit, Prior, PromptSource, prior_choice

WHAT = "What to paint (give exactly one)"
WHERE = "Which slices to paint into"
EDITING = "What to do with scar that is there already"
HOW = "Which samples to keep, and when to stop"
ATTEMPTS_PER_SAMPLE = 8  # default budget
MOST_SHARDS = 100_000
NEED_NO_SCAR = (Edit.REMOVE, Edit.REPLACE)  # edits for which no scar is prescribed
_SHARD = re.compile(r"[0-9]{1,6}/[0-9]{1,6}")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Part `index` of `of` (from 1): makes the attempts k with k % of == index - 1, and its even share of the samples."""

    index: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "2/5".

        Raises:
            RunError: the text is anything else.
        """
        index, _, of = text.partition("/") if _SHARD.fullmatch(text) else ("0", "", "0")
        if not 1 <= int(index) <= int(of) <= MOST_SHARDS:
            raise RunError(f"--shard {text[:40]}: write i/n with 1 <= i <= n <= {MOST_SHARDS}, e.g. 2/5")
        return cls(index=int(index), of=int(of))

    def share(self, count: int) -> int:
        """How many of `count` samples this shard keeps; the shares of all shards add up to `count`."""
        return count // self.of + (self.index <= count % self.of)


@dataclass(frozen=True, kw_only=True)
class SynthesisRequest:
    """One request for synthetic samples.

    Exactly one of `text`, `prescriptions` and `prior` says what is painted; the edits `remove` and `replace` need none of them.

    Attributes:
        count: None takes `per_host` for each patient that can be painted into.
        stacks: whether an attempt is a whole heart.
        per_host: largest number of kept stacks of one patient; None sets no limit.
        edit: of every sample; a line of `prescriptions` may name its own where this is `add`.
        brightness: percentile, 0 to 100, that the edit `replace` gives every scar; None draws it.
        transmurality: in (0, 1]; the depth that the edit `replace` gives every scar; None leaves it.
        splits, part: paint only into the patients of this part of a splits file.
        least_orientation_confidence: in [0, 1]; 0 also takes hearts whose insertions are assumed.
        dice_above: in [0, 1); a sample is kept when its Dice is above this value.
        max_seconds: stops the call after so many seconds; it does not change what is painted.

    Raises:
        RunError: a value is out of its range, or the request does not say what to paint.
    """

    hosts: CohortSource = option(help="Folder of the patients whose slices are painted into.", flags=("--hosts",))
    count: int | None = option(
        None,
        help="Number of samples to keep; with --stacks, of whole hearts.",
        flags=("--count", "-n"),
        bounds=(1, None),
        default_text="--per-host for each host",
    )
    stacks: bool = option(
        False,
        help="Paint whole hearts: one scar that runs through the stack of a patient. A stack is kept or rejected as a whole.",
        flags=("--stacks",),
    )
    per_host: int | None = option(
        None, help="With --stacks: largest number of samples of one patient, each with another scar.", bounds=(1, None)
    )
    model: str = option("phantom", help='The generator: "phantom" (shipped), a model folder, or "paste" (the baseline without a network).')
    filter: Path | None = option(
        None,
        help="The filter: a shipped model, or a folder that `train scar-segmenter --role filter` wrote.",
        default_text="the filter of --model",
        panel=HOW,
    )
    text: str | None = option(
        None, help='A sentence in the wording of reports: "Transmural enhancement in the posteroseptal wall".', panel=WHAT
    )
    prescriptions: Path | None = option(None, help="JSON lines that `lgesynthnet prescribe` wrote; they are painted in turn.", panel=WHAT)
    prior: Prior | Path | None = option(
        None,
        help="Draw prescriptions from this population: ischaemic, non-ischaemic, uniform, or a file of `lgesynthnet prior fit`.",
        panel=WHAT,
    )
    edit: Edit = option(
        Edit.ADD,
        help="add: paint a scar. remove: turn the slice's own scar into healthy wall. move: remove it, and paint a scar elsewhere. "
        "replace: paint it again in its place with another brightness or depth.",
        panel=EDITING,
    )
    brightness: float | None = option(
        None,
        help="--edit replace: percentile of brightness of every scar.",
        bounds=(0, 100),
        default_text="drawn for each sample",
        panel=EDITING,
    )
    transmurality: float | None = option(
        None,
        help="--edit replace: depth of every scar from the endocardium, as a share of the wall.",
        bounds=(0, 1),
        default_text="as it is",
        panel=EDITING,
    )
    twins: bool = option(
        False,
        help="Also store the twin of each sample: the same slice without the painted scar.",
        flags=("--twins",),
        panel=EDITING,
    )
    seed: int = option(0, help="Random seed. The same seed gives bit-identical output on one kind of processor.", bounds=(0, None))
    hosts_with_scar: bool = option(
        False, help="Also paint into slices that hold scar already; that scar stays.", flags=("--hosts-with-scar",), panel=WHERE
    )
    least_orientation_confidence: float = option(
        LEAST_ORIENTATION_CONFIDENCE,
        help="Leave out slices whose RV insertions are less certain than this.",
        bounds=(0, 1),
        panel=WHERE,
    )
    splits: Path | None = option(None, help="JSON file with the patients of each part; only those of --part are painted into.", panel=WHERE)
    part: str = option("train", help="Part of --splits to paint into.", panel=WHERE)
    keep_all: bool = option(
        False, help="Keep every painted slice; the verdict of the filter is still recorded.", flags=("--keep-all",), panel=HOW
    )
    dice_above: float = option(
        DICE_ABOVE, help="Keep a sample when the Dice of the intended and the detected scar is above this.", bounds=(0, 0.99), panel=HOW
    )
    dice_only: bool = option(
        False,
        help="Use the published filter: Dice alone, without segments, extent, brightness, spill and seam.",
        flags=("--dice-only",),
        panel=HOW,
    )
    balance: bool = option(
        False,
        help="Keep each kind of scar as often as it was drawn, not as often as it passes the filter.",
        flags=("--balance",),
        panel=HOW,
    )
    max_attempts: int | None = option(
        None, help="Largest number of attempts of the whole run.", bounds=(1, None), default_text="8 x count", panel=HOW
    )
    max_seconds: float | None = option(None, help="Stop after so many seconds; the same command continues the run.", panel=HOW)
    shard: str = option(
        "1/1",
        help="Run only shard i of n (e.g. 2/5); give each shard its own --out. A sample is identical whichever shard makes it.",
        panel=HOW,
    )
    strict: bool = option(
        False, help="Stop at the first case that cannot be used instead of skipping it.", flags=("--strict",), panel=WHERE
    )
    device: str = option("auto", help="auto, cpu, cuda, cuda:N or mps.")

    def __post_init__(self) -> None:
        Shard.parse(self.shard)
        if self.prior is not None:
            object.__setattr__(self, "prior", prior_choice(self.prior))
        self._check_edit()
        wrong = (
            "give --count, or --stacks with --per-host" if self.count is None and self.per_host is None else None,
            "--per-host belongs to --stacks; add it, or leave --per-host out" if self.per_host is not None and not self.stacks else None,
            "--per-host counts the samples of a whole run, which no shard knows; leave --shard out, or divide the patients with --patient"
            if self.per_host is not None and self.shard != "1/1"
            else None,
            f"--per-host {self.per_host}: must be in [1, 2^31)" if self.per_host is not None and not 1 <= self.per_host < 2**31 else None,
            f"--count {self.count}: must be in [1, 2^63)" if self.count is not None and not 1 <= self.count < 2**63 else None,
            f"--seed {self.seed}: must be in [0, 2^63)" if not 0 <= self.seed < 2**63 else None,
            f"--dice-above {self.dice_above}: must be in [0, 1)" if not 0 <= self.dice_above < 1 else None,
            None
            if 0 <= self.least_orientation_confidence <= 1
            else f"--least-orientation-confidence {self.least_orientation_confidence}: must be in [0, 1]",
            None
            if self.max_attempts is None or 1 <= self.max_attempts < 2**63
            else f"--max-attempts {self.max_attempts}: must be in [1, 2^63)",
            None
            if self.max_seconds is None or 0 < self.max_seconds < math.inf
            else f"--max-seconds {self.max_seconds}: must be above 0 and finite",
            None if self.brightness is None or 0 <= self.brightness <= 100 else f"--brightness {self.brightness}: must be in [0, 100]",
            None
            if self.transmurality is None or 0 < self.transmurality <= 1
            else f"--transmurality {self.transmurality}: must be in (0, 1]",
        )
        for message in filter(None, wrong):
            raise RunError(message)

    def _check_edit(self) -> None:
        if self.edit not in list(Edit):
            raise RunError(f"--edit {self.edit}: must be one of {', '.join(Edit)}")
        object.__setattr__(self, "edit", Edit(self.edit))
        given = [f"--{source.value}" for source, value in self._sources().items() if value is not None]
        if self.edit in NEED_NO_SCAR:
            if given:
                raise RunError(f"--edit {self.edit} works on the scar that a slice holds, so {' and '.join(given)} must be left out")
        elif len(given) != 1:
            raise RunError(f"give exactly one of --text, --prescriptions or --prior ({' and '.join(given) or 'none'} was given)")
        if self.edit is not Edit.REPLACE and (self.brightness is not None or self.transmurality is not None):
            raise RunError("--brightness and --transmurality belong to --edit replace; say them in the prescription, or add it")

    def _sources(self) -> dict[PromptSource, object]:
        return {
            PromptSource.TEXT: self.text,
            PromptSource.PRESCRIPTIONS: self.prescriptions,
            PromptSource.PRIOR: self.prior,
        }

    @property
    def source(self) -> PromptSource:
        """Where the prescriptions come from."""
        return next((source for source, value in self._sources().items() if value is not None), PromptSource.EDIT)

    @property
    def samples(self) -> int:
        """`count` of a plan, which is never None."""
        if self.count is None:
            raise RunError("give --count; only a plan knows how many hosts there are")
        return self.count

    @property
    def budget(self) -> int:
        """Attempts that the whole run may make."""
        return self.max_attempts if self.max_attempts is not None else ATTEMPTS_PER_SAMPLE * self.samples

    def absolute(self) -> SynthesisRequest:
        """The same request with paths that hold from any folder."""
        return replace(
            self,
            hosts=self.hosts.absolute(),
            model=str(Path(self.model).absolute())
            if shipped_or_path(self.model) == Path(self.model) and Path(self.model).is_dir()
            else self.model,
            filter=self.filter.absolute() if self.filter and shipped_or_path(self.filter) == self.filter else self.filter,
            prescriptions=self.prescriptions.absolute() if self.prescriptions else None,
            prior=self.prior.absolute() if isinstance(self.prior, Path) else self.prior,
            splits=self.splits.absolute() if self.splits else None,
        )
