"""Divide the cases of each fold into training and validation by patient, with a given share of synthetic cases in training."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lgesynthnet.errors import RunError
from lgesynthnet.export.cases import ExportCase, Origin


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Training patients and validation patients of one fold."""

    train: frozenset[str]
    val: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How to mix real and synthetic cases in a training list.

    Attributes:
        share: share of synthetic cases in the list, 0 to 1; None lists every case once.
        repeat: reach the share by listing cases of the rarer kind several times; otherwise by leaving synthetic cases out.
        most_per_host: largest number of samples of one patient, applied before the share; None sets no limit.
        seed: random seed for the cases that are left out or listed once more.

    Raises:
        RunError: the share is outside 0 to 1, `repeat` is given without a share, or the limit is below 1.
    """

    share: float | None = None
    repeat: bool = False
    most_per_host: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.share is not None and not 0 <= self.share <= 1:
            hint = "; percentages are divided by 100 first" if self.share > 1 else ""
            raise RunError(f"--synthetic-share must be in [0, 1], got {self.share:g}{hint}")
        if self.repeat and self.share is None:
            raise RunError("--repeat needs a share; give it with --synthetic-share")
        if self.most_per_host is not None and self.most_per_host < 1:
            raise RunError(f"--most-per-host {self.most_per_host}: must be at least 1; --synthetic-share 0 leaves all samples out")


@dataclass(frozen=True, kw_only=True)
class CaseLists:
    """ExportCase ids of one fold. `train` may list an id more than once."""

    train: tuple[str, ...]
    val: tuple[str, ...]


def patient_folds(has_scar: Mapping[str, bool], count: int, seed: int, *, train_only: Collection[str] = ()) -> list[Fold]:
    """Folds in which every patient validates once. Patients with scar are spread evenly. Equal names and seed give equal folds.

    Args:
        has_scar: patient -> whether any slice of the patient holds scar.
        count: number of folds.
        train_only: patients without real slices. They cannot validate, so they train in every fold.
    Raises:
        RunError: fewer than two folds, or fewer patients than folds.
    """
    if len(has_scar) < 2:
        raise RunError(f"it takes two to train and to validate, and there are {len(has_scar)} real patients; add some, or use --no-real")
    if not 2 <= count <= len(has_scar):
        raise RunError(
            f"--folds {count}: {len(has_scar)} patients can be divided into 2 to {len(has_scar)} folds; change --folds or give --splits"
        )
    patients = frozenset(has_scar) | frozenset(train_only)
    parts = map(frozenset, spread_patients(has_scar, count, np.random.default_rng(seed)))
    return [Fold(train=patients - part, val=part) for part in parts]


def spread_patients(has_scar: Mapping[str, bool], count: int, rng: np.random.Generator) -> list[list[str]]:
    """The patients in `count` parts at random, those with scar and those without spread evenly over the parts.

    The order of the names in `has_scar` does not matter.
    """
    ordered: list[str] = []
    for with_scar in (True, False):
        names = sorted(name for name, scarred in has_scar.items() if scarred is with_scar)
        ordered += [names[i] for i in rng.permutation(len(names))]
    return [sorted(ordered[part::count]) for part in range(count)]


def case_lists(folds: Sequence[Fold], cases: Sequence[ExportCase], mix: Mix) -> list[CaseLists]:
    """The case lists of each fold. Only real cases validate; a synthetic case trains only if the patient of its host trains.

    Raises:
        RunError: a fold has no real case to train on or to validate on, or too few cases for the share.
    """
    rank = _ranks([case.id for case in cases], mix.seed)
    noun = cases[0].NOUN
    lists = []
    for number, fold in enumerate(folds):
        real = [case.id for case in cases if case.origin is Origin.REAL and case.patient in fold.train]
        synthetic = [case.id for case in cases if case.origin is Origin.SYNTHETIC and case.patient in fold.train]
        val = [case.id for case in cases if case.origin is Origin.REAL and case.patient in fold.val]
        for part, ids in (("training", real), ("validation", val)):
            if not ids:
                raise RunError(f"fold {number} has no real {part} {noun}; give --data a folder with labelled patients of that part")
        lists.append(CaseLists(train=tuple(sorted(_mixed(real, synthetic, mix, rank, fold=number, noun=noun))), val=tuple(sorted(val))))
    return lists


def at_most_per_host(cases: Sequence[ExportCase], mix: Mix) -> list[ExportCase]:
    """The synthetic cases without the samples that exceed the limit of a patient. Which ones stay is drawn; a twin stays with its sample.

    A fold trains on all cases of a patient or on none, so the limit holds in every fold. Equal cases and seed give an equal choice.
    """
    if mix.most_per_host is None:
        return list(cases)
    samples: dict[str, set[str]] = {}
    for case in cases:
        samples.setdefault(case.patient, set()).add(case.sample)
    rank = _ranks([sample for group in samples.values() for sample in group], mix.seed)
    chosen = {sample for group in samples.values() for sample in sorted(group, key=rank.__getitem__)[: mix.most_per_host]}
    return [case for case in cases if case.sample in chosen]


def _mixed(real: list[str], synthetic: list[str], mix: Mix, rank: Mapping[str, int], *, fold: int, noun: str) -> list[str]:
    if mix.share is None:
        return real + synthetic
    if mix.share == 0:
        return real
    if not synthetic:
        raise RunError(f"fold {fold} has no synthetic training case; make more with `lgesynthnet synthesize`, or give --synthetic-share 0")
    if mix.share == 1:
        return synthetic
    odds = mix.share / (1 - mix.share)
    wanted = max(1, round(len(real) * odds))
    if wanted <= len(synthetic):
        if mix.repeat:
            return _times(real, max(len(real), round(len(synthetic) / odds)), rank) + synthetic
        return real + _times(synthetic, wanted, rank)
    if mix.repeat:
        return real + _times(synthetic, wanted, rank)
    raise_limit = f"raise --most-per-host {mix.most_per_host}, " if mix.most_per_host is not None else ""
    reached = math.floor(100 * len(synthetic) / (len(real) + len(synthetic))) / 100
    raise RunError(
        f"fold {fold} trains on {len(real)} real {noun}s, so a share of {mix.share:g} needs {wanted} synthetic {noun}s, but there are only "
        f"{len(synthetic)}; {raise_limit}make more with `lgesynthnet synthesize`, ask for {reached:.2f} or less, or add --repeat "
        "(nnU-Net 2.6 or newer)"
    )


def _times(ids: list[str], count: int, rank: Mapping[str, int]) -> list[str]:
    """A list of `count` ids in which each id occurs equally often or once more; with a small `count` some ids are left out."""
    repeats, extra = divmod(count, len(ids))
    ordered = sorted(ids, key=rank.__getitem__)
    return [name for position, name in enumerate(ordered) for _ in range(repeats + (position < extra))]


def _ranks(ids: list[str], seed: int) -> dict[str, int]:
    """Rank of each id in one random order. All folds share it, so that they leave out the same cases."""
    ordered = sorted(ids)
    return {ordered[i]: rank for rank, i in enumerate(np.random.default_rng(seed).permutation(len(ordered)).tolist())}
