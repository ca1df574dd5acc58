"""Donors are the slices with scar of the chosen patients only."""

import pytest
from ring_hosts import write_patient

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import InputError
from lgesynthnet.generate.rivals import load_rival
from lgesynthnet.hosts.donors import donor_bank
from lgesynthnet.terms import Rival


def test_only_chosen_patients_give_and_only_their_scarred_slices(tmp_path):
    for name, scar in (("P001", True), ("P002", True), ("N003", False)):
        write_patient(tmp_path, name, seed=int(name[1:]), scar=scar)
    cohort = open_cohort(tmp_path)
    bank = donor_bank(cohort, ["P002", "N003"])
    assert {host.slice_.patient for host in bank} == {"P002"}
    assert all(host.slice_.scar.any() for host in bank)
    assert {host.slice_.patient for host in donor_bank(cohort)} == {"P001", "P002"}
    assert load_rival(Rival.COPY_PASTE, donors=bank).fingerprint.startswith("copy-paste:")
    with pytest.raises(InputError, match="none of the chosen patients has a usable slice with scar"):
        donor_bank(cohort, ["N003"])
    with pytest.raises(InputError, match="none of the patients P009"):
        donor_bank(cohort, ["P009"])
    with pytest.raises(InputError, match="no slice of the bank"):
        load_rival("copy-paste")
