"""The words in which prescriptions are written and which the text encoder knows, as tables. Sentences may use more: `report_words`.

The tokenizer of a text encoder is built from these tables (`every_report_word`), so that a word that is added here changes the encoder
that is trained next. A word that is only read belongs to `report_words`.

Walls are named after Cerqueira et al. (2002), who replaced "posterior" by "inferior". Older names are mapped by their prefix:
posteroseptal = inferoseptal, posterolateral = inferolateral, and therefore **posterior = inferior** (segments 4, 10 and 15).
Echocardiography used to call segments 5 and 11 "posterior"; write "inferolateral" for those.
"""

from __future__ import annotations

from lgesynthnet.anatomy.aha import SHORT_AXIS_SEGMENTS, TERRITORY, WALL_OF
from lgesynthnet.prescription.scar import Pattern
from lgesynthnet.records import Level

# Scarred share of the wall where the sentence states no percentage.
DEFAULT_TRANSMURALITY: dict[Pattern, float] = {
    Pattern.SUBENDOCARDIAL: 0.5,
    Pattern.TRANSMURAL: 1.0,
    Pattern.MID_WALL: 0.35,
    Pattern.SUBEPICARDIAL: 0.4,
    Pattern.PATCHY: 0.4,
    Pattern.RV_INSERTION: 0.4,
}
DEFAULT_MVO_SHARE = 0.2
DEFAULT_IRREGULARITY = 0.5
DEFAULT_PERCENTILE = 50.0

# Bins of transmural extent in reports, in percent of the wall; both edges belong to the bin.
EXTENT_BINS: tuple[tuple[int, int], ...] = ((1, 25), (26, 50), (51, 75), (76, 100))

PATTERN_WORDS: dict[Pattern, tuple[str, ...]] = {  # the first word is the one that is written
    Pattern.SUBENDOCARDIAL: ("subendocardial", "sub endocardial", "endocardial", "non transmural", "nontransmural"),
    Pattern.TRANSMURAL: ("transmural", "trans mural", "full thickness"),
    Pattern.MID_WALL: (
        "mid-wall",
        "mid wall",
        "midwall",
        "mid myocardial",
        "mid myocardium",
        "midmyocardial",
        "intramural",
        "intra mural",
        "intramyocardial",
    ),
    Pattern.SUBEPICARDIAL: ("subepicardial", "sub epicardial", "epicardial"),
    Pattern.PATCHY: ("patchy", "focal patches", "patches"),
    Pattern.RV_INSERTION: ("RV-insertion",),  # read through INSERTIONS
}
BORDER_WORDS: dict[str, float] = {
    "smooth": 0.0,
    "slightly irregular": 0.25,
    "irregular": 0.5,
    "very irregular": 0.75,
    "ragged": 1.0,
}
BRIGHTNESS_WORDS: dict[str, float] = {"bright": 80.0, "faint": 20.0}


def _segments_called(*names: str) -> frozenset[int]:
    return frozenset(segment for segment, wall in WALL_OF.items() if wall in names)


SEPTUM = _segments_called("septal", "anteroseptal", "inferoseptal")
LATERAL = _segments_called("lateral", "anterolateral", "inferolateral")
_INFERIOR = _segments_called("inferior")
ANTEROSEPTAL, INFEROSEPTAL = _segments_called("anteroseptal"), _segments_called("inferoseptal")
ANTEROLATERAL, INFEROLATERAL = _segments_called("anterolateral"), _segments_called("inferolateral")

WALLS: dict[str, frozenset[int]] = {
    "anterior": _segments_called("anterior"),
    **dict.fromkeys(("inferior", "posterior"), _INFERIOR),
    **dict.fromkeys(("septal", "septum"), SEPTUM),
    "lateral": LATERAL,
    **{f"{front}{back}": ANTEROSEPTAL for front in ("antero", "antero ", "anterior ") for back in ("septal", "septum")},
    **{f"{front}{gap}{back}": INFEROSEPTAL for front in ("infero", "postero") for gap in ("", " ") for back in ("septal", "septum")},
    **{f"{front} {back}": INFEROSEPTAL for front in ("inferior", "posterior") for back in ("septal", "septum")},
    **dict.fromkeys(("anterolateral", "antero lateral", "anterior lateral"), ANTEROLATERAL),
    **{f"{front}{gap}lateral": INFEROLATERAL for front in ("infero", "postero") for gap in ("", " ")},
    **dict.fromkeys(("inferior lateral", "posterior lateral"), INFEROLATERAL),
    **dict.fromkeys(("circumferential", "circumferentially", "circumference", "all walls", "all segments"), SHORT_AXIS_SEGMENTS),
}
TERRITORIES: dict[str, frozenset[int]] = {
    **dict.fromkeys(("lad", "left anterior descending", "anterior descending"), TERRITORY["LAD"]),
    **dict.fromkeys(("rca", "right coronary"), TERRITORY["RCA"]),
    **dict.fromkeys(("lcx", "cx", "circumflex", "left circumflex"), TERRITORY["LCX"]),
}

