"""Captions to vectors: a compact BERT of our own by default, any Hugging Face BERT by folder. The only user of transformers."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertTokenizerFast
from transformers.utils import logging as transformers_logging

from lgesynthnet.errors import ModelError
from lgesynthnet.prescription.language import every_caption_word, every_report_word

MAX_TOKENS = 48
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
transformers_logging.disable_progress_bar()
transformers_logging.set_verbosity_error()


def build_tokenizer() -> BertTokenizerFast:
    """WordPiece of our own: every word of the report grammar and every percentage is one piece, anything else falls into letters."""
    letters = string.ascii_lowercase + string.digits
    words = sorted(every_caption_word() | every_report_word())
    pieces = [*SPECIAL, *words, *map(str, range(10, 101)), *letters, *(f"##{c}" for c in letters), *"%-,.()/"]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    return BertTokenizerFast(tokenizer_object=tokenizer)


class TextEncoder(nn.Module):
    """BERT and a learned projection to the U-Net's width; an empty caption is a learned vector of its own tokens.

    Args:
        bert: any BertModel; ours is two layers, 96 wide.
        width: cross-attention width of the U-Net.
    """

    def __init__(self, bert: BertModel, tokenizer: BertTokenizerFast, width: int) -> None:
        super().__init__()
        self.bert = bert
        self.tokenizer = tokenizer
        self.projection = nn.Linear(bert.config.hidden_size, width)

    def tokens(self, captions: list[str]) -> Int[Tensor, "b tokens"]:
        """Fixed length, so a caption's vectors owe nothing to its batch."""
        return self.tokenizer(captions, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt").input_ids

    def forward(self, tokens: Int[Tensor, "b tokens"]) -> Float[Tensor, "b tokens width"]:
        hidden, seen = hidden_states(self.bert, self.tokenizer, tokens)
        return self.projection(hidden) * seen[..., None]

    @torch.no_grad()
    def read(self, captions: list[str]) -> Float[Tensor, "b tokens width"]:
        return self(self.tokens(captions).to(self.projection.weight.device))


def hidden_states(
    bert: BertModel, tokenizer: BertTokenizerFast, tokens: Int[Tensor, "b tokens"]
) -> tuple[Float[Tensor, "b tokens hidden"], Int[Tensor, "b tokens"]]:
    """BERT's last layer, and 1 where a token is not padding."""
    seen = (tokens != tokenizer.pad_token_id).long()
    return bert(input_ids=tokens, attention_mask=seen).last_hidden_state, seen


def pooled(hidden: Float[Tensor, "b tokens hidden"], seen: Int[Tensor, "b tokens"]) -> Float[Tensor, "b hidden"]:
    """One vector a caption: the mean over its tokens, as sentence encoders take it (Reimers and Gurevych, 2019)."""
    return (hidden * seen[..., None]).sum(1) / seen.sum(1, keepdim=True).clamp(min=1)


def build_bert(width: int, layers: int = 2) -> tuple[BertModel, BertTokenizerFast]:
    """The compact BERT with random weights, and its tokenizer; `train text` teaches it."""
    tokenizer = build_tokenizer()
    bert = BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=4,
            intermediate_size=2 * width,
            max_position_embeddings=MAX_TOKENS,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        ),
        add_pooling_layer=False,
    )
    return bert, tokenizer


def build_text_encoder(width: int, layers: int = 2) -> TextEncoder:
    """The compact encoder with random weights."""
    return TextEncoder(*build_bert(width, layers), width)


def save_bert(bert: BertModel, tokenizer: BertTokenizerFast, folder: Path) -> None:
    """Write what `load_text_encoder` reads."""
    bert.save_pretrained(folder / "text_encoder")
    tokenizer.save_pretrained(folder / "tokenizer")


def load_text_encoder(folder: Path) -> tuple[BertModel, BertTokenizerFast]:
    """A BERT and its tokenizer from a folder of safetensors; pickled weights are refused."""
    try:
        bert = BertModel.from_pretrained(folder / "text_encoder", use_safetensors=True, local_files_only=True, add_pooling_layer=False)
        tokenizer = BertTokenizerFast.from_pretrained(folder / "tokenizer", local_files_only=True)
    except (OSError, ValueError) as fault:
        raise ModelError(f"{folder}: no usable text encoder ({str(fault).splitlines()[0]})") from None
    return bert, tokenizer
