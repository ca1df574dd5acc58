"""Training examples on the working grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float16, Float32, UInt8

from lgesynthnet.conditioning.condition import Condition, Template
from lgesynthnet.conditioning.repaint_region import draw_hidden_region
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Chances to hide a condition in training, so that each one learns to carry the scar and guidance has something to guide away from.

    Attributes:
        edges: no edge maps; the whole wall is then mostly hidden, or its hidden part would give the scar away.
        caption: no caption, where edges are shown (the paper drops half).
        caption_alone: no caption where edges are dropped too.
        anatomy: no wall, cavity and angle, where edges are shown.
        filled: not a chance; masks stand in place of edges wherever these are shown.
        template: not a chance; each comes with a scarred slice of another patient as its reference.
    """

    edges: float = 0.0
    caption: float = 0.0
    caption_alone: float = 0.0
    anatomy: float = 0.0
    filled: bool = False
    template: bool = False


WHOLE_WALL_WITHOUT_EDGES = 0.8


OTHER_WORDS = 0.4  # of captions; the rest is as `caption` writes it


WORDINGS = 4  # kept for each slice


BASE_DROPOUT = Dropout(edges=1.0, caption_alone=0.15, anatomy=0.05)


CONTROL_DROPOUT = Dropout(edges=0.3, caption=0.5, caption_alone=0.15, anatomy=0.05)


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Slices on the 128 x 128 grid of 1 mm.

    Attributes:
        image: (n, 128, 128) heart units.
        labels: (n, 128, 128) of `Label`.
        nominal_deg: (n, 128, 128) AHA angle.
        brightness: (n,) rank of the scar's mean intensity among the cohort's scars, 0 to 1; 0.5 without scar.
        captions, patients: n strings each.
        wordings: n times the caption in other words.
        levels: n of `Level`.
        scar_levels: 21 quantiles of the scars' mean intensity in heart units; what the ranks mean.
        source: the cohort's folder, and which patients of it.
    """

    image: Float16[np.ndarray, "n 128 128"]
    labels: UInt8[np.ndarray, "n 128 128"]
    nominal_deg: Float16[np.ndarray, "n 128 128"]
    brightness: Float32[np.ndarray, " n"]
    captions: list[str]
    wordings: list[list[str]]
    levels: list[str]
    patients: list[str]
    scar_levels: Float32[np.ndarray, " quantiles"]
    source: str

    @cached_property
    def scarred(self) -> Bool[np.ndarray, " n"]:
        """Which examples hold scar."""
        return np.asarray((self.labels >= Label.SCAR).any(axis=(1, 2)))

    def __len__(self) -> int:
        return len(self.captions)

    def turned(self) -> Examples:
        """These examples in all eight symmetries of the square; the AHA angle travels with its pixel, so every caption stays true.

        A few dozen patients are few pictures; eight views of each keep a fine-tuned model from learning them by heart.
        """

        def all_views(pictures: np.ndarray) -> np.ndarray:
            turns = [np.rot90(pictures, k, axes=(1, 2)) for k in range(4)]
            return np.ascontiguousarray(np.concatenate([*turns, *(turn[:, :, ::-1] for turn in turns)]))

        return replace(
            self,
            image=all_views(self.image),
            labels=all_views(self.labels),
            nominal_deg=all_views(self.nominal_deg),
            brightness=np.tile(self.brightness, 8),
            captions=self.captions * 8,
            wordings=self.wordings * 8,
            levels=self.levels * 8,
            patients=self.patients * 8,
        )

    def condition(self, i: int, rng: np.random.Generator, drop: Dropout | None = None) -> Condition:
        """Example `i` with a freshly drawn hidden region, wording and choice of what is shown."""
        drop = drop or Dropout()
        labels = self.labels[i]
        scar = (labels == Label.SCAR) | (labels == Label.NO_REFLOW)
        wall = scar | (labels == Label.WALL)
        nominal = self.nominal_deg[i].astype(np.float32)
        show_edges = rng.random() >= drop.edges
        silent = rng.random() < (drop.caption if show_edges else drop.caption_alone)
        words = self.wordings[i][int(rng.integers(WORDINGS))] if rng.random() < OTHER_WORDS else self.captions[i]
        return Condition(
            image=self.image[i].astype(np.float32),
            hidden=draw_hidden_region(scar, wall, nominal, rng, **({} if show_edges else {"whole_wall": WHOLE_WALL_WITHOUT_EDGES})),
            scar=scar,
            no_reflow=labels == Label.NO_REFLOW,
            wall=wall,
            cavity=labels == Label.CAVITY,
            nominal_deg=nominal,
            brightness=float(self.brightness[i]),
            caption="" if silent else words,
            show_edges=show_edges,
            show_anatomy=not show_edges or rng.random() >= drop.anatomy,
            filled=drop.filled,
            template=self.template(i, rng) if drop.template else None,
        )

    def template(self, i: int, rng: np.random.Generator) -> Template:
        """A scarred example of another patient than example `i`.

        Raises:
            InputError: no other patient has scar.
        """
        others = np.flatnonzero(self.scarred & (np.asarray(self.patients) != self.patients[i]))
        if not others.size:
            raise InputError(f"{self.patients[i]}: no other patient has scar to serve as a template; train on more patients")
        j = int(rng.choice(others))
        labels = self.labels[j]
        heart = (labels >= Label.CAVITY) & (labels <= Label.NO_REFLOW)
        scar = (labels == Label.SCAR) | (labels == Label.NO_REFLOW)
        return Template.cut(self.patients[j], self.image[j].astype(np.float32), heart, scar)
