"""Captions to vectors: our own compact BERT by default, or any Hugging Face BERT by folder or id. The only user of transformers."""

from __future__ import annotations

import re
import string
from pathlib import Path

import torch
from accelerate import init_empty_weights
from huggingface_hub import snapshot_download
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers import BertConfig
from transformers import BertModel as BertModel  # passed on: no other module imports transformers
from transformers import BertTokenizerFast as BertTokenizerFast
from transformers.utils import logging as transformers_logging

from lgesynthnet.errors import ModelError
from lgesynthnet.model.settings import MAX_TOKENS as MAX_TOKENS
from lgesynthnet.model.settings import BertSettings
from lgesynthnet.model.tokenizer_files import read_tokenizer
from lgesynthnet.model_store import REMEDY, exists, is_folder, read_record, read_settings
from lgesynthnet.prescription.grammar.language import every_caption_word, every_report_word
from lgesynthnet.stored_weights import names_in, read_weights, shapes_of

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
BIOMEDBERT = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract-fulltext"  # Gu et al. (2021)
FETCHED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
_FORMERLY = {"gamma": ".LayerNorm.weight", "beta": ".LayerNorm.bias"}
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
    """Write `FOLDER/text_encoder/` and `FOLDER/tokenizer/`, which `load_text_encoder` reads.

    The tokenizer's file does not depend on how the tokenizer was used before, so that the same encoder has the same fingerprint again.
    """
    bert.save_pretrained(folder / "text_encoder")
    words = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    words.enable_truncation(MAX_TOKENS)
    words.enable_padding(length=MAX_TOKENS, pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    as_loaded = {"is_local": True, "local_files_only": True}  # as the library wrote of a loaded tokenizer, so that fingerprints stay
    BertTokenizerFast(tokenizer_object=words, **_special_tokens(tokenizer), **as_loaded).save_pretrained(folder / "tokenizer")


def load_text_encoder(folder: Path) -> tuple[BertModel, BertTokenizerFast]:
    """Read what `save_bert` wrote, in float32 and in evaluation mode; pickled weights are refused.

    Raises:
        ModelError: a part is missing or damaged, or exists only as a pickle.
    """
    return _load(folder / "text_encoder", folder / "tokenizer", external=False)


def load_external(name: str | Path, *, allow_download: bool = False) -> tuple[BertModel, BertTokenizerFast]:
    """Any BERT with its tokenizer, in float32 and in evaluation mode. Its weights must be safetensors; a pickle is never read.

    Args:
        name: a folder that `save_pretrained` or `save_bert` wrote, or an id on the Hugging Face hub, such as `BIOMEDBERT`, that was
            downloaded before.
        allow_download: download the id where it is not on this machine yet; without it nothing is asked over the network.
    Raises:
        ModelError: there is no such folder, the id is not on this machine, it is no BERT, or its weights exist only as a pickle.
    """
    folder = Path(name).expanduser()
    if is_folder(folder / "text_encoder"):
        return load_text_encoder(folder)
    if is_folder(folder):
        return _load(folder, folder, external=True)
    if isinstance(name, Path) or not _ID.fullmatch(name):
        raise ModelError(f"{name}: no such folder; give the folder of a BERT or an id such as {BIOMEDBERT}")
    fetched = _fetched(name, allow_download=allow_download)
    return _load(fetched, fetched, external=True)


def _fetched(name: str, *, allow_download: bool) -> Path:
    """The folder in the hub's cache that holds a model's words and weights; no other file of it is fetched."""
    try:
        return Path(snapshot_download(name, allow_patterns=list(FETCHED), local_files_only=not allow_download))
    except Exception as fault:  # the hub's client passes on the errors of whatever it fetches with
        fetch = f"fetch it beforehand with `hf download {name}` (earlier: `huggingface-cli download`), or --allow-download"
        raise ModelError(f"{name}: not on this machine; {fetch}{_why(fault)}") from None


def _load(weights: Path, words: Path, *, external: bool) -> tuple[BertModel, BertTokenizerFast]:
    path = weights / "config.json"
    if not exists(path):
        raise ModelError(f"{weights}: not the folder of a BERT, for it has no config.json; give another folder")
    kind = read_record(path).get("model_type")
    if kind != "bert":
        raise ModelError(f"{path}: a network of the kind {str(kind)[:60]}, not a BERT; give the folder of a BERT")
    settings = read_settings(path, BertSettings)
    tokens, special = read_tokenizer(words, external=external)
    if max(tokens.get_vocab(with_added_tokens=True).values()) >= settings.vocab_size:
        raise ModelError(f"{words}: has more tokens than the text encoder knows ({settings.vocab_size}); {REMEDY}")
    with init_empty_weights(include_buffers=False):
        bert = BertModel(
            BertConfig(**settings.model_dump(exclude={"model_type", "position_embedding_type"}), dtype="float32"), add_pooling_layer=False
        )
    bert.load_state_dict(_weights(weights, shapes_of(bert), external=external), assign=True)
    return bert.eval(), BertTokenizerFast(tokenizer_object=tokens, **special)


def _weights(folder: Path, shapes: dict[str, torch.Size], *, external: bool) -> dict[str, Tensor]:
    path = folder / "model.safetensors"
    if not exists(path):
        raise ModelError(
            f"{folder}: no usable safetensors weights, and pickled ones (*.bin) are never read; if you trust their maker, convert them: "
            f"python -c \"from transformers import AutoModel as M, AutoTokenizer as T; n='{folder}'; "
            f"[X.from_pretrained(n).save_pretrained('FOLDER') for X in (M, T)]\", then give FOLDER"
        )
    if not external:
        return read_weights(path, shapes)
    stored = names_in(path)
    body = {_own_name(name): name for name in stored if _own_name(name).startswith(("embeddings.", "encoder."))}
    heads = (stored - set(body.values())) | {name for name in stored if name.endswith("embeddings.position_ids")}
    found = read_weights(path, {body.get(name, name): shape for name, shape in shapes.items()}, ignored=heads)
    return {_own_name(name): value for name, value in found.items()}


def _own_name(name: str) -> str:
    """The name in our BERT of a tensor of any BERT: those with a head begin with `bert.`, and the oldest have two other names."""
    return re.sub(r"\.LayerNorm\.(gamma|beta)$", lambda old: _FORMERLY[old[1]], name.removeprefix("bert."))


def _special_tokens(tokenizer: BertTokenizerFast) -> dict[str, str]:
    return {name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}


def _why(fault: Exception) -> str:
    return f" ({str(fault).splitlines()[0] if str(fault) else type(fault).__name__})"