# The septal side of both insertions, basal and mid. Apical segments do not begin at the insertions.
_POINTS = ("", " point", " points")
INSERTIONS: dict[str, frozenset[int]] = {
    f"{side}{ventricle}{noun}{point}": segments
    for side, segments in (
        ("", ANTEROSEPTAL | INFEROSEPTAL),
        ("anterior and inferior ", ANTEROSEPTAL | INFEROSEPTAL),
        ("inferior and anterior ", ANTEROSEPTAL | INFEROSEPTAL),
        ("anterior ", ANTEROSEPTAL),
        ("superior ", ANTEROSEPTAL),
        ("inferior ", INFEROSEPTAL),
        ("posterior ", INFEROSEPTAL),
    )
    for ventricle in ("rv ", "right ventricular ")
    for noun in ("insertion", "insertions", "hinge")
    for point in _POINTS
}
INSERTION_ADJECTIVES = ("rv insertion", "rv insertions", "rv hinge", "right ventricular insertion", "right ventricular insertions")

LEVELS: dict[str, tuple[Level, ...]] = {
    "basal": (Level.BASAL,),
    **dict.fromkeys(("mid", "midventricular", "mid ventricular", "mid cavity", "midcavity"), (Level.MID,)),
    "apical": (Level.APICAL,),
}
LEVEL_PLACES: dict[str, tuple[Level, ...]] = {  # nouns: they may follow the wall, as in "inferior wall of the mid ventricle"
    "base": (Level.BASAL,),
    **dict.fromkeys(("mid ventricle", "midventricle"), (Level.MID,)),
    "all levels": tuple(Level),
}
LEVEL_NOUNS = ("level", "levels", "third", "thirds", "slice", "slices", "ring", "portion", "part")
CAP_WORDS = ("apex", "apical cap")
NEGATIONS = ("no", "not", "non", "without", "absent", "absence", "neither", "nor", "never", "negative")

# Words that neither add nor change anything.
FINDINGS = """
    enhancement enhanced late delayed gadolinium lge hyperenhancement hyper scar scarring infarct infarcted infarction fibrosis
"""
FILLERS = """
    the a an and & in with at by as on is are there which that from both whole entire extent pattern
    seen noted shows showing demonstrates present evidence involving involves affecting extending extends
    wall walls segment segments aha territory distribution artery coronary region area
    myocardium myocardial lv left ventricle ventricular interventricular cardiac heart border borders edge edges margin margins
"""


def every_report_word() -> set[str]:
    """The words of this module, in lower case and split as a BERT tokenizer splits before its word pieces.

    They are the words of all captions and wordings (`paraphrasing`), and the vocabulary of the text encoders that are shipped.
    """
    places = (*WALLS, *TERRITORIES, *INSERTIONS, *LEVELS, *LEVEL_PLACES, *LEVEL_NOUNS)
    looks = (*(phrase for phrases in PATTERN_WORDS.values() for phrase in phrases), *BORDER_WORDS, *BRIGHTNESS_WORDS)
    others = (FINDINGS, FILLERS, "of to", *NEGATIONS, *CAP_WORDS)
    words = {word for phrase in (*places, *looks, *others) for word in phrase.lower().split()}
    return words | {"mvo", "microvascular", "obstruction", "reflow", "thickness", "transmurality"}


# Words that mean something only next to a number, with an example of their use.
NUMBER_FORMS: dict[str, str] = {
    "seed": "seed 12",
    "percentile": "at the 60th percentile of brightness",
    "brightness": "at the 60th percentile of brightness",
    "intensity": "at the 60th percentile of brightness",
    "irregularity": "border irregularity 37 %",
    "degrees": "between 130 and 220 degrees",
    "between": "between 130 and 220 degrees",
    "depth": "at a wall depth of 30 to 70 %",
    "transmurality": "50 % transmural",
    "thickness": "50 % of the wall thickness",
    "%": "50 % transmural",
    "microvascular": "with microvascular obstruction",
    "obstruction": "with microvascular obstruction",
    "reflow": "with no-reflow",
    "mvo": "with MVO",
}
