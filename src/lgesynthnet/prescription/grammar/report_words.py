"""The words that only the sentences of reports have, as tables: they are read, and never written.

Most of them change nothing (`COMMENTS`, `FILLERS`, `FINDINGS`, `SIZES`). `REFUSALS` holds words whose meaning no prescription can have; a
sentence with one of them is refused, with the way out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lgesynthnet.anatomy.aha import LEVEL_OF, SEGMENTS, TERRITORY
from lgesynthnet.prescription.grammar.vocabulary import (
    ANTEROLATERAL,
    ANTEROSEPTAL,
    CAP_WORDS,
    INFEROLATERAL,
    INFEROSEPTAL,
    LATERAL,
    LEVELS,
    NEGATIONS,
    SEPTUM,
)
from lgesynthnet.prescription.grammar.vocabulary import WALLS as WALLS_OF
from lgesynthnet.prescription.scar import Pattern
from lgesynthnet.records import Level

_BACKS = ("inferior", "posterior")
_PAIRS = tuple(pair for back in _BACKS for pair in (("anterior", back), (back, "anterior")))
_PREFIX_PAIRS = tuple(pair for back in ("infero", "postero") for pair in (("antero", back), (back, "antero")))
_VENTRICULAR = ("interventricular ", "ventricular ")
_ARTERIES = ("rca", "right coronary", "lcx", "cx", "circumflex")
_LAD = ("lad", "left anterior descending", "anterior descending")
_LATERAL_WALLS = {
    "lateral": LATERAL,
    **dict.fromkeys(("anterolateral", "antero lateral"), ANTEROLATERAL),
    **dict.fromkeys(("inferolateral", "infero lateral", "posterolateral", "postero lateral"), INFEROLATERAL),
}

# The free wall of the left ventricle has no segments of its own; beside "lateral" it adds nothing.
WALLS: dict[str, frozenset[int]] = {
    "ivs": SEPTUM,
    **{f"anterior {middle}{back}": ANTEROSEPTAL for middle in _VENTRICULAR for back in ("septal", "septum")},
    **{f"{front} {middle}{back}": INFEROSEPTAL for front in _BACKS for middle in _VENTRICULAR for back in ("septal", "septum")},
    **{f"{front} ivs": segments for front, segments in (("anterior", ANTEROSEPTAL), *((back, INFEROSEPTAL) for back in _BACKS))},
    # "Anterior and inferior septal walls" is missing on purpose: the first of them may be the anterior wall.
    **{f"{one} and {other} {middle}septum": ANTEROSEPTAL | INFEROSEPTAL for one, other in _PAIRS for middle in ("", *_VENTRICULAR)},
    **{
        f"{one} and {other}{gap}{back}": segments
        for one, other in _PREFIX_PAIRS
        for gap in ("", " ")
        for back, segments in (("septal", ANTEROSEPTAL | INFEROSEPTAL), ("lateral", ANTEROLATERAL | INFEROLATERAL))
    },
    **{phrase: segments for name, segments in _LATERAL_WALLS.items() for phrase in (f"{name} free", f"free {name}")},
}

PATTERNS: dict[str, Pattern] = {
    "subendocardially": Pattern.SUBENDOCARDIAL,
    "transmurally": Pattern.TRANSMURAL,
    **dict.fromkeys(("mesocardial", "mid mural", "midmural"), Pattern.MID_WALL),
    "subepicardially": Pattern.SUBEPICARDIAL,
}
# The standard gives segments to three arteries and to no branch of theirs. Beyond the distal LAD no other part of it follows, so that its
# territory is the end of the LAD's: the apical segments. The mid LAD may mean its middle part alone, or everything beyond it.
TERRITORIES: dict[str, frozenset[int]] = dict.fromkeys(
    tuple(f"distal {artery}" for artery in _LAD),
    frozenset(segment for segment in TERRITORY["LAD"] if LEVEL_OF[segment] is Level.APICAL),
)
_INSERTION_SIDES: dict[str, frozenset[int]] = {
    "": ANTEROSEPTAL | INFEROSEPTAL,
    **dict.fromkeys(("anterior and inferior ", "inferior and anterior "), ANTEROSEPTAL | INFEROSEPTAL),
    **dict.fromkeys(("anterior ", "superior "), ANTEROSEPTAL),
    **dict.fromkeys(("inferior ", "posterior "), INFEROSEPTAL),
}
INSERTIONS: dict[str, frozenset[int]] = {
    **{f"{side}insertion {noun}": segments for side, segments in _INSERTION_SIDES.items() for noun in ("point", "points", "site", "sites")},
    **dict.fromkeys(("rvip", "rvips"), ANTEROSEPTAL | INFEROSEPTAL),
    **{f"{side}hinge {noun}": segments for side, segments in _INSERTION_SIDES.items() for noun in ("point", "points")},
    **{
        f"{side}{ventricle} insertion {noun}": segments
        for side, segments in _INSERTION_SIDES.items()
        for ventricle in ("rv", "right ventricular")
        for noun in ("site", "sites")
    },
}
LEVEL_WALLS: dict[str, tuple[Level, frozenset[int]]] = {  # a wall at one level in one phrase, whatever level is named before
    **{
        f"{front}{gap}{name}": (level, segments & frozenset(SEGMENTS[level]))
        for front, segments in (("antero", WALLS_OF["anterior"]), ("infero", WALLS_OF["inferior"]))
        for gap in ("", " ")
        for name, level in (("basal", Level.BASAL), ("apical", Level.APICAL))
    },
    **{
        f"apico{gap}{wall}": (Level.APICAL, WALLS_OF[wall] & frozenset(SEGMENTS[Level.APICAL]))
        for gap in ("", " ")
        for wall in ("septal", "lateral")
    },
    **{f"all {name} {noun}": (level, frozenset(SEGMENTS[level])) for name, (level,) in LEVELS.items() for noun in ("segments", "walls")},
}

INFARCTS = ("infarct", "infarction", "infarcts", "infarctions", "mi", "stemi", "nstemi")
FINDINGS = """
    enhancing hyperenhanced hyperenhancing hyperintense hyperintensity contrast scars scarred lesion fibrotic replacement necrosis
    infarcts infarctions mi stemi nstemi tissue uptake signal
