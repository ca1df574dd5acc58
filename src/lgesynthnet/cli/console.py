"""Output for people on stderr: errors, notes, and a progress bar with the remaining time. Results go to stdout."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer

INTERRUPTED = 130  # exit code


@dataclass
class Settings:
    """The global options -v and -q."""

    verbose: bool = False
    quiet: bool = False


settings = Settings()


def fail(fault: Exception) -> int:
    """Print an input error as one line, with -v after its traceback; returns exit code 2."""
    if settings.verbose:
        traceback.print_exception(fault, file=sys.stderr)
    print("error: " + " ".join(str(fault).split()), file=sys.stderr)
    return 2


def note(text: str) -> None:
    """Print a note to stderr, unless -q is given."""
    if not settings.quiet:
        print(text, file=sys.stderr)


@contextmanager
def interruptible(what_then: str) -> Iterator[None]:
    """End the command with exit code 130 and one line when Ctrl-C is pressed inside the block.

    Args:
        what_then: how the user goes on, after "interrupted; ".
    """
    try:
        yield
    except KeyboardInterrupt:
        note(f"interrupted; {what_then}")
        raise typer.Exit(INTERRUPTED) from None


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
