"""The words of the command line: every choice that a user can name. Free of NumPy and torch, so that help answers at once."""

from __future__ import annotations

from enum import StrEnum

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


class Prior(StrEnum):
    """The populations on offer."""

    ISCHAEMIC = "ischaemic"
    NON_ISCHAEMIC = "non-ischaemic"
    UNIFORM = "uniform"


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


class Arm(StrEnum):
    """What a segmenter is trained on. All but the first three add synthetic slices to the real slices."""

    REAL = "real"
    STRONG = "real-strong"
    RESAMPLED = "real-resampled"
    COPY_PASTE = "copy-paste"
    PASTE = "paste"
    SPADE_LIMITED = "spade-limited"
    SPADE_FULL = "spade-full"
    CONTROLNET = "controlnet"
    UNFILTERED = "lgesynthnet-unfiltered"
    LGESYNTHNET = "lgesynthnet"
    READ = "lgesynthnet-read"
    PHANTOM = "phantom"

    @property
    def label(self) -> str:
        """The name in tables and charts."""
        return ARM_LABELS[self]

    @property
    def real_only(self) -> bool:
        """Whether the training set holds each real slice once and nothing else, so that it has one size."""
        return self in (Arm.REAL, Arm.STRONG)


ARM_LABELS = {
    Arm.REAL: "real only",
    Arm.STRONG: "real only, strong augmentation",
    Arm.RESAMPLED: "+ real scarred slices again",
    Arm.COPY_PASTE: "+ copied scars",
    Arm.PASTE: "+ intensity paste",
    Arm.SPADE_LIMITED: "+ SPADE-LC",
    Arm.SPADE_FULL: "+ SPADE-FC",
    Arm.CONTROLNET: "+ ControlNet",
    Arm.UNFILTERED: "+ LGESynthNet, unfiltered",
    Arm.LGESYNTHNET: "+ LGESynthNet",
    Arm.READ: "+ LGESynthNet, labels as read",
    Arm.PHANTOM: "+ phantom slices",
}


class Rival(StrEnum):
    """What the product is compared with; see docs/rivals.md."""

    PASTE = "paste"
    COPY_PASTE = "copy-paste"
    SPADE_LIMITED = "spade-limited"
    SPADE_FULL = "spade-full"
    TEMPLATE = "template"


class PromptSource(StrEnum):
    """Where the prescriptions of a run come from; the values are the options of `synthesize`."""

    TEXT = "text"
    PRESCRIPTIONS = "prescriptions"
    PRIOR = "prior"
