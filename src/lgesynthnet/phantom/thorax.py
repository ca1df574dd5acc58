"""The surroundings of the heart: chest wall, lung, diaphragm, liver, stomach, spleen, bowel, aorta and spine.

Organs are ellipsoids and half planes, deformed by a smooth warp so that no two look alike. They are as varied as a network
needs to learn what is *not* heart; they are not exact anatomy. Coordinates are millimetres from the LV centre.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8
from scipy import ndimage

from lgesynthnet.phantom.body import Body, Tissue
from lgesynthnet.phantom.heart import Contours

Grid = Float32[np.ndarray, "rows cols"]
Scene = UInt8[np.ndarray, "rows cols"]


def draw_thorax(body: Body, index: float, middle: Contours, shift_mm: tuple[float, float], points: int, pixel_mm: float) -> Scene:
    """Draw the tissues of the whole field of view without the heart, of shape (points, points).

    Args:
        index: slice position; 0 is the base.
        middle: the heart in the middle of the stack, which touches chest wall and diaphragm.
        shift_mm: (down, right) displacement of this slice in mm.
        pixel_mm: side of a pixel in mm.
    """
    rng = np.random.default_rng([body.thorax_seed, 1])  # every slice shows the same body
    depth_mm = (index - (body.slices - 1) / 2) * body.slice_step_mm
    origin_mm = (middle.centre_mm[0] + shift_mm[0], middle.centre_mm[1] + shift_mm[1])
    y, x = _warped(points, pixel_mm, origin_mm, rng)
    scene = np.full((points, points), Tissue.LUNG, np.uint8)
    outside = _chest(body, middle, y, x, rng)
    _vessels(scene, pixel_mm, origin_mm, rng, count=int(rng.integers(12, 60)), size_mm=(0.5, 1.8), box_mm=(-110, 110, -90, 130))
    below, across = _abdomen_axes(middle, y, x, depth_mm, rng)
    _abdomen(scene, below, across, depth_mm, rng)
    _back(scene, y, x, rng)
    _chest_wall(scene, outside, x, y, rng)
    return scene


def _warped(points: int, pixel_mm: float, centre_mm: tuple[float, float], rng: np.random.Generator) -> tuple[Grid, Grid]:
    """(down, right) of every pixel in mm, with a smooth random displacement of a few millimetres."""
    along = ((np.arange(points) - (points - 1) / 2) * pixel_mm).astype(np.float32)
    strength = float(rng.uniform(1.5, 6.0))
    spread = ndimage.zoom(np.eye(7), (points / 7, 1), order=3, mode="nearest", grid_mode=True)  # cubic interpolation as a matrix
    # einsum instead of matrix products, because their library would start threads in every worker process.
    displacements = [np.einsum("ia,ja->ij", np.einsum("ia,ab->ib", spread, rng.normal(0, strength, (7, 7))), spread) for _ in range(2)]
    down, right = (displacement.astype(np.float32) for displacement in displacements)
    return along[:, None] - np.float32(centre_mm[0]) + down, along[None, :] - np.float32(centre_mm[1]) + right


def _chest(body: Body, middle: Contours, y: Grid, x: Grid, rng: np.random.Generator) -> Grid:
    """Distance in mm outside the inner surface of the chest wall, negative inside. The RV lies next to it."""
    septum = np.radians(body.anterior_deg + body.septum_deg / 2 + rng.normal(-15, 20))
    towards = np.array([-np.sin(septum), np.cos(septum)], np.float32)  # (down, right), from the LV to the nearest chest wall
    a, b = rng.uniform(85, 145), rng.uniform(68, 115)
    turn = rng.uniform(-0.7, 0.7)
    belly = np.float32(rng.uniform(0.3, 0.8))  # the body continues below the heart
    power = rng.uniform(2.0, 3.2)
    reach = float(middle.fat.max()) + rng.uniform(-2, 22)
    cos, sin = np.cos(turn), np.sin(turn)

    def level(down: Float32[np.ndarray, "*shape"], right: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
        down = np.where(down > 0, down * belly, down)
        u, v = np.abs(right * cos + down * sin) / a, np.abs(down * cos - right * sin) / b
        return np.asarray((u**power + v**power) ** (1 / power), np.float32)

    radius = 1.0 / float(level(towards[:1], towards[1:])[0])
    away = np.float32(radius - reach)
    scale = np.float32((a + b) / 2)
    return (level(y + away * towards[0], x + away * towards[1]) - 1) * scale


def _chest_wall(scene: Scene, outside: Grid, x: Grid, y: Grid, rng: np.random.Generator) -> None:
    pleura, muscle = float(rng.choice([0.0, rng.uniform(1, 8)])), float(rng.uniform(4, 16))
    fat = float(rng.gamma(2.2, 7.0) + 2.0)
    around = np.arctan2(y, x)
    fat_here = fat * (1 + 0.4 * np.cos(around * rng.integers(1, 3) + rng.uniform(0, 6)))
    scene[outside > 0] = Tissue.FAT
    scene[outside > pleura] = Tissue.MUSCLE
    ribs = np.sin(around * rng.uniform(14, 26) + rng.uniform(0, 6)) > rng.uniform(0.2, 0.8)
    scene[(outside > pleura + 0.2 * muscle) & (outside < pleura + 0.75 * muscle) & ribs] = Tissue.BONE
    scene[outside > pleura + muscle] = Tissue.FAT
    scene[outside > pleura + muscle + fat_here] = Tissue.AIR


def _abdomen_axes(middle: Contours, y: Grid, x: Grid, depth_mm: float, rng: np.random.Generator) -> tuple[Grid, Grid]:
    """Distances in mm below the diaphragm, on which the heart lies, and to the right along it."""
    down = np.radians(rng.normal(268, 14))
    unit = (-np.sin(down), np.cos(down))  # (down, right), pointing out of the chest
    along = y * unit[0] + x * unit[1]
    across = x * unit[0] - y * unit[1]
    curve, apex = rng.uniform(-0.0015, 0.0035), rng.uniform(-45, 45)
    bearing = int(np.degrees(down) % 360.0 * len(middle.epi) / 360) % len(middle.epi)
    edge = max(float(middle.epi[bearing]), float(middle.epi.mean())) + rng.uniform(-3, 6) + 0.12 * depth_mm
    dome = curve * ((across - apex) ** 2 - apex**2)
    return (along - edge - dome).astype(np.float32), across.astype(np.float32)


def _abdomen(whole: Scene, below_mm: Grid, across_mm: Grid, depth_mm: float, rng: np.random.Generator) -> None:
    """Draw diaphragm, liver with its vessels, spleen, stomach and bowel over each other."""
    where = below_mm > 0
    below, across = below_mm[where], across_mm[where]
    scene = np.full(below.shape, Tissue.MUSCLE, np.uint8)  # the diaphragm itself
    filling = (Tissue.FAT, Tissue.BOWEL, Tissue.SPLEEN, Tissue.MUSCLE, Tissue.LIVER)
    fat_mm = rng.uniform(1.0, 3.0)
    scene[below > fat_mm] = Tissue.FAT
    scene[below > fat_mm + rng.gamma(1.5, 3.0)] = Tissue(int(rng.choice(filling, p=[0.35, 0.25, 0.15, 0.1, 0.15])))
    limit = rng.uniform(-30, 80)
    liver = (below > rng.uniform(1.5, 5)) & (across < limit - 0.3 * below) & (below < rng.uniform(50, 140))
    scene[liver] = Tissue.LIVER
    for _ in range(int(rng.integers(4, 18))):
        centre, size, stretch = (rng.uniform(8, 90), rng.uniform(-110, limit)), rng.uniform(1.2, 4.5), rng.uniform(1, 3.5)
        nearby = np.flatnonzero(np.abs(below - centre[0]) < size)
        inside = np.hypot(below[nearby] - centre[0], (across[nearby] - centre[1]) / stretch) < size
        scene[nearby[inside & liver[nearby]]] = Tissue.VESSEL
    organs = [(Tissue.SPLEEN, (limit + rng.uniform(30, 95), rng.uniform(8, 50)), (rng.uniform(14, 30), rng.uniform(16, 38)), 0.0)]
    organs += [(Tissue.STOMACH, (limit + rng.uniform(0, 40), rng.uniform(14, 40)), (rng.uniform(12, 34), rng.uniform(9, 26)), 4.0)]
    for _ in range(int(rng.integers(1, 9))):
        content = Tissue(int(rng.choice([Tissue.STOMACH, Tissue.AIR, Tissue.FAT, Tissue.SPLEEN])))
        organs.append((content, (rng.uniform(-60, 120), rng.uniform(20, 100)), (rng.uniform(7, 20), rng.uniform(7, 18)), 2.5))
    for tissue, (right, down), (wide, high), wall_mm in organs:
        flat = np.sqrt(max(1 - ((depth_mm - rng.uniform(-30, 30)) / 60) ** 2, 0.1))
        folds, gas = rng.integers(6, 14), (rng.random() < 0.5, rng.uniform(-0.4, 0.4))
        nearby = np.flatnonzero(np.abs(across - right) < 1.5 * (wide + wall_mm))
        u, v = (across[nearby] - right) / (wide * flat), (below[nearby] - down) / (high * flat)
        oval = np.hypot(u, v)
        if wall_mm:
            scene[nearby[oval < 1 + wall_mm / high]] = Tissue.BOWEL
            oval = oval * (1 + 0.12 * np.cos(folds * np.arctan2(v, u)))
        scene[nearby[oval < 1]] = tissue
        if tissue is Tissue.STOMACH and gas[0]:  # gas above the fluid
            scene[nearby[(oval < 0.9) & (u > gas[1])]] = Tissue.AIR
    whole[where] = scene


def _back(scene: Scene, y: Grid, x: Grid, rng: np.random.Generator) -> None:
    """Draw the descending aorta and, in some patients, the spine behind it."""
    direction = np.radians(rng.normal(325, 25))
    far = rng.uniform(75, 130)
    centre = (-np.sin(direction) * far, np.cos(direction) * far)
    spine = (centre[0] + rng.uniform(15, 32), centre[1] + rng.uniform(-5, 30))
    if rng.random() < 0.4:
        scene[np.hypot(y - spine[0], x - spine[1]) < rng.uniform(32, 48)] = Tissue.MUSCLE
        scene[np.hypot(y - spine[0], x - spine[1]) < rng.uniform(17, 25)] = Tissue.BONE
    size = rng.uniform(8, 13)
    scene[np.hypot(y - centre[0], x - centre[1]) < size + 1.5] = Tissue.MUSCLE
    scene[np.hypot(y - centre[0], x - centre[1]) < size] = Tissue.BLOOD


def _vessels(
    scene: Scene,
    pixel_mm: float,
    origin_mm: tuple[float, float],
    rng: np.random.Generator,
    *,
    count: int,
    size_mm: tuple[float, float],
    box_mm: tuple[float, float, float, float],
) -> None:
    """Draw short bright vessels, each in its own small box."""
    middle = (np.array(scene.shape) - 1) / 2
    for _ in range(count):
        size, stretch, turn = rng.uniform(*size_mm), rng.uniform(1, 5), rng.uniform(0, np.pi)
        centre = np.array([rng.uniform(box_mm[0], box_mm[1]), rng.uniform(box_mm[2], box_mm[3])]) + origin_mm
        row, col = (middle + centre / pixel_mm).astype(int)
        half = int(np.ceil(size * stretch / pixel_mm))
        rows, cols = (slice(max(c - half, 0), max(c + half + 1, 0)) for c in (row, col))
        box = scene[rows, cols]
        if box.size:
            down = (np.arange(rows.start, rows.start + box.shape[0]) - row)[:, None] * pixel_mm
            right = (np.arange(cols.start, cols.start + box.shape[1]) - col)[None, :] * pixel_mm
            u, v = right * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - right * np.sin(turn)
            box[np.hypot(u / stretch, v) < size] = Tissue.VESSEL
