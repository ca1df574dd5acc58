"""Kill a command at any of the moments at which it changes a folder: a reusable driver for kill tests.

    points = crash_points(command, out)             # every change that a whole run makes, in order; `out` is then as the command leaves it
    for number in range(len(points)):
        start_again(out)
        assert killed_at(command, out, number)      # a process of its own ran `command` up to that change, and died there
        command()                                   # the same command goes on
        assert contents(out) == wanted

The command runs in a child that is forked from this process, so everything that is imported here is warm there. Changes are seen by an
audit hook: names that are made, renamed or removed, and files that are opened for writing. A file that is opened for writing counts
twice: the process dies before it, and after the first bytes of it, which leaves a torn file. What libraries write without Python's
`open` (safetensors' `save_file`) is not seen.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KILLED = 137  # exit status of a process that was killed, as the shell reports it
TORN = b'{"to'  # what a crash may leave of a line
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Event of `sys.audit`: positions of its paths, each with the position of its dir_fd.
_CHANGES = {
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
}


@dataclass(frozen=True)
class CrashPoint:
    """One change of the folder.

    Attributes:
        event: what is about to happen; "torn" is the moment after the first bytes of a file were written.
        place: relative to the folder.
    """

    event: str
    place: str


def crash_points(command: Callable[[], object], folder: Path) -> list[CrashPoint]:
    """Run a command to its end, in a child, and list the changes that it makes at or below `folder`."""
    listed = _child(command, folder, None)
    return [CrashPoint(*line.split("\t", 1)) for line in listed.splitlines()]


def killed_at(command: Callable[[], object], folder: Path, number: int) -> CrashPoint | None:
    """Run a command in a child that dies at change `number`, counted from 0; None where the command ended before it.

    Raises:
        AssertionError: the command failed by itself; its traceback is on stderr.
    """
    listed = _child(command, folder, number).splitlines()
    return CrashPoint(*listed[number].split("\t", 1)) if len(listed) > number else None


def _child(command: Callable[[], object], folder: Path, number: int | None) -> str:
    """Fork, run, and return what was seen, one line for each change."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            sys.addaudithook(_Hook(folder, number, writing))
            command()
            status = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)  # no cleaning up: pytest's belongs to the parent
    os.close(writing)
    with os.fdopen(reading) as pipe:
        listed = pipe.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, KILLED, -signal.SIGKILL), f"the command failed by itself with status {code}"
    return listed


class _Hook:
    """Counts the changes of one folder by this process, reports each, and ends the process at one of them."""

    def __init__(self, folder: Path, number: int | None, report: int) -> None:
        # A folder beside it that is written first and then renamed counts too, so everything is compared by absolute paths.
        self.root = os.path.abspath(folder)
        self.number, self.report, self.count = number, report, 0
        self.process, self.busy = os.getpid(), False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.busy or os.getpid() != self.process:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int) or path is None or not isinstance(flags, int) or not flags & _WRITING:
                return
            places, torn = [self._place(path, None)], True
        elif event in _CHANGES:
            places, torn = [self._place(arguments[at], self._descriptor(arguments, fd)) for at, fd in _CHANGES[event]], False
        else:
            return
        inside = [place for place in places if place is not None]
        if not inside:
            return
        self._change(event, inside[-1])
        if torn:
            self._change("torn", inside[-1], before_death=lambda: self._tear(os.fsdecode(path), flags))

    def _change(self, event: str, place: str, before_death: Callable[[], None] | None = None) -> None:
        os.write(self.report, f"{event}\t{place}\n".encode(errors="surrogateescape"))
        if self.count == self.number:
            if before_death is not None:
                before_death()
            os._exit(KILLED)
        self.count += 1

    def _tear(self, path: str, flags: int) -> None:
        """Leave what a crash in the middle of a write leaves: the first bytes."""
        self.busy = True
        descriptor = os.open(path, flags, 0o666)
        if flags & (os.O_TRUNC | os.O_APPEND | os.O_EXCL):
            os.write(descriptor, TORN)
        os.close(descriptor)

    @staticmethod
    def _descriptor(arguments: tuple[Any, ...], at: int | None) -> int | None:
        return None if at is None or len(arguments) <= at or arguments[at] == -1 else arguments[at]

    def _place(self, path: Any, descriptor: int | None) -> str | None:
        """The path relative to the folder; None where it lies elsewhere."""
        if isinstance(path, int):
            return None
        path = os.fsdecode(path)
        if descriptor is not None and not os.path.isabs(path):
            path = os.path.join(os.readlink(f"/proc/self/fd/{descriptor}"), path)
        absolute = os.path.abspath(path)
        return os.path.relpath(absolute, self.root) if absolute == self.root or absolute.startswith(self.root + os.sep) else None
