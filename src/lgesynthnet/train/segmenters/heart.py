"""Training the segmenter of the image alone, on a phantom or on patients, and scoring it patient by patient."""

from __future__ import annotations

from collections.abc import Callable
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
from lgesynthnet.records import Label, Skipped, Stack
from lgesynthnet.segmenter.heart import CLASSES, ROLE, HeartSegmenter, build_heart_segmenter
from lgesynthnet.segmenter.scoring import best_threshold, score, summary
from lgesynthnet.train.augment.slices import randomised
from lgesynthnet.train.batches import drawn_from
from lgesynthnet.train.examples.slices import SliceDataset, slice_dataset
from lgesynthnet.train.loop import fit
from lgesynthnet.train.recipes import recipe_named

CLASS_WEIGHTS = (1.0, 1.0, 2.0, 4.0, 4.0, 1.0)  # scar covers 0.3 % of an image
SCAR_DRAWS = 0.6  # share of a batch that holds scar


class HeartSegmenterTask:
    """Cross-entropy, and Dice of cavity, wall, scar and RV over the whole batch: over single images it teaches "no scar"."""

    def __init__(self, network: nn.Module, slices: SliceDataset) -> None:
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
        return heart_segmentation_loss(self.trained(x.to(device)), target.to(device), has_rv.to(device))


def heart_segmentation_loss(
    logits: Float[Tensor, "b 6 h w"], target: Int[Tensor, "b h w"], has_rv: Bool[Tensor, " b"]
) -> Float[Tensor, ""]:
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


def train_heart_segmenter(
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

    slices = slice_dataset(data, work / "whole.safetensors", patients=patients, progress=lambda a, b: tell("prepare", a, b))
    if not slices.scarred.any():
        raise InputError(f"{data.root}: no slice with scar, so there is nothing to learn it from; add patients with scar labels")
    network = build_heart_segmenter(sizes.segmenter_filters)
    origin = None
    if init is not None:
        start = HeartSegmenter.from_pretrained(part_folder(init, ROLE))
        if start.filters != sizes.segmenter_filters:
            raise ModelError(f"{init}: has filters {start.filters}, recipe {recipe} wants {sizes.segmenter_filters}; use its own recipe")
        network.load_state_dict(start.network.state_dict())
        origin = start.fingerprint
    folder = work / "segmenter"
    loop = sizes.segmenter if init is None else sizes.segmenter_finetune
    task = HeartSegmenterTask(network, slices)
    report = fit(
        task, loop, folder, seed=seed, origin=origin, device=device, progress=lambda done, total, loss: tell("segmenter", done, total, loss)
    )
    halve(network.cpu())
    made = HeartSegmenter(network, sizes.segmenter_filters)
    if validation is not None:
        held_out = _stacks(validation, validation_patients)
        made.threshold = best_threshold(made, held_out)
        report |= {"threshold": made.threshold, **summary([score(made, stack) for stack in held_out])}
    made.save(folder / "model", half=True)
    report |= {"stage": "segmenter", "recipe": recipe, "seed": seed, "slices": len(slices), "patients": len(set(slices.patients))}
    report |= {"started_from": origin, "names": sorted(set(slices.patients))}
    write_json(folder / "report.json", report)
    return report


def _stacks(cohort: Cohort, patients: list[str] | None) -> list[Stack]:
    return [s for s in cohort.stacks() if not isinstance(s, Skipped) and (patients is None or s.patient in patients)]
