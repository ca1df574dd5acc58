"""The methods that are compared, and the stages that each needs."""

from __future__ import annotations

STAGES = (
    "scar-segmenter-reward",
    "scar-segmenter-filter",
    "scar-segmenter-auditor",
    "spade-limited",
    "spade-full",
    "control",
    "template",
    "reward",
)


NEEDED = {
    "spade-limited": ("spade-limited",),
    "spade-full": ("spade-full",),
    "controlnet": ("control",),
    "controlnet-template": ("template",),
    "lgesynthnet": ("scar-segmenter-reward", "scar-segmenter-filter", "control", "reward"),
}
