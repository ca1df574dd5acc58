"""The methods that are compared, and the stages that each needs."""

from __future__ import annotations

from enum import StrEnum


class Method(StrEnum):
    """What is compared; `-raw` hands out the whole working grid as the network renders it, as published."""

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


STAGES = ("reader-reward", "reader-filter", "reader-auditor", "spade-limited", "spade-full", "control", "template", "reward")


NEEDED = {
    "spade-limited": ("spade-limited",),
    "spade-full": ("spade-full",),
    "controlnet": ("control",),
    "controlnet-template": ("template",),
    "lgesynthnet": ("reader-reward", "reader-filter", "control", "reward"),
}
