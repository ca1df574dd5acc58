"""Model folders: where they are, what licence they carry, and the fingerprint that names their weights."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from lgesynthnet.errors import LicenceNotice, ModelError

if TYPE_CHECKING:
    pass


OWN_LICENCE = "apache-2.0"


def weights_folder() -> Path:
    """The package's own weights; may not exist."""
    return Path(__file__).parent / "weights"


def shipped_or_path(model: str | Path) -> Path:
    """The folder of a shipped model by its name, else the path itself; may not exist."""
    shipped = weights_folder() / model
    return shipped if str(model) and Path(model).name == str(model) and shipped.is_dir() else Path(model)


def licence_of(model: Path) -> str | None:
    """The licence in the head of a model folder's card, in lower case; None without a card or a licence in it."""
    card = model / "README.md"
    if not card.is_file():
        return None
    head = card.read_text()[:2000].split("---")
    lines = head[1].splitlines() if len(head) > 2 and not head[0].strip() else []
    return next((line.partition(":")[2].strip().lower() for line in lines if line.startswith("license:")), None)


def notice_licence(weights: Path, *beside: Path) -> None:
    """Warn the caller's caller, once a card, where a folder of weights is under other terms than the program.

    Args:
        beside: further folders whose card holds for the weights too.
    """
    for card in (weights, *beside):
        if (licence := licence_of(card)) not in (None, OWN_LICENCE):
            notice = f"the weights in {weights} are under {licence}: their terms hold for what they paint"
            warnings.warn(notice, LicenceNotice, stacklevel=3)


def part_folder(model: str | Path, part: str) -> Path:
    """One part of a model: of a shipped one by name, of a model or work folder, or the part's own folder; may not exist."""
    folder = shipped_or_path(model)
    inside = (folder / part, folder / f"reader-{part}" / "model", folder / part / "model")
    return next((found for found in inside if (found / "config.json").is_file()), folder)


def fingerprint(folder: Path, *, role: str) -> str:
    """`role-` and 12 hex digits over every weight and config file of a folder; equal weights in equal roles agree."""
    digest = hashlib.sha256(role.encode())
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".safetensors", ".json")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return f"{role}-{digest.hexdigest()[:12]}"


def segmenter_fingerprint(folder: Path) -> str | None:
    """Fingerprint of a reader's folder in the role that it says it has; None where there is no reader."""
    try:
        role = json.loads((folder / "config.json").read_text())["role"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return fingerprint(folder, role=str(role))


def read_report(path: Path) -> dict[str, object]:
    """A model's receipts; empty where there are none.

    Raises:
        ModelError: damaged.
    """
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as fault:
        raise ModelError(f"{path}: cannot be understood ({fault}), so nobody knows who taught this model; restore the file") from None
    return found if isinstance(found, dict) else {}


AUDITOR = "reader-auditor"


def patients_behind(model: str | Path) -> set[str] | None:
    """Patients that a model's stages learnt from, the auditor's aside, as its receipts name them; None where they do not say.

    Looks in the model folder's `reports.json`, and in the `report.json` beside a stage's `model/`.
    """
    folder = shipped_or_path(model)
    if folder.parent == weights_folder():  # simulated patients alone, some of whom bear the names of real ones
        return set()
    found: set[str] = set()
    told = False
    for path in (folder / "reports.json", folder / "report.json", folder.parent / "report.json"):
        content = read_report(path)
        named: dict[str, object] = content if path.name == "reports.json" else {"": content}
        stages = [stage for name, stage in named.items() if name != AUDITOR]  # it only reports: nothing painted or kept depends on it
        for stage in stages:
            if isinstance(stage, dict) and isinstance(stage.get("names"), list):
                found |= {str(name) for name in stage["names"]}
                told = True
            elif isinstance(stage, dict) and stage.get("patients"):
                return None
    return found if told else None
