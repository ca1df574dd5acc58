"""LGESynthNet: the controlled latent diffusion model paints a prescribed scar into a real slice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from jaxtyping import Float
from torch import Tensor

from lgesynthnet.conditioning.condition import Condition, Template, build_condition
from lgesynthnet.conditioning.edit import SliceEdit
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.devices import usable_device
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.generate.base import Generator
from lgesynthnet.generate.blood import VERSION as BLOOD_VERSION
from lgesynthnet.generate.brightness import VERSION as BRIGHTNESS_VERSION
from lgesynthnet.generate.brightness import with_healed_brightness, with_prescribed_brightness
from lgesynthnet.generate.composite import SampleOrigin, composite_roi
from lgesynthnet.generate.grain import VERSION, matched_noise
from lgesynthnet.model.autoencoder import LATENT_CHANNELS, LATENT_SIDE, decode, encode
from lgesynthnet.model.checkpoint import load_inpainter
from lgesynthnet.model.inpainter import Inpainter, Inputs
from lgesynthnet.model.settings import scar_levels
from lgesynthnet.model.tensors import images, to_inputs
from lgesynthnet.model_store import fingerprint as fingerprint_of
from lgesynthnet.model_store import is_folder, notice_licence, require_complete, shipped_or_path
from lgesynthnet.threads import one_thread

SOLVERS = {"ddim": DDIMScheduler, "dpm": DPMSolverMultistepScheduler}
# Share of the variance of the initial noise that the slices of one heart have in common. Brightness inside the scar then goes on between
# neighbouring slices as in patients: median correlation 0.29 (EMIDEC `train`, experiments/continuity.py). A latent cell is 4 mm wide, and
# finer noise, which patients do not share, is added to each slice on its own.
SHARED_NOISE = 0.7
ALWAYS_NAMED = 5  # the first settings are in every fingerprint, the others only where they differ from the default


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Settings of the sampler; part of the fingerprint.

    Attributes:
        steps: denoising steps; each is one call of the network.
        guidance: scale of classifier-free guidance on the caption; 1 is off and takes half of the time.
        edges: whether the edge maps are shown; False leaves the caption alone in charge.
        grain: whether painted pixels get noise like the host's.
        whole_wall: whether the whole wall is repainted instead of the scar's surroundings.
        solver: `ddim`, or `dpm`, a multistep solver of second order.
        words: whether the caption is shown; False is for comparison.
        keep_host: False returns the whole working grid as the model renders it, as in the publication; for comparison.
        set_brightness: whether the scar's mean brightness is set to what was prescribed; False leaves it as painted.
    """

    steps: int = 4
    guidance: float = 1.0
    edges: bool = True
    grain: bool = True
    whole_wall: bool = False
    solver: str = "ddim"
    words: bool = True
    keep_host: bool = True
    set_brightness: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1 or self.solver not in SOLVERS:
            raise ModelError(f"sampling needs 1 step or more and a solver of {', '.join(SOLVERS)}, not {self}")

    @property
    def fingerprint(self) -> str:
        """What the settings add to the generator's fingerprint."""
        named = "-".join(f"{value:g}" for value in list(asdict(self).values())[:ALWAYS_NAMED])
        changed = [f"{f.name}={getattr(self, f.name)}" for f in fields(self)[ALWAYS_NAMED:] if getattr(self, f.name) != f.default]
        return "-".join([named, *changed])


