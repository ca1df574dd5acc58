"""A trained reader: image and known heart in, scar out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lgesynthnet.conditioning.roi import Roi
from lgesynthnet.data.intensity import HeartWindow
from lgesynthnet.errors import ModelError
from lgesynthnet.files import fingerprint, write_json
from lgesynthnet.records import Label, Labels, ShortAxisSlice
from lgesynthnet.segmenter.networks import Role, build_network


class Reader:
    """Finds scar inside a slice's known wall.

    Attributes:
        role: what it may be used for.
        fingerprint: role and hash of its weights; goes into every record.
        threshold: scar probability from which a pixel counts, set on validation patients.
    """

    def __init__(self, network: nn.Module, role: Role, *, width: int, threshold: float = 0.5, mark: str = "untrained") -> None:
        self.network, self.role, self.width, self.threshold, self.fingerprint = network.eval(), role, width, threshold, mark

    @classmethod
    def from_pretrained(cls, folder: Path, role: Role = Role.FILTER) -> Reader:
        """Load `config.json` and `model.safetensors`.

        Raises:
            ModelError: missing, damaged, or trained for another role.
        """
        try:
            settings = json.loads((folder / "config.json").read_text())
            found = Role(settings["role"])
            network = build_network(found, int(settings["width"]))
            network.load_state_dict({name: value.float() for name, value in load_file(folder / "model.safetensors").items()})
        except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as fault:
            raise ModelError(f"{folder}: no usable reader ({str(fault).splitlines()[0]})") from None
        if found is not role:
            raise ModelError(f"{folder}: this reader's role is {found}, not {role}; a reader must not change roles")
        mark = fingerprint(folder, role=found.value)
        return cls(network, found, width=int(settings["width"]), threshold=float(settings["threshold"]), mark=mark)

    def save(self, folder: Path, *, half: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}
        save_file({name: value.half() if half else value for name, value in weights.items()}, folder / "model.safetensors")
        write_json(folder / "config.json", {"role": self.role.value, "width": self.width, "threshold": self.threshold})

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
        unit = roi.crop(HeartWindow.of(slice_).to_unit(slice_.image))
        stack = np.stack([unit, roi.crop_mask(slice_.cavity), roi.crop_mask(wall)]).astype(np.float32)
        # oneDNN picks kernels by thread count; without it 1 and 2 threads give the same bytes (about 4 % slower).
        with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
            chance = probabilities(self.network, torch.from_numpy(stack)[None])[0].numpy()
        at = np.nonzero(wall)
        out = np.zeros((2, *wall.shape))
        for channel in range(2):
            out[channel][at] = roi.paste(chance[channel + 1], at[0], at[1])
        return out[0], out[1]


def probabilities(network: nn.Module, stack: Float[Tensor, "b 3 128 128"]) -> Float[Tensor, "b 3 128 128"]:
    """Softmax over healthy, scar, no-reflow."""
    return torch.softmax(network(stack).float(), dim=1)
