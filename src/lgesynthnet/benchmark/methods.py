"""Which training stages each compared method needs."""

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
"""Every stage, in the order of training."""

STAGES_OF_METHOD = {
    "spade-limited": ("spade-limited",),
    "spade-full": ("spade-full",),
    "controlnet": ("control",),
    "controlnet-template": ("template",),
    "lgesynthnet": ("scar-segmenter-reward", "scar-segmenter-filter", "control", "reward"),
}
"""By `Method.trained_as`. Methods that are not listed need no training."""
