"""`lgesynthnet`: the command line. Exit codes: 0 done, 1 a bug, 2 an error in the input, 3 too few samples, 130 and above interrupted."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, TextIO

import typer

from lgesynthnet import __version__
from lgesynthnet.cli import benchmark, console, evaluate, export, failures, improve, inspect, prescribe, segment, signals, synthesize, train
from lgesynthnet.cli.arguments import strict
from lgesynthnet.errors import Notice

app = typer.Typer(
    name="lgesynthnet",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Paint prescribed myocardial scars into real short-axis LGE MRI slices and keep what an independent filter confirms.\n\n"
    "See it work:  [bold]lgesynthnet demo --out runs/demo[/bold]\n\n"
    "Your own data:  [bold]verify[/bold] the folder, [bold]split[/bold] the patients, [bold]prescribe[/bold] to try a sentence, "
    "then [bold]synthesize[/bold].",
    epilog="Exit codes: 0 done, 1 a bug in the program, 2 an error in the input (one line says what and where), "
    "3 the budget was spent before the count was reached, 130 interrupted (143 by SIGTERM, 129 by a closed terminal).",
    rich_markup_mode="rich",
)
app.command("demo")(synthesize.demo)
app.command("synthesize")(synthesize.synthesize)
app.command("prescribe")(prescribe.prescribe)
app.command("verify")(inspect.verify)
app.command("segment")(segment.segment)
app.command("improve")(improve.improve)
app.command("split")(inspect.split)
app.command("phantom")(inspect.phantom)
app.command("info")(inspect.info)
app.add_typer(prescribe.prior_app, name="prior")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(export.app, name="export")
app.add_typer(train.app, name="train")
app.add_typer(benchmark.app, name="benchmark")


def _version(wanted: bool | None) -> None:
    if wanted:
        console.result(f"lgesynthnet {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more, and the traceback of an error.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors, no progress.")] = False,
    version: Annotated[bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")] = None,
) -> None:
    """Options of every command. They stand before the name of the command."""
    console.settings.verbose, console.settings.quiet = verbose, quiet


def main() -> int:
    """Run the command line; returns the exit code. Whatever goes wrong ends in one line on stderr."""
    shown = warnings.showwarning

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
    ) -> None:
        # On the command line the notice itself matters, not the line of code that it came from.
        if issubclass(category, Notice):
            console.note(str(message))
        else:
            shown(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        return _ended(_run)
    finally:
        warnings.showwarning = shown
        with suppress(OSError):
            console.close_streams()


def _run() -> int:
    code = strict(typer.main.get_command(app))(standalone_mode=False)  # typer would print errors over several lines
    console.close_streams()
    if code == signals.INTERRUPTED:  # what some versions of typer make of a KeyboardInterrupt
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _ended(run: Callable[[], int | None]) -> int:
    """The exit code of `run`, after the one line of the error that ended it."""
    try:
        return run() or 0
    except SystemExit as end:  # of the completion of a shell, or of typer after a broken pipe
        broken = isinstance(end.__context__, BrokenPipeError)
        return 0 if broken else end.code if isinstance(end.code, int) else int(end.code is not None)
    except BrokenPipeError:  # `lgesynthnet prescribe ... | head`
        return 0
    except (KeyboardInterrupt, typer.Abort) as end:
        if not isinstance(end.__cause__, EOFError):
            return _interrupted()
        code, message = failures.explain(end.__cause__)
        fault: BaseException = end.__cause__
    except signals.InterruptionError as end:
        return _interrupted(f"; {end}")
    except Exception as error:
        if signals.received():
            return _interrupted()
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]  # the help page
            return failures.INPUT
        code, message = failures.explain(error)
        fault = error
    console.fail(message, fault)
    return code


def _interrupted(more: str = "") -> int:
    console.note(f"interrupted{more}")
    return signals.INTERRUPTED
