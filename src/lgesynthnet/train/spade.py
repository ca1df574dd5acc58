"""Training of the SPADE rivals on the same examples as the generator: generator and discriminator take turns, one in each step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
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
from lgesynthnet.devices import usable_device
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.files.reading import checked, parse_json, read_text
from lgesynthnet.files.writing import replaced_folder, write_bytes, write_json
from lgesynthnet.model.autoencoder import features
from lgesynthnet.model.checkpoint import halve, load_autoencoder
from lgesynthnet.model.spade import Discriminator, Spade, SpadeSize, load_spade, noise_of, save_spade, spade_part
from lgesynthnet.model.tensors import images, to_maps
from lgesynthnet.model_store import exists, fingerprint, part_folder, shipped_or_path
from lgesynthnet.segmenter.symmetry import SYMMETRIES, turned
from lgesynthnet.terms import Context
from lgesynthnet.train.batches import drawn_from, normal
from lgesynthnet.train.examples.prepare import ExampleFile
from lgesynthnet.train.examples.roi import Examples
from lgesynthnet.train.generator.autoencoder import PATCH
from lgesynthnet.train.generator.diffusion import HEALTHY_DRAWS
from lgesynthnet.train.generator.monitor import Record
from lgesynthnet.train.loop import LoopSettings, fit
from lgesynthnet.train.previews import COUNT, EVERY, write_sheet
from lgesynthnet.train.recipes import recipe_named
from lgesynthnet.train.report import about_training
from lgesynthnet.train.request import NO_SCAR, TrainingRequest
from lgesynthnet.train.work import MODEL, REPORT, claimed_work, finished_report, require_whole

FEATURE_WEIGHT = 10.0  # as published
PERCEPTUAL_WEIGHT = 10.0  # as published
GENERATOR_RATE, DISCRIMINATOR_RATE = 0.5, 1.0  # two time scales (Heusel et al., 2017); 1 to 4 in the publication
AUTOENCODER_PLACES = ("autoencoder/model", "inpainter/vae", "vae", "reward/model/vae", "control/model/vae", "base/model/vae", ".")


class SpadeTask:
    """Hinge loss of both players, feature matching, and a perceptual loss. The generator is trained in even steps, the other in odd ones.

    Sources: Lim and Ye (2017) for the hinge loss; Wang et al. (2018) for feature matching; Park et al. (2019), section 3 and appendix A,
    for the sum. The published perceptual loss uses features of VGG, a download that has never seen a heart. Here the frozen encoder of our
    autoencoder of LGE slices takes its place, on patches of the size that it was trained on.

    Args:
        perceptual_encoder: the autoencoder whose encoder gives the features.
    """

    betas = (0.0, 0.9)

    def __init__(self, generator: Spade, discriminator: Discriminator, examples: Examples, perceptual_encoder: AutoencoderKL) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.trained: nn.Module = nn.ModuleDict({"generator": generator, "discriminator": discriminator})
        self.examples, self.perceptual_encoder = examples, perceptual_encoder.eval().requires_grad_(False)
        self.healthy, self.scarred = np.flatnonzero(~examples.scarred), np.flatnonzero(examples.scarred)
        self.generates = True

    def learning_rate_share(self, step: int) -> float:
        self.generates = step % 2 == 0
        return GENERATOR_RATE if self.generates else DISCRIMINATOR_RATE

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        device = next(self.trained.parameters()).device
        chosen = drawn_from(self.healthy, self.scarred, HEALTHY_DRAWS, batch, rng)
        conditions = [self.examples.condition(int(i), rng) for i in chosen]
        # A few patients are few images, so each comes in a random symmetry of the square; a map without angles stays true in all of them.
        pairs = torch.cat([to_maps(conditions, self.generator.size.context), images(conditions)], dim=1)
        views = rng.integers(SYMMETRIES, size=batch)
        pairs = torch.stack([turned(pair, int(view)) for pair, view in zip(pairs, views, strict=True)]).to(device)
        semantic, real = pairs[:, :-1], pairs[:, -1:]
        noise = normal(rng, batch, self.generator.size.noise).to(device)
        if self.generates:
            terms = self.terms(semantic, real, self.generator(semantic, noise), rng)
            return terms["adversarial"] + FEATURE_WEIGHT * terms["features"] + PERCEPTUAL_WEIGHT * terms["perceptual"]
        with torch.no_grad():
            fake = self.generator(semantic, noise)
        scales = self.discriminator(torch.cat([semantic, semantic]), torch.cat([fake, real]))
        return torch.stack([_hinge(layers[-1]) for layers in scales]).mean()

    def terms(
        self,
        semantic: Float[Tensor, "b channels 128 128"],
        real: Float[Tensor, "b 1 128 128"],
        fake: Float[Tensor, "b 1 128 128"],
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """The unweighted terms of the generator's loss; the discriminator gets no gradient."""
        with torch.no_grad():
            of_real = self.discriminator(semantic, real)
        with _frozen(self.discriminator):
            of_fake = self.discriminator(semantic, fake)
        matched = [
            functional.l1_loss(a, b)
            for fake_layers, real_layers in zip(of_fake, of_real, strict=True)
            for a, b in zip(fake_layers[:-1], real_layers[:-1], strict=True)
        ]
        # The heart lies in the middle, so a patch with its corner in this range contains most of it.
        row, col = (int(v) for v in rng.integers(SIZE // 8, SIZE // 2 - SIZE // 8 + 1, 2))
        patch = np.s_[:, :, row : row + PATCH, col : col + PATCH]
        encoder = self.perceptual_encoder.to(real.device)
        with torch.no_grad():
            real_features = features(encoder, real[patch])
        fake_features = features(encoder, fake[patch])
        perceptual = [functional.l1_loss(a, b) / b.abs().mean() for a, b in zip(fake_features, real_features, strict=True)]
        return {
            "adversarial": -torch.stack([layers[-1].mean() for layers in of_fake]).mean(),
            "features": torch.stack(matched).sum() / len(of_fake),
            "perceptual": torch.stack(perceptual).mean(),
        }


def _hinge(score: Float[Tensor, "twice_b 1 h w"]) -> Float[Tensor, ""]:
    """Hinge loss of the discriminator (Lim and Ye, 2017, equation 7): fake images, the first half, below -1; real ones above 1."""
    fake, real = score.chunk(2)
    return functional.relu(1 + fake).mean() + functional.relu(1 - real).mean()


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Inside, gradients pass through the module, but its own weights get none."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


class SpadeMonitor:
    """Renders the same conditions with the same noise whenever it is called.

    Writes `FOLDER/pictures/step-000500.png` (columns: real image, what the generator is shown, rendered image) and appends the terms of the
    loss to `FOLDER/monitor.jsonl`.
    """

    def __init__(self, task: SpadeTask, folder: Path) -> None:
        rng = np.random.default_rng(0)
        self.task, self.folder = task, folder
        chosen = rng.choice(np.flatnonzero(task.examples.scarred), COUNT)
        self.conditions = [task.examples.condition(int(i), rng) for i in chosen]
        self.records = self._earlier_records()

    @torch.no_grad()
    def __call__(self, step: int) -> None:
        size, device = self.task.generator.size, next(self.task.trained.parameters()).device
        semantic, real = to_maps(self.conditions, size.context, device), images(self.conditions, device)
        fake = self.task.generator(semantic, noise_of(list(range(COUNT)), size).to(device))
        terms = self.task.terms(semantic, real, fake, np.random.default_rng(0))
        hidden = torch.from_numpy(np.stack([condition.hidden for condition in self.conditions]))[:, None].to(device)
        terms["error_in_hidden"] = (fake - real).abs()[hidden].mean()
        self.records = [record for record in self.records if record["step"] < step]  # a resumed training comes by some steps again
        self.records.append({"step": step} | {name: round(float(value), 4) for name, value in terms.items()})
        write_bytes(self.folder / "monitor.jsonl", "".join(json.dumps(record) + "\n" for record in self.records).encode())
        rendered = fake[:, 0].cpu().numpy()
        columns = [_column(condition, image, size.context) for condition, image in zip(self.conditions, rendered, strict=True)]
        write_sheet(columns, self.folder, step)

    def last_record(self) -> dict[str, object]:
        """The terms of the last line of the log."""
        return {name: value for name, value in self.records[-1].items() if name != "step"}

    def _earlier_records(self) -> list[dict[str, int | float]]:
        """The lines that an earlier call wrote; of a damaged log the lines before the damage. Nothing depends on them."""
        records: list[dict[str, int | float]] = []
        path = self.folder / "monitor.jsonl"
        with suppress(InputError):
            for line in read_text(path).splitlines() if path.is_file() else ():
                records.append(checked(Record, parse_json(line, str(path)), str(path)).root)
        return records


def _column(condition: Condition, rendered: np.ndarray, context: Context) -> np.ndarray:
    if context is Context.FULL:
        shown = to_grey(condition.masked)
    else:
        shown = to_grey(np.where(condition.wall, -0.5, np.where(condition.cavity, 0.3, -1.2)))
    shown[inner_edges(condition.scar)] = 255
    return np.concatenate([to_grey(condition.image), shown, to_grey(rendered)])


def train_spade(request: TrainingRequest, context: Context, *, autoencoder: Path | None = None) -> dict[str, object]:
    """Train a SPADE generator; the same request again continues where the training stopped. Validation patients are not used.

    Args:
        context: what the generator is shown of the host.
        autoencoder: whose encoder the perceptual loss uses: a shipped model, a model folder or a work folder. None takes the one that the
            autoencoder stage left in the work folder, else `phantom`.
    Returns:
        The report, also written to `WORK/spade-CONTEXT/report.json`; the network is in `model/` beside it.
    Raises:
        InputError: there is no usable slice, or none with scar.
        ModelError: `init` or `autoencoder` does not fit.
        RunError: the work folder was begun with other data or settings, or must not be resumed.
    """
    usable_device(request.device)
    with claimed_work(request.work):
        return _train_spade(request, context, autoencoder)


def _train_spade(request: TrainingRequest, context: Context, autoencoder: Path | None) -> dict[str, object]:
    part, recipe = spade_part(context), recipe_named(request.recipe).spade
    data, folder = request.data_for(part), request.folder(part)
    torch.manual_seed(request.seed)
    file = ExampleFile(request.work / "examples.safetensors")
    examples = file.load_or_build(data.cohort, data.patients, request.on_progress, request.on_note)
    if not examples.scarred.any():
        raise InputError(f"{data.cohort.root}: {NO_SCAR}")
    size = SpadeSize(context=context, widths=recipe.widths, hidden=recipe.hidden, noise=recipe.noise)
    generator, started_from = _first_generator(size, request.init)
    perceptual_encoder, encoder_fingerprint = load_perceptual_encoder(autoencoder, request.work)
    loop = recipe.train if request.init is None else recipe.finetune
    settings = LoopSettings(
        seed=request.seed,
        origin=f"{started_from} {encoder_fingerprint}",
        decides={"data": examples.fingerprint, "size": asdict(size), "discriminator": recipe.discriminator},
        device=request.device,
        precision=request.precision,
    )
    finished = finished_report(folder, settings.digest(loop))
    if finished is not None:
        return finished
    task = SpadeTask(generator, Discriminator(context, recipe.discriminator), examples, perceptual_encoder)
    monitor = SpadeMonitor(task, folder)
    report = fit(task, loop, folder, settings, on_progress=request.progress_of(part), monitor=monitor, monitor_every=EVERY)
    if not monitor.records:  # the log of a finished training is lost: its last line can be had again
        monitor(loop.steps)
    halve(generator.cpu())
    with replaced_folder(folder / MODEL) as new:
        save_spade(generator, new)
    parameters = sum(p.numel() for p in generator.parameters())
    report |= about_training(request, part, examples) | monitor.last_record()
    report |= {"started_from": started_from, "perceptual_encoder": encoder_fingerprint, "parameters": parameters}
    write_json(folder / REPORT, report)
    return report


def _first_generator(size: SpadeSize, init: Path | None) -> tuple[Spade, str | None]:
    """A generator with random weights, or with those of `init` and their fingerprint."""
    if init is None:
        return Spade(size), None
    folder = part_folder(init, spade_part(size.context))
    require_whole(folder, f"spade --context {size.context.value}")
    start = load_spade(folder, size.context)
    if start.size != size:
        raise ModelError(f"{init}: has another size than this recipe trains; choose the --recipe it was made with")
    return start, fingerprint(folder, role=spade_part(size.context))


def load_perceptual_encoder(model: Path | None, work: Path) -> tuple[AutoencoderKL, str]:
    """The autoencoder for the perceptual loss, and its fingerprint.

    Args:
        model: see `train_spade`.
    Raises:
        ModelError: `model` holds no autoencoder.
    """
    if model is None:  # never what later stages leave in `work`: the same command would use another encoder when it resumes
        places = [work / AUTOENCODER_PLACES[0], shipped_or_path("phantom") / AUTOENCODER_PLACES[1]]
    else:
        places = [shipped_or_path(model) / place for place in AUTOENCODER_PLACES]
    folder = next((place for place in places if exists(place / "diffusion_pytorch_model.safetensors")), None)
    if folder is None:
        raise ModelError(f"{model or work}: holds no autoencoder for the perceptual loss; give a model folder, a work folder, or `phantom`")
    require_whole(folder, "autoencoder")
    return load_autoencoder(folder), fingerprint(folder, role="autoencoder")
