"""Recipes: sizes of the networks and steps of the stages. `tiny` is for tests (seconds), `cpu` for two cores (two hours in all), `gpu`.

Times and scores that the recipes reached are in the model cards of the shipped weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from lgesynthnet.errors import ModelError
from lgesynthnet.terms import GENERATOR_STAGES, RewardKind, Role, Stage, Window


@dataclass(frozen=True, kw_only=True)
class StageRecipe:
    """Settings of one training loop.

    Attributes:
        steps, batch, lr: optimiser steps, examples in a batch, and the largest learning rate.
        warmup: steps of linear warm-up; a cosine decay to 0 follows.
        ema_decay: of the averaged weights, which are kept.
        clip: largest norm of the gradient.
        checkpoint_every: steps between checkpoints.
    """

    steps: int
    batch: int
    lr: float
    warmup: int = 100
    ema_decay: float = 0.998
    clip: float = 1.0
    checkpoint_every: int = 250


@dataclass(frozen=True, kw_only=True)
class ScarSegmenterRecipe:
    """Size and training of one scar segmenter.

    Attributes:
        width: see `build_network`.
        train, finetune: loops from random weights, and from those of another scar segmenter.
        augmentation: strength of the augmentation; 1 is usual.
        views: number of symmetries of the square over which the finished segmenter averages.
    """

    width: int
    train: StageRecipe
    finetune: StageRecipe
    augmentation: float = 1.0
    views: int = 1


@dataclass(frozen=True, kw_only=True)
class SpadeRecipe:
    """Size and training of a SPADE generator and its two discriminators, which take turns, one in each step.

    Attributes:
        widths, hidden, noise: see `model.spade.SpadeSize`.
        discriminator: channels of the first layer of each discriminator.
        train, finetune: loops from random weights, and from those of another SPADE generator.
    """

    widths: tuple[int, ...]
    hidden: tuple[int, ...]
    noise: int
    discriminator: int
    train: StageRecipe
    finetune: StageRecipe


@dataclass(frozen=True, kw_only=True)
class RewardRecipe:
    """The reward stage.

    Attributes:
        weight: lambda in L_diffusion + lambda L_reward.
        window, snr: noise levels at which the reward is computed; `snr` is the signal-to-noise ratio between low and high noise (3 is
            t = 200 in the schedule of Stable Diffusion).
        kind: which reward.
        brightness: weight of the penalty on the brightness of scar and core, relative to the reward loss.
        context: weight of the penalty on how repainted tissue without scar differs from the model before the reward, likewise.
        batch: images that are decoded in each step.
        policy: the on-policy loop; its batch is that of the diffusion loss.
        policy_steps: sampling steps on-policy, as many as the shipped generator uses by default.
        policy_gradient_steps: how many of them, counted from the last, keep their gradient.
        caption_alone: share of on-policy samples without edges and with the whole wall hidden.
        non_ischaemic: share of on-policy prescriptions from the non-ischaemic prior; the others are ischaemic.
        own_scars: share of on-policy samples that repaint the own scar of a training slice.
        no_reflow: chance that a deep ischaemic scar gets a no-reflow core. Such cores are rare, and the reward hardly notices their lack.
        monitor_every: steps between two validations by the filter.
    """

    weight: float = 0.5
    window: Window = Window.LOW_NOISE
    snr: float = 3.0
    kind: RewardKind = RewardKind.SEGMENTATION
    brightness: float = 1.0
    context: float = 4.0
    batch: int = 4
    policy: StageRecipe
    policy_steps: int = 4
    policy_gradient_steps: int = 4
    caption_alone: float = 0.4
    non_ischaemic: float = 0.2
    own_scars: float = 0.3
    no_reflow: float = 0.6
    monitor_every: int = 100


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Sizes of every network and settings of every stage.

    `finetune` and `*_finetune` apply where the training starts from the weights of another model.
    """

    autoencoder_width: int
    unet_widths: tuple[int, int, int]
    text_width: int
    text_layers: int
    scar_segmenters: dict[Role, ScarSegmenterRecipe]
    stages: dict[Stage, StageRecipe]
    finetune: dict[Stage, StageRecipe]
    reward: RewardRecipe
    heart_segmenter_filters: tuple[int, ...]
    heart_segmenter: StageRecipe
    heart_segmenter_finetune: StageRecipe
    spade: SpadeRecipe


