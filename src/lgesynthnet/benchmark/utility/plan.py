"""The plan of a utility experiment: which segmenters are trained on which patients, and which synthetic slices they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lgesynthnet.benchmark.utility.arms import FILTERED, METHOD_OF_ARM
from lgesynthnet.benchmark.utility.settings import ExperimentSettings
from lgesynthnet.errors import RunError
from lgesynthnet.terms import Arm, Method


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A set of synthetic slices, in a fixed order. Each run uses the first ones of its pool.

    Attributes:
        method: the generator's method; None for simulated patients.
        model: a model to use in place of the trained one; for low-data runs, whose model must not know the patients.
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
class TrainingSet:
    """What a segmenter is trained on, whatever its seed.

    Attributes:
        size: number of synthetic slices.
        patient_count: number of real patients in a low-data run; None for all training patients.
    """

    arm: Arm
    size: int
    patient_count: int | None = None

    @property
    def label(self) -> str:
        """Its name in tables and charts."""
        patients = f"{self.patient_count} patients, " if self.patient_count is not None else ""
        return f"{patients}{self.arm.label}{f' {self.size}' if self.size else ''}"

    @property
    def sort_key(self) -> tuple[int, int, int]:
        """Orders the rows of a table."""
        return (self.patient_count or 0, list(Arm).index(self.arm), self.size)


@dataclass(frozen=True, kw_only=True)
class Run(TrainingSet):
    """One segmenter to train and test.

    Attributes:
        patients: names of the real patients.
        pool: name of the pool of its synthetic slices.
    """

    seed: int
    patients: tuple[str, ...]
    pool: str | None = None

    @property
    def name(self) -> str:
        """Its folder."""
        patients = f"p{self.patient_count:02d}-" if self.patient_count is not None else ""
        size = f"-{self.size}" if self.size else ""
        return f"{patients}{self.arm.value}{size}-s{self.seed}"


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
    if not settings.arms or settings.seeds < 1 or not settings.sizes or min(settings.sizes) < 1:
        raise RunError("an experiment needs at least one arm, one seed and one size, and each size must be 1 or more")
    if any(not 2 <= count <= len(train) for count in settings.low_data):
        counts = ", ".join(map(str, settings.low_data))
        raise RunError(f"--low-data {counts}: each number must be between 2 and {len(train)}, the number of training patients")
    everyone, runs, pools = tuple(sorted(train)), [], dict[str, Pool]()
    seeds = range(settings.seeds)
    for arm in settings.arms:
        sizes = (0,) if arm.real_only else settings.sizes if arm is Arm.LGESYNTHNET else settings.sizes[:1]
        for size in sizes:
            pool = _pool(arm, size, everyone)
            runs += [Run(arm=arm, size=size, seed=seed, patients=everyone, pool=pool.name if pool else None) for seed in seeds]
            if pool is not None:
                pools[pool.name] = _merged(pools.get(pool.name), pool)
    for count in sorted(set(settings.low_data)):
        for seed in seeds:
            patients = choose_patients(everyone, scarred, count, seed=seed)
            pool = _low_data_pool(settings, patients, seed)
            pools[pool.name] = pool
            runs.append(Run(arm=Arm.REAL, size=0, seed=seed, patients=patients, patient_count=count))
            runs.append(Run(arm=Arm.LGESYNTHNET, size=settings.sizes[0], seed=seed, patients=patients, patient_count=count, pool=pool.name))
    return UtilityPlan(pools=tuple(sorted(pools.values(), key=lambda pool: -pool.count)), runs=tuple(runs))


def _pool(arm: Arm, size: int, patients: tuple[str, ...]) -> Pool | None:
    if arm is Arm.PHANTOM:
        return Pool(name="phantom", method=None, count=size)
    method = METHOD_OF_ARM.get(arm)
    if method is None:
        return None
    return Pool(name=method.value, method=method, patients=patients, count=size, kept=size if arm in FILTERED else 0)


def _low_data_pool(settings: ExperimentSettings, patients: tuple[str, ...], seed: int) -> Pool:
    size = settings.sizes[0]
    return Pool(
        name=f"low-data-{len(patients):02d}-s{seed}",
        method=Method.LGESYNTHNET,
        model=settings.low_data_model,
        patients=patients,
        count=size,
        kept=size,
    )


def _merged(known: Pool | None, pool: Pool) -> Pool:
    """One pool for all runs of a method, as large as the largest run needs it."""
    if known is None:
        return pool
    return replace(known, count=max(known.count, pool.count), kept=max(known.kept, pool.kept))


def choose_patients(names: Sequence[str], scarred: Mapping[str, bool], count: int, *, seed: int) -> tuple[str, ...]:
    """`count` random patients, with and without scar in the same proportion as in `names`, and at least one of each.

    With the same seed, the patients of a smaller count are among those of a larger one.

    Raises:
        RunError: no patient has scar, or all have.
    """
    rng = np.random.default_rng([seed, 17])
    groups = [[name for name in sorted(names) if scarred[name] is has_scar] for has_scar in (True, False)]
    if not all(groups):
        raise RunError("--low-data needs training patients with scar and training patients without; leave the option out")
    with_scar, without = ([group[i] for i in rng.permutation(len(group))] for group in groups)
    scarred_count = min(max(round(count * len(with_scar) / len(names)), 1, count - len(without)), count - 1)
    return tuple(sorted(with_scar[:scarred_count] + without[: count - scarred_count]))
