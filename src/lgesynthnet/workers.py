"""Processes that work for a command. They end with it, whatever ends it, and Ctrl-C ends them at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

SECONDS_TO_END = 5.0
Job = TypeVar("Job")
Result = TypeVar("Result")


class Workers:
    """A pool of processes that never sees Ctrl-C; the command handles it for all."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """Start a job. The future holds its result or its exception."""
        with _signals_held_back():  # a new process inherits this, and so is deaf from its first instant
            return self._pool.submit(function, *arguments)


@contextmanager
def worker_processes(count: int) -> Iterator[Workers]:
    """Processes for a `with` block. If an exception or Ctrl-C leaves the block, jobs that still run are terminated."""
    # Spawned and not forked: a fork copies torch's threads and locks in whatever state they are, and the lock of the folder.
    with _signals_held_back():  # its queues start the process in which Python counts what is shared
        pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=_follow_parent)
    try:
        yield Workers(pool)
    except BaseException:
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:  # what they write must not meet what the command writes at its end
            process.join(SECONDS_TO_END)
        raise
    pool.shutdown()


def results_in_order(function: Callable[[Job], Result], jobs: Iterable[Job], count: int) -> Generator[Result, None, None]:
    """The result of each job, in the order of the jobs, as soon as it is there. A few jobs are started ahead, so memory stays flat.

    Args:
        function: at the top level of a module, so that a process can import it.
        count: number of processes; with 1, the jobs run in this process.
    """
    if count <= 1:
        yield from map(function, jobs)
        return
    with worker_processes(count) as pool:
        started: deque[Future[Result]] = deque()
        for job in jobs:
            started.append(pool.submit(function, job))
            if len(started) > 2 * count:
                yield started.popleft().result()
        while started:
            yield started.popleft().result()


def _follow_parent() -> None:
    """Ignore Ctrl-C, which the parent handles, and exit when the parent exits.

    A job that outlived its parent would keep writing while the resumed command writes to the same files.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def exit_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=exit_with_parent, daemon=True).start()


@contextmanager
def _signals_held_back() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # A closed terminal must not end the process in which Python counts what the workers share: it would be begun again, with a warning.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
