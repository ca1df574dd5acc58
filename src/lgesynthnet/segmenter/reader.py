"""A trained reader: image and known heart in, scar out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.errors import ModelError
from lgesynthnet.files import write_bytes, write_json
from lgesynthnet.model_store import fingerprint
from lgesynthnet.records import Label, Labels, ShortAxisSlice
from lgesynthnet.segmenter.networks import build_network, fill, weights_of
from lgesynthnet.terms import Role
from lgesynthnet.threads import one_thread

SYMMETRIES = 8  # of the square: four turns, each also mirrored


class TrainedScarSegmenter:
    """Finds scar inside a slice's known wall: the mean of one or more networks over one or more views.

    Attributes:
        networks: the members, of one role and width, trained apart.
        role: what it may be used for.
        views: how many of the square's eight symmetries each member looks at a slice in; with 8 a turned slice is read alike.
        threshold: scar probability from which a pixel counts, set on validation patients.
        fingerprint: role and hash of its weights and settings; goes into every record.
    """

    def __init__(
        self, networks: Sequence[nn.Module], role: Role, *, width: int, threshold: float = 0.5, views: int = 1, mark: str = "untrained"
    ) -> None:
        if not networks or not 1 <= views <= SYMMETRIES:
            raise ModelError(f"a reader has at least one member and 1 to {SYMMETRIES} views, not {len(networks)} and {views}")
        self.networks = [network.eval() for network in networks]
        self.role, self.width, self.threshold, self.views, self.fingerprint = role, width, threshold, views, mark

    @classmethod
    def from_pretrained(cls, folder: Path, role: Role = Role.FILTER) -> TrainedScarSegmenter:
        """Load `config.json` and `model.safetensors`; a folder from before ensembles has one member and one view.

        Raises:
            ModelError: missing, damaged, or trained for another role.
        """
        try:
            settings = json.loads((folder / "config.json").read_text())
            found, width = Role(settings["role"]), int(settings["width"])
            networks = [build_network(found, width) for _ in range(int(settings.get("members", 1)))]
            weights = load_file(folder / "model.safetensors")
            for i, network in enumerate(networks):
                prefix = f"{i}." if "members" in settings else ""
                fill(network, {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)})
            threshold, views = float(settings["threshold"]), int(settings.get("views", 1))
        except (OSError, KeyError, ValueError, TypeError, RuntimeError, SafetensorError) as fault:
            raise ModelError(f"{folder}: no usable reader ({str(fault).splitlines()[0]})") from None
        if found is not role:
            raise ModelError(f"{folder}: this reader's role is {found}, not {role}; a reader must not change roles")
        return cls(networks, found, width=width, threshold=threshold, views=views, mark=fingerprint(folder, role=found.value))

    def save(self, folder: Path) -> None:
        """Write both files; weights as float16, so round them before they are scored (`model.checkpoint.halve`)."""
        weights = {f"{i}.{name}": value.half() for i, member in enumerate(self.networks) for name, value in weights_of(member).items()}
        write_bytes(folder / "model.safetensors", save(weights))
        settings: dict[str, object] = {"role": self.role.value, "width": self.width, "threshold": self.threshold}
        write_json(folder / "config.json", settings | {"members": len(self.networks), "views": self.views})

    def read(self, slice_: ShortAxisSlice) -> Labels:
        """Scar (3) and no-reflow (4) inside the known wall, 0 elsewhere, shape (rows, cols).

        Only where cavity and wall lie is taken from the labels, never which wall is scar.
        """
        scar, no_reflow = self.probabilities(slice_)
        wall = slice_.wall
        found = np.zeros(slice_.labels.shape, np.uint8)
        seen = wall & (scar + no_reflow >= self.threshold)
        found[seen] = np.where(no_reflow > scar, Label.NO_REFLOW, Label.SCAR)[seen]
        return found

    def probabilities(self, slice_: ShortAxisSlice) -> tuple[np.ndarray, np.ndarray]:
        """Probability of scar and of no-reflow at every host pixel, 0 outside the wall."""
        wall = slice_.wall
        rows, cols = np.nonzero(slice_.cavity)
        roi = Roi(centre=(float(rows.mean()), float(cols.mean())), spacing_mm=slice_.spacing_mm)
        unit = roi.crop(HeartWindow.from_slice(slice_).to_unit(slice_.image))
        stack = np.stack([unit, roi.crop_mask(slice_.cavity), roi.crop_mask(wall)]).astype(np.float32)
        with torch.no_grad(), one_thread():
            chance = self.chance(torch.from_numpy(stack)[None])[0].numpy()
        at = np.nonzero(wall)
        out = np.zeros((2, *wall.shape))
        for channel in range(2):
            out[channel][at] = roi.paste(chance[channel + 1], at[0], at[1])
        return out[0], out[1]

    def chance(self, stack: Float[Tensor, "b 3 128 128"]) -> Float[Tensor, "b 3 128 128"]:
        """Probability of healthy, scar, no-reflow on the working grid: the mean over members and views; gradients pass."""
        seen = [
            _turned_back(torch.softmax(network(_turned(stack, view)).float(), dim=1), view)
            for view in range(self.views)
            for network in self.networks
        ]
        return torch.stack(seen).mean(dim=0)


def _turned(stack: Float[Tensor, "b c n n"], view: int) -> Float[Tensor, "b c n n"]:
    turned = torch.rot90(stack, view % 4, (2, 3))
    return turned.flip(3) if view >= 4 else turned


def _turned_back(stack: Float[Tensor, "b c n n"], view: int) -> Float[Tensor, "b c n n"]:
    return torch.rot90(stack.flip(3) if view >= 4 else stack, -(view % 4), (2, 3))
