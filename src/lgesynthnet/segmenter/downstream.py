"""The downstream segmenter: cavity, wall and scar of real stacks, learned from few patients and from samples.

It sees a crop round the left ventricle, which the shipped heart segmenter finds. Its second input channel, the origin channel, marks
painted slices in training, so that what is peculiar to them is not taken for a sign of scar. In use it is always 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Shaped, UInt8
from monai.networks.nets import DynUNet
from pydantic import BaseModel, Field
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.files.writing import write_bytes, write_json
from lgesynthnet.model_store import config_of, fingerprint, read_record, read_settings, weights_folder
from lgesynthnet.records import Label, Labels, wall_of, without_scar
from lgesynthnet.segmenter import heart as heart_segmenter
from lgesynthnet.segmenter.heart import CLASSES, HeartSegmenter, decide_labels, grey, normalised, to_grid
from lgesynthnet.segmenter.networks import read_networks, weights_of
from lgesynthnet.segmenter.symmetry import SYMMETRIES, turned, turned_back
from lgesynthnet.terms import WallFrom
from lgesynthnet.threads import one_thread

ROLE = "downstream-segmenter"
WALL_PART = "wall"  # sub-folder of a cascade's first network
SHIPPED_FINDER = Path("phantom") / heart_segmenter.ROLE
GROUPS = 4  # of channels that are normalised together
SCAR_FROM = 0.5  # chosen on training patients, see docs/evidence/utility.md
LeastArea = Annotated[float, Field(ge=0, allow_inf_nan=False)]
IMAGE, ORIGIN, CAVITY_IN, WALL_IN = range(4)  # input channels


class OperatingPoint(BaseModel, extra="forbid"):
    """One way to decide in which slices scar is drawn, set on patients of the training set that the network had not seen.

    Attributes:
        false_positive_rate: the share of slices without scar that it was set to call scarred, 0 to 1.
        least_area_mm2: scar is drawn in a slice from this expected area on; see `expected_scar_mm2`.
    """

    false_positive_rate: Annotated[float, Field(gt=0, lt=1)]
    least_area_mm2: LeastArea


class DownstreamSettings(BaseModel, extra="forbid"):
    """`config.json` of a downstream segmenter; see `DownstreamSegmenter`.

    Attributes:
        side: side of the crop in pixels of 1.5 mm.
        views: number of symmetries of the square over which the probabilities are averaged, 1 to 8.
        scar_from: a pixel of the wall is scar from this share of the wall's probability on.
        least_area_mm2: scar is drawn in a slice from this expected area on; 0 draws it wherever it is found.
        points: least areas for chosen false-positive rates.
        finder: fingerprint of the heart segmenter that finds the centre of the crop.
    """

    role: Literal["downstream-segmenter"]
    wall_from: WallFrom
    filters: Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=3, max_length=8)]
    side: Annotated[int, Field(ge=16, le=512)]
    views: Annotated[int, Field(ge=1, le=SYMMETRIES)]
    scar_from: Annotated[float, Field(ge=0, le=1)] = SCAR_FROM
    least_area_mm2: LeastArea = 0.0
    points: Annotated[tuple[OperatingPoint, ...], Field(max_length=16)] = ()
    finder: Annotated[str, Field(max_length=100)]


class DownstreamSegmenter:
    """Segments cavity, wall, scar and no-reflow of a stack in radiological view.

    Attributes:
        network: (b, channels, side, side) to logits (b, 6, side, side); channels: image, origin and, but for `crop`, cavity and wall.
        finder: the heart segmenter that finds the centre of the crop.
        wall_segmenter: for a cascade, the segmenter that draws the wall; else None.
        least_area_mm2: scar is drawn in a slice from this expected area on; see `expected_scar_mm2`.
        fingerprint: hash of its weights and settings.
    """

    def __init__(
        self,
        network: nn.Module,
        settings: DownstreamSettings,
        finder: HeartSegmenter,
        *,
        wall_segmenter: DownstreamSegmenter | None = None,
        fingerprint: str = "untrained",
    ) -> None:
        self.network, self.settings, self.finder, self.wall_segmenter = network.eval(), settings, finder, wall_segmenter
        self.fingerprint, self.least_area_mm2 = fingerprint, settings.least_area_mm2

    @property
    def wall_from(self) -> WallFrom:
        return self.settings.wall_from

    @classmethod
    def from_pretrained(cls, folder: Path) -> DownstreamSegmenter:
        """Load `config.json` and `model.safetensors`, and of a cascade the same files in `wall/`.

        Raises:
            ModelError: a file is missing or damaged, holds another kind of model, or belongs to another version of the heart segmenter.
        """
        path = config_of(folder, "downstream segmenter")
        if (role := read_record(path).get("role")) != ROLE:
            raise ModelError(f"{folder}: holds a {str(role)[:60]}, not a {ROLE}; train one with `lgesynthnet train downstream`")
        settings = read_settings(path, DownstreamSettings)
        [network] = read_networks(folder / "model.safetensors", lambda: build_downstream(settings.filters, settings.wall_from))
        finder = shipped_finder()
        if finder.fingerprint != settings.finder:
            raise ModelError(
                f"{folder}: was trained with another heart segmenter ({settings.finder}) than this version ships ({finder.fingerprint}); "
                "train it again with `lgesynthnet train downstream`, or use the version that trained it"
            )
        wall = cls.from_pretrained(folder / WALL_PART) if settings.wall_from is WallFrom.CASCADE else None
        if wall is not None and wall.wall_from is not WallFrom.CROP:
            raise ModelError(
                f"{folder / WALL_PART}: is a {wall.wall_from} segmenter; the first network of a cascade is a {WallFrom.CROP} one"
            )
        return cls(network, settings, finder, wall_segmenter=wall, fingerprint=fingerprint(folder, role=ROLE))

    def save(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors`, weights as float16 (round them first with `checkpoint.halve`)."""
        write_bytes(folder / "model.safetensors", save({name: value.half() for name, value in weights_of(self.network).items()}))
        write_json(folder / "config.json", self.settings.model_copy(update={"least_area_mm2": self.least_area_mm2}).model_dump(mode="json"))
        if self.wall_segmenter is not None:
            self.wall_segmenter.save(folder / WALL_PART)

    def read_stack(
        self,
        image: Shaped[np.ndarray, "rows cols slices"],
        spacing_mm: tuple[float, float],
        labels: UInt8[np.ndarray, "rows cols slices"] | None = None,
    ) -> UInt8[np.ndarray, "rows cols slices"]:
        """`Label` of every pixel; see `stack_probabilities` and `decide_labels`."""
        probability = self.stack_probabilities(image, spacing_mm, labels)
        return self.decide(probability, spacing_mm, labels)

    def decide(
        self,
        probability: Float[np.ndarray, "classes rows cols slices"],
        spacing_mm: tuple[float, float],
        labels: UInt8[np.ndarray, "rows cols slices"] | None = None,
    ) -> UInt8[np.ndarray, "rows cols slices"]:
        """Probabilities to labels. With a known wall, cavity and wall are those of `labels`, and scar lies inside that wall.

        Where the expected area of scar in a slice is below `least_area_mm2`, its scar becomes wall.
        """
        if self.wall_from is WallFrom.KNOWN_WALL:
            known = self._required(labels)
            scar = scar_share(probability) >= self.settings.scar_from
            kind = np.where(probability[Label.NO_REFLOW] > probability[Label.SCAR], Label.NO_REFLOW, Label.SCAR)
            drawn = np.where(wall_of(known) & scar, kind, without_scar(known)).astype(np.uint8)
        else:
            drawn = decide_labels(probability, spacing_mm, self.settings.scar_from)
        believed = expected_scar_mm2(probability, drawn, spacing_mm) >= self.least_area_mm2
        return np.where(believed, drawn, without_scar(drawn)).astype(np.uint8)

    def stack_probabilities(
        self,
        image: Shaped[np.ndarray, "rows cols slices"],
        spacing_mm: tuple[float, float],
        labels: UInt8[np.ndarray, "rows cols slices"] | None = None,
        *,
        found: UInt8[np.ndarray, "rows cols slices"] | None = None,
    ) -> Float32[np.ndarray, "classes rows cols slices"]:
        """Probability of each `Label` at every pixel of the stack's own grid; background beyond the crop.

        Args:
            image: stored numbers in any window, in radiological view; 0 is padding.
            spacing_mm: pixel size as (row, column).
            labels: of a known wall, cavity and wall (scar counts as wall and is not looked at otherwise); not used by the other kinds.
            found: what `finder.read_filled` gives for this image, where it is known already; else it is computed.
        Raises:
            InputError: every slice is flat, no heart was found, or a known wall is not given.
        """
        rows, cols, slices = image.shape
        result = np.zeros((CLASSES, rows, cols, slices), np.float32)
        result[Label.BACKGROUND] = 1
        filled = [k for k in range(slices) if np.ptp(image[:, :, k]) > 0]
        if not filled:
            raise InputError("every slice is flat, so there is nothing to segment; leave the patient out")
        labels, found = (None if part is None else part[:, :, filled] for part in (labels, found))
        drawn = self._drawn_wall(image[:, :, filled], spacing_mm, labels, found)
        centres = find_centres(drawn)
        grids = [to_grid(grey(image[:, :, k]), spacing_mm) for k in filled]
        scale = [g / n for g, n in zip(grids[0].shape, (rows, cols), strict=True)]
        corners = [
            tuple(round((c + 0.5) * s - 0.5 - (self.settings.side - 1) / 2) for c, s in zip(centre, scale, strict=True))
            for centre in centres
        ]
        crops = [
            self._inputs(grid, corner, drawn[:, :, i], spacing_mm) for i, (grid, corner) in enumerate(zip(grids, corners, strict=True))
        ]
        for k, grid, corner, probability in zip(filled, grids, corners, self._forward(torch.stack(crops)), strict=True):
            whole = torch.zeros((CLASSES, *grid.shape))
            whole[Label.BACKGROUND] = 1
            inside, of_crop = _overlap(tuple(grid.shape), corner, self.settings.side)
            whole[:, inside[0], inside[1]] = probability[:, of_crop[0], of_crop[1]]
            resized = functional.interpolate(whole[None], (rows, cols), mode="bilinear", align_corners=False)
            result[:, :, :, k] = resized[0].numpy()
        return result

    def _drawn_wall(
        self,
        image: np.ndarray,
        spacing_mm: tuple[float, float],
        labels: UInt8[np.ndarray, "rows cols slices"] | None,
        found: UInt8[np.ndarray, "rows cols slices"] | None,
    ) -> UInt8[np.ndarray, "rows cols slices"]:
        """Cavity and wall from which the crop is placed, and which `cascade` and `known-wall` are shown."""
        if self.wall_from is WallFrom.KNOWN_WALL:
            return self._required(labels)
        if self.wall_segmenter is not None:
            probability = self.wall_segmenter.stack_probabilities(image, spacing_mm, found=found)
            return self.wall_segmenter.decide(probability, spacing_mm)
        return self.finder.read_filled(image, spacing_mm) if found is None else found

    @staticmethod
    def _required(labels: UInt8[np.ndarray, "rows cols slices"] | None) -> UInt8[np.ndarray, "rows cols slices"]:
        if labels is None or not wall_of(labels).any():
            raise InputError("this segmenter needs the cavity and the wall of the heart; give them, or train one with --wall-from crop")
        return labels

    def _inputs(
        self, grid: Tensor, corner: tuple[int, ...], drawn: Labels, spacing_mm: tuple[float, float]
    ) -> Float[Tensor, "c side side"]:
        side = self.settings.side
        inside, of_crop = _overlap(tuple(grid.shape), corner, side)
        crop = torch.zeros((1, side, side))
        crop[0, of_crop[0], of_crop[1]] = grid[inside[0], inside[1]]
        channels = [normalised(crop, crop > 0), torch.zeros_like(crop)]
        if self.wall_from is not WallFrom.CROP:
            for mask in (drawn == Label.CAVITY, wall_of(drawn)):
                channel = torch.zeros_like(crop)
                of_image = to_grid(mask.astype(np.float32), spacing_mm)[inside[0], inside[1]]
                channel[0, of_crop[0], of_crop[1]] = (of_image > 0.5).float()
                channels.append(channel)
        return torch.cat(channels)

    def _forward(self, x: Float[Tensor, "b c side side"]) -> Float[Tensor, "b classes side side"]:
        with torch.no_grad(), one_thread():
            total = torch.zeros((len(x), CLASSES, *x.shape[2:]))
            for view in range(self.settings.views):
                total += turned_back(torch.softmax(self.network(turned(x, view).contiguous()).float(), dim=1), view)
            return total / self.settings.views


