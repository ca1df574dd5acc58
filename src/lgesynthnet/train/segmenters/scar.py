"""Training and calibrating a reader: strong augmentation, Dice over the batch (over single images it teaches "no scar")."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from monai.losses import DiceLoss
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.conditioning.working_grid import PIXEL_MM
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.files import write_json
from lgesynthnet.model.checkpoint import halve
from lgesynthnet.model_store import part_folder
from lgesynthnet.records import Label
from lgesynthnet.segmenter.calibration import ReadSlice, best_threshold, reliability
from lgesynthnet.segmenter.networks import OUT_CHANNELS, build_network
from lgesynthnet.segmenter.reader import TrainedScarSegmenter
from lgesynthnet.terms import Role
from lgesynthnet.train.augment.roi import augmented
from lgesynthnet.train.batches import drawn_from
from lgesynthnet.train.examples.roi import Examples
from lgesynthnet.train.loop import fit
from lgesynthnet.train.recipes import ReaderRecipe

SCARRED_SHARE = 0.5  # of a batch: half its slices must teach when to say nothing
PARTS_OF = {Role.REWARD: ("train",), Role.FILTER: ("train",), Role.AUDITOR: ("train", "audit")}


def training_patients(role: Role, splits: Mapping[str, list[str]], *, parts: Sequence[str] = (), place: str = "splits") -> list[str] | None:
    """Whom a reader may learn from: `train`, the auditor also `audit`; None (everyone) without splits.

    Args:
        parts: take these instead, as in the check with an auditor trained on `audit` alone.
    Raises:
        InputError: a part that is not there, or one that must not be trained on: `test` measures, `val` sets the threshold.
    """
    for part, use in (("test", "measures what was trained"), ("val", "sets the threshold")):
        if part in parts:
            raise InputError(f'{place}: no reader is trained on "{part}", which {use}; choose other --parts')
    if missing := [part for part in parts if part not in splits]:
        raise InputError(f"{place}: has no part {', '.join(missing)}; it has {', '.join(splits) or 'none'}")
    if not splits:
        return None
    chosen = parts or [part for part in PARTS_OF[role] if part in splits]
    if not chosen:  # everyone would include whom the splits mean to keep apart
        raise InputError(f'{place}: has no part "{PARTS_OF[role][0]}" to train on; it has {", ".join(splits)}')
    return [name for part in chosen for name in splits[part]]


def train_scar_segmenter(
    role: Role,
    examples: Examples,
    recipe: ReaderRecipe,
    folder: Path,
    *,
    held_out: Examples | None = None,
    init: Path | None = None,
    members: int = 1,
    seed: int = 0,
    device: str = "auto",
    tell: Callable[[int, int, float], None] | None = None,
) -> dict[str, object]:
    """Train the members one after the other, each with its own seed, calibrate their mean and write `FOLDER/model`.

    Args:
        held_out: examples that set the threshold; without them the training examples do, and the report says so.
        init: a reader of the same role and width to start from, or a model that holds one ("phantom"); the recipe's `finetune`
            settings then apply.
    Raises:
        ModelError: `init` is of another role or width.
        RunError: `folder` was begun from another reader, or with other settings.
    """
    start = None if init is None else TrainedScarSegmenter.from_pretrained(part_folder(init, role.value), role)
    if start is not None and start.width != recipe.width:
        raise ModelError(f"{init}: has width {start.width}, this recipe trains width {recipe.width}; choose the --recipe it was made with")
    origin = None if start is None else start.fingerprint
    networks, reports = [], []
    for i in range(members):
        torch.manual_seed(seed + i)
        network = build_network(role, recipe.width)
        if start is not None:
            network.load_state_dict(start.networks[i % len(start.networks)].state_dict())
        task = ScarSegmenterTask(network, examples, strength=recipe.augmentation)
        settings = recipe.train if start is None else recipe.finetune
        reports.append(fit(task, settings, folder / f"member-{i}", seed=seed + i, origin=origin, device=device, progress=tell))
        networks.append(halve(network.cpu()))
    reader = TrainedScarSegmenter(networks, role, width=recipe.width, views=recipe.views)
    calibration = calibrate(reader, held_out or examples) | {"on": "validation" if held_out else "training"}
    reader.save(folder / "model")
    write_json(folder / "model" / "calibration.json", calibration)
    scores = {name: value for name, value in calibration.items() if name != "reliability"}
    return {"role": role.value, "members": members, "loop": reports, "started_from": origin} | scores


class ScarSegmenterTask:
    """Cross-entropy and soft Dice over the batch, both inside the wall; scarred and scar-free slices in a fixed ratio."""

    def __init__(self, network: nn.Module, examples: Examples, *, strength: float = 1.0) -> None:
        self.trained, self.examples, self.strength = network, examples, strength
        self.scarred, self.healthy = np.flatnonzero(examples.scarred), np.flatnonzero(~examples.scarred)

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        chosen = drawn_from(self.scarred, self.healthy, SCARRED_SHARE, batch, rng)
        stack, target = augmented(*to_stack(self.examples, chosen), rng, strength=self.strength)
        device = next(self.trained.parameters()).device
        stack, target = stack.to(device), target.to(device)
        return scar_segmentation_loss(self.trained(stack), target, stack[:, 2] > 0.5)


def scar_segmentation_loss(
    logits: Float[Tensor, "b 3 128 128"], target: Int[Tensor, "b 128 128"], wall: Bool[Tensor, "b 128 128"]
) -> Float[Tensor, ""]:
    """What a reading costs, inside the wall alone.

    Dice is taken over the batch: of a slice without scar it is 1 whatever was read, and a network that averages Dice over slices
    learns that silence pays. Scar with its dark core, and the dark core by itself, each give one Dice; experts draw no-reflow now
    and then only, so the whole carries the reading.
    """
    entropy = functional.cross_entropy(logits, target, reduction="none")[wall].mean()
    chance = torch.softmax(logits, dim=1)[:, 1:] * wall[:, None]
    truth = functional.one_hot(target, OUT_CHANNELS).permute(0, 3, 1, 2)[:, 1:] * wall[:, None]
    whole_and_core = [torch.stack([both.sum(1), both[:, 1]], dim=1) for both in (chance, truth.float())]
    overlap = DiceLoss(batch=True, smooth_nr=1.0, smooth_dr=1.0, weight=[1.5, 0.5])
    return entropy + overlap(*whole_and_core)


def to_stack(examples: Examples, chosen: Int[np.ndarray, " b"]) -> tuple[Float[Tensor, "b 3 128 128"], Int[Tensor, "b 128 128"]]:
    """Reader input and target (0 healthy, 1 scar, 2 no-reflow) of some examples."""
    labels = examples.labels[chosen]
    wall = labels >= Label.WALL
    stack = np.stack([examples.image[chosen].astype(np.float32), labels == Label.CAVITY, wall], axis=1).astype(np.float32)
    target = np.where(labels == Label.SCAR, 1, np.where(labels == Label.NO_REFLOW, 2, 0))
    return torch.from_numpy(stack), torch.from_numpy(target)


@torch.no_grad()
def calibrate(reader: TrainedScarSegmenter, examples: Examples, *, batch: int = 32) -> dict[str, object]:
    """Set the reader's threshold by `best_threshold`; returns the scores at it, the calibration error and the reliability curve."""
    slices = []
    for start in range(0, len(examples), batch):
        chosen = np.arange(start, min(start + batch, len(examples)))
        stack, target = to_stack(examples, chosen)
        chance = reader.chance(stack)[:, 1:].sum(1)
        for i, seen, truth, wall in zip(chosen, chance, target, stack[:, 2] > 0.5, strict=True):
            inside = ReadSlice(
                patient=examples.patients[i], chance=seen[wall].numpy(), truth=(truth[wall] > 0).numpy(), pixel_mm2=PIXEL_MM**2
            )
            slices.append(inside)
    best = best_threshold(slices)
    reader.threshold = best.threshold
    bins, error = reliability(slices)
    return _rounded(asdict(best) | {"calibration_error": error}) | {"reliability": [_rounded(asdict(b)) for b in bins]}


def _rounded(record: dict[str, object]) -> dict[str, object]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in record.items()}
