"""The methods that are compared, and the stages that each needs."""

from __future__ import annotations

STAGES = ("reader-reward", "reader-filter", "reader-auditor", "spade-limited", "spade-full", "control", "template", "reward")


NEEDED = {
    "spade-limited": ("spade-limited",),
    "spade-full": ("spade-full",),
    "controlnet": ("control",),
    "controlnet-template": ("template",),
    "lgesynthnet": ("reader-reward", "reader-filter", "control", "reward"),
}
