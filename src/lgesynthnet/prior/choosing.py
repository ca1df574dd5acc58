"""From the prior that a user names to one that can be drawn from."""

from __future__ import annotations

from pathlib import Path

from lgesynthnet.model.settings import scar_levels
from lgesynthnet.prescription.fitted_prior import FittedPrior
from lgesynthnet.terms import Prior


def open_prior(choice: Prior | Path, model: str | None = None) -> Prior | FittedPrior:
    """A built-in prior as it is, or what the file holds, on the scale of brightness of a model.

    Args:
        choice: see `terms.prior_choice`.
        model: name or folder of the model that paints. The file's own scale is kept for None, and for a method that has no scale.
    Raises:
        InputError: see `FittedPrior.read`.
        ModelError: the model's scale is damaged.
    """
    if isinstance(choice, Prior):
        return choice
    prior = FittedPrior.read(choice)
    levels = None if model is None else scar_levels(model)
    return prior if levels is None else prior.on_scale(levels)
