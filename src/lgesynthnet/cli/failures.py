"""What went wrong, in one line with a remedy, and the exit code that goes with it."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

import typer

from lgesynthnet.errors import LGESynthNetError

INPUT, BUG = 2, 1
# typer brings its own copy of click in some versions; either way this is the base of all errors in the words of a command.
USAGE_ERROR: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

_REMEDIES = {
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a part of this path is a file and not a folder; correct it",
    errno.EISDIR: "give a file",
    errno.ELOOP: "its links lead in a circle; give the real path",
    errno.EACCES: "check the permissions",
    errno.EPERM: "check the permissions",
    errno.EROFS: "choose a folder that can be written",
    errno.ENOSPC: "free space, and give the same command again",
    errno.EDQUOT: "free space, and give the same command again",
    errno.EMFILE: "allow more open files (ulimit -n)",
}
_HERE = Path(__file__).parents[1]


def explain(fault: Exception) -> tuple[int, str]:
    """The exit code and the message of an error."""
    match fault:
        case LGESynthNetError():
            return INPUT, str(fault)
        case _ if isinstance(fault, USAGE_ERROR):
            return INPUT, _usage(fault)
        case OSError():
            where = f"{fault.filename}: " if fault.filename is not None else "reading or writing: "
            remedy = _REMEDIES.get(fault.errno or 0, "check the path and the disk")
            return INPUT, f"{where}{fault.strerror or fault}; {remedy}"
        case UnicodeError():
            text = fault.object if isinstance(fault, UnicodeEncodeError) else str(fault)
            return INPUT, f"a name is not UTF-8 text: {text[:80]!r}; rename the file or the folder"
        case ValueError() if "embedded null" in str(fault):
            return INPUT, "a path holds a null character; correct it"
        case RecursionError():
            return INPUT, "something in the input is nested too deeply; correct or replace it"
        case MemoryError():
            return INPUT, f"the memory of this machine is not enough ({fault or 'no more is free'}); ask for less at a time"
        case _:
            return BUG, (
                f"a bug in the program: {type(fault).__name__}: {fault}{_place(fault)}; "
                "report it with what the same command prints after `lgesynthnet -v`"
            )


def _usage(fault: Exception) -> str:
    message = getattr(fault, "format_message", fault.__str__)().rstrip(". \n")
    context = getattr(fault, "ctx", None)
    return f"{message}; see `{context.command_path} --help`" if context is not None else message


def _place(fault: Exception) -> str:
    """The last line of this program that the error passed."""
    frames = [frame for frame in traceback.extract_tb(fault.__traceback__) if _HERE in Path(frame.filename).parents]
    return f" ({Path(frames[-1].filename).relative_to(_HERE)}, line {frames[-1].lineno})" if frames else ""
