"""The plan of a utility experiment: which segmenters are trained on which patients, and which samples they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lgesynthnet.benchmark.utility.arms import ARMS, Added, ArmSettings
from lgesynthnet.benchmark.utility.settings import ExperimentSettings, short_name
from lgesynthnet.errors import RunError
from lgesynthnet.terms import Arm, Method

SIMULATED = "simulated"


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A set of samples, in a fixed order. Each run uses those of its pool that lie in its own patients.

    Attributes:
        method: the generator's method; None for simulated patients.
        model: a model to use in place of the one that is trained on the training patients.
        patients: the patients whose scar-free slices are the hosts; empty for simulated patients.
        count: number of samples needed, kept or not.
        kept: number of samples needed that the filter keeps.
    """

    name: str
    method: Method | None
    model: str | None = None
    patients: tuple[str, ...] = ()
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
    """What a segmenter is trained on, whatever the draw of the patients."""

    arm: Arm
    regime: Regime

    @property
    def sort_key(self) -> tuple[int, int, int]:
        """Orders the rows of a table."""
        return (self.regime.scarred, self.regime.healthy, list(Arm).index(self.arm))


@dataclass(frozen=True, kw_only=True)
class Run(TrainingSet):
    """One segmenter to train and test.

    Attributes:
        draw: which random draw of the patients; also the seed of the training.
        patients: names of the real patients.
        pool: name of the pool of its added slices; None where it needs none.
    """

    draw: int
    patients: tuple[str, ...]
    pool: str | None = None

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.regime.scarred:02d}-{self.regime.healthy:02d}-{self.arm.value}-d{self.draw}"

    @property
    def settings(self) -> ArmSettings:
        return ARMS[self.arm]


@dataclass(frozen=True, kw_only=True)
class UtilityPlan:
    """All pools and runs, in order."""

    pools: tuple[Pool, ...]
    runs: tuple[Run, ...]


def plan_experiment(settings: ExperimentSettings, train: Sequence[str], scarred: Mapping[str, bool]) -> UtilityPlan:
    """The runs, and the pools that they need.

    Args:
        train: names of the training patients.
        scarred: for each training patient, whether any slice has scar.
    Raises:
        RunError: the settings are incomplete or out of range.
    """
    _check_numbers(settings)
    runs: list[Run] = []
    pools: dict[str, Pool] = {}
    for regime in _regimes(settings, train, scarred):
        for draw in range(settings.draws):
            patients = choose_patients(train, scarred, regime, draw=draw)
            for arm in settings.arms:
                pool = _pool(settings, arm, tuple(sorted(train)))
                if pool is not None:
                    pools[pool.name] = _merged(pools.get(pool.name), pool)
                runs.append(Run(arm=arm, regime=regime, draw=draw, patients=patients, pool=pool.name if pool else None))
    # First come the draws that all regimes and arms have, so that an interrupted experiment has whole rows.
    runs.sort(key=lambda run: run.draw)
    return UtilityPlan(pools=tuple(sorted(pools.values(), key=lambda pool: -pool.count)), runs=tuple(runs))


def _check_numbers(settings: ExperimentSettings) -> None:
    if not settings.arms or not settings.scarred or not settings.healthy:
        raise RunError("an experiment needs at least one --arm, one number of --scarred and one of --healthy")
    for option, value in (("--draws", settings.draws), ("--size", settings.size), ("--steps", settings.steps)):
        if value is not None and value < 1:
            raise RunError(f"{option} {value}: must be 1 or more")
    if settings.folds == 1 or settings.folds < 0:
        raise RunError(f"--folds {settings.folds}: must be 2 or more, or 0 for none; with one fold, nobody is left to train on")


def _regimes(settings: ExperimentSettings, train: Sequence[str], scarred: Mapping[str, bool]) -> list[Regime]:
    with_scar = sum(scarred[name] for name in train)
    without = len(train) - with_scar
    regimes = []
    for option, counts, most, least in (("--scarred", settings.scarred, with_scar, 1), ("--healthy", settings.healthy, without, 0)):
        if any(count is not None and not least <= count <= most for count in counts):
            raise RunError(f"{option}: each number must be between {least} and {most}, the number of such training patients, or `all`")
    for count in settings.scarred:
        for healthy in settings.healthy:
            regime = Regime(scarred=with_scar if count is None else count, healthy=without if healthy is None else healthy)
            regimes += [regime] if regime not in regimes else []
    return regimes


def choose_patients(names: Sequence[str], scarred: Mapping[str, bool], regime: Regime, *, draw: int) -> tuple[str, ...]:
    """Random patients with and without scar. In one draw, the patients of a smaller number are among those of a larger one."""
    rng = np.random.default_rng([draw, 17])
    chosen: list[str] = []
    for has_scar, count in ((True, regime.scarred), (False, regime.healthy)):
        group = [name for name in sorted(names) if scarred[name] is has_scar]
        chosen += [group[i] for i in rng.permutation(len(group))[:count]]
    return tuple(sorted(chosen))


def _pool(settings: ExperimentSettings, arm: Arm, patients: tuple[str, ...]) -> Pool | None:
    """The pool of an arm, painted into all training patients."""
    about, size = ARMS[arm], settings.size
    if about.added is Added.SIMULATED:
        return Pool(name=SIMULATED, method=None, count=size)
    if about.added is not Added.PAINTED or about.method is None:
        return None
    own = settings.painter if about.method is Method.LGESYNTHNET else None
    name = about.method.value if own is None else f"{about.method.value}-{short_name(own)}"
    return Pool(name=name, method=about.method, model=own, patients=patients, count=size, kept=size if about.filtered else 0)


def _merged(known: Pool | None, pool: Pool) -> Pool:
    """One pool for all runs of a method, as large as the largest run needs it."""
    if known is None:
        return pool
    return replace(known, count=max(known.count, pool.count), kept=max(known.kept, pool.kept))