class LGESynthNet(Generator):
    """Paints prescribed scars; the generator of the paper.

    >>> generator = LGESynthNet.from_pretrained("phantom")
    >>> sample = generator.inpaint(host, prescribe("Transmural enhancement in the posteroseptal wall"), seed=7)
    """

    def __init__(
        self,
        model: Inpainter,
        *,
        fingerprint: str,
        sampling: Sampling | None = None,
        device: str = "cpu",
        templates: Sequence[Template] = (),
        levels: Sequence[float] | None = None,
    ) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.sampling = sampling or Sampling()
        self.device, self.templates = torch.device(device), list(templates)
        # Without edges nobody knows where the scar will be, so its brightness cannot be set.
        self.levels = levels if self.sampling.set_brightness and self.sampling.edges else None
        if self.model.templated != bool(self.templates):
            raise ModelError("a model of `train control --template` needs templates, and no other takes them")
        self._shared_seed: int | None = None
        self._fingerprint = f"{fingerprint}/{self.sampling.fingerprint}"
        if self.sampling.grain:
            self._fingerprint += f"/grain-{VERSION}"
        if self.sampling.keep_host:
            self._fingerprint += f"/blood-{BLOOD_VERSION}"
        if self.levels is not None:
            self._fingerprint += f"/brightness-{BRIGHTNESS_VERSION}"
        if self.templates:
            bank = hashlib.sha256(b"".join(t.patient.encode() + t.image.tobytes() + t.scar.tobytes() for t in self.templates))
            self._fingerprint += f"/templates-{bank.hexdigest()[:12]}"

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "phantom",
        *,
        device: str = "auto",
        sampling: Sampling | None = None,
        templates: Sequence[Template] = (),
        base: bool = False,
    ) -> LGESynthNet:
        """Load a shipped model by name, a model folder by path, or the folder `WORK/STAGE/model` of a training stage.

        Args:
            device: auto, cpu, cuda, cuda:N or mps (gpu means cuda).
            templates: of training patients, for a model of `train control --template`; the seed chooses one of another patient.
            base: whether a model without a control branch will do, as the training stage `base` leaves one.
        Raises:
            ModelError: there is no such model, or a part is missing or damaged.
            InputError: this machine has no such device.
        """
        usable = usable_device(device)
        folder = shipped_or_path(model)
        part = next((place for place in (folder / "inpainter", folder) if is_folder(place / "unet")), None)
        if part is None:
            raise ModelError(f"{model}: neither a shipped model nor a model folder; `lgesynthnet info` lists the shipped models")
        require_complete(folder)
        notice_licence(folder)
        loaded = load_inpainter(part, base=base)
        own, levels = fingerprint_of(part, role="inpainter"), scar_levels(part)
        return cls(loaded, fingerprint=own, sampling=sampling, device=str(usable), templates=templates, levels=levels)

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def for_heart(self, seed: int) -> LGESynthNet:
        """The same generator for the slices of one heart: a part of their initial noise is the same."""
        same = copy(self)
        same._shared_seed = seed
        return same

    def apply(self, host: Host, edit: SliceEdit, *, seed: int = 0) -> SyntheticSample:
        """Make one edit. On one kind of processor the same seed gives the same bytes, alone or in any run."""
        origin = SampleOrigin(host=host, edit=edit, seed=seed, generator=self.fingerprint)
        window = HeartWindow.from_slice(host.slice_)
        conditioning, roi, hidden = build_condition(host, edit, window, whole_wall=self.sampling.whole_wall)
        if self.templates:
            conditioning = replace(conditioning, template=self._template(host, seed))
        repainted, reconstruction = self._run_networks(conditioning, seed)
        if self.levels is not None:
            scar, core, removed = (roi.crop_mask(mask) for mask in (edit.painted.scar, edit.painted.no_reflow, edit.removed))
            repainted = with_prescribed_brightness(repainted, scar, core, conditioning, self.levels)
            repainted = with_healed_brightness(repainted, removed & ~scar, conditioning)
        original = host.slice_.image
        changed = hidden if self.sampling.keep_host else roi.covers(original.shape)
        image = composite_roi(original, repainted, roi, window, changed)
        if reconstruction is not None:
            rows, cols = np.indices(original.shape).reshape(2, -1)
            smooth = window.to_stored(roi.paste(reconstruction, rows, cols)).reshape(original.shape)
            noise = matched_noise(host, image, smooth, hidden, np.random.default_rng([seed, 1]))
            image = composite_roi(original, repainted, roi, window, changed, noise)
        return origin.sample(image, changed, own_surroundings=self.sampling.keep_host)

    def _template(self, host: Host, seed: int) -> Template:
        others = [template for template in self.templates if template.patient != host.slice_.patient]
        if not others:
            raise InputError(f"{host.name}: every template is of this same patient; give templates of other patients")
        return others[int(np.random.default_rng([seed, 2]).integers(len(others)))]

    def _run_networks(self, conditioning: Condition, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """The repainted working grid and, where noise is wanted, the autoencoder's reconstruction of the host; heart units, (128, 128)."""
        with one_thread(), ThreadPoolExecutor(max_workers=1) as executor:
            # The reconstruction, which shows the host's noise, does not depend on the sample, so a second core computes it meanwhile.
            reconstructing = executor.submit(self._reconstruct, conditioning) if self.sampling.grain else None
            repainted = self._repaint(conditioning, seed)
            return repainted, None if reconstructing is None else reconstructing.result()

    @torch.no_grad()
    def _repaint(self, conditioning: Condition, seed: int) -> np.ndarray:
        """The repainted working grid in heart units, (128, 128)."""
        shown = replace(conditioning, show_edges=self.sampling.edges)
        inputs = to_inputs([shown if self.sampling.words else replace(shown, caption="")], self.model.text, self.device)
        repainted: np.ndarray = decode(self.model.autoencoder, self._sample_latent(inputs, seed))[0, 0].cpu().numpy()
        return repainted

    @torch.no_grad()
    def _reconstruct(self, conditioning: Condition) -> np.ndarray:
        """The autoencoder's reconstruction of the unmasked working grid, (128, 128)."""
        latent = encode(self.model.autoencoder, images([conditioning], self.device))
        reconstruction: np.ndarray = decode(self.model.autoencoder, latent)[0, 0].cpu().numpy()
        return reconstruction

    def _sample_latent(self, inputs: Inputs, seed: int) -> Float[Tensor, "1 4 32 32"]:
        schedule = SOLVERS[self.sampling.solver].from_config(self.model.schedule.config)
        schedule.set_timesteps(self.sampling.steps)
        noise = _noise(seed)
        if self._shared_seed is not None:
            noise = (1 - SHARED_NOISE) ** 0.5 * noise + SHARED_NOISE**0.5 * _noise(self._shared_seed)
        latent = noise.to(self.device)
        words = self.model.text(inputs.tokens)
        guided = self.sampling.guidance != 1.0
        if guided:  # with and without caption in one batch
            words = torch.cat([words, self.model.text.read([""])])
            inputs = replace(inputs, **{name: torch.cat([value, value]) for name, value in vars(inputs).items()})
        with self.model.embedded_once(inputs):
            for step in schedule.timesteps:
                at = step.reshape(1).to(self.device)
                v = self.model(latent.expand(len(words), -1, -1, -1), at.expand(len(words)), inputs, words)
                if guided:
                    captioned, uncaptioned = v.chunk(2)
                    v = uncaptioned + self.sampling.guidance * (captioned - uncaptioned)
                latent = schedule.step(v, step, latent).prev_sample
        return latent


def _noise(seed: int) -> Float[Tensor, "1 4 32 32"]:
    return torch.randn(1, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE, generator=torch.Generator().manual_seed(seed % 2**63))
