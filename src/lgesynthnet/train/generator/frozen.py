"""Fingerprints of networks by their weights as they were loaded: what a training starts from, or uses without changing it.

Files would not do: the same weights can be written with other words around them.
"""

from __future__ import annotations

import hashlib
import json

import torch
from diffusers import AutoencoderKL
from torch import nn

from lgesynthnet.model.inpainter import Inpainter
from lgesynthnet.model.text import BertModel, BertTokenizerFast


def content_of_autoencoder(autoencoder: AutoencoderKL) -> str:
    """Of the weights and the scale of the latents."""
    return _digest(autoencoder, float(autoencoder.config["scaling_factor"]))


def content_of_bert(bert: BertModel, tokenizer: BertTokenizerFast) -> str:
    """Of the weights and the vocabulary."""
    return _digest(bert, tokenizer.get_vocab())


def content_of_inpainter(model: Inpainter) -> str:
    """Of the weights of all parts, the vocabulary, the scale of the latents and the schedule."""
    schedule = {name: value for name, value in model.schedule.config.items() if not name.startswith("_")}
    return _digest(model, [model.text.tokenizer.get_vocab(), float(model.autoencoder.config["scaling_factor"]), schedule])


@torch.no_grad()
def _digest(module: nn.Module, about: object) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
