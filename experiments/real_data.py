"""The option `--data` of the experiments: the folder of the real patients."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add_data_option(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add `--data`, the folder that holds `emidec/`; its default is the environment variable LGESYNTHNET_DATA.

    Args:
        required: where neither the option nor the variable is given, stop with the parser's error; otherwise `data` is None.
    """
    named = os.environ.get("LGESYNTHNET_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(named) if named else None,
        required=required and not named,
        help="folder that holds emidec/ (default: the environment variable LGESYNTHNET_DATA)",
    )
