"""Heart segmenters: cavity, wall, scar, no-reflow and RV from the image alone. (Scar segmenters are given the wall, decision 0003.)"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Shaped, UInt8
from monai.networks.nets import DynUNet
from pydantic import BaseModel, Field, model_validator
from safetensors.torch import save
from scipy import ndimage
from torch import nn
from torch.nn import functional

from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.files.writing import write_bytes, write_json
from lgesynthnet.model_store import config_of, fingerprint, read_record, read_settings
from lgesynthnet.records import Image, Label, Labels
from lgesynthnet.segmenter.densenet import SKIPS, STRIDE, DenseNetUNet
from lgesynthnet.segmenter.networks import read_networks, weights_of
from lgesynthnet.threads import one_thread

PIXEL_MM = 1.5  # half of the thinnest infarcted wall; a finer grid costs time and finds no more
CLASSES = len(Label)
PADDING = -2.0  # what black padding becomes; darker than nearly all measured pixels
DARKEST, BRIGHTEST = 0.5, 99.5  # percentiles of the measured pixels that bound the grey scale
REACH_MM = 60.0  # from the axis of the stack; no LV reaches farther
ROLE = "heart-segmenter"


class Kind(StrEnum):
    """Architecture: the small network, or the published downstream segmenter."""

    DYNUNET = "dynunet"
    DENSENET121 = "densenet121"


class HeartSegmenterSettings(BaseModel, extra="forbid"):
    """`config.json` of a heart segmenter; see `HeartSegmenter`."""

    role: Literal["heart-segmenter"]
    filters: Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=3, max_length=8)]
    threshold: Annotated[float, Field(ge=0, le=1)]
    network: Kind = Kind.DYNUNET

    @model_validator(mode="after")
    def _fits(self) -> HeartSegmenterSettings:
        if self.network is Kind.DENSENET121 and len(self.filters) != len(SKIPS):
            raise ValueError(f"filters must be {len(SKIPS)} numbers for {self.network}")
        return self


class HeartSegmenter:
    """Segments cavity, wall, scar, no-reflow and RV from the image alone.

    Attributes:
        network: (b, 1, rows, cols) to logits (b, 6, rows, cols).
        filters: channels of the network's levels, finest first; for DenseNet-121, of the decoder's levels, coarsest first.
        kind: its architecture.
        threshold: a wall pixel is scar from this share of the wall's probability on, 0 to 1; set on validation patients.
        fingerprint: hash of its weights and settings.
    """

    def __init__(
        self,
        network: nn.Module,
        filters: tuple[int, ...],
        *,
        kind: Kind = Kind.DYNUNET,
        threshold: float = 0.5,
        fingerprint: str = "untrained",
    ) -> None:
        self.network, self.filters, self.kind, self.threshold, self.fingerprint = network.eval(), filters, kind, threshold, fingerprint

    @classmethod
    def from_pretrained(cls, folder: Path) -> HeartSegmenter:
        """Load `config.json` and `model.safetensors`.

        Raises:
            ModelError: a file is missing or damaged, or holds another kind of model.
        """
        path = config_of(folder, "heart segmenter")
        if (role := read_record(path).get("role")) != ROLE:
            raise ModelError(f"{folder}: holds a {str(role)[:60]}, not a {ROLE}; train one with `lgesynthnet train heart-segmenter`")
        settings = read_settings(path, HeartSegmenterSettings)
        filters, kind = settings.filters, settings.network
        [network] = read_networks(folder / "model.safetensors", lambda: build_heart_segmenter(filters, kind))
        return cls(network, filters, kind=kind, threshold=settings.threshold, fingerprint=fingerprint(folder, role=ROLE))

    def save(self, folder: Path, *, half: bool = False) -> None:
        """Write `config.json` and `model.safetensors`; with `half`, weights as float16 (round them first with `checkpoint.halve`)."""
        weights = {name: value.half() if half else value for name, value in weights_of(self.network).items()}
        write_bytes(folder / "model.safetensors", save(weights))
        # The small network is not named, so that older folders keep their fingerprints.
        named = {} if self.kind is Kind.DYNUNET else {"network": self.kind.value}
        write_json(folder / "config.json", {"role": ROLE, "filters": list(self.filters), "threshold": self.threshold, **named})

    def read(self, image: Image, spacing_mm: tuple[float, float]) -> Labels:
        """Labels (rows, cols) of one slice in radiological view; see `read_stack`."""
        return self.read_stack(image[:, :, None], spacing_mm)[:, :, 0]

    def read_stack(
        self, image: Shaped[np.ndarray, "rows cols slices"], spacing_mm: tuple[float, float]
    ) -> UInt8[np.ndarray, "rows cols slices"]:
        """`Label` of every pixel; the heart is the largest connected body of cavity and wall over all slices.

        Args:
            image: stored numbers in any window, in radiological view; 0 is padding.
            spacing_mm: pixel size as (row, column).
        Raises:
            InputError: a slice is flat.
        """
        return decide_labels(self.stack_probabilities(image, spacing_mm), spacing_mm, self.threshold)

    def read_filled(
        self, image: Shaped[np.ndarray, "rows cols slices"], spacing_mm: tuple[float, float]
    ) -> UInt8[np.ndarray, "rows cols slices"]:
        """`read_stack` of the slices with any signal; the others stay empty. With no such slice, everything is background."""
        filled = [k for k in range(image.shape[2]) if np.ptp(image[:, :, k]) > 0]
        labels = np.zeros(image.shape, np.uint8)
        if filled:
            labels[:, :, filled] = self.read_stack(np.ascontiguousarray(image[:, :, filled]), spacing_mm)
        return labels

    def stack_probabilities(
        self, image: Shaped[np.ndarray, "rows cols slices"], spacing_mm: tuple[float, float]
    ) -> Float32[np.ndarray, "classes rows cols slices"]:
        """Probability of each `Label` at every pixel, each slice by itself."""
        return np.stack([self.probabilities(image[:, :, k], spacing_mm) for k in range(image.shape[2])], axis=-1)

    def probabilities(self, image: Image, spacing_mm: tuple[float, float]) -> Float32[np.ndarray, "classes rows cols"]:
        """Probability of each `Label` at every pixel of the slice's own grid.

        Raises:
            InputError: the image is flat, or too small for the network.
        """
        grid = to_grid(grey(image), spacing_mm)
        x = normalised(grid, grid > 0)
        rows, cols = grid.shape
        stride = STRIDE if self.kind is Kind.DENSENET121 else 2 ** (len(self.filters) - 1)
        if max(rows, cols) <= stride:  # the coarsest level of the network would have a single pixel
            size = " x ".join(f"{n * s:.3g}" for n, s in zip(image.shape, spacing_mm, strict=True))
            raise InputError(f"the image is only {size} mm; export it with its surroundings, or correct the size of its pixels")
        padded = functional.pad(x[None, None], (0, -cols % stride, 0, -rows % stride), value=PADDING)
        with torch.no_grad(), one_thread():
            probability = torch.softmax(self.network(padded).float(), dim=1)[:, :, :rows, :cols]
            return functional.interpolate(probability, image.shape, mode="bilinear", align_corners=False)[0].numpy()


def build_heart_segmenter(filters: tuple[int, ...], kind: Kind = Kind.DYNUNET) -> nn.Module:
    """A new network with random weights: (b, 1, rows, cols) to logits (b, 6, rows, cols); sides must be divisible by its stride.

    Source: the plain convolutional U-Net of nnU-Net (Isensee et al., 2021), as MONAI's DynUNet; for DenseNet-121 see `densenet`.
    """
    if kind is Kind.DENSENET121:
        return DenseNetUNet(CLASSES, filters)
    levels = len(filters)
    network: nn.Module = DynUNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=CLASSES,
        kernel_size=[3] * levels,
        strides=[1] + [2] * (levels - 1),
        upsample_kernel_size=[2] * (levels - 1),
        filters=list(filters),
        norm_name=("INSTANCE", {"affine": True}),
    )
    return network


def grey(image: Image) -> Float32[np.ndarray, "rows cols"]:
    """Grey values: stored numbers between two percentiles of the measured pixels become 1/255 to 1; padding (exact zero) stays 0.

    Raises:
        InputError: the image is flat.
    """
    measured = image != 0
    low, high = np.percentile(image[measured], (DARKEST, BRIGHTEST)) if measured.any() else (0.0, 0.0)
    if not high > low:
        raise InputError("a slice is flat, so there is nothing to segment; leave it out")
    unit = np.clip((image.astype(np.float64) - low) / (high - low), 0, 1)
    return np.where(measured, 1 / 255 + unit * 254 / 255, 0).astype(np.float32)


def to_grid(unit: Float32[np.ndarray, "rows cols"], spacing_mm: tuple[float, float]) -> Float[torch.Tensor, "gridrows gridcols"]:
    """Resample a slice to pixels of 1.5 mm (rounded to a whole number of them); larger pixels are averages."""
    size = [max(round(n * s / PIXEL_MM), 1) for n, s in zip(unit.shape, spacing_mm, strict=True)]
    x = torch.from_numpy(np.ascontiguousarray(unit))[None, None]
    return functional.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)[0, 0]


def normalised(x: Float[torch.Tensor, "*b rows cols"], measured: Bool[torch.Tensor, "*b rows cols"]) -> Float[torch.Tensor, "*b rows cols"]:
    """Zero mean and unit variance over the measured pixels of each image, clipped to 3; padding becomes -2."""
    count = measured.sum((-2, -1), keepdim=True).clamp(min=1)
    mean = (x * measured).sum((-2, -1), keepdim=True) / count
    spread = (((x - mean) * measured).square().sum((-2, -1), keepdim=True) / count).sqrt().clamp(min=1e-4)
    return torch.where(measured, ((x - mean) / spread).clamp(-3, 3), PADDING)


def decide_labels(
    probability: Float[np.ndarray, "classes rows cols slices"], spacing_mm: tuple[float, float], threshold: float
) -> UInt8[np.ndarray, "rows cols slices"]:
    """Probabilities to labels of one heart: its largest body without holes, scar inside its wall, and the RV outside it.

    Args:
        spacing_mm: pixel size as (row, column).
        threshold: a wall pixel is scar where the scar's share of the wall's probability reaches it.
    """
    cavity, wall = probability[Label.CAVITY], probability[Label.WALL] + probability[Label.SCAR] + probability[Label.NO_REFLOW]
    scar = probability[Label.SCAR] + probability[Label.NO_REFLOW]
    heart = _largest(cavity + wall > 0.5)
    heart = _largest_each(heart & _near_axis(heart, spacing_mm)[:, :, None])
    labels = np.where(heart, np.where(cavity > wall, Label.CAVITY, Label.WALL), Label.BACKGROUND).astype(np.uint8)
    infarct = (labels == Label.WALL) & (scar >= threshold * wall)
    labels[infarct] = np.where(probability[Label.NO_REFLOW] > probability[Label.SCAR], Label.NO_REFLOW, Label.SCAR)[infarct]
    for k in range(heart.shape[2]):
        _fill_holes(labels[:, :, k], heart[:, :, k])
    labels[_largest_each((labels == Label.BACKGROUND) & (probability[Label.RV] > 0.5))] = Label.RV
    return labels


def _near_axis(heart: Bool[np.ndarray, "rows cols slices"], spacing_mm: tuple[float, float]) -> Bool[np.ndarray, "rows cols"]:
    """Pixels within 60 mm of the median of the slices' centres; a single wrong slice does not move the median."""
    centres = [np.argwhere(heart[:, :, k]).mean(axis=0) for k in range(heart.shape[2]) if heart[:, :, k].any()]
    if not centres:
        return np.zeros(heart.shape[:2], bool)
    axis = np.median(centres, axis=0)
    rows, cols = ((np.arange(n) - c) * s for n, c, s in zip(heart.shape[:2], axis, spacing_mm, strict=True))
    return np.asarray(np.hypot(rows[:, None], cols[None, :]) <= REACH_MM)


def _fill_holes(labels: Labels, heart: Bool[np.ndarray, "rows cols"]) -> None:
    """Fill holes in place: each pixel of a hole gets the label of the nearest pixel of the heart."""
    holes = ndimage.binary_fill_holes(heart) & ~heart
    if holes.any():
        _, (rows, cols) = ndimage.distance_transform_edt(~heart, return_indices=True)
        labels[holes] = labels[rows[holes], cols[holes]]


def _largest(mask: Bool[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
    numbered, count = ndimage.label(mask)
    return np.asarray(numbered == 1 + int(np.argmax(np.bincount(numbered.ravel())[1:]))) if count > 1 else mask


def _largest_each(mask: Bool[np.ndarray, "rows cols slices"]) -> Bool[np.ndarray, "rows cols slices"]:
    return np.stack([_largest(mask[:, :, k]) for k in range(mask.shape[2])], axis=2)
