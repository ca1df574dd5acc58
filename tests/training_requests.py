"""Training requests of the tests: the tiny recipe on the CPU."""

from __future__ import annotations

from pathlib import Path

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.train.request import TrainingData, TrainingRequest


def tiny_request(
    work: Path, cohort: Cohort | None = None, *, patients: list[str] | None = None, validation: Cohort | None = None, **settings: object
) -> TrainingRequest:
    """A request to train on a cohort; `settings` are further fields of `TrainingRequest`."""
    data = None if cohort is None else TrainingData(cohort=cohort, patients=patients, validation=validation)
    return TrainingRequest(**{"work": work, "data": data, "recipe": "tiny", "device": "cpu", **settings})
