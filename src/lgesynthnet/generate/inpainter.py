"""The product: a prescribed scar inpainted into a real slice by the controlled latent diffusion model."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from jaxtyping import Float
from torch import Tensor

from lgesynthnet.conditioning.condition import Condition, Template, build_condition
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.generate.base import Generator
from lgesynthnet.generate.composite import finished, laid_into
from lgesynthnet.generate.grain import VERSION, matched_noise
from lgesynthnet.generate.guide import Guide
from lgesynthnet.model.autoencoder import LATENT_CHANNELS, LATENT_SIDE, decode, encode
from lgesynthnet.model.checkpoint import load_inpainter
from lgesynthnet.model.inpainter import Inpainter, Inputs
from lgesynthnet.model.schedule import clean_estimate, signal_and_noise, snr
from lgesynthnet.model.tensors import images, to_inputs
from lgesynthnet.model_store import fingerprint, notice_licence, shipped_or_path
from lgesynthnet.prescription.rasterize import ScarMask
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.threads import one_thread

SOLVERS = {"ddim": DDIMScheduler, "dpm": DPMSolverMultistepScheduler}
GUIDED_SNR = 3.0  # a guide reads structure, and before this there is none
CANDIDATE_STRIDE = 1_000_003  # between the seeds of one sample's candidates


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the sampler walks; part of the fingerprint.

    Attributes:
        steps: denoising steps, and network calls.
        guidance: classifier-free guidance on the caption; 1 is off and half as slow.
        edges: False drops the edge maps and leaves the caption alone in charge.
        grain: give painted pixels the host's own noise.
        whole_wall: repaint all of the wall instead of the scar's surroundings.
        solver: `ddim`, or `dpm`, a multistep solver of second order.
        guide_scale: how far a guide moves the clean estimate at each low-noise step, in latent units; 0 is off.
        words: False leaves the caption out, for comparison.
        keep_host: False hands out the whole working grid as the model renders it, as published; for comparison.
        masks: filled masks in place of edges, for a model that was trained so (`train control --masks`).
        best_of: paint so many candidates and keep the one that the guide likes best; 1 is off.
    """

    steps: int = 4
    guidance: float = 1.0
    edges: bool = True
    grain: bool = True
    whole_wall: bool = False
    solver: str = "ddim"
    guide_scale: float = 0.0
    best_of: int = 1
    masks: bool = False
    words: bool = True
    keep_host: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1 or self.best_of < 1 or self.solver not in SOLVERS:
            raise ModelError(f"sampling needs 1 step or more, 1 candidate or more and a solver of {', '.join(SOLVERS)}, not {self}")

    @property
    def mark(self) -> str:
        """What it adds to a fingerprint: the five settings that every sample has, and of the others what differs from the default."""
        first = "-".join(f"{value:g}" for value in list(asdict(self).values())[:5])
        more = [f"{f.name}={getattr(self, f.name)}" for f in fields(self)[5:] if getattr(self, f.name) != f.default]
        return "-".join([first, *more])


