"""What a segmenter is trained on."""

from __future__ import annotations

from enum import StrEnum

from lgesynthnet.benchmark.methods import Method


class Arm(StrEnum):
    """What a segmenter is trained on. All but the first three add synthetic slices to the real ones."""

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
    def words(self) -> str:
        return WORDS[self]

    @property
    def alone(self) -> bool:
        """Real slices only: it has one size."""
        return self in (Arm.REAL, Arm.STRONG)


WORDS = {
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


METHOD_OF = {
    Arm.COPY_PASTE: Method.COPY_PASTE,
    Arm.PASTE: Method.PASTE,
    Arm.SPADE_LIMITED: Method.SPADE_LIMITED,
    Arm.SPADE_FULL: Method.SPADE_FULL,
    Arm.CONTROLNET: Method.CONTROLNET,
    Arm.UNFILTERED: Method.LGESYNTHNET,
    Arm.LGESYNTHNET: Method.LGESYNTHNET,
    Arm.READ: Method.LGESYNTHNET,
}


FILTERED = (Arm.LGESYNTHNET, Arm.READ)
