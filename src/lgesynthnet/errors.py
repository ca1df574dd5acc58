"""Errors that a user can correct. Each message is one line; the command line prints it and exits with code 2."""

from __future__ import annotations


class LGESynthNetError(Exception):
    """Base of every error that a user can correct. The message names the file or option, the cause and the remedy."""


class InputError(LGESynthNetError):
    """A file or folder of the user cannot be used as it is."""


class AnatomyError(LGESynthNetError):
    """A slice has no usable left ventricle: no cavity, no wall, or a wall that is not a closed ring."""


class PrescriptionError(LGESynthNetError):
    """A prescription is invalid, cannot be understood, or cannot be drawn into this slice."""


class ModelError(LGESynthNetError):
    """A model folder is missing, incomplete or unsafe, or does not fit the task."""


class RunError(LGESynthNetError):
    """Output cannot be written or a run cannot be resumed: another plan, a read-only folder, a full disk."""


class Notice(UserWarning):
    """Something that the user should know and that is no error. The command line prints the message alone."""


class LicenceNotice(Notice):
    """The loaded weights are under another licence than the program."""


class SetAsideNotice(Notice):
    """A file that somebody had changed was renamed before the program wrote it again."""
