"""Features of a scar segmenter: what its last layer receives. They stand in for the features of a general network such as Inception."""

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
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.threads import one_thread


def slice_features(
    segmenter: TrainedScarSegmenter, slice_: ShortAxisSlice, frame: HeartFrame, image: Image
) -> Float[np.ndarray, "channels 128 128"]:
    """Features of `image` on the working grid, by the first member of the segmenter.

    Args:
        slice_, frame: the slice that the image belongs to, and its heart.
        image: taken in the place of the slice's own image.

    Raises:
        ModelError: the network has no separate last layer; that of an auditor has one.
    """
    roi = Roi(centre=frame.centre, spacing_mm=frame.spacing_mm)
    unit = roi.crop(HeartWindow.from_slice(replace(slice_, image=image)).to_unit(image))
    stack = np.stack([unit, roi.crop_mask(frame.cavity), roi.crop_mask(frame.wall)]).astype(np.float32)
    with torch.no_grad(), one_thread():
        return last_features(segmenter, torch.from_numpy(stack)[None])[0].numpy()


def last_features(segmenter: TrainedScarSegmenter, stack: Float[Tensor, "b 3 128 128"]) -> Float[Tensor, "b channels 128 128"]:
    """Input of the output layer of the first member.

    Raises:
        ModelError: the network has no separate output layer; that of an auditor has one.
    """
    network = segmenter.networks[0]
    last = getattr(network, "output_block", None)
    if not isinstance(last, nn.Module):
        raise ModelError(f"{segmenter.fingerprint}: a scar segmenter of role {segmenter.role} gives no features; use an auditor")
    features: list[Tensor] = []
    handle = last.register_forward_pre_hook(lambda module, inputs: features.append(inputs[0]))
    try:
        network(stack)
    finally:
        handle.remove()
    return features[0]
