"""What the utility experiment will do, settled before it does anything: arms, sizes, seeds, patients, and which samples each run needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lgesynthnet.benchmark.utility.arms import FILTERED, METHOD_OF
from lgesynthnet.errors import RunError
from lgesynthnet.terms import Arm, Method


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which painted samples are used.

    Attributes:
        brightness: percentiles of scars' brightness between which a sample was asked to be, the ends included.
        hosts: patients into whom it was painted; empty takes all.
    """

    brightness: tuple[int, int] = (0, 100)
    hosts: tuple[str, ...] = ()

    def takes(self, host: str, brightness: float) -> bool:
        low, high = self.brightness
        return low <= brightness <= high and (not self.hosts or host in self.hosts)


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Synthetic slices that one or more runs draw their first so many from.

    Attributes:
        method: who paints; None are simulated patients.
        model: a model that knows none of the patients, in place of the workshop's own; for the low-data curve.
        patients: whose scar-free slices are painted into; none for simulated patients.
        count: attempts needed.
        kept: of them kept by the filter.
        choice: only such samples count.
    """

    name: str
    method: Method | None
    model: str | None = None
    patients: tuple[str, ...] = ()
    count: int = 0
    kept: int = 0
    choice: Choice = Choice()


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What a segmenter is trained on, whatever its seed.

    Attributes:
        size: synthetic slices.
        few: how many of the training patients are in, where not all.
    """

    arm: Arm
    size: int
    few: int | None = None

    @property
    def words(self) -> str:
        few = f"{self.few} patients, " if self.few is not None else ""
        return f"{few}{self.arm.words}{f' {self.size}' if self.size else ''}"

    @property
    def place(self) -> tuple[int, int, int]:
        """Where it stands in a table."""
        return (self.few or 0, list(Arm).index(self.arm), self.size)


@dataclass(frozen=True, kw_only=True)
class Run(TrainingSet):
    """One segmenter to train and test.

    Attributes:
        patients: real patients, by name.
        pool: where the synthetic slices come from.
        choice: which of them are used.
    """

    seed: int
    patients: tuple[str, ...]
    pool: str | None = None
    choice: Choice = Choice()

    @property
    def name(self) -> str:
        few = f"p{self.few:02d}-" if self.few is not None else ""
        return f"{few}{self.arm.value}-{self.size}-s{self.seed}" if self.size else f"{few}{self.arm.value}-s{self.seed}"


@dataclass(frozen=True, kw_only=True)
class ExperimentSettings:
    """What to find out. Painting is settled in `OUT/experiment.json`, training and testing in `OUT/VARIANT/experiment.json`.

    Attributes:
        sizes: synthetic slices; the first is that of every arm, the others only of LGESynthNet, filtered.
        few: patients of the low-data curve.
        few_model: what paints there; it must have learnt from none of the patients.
        share: of synthetic slices in a batch; None is their share of the set.
        same_prevalence: scarred slices are drawn as often as they stand among the real ones, in every arm.
        real_last: further steps on real slices alone, in every arm; see `train_downstream`.
        brightness: see `Choice`.
        scarred_hosts: only samples are used that were painted into patients who have scar in other slices.
        tested: parts of the splits that are scored.
    """

    arms: tuple[Arm, ...]
    sizes: tuple[int, ...]
    seeds: int
    tested: tuple[str, ...] = ("audit", "test")
    few: tuple[int, ...] = ()
    few_model: str = "phantom"
    downstream: str = "small"
    steps: int | None = None
    init: str | None = None
    share: float | None = None
    same_prevalence: bool = False
    real_last: int = 0
    brightness: tuple[int, int] = Choice.brightness
    scarred_hosts: bool = False
    prior: str = "ischaemic"
    seed: int = 0

    @property
    def variant(self) -> str:
        """Folder of the runs that were trained so; samples are shared between variants. Arms, sizes, seeds and patients may be added to."""
        steps = [] if self.steps is None else [f"{self.steps}-steps"]
        share = [] if self.share is None else [f"share-{self.share:g}"]
        init = [] if self.init is None else [f"from-{Path(self.init).name}"]
        same = ["same-prevalence"] if self.same_prevalence else []
        last = [f"real-last-{self.real_last}"] if self.real_last else []
        low, high = self.brightness
        chosen = [] if self.brightness == Choice.brightness else [f"brightness-{low}-{high}"]
        chosen += ["scarred-hosts"] if self.scarred_hosts else []
        return "-".join([self.downstream, *steps, *share, *same, *last, *chosen, *init])

    @property
    def without_samples(self) -> ExperimentSettings:
        """The same without what concerns samples alone: runs that use none are made once, whatever is done with samples elsewhere."""
        return replace(self, share=None, brightness=Choice.brightness, scarred_hosts=False)

    @property
    def painting(self) -> dict[str, object]:
        """What a pool depends on, beside its size."""
        return {"prior": self.prior, "seed": self.seed, "few_model": self.few_model}

    @property
    def training(self) -> dict[str, object]:
        """What a run depends on, beside its arm, size, seed and patients."""
        names = ("downstream", "steps", "share", "same_prevalence", "init", "tested")
        chosen = {name: list(value) if isinstance(value := getattr(self, name), tuple) else value for name in names}
        chosen |= {"real_last": self.real_last} if self.real_last else {}
        chosen |= {} if self.brightness == Choice.brightness else {"brightness": list(self.brightness)}
        return chosen | ({"scarred_hosts": True} if self.scarred_hosts else {})


