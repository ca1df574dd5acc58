"""No model may have learnt from a tested patient."""

from __future__ import annotations

from pathlib import Path

from lgesynthnet.benchmark.utility.plan import Pool
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.errors import RunError
from lgesynthnet.model_store import patients_behind
from lgesynthnet.terms import Arm


def refuse_leaks(bench: UtilityExperiment, pools: tuple[Pool, ...]) -> list[str]:
    """See that nobody who paints, teaches or filters has learnt from a patient who is tested; returns who learnt from whom, in words.

    Raises:
        RunError: somebody has, or does not say and `unchecked` is off.
    """
    workshop, tested, words = bench.shelf.workshop, set(bench.tested), []
    models: dict[str, Path | str | None] = {}
    for pool in pools:
        if pool.model is not None:
            models[f"{pool.model}, painter and filter of the low-data curve"] = pool.model
        elif pool.method is not None:
            models[f"painter {pool.method.value}"] = workshop.find(pool.method.trained_as)
            models["filter"] = (folder := workshop.filter()) and folder.parent
            if pool.name == Arm.COPY_PASTE.value:
                words.append(f"donors of copied scars: the {len(bench.splits['train'])} training patients")
    if bench.init is not None:
        models["first weights of the segmenter"] = bench.init
    for who, model in models.items():
        if model is None:
            continue
        seen = patients_behind(model)
        if seen is None and not bench.unchecked:
            raise RunError(
                f"{model}: does not say which patients it learnt from ({who}), so nobody knows whether it saw those who are tested; "
                "train it again with --splits, or give --unchecked if you know better"
            )
        if seen is not None and seen & tested:
            raise RunError(
                f"{model}: learnt from {', '.join(sorted(seen & tested)[:5])}, who are tested ({who}). "
                "Train it on the train part alone, or test others with --tested"
            )
        words.append(
            f"{who}: " + ("not said" if seen is None else "simulated patients only" if not seen else f"{len(seen)} patients, none tested")
        )
    return words
