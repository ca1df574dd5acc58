"""The settings in a generator's folder: what a file may say about a network, before the network is built.

Our own networks are built again from the few numbers in which they differ, and the rest of their settings must say the same.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lgesynthnet.errors import ModelError
from lgesynthnet.model_store import REMEDY, exists, read_settings, shipped_or_path

MAX_TOKENS = 48
CONDITIONING = "conditioning.json"
MOST_UNITS = 1000.0
Width = Annotated[int, Field(ge=8, le=640, multiple_of=8)]
TextWidth = Annotated[int, Field(ge=1, le=4096)]
Dropout = Annotated[float, Field(ge=0, lt=1)]


class UnetSettings(BaseModel):
    """In what one base U-Net differs from another."""

    block_out_channels: tuple[Width, Width, Width]
    cross_attention_dim: TextWidth


class Conditioning(BaseModel):
    """What brightness ranks meant in training: scar levels in heart units at evenly spaced ranks."""

    model_config = ConfigDict(extra="forbid")

    scar_levels: Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(min_length=2, max_length=1001)]


def scar_levels(model: str | Path) -> tuple[float, ...] | None:
    """What brightness ranks mean to a generator: heart units at evenly spaced ranks, 0 to 1. None where no such generator is there.

    Args:
        model: name of a shipped model, a model folder, or the folder of the generator itself.
    Raises:
        ModelError: the file is damaged, or its levels fall.
    """
    folder = shipped_or_path(model)
    path = next((place for place in (folder / "inpainter" / CONDITIONING, folder / CONDITIONING) if exists(place)), None)
    if path is None:
        return None
    levels = read_settings(path, Conditioning).scar_levels
    if list(levels) != sorted(levels) or max(map(abs, levels)) > MOST_UNITS:
        raise ModelError(f"{path}: scar_levels must not fall, nor lie beyond {MOST_UNITS:g} heart units; {REMEDY}")
    return levels


class ControlSettings(BaseModel):
    """In what one control branch of a U-Net differs from another."""

    conditioning_channels: Literal[5, 7]


class AutoencoderSettings(BaseModel):
    """In what one autoencoder differs from another."""

    block_out_channels: tuple[Annotated[int, Field(ge=8, le=256, multiple_of=8)], int, int]
    scaling_factor: Annotated[float, Field(gt=0, le=1e6)]


class BertSettings(BaseModel):
    """What decides the size and the output of a BERT. Other settings of its library are ignored."""

    model_type: Literal["bert"]
    vocab_size: Annotated[int, Field(ge=1, le=250_000)]
    hidden_size: TextWidth
    num_hidden_layers: Annotated[int, Field(ge=1, le=48)]
    num_attention_heads: Annotated[int, Field(ge=1, le=64)]
    intermediate_size: Annotated[int, Field(ge=1, le=16_384)]
    max_position_embeddings: Annotated[int, Field(ge=MAX_TOKENS, le=8192)]
    type_vocab_size: Annotated[int, Field(ge=1, le=64)] = 2
    pad_token_id: Annotated[int, Field(ge=0, le=250_000)] = 0
    hidden_act: Literal["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"] = "gelu"
    layer_norm_eps: Annotated[float, Field(gt=0, le=1e-2)] = 1e-12
    hidden_dropout_prob: Dropout = 0.1
    attention_probs_dropout_prob: Dropout = 0.1
    initializer_range: Annotated[float, Field(gt=0, le=1)] = 0.02
    position_embedding_type: Literal["absolute"] = "absolute"
    is_decoder: Literal[False] = False
    add_cross_attention: Literal[False] = False

    @model_validator(mode="after")
    def _fits(self) -> BertSettings:
        if self.hidden_size % self.num_attention_heads or self.pad_token_id >= self.vocab_size:
            raise ValueError("hidden_size must be a multiple of num_attention_heads, and pad_token_id less than vocab_size")
        return self


class _SpecialToken(BaseModel):
    content: str


class TokenizerSettings(BaseModel):
    """Names of the special tokens; how a vocabulary without `tokenizer.json` is read. Other settings of the library are ignored."""

    unk_token: str | _SpecialToken = "[UNK]"
    sep_token: str | _SpecialToken = "[SEP]"
    pad_token: str | _SpecialToken = "[PAD]"
    cls_token: str | _SpecialToken = "[CLS]"
    mask_token: str | _SpecialToken = "[MASK]"
    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True

    def special_tokens(self) -> dict[str, str]:
        """`unk_token` and the like with the tokens that they name."""
        named = {name: getattr(self, name) for name in ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")}
        return {name: token if isinstance(token, str) else token.content for name, token in named.items()}


def require_same_settings(record: dict[str, Any], network: Any, path: Path) -> None:
    """Check that the settings in a file are those of a network that was built for it. Settings that its class does not know are ignored.

    Args:
        record: the content of the file `path`.
        network: a network or a noise schedule of diffusers.
    Raises:
        ModelError: a setting differs.
    """
    kind = type(network)
    if record.get("_class_name") != kind.__name__:
        raise ModelError(f"{path}: describes {_short(record.get('_class_name'))!r}, not {kind.__name__}; {REMEDY}")
    defaults = {name: parameter.default for name, parameter in inspect.signature(kind.__init__).parameters.items()}
    for name, own in network.config.items():
        if name[0] != "_" and _plain(record.get(name, defaults.get(name))) != _plain(own):
            said = "nothing" if name not in record else _short(record[name])
            raise ModelError(f"{path}: {name} must be {_short(own)} in this model, not {said}; {REMEDY}")


def _short(value: object) -> str:
    return str(value)[:60]


def _plain(value: object) -> str:
    return json.dumps(value, default=str)
