"""What the numbers in label files mean. A label map is chosen by name or given by the user, never guessed from the numbers."""

from __future__ import annotations

from collections.abc import Mapping

from lgesynthnet.errors import InputError
from lgesynthnet.records import Label

LABEL_MAPS: dict[str, dict[int, Label]] = {
    # Lalande et al. (2020)
    "emidec": {0: Label.BACKGROUND, 1: Label.CAVITY, 2: Label.WALL, 3: Label.SCAR, 4: Label.NO_REFLOW},
    # Bernard et al. (2018): 1 is the *right* ventricle
    "acdc": {0: Label.BACKGROUND, 1: Label.RV, 2: Label.WALL, 3: Label.CAVITY},
    # Campello et al. (2021)
    "mnms": {0: Label.BACKGROUND, 1: Label.CAVITY, 2: Label.WALL, 3: Label.RV},
    # Radau et al. (2009), as cavity and wall masks
    "sunnybrook": {0: Label.BACKGROUND, 1: Label.CAVITY, 2: Label.WALL},
    # files written by this program: run folders and phantoms
    "lgesynthnet": {int(label): label for label in Label},
}

# Words that label files and data cards use, in lower case and with "_" and "-" replaced by spaces.
_WORDS: dict[Label, tuple[str, ...]] = {
    Label.BACKGROUND: ("background", "bg"),
    Label.CAVITY: ("cavity", "lv", "lvc", "lvbp", "lv cavity", "lv blood pool", "blood pool", "left ventricle", "left ventricular cavity"),
    Label.WALL: ("wall", "myo", "myocardium", "mlv", "lvm", "lv myocardium", "normal myocardium", "healthy myocardium", "lv wall"),
    Label.SCAR: ("scar", "infarct", "infarction", "myocardial infarction", "mi", "lge", "fibrosis"),
    Label.NO_REFLOW: ("no reflow", "noreflow", "mvo", "microvascular obstruction", "permanent microvascular obstruction"),
    Label.RV: ("rv", "right ventricle", "rv cavity", "rv blood pool", "right ventricular cavity"),
}
LABEL_WORDS: dict[str, Label] = {word: label for label, words in _WORDS.items() for word in words}
LONGEST_ID = 9  # digits
EXAMPLE = "--labels 1=cavity,2=wall,3=scar,4=no-reflow,5=rv"


def label_of(word: str) -> Label | None:
    """The label that a word names, in any case; None where the word is not known."""
    return LABEL_WORDS.get(" ".join(word.lower().replace("_", " ").replace("-", " ").split()))


def parse_label_map(text: str) -> dict[int, Label]:
    """Read "1=cavity,2=wall,3=scar,4=no-reflow,5=rv"; id 0 is background unless named.

    Raises:
        InputError: an item is not ID=WORD, a word is not known, an id is given twice, or no cavity or no wall is named.
    """
    labels: dict[int, Label] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        number, _, word = item.partition("=")
        label = label_of(word)
        if not _is_id(number.strip()) or label is None:
            known = ", ".join(words[0] for words in _WORDS.values())
            raise InputError(f"--labels {text}: '{item}' is not ID=WORD with a word of {known}; write e.g. {EXAMPLE}")
        if int(number) in labels:
            raise InputError(f"--labels {text}: id {int(number)} is given twice; keep one")
        labels[int(number)] = label
    return checked_label_map(labels, place=f"--labels {text}")


def checked_label_map(labels: Mapping[int, Label], *, place: str) -> dict[int, Label]:
    """The label map with background added as id 0, sorted by id.

    Args:
        place: the file or option that the map comes from; it begins the error message.
    Raises:
        InputError: the map names no cavity or no wall, so nothing could be done with it.
    """
    label_map = {0: Label.BACKGROUND, **labels}
    lacking = {Label.CAVITY, Label.WALL} - set(label_map.values())
    if lacking:
        raise InputError(f"{place}: names no {' and no '.join(sorted(label.name.lower() for label in lacking))}; write e.g. {EXAMPLE}")
    return dict(sorted(label_map.items()))


def label_map_of(dataset: str) -> dict[int, Label]:
    """The label map of a known data set, by its name in any case.

    Raises:
        InputError: the name is not known.
    """
    try:
        return dict(LABEL_MAPS[dataset.lower()])
    except KeyError:
        raise InputError(f"--dataset {dataset}: is not known; give one of {', '.join(LABEL_MAPS)}, or e.g. {EXAMPLE}") from None


def label_map_from_names(names: Mapping[str, object]) -> dict[int, Label] | None:
    """The label map of the `labels` entry of nnU-Net, as {name: id} or {id: name}; None where a name is not known."""
    labels: dict[int, Label] = {}
    for key, value in names.items():
        word, number = (str(value), key) if key.isdecimal() else (key, value)
        label = label_of(word)
        if label is None or not _is_id(str(number)):  # a region is a list of ids
            return None
        labels[int(str(number))] = label
    label_map = set(labels.values())
    return {0: Label.BACKGROUND, **labels} if {Label.CAVITY, Label.WALL} <= label_map else None


def _is_id(text: str) -> bool:
    return text.isdecimal() and len(text) <= LONGEST_ID
