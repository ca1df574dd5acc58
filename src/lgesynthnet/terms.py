"""The words of the command line: every choice that a user can name. Free of NumPy and torch, so that help answers at once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from lgesynthnet.errors import RunError

DICE_ABOVE = 0.6  # the published filter keeps a sample when its Dice is above this
# In the parts train and val of EMIDEC, 5 % of the slices lie below. With every heart turned by quarters, 18 of the 19 marked slices below
# were wrong by more than 40 degrees, and 6 of the 251 above (docs/evidence/reading.md).
LEAST_ORIENTATION_CONFIDENCE = 0.6


class RecipeName(StrEnum):
    """How much to train: `tiny` for tests, `cpu` for two cores, `gpu` for a graphics card."""

    TINY = "tiny"
    CPU = "cpu"
    GPU = "gpu"


class DownstreamRecipeName(StrEnum):
    """How much to train a downstream segmenter: `tiny` for tests, `cpu` for two cores."""

    TINY = "tiny"
    CPU = "cpu"


class WallFrom(StrEnum):
    """What a downstream segmenter knows of the wall: nothing (`crop`), what a network draws (`cascade`), or contours (`known-wall`)."""

    CROP = "crop"
    CASCADE = "cascade"
    KNOWN_WALL = "known-wall"

    @property
    def channels(self) -> int:
        """Number of input channels."""
        return 2 if self is WallFrom.CROP else 4


class Precision(StrEnum):
    """Number format of the forward passes in training: float32 everywhere (`no`), or bfloat16 where that is safe."""

    NO = "no"
    BF16 = "bf16"


class Role(StrEnum):
    """What a scar segmenter is used for: `reward` teaches the generator, `filter` keeps or rejects samples, `auditor` only reports."""

    REWARD = "reward"
    FILTER = "filter"
    AUDITOR = "auditor"


class Window(StrEnum):
    """Noise levels at which the reward is computed: low noise (t <= 200 in the paper), high noise, or all."""

    LOW_NOISE = "low-noise"
    HIGH_NOISE = "high-noise"
    ALL = "all"


class RewardKind(StrEnum):
    """Which reward is used; see `lgesynthnet.reward`."""

    SEGMENTATION = "segmentation"
    TRANSMURALITY = "transmurality"
    CONTRAST = "contrast"


class Context(StrEnum):
    """What a SPADE generator sees of the host: the labels alone (`limited`), or also the image outside the hidden region (`full`)."""

    LIMITED = "limited"
    FULL = "full"


class Method(StrEnum):
    """The compared methods. `-raw` replaces the host's whole heart region by the network's output, as published."""

    PASTE = "paste"
    COPY_PASTE = "copy-paste"
    SPADE_LIMITED = "spade-limited"
    SPADE_LIMITED_RAW = "spade-limited-raw"
    SPADE_FULL = "spade-full"
    SPADE_FULL_RAW = "spade-full-raw"
    CONTROLNET = "controlnet"
    CONTROLNET_RAW = "controlnet-raw"
    CONTROLNET_TEMPLATE = "controlnet-template"
    CONTROLNET_TEMPLATE_RAW = "controlnet-template-raw"
    LGESYNTHNET = "lgesynthnet"
    LGESYNTHNET_RAW = "lgesynthnet-raw"

    @property
    def raw(self) -> bool:
        return self.value.endswith("-raw")

    @property
    def trained_as(self) -> str:
        """The method without its compositing: what is trained, and the row of the published table."""
        return self.value.removesuffix("-raw")


class LabelKind(StrEnum):
    """Which scar label a synthetic case gets; real ones keep their own."""

    INTENDED = "intended"
    READ = "read"


class Classes(StrEnum):
    """What nnU-Net learns to tell apart."""

    ALL = "all"  # cavity, healthy wall, scar, no-reflow (and RV), each pixel in one of them
    REGIONS = "regions"  # the same files; whole wall holds scar, and scar holds no-reflow
    SCAR = "scar"  # scar and no-reflow together against the rest


class Dimension(StrEnum):
    """What one case of an export is: a slice (2), or the whole stack of a heart (3)."""

    SLICES = "2"
    STACKS = "3"


class Edit(StrEnum):
    """What is done to a slice.

    add: a scar is painted; scar that the slice already holds stays. remove: the slice's own scar becomes healthy wall. move: that, and a
    scar is painted elsewhere. replace: the slice's own scar is painted again in its place, with another brightness or depth.
    """

    ADD = "add"
    REMOVE = "remove"
    MOVE = "move"
    REPLACE = "replace"


class Prior(StrEnum):
    """The built-in populations."""

    ISCHAEMIC = "ischaemic"
    NON_ISCHAEMIC = "non-ischaemic"
    UNIFORM = "uniform"


def prior_choice(value: str | Path, option: str = "--prior") -> Prior | Path:
    """The prior that a user names: a built-in one, or a file that `lgesynthnet prior fit` wrote. The file is not read here.

    Raises:
        RunError: it is neither.
    """
    text = str(value)
    if text in list(Prior):
        return Prior(text)
    if not text.lower().endswith(".json"):
        known = ", ".join(Prior)
        raise RunError(f"{option} {text[:80]}: must be one of {known}, or a file NAME.json that `lgesynthnet prior fit` wrote")
    return Path(text)


class Flip(StrEnum):
    """Mirroring into the radiological view, RV on the viewer's left."""

    NONE = "none"
    ROWS = "rows"
    COLUMNS = "columns"
    BOTH = "both"

    @property
    def axes(self) -> tuple[bool, bool]:
        """(rows, columns)."""
        return self in (Flip.ROWS, Flip.BOTH), self in (Flip.COLUMNS, Flip.BOTH)


