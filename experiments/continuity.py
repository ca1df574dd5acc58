"""How scars run through the stack of short-axis slices, from base to apex.

    python experiments/continuity.py [--data FOLDER] [--part train] [--landmarks FILE] [--compare FOLDER] [--json FILE]

A heart is a row of labelled slices from base to apex. Each slice becomes one record, and every table is made from records alone, so that
patients and painted stacks are measured by the same functions. `--compare` measures another folder of labelled stacks, e.g. painted ones,
and prints how far it is from the patients; random halves of the patients show how far patients are from each other. The tables hold
figures of groups, and nothing of a single patient. Errors are standard errors of means over patients.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from prior_fit import SECOND_COPY
from real_data import add_data_option
from scipy import ndimage, stats

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.source import CohortSource
from lgesynthnet.data.splits import part_of
from lgesynthnet.errors import AnatomyError, InputError
from lgesynthnet.files.writing import write_json
from lgesynthnet.hosts.locate import LocatedStack, locate_stack
from lgesynthnet.prescription.measuring import CHORDS, MIN_CHORD_SHARE, chord_shares
from lgesynthnet.records import Label, Mask, Skipped, wall_of

DEPTHS = 8
CHORD_DEG = 360.0 / CHORDS
ANTERIOR_AND_SEPTAL_DEG = (45.0, 210.0)  # nominal middle of the scars that lie so; the others are inferior or lateral
WIDEST_MIDDLE_DEG = 270.0  # a wider scar has no middle
LARGE_MM2 = 100.0  # the brightness of a smaller scar is mostly that of its border
LEAST_CELLS = 20  # of the grid that two slices must share before their texture is compared
SMOOTHING = (2.0, 1.0)  # cells of angle and depth, about 5 mm by 1.5 mm
LEAST_PROFILE = 3  # scarred slices of a profile
BINS = (0.0, 0.25, 0.5, 0.75, 1.0)  # edges, of the distance from the middle of the scar to its end
FIFTHS = (-1.0, -0.6, -0.2, 0.2, 0.6, 1.0)  # edges, from the basal to the apical end of a scar
HEART_NUMBERS = ("slices", "extent", "basal end", "apical end", "burden_ml", "burden")
RANDOM_PAIRS, HALVINGS = 1000, 20
Grid = np.ndarray  # (CHORDS, DEPTHS) of float
Row = dict[str, object]


@dataclass(frozen=True, kw_only=True, eq=False)
class SliceRecord:
    """What is measured of one labelled slice. Scar includes no-reflow; brightness and texture are of the scar without it.

    Attributes:
        index: slice of the file.
        rank: 0 for the most basal labelled slice.
        position: along the LV, 0 base to 1 apex: (rank + 0.5) / number of labelled slices.
        position_mm: from the most basal labelled slice.
        width_deg: nominal degrees of the chords with scar; 0 without.
        transmurality: mean scarred share of the wall in those chords, 0 to 1.
        middle_deg: nominal angle of the middle of these chords; None also where the scar goes round most of the wall.
        brightness: mean, in heart units.
        scar_map, no_reflow_map: share of each cell of the grid, 0 to 1; NaN where the wall has no pixel.
        texture: brightness in each cell minus that of the whole scar; NaN outside.
    """

    index: int
    rank: int
    position: float
    position_mm: float
    wall_mm2: float
    scar_mm2: float
    no_reflow_mm2: float
    width_deg: float
    transmurality: float | None
    middle_deg: float | None
    brightness: float | None
    scar_map: Grid
    no_reflow_map: Grid
    texture: Grid

    @property
    def share(self) -> float:
        """Scarred share of the wall."""
        return self.scar_mm2 / self.wall_mm2


Pair = tuple[SliceRecord, SliceRecord]


@dataclass(frozen=True, kw_only=True, eq=False)
class Heart:
    """The records of one stack from base to apex. A labelled slice that cannot be measured has no record, but counts in `labelled`."""

    patient: str
    labelled: int
    step_mm: float
    slices: tuple[SliceRecord, ...]

    @property
    def scarred(self) -> list[SliceRecord]:
        return [each for each in self.slices if each.scar_mm2 > 0]

    def scar_pairs(self, steps: int = 1) -> list[Pair]:
        """Scarred slices that lie so many slices apart, the basal one first; neighbours are one apart."""
        by_rank = {each.rank: each for each in self.scarred}
        return [(each, by_rank[rank + steps]) for rank, each in by_rank.items() if rank + steps in by_rank]

    @property
    def ends(self) -> tuple[int, int]:
        """Rank of the most basal scarred slice, and one more than that of the most apical one."""
        return self.scarred[0].rank, self.scarred[-1].rank + 1

    def place_in_scar(self, record: SliceRecord) -> float:
        """From -1, half a slice beyond the most basal scarred slice, to 1, half a slice beyond the most apical one."""
        first, end = self.ends
        return 2.0 * (record.rank - first + 0.5) / (end - first) - 1.0


def measure_heart(patient: str, hosts: Sequence[Host | None], step_mm: float) -> Heart:
    """Measure the labelled slices of a heart, given from base to apex; None stands for one that cannot be located."""
    records = tuple(measure_slice(host, rank, len(hosts), step_mm) for rank, host in enumerate(hosts) if host is not None)
    return Heart(patient=patient, labelled=len(hosts), step_mm=step_mm, slices=records)


def measure_slice(host: Host, rank: int, labelled: int, step_mm: float) -> SliceRecord:
    """Measure one slice: the image and the labels of the host in its heart coordinates."""
    slice_, frame = host.slice_, host.frame
    scar = slice_.scar & frame.wall
    core = scar & (slice_.labels == Label.NO_REFLOW)
    shares, pixels = chord_shares(scar, frame)
    chords = (shares >= MIN_CHORD_SHARE) & (pixels > 0)
    width = CHORD_DEG * float(chords.sum())
    unit = HeartWindow.from_slice(slice_).to_unit(slice_.image).astype(np.float64)
    brightness = float(unit[scar & ~core].mean()) if (scar & ~core).any() else None
    return SliceRecord(
        index=slice_.index,
        rank=rank,
        position=(rank + 0.5) / labelled,
        position_mm=rank * step_mm,
        wall_mm2=float(frame.wall.sum()) * frame.pixel_mm2,
        scar_mm2=float(scar.sum()) * frame.pixel_mm2,
        no_reflow_mm2=float(core.sum()) * frame.pixel_mm2,
        width_deg=width,
        transmurality=float(shares[chords].mean()) if chords.any() else None,
        middle_deg=_middle_deg(chords) if 0 < width <= WIDEST_MIDDLE_DEG else None,
        brightness=brightness,
        scar_map=_on_grid(scar.astype(np.float64), frame, frame.wall),
        no_reflow_map=_on_grid(core.astype(np.float64), frame, frame.wall),
        texture=_on_grid(unit - (brightness or 0.0), frame, scar & ~core),
    )


def _middle_deg(chords: np.ndarray) -> float:
    angles = np.radians((np.flatnonzero(chords) + 0.5) * CHORD_DEG)
    return float(np.degrees(np.arctan2(np.sin(angles).mean(), np.cos(angles).mean())) % 360.0)


def _on_grid(values: np.ndarray, frame: HeartFrame, where: Mask) -> Grid:
    """Mean of the pixels of `where` in each cell of angle and depth; NaN in a cell without one."""
    chord = (frame.nominal_deg[where] / CHORD_DEG).astype(int) % CHORDS
    cell = chord * DEPTHS + np.clip((frame.depth[where] * DEPTHS).astype(int), 0, DEPTHS - 1)
    count, total = (np.bincount(cell, weights=each, minlength=CHORDS * DEPTHS) for each in (None, values[where]))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(CHORDS, DEPTHS)


def hosts_of(located: LocatedStack) -> list[Host | None]:
    """The labelled slices of a stack from base to apex, for `measure_heart`."""
    with_wall = np.flatnonzero(wall_of(located.stack.labels).any(axis=(0, 1)))
    indices = list(range(with_wall.min(), with_wall.max() + 1)) if with_wall.size else []
    hosts: list[Host | None] = []
    for index in indices if located.order.base_first else indices[::-1]:
        try:
            HeartWindow.from_slice(located.stack[index])
            hosts.append(Host(slice_=located.stack[index], frame=located.frame(index)))
        except (AnatomyError, InputError) as fault:
            print(f"left out: {fault}")
            hosts.append(None)
    return hosts


def read_hearts(source: CohortSource) -> list[Heart]:
    """Measure every labelled stack of a folder."""
    hearts = []
    for stack in source.open().stacks():
        if isinstance(stack, Skipped):
            print(f"left out: {stack.name}: {stack.reason}")
        else:
            hearts.append(measure_heart(stack.patient, hosts_of(locate_stack(stack)), stack.slice_step_mm))
    return hearts


def overlap(a: Grid, b: Grid) -> float | None:
    """Dice of two maps of shares over the cells that both know; None where both are empty."""
    known = np.isfinite(a) & np.isfinite(b)
    total = float(a[known].sum() + b[known].sum())
    return 2.0 * float(np.minimum(a[known], b[known]).sum()) / total if total > 0 else None


def correlation(a: Grid, b: Grid) -> float | None:
    """Pearson correlation over the cells that both know; None with fewer than LEAST_CELLS of them, or where one map is constant."""
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < LEAST_CELLS or not (np.ptp(a[known]) and np.ptp(b[known])):
        return None
    return float(np.corrcoef(a[known], b[known])[0, 1])


def smooth(texture: Grid) -> Grid:
    """Gaussian mean of the known cells round each known cell; the angle is periodic."""
    known = np.isfinite(texture)
    parts = (np.nan_to_num(texture), known.astype(float))
    total, weight = (ndimage.gaussian_filter(part, SMOOTHING, mode=("wrap", "constant")) for part in parts)
    return np.where(known, total / np.maximum(weight, 1e-9), np.nan)


def without_border(record: SliceRecord) -> Grid:
    """Texture minus its least-squares fit on depth and on the distance to the border of the scar, where every scar is dimmer."""
    known = np.isfinite(record.texture)
    inside = np.tile(np.nan_to_num(record.scar_map) >= 0.5, (3, 1))  # three times round, since the angle is periodic
    away = np.minimum(ndimage.distance_transform_edt(inside)[CHORDS : 2 * CHORDS], 4.0)
    depth = np.broadcast_to((np.arange(DEPTHS) + 0.5) / DEPTHS, known.shape)
    terms = np.stack([np.ones(known.shape), depth, depth**2, away])[:, known].T
    rest = record.texture.copy()
    rest[known] -= terms @ np.linalg.lstsq(terms, rest[known], rcond=None)[0]
    return rest


LIKENESS: dict[str, Callable[[SliceRecord, SliceRecord], float | None]] = {
    "overlap of scar": lambda a, b: overlap(a.scar_map, b.scar_map),
    "overlap of no-reflow": lambda a, b: overlap(a.no_reflow_map, b.no_reflow_map) if a.no_reflow_mm2 and b.no_reflow_mm2 else None,
    "texture": lambda a, b: correlation(a.texture, b.texture),
    "texture, smoothed": lambda a, b: correlation(smooth(a.texture), smooth(b.texture)),
    "texture minus smoothed": lambda a, b: correlation(a.texture - smooth(a.texture), b.texture - smooth(b.texture)),
    "texture without border, smoothed": lambda a, b: correlation(smooth(without_border(a)), smooth(without_border(b))),
}
MEASURES: dict[str, Callable[[SliceRecord], float | None]] = {
    "log area": lambda each: float(np.log(each.scar_mm2)) if each.scar_mm2 else None,
    "log share of wall": lambda each: float(np.log(each.share)) if each.scar_mm2 else None,
    "brightness": lambda each: each.brightness,
    "brightness, large scars": lambda each: each.brightness if each.scar_mm2 >= LARGE_MM2 else None,
    "texture sd": lambda each: float(np.nanstd(each.texture)) if np.isfinite(each.texture).sum() >= LEAST_CELLS else None,
    "width_deg": lambda each: each.width_deg or None,
    "log width": lambda each: float(np.log(each.width_deg)) if each.width_deg else None,
    "transmurality": lambda each: each.transmurality,
    "middle_deg": lambda each: each.middle_deg,
}
PROFILES: dict[str, Callable[[SliceRecord], float | None]] = {"area": lambda each: each.scar_mm2, "share": lambda each: each.share}
PROFILES |= {"width": lambda each: each.width_deg} | {name: MEASURES[name] for name in ("transmurality", "brightness")}
COMPARED = {"overlap": "overlap of scar", "texture correlation": "texture"}
COMPARED_CHANGES = {"area change": "log area", "brightness change": "brightness", "width change": "log width"}
COMPARED_CHANGES |= {"transmurality change": "transmurality", "middle change": "middle_deg"}


def likenesses(name: str, pairs: Iterable[Pair]) -> list[float]:
    """How alike the slices of each pair are; pairs that cannot be compared are left out."""
    return [value for a, b in pairs if (value := LIKENESS[name](a, b)) is not None]


def values_of(name: str, heart: Heart) -> list[float]:
    """A measure of each scarred slice that has it."""
    return [value for each in heart.scarred if (value := MEASURES[name](each)) is not None]


def changes(name: str, heart: Heart, steps: int = 1) -> list[float]:
    """Change of a measure towards the apex, between scarred slices so many slices apart; angles as the shorter way round."""
    both = [(MEASURES[name](a), MEASURES[name](b)) for a, b in heart.scar_pairs(steps)]
    found = [after - before for before, after in both if before is not None and after is not None]
    return [(value + 180.0) % 360.0 - 180.0 for value in found] if name == "middle_deg" else found


def distributions(heart: Heart) -> dict[str, list[float]]:
    """The numbers of a heart with scar in which two sets of hearts are compared: those of its neighbours, or one of the heart."""
    first, end = heart.ends
    scar_mm2 = sum(each.scar_mm2 for each in heart.slices)
    return {
        **{name: likenesses(likeness, heart.scar_pairs()) for name, likeness in COMPARED.items()},
        **{name: changes(measure, heart) for name, measure in COMPARED_CHANGES.items()},
        "slices": [float(len(heart.scarred))],
        "extent": [(end - first) / heart.labelled],
        "basal end": [first / heart.labelled],
        "apical end": [end / heart.labelled],
        "burden_ml": [scar_mm2 * heart.step_mm / 1000.0],
        "burden": [scar_mm2 / sum(each.wall_mm2 for each in heart.slices)],
    }


def pooled(hearts: Iterable[Heart]) -> dict[str, list[float]]:
    """The distributions of all hearts with scar, one list each."""
    of_each = [distributions(heart) for heart in hearts if heart.scarred]
    return {name: [value for lists in of_each for value in lists[name]] for name in (of_each[0] if of_each else ())}


def ks_distances(first: Iterable[Heart], second: Iterable[Heart]) -> dict[str, float]:
    """Kolmogorov-Smirnov distance of two sets of hearts in each of the distributions; hearts without scar do not count."""
    one, other = pooled(first), pooled(second)
    both = {name: (values, other[name]) for name, values in one.items() if values and other.get(name)}
    return {name: float(stats.ks_2samp(*pair, method="asymp").statistic) for name, pair in both.items()}


def halves_apart(hearts: Sequence[Heart]) -> dict[str, float]:
    """Mean of `ks_distances` between random halves of the hearts with scar."""
    scarred, found = [heart for heart in hearts if heart.scarred], []
    for seed in range(HALVINGS):
        order = np.random.default_rng([11, seed]).permutation(len(scarred)).tolist()
        half = len(scarred) // 2
        found.append(ks_distances([scarred[i] for i in order[:half]], [scarred[i] for i in order[half:]]))
    return {name: float(np.mean([each[name] for each in found])) for name in found[0]}


def summary(values: Sequence[float]) -> Row:
    """Number, mean and quantiles."""
    known = values if len(values) else np.nan
    row: Row = {"n": len(values), "mean": np.mean(known), "sd": np.std(known)}
    return row | dict(zip(("q05", "q25", "median", "q75", "q95"), np.quantile(known, (0.05, 0.25, 0.5, 0.75, 0.95)), strict=True))


def mean_of_patients(lists: Iterable[list[float]]) -> Row:
    """Mean of the means of patients, with its standard error."""
    means = [float(np.mean(values)) for values in lists if values]
    return {"of_patients": np.mean(means), "error": np.std(means, ddof=1) / len(means) ** 0.5} if len(means) > 1 else {}


def heart_rows(hearts: Sequence[Heart]) -> Iterator[Row]:
    """Amount and extent of scar in each heart, and how often it reaches the ends of the labelled stack or has a gap."""
    groups: dict[str, list[Heart]] = {"all": list(hearts), "anterior, septal": [], "inferior, lateral": []}
    low, high = ANTERIOR_AND_SEPTAL_DEG
    for heart in hearts:
        angles = np.radians(values_of("middle_deg", heart))
        middle = np.degrees(np.arctan2(np.sin(angles).sum(), np.cos(angles).sum())) % 360.0
        groups["anterior, septal" if low <= middle < high else "inferior, lateral"].append(heart)
    for group, members in groups.items():
        yield from ({"scars": group, "of a heart": name} | summary(pooled(members).get(name, [])) for name in HEART_NUMBERS)
        ends = [(heart.ends[0] == 0, heart.ends[1] == heart.labelled) for heart in members]
        gaps = [heart.ends[1] - heart.ends[0] > len(heart.scarred) for heart in members]
        rates = {"reaches base": [base for base, _ in ends], "reaches apex": [apex for _, apex in ends], "has a gap": gaps}
        rates |= {"reaches both": [all(each) for each in ends], "reaches neither": [not any(each) for each in ends]}
        yield from ({"scars": group, "of a heart": name, "n": len(each), "mean": np.mean(each)} for name, each in rates.items() if each)


def likeness_rows(hearts: Sequence[Heart]) -> Iterator[Row]:
    """How alike neighbours are, slices two and three apart, and slices of two patients."""
    rng = np.random.default_rng(12)
    strangers: list[Pair] = []
    while len(strangers) < RANDOM_PAIRS and len(hearts) > 1:
        one, other = (hearts[i].scarred for i in rng.choice(len(hearts), 2, replace=False))
        strangers.append((one[rng.integers(len(one))], other[rng.integers(len(other))]))
    for name in LIKENESS:
        row: Row = {"of neighbours": name} | mean_of_patients(likenesses(name, heart.scar_pairs()) for heart in hearts)
        row |= summary(likenesses(name, [pair for heart in hearts for pair in heart.scar_pairs()]))
        for steps in (2, 3):
            row |= {f"{steps} apart": summary(likenesses(name, [pair for heart in hearts for pair in heart.scar_pairs(steps)]))["mean"]}
        yield row | {"two patients": summary(likenesses(name, strangers))["mean"]}


def change_rows(hearts: Sequence[Heart]) -> Iterator[Row]:
    """Spread of each measure between and within patients, and its change towards the apex over one to three slices."""
    for name, measure in MEASURES.items():
        row: Row = {"measure": name}
        lists = [values for heart in hearts if (values := values_of(name, heart))]
        if len(lists) < 2 or not any(changes(name, heart) for heart in hearts):
            continue
        if name != "middle_deg":
            within = sum(np.var(values) * len(values) for values in lists) / max(sum(map(len, lists)) - len(lists), 1)
            between = np.var([np.mean(values) for values in lists], ddof=1) - within / np.mean([len(values) for values in lists])
            both = [(measure(a), measure(b)) for heart in hearts for a, b in heart.scar_pairs()]
            known = np.array([pair for pair in both if None not in pair], dtype=float).T
            row |= {"mean": np.mean(np.concatenate(lists)), "between_sd": max(between, 0.0) ** 0.5, "within_sd": within**0.5}
            row |= {"r": np.corrcoef(known)[0, 1]}
        row |= {f"change {key}": value for key, value in mean_of_patients(changes(name, heart) for heart in hearts).items()}
        for steps in (1, 2, 3):
            found = [value for heart in hearts for value in changes(name, heart, steps)]
            row |= {f"n_{steps}": len(found), f"sd_{steps}": np.std(found), f"median_abs_{steps}": np.median(np.abs(found))}
        yield row


def taper(away: np.ndarray, values: np.ndarray) -> Row:
    """Least-squares fit of scale * (1 - loss * |d| ** power) for 0 <= |d| <= 1; a power of 0.5 or 8 is the end of its range."""
    fits = []
    for power in np.arange(0.5, 8.01, 0.1):
        terms = np.stack([np.ones_like(away), -(away**power)], axis=1)
        scale, slope = np.linalg.lstsq(terms, values, rcond=None)[0]
        fits.append((float(np.sqrt(((terms @ (scale, slope) - values) ** 2).mean())), scale, slope / scale, power))
    return dict(zip(("rms", "scale", "loss", "power"), min(fits), strict=True))


def profile_rows(hearts: Sequence[Heart]) -> Iterator[Row]:
    """Each slice relative to the largest of its heart (brightness: minus the median), from the middle of the scar to its ends.

    An end is real where a labelled slice without scar follows; the other ends lie at the border of the labelled stack.
    """
    places: dict[str, list[tuple[Heart, int]]] = {}
    for heart in (heart for heart in hearts if len(heart.scarred) >= LEAST_PROFILE):
        for end, side, real in (("basal", -1, heart.ends[0] > 0), ("apical", 1, heart.ends[1] < heart.labelled)):
            for group in (f"{end}, {'real' if real else 'border'}", *(["both, real"] if real else [])):
                places.setdefault(group, []).append((heart, side))
    for group in sorted(places):
        for name, measure in PROFILES.items():
            points: list[tuple[float, float]] = []
            for heart, side in places[group]:
                values = np.array([np.nan if (value := measure(each)) is None else value for each in heart.scarred])
                values = values - np.nanmedian(values) if name == "brightness" else values / np.nanmax(values)
                away = [side * heart.place_in_scar(each) for each in heart.scarred]
                points += [(abs(d), value) for d, value in zip(away, values, strict=True) if d > -1e-9 and np.isfinite(value)]
            away, found = np.array(points).T
            row: Row = {"end": group, "measure": name, "scars": len(places[group]), "slices": len(points)}
            for low, high in itertools.pairwise(BINS):
                inside = found[(away >= low) & (away < high)]
                row |= {f"{low:g}-{high:g}": np.median(inside) if inside.size else np.nan, f"n {low:g}": inside.size}
            yield row if name == "brightness" else row | taper(away, found)


def no_reflow_rows(hearts: Sequence[Heart]) -> Iterator[Row]:
    """How often there is no-reflow, and in hearts that have some, where between the basal and the apical end of the scar."""
    having = [heart for heart in hearts if any(each.no_reflow_mm2 for each in heart.slices)]
    slices = [(heart.place_in_scar(each), each.no_reflow_mm2 / each.scar_mm2) for heart in having for each in heart.scarred]
    yield {"where": "hearts", "of": len(hearts), "with": len(having) / len(hearts)}
    for low, high in itertools.pairwise(FIFTHS):
        shares = [share for place, share in slices if low <= place < high]
        row: Row = {"where": f"{low:g} to {high:g}", "of": len(shares), "with": np.mean(np.array(shares) > 0) if shares else np.nan}
        yield row | summary([share for share in shares if share])
    yield {"where": "share of the slices"} | summary([np.mean([each.no_reflow_mm2 > 0 for each in heart.scarred]) for heart in having])
    yield {"where": "place in the scar"} | summary([place for place, share in slices if share])


def tables_of(hearts: Sequence[Heart]) -> dict[str, list[Row]]:
    """All tables of a set of hearts."""
    scarred = [heart for heart in hearts if heart.scarred]
    return {
        f"{len(scarred)} of {len(hearts)} hearts have scar; {sum(heart.labelled for heart in hearts)} slices": list(heart_rows(scarred)),
        "likeness of slices": list(likeness_rows(scarred)),
        "measures of slices, and changes towards the apex": list(change_rows(scarred)),
        "profile from the middle of the scar (0) to its end (1)": list(profile_rows(scarred)),
        "no-reflow, from the basal (-1) to the apical end (1) of the scar; its share of the scar": list(no_reflow_rows(scarred)),
    }


def print_table(title: str, rows: Sequence[Row]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names] + [[_text(row.get(name)) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print(f"\n{title}")
    for line in cells:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.3g}"


def _plain(value: object) -> object:
    number = value.item() if isinstance(value, np.generic) else value
    return (round(number, 4) if np.isfinite(number) else None) if isinstance(number, float) else number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_option(parser)
    parser.add_argument("--part", default="train")
    parser.add_argument("--landmarks", type=Path, help="CSV of RV insertions; without it they are found in the images")
    parser.add_argument("--compare", type=Path, help="another folder of labelled stacks, e.g. painted ones")
    parser.add_argument("--json", type=Path, help="write the tables as JSON")
    options = parser.parse_args()
    root = options.data / "emidec"
    patients = tuple(patient for patient in part_of(root / "splits.json", options.part) if patient != SECOND_COPY)
    hearts = read_hearts(CohortSource(root=root, patients=patients, landmarks=options.landmarks))
    tables, apart = tables_of(hearts), {"halves of the patients": halves_apart(hearts)}
    if options.compare is not None:
        others = read_hearts(CohortSource(root=options.compare))
        tables |= {f"{options.compare.name}: {title}": rows for title, rows in tables_of(others).items()}
        apart[f"patients and {options.compare.name}"] = ks_distances(hearts, others)
    tables["Kolmogorov-Smirnov distance"] = [{"between": name} | values for name, values in apart.items()]
    for title, rows in tables.items():
        print_table(title, rows)
    if options.json:
        write_json(options.json, {title: [{k: _plain(v) for k, v in row.items()} for row in rows] for title, rows in tables.items()})


if __name__ == "__main__":
    main()
