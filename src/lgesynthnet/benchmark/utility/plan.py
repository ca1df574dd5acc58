"""The plan of a utility experiment: which segmenters are trained on which patients, and which samples they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from lgesynthnet.benchmark.utility.arms import ARMS, Added, ArmSettings
from lgesynthnet.benchmark.utility.settings import ExperimentSettings, short_name
from lgesynthnet.errors import RunError
from lgesynthnet.export.folds import spread_patients
from lgesynthnet.terms import Arm, Edit, Method, Question, RealSlices, Stratum

SIMULATED = "simulated"
STRATUM_ARMS = (Arm.PHANTOM_FIRST, Arm.RECIPE)  # without the missing kind of scar: real slices alone, and with samples of that kind


class Prepared(StrEnum):
    """What of the samples of a pool is prepared for training."""

    INTENDED = "intended"  # the painted slices with the intended scar as label
    READ = "read"  # the same slices with the scar that the filter read
    TWINS = "twins"  # the twins


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A set of samples, in a fixed order. Each run uses those of its pool that lie in its own patients.

    Attributes:
        method: the generator's method; None for simulated patients.
        model: a model to use in place of the one that is trained on the training patients.
        patients: the patients whose slices are the hosts; empty for simulated patients.
        edit: what is done to these slices.
        prepared: what is prepared for training.
        stratum: the kind of scar that is prescribed; None for any scar of the prior.
        count: number of samples needed, kept or not.
        kept: number of samples needed that the filter keeps.
    """

    name: str
    method: Method | None
    model: str | None = None
    patients: tuple[str, ...] = ()
    edit: Edit = Edit.ADD
    prepared: frozenset[Prepared] = frozenset({Prepared.INTENDED})
    stratum: Stratum | None = None
    count: int = 0
    kept: int = 0


@dataclass(frozen=True, kw_only=True)
class Regime:
    """How many patients of each kind there are to train on."""

    scarred: int
    healthy: int

    @property
    def label(self) -> str:
        return f"{self.scarred} with scar, {self.healthy} without"


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What a segmenter is trained on, whatever the draw of the patients.

    Attributes:
        real: which of their slices.
    """

    arm: Arm
    regime: Regime
    real: RealSlices = RealSlices.AS_LABELLED

    @property
    def sort_key(self) -> tuple[int, int, int, int]:
        """Orders the rows of a table."""
        return (self.regime.scarred, self.regime.healthy, list(RealSlices).index(self.real), list(Arm).index(self.arm))


@dataclass(frozen=True, kw_only=True)
class Run(TrainingSet):
    """One segmenter to train and test.

    Attributes:
        draw: which random draw of the patients; also the seed of the training.
        patients: names of the real patients.
        pools: names of the pools of its added slices; none where it needs none.
        fold: in a cross-validation, the part of the patients that is tested, from 0; None without.
        tested: names of the patients of this part.
    """

    draw: int
    patients: tuple[str, ...]
    pools: tuple[str, ...] = ()
    fold: int | None = None
    tested: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its folder."""
        real = "" if self.real is RealSlices.AS_LABELLED else f"-{self.real.value}"
        fold = "" if self.fold is None else f"-f{self.fold}"
        return f"{self.regime.scarred:02d}-{self.regime.healthy:02d}-{self.arm.value}{real}-d{self.draw}{fold}"

    @property
    def settings(self) -> ArmSettings:
        return ARMS[self.arm]


@dataclass(frozen=True, kw_only=True)
class UtilityPlan:
    """All pools and runs, in order."""

    pools: tuple[Pool, ...]
    runs: tuple[Run, ...]


def plan_experiment(settings: ExperimentSettings, names: Sequence[str], scarred: Mapping[str, bool]) -> UtilityPlan:
    """The runs, and the pools that they need.

    Args:
        names: the patients to train on; in a cross-validation all patients.
        scarred: for each of them, whether any slice has scar.
    Raises:
        RunError: the settings are incomplete or out of range.
    """
    _check_numbers(settings)
    parts = spread(names, scarred, settings.cross_validate, seed=0) if settings.cross_validate else [[]]
    rest = [[name for name in names if name not in part] for part in parts]
    most = {kind: min(sum(scarred[name] is kind for name in others) for others in rest) for kind in (True, False)}
    runs: list[Run] = []
    pools: dict[str, Pool] = {}
    for regime, arm, real in _training_sets(settings, most):
        needed = _pools(settings, arm, real, tuple(sorted(names)))
        for pool in needed:
            pools[pool.name] = _merged(pools.get(pool.name), pool)
        for draw in range(settings.draws):
            for fold, (part, others) in enumerate(zip(parts, rest, strict=True)):
                runs.append(
                    Run(
                        arm=arm,
                        regime=regime,
                        real=real,
                        draw=draw,
                        patients=choose_patients(others, scarred, regime, draw=draw),
                        pools=tuple(pool.name for pool in needed),
                        fold=fold if part else None,
                        tested=tuple(part),
                    )
                )
    # First come the draws that all regimes and arms have, so that an interrupted experiment has whole rows.
    runs.sort(key=lambda run: run.draw)
    return UtilityPlan(pools=tuple(sorted(pools.values(), key=lambda pool: -pool.count)), runs=tuple(runs))


