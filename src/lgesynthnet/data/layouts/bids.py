"""BIDS: a folder sub-CASE for each patient, whose files name their subject, session and kind; labels there or in derivatives."""

from __future__ import annotations

from pathlib import Path

from lgesynthnet.data.layouts.content import FolderContent, Layout
from lgesynthnet.data.layouts.listing import Tree, printable, stem_of
from lgesynthnet.data.layouts.naming import LATE_WORDS, is_label

SUBJECT, DERIVATIVES = "sub-", "derivatives"
# What a derivative may add to the name of its image.
_ADDED = frozenset(("desc", "label", "space", "seg", "res", "den", "atlas", "from", "hemi"))


def find_bids(tree: Tree) -> FolderContent | None:
    """The patients of a BIDS folder; None where no file is named as in BIDS. The name of the patient is that of its folder, sub-CASE."""
    subjects = [folder for folder in tree.folders(tree.root) if folder.name.startswith(SUBJECT)]
    files = {folder.name: _files_of(tree, folder, folder.name) for folder in subjects}
    if not any(files.values()):
        return None
    content = FolderContent(layout=Layout.BIDS)
    derived = _derivatives(tree)
    for subject, own in sorted(files.items()):
        _pair_subject(content, tree.root / subject, own, derived.get(subject, []))
    return content


def _files_of(tree: Tree, folder: Path, subject: str) -> list[Path]:
    return [path for _, listing in tree.walk(folder) for path in listing.files if path.name.startswith(f"{subject}_")]


def _derivatives(tree: Tree) -> dict[str, list[Path]]:
    """Subject -> the files that the folders in derivatives hold of it."""
    found: dict[str, list[Path]] = {}
    for place in (folder for folder in tree[tree.root].folders if folder.name == DERIVATIVES):
        for pipeline in (place, *tree[place].folders):  # one with a description of its own is read here, too
            for folder in tree[pipeline].folders:
                if folder.name.startswith(SUBJECT):
                    found.setdefault(folder.name, []).extend(_files_of(tree, folder, folder.name))
    return found


def _pair_subject(content: FolderContent, folder: Path, own: list[Path], derived: list[Path]) -> None:
    labels = [path for path in (*own, *derived) if is_label(stem_of(path) or "")]
    images = [path for path in own if path not in labels and _is_late(path)]
    if not images:
        other = [path for path in own if path not in labels]
        if other or labels:
            name = f"{folder.name}_LGE.nii.gz"
            content.skip(
                folder.name, f"{printable(folder)}: no image is named as late enhancement; name it as in {printable(name)}", *other, *labels
            )
        return
    fitting = {image: [label for label in labels if _fits(label, image)] for image in images}
    whole = [image for image in images if fitting[image]]
    chosen = (whole or images)[0]
    if len(images) > 1 and not whole:
        content.pair(folder.name, images, [])
        return
    content.pair(folder.name, [chosen], fitting[chosen])
    for image in (image for image in images if image != chosen):
        reason = f"{printable(folder)}: holds several images and only {printable(chosen.name)} is read; give this one a patient of its own"
        content.skip(f"{folder.name}/{image.name}", reason, image, *fitting[image])


def _is_late(path: Path) -> bool:
    stem = (stem_of(path) or "").lower()
    *entities, suffix = stem.split("_")
    return suffix in LATE_WORDS or any(part.partition("-")[2] in LATE_WORDS for part in entities)


def _fits(label: Path, image: Path) -> bool:
    """Whether a label is of this image: they agree in everything that both of them state, such as the session and the run."""
    of_label, of_image = (_entities(path) for path in (label, image))
    return all(of_image.get(key) == value for key, value in of_label.items() if key not in _ADDED)


def _entities(path: Path) -> dict[str, str]:
    return {key: value for key, _, value in (part.partition("-") for part in (stem_of(path) or "").split("_")) if value}
