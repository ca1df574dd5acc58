"""The methods of the comparison, each trained where it is missing, all on the same patients."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lgesynthnet.benchmark.methods import NEEDED, STAGES
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import InputError
from lgesynthnet.generate.base import Generator
from lgesynthnet.model_store import part_folder, weights_folder
from lgesynthnet.terms import Context, Method, Role, Stage

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class TrainedMethods:
    """Where trained parts are found, and how those that are missing are made.

    Attributes:
        cohort, splits: the patients; everything learns from `train`, the auditor also from `audit`.
        work: what is trained here lies here.
        models: a model folder that may hold `inpainter/`, `spade-limited/`, `spade-full/`, `reward/`, `filter/`, `auditor/` already.
        control: the control stage without reward, where it lies somewhere else.
        init: weights that generators and readers start from.
    """

    cohort: Cohort
    splits: Mapping[str, list[str]]
    work: Path
    models: Path | None = None
    control: Path | None = None
    init: Path = Path("phantom")
    recipe: str = "cpu"
    seed: int = 0
    device: str = "auto"

    def missing(self, methods: list[Method]) -> list[str]:
        """Stages to train before these methods and the auditor can be asked, in order."""
        wanted = {stage for method in methods for stage in NEEDED.get(method.trained_as, ()) if self.find(method.trained_as) is None}
        if self.auditor() is None:
            wanted.add("scar-segmenter-auditor")
        return [stage for stage in STAGES if stage in wanted and not self._done(stage)]

    def train(self, stage: str, tell: Tell) -> None:
        """Train one stage; begun before, it goes on."""
        from lgesynthnet.train.generator.job import GeneratorOptions
        from lgesynthnet.train.request import TrainingData, TrainingRequest
        from lgesynthnet.train.segmenters.scar import train_scar_segmenter, training_patients
        from lgesynthnet.train.spade import train_spade
        from lgesynthnet.train.stages import train_generator

        val = self.splits.get("val")
        data = TrainingData(
            cohort=self.cohort,
            patients=list(self.splits["train"]),
            validation=self.cohort if val else None,
            validation_patients=val,
        )
        request = TrainingRequest(
            work=self.work,
            data=data,
            recipe=self.recipe,
            seed=self.seed,
            device=self.device,
            init=self.init,
            on_progress=lambda part, done, total, loss: tell(stage, done, total),
        )
        if stage.startswith("spade-"):
            train_spade(replace(request, init=None), Context(stage.removeprefix("spade-")))
        elif stage.startswith("scar-segmenter-"):
            role = Role(stage.removeprefix("scar-segmenter-"))
            patients = training_patients(role, self.splits)
            members = 2 if role is Role.AUDITOR else 1
            train_scar_segmenter(replace(request, data=replace(data, patients=patients)), role, members=members)
        elif stage == "template":
            train_generator(replace(request, work=self.work / stage), Stage.CONTROL, GeneratorOptions(template=True))
        else:
            train_generator(request, Stage(stage))

    def find(self, method: str) -> Path | None:
        """The folder of a trained method; None where it is not there, or needs no training."""
        if method == "controlnet":
            places = [self.control, self.work / "control" / "model"]
        elif method == "controlnet-template":
            places = [self.models and self.models / "template", self.work / "template" / "control" / "model"]
        elif method == "lgesynthnet":
            places = [self.models, self.work / "reward" / "model"]
        elif method in NEEDED:
            places = [self.models and self.models / method, self.work / method / "model"]
        else:
            return None
        return next((place for place in places if place is not None and _holds_weights(place)), None)

    def auditor(self) -> Path | None:
        """The auditor's folder."""
        return self._reader(Role.AUDITOR)

    def filter(self) -> Path | None:
        """The filter's folder."""
        return self._reader(Role.FILTER)

    def _reader(self, role: Role) -> Path | None:
        places = [place for place in (self.models, self.work) if place is not None]
        found = (part_folder(place, role.value) for place in places)
        return next((folder for folder in found if (folder / "config.json").is_file()), None)

    def _done(self, stage: str) -> bool:
        return (self.work / stage / ("control" if stage == "template" else ".") / "report.json").is_file()

    def scar_levels(self) -> Float[np.ndarray, " quantiles"]:
        """What brightness ranks mean in heart units: to our models here, which agree, else to the shipped one."""
        inside = (folder for folder in (self.find("lgesynthnet"), self.find("controlnet"), weights_folder() / "phantom") if folder)
        files = (folder / place / "conditioning.json" for folder in inside for place in ("inpainter", "."))
        return np.asarray(json.loads(next(path for path in files if path.is_file()).read_text())["scar_levels"])

    def painter(self, method: Method) -> Generator:
        """A method, ready to paint.

        Raises:
            InputError: it has not been trained yet.
        """
        from lgesynthnet.generate.inpainter import LGESynthNet, Sampling
        from lgesynthnet.generate.rivals import load_rival
        from lgesynthnet.hosts.donors import donor_bank

        if method is Method.COPY_PASTE:
            return load_rival("copy-paste", donors=donor_bank(self.cohort, self.splits["train"]))
        if method is Method.PASTE:
            return load_rival("paste")
        folder = self.find(method.trained_as)
        if folder is None:
            raise InputError(f"{self.work}: {method.trained_as} is not trained yet; run the same command without --no-training")
        if method.trained_as == Method.CONTROLNET_TEMPLATE:
            return load_rival("template", folder, donor_bank(self.cohort, self.splits["train"]), keep_host=not method.raw, device="cpu")
        if method.trained_as.startswith("spade-"):
            return load_rival(method.trained_as, folder, keep_host=not method.raw, device="cpu")
        return LGESynthNet.from_pretrained(folder, sampling=Sampling(keep_host=not method.raw), device=self.device)


def _holds_weights(folder: Path) -> bool:
    return any((folder / inside).is_file() for inside in ("config.json", "unet/config.json", "inpainter/unet/config.json"))
