"""The words of the command line: every choice that a user can name. Free of NumPy and torch, so that help answers at once."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a reader may be used for: the reward teaches a generator, the filter keeps or rejects samples, the auditor only reports."""

    REWARD = "reward"
    FILTER = "filter"
    AUDITOR = "auditor"


class Window(StrEnum):
    """At which noise levels the reward is asked: where structure stands (the paper's t <= 200), where it forms, or everywhere."""

    LOW_NOISE = "low-noise"
    HIGH_NOISE = "high-noise"
    ALL = "all"


class RewardKind(StrEnum):
    """Which reward; see `lgesynthnet.reward`."""

    SEGMENTATION = "segmentation"
    TRANSMURALITY = "transmurality"
    CONTRAST = "contrast"


class Context(StrEnum):
    """What a SPADE generator is shown of the host: its labels alone, or its image outside the hidden region too."""

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
    """What can be trained, in order; base reads autoencoder and text from the work folder, control reads base."""

    AUTOENCODER = "autoencoder"
    TEXT = "text"
    BASE = "base"
    CONTROL = "control"
    REWARD = "reward"
    READER = "reader"


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
