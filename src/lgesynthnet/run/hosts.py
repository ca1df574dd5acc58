"""The hosts of a run, opened as the run opened them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lgesynthnet.data.cohort import Cohort, open_cohort
from lgesynthnet.data.label_maps import parse_label_map
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.run.plan import SynthesisPlan

Told = Callable[[int, int], None]


def host_cohort(plan: SynthesisPlan, folder: Path | None = None) -> Cohort:
    """The hosts of a run, opened as the run opened them.

    Args:
        folder: where they lie now; None where they lay then.
    Raises:
        InputError: the folder is gone or holds no cases.
    """
    root = folder if folder is not None else Path(plan.hosts)
    if not root.is_dir():
        raise InputError(f"{root}: the run's hosts are not there any more; say with --hosts where they lie now")
    return open_cohort(
        root,
        dataset=plan.dataset,
        label_map=parse_label_map(plan.labels) if plan.labels else None,
        base_first=plan.base_first,
        flip=plan.flip,
        landmarks=Path(plan.landmarks) if plan.landmarks else None,
    )


def host_pool(plan: SynthesisPlan, cohort: Cohort, on_case: Told | None = None) -> HostPool:
    """The slices that a run painted into.

    Raises:
        RunError: they are others than they were.
    """
    shelf = find_hosts(cohort, with_scar=plan.hosts_with_scar, on_case=on_case)
    if shelf.fingerprint != plan.hosts_fingerprint:
        raise RunError(
            f"{cohort.root}: is not what the run was painted into ({plan.hosts_fingerprint}, now {shelf.fingerprint}); "
            "give --hosts the folder as it was"
        )
    return shelf
