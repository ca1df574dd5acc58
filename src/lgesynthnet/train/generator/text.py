"""Training of the compact text encoder: wordings of one scar get similar vectors, different scars different ones.

No data is needed. Prescriptions are drawn and worded twice by the grammar. Half of each batch differs from the other half in one attribute,
so that "anterior" and "inferior" do not stay as similar as they are in general encoders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.anatomy.aha import SEGMENTS
from lgesynthnet.model.text import MAX_TOKENS, SPECIAL, BertModel, BertTokenizerFast, hidden_states, pooled
from lgesynthnet.prescription.grammar.paraphrasing import Meaning, caption_meaning, paraphrase
from lgesynthnet.prescription.grammar.vocabulary import EXTENT_BINS
from lgesynthnet.prescription.grammar.writing import write_caption
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Pattern, ScarPrescription
from lgesynthnet.records import Level
from lgesynthnet.terms import Prior

TEMPERATURE = 0.07
MASKED = 0.15  # share of tokens, as in BERT
CANONICAL = 0.5  # share of first wordings that are written as `caption` writes them, which the generator reads most
NO_SCAR = 0.04  # share of captions that state that there is no enhancement


class CaptionTask:
    """Contrastive loss (InfoNCE over two wordings), masked-language loss and attribute losses of a batch of captions.

    Args:
        leave_out: meanings that are never drawn, to test afterwards how the encoder handles them.
    """

    def __init__(self, bert: BertModel, tokenizer: BertTokenizerFast, leave_out: frozenset[Meaning] = frozenset()) -> None:
        width = bert.config.hidden_size
        self.bert, self.tokenizer, self.leave_out = bert, tokenizer, leave_out
        self.heads = nn.ModuleDict(
            {
                "contrast": nn.Linear(width, width),
                "words": nn.Linear(width, len(tokenizer)),
                "pattern": nn.Linear(width, len(Pattern) + 1),
                "extent": nn.Linear(width, len(EXTENT_BINS) + 1),
                "segments": nn.Linear(width, 16),
                "obstruction": nn.Linear(width, 1),
            }
        )
        self.trained: nn.Module = nn.ModuleDict({"bert": bert, "heads": self.heads})

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        drawn = draw_pairs(rng, batch, self.leave_out)
        meanings = [caption_meaning(prescription, level) for prescription, level in drawn]
        first = [write_caption(p, level) if rng.random() < CANONICAL else paraphrase(p, level, rng) for p, level in drawn]
        second = [paraphrase(p, level, rng) for p, level in drawn]
        device = next(self.heads.parameters()).device
        tokens = self.tokens(first + second).to(device)
        hidden, is_word = hidden_states(self.bert, self.tokenizer, tokens)
        vectors = pooled(hidden, is_word)
        same = torch.tensor([[row == column for column in meanings] for row in meanings], device=device)
        return self._contrast(vectors, same) + self._attributes(vectors, meanings + meanings) + 0.5 * self._words(tokens, rng)

    def tokens(self, captions: list[str]) -> Int[Tensor, "b tokens"]:
        """Tokens, padded to the longest caption only; padding to 48 would take three times as long."""
        batch = self.tokenizer(captions, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        tokens: Tensor = batch.input_ids
        return tokens

    def _contrast(self, vectors: Float[Tensor, "b2 hidden"], same: Tensor) -> Tensor:
        first, second = functional.normalize(self.heads["contrast"](vectors), dim=1).chunk(2)
        likeness = first @ second.T / TEMPERATURE
        target = torch.arange(len(first), device=likeness.device)
        # An equal scar elsewhere in the batch is not a negative example.
        likeness = likeness.masked_fill(same & ~torch.eye(len(first), dtype=torch.bool, device=likeness.device), -1e4)
        return 0.5 * (functional.cross_entropy(likeness, target) + functional.cross_entropy(likeness.T, target))

    def _attributes(self, vectors: Float[Tensor, "b hidden"], meanings: list[Meaning]) -> Tensor:
        truth = {name: value.to(vectors.device) for name, value in attributes(meanings).items()}
        loss = functional.cross_entropy(self.heads["pattern"](vectors), truth["pattern"])
        loss = loss + functional.cross_entropy(self.heads["extent"](vectors), truth["extent"])
        loss = loss + 4 * functional.binary_cross_entropy_with_logits(self.heads["segments"](vectors), truth["segments"])
        return loss + functional.binary_cross_entropy_with_logits(self.heads["obstruction"](vectors)[:, 0], truth["obstruction"])

    def _words(self, tokens: Int[Tensor, "b tokens"], rng: np.random.Generator) -> Tensor:
        mask_id = self.tokenizer.convert_tokens_to_ids("[MASK]")
        real = tokens >= len(SPECIAL)
        chosen = torch.from_numpy(rng.random(tuple(tokens.shape)) < MASKED).to(tokens.device) & real
        hidden, _ = hidden_states(self.bert, self.tokenizer, tokens.masked_fill(chosen, mask_id))
        return functional.cross_entropy(self.heads["words"](hidden[chosen]), tokens[chosen])


def draw_pairs(rng: np.random.Generator, batch: int, leave_out: frozenset[Meaning] = frozenset()) -> list[tuple[ScarPrescription, Level]]:
    """`batch` prescriptions with the level of their slice; the second half is the first with one attribute changed."""

    def allowed(make: Callable[[], tuple[ScarPrescription, Level]]) -> tuple[ScarPrescription, Level]:
        while caption_meaning(*(pair := make())) in leave_out:
            pass
        return pair

    first = [allowed(lambda: _drawn(rng)) for _ in range((batch + 1) // 2)]
    return (first + [allowed(partial(_sibling, prescription, level, rng)) for prescription, level in first])[:batch]


def attributes(meanings: list[Meaning]) -> dict[str, Tensor]:
    """Targets of the attribute heads: class of pattern and of extent (0 is none); segments and obstruction as 0 or 1."""
    patterns = list(Pattern)
    segments = torch.zeros(len(meanings), 16)
    for row, scar in enumerate(meanings):
        for segment in scar.segments:
            segments[row, segment - 1] = 1.0
    return {
        "pattern": torch.tensor([0 if scar.pattern is None else 1 + patterns.index(scar.pattern) for scar in meanings]),
        "extent": torch.tensor([scar.extent + 1 for scar in meanings]),
        "segments": segments,
        "obstruction": torch.tensor([float(scar.obstruction) for scar in meanings]),
    }


def _drawn(rng: np.random.Generator) -> tuple[ScarPrescription, Level]:
    level = list(Level)[int(rng.integers(len(Level)))]
    prior = (Prior.UNIFORM, Prior.UNIFORM, Prior.ISCHAEMIC, Prior.NON_ISCHAEMIC)[int(rng.integers(4))]
    prescription = draw_prescription(prior, level, rng)
    if rng.random() < NO_SCAR:  # a slice at another level, which the scar does not reach
        return prescription, next(another for another in Level if another is not level)
    return prescription, level


def _sibling(prescription: ScarPrescription, level: Level, rng: np.random.Generator) -> tuple[ScarPrescription, Level]:
    ring = SEGMENTS[level]
    here = prescription.at(level)
    match int(rng.integers(3)):
        case 0 if here and prescription.pattern is not Pattern.RV_INSERTION:  # the same scar in another wall
            shift = int(rng.integers(1, len(ring)))
            moved = frozenset(ring[(ring.index(s) + shift) % len(ring)] for s in here)
            return replace(prescription, segments=moved, arc=None), level
        case 1 if prescription.pattern in (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL):  # the same wall at another depth
            deep = prescription.pattern is Pattern.SUBENDOCARDIAL
            share = float(rng.uniform(TRANSMURAL_ABOVE + 0.02, 1.0) if deep else rng.uniform(0.1, TRANSMURAL_ABOVE))
            pattern = Pattern.TRANSMURAL if deep else Pattern.SUBENDOCARDIAL
            return replace(prescription, pattern=pattern, transmurality=round(share, 2), depth=None), level
        case _:
            return _drawn(rng)
