"""Whether nnU-Net can read the origin channel: after its augmentation, and through the normalisation inside its network.

    python experiments/nnunet_origin.py augmented nnUNet_preprocessed/Dataset501_LGESynthNet/nnUNetPlans_2d
    python experiments/nnunet_origin.py learned [--steps 300]

It needs nnunetv2 in an environment of its own, and nothing of lgesynthnet. `augmented` draws patches of an export that was made
with `--origin-channel`, and asks how well the mean of the second channel tells painted from real cases. `learned` trains a small network of
nnU-Net's kind to say nothing but which origin a picture of noise has, and prints how often it is right in the middle of the picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

SIDE = 64  # of the patches of `learned`
BATCH = 8
SQUARE = 16  # side of the squares of the chessboard


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    augmented = commands.add_parser("augmented")
    augmented.add_argument("cases", type=Path, help="folder of preprocessed cases")
    augmented.add_argument("--side", type=int, default=128, help="side of a patch in pixels")
    augmented.add_argument("--each", type=int, default=10, help="patches of each case")
    learned = commands.add_parser("learned")
    learned.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)
    if options.command == "augmented":
        print_separation(options.cases, options.side, options.each)
        return
    for norm in (nn.InstanceNorm2d, nn.BatchNorm2d):
        for pattern in ("constant", "chessboard"):
            print_learning(norm, pattern, options.steps)


def print_separation(folder: Path, side: int, each: int) -> None:
    """The AUC of the mean of the second channel, painted against real cases, and its range in both."""
    cases = sorted(path for path in folder.glob("*.b2nd") if not path.name.endswith("_seg.b2nd"))
    painted = [path for path in cases if path.name.startswith("syn_")]
    real = [path for path in cases if path.name.startswith("real_")][: len(painted)]
    ones, zeros = (np.array([mean for path in paths for mean in origin_means(path, side, each)]) for paths in (painted, real))
    above = (ones[:, None] > zeros[None]).mean() + 0.5 * (ones[:, None] == zeros[None]).mean()
    print(f"{len(ones)} + {len(zeros)} patches: AUC {above:.4f}")
    print(f"painted {ones.min():.3f} to {ones.max():.3f}, real {zeros.min():.3f} to {zeros.max():.3f}")


def origin_means(path: Path, side: int, each: int) -> list[float]:
    """The means of the second channel of augmented patches of one case."""
    import blosc2
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    augment = nnUNetTrainer.get_training_transforms((side, side), (-np.pi, np.pi), None, (0, 1), False, [False, False])
    channels = np.asarray(blosc2.open(str(path), mode="r")[:])[:, 0]
    drawn = round(1.2 * side)  # rotation needs more than the patch
    means = []
    for _ in range(each):
        row, column = (np.random.randint(0, max(1, length - drawn + 1)) for length in channels.shape[1:])
        patch = torch.from_numpy(channels[:, row : row + drawn, column : column + drawn].copy()).float()
        means.append(float(augment(image=patch, segmentation=torch.zeros((1, *patch.shape[1:]), dtype=torch.int16))["image"][1].mean()))
    return means


def print_learning(norm: type[nn.Module], pattern: str, steps: int) -> None:
    """Train on pictures of noise whose label is the origin, and print the accuracy in the middle over every 20 steps."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    rng = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    settings = {"conv_bias": True, "norm_op": norm, "norm_op_kwargs": {"eps": 1e-5, "affine": True}}
    widths = [16, 32, 64, 64]
    network = PlainConvUNet(
        2,
        4,
        widths,
        nn.Conv2d,
        [3] * 4,
        [1, 2, 2, 2],
        [2] * 4,
        2,
        [2] * 3,
        **settings,
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )
    optimiser = torch.optim.SGD(network.parameters(), 1e-2, momentum=0.99, nesterov=True, weight_decay=3e-5)
    middle = slice(SIDE // 4, 3 * SIDE // 4)
    accuracies: list[float] = []
    for step in range(1, steps + 1):
        origin = torch.arange(BATCH) % 2
        logits = network(torch.cat([noise(rng), origin.view(-1, 1, 1, 1) * channel_of(pattern)], 1))
        truth = origin.view(-1, 1, 1).expand(BATCH, SIDE, SIDE)
        loss = nn.functional.cross_entropy(logits, truth)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 12)
        optimiser.step()
        accuracies.append(float((logits.argmax(1) == truth)[:, middle, middle].float().mean()))
        if step % 20 == 0:
            print(f"{norm.__name__}, {pattern}, step {step}: accuracy {np.mean(accuracies[-20:]):.3f}", flush=True)


def noise(rng: torch.Generator) -> Tensor:
    coarse = torch.randn(BATCH, 1, SIDE // 8, SIDE // 8, generator=rng)
    return nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear") + 0.3 * torch.randn(BATCH, 1, SIDE, SIDE, generator=rng)


def channel_of(pattern: str) -> Tensor:
    if pattern == "constant":
        return torch.ones(1, 1, SIDE, SIDE)
    place = torch.arange(SIDE) // SQUARE
    return ((place[:, None] + place[None]) % 2).float().view(1, 1, SIDE, SIDE)


if __name__ == "__main__":
    main()
