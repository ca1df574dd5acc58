"""Train a small 3-D network on an nnU-Net data set of whole hearts, to show that an export can be trained on as it is.

    lgesynthnet export nnunet RUN nnUNet_raw --dataset-id 511 --classes all
    python experiments/stack_training.py nnUNet_raw/Dataset511_LGESynthNet [--minutes 20] [--fold 0]

It is a small U-Net of MONAI, on patches of 96 x 96 x 8 voxels round the heart. Every two minutes it prints the Dice of
scar (no-reflow included) over all training cases together, and it stops once that is above 0.5, or when the time is up.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from monai.transforms import (
    Compose,
    CropForegroundd,
    EnsureChannelFirstd,
    LoadImaged,
    NormalizeIntensityd,
    RandCropByLabelClassesd,
    RandFlipd,
    SpatialPadd,
)

PATCH = (96, 96, 8)
SEED, BATCH, MEASURE_SECONDS, ENOUGH = 0, 4, 120.0, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--fold", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(SEED)
    labels = json.loads((options.dataset / "dataset.json").read_text())["labels"]
    scar = [labels[name] for name in ("scar", "no-reflow") if name in labels]
    cases = training_cases(options.dataset, options.fold)
    began = time.monotonic()
    loaded = [reader()({"image": str(image), "label": str(label)}) for image, label in cases]
    synthetic = sum("syn_" in image.name for image, _ in cases)
    print(f"{len(cases)} training cases, of which {synthetic} synthetic; read in {time.monotonic() - began:.0f} s")
    channels = loaded[0]["image"].shape[0]
    network = UNet(
        spatial_dims=3,
        in_channels=channels,
        out_channels=len(labels),
        channels=(16, 32, 64),
        strides=((2, 2, 1), (2, 2, 1)),
        num_res_units=1,
    )
    train(network, loaded, scar, len(labels), stop_at=began + 60 * options.minutes, began=began)


def training_cases(dataset: Path, fold: int) -> list[tuple[Path, Path]]:
    """Image and label of each training case of a fold; of all cases where the data set has no folds."""
    splits = dataset / "splits_final.json"
    names = [path.name.removesuffix(".nii.gz") for path in sorted((dataset / "labelsTr").glob("*.nii.gz"))]
    if splits.exists():
        names = json.loads(splits.read_text())[fold]["train"]
    return [(dataset / "imagesTr" / f"{name}_0000.nii.gz", dataset / "labelsTr" / f"{name}.nii.gz") for name in dict.fromkeys(names)]


def reader() -> Compose:
    """Reads a case, cut to the surroundings of the heart, with brightness of mean 0 and deviation 1."""
    return Compose(
        [
            LoadImaged(("image", "label"), image_only=True),
            EnsureChannelFirstd(("image", "label")),
            CropForegroundd(("image", "label"), source_key="label", margin=(16, 16, 0), allow_smaller=True),
            NormalizeIntensityd("image", channel_wise=True),
            SpatialPadd(("image", "label"), PATCH),
        ]
    )


def train(network: torch.nn.Module, cases: list[dict], scar: list[int], classes: int, *, stop_at: float, began: float) -> None:
    crop = Compose(
        [
            RandCropByLabelClassesd(
                ("image", "label"), label_key="label", spatial_size=PATCH, num_classes=classes, ratios=[0] + [1] * (classes - 1), warn=False
            ),
            RandFlipd(("image", "label"), prob=0.5, spatial_axis=2),
        ]
    )
    crop.set_random_state(SEED)
    rng = np.random.default_rng(SEED)
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    steps, measured = 0, time.monotonic()
    while time.monotonic() < stop_at:
        patches = [crop(cases[int(i)])[0] for i in rng.integers(len(cases), size=BATCH)]
        image, label = (torch.stack([torch.as_tensor(patch[key]) for patch in patches]) for key in ("image", "label"))
        loss = loss_of(network(image), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps += 1
        if time.monotonic() - measured > MEASURE_SECONDS:
            value = dice_of(network, cases, scar)
            print(
                f"{(time.monotonic() - began) / 60:.1f} min, {steps} steps: loss {float(loss):.3f}, training Dice of scar {value:.3f}",
                flush=True,
            )
            measured = time.monotonic()
            if value > ENOUGH:
                return


@torch.no_grad()
def dice_of(network: torch.nn.Module, cases: list[dict], scar: list[int]) -> float:
    """Dice of scar over the voxels of all cases together."""
    network.eval()
    shared = total = 0
    for case in cases:
        found = sliding_window_inference(torch.as_tensor(case["image"])[None], PATCH, 2, network, overlap=0.25).argmax(1)[0].numpy()
        is_scar, found_scar = (np.isin(volume, scar) for volume in (np.asarray(case["label"][0]), found))
        shared, total = shared + int((is_scar & found_scar).sum()), total + int(is_scar.sum() + found_scar.sum())
    network.train()
    return 2 * shared / max(total, 1)


if __name__ == "__main__":
    main()
