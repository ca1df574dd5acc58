"""Captions to vectors: our own compact BERT by default, or any Hugging Face BERT by folder or id. The only user of transformers."""

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
from transformers import AutoConfig, AutoTokenizer, BertConfig
from transformers import BertModel as BertModel  # passed on: no other module imports transformers
from transformers import BertTokenizerFast as BertTokenizerFast
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
    """Our own WordPiece tokenizer: every word of the grammar and every percentage is one piece; any other word is split into letters."""
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
    """BERT and a learned projection to the U-Net's width. An empty caption is encoded like any other.

    Args:
        bert: any BertModel of any width; ours has two layers of width 96.
        width: cross-attention width of the U-Net.
    """

    def __init__(self, bert: BertModel, tokenizer: BertTokenizerFast, width: int) -> None:
        super().__init__()
        self.bert = bert
        self.tokenizer = tokenizer
        self.projection = nn.Linear(bert.config.hidden_size, width)

    def tokens(self, captions: list[str]) -> Int[Tensor, "b tokens"]:
        """Tokens of fixed length, so that a caption's vectors do not depend on its batch."""
        batch = self.tokenizer(captions, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        tokens: Tensor = batch.input_ids
        return tokens

    def forward(self, tokens: Int[Tensor, "b tokens"]) -> Float[Tensor, "b tokens width"]:
        """The vectors of the tokens; padding becomes 0."""
        hidden, is_word = hidden_states(self.bert, self.tokenizer, tokens)
        vectors: Tensor = self.projection(hidden) * is_word[..., None]
        return vectors

    @torch.no_grad()
    def read(self, captions: list[str]) -> Float[Tensor, "b tokens width"]:
        """The vectors of captions, without gradient."""
        return self.forward(self.tokens(captions).to(self.projection.weight.device))


def hidden_states(
    bert: BertModel, tokenizer: BertTokenizerFast, tokens: Int[Tensor, "b tokens"]
) -> tuple[Float[Tensor, "b tokens hidden"], Int[Tensor, "b tokens"]]:
    """BERT's last layer, and 1 for tokens that are not padding."""
    is_word = (tokens != tokenizer.pad_token_id).long()
    return bert(input_ids=tokens, attention_mask=is_word).last_hidden_state, is_word


def pooled(hidden: Float[Tensor, "b tokens hidden"], is_word: Int[Tensor, "b tokens"]) -> Float[Tensor, "b hidden"]:
    """One vector for each caption: the mean over its tokens, as in sentence encoders (Reimers and Gurevych, 2019)."""
    return (hidden * is_word[..., None]).sum(1) / is_word.sum(1, keepdim=True).clamp(min=1)


def build_bert(width: int, layers: int = 2) -> tuple[BertModel, BertTokenizerFast]:
    """The compact BERT with random weights, and its tokenizer; `train text` trains it."""
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
    """Write `FOLDER/text_encoder/` and `FOLDER/tokenizer/`, which `load_text_encoder` reads."""
    bert.save_pretrained(folder / "text_encoder")
    tokenizer.save_pretrained(folder / "tokenizer")


def load_text_encoder(folder: Path) -> tuple[BertModel, BertTokenizerFast]:
    """Read what `save_bert` wrote, in float32 and in evaluation mode; pickled weights are refused.

    Raises:
        ModelError: a part is missing or damaged, or exists only as a pickle.
    """
    try:
        bert = _bert(folder / "text_encoder", local=True)
        tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as fault:
        raise ModelError(f"{folder}: no usable text encoder{_why(fault)}") from None
    return bert, tokenizer


def load_external(name: str | Path, *, allow_download: bool = False) -> tuple[BertModel, BertTokenizerFast]:
    """Any BERT with its tokenizer, in float32 and in evaluation mode. Its weights must be safetensors; a pickle is never read.

    Args:
        name: a folder that `save_pretrained` or `save_bert` wrote, or an id on the Hugging Face hub, such as `BIOMEDBERT`, that was
            downloaded before.
        allow_download: download the id where it is not on this machine yet.
    Raises:
        ModelError: there is no such folder, the id is not on this machine, it is no BERT, or its weights exist only as a pickle.
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
