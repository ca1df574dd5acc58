"""Read the cases of a cohort in order, a few at once."""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import TypeVar

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.dicom.reading import largest_voxels
from lgesynthnet.data.layouts.content import CaseFiles
from lgesynthnet.data.nifti import read_header
from lgesynthnet.errors import InputError

LARGE_VOXELS = 2**23  # stacks above are read one at a time, whatever the number of workers
MOST_WORKERS = 8  # threads that orient hearts; reading the files is the limit beyond that
_LARGE = threading.Lock()
Result = TypeVar("Result")


def each_case(cohort: Cohort, work: Callable[[CaseFiles], Result]) -> Iterator[Result]:
    """What `work` makes of each case, in order. Several threads run it: a network that runs on one thread leaves cores idle.

    Args:
        work: reads the case and raises nothing that the user can mend.
    """
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as threads:
        try:
            for case in cohort.cases:
                waiting.append(threads.submit(_one, work, case))
                if len(waiting) > workers:  # no more stacks in memory than are being worked on
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for started in waiting:
                started.cancel()


def _one(work: Callable[[CaseFiles], Result], case: CaseFiles) -> Result:
    with _LARGE if _is_large(case) else nullcontext():
        return work(case)


def _is_large(case: CaseFiles) -> bool:
    try:
        if case.dicom is not None:
            return largest_voxels(case.dicom) > LARGE_VOXELS
        return math.prod(read_header(case.image_path)[1].shape) > LARGE_VOXELS
    except InputError:  # said by what reads the case
        return False
