"""Checks that no model was trained on a patient of the test set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lgesynthnet.benchmark.utility.plan import Pool
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.errors import RunError
from lgesynthnet.model_store import patients_behind
from lgesynthnet.terms import Arm


def check_for_leaks(experiment: UtilityExperiment, pools: Sequence[Pool]) -> list[str]:
    """Check the generators, the filters and the first weights of the segmenter; the auditor makes and keeps no sample.

    Returns:
        One sentence for each model on the patients that it was trained on.
    Raises:
        RunError: a model was trained on a tested patient, or has no record of its training patients and `unchecked` is off.
    """
    methods, tested, provenance = experiment.pools.methods, set(experiment.tested), []
    models: dict[str, Path | str | None] = {}
    for pool in pools:
        if pool.model is not None:
            models[f"{pool.model}, generator and filter of the low-data runs"] = pool.model
        elif pool.method is not None:
            models[f"generator {pool.method.value}"] = methods.folder_of(pool.method.trained_as)
            models["filter"] = (folder := methods.filter()) and folder.parent
            if pool.name == Arm.COPY_PASTE.value:
                provenance.append(f"copied scars: from the {len(experiment.splits['train'])} training patients")
    if experiment.init is not None:
        models["first weights of the segmenter"] = experiment.init
    for use, model in models.items():
        if model is None:
            continue
        patients = patients_behind(model)
        if patients is None and not experiment.unchecked:
            raise RunError(
                f"{model}: has no record of its training patients (used as: {use}), so a leak into the test set cannot be excluded; "
                "train it again with --splits, or give --unchecked if you know that it has seen no tested patient"
            )
        if patients is not None and patients & tested:
            raise RunError(
                f"{model}: was trained on patients of the test set: {', '.join(sorted(patients & tested)[:5])} (used as: {use}). "
                "Train it on the train part only, or choose other parts with --tested"
            )
        provenance.append(f"{use}: {_described(patients)}")
    return provenance


def _described(patients: set[str] | None) -> str:
    if patients is None:
        return "its training patients are not recorded"
    return f"trained on {len(patients)} patients, none of them tested" if patients else "trained on simulated patients only"
