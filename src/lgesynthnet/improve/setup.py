"""One improvement: whose patients, which folds, and where its files lie. Nothing of validation or test patients is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lgesynthnet.benchmark.utility.runs import folds_of
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.splits import read_splits
from lgesynthnet.devices import check_device_name, training_precision
from lgesynthnet.errors import InputError, ModelError, RunError
from lgesynthnet.files.owned import require_outside
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.improve.misses import Levels
from lgesynthnet.improve.request import ImproveRequest
from lgesynthnet.model.settings import scar_levels
from lgesynthnet.model_store import exists, part_folder, patients_behind, shipped_or_path
from lgesynthnet.prescription.fitted_prior import FittedPrior, name_of
from lgesynthnet.prior.choosing import open_prior
from lgesynthnet.records import OnCase
from lgesynthnet.run.folder import HOSTS_CACHE
from lgesynthnet.segmenter.downstream import first_weights_part
from lgesynthnet.synthesis.painters import BASELINE, model_folder
from lgesynthnet.terms import Prior
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset, slice_dataset
from lgesynthnet.train.options import RANDOM_WEIGHTS
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, DownstreamTraining

TRAIN = "train"
MOST_FOLDS, LEAST_SCARRED = 3, 2
CONTROL, FINAL, SEGMENTER = "control", "final", "segmenter"


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """The real slices, with the samples of some runs.

    Attributes:
        name: its folder in `RUN/work`.
        runs: names of the run folders whose kept samples are added.
    """

    name: str
    runs: tuple[str, ...] = ()

    @classmethod
    def of_round(cls, number: int) -> TrainingSet:
        """That of a round: the samples of all rounds so far. Round 0 has none."""
        return cls(name=round_name(number), runs=tuple(round_name(earlier) for earlier in range(1, number + 1)))


def control_name(samples: int) -> str:
    """Name of the run and of the trainings of random prescriptions; a later command may need another number of them."""
    return f"{CONTROL}-{samples}"


def round_name(number: int) -> str:
    """Name of a round's run folder and of its trainings."""
    return f"round-{number}"


@dataclass(frozen=True, kw_only=True)
class Improvement:
    """The settings and folders of one `improve` command.

    Attributes:
        out: the folder that it writes into.
        patients: names of the patients of the part `train`.
        prior: the population from which the scars are drawn.
    """

    request: ImproveRequest
    out: Path
    patients: tuple[str, ...]
    prior: Prior | FittedPrior

    @classmethod
    def of(cls, request: ImproveRequest, out: Path) -> Improvement:
        """Check everything that can be checked before a voxel is read.

        Raises:
            InputError: the splits have no part `train`, a patient of it is not in the folder, or the file of the prior cannot be used.
            ModelError: there is no such model, or there are no first weights of this kind.
            RunError: a model has met one of the patients, or `out` lies in a folder that is only read.
        """
        check_device_name(request.device)
        splits = read_splits(request.splits)
        if not splits.get(TRAIN):
            raise InputError(f'{request.splits}: has no patients in "{TRAIN}" (it has {", ".join(splits) or "no parts"}); add the part')
        prior = open_prior(request.prior, None if request.model == BASELINE else request.model)
        made = cls(request=request, out=out, patients=tuple(sorted(splits[TRAIN])), prior=prior)
        cohort = made.cohort()
        if absent := sorted(set(made.patients) - {case.patient for case in cohort.cases}):
            raise InputError(
                f"{request.splits}: {', '.join(absent[:5])} of {TRAIN} {'is' if len(absent) == 1 else 'are'} not in {request.data.root}; "
                "give the folder that was split, or take the names out"
            )
        for folder in cohort.folders:
            require_outside(out, "patients", folder)
        _check_models(request, {name for names in splits.values() for name in names})
        return made

    def cohort(self) -> Cohort:
        """The training patients, and nobody else."""
        return replace(self.request.data, patients=self.patients).open()

    def decisive(self) -> dict[str, object]:
        """Everything that decides the bytes of the folder; what may be raised later (rounds) or added (control) is not among it."""
        request = self.request
        return {
            "train": list(self.patients),
            "count": request.count,
            "model": request.model if request.model == BASELINE else str(shipped_or_path(request.model).name),
            "prior": name_of(self.prior),
            "hard_below": request.hard_below,
            "init": request.init,
            "wall_from": request.wall_from.value,
            "recipe": request.recipe.value,
            "steps": request.steps,
            "folds": request.folds,
            "seed": request.seed,
        }

    def training(self) -> DownstreamTraining:
        """How every segmenter is trained."""
        request = self.request
        recipe = DOWNSTREAM[request.recipe.value]
        if request.steps is not None:
            recipe = replace(recipe, loop=replace(recipe.loop, steps=request.steps))
        return DownstreamTraining(
            recipe=recipe,
            wall_from=request.wall_from,
            init=request.first_weights,
            seed=request.seed,
            device=request.device,
            precision=training_precision(request.device),
        )

    @property
    def prepared(self) -> Path:
        """Folder of prepared slices, and of the orientation of the hearts."""
        return self.out / "prepared"

    def work(self, name: str, fold: int | None = None) -> Path:
        """Folder of the trainings of a training set, or of one of its folds."""
        folder = self.out / "work" / name
        return folder if fold is None else folder / f"fold-{fold}"

    def prepare(self, on_case: OnCase | None = None) -> SliceDataset:
        """The real slices of the training patients, prepared on the first call.

        Raises:
            InputError: fewer than two of them have scar, or none of their slices is free of it.
        """
        real = slice_dataset(self.cohort(), self._real_path, patients=list(self.patients), on_case=on_case)
        require_enough(real, self.request)
        return real

    def real(self) -> SliceDataset:
        """The same after `prepare`."""
        return read_slice_dataset(self._real_path)

    @property
    def _real_path(self) -> Path:
        return self.prepared / "real.safetensors"

    def folds(self, real: SliceDataset) -> list[list[str]]:
        """Names of the patients that each fold holds out."""
        return folds_of(real, fold_count(real, self.request), seed=self.request.seed)

    def find_hosts(self, patients: tuple[str, ...] | None = None) -> HostPool:
        """The slices of these patients (None: of all training patients) whose heart can be located, with scar or without."""
        source = replace(self.request.data, patients=self.patients if patients is None else patients)
        return find_hosts(source.open(), with_scar=True, least_confidence=0.0, cache=self.prepared / HOSTS_CACHE)

    def brightness_levels(self) -> Levels | None:
        """Brightness of the generator's training scars in heart units; None for a generator that was not trained."""
        if self.request.model == BASELINE:
            return None
        return np.asarray(scar_levels(self.request.model))


