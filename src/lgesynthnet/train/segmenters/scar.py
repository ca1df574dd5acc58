"""Training and calibration of scar segmenters: strong augmentation, and Dice over the batch (over single images it teaches "no scar")."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from monai.losses import DiceLoss
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.conditioning.working_grid import PIXEL_MM
from lgesynthnet.devices import usable_device
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.files.writing import replaced_folder, write_json
from lgesynthnet.model.checkpoint import halve
from lgesynthnet.model_store import part_folder
from lgesynthnet.records import Label
from lgesynthnet.segmenter.calibration import ReadSlice, best_threshold, reliability
from lgesynthnet.segmenter.networks import OUT_CHANNELS, build_network
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Precision, Role, Stage
from lgesynthnet.train.augment.roi import augmented
from lgesynthnet.train.batches import drawn_from
from lgesynthnet.train.examples.files import fingerprint_of
from lgesynthnet.train.examples.prepare import ExampleFile
from lgesynthnet.train.examples.roi import Examples
from lgesynthnet.train.generator.job import scar_segmenter_folder
from lgesynthnet.train.loop import LoopSettings, fit
from lgesynthnet.train.recipes import ScarSegmenterRecipe, recipe_named
from lgesynthnet.train.report import about_training
from lgesynthnet.train.request import NO_SCAR, TrainingData, TrainingRequest
from lgesynthnet.train.work import MODEL, REPORT, claimed_work, digest_of, finished_report, owned_work, require_whole

SCARRED_SHARE = 0.5  # share of slices with scar in a batch; the others teach what is no scar
REHEARSED_SHARE = 0.5  # share of the slices in a batch that come from the rehearsed patients, where there are any
PARTS_OF = {Role.REWARD: ("train",), Role.FILTER: ("train",), Role.AUDITOR: ("train", "audit")}


def training_patients(role: Role, splits: Mapping[str, list[str]], *, parts: Sequence[str] = (), place: str = "splits") -> list[str] | None:
    """Patients that a scar segmenter learns from: part `train`, for the auditor also `audit`. None (all patients) without splits.

    Args:
        splits: names of patients by part.
        parts: take these parts instead.
        place: where the splits come from, for the error message.
    Raises:
        InputError: a part does not exist, or must not be trained on: `test` measures, and `val` sets the threshold.
    """
    for part, use in (("test", "measures what was trained"), ("val", "sets the threshold")):
        if part in parts:
            raise InputError(f'{place}: no segmenter is trained on "{part}", which {use}; choose other --parts')
    if missing := [part for part in parts if part not in splits]:
        raise InputError(f"{place}: has no part {', '.join(missing)}; it has {', '.join(splits) or 'none'}")
    if not splits:
        return None
    chosen = parts or [part for part in PARTS_OF[role] if part in splits]
    if not chosen:  # all patients would include those that the splits keep apart
        raise InputError(f'{place}: has no part "{PARTS_OF[role][0]}" to train on; it has {", ".join(splits)}')
    return [name for part in chosen for name in splits[part]]


@dataclass(frozen=True, kw_only=True)
class ScarSegmenterSettings:
    """How a scar segmenter is trained.

    Attributes:
        role: what it will be used for; its architecture follows from it.
        recipe: its size and its loops.
        members: number of networks whose mean it is; their seeds are `seed`, `seed + 1`, ...
        init: a scar segmenter of the same role and width to start from, or a model that holds one ("phantom"); the recipe's `finetune` loop
            then applies.
    """

    role: Role
    recipe: ScarSegmenterRecipe
    members: int = 1
    init: Path | None = None
    seed: int = 0
    device: str = "auto"
    precision: Precision = Precision.NO


def train_scar_segmenter(request: TrainingRequest, role: Role = Role.FILTER, *, members: int = 1) -> dict[str, object]:
    """Train a scar segmenter; the same request again continues where the training stopped.

    Args:
        role, members: see `ScarSegmenterSettings`.
    Returns:
        The report, also written to `WORK/scar-segmenter-ROLE/report.json`; the network is in `model/` beside it.
    Raises:
        InputError: there is no usable slice, or none with scar.
        ModelError: `init` does not fit.
        RunError: the work folder was begun with other data or settings, or must not be resumed.
    """
    usable_device(request.device)
    with claimed_work(request.work):
        return _train_scar_segmenter(request, role, members)


def _train_scar_segmenter(request: TrainingRequest, role: Role, members: int) -> dict[str, object]:
    name = scar_segmenter_folder(role)
    data, folder = request.data_for(name), request.folder(name)
    shared = ExampleFile(request.work / "examples.safetensors")
    # A scar segmenter may learn from other patients than the generator in the same work folder (decision 0008).
    own = _is_of_others(shared, data)
    file = ExampleFile(folder / "examples.safetensors") if own else shared
    examples = file.load_or_build(data.cohort, data.patients, request.on_progress, request.on_note)
    if not examples.scarred.any():
        raise InputError(f"{data.cohort.root}: {NO_SCAR}")
    held_out = None
    if data.validation is not None:
        validation = ExampleFile(request.work / "validation.safetensors")
        held_out = validation.load_or_build(data.validation, data.validation_patients, request.on_progress, request.on_note)
    rehearsed = None
    if data.rehearsed is not None:
        rehearsed = ExampleFile(folder / "rehearsed.safetensors").load_or_build(data.rehearsed, None, request.on_progress, request.on_note)
    settings = ScarSegmenterSettings(
        role=role,
        recipe=recipe_named(request.recipe).scar_segmenters[role],
        members=members,
        init=request.init,
        seed=request.seed,
        device=request.device,
        precision=request.precision,
    )
    on_progress = request.progress_of(Stage.SCAR_SEGMENTER.value)
    report = fit_scar_segmenter(examples, folder, settings, held_out=held_out, rehearsed=rehearsed, on_progress=on_progress)
    report |= about_training(request, Stage.SCAR_SEGMENTER.value, examples)
    if rehearsed is not None:
        report |= {"rehearsed": rehearsed.fingerprint}
    write_json(folder / REPORT, report)
    return report


def _is_of_others(shared: ExampleFile, data: TrainingData) -> bool:
    """Whether the file that the stages share was made of other patients, and some stage needs it as it is."""
    try:
        fingerprint = shared.fingerprint
    except InputError:
        return False  # missing or damaged
    return fingerprint != fingerprint_of(data.cohort, data.patients)


def fit_scar_segmenter(
    examples: Examples,
    folder: Path,
    settings: ScarSegmenterSettings,
    *,
    held_out: Examples | None = None,
    rehearsed: Examples | None = None,
    on_progress: Callable[[int, int, float], None] | None = None,
) -> dict[str, object]:
    """Train the members one after the other, calibrate their mean, and write `FOLDER/model`.

    Args:
        held_out: examples that set the threshold; without them the training examples do, and the report says so.
        rehearsed: examples of other patients, from which half of each batch is drawn. Fine-tuning on infarcts alone makes a segmenter
            forget the thin scars that it has learnt.
    Raises:
        ModelError: `init` has another role or width.
        RunError: `folder` was begun from another scar segmenter, or with other settings.
    """
    with owned_work(folder):
        return _fit_members(_Sources(examples, held_out, rehearsed), folder, settings, on_progress)


@dataclass(frozen=True)
class _Sources:
    """The examples that a scar segmenter learns from, those that set its threshold, and those that it rehearses."""

    examples: Examples
    held_out: Examples | None
    rehearsed: Examples | None

    @property
    def fingerprints(self) -> dict[str, str | None]:
        """Of what decides the weights, by name; a training that rehearses nothing has the record that it always had."""
        of_rehearsed = {} if self.rehearsed is None else {"rehearsed": self.rehearsed.fingerprint}
        return {"data": self.examples.fingerprint, **of_rehearsed}


def _fit_members(
    sources: _Sources,
    folder: Path,
    settings: ScarSegmenterSettings,
    on_progress: Callable[[int, int, float], None] | None,
) -> dict[str, object]:
    role, recipe, init = settings.role, settings.recipe, settings.init
    start = None
    if init is not None:
        require_whole(place := part_folder(init, role.value), f"scar-segmenter --role {role}")
        start = TrainedScarSegmenter.from_pretrained(place, role)
    if start is not None and start.width != recipe.width:
        raise ModelError(f"{init}: has width {start.width}, this recipe trains width {recipe.width}; choose the --recipe it was made with")
    origin = None if start is None else start.fingerprint
    steps = recipe.train if start is None else recipe.finetune
    held_out = sources.held_out
    loops = [replace(_loop_settings(settings, sources, origin, i), stage=folder) for i in range(settings.members)]
    of_calibration = {"views": recipe.views, "held_out": None if held_out is None else held_out.fingerprint}
    digest = digest_of({"members": [loop.plan(steps) for loop in loops], **of_calibration})
    finished = finished_report(folder, digest)
    if finished is not None:
        return finished
    networks, reports = [], []
    for i, loop in enumerate(loops):
        torch.manual_seed(loop.seed)
        network = build_network(role, recipe.width)
        if start is not None:
            network.load_state_dict(start.networks[i % len(start.networks)].state_dict())
        task = ScarSegmenterTask(network, sources.examples, rehearsed=sources.rehearsed, strength=recipe.augmentation)
        reports.append(fit(task, steps, folder / f"member-{i}", loop, on_progress=on_progress))
        networks.append(halve(network.cpu()))
    segmenter = TrainedScarSegmenter(networks, role, width=recipe.width, views=recipe.views)
    calibration = calibrate(segmenter, held_out or sources.examples) | {"on": "validation" if held_out else "training"}
    with replaced_folder(folder / MODEL) as new:
        segmenter.save(new)
        write_json(new / "calibration.json", calibration)
    scores = {name: value for name, value in calibration.items() if name != "reliability"}
    about = {"role": role.value, "members": settings.members, "loop": reports, "started_from": origin, "settings": digest}
    return about | scores


def _loop_settings(settings: ScarSegmenterSettings, sources: _Sources, origin: str | None, member: int) -> LoopSettings:
    sizes = {"width": settings.recipe.width, "augmentation": settings.recipe.augmentation, "role": settings.role}
    return LoopSettings(
        seed=settings.seed + member,
        origin=origin,
        decides={**sources.fingerprints, **sizes},
        device=settings.device,
        precision=settings.precision,
    )


class ScarSegmenterTask:
    """Cross-entropy and soft Dice over the batch, both inside the wall; slices with and without scar in a fixed ratio."""

    def __init__(self, network: nn.Module, examples: Examples, *, rehearsed: Examples | None = None, strength: float = 1.0) -> None:
        self.trained, self.examples, self.rehearsed, self.strength = network, examples, rehearsed, strength

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        drawn = [self._drawn(self.examples, batch, rng)]
        if self.rehearsed is not None:
            of_rehearsed = round(batch * REHEARSED_SHARE)
            drawn = [self._drawn(self.examples, batch - of_rehearsed, rng), self._drawn(self.rehearsed, of_rehearsed, rng)]
        stack, target = augmented(torch.cat([s for s, _ in drawn]), torch.cat([t for _, t in drawn]), rng, strength=self.strength)
        device = next(self.trained.parameters()).device
        stack, target = stack.to(device), target.to(device)
        return scar_segmentation_loss(self.trained(stack), target, stack[:, 2] > 0.5)

    @staticmethod
    def _drawn(examples: Examples, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        scarred, healthy = np.flatnonzero(examples.scarred), np.flatnonzero(~examples.scarred)
        return to_stack(examples, drawn_from(scarred, healthy, SCARRED_SHARE, count, rng))


def scar_segmentation_loss(
    logits: Float[Tensor, "b 3 128 128"], target: Int[Tensor, "b 128 128"], wall: Bool[Tensor, "b 128 128"]
) -> Float[Tensor, ""]:
    """Cross-entropy and soft Dice inside the wall.

    Dice is computed over the batch: averaged over slices it rewards finding nothing, because most slices have little scar. There is one
    Dice of scar with its no-reflow core and one of the core alone; the first has more weight, because experts do not always draw the core.

    Args:
        logits: healthy, scar, no-reflow.
        target: 0 healthy, 1 scar, 2 no-reflow.
    """
    entropy = functional.cross_entropy(logits, target, reduction="none")[wall].mean()
    probability = torch.softmax(logits, dim=1)[:, 1:] * wall[:, None]
    truth = functional.one_hot(target, OUT_CHANNELS).permute(0, 3, 1, 2)[:, 1:] * wall[:, None]
    whole_and_core = [torch.stack([scar.sum(1), scar[:, 1]], dim=1) for scar in (probability, truth.float())]
    overlap = DiceLoss(batch=True, smooth_nr=1.0, smooth_dr=1.0, weight=[1.5, 0.5])
    loss: Tensor = entropy + overlap(*whole_and_core)
    return loss


def to_stack(examples: Examples, chosen: Int[np.ndarray, " b"]) -> tuple[Float[Tensor, "b 3 128 128"], Int[Tensor, "b 128 128"]]:
    """Input (image in heart units, cavity, wall) and target (0 healthy, 1 scar, 2 no-reflow) of the chosen examples."""
    labels = examples.labels[chosen]
    wall = labels >= Label.WALL
    stack = np.stack([examples.image[chosen].astype(np.float32), labels == Label.CAVITY, wall], axis=1).astype(np.float32)
    target = np.where(labels == Label.SCAR, 1, np.where(labels == Label.NO_REFLOW, 2, 0))
    return torch.from_numpy(stack), torch.from_numpy(target)


@torch.no_grad()
def calibrate(segmenter: TrainedScarSegmenter, examples: Examples, *, batch: int = 32) -> dict[str, object]:
    """Set the segmenter's threshold by `best_threshold`; returns the scores at it, the calibration error and the reliability curve."""
    slices = []
    for start in range(0, len(examples), batch):
        chosen = np.arange(start, min(start + batch, len(examples)))
        stack, target = to_stack(examples, chosen)
        probability = segmenter.grid_probabilities(stack)[:, 1:].sum(1)
        for i, of_slice, truth, wall in zip(chosen, probability, target, stack[:, 2] > 0.5, strict=True):
            inside, scar = of_slice[wall].numpy(), (truth[wall] > 0).numpy()
            slices.append(ReadSlice(patient=examples.patients[i], probability=inside, truth=scar, pixel_mm2=PIXEL_MM**2))
    best = best_threshold(slices)
    segmenter.threshold = best.threshold
    bins, error = reliability(slices)
    return _rounded(asdict(best) | {"calibration_error": error}) | {"reliability": [_rounded(asdict(b)) for b in bins]}


def _rounded(record: dict[str, object]) -> dict[str, object]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in record.items()}
