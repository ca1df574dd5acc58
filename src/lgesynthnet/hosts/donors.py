"""Donors: real slices with scar that the copy-paste method copies from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import InputError
from lgesynthnet.hosts.pool import find_hosts


def donor_bank(cohort: Cohort, patients: Collection[str] | None = None) -> list[Host]:
    """All usable slices with scar of the given patients, with their hearts located, for `load_rival("copy-paste", donors=...)`.

    Use training patients only: a scar that a segmenter is tested on must not be in its synthetic training data.

    Args:
        patients: names of the patients; None takes all.
    Raises:
        InputError: the cohort has none of the patients, or they have no usable slice with scar.
    """
    cases = [case for case in cohort.cases if patients is None or case.patient in patients]
    if not cases:
        raise InputError(f"{cohort.root}: has none of the patients {', '.join(sorted(patients or ()))}; choose others")
    pool = find_hosts(replace(cohort, cases=cases), with_scar=True)
    donors = [host for host in map(pool.fetch, pool.entries) if host.slice_.scar.any()]
    if not donors:
        raise InputError(f"{cohort.root}: none of the chosen patients has a usable slice with scar; choose others")
    return donors
