"""The origin channel for trainings of your own, in PyTorch, MONAI or anything else that takes arrays.

A network that learns from painted slices beside real ones may learn how a painted slice looks, and take that for scar. One more input
channel, 1 for a painted slice and 0 for a real one, takes the reason away. In use every image is real, so the channel is always 0.

The network must be able to see a constant channel. Instance norm behind the first convolution takes the mean of each channel away, and with
it all that a constant has added; group norm with several channels in a group, or batch norm, leaves it there.

This module imports neither torch nor MONAI.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from lgesynthnet.errors import InputError


def with_origin(image: Any, painted: bool | Sequence[bool] | np.ndarray) -> Any:
    """The image with one more channel after the others: 1 where it is painted, else 0.

    Args:
        image: a NumPy array or a torch tensor: one image, (channels, rows, cols) or (channels, rows, cols, slices), or a batch of images,
            with one axis more in front.
        painted: a single truth value for one image, a sequence of them for a batch. At prediction False, or as many as there are images.
    Returns:
        A new array or tensor of the same data type, on the same device.
    Raises:
        InputError: the number of truth values is not that of the images.
    """
    flags = np.asarray(painted)
    if flags.dtype != np.bool_:
        raise InputError(f"painted: must be True or False, got {str(painted)[:60]}; a share or a probability is no origin")
    if flags.ndim == 0:
        return _joined(image, np.asarray(flags).reshape([1] * image.ndim), axis=0)
    if flags.shape != (len(image),):
        raise InputError(f"painted: has the shape {flags.shape}, but the batch has {len(image)} images; give one truth value for each")
    return _joined(image, flags.reshape(-1, *[1] * (image.ndim - 1)), axis=1)


class OriginChannel:
    """The same for samples that are dictionaries, as a transform for `monai.transforms.Compose`; place it after those of intensity.

    >>> reading = [LoadImaged(keys), EnsureChannelFirstd(keys), NormalizeIntensityd("image")]
    >>> in_training = Compose([*reading, OriginChannel("image", painted="painted")])
    >>> at_prediction = Compose([*reading, OriginChannel("image", painted=None)])

    Args:
        keys: of the images, (channels, rows, cols) or (channels, rows, cols, slices).
        painted: key of the truth value that says whether a sample is painted; None for prediction, where every image is real.
    """

    def __init__(self, keys: Hashable | Sequence[Hashable], *, painted: Hashable | None) -> None:
        self.keys = tuple(keys) if isinstance(keys, list | tuple) else (keys,)
        self.painted = painted

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new dictionary in which each image has the channel.

        Raises:
            InputError: the sample does not say whether it is painted. To take that for "real" would hide a misspelt key.
        """
        if self.painted is not None and self.painted not in data:
            raise InputError(f"the sample has no entry {self.painted!r}; add it, or give painted=None at prediction")
        painted = False if self.painted is None else bool(data[self.painted])
        return {**data, **{key: with_origin(data[key], painted) for key in self.keys}}


def _joined(image: Any, flags: np.ndarray, axis: int) -> Any:
    """The image and a constant plane along one axis.

    Args:
        flags: with as many axes as the image, of length 1 but for the images of a batch.
    """
    shape = list(image.shape)
    shape[axis] = 1
    if isinstance(image, np.ndarray):
        return np.concatenate([image, np.broadcast_to(flags, shape).astype(image.dtype)], axis=axis)
    import torch

    plane = torch.as_tensor(flags).to(device=image.device, dtype=image.dtype).expand(shape)
    return torch.cat([image, plane], dim=axis)
