"""Captions to vectors: a compact BERT of our own by default, any Hugging Face BERT by folder or id. The only user of transformers."""

from __future__ import annotations

import re
import string
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer, BertConfig, BertModel, BertTokenizerFast
from transformers.utils import logging as transformers_logging

from lgesynthnet.errors import ModelError
from lgesynthnet.prescription.grammar.language import every_caption_word, every_report_word

MAX_TOKENS = 48
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
BIOMEDBERT = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract-fulltext"  # Gu et al. (2021)
_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")  # OWNER/NAME on the Hugging Face hub
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
        bert: any BertModel, of any width; ours is two layers, 96 wide.
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
    """What `save_bert` wrote, in float32 and in evaluation mode; pickled weights are refused.

    Raises:
        ModelError: a part is missing, damaged, or only there as a pickle.
    """
    try:
        bert = _bert(folder / "text_encoder", local=True)
        tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as fault:
        raise ModelError(f"{folder}: no usable text encoder{_why(fault)}") from None
    return bert, tokenizer


def load_external(name: str | Path, *, allow_download: bool = False) -> tuple[BertModel, BertTokenizerFast]:
    """Any BERT with its tokenizer, in float32 and in evaluation mode; its weights must be safetensors, a pickle is never read.

    Args:
        name: a folder as `save_pretrained` writes it, a folder that `save_bert` wrote, or an id on the Hugging Face hub, such as
            `BIOMEDBERT`, that was fetched before.
        allow_download: fetch the id where it is not on this machine yet.
    Raises:
        ModelError: no such folder, the id is not on this machine, no BERT, or its weights are only there as a pickle.
    """
    folder = Path(name).expanduser()
    if (folder / "text_encoder").is_dir():
        return load_text_encoder(folder)
    if not folder.is_dir() and (isinstance(name, Path) or not _ID.fullmatch(name)):
        raise ModelError(f"{name}: no such folder; give the folder of a BERT or an id such as {BIOMEDBERT}")
    source, local = str(folder if folder.is_dir() else name), folder.is_dir() or not allow_download
    try:
        kind = AutoConfig.from_pretrained(source, local_files_only=local).model_type
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local)
    except (OSError, ValueError) as fault:
        fetch = f"fetch it beforehand with `hf download {source}` (earlier: `huggingface-cli download`), or --allow-download"
        lack = "not the folder of a BERT" if folder.is_dir() else f"not on this machine; {fetch}"
        raise ModelError(f"{source}: {lack}{_why(fault)}") from None
    if kind != "bert":
        raise ModelError(f"{source}: a network of the kind {kind}, not a BERT")
    try:
        return _bert(source, local=local), tokenizer
    except (OSError, ValueError, RuntimeError, SafetensorError) as fault:
        raise ModelError(
            f"{source}: no usable safetensors weights, and pickled ones (*.bin) are never read; if you trust their maker, convert them: "
            f"python -c \"from transformers import AutoModel as M, AutoTokenizer as T; n='{source}'; "
            f"[X.from_pretrained(n).save_pretrained('FOLDER') for X in (M, T)]\", then give FOLDER{_why(fault)}"
        ) from None


def _bert(source: str | Path, *, local: bool) -> BertModel:
    bert = BertModel.from_pretrained(source, use_safetensors=True, local_files_only=local, add_pooling_layer=False, dtype=torch.float32)
    return bert.eval()


def _why(fault: Exception) -> str:
    return f" ({str(fault).splitlines()[0] if str(fault) else type(fault).__name__})"
