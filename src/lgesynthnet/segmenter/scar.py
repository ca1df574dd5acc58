"""A trained scar segmenter: image and known heart in, scar out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, Field
from safetensors.torch import save
from torch import Tensor, nn

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.errors import ModelError
from lgesynthnet.files.writing import write_bytes, write_json
from lgesynthnet.model_store import config_of, fingerprint, read_settings
from lgesynthnet.records import Label, Labels, ShortAxisSlice
from lgesynthnet.segmenter.networks import build_network, read_networks, weights_of
from lgesynthnet.segmenter.symmetry import SYMMETRIES, turned, turned_back
from lgesynthnet.terms import Role
from lgesynthnet.threads import one_thread

# Of a sensitive reading. The threshold of a segmenter is set so that it calls little scar in healthy slices; where scar is known to have
# been painted, that hides faint and thin scar. Of 120 samples in `val` (EMIDEC, 20 of each pattern), these shares let the filter confirm
# the most, and still none of 220 whose scar was not there or in another place.
PEAK, OF_PEAK = 98.0, 0.2  # percentile of the wall's probabilities, and the share of it from which on a pixel is scar
LEAST_SENSITIVE, MOST_SENSITIVE = 0.1, 0.3  # shares of the usual threshold between which that stays


class ScarSegmenterSettings(BaseModel, extra="forbid"):
    """`config.json` of a scar segmenter; see `TrainedScarSegmenter`. The oldest have one member, whose weights have no prefix."""

    role: Role
    width: Annotated[int, Field(ge=4, le=128, multiple_of=4)]
    threshold: Annotated[float, Field(ge=0, le=1)]
    members: Annotated[int, Field(ge=1, le=16)] | None = None
    views: Annotated[int, Field(ge=1, le=SYMMETRIES)] = 1


class TrainedScarSegmenter:
    """Finds scar inside the known wall of a slice: the mean of one or more networks over one or more views.

    Attributes:
        networks: the members, of one role and width, trained separately.
        role: what it may be used for.
        views: in how many of the square's eight symmetries each member sees a slice; with 8, a rotated slice gives the same result.
        threshold: a pixel counts as scar from this probability on; set on validation patients.
        fingerprint: role and hash of its weights and settings.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        role: Role,
        *,
        width: int,
        threshold: float = 0.5,
        views: int = 1,
        fingerprint: str = "untrained",
    ) -> None:
        if not networks or not 1 <= views <= SYMMETRIES:
            raise ModelError(f"a scar segmenter has at least one member and 1 to {SYMMETRIES} views, not {len(networks)} and {views}")
        self.networks = [network.eval() for network in networks]
        self.role, self.width, self.threshold, self.views, self.fingerprint = role, width, threshold, views, fingerprint

    @classmethod
    def from_pretrained(cls, folder: Path, role: Role = Role.FILTER) -> TrainedScarSegmenter:
        """Load `config.json` and `model.safetensors`; where the config names no members and views, there is one of each.

        Raises:
            ModelError: a file is missing or damaged, or the segmenter was trained for another role.
        """
        settings = read_settings(config_of(folder, "scar segmenter"), ScarSegmenterSettings)
        if settings.role is not role:
            raise ModelError(f"{folder}: this segmenter's role is {settings.role}, not {role}; its role must not change")
        prefixes = [""] if settings.members is None else [f"{i}." for i in range(settings.members)]
        networks = read_networks(folder / "model.safetensors", lambda: build_network(role, settings.width), prefixes)
        own = fingerprint(folder, role=role.value)
        return cls(networks, role, width=settings.width, threshold=settings.threshold, views=settings.views, fingerprint=own)

    def save(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors`; weights as float16, so round them before scoring (`model.checkpoint.halve`)."""
        weights = {f"{i}.{name}": value.half() for i, member in enumerate(self.networks) for name, value in weights_of(member).items()}
        write_bytes(folder / "model.safetensors", save(weights))
        settings: dict[str, object] = {"role": self.role.value, "width": self.width, "threshold": self.threshold}
        write_json(folder / "config.json", settings | {"members": len(self.networks), "views": self.views})

    def read(self, slice_: ShortAxisSlice, *, sensitive: bool = False) -> Labels:
        """Labels (rows, cols): 3 scar and 4 no-reflow inside the known wall, 0 elsewhere.

        Of the slice's labels only cavity and wall are used, never its scar.

        Args:
            sensitive: whether the threshold is a tenth to three tenths of the usual one, lower where the whole slice is doubtful.
        """
        scar, no_reflow = self.probabilities(slice_)
        wall = slice_.wall
        labels = np.zeros(slice_.labels.shape, np.uint8)
        threshold = self.threshold
        if sensitive and wall.any():
            peak = float(np.percentile((scar + no_reflow)[wall], PEAK))
            threshold = float(np.clip(OF_PEAK * peak, LEAST_SENSITIVE * threshold, MOST_SENSITIVE * threshold))
        scarred = wall & (scar + no_reflow >= threshold)
        labels[scarred] = np.where(no_reflow > scar, Label.NO_REFLOW, Label.SCAR)[scarred]
        return labels

    def probabilities(self, slice_: ShortAxisSlice) -> tuple[np.ndarray, np.ndarray]:
        """Probability (rows, cols) of scar and of no-reflow at every pixel of the slice, 0 outside the wall."""
        wall = slice_.wall
        rows, cols = np.nonzero(slice_.cavity)
        roi = Roi(centre=(float(rows.mean()), float(cols.mean())), spacing_mm=slice_.spacing_mm)
        unit = roi.crop(HeartWindow.from_slice(slice_).to_unit(slice_.image))
        stack = np.stack([unit, roi.crop_mask(slice_.cavity), roi.crop_mask(wall)]).astype(np.float32)
        with torch.no_grad(), one_thread():
            on_grid = self.grid_probabilities(torch.from_numpy(stack)[None])[0].numpy()
        at = np.nonzero(wall)
        out = np.zeros((2, *wall.shape))
        for channel in range(2):
            out[channel][at] = roi.paste(on_grid[channel + 1], at[0], at[1])
        return out[0], out[1]

    def grid_probabilities(self, stack: Float[Tensor, "b 3 128 128"]) -> Float[Tensor, "b 3 128 128"]:
        """Probability of healthy, scar, no-reflow on the working grid: the mean over members and views. Gradients pass through.

        Args:
            stack: image in heart units, cavity and wall.
        """
        each_view = [
            turned_back(torch.softmax(network(turned(stack, view)).float(), dim=1), view)
            for view in range(self.views)
            for network in self.networks
        ]
        return torch.stack(each_view).mean(dim=0)
