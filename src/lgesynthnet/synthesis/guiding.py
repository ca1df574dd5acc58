"""The reward reader as a guide while sampling. Never the filter: it judges what comes out; never the auditor, which only reports."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from lgesynthnet.conditioning.condition import Condition
from lgesynthnet.model_store import part_folder
from lgesynthnet.reward.base import Target
from lgesynthnet.reward.segmentation import SegmentationReward
from lgesynthnet.segmenter.reader import TrainedScarSegmenter
from lgesynthnet.terms import Role


class ScarSegmenterGuide:
    """`Guide` by a reader of role `reward`.

    >>> painter = LGESynthNet.from_pretrained("phantom", sampling=Sampling(best_of=4), guide=ReaderGuide.from_pretrained("phantom"))
    """

    def __init__(self, reader: TrainedScarSegmenter) -> None:
        self.reward = SegmentationReward(reader)
        self.fingerprint = reader.fingerprint

    @classmethod
    def from_pretrained(cls, folder: str | Path = "phantom") -> ScarSegmenterGuide:
        """The `reward` reader of a shipped model, a model folder, or a reader's own folder.

        Raises:
            ModelError: there is none.
        """
        return cls(TrainedScarSegmenter.from_pretrained(part_folder(folder, Role.REWARD.value), Role.REWARD))

    def loss(self, image: Float[Tensor, "b 1 128 128"], made: list[Condition]) -> Float[Tensor, " b"]:
        return self.reward.loss(image, Target.of(made, image.device))
