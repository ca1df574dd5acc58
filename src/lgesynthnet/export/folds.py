"""Who trains and who validates, by patient, and how often a trainer that draws cases evenly meets a synthetic one."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lgesynthnet.errors import RunError
from lgesynthnet.export.cases import ExportCase, Origin


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Patients that train and patients that validate."""

    train: frozenset[str]
    val: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How real and synthetic cases share a training list.

    Attributes:
        share: synthetic part of the list, 0 to 1; None takes every case once.
        repeat: reach the share by listing cases of the scarcer kind several times, not by leaving synthetic ones out.
        seed: decides which cases are left out or stand once more.
    """

    share: float | None = None
    repeat: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.share is not None and not 0 <= self.share <= 1:
            hint = "; percentages are divided by 100 first" if self.share > 1 else ""
            raise RunError(f"--synthetic-share must be in [0, 1], got {self.share:g}{hint}")
        if self.repeat and self.share is None:
            raise RunError("--repeat reaches a share; say which with --synthetic-share")


@dataclass(frozen=True, kw_only=True)
class CaseLists:
    """Case ids of one fold; an id may stand in `train` more than once."""

    train: tuple[str, ...]
    val: tuple[str, ...]


def patient_folds(scarred: Mapping[str, bool], count: int, seed: int, *, always: Collection[str] = ()) -> list[Fold]:
    """Folds in which every patient validates once, those with scar spread evenly; the same names and seed give the same folds.

    Args:
        scarred: patient -> whether one of the slices holds scar.
        always: patients of whom no real slice is there, so that they validate nowhere; they train in every fold.
    Raises:
        RunError: fewer than two folds, or fewer patients than folds.
    """
    if not 2 <= count <= len(scarred):
        raise RunError(f"--folds {count}: {len(scarred)} patients make 2 to {len(scarred)} folds; say fewer, or give a part with --splits")
    rng = np.random.default_rng(seed)
    dealt: list[str] = []
    for group in (True, False):
        names = sorted(name for name, has_scar in scarred.items() if has_scar is group)
        dealt += [names[i] for i in rng.permutation(len(names))]
    everybody = frozenset(dealt) | frozenset(always)
    return [Fold(train=everybody - frozenset(dealt[i::count]), val=frozenset(dealt[i::count])) for i in range(count)]


def case_lists(folds: Sequence[Fold], cases: Sequence[ExportCase], mix: Mix) -> list[CaseLists]:
    """The lists of every fold: validation is real, and a synthetic case trains only where its host's patient trains.

    Raises:
        RunError: a fold has no real case to train on or to validate on, or too few cases for the share.
    """
    rank = _ranks([case.id for case in cases], mix.seed)
    lists = []
    for number, fold in enumerate(folds):
        real = [case.id for case in cases if case.origin is Origin.REAL and case.patient in fold.train]
        synthetic = [case.id for case in cases if case.origin is Origin.SYNTHETIC and case.patient in fold.train]
        val = [case.id for case in cases if case.origin is Origin.REAL and case.patient in fold.val]
        for words, found in (("trains", real), ("validates", val)):
            if not found:
                raise RunError(f"fold {number} {words} on no real slice; give --data a folder that holds labelled patients of that part")
        lists.append(CaseLists(train=tuple(sorted(_mixed(real, synthetic, mix, rank, number))), val=tuple(sorted(val))))
    return lists


def _mixed(real: list[str], synthetic: list[str], mix: Mix, rank: Mapping[str, int], fold: int) -> list[str]:
    if mix.share is None:
        return real + synthetic
    if mix.share == 0:
        return real
    if not synthetic:
        raise RunError(f"fold {fold} has no synthetic case to train on; make more with `lgesynthnet synthesize`, or --synthetic-share 0")
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
    reached = math.floor(100 * len(synthetic) / (len(real) + len(synthetic))) / 100
    raise RunError(
        f"fold {fold} trains on {len(real)} real slices, so a share of {mix.share:g} needs {wanted} synthetic ones, and "
        f"{len(synthetic)} are there; make more with `lgesynthnet synthesize`, ask for {reached:.2f} or less, or add --repeat "
        "(nnU-Net 2.6 or newer)"
    )


def _times(ids: list[str], count: int, rank: Mapping[str, int]) -> list[str]:
    """`count` entries out of `ids`, each as often as the others or once more; fewer than there are leaves some out."""
    often, more = divmod(count, len(ids))
    ordered = sorted(ids, key=rank.__getitem__)
    return [name for place, name in enumerate(ordered) for _ in range(often + (place < more))]


def _ranks(ids: list[str], seed: int) -> dict[str, int]:
    """One order for all folds, so that they leave out the same cases."""
    ordered = sorted(ids)
    return {ordered[i]: rank for rank, i in enumerate(np.random.default_rng(seed).permutation(len(ordered)).tolist())}
