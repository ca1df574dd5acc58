"""Checks that no model was trained on a patient whom its run does not know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lgesynthnet.benchmark.trained_methods import TrainedMethods
from lgesynthnet.benchmark.utility.plan import Pool, Run, UtilityPlan
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.errors import RunError
from lgesynthnet.model_store import patients_behind
from lgesynthnet.terms import Method


def check_for_leaks(experiment: UtilityExperiment, plan: UtilityPlan) -> list[str]:
    """Check the generators, the filters and the first weights of the segmenters; the auditor makes and keeps no sample.

    A model may have learnt from the patients of a run alone: else a run with few patients would profit from the labels of others.

    Returns:
        One sentence for each model on the patients that it was trained on.
    Raises:
        RunError: a model was trained on a tested patient or on one who is not in a run that uses it, or has no record of its training
            patients and `unchecked` is off.
    """
    methods, provenance = experiment.pools.methods, []
    models: dict[str, tuple[Path | str | None, list[Run]]] = {}
    for pool in plan.pools:
        users = [run for run in plan.runs if pool.name in run.pools]
        for use, model in _models_of(pool, methods).items():
            models.setdefault(use, (model, []))[1].extend(users)
        if pool.method is Method.COPY_PASTE:
            _check_donors(methods.splits["train"], users)
    first = [run for run in plan.runs if run.settings.phantom_first]
    if first:
        models["first weights of the segmenters"] = (experiment.first, first)
    for use, (model, users) in models.items():
        if model is None:
            continue
        patients = patients_behind(model)
        if patients is None and not experiment.unchecked:
            raise RunError(
                f"{model}: has no record of its training patients (used as: {use}), so a leak into the test set cannot be excluded; "
                "train it again with --splits, or give --unchecked if you know that it has seen no tested patient"
            )
        for run in users if patients else ():
            foreign = (patients or set()) - set(run.patients)
            if foreign:
                raise RunError(
                    f"{model}: was trained on patients who are not among those of run {run.name}: {', '.join(sorted(foreign)[:5])} "
                    f"(used as: {use}). Use a model that has not met them, or take all training patients with --scarred all --healthy all"
                )
        provenance.append(f"{use}: {_described(patients)}")
    return provenance


def _models_of(pool: Pool, methods: TrainedMethods) -> dict[str, Path | str | None]:
    """What paints and judges the samples of a pool; none for simulated patients."""
    if pool.model is not None:
        return {f"{pool.model}, generator and filter": pool.model}
    if pool.method is None:
        return {}
    judge = methods.filter()
    return {
        f"generator {pool.method.value}": methods.folder_of(pool.method.trained_as),
        f"filter of {pool.method.value}": judge and judge.parent,
    }


def _check_donors(donors: Sequence[str], users: Sequence[Run]) -> None:
    """Copied scars are those of any training patient, so a run with fewer patients would profit from the labels of the others."""
    for run in users:
        if set(donors) - set(run.patients):
            raise RunError(
                f"--arm {run.arm}: copies scars of all training patients, and run {run.name} knows {len(run.patients)} of "
                f"{len(donors)}; take all of them with --scarred all --healthy all, or leave this arm out"
            )


def _described(patients: set[str] | None) -> str:
    if patients is None:
        return "its training patients are not recorded"
    return f"trained on {len(patients)} patients, none of them tested" if patients else "trained on simulated patients only"
