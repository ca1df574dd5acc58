"""Output: results on stdout; errors, notes, and a progress bar with the remaining time on stderr.

Names of files and patients come from outside. What is printed therefore holds no character that a terminal would obey.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lgesynthnet.cli.signals import InterruptionError

LONGEST_MESSAGE = 2000  # characters


@dataclass
class Settings:
    """The global options -v and -q."""

    verbose: bool = False
    quiet: bool = False


settings = Settings()


def open_streams() -> None:
    """Let stdout and stderr write what their encoding lacks as an escape, where Python would raise an error."""
    codecs.register_error("escape", lambda fault: (_escaped(fault.object[fault.start : fault.end]), fault.end))  # type: ignore[attr-defined]
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="escape")  # type: ignore[union-attr]


def close_streams() -> None:
    """Write out what is still held back. A stream that cannot be written any more is silent from here on.

    Raises:
        OSError: stdout cannot be written, e.g. on a full disk. A reader that is gone (`| head`) is no error.
    """
    for stream in (sys.stderr, sys.stdout):
        if stream is None or stream.closed:
            continue
        try:
            stream.flush()
        except OSError as fault:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if stream is sys.stdout and not isinstance(fault, BrokenPipeError):
                raise


def printable(text: str) -> str:
    r"""The text with each character that cannot be seen as an escape such as \u001b; it has the form of JSON, where it may stand."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(letter: str) -> str:
    return letter if letter.isprintable() or unicodedata.category(letter) == "Zs" else _escaped(letter)


def _escaped(text: str) -> str:
    return "".join(json.dumps(letter)[1:-1] if not letter.isascii() or not letter.isprintable() else letter for letter in text)


def result(text: str) -> None:
    """Print a result to stdout, of one line or more."""
    print("\n".join(map(printable, text.split("\n"))), flush=True)


def fail(message: str, fault: BaseException) -> None:
    """Print an error as one line, with -v after its traceback."""
    if settings.verbose:
        traceback.print_exception(fault, file=sys.stderr)
    line = " ".join(message.split())
    if len(line) > LONGEST_MESSAGE:  # a name of thousands of characters; the remedy stands at the end
        line = f"{line[: LONGEST_MESSAGE // 2]} ... {line[-LONGEST_MESSAGE // 2 :]}"
    to_stderr(f"error: {line}")


def note(text: str) -> None:
    """Print a note to stderr, unless -q is given."""
    if not settings.quiet:
        to_stderr(text)


def to_stderr(line: str) -> None:
    """Print one line to stderr."""
    if sys.stderr is not None:  # None where the caller closed it; `print` would then write to stdout
        print(printable(line), file=sys.stderr)


@contextmanager
def interruptible(what_then: str) -> Iterator[None]:
    """End the command with one line when a signal comes inside the block.

    Args:
        what_then: how the user goes on, after "interrupted; ".
    """
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptionError(what_then) from None


@contextmanager
def bar(title: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show a progress bar on stderr; yields `advance(done, total_or_note)`.

    The second argument of `advance` is either the total (a number) or a note that is shown after the bar (a text). Nothing is shown with -q
    or if stderr is not a terminal.
    """
    if settings.quiet or not sys.stderr.isatty():
        yield lambda done, extra=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[extra]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total, extra="")

        def advance(done: int, extra: int | str | None = None) -> None:
            if isinstance(extra, int):
                progress.update(task, completed=done, total=extra)
            else:
                progress.update(task, completed=done, extra=extra or "")

        yield advance