class LGESynthNet(Generator):
    """Paints prescribed scars; the `Generator` that the paper describes.

    >>> painter = LGESynthNet.from_pretrained("phantom")
    >>> sample = painter.inpaint(host, prescribe("Transmural enhancement in the posteroseptal wall"), seed=7)
    """

    def __init__(
        self,
        model: Inpainter,
        *,
        mark: str,
        sampling: Sampling | None = None,
        device: str = "cpu",
        guide: Guide | None = None,
        templates: Sequence[Template] = (),
    ) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.sampling = sampling or Sampling()
        self.device, self.guide, self.templates = torch.device(device), guide, list(templates)
        if self.model.templated != bool(self.templates):
            raise ModelError("a model of `train control --template` needs templates, and no other takes them")
        steered = self.sampling.guide_scale > 0 or self.sampling.best_of > 1
        if steered and guide is None:
            raise ModelError("guide_scale and best_of need a guide, such as workflow.guiding.ReaderGuide")
        self._mark = f"{mark}/{self.sampling.mark}" + (f"/{guide.fingerprint}" if steered and guide is not None else "")
        if self.sampling.grain:
            self._mark += f"/grain-{VERSION}"
        if self.templates:
            bank = hashlib.sha256(b"".join(t.patient.encode() + t.image.tobytes() + t.scar.tobytes() for t in self.templates))
            self._mark += f"/templates-{bank.hexdigest()[:12]}"

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "phantom",
        *,
        device: str = "auto",
        sampling: Sampling | None = None,
        guide: Guide | None = None,
        templates: Sequence[Template] = (),
    ) -> LGESynthNet:
        """Load a shipped model by name, a model folder by path, or what a training stage left as `WORK/STAGE/model`.

        Args:
            device: auto, cpu, cuda, cuda:N or mps (gpu is taken as cuda).
            guide: asked where `sampling` says so.
            templates: of training patients, for a model of `train control --template`: the seed picks one of another patient.
        Raises:
            ModelError: no such model, or a part is missing or damaged.
        """
        folder = shipped_or_path(model)
        part = next((each for each in (folder / "inpainter", folder) if (each / "unet").is_dir()), None)
        if part is None:
            raise ModelError(f"{model}: neither a shipped model nor a model folder; `lgesynthnet info` lists what there is")
        notice_licence(folder)
        mark = fingerprint(part, role="inpainter")
        return cls(load_inpainter(part), mark=mark, sampling=sampling, device=_device(device), guide=guide, templates=templates)

    @property
    def fingerprint(self) -> str:
        return self._mark

    def inpaint_mask(self, host: Host, painted: ScarMask, prescription: ScarPrescription, *, seed: int = 0) -> SyntheticSample:
        """Paint one sample; the same seed gives the same bytes on one kind of processor, alone or in any run."""
        began = time.perf_counter()
        window = HeartWindow.from_slice(host.slice_)
        made, roi, hidden = build_condition(host, prescription, painted, window, whole_wall=self.sampling.whole_wall)
        if self.templates:
            made = replace(made, template=self._template(host, seed))
        picture, rebuilt = self._networks(made, seed)
        original = host.slice_.image
        painted_over = hidden if self.sampling.keep_host else roi.covers(original.shape)
        image = laid_into(original, picture, roi, window, painted_over)
        if rebuilt is not None:
            rows, cols = np.indices(original.shape).reshape(2, -1)
            smooth = window.to_stored(roi.paste(rebuilt, rows, cols)).reshape(original.shape)
            lacking = matched_noise(host, image, smooth, hidden, np.random.default_rng([seed, 1]))
            image = laid_into(original, picture, roi, window, painted_over, lacking)
        return finished(host, prescription, painted, painted_over, image, seed=seed, model=self.fingerprint, began=began)

    def _template(self, host: Host, seed: int) -> Template:
        others = [template for template in self.templates if template.patient != host.slice_.patient]
        if not others:
            raise InputError(f"{host.name}: every template is of this same patient; give templates of other patients")
        return others[int(np.random.default_rng([seed, 2]).integers(len(others)))]

    def _networks(self, made: Condition, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """The repainted working grid and, where grain is wanted, the host as the autoencoder gives it back; heart units, (128, 128)."""
        with one_thread(), ThreadPoolExecutor(max_workers=1) as second:
            # The host's own reconstruction, which tells its grain, knows nothing of the sample: a second core makes it meanwhile.
            rebuilding = second.submit(self._rebuilt, made) if self.sampling.grain else None
            picture = self._inpaint(made, seed)
            return picture, None if rebuilding is None else rebuilding.result()

    @torch.no_grad()
    def _inpaint(self, made: Condition, seed: int) -> np.ndarray:
        """The repainted working grid in heart units, (128, 128)."""
        shown = replace(made, show_edges=self.sampling.edges, filled=self.sampling.masks)
        inputs = to_inputs([shown if self.sampling.words else replace(shown, caption="")], self.model.text, self.device)
        return self._best(inputs, made, seed)[0, 0].cpu().numpy()

    @torch.no_grad()
    def _rebuilt(self, made: Condition) -> np.ndarray:
        """The working grid as the autoencoder gives it back, (128, 128)."""
        return decode(self.model.autoencoder, encode(self.model.autoencoder, images([made], self.device)))[0, 0].cpu().numpy()

    def _best(self, inputs: Inputs, made: Condition, seed: int) -> Float[Tensor, "1 1 128 128"]:
        """The first candidate, painted from the sample's own seed, or the one that the guide likes best."""
        pictures = [
            decode(self.model.autoencoder, self._sample(inputs, made, seed + i * CANDIDATE_STRIDE)) for i in range(self.sampling.best_of)
        ]
        if self.guide is None or len(pictures) == 1:
            return pictures[0]
        return min(pictures, key=lambda picture: float(self._loss(picture, made)))

    def _sample(self, inputs: Inputs, made: Condition, seed: int) -> Float[Tensor, "1 4 32 32"]:
        schedule = SOLVERS[self.sampling.solver].from_config(self.model.schedule.config)
        schedule.set_timesteps(self.sampling.steps)
        noise = torch.randn(1, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE, generator=torch.Generator().manual_seed(seed % 2**63))
        latent = noise.to(self.device)
        words = self.model.text(inputs.tokens)
        guided = self.sampling.guidance != 1.0
        if guided:  # both passes in one batch
            words = torch.cat([words, self.model.text.read([""])])
            inputs = replace(inputs, **{name: torch.cat([value, value]) for name, value in vars(inputs).items()})
        ratio = snr(self.model.schedule)
        with self.model.hinted(inputs):
            for step in schedule.timesteps:
                at = step.reshape(1).to(self.device)
                v = self.model(latent.expand(len(words), -1, -1, -1), at.expand(len(words)), inputs, words)
                if guided:
                    told, silent = v.chunk(2)
                    v = silent + self.sampling.guidance * (told - silent)
                if self.sampling.guide_scale > 0 and float(ratio[int(step)]) >= GUIDED_SNR:
                    v = self._steered(latent, v, at, made)
                latent = schedule.step(v, step, latent).prev_sample
        return latent

    def _steered(self, latent: Tensor, v: Tensor, at: Tensor, made: Condition) -> Tensor:
        """Move the clean estimate down the guide's gradient (Bansal et al., 2023, forward universal guidance on the estimate)."""
        alpha, sigma = (part.to(self.device) for part in signal_and_noise(self.model.schedule, at.cpu()))
        with torch.enable_grad():
            clean = clean_estimate(latent, v, alpha, sigma).detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(self._loss(decode(self.model.autoencoder, clean), made).sum(), clean)
        moved = clean.detach() - self.sampling.guide_scale * slope / slope.abs().max().clamp(min=1e-12)
        return (alpha * latent - moved) / sigma.clamp(min=1e-6)

    def _loss(self, picture: Tensor, made: Condition) -> Float[Tensor, " b"]:
        if self.guide is None:
            raise ModelError("no guide to ask")
        return self.guide.loss(picture, [made])


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name.replace("gpu", "cuda") if name.startswith("gpu") else name
