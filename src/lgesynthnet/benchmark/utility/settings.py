"""Settings of an experiment, kept beside its runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from lgesynthnet.errors import RunError
from lgesynthnet.files import write_json
from lgesynthnet.run.plan import short

SETTINGS = "experiment.json"


def keep_settings(settings: Mapping[str, object], out: Path) -> None:
    """Write `OUT/experiment.json`, or see that it says the same.

    Raises:
        RunError: the folder was begun with other settings.
    """
    record = json.loads(json.dumps(dict(settings)))
    path = out / SETTINGS
    if path.is_file():
        before = json.loads(path.read_text())
        for name, value in record.items():
            if before.get(name) != value:
                raise RunError(f"{out}: was begun with {name} {short(before.get(name))}, now {short(value)}; choose another --out")
        return
    write_json(path, record)
