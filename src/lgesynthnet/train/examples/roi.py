"""Training examples on the working grid of 128 x 128 pixels of 1 mm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float16, Float32, UInt8

from lgesynthnet.conditioning.condition import Condition, Template
from lgesynthnet.conditioning.repaint_region import draw_hidden_region
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label
from lgesynthnet.segmenter.symmetry import SYMMETRIES, turned


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """How often training leaves out a part of the condition.

    Each part then learns to carry the scar by itself, and classifier-free guidance has an unconditional branch.

    Attributes:
        edges: chance that there are no edge maps. Most of the wall is then hidden, because a small hidden region would show where the
            scar lies.
        caption: chance that there is no caption where edges are shown (one half in the paper).
        caption_alone: chance that there is no caption where edges are left out too.
        anatomy: chance that wall, cavity and angle are not shown where edges are.
        template: whether every condition comes with a scarred slice of another patient as its reference.
    """

    edges: float = 0.0
    caption: float = 0.0
    caption_alone: float = 0.0
    anatomy: float = 0.0
    template: bool = False


WHOLE_WALL_WITHOUT_EDGES = 0.8  # chance that the whole wall is hidden
PARAPHRASED = 0.4  # share of captions in other words than `caption` writes
WORDINGS = 4  # stored for each slice
BASE_DROPOUT = Dropout(edges=1.0, caption_alone=0.15, anatomy=0.05)
CONTROL_DROPOUT = Dropout(edges=0.3, caption=0.5, caption_alone=0.15, anatomy=0.05)


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Slices on the 128 x 128 grid of 1 mm.

    Attributes:
        image: (n, 128, 128) heart units.
        labels: (n, 128, 128) of `Label`.
        nominal_deg: (n, 128, 128) AHA angle in degrees.
        brightness: (n,) rank of the scar's mean intensity among the cohort's scars, 0 to 1; 0.5 without scar.
        captions, patients: n strings each.
        wordings: the caption of each slice in four other wordings.
        levels: n values of `Level`.
        scar_levels: 21 quantiles of the scars' mean intensity in heart units, which the ranks stand for.
        source: the cohort's folder, and which of its patients were used.
        fingerprint: of the files that they were made of, see `train.examples.files.fingerprint_of`.
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
    fingerprint: str = ""

    @cached_property
    def scarred(self) -> Bool[np.ndarray, " n"]:
        """Which examples hold scar."""
        return np.asarray((self.labels >= Label.SCAR).any(axis=(1, 2)))

    def __len__(self) -> int:
        return len(self.captions)

    def in_all_views(self) -> Examples:
        """These examples in all eight symmetries of the square. The AHA angle travels with its pixel, so every caption stays true.

        A few dozen patients are few pictures; eight views of each keep a fine-tuned model from memorising them.
        """

        def all_views(pictures: np.ndarray) -> np.ndarray:
            return np.concatenate([turned(torch.from_numpy(pictures), view).numpy() for view in range(SYMMETRIES)])

        return replace(
            self,
            image=all_views(self.image),
            labels=all_views(self.labels),
            nominal_deg=all_views(self.nominal_deg),
            brightness=np.tile(self.brightness, SYMMETRIES),
            captions=self.captions * SYMMETRIES,
            wordings=self.wordings * SYMMETRIES,
            levels=self.levels * SYMMETRIES,
            patients=self.patients * SYMMETRIES,
        )

    def condition(self, i: int, rng: np.random.Generator, drop: Dropout | None = None) -> Condition:
        """Example `i` as a condition; hidden region, wording and what is left out are drawn anew.

        Raises:
            InputError: a template is wanted, and no other patient has scar.
        """
        drop = drop or Dropout()
        labels = self.labels[i]
        scar = (labels == Label.SCAR) | (labels == Label.NO_REFLOW)
        wall = scar | (labels == Label.WALL)
        nominal = self.nominal_deg[i].astype(np.float32)
        show_edges = rng.random() >= drop.edges
        silent = rng.random() < (drop.caption if show_edges else drop.caption_alone)
        words = self.wordings[i][int(rng.integers(WORDINGS))] if rng.random() < PARAPHRASED else self.captions[i]
        whole_wall = {} if show_edges else {"whole_wall": WHOLE_WALL_WITHOUT_EDGES}
        return Condition(
            image=self.image[i].astype(np.float32),
            hidden=draw_hidden_region(scar, wall, nominal, rng, **whole_wall),
            scar=scar,
            no_reflow=labels == Label.NO_REFLOW,
            wall=wall,
            cavity=labels == Label.CAVITY,
            nominal_deg=nominal,
            brightness=float(self.brightness[i]),
            caption="" if silent else words,
            show_edges=show_edges,
            show_anatomy=not show_edges or rng.random() >= drop.anatomy,
            template=self.template(i, rng) if drop.template else None,
        )

    def template(self, i: int, rng: np.random.Generator) -> Template:
        """A slice with scar of another patient than that of example `i`, drawn from `rng`.

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