"""
# After these, a wall names the disease and not a place of its own: "..., consistent with an inferior infarct".
COMMENTS = (
    "consistent with",
    "compatible with",
    "in keeping with",
    "in line with",
    "suggestive of",
    "suggesting",
    "indicative of",
    "indicating",
    "typical of",
    "typical for",
    "characteristic of",
    "representing",
    "reflecting",
    "due to",
    "caused by",
    "related to",
    "secondary to",
    "sequela of",
    "sequelae of",
)
HEADINGS = """
    shows show showing demonstrates demonstrate demonstrated demonstrating reveals reveal revealed revealing exhibits exhibit
    displays display imaging images image sequences
"""
FILLERS = """
    old chronic remote healed established longstanding acute subacute recent prior previous known
    ischaemic ischemic nonischaemic nonischemic type like post postinfarction mr cmr mri psir scan
    cardiomyopathy dilated hypertrophic dcm hcm myocarditis sarcoidosis amyloidosis
    was were this these visible visualised visualized identified observed detected found finding findings
    involvement zone along within throughout covering occupying comprising its affected amount
    typical characteristic classical nonspecific
"""
FILLER_PHRASES = (
    *("non ischaemic", "non ischemic", "non specific", "short axis"),
    *(f"{verb} to" for verb in ("confined", "limited", "restricted", "localised", "localized")),
)
JOINS = ("and", "&", "plus", "as well as", "together with")
EXTENSIONS = tuple(
    f"{verb} {to}" for verb in ("extending", "extends", "extension", "extended", "continuing", "continues") for to in ("into", "to", "onto")
)
EXTENT_NOUNS = ("transmural extent", "transmurality")  # the noun of a percentage and not the pattern


class Size(Enum):
    """How large or strong a word says that the scar is. It changes nothing, but it may contradict the rest of the sentence."""

    SMALL = "small"
    LARGE = "large"
    WEAK = "weak"
    STRONG = "strong"
    THIN = "thin"
    OTHER = "other"


SIZES: dict[str, Size] = {
    **dict.fromkeys(("small", "tiny", "focal", "focally", "limited", "localised", "localized", "discrete", "focus"), Size.SMALL),
    **dict.fromkeys(("large", "extensive", "massive", "widespread"), Size.LARGE),
    **dict.fromkeys(("mild", "subtle", "minimal", "minor"), Size.WEAK),
    **dict.fromkeys(("dense", "intense", "prominent", "marked", "pronounced", "strong", "avid"), Size.STRONG),
    **dict.fromkeys(("moderate", "isolated"), Size.OTHER),
    **dict.fromkeys(("linear", "thin", "stripe", "stria", "striae", "streak", "band", "rim"), Size.THIN),
}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Words that make a sentence no prescription.

    Attributes:
        kind: a short name for the list of words.
        words: the words and phrases.
        reason: what is wrong and what to write; follows the quoted word.
        is_place: whether the word stands where a wall should be, so that the missing wall is not reported as well.
        is_pattern: the same of a pattern.
    """

    kind: str
    words: tuple[str, ...]
    reason: str
    is_place: bool = False
    is_pattern: bool = False


