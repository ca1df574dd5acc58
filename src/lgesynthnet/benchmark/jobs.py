"""Runs jobs in processes of this machine or on a Ray cluster. The results are the same in both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from lgesynthnet.errors import RunError
from lgesynthnet.workers import worker_processes


@runtime_checkable
class Executor(Protocol):
    """The part of `concurrent.futures.Executor` that is used here."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """Start a job. The future holds its result or its exception."""
        ...


class RayExecutor:
    """Runs each job as a Ray task on one core. All nodes must see the folder that the jobs write to."""

    def __init__(self, ray: Any) -> None:
        self.remote = ray.remote(num_cpus=1)(_call)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = self.remote.remote(function, *arguments).future()
        return future


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


@contextmanager
def executor(workers: int = 1, *, ray: str | None = None) -> Iterator[Executor]:
    """An executor for a `with` block. If an exception or Ctrl-C leaves the block, jobs that still run are terminated.

    Args:
        workers: number of processes on this machine, or of cores if Ray is started here.
        ray: address of a Ray cluster; `local` starts one on this machine; None uses processes.
    Raises:
        RunError: Ray was requested but is not installed.
    """
    if ray is not None:
        with _ray_executor(workers, ray) as on_ray:
            yield on_ray
        return
    with worker_processes(workers) as processes:
        yield processes


@contextmanager
def _ray_executor(workers: int, address: str) -> Iterator[Executor]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise RunError("--ray needs Ray, which is not installed: pip install 'lgesynthnet[cluster]'") from None
    if address == "local":
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    else:
        ray.init(address=address, log_to_driver=False)
    try:
        yield RayExecutor(ray)
    finally:
        ray.shutdown()
