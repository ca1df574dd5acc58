"""What people see: one error line, a progress bar with the time left; machines see neither."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Settings:
    """The global switches -v and -q."""

    verbose: bool = False
    quiet: bool = False


settings = Settings()


def fail(fault: Exception) -> int:
    """Print a user's error as one line, with -v the traceback before it; returns exit code 2."""
    if settings.verbose:
        traceback.print_exception(fault, file=sys.stderr)
    print("error: " + " ".join(str(fault).split()), file=sys.stderr)
    return 2


def note(text: str) -> None:
    """A line for people, beside the output: stderr, silent with -q."""
    if not settings.quiet:
        print(text, file=sys.stderr)


@contextmanager
def bar(words: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """A progress bar on stderr; yields `advance(done, total_or_note)`. Nothing is drawn with -q or where stderr is no terminal.

    The second argument is the total where it is the end of the count, or else a word that stands behind the bar.
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
        task = progress.add_task(words, total=total, extra="")

        def advance(done: int, extra: int | str | None = None) -> None:
            if isinstance(extra, int):
                progress.update(task, completed=done, total=extra)
            else:
                progress.update(task, completed=done, extra=extra or "")

        yield advance
