"""The licence of a run's hosts, which binds the samples too."""

from __future__ import annotations

from lgesynthnet.data.source import CohortSource
from lgesynthnet.model_store import OWN_LICENCE, licence_of, shipped_or_path

Licence = tuple[str | None, str | None]  # name of the licence and whom to credit; None where the program does not know

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


def licence_of_weights(model: str) -> str | None:
    """Licence of the weights of a model, where it is another than that of the program; the samples are under it too."""
    licence = licence_of(shipped_or_path(model))
    return None if licence == OWN_LICENCE else licence


def host_licence(source: CohortSource) -> Licence:
    """(licence, credit) of a folder or a table of patients; (None, None) where the program does not know the data set."""
    folder = source.root if source.root.is_dir() else source.root.parent
    if (folder / PHANTOM_TRUTH).is_file():
        return LICENCES["phantom"]
    return LICENCES.get(str(source.dataset), (None, None))
