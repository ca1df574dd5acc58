"""How much to train: `tiny` for tests (seconds), `cpu` for two cores (within two hours in all), `gpu` for a card.

Receipts (time, scores) of the shipped weights stand in their model card.
"""

from __future__ import annotations

from dataclasses import dataclass

from lgesynthnet.errors import ModelError
from lgesynthnet.terms import RewardKind, Role, Stage, Window


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
class ReaderRecipe:
    """Size and training of one reader.

    Attributes:
        width: see `build_network`.
        train, finetune: from random weights, and from another reader's.
        augmentation: strength; 1 is ordinary.
        views: symmetries of the square that the finished reader looks in.
    """

    width: int
    train: StageRecipe
    finetune: StageRecipe
    augmentation: float = 1.0
    views: int = 1


@dataclass(frozen=True, kw_only=True)
class SpadeRecipe:
    """Size and training of a SPADE generator and its two discriminators; a step is one player's turn.

    Attributes:
        widths, hidden, noise: see `model.spade.SpadeSize`.
        discriminator: channels of a discriminator's first layer.
        train, finetune: from random weights, and from another SPADE's.
    """

    widths: tuple[int, ...]
    hidden: tuple[int, ...]
    noise: int
    discriminator: int
    train: StageRecipe
    finetune: StageRecipe


@dataclass(frozen=True, kw_only=True)
class RewardRecipe:
    """The reward's stage.

    Attributes:
        weight: lambda.
        window, snr: where it is asked; `snr` is the edge between low and high noise (3 is t = 200 in Stable Diffusion's schedule).
        brightness: weight, beside the reward, of the distance of scar and core from the brightness that was asked for.
        surroundings: weight, likewise, of the distance of what is repainted without scar from the host.
        batch: pictures decoded a step.
        policy: the on-policy loop; its batch is that of the diffusion loss that holds it.
        policy_steps: sampling steps on-policy; what is shipped is sampled in as many.
        policy_gradient_steps: how many of them, counted from the last, keep their gradient.
        words_alone: share of on-policy samples without edges, the whole wall hidden.
        non_ischaemic: share of on-policy prescriptions from that prior, the rest from the ischaemic one.
        own_scars: share of on-policy samples that repaint a training slice's own scar.
        cored: chance that a deep ischaemic one gets a no-reflow core, which few scars have and a reader hardly misses.
        watch_every: steps between two looks of the filter.
    """

    weight: float = 0.5
    window: Window = Window.LOW_NOISE
    snr: float = 3.0
    kind: RewardKind = RewardKind.SEGMENTATION
    brightness: float = 1.0
    surroundings: float = 2.0
    batch: int = 4
    policy: StageRecipe
    policy_steps: int = 4
    policy_gradient_steps: int = 4
    words_alone: float = 0.4
    non_ischaemic: float = 0.2
    own_scars: float = 0.3
    cored: float = 0.6
    watch_every: int = 100


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Sizes of every network and settings of every stage."""

    autoencoder_width: int
    unet_widths: tuple[int, int, int]
    text_width: int
    text_layers: int
    readers: dict[Role, ReaderRecipe]
    stages: dict[Stage, StageRecipe]  # the generator's; a reader's are in `readers`
    finetune: dict[Stage, StageRecipe]  # the same from another model's weights
    reward: RewardRecipe
    segmenter_filters: tuple[int, ...]
    segmenter: StageRecipe
    segmenter_finetune: StageRecipe  # from another segmenter's weights
    spade: SpadeRecipe


_TINY = StageRecipe(steps=4, batch=2, lr=1e-3, warmup=1, checkpoint_every=2)

RECIPES: dict[str, Recipe] = {
    "tiny": Recipe(
        autoencoder_width=8,
        unet_widths=(8, 16, 16),
        text_width=16,
        text_layers=1,
        readers={role: ReaderRecipe(width=8, train=_TINY, finetune=_TINY, views=8 if role is Role.AUDITOR else 1) for role in Role},
        stages={stage: _TINY for stage in Stage if stage is not Stage.READER},
        finetune={stage: _TINY for stage in Stage if stage is not Stage.READER},
        reward=RewardRecipe(batch=2, policy=_TINY, watch_every=2),
        segmenter_filters=(4, 8, 8),
        segmenter=StageRecipe(steps=4, batch=2, lr=1e-3, warmup=1, checkpoint_every=2),
        segmenter_finetune=StageRecipe(steps=2, batch=2, lr=1e-4, warmup=1, checkpoint_every=2),
        spade=SpadeRecipe(widths=(16, 8, 4), hidden=(8, 8, 4), noise=8, discriminator=4, train=_TINY, finetune=_TINY),
    ),
    "cpu": Recipe(
        autoencoder_width=32,
        unet_widths=(32, 64, 128),
        text_width=96,
        text_layers=2,
        readers={
            Role.REWARD: ReaderRecipe(
                width=8,
                train=StageRecipe(steps=1500, batch=16, lr=1e-3),
                finetune=StageRecipe(steps=500, batch=16, lr=4e-4, ema_decay=0.995),
                augmentation=1.25,
            ),
            Role.FILTER: ReaderRecipe(
                width=24,
                train=StageRecipe(steps=2000, batch=16, lr=1e-3),
                finetune=StageRecipe(steps=500, batch=16, lr=4e-4, ema_decay=0.995),
            ),
            Role.AUDITOR: ReaderRecipe(
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
            policy=StageRecipe(steps=300, batch=4, lr=1e-4, ema_decay=0.98, warmup=20, checkpoint_every=50), watch_every=50
        ),
        segmenter_filters=(12, 24, 48, 96, 128),
        segmenter=StageRecipe(steps=4500, batch=8, lr=2e-3),
        segmenter_finetune=StageRecipe(steps=600, batch=8, lr=5e-4),
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
        readers={
            role: ReaderRecipe(
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
            batch=16, policy=StageRecipe(steps=1000, batch=16, lr=5e-5, ema_decay=0.995, checkpoint_every=250), watch_every=250
        ),
        segmenter_filters=(32, 64, 128, 256, 256),
        segmenter=StageRecipe(steps=20_000, batch=32, lr=2e-3, ema_decay=0.9995, checkpoint_every=1000),
        segmenter_finetune=StageRecipe(steps=3000, batch=32, lr=5e-4, ema_decay=0.9995, checkpoint_every=1000),
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
    if name not in RECIPES:
        raise ModelError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
