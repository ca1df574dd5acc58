"""Real scars to copy from: the scarred slices of some patients, located."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import InputError
from lgesynthnet.hosts.pool import find_hosts


def donor_bank(cohort: Cohort, patients: Collection[str] | None = None) -> list[Host]:
    """Every usable slice with scar of these patients (None: of all), for `load_rival("copy-paste", donors=...)`.

    Give it training patients: a scar that a reader is measured on must not stand in its synthetic training data.

    Raises:
        InputError: there is none.
    """
    cases = [case for case in cohort.cases if patients is None or case.patient in patients]
    if not cases:
        raise InputError(f"{cohort.root}: has none of the patients {', '.join(sorted(patients or ()))}; choose others")
    shelf = find_hosts(replace(cohort, cases=cases), with_scar=True)
    bank = [host for host in map(shelf.fetch, shelf.entries) if host.slice_.scar.any()]
    if not bank:
        raise InputError(f"{cohort.root}: none of the chosen patients has a usable slice with scar; choose others")
    return bank
