"""The folder of a generator: configs as JSON, weights as safetensors, nothing pickled. Training writes it, painting reads it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from lgesynthnet.errors import ModelError
from lgesynthnet.files.writing import write_json
from lgesynthnet.model.inpainter import Inpainter
from lgesynthnet.model.text import TextEncoder, load_text_encoder, save_bert

PARTS = ("vae", "unet", "controlnet", "text_encoder", "tokenizer", "scheduler")


def save_inpainter(model: Inpainter, folder: Path) -> None:
    """Write every part in the layout of a diffusers pipeline; `controlnet/` only where the model has a control branch."""
    model.autoencoder.save_pretrained(folder / "vae")
    model.unet.save_pretrained(folder / "unet")
    if model.control is not None:
        model.control.save_pretrained(folder / "controlnet")
    save_bert(model.text.bert, model.text.tokenizer, folder)
    save_file(model.text.projection.state_dict(), folder / "text_encoder" / "projection.safetensors")
    model.schedule.save_pretrained(folder / "scheduler")
    for path in folder.glob("*/config.json"):  # the libraries record the path that a part was loaded from; it is private
        record = json.loads(path.read_text())
        if record.pop("_name_or_path", None) is not None:
            write_json(path, record)


def load_inpainter(folder: Path) -> Inpainter:
    """Read what `save_inpainter` wrote, in float32 and in evaluation mode.

    Raises:
        ModelError: a part is missing or damaged, or exists only as a pickle.
    """
    missing = [part for part in PARTS if part != "controlnet" and not (folder / part).is_dir()]
    if missing:
        raise ModelError(f"{folder}: not a model folder, {', '.join(missing)} missing; `lgesynthnet info` lists the shipped models")
    safe = {"use_safetensors": True, "local_files_only": True, "torch_dtype": torch.float32}
    try:
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", **safe)
        autoencoder = AutoencoderKL.from_pretrained(folder / "vae", **safe)
        control = ControlNetModel.from_pretrained(folder / "controlnet", **safe) if (folder / "controlnet").is_dir() else None
        schedule = DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
        bert, tokenizer = load_text_encoder(folder)
        text = TextEncoder(bert.float(), tokenizer, int(unet.config["cross_attention_dim"]))
        text.projection.load_state_dict(
            {name: value.float() for name, value in load_file(folder / "text_encoder" / "projection.safetensors").items()}
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as fault:
        raise ModelError(f"{folder}: cannot be loaded ({str(fault).splitlines()[0]})") from None
    return Inpainter(unet, text, autoencoder, schedule, control).eval()


def halve(module: nn.Module) -> nn.Module:
    """Round the weights to 16 bits in place, as they will be stored, so that a model is scored as it is shipped."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.half().float())
    return module
