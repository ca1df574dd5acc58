"""What a user asks `improve` for. The fields are the options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import RunError
from lgesynthnet.options import option
from lgesynthnet.terms import DownstreamRecipeName, Prior, WallFrom, prior_choice
from lgesynthnet.train.options import RANDOM_WEIGHTS, first_weights_of

PAINTING, TRAINING = "What to paint, and which samples to keep", "How to train"


@dataclass(frozen=True, kw_only=True)
class ImproveRequest:
    """Whom to learn from, and how many rounds to try.

    Attributes:
        splits: of this file the part `train` alone is read; its other patients are only checked against what the models have met.
        count: samples that a round keeps at most.
        hard_below: in (0, 1]; a sample is hard where the segmenter of its host's fold finds it with a Dice below this.
        folds: None takes as many as there are patients with scar, at most three.
        steps: of each training; None takes those of the recipe.
        control: also train on as many samples of the plain prior, kept by the filter alone.

    Raises:
        RunError: a value is out of its range.
    """

    data: CohortSource = option(help="Folder of patients with scar labels.", flags=("--data",))
    splits: Path = option(help='JSON file with the patients of each part. Only "train" is read, and never "val" or "test".')
    rounds: int = option(3, help="Largest number of rounds; the loop stops before where a round gains nothing.", bounds=(1, 20))
    count: int = option(200, help="Samples that a round keeps at most.", flags=("--count", "-n"), bounds=(1, None), panel=PAINTING)
    model: str = option(
        "phantom",
        help='The generator with its filter: "phantom" (shipped), a model folder, or "paste". It may have met none of the patients.',
        panel=PAINTING,
    )
    prior: Prior | Path = option(
        Prior.ISCHAEMIC,
        help="Population from which the scars are drawn (ischaemic, non-ischaemic, uniform, or a file of `lgesynthnet prior fit`); "
        "what is missed changes its shares.",
        panel=PAINTING,
    )
    hard_below: float = option(
        0.5,
        help="Keep a sample only where the segmenter in training finds it with a Dice below this; 1 keeps all that the filter keeps.",
        bounds=(0.01, 1),
        panel=PAINTING,
    )
    control: bool = option(
        False,
        help="Also train with as many samples of random prescriptions, to see what the loop itself is worth.",
        flags=("--control",),
        panel=PAINTING,
    )
    init: str = option("phantom", help='First weights: "phantom" (shipped), "none" (random), or a segmenter\'s folder.', panel=TRAINING)
    wall_from: WallFrom = option(
        WallFrom.CROP,
        help="What the segmenter knows of the wall. crop: nothing. cascade: what a first network draws. known-wall: contours.",
        panel=TRAINING,
    )
    recipe: DownstreamRecipeName = option(
        DownstreamRecipeName.CPU, help="How much to train. tiny: seconds, for tests. cpu: two cores.", panel=TRAINING
    )
    steps: int | None = option(None, help="Steps of each training.", bounds=(1, None), default_text="those of the recipe", panel=TRAINING)
    folds: int | None = option(
        None,
        help="Folds of the cross-validation.",
        bounds=(2, 20),
        default_text="one for each patient with scar, at most 3",
        panel=TRAINING,
    )
    seed: int = option(
        0, help="Random seed. The same seed gives bit-identical output on one kind of processor.", bounds=(0, None), panel=TRAINING
    )
    device: str = option("auto", help="auto, cpu, cuda, cuda:N or mps.", panel=TRAINING)

    def __post_init__(self) -> None:
        wrong = (
            None if 1 <= self.rounds <= 20 else f"--rounds {self.rounds}: must be in [1, 20]",
            None if 1 <= self.count < 2**31 else f"--count {self.count}: must be in [1, 2^31)",
            None if 0 < self.hard_below <= 1 else f"--hard-below {self.hard_below:g}: must be above 0 and at most 1",
            None if self.steps is None or self.steps >= 1 else f"--steps {self.steps}: must be 1 or more",
            None if self.folds is None or self.folds >= 2 else f"--folds {self.folds}: must be 2 or more",
            None if 0 <= self.seed < 2**31 else f"--seed {self.seed}: must be in [0, 2^31)",
            None if self.init else f"--init: is empty; give phantom, {RANDOM_WEIGHTS} or a folder",
        )
        for message in filter(None, wrong):
            raise RunError(message)
        object.__setattr__(self, "wall_from", WallFrom(self.wall_from))
        object.__setattr__(self, "prior", prior_choice(self.prior))
        object.__setattr__(self, "recipe", DownstreamRecipeName(self.recipe))

    @property
    def first_weights(self) -> Path | None:
        """The model or the folder that `init` names; None for random weights."""
        return first_weights_of(self.init)
