"""Training the segmenter of the image alone, on a phantom or on patients, and scoring it patient by patient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.files import write_json
from lgesynthnet.model.checkpoint import halve
from lgesynthnet.model_store import part_folder
from lgesynthnet.overlap import dice
from lgesynthnet.records import Label, Skipped, Stack, scar_of, wall_of
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2
from lgesynthnet.segmenter.whole import CLASSES, ROLE, Segmenter, build_segmenter, decided
from lgesynthnet.train.loop import fit
from lgesynthnet.train.randomise import randomised
from lgesynthnet.train.recipes import recipe_named
from lgesynthnet.train.tasks import drawn_from
from lgesynthnet.train.whole import WholeSlices, whole_slices

CLASS_WEIGHTS = (1.0, 1.0, 2.0, 4.0, 4.0, 1.0)  # scar covers 0.3 % of an image
SCAR_DRAWS = 0.6  # share of a batch that holds scar
THRESHOLDS = tuple(round(0.2 + 0.1 * i, 1) for i in range(7))


class SegmenterTask:
    """Cross-entropy, and Dice of cavity, wall, scar and RV over the whole batch: over single images it teaches "no scar"."""

    def __init__(self, network: nn.Module, slices: WholeSlices) -> None:
        self.trained = network
        self.slices = slices
        self.scarred, self.healthy = np.flatnonzero(slices.scarred), np.flatnonzero(~slices.scarred)

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        index = drawn_from(self.scarred, self.healthy, SCAR_DRAWS, batch, rng)
        image = torch.from_numpy(self.slices.image[index].astype(np.float32) / 255)[:, None]
        labels = torch.from_numpy(self.slices.labels[index].astype(np.float32))[:, None]
        has_rv = torch.from_numpy(self.slices.has_rv[index])
        x, target = randomised(image, labels, torch.from_numpy(self.slices.centre[index]), has_rv, rng)
        device = next(self.trained.parameters()).device
        return segmentation_loss(self.trained(x.to(device)), target.to(device), has_rv.to(device))


def segmentation_loss(logits: Float[Tensor, "b 6 h w"], target: Int[Tensor, "b h w"], has_rv: Bool[Tensor, " b"]) -> Float[Tensor, ""]:
    """Cross-entropy plus Dice over the batch; where no RV is labelled, background and RV count as one class."""
    log_chance = torch.log_softmax(logits, dim=1)
    either = torch.logaddexp(log_chance[:, Label.BACKGROUND], log_chance[:, Label.RV])
    background = torch.where(has_rv[:, None, None], log_chance[:, Label.BACKGROUND], either)
    told = torch.cat([background[:, None], log_chance[:, 1:]], dim=1)
    entropy = functional.nll_loss(told, target, weight=logits.new_tensor(CLASS_WEIGHTS))
    chance, truth = log_chance.exp(), functional.one_hot(target, CLASSES).permute(0, 3, 1, 2).float()
    known = has_rv[:, None, None].float()
    parts = [  # the wall is scored with its scar, the scar with its no-reflow: as the field counts them
        (chance[:, Label.CAVITY], truth[:, Label.CAVITY]),
        (chance[:, Label.WALL : Label.RV].sum(1), truth[:, Label.WALL : Label.RV].sum(1)),
        (chance[:, Label.SCAR : Label.RV].sum(1), truth[:, Label.SCAR : Label.RV].sum(1)),
        (chance[:, Label.RV] * known, truth[:, Label.RV] * known),
    ]
    return entropy + torch.stack([1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1) for p, t in parts]).mean()


def train_segmenter(
    data: Cohort,
    work: Path,
    *,
    recipe: str = "cpu",
    patients: list[str] | None = None,
    validation: Cohort | None = None,
    validation_patients: list[str] | None = None,
    init: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[str, int, int, float], None] | None = None,
) -> dict[str, object]:
    """Train a segmenter into `WORK/segmenter/model`; the same call again goes on where it stopped.

    Args:
        patients: train on these patients of `data` only.
        validation, validation_patients: set the scar threshold and give the report its scores.
        init: go on from a segmenter's weights, or from those of a model that holds one ("phantom"), with shorter fine-tuning.
    Returns:
        The report, also written to `WORK/segmenter/report.json`.
    Raises:
        InputError: no usable slice, or none with scar.
        ModelError: `init` is no segmenter, or one of another size.
        RunError: `work` was begun with other data or settings.
    """
    sizes = recipe_named(recipe)
    torch.manual_seed(seed)

    def tell(stage: str, done: int, total: int, loss: float = 0.0) -> None:
        if progress is not None:
            progress(stage, done, total, loss)

    slices = whole_slices(data, work / "whole.safetensors", patients=patients, progress=lambda a, b: tell("prepare", a, b))
    if not slices.scarred.any():
        raise InputError(f"{data.root}: no slice with scar, so there is nothing to learn it from; add patients with scar labels")
    network = build_segmenter(sizes.segmenter_filters)
    origin = None
    if init is not None:
        start = Segmenter.from_pretrained(part_folder(init, ROLE))
        if start.filters != sizes.segmenter_filters:
            raise ModelError(f"{init}: has filters {start.filters}, recipe {recipe} wants {sizes.segmenter_filters}; use its own recipe")
        network.load_state_dict(start.network.state_dict())
        origin = start.fingerprint
    folder = work / "segmenter"
    loop = sizes.segmenter if init is None else sizes.segmenter_finetune
    task = SegmenterTask(network, slices)
    report = fit(
        task, loop, folder, seed=seed, origin=origin, device=device, progress=lambda done, total, loss: tell("segmenter", done, total, loss)
    )
    halve(network.cpu())
    made = Segmenter(network, sizes.segmenter_filters)
    if validation is not None:
        held_out = _stacks(validation, validation_patients)
        made.threshold = best_threshold(made, held_out)
        report |= {"threshold": made.threshold, **summary([score(made, stack) for stack in held_out])}
    made.save(folder / "model", half=True)
    report |= {"stage": "segmenter", "recipe": recipe, "seed": seed, "slices": len(slices), "patients": len(set(slices.patients))}
    report |= {"started_from": origin, "names": sorted(set(slices.patients))}
    write_json(folder / "report.json", report)
    return report


@dataclass(frozen=True, kw_only=True)
class PatientScore:
    """How a patient was segmented against the labels.

    Attributes:
        cavity, wall: Dice over all slices together; None where neither side has any.
        scar: Dice of each slice that holds scar (with no-reflow).
        false_scar_mm2: scar found on each slice of a labelled wall without scar.
    """

    patient: str
    cavity: float | None
    wall: float | None
    scar: list[float]
    false_scar_mm2: list[float]


def score(segmenter: Segmenter, stack: Stack) -> PatientScore:
    """Segment a patient and compare; slices without a labelled heart count for cavity and wall only."""
    return compared(segmenter.read_stack(stack.image, stack.spacing_mm), stack)


def compared(found: np.ndarray, stack: Stack) -> PatientScore:
    truth = stack.labels
    scar: list[float] = []
    false_mm2: list[float] = []
    for k in range(len(stack)):
        read, real = scar_of(found[:, :, k]), scar_of(truth[:, :, k])
        if real.any():
            scar.append(dice(read, real) or 0.0)
        elif wall_of(truth[:, :, k]).any():
            false_mm2.append(float(read.sum()) * stack.spacing_mm[0] * stack.spacing_mm[1])
    return PatientScore(
        patient=stack.patient,
        cavity=dice(found == Label.CAVITY, truth == Label.CAVITY),
        wall=dice(wall_of(found), wall_of(truth)),
        scar=scar,
        false_scar_mm2=false_mm2,
    )


def summary(scores: Iterable[PatientScore]) -> dict[str, float | None]:
    """Means: cavity and wall over patients, scar over slices that hold it, share of the others with more than 25 mm² of false scar."""
    rows = list(scores)
    found = {
        "dice_cavity": [s.cavity for s in rows if s.cavity is not None],
        "dice_wall": [s.wall for s in rows if s.wall is not None],
        "dice_scar": [d for s in rows for d in s.scar],
        "false_scar": [float(a > FALSE_SCAR_MM2) for s in rows for a in s.false_scar_mm2],
    }
    return {name: round(float(np.mean(values)), 4) if values else None for name, values in found.items()}


def best_threshold(segmenter: Segmenter, stacks: Iterable[Stack]) -> float:
    """The scar threshold with the best mean scar Dice less half the share of slices with false scar."""
    by_threshold: dict[float, list[PatientScore]] = {t: [] for t in THRESHOLDS}
    for stack in stacks:
        chance = segmenter.stack_probabilities(stack.image, stack.spacing_mm)
        for threshold, rows in by_threshold.items():
            rows.append(compared(decided(chance, stack.spacing_mm, threshold), stack))

    def merit(threshold: float) -> float:
        found = summary(by_threshold[threshold])
        return (found["dice_scar"] or 0.0) - 0.5 * (found["false_scar"] or 0.0)

    return max(THRESHOLDS, key=merit)


def _stacks(cohort: Cohort, patients: list[str] | None) -> list[Stack]:
    return [s for s in cohort.stacks() if not isinstance(s, Skipped) and (patients is None or s.patient in patients)]
