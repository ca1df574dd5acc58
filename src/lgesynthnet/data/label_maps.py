"""Which number means what in whose label files. Chosen by name or given by the user, never guessed from the numbers."""

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
    # our own files: run folders and phantoms
    "lgesynthnet": {int(label): label for label in Label},
}

# Words that label files and data cards use, after lower case and with "_" and "-" as spaces.
_WORDS: dict[Label, tuple[str, ...]] = {
    Label.BACKGROUND: ("background", "bg"),
    Label.CAVITY: ("cavity", "lv", "lvc", "lvbp", "lv cavity", "lv blood pool", "blood pool", "left ventricle", "left ventricular cavity"),
    Label.WALL: ("wall", "myo", "myocardium", "mlv", "lvm", "lv myocardium", "normal myocardium", "healthy myocardium", "lv wall"),
    Label.SCAR: ("scar", "infarct", "infarction", "myocardial infarction", "mi", "lge", "fibrosis"),
    Label.NO_REFLOW: ("no reflow", "noreflow", "mvo", "microvascular obstruction", "permanent microvascular obstruction"),
    Label.RV: ("rv", "right ventricle", "rv cavity", "rv blood pool", "right ventricular cavity"),
}
LABEL_WORDS: dict[str, Label] = {word: label for label, words in _WORDS.items() for word in words}
EXAMPLE = "--labels 1=cavity,2=wall,3=scar,4=no-reflow,5=rv"


def label_of(word: str) -> Label | None:
    """The label that a word of the field names; None where the word is not known."""
    return LABEL_WORDS.get(" ".join(word.lower().replace("_", " ").replace("-", " ").split()))


def parse_label_map(text: str) -> dict[int, Label]:
    """Read "1=cavity,2=wall,3=scar,4=no-reflow,5=rv"; id 0 is background unless named.

    Raises:
        InputError: an item is not number=word, a word is not known, an id stands twice, or no wall or cavity is named.
    """
    labels: dict[int, Label] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        number, _, word = item.partition("=")
        label = label_of(word)
        if not number.strip().isdecimal() or label is None:
            known = ", ".join(words[0] for words in _WORDS.values())
            raise InputError(f"--labels {text}: '{item}' is not ID=WORD with a word of {known}; write e.g. {EXAMPLE}")
        if int(number) in labels:
            raise InputError(f"--labels {text}: id {int(number)} stands twice")
        labels[int(number)] = label
    return checked_label_map(labels, place=f"--labels {text}")


def checked_label_map(labels: Mapping[int, Label], *, place: str) -> dict[int, Label]:
    """The map with background added as id 0; a map without cavity or wall can serve nothing here.

    Raises:
        InputError: no cavity or no wall; `place` begins the message.
    """
    whole = {0: Label.BACKGROUND, **labels}
    lacking = {Label.CAVITY, Label.WALL} - set(whole.values())
    if lacking:
        raise InputError(f"{place}: names no {' and no '.join(sorted(label.name.lower() for label in lacking))}; write e.g. {EXAMPLE}")
    return dict(sorted(whole.items()))


def label_map_of(dataset: str) -> dict[int, Label]:
    """The label map of a known data set.

    Raises:
        InputError: not a known name.
    """
    try:
        return dict(LABEL_MAPS[dataset.lower()])
    except KeyError:
        raise InputError(f"--dataset {dataset}: known are {', '.join(LABEL_MAPS)}; or state the ids, e.g. {EXAMPLE}") from None


def label_map_from_names(names: Mapping[str, object]) -> dict[int, Label] | None:
    """The map of an nnU-Net `labels` entry, either way round (name: id, or id: name); None where a name is not known."""
    found: dict[int, Label] = {}
    for key, value in names.items():
        word, number = (str(value), key) if key.isdecimal() else (key, value)
        label = label_of(word)
        if label is None or isinstance(number, bool) or not str(number).isdecimal():  # a region is a list of ids
            return None
        found[int(str(number))] = label
    whole = set(found.values())
    return {0: Label.BACKGROUND, **found} if {Label.CAVITY, Label.WALL} <= whole else None
