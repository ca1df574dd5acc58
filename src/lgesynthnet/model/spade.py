"""SPADE, a rival: an image from noise, in which a semantic map sets the normalisation of every layer; and its two discriminators.

Source: Park et al. (2019), Semantic Image Synthesis with Spatially-Adaptive Normalization. The blocks are MONAI's. MONAI's decoder is not
used, because it ends at half of the side, and its multi-scale discriminator is not used, because it gets deeper at the coarser scale where
the published one sees a smaller image.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from monai.networks.nets import PatchDiscriminator
from monai.networks.nets.spade_network import SPADENetResBlock
from pydantic import BaseModel, Field, model_validator
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from lgesynthnet.conditioning.working_grid import SIZE
from lgesynthnet.errors import ModelError
from lgesynthnet.files.writing import write_bytes, write_json
from lgesynthnet.model_store import config_of, read_settings
from lgesynthnet.stored_weights import read_weights, shapes_of
from lgesynthnet.terms import Context

MAP_CHANNELS = {Context.LIMITED: 4, Context.FULL: 6}  # of `conditioning.condition.semantic_map`
SCALES = 2
LAYERS = 3


@dataclass(frozen=True, kw_only=True)
class SpadeSize:
    """What a SPADE generator is built from.

    Attributes:
        context: what its semantic map shows.
        widths: channels at each resolution, the coarsest first; the side doubles from one to the next and ends at 128 pixels.
        hidden: channels between the map and the scales and shifts of the normalisation, at each resolution.
        noise: length of the noise vector of an image.
    """

    context: Context
    widths: tuple[int, ...]
    hidden: tuple[int, ...]
    noise: int

    def __post_init__(self) -> None:
        if not self.widths or len(self.widths) != len(self.hidden) or len(self.widths) > 7:
            raise ModelError(f"a SPADE generator has 1 to 7 widths and as many hidden widths, not {self.widths} and {self.hidden}")

    @property
    def coarsest(self) -> int:
        """Side of the coarsest resolution in pixels."""
        return SIZE >> (len(self.widths) - 1)


class SpadeSettings(BaseModel, extra="forbid"):
    """`config.json` of a SPADE generator; see `SpadeSize`."""

    kind: Literal["spade"] = "spade"
    context: Context
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=1, max_length=7)]
    hidden: Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=1, max_length=7)]
    noise: Annotated[int, Field(ge=1, le=4096)]

    @model_validator(mode="after")
    def _fits(self) -> SpadeSettings:
        if len(self.widths) != len(self.hidden):
            raise ValueError("widths and hidden must have the same length")
        return self


class Spade(nn.Module):
    """Noise and a semantic map to an image in heart units."""

    def __init__(self, size: SpadeSize) -> None:
        super().__init__()
        self.size = size
        self.first = nn.Linear(size.noise, size.widths[0] * size.coarsest**2)
        channels = MAP_CHANNELS[size.context]
        before = (size.widths[0], *size.widths[:-1])
        self.blocks = nn.ModuleList(
            SPADENetResBlock(2, narrow, wide, channels, spade_intermediate_channels=hidden)
            for narrow, wide, hidden in zip(before, size.widths, size.hidden, strict=True)
        )
        # No activation at the end: heart units have no bounds, while the published images lie in [-1, 1].
        self.last = nn.Conv2d(size.widths[-1], 1, 3, padding=1)

    def forward(self, semantic: Float[Tensor, "b channels 128 128"], noise: Float[Tensor, "b noise"]) -> Float[Tensor, "b 1 128 128"]:
        """Park et al. (2019), Figure 4: upsampling between blocks, each block normalised by the map at its own resolution."""
        side = self.size.coarsest
        x = self.first(noise).reshape(len(noise), self.size.widths[0], side, side)
        for i, block in enumerate(self.blocks):
            x = block(functional.interpolate(x, scale_factor=2.0) if i else x, semantic)
        image: Tensor = self.last(functional.leaky_relu(x, 0.2))
        return image


class Discriminator(nn.Module):
    """Two patch discriminators, one of the image and one of the image at half of the side; needed for training only.

    Source: Wang et al. (2018), pix2pixHD, with the spectral normalisation of Miyato et al. (2018).
    """

    def __init__(self, context: Context, width: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            # Instance normalisation instead of MONAI's batch normalisation, which would let images of a batch influence each other.
            PatchDiscriminator(
                spatial_dims=2, channels=width, in_channels=MAP_CHANNELS[context] + 1, num_layers_d=LAYERS, norm="INSTANCE", kernel_size=4
            )
            for _ in range(SCALES)
        )
        for module in list(self.modules()):
            if isinstance(module, nn.Conv2d):
                spectral_norm(module)

    def forward(self, semantic: Float[Tensor, "b channels 128 128"], image: Float[Tensor, "b 1 128 128"]) -> list[list[Tensor]]:
        """For each scale the outputs of every layer; the last one holds the scores of the patches, above 0 for real."""
        x = torch.cat([semantic, image], dim=1)
        return [
            scale(functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False) if i else x)
            for i, scale in enumerate(self.scales)
        ]


def noise_of(seeds: list[int], size: SpadeSize) -> Float[Tensor, "b noise"]:
    """Noise vectors, each from its own seed alone, whatever else is in the batch."""
    return torch.stack([torch.randn(size.noise, generator=torch.Generator().manual_seed(seed % 2**63)) for seed in seeds])


def spade_part(context: Context) -> str:
    """Name of its folder in a work or model folder: `spade-limited` or `spade-full`."""
    return f"spade-{context.value}"


def save_spade(model: Spade, folder: Path) -> None:
    """Write `model.safetensors` (float16, so round the weights first with `checkpoint.halve`) and `config.json`."""
    weights = {name: value.detach().cpu().half().contiguous() for name, value in model.state_dict().items()}
    write_bytes(folder / "model.safetensors", save(weights))
    write_json(folder / "config.json", {"kind": "spade", **asdict(model.size)})


def load_spade(folder: Path, context: Context | None = None) -> Spade:
    """Read what `save_spade` wrote, in float32 and in evaluation mode.

    Raises:
        ModelError: a file is missing or damaged, or the generator has another context.
    """
    settings = read_settings(config_of(folder, "SPADE generator"), SpadeSettings)
    size = SpadeSize(context=settings.context, widths=settings.widths, hidden=settings.hidden, noise=settings.noise)
    if context is not None and size.context is not context:
        raise ModelError(f"{folder}: was trained with --context {size.context.value}, not {context.value}; give the other folder")
    with torch.device("meta"):  # without memory for the weights, until the file is known to hold them
        shapes = shapes_of(Spade(size))
    weights = read_weights(folder / "model.safetensors", shapes)
    model = Spade(size)
    model.load_state_dict(weights)
    return model.eval()
