"""Model folders: where they are, their licence, and the fingerprint of their weights."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path

from lgesynthnet.errors import LicenceNotice, ModelError

OWN_LICENCE = "apache-2.0"


def weights_folder() -> Path:
    """Folder of the weights that come with the package; it may not exist."""
    return Path(__file__).parent / "weights"


def shipped_or_path(model: str | Path) -> Path:
    """The folder of a shipped model, given its name; else the path itself. It may not exist."""
    shipped = weights_folder() / model
    return shipped if str(model) and Path(model).name == str(model) and shipped.is_dir() else Path(model)


def licence_of(model: Path) -> str | None:
    """The licence that the model folder's card (README.md) names in its header, in lower case; None where there is none."""
    card = model / "README.md"
    if not card.is_file():
        return None
    head = card.read_text()[:2000].split("---")
    lines = head[1].splitlines() if len(head) > 2 and not head[0].strip() else []
    return next((line.partition(":")[2].strip().lower() for line in lines if line.startswith("license:")), None)


def notice_licence(weights: Path, *beside: Path) -> None:
    """Warn (once for each card) where weights are under other terms than this program.

    Args:
        weights: the folder of the weights.
        beside: further folders whose card applies to the weights too.
    """
    for card in (weights, *beside):
        if (licence := licence_of(card)) not in (None, OWN_LICENCE):
            notice = f"the weights in {weights} are under {licence}: its terms apply to the images that they generate, too"
            warnings.warn(notice, LicenceNotice, stacklevel=3)


def part_folder(model: str | Path, part: str) -> Path:
    """Folder of one part (such as `filter`) of a shipped model, a model folder or a work folder; or the given folder itself.

    It may not exist.
    """
    folder = shipped_or_path(model)
    inside = (folder / part, folder / f"scar-segmenter-{part}" / "model", folder / part / "model")
    return next((place for place in inside if (place / "config.json").is_file()), folder)


def fingerprint(folder: Path, *, role: str) -> str:
    """`ROLE-` and 12 hexadecimal digits, a hash of every weight and config file of the folder."""
    digest = hashlib.sha256(role.encode())
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".safetensors", ".json")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return f"{role}-{digest.hexdigest()[:12]}"


def segmenter_fingerprint(folder: Path) -> str | None:
    """Fingerprint of a segmenter's folder, in the role that its config names; None where there is no segmenter."""
    try:
        role = json.loads((folder / "config.json").read_text())["role"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return fingerprint(folder, role=str(role))


def read_report(path: Path) -> dict[str, object]:
    """The training reports in a JSON file; empty where it does not exist.

    Raises:
        ModelError: the file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        reports = json.loads(path.read_text())
    except (OSError, ValueError) as fault:
        why = f"cannot be read ({fault}), so the patients that this model was trained on are unknown; restore the file"
        raise ModelError(f"{path}: {why}") from None
    return reports if isinstance(reports, dict) else {}


AUDITOR = "scar-segmenter-auditor"


def patients_behind(model: str | Path) -> set[str] | None:
    """Names of the patients that a model was trained on, by its reports; None where the reports do not name them.

    Reads `reports.json` of the model folder, and `report.json` beside a stage's `model/`. The auditor's patients are left out.
    """
    folder = shipped_or_path(model)
    if folder.parent == weights_folder():  # simulated patients only; some have the names of real ones
        return set()
    patients: set[str] = set()
    any_named = False
    for path in (folder / "reports.json", folder / "report.json", folder.parent / "report.json"):
        content = read_report(path)
        by_stage: dict[str, object] = content if path.name == "reports.json" else {"": content}
        stages = [stage for name, stage in by_stage.items() if name != AUDITOR]  # nothing that is painted or kept depends on the auditor
        for stage in stages:
            if isinstance(stage, dict) and isinstance(stage.get("names"), list):
                patients |= {str(name) for name in stage["names"]}
                any_named = True
            elif isinstance(stage, dict) and stage.get("patients"):
                return None
    return patients if any_named else None
