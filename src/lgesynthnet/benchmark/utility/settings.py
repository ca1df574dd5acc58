"""The settings of a utility experiment, stored beside its results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lgesynthnet.benchmark.records import read_record
from lgesynthnet.errors import RunError
from lgesynthnet.files.writing import write_json
from lgesynthnet.run.plan import short
from lgesynthnet.terms import Arm, Prior

SETTINGS = "experiment.json"


@dataclass(frozen=True, kw_only=True)
class ExperimentSettings:
    """What to compare. `OUT/experiment.json` stores how samples are painted, `OUT/VARIANT/experiment.json` how segmenters are trained.

    Attributes:
        sizes: numbers of synthetic slices. Every arm uses the first; only LGESynthNet with the filter uses the others too.
        seeds: number of segmenters for each training set, trained with seeds 0 to `seeds` - 1.
        tested: parts of the splits to test on.
        low_data: numbers of real patients for the low-data runs.
        low_data_model: the model that paints for the low-data runs; it must not have been trained on any of the patients.
        downstream: name of the segmenter's recipe, see `DOWNSTREAM`.
        steps: training steps; None for those of the recipe.
        init: first weights of the segmenters; None for those of the recipe.
        share: share of synthetic slices in a batch, from 0 to below 1; None for their share of the training set.
        real_last: number of training steps on real slices only, after the others, in every arm.
        prior: distribution of the painted scars.
    """

    arms: tuple[Arm, ...]
    sizes: tuple[int, ...]
    seeds: int
    tested: tuple[str, ...] = ("audit", "test")
    low_data: tuple[int, ...] = ()
    low_data_model: str = "phantom"
    downstream: str = "small"
    steps: int | None = None
    init: str | None = None
    share: float | None = None
    real_last: int = 0
    prior: Prior = Prior.ISCHAEMIC
    seed: int = 0

    @property
    def variant(self) -> str:
        """Folder name for this way of training. Variants share the samples; arms, sizes, seeds and patients can be added to a variant."""
        parts = [self.downstream]
        if self.steps is not None:
            parts.append(f"{self.steps}-steps")
        if self.share is not None:
            parts.append(f"share-{self.share:g}")
        if self.real_last:
            parts.append(f"real-last-{self.real_last}")
        if self.init is not None:
            parts.append(f"from-{Path(self.init).name}")
        return "-".join(parts)

    @property
    def without_samples(self) -> ExperimentSettings:
        """The settings of runs without synthetic slices: these runs do not depend on `share`, so variants share them."""
        return replace(self, share=None)

    @property
    def painting(self) -> dict[str, object]:
        """The settings that a pool depends on, beside its size."""
        return {"prior": self.prior, "seed": self.seed, "low_data_model": self.low_data_model}

    @property
    def training(self) -> dict[str, object]:
        """The settings that a run depends on, beside its arm, size, seed and patients."""
        names = ("downstream", "steps", "share", "real_last", "init", "tested")
        return {name: getattr(self, name) for name in names}


class _StoredSettings(BaseModel):
    """Any settings: which there are depends on the folder, and they are compared one by one."""

    model_config = ConfigDict(extra="allow")


def store_or_compare_settings(settings: Mapping[str, object], folder: Path) -> None:
    """Write `experiment.json` into the folder, or check that the file there has the same settings.

    Raises:
        RunError: the folder belongs to an experiment with other settings.
    """
    record = json.loads(json.dumps(dict(settings)))
    path = folder / SETTINGS
    if path.is_file():
        before = read_record(path, _StoredSettings).model_extra or {}
        for name, value in record.items():
            if before.get(name) != value:
                raise RunError(
                    f"{folder}: this experiment was begun with {name} {short(before.get(name))}, not {short(value)}; "
                    "use the same settings or choose another --out"
                )
        return
    write_json(path, record)
