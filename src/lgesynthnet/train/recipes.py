"""How much to train: `tiny` for tests (seconds), `cpu` for two cores (within two hours in all), `gpu` for a card.

Receipts (time, scores) of the shipped weights stand in their model card.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lgesynthnet.errors import ModelError


class Stage(StrEnum):
    """What can be trained, in order; each stage reads the ones before it from the work folder."""

    AUTOENCODER = "autoencoder"
    BASE = "base"
    CONTROL = "control"
    READER = "reader"


@dataclass(frozen=True, kw_only=True)
class StageRecipe:
    """Settings of one stage's loop."""

    steps: int
    batch: int
    lr: float
    warmup: int = 100
    ema_decay: float = 0.998
    clip: float = 1.0
    checkpoint_every: int = 250


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Sizes of every network and settings of every stage."""

    autoencoder_width: int
    unet_widths: tuple[int, int, int]
    text_width: int
    text_layers: int
    reader_width: int
    stages: dict[Stage, StageRecipe]


RECIPES: dict[str, Recipe] = {
    "tiny": Recipe(
        autoencoder_width=8,
        unet_widths=(8, 16, 16),
        text_width=16,
        text_layers=1,
        reader_width=8,
        stages={stage: StageRecipe(steps=4, batch=2, lr=1e-3, warmup=1, checkpoint_every=2) for stage in Stage},
    ),
    "cpu": Recipe(
        autoencoder_width=32,
        unet_widths=(32, 64, 128),
        text_width=96,
        text_layers=2,
        reader_width=16,
        stages={
            Stage.AUTOENCODER: StageRecipe(steps=1800, batch=8, lr=1e-3),
            Stage.BASE: StageRecipe(steps=5000, batch=8, lr=6e-4, ema_decay=0.999),
            Stage.CONTROL: StageRecipe(steps=5000, batch=8, lr=5e-4, ema_decay=0.999),
            Stage.READER: StageRecipe(steps=2500, batch=16, lr=1e-3),
        },
    ),
    "gpu": Recipe(
        autoencoder_width=64,
        unet_widths=(96, 192, 288),
        text_width=192,
        text_layers=3,
        reader_width=32,
        stages={
            Stage.AUTOENCODER: StageRecipe(steps=20_000, batch=32, lr=5e-4, ema_decay=0.9995, checkpoint_every=1000),
            Stage.BASE: StageRecipe(steps=40_000, batch=64, lr=3e-4, ema_decay=0.9995, checkpoint_every=1000),
            Stage.CONTROL: StageRecipe(steps=20_000, batch=64, lr=2e-4, ema_decay=0.9995, checkpoint_every=1000),
            Stage.READER: StageRecipe(steps=15_000, batch=64, lr=1e-3, checkpoint_every=1000),
        },
    ),
}


def recipe_named(name: str) -> Recipe:
    if name not in RECIPES:
        raise ModelError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
