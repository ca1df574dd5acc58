"""The licence of a run's hosts, which binds the samples too."""

from __future__ import annotations

from pathlib import Path

from lgesynthnet.run.summary import Summary

# A sample painted into a host is a derivative of it: the host's licence binds the sample too.
LICENCES = {
    "emidec": (
        "cc-by-nc-sa-4.0",
        "Lalande et al., Emidec: A Database Usable for the Automatic Evaluation of Myocardial Infarction, Data 2020, 5(4):89",
    ),
    "sunnybrook": ("cc0-1.0", "Radau et al., Evaluation Framework for Algorithms Segmenting Short Axis Cardiac MRI, MIDAS Journal 2009"),
    "phantom": ("apache-2.0", "simulated by lgesynthnet; no patient's data"),
}


PHANTOM_TRUTH = "truth.csv"  # only a simulated cohort has one


def host_licence(summary: Summary) -> tuple[str | None, str | None]:
    """(licence, credit) of the hosts, where they are a data set that the program knows; None where nobody said what they are."""
    hosts = summary.plan.get("hosts")
    if hosts and (Path(str(hosts)) / PHANTOM_TRUTH).is_file():
        return LICENCES["phantom"]
    return LICENCES.get(str(summary.plan.get("dataset")), (None, None))