@dataclass(frozen=True, kw_only=True)
class UtilityPlan:
    """Everything to make, in order."""

    pools: tuple[Pool, ...]
    runs: tuple[Run, ...]


def plan(experiment: ExperimentSettings, train: Sequence[str], scarred: Mapping[str, bool]) -> UtilityPlan:
    """Runs and the pools that they need.

    Args:
        train: names of the training patients.
        scarred: which of them hold scar.
    Raises:
        RunError: the settings make no experiment.
    """
    if not experiment.arms or experiment.seeds < 1 or not experiment.sizes or min(experiment.sizes) < 1:
        raise RunError("an experiment needs an arm, a seed and a size of 1 or more")
    low, high = experiment.brightness
    if not 0 <= low < high <= 100:
        raise RunError(f"--brightness: two percentiles from 0 to 100, the lower first, got {low},{high}")
    if any(not 2 <= few <= len(train) for few in experiment.few):
        raise RunError(f"--low-data: between 2 and the {len(train)} training patients, got {', '.join(map(str, experiment.few))}")
    everyone, runs, pools = tuple(sorted(train)), [], dict[str, Pool]()
    for arm in experiment.arms:
        sizes = (0,) if arm.alone else experiment.sizes if arm is Arm.LGESYNTHNET else experiment.sizes[:1]
        for size in sizes:
            pool = _pool(arm, size, everyone)
            runs += [Run(arm=arm, size=size, seed=s, patients=everyone, pool=pool.name if pool else None) for s in range(experiment.seeds)]
            if pool is not None:
                pools[pool.name] = _larger(pools.get(pool.name), pool)
    first = experiment.sizes[0]
    for few in sorted(set(experiment.few)):
        for s in range(experiment.seeds):
            chosen = some_patients(everyone, scarred, few, seed=s)
            name = f"few-{few:02d}-s{s}"
            pools[name] = Pool(name=name, method=Method.LGESYNTHNET, model=experiment.few_model, patients=chosen, count=first, kept=first)
            runs.append(Run(arm=Arm.REAL, size=0, seed=s, patients=chosen, few=few))
            runs.append(Run(arm=Arm.LGESYNTHNET, size=first, seed=s, patients=chosen, few=few, pool=name))
    hosts = tuple(name for name in everyone if scarred[name]) if experiment.scarred_hosts else ()
    choice = Choice(brightness=experiment.brightness, hosts=hosts)
    made = (pool if pool.method is None else replace(pool, choice=choice) for pool in pools.values())
    used = (run if run.pool is None else replace(run, choice=choice) for run in runs)
    return UtilityPlan(pools=tuple(sorted(made, key=lambda pool: -pool.count)), runs=tuple(used))


def _pool(arm: Arm, size: int, patients: tuple[str, ...]) -> Pool | None:
    if arm is Arm.PHANTOM:
        return Pool(name="phantom", method=None, count=size)
    method = METHOD_OF.get(arm)
    if method is None:
        return None
    return Pool(name=method.value, method=method, patients=patients, count=size, kept=size if arm in FILTERED else 0)


def _larger(one: Pool | None, other: Pool) -> Pool:
    if one is None:
        return other
    return replace(one, count=max(one.count, other.count), kept=max(one.kept, other.kept))


def some_patients(names: Sequence[str], scarred: Mapping[str, bool], count: int, *, seed: int) -> tuple[str, ...]:
    """`count` patients, with scar and without in the proportion of all, one of each at least; those of a smaller count are among them."""
    rng = np.random.default_rng([seed, 17])
    groups = [[name for name in sorted(names) if scarred[name] is has] for has in (True, False)]
    if not all(groups):
        raise RunError("the low-data curve needs training patients with scar and without")
    sick, sound = ([group[i] for i in rng.permutation(len(group))] for group in groups)
    take = min(max(round(count * len(sick) / len(names)), 1, count - len(sound)), count - 1)
    return tuple(sorted(sick[:take] + sound[: count - take]))
