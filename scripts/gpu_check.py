"""Check that a GPU can do everything that a CPU can: `make gpu-check`, or `python scripts/gpu_check.py --device cuda:1`.

Every training stage takes three steps with each recipe, 16 samples are painted and evaluated, and the same samples are painted on the CPU.
The patients are simulated. Exit code: 0 all is well, 1 something failed, 2 there is no such device.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

STEPS = 3
PATIENTS = 4
# A GPU adds numbers in another order and may round products to 10 bits (TF32), and four sampling steps carry that on.
MEAN_TOLERANCE, LARGEST_TOLERANCE = 0.005, 0.10  # of the range of grey values of the slice


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, mps, or cpu for a test of this script (default: cuda)")
    parser.add_argument("--recipe", action="append", help="only this recipe; give it again for more (default: all; on the CPU, tiny)")
    parser.add_argument("--samples", type=int, default=16, help="number of samples to paint (default: 16)")
    options = parser.parse_args()
    from lgesynthnet.devices import usable_device
    from lgesynthnet.errors import LGESynthNetError

    try:
        device = str(usable_device(options.device))
    except LGESynthNetError as fault:
        print(f"no check was made: {fault}", file=sys.stderr)
        return 2
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="gpu-check-"))
    try:
        failures = Check(folder, device, options.samples).run(options.recipe or (["tiny"] if device == "cpu" else ["tiny", "cpu", "gpu"]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'FAILED: ' + ', '.join(failures) if failures else 'all is well'} on {device}, in {time.monotonic() - began:.0f} s")
    return 1 if failures else 0


class Check:
    """The check on one device, with everything in one folder."""

    def __init__(self, folder: Path, device: str, samples: int) -> None:
        from lgesynthnet.data.cohort import open_cohort
        from lgesynthnet.phantom.cohort import simulate_patients

        self.folder, self.device, self.samples = folder, device, samples
        simulate_patients(folder / "patients", patients=PATIENTS, seed=1, positive=0.5)
        self.cohort = open_cohort(folder / "patients")
        self.failures: list[str] = []

    def run(self, recipes: list[str]) -> list[str]:
        """Check, print, and return what failed."""
        print(f"{'':30} {'s a step':>9} {'peak MB':>8}")
        for recipe in recipes:
            for name, train in self.stages(recipe):
                with self.reported(f"{recipe} {name}"):
                    self.train(f"{recipe} {name}", train)
        with self.reported("synthesis"):
            self.synthesize()
        return self.failures

    def stages(self, recipe: str) -> Iterator[tuple[str, Callable[..., Any]]]:
        """Every stage with a shortened recipe, in an order in which each finds what it needs."""
        from lgesynthnet.terms import GENERATOR_STAGES, Context, Role, Stage
        from lgesynthnet.train.recipes import RECIPES
        from lgesynthnet.train.request import TrainingData, TrainingRequest
        from lgesynthnet.train.segmenters.heart import train_heart_segmenter
        from lgesynthnet.train.segmenters.scar import train_scar_segmenter
        from lgesynthnet.train.spade import train_spade
        from lgesynthnet.train.stages import train_generator

        short = f"three steps of {recipe}"
        RECIPES[short] = shortened(RECIPES[recipe])

        def request(on_progress: Callable[..., None]) -> TrainingRequest:
            data = TrainingData(cohort=self.cohort)
            return TrainingRequest(work=self.folder / recipe, data=data, recipe=short, device=self.device, on_progress=on_progress)

        for stage in GENERATOR_STAGES:
            if stage is Stage.REWARD:
                for role in Role:
                    yield f"scar segmenter {role}", lambda watch, role=role: train_scar_segmenter(request(watch), role)
            yield stage.value, lambda watch, stage=stage: train_generator(request(watch), stage)
        yield "heart segmenter", lambda watch: train_heart_segmenter(request(watch))
        for context in Context:
            yield f"SPADE {context}", lambda watch, context=context: train_spade(request(watch), context)

    def train(self, name: str, train: Callable[..., Any]) -> None:
        """Train one stage; print the seconds of a step after the first, and the peak of the memory."""
        times: list[float] = []

        def watch(stage: str, done: int, total: int, loss: float) -> None:
            if stage != "prepare":
                times.append(time.monotonic())

        self.forget_peak()
        train(watch)
        print(f"{name:30} {(times[STEPS - 1] - times[0]) / (STEPS - 1):9.3f} {self.peak_mb():>8}")

    def synthesize(self) -> None:
        """Paint on the device and on the CPU, compare, and evaluate."""
        from lgesynthnet.data.source import CohortSource
        from lgesynthnet.evaluate.request import EvaluationRequest
        from lgesynthnet.evaluate.run import evaluate_alignment

        seconds = {}
        for name, device in (("device", self.device), ("cpu", "cpu")):
            self.forget_peak()
            seconds[name] = self.paint(self.folder / name, device)
            print(f"{self.samples} samples on {device:14} {self.samples / seconds[name]:6.2f} samples a second {self.peak_mb():>8} MB")
        mean, largest = difference(self.folder / "device", self.folder / "cpu", self.samples)
        print(f"pixels differ from those of the CPU by {mean:.2%} on average, by {largest:.2%} at most (of the range of the slice)")
        if mean > MEAN_TOLERANCE or largest > LARGEST_TOLERANCE:
            self.failures.append(f"pixels differ by more than {MEAN_TOLERANCE:.1%} on average or {LARGEST_TOLERANCE:.0%} at most")
        with self.reported("evaluation"):
            request = EvaluationRequest(run=self.folder / "device", real=CohortSource(root=self.folder / "patients"), every=True)
            rows = evaluate_alignment(request).rows
            print(f"evaluation: {len(rows)} rows")

    def paint(self, run: Path, device: str) -> float:
        """Paint the samples with the shipped model; returns the seconds without loading."""
        from lgesynthnet.data.source import CohortSource
        from lgesynthnet.run.request import SynthesisRequest
        from lgesynthnet.synthesis.planning import plan_synthesis
        from lgesynthnet.synthesis.synthesize import synthesize
        from lgesynthnet.terms import Prior

        source = CohortSource(root=self.folder / "patients")
        request = SynthesisRequest(
            hosts=source, count=self.samples, prior=Prior.ISCHAEMIC, keep_all=True, max_attempts=self.samples, seed=1, device=device
        )
        plan = plan_synthesis(request, run=run)
        began = time.monotonic()
        synthesize(plan, run)
        return time.monotonic() - began

    @contextmanager
    def reported(self, name: str) -> Iterator[None]:
        """Go on after a failure, which is printed in one line."""
        try:
            yield
        except Exception as fault:
            self.failures.append(name)
            print(f"{name:30} FAILED: {type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}")

    def forget_peak(self) -> None:
        import torch

        if self.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_mb(self) -> str:
        """The most memory that tensors took on the GPU since `forget_peak`."""
        import torch

        return f"{torch.cuda.max_memory_allocated(self.device) / 2**20:.0f}" if self.device.startswith("cuda") else "-"


def shortened(recipe: Any) -> Any:
    """The same recipe with three steps in every loop."""
    if hasattr(recipe, "checkpoint_every"):
        return replace(recipe, steps=STEPS, warmup=1, checkpoint_every=STEPS)
    if isinstance(recipe, dict):
        return {key: shortened(value) for key, value in recipe.items()}
    if is_dataclass(recipe) and not isinstance(recipe, type):
        return replace(recipe, **{field.name: shortened(getattr(recipe, field.name)) for field in fields(recipe)})
    return recipe


def difference(one: Path, other: Path, samples: int) -> tuple[float, float]:
    """Mean and largest difference of the images of two runs, as shares of the range of each image."""
    import nibabel as nib
    import numpy as np

    names = sorted(path.name for path in (one / "images").glob("*.nii.gz"))
    if len(names) < samples or names != sorted(path.name for path in (other / "images").glob("*.nii.gz")):
        raise RuntimeError(f"the runs hold {len(names)} images or other ones, and not the same {samples}")
    shares = []
    for name in names:
        a, b = (np.asarray(nib.load(run / "images" / name).dataobj, np.float64) for run in (one, other))
        shares.append(abs(a - b) / np.ptp(b))
    return float(np.mean([share.mean() for share in shares])), float(max(share.max() for share in shares))


if __name__ == "__main__":
    sys.exit(main())
