"""Which slices of a cohort can be painted into, and how to fetch one. The list is in memory; the pixels stay on the disk."""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.anatomy.orientation import StackOrder
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.layout import CaseFiles
from lgesynthnet.data.nifti import read_header
from lgesynthnet.data.ring import Fault
from lgesynthnet.errors import AnatomyError, InputError
from lgesynthnet.hosts.orientation_cache import OrientationCache, content_of
from lgesynthnet.hosts.suitability import find_host_fault
from lgesynthnet.records import Insertions, Level, OnCase, Skipped, Stack

STACK_BYTES_IN_MEMORY = 2**29  # 512 MiB, or a single stack that is larger
LARGE_VOXELS = 2**23  # stacks above are read one at a time, whatever the number of workers
MOST_WORKERS = 8  # threads that orient hearts; reading the files is the limit beyond that
_LARGE = threading.Lock()


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
        fingerprint: hash of everything that was read of the hosts: images, labels, spacing, order and landmarks. What is computed from
            them, such as the insertions, is not in it, because its last digits depend on the processor.
        skipped: cases and slices that cannot be used, with reasons; slices that nobody labelled are not among them.
        orientation: how each stack is oriented, to be kept beside a run.
        contents: patient -> hash of what was read of the stack, see `content_of`.
    """

    cohort: Cohort
    entries: list[HostEntry]
    skipped: list[Skipped]
    fingerprint: str
    orientation: OrientationCache = field(default_factory=OrientationCache, repr=False)
    contents: dict[str, str] = field(default_factory=dict, repr=False)
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
    strict: bool = False,
    on_case: OnCase | None = None,
    cache: Path | None = None,
) -> HostPool:
    """Read every case once and list its usable slices.

    Args:
        with_scar: also take slices that hold scar; their scar stays.
        strict: raise at the first case or slice that cannot be used, instead of listing it.
        on_case: gets (done, total) after each case.
        cache: file of an `OrientationCache`; it is read where it exists, and never written here.
    Raises:
        InputError: no slice can be used; or `strict`, and one cannot.
    """
    pool = HostPool(cohort=cohort, entries=[], skipped=list(cohort.skipped), fingerprint="", orientation=OrientationCache(cache))
    content = hashlib.sha256()
    _refuse_if(strict, pool.skipped)
    for done, hosts in enumerate(_hosts_by_case(cohort, with_scar, pool.orientation), start=1):
        pool.skipped.extend(hosts.skipped)
        if hosts.entries:
            patient = hosts.case.patient
            pool.entries.extend(hosts.entries)
            pool.contents[patient] = hosts.content
            content.update(f"{patient} {hosts.content} {[entry.index for entry in hosts.entries]}\n".encode())
        _refuse_if(strict, pool.skipped)
        if on_case is not None:
            on_case(done, len(cohort.cases))
    if not pool.entries:
        raise InputError(f"{cohort.root}: {_nothing(pool.skipped, with_scar)}")
    pool.fingerprint = f"hosts:{content.hexdigest()[:16]}"
    return pool


@dataclass(kw_only=True)
class _CaseHosts:
    """The hosts of one case, and the hash of what was read."""

    case: CaseFiles
    entries: list[HostEntry] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    content: str = ""


def _hosts_by_case(cohort: Cohort, with_scar: bool, orientation: OrientationCache) -> Iterator[_CaseHosts]:
    """The hosts of every case, in order. A few cases are read and oriented at once: a network that runs on one thread leaves cores idle."""
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    waiting: deque[Future[_CaseHosts]] = deque()
    with ThreadPoolExecutor(workers) as threads:
        try:
            for case in cohort.cases:
                waiting.append(threads.submit(_hosts_of_case, cohort, case, with_scar, orientation))
                if len(waiting) > workers:  # no more stacks in memory than are being worked on
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for hosts in waiting:
                hosts.cancel()


def _hosts_of_case(cohort: Cohort, case: CaseFiles, with_scar: bool, orientation: OrientationCache) -> _CaseHosts:
    hosts = _CaseHosts(case=case)
    try:
        with _LARGE if _is_large(case) else nullcontext():
            _list_hosts(hosts, cohort.read(case), with_scar, orientation)
    except (InputError, AnatomyError) as fault:
        return _CaseHosts(case=case, skipped=[Skipped(name=case.patient, reason=str(fault))])
    return hosts


def _is_large(case: CaseFiles) -> bool:
    return math.prod(read_header(case.image_path)[1].shape) > LARGE_VOXELS


def _list_hosts(hosts: _CaseHosts, stack: Stack, with_scar: bool, orientation: OrientationCache) -> None:
    usable: list[int] = []
    for slice_ in stack:
        fault = find_host_fault(slice_)
        if fault is None:
            usable.append(slice_.index)
        elif fault is not Fault.UNLABELLED:  # slices beyond base and apex have no labels
            hosts.skipped.append(Skipped(name=slice_.name, reason=f"{hosts.case.image_path}: slice {slice_.index}: {fault}"))
    wanted = [index for index in usable if with_scar or not stack[index].scar.any()]
    if not wanted:
        return
    hosts.content = content_of(stack)
    hearts = orientation.locate(stack, hosts.content)
    for index in wanted:
        level, insertions = hearts.levels[index], hearts.insertions[index]
        if level is not None and insertions is not None:
            hosts.entries.append(HostEntry(case=hosts.case, index=index, level=level, order=hearts.order, insertions=insertions))


def _refuse_if(strict: bool, skipped: list[Skipped]) -> None:
    if strict and skipped:
        raise InputError(f"{skipped[0].name}: {skipped[0].reason} (--strict stops here; without it the case is skipped)")


def _nothing(skipped: list[Skipped], with_scar: bool) -> str:
    if skipped:
        more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
        return f"no slice can be used; {skipped[0].name}: {skipped[0].reason}{more}; `lgesynthnet verify` lists all reasons"
    hint = "every usable slice holds scar already; add --hosts-with-scar to paint beside it" if not with_scar else "no slice has labels"
    return f"no slice can be used; {hint}"
