"""Measure the time for one sample, its parts, and its ratio to the stock diffusers pipeline for inpainting with a control branch.

    python experiments/speed.py --hosts FOLDER [--model phantom] [--count 30] [--threads 2] [--skip-stock]

The stock pipeline has the size of Stable Diffusion 1.5 (U-Net of 860 million parameters, ControlNet, autoencoder), at 512 x 512 with
10 guided steps, random weights and float32. One guided step, one encoding and one decoding are timed, and the total is computed from
them. It needs 7 GB of memory; --skip-stock leaves it out.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import nn

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.synthesis.painters import model_folder
from lgesynthnet.terms import Prior

STEPS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=Path, required=True)
    parser.add_argument("--model", default="phantom")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--skip-stock", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{os.cpu_count()} cores, {options.threads} threads, torch {torch.__version__}")
    ours = measure_ours(options)
    if not options.skip_stock:
        stock = measure_stock()
        print(f"stock pipeline: {stock:.1f} s for one sample, {stock / ours:.0f} times as long as ours")


def measure_ours(options: argparse.Namespace) -> float:
    generator = LGESynthNet.from_pretrained(model_folder(options.model), device="cpu")
    pool, rng = find_hosts(open_cohort(options.hosts)), np.random.default_rng(0)
    jobs = []
    for _ in range(options.count + 3):
        entry = pool.entries[int(rng.integers(len(pool.entries)))]
        jobs.append((pool.fetch(entry), draw_prescription(Prior.ISCHAEMIC, entry.level, rng)))
    seconds = []
    for seed, (host, prescription) in enumerate(jobs):
        seconds.append(generator.inpaint(host, prescription, seed=seed).seconds)
    seconds = seconds[3:]  # the first calls fill caches
    low, middle, high = np.quantile(seconds, (0.05, 0.5, 0.95))
    print(
        f"{generator.fingerprint}: median {middle:.3f} s for one sample (5th to 95th percentile {low:.3f} to {high:.3f}, n={len(seconds)})"
    )
    model = generator.model
    with timed(
        {
            "U-Net": model.unet,
            "control branch": model.control,
            "autoencoder, decoding": model.autoencoder.decoder,
            "autoencoder, encoding": model.autoencoder.encoder,
            "text": model.text,
        }
    ) as spent:
        in_networks = _timed_inpainting(generator)
        total = sum(generator.inpaint(host, prescription, seed=seed).seconds for seed, (host, prescription) in enumerate(jobs[3:]))
    spent["prescription, conditions, compositing"] = total - sum(in_networks)
    print("  (the host is encoded and decoded on a second core at the same time, for the matched noise; so the parts overlap)")
    for name, value in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {name:>45}: {value / options.count:.3f} s")
    return float(middle)


def _timed_inpainting(generator: LGESynthNet) -> list[float]:
    """Record the seconds that each later sample spends in the networks; returns the list that grows."""
    seconds: list[float] = []
    networks = generator._run_networks

    def timed_networks(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        result = networks(*arguments, **options)
        seconds.append(time.perf_counter() - began)
        return result

    generator._run_networks = timed_networks
    return seconds


@contextmanager
def timed(parts: dict[str, nn.Module]) -> Iterator[dict[str, float]]:
    """Yield the total seconds in the forward pass of each module while the block runs."""
    spent: dict[str, float] = defaultdict(float)
    handles = []
    for name, module in parts.items():
        began: list[float] = []
        handles.append(module.register_forward_pre_hook(lambda *_, b=began: b.append(time.perf_counter())))
        handles.append(
            module.register_forward_hook(lambda *_, b=began, n=name: spent.__setitem__(n, spent[n] + time.perf_counter() - b.pop()))
        )
    try:
        yield spent
    finally:
        for handle in handles:
            handle.remove()


@torch.inference_mode()
def measure_stock_coding() -> float:
    """Seconds for one encoding and one decoding at 512 x 512. The autoencoder is freed before the U-Net is built."""
    autoencoder = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    ).eval()
    picture = torch.zeros(1, 3, 512, 512)
    return clock(lambda: autoencoder.decode(autoencoder.encode(picture).latent_dist.mean))


@torch.inference_mode()
def measure_stock() -> float:
    """Seconds for ten guided steps with the control branch at 512 x 512, one encoding and one decoding."""
    widths = (320, 640, 1280, 1280)
    shape = {"cross_attention_dim": 768, "attention_head_dim": 8, "block_out_channels": widths, "layers_per_block": 2}
    coding_seconds = measure_stock_coding()
    unet = UNet2DConditionModel(sample_size=64, **shape).eval()
    control = ControlNetModel(conditioning_channels=3, **shape).eval()
    latent, words, edges = torch.zeros(2, 4, 64, 64), torch.zeros(2, 77, 768), torch.zeros(2, 3, 512, 512)

    def step() -> None:
        down, middle = control(latent, 500, encoder_hidden_states=words, controlnet_cond=edges, return_dict=False)
        unet(latent, 500, encoder_hidden_states=words, down_block_additional_residuals=down, mid_block_additional_residual=middle)

    step_seconds = clock(step)
    count = sum(p.numel() for p in unet.parameters()) / 1e6
    print(
        f"stock pipeline, U-Net of {count:.0f} million parameters: {step_seconds:.2f} s for one guided step, "
        f"{coding_seconds:.2f} s for encoding and decoding"
    )
    return STEPS * step_seconds + coding_seconds


def clock(run: Callable[[], object]) -> float:
    """Seconds for one call. The call takes so long that memory allocation does not matter."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
