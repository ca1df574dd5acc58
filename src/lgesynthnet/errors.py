"""What can go wrong for a user's own reasons, in one line each; the command line turns every one into exit code 2."""

from __future__ import annotations


class LGESynthNetError(Exception):
    """Base of every error that a user can mend; its message names the place and the remedy."""


class InputError(LGESynthNetError):
    """A file or a folder cannot be used as it is."""


class AnatomyError(LGESynthNetError):
    """A slice has no usable left ventricle: no cavity, no wall, or a wall that is not a closed ring."""


class PrescriptionError(LGESynthNetError):
    """A prescription is not valid, cannot be understood, or cannot be painted into this slice."""


class ModelError(LGESynthNetError):
    """A model folder is missing, incomplete, unsafe or does not fit."""


class RunError(LGESynthNetError):
    """A run folder cannot be started or resumed: other plan, read-only, full disk."""


class LicenceNotice(UserWarning):
    """Weights that were loaded are under other terms than the program."""
