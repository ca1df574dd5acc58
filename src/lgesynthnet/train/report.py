"""What every training report records beside its results."""

from __future__ import annotations

from importlib.metadata import version

import torch

from lgesynthnet.train.examples.roi import Examples
from lgesynthnet.train.request import TrainingRequest


def about_training(request: TrainingRequest, stage: str, examples: Examples | None = None) -> dict[str, object]:
    """Versions, threads and settings of a training, and the patients that it learnt from."""
    record: dict[str, object] = {
        "torch": torch.__version__,
        "lgesynthnet": version("lgesynthnet"),
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.is_available(),
        "stage": stage,
        "recipe": request.recipe,
        "seed": request.seed,
    }
    if examples is not None:
        names = sorted(set(examples.patients))
        record |= {"examples": len(examples), "patients": len(names), "names": names, "data": examples.fingerprint}
    return record
