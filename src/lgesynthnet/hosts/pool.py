"""Which slices of a cohort can be painted into, and how to fetch one. The list is in memory; the pixels stay on the disk."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.anatomy.orientation import StackOrder
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.layouts.content import CaseFiles
from lgesynthnet.data.ring import Fault
from lgesynthnet.errors import AnatomyError, InputError
from lgesynthnet.hosts.describing import order_conflict
from lgesynthnet.hosts.orientation_cache import OrientationCache, content_of
from lgesynthnet.hosts.reading import each_case
from lgesynthnet.hosts.suitability import find_host_fault, find_orientation_fault
from lgesynthnet.records import Insertions, Level, OnCase, Skipped, Stack, ViewSource, scar_of
from lgesynthnet.terms import LEAST_ORIENTATION_CONFIDENCE

STACK_BYTES_IN_MEMORY = 2**29  # 512 MiB, or a single stack that is larger


@dataclass(frozen=True, kw_only=True)
class HostEntry:
    """One usable slice, without its voxels.

    Attributes:
        position: along the left ventricle, 0 base to 1 apex.
        scar_mm2: area of the scar that it holds.
        stack_scar_mm2: the same of all slices of its patient, usable or not.
    """

    case: CaseFiles
    index: int
    level: Level
    order: StackOrder
    insertions: Insertions
    view_source: ViewSource
    position: float = 0.5
    scar_mm2: float = 0.0
    stack_scar_mm2: float = 0.0

    @property
    def patient(self) -> str:
        return self.case.patient


@dataclass(kw_only=True)
class HostPool:
    """The usable hosts of a cohort, by patient and slice index.

    Attributes:
        fingerprint: hash of everything that was read of the hosts: images, labels, spacing, order and landmarks. What is computed from
            them, such as the insertions, is not in it, because its last digits depend on the processor.
        skipped: cases and slices that cannot be used, with reasons; slices that nobody labelled are not among them.
        uncertain: how many of the skipped slices are only not oriented well enough.
        notes: what was done or noticed when the files were read, one sentence each.
        orientation: how each stack is oriented, to be kept beside a run.
        contents: patient -> hash of what was read of the stack, see `content_of`.
    """

    cohort: Cohort
    entries: list[HostEntry]
    skipped: list[Skipped]
    fingerprint: str
    uncertain: int = 0
    notes: list[str] = field(default_factory=list)
    orientation: OrientationCache = field(default_factory=OrientationCache, repr=False)
    contents: dict[str, str] = field(default_factory=dict, repr=False)
    _stacks: OrderedDict[str, Stack] = field(default_factory=OrderedDict, repr=False)

    def fetch(self, entry: HostEntry) -> Host:
        """Read a host and locate its heart.

        Raises:
            InputError: the files are no longer what they were.
            AnatomyError: the wall is no ring after all.
        """
        slice_ = self.stack_of(entry.case)[entry.index]
        return Host(slice_=slice_, frame=compute_heart_frame(slice_, entry.level, entry.insertions))

    def stack_of(self, case: CaseFiles) -> Stack:
        """The stack of a case.

        Raises:
            InputError: the files are no longer what they were.
        """
        stack = self._stacks.pop(case.patient, None)
        if stack is None:
            stack = self.cohort.read(case)
            if content_of(stack) != self.contents.get(case.patient):
                raise InputError(f"{case.image_path}: it or its labels changed after the hosts were listed; give the same command again")
        self._stacks[case.patient] = stack  # the most recent one stands last
        while len(self._stacks) > 1 and sum(map(_bytes_of, self._stacks.values())) > STACK_BYTES_IN_MEMORY:
            self._stacks.popitem(last=False)
        return stack


def _bytes_of(stack: Stack) -> int:
    return stack.image.nbytes + stack.labels.nbytes


def find_hosts(
    cohort: Cohort,
    *,
    with_scar: bool = False,
    without_scar: bool = True,
    least_confidence: float = LEAST_ORIENTATION_CONFIDENCE,
    strict: bool = False,
    on_case: OnCase | None = None,
    cache: Path | None = None,
) -> HostPool:
    """Read every case once and list its usable slices.

    Args:
        with_scar: whether slices that hold scar are taken.
        without_scar: whether the others are.
        least_confidence: leave out slices whose RV insertions are less certain than this, 0 to 1.
        strict: raise at the first case or slice that cannot be used, instead of listing it.
        on_case: gets (done, total) after each case.
        cache: file of an `OrientationCache`; it is read where it exists, and never written here.
    Raises:
        InputError: no slice can be used; or `strict`, and one cannot.
    """
    pool = HostPool(cohort=cohort, entries=[], skipped=list(cohort.skipped), fingerprint="", orientation=OrientationCache(cache))
    content = hashlib.sha256()
    _refuse_if(strict, pool.skipped)
    wanted = WantedHosts(with_scar=with_scar, without_scar=without_scar, least_confidence=least_confidence)
    by_case = each_case(cohort, lambda case: _hosts_of_case(cohort, case, wanted, pool.orientation))
    for done, hosts in enumerate(by_case, start=1):
        pool.skipped.extend(hosts.skipped)
        pool.uncertain += hosts.uncertain
        pool.notes.extend(hosts.notes)
        if hosts.entries:
            patient = hosts.case.patient
            pool.entries.extend(hosts.entries)
            pool.contents[patient] = hosts.content
            content.update(f"{patient} {hosts.content} {[entry.index for entry in hosts.entries]}\n".encode())
        _refuse_if(strict, pool.skipped)
        if on_case is not None:
            on_case(done, len(cohort.cases))
    if not pool.entries:
        raise InputError(f"{cohort.root}: {_nothing(pool.skipped, wanted)}")
    pool.fingerprint = f"hosts:{content.hexdigest()[:16]}"
    return pool


@dataclass(frozen=True, kw_only=True)
class WantedHosts:
    """Which usable slices are hosts.

    Attributes:
        with_scar, without_scar: slices that hold scar, and the others.
        least_confidence: of the RV insertions, 0 to 1.
    """

    with_scar: bool = False
    without_scar: bool = True
    least_confidence: float = LEAST_ORIENTATION_CONFIDENCE


@dataclass(kw_only=True)
class _CaseHosts:
    """The hosts of one case, and the hash of what was read."""

    case: CaseFiles
    entries: list[HostEntry] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    uncertain: int = 0
    notes: list[str] = field(default_factory=list)
    content: str = ""


def _hosts_of_case(cohort: Cohort, case: CaseFiles, wanted: WantedHosts, orientation: OrientationCache) -> _CaseHosts:
    hosts = _CaseHosts(case=case)
    try:
        _list_hosts(hosts, cohort.read(case), wanted, orientation)
    except (InputError, AnatomyError) as fault:
        return _CaseHosts(case=case, skipped=[Skipped(name=case.patient, reason=str(fault))])
    return hosts


def _list_hosts(hosts: _CaseHosts, stack: Stack, wanted: WantedHosts, orientation: OrientationCache) -> None:
    def skip(index: int, fault: str) -> None:
        hosts.skipped.append(Skipped(name=stack[index].name, reason=f"{hosts.case.image_path}: slice {index}: {fault}"))

    hosts.notes.extend(stack.notes)
    usable: list[int] = []
    for slice_ in stack:
        fault = find_host_fault(slice_)
        if fault is None:
            usable.append(slice_.index)
        elif fault is not Fault.UNLABELLED:  # slices beyond base and apex have no labels
            skip(slice_.index, fault)
    chosen = [index for index in usable if (wanted.with_scar if stack[index].scar.any() else wanted.without_scar)]
    if not chosen:
        return
    hosts.content = content_of(stack)
    hearts = orientation.locate(stack, hosts.content)
    if (conflict := order_conflict(stack, hearts.order)) is not None:
        hosts.notes.append(f"{hosts.case.image_path}: {conflict}")
    positions = hearts.positions
    for index in chosen:
        level, insertions, position = hearts.levels[index], hearts.insertions[index], positions[index]
        uncertain = find_orientation_fault(hearts, index, wanted.least_confidence)
        if uncertain is not None:
            skip(index, uncertain)
            hosts.uncertain += 1
        elif level is not None and insertions is not None and position is not None:
            entry = HostEntry(
                case=hosts.case,
                index=index,
                level=level,
                order=hearts.order,
                insertions=insertions,
                view_source=stack.view.source,
                position=position,
                scar_mm2=float(stack[index].scar.sum() * np.prod(stack.spacing_mm)),
                stack_scar_mm2=float(scar_of(stack.labels).sum() * np.prod(stack.spacing_mm)),
            )
            hosts.entries.append(entry)


def _refuse_if(strict: bool, skipped: list[Skipped]) -> None:
    if strict and skipped:
        raise InputError(f"{skipped[0].name}: {skipped[0].reason} (--strict stops here; without it the case is skipped)")


def _nothing(skipped: list[Skipped], wanted: WantedHosts) -> str:
    if skipped:
        more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
        return f"no slice can be used; {skipped[0].name}: {skipped[0].reason}{more}; `lgesynthnet verify` lists all reasons"
    if not wanted.without_scar:
        hint = "no usable slice holds scar that could be removed, moved or replaced"
    else:
        beside = "every usable slice holds scar already; add --hosts-with-scar to paint beside it"
        hint = "no slice has labels" if wanted.with_scar else beside
    return f"no slice can be used; {hint}"
