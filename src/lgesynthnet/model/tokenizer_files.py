"""The words of a text encoder from `tokenizer.json` or `vocab.txt`: WordPiece as BERT has it, and nothing else that such files can hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from lgesynthnet.errors import ModelError
from lgesynthnet.files.reading import checked, parse_json, read_text
from lgesynthnet.model.settings import TokenizerSettings
from lgesynthnet.model_store import REMEDY, exists, model_faults, read_settings

FILE_BYTES = 2**24  # the tokenizer of a multilingual BERT has 3 MB
TOKEN = Annotated[str, Field(min_length=1, max_length=200)]
NUMBER = Annotated[int, Field(ge=0, le=250_000)]
FEW = Field(min_length=0, max_length=16)


class _AddedToken(BaseModel):
    id: NUMBER
    content: TOKEN


class _Normalizer(BaseModel):
    type: Literal["BertNormalizer"]


class _PreTokenizer(BaseModel):
    type: Literal["BertPreTokenizer"]


class _Special(BaseModel):
    id: TOKEN
    ids: Annotated[list[NUMBER], FEW]
    tokens: Annotated[list[TOKEN], FEW]


class _Template(BaseModel):
    type: Literal["TemplateProcessing"]
    single: Annotated[list[dict[str, Any]], FEW]
    pair: Annotated[list[dict[str, Any]], FEW]
    special_tokens: Annotated[dict[str, _Special], FEW]


class _BertProcessing(BaseModel):
    type: Literal["BertProcessing"]
    sep: tuple[TOKEN, NUMBER]
    cls: tuple[TOKEN, NUMBER]


class _Decoder(BaseModel):
    type: Literal["WordPiece"]


class _WordPiece(BaseModel):
    type: Literal["WordPiece"]
    unk_token: TOKEN
    continuing_subword_prefix: Annotated[str, Field(min_length=0, max_length=16)] = "##"
    max_input_chars_per_word: Annotated[int, Field(ge=1, le=1000)] = 100
    vocab: Annotated[dict[TOKEN, NUMBER], Field(min_length=1, max_length=250_000)]


class _TokenizerFile(BaseModel):
    added_tokens: Annotated[list[_AddedToken], Field(min_length=0, max_length=2000)]
    normalizer: _Normalizer | None
    pre_tokenizer: _PreTokenizer | None
    post_processor: _Template | _BertProcessing | None
    decoder: _Decoder | None
    model: _WordPiece


def read_tokenizer(folder: Path, *, external: bool) -> tuple[Tokenizer, dict[str, str]]:
    """The tokenizer in a folder, and which special token has which name (`pad_token` and the like).

    Args:
        external: whether older forms will do, which this program does not write: `vocab.txt`, or no `tokenizer_config.json`.
    Raises:
        ModelError: it is missing, damaged or of another kind than BERT's.
    """
    path = folder / "tokenizer_config.json"
    settings = read_settings(path, TokenizerSettings) if exists(path) or not external else TokenizerSettings()
    path = folder / "tokenizer.json"
    if exists(path) or not external or not exists(folder / "vocab.txt"):
        tokenizer = _from_json(path)
    else:
        path = folder / "vocab.txt"
        tokenizer = _from_words(path, settings)
    special = settings.special_tokens()
    for name, token in special.items():
        if tokenizer.token_to_id(token) is None:
            raise ModelError(f"{path}: lacks the {name} {token[:40]!r}; {REMEDY}")
    return tokenizer, special


def _from_json(path: Path) -> Tokenizer:
    with model_faults():
        record = parse_json(read_text(path, FILE_BYTES), str(path))
        checked(_TokenizerFile, record, str(path))
    # How captions are cut and padded is ours to say, at every call.
    return _built(json.dumps(record | {"truncation": None, "padding": None}), path)


def _from_words(path: Path, settings: TokenizerSettings) -> Tokenizer:
    with model_faults():
        words = read_text(path, FILE_BYTES).splitlines()
    vocabulary = {word: i for i, word in enumerate(words)}
    special = settings.special_tokens()
    cls, sep = special["cls_token"], special["sep_token"]
    if len(vocabulary) < len(words) or not {cls, sep, special["unk_token"]} <= vocabulary.keys():
        raise ModelError(f"{path}: has a word twice, or lacks a special token; {REMEDY}")
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=special["unk_token"]))
    tokenizer.normalizer = BertNormalizer(
        lowercase=settings.do_lower_case, strip_accents=settings.strip_accents, handle_chinese_chars=settings.tokenize_chinese_chars
    )
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{cls} $A {sep}", special_tokens=[(name, vocabulary[name]) for name in (cls, sep)]
    )
    return tokenizer


def _built(text: str, path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_str(text)
    except Exception as fault:  # the library raises nothing more special
        why = (str(fault).splitlines() or [type(fault).__name__])[0][:200]
        raise ModelError(f"{path}: is no usable tokenizer ({why}); {REMEDY}") from None
