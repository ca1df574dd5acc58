"""Compare weights and noise windows of the reward. All arms share the start, the seed and the number of steps.

    python experiments/reward_arms.py --control WORK/control/model --work FOLDER [--steps 100] \
        [--scar-segmenters weights/emidec] [--data emidec]

Every arm starts from the control stage and trains on the `train` patients of splits.json. Lambda is 0 (the same steps without reward),
0.1, 0.5 and 1 in the low-noise window, and 0.5 in the high-noise window and in all windows. Training is offline, without the on-policy
half, and the last step is kept, so that the arms differ in the reward alone. It prints the report of each arm and writes FOLDER/ARM/model;
compare the arms with `experiments/ablations.py`. A finished arm is not trained again.
"""

from __future__ import annotations

import argparse
import copy
import json
from dataclasses import replace
from pathlib import Path

from real_data import add_data_option

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.files.writing import write_json
from lgesynthnet.model.checkpoint import halve, load_inpainter, save_inpainter
from lgesynthnet.model_store import fingerprint, part_folder
from lgesynthnet.reward.segmentation import SegmentationReward
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role, Stage, Window
from lgesynthnet.train.examples.prepare import ExampleFile
from lgesynthnet.train.generator.autoencoder import latents_of
from lgesynthnet.train.generator.diffusion import DiffusionTask
from lgesynthnet.train.generator.reward import RewardTask
from lgesynthnet.train.loop import LoopSettings, fit
from lgesynthnet.train.recipes import RECIPES

ARMS = (
    ("lambda-0", 0.0, Window.LOW_NOISE),
    ("lambda-0.1", 0.1, Window.LOW_NOISE),
    ("lambda-0.5", 0.5, Window.LOW_NOISE),
    ("lambda-1", 1.0, Window.LOW_NOISE),
    ("high-noise", 0.5, Window.HIGH_NOISE),
    ("everywhere", 0.5, Window.ALL),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--control", type=Path, required=True, help="model folder of the control stage")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--scar-segmenters", type=Path, default=Path("weights/emidec"))
    add_data_option(parser)
    options = parser.parse_args()
    with claimed(options.work, FolderKind.WORK):
        train_arms(options)


def train_arms(options: argparse.Namespace) -> None:
    splits = json.loads((options.data / "emidec" / "splits.json").read_text())
    file = ExampleFile(options.work / "examples.safetensors")
    examples = file.load_or_build(open_cohort(options.data / "emidec"), splits["train"]).in_all_views()
    recipe, origin = RECIPES["cpu"], fingerprint(options.control, role="inpainter")
    settings = replace(recipe.finetune[Stage.REWARD], steps=options.steps)
    reward = SegmentationReward(TrainedScarSegmenter.from_pretrained(part_folder(options.scar_segmenters, Role.REWARD), Role.REWARD))
    start = load_inpainter(options.control)
    latents = latents_of(start.autoencoder, examples)
    for name, weight, window in ARMS:
        folder = options.work / name
        if (folder / "report.json").exists():
            continue
        model = copy.deepcopy(start)
        task = RewardTask(DiffusionTask(model, examples, latents), reward, replace(recipe.reward, weight=weight, window=window))
        report = fit(task, settings, folder, LoopSettings(seed=0, origin=f"{origin} {weight:g} {window}", device="cpu"))
        for part in (model.unet, model.control):
            halve(part)
        save_inpainter(model.cpu(), folder / "model")
        write_json(folder / "model" / "conditioning.json", json.loads((options.control / "conditioning.json").read_text()))
        write_json(folder / "report.json", report | {"weight": weight, "window": window.value, "started_from": origin})
        print(f"{name}: {report}", flush=True)


if __name__ == "__main__":
    main()
