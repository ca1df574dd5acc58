"""Options that several commands share and that belong to no request."""

from __future__ import annotations

from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(min=0, help="Random seed. The same seed gives bit-identical output on one kind of processor.")]
Dataset = Annotated[str | None, typer.Option(help="Data set whose label ids are used: emidec, acdc, mnms or sunnybrook.")]
Labels = Annotated[str | None, typer.Option(help='Meaning of the label ids: "1=cavity,2=wall,3=scar,4=no-reflow,5=rv".')]