class Stage(StrEnum):
    """What can be trained. `base` needs the autoencoder and the text encoder in the work folder, and `control` needs `base`."""

    AUTOENCODER = "autoencoder"
    TEXT = "text"
    BASE = "base"
    CONTROL = "control"
    REWARD = "reward"
    SCAR_SEGMENTER = "scar-segmenter"
    HEART_SEGMENTER = "heart-segmenter"
    SPADE = "spade"


GENERATOR_STAGES = (Stage.AUTOENCODER, Stage.TEXT, Stage.BASE, Stage.CONTROL, Stage.REWARD)  # in the order of training


class Baseline(StrEnum):
    """The segmenter that is trained and tested: three that see a crop round the heart, the published one, and one for tests.

    `crop` is told nothing of the wall, `cascade` draws it first, and `known-wall` is given it, as by contours of a cine study.
    """

    CROP = "crop"
    CASCADE = "cascade"
    KNOWN_WALL = "known-wall"
    PUBLISHED = "published"


class Arm(StrEnum):
    """What a segmenter is trained on.

    From `resampled` on, they are the recipe with other slices in place of the painted ones; from `with-twins` on, with more beside them.
    """

    REAL = "real"
    PHANTOM_FIRST = "phantom-first"
    PAINTED = "painted"
    ORIGIN = "painted-origin"
    RECIPE = "recipe"
    RESAMPLED = "resampled"
    HOSTS = "unpainted-hosts"
    PHANTOM = "phantom-slices"
    COPY_PASTE = "copy-paste"
    PASTE = "paste"
    SPADE_LIMITED = "spade-limited"
    SPADE_FULL = "spade-full"
    CONTROLNET = "controlnet"
    UNFILTERED = "unfiltered"
    READ = "labels-as-read"
    TWINS = "with-twins"
    REMOVED = "with-removed"
    MOVED = "with-moved"

    @property
    def label(self) -> str:
        """The name in tables and charts."""
        return ARM_LABELS[self]


ARM_LABELS = {
    Arm.REAL: "real slices",
    Arm.PHANTOM_FIRST: "real slices, phantom first",
    Arm.PAINTED: "+ painted, plainly mixed",
    Arm.ORIGIN: "+ painted, origin channel",
    Arm.RECIPE: "+ painted, origin channel, phantom first (the recipe)",
    Arm.RESAMPLED: "recipe with real scarred slices again",
    Arm.HOSTS: "recipe with unpainted hosts",
    Arm.PHANTOM: "recipe with phantom slices",
    Arm.COPY_PASTE: "recipe with copied scars",
    Arm.PASTE: "recipe with intensity paste",
    Arm.SPADE_LIMITED: "recipe with SPADE-LC",
    Arm.SPADE_FULL: "recipe with SPADE-FC",
    Arm.CONTROLNET: "recipe with ControlNet",
    Arm.UNFILTERED: "recipe, samples unfiltered",
    Arm.READ: "recipe, labels as read",
    Arm.TWINS: "recipe and twins",
    Arm.REMOVED: "recipe and removed scars",
    Arm.MOVED: "recipe and moved scars",
}


class Question(StrEnum):
    """What a utility experiment asks.

    `few`: what samples are worth where few patients are labelled. `strata`: what they are worth where one kind of scar is missing from
    the training slices. `labels`: whether their worth depends on how the real scars were labelled.
    """

    FEW = "few"
    STRATA = "strata"
    LABELS = "labels"
    ALL = "all"


class Stratum(StrEnum):
    """A kind of scar that may be missing from the training slices; `benchmark.utility.questions.strata` defines them."""

    SMALLEST = "smallest"
    SUBENDOCARDIAL = "subendocardial"
    NO_REFLOW = "no-reflow"
    FAINT = "faint"


class RealSlices(StrEnum):
    """Which real slices a segmenter is trained on, and with which labels of the scar."""

    AS_LABELLED = "as-labelled"
    WITHOUT_SMALLEST = "without-smallest"
    WITHOUT_SUBENDOCARDIAL = "without-subendocardial"
    WITHOUT_NO_REFLOW = "without-no-reflow"
    WITHOUT_FAINT = "without-faint"
    REMADE_LABELS = "remade-labels"

    @property
    def left_out(self) -> Stratum | None:
        """The kind of scar whose slices are left out; None where all slices are there."""
        return _LEFT_OUT.get(self)

    @classmethod
    def without(cls, stratum: Stratum) -> RealSlices:
        """All real slices but those with this kind of scar."""
        return next(real for real, left_out in _LEFT_OUT.items() if left_out is stratum)


_LEFT_OUT = {
    RealSlices.WITHOUT_SMALLEST: Stratum.SMALLEST,
    RealSlices.WITHOUT_SUBENDOCARDIAL: Stratum.SUBENDOCARDIAL,
    RealSlices.WITHOUT_NO_REFLOW: Stratum.NO_REFLOW,
    RealSlices.WITHOUT_FAINT: Stratum.FAINT,
}


class Rival(StrEnum):
    """What the product is compared with; see docs/rivals.md."""

    PASTE = "paste"
    COPY_PASTE = "copy-paste"
    SPADE_LIMITED = "spade-limited"
    SPADE_FULL = "spade-full"
    TEMPLATE = "template"


class PromptSource(StrEnum):
    """Where the prescriptions of a run come from; the values are the options of `synthesize`. `edit` needs none: remove, or replace."""

    TEXT = "text"
    PRESCRIPTIONS = "prescriptions"
    PRIOR = "prior"
    EDIT = "edit"
