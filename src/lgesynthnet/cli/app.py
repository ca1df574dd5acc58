"""`lgesynthnet`: the command line. Exit codes: 0 done, 1 a bug, 2 an error in the input, 3 too few samples, 130 interrupted."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, TextIO

import typer

from lgesynthnet import __version__
from lgesynthnet.cli import benchmark, console, evaluate, export, inspect, prescribe, synthesize, train
from lgesynthnet.errors import LGESynthNetError, LicenceNotice

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
    "3 the budget was spent before the count was reached, 130 interrupted.",
    rich_markup_mode="rich",
)
app.command("demo")(synthesize.demo)
app.command("synthesize")(synthesize.synthesize)
app.command("prescribe")(prescribe.prescribe)
app.command("verify")(inspect.verify)
app.command("split")(inspect.split)
app.command("phantom")(inspect.phantom)
app.command("info")(inspect.info)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(export.app, name="export")
app.add_typer(train.app, name="train")
app.add_typer(benchmark.app, name="benchmark")


def _version(wanted: bool | None) -> None:
    if wanted:
        typer.echo(f"lgesynthnet {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more, and the traceback of an error.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors, no progress.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    """Options of every command. They stand before the name of the command."""
    console.settings.verbose, console.settings.quiet = verbose, quiet


def main() -> int:
    """Run the command line; returns the exit code."""
    shown = warnings.showwarning

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
    ) -> None:
        # On the command line the notice itself matters, not the line of code that it came from.
        if category is LicenceNotice:
            console.note(str(message))
        else:
            shown(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        app()
    except LGESynthNetError as fault:
        return console.fail(fault)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BrokenPipeError:  # `lgesynthnet prescribe ... | head`
        sys.stderr.close()
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
