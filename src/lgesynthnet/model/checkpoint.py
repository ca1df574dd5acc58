"""The folder of a generator: configs as JSON, weights as safetensors, nothing pickled. Training writes it, painting reads it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from torch import nn

from lgesynthnet.errors import ModelError
from lgesynthnet.files.writing import write_json
from lgesynthnet.model.autoencoder import build_autoencoder
from lgesynthnet.model.inpainter import CONTROL_CHANNELS, Inpainter, build_control, build_unet
from lgesynthnet.model.schedule import build_schedule
from lgesynthnet.model.settings import AutoencoderSettings, Conditioning, ControlSettings, UnetSettings, require_same_settings
from lgesynthnet.model.text import TextEncoder, load_text_encoder, save_bert
from lgesynthnet.model_store import exists, is_folder, read_record, read_settings
from lgesynthnet.stored_weights import fill_empty, read_weights, shapes_of

PARTS = ("vae", "unet", "controlnet", "text_encoder", "tokenizer", "scheduler")
CONFIG, WEIGHTS, PROJECTION = "config.json", "diffusion_pytorch_model.safetensors", "projection.safetensors"


def save_inpainter(model: Inpainter, folder: Path) -> None:
    """Write every part in the layout of a diffusers pipeline; `controlnet/` only where the model has a control branch."""
    model.autoencoder.save_pretrained(folder / "vae")
    model.unet.save_pretrained(folder / "unet")
    if model.control is not None:
        model.control.save_pretrained(folder / "controlnet")
    save_bert(model.text.bert, model.text.tokenizer, folder)
    save_file(model.text.projection.state_dict(), folder / "text_encoder" / PROJECTION)
    model.schedule.save_pretrained(folder / "scheduler")
    for path in folder.glob("*/config.json"):  # the libraries record the path that a part was loaded from; it is private
        record = json.loads(path.read_text())
        if record.pop("_name_or_path", None) is not None:
            write_json(path, record)


def load_inpainter(folder: Path, *, base: bool = False) -> Inpainter:
    """Read what `save_inpainter` wrote, in float32 and in evaluation mode.

    Args:
        base: whether a model without a control branch will do, as the stage `base` leaves one; else the lack of it is an error.
    Raises:
        ModelError: a part is missing or damaged, has other settings than this program's networks, or exists only as a pickle.
    """
    has_control = exists(folder / "controlnet") or not base
    missing = [part for part in PARTS if (part != "controlnet" or has_control) and not is_folder(folder / part)]
    if missing:
        lack = f"not a complete model folder, {', '.join(missing)} missing"
        raise ModelError(f"{folder}: {lack}; `lgesynthnet info` lists the shipped models")
    if exists(folder / "conditioning.json"):
        read_settings(folder / "conditioning.json", Conditioning)
    with init_empty_weights(include_buffers=False):
        unet = _empty_unet(folder / "unet" / CONFIG)
        control = _empty_control(folder / "controlnet" / CONFIG, unet) if has_control else None
    fill_empty(unet, folder / "unet" / WEIGHTS)
    if control is not None:
        fill_empty(control, folder / "controlnet" / WEIGHTS)
    autoencoder = load_autoencoder(folder / "vae")
    bert, tokenizer = load_text_encoder(folder)
    text = TextEncoder(bert, tokenizer, int(unet.config["cross_attention_dim"]))
    text.projection.load_state_dict(read_weights(folder / "text_encoder" / PROJECTION, shapes_of(text.projection)))
    return Inpainter(unet, text, autoencoder, _schedule(folder / "scheduler" / "scheduler_config.json"), control).eval()


def load_autoencoder(folder: Path) -> AutoencoderKL:
    """Read an autoencoder from its own folder, in float32 and in evaluation mode.

    Raises:
        ModelError: it is missing or damaged, has other settings than this program's, or exists only as a pickle.
    """
    path = folder / CONFIG
    settings = read_settings(path, AutoencoderSettings)
    with init_empty_weights(include_buffers=False):
        autoencoder = build_autoencoder(settings.block_out_channels[0])
    autoencoder.register_to_config(scaling_factor=settings.scaling_factor)
    require_same_settings(read_record(path), autoencoder, path)
    fill_empty(autoencoder, folder / WEIGHTS)
    return autoencoder.eval()


def _empty_unet(path: Path) -> UNet2DConditionModel:
    settings = read_settings(path, UnetSettings)
    unet = build_unet(settings.block_out_channels, settings.cross_attention_dim)
    require_same_settings(read_record(path), unet, path)
    return unet


def _empty_control(path: Path, unet: UNet2DConditionModel) -> ControlNetModel:
    settings = read_settings(path, ControlSettings)
    control = build_control(unet, template=settings.conditioning_channels > CONTROL_CHANNELS)
    require_same_settings(read_record(path), control, path)
    return control


def _schedule(path: Path) -> DDIMScheduler:
    schedule = build_schedule()
    require_same_settings(read_record(path), schedule, path)
    return schedule


def halve(module: nn.Module) -> nn.Module:
    """Round the weights to 16 bits in place, as they will be stored, so that a model is scored as it is shipped."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.half().float())
    return module