def _listed(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(","))


REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        kind="negation",
        words=(*NEGATIONS, *_listed("none, nothing, nil, lack, lacking")),
        reason="is a negation, but a prescription says what to paint; leave out what is absent",
    ),
    Refusal(
        kind="exception",
        words=_listed(
            "sparing, spares, spared, except, excepting, excluding, excludes, excluded, preserved, viable, normal, healthy, intact, "
            "unaffected, uninvolved"
        ),
        reason="says where there is no scar; name the walls that hold scar, and leave out the others",
    ),
    Refusal(
        kind="doubt",
        words=_listed(
            "possible, possibly, probable, probably, likely, suspected, suspicious, questionable, equivocal, uncertain, doubtful, may, "
            "might, could, or, versus, vs, ?, apparent, apparently, cannot"
        ),
        reason="leaves open what is meant; leave it out, or write what to paint",
    ),
    Refusal(
        kind="mixture",
        words=_listed("predominantly, predominant, mainly, mostly, largely, partly, partially, partial, variable, variably, mixed"),
        reason="says that the scar is not the same everywhere; leave it out, or write one sentence for each part",
    ),
    Refusal(
        kind="several scars",
        words=_listed("additional, additionally, another, second, multiple, multifocal, several, two, three, separate, foci, also"),
        reason="announces more than one scar; write one sentence for each scar",
    ),
    Refusal(
        kind="comparison",
        words=_listed(
            "unchanged, stable, compared, comparison, increased, decreased, progression, progressed, regression, resolved, improved, "
            "worsened, new, newly"
        ),
        reason="compares with another examination; describe only the scar to paint",
    ),
    Refusal(
        kind="other part of the heart",
        words=_listed(
            "rv, right, right ventricle, right ventricular, right atrium, right atrial, atrial, atrium, atria, pericardial, pericardium, "
            "papillary, valve, valvular, mitral, aortic, aorta, tricuspid, thrombus, effusion"
        ),
        reason="is not the wall of the left ventricle, and only that is painted; leave it out",
        is_place=True,
    ),
    Refusal(
        kind="apical cap",
        words=CAP_WORDS,
        reason="is the apical cap (segment 17), which has no short-axis wall; write e.g. 'apical septal wall'",
        is_place=True,
    ),
    Refusal(
        kind="branch of an artery",
        words=(
            *_listed("d1, d2, om, om1, om2, pda, plv, lmca, left main, diagonal, marginal, posterior descending"),
            *(f"{part} {artery}" for part in ("proximal", "mid", "distal") for artery in _ARTERIES),
        ),
        reason="has no segments in the AHA standard, which knows LAD, RCA and LCX only; name walls, such as 'mid anterolateral wall'",
        is_place=True,
    ),
    Refusal(
        kind="part of the LAD",
        words=tuple(f"{part} {artery}" for part in ("proximal", "mid") for artery in _LAD),
        reason="may mean a level or everything beyond that part; write 'LAD territory at the mid level', or name the walls",
        is_place=True,
    ),
    Refusal(
        kind="free wall",
        words=("free",),
        reason="has no segments of its own; write 'lateral wall', or name the walls",
        is_place=True,
    ),
    Refusal(
        kind="position",
        words=_listed("superior, proximal, distal"),
        reason="is no name of a wall or level; write anterior for superior, basal for proximal, apical for distal",
        is_place=True,
    ),
    Refusal(
        kind="depth",
        words=_listed("endocardium, epicardium, subendocardium, subepicardium, inner, outer"),
        reason="is a place in the wall; name a pattern, or write 'at a wall depth of 0 to 30 %'",
        is_pattern=True,
    ),
    Refusal(
        kind="diffuse scar",
        words=_listed("diffuse, diffusely, global, globally"),
        reason="has no border to paint; name a pattern and the walls, or 'circumferential'",
        is_pattern=True,
    ),
    Refusal(
        kind="amount",
        words=_listed("burden, mass, volume, size, ejection, lvef, ef"),
        reason="cannot be prescribed; it follows from the walls, the percentage of the wall's thickness and the arc",
    ),
    Refusal(
        kind="rough share",
        words=_listed("half, quarter, middle, near, nearly, almost"),
        reason="is no exact share; write e.g. '90 % of the wall thickness', or narrow the scar with an arc",
    ),
)
