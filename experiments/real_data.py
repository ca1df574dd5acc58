"""The real patients of the experiments: the option `--data` and the patients of a part."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lgesynthnet.data.splits import read_splits


def add_data_option(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the option `--data`, the folder that holds emidec/. The default is the environment variable LGESYNTHNET_DATA.

    Args:
        required: if neither the option nor the variable is set, exit with an error; False sets `data` to None instead.
    """
    named = os.environ.get("LGESYNTHNET_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(named) if named else None,
        required=required and not named,
        help="folder that holds emidec/ (default: the environment variable LGESYNTHNET_DATA)",
    )


def patients_of(data: Path, part: str) -> set[str]:
    """Names of the patients in a part of DATA/emidec/splits.json."""
    return set(read_splits(data / "emidec" / "splits.json")[part])
