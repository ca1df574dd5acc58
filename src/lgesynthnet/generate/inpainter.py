"""The product: a prescribed scar inpainted into a real slice by the controlled latent diffusion model."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lgesynthnet.conditioning.condition import Condition, condition
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.data.intensity import HeartWindow
from lgesynthnet.errors import ModelError
from lgesynthnet.files import fingerprint, shipped_or_path
from lgesynthnet.generate.composite import composite, finished
from lgesynthnet.generate.grain import grain
from lgesynthnet.model.autoencoder import LATENT_CHANNELS, LATENT_SIDE, decode, encode
from lgesynthnet.model.checkpoint import load_inpainter
from lgesynthnet.model.inpainter import Inpainter, Inputs
from lgesynthnet.model.tensors import images, to_inputs
from lgesynthnet.prescription.painting import paint
from lgesynthnet.prescription.scar import ScarPrescription


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the sampler walks; part of the fingerprint.

    Attributes:
        steps: denoising steps (DDIM).
        guidance: classifier-free guidance on the caption; 1 is off and half as slow.
        edges: False drops the edge maps and leaves the caption alone in charge.
        grain: give painted pixels the host's own noise.
        whole_wall: repaint all of the wall instead of the scar's surroundings.
    """

    steps: int = 10
    guidance: float = 1.0
    edges: bool = True
    grain: bool = True
    whole_wall: bool = False


class LGESynthNet:
    """Paints prescribed scars; the `Generator` that the paper describes.

    >>> painter = LGESynthNet.from_pretrained("phantom")
    >>> sample = painter.paint(host, ScarPrescription.parse("Transmural enhancement in the posteroseptal wall"), seed=7)
    """

    def __init__(self, model: Inpainter, *, mark: str, sampling: Sampling | None = None, device: str = "cpu") -> None:
        self.model = model.to(device)
        self.sampling = sampling or Sampling()
        self.device = torch.device(device)
        settings = "-".join(f"{value:g}" for value in asdict(self.sampling).values())
        self._mark = f"{mark}/{settings}"

    @classmethod
    def from_pretrained(cls, model: str | Path = "phantom", *, device: str = "auto", sampling: Sampling | None = None) -> LGESynthNet:
        """Load a shipped model by name or a model folder by path.

        Args:
            device: auto, cpu, cuda, cuda:N or mps (gpu is taken as cuda).
        Raises:
            ModelError: no such model, or a part is missing or damaged.
        """
        folder = shipped_or_path(model)
        if not (folder / "inpainter").is_dir():
            raise ModelError(f"{model}: neither a shipped model nor a model folder; `lgesynthnet info` lists what there is")
        mark = fingerprint(folder / "inpainter", role="inpainter")
        return cls(load_inpainter(folder / "inpainter"), mark=mark, sampling=sampling, device=_device(device))

    @property
    def fingerprint(self) -> str:
        return self._mark

    def paint(self, host: Host, prescription: ScarPrescription, *, seed: int = 0) -> SyntheticSample:
        """Paint one sample; the same seed gives the same bytes on one kind of processor, alone or in any run.

        Raises:
            PrescriptionError: the prescription has no wall to fall on in this host.
        """
        began = time.perf_counter()
        painted = paint(prescription, host.frame)
        window = HeartWindow.of(host.slice_)
        made, roi, hidden = condition(host, prescription, painted, window, whole_wall=self.sampling.whole_wall)
        roi_image = self._inpaint(made, seed)
        rows, cols = np.nonzero(hidden)
        values = np.zeros(host.slice_.image.shape)
        values[rows, cols] = window.to_stored(roi.paste(roi_image, rows, cols))
        image = composite(host.slice_.image, values, hidden, host.slice_.spacing_mm)
        return finished(host, prescription, painted, hidden, image, seed=seed, model=self.fingerprint, began=began)

    @torch.no_grad()
    def _inpaint(self, made: Condition, seed: int) -> np.ndarray:
        """The repainted working grid in heart units, (128, 128)."""
        # oneDNN picks kernels by thread count; without it 1 and 2 threads give the same bytes (about 4 % slower).
        with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
            inputs = to_inputs([replace(made, show_edges=self.sampling.edges)], self.model.text, self.device)
            latent = self._sample(inputs, made, seed)
            picture = decode(self.model.autoencoder, latent)[0, 0].cpu().numpy()
            if not self.sampling.grain:
                return picture
            host = images([made], self.device)
            rebuilt = decode(self.model.autoencoder, encode(self.model.autoencoder, host))[0, 0].cpu().numpy()
        return picture + grain(made.image - rebuilt, made.wall, made.hidden, np.random.default_rng([seed, 1]))

    def _sample(self, inputs: Inputs, made: Condition, seed: int) -> Tensor:
        schedule = type(self.model.schedule).from_config(self.model.schedule.config)  # `set_timesteps` changes a scheduler
        schedule.set_timesteps(self.sampling.steps)
        noise = torch.randn(1, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE, generator=torch.Generator().manual_seed(seed % 2**63))
        latent = noise.to(self.device)
        words = self.model.text(inputs.tokens)
        silent = self.model.text.read([""]) if self.sampling.guidance != 1.0 else None
        for step in schedule.timesteps:
            at = step.reshape(1).to(self.device)
            v = self.model(latent, at, inputs, words)
            if silent is not None:
                free = self.model(latent, at, inputs, silent)
                v = free + self.sampling.guidance * (v - free)
            latent = schedule.step(v, step, latent).prev_sample
        return latent


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name.replace("gpu", "cuda") if name.startswith("gpu") else name