def first_weights_part(wall_from: WallFrom) -> str:
    """Folder of the first weights for a segmenter, in a model. A cascade's second network is given a wall, as one for known walls is."""
    return f"{ROLE}-{WallFrom.CROP if wall_from is WallFrom.CROP else WallFrom.KNOWN_WALL}"


def shipped_finder() -> HeartSegmenter:
    """The heart segmenter of the shipped model, which was trained on simulated hearts alone."""
    return HeartSegmenter.from_pretrained(weights_folder() / SHIPPED_FINDER)


def build_downstream(filters: Sequence[int], wall_from: WallFrom) -> nn.Module:
    """A new network with random weights: (b, channels, side, side) to logits (b, 6, side, side).

    Each group of channels is normalised together. Instance norm, which nnU-Net uses, takes the mean of every channel away, and with it
    whatever a constant input channel has added: only the border of the crop would tell painted slices from real ones.

    Source: the plain convolutional U-Net of nnU-Net (Isensee et al., 2021), as MONAI's DynUNet; group norm: Wu and He (2018).
    """
    levels = len(filters)
    network: nn.Module = DynUNet(
        spatial_dims=2,
        in_channels=wall_from.channels,
        out_channels=CLASSES,
        kernel_size=[3] * levels,
        strides=[1] + [2] * (levels - 1),
        upsample_kernel_size=[2] * (levels - 1),
        filters=list(filters),
        norm_name=("GROUP", {"num_groups": GROUPS, "affine": True}),
    )
    return network


