"""Split a data set by patient: each patient belongs to one part only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from pydantic import RootModel

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.layouts.content import patient_name
from lgesynthnet.errors import InputError
from lgesynthnet.files.names import checked_name
from lgesynthnet.files.reading import checked, read_json
from lgesynthnet.files.writing import write_new
from lgesynthnet.records import OnCase, Skipped, scar_of


class _Splits(RootModel[dict[str, list[str]]]):
    """Part -> names of its patients."""


def read_splits(path: Path) -> dict[str, list[str]]:
    """Read the parts of a data set from a JSON file: part -> patient names. Names may begin with Case_, as in EMIDEC.

    Raises:
        InputError: the file is not a splits file, or a patient is listed twice.
    """
    content = checked(_Splits, read_json(path), str(path)).root
    for name in (*content, *(name for names in content.values() for name in names)):
        checked_name(name, str(path))
    return checked_splits({part: [patient_name(name) for name in names] for part, names in content.items()}, place=str(path))


def part_of(path: Path, part: str) -> tuple[str, ...]:
    """The patients of one part of a splits file.

    Raises:
        InputError: the file is not a splits file, or has no part of this name.
    """
    splits = read_splits(path)
    if part not in splits:
        raise InputError(f"{path}: has no part {part}; it has {', '.join(splits)}")
    return tuple(splits[part])


def write_splits(path: Path, splits: Mapping[str, Iterable[str]]) -> None:
    """Write a splits file that `read_splits` reads.

    Raises:
        RunError: the file cannot be written.
    """
    write_new(path, (json.dumps({part: list(names) for part, names in splits.items()}, indent=1) + "\n").encode())


def split_patients(names: Iterable[str], seed: int, fractions: Mapping[str, float]) -> dict[str, list[str]]:
    """Divide patients into parts at random. The same names and seed give the same parts, whatever the order of the names.

    Args:
        fractions: part -> share of the patients, 0 to 1, with sum 1; numbers are rounded so that every patient is in one part.
    Raises:
        InputError: the shares do not sum to 1, or a name is listed twice.
    """
    pool = sorted(names)
    checked_splits({"all": pool}, place="patients to split")
    shares = np.array(list(fractions.values()), dtype=np.float64)
    if not len(shares) or (shares < 0).any() or abs(float(shares.sum()) - 1) > 1e-6:
        raise InputError(f"shares of the parts must be positive and sum to 1, got {dict(fractions)}; correct the shares")
    ends = np.rint(np.cumsum(shares) * len(pool)).astype(int)
    order = np.random.default_rng(seed).permutation(len(pool))
    starts = np.concatenate([[0], ends[:-1]])
    return {
        part: sorted(pool[i] for i in order[start:end]) for part, start, end in zip(fractions, starts.tolist(), ends.tolist(), strict=True)
    }


def split_cohort(cohort: Cohort, seed: int, fractions: Mapping[str, float], *, on_case: OnCase | None = None) -> dict[str, list[str]]:
    """Divide the patients of a cohort so that each part has the same share of patients with scar, as far as possible.

    Every label file is read once.

    Args:
        on_case: called with (cases done, all cases) after each case.
    Raises:
        InputError: see `split_patients`; or a part would be empty.
    """
    groups: dict[bool, list[str]] = {True: [], False: []}
    skipped: list[Skipped] = []
    for done, stack in enumerate(cohort.stacks(), start=1):
        if isinstance(stack, Skipped):
            skipped.append(stack)
        else:
            groups[bool(scar_of(stack.labels).any())].append(stack.patient)
        if on_case is not None:
            on_case(done, len(cohort))
    by_group = [split_patients(names, seed, fractions) for names in groups.values() if names]
    parts = {part: sorted(name for group_parts in by_group for name in group_parts[part]) for part in fractions}
    if empty := [part for part, names in parts.items() if not names]:
        usable = len(cohort) - len(skipped)
        if not usable:
            raise InputError(
                f"{cohort.root}: none of its {len(cohort)} patients can be read; the first is {skipped[0].name}: {skipped[0].reason}"
            )
        raise InputError(
            f"{cohort.root}: {usable} patients{' that can be read' if skipped else ''} are too few for a part {empty[0]}; "
            "give it a larger share, or use two parts: --shares train=0.7,val=0.3"
        )
    return parts


def checked_splits(splits: Mapping[str, list[str]], *, place: str) -> dict[str, list[str]]:
    """The same parts, after a check that each patient is listed once.

    Args:
        place: the file or step that the parts come from; it begins the error message.
    Raises:
        InputError: a patient is listed twice, in one part or in two.
    """
    part_of: dict[str, str] = {}
    for part, names in splits.items():
        for name in names:
            if name in part_of:
                where = f"twice in {part}" if part_of[name] == part else f"in {part_of[name]} and in {part}"
                raise InputError(f"{place}: patient {name} is {where}; keep one")
            part_of[name] = part
    return {part: list(names) for part, names in splits.items()}
