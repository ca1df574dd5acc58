"""Previews during training: the same slices, conditions and noise every time, painted by the present model, as one PNG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from lgesynthnet.conditioning.condition import inner_edges
from lgesynthnet.conditioning.intensity import to_grey
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.model.autoencoder import LATENT_CHANNELS, LATENT_SIDE, decode
from lgesynthnet.model.inpainter import Inpainter
from lgesynthnet.model.sampling import denoise
from lgesynthnet.model.tensors import to_inputs
from lgesynthnet.train.examples.roi import Dropout, Examples

EVERY = 500  # steps
COUNT = 8


class Previews:
    """Called with a step, writes `FOLDER/pictures/step-000500.png`.

    Its columns show the real image, the masked image with the scar's edges, and the painted image.
    """

    def __init__(self, model: Inpainter, examples: Examples, folder: Path, *, drop: Dropout | None = None) -> None:
        rng = np.random.default_rng(0)
        self.model, self.folder = model, folder
        chosen = rng.choice(np.flatnonzero(examples.scarred), COUNT)
        self.conditions = [examples.condition(int(i), rng, drop) for i in chosen]
        noise = rng.standard_normal((COUNT, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE), dtype=np.float32)
        self.noise = torch.from_numpy(noise)

    @torch.no_grad()
    def __call__(self, step: int) -> None:
        device = next(self.model.unet.parameters()).device
        self.model.to(device)
        latent = denoise(self.model, self.noise.to(device), to_inputs(self.conditions, self.model.text, device))
        painted = decode(self.model.autoencoder, latent)[:, 0].cpu().numpy()
        columns = []
        for condition, image in zip(self.conditions, painted, strict=True):
            masked = to_grey(condition.masked)
            masked[inner_edges(condition.scar)] = 255
            composite = np.where(condition.hidden, image, condition.image)
            columns.append(np.concatenate([to_grey(condition.image), masked, to_grey(composite)]))
        write_sheet(columns, self.folder, step)


def write_sheet(columns: list[UInt8[np.ndarray, "rows 128"]], folder: Path, step: int) -> None:
    """Write columns side by side as `FOLDER/pictures/step-000500.png`."""
    file = io.BytesIO()
    Image.fromarray(np.concatenate(columns, axis=1)).save(file, "PNG", optimize=True)
    write_bytes(folder / "pictures" / f"step-{step:06d}.png", file.getvalue())
