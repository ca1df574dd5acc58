"""The SPADE rivals behind the generator's contract: same hosts, masks and compositing as the product, no caption and no brightness."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage

from lgesynthnet.conditioning.condition import Condition, build_condition
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.generate.base import Generator
from lgesynthnet.generate.composite import finished, laid_into
from lgesynthnet.generate.grain import VERSION, matched_noise
from lgesynthnet.model.spade import Spade, load_spade, noise_of, spade_part
from lgesynthnet.model.tensors import to_maps
from lgesynthnet.model_store import fingerprint, notice_licence, part_folder
from lgesynthnet.prescription.rasterize import ScarMask
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.terms import Context
from lgesynthnet.threads import one_thread

SMOOTHED_PIXELS = 1.0


class SpadePainter(Generator):
    """Renders the whole working grid from a semantic map; by default only the hidden region of it is taken, as of every generator.

    Attributes:
        keep_host: False hands out the whole working grid as rendered, as published.
    """

    def __init__(self, model: Spade, *, mark: str, keep_host: bool = True, device: str = "cpu") -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.keep_host, self.device = keep_host, torch.device(device)
        self._mark = f"{mark}/grain-{VERSION}" if keep_host else f"{mark}/keep_host=False"

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, context: Context | None = None, *, keep_host: bool = True, device: str = "cpu"
    ) -> SpadePainter:
        """Load a SPADE from its own folder or, where `context` says which, from a model or work folder.

        Raises:
            ModelError: none there, damaged, or of another context.
        """
        place = Path(folder) if context is None else part_folder(folder, spade_part(context))
        model = load_spade(place, context)
        notice_licence(place, place.parent)
        return cls(model, mark=fingerprint(place, role=spade_part(model.size.context)), keep_host=keep_host, device=device)

    @property
    def fingerprint(self) -> str:
        return self._mark

    def inpaint_mask(self, host: Host, painted: ScarMask, prescription: ScarPrescription, *, seed: int = 0) -> SyntheticSample:
        """Paint one sample; the same seed gives the same bytes on one kind of processor, alone or in any run."""
        began = time.perf_counter()
        window = HeartWindow.from_slice(host.slice_)
        made, roi, hidden = build_condition(host, prescription, painted, window)
        picture = self._rendered(made, seed)
        if not self.keep_host:
            hidden = roi.covers(host.slice_.image.shape)
        image = laid_into(host.slice_.image, picture, roi, window, hidden)
        if self.keep_host:
            # No autoencoder's leftover shows the host's noise; what a blur takes away stands in. A median filter would take
            # whole grey levels away, and of most pixels of an 8-bit image none.
            smooth = ndimage.gaussian_filter(host.slice_.image.astype(np.float64), SMOOTHED_PIXELS)
            lacking = matched_noise(host, image, smooth, hidden, np.random.default_rng([seed, 1]))
            image = laid_into(host.slice_.image, picture, roi, window, hidden, lacking)
        return finished(host, prescription, painted, hidden, image, seed=seed, model=self.fingerprint, began=began)

    @torch.no_grad()
    def _rendered(self, made: Condition, seed: int) -> Float[np.ndarray, "128 128"]:
        with one_thread():
            semantic = to_maps([made], self.model.size.context, self.device)
            return self.model(semantic, noise_of([seed], self.model.size).to(self.device))[0, 0].cpu().numpy()
