"""What a reader has made of a slice just before it decides: features with a name, of a network whose training is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.errors import ModelError
from lgesynthnet.records import Image, ShortAxisSlice
from lgesynthnet.segmenter.reader import TrainedScarSegmenter
from lgesynthnet.threads import one_thread


def slice_features(
    reader: TrainedScarSegmenter, slice_: ShortAxisSlice, frame: HeartFrame, image: Image
) -> Float[np.ndarray, "channels 128 128"]:
    """What the first member's last layer reads of `image` in the place of the slice's own, on the working grid.

    Raises:
        ModelError: the reader's network has no last layer by itself; auditors have.
    """
    roi = Roi(centre=frame.centre, spacing_mm=frame.spacing_mm)
    unit = roi.crop(HeartWindow.from_slice(replace(slice_, image=image)).to_unit(image))
    stack = np.stack([unit, roi.crop_mask(frame.cavity), roi.crop_mask(frame.wall)]).astype(np.float32)
    with torch.no_grad(), one_thread():
        return last_features(reader, torch.from_numpy(stack)[None])[0].numpy()


def last_features(reader: TrainedScarSegmenter, stack: Float[Tensor, "b 3 128 128"]) -> Float[Tensor, "b channels 128 128"]:
    """Input of the first member's output layer."""
    network = reader.networks[0]
    last = getattr(network, "output_block", None)
    if not isinstance(last, nn.Module):
        raise ModelError(f"{reader.fingerprint}: a reader of role {reader.role} has no features to give; take an auditor")
    caught: list[Tensor] = []
    handle = last.register_forward_pre_hook(lambda module, inputs: caught.append(inputs[0]))
    try:
        network(stack)
    finally:
        handle.remove()
    return caught[0]
