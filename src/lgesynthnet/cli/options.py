"""Options that several commands share and that belong to no request."""

from __future__ import annotations

from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(min=0, help="Random seed. The same seed gives bit-identical output on one kind of processor.")]
