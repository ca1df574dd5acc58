"""Compare the phantom with real images: brightness of tissues, contrast-to-noise ratio, texture, and a classifier of the two.

    python experiments/phantom_look.py --phantom FOLDER [--data FOLDER] [--patients 60]

It prints sizes measured on the labels, brightness by tissue, contrast-to-noise ratios, and the area under the ROC curve of a classifier
that separates real from phantom slices. --data (default: the environment variable LGESYNTHNET_DATA) holds emidec/ with splits.json. Only
the `train` patients are read. All slices count equally. The RV label of the phantom counts as background, because EMIDEC has none.

Units: `image` maps the 1st to 99th percentile of the non-zero pixels of an image to 0..1; `heart` is `conditioning.intensity.HeartWindow`.
Noise is the robust standard deviation (1.48 MAD) of the image minus its 3 mm Gaussian, in the blood pool at least 2 mm from the
wall. It includes trabeculae and slow flow. Published contrast-to-noise ratios (scar-wall 31 to 38, scar-blood 3 to 4) divide by the
noise of air in magnitude images. Phase-sensitive and interpolated images have no such air, so only the ratio of the two
contrasts (about 10) can be compared.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from real_data import add_data_option, patients_of
from scipy import ndimage, stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lgesynthnet.anatomy.frame import wall_thickness_mm
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.ring import usable_slices
from lgesynthnet.records import Label, ShortAxisSlice

TISSUES = {"blood": Label.CAVITY, "wall": Label.WALL, "scar": Label.SCAR, "no-reflow": Label.NO_REFLOW, "background": Label.BACKGROUND}
LEAST_PIXELS = 20
LEVELS = np.linspace(0.02, 0.98, 49)  # each slice contributes these quantiles of a tissue, so that large tissues do not count more
MARGIN_MM = 25.0  # of the heart crop round the epicardium
BANDS_PER_MM = (0.03, 0.08, 0.15, 0.25, 0.4)
FOLDS = 5
PENALTY = 1e-3  # on the squared weights, against the mean loss of a slice


def slices_of(root: Path, names: set[str] | None, patients: int | None) -> Iterator[ShortAxisSlice]:
    cohort = open_cohort(root)
    cases = [case for case in cohort.cases if names is None or case.patient in names]
    # Healthy patients come first by name; every n-th patient keeps the mixture of the cohort.
    step = max(len(cases) // patients, 1) if patients else 1
    for case in cases[::step][: patients or None]:
        stack = cohort.read(case)
        yield from (stack[index] for index in usable_slices(stack)[0])


def unit(image: np.ndarray) -> np.ndarray:
    low, high = np.percentile(image[image != 0], (1, 99))
    return (image.astype(np.float32) - low) / (high - low)


def brightness(slice_: ShortAxisSlice) -> dict[tuple[str, str], np.ndarray]:
    """(unit, tissue) -> values of the pixels of the tissue."""
    labels = np.where(slice_.labels == Label.RV, Label.BACKGROUND, slice_.labels)
    statistics = {}
    for system, image in (("image", unit(slice_.image)), ("heart", HeartWindow.from_slice(slice_).to_unit(slice_.image))):
        for name, label in TISSUES.items():
            inside = (labels == label) & (slice_.image != 0)
            if inside.sum() >= LEAST_PIXELS:
                statistics[system, name] = image[inside]
    return statistics


def noise_of(image: np.ndarray, slice_: ShortAxisSlice) -> float | None:
    """Noise of a slice as defined above; None where the blood pool is too small."""
    inside = ndimage.distance_transform_edt(slice_.cavity, sampling=slice_.spacing_mm) > 2.0
    if inside.sum() < LEAST_PIXELS:
        return None
    rest = image - ndimage.gaussian_filter(image, [3.0 / side for side in slice_.spacing_mm])
    return float(1.4826 * stats.median_abs_deviation(rest[inside])) or None


def contrast(slice_: ShortAxisSlice) -> dict[str, float]:
    image = unit(slice_.image)
    noise, scar = noise_of(image, slice_), slice_.labels == Label.SCAR
    wall = slice_.labels == Label.WALL
    if noise is None or scar.sum() < LEAST_PIXELS or wall.sum() < LEAST_PIXELS:
        return {}
    level = {name: float(np.median(image[mask])) for name, mask in (("scar", scar), ("wall", wall), ("blood", slice_.cavity))}
    return {"scar-wall": (level["scar"] - level["wall"]) / noise, "scar-blood": (level["scar"] - level["blood"]) / noise}


def measure(slice_: ShortAxisSlice) -> dict[str, float] | None:
    """The statistics for the classifier, all at 1 mm; None where the blood pool is too small to measure noise."""
    noise = noise_of(unit(slice_.image), slice_)
    at_1_mm = ndimage.zoom(unit(slice_.image), slice_.spacing_mm, order=1)
    scale = [a / b for a, b in zip(at_1_mm.shape, slice_.image.shape, strict=True)]
    wanted = {"blood": slice_.cavity, "wall": slice_.labels == Label.WALL, "heart": slice_.cavity | slice_.wall, "seen": slice_.image != 0}
    masks = {name: ndimage.zoom(mask.astype(np.uint8), scale, order=0).astype(bool) for name, mask in wanted.items()}
    if noise is None or masks["wall"].sum() < LEAST_PIXELS:
        return None
    near = ndimage.distance_transform_edt(~masks["heart"]) < MARGIN_MM
    heart, rest = near & masks["seen"], masks["seen"] & ~near
    blood, wall, far = at_1_mm[masks["blood"]], at_1_mm[masks["wall"]], at_1_mm[rest]
    steep = np.hypot(*np.gradient(at_1_mm))
    fine = at_1_mm - ndimage.gaussian_filter(at_1_mm, 4.0)
    centre = ndimage.center_of_mass(masks["heart"])
    statistics = {
        "heart: blood": float(np.median(blood)),
        "heart: blood SD": float(blood.std()),
        "heart: wall": float(np.median(wall)),
        "heart: wall SD": float(wall.std()),
        "heart: grain in blood": noise,
        "heart: median gradient": float(np.median(steep[heart])),
        "heart: 95th percentile of gradient": float(np.percentile(steep[heart], 95)),
        "heart: correlation at 1 mm": correlation(fine, heart, 1),
        "heart: correlation at 2 mm": correlation(fine, heart, 2),
        "image: background": float(np.median(far)),
        "image: background below .1": float((far < 0.1).mean()),
        "image: background above .8": float((far > 0.8).mean()),
        "image: background skewness": float(stats.skew(far)),
        "image: median gradient": float(np.median(steep[rest])),
        "image: 95th percentile of gradient": float(np.percentile(steep[rest], 95)),
        "image: correlation at 1 mm": correlation(fine, rest, 1),
        "image: correlation at 2 mm": correlation(fine, rest, 2),
    }
    return statistics | {f"heart: {name}": share for name, share in bands(at_1_mm, (round(centre[0]), round(centre[1]))).items()}


def correlation(fine: np.ndarray, inside: np.ndarray, lag: int) -> float:
    """Autocorrelation of the fine structure at a lag in pixels, over rows and columns, -1 to 1."""
    pairs = [
        (fine[lag:][both], fine[:-lag][both])
        for fine, inside in ((fine, inside), (fine.T, inside.T))
        for both in [inside[lag:] & inside[:-lag]]
    ]
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return float(np.corrcoef(first, second)[0, 1])


def bands(at_1_mm: np.ndarray, centre: tuple[int, int], side: int = 96) -> dict[str, float]:
    """Decadic logarithm of the share of radial power by band of spatial frequency (1/mm) in a windowed square round the heart."""
    padded = np.pad(at_1_mm, side // 2, mode="reflect")
    square = padded[centre[0] : centre[0] + side, centre[1] : centre[1] + side]
    window = np.hanning(side)[:, None] * np.hanning(side)
    power = np.abs(np.fft.rfft2((square - square.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    edges = list(pairwise(BANDS_PER_MM))
    return {f"power {low}-{high}/mm": float(np.log10(power[(radius >= low) & (radius < high)].sum() / power.sum())) for low, high in edges}


def classify(table: np.ndarray, real: np.ndarray, patients: list[str]) -> float:
    """AUC of a ridge logistic regression that separates real and phantom slices, cross-validated by patient."""
    names = sorted(set(patients))
    folds = PredefinedSplit([names.index(name) % FOLDS for name in patients])
    trained_on = len(real) * (FOLDS - 1) / FOLDS
    regression = LogisticRegression(C=1 / (2 * PENALTY * trained_on), class_weight="balanced", max_iter=1000)
    model = make_pipeline(StandardScaler(), regression)
    return float(roc_auc_score(real, cross_val_predict(model, table, real, cv=folds, method="decision_function")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantom", type=Path, required=True)
    add_data_option(parser)
    parser.add_argument("--patients", type=int, help="number of phantom patients to read, spread evenly over the folder")
    options = parser.parse_args()
    train = patients_of(options.data, "train")
    sides = {
        "real": list(slices_of(options.data / "emidec", train, None)),
        "phantom": list(slices_of(options.phantom, None, options.patients)),
    }
    print(", ".join(f"{side}: {len({s.patient for s in slices})} patients, {len(slices)} slices" for side, slices in sides.items()))
    print_anatomy(sides)
    print_brightness(sides)
    print_contrast(sides)
    print_classifier(sides)


def anatomy(slice_: ShortAxisSlice) -> dict[str, float]:
    """Sizes measured on the labels; without scar, the sizes of the scar are left out."""
    pixel_mm2 = slice_.spacing_mm[0] * slice_.spacing_mm[1]
    thick = wall_thickness_mm(slice_.cavity, slice_.wall, slice_.spacing_mm)
    axes = np.linalg.eigvalsh(np.cov(np.argwhere(slice_.cavity).T * np.array(slice_.spacing_mm)[:, None]))
    statistics = {
        "endocardial radius, mm": float(np.sqrt(slice_.cavity.sum() * pixel_mm2 / np.pi)),
        "wall, mm": float(np.nanmedian(thick)),
        "wall, SD / mean": float(np.nanstd(thick) / np.nanmean(thick)),
        "cavity, short / long axis": float(np.sqrt(axes[0] / axes[1])),
    }
    remote = slice_.wall & ~slice_.scar
    if slice_.scar.any():
        statistics["burden of the slice"] = float(slice_.scar.sum() / slice_.wall.sum())
        if slice_.scar.sum() > 40 and remote.any():
            statistics["scarred / remote wall"] = float(np.median(thick[slice_.scar]) / np.median(thick[remote]))
    return statistics


def print_anatomy(sides: dict[str, list[ShortAxisSlice]]) -> None:
    print("\nlabels                       2 / 25 / 50 / 75 / 98th percentile of slices")
    print(f"{'':29}{'real':38}phantom")
    statistics = {side: [anatomy(slice_) for slice_ in slices] for side, slices in sides.items()}
    for name in {name: None for rows in statistics["real"] for name in rows}:
        values = [
            np.percentile([row[name] for row in statistics[side] if name in row], (2, 25, 50, 75, 98)) for side in ("real", "phantom")
        ]
        shown = [" / ".join(f"{v:.2f}" for v in side) for side in values]
        print(f"{name:29}{shown[0]:38}{shown[1]}")


def print_brightness(sides: dict[str, list[ShortAxisSlice]]) -> None:
    pooled: dict[str, dict[tuple[str, str], list[np.ndarray]]] = {side: defaultdict(list) for side in sides}
    means: dict[str, dict[tuple[str, str], list[float]]] = {side: defaultdict(list) for side in sides}
    for side, slices in sides.items():
        for slice_ in slices:
            for key, pixels in brightness(slice_).items():
                pooled[side][key].append(np.quantile(pixels, LEVELS))
                means[side][key].append(float(pixels.mean()))
    print("\nbrightness          median [10th, 90th percentile] of pixels       Wasserstein distance")
    print(f"{'':20}{'real':24}{'phantom':24}{'pixels':>8}{'slice means':>14}")
    for key in sorted(pooled["real"]):
        both = [np.concatenate(pooled[side][key]) if pooled[side][key] else np.array([np.nan]) for side in ("real", "phantom")]
        if not np.isfinite(both[1]).all():
            continue
        shown = ["{1:5.2f} [{0:5.2f}, {2:5.2f}]".format(*np.percentile(pixels, (10, 50, 90))) for pixels in both]
        distances = stats.wasserstein_distance(*both), stats.wasserstein_distance(means["real"][key], means["phantom"][key])
        print(f"{' '.join(key):20}{shown[0]:24}{shown[1]:24}{distances[0]:8.3f}{distances[1]:14.3f}")


def print_contrast(sides: dict[str, list[ShortAxisSlice]]) -> None:
    print("\ncontrast to noise   median [quartiles] of slices with scar")
    statistics = {side: [ratios for ratios in map(contrast, slices) if ratios] for side, slices in sides.items()}
    for name in ("scar-wall", "scar-blood"):
        shown = [
            "{1:5.1f} [{0:5.1f}, {2:5.1f}]".format(*np.percentile([c[name] for c in statistics[side]], (25, 50, 75))) for side in sides
        ]
        print(f"{name:20}{shown[0]:24}{shown[1]:24}")


def print_classifier(sides: dict[str, list[ShortAxisSlice]]) -> None:
    rows = [
        (side, slice_.patient, statistics)
        for side, slices in sides.items()
        for slice_ in slices
        if (statistics := measure(slice_)) is not None
    ]
    names = list(rows[0][2])
    table = np.array([[statistics[name] for name in names] for _, _, statistics in rows])
    real = np.array([side == "real" for side, _, _ in rows])
    patients = [f"{side} {patient}" for side, patient, _ in rows]
    print("\nclassifier          area under the ROC curve of real against phantom (0.5 is chance), cross-validated by patient")
    for part in ("heart", "image", ""):
        chosen = [i for i, name in enumerate(names) if name.startswith(part)]
        print(f"{len(chosen):3} statistics of the {part or 'both':14}{classify(table[:, chosen], real, patients):6.3f}")
    print(f"\n{'each statistic alone':40}{'AUC':>6}   real median [quartiles]     phantom")
    for column in sorted(range(len(names)), key=lambda i: -abs(roc_auc_score(real, table[:, i]) - 0.5)):
        shown = ["{1:7.3f} [{0:6.3f}, {2:6.3f}]".format(*np.percentile(table[side, column], (25, 50, 75))) for side in (real, ~real)]
        print(f"{names[column]:40}{roc_auc_score(real, table[:, column]):6.3f}   {shown[0]:28}{shown[1]}")


if __name__ == "__main__":
    main()
