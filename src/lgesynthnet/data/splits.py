"""Parts of a data set by patient: a patient stands in one part only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.layout import patient_name
from lgesynthnet.errors import InputError
from lgesynthnet.files import read_json, write_bytes
from lgesynthnet.records import Skipped, scar_of


def read_splits(path: Path) -> dict[str, list[str]]:
    """Part -> patient names from a JSON file; names may carry EMIDEC's Case_ in front.

    Raises:
        InputError: not such a file, or a patient stands in two parts.
    """
    content = read_json(path)
    for part, names in content.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f'{path}: part "{part}" must be a list of patient names')
    return checked_splits({part: [patient_name(name) for name in names] for part, names in content.items()}, place=str(path))


def part_of(path: Path, part: str) -> tuple[str, ...]:
    """Patients of one part of a splits file.

    Raises:
        InputError: not such a file, or it has no such part.
    """
    splits = read_splits(path)
    if part not in splits:
        raise InputError(f"{path}: has no part {part}; it has {', '.join(splits)}")
    return tuple(splits[part])


def write_splits(path: Path, splits: Mapping[str, Iterable[str]]) -> None:
    """Write parts as `read_splits` reads them.

    Raises:
        RunError: the file cannot be written.
    """
    write_bytes(path, (json.dumps({part: list(names) for part, names in splits.items()}, indent=1) + "\n").encode())


def split_patients(names: Iterable[str], seed: int, fractions: Mapping[str, float]) -> dict[str, list[str]]:
    """Draw parts of the given sizes; the same names and seed give the same parts in whatever order the names come.

    Args:
        fractions: part -> share of the patients, summing to 1; rounded so that every patient lands in one part.
    Raises:
        InputError: the shares do not sum to 1, or a name stands twice.
    """
    pool = sorted(names)
    checked_splits({"all": pool}, place="patients to split")
    shares = np.array(list(fractions.values()), dtype=np.float64)
    if not len(shares) or (shares < 0).any() or abs(float(shares.sum()) - 1) > 1e-6:
        raise InputError(f"shares of the parts must be positive and sum to 1, got {dict(fractions)}")
    ends = np.rint(np.cumsum(shares) * len(pool)).astype(int)
    order = np.random.default_rng(seed).permutation(len(pool))
    starts = np.concatenate([[0], ends[:-1]])
    return {
        part: sorted(pool[i] for i in order[start:end]) for part, start, end in zip(fractions, starts.tolist(), ends.tolist(), strict=True)
    }


def split_cohort(
    cohort: Cohort, seed: int, fractions: Mapping[str, float], *, on_case: Callable[[int, int], None] | None = None
) -> dict[str, list[str]]:
    """Parts in which patients with scar and without stand in equal shares, as far as whole patients allow; reads every label once.

    Raises:
        InputError: see `split_patients`; or a part would hold nobody.
    """
    groups: dict[bool, list[str]] = {True: [], False: []}
    for done, stack in enumerate(cohort.stacks(), start=1):
        if not isinstance(stack, Skipped):
            groups[bool(scar_of(stack.labels).any())].append(stack.patient)
        if on_case is not None:
            on_case(done, len(cohort))
    each = [split_patients(names, seed, fractions) for names in groups.values() if names]
    parts = {part: sorted(name for one in each for name in one[part]) for part in fractions}
    if empty := [part for part, names in parts.items() if not names]:
        raise InputError(
            f"{cohort.root}: {len(cohort)} patients are too few for a part {empty[0]}; give it a larger share, or leave it out"
        )
    return parts


def checked_splits(splits: Mapping[str, list[str]], *, place: str) -> dict[str, list[str]]:
    """The same parts, after no patient was found twice.

    Raises:
        InputError: a patient stands twice, in one part or in two; `place` begins the message.
    """
    part_of: dict[str, str] = {}
    for part, names in splits.items():
        for name in names:
            if name in part_of:
                raise InputError(f"{place}: patient {name} stands in {part_of[name]} and in {part}; keep one")
            part_of[name] = part
    return {part: list(names) for part, names in splits.items()}
