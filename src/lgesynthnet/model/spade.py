"""SPADE, the rival: a picture out of noise, told at every layer by the semantic map what belongs where; and its two discriminators.

Source: Park et al. (2019), Semantic Image Synthesis with Spatially-Adaptive Normalization. The blocks are MONAI's. Its whole decoder is not
used, because that ends in one channel at half the side, nor its discriminators of several scales, because these grow deeper where the
published ones see a smaller picture.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from monai.networks.nets import PatchDiscriminator
from monai.networks.nets.spade_network import SPADENetResBlock
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from lgesynthnet.conditioning.working_grid import SIZE
from lgesynthnet.errors import ModelError
from lgesynthnet.files import write_bytes, write_json
from lgesynthnet.terms import Context

MAP_CHANNELS = {Context.LIMITED: 4, Context.FULL: 6}  # of `conditioning.condition.semantic_map`
SCALES = 2
LAYERS = 3


@dataclass(frozen=True, kw_only=True)
class SpadeSize:
    """What a SPADE generator is built from.

    Attributes:
        context: what its map shows.
        widths: channels at each resolution, the coarsest first; each next one has twice the side, the last 128 pixels.
        hidden: channels between the map and the scales and shifts that it gives, at each resolution.
        noise: how many numbers are drawn for a picture.
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
        """Side of the first picture."""
        return SIZE >> (len(self.widths) - 1)


class Spade(nn.Module):
    """Noise and a semantic map to a picture in heart units."""

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
        # No activation at the end: heart units have no bounds, where the published pictures lie in [-1, 1].
        self.last = nn.Conv2d(size.widths[-1], 1, 3, padding=1)

    def forward(self, semantic: Float[Tensor, "b channels 128 128"], noise: Float[Tensor, "b noise"]) -> Float[Tensor, "b 1 128 128"]:
        """Park et al. (2019), Figure 4: upsampled between blocks, each normalised by the map at its own resolution."""
        side = self.size.coarsest
        x = self.first(noise).reshape(len(noise), self.size.widths[0], side, side)
        for i, block in enumerate(self.blocks):
            x = block(functional.interpolate(x, scale_factor=2.0) if i else x, semantic)
        return self.last(functional.leaky_relu(x, 0.2))


class Discriminator(nn.Module):
    """Two patch discriminators, of the picture and of the picture at half the side; only training needs them.

    Source: Wang et al. (2018), pix2pixHD, with the spectral normalisation of Miyato et al. (2018).
    """

    def __init__(self, context: Context, width: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            # Of one batch's pictures none may tell on another: instance and not MONAI's batch normalisation.
            PatchDiscriminator(
                spatial_dims=2, channels=width, in_channels=MAP_CHANNELS[context] + 1, num_layers_d=LAYERS, norm="INSTANCE", kernel_size=4
            )
            for _ in range(SCALES)
        )
        for module in list(self.modules()):
            if isinstance(module, nn.Conv2d):
                spectral_norm(module)

    def forward(self, semantic: Float[Tensor, "b channels 128 128"], image: Float[Tensor, "b 1 128 128"]) -> list[list[Tensor]]:
        """For each scale the features of every layer; the last of them are the patches' scores, real above 0."""
        seen = torch.cat([semantic, image], dim=1)
        found = []
        for i, scale in enumerate(self.scales):
            found.append(scale(functional.avg_pool2d(seen, 3, stride=2, padding=1, count_include_pad=False) if i else seen))
        return found


def noise_of(seeds: list[int], size: SpadeSize) -> Float[Tensor, "b noise"]:
    """A picture's noise from its own seed alone, whatever stands beside it in the batch."""
    return torch.stack([torch.randn(size.noise, generator=torch.Generator().manual_seed(seed % 2**63)) for seed in seeds])


def spade_part(context: Context) -> str:
    """Its folder in a work or model folder: `spade-limited`, `spade-full`."""
    return f"spade-{context.value}"


def save_spade(model: Spade, folder: Path) -> None:
    """Write `model.safetensors` (float16, so round them first: `checkpoint.halve`) and `config.json`."""
    weights = {name: value.detach().cpu().half().contiguous() for name, value in model.state_dict().items()}
    write_bytes(folder / "model.safetensors", save(weights))
    write_json(folder / "config.json", {"kind": "spade", **asdict(model.size)})


def load_spade(folder: Path, context: Context | None = None) -> Spade:
    """Read what `save_spade` wrote, in float32 and in evaluation mode.

    Raises:
        ModelError: missing, damaged, or of another context than asked for.
    """
    try:
        record = json.loads((folder / "config.json").read_text())
        size = SpadeSize(
            context=Context(record["context"]), widths=tuple(record["widths"]), hidden=tuple(record["hidden"]), noise=int(record["noise"])
        )
        model = Spade(size)
        model.load_state_dict({name: value.float() for name, value in load_file(folder / "model.safetensors").items()})
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, SafetensorError) as fault:
        raise ModelError(
            f"{folder}: no usable SPADE generator ({str(fault).splitlines()[0]}); `lgesynthnet train spade` makes one"
        ) from None
    if context is not None and size.context is not context:
        raise ModelError(f"{folder}: was trained with --context {size.context.value}, not {context.value}; give the other folder")
    return model.eval()
