"""Signals: Ctrl-C, a job manager's SIGTERM and a closed terminal all end a command in the same way, with one line and no traceback."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130  # exit code after Ctrl-C; after another signal it is 128 + its number
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
_received: list[int] = []
_process = os.getpid()


class InterruptionError(Exception):
    """A signal ended the command, and the message says where it stands and how it goes on."""


def leave_at_once() -> None:
    """End the process as soon as a signal comes. For the first second, in which modules are imported and nothing is written yet.

    An exception would not do: raised in the middle of an import it may be caught there, or come out as another one.
    """
    _handle(_leave)


def interrupt() -> None:
    """Raise KeyboardInterrupt when a signal comes, so that a command can bring its tables up to date before it ends."""
    _handle(_raise)


def received() -> bool:
    """Whether a signal came; whatever error comes up after it is a consequence of it."""
    return bool(_received)


def exit_code(code: int) -> int:
    """The exit code of the process, from that of the command. Signals have their default effect from here on."""
    exec("")  # Python forgets a KeyboardInterrupt that passed through another `exec`; else it ends by SIGINT in place of this code
    for number in _handled():
        signal.signal(number, signal.SIG_DFL)
    return 128 + _received[0] if _received and code == INTERRUPTED else code


def _handled() -> list[signal.Signals]:
    """The signals that may end the command; one that the caller ignores stays ignored, as with nohup."""
    numbers = [signal.Signals[name] for name in _NAMES if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def _handle(handler: object) -> None:
    for number in _handled():
        signal.signal(number, handler)  # type: ignore[arg-type]


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted before anything was written\n")
    os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _process:  # a forked worker: its parent says what happened
        os._exit(128 + number)
    _received.append(number)
    raise KeyboardInterrupt
