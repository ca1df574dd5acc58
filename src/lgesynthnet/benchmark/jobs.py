"""Where jobs run: in processes of this machine, or on a Ray cluster. The jobs and their results are the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from lgesynthnet.errors import RunError


@runtime_checkable
class Executor(Protocol):
    """What `concurrent.futures` calls an executor, as far as it is used here."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """Start a job; its result or its error is in the future."""
        ...


class OnRay:
    """Jobs as Ray tasks of one core each; their folder must be one that every node sees."""

    def __init__(self, ray: Any) -> None:
        self.remote = ray.remote(num_cpus=1)(_called)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = self.remote.remote(function, *arguments).future()
        return future


def _called(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


@contextmanager
def executor(workers: int = 1, *, ray: str | None = None) -> Iterator[Executor]:
    """An executor; when an error or Ctrl-C leaves the block, its jobs are stopped where they are.

    Args:
        workers: processes of this machine, or cores of a Ray that is started here.
        ray: address of a Ray cluster, or `local` to start one here.
    Raises:
        RunError: Ray is asked for and not installed.
    """
    if ray is not None:
        with _on_ray(workers, ray) as found:
            yield found
        return
    # Spawned and not forked: a fork copies torch's threads and locks in whatever state they are.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_obey_parent)
    try:
        yield pool
    except BaseException:
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        raise
    pool.shutdown()


def _obey_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it ends: an orphan would go on writing beside the command that resumes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _on_ray(workers: int, address: str) -> Iterator[Executor]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise RunError("--ray needs Ray: pip install 'lgesynthnet[cluster]'") from None
    if address == "local":
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    else:
        ray.init(address=address, log_to_driver=False)
    try:
        yield OnRay(ray)
    finally:
        ray.shutdown()
