"""The compared methods: finds the trained ones and trains those that are missing, all on the same patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lgesynthnet.benchmark.methods import STAGES, STAGES_OF_METHOD
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.generate.base import Generator
from lgesynthnet.model_store import part_folder, read_settings, weights_folder
from lgesynthnet.terms import Context, Method, Role, Stage

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, and how many steps of how many are done."""


@dataclass(frozen=True, kw_only=True)
class TrainedMethods:
    """Where the trained parts of the methods are, and how to train those that are missing.

    Attributes:
        source: the patients, with scar labels.
        splits: patient names by part. All methods are trained on `train`; the auditor is trained on `audit` too.
        work: work folder of what is trained here.
        models: a model folder that may already hold `inpainter/`, `spade-limited/`, `spade-full/`, `template/`, `reward/`, `filter/` or
            `auditor/`.
        control: folder of the trained control stage without reward, if it is not in `work`.
        init: weights that generators and scar segmenters start from.
        recipe: name of the training recipe.
    """

    source: CohortSource
    splits: Mapping[str, list[str]]
    work: Path
    models: Path | None = None
    control: Path | None = None
    init: Path = Path("phantom")
    recipe: str = "cpu"
    seed: int = 0
    device: str = "auto"

    @cached_property
    def cohort(self) -> Cohort:
        return self.source.open()

    def missing(self, methods: Sequence[Method]) -> list[str]:
        """The stages still to train for these methods and the auditor, in the order of training."""
        needed = {
            stage
            for method in methods
            for stage in STAGES_OF_METHOD.get(method.trained_as, ())
            if self.folder_of(method.trained_as) is None
        }
        if self.auditor() is None:
            needed.add("scar-segmenter-auditor")
        return [stage for stage in STAGES if stage in needed and not self._is_trained(stage)]

    def train(self, stage: str, on_progress: OnProgress) -> None:
        """Train one stage, or resume its training."""
        with claimed(self.work, FolderKind.WORK):  # of a stage in a folder of its own inside it, too
            self._train(stage, on_progress)

    def _train(self, stage: str, on_progress: OnProgress) -> None:
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
            on_progress=lambda part, done, total, loss: on_progress(stage, done, total),
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

    def folder_of(self, method: str) -> Path | None:
        """The folder of a trained method, by `Method.trained_as`. None if it is not trained or needs no training."""
        if method == "controlnet":
            folders = [self.control, self.work / "control" / "model"]
        elif method == "controlnet-template":
            folders = [self.models and self.models / "template", self.work / "template" / "control" / "model"]
        elif method == "lgesynthnet":
            folders = [self.models, self.work / "reward" / "model"]
        elif method in STAGES_OF_METHOD:
            folders = [self.models and self.models / method, self.work / method / "model"]
        else:
            return None
        return next((folder for folder in folders if folder is not None and _holds_weights(folder)), None)

    def auditor(self) -> Path | None:
        """The folder of the auditor; None if there is none yet."""
        return self._scar_segmenter(Role.AUDITOR)

    def filter(self) -> Path | None:
        """The folder of the filter; None if there is none yet."""
        return self._scar_segmenter(Role.FILTER)

    def _scar_segmenter(self, role: Role) -> Path | None:
        folders = (part_folder(parent, role.value) for parent in (self.models, self.work) if parent is not None)
        return next((folder for folder in folders if (folder / "config.json").is_file()), None)

    def _is_trained(self, stage: str) -> bool:
        return (self.work / stage / ("control" if stage == "template" else ".") / "report.json").is_file()

    def scar_levels(self) -> Float[np.ndarray, " quantiles"]:
        """Scar intensities in heart units at evenly spaced ranks, as the trained models define them, else the shipped model.

        Our generator and the ControlNet are trained on the same patients, so their levels are equal.
        """
        folders = (
            folder for folder in (self.folder_of("lgesynthnet"), self.folder_of("controlnet"), weights_folder() / "phantom") if folder
        )
        from lgesynthnet.model.settings import Conditioning

        files = (folder / place / "conditioning.json" for folder in folders for place in ("inpainter", "."))
        path = next(path for path in files if path.is_file())
        return np.asarray(read_settings(path, Conditioning).scar_levels)

    def generator(self, method: Method) -> Generator:
        """The generator of a method, loaded.

        Raises:
            InputError: it is not trained yet.
        """
        from lgesynthnet.generate.inpainter import LGESynthNet, Sampling
        from lgesynthnet.generate.rivals import load_rival
        from lgesynthnet.hosts.donors import donor_bank

        if method is Method.COPY_PASTE:
            return load_rival("copy-paste", donors=donor_bank(self.cohort, self.splits["train"]))
        if method is Method.PASTE:
            return load_rival("paste")
        folder = self.folder_of(method.trained_as)
        if folder is None:
            stages = ", ".join(STAGES_OF_METHOD[method.trained_as])
            raise InputError(f"{self.work}: {method.trained_as} is not trained yet; first train its stages: {stages}")
        if method.trained_as == Method.CONTROLNET_TEMPLATE:
            return load_rival("template", folder, donor_bank(self.cohort, self.splits["train"]), keep_host=not method.raw, device="cpu")
        if method.trained_as.startswith("spade-"):
            return load_rival(method.trained_as, folder, keep_host=not method.raw, device="cpu")
        return LGESynthNet.from_pretrained(folder, sampling=Sampling(keep_host=not method.raw), device=self.device)


def _holds_weights(folder: Path) -> bool:
    return any((folder / path).is_file() for path in ("config.json", "unet/config.json", "inpainter/unet/config.json"))
