"""Which method makes the synthetic slices of each arm."""

from __future__ import annotations

from lgesynthnet.terms import Arm, Method

METHOD_OF_ARM = {
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
"""Arms that use only samples which the filter kept."""
