"""Training of heart segmenters, on simulated or real patients, and their scores, patient by patient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.devices import usable_device
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.files.writing import replaced_folder, write_json
from lgesynthnet.model.checkpoint import halve
from lgesynthnet.model_store import part_folder
from lgesynthnet.records import Label, Skipped, Stack
from lgesynthnet.segmenter.heart import CLASSES, ROLE, HeartSegmenter, build_heart_segmenter
from lgesynthnet.segmenter.scoring import best_threshold, score, summary
from lgesynthnet.terms import Stage
from lgesynthnet.train.augment.slices import randomised_crop
from lgesynthnet.train.batches import drawn_from
from lgesynthnet.train.examples.files import fingerprint_of
from lgesynthnet.train.examples.slices import SliceDataset, slice_dataset
from lgesynthnet.train.loop import LoopSettings, fit
from lgesynthnet.train.recipes import recipe_named
from lgesynthnet.train.request import NO_SCAR, TrainingData, TrainingRequest
from lgesynthnet.train.work import MODEL, REPORT, claimed_work, digest_of, finished_report, require_whole

CLASS_WEIGHTS = (1.0, 1.0, 2.0, 4.0, 4.0, 1.0)  # scar covers 0.3 % of an image
SCARRED_SHARE = 0.6  # share of slices with scar in a batch


class HeartSegmenterTask:
    """Cross-entropy, and Dice of cavity, wall, scar and RV over the batch (over single images it teaches "no scar")."""

    def __init__(self, network: nn.Module, slices: SliceDataset) -> None:
        self.trained = network
        self.slices = slices
        self.scarred, self.healthy = np.flatnonzero(slices.scarred), np.flatnonzero(~slices.scarred)

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        index = drawn_from(self.scarred, self.healthy, SCARRED_SHARE, batch, rng)
        image = torch.from_numpy(self.slices.image[index].astype(np.float32) / 255)[:, None]
        labels = torch.from_numpy(self.slices.labels[index].astype(np.float32))[:, None]
        has_rv = torch.from_numpy(self.slices.has_rv[index])
        x, target = randomised_crop(image, labels, torch.from_numpy(self.slices.centre[index]), has_rv, rng)
        device = next(self.trained.parameters()).device
        return heart_segmentation_loss(self.trained(x.to(device)), target.to(device), has_rv.to(device))


def heart_segmentation_loss(
    logits: Float[Tensor, "b 6 h w"],
    target: Int[Tensor, "b h w"],
    has_rv: Bool[Tensor, " b"],
    class_weights: Sequence[float] = CLASS_WEIGHTS,
) -> Float[Tensor, ""]:
    """Cross-entropy plus Dice over the batch; where no RV is labelled, background and RV count as one class.

    Args:
        logits: one channel for each `Label`.
        has_rv: which images have the RV labelled.
        class_weights: of the cross-entropy, one for each `Label`.
    """
    log_probability = torch.log_softmax(logits, dim=1)
    background_or_rv = torch.logaddexp(log_probability[:, Label.BACKGROUND], log_probability[:, Label.RV])
    background = torch.where(has_rv[:, None, None], log_probability[:, Label.BACKGROUND], background_or_rv)
    known_classes = torch.cat([background[:, None], log_probability[:, 1:]], dim=1)
    entropy = functional.nll_loss(known_classes, target, weight=logits.new_tensor(class_weights))
    probability, truth = log_probability.exp(), functional.one_hot(target, CLASSES).permute(0, 3, 1, 2).float()
    known = has_rv[:, None, None].float()
    parts = [  # the wall includes its scar, and the scar its no-reflow core, as usual in the literature
        (probability[:, Label.CAVITY], truth[:, Label.CAVITY]),
        (probability[:, Label.WALL : Label.RV].sum(1), truth[:, Label.WALL : Label.RV].sum(1)),
        (probability[:, Label.SCAR : Label.RV].sum(1), truth[:, Label.SCAR : Label.RV].sum(1)),
        (probability[:, Label.RV] * known, truth[:, Label.RV] * known),
    ]
    return entropy + torch.stack([1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1) for p, t in parts]).mean()


def train_heart_segmenter(request: TrainingRequest) -> dict[str, object]:
    """Train a heart segmenter; the same request again continues where the training stopped.

    Validation patients, where there are any, set the scar threshold, and the report gets their scores.

    Returns:
        The report, also written to `WORK/heart-segmenter/report.json`; the network is in `model/` beside it.
    Raises:
        InputError: there is no usable slice, or none with scar.
        ModelError: `init` is no heart segmenter, or has another size.
        RunError: the work folder was begun with other data or settings, or must not be resumed.
    """
    usable_device(request.device)
    with claimed_work(request.work):
        return _train_heart_segmenter(request)


def _train_heart_segmenter(request: TrainingRequest) -> dict[str, object]:
    stage, recipe = Stage.HEART_SEGMENTER.value, recipe_named(request.recipe)
    data, folder = request.data_for(stage), request.folder(stage)
    torch.manual_seed(request.seed)
    slices = _slices(request, data)
    if not slices.scarred.any():
        raise InputError(f"{data.cohort.root}: {NO_SCAR}")
    filters, origin = recipe.heart_segmenter_filters, None
    network = build_heart_segmenter(filters)
    if request.init is not None:
        require_whole(place := part_folder(request.init, ROLE), stage)
        start = HeartSegmenter.from_pretrained(place)
        if start.filters != filters:
            raise ModelError(f"{request.init}: has filters {start.filters}, recipe {request.recipe} wants {filters}; use its own recipe")
        network.load_state_dict(start.network.state_dict())
        origin = start.fingerprint
    loop = recipe.heart_segmenter if request.init is None else recipe.heart_segmenter_finetune
    decides = {"data": slices.fingerprint, "filters": filters}
    settings = LoopSettings(seed=request.seed, origin=origin, decides=decides, device=request.device, precision=request.precision)
    held_out_data = None if data.validation is None else fingerprint_of(data.validation, data.validation_patients)
    digest = digest_of({**settings.plan(loop), "held_out": held_out_data})
    finished = finished_report(folder, digest)
    if finished is not None:
        return finished
    report = fit(HeartSegmenterTask(network, slices), loop, folder, settings, on_progress=request.progress_of(stage))
    halve(network.cpu())
    segmenter = HeartSegmenter(network, filters)
    if data.validation is not None:
        held_out = _stacks(data.validation, data.validation_patients)
        segmenter.threshold = best_threshold(segmenter, held_out)
        report |= {"threshold": segmenter.threshold, **summary([score(segmenter, stack) for stack in held_out])}
    with replaced_folder(folder / MODEL) as new:
        segmenter.save(new, half=True)
    names = sorted(set(slices.patients))
    report |= {"stage": stage, "recipe": request.recipe, "seed": request.seed, "slices": len(slices), "patients": len(names)}
    report |= {"started_from": origin, "names": names, "settings": digest}
    write_json(folder / REPORT, report)
    return report


def _slices(request: TrainingRequest, data: TrainingData) -> SliceDataset:
    on_prepare = request.progress_of("prepare")
    return slice_dataset(
        data.cohort,
        request.work / "whole.safetensors",
        patients=data.patients,
        on_case=None if on_prepare is None else (lambda done, total: on_prepare(done, total, 0.0)),
        may_change=True,
        on_note=request.on_note,
    )


def _stacks(cohort: Cohort, patients: list[str] | None) -> list[Stack]:
    return [s for s in cohort.stacks() if not isinstance(s, Skipped) and (patients is None or s.patient in patients)]
