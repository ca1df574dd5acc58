"""The slices of a cohort that can be painted into: a list in memory, while the voxels stay on disk."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.anatomy.orientation import StackOrder
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.layout import CaseFiles
from lgesynthnet.data.ring import Fault, find_fault
from lgesynthnet.errors import InputError
from lgesynthnet.hosts.locate import locate_stack
from lgesynthnet.records import Insertions, Level, ShortAxisSlice, Skipped, Stack

STACKS_IN_MEMORY = 32


@dataclass(frozen=True, kw_only=True)
class HostEntry:
    """One usable slice, without its voxels."""

    case: CaseFiles
    index: int
    level: Level
    order: StackOrder
    insertions: Insertions

    @property
    def patient(self) -> str:
        return self.case.patient


@dataclass(kw_only=True)
class HostPool:
    """The usable hosts of a cohort, by patient and slice index.

    Attributes:
        fingerprint: hash of everything in the hosts that decides a pixel: images, labels, spacing, levels, insertions.
        skipped: cases and slices that cannot be used, with reasons; slices that nobody labelled are not among them.
    """

    cohort: Cohort
    entries: list[HostEntry]
    skipped: list[Skipped]
    fingerprint: str
    _stacks: OrderedDict[str, Stack] = field(default_factory=OrderedDict, repr=False)

    def fetch(self, entry: HostEntry) -> Host:
        """Read a host and locate its heart.

        Raises:
            InputError: the files are no longer what they were.
            AnatomyError: the wall is no ring after all.
        """
        slice_ = self._stack(entry.case)[entry.index]
        return Host(slice_=slice_, frame=compute_heart_frame(slice_, entry.level, entry.insertions))

    def _stack(self, case: CaseFiles) -> Stack:
        stack = self._stacks.pop(case.patient, None) or self.cohort.read(case)
        self._stacks[case.patient] = stack  # the most recent one stands last
        if len(self._stacks) > STACKS_IN_MEMORY:
            self._stacks.popitem(last=False)
        return stack


def find_hosts(
    cohort: Cohort, *, with_scar: bool = False, strict: bool = False, on_case: Callable[[int, int], None] | None = None
) -> HostPool:
    """Read every case once and list its usable slices.

    Args:
        with_scar: take slices that hold scar too; their scar stays.
        strict: raise at the first case or slice that cannot be used instead of listing it.
        on_case: told (done, all) after each case.
    Raises:
        InputError: nothing is usable; or `strict` and something is not.
    """
    shelf = HostPool(cohort=cohort, entries=[], skipped=list(cohort.skipped), fingerprint="")
    content = hashlib.sha256()
    _refuse_if(strict, shelf.skipped)
    for done, case in enumerate(cohort.cases, start=1):
        try:
            stack = cohort.read(case)
        except InputError as fault:
            shelf.skipped.append(Skipped(name=case.patient, reason=str(fault)))
        else:
            for found in _hosts_of(stack, case, with_scar):
                if isinstance(found, Skipped):
                    shelf.skipped.append(found)
                else:
                    shelf.entries.append(found)
                    content.update(_content(stack[found.index], found))
        _refuse_if(strict, shelf.skipped)
        if on_case is not None:
            on_case(done, len(cohort.cases))
    if not shelf.entries:
        raise InputError(f"{cohort.root}: {_nothing(shelf.skipped, with_scar)}")
    shelf.fingerprint = f"hosts:{content.hexdigest()[:16]}"
    return shelf


def _hosts_of(stack: Stack, case: CaseFiles, with_scar: bool) -> Iterator[HostEntry | Skipped]:
    usable: list[int] = []
    for slice_ in stack:
        fault = find_fault(slice_)
        if fault is None:
            usable.append(slice_.index)
        elif fault is not Fault.UNLABELLED:  # beyond base and apex nobody draws
            yield Skipped(name=slice_.name, reason=f"{slice_.image_path}: slice {slice_.index}: {fault}")
    wanted = [index for index in usable if with_scar or not stack[index].scar.any()]
    if not wanted:
        return
    hearts = locate_stack(stack)
    for index in wanted:
        level, insertions = hearts.levels[index], hearts.insertions[index]
        if level is not None and insertions is not None:
            yield HostEntry(case=case, index=index, level=level, order=hearts.order, insertions=insertions)


def _content(slice_: ShortAxisSlice, entry: HostEntry) -> bytes:
    place = entry.insertions
    header = (
        f"{slice_.name} {slice_.image.dtype.str} {slice_.image.shape} {slice_.spacing_mm} {entry.level} "
        f"{place.anterior_deg:.4f} {place.inferior_deg:.4f}"
    )
    return header.encode() + hashlib.sha256(slice_.image.tobytes()).digest() + hashlib.sha256(slice_.labels.tobytes()).digest()


def _refuse_if(strict: bool, skipped: list[Skipped]) -> None:
    if strict and skipped:
        raise InputError(f"{skipped[0].name}: {skipped[0].reason} (--strict stops here; without it the case is skipped)")


def _nothing(skipped: list[Skipped], with_scar: bool) -> str:
    if skipped:
        more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
        return f"no slice can be used; {skipped[0].name}: {skipped[0].reason}{more}; look with `lgesynthnet verify`"
    hint = "every usable slice holds scar already; add --hosts-with-scar to paint beside it" if not with_scar else "no slice has labels"
    return f"no slice can be used; {hint}"