_TINY = StageRecipe(steps=4, batch=2, lr=1e-3, warmup=1, checkpoint_every=2)

RECIPES: dict[str, Recipe] = {
    "tiny": Recipe(
        autoencoder_width=8,
        unet_widths=(8, 16, 16),
        text_width=16,
        text_layers=1,
        scar_segmenters={
            role: ScarSegmenterRecipe(width=8, train=_TINY, finetune=_TINY, views=8 if role is Role.AUDITOR else 1) for role in Role
        },
        stages=dict.fromkeys(GENERATOR_STAGES, _TINY),
        finetune=dict.fromkeys(GENERATOR_STAGES, _TINY),
        reward=RewardRecipe(batch=2, policy=_TINY, monitor_every=2),
        heart_segmenter_filters=(4, 8, 8),
        heart_segmenter=StageRecipe(steps=4, batch=2, lr=1e-3, warmup=1, checkpoint_every=2),
        heart_segmenter_finetune=StageRecipe(steps=2, batch=2, lr=1e-4, warmup=1, checkpoint_every=2),
        spade=SpadeRecipe(widths=(16, 8, 4), hidden=(8, 8, 4), noise=8, discriminator=4, train=_TINY, finetune=_TINY),
    ),
    "cpu": Recipe(
        autoencoder_width=32,
        unet_widths=(32, 64, 128),
        text_width=96,
        text_layers=2,
        scar_segmenters={
            Role.REWARD: ScarSegmenterRecipe(
                width=8,
                train=StageRecipe(steps=1500, batch=16, lr=1e-3),
                finetune=StageRecipe(steps=500, batch=16, lr=4e-4, ema_decay=0.995),
                augmentation=1.25,
            ),
            Role.FILTER: ScarSegmenterRecipe(
                width=24,
                train=StageRecipe(steps=2000, batch=16, lr=1e-3),
                finetune=StageRecipe(steps=500, batch=16, lr=4e-4, ema_decay=0.995),
            ),
            Role.AUDITOR: ScarSegmenterRecipe(
                width=8,
                train=StageRecipe(steps=1000, batch=16, lr=1e-3),
                finetune=StageRecipe(steps=500, batch=16, lr=4e-4, ema_decay=0.995),
                augmentation=1.5,
                views=8,
            ),
        },
        stages={
            Stage.AUTOENCODER: StageRecipe(steps=1800, batch=8, lr=1e-3),
            Stage.TEXT: StageRecipe(steps=1500, batch=64, lr=1e-3),
            Stage.BASE: StageRecipe(steps=4500, batch=8, lr=6e-4, ema_decay=0.999),
            Stage.CONTROL: StageRecipe(steps=2500, batch=8, lr=5e-4, ema_decay=0.998),
            Stage.REWARD: StageRecipe(steps=400, batch=8, lr=2e-4, warmup=50, ema_decay=0.99, checkpoint_every=100),
        },
        finetune={
            Stage.AUTOENCODER: StageRecipe(steps=600, batch=8, lr=3e-4),
            Stage.BASE: StageRecipe(steps=1500, batch=8, lr=2e-4, ema_decay=0.998),
            Stage.CONTROL: StageRecipe(steps=1500, batch=8, lr=2e-4, ema_decay=0.997),
            Stage.REWARD: StageRecipe(steps=400, batch=8, lr=1e-4, warmup=50, ema_decay=0.99, checkpoint_every=100),
        },
        reward=RewardRecipe(
            policy=StageRecipe(steps=300, batch=4, lr=1e-4, ema_decay=0.98, warmup=20, checkpoint_every=50), monitor_every=50
        ),
        heart_segmenter_filters=(12, 24, 48, 96, 128),
        heart_segmenter=StageRecipe(steps=4500, batch=8, lr=2e-3),
        heart_segmenter_finetune=StageRecipe(steps=600, batch=8, lr=5e-4),
        spade=SpadeRecipe(
            widths=(128, 128, 64, 32, 12, 12),
            hidden=(32, 32, 32, 32, 16, 8),
            noise=64,
            discriminator=24,
            train=StageRecipe(steps=3000, batch=4, lr=8e-4),
            finetune=StageRecipe(steps=3000, batch=4, lr=4e-4),
        ),
    ),
    "gpu": Recipe(
        autoencoder_width=64,
        unet_widths=(96, 192, 288),
        text_width=192,
        text_layers=3,
        scar_segmenters={
            role: ScarSegmenterRecipe(
                width=width,
                train=StageRecipe(steps=15_000, batch=64, lr=1e-3, checkpoint_every=1000),
                finetune=StageRecipe(steps=3000, batch=64, lr=3e-4, checkpoint_every=1000),
                augmentation=augmentation,
                views=8 if role is Role.AUDITOR else 1,
            )
            for role, width, augmentation in ((Role.REWARD, 16, 1.25), (Role.FILTER, 32, 1.0), (Role.AUDITOR, 16, 1.5))
        },
        stages={
            Stage.AUTOENCODER: StageRecipe(steps=20_000, batch=32, lr=5e-4, ema_decay=0.9995, checkpoint_every=1000),
            Stage.TEXT: StageRecipe(steps=5000, batch=128, lr=6e-4, checkpoint_every=1000),
            Stage.BASE: StageRecipe(steps=40_000, batch=64, lr=3e-4, ema_decay=0.9995, checkpoint_every=1000),
            Stage.CONTROL: StageRecipe(steps=20_000, batch=64, lr=2e-4, ema_decay=0.9995, checkpoint_every=1000),
            Stage.REWARD: StageRecipe(steps=4000, batch=64, lr=1e-4, ema_decay=0.999, checkpoint_every=500),
        },
        finetune={
            Stage.AUTOENCODER: StageRecipe(steps=4000, batch=32, lr=2e-4, checkpoint_every=1000),
            Stage.BASE: StageRecipe(steps=8000, batch=64, lr=1e-4, ema_decay=0.9995, checkpoint_every=1000),
            Stage.CONTROL: StageRecipe(steps=8000, batch=64, lr=1e-4, ema_decay=0.9995, checkpoint_every=1000),
            Stage.REWARD: StageRecipe(steps=2000, batch=64, lr=5e-5, ema_decay=0.999, checkpoint_every=500),
        },
        reward=RewardRecipe(
            batch=16, policy=StageRecipe(steps=1000, batch=16, lr=5e-5, ema_decay=0.995, checkpoint_every=250), monitor_every=250
        ),
        heart_segmenter_filters=(32, 64, 128, 256, 256),
        heart_segmenter=StageRecipe(steps=20_000, batch=32, lr=2e-3, ema_decay=0.9995, checkpoint_every=1000),
        heart_segmenter_finetune=StageRecipe(steps=3000, batch=32, lr=5e-4, ema_decay=0.9995, checkpoint_every=1000),
        spade=SpadeRecipe(
            widths=(512, 512, 256, 128, 64, 32),
            hidden=(64, 64, 64, 64, 64, 32),
            noise=256,
            discriminator=64,
            train=StageRecipe(steps=40_000, batch=32, lr=4e-4, ema_decay=0.9995, checkpoint_every=1000),
            finetune=StageRecipe(steps=20_000, batch=32, lr=2e-4, ema_decay=0.9995, checkpoint_every=1000),
        ),
    ),
}


def recipe_named(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        ModelError: there is none.
    """
    if name not in RECIPES:
        raise ModelError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
