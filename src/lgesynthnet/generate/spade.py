"""SPADE as a `Generator`: the same hosts, masks and compositing as LGESynthNet, but no caption and no brightness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from lgesynthnet.conditioning.condition import Condition, build_condition
from lgesynthnet.conditioning.edit import SliceEdit
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.devices import usable_device
from lgesynthnet.generate.base import Generator
from lgesynthnet.generate.blood import VERSION as BLOOD_VERSION
from lgesynthnet.generate.composite import SampleOrigin, composite_roi
from lgesynthnet.generate.grain import VERSION, matched_noise
from lgesynthnet.model.spade import Spade, load_spade, noise_of, spade_part
from lgesynthnet.model.tensors import to_maps
from lgesynthnet.model_store import fingerprint, notice_licence, part_folder
from lgesynthnet.terms import Context
from lgesynthnet.threads import one_thread

SMOOTHED_PIXELS = 1.0


class SpadePainter(Generator):
    """Renders the working grid from a semantic map.

    Attributes:
        keep_host: take only the hidden region of what is rendered, as of every generator. False returns the whole working grid, as in the
            publication.
    """

    def __init__(self, model: Spade, *, fingerprint: str, keep_host: bool = True, device: str = "cpu") -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.keep_host, self.device = keep_host, torch.device(device)
        self._fingerprint = f"{fingerprint}/grain-{VERSION}/blood-{BLOOD_VERSION}" if keep_host else f"{fingerprint}/keep_host=False"

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, context: Context | None = None, *, keep_host: bool = True, device: str = "cpu"
    ) -> SpadePainter:
        """Load a SPADE generator from its own folder; or, if `context` is given, from a model or work folder.

        Raises:
            ModelError: it is missing or damaged, or has another context.
            InputError: this machine has no such device.
        """
        usable = usable_device(device)
        place = Path(folder) if context is None else part_folder(folder, spade_part(context))
        model = load_spade(place, context)
        notice_licence(place, place.parent)
        return cls(model, fingerprint=fingerprint(place, role=spade_part(model.size.context)), keep_host=keep_host, device=str(usable))

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def apply(self, host: Host, edit: SliceEdit, *, seed: int = 0) -> SyntheticSample:
        """Make one edit. On one kind of processor the same seed gives the same bytes, alone or in any run."""
        origin = SampleOrigin(host=host, edit=edit, seed=seed, generator=self.fingerprint)
        window = HeartWindow.from_slice(host.slice_)
        conditioning, roi, hidden = build_condition(host, edit, window)
        rendered = self._rendered(conditioning, seed)
        if not self.keep_host:
            hidden = roi.covers(host.slice_.image.shape)
        image = composite_roi(host.slice_.image, rendered, roi, window, hidden)
        if self.keep_host:
            # There is no autoencoder whose residual shows the host's noise, so the residual of a blur is used. A median filter would
            # remove whole grey levels, and from most pixels of an 8-bit image nothing.
            smooth = ndimage.gaussian_filter(host.slice_.image.astype(np.float64), SMOOTHED_PIXELS)
            noise = matched_noise(host, image, smooth, hidden, np.random.default_rng([seed, 1]))
            image = composite_roi(host.slice_.image, rendered, roi, window, hidden, noise)
        return origin.sample(image, hidden, own_surroundings=self.keep_host)

    @torch.no_grad()
    def _rendered(self, conditioning: Condition, seed: int) -> Float[np.ndarray, "128 128"]:
        with one_thread():
            semantic = to_maps([conditioning], self.model.size.context, self.device)
            image: Tensor = self.model(semantic, noise_of([seed], self.model.size).to(self.device))
            return np.asarray(image[0, 0].cpu().numpy())
