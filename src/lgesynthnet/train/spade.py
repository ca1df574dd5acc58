"""Training the SPADE rivals on the generator's own examples: two players that take turns, one a step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.conditioning.condition import Condition, inner_edges
from lgesynthnet.conditioning.intensity import to_grey
from lgesynthnet.conditioning.working_grid import SIZE
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.files import write_bytes, write_json
from lgesynthnet.model.autoencoder import features
from lgesynthnet.model.checkpoint import halve
from lgesynthnet.model.spade import Discriminator, Spade, SpadeSize, load_spade, noise_of, save_spade, spade_part
from lgesynthnet.model.tensors import images, to_maps
from lgesynthnet.model_store import fingerprint, part_folder, shipped_or_path
from lgesynthnet.terms import Context
from lgesynthnet.train.batches import drawn_from, normal
from lgesynthnet.train.examples.prepare import Progress, prepared
from lgesynthnet.train.examples.roi import Examples
from lgesynthnet.train.generator.autoencoder import PATCH
from lgesynthnet.train.generator.diffusion import HEALTHY_DRAWS
from lgesynthnet.train.loop import fit
from lgesynthnet.train.previews import COUNT, EVERY, write_sheet
from lgesynthnet.train.recipes import recipe_named
from lgesynthnet.train.stages import machine

FEATURE_WEIGHT = 10.0  # of both, as published
PERCEPTUAL_WEIGHT = 10.0
GENERATOR_RATE, DISCRIMINATOR_RATE = 0.5, 1.0  # two time scales (Heusel et al., 2017); published as 1 to 4
AUTOENCODER_AT = ("autoencoder/model", "inpainter/vae", "vae", "reward/model/vae", "control/model/vae", "base/model/vae", ".")


class SpadeTask:
    """Hinge loss of both players, feature matching and a perceptual term; the generator moves at even steps, its opponent at odd ones.

    Sources: Lim and Ye (2017) for the hinge; Wang et al. (2018) for feature matching; Park et al. (2019), section 3 and appendix A, for
    the sum. The published perceptual term takes VGG's features, which would be a download that saw no heart: here the encoder of an
    autoencoder of these very pictures stands in, frozen, on patches as large as it was trained on.
    """

    betas = (0.0, 0.9)

    def __init__(self, generator: Spade, discriminator: Discriminator, examples: Examples, eye: AutoencoderKL) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.trained: nn.Module = nn.ModuleDict({"generator": generator, "discriminator": discriminator})
        self.examples, self.eye = examples, eye.eval().requires_grad_(False)
        self.healthy, self.scarred = np.flatnonzero(~examples.scarred), np.flatnonzero(examples.scarred)
        self.generates = True

    def learning_rate_share(self, step: int) -> float:
        self.generates = step % 2 == 0
        return GENERATOR_RATE if self.generates else DISCRIMINATOR_RATE

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        device = next(self.trained.parameters()).device
        chosen = drawn_from(self.healthy, self.scarred, HEALTHY_DRAWS, batch, rng)
        made = [self.examples.condition(int(i), rng) for i in chosen]
        # Few patients are few pictures, so each comes in any of the square's symmetries; a map without angles stays true in all.
        both = torch.cat([to_maps(made, self.generator.size.context), images(made)], dim=1)
        both = torch.stack([_turned(each, int(turn)) for each, turn in zip(both, rng.integers(8, size=batch), strict=True)]).to(device)
        semantic, real = both[:, :-1], both[:, -1:]
        noise = normal(rng, batch, self.generator.size.noise).to(device)
        if self.generates:
            terms = self.terms(semantic, real, self.generator(semantic, noise), rng)
            return terms["adversarial"] + FEATURE_WEIGHT * terms["features"] + PERCEPTUAL_WEIGHT * terms["perceptual"]
        with torch.no_grad():
            fake = self.generator(semantic, noise)
        seen = self.discriminator(torch.cat([semantic, semantic]), torch.cat([fake, real]))
        return torch.stack([_hinge(scale[-1]) for scale in seen]).mean()

    def terms(
        self,
        semantic: Float[Tensor, "b channels 128 128"],
        real: Float[Tensor, "b 1 128 128"],
        fake: Float[Tensor, "b 1 128 128"],
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """The parts of the generator's loss, unweighted; the discriminator is looked at and learns nothing."""
        with torch.no_grad():
            truth = self.discriminator(semantic, real)
        with _frozen(self.discriminator):
            seen = self.discriminator(semantic, fake)
        matched = [
            functional.l1_loss(a, b) for mine, wanted in zip(seen, truth, strict=True) for a, b in zip(mine[:-1], wanted[:-1], strict=True)
        ]
        # The heart lies in the middle: a patch whose corner is within the first quarter always holds most of it.
        row, col = (int(v) for v in rng.integers(SIZE // 8, SIZE // 2 - SIZE // 8 + 1, 2))
        patch = np.s_[:, :, row : row + PATCH, col : col + PATCH]
        self.eye.to(real.device)
        with torch.no_grad():
            wanted = features(self.eye, real[patch])
        alike = [functional.l1_loss(a, b) / b.abs().mean() for a, b in zip(features(self.eye, fake[patch]), wanted, strict=True)]
        return {
            "adversarial": -torch.stack([scale[-1].mean() for scale in seen]).mean(),
            "features": torch.stack(matched).sum() / len(seen),
            "perceptual": torch.stack(alike).mean(),
        }


def _hinge(score: Float[Tensor, "twice_b 1 h w"]) -> Float[Tensor, ""]:
    """Lim and Ye (2017), equation 7: fakes, the first half, below -1; real pictures above 1."""
    fake, real = score.chunk(2)
    return functional.relu(1 + fake).mean() + functional.relu(1 - real).mean()


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Gradients pass through and none is left behind: what is asked inside is not part of the module's graph."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def _turned(stack: Float[Tensor, "c n n"], turn: int) -> Float[Tensor, "c n n"]:
    turned = torch.rot90(stack, turn % 4, (1, 2))
    return turned.flip(2) if turn >= 4 else turned


class SpadeMonitor:
    """Called with a step: the same conditions and noise every time, as one PNG (real, shown, painted), and the loss's parts as a line."""

    def __init__(self, task: SpadeTask, folder: Path) -> None:
        rng = np.random.default_rng(0)
        self.task, self.folder = task, folder
        chosen = rng.choice(np.flatnonzero(task.examples.scarred), COUNT)
        self.made = [task.examples.condition(int(i), rng) for i in chosen]

    @torch.no_grad()
    def __call__(self, step: int) -> None:
        size, device = self.task.generator.size, next(self.task.trained.parameters()).device
        semantic, real = to_maps(self.made, size.context, device), images(self.made, device)
        fake = self.task.generator(semantic, noise_of(list(range(COUNT)), size).to(device))
        terms = self.task.terms(semantic, real, fake, np.random.default_rng(0))
        hidden = torch.from_numpy(np.stack([m.hidden for m in self.made]))[:, None].to(device)
        terms["error_in_hidden"] = (fake - real).abs()[hidden].mean()
        line = json.dumps({"step": step} | {name: round(float(value), 4) for name, value in terms.items()}) + "\n"
        path = self.folder / "looks.jsonl"
        write_bytes(path, (path.read_bytes() if path.exists() else b"") + line.encode())
        shown = [_column(made, picture, size.context) for made, picture in zip(self.made, fake[:, 0].cpu().numpy(), strict=True)]
        write_sheet(shown, self.folder, step)

    def last(self) -> dict[str, object]:
        """The newest line, without its step."""
        line = json.loads((self.folder / "looks.jsonl").read_text().splitlines()[-1])
        return {name: value for name, value in line.items() if name != "step"}


def _column(made: Condition, picture: np.ndarray, context: Context) -> np.ndarray:
    around = to_grey(made.masked) if context is Context.FULL else to_grey(np.where(made.wall, -0.5, np.where(made.cavity, 0.3, -1.2)))
    around[inner_edges(made.scar)] = 255
    return np.concatenate([to_grey(made.image), around, to_grey(picture)])


def train_spade(
    data: Cohort,
    work: Path,
    *,
    context: Context | str,
    recipe: str = "cpu",
    patients: list[str] | None = None,
    init: Path | None = None,
    init_autoencoder: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "no",
    progress: Progress | None = None,
) -> dict[str, object]:
    """Train one SPADE generator into `WORK/spade-CONTEXT/model`; the same call again goes on where it stopped.

    Args:
        patients: train on these patients of `data` only.
        init: go on from another SPADE of the same context and size; a model or work folder, or its own folder.
        init_autoencoder: whose encoder the perceptual term looks through: a shipped model, a model or work folder; default the one
            that the autoencoder stage left in `work`, else `phantom`.
    Returns:
        The report, also written to `WORK/spade-CONTEXT/report.json`.
    Raises:
        InputError: no usable slice, or none with scar.
        ModelError: `init` or `init_autoencoder` does not fit.
        RunError: `work` was begun with other data or settings.
    """
    context, sizes = Context(context), recipe_named(recipe).spade
    torch.manual_seed(seed)
    part, folder = spade_part(context), work / spade_part(context)
    examples = prepared(data, work / "examples.safetensors", patients, progress)
    if not examples.scarred.any():
        raise InputError(f"{data.root}: no slice with scar, so there is nothing to learn it from; add patients with scar labels")
    size = SpadeSize(context=context, widths=sizes.widths, hidden=sizes.hidden, noise=sizes.noise)
    generator, started_from = _first(size, init)
    eye, seen_by = perceptual_eye(init_autoencoder, work)
    task = SpadeTask(generator, Discriminator(context, sizes.discriminator), examples, eye)
    looks = SpadeMonitor(task, folder)
    report = fit(
        task,
        sizes.train if init is None else sizes.finetune,
        folder,
        seed=seed,
        origin=f"{started_from} {seen_by}",
        device=device,
        progress=None if progress is None else (lambda done, total, loss: progress(part, done, total, loss)),
        watch=looks,
        watch_every=EVERY,
        precision=precision,
    )
    halve(generator.cpu())
    save_spade(generator, folder / "model")
    report |= machine() | {
        "stage": part,
        "recipe": recipe,
        "seed": seed,
        "examples": len(examples),
        "patients": len(set(examples.patients)),
        "names": sorted(set(examples.patients)),
    }
    report |= looks.last() | {"started_from": started_from, "eye": seen_by, "parameters": sum(p.numel() for p in generator.parameters())}
    write_json(folder / "report.json", report)
    return report


def _first(size: SpadeSize, init: Path | None) -> tuple[Spade, str | None]:
    """Random weights, or those of `init` with their fingerprint."""
    if init is None:
        return Spade(size), None
    folder = part_folder(init, spade_part(size.context))
    start = load_spade(folder, size.context)
    if start.size != size:
        raise ModelError(f"{init}: is of another size than this recipe trains; choose the --recipe it was made with")
    return start, fingerprint(folder, role=spade_part(size.context))


def perceptual_eye(chosen: Path | None, work: Path) -> tuple[AutoencoderKL, str]:
    """An autoencoder for the perceptual term, and its fingerprint.

    Raises:
        ModelError: `chosen` holds none.
    """
    if chosen is None:  # not what later stages leave in `work`, or the same command would look through another eye when it goes on
        inside = [work / AUTOENCODER_AT[0], shipped_or_path("phantom") / AUTOENCODER_AT[1]]
    else:
        inside = [shipped_or_path(chosen) / place for place in AUTOENCODER_AT]
    found = next((each for each in inside if (each / "diffusion_pytorch_model.safetensors").is_file()), None)
    if found is None:
        raise ModelError(
            f"{chosen or work}: holds no autoencoder for the perceptual term; give a model folder, a work folder, or `phantom`"
        )
    eye = AutoencoderKL.from_pretrained(found, use_safetensors=True, local_files_only=True, torch_dtype=torch.float32)
    return eye, fingerprint(found, role="autoencoder")
