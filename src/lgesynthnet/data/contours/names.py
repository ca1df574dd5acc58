"""What the names of contours and segments mean. A table of usual names, and the names that the user gives."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lgesynthnet.data.label_maps import label_of
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label

OPTION = "--contour-names"
EXAMPLE = f'{OPTION} "endo=LV endo,epi=LV epi,scar=Scar"'


class Meaning(StrEnum):
    """What is inside a contour, or what a mask covers."""

    ENDO = "endo"  # the LV cavity, with its papillary muscles
    EPI = "epi"  # the LV cavity and the wall
    WALL = "wall"  # the wall alone, with or without the scar
    SCAR = "scar"
    NO_REFLOW = "no-reflow"
    RV = "rv"  # the RV cavity
    IGNORE = "ignore"


_OF_LABEL = {
    Label.CAVITY: Meaning.ENDO,
    Label.WALL: Meaning.WALL,
    Label.SCAR: Meaning.SCAR,
    Label.NO_REFLOW: Meaning.NO_REFLOW,
    Label.RV: Meaning.RV,
    Label.BACKGROUND: Meaning.IGNORE,
}
# In lower case, with one space for every run of " _-./". The words of `label_maps` count too.
_WORDS: dict[Meaning, tuple[str, ...]] = {
    Meaning.ENDO: (
        "endo",
        "endocardium",
        "endocardial",
        "endocardial contour",
        "lv endo",
        "lv endocardium",
        "endo lv",
        "lv endocardial",
        "left ventricular endocardium",
        "lv bloodpool",
        "left ventricle cavity",
        "left ventricular blood pool",
        "cavity of left ventricle",
        "saendocardialcontour",  # cvi42
        "icontour",  # Sunnybrook
    ),
    Meaning.EPI: (
        "epi",
        "epicardium",
        "epicardial",
        "epicardial contour",
        "lv epi",
        "lv epicardium",
        "epi lv",
        "lv epicardial",
        "left ventricular epicardium",
        "saepicardialcontour",
        "ocontour",
    ),
    Meaning.WALL: (
        "left ventricular myocardium",
        "left ventricle myocardium",
        "myocardium of left ventricle",
        "lv myo",
        "myocardial wall",
        "remote myocardium",
    ),
    Meaning.SCAR: (
        "scar tissue",
        "myocardial scar",
        "lv scar",
        "infarcted myocardium",
        "late enhancement",
        "enhancement",
        "hyperenhancement",
        "sascarcontour",
        "saenhancementareacontour",
        "enhancementareacontour",
    ),
    Meaning.NO_REFLOW: ("scar noreflow", "no reflow area", "microvascular obstruction area", "noreflowareacontour"),
    Meaning.RV: (
        "rv endo",
        "rvendo",  # Segment
        "rv endocardium",
        "endo rv",
        "rv endocardial",
        "right ventricular endocardium",
        "right ventricle cavity",
        "right ventricular blood pool",
        "cavity of right ventricle",
        "sarvendocardialcontour",
    ),
    Meaning.IGNORE: (
        "rv epi",
        "rv epicardium",
        "right ventricular epicardium",
        "papillary muscle",
        "papillary muscles",
        "p1contour",
        "p2contour",
        "sarvepicardialcontour",
        "sapapilmusccontour",
        "sareferencemyocontour",
        "saenhancementreferencemyocontour",
        "excludeenhancementareacontour",
        "laendocardialcontour",
        "laepicardialcontour",
        "larvendocardialcontour",
        "larvepicardialcontour",
        "lalacontour",
        "laracontour",
    ),
}
_TABLE = {word: meaning for meaning, words in _WORDS.items() for word in words}


@dataclass(frozen=True, kw_only=True)
class ContourNames:
    """What the names in the files mean, where the user says it.

    A name that is given here means what is said here. For a meaning that is given here, the usual names no longer count, so that of
    "Scar" and "Scar old" the user can choose one.

    Attributes:
        given: name, as `plain` writes it -> meaning.
    """

    given: Mapping[str, Meaning] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> ContourNames:
        """Read "endo=LV endo,epi=LV epi,scar=Scar 1,scar=Scar 2,rv=RV,ignore=Notes".

        A name with a comma stands in quotes with its meaning: '"scar=Scar, old",endo=LV'.

        Raises:
            InputError: an item is not MEANING=NAME, a meaning is not known, or one name has two meanings.
        """
        given: dict[str, Meaning] = {}
        try:
            [items] = csv.reader([text], strict=True, skipinitialspace=True)
        except (csv.Error, ValueError):
            raise InputError(f"{OPTION} {text}: cannot be read; write e.g. {EXAMPLE}") from None
        for item in filter(None, map(str.strip, items)):
            word, _, name = item.partition("=")
            key = plain(name)
            try:
                meaning = Meaning(word.strip().lower())
            except ValueError:
                meaning = None
            if meaning is None or not key:
                raise InputError(
                    f"{OPTION} {text}: '{item}' is not MEANING=NAME with a meaning of {', '.join(Meaning)}; write e.g. {EXAMPLE}"
                )
            if given.setdefault(key, meaning) != meaning:
                raise InputError(f"{OPTION} {text}: '{name.strip()}' is given as {given[key]} and as {meaning}; keep one")
        if not given:
            raise InputError(f"{OPTION} {text}: names nothing; write e.g. {EXAMPLE}")
        return cls(given=given)

    def meaning_of(self, *names: str) -> Meaning | None:
        """What the first of these names that is known means; None where none is known."""
        keys = [plain(name) for name in names]
        for key in keys:
            if key in self.given:
                return self.given[key]
        meaning = next(filter(None, map(_usual_meaning, keys)), None)
        return Meaning.IGNORE if meaning in self._chosen else meaning

    def replaced(self, name: str) -> Meaning | None:
        """The usual meaning of a name that does not count, because the user gave other names for that meaning; else None."""
        key = plain(name)
        meaning = None if key in self.given else _usual_meaning(key)
        return meaning if meaning in self._chosen else None

    @property
    def _chosen(self) -> frozenset[Meaning]:
        return frozenset(self.given.values()) - {Meaning.IGNORE}


def _usual_meaning(key: str) -> Meaning | None:
    label = label_of(key)
    return _TABLE.get(key) or (None if label is None else _OF_LABEL[label])


def plain(name: str) -> str:
    """A name as names are compared: in lower case, with one space for every run of spaces and of "_", "-", "." and "/"."""
    return " ".join(name.lower().translate(str.maketrans("_-./", "    ")).split())