def _check_numbers(settings: ExperimentSettings) -> None:
    if not settings.arms or not settings.scarred or not settings.healthy or not settings.questions:
        raise RunError("an experiment needs at least one --regime, one --arm, one number of --scarred and one of --healthy")
    for option, value in (("--draws", settings.draws), ("--size", settings.size), ("--steps", settings.steps)):
        if value is not None and value < 1:
            raise RunError(f"{option} {value}: must be 1 or more")
    for option, value in (("--folds", settings.folds), ("--cross-validate", settings.cross_validate)):
        if value == 1 or value < 0:
            raise RunError(f"{option} {value}: must be 2 or more, or 0 for none; with one part, nobody is left to train on")


def _training_sets(settings: ExperimentSettings, most: Mapping[bool, int]) -> list[tuple[Regime, Arm, RealSlices]]:
    """What is trained on, each once.

    Args:
        most: the largest number of training patients with scar (True) and without (False).
    """
    everyone = Regime(scarred=most[True], healthy=most[False])
    sets: list[tuple[Regime, Arm, RealSlices]] = []
    if settings.asks(Question.FEW):
        sets += [(regime, arm, RealSlices.AS_LABELLED) for regime in _regimes(settings, most) for arm in settings.arms]
    if settings.asks(Question.STRATA):
        sets.append((everyone, Arm.PHANTOM_FIRST, RealSlices.AS_LABELLED))
        sets += [(everyone, arm, RealSlices.without(stratum)) for stratum in Stratum for arm in STRATUM_ARMS]
    if settings.asks(Question.LABELS):
        kinds = (RealSlices.AS_LABELLED, RealSlices.REMADE_LABELS)
        sets += [(everyone, arm, real) for real in kinds for arm in settings.arms]
    return list(dict.fromkeys(sets))


def _regimes(settings: ExperimentSettings, most: Mapping[bool, int]) -> list[Regime]:
    for option, counts, kind, least in (("--scarred", settings.scarred, True, 1), ("--healthy", settings.healthy, False, 0)):
        if any(count is not None and not least <= count <= most[kind] for count in counts):
            raise RunError(
                f"{option}: each number must be between {least} and {most[kind]}, the number of such training patients, or `all`"
            )
    return [
        Regime(scarred=most[True] if count is None else count, healthy=most[False] if healthy is None else healthy)
        for count in settings.scarred
        for healthy in settings.healthy
    ]


def spread(names: Sequence[str], scarred: Mapping[str, bool], count: int, *, seed: int) -> list[list[str]]:
    """The patients in `count` parts, those with scar and those without spread evenly over them."""
    return spread_patients({name: scarred[name] for name in names}, count, np.random.default_rng([seed, 29]))


def choose_patients(names: Sequence[str], scarred: Mapping[str, bool], regime: Regime, *, draw: int) -> tuple[str, ...]:
    """Random patients with and without scar. In one draw, the patients of a smaller number are among those of a larger one."""
    rng = np.random.default_rng([draw, 17])
    chosen: list[str] = []
    for has_scar, count in ((True, regime.scarred), (False, regime.healthy)):
        group = [name for name in sorted(names) if scarred[name] is has_scar]
        chosen += [group[i] for i in rng.permutation(len(group))[:count]]
    return tuple(sorted(chosen))


def _pools(settings: ExperimentSettings, arm: Arm, real: RealSlices, patients: tuple[str, ...]) -> list[Pool]:
    """The pools of an arm, painted into all patients that there are to train on: of new scars, then of its edit."""
    about, size = ARMS[arm], settings.size
    if about.added is Added.SIMULATED:
        return [Pool(name=SIMULATED, method=None, count=size)]
    if about.added is not Added.PAINTED or about.method is None:
        return []
    own = settings.painter if about.method is Method.LGESYNTHNET else None
    parts = [about.method.value] if own is None else [about.method.value, short_name(own)]
    if settings.cross_validate:
        parts.append("all-patients")
    stratum = real.left_out
    if stratum is not None:
        parts.append(stratum.value)
    kept = size if about.filtered else 0
    name = "-".join(parts)
    forms = {Prepared(about.labels.value), *((Prepared.TWINS,) if about.twins else ())}
    new = Pool(
        name=name,
        method=about.method,
        model=own,
        patients=patients,
        prepared=frozenset(forms),
        stratum=stratum,
        count=size,
        kept=kept,
    )
    if about.edit is None:
        return [new]
    fewer = edited_size(size)
    return [new, replace(new, name=f"{name}-{about.edit.value}", edit=about.edit, count=fewer, kept=fewer)]


def edited_size(size: int) -> int:
    """How many slices of its edit an arm adds to `size` slices with new scar."""
    return max(size // 4, 1)  # fewer slices hold scar than not


def _merged(known: Pool | None, pool: Pool) -> Pool:
    """One pool for all runs of a method, as large as the largest run needs it."""
    if known is None:
        return pool
    return replace(known, count=max(known.count, pool.count), kept=max(known.kept, pool.kept), prepared=known.prepared | pool.prepared)