def scarred_patients(real: SliceDataset) -> list[str]:
    """Names of the patients with scar, sorted."""
    return sorted(name for name, has_scar in real.has_scar.items() if has_scar)


def require_enough(real: SliceDataset, request: ImproveRequest) -> None:
    """Check that the patients make folds and hosts.

    Raises:
        InputError: they do not.
    """
    scarred = scarred_patients(real)
    if len(scarred) < LEAST_SCARRED:
        raise InputError(
            f"{request.splits}: {len(scarred)} of the patients in {TRAIN} have scar, and {LEAST_SCARRED} are needed to hold one out; "
            "label the scar of more patients"
        )
    if request.folds is not None and request.folds > len(scarred):
        raise InputError(f"--folds {request.folds}: only {len(scarred)} patients have scar, and each fold holds one out; give fewer")
    if not real.free_of_scar.any():
        raise InputError(
            f"{request.splits}: every labelled slice of {TRAIN} holds scar, so there is nothing to paint into, and no false-positive rate; "
            "add patients with slices that are free of scar"
        )


def fold_count(real: SliceDataset, request: ImproveRequest) -> int:
    """Number of folds: each holds out a patient with scar."""
    return request.folds if request.folds is not None else min(MOST_FOLDS, len(scarred_patients(real)))


def _check_models(request: ImproveRequest, patients: set[str]) -> None:
    """No model may have met a patient: the folds would flatter it, and a test would be worth nothing."""
    if request.first_weights is not None:
        part = first_weights_part(request.wall_from)
        if not exists(part_folder(request.first_weights, part) / "config.json"):
            raise ModelError(f"--init {request.init}: holds no {part}; give a folder that does, or --init none for random first weights")
    if request.model != BASELINE:
        model_folder(request.model)
    for option, model in (("--model", request.model), ("--init", request.init)):
        if model in (BASELINE, RANDOM_WEIGHTS):
            continue
        behind = patients_behind(model)
        if behind is None:
            raise RunError(
                f"{option} {model}: has no record of its training patients, so nobody can say whether it has met those of the splits; "
                "train it again with --splits, or use phantom"
            )
        if met := sorted(behind & patients):
            raise RunError(
                f"{option} {model}: was trained on patients of the splits: {', '.join(met[:5])}. Held-out patients would not be new to it; "
                "use a model that has not met them, such as phantom"
            )
