"""Options that several commands share: how to read a folder of patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgesynthnet.terms import Flip

READING = "How to read the folder"


Dataset = Annotated[
    str | None, typer.Option(help="What the label ids mean, by data set: emidec, acdc, mnms, sunnybrook.", rich_help_panel=READING)
]
Labels = Annotated[
    str | None, typer.Option(help='What the label ids mean, in full: "1=cavity,2=wall,3=scar,4=no-reflow,5=rv".', rich_help_panel=READING)
]
BaseFirst = Annotated[
    bool | None,
    typer.Option(
        "--base-first/--apex-first", help="Which end of a stack is slice 0; read from the data unless said.", rich_help_panel=READING
    ),
]
FlipOption = Annotated[
    Flip,
    typer.Option("--flip", help="Mirror rows or columns into the radiological view; undone in what is written.", rich_help_panel=READING),
]
Landmarks = Annotated[
    Path | None,
    typer.Option(help="CSV of RV insertion angles: case,slice,anterior_deg,inferior_deg. Else found in the data.", rich_help_panel=READING),
]
Seed = Annotated[int, typer.Option(min=0, help="Decides every draw: the same seed gives the same bytes.")]
