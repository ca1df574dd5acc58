"""Baseline without a network: the scar is filled with an even brightness, taken from the host's own blood pool."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lgesynthnet.conditioning.edit import SliceEdit
from lgesynthnet.conditioning.repaint_region import hidden_region
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.errors import AnatomyError
from lgesynthnet.generate.base import Generator
from lgesynthnet.generate.composite import SampleOrigin, composite
from lgesynthnet.generate.grain import grain
from lgesynthnet.records import Label

VERSION = 4  # part of the fingerprint; raise it when the rule changes
ERASED_PIXELS = 3
SMOOTHED_PIXELS = 3


@dataclass(frozen=True, kw_only=True)
class IntensityPaste(Generator):
    """Fills the scar with an even brightness; every learned generator has to beat it.

    Attributes:
        edge_pixels: width of the soft edge, as the sigma of a Gaussian.
        blood_percentiles: brightness of the darkest and of the brightest scar, as percentiles of the blood pool. (The median real scar is a
            little above the median of the blood pool.)
    """

    edge_pixels: float = 0.6
    blood_percentiles: tuple[float, float] = (30.0, 99.0)

    @property
    def fingerprint(self) -> str:
        settings = json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True)
        return f"paste:{hashlib.sha256(settings.encode()).hexdigest()[:16]}"

    def apply(self, host: Host, edit: SliceEdit, *, seed: int = 0) -> SyntheticSample:
        """Make one edit.

        Raises:
            AnatomyError: the host's wall is all scar, so there is no healthy wall to take the texture from.
        """
        origin = SampleOrigin(host=host, edit=edit, seed=seed, generator=self.fingerprint)
        slice_ = host.slice_
        hidden = hidden_region(edit.touched, host.frame.wall, slice_.spacing_mm)
        filled = self._filled(host, edit, np.random.default_rng(seed))
        image = composite(slice_.image, filled, hidden, slice_.spacing_mm)
        return origin.sample(image, hidden)

    def _filled(self, host: Host, edit: SliceEdit, rng: np.random.Generator) -> Float[np.ndarray, "rows cols"]:
        image = host.slice_.image.astype(np.float64)
        dark_level, texture = healthy_wall(host, rng)
        dim, bright = self.blood_percentiles
        scar_level = np.percentile(image[host.frame.cavity], dim + (bright - dim) * edit.intensity_percentile / 100)
        result = erased(host, edit, dark_level + texture)
        for mask, level in ((edit.painted.scar, scar_level), (edit.painted.no_reflow, dark_level)):
            share = ndimage.gaussian_filter(mask.astype(np.float64), self.edge_pixels)
            result = result * (1 - share) + (level + texture) * share
        return result


def healthy_wall(host: Host, rng: np.random.Generator) -> tuple[float, Float[np.ndarray, "rows cols"]]:
    """Level of the host's healthy wall, and noise with the strength and correlation of the host's own; both in stored numbers.

    Raises:
        AnatomyError: the host's wall is all scar, so there is no healthy wall to take the texture from.
    """
    image = host.slice_.image.astype(np.float64)
    healthy = image[host.slice_.labels == Label.WALL]
    if not healthy.size:
        raise AnatomyError(f"{host.name}: no healthy wall is left to take the texture from; choose another slice")
    # The residual of a median filter, so that a gradient in the wall does not count as noise.
    residual = image - ndimage.median_filter(image, SMOOTHED_PIXELS)
    return float(np.percentile(healthy, 25)), grain(residual, host.frame.wall, host.slice_.scar, rng)


def erased(host: Host, edit: SliceEdit, healthy: Float[np.ndarray, "rows cols"]) -> Float[np.ndarray, "rows cols"]:
    """The host's image with the scar that is removed or painted over replaced by `healthy`; it would shine through a soft edge."""
    under = ndimage.binary_dilation(host.slice_.scar & edit.touched, iterations=ERASED_PIXELS)
    covered = under & host.frame.wall & ~(host.slice_.scar & ~edit.touched)
    return np.where(covered, healthy, host.slice_.image.astype(np.float64))