def scar_share(probability: Float[np.ndarray, "classes ..."]) -> Float[np.ndarray, "..."]:
    """Probability of scar and no-reflow as a share of the whole wall's, 0 to 1."""
    scar = probability[Label.SCAR] + probability[Label.NO_REFLOW]
    return np.asarray(scar / np.maximum(scar + probability[Label.WALL], 1e-6))


def expected_scar_mm2(
    probability: Float[np.ndarray, "classes rows cols slices"],
    drawn: UInt8[np.ndarray, "rows cols slices"],
    spacing_mm: tuple[float, float],
) -> Float[np.ndarray, " slices"]:
    """Expected area of scar in each slice, mm²: `scar_share` summed over the drawn wall."""
    return np.asarray((scar_share(probability) * wall_of(drawn)).sum(axis=(0, 1)) * float(np.prod(spacing_mm)))


def find_centres(drawn: UInt8[np.ndarray, "rows cols slices"]) -> list[tuple[float, float]]:
    """(row, column) of the LV's centre in each slice; where no LV is drawn, the median of the other slices.

    Raises:
        InputError: no LV is drawn in any slice.
    """
    lv: Bool[np.ndarray, "rows cols slices"] = (drawn == Label.CAVITY) | wall_of(drawn)
    centres = {k: np.argwhere(lv[:, :, k]).mean(axis=0) for k in range(lv.shape[2]) if lv[:, :, k].any()}
    if not centres:
        raise InputError("no heart was found; if the stack shows a short axis, give contours of the wall and a known-wall segmenter")
    median = np.median(list(centres.values()), axis=0)
    found = [centres.get(k, median) for k in range(lv.shape[2])]
    return [(float(row), float(col)) for row, col in found]


def _overlap(shape: tuple[int, ...], corner: tuple[int, ...], side: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Which pixels of the image a crop covers, and which pixels of the crop these are."""
    inside, of_crop = [], []
    for size, first in zip(shape, corner, strict=True):
        low, high = min(max(first, 0), size), max(min(first + side, size), 0)
        inside.append(slice(low, high))
        of_crop.append(slice(low - first, high - first))
    return tuple(inside), tuple(of_crop)
