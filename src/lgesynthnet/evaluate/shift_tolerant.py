"""ST-LPIPS: a perceptual distance that forgives a shift by a pixel, where SSIM and RMSE do not.

The weights are those of the package `stlpips-pytorch`, whose own code is never imported: it needs packages that break ours. Without
the package there is no distance, and everything else goes on.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.errors import ModelError
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.similarity import scaled
from lgesynthnet.threads import one_thread

PACKAGE = "stlpips_pytorch"
FILE = Path("weights", "vST0.0", "alex_shift_tolerant.pth")
SIZE_BYTES = 9_899_296
SHA256 = "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee"
ABSENT = "stlpips-pytorch is not installed"
# Channels in and out, kernel, padding of the five convolutions, and where the file keeps each.
CONVOLUTIONS = ((3, 64, 11, 2), (64, 192, 5, 2), (192, 384, 3, 1), (384, 256, 3, 1), (256, 256, 3, 1))
NAMES = ("net.slice1.0", "net.slice2.5", "net.slice3.9", "net.slice4.11", "net.slice5.13")


class ShiftTolerantDistance(nn.Module):
    """AlexNet whose every stride is a blur, and a learned non-negative weight for each channel of its five layers.

    Source: Ghildyal and Liu, Shift-tolerant Perceptual Similarity Metric (ECCV 2022), the AlexNet with blur after its first
        convolution, reflection padding of 2 and stride 1 in front; Zhang et al. (2018) for the distance.
    """

    blur: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(a, b, kernel, padding=padding) for a, b, kernel, padding in CONVOLUTIONS)
        self.weights = nn.ParameterList(nn.Parameter(torch.zeros(1, layer[1], 1, 1)) for layer in CONVOLUTIONS)
        tent = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("blur", torch.outer(tent, tent))
        self.register_buffer("shift", torch.zeros(1, 3, 1, 1))
        self.register_buffer("scale", torch.ones(1, 3, 1, 1))

    @classmethod
    def from_installed(cls) -> ShiftTolerantDistance | None:
        """With the installed package's weights; None where it is not installed.

        Raises:
            ModelError: the file is not the one that was looked into. A pickle is opened only if it is that very file.
        """
        path = _installed()
        if path is None:
            return None
        if not path.is_file() or path.stat().st_size != SIZE_BYTES or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
            raise ModelError(f"{path}: is not the file of stlpips-pytorch 0.0.2; install that version with --no-deps, or uninstall it")
        return cls._filled(torch.load(path, map_location="cpu", weights_only=True)).eval().requires_grad_(False)

    @classmethod
    def _filled(cls, stored: dict[str, Tensor]) -> ShiftTolerantDistance:
        made = cls()
        own = {"shift": stored["scaling_layer.shift"], "scale": stored["scaling_layer.scale"], "blur": made.blur}
        for i, name in enumerate(NAMES):
            own |= {f"layers.{i}.weight": stored[f"{name}.weight"], f"layers.{i}.bias": stored[f"{name}.bias"]}
            own[f"weights.{i}"] = stored[f"lin{i}.model.1.weight"]
        made.load_state_dict(own)
        return made

    def forward(self, one: Float[Tensor, "b 3 rows cols"], other: Float[Tensor, "b 3 rows cols"]) -> Float[Tensor, " b"]:
        """Distance of images in [-1, 1]; 0 for equal ones."""
        total = one.new_zeros(len(one))
        for a, b, weight in zip(self._seen(one), self._seen(other), self.weights, strict=True):
            apart = functional.normalize(a, dim=1, eps=1e-10) - functional.normalize(b, dim=1, eps=1e-10)
            total = total + (weight * apart**2).sum(dim=1).mean(dim=(1, 2))
        return total

    def _seen(self, image: Float[Tensor, "b 3 rows cols"]) -> list[Tensor]:
        x = (image - self.shift) / self.scale
        seen = []
        for i, layer in enumerate(self.layers):
            if i in (1, 2):
                x = self._halved(functional.max_pool2d(x, kernel_size=3, stride=1))
            x = layer(x)
            x = functional.relu(self._halved(x) if i == 0 else x)
            seen.append(x)
        return seen

    def _halved(self, x: Float[Tensor, "b c rows cols"]) -> Float[Tensor, "b c half1 half2"]:
        kernel = self.blur.expand(x.shape[1], 1, 3, 3)
        return functional.conv2d(functional.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=x.shape[1])

    def between(self, one: Float[np.ndarray, "rows cols"], other: Float[np.ndarray, "rows cols"]) -> float:
        """Distance of two grey images in [0, 1], both sides 32 pixels or more."""
        pair = [
            torch.from_numpy(np.ascontiguousarray(image, np.float32))[None, None].expand(1, 3, -1, -1) * 2 - 1 for image in (one, other)
        ]
        with torch.no_grad(), one_thread():
            return float(self(*pair))

    def to_host(self, case: Case) -> float:
        """Distance of a painted slice to its host on the working grid, 128 x 128 mm round the LV, in the scale of the similarities."""
        roi = Roi(centre=case.frame.centre, spacing_mm=case.frame.spacing_mm)
        return self.between(*(roi.crop(scaled(image, case.host.image)) for image in (case.image, case.host.image)))


def _installed() -> Path | None:
    found = find_spec(PACKAGE)  # finds, and does not run it
    places = list(found.submodule_search_locations or ()) if found is not None else []
    return Path(places[0]) / FILE if places else None
